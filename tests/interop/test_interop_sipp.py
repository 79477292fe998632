"""Strict message-level scenarios played by SIPp against the server, with a PJSIP phone at the other end of the call."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.office import Office, hear_each_other, talk
from tests.interop.pjsip_phone import PjsipPhone
from tests.interop.server import password
from tests.interop.sip_text import Message
from tests.interop.sipp_run import SippRun, free_udp_port

pytestmark = pytest.mark.interop


class Sipp:
    """SIPp as the phone at extension 101."""

    def __init__(self, office: Office, workdir: Path) -> None:
        self._office = office
        self._workdir = workdir
        self._runs: list[SippRun] = []

    def start(self, scenario: str, port: int | None = None, **keys: str) -> SippRun:
        username = self._office.username("101")
        run = SippRun(
            scenario,
            self._workdir / f"{len(self._runs)}-{scenario}",
            self._office.server.address,
            username,
            password(username),
            port,
            **keys,
        )
        self._runs.append(run)
        return run

    def close(self) -> None:
        for run in self._runs:
            run.close()


@pytest.fixture
def sipp(office: Office, tmp_path: Path) -> Iterator[Sipp]:
    """Starts scenarios and ends them."""
    starter = Sipp(office, tmp_path / "sipp")
    yield starter
    starter.close()


@pytest.fixture
def bob(office: Office) -> PjsipPhone:
    """A registered phone at extension 102."""
    return office.phones("102")[0]


def directions(answers: list[Message]) -> list[str]:
    """The direction that each SDP states."""
    names = ("sendrecv", "sendonly", "recvonly", "inactive")
    return [next((name for name in names if f"a={name}" in answer.body), "sendrecv") for answer in answers]


def invite_answers(run: SippRun) -> list[Message]:
    """Every 200 to an INVITE, repetitions included."""
    return [m for m in run.messages("rx") if m.status == 200 and m.method == "INVITE"]


def test_register_is_challenged_then_accepted_and_taken_back(sipp: Sipp) -> None:
    port = free_udp_port()
    run = sipp.start("register", port, expires="120")
    run.wait()
    challenged, accepted = run.messages("rx")
    schemes = challenged.headers("WWW-Authenticate")
    assert ["algorithm=MD5" in schemes[0], "algorithm=SHA-256" in schemes[1]] == [True, True]
    assert f"127.0.0.1:{port}>;expires=120" in accepted.header("Contact")
    gone = sipp.start("register", port, expires="0")
    gone.wait()
    assert not gone.messages("rx")[-1].header("Contact")


def test_each_spelling_of_hold_is_answered_in_kind_and_gives_the_other_music(sipp: Sipp, bob: PjsipPhone) -> None:
    run = sipp.start("hold_spellings", target="102")
    call = bob.wait_call()
    call.answer()
    for _ in range(3):
        call.ear.hears_music()
        call.ear.hears_nothing()  # the caller is back, and silent
    assert call.wait_ended() == 200
    run.wait()
    said = directions(invite_answers(run))
    assert said[1] == "recvonly"
    assert said[3] == "inactive"
    assert said[5] in ("recvonly", "inactive", "sendrecv")
    assert [said[0], said[2], said[4], said[6]] == ["sendrecv"] * 4


def test_an_invite_without_an_offer_gets_one(sipp: Sipp, bob: PjsipPhone) -> None:
    run = sipp.start("late_offer", target="102")
    call = bob.wait_call()
    call.answer()
    run.wait()
    assert all("m=audio" in answer.body for answer in invite_answers(run))
    assert call.wait_ended() == 200


def test_a_repeated_invite_is_one_call(sipp: Sipp, bob: PjsipPhone) -> None:
    run = sipp.start("repeated_invite", target="102")
    bob.wait_call().answer()
    run.wait()
    assert len(bob.events("incoming")) == 1


def test_repeated_options_are_answered_each_time_the_same(sipp: Sipp) -> None:
    run = sipp.start("repeated_options", target="102")
    run.wait()
    answers = run.messages("rx")
    assert len(answers) == 3
    assert len({answer.text for answer in answers}) == 1
    assert "INVITE" in answers[0].header("Allow")


def test_the_200_is_repeated_until_the_ack_comes(sipp: Sipp, bob: PjsipPhone) -> None:
    run = sipp.start("lost_ack", target="102")
    call = bob.wait_call()
    call.answer()
    run.wait()
    assert 3 <= len(invite_answers(run)) <= 5  # at 0, 0.5, 1.5 and 3.5 s
    assert call.wait_ended() == 200


def test_a_cancel_that_crosses_the_200_changes_nothing(sipp: Sipp, bob: PjsipPhone) -> None:
    run = sipp.start("cancel_too_late", target="102")
    call = bob.wait_call()
    call.answer()
    run.wait()
    assert call.wait_ended() == 200


def test_a_cancel_in_time_ends_the_ringing(sipp: Sipp, bob: PjsipPhone) -> None:
    run = sipp.start("cancel_in_time", target="102")
    call = bob.wait_call()
    call.ring()
    run.wait()
    assert call.wait_ended() == 487


def test_a_phone_that_never_answers_the_bye_keeps_nobody_waiting(sipp: Sipp, bob: PjsipPhone) -> None:
    port = free_udp_port()
    sipp.start("register", port, expires="120").wait()
    run = sipp.start("silent_at_bye", port)
    run.wait_listening()
    call = bob.dial("101")
    call.wait_talking()
    call.hang_up()
    assert call.code == 200
    run.wait()
    assert sum(m.first_line.startswith("BYE") for m in run.messages("rx")) >= 3


def test_a_refer_during_a_hold_parks(sipp: Sipp, bob: PjsipPhone) -> None:
    run = sipp.start("refer_while_held", target="102", park="*800")
    call = bob.wait_call()
    call.answer()
    run.wait()
    accepted, *_ = (m for m in run.messages("rx") if m.status == 202)
    assert accepted.header("X-Parkade-Park-Code") == "*801"
    first, last = (m for m in run.messages("rx") if m.first_line.startswith("NOTIFY"))
    assert first.body.startswith("SIP/2.0 100")
    assert last.body.startswith("SIP/2.0 200")
    assert last.header("Subscription-State").startswith("terminated")
    call.ear.hears_music()


GARBAGE = [
    b"",
    b"\r\n\r\n",
    b"\x00" * 64,
    bytes(range(256)),
    b"INVITE",
    b"INVITE sip:102@127.0.0.1 SIP/2.0\r\n\r\n",
    b"SIP/2.0 200 OK\r\n\r\n",
    b"OPTIONS sip:\xff\xfe SIP/2.0\r\nVia: SIP/2.0/UDP \x00;branch=\r\nCSeq: x y\r\nContent-Length: -1\r\n\r\n",
    b"REGISTER sip:a SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=1\r\nFrom: <\r\nTo: >\r\nCall-ID: 1\r\nCSeq: 1 REGISTER\r\n\r\n",
    b"INVITE sip:102@127.0.0.1 SIP/2.0\r\n" + b"X: " + b"y" * 20_000 + b"\r\n\r\n",
    b"INVITE sip:1 SIP/2.0\r\nContent-Length: 99999999999999999999\r\n\r\n",
]


def test_garbage_disturbs_nobody(office: Office) -> None:
    alice, bob = office.phones("101", "102")
    outgoing, incoming = talk(alice, bob, "102")
    port = office.server.sip_port
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        for rubbish in GARBAGE:
            udp.sendto(rubbish, ("127.0.0.1", port))
    for rubbish in GARBAGE:
        with socket.create_connection(("127.0.0.1", port)) as tcp:
            tcp.sendall(rubbish)
    hear_each_other(outgoing, incoming)
    outgoing.hang_up()
    assert incoming.wait_ended() == 200

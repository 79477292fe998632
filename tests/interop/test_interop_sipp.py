"""Strict message-level scenarios played by SIPp against the server, with a PJSIP phone at the other end of the call."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from parkade.testing.listening import heard_music, heard_tone
from tests.interop.office import Office, hear_each_other, talk
from tests.interop.pjsip_phone import PjsipPhone
from tests.interop.rtp_ear import RtpEar
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

    def start(self, scenario: str, port: int | None = None, *, repeats: bool = True, **keys: str) -> SippRun:
        username = self._office.username("101")
        run = SippRun(
            scenario,
            self._workdir / f"{len(self._runs)}-{scenario}",
            self._office.server.address,
            username,
            password(username),
            port,
            repeats=repeats,
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


@pytest.mark.parametrize(
    ("direction", "address", "answered"),
    [
        ("sendonly", "127.0.0.1", "recvonly"),
        ("inactive", "127.0.0.1", "inactive"),
        ("sendrecv", "0.0.0.0", "recvonly"),  # the spelling of RFC 2543, section B.5
    ],
)
def test_each_spelling_of_hold_is_answered_in_kind_and_gives_the_other_music(
    sipp: Sipp, bob: PjsipPhone, direction: str, address: str, answered: str
) -> None:
    run = sipp.start("hold_spelling", target="102", direction=direction, address=address)
    call = bob.wait_call()
    call.answer()
    call.ear.hears_music()
    call.hang_up()
    run.wait()
    assert directions(invite_answers(run)) == ["sendrecv", answered]


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
    run = sipp.start("repeated_options", repeats=False, target="102")
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


def test_an_offer_without_a_codec_of_ours_is_refused_before_anybody_rings(sipp: Sipp, bob: PjsipPhone) -> None:
    run = sipp.start("unknown_codec", target="102")
    run.wait()
    refusal = next(m for m in run.messages("rx") if m.status == 488)
    assert "incompatible" in refusal.header("Warning")
    assert not bob.events("incoming")


def test_a_phone_that_answers_nonsense_is_hung_up_and_the_caller_told(sipp: Sipp, bob: PjsipPhone) -> None:
    port = free_udp_port()
    sipp.start("register", port, expires="120").wait()
    run = sipp.start("nonsense_answer", port)
    run.wait_listening()
    assert bob.dial("101").wait_ended() >= 400
    run.wait()


def test_no_gap_at_park_and_at_pick_up_for_a_silent_caller(sipp: Sipp, office: Office) -> None:
    bob, carol = office.phones("102", "103")
    ear = RtpEar()
    try:
        run = sipp.start("calls_silently", target="102", rtp=str(ear.port))
        call = bob.wait_call()
        call.answer()
        ear.wait_for(50)
        parked_at = len(ear.arrivals)
        call.transfer("*800")
        assert call.wait_transferred() == 200
        ear.wait_for(75)
        picked_up_at = len(ear.arrivals)
        retrieved = carol.dial("*801")
        retrieved.wait_talking()
        ear.wait_for(75)
        retrieved.hang_up()
        run.wait()
    finally:
        ear.close()
    arrivals = ear.arrivals
    assert heard_tone(ear.heard()[: parked_at * 160], bob.tone_hz)
    assert heard_music(ear.heard(parked_at)[: 70 * 160])
    assert heard_tone(ear.heard(picked_up_at), carol.tone_hz)
    assert len({arrival.ssrc for arrival in arrivals}) == 1
    for earlier, later in pairwise(arrivals):
        assert (later.sequence - earlier.sequence) % 65536 == 1, "nothing lost, nothing out of order"
        assert (later.timestamp - earlier.timestamp) % 2**32 <= 320, "at most 40 ms of sound missing"
    for change in (parked_at, picked_up_at):
        around = arrivals[change - 5 : change + 20]
        gaps_ms = [(later.at - earlier.at) * 1000 for earlier, later in pairwise(around)]
        # 40 ms are promised; on top of that a busy machine may be late with waking up a process.
        assert max(gaps_ms) < 100, gaps_ms

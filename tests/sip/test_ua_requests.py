"""The user agent outside of calls: requests of its own, those of others, and bytes that are no SIP."""

from __future__ import annotations

import random

import pytest

from parkade.sip.message.digest import parse_credentials
from parkade.sip.message.headers import NameAddr
from parkade.sip.message.message import Response
from parkade.sip.session.ask import Outcome
from tests.sip.session_peer import US, Rig

CHALLENGE = 'WWW-Authenticate: Digest realm="example.com", nonce="n1", algorithm=SHA-256, qop="auth"'


def register(rig: Rig, outcomes: list[Outcome], credentials: tuple[str, str] | None = None, seq: int = 1) -> None:
    rig.us.ua.request(
        "REGISTER",
        flow=rig.flow,
        target="sip:example.com",
        from_=NameAddr("", "sip:bob@example.com"),
        to=NameAddr("", "sip:bob@example.com"),
        done=lambda outcome, now: outcomes.append(outcome),
        now=rig.now,
        headers=[("Contact", rig.us.ua.contact_on(rig.flow)), ("Expires", "300")],
        call_id="reg-1",
        seq=seq,
        credentials=credentials,
    )


def test_a_register_answers_its_challenge_with_the_next_cseq() -> None:
    rig = Rig()
    outcomes: list[Outcome] = []
    register(rig, outcomes, ("bob", "secret"), seq=7)
    rig.take()
    first = rig.request_sent("REGISTER")
    assert (str(first.cseq), first.call_id) == ("7 REGISTER", "reg-1")
    rig.reply(first, 100)
    rig.reply(first, 401, extra=CHALLENGE)
    rig.take()
    second = rig.request_sent("REGISTER")
    assert str(second.cseq) == "8 REGISTER"
    assert second.from_.tag == first.from_.tag
    proof = parse_credentials(second.headers.get("Authorization") or "")
    assert proof is not None
    assert (proof.username, proof.algorithm) == ("bob", "SHA-256")
    rig.reply(second, 200)
    (outcome,) = outcomes
    assert isinstance(outcome, Response)
    assert outcome.cseq.number == 8


def test_a_wrong_password_is_tried_once() -> None:
    rig = Rig()
    outcomes: list[Outcome] = []
    register(rig, outcomes, ("bob", "wrong"))
    for _ in range(2):
        rig.take()
        rig.reply(rig.request_sent("REGISTER"), 401, extra=CHALLENGE)
    assert rig.take() == []
    assert [o.status for o in outcomes if isinstance(o, Response)] == [401]


def test_a_request_nobody_answers_is_reported_as_that() -> None:
    rig = Rig()
    outcomes: list[Outcome] = []
    register(rig, outcomes)
    rig.run(33)
    assert outcomes == ["timeout"]
    register(rig, outcomes)
    rig.us.ua.flow_lost(rig.flow, rig.now)
    assert outcomes == ["timeout", "transport"]
    assert len(rig.us.ua) == 0


@pytest.mark.parametrize("method", ["REGISTER", "OPTIONS", "MESSAGE", "SUBSCRIBE", "REFER", "PUBLISH"])
def test_requests_outside_of_dialogs_are_for_the_owner(method: str) -> None:
    rig = Rig()
    rig.ask(method, 1)
    assert rig.take() == [f"200 {method}"]
    assert [request.method for request in rig.us.requests] == [method]


@pytest.mark.parametrize("method", ["BYE", "INFO", "PRACK", "UPDATE"])
def test_methods_that_mean_nothing_without_a_dialog_get_481_where_they_name_none(method: str) -> None:
    rig = Rig()
    rig.ask(method, 1)
    assert rig.take() == [f"481 {method}"]
    assert rig.us.requests == []


def test_a_register_with_a_to_tag_is_still_a_register() -> None:
    rig = Rig()
    rig.ask("REGISTER", 1, to_tag="old")
    assert rig.take() == ["200 REGISTER"]


def test_the_contact_names_the_transport_and_the_user() -> None:
    udp, tcp = Rig(), Rig("TCP")
    assert udp.us.ua.contact_on(udp.flow) == f"<sip:{US}:5060>"
    assert tcp.us.ua.contact_on(tcp.flow) == f"<sip:{US}:5060;transport=tcp>"


def test_a_contact_that_names_everybody_gets_400_and_harms_nothing() -> None:
    rig = Rig()
    tag = rig.answered_call()
    rig.ask("INVITE", 2, to_tag=tag, contact="Contact: *", body="v=0")
    rig.ask("REFER", 3, to_tag=tag, contact="Contact: *", extra="Refer-To: <sip:a@b>")
    assert rig.take() == ["400 INVITE", "400 REFER"]
    rig.ask("INVITE", 4, to_tag=tag, body="v=0")
    assert rig.take() == ["200 INVITE"]


def test_no_bytes_whatever_raise_anything() -> None:
    rig = Rig()
    tag = rig.answered_call()
    chance = random.Random(7)
    rig.ask("OPTIONS", 2, to_tag=tag)
    rig.take()
    sample = (
        f"INVITE sip:100@{US} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.99:5060;branch=z9hG4bKx{{n}}\r\nFrom: <sip:a@b>;tag=ph1\r\n"
        f"To: <sip:c@d>;tag={tag}\r\nCall-ID: call-1\r\nCSeq: {{n}} INVITE\r\nContact: <sip:a@192.0.2.99>\r\n"
        "Content-Type: application/sdp\r\nContent-Length: 4\r\n\r\nv=0\n"
    )
    for number in range(300):
        data = bytearray(sample.replace("{n}", str(number + 3)).encode())
        for _ in range(chance.randrange(4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        rig.us.ua.receive(rig.flow, bytes(data), rig.now)
        rig.us.ua.receive(rig.flow, chance.randbytes(40), rig.now)
        rig.us.ua.out.clear()
    rig.session.end(rig.now)
    for session in rig.us.sessions:
        session.end(rig.now)
    rig.run(200)
    assert len(rig.us.ua) == 0

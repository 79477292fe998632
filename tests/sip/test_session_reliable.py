"""Reliable provisional responses and early UPDATE (:rfc:`3262`, :rfc:`3311`), both sides, against a phone played by hand."""

from __future__ import annotations

import pytest

from parkade.sip.message.message import Response
from parkade.sip.session.lifecycle import State
from tests.sip.session_peer import SDP, SDP_2, Rig

RELIABLE = "Require: 100rel\nRSeq: {}\nAllow: INVITE, ACK, BYE, CANCEL, PRACK, UPDATE"


def rseq(response: Response) -> int:
    return int(response.headers.get("RSeq") or "0")


def prack(rig: Rig, response: Response, seq: int, body: str = "", rack: str | None = None) -> None:
    rack = rack or f"{rseq(response)} 1 INVITE"
    rig.ask("PRACK", seq, to_tag=response.to.tag or "", extra=f"RAck: {rack}", body=body)


def test_a_caller_that_requires_100rel_gets_every_provisional_response_reliably() -> None:
    rig = Rig()
    rig.invite("Require: 100rel")
    rig.session.progress(180, rig.now)
    rig.take()
    ringing = rig.response_sent("180 INVITE")
    assert ringing.require == {"100rel"}
    assert 1 <= rseq(ringing) < 2**31
    assert "PRACK" in ringing.headers.all("Allow")
    times = []
    start = rig.now
    for _ in range(80):
        rig.run(0.1)
        times += [round(rig.now - start, 1) for _ in rig.take()]
    assert times == [0.5, 1.5, 3.5, 7.5]
    prack(rig, ringing, 2)
    assert rig.take() == ["200 PRACK"]
    rig.run(50)
    assert rig.take() == []


def test_a_prack_for_something_else_gets_481_and_one_without_rack_400() -> None:
    rig = Rig()
    rig.invite("Require: 100rel")
    rig.session.progress(180, rig.now)
    rig.take()
    ringing = rig.response_sent("180 INVITE")
    prack(rig, ringing, 2, rack=f"{rseq(ringing) + 1} 1 INVITE")
    prack(rig, ringing, 3, rack=f"{rseq(ringing)} 2 INVITE")
    prack(rig, ringing, 4, rack=f"{rseq(ringing)} 1 UPDATE")
    prack(rig, ringing, 5, rack="x")
    prack(rig, ringing, 6)
    prack(rig, ringing, 7)
    assert rig.take() == ["481 PRACK", "481 PRACK", "481 PRACK", "400 PRACK", "200 PRACK", "481 PRACK"]


def test_a_second_provisional_response_waits_for_the_prack_of_the_first() -> None:
    rig = Rig()
    rig.invite("Require: 100rel")
    rig.session.progress(180, rig.now)
    rig.session.progress(182, rig.now)
    assert rig.take() == ["180 INVITE"]
    first = rig.response_sent("180 INVITE")
    prack(rig, first, 2)
    assert sorted(rig.take()) == ["182 INVITE", "200 PRACK"]
    assert rseq(rig.response_sent("182 INVITE")) == rseq(first) + 1


def test_a_caller_that_sends_no_prack_gets_504() -> None:
    rig = Rig()
    rig.invite("Require: 100rel")
    rig.session.progress(180, rig.now)
    rig.run(31.9)
    assert "504 INVITE" not in rig.take()
    rig.run(0.2)
    assert rig.take() == ["504 INVITE"]
    assert rig.us.heard == ["invite", "ended timeout"]


def test_an_answer_in_a_reliable_response_holds_the_200_until_its_prack() -> None:
    rig = Rig()
    rig.invite("Supported: 100rel")
    rig.session.progress(183, rig.now, sdp=b"v=0 ours")
    rig.session.accept(b"v=0 ours", rig.now, [("Subject", "x")])
    assert rig.take() == ["183 INVITE"]
    early = rig.response_sent("183 INVITE")
    assert early.body == b"v=0 ours"
    prack(rig, early, 2)
    assert rig.take() == ["200 PRACK", "200 INVITE"]
    ok = rig.response_sent("200 INVITE")
    assert ok.body == b""
    assert ok.headers.get("Subject") == "x"
    rig.ask("ACK", 1, to_tag=ok.to.tag or "")
    assert rig.us.heard == ["invite", "established"]
    assert rig.session.local_sdp == b"v=0 ours"


def test_a_200_does_not_wait_for_the_prack_of_a_response_without_sdp() -> None:
    rig = Rig()
    rig.invite("Require: 100rel")
    rig.session.progress(180, rig.now)
    rig.session.accept(b"v=0 ours", rig.now)
    assert rig.take() == ["180 INVITE", "200 INVITE"]
    prack(rig, rig.response_sent("180 INVITE"), 2)
    assert rig.take() == ["200 PRACK"]
    rig.run(2)
    assert set(rig.take()) == {"200 INVITE"}


def test_a_caller_that_only_supports_100rel_rings_unreliably() -> None:
    rig = Rig()
    rig.invite("Supported: 100rel")
    rig.session.progress(180, rig.now)
    rig.take()
    assert "RSeq" not in rig.got[0].headers


def test_an_early_offer_of_ours_is_answered_in_the_prack() -> None:
    rig = Rig()
    rig.invite("Supported: 100rel", body="")
    rig.session.progress(183, rig.now, sdp=b"v=0 our offer")
    rig.take()
    early = rig.response_sent("183 INVITE")
    assert early.body == b"v=0 our offer"
    prack(rig, early, 2, body=SDP)
    assert rig.us.heard == ["invite", "answer"]
    rig.session.accept(b"v=0 ignored", rig.now)
    assert rig.take() == ["200 PRACK", "200 INVITE"]
    assert rig.got[1].body == b""
    rig.ask("ACK", 1, to_tag=early.to.tag or "")
    assert rig.us.heard == ["invite", "answer", "established"]


def test_an_offer_in_the_prack_is_answered_in_its_200() -> None:
    rig = Rig()
    rig.us.answers = None
    rig.invite("Supported: 100rel")
    rig.session.progress(183, rig.now, sdp=b"v=0 ours")
    rig.take()
    prack(rig, rig.response_sent("183 INVITE"), 2, body=SDP_2)
    assert rig.us.heard == ["invite", "offer"]
    rig.session.accept(b"v=0 ours", rig.now)
    assert rig.take() == []
    rig.session.answer(b"v=0 second", rig.now)
    assert rig.take() == ["200 PRACK", "200 INVITE"]
    assert [message.body for message in rig.got] == [b"v=0 second", b""]


def test_an_early_update_is_answered_once_both_have_spoken() -> None:
    rig = Rig()
    rig.invite("Supported: 100rel")
    rig.session.progress(180, rig.now)
    rig.take()
    tag = rig.response_sent("180 INVITE").to.tag or ""
    rig.ask("UPDATE", 2, to_tag=tag, body=SDP_2)
    assert rig.take() == ["500 UPDATE"]
    rig.session.progress(183, rig.now, sdp=b"v=0 ours")
    rig.take()
    prack(rig, rig.response_sent("183 INVITE"), 3)
    rig.ask("UPDATE", 4, to_tag=tag, body=SDP_2)
    assert rig.take() == ["200 PRACK", "200 UPDATE"]
    assert rig.us.heard == ["invite", "offer"]


def test_our_early_update_waits_until_both_have_spoken() -> None:
    rig = Rig()
    rig.invite("Supported: 100rel\nAllow: INVITE, ACK, UPDATE, PRACK")
    rig.session.offer(b"v=0 new", rig.now)
    assert rig.take() == []
    rig.session.progress(183, rig.now, sdp=b"v=0 ours")
    rig.take()
    prack(rig, rig.response_sent("183 INVITE"), 2)
    assert rig.take() == ["200 PRACK", "UPDATE"]
    assert rig.request_sent("UPDATE").body == b"v=0 new"
    rig.reply(rig.request_sent("UPDATE"), 200, body=SDP_2)
    assert rig.us.heard == ["invite", "answer"]


def test_a_cancel_ends_what_waits_for_a_prack() -> None:
    rig = Rig()
    branch = rig.invite("Supported: 100rel")
    rig.session.progress(183, rig.now, sdp=b"v=0 ours")
    rig.session.accept(b"v=0 ours", rig.now)
    rig.ask("CANCEL", 1, branch=branch)
    assert rig.take() == ["183 INVITE", "200 CANCEL", "487 INVITE"]
    assert rig.us.heard == ["invite", "ended cancelled"]
    prack(rig, rig.response_sent("183 INVITE"), 2)
    rig.run(64)
    assert len(rig.us.ua) == 0


# Our calls


def test_a_reliable_answer_to_our_call_gets_a_prack() -> None:
    rig = Rig()
    rig.call()
    rig.take()
    invite = rig.request_sent("INVITE")
    rig.reply(invite, 183, extra=RELIABLE.format(77), body=SDP)
    assert rig.take() == ["PRACK"]
    acknowledged = rig.request_sent("PRACK")
    assert acknowledged.headers.get("RAck") == "77 1 INVITE"
    assert acknowledged.cseq.number == 2
    assert acknowledged.to.tag == "ph1"
    rig.reply(acknowledged, 200)
    rig.reply(invite, 183, extra=RELIABLE.format(77), body=SDP)
    rig.reply(invite, 180, extra=RELIABLE.format(79))
    assert rig.take() == []
    rig.reply(invite, 180, extra=RELIABLE.format(78))
    assert rig.take() == ["PRACK"]
    assert rig.us.heard == ["progress 183", "progress 180"]
    rig.reply(invite, 200)
    assert rig.take() == ["ACK"]
    assert rig.request_sent("ACK").cseq.number == 1
    assert rig.us.heard == ["progress 183", "progress 180", "answered", "established"]
    assert rig.session.remote_sdp == SDP.encode()


def test_each_fork_counts_its_reliable_responses_by_itself() -> None:
    rig = Rig()
    rig.call()
    rig.take()
    invite = rig.request_sent("INVITE")
    rig.reply(invite, 183, tag="a", extra=RELIABLE.format(5))
    rig.reply(invite, 183, tag="b", extra=RELIABLE.format(900))
    assert rig.take() == ["PRACK", "PRACK"]
    assert [message.to.tag for message in rig.got] == ["a", "b"]


@pytest.mark.parametrize("body", [True, False])
def test_an_early_offer_to_our_empty_invite_is_answered_in_the_prack(body: bool) -> None:
    rig = Rig()
    rig.us.answers = b"v=0 our answer" if body else None
    call = rig.call(sdp=None)
    rig.take()
    invite = rig.request_sent("INVITE")
    rig.reply(invite, 183, extra=RELIABLE.format(77), body=SDP)
    assert rig.us.heard == ["progress 183", "offer"]
    if not body:
        assert rig.take() == []
        call.answer(b"v=0 our answer", rig.now)
    assert rig.take() == ["PRACK"]
    assert rig.request_sent("PRACK").body == b"v=0 our answer"
    rig.reply(rig.request_sent("PRACK"), 200)
    rig.us.confirms = None
    rig.reply(invite, 200)
    assert rig.take() == ["ACK"]
    assert call.state is State.CONFIRMED


def test_an_update_of_the_phone_is_answered_while_it_rings() -> None:
    rig = Rig()
    rig.call()
    rig.take()
    invite = rig.request_sent("INVITE")
    rig.reply(invite, 180)
    rig.ask_back(invite, "UPDATE", 1, body=SDP_2)
    assert rig.take() == ["491 UPDATE"]
    rig.reply(invite, 183, extra=RELIABLE.format(1), body=SDP)
    rig.take()
    rig.ask_back(invite, "UPDATE", 2, body=SDP_2)
    assert rig.take() == ["200 UPDATE"]
    assert rig.us.heard == ["progress 180", "progress 183", "offer"]

"""Calls of ours, to a phone played by hand (:rfc:`3261` sections 9, 12 to 15)."""

from __future__ import annotations

import pytest

from parkade.sip.message.digest import parse_credentials
from parkade.sip.message.message import Request
from parkade.sip.session.lifecycle import State
from tests.sip.session_peer import PHONE, SDP, Rig

CHALLENGE = 'Digest realm="example.com", nonce="n1", algorithm=MD5, qop="auth"'


def test_an_invite_carries_what_the_rfc_asks_for() -> None:
    rig = Rig()
    rig.call(headers=[("P-Asserted-Identity", "<sip:101@example.com>")])
    assert rig.take() == ["INVITE"]
    invite = rig.request_sent("INVITE")
    assert invite.uri == f"sip:phone@{PHONE}:5060"
    assert invite.from_.tag
    assert invite.to.tag is None
    assert invite.max_forwards == 70
    assert str(invite.cseq) == "1 INVITE"
    assert invite.contact is not None
    assert invite.content_type == "application/sdp"
    assert {"timer", "100rel", "replaces"} <= invite.supported
    assert invite.headers.get("P-Asserted-Identity") == "<sip:101@example.com>"


def test_the_ack_goes_to_the_contact_by_the_reversed_record_route() -> None:
    rig = Rig()
    rig.call()
    rig.take()
    invite = rig.request_sent("INVITE")
    route = "Record-Route: <sip:p3.example.com;lr>, <sip:p2.example.com;lr>\nRecord-Route: <sip:p1.example.com;lr>"
    rig.reply(invite, 180)
    rig.reply(invite, 200, body=SDP, extra=route, contact=f"Contact: <sip:desk@{PHONE}:5088>")
    assert rig.take() == ["ACK"]
    ack = rig.request_sent("ACK")
    assert ack.uri == f"sip:desk@{PHONE}:5088"
    assert ack.headers.all("Route") == ["<sip:p1.example.com;lr>", "<sip:p2.example.com;lr>", "<sip:p3.example.com;lr>"]
    assert ack.cseq.number == 1
    assert ack.to.tag == "ph1"
    assert ack.top_via.branch != invite.top_via.branch
    assert rig.us.heard == ["progress 180", "answered", "established"]


def test_a_strict_router_gets_its_address_in_the_request_line() -> None:
    rig = Rig()
    rig.established_call("Record-Route: <sip:p1.example.com;lr>, <sip:old.example.com;maddr=192.0.2.7>")
    rig.session.end(rig.now)
    rig.take()
    bye = rig.request_sent("BYE")
    assert bye.uri == "sip:old.example.com;maddr=192.0.2.7"
    assert bye.headers.all("Route") == ["<sip:p1.example.com;lr>", f"<sip:ph1@{PHONE}:5060>"]


def test_each_repeated_200_gets_the_very_same_ack() -> None:
    rig = Rig()
    invite = rig.established_call()
    rig.reply(invite, 200, body=SDP)
    first = rig.take(), rig.got[0].encode()
    rig.run(3)
    rig.reply(invite, 200, body=SDP)
    assert (rig.take(), rig.got[0].encode()) == first
    rig.session.end(rig.now)
    rig.reply(invite, 200, body=SDP)
    assert rig.take() == ["BYE", "ACK"]
    assert rig.us.heard == ["ended ended"]


def test_a_200_that_comes_again_after_the_transaction_still_gets_its_ack() -> None:
    rig = Rig()
    invite = rig.established_call()
    rig.run(40)
    rig.reply(invite, 200, body=SDP)
    assert rig.take() == ["ACK"]


def test_of_two_forks_that_answer_the_second_is_sent_away() -> None:
    rig = Rig()
    rig.call()
    rig.take()
    invite = rig.request_sent("INVITE")
    rig.reply(invite, 180, tag="a")
    rig.reply(invite, 180, tag="b")
    rig.reply(invite, 200, tag="b", body=SDP)
    assert rig.take() == ["ACK"]
    rig.reply(invite, 200, tag="a", body=SDP)
    assert rig.take() == ["ACK", "BYE"]
    assert [message.to.tag for message in rig.got] == ["a", "a"]
    assert rig.request_sent("BYE").cseq.number == 2
    rig.reply(rig.request_sent("BYE"), 200)
    rig.reply(invite, 200, tag="a", body=SDP)
    assert rig.take() == ["ACK"]
    assert rig.us.heard == ["progress 180", "progress 180", "answered", "established"]
    assert rig.session.dialog is not None
    assert rig.session.dialog.remote_tag == "b"
    rig.ask_back(invite, "INFO", 1, tag="a")
    rig.ask_back(invite, "INFO", 1, tag="b")
    assert rig.take() == ["481 INFO", "200 INFO"]


def test_a_cancel_waits_for_a_sign_of_life() -> None:
    rig = Rig()
    call = rig.call()
    rig.take()
    invite = rig.request_sent("INVITE")
    call.end(rig.now, [("Reason", 'SIP;cause=200;text="Call completed elsewhere"')])
    assert rig.take() == []
    assert rig.us.heard == ["ended ended"]
    rig.reply(invite, 180)
    assert rig.take() == ["CANCEL"]
    cancel = rig.request_sent("CANCEL")
    assert cancel.top_via.branch == invite.top_via.branch
    assert str(cancel.cseq) == "1 CANCEL"
    assert cancel.headers.get("Reason") == 'SIP;cause=200;text="Call completed elsewhere"'
    rig.reply(cancel, 200)
    rig.reply(invite, 487)
    assert rig.take() == ["ACK"]
    assert rig.us.heard == ["ended ended"]
    rig.run(40)
    assert len(rig.us.ua) == 0


def test_a_200_that_crosses_our_cancel_gets_ack_and_bye() -> None:
    rig = Rig()
    call = rig.call()
    rig.take()
    invite = rig.request_sent("INVITE")
    rig.reply(invite, 180)
    call.end(rig.now)
    rig.reply(invite, 200, body=SDP)
    assert rig.take() == ["CANCEL", "ACK", "BYE"]
    assert rig.request_sent("BYE").uri == f"sip:ph1@{PHONE}:5060"
    rig.reply(rig.request_sent("BYE"), 200)
    rig.reply(rig.request_sent("CANCEL"), 481)
    assert rig.us.heard == ["progress 180", "ended ended"]
    rig.run(40)
    assert len(rig.us.ua) == 0


def test_forks_of_a_cancelled_call_leave_nothing_behind() -> None:
    rig = Rig()
    call = rig.call()
    rig.take()
    invite = rig.request_sent("INVITE")
    for tag in "abc":
        rig.reply(invite, 180, tag=tag)
    call.end(rig.now)
    rig.reply(invite, 200, tag="b", body=SDP)
    rig.reply(invite, 200, tag="d", body=SDP)
    assert rig.take() == ["CANCEL", "ACK", "BYE", "ACK", "BYE"]
    for message in rig.got:
        if isinstance(message, Request) and message.method in ("CANCEL", "BYE"):
            rig.reply(message, 200)
    rig.run(40)
    assert len(rig.us.ua) == 0


def test_an_early_update_is_answered_in_the_fork_it_came_in() -> None:
    rig = Rig()
    call = rig.call()
    rig.take()
    invite = rig.request_sent("INVITE")
    early = "Require: 100rel\nRSeq: 1"
    rig.reply(invite, 183, tag="a", extra=early, body=SDP)
    rig.reply(invite, 183, tag="b", extra=early, body=SDP)
    rig.us.answers = None
    rig.take()
    rig.ask_back(invite, "UPDATE", 1, tag="a", body="v=0 a")
    call.answer(b"v=0 for a", rig.now)
    assert rig.take() == ["200 UPDATE"]
    assert (rig.got[0].from_.tag, rig.got[0].body) == ("a", b"v=0 for a")
    assert call.remote_sdp == SDP.encode()


def test_a_phone_that_ignores_our_cancel_is_forgotten() -> None:
    rig = Rig()
    call = rig.call()
    rig.take()
    rig.reply(rig.request_sent("INVITE"), 180)
    call.end(rig.now)
    rig.run(33)
    assert call.state is State.ENDED
    rig.run(33)
    assert len(rig.us.ua) == 0
    assert rig.us.heard == ["progress 180", "ended ended"]


@pytest.mark.parametrize("status", [302, 404, 486, 503, 603])
def test_a_refusal_is_told_with_its_status(status: int) -> None:
    rig = Rig()
    rig.call()
    rig.take()
    rig.reply(rig.request_sent("INVITE"), status)
    assert rig.take() == ["ACK"]
    assert rig.us.heard == [f"refused {status}"]
    rig.session.end(rig.now)
    rig.run(40)
    assert rig.take() == []
    assert len(rig.us.ua) == 0


def test_nobody_there_is_408_after_32_seconds() -> None:
    rig = Rig()
    rig.call()
    rig.run(31)
    assert rig.us.heard == []
    rig.run(2)
    assert rig.us.heard == ["refused 408"]
    assert len(rig.us.ua) == 0


def test_a_lost_connection_is_503_before_the_answer() -> None:
    rig = Rig("TCP")
    rig.call()
    rig.us.ua.flow_lost(rig.flow, rig.now)
    assert rig.us.heard == ["refused 503"]
    assert len(rig.us.ua) == 0


def test_a_phone_may_ring_for_ten_minutes() -> None:
    rig = Rig()
    rig.call()
    rig.take()
    invite = rig.request_sent("INVITE")
    rig.reply(invite, 180)
    rig.run(600)
    assert rig.us.heard == ["progress 180"]
    rig.reply(invite, 200, body=SDP)
    assert rig.us.heard == ["progress 180", "answered", "established"]


def test_a_challenge_is_answered_once() -> None:
    rig = Rig()
    rig.call(credentials=("bob", "secret"))
    rig.take()
    first = rig.request_sent("INVITE")
    rig.reply(first, 401, extra=f"WWW-Authenticate: {CHALLENGE}")
    assert rig.take() == ["ACK", "INVITE"]
    second = rig.request_sent("INVITE")
    proof = parse_credentials(second.headers.get("Authorization") or "")
    assert proof is not None
    assert (proof.username, proof.nonce, proof.uri) == ("bob", "n1", second.uri)
    assert second.call_id == first.call_id
    assert second.from_.tag == first.from_.tag
    assert str(second.cseq) == "2 INVITE"
    assert second.body == first.body
    rig.reply(second, 401, extra=f"WWW-Authenticate: {CHALLENGE}")
    assert rig.us.heard == ["refused 401"]


def test_the_ack_of_a_challenged_call_carries_the_same_proof() -> None:
    rig = Rig()
    rig.call(credentials=("bob", "secret"))
    rig.take()
    rig.reply(rig.request_sent("INVITE"), 407, extra=f"Proxy-Authenticate: {CHALLENGE}")
    rig.take()
    second = rig.request_sent("INVITE")
    rig.reply(second, 200, body=SDP)
    rig.take()
    ack = rig.request_sent("ACK")
    assert ack.cseq.number == 2
    assert ack.headers.get("Proxy-Authorization") == second.headers.get("Proxy-Authorization")


def test_a_challenge_without_credentials_is_a_refusal() -> None:
    rig = Rig()
    rig.call()
    rig.take()
    rig.reply(rig.request_sent("INVITE"), 401, extra=f"WWW-Authenticate: {CHALLENGE}")
    assert rig.us.heard == ["refused 401"]


def test_a_session_interval_that_is_too_small_is_raised() -> None:
    rig = Rig()
    rig.call()
    rig.take()
    rig.reply(rig.request_sent("INVITE"), 422, extra="Min-SE: 3600")
    rig.take()
    again = rig.request_sent("INVITE")
    assert again.headers.get("Session-Expires") == "3600"
    assert again.headers.get("Min-SE") == "3600"
    rig.reply(again, 422, extra="Min-SE: 3600")
    assert rig.us.heard == ["refused 422"]


def test_an_offer_in_the_200_waits_for_the_owner_to_answer_it_in_the_ack() -> None:
    rig = Rig()
    rig.us.confirms = None
    call = rig.call(sdp=None)
    rig.take()
    invite = rig.request_sent("INVITE")
    assert invite.body == b""
    rig.reply(invite, 200, body=SDP)
    rig.reply(invite, 200, body=SDP)
    assert rig.take() == []
    assert rig.us.heard == ["answered"]
    assert call.remote_sdp == SDP.encode()
    call.confirm(b"v=0 our answer", rig.now)
    assert rig.take() == ["ACK"]
    assert rig.got[0].body == b"v=0 our answer"
    assert rig.us.heard == ["answered", "established"]
    rig.reply(invite, 200, body=SDP)
    rig.take()
    assert rig.got[0].body == b"v=0 our answer"


def test_an_offer_in_the_200_that_is_left_unanswered_still_gets_its_ack() -> None:
    rig = Rig()
    rig.us.confirms = None
    call = rig.call(sdp=None)
    rig.take()
    rig.reply(rig.request_sent("INVITE"), 200, body=SDP)
    call.end(rig.now)
    assert rig.take() == ["ACK", "BYE"]
    assert rig.us.heard == ["answered", "ended ended"]


def test_a_re_invite_before_the_answer_gets_491() -> None:
    rig = Rig()
    rig.call()
    rig.take()
    invite = rig.request_sent("INVITE")
    rig.reply(invite, 180)
    rig.ask_back(invite, "INVITE", 1, body=SDP)
    assert rig.take() == ["491 INVITE"]


def test_a_callee_that_says_bye_while_it_rings_is_cancelled() -> None:
    rig = Rig()
    rig.call()
    rig.take()
    invite = rig.request_sent("INVITE")
    rig.reply(invite, 180)
    rig.ask_back(invite, "BYE", 1)
    assert rig.take() == ["200 BYE", "CANCEL"]
    assert rig.us.heard == ["progress 180", "ended bye"]
    rig.reply(invite, 487)
    rig.reply(rig.request_sent("CANCEL"), 200)
    rig.run(40)
    assert len(rig.us.ua) == 0


@pytest.mark.parametrize("contact", ["<nonsense", "<phone-102>", "*", '"Bob <sip:', "<sip:>", "sip:a?b", "\xff", ","])
def test_an_answer_with_a_broken_contact_gets_its_ack_and_the_call_goes_on(contact: str) -> None:
    rig = Rig()
    rig.call()
    rig.take()
    invite = rig.request_sent("INVITE")
    rig.reply(invite, 180, contact=f"Contact: {contact}")
    rig.reply(invite, 200, body=SDP, contact=f"Contact: {contact}")
    assert rig.take() == ["ACK"]
    assert rig.request_sent("ACK").uri == invite.uri
    assert rig.us.heard == ["progress 180", "answered", "established"]
    rig.session.end(rig.now)
    assert rig.take() == ["BYE"]
    rig.reply(rig.request_sent("BYE"), 200)
    rig.run(40)
    assert len(rig.us.ua) == 0


def test_an_answer_without_a_contact_is_reached_where_it_was_called() -> None:
    rig = Rig()
    rig.call()
    rig.take()
    rig.reply(rig.request_sent("INVITE"), 200, body=SDP, contact="X-None: 1")
    rig.take()
    assert rig.request_sent("ACK").uri == f"sip:phone@{PHONE}:5060"


def test_a_provisional_response_without_a_tag_opens_no_dialog() -> None:
    rig = Rig()
    call = rig.call()
    rig.take()
    rig.reply(rig.request_sent("INVITE"), 183, tag="")
    assert rig.us.heard == ["progress 183"]
    assert call.dialog is None
    assert call.flow == rig.flow

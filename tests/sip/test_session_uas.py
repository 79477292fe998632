"""Calls that come to us, from a phone played by hand (:rfc:`3261` sections 12 to 15)."""

from __future__ import annotations

import pytest

from parkade.sip.session.lifecycle import State
from tests.sip.session_peer import PHONE, SDP, US, Rig


def test_ringing_and_answer_carry_what_a_dialog_needs() -> None:
    rig = Rig()
    rig.invite("Record-Route: <sip:p2.example.com;lr>, <sip:p1.example.com;lr>")
    rig.session.progress(180, rig.now)
    rig.session.accept(b"v=0 ours", rig.now, [("X-Parkade-Park-Code", "*801")])
    assert rig.take() == ["180 INVITE", "200 INVITE"]
    ringing, ok = rig.got
    assert ok.to.tag
    assert ringing.to.tag == ok.to.tag
    assert ok.body == b"v=0 ours"
    assert ok.content_type == "application/sdp"
    assert ok.headers.get("X-Parkade-Park-Code") == "*801"
    assert "INVITE" in ok.headers.all("Allow")
    for response in (ringing, ok):
        assert response.contact is not None
        assert response.contact.uri == f"sip:{US}:5060"
        assert response.headers.all("Record-Route") == ["<sip:p2.example.com;lr>", "<sip:p1.example.com;lr>"]


def test_the_2xx_is_repeated_at_growing_intervals_until_the_ack() -> None:
    rig = Rig()
    rig.invite()
    rig.session.accept(b"v=0 ours", rig.now)
    rig.take()
    tag = rig.response_sent("200 INVITE").to.tag or ""
    seen = []
    start = rig.now
    for _ in range(120):
        rig.run(0.1)
        seen += [round(rig.now - start, 1) for _ in rig.take()]
    assert seen == [0.5, 1.5, 3.5, 7.5, 11.5]
    assert rig.us.heard == ["invite"]
    rig.ask("ACK", 1, to_tag=tag)
    assert rig.us.heard == ["invite", "established"]
    rig.run(20)
    assert rig.take() == []
    assert rig.session.state is State.CONFIRMED


def test_a_2xx_is_repeated_over_tcp_too() -> None:
    rig = Rig("TCP")
    rig.invite()
    rig.session.accept(b"v=0 ours", rig.now)
    rig.run(1.6)
    assert rig.take() == ["200 INVITE"] * 3


def test_an_ack_that_never_comes_means_bye_after_32_seconds() -> None:
    rig = Rig()
    rig.invite()
    rig.session.accept(b"v=0 ours", rig.now)
    rig.run(31.9)
    assert "BYE" not in rig.take()
    rig.run(0.2)
    assert rig.take() == ["BYE"]
    assert rig.us.heard == ["invite", "ended ack lost"]
    rig.reply(rig.request_sent("BYE"), 200)
    rig.run(64)
    assert len(rig.us.ua) == 0


def test_an_ack_with_another_cseq_or_tag_is_none() -> None:
    rig = Rig()
    rig.invite()
    rig.session.accept(b"v=0 ours", rig.now)
    rig.take()
    tag = rig.response_sent("200 INVITE").to.tag or ""
    rig.ask("ACK", 2, to_tag=tag)
    rig.ask("ACK", 1, to_tag="other")
    assert rig.us.heard == ["invite"]


def test_a_cancel_ends_the_invite_with_487() -> None:
    rig = Rig()
    branch = rig.invite()
    rig.session.progress(180, rig.now)
    rig.ask("CANCEL", 1, branch=branch)
    assert rig.take() == ["180 INVITE", "200 CANCEL", "487 INVITE"]
    assert rig.response_sent("200 CANCEL").to.tag == rig.response_sent("487 INVITE").to.tag
    assert rig.us.heard == ["invite", "ended cancelled"]
    rig.session.accept(b"v=0 late", rig.now)
    rig.session.end(rig.now)
    assert rig.take() == []
    rig.ask("ACK", 1, branch=branch, to_tag=rig.us.session.dialog.local_tag if rig.us.session.dialog else "")
    rig.run(40)
    assert len(rig.us.ua) == 0


def test_a_cancel_that_crosses_the_200_changes_nothing() -> None:
    rig = Rig()
    branch = rig.invite()
    rig.session.accept(b"v=0 ours", rig.now)
    rig.ask("CANCEL", 1, branch=branch)
    assert rig.take() == ["200 INVITE", "200 CANCEL"]
    rig.ask("ACK", 1, to_tag=rig.response_sent("200 INVITE").to.tag or "")
    assert rig.us.heard == ["invite", "established"]
    assert rig.session.state is State.CONFIRMED


def test_a_repeated_invite_reaches_the_owner_once_and_gets_the_last_answer_again() -> None:
    rig = Rig()
    branch = rig.invite()
    rig.session.progress(180, rig.now)
    rig.invite(branch=branch)
    assert rig.take() == ["180 INVITE", "180 INVITE"]
    assert rig.us.heard == ["invite"]


def test_a_phone_may_ring_for_minutes_and_is_reminded_every_minute() -> None:
    rig = Rig()
    rig.invite()
    rig.session.progress(180, rig.now, headers=[("P-Asserted-Identity", "<sip:101@example.com>")])
    rig.run(40)
    assert rig.take() == ["180 INVITE"]
    rig.run(150)
    assert rig.take() == ["180 INVITE"] * 3
    assert rig.got[0].headers.get("P-Asserted-Identity") == "<sip:101@example.com>"
    rig.session.accept(b"v=0 ours", rig.now)
    assert rig.take() == ["200 INVITE"]
    rig.ask("ACK", 1, to_tag=rig.got[0].to.tag or "")
    rig.run(120)
    assert rig.take() == []


def test_hanging_up_before_the_ack_waits_for_the_ack() -> None:
    rig = Rig()
    rig.invite()
    rig.session.accept(b"v=0 ours", rig.now)
    rig.session.end(rig.now, [("Reason", "SIP;cause=200")])
    assert rig.us.heard == ["invite", "ended ended"]
    assert rig.take() == ["200 INVITE"]
    rig.run(0.6)
    assert rig.take() == ["200 INVITE"]
    rig.ask("ACK", 1, to_tag=rig.got[0].to.tag or "")
    assert rig.take() == ["BYE"]
    assert rig.got[0].headers.get("Reason") == "SIP;cause=200"
    assert rig.us.heard == ["invite", "ended ended"]


def test_hanging_up_before_an_ack_that_never_comes_says_bye_in_the_end() -> None:
    rig = Rig()
    rig.invite()
    rig.session.accept(b"v=0 ours", rig.now)
    rig.session.end(rig.now)
    rig.run(33)
    assert rig.take()[-1] == "BYE"
    rig.run(100)
    assert rig.us.heard == ["invite", "ended ended"]
    assert len(rig.us.ua) == 0


def test_a_bye_that_crosses_our_wait_for_the_ack_saves_ours() -> None:
    rig = Rig()
    rig.invite()
    rig.session.accept(b"v=0 ours", rig.now)
    rig.take()
    rig.session.end(rig.now)
    rig.ask("BYE", 2, to_tag=rig.got[0].to.tag or "")
    assert rig.take() == ["200 BYE"]
    rig.run(100)
    assert rig.take() == []
    assert len(rig.us.ua) == 0


def test_a_caller_may_say_bye_to_a_ringing_call() -> None:
    rig = Rig()
    rig.invite()
    rig.session.progress(180, rig.now)
    rig.take()
    rig.ask("BYE", 2, to_tag=rig.got[0].to.tag or "")
    assert sorted(rig.take()) == ["200 BYE", "487 INVITE"]
    assert rig.us.heard == ["invite", "ended bye"]


def test_a_refusal_ends_at_once_and_carries_its_headers() -> None:
    rig = Rig()
    rig.invite()
    rig.session.reject(486, rig.now, reason="All Busy", headers=[("Warning", '399 parkade "busy"')])
    assert rig.take() == ["486 INVITE"]
    response = rig.response_sent("486 INVITE")
    assert response.reason == "All Busy"
    assert response.headers.get("Warning") == '399 parkade "busy"'
    assert rig.us.heard == ["invite", "ended rejected"]
    rig.session.reject(404, rig.now)
    rig.session.end(rig.now)
    assert rig.take() == []
    assert rig.us.heard == ["invite", "ended rejected"]


def test_ending_an_unanswered_call_of_theirs_says_480() -> None:
    rig = Rig()
    rig.invite()
    rig.session.end(rig.now)
    assert rig.take() == ["480 INVITE"]
    assert rig.us.heard == ["invite", "ended ended"]


def test_an_invite_without_an_offer_gets_ours_and_the_ack_answers_it() -> None:
    rig = Rig()
    rig.invite(body="")
    rig.session.accept(b"v=0 our offer", rig.now)
    rig.take()
    ok = rig.response_sent("200 INVITE")
    assert ok.body == b"v=0 our offer"
    rig.ask("ACK", 1, to_tag=ok.to.tag or "", body=SDP)
    assert rig.us.heard == ["invite", "answer", "established"]
    assert rig.us.bodies == [SDP.encode()]
    assert rig.session.remote_sdp == SDP.encode()


def test_an_ack_that_brings_no_answer_to_our_offer_ends_the_call() -> None:
    rig = Rig()
    rig.invite(body="")
    rig.session.accept(b"v=0 our offer", rig.now)
    rig.take()
    rig.ask("ACK", 1, to_tag=rig.got[0].to.tag or "")
    assert rig.us.heard == ["invite", "ended no answer"]
    assert rig.take() == ["BYE"]


def test_early_media_without_100rel_repeats_the_answer_in_the_200() -> None:
    rig = Rig()
    rig.invite()
    rig.session.progress(183, rig.now, sdp=b"v=0 ours")
    rig.session.accept(b"v=0 ours", rig.now)
    assert rig.take() == ["183 INVITE", "200 INVITE"]
    assert [message.body for message in rig.got] == [b"v=0 ours", b"v=0 ours"]
    assert "RSeq" not in rig.got[0].headers


def test_no_offer_of_ours_travels_in_an_unreliable_provisional_response() -> None:
    rig = Rig()
    rig.invite(body="")
    rig.session.progress(183, rig.now, sdp=b"v=0 ours")
    rig.take()
    assert rig.got[0].body == b""


def test_our_bye_follows_contact_and_record_route_of_the_invite() -> None:
    rig = Rig()
    rig.answered_call("Record-Route: <sip:192.0.2.99:5070;lr>\nRecord-Route: <sip:p1.example.com;lr>")
    rig.session.end(rig.now)
    assert rig.take() == ["BYE"]
    bye = rig.request_sent("BYE")
    assert bye.uri == f"sip:phone@{PHONE}:5060"
    assert bye.headers.all("Route") == ["<sip:192.0.2.99:5070;lr>", "<sip:p1.example.com;lr>"]
    assert bye.headers.get("To") == "Phone <sip:phone@example.com>;tag=ph1"
    assert bye.call_id == "call-1"
    assert bye.cseq.number == 1


def test_a_bye_that_nobody_answers_is_repeated_and_then_forgotten() -> None:
    rig = Rig()
    rig.answered_call()
    rig.session.end(rig.now)
    assert rig.us.heard == ["ended ended"]
    rig.run(31)
    byes = rig.take()
    assert len(byes) > 8
    assert set(byes) == {"BYE"}
    assert len(rig.us.ua) > 0
    rig.run(2)
    assert rig.session.state is State.ENDED
    assert rig.us.heard == ["ended ended"]
    rig.run(33)
    assert len(rig.us.ua) == 0


def test_byes_that_cross_are_both_answered() -> None:
    rig = Rig()
    tag = rig.answered_call()
    rig.session.end(rig.now)
    rig.take()
    bye = rig.request_sent("BYE")
    rig.ask("BYE", 2, to_tag=tag)
    assert rig.take() == ["200 BYE"]
    rig.reply(bye, 481)
    assert rig.session.state is State.ENDED
    assert rig.us.heard == ["ended ended"]


def test_after_the_end_the_dialog_is_unknown() -> None:
    rig = Rig()
    tag = rig.answered_call()
    rig.ask("BYE", 2, to_tag=tag)
    rig.ask("INFO", 3, to_tag=tag)
    assert rig.take() == ["200 BYE", "481 INFO"]


def test_a_request_out_of_order_gets_500_and_a_gap_is_no_matter() -> None:
    rig = Rig()
    tag = rig.answered_call()
    rig.ask("INFO", 7, to_tag=tag)
    rig.ask("INFO", 6, to_tag=tag)
    assert rig.take() == ["200 INFO", "500 INFO"]
    assert rig.us.heard == ["info"]


def test_requests_without_a_place_in_a_dialog_get_405_and_what_has_one() -> None:
    rig = Rig()
    tag = rig.answered_call()
    rig.ask("MESSAGE", 2, to_tag=tag, body="hello", content_type="text/plain")
    rig.ask("OPTIONS", 3, to_tag=tag)
    assert rig.take() == ["405 MESSAGE", "200 OPTIONS"]
    for response in rig.got:
        assert "UPDATE" in response.headers.all("Allow")
    assert rig.us.heard == []


def test_the_last_bye_of_a_session_gets_487_for_what_is_still_asked() -> None:
    rig = Rig()
    tag = rig.answered_call()
    rig.us.answers = None
    rig.ask("INVITE", 2, to_tag=tag, body=SDP)
    rig.ask("BYE", 3, to_tag=tag)
    assert sorted(rig.take()) == ["200 BYE", "487 INVITE"]
    assert rig.us.heard == ["offer", "ended bye"]


def test_a_lost_connection_ends_a_call_that_rings() -> None:
    rig = Rig("TCP")
    rig.invite()
    rig.session.progress(180, rig.now)
    rig.us.ua.flow_lost(rig.flow, rig.now)
    assert rig.us.heard == ["invite", "ended transport"]
    assert len(rig.us.ua) == 0


def test_a_confirmed_call_outlives_its_connection() -> None:
    rig = Rig("TCP")
    tag = rig.answered_call()
    rig.us.ua.flow_lost(rig.flow, rig.now)
    rig.run(100)
    assert rig.us.heard == []
    again = rig.flow._replace(port=40404, connection=8)
    rig.session.flow = again
    rig.session.info("application/dtmf-relay", b"Signal=1", rig.now)
    assert rig.take() == ["INFO"]
    assert rig.session.dialog is not None
    assert rig.session.dialog.next_hop() == again
    rig.flow = again._replace(connection=9)
    rig.ask("INFO", 2, to_tag=tag)
    assert rig.session.flow.connection == 9


def test_ipv6_phones_are_reached_at_their_contact() -> None:
    rig = Rig(host="2001:db8::99")
    rig.answered_call()
    rig.session.end(rig.now)
    rig.take()
    bye = rig.request_sent("BYE")
    assert bye.uri == "sip:phone@[2001:db8::99]:5060"
    assert rig.session.dialog is not None
    assert rig.session.dialog.next_hop().host == "2001:db8::99"


@pytest.mark.parametrize(
    ("extra", "expected", "header"),
    [
        ("Require: telepathy, 100rel", "420 INVITE", ("Unsupported", "telepathy")),
        ("Supported: timer\nSession-Expires: 60", "422 INVITE", ("Min-SE", "90")),
    ],
)
def test_an_invite_we_cannot_serve_is_refused_with_what_would_help(extra: str, expected: str, header: tuple[str, str]) -> None:
    rig = Rig()
    rig.invite(extra)
    assert rig.take() == [expected]
    assert rig.got[0].headers.get(header[0]) == header[1]
    assert rig.us.heard == []


def test_a_broken_invite_is_refused_before_the_owner_hears_of_it() -> None:
    rig = Rig()
    rig.invite(contact="X-None: 1", from_tag="a")
    rig.invite(contact="Contact: <not a uri", from_tag="b")
    rig.invite(body="hello", content_type="text/plain", from_tag="c")
    rig.invite(uri="mailto:lan@pbx.example", from_tag="d")
    rig.ask("FLY", 1, from_tag="e")
    rig.ask("INFO", 1, to_tag="nobody")
    assert rig.take() == ["400 INVITE", "400 INVITE", "415 INVITE", "416 INVITE", "501 FLY", "481 INFO"]
    assert rig.got[2].headers.get("Accept") == "application/sdp"
    assert "INVITE" in rig.got[4].headers.all("Allow")
    assert rig.us.heard == []
    rig.run(100)
    assert len(rig.us.ua) == 0

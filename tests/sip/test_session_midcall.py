"""What is negotiated inside a call: re-INVITE and UPDATE, glare, session timers (:rfc:`3261`, :rfc:`3311`, :rfc:`4028`)."""

from __future__ import annotations

import pytest

from parkade.sip.session.lifecycle import State
from tests.sip.session_peer import PHONE, SDP, SDP_2, Rig
from tests.sip.session_wire import Wire

ALLOWS = "Allow: INVITE, ACK, CANCEL, BYE, UPDATE, INFO"


def test_a_re_invite_is_answered_and_moves_the_remote_target() -> None:
    rig = Rig()
    tag = rig.answered_call()
    rig.us.answers = b"v=0 held"
    rig.ask("INVITE", 2, to_tag=tag, body=SDP_2, contact=f"Contact: <sip:moved@{PHONE}:5099>")
    assert rig.take() == ["200 INVITE"]
    assert rig.got[0].body == b"v=0 held"
    assert rig.us.heard == ["offer"]
    rig.ask("ACK", 2, to_tag=tag)
    assert rig.us.heard == ["offer"]
    rig.session.end(rig.now)
    rig.take()
    assert rig.request_sent("BYE").uri == f"sip:moved@{PHONE}:5099"
    assert rig.session.dialog is not None
    assert rig.session.dialog.next_hop() == rig.flow


def test_the_200_to_a_re_invite_is_repeated_and_then_the_call_ends() -> None:
    rig = Rig()
    tag = rig.answered_call()
    rig.ask("INVITE", 2, to_tag=tag, body=SDP_2)
    rig.run(33)
    words = rig.take()
    assert words[:4] == ["200 INVITE"] * 4
    assert words[-1] == "BYE"
    assert rig.us.heard == ["offer", "ended ack lost"]


def test_a_re_invite_without_an_offer_gets_one_and_its_ack_the_answer() -> None:
    rig = Rig()
    tag = rig.answered_call()
    rig.ask("INVITE", 2, to_tag=tag)
    assert rig.us.heard == ["offer wanted"]
    rig.take()
    assert rig.got[0].body == rig.us.offers
    rig.ask("ACK", 2, to_tag=tag, body=SDP_2)
    assert rig.us.heard == ["offer wanted", "answer"]
    assert rig.session.remote_sdp == SDP_2.encode()


def test_an_ack_without_the_answer_leaves_what_was_agreed() -> None:
    rig = Rig()
    tag = rig.answered_call()
    rig.ask("INVITE", 2, to_tag=tag)
    rig.ask("ACK", 2, to_tag=tag)
    assert rig.us.heard == ["offer wanted", "offer refused 488"]
    assert rig.session.remote_sdp == SDP.encode()
    assert rig.session.state is State.CONFIRMED


def test_a_refused_offer_leaves_what_was_agreed() -> None:
    rig = Rig()
    tag = rig.answered_call()
    rig.us.answers = None
    rig.ask("INVITE", 2, to_tag=tag, body=SDP_2)
    rig.session.refuse_offer(rig.now)
    assert rig.take() == ["488 INVITE"]
    assert rig.session.remote_sdp == SDP.encode()
    rig.session.answer(b"v=0 too late", rig.now)
    assert rig.take() == []


def test_a_re_invite_during_an_unanswered_one_gets_500_and_may_come_again() -> None:
    rig = Rig()
    tag = rig.answered_call()
    rig.us.answers = None
    rig.ask("INVITE", 2, to_tag=tag, body=SDP_2)
    rig.ask("INVITE", 3, to_tag=tag, body=SDP_2)
    rig.ask("UPDATE", 4, to_tag=tag, body=SDP_2)
    assert rig.take() == ["500 INVITE", "500 UPDATE"]
    for response in rig.got:
        assert 0 <= int(response.headers.get("Retry-After") or "-1") <= 10
    assert rig.us.heard == ["offer"]


def test_a_cancelled_re_invite_leaves_the_call_as_it_was() -> None:
    rig = Rig()
    tag = rig.answered_call()
    rig.us.answers = None
    branch = rig.ask("INVITE", 2, to_tag=tag, body=SDP_2)
    rig.ask("CANCEL", 2, to_tag=tag, branch=branch)
    assert rig.take() == ["200 CANCEL", "487 INVITE"]
    assert rig.session.state is State.CONFIRMED
    rig.us.answers = b"v=0 again"
    rig.ask("INVITE", 3, to_tag=tag, body=SDP_2)
    assert rig.take() == ["200 INVITE"]


def test_a_re_invite_that_overtakes_the_ack_stands_for_it() -> None:
    rig = Rig()
    rig.invite()
    rig.session.accept(b"v=0 ours", rig.now)
    rig.take()
    tag = rig.got[0].to.tag or ""
    rig.ask("INVITE", 2, to_tag=tag, body=SDP_2)
    assert rig.us.heard == ["invite", "established", "offer"]
    rig.ask("ACK", 1, to_tag=tag)
    rig.ask("ACK", 2, to_tag=tag)
    rig.take()
    rig.run(40)
    assert rig.take() == []
    assert rig.session.state is State.CONFIRMED


def test_a_re_invite_before_the_ack_that_answers_our_offer_gets_491() -> None:
    rig = Rig()
    rig.invite(body="")
    rig.session.accept(b"v=0 our offer", rig.now)
    rig.take()
    tag = rig.got[0].to.tag or ""
    rig.ask("INVITE", 2, to_tag=tag, body=SDP_2)
    assert rig.take() == ["491 INVITE"]
    rig.ask("ACK", 1, to_tag=tag, body=SDP)
    assert rig.us.heard == ["invite", "answer", "established"]


def test_an_update_is_answered_and_one_without_an_offer_is_only_news() -> None:
    rig = Rig()
    tag = rig.answered_call()
    rig.ask("UPDATE", 2, to_tag=tag, body=SDP_2)
    rig.ask("UPDATE", 3, to_tag=tag, contact=f"Contact: <sip:moved@{PHONE}>")
    assert rig.take() == ["200 UPDATE", "200 UPDATE"]
    assert [bool(message.body) for message in rig.got] == [True, False]
    assert rig.us.heard == ["offer"]
    assert rig.session.dialog is not None
    assert rig.session.dialog.target == f"sip:moved@{PHONE}"


def test_offers_that_meet_ours_get_491() -> None:
    rig = Rig()
    tag = rig.answered_call(ALLOWS)
    rig.session.offer(b"v=0 offer", rig.now)
    assert rig.take() == ["INVITE"]
    rig.ask("INVITE", 2, to_tag=tag, body=SDP_2)
    rig.ask("UPDATE", 3, to_tag=tag, body=SDP_2)
    rig.ask("UPDATE", 4, to_tag=tag)
    assert rig.take() == ["491 INVITE", "491 UPDATE", "200 UPDATE"]


def test_our_offer_is_a_re_invite_whose_answer_is_told() -> None:
    rig = Rig()
    rig.answered_call()
    rig.session.offer(b"v=0 offer", rig.now, [("Subject", "moved")])
    rig.take()
    invite = rig.request_sent("INVITE")
    assert (invite.body, invite.headers.get("Subject")) == (b"v=0 offer", "moved")
    rig.reply(invite, 100)
    rig.reply(invite, 200, body=SDP_2, contact=f"Contact: <sip:moved@{PHONE}>")
    assert rig.take() == ["ACK"]
    assert rig.request_sent("ACK").uri == f"sip:moved@{PHONE}"
    first = rig.got[0].encode()
    rig.reply(invite, 200, body=SDP_2)
    rig.take()
    assert rig.got[0].encode() == first
    assert rig.us.heard == ["answer"]
    assert (rig.session.local_sdp, rig.session.remote_sdp) == (b"v=0 offer", SDP_2.encode())


def test_an_update_is_preferred_only_where_the_phone_allows_it() -> None:
    rig = Rig()
    rig.answered_call(ALLOWS)
    rig.session.offer(b"v=0 offer", rig.now, prefer_update=True)
    assert rig.take() == ["UPDATE"]
    rig.reply(rig.request_sent("UPDATE"), 200, body=SDP_2)
    assert rig.us.heard == ["answer"]
    deaf = Rig()
    deaf.answered_call()
    deaf.session.offer(b"v=0 offer", deaf.now, prefer_update=True)
    assert deaf.take() == ["INVITE"]


def test_a_phone_that_lied_about_update_gets_a_re_invite() -> None:
    rig = Rig()
    rig.answered_call(ALLOWS)
    rig.session.offer(b"v=0 offer", rig.now, prefer_update=True)
    rig.take()
    rig.reply(rig.request_sent("UPDATE"), 405)
    rig.run(0.1)
    assert rig.take() == ["INVITE"]
    rig.reply(rig.request_sent("INVITE"), 200, body=SDP_2)
    assert rig.us.heard == ["answer"]


@pytest.mark.parametrize("status", [415, 488, 500, 606])
def test_a_refusal_of_our_offer_leaves_what_was_agreed(status: int) -> None:
    rig = Rig()
    rig.answered_call()
    rig.session.offer(b"v=0 offer", rig.now)
    rig.take()
    rig.reply(rig.request_sent("INVITE"), status)
    assert rig.take() == ["ACK"]
    assert rig.us.heard == [f"offer refused {status}"]
    assert rig.session.local_sdp == b"v=0 ours"


@pytest.mark.parametrize("status", [408, 481])
def test_a_phone_that_does_not_know_the_dialog_any_more_ends_the_call(status: int) -> None:
    rig = Rig()
    rig.answered_call()
    rig.session.offer(b"v=0 offer", rig.now)
    rig.take()
    rig.reply(rig.request_sent("INVITE"), status)
    assert rig.take() == ["ACK", "BYE"]
    assert rig.us.heard == ["ended gone"]


def test_a_phone_that_answers_nothing_ends_the_call() -> None:
    rig = Rig()
    rig.answered_call()
    rig.session.info("application/dtmf-relay", b"Signal=1", rig.now)
    rig.run(33)
    assert rig.us.heard == ["ended timeout"]
    rig.run(100)
    assert len(rig.us.ua) == 0


def test_an_info_that_is_refused_ends_nothing() -> None:
    rig = Rig()
    rig.answered_call()
    rig.session.info("application/dtmf-relay", b"Signal=1", rig.now)
    rig.take()
    info = rig.request_sent("INFO")
    assert (info.content_type, info.body) == ("application/dtmf-relay", b"Signal=1")
    rig.reply(info, 415)
    assert rig.us.heard == []


@pytest.mark.parametrize(("ours", "least_s", "most_s"), [(True, 2.1, 4.0), (False, 0.0, 2.0)])
def test_after_491_the_offer_is_tried_again_when_the_lot_says(ours: bool, least_s: float, most_s: float) -> None:
    waits = set()
    for _ in range(3):
        rig = Rig()
        if ours:
            rig.established_call()
        else:
            rig.answered_call()
        for attempt in range(6):
            rig.session.offer(f"v=0 offer {attempt}".encode(), rig.now)
            rig.take()
            rig.reply(rig.request_sent("INVITE"), 491)
            rig.take()
            start = rig.now
            while not rig.take():
                rig.run(0.01)
                assert rig.now - start < 5
            wait = rig.now - start
            assert least_s <= wait <= most_s + 0.02
            waits.add(round(wait, 2))
            assert rig.request_sent("INVITE").body == f"v=0 offer {attempt}".encode()
            rig.reply(rig.request_sent("INVITE"), 200, body=SDP)
            rig.take()
        assert rig.us.heard == ["answer"] * 6
    assert len(waits) > 3


def test_an_offer_that_always_meets_491_is_given_up() -> None:
    rig = Rig()
    rig.answered_call()
    rig.session.offer(b"v=0 offer", rig.now)
    for _ in range(8):
        rig.run(4.1)
        rig.take()
        rig.reply(rig.request_sent("INVITE"), 491)
    assert rig.us.heard == ["offer refused 491"]


def test_a_500_that_says_when_is_tried_again_then() -> None:
    rig = Rig()
    rig.answered_call()
    rig.session.offer(b"v=0 offer", rig.now)
    rig.take()
    rig.reply(rig.request_sent("INVITE"), 500, extra="Retry-After: 3 (busy)")
    rig.take()
    rig.run(2.9)
    assert rig.take() == []
    rig.run(0.2)
    assert rig.take() == ["INVITE"]


def test_a_re_invite_whose_connection_is_lost_leaves_the_call_as_it_was() -> None:
    rig = Rig("TCP")
    tag = rig.answered_call()
    rig.us.answers = None
    rig.ask("INVITE", 2, to_tag=tag, body=SDP_2)
    rig.us.ua.flow_lost(rig.flow, rig.now)
    rig.flow = rig.flow._replace(connection=8)
    rig.us.answers = b"v=0 again"
    rig.ask("INVITE", 3, to_tag=tag, body=SDP_2)
    assert rig.take() == ["200 INVITE"]
    assert rig.session.flow == rig.flow


def test_only_the_newest_of_several_waiting_offers_is_sent() -> None:
    rig = Rig()
    rig.answered_call()
    for number in range(4):
        rig.session.offer(f"v=0 offer {number}".encode(), rig.now)
    rig.take()
    rig.reply(rig.request_sent("INVITE"), 200, body=SDP)
    assert rig.take() == ["ACK", "INVITE"]
    assert rig.request_sent("INVITE").body == b"v=0 offer 3"


def test_an_offer_made_before_the_ack_waits_for_it() -> None:
    rig = Rig()
    rig.invite()
    rig.session.accept(b"v=0 ours", rig.now)
    rig.session.offer(b"v=0 more", rig.now)
    assert rig.take() == ["200 INVITE"]
    rig.ask("ACK", 1, to_tag=rig.got[0].to.tag or "")
    assert rig.take() == ["INVITE"]


def test_a_phone_that_keeps_our_re_invite_for_ever_is_asked_to_stop() -> None:
    rig = Rig()
    rig.answered_call()
    rig.session.offer(b"v=0 offer", rig.now)
    rig.take()
    invite = rig.request_sent("INVITE")
    rig.reply(invite, 180)
    rig.run(61)
    assert "CANCEL" in rig.take()
    rig.reply(invite, 487)
    assert rig.us.heard == ["offer refused 487"]
    assert rig.session.state is State.CONFIRMED


def test_a_new_identity_is_an_update_and_changes_nothing_else() -> None:
    rig = Rig()
    rig.answered_call(ALLOWS)
    rig.session.tell_identity([("P-Asserted-Identity", '"Bob" <sip:102@example.com>')], rig.now)
    rig.take()
    update = rig.request_sent("UPDATE")
    assert update.headers.get("P-Asserted-Identity") == '"Bob" <sip:102@example.com>'
    assert update.body == b""
    rig.reply(update, 200)
    assert rig.us.heard == []


def test_a_phone_without_update_gets_a_new_identity_with_the_same_sdp() -> None:
    rig = Rig()
    rig.answered_call()
    rig.session.tell_identity([("P-Asserted-Identity", "<sip:102@example.com>")], rig.now)
    rig.take()
    assert rig.request_sent("INVITE").body == b"v=0 ours"
    rig.reply(rig.request_sent("INVITE"), 200, body=SDP)
    assert rig.take() == ["ACK"]
    assert rig.us.heard == []


def test_two_re_invites_that_meet_both_succeed_in_the_end() -> None:
    wire = Wire()
    ann, bob = wire.party("192.0.2.1"), wire.party("192.0.2.2")
    ann.call(bob)
    wire.run(1)
    ann.heard.clear()
    bob.heard.clear()
    ann.session.offer(b"v=0 from ann", wire.now)
    bob.session.offer(b"v=0 from bob", wire.now)
    wire.run(10)
    assert wire.words().count("491 INVITE") == 2
    assert sorted(ann.heard) == ["answer", "offer"]
    assert sorted(bob.heard) == ["answer", "offer"]
    ann.session.end(wire.now)
    wire.run(64)
    assert wire.alive() == 0


# Session timers


def test_a_phone_that_knows_timers_gets_one_and_we_refresh() -> None:
    rig = Rig()
    rig.invite(f"Supported: timer\nSession-Expires: 600\n{ALLOWS}")
    rig.session.accept(b"v=0 ours", rig.now)
    rig.take()
    ok = rig.response_sent("200 INVITE")
    assert ok.headers.get("Session-Expires") == "600;refresher=uas"
    assert ok.require == {"timer"}
    rig.ask("ACK", 1, to_tag=ok.to.tag or "")
    for _ in range(3):
        rig.run(299)
        assert rig.take() == []
        rig.run(1.2)
        assert rig.take() == ["UPDATE"]
        update = rig.request_sent("UPDATE")
        assert update.headers.get("Session-Expires") == "600;refresher=uac"
        assert update.body == b""
        rig.reply(update, 200, extra="Session-Expires: 600;refresher=uac\nRequire: timer")
    assert rig.us.heard == ["invite", "established"]


def test_a_refresh_by_re_invite_repeats_our_last_sdp_and_is_not_told() -> None:
    rig = Rig()
    tag = rig.answered_call("Supported: timer\nSession-Expires: 600")
    rig.us.answers = b"v=0 held"
    rig.ask("INVITE", 2, to_tag=tag, body=SDP_2, extra="Supported: timer\nSession-Expires: 600;refresher=uas")
    rig.ask("ACK", 2, to_tag=tag)
    rig.take()
    rig.run(301)
    rig.take()
    invite = rig.request_sent("INVITE")
    assert invite.body == b"v=0 held"
    rig.reply(invite, 200, body=SDP_2, extra="Session-Expires: 600;refresher=uac")
    assert rig.us.heard == ["offer"]


def test_a_phone_that_does_not_refresh_in_time_loses_the_call() -> None:
    rig = Rig()
    rig.answered_call("Supported: timer\nSession-Expires: 600;refresher=uac")
    rig.run(567.9)
    assert rig.us.heard == []
    rig.run(0.2)
    assert rig.us.heard == ["ended expired"]
    assert rig.take() == ["BYE"]


def test_a_refresh_of_the_phone_keeps_the_call() -> None:
    rig = Rig()
    tag = rig.answered_call("Supported: timer\nSession-Expires: 600;refresher=uac")
    for number in range(2, 6):
        rig.run(400)
        rig.ask("UPDATE", number, to_tag=tag, extra="Supported: timer\nSession-Expires: 600;refresher=uac")
        assert rig.take() == ["200 UPDATE"]
        assert rig.got[0].headers.get("Session-Expires") == "600;refresher=uac"
    assert rig.us.heard == []


def test_our_refresh_that_finds_nobody_ends_the_call() -> None:
    rig = Rig()
    rig.answered_call(f"Supported: timer\nSession-Expires: 90\n{ALLOWS}")
    rig.run(70)
    assert rig.us.heard == ["ended expired"]


def test_a_refused_refresh_ends_the_call_only_when_it_expires() -> None:
    rig = Rig()
    rig.answered_call(f"Supported: timer\nSession-Expires: 600\n{ALLOWS}")
    rig.run(301)
    rig.take()
    rig.reply(rig.request_sent("UPDATE"), 488)
    rig.run(200)
    assert rig.us.heard == []
    rig.run(70)
    assert rig.us.heard == ["ended expired"]


def test_what_the_phone_grants_our_call_decides_who_refreshes() -> None:
    rig = Rig()
    rig.established_call(f"Session-Expires: 200;refresher=uac\nRequire: timer\n{ALLOWS}")
    rig.run(100.1)
    assert rig.take() == ["UPDATE"]
    other = Rig()
    other.established_call("Session-Expires: 200;refresher=uas\nRequire: timer")
    other.run(167.9)
    assert other.take() == []
    other.run(0.2)
    assert other.us.heard == ["ended expired"]


def test_without_timers_on_the_other_side_nobody_refreshes() -> None:
    rig = Rig()
    rig.established_call()
    rig.run(4000)
    assert rig.take() == []
    assert rig.us.heard == []


def test_an_offer_of_ours_counts_as_a_refresh() -> None:
    rig = Rig()
    rig.established_call("Session-Expires: 200;refresher=uac\nRequire: timer")
    rig.run(90)
    rig.session.offer(b"v=0 offer", rig.now)
    rig.take()
    rig.reply(rig.request_sent("INVITE"), 200, body=SDP_2, extra="Session-Expires: 200;refresher=uac")
    rig.take()
    rig.run(50)
    assert rig.take() == []

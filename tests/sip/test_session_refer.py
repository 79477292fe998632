"""Transfers (:rfc:`3515`, :rfc:`3891`, :rfc:`4488`): asked of us by a phone played by hand, and asked by us."""

from __future__ import annotations

import pytest

from parkade.sip.message.headers import parse_replaces
from parkade.sip.message.message import Request
from parkade.sip.session.lifecycle import State
from tests.sip.session_peer import SDP_2, Rig
from tests.sip.session_wire import Wire

TO_801 = "Refer-To: <sip:*801@example.com>\nReferred-By: <sip:phone@example.com>"


def notices(rig: Rig) -> list[tuple[str, str]]:
    """Status line and subscription state of each NOTIFY among those last taken."""
    return [
        (message.body.decode().strip(), message.headers.get("Subscription-State") or "")
        for message in rig.got
        if isinstance(message, Request) and message.method == "NOTIFY"
    ]


def answer_notices(rig: Rig) -> None:
    """The phone has taken each NOTIFY among those last taken."""
    for message in [m for m in rig.got if isinstance(m, Request) and m.method == "NOTIFY"]:
        rig.reply(message, 200)


def test_a_blind_transfer_is_accepted_and_reported_on() -> None:
    rig = Rig()
    tag = rig.answered_call()
    rig.ask("REFER", 2, to_tag=tag, extra=TO_801)
    assert rig.us.heard == ["refer"]
    assert rig.take() == []
    refer = rig.us.refers[0]
    assert refer.refer_to.address.user_text == "*801"
    assert refer.referred_by is not None
    assert refer.referred_by.uri == "sip:phone@example.com"
    assert refer.replaces is None
    assert refer.session is rig.session
    rig.us.ua.notifier.accept_refer(refer, rig.now, [("X-A", "1")])
    assert rig.take() == ["202 REFER", "NOTIFY"]
    accepted, notice = rig.got
    assert accepted.contact is not None
    assert accepted.headers.get("X-A") == "1"
    assert notice.headers.get("Event") == "refer"
    assert notice.content_type == "message/sipfrag"
    assert notice.contact is not None
    assert notices(rig) == [("SIP/2.0 100 Trying", "active;expires=3600")]
    answer_notices(rig)
    rig.us.ua.notifier.report(refer.id, 180, "Ringing", rig.now)
    assert rig.take() == ["NOTIFY"]
    assert notices(rig) == [("SIP/2.0 180 Ringing", "active;expires=3600")]
    answer_notices(rig)
    rig.us.ua.notifier.report(refer.id, 200, "OK", rig.now, [("X-Parkade-Park-Code", "*801")], final=True)
    rig.us.ua.notifier.report(refer.id, 200, "OK", rig.now, final=True)
    assert rig.take() == ["NOTIFY"]
    assert notices(rig) == [("SIP/2.0 200 OK", "terminated;reason=noresource")]
    assert rig.got[0].headers.get("X-Parkade-Park-Code") == "*801"
    answer_notices(rig)
    assert rig.us.ua.notifier.resources("refer") == []
    assert rig.session.state is State.CONFIRMED


def test_an_attended_transfer_names_the_call_to_replace() -> None:
    rig = Rig()
    tag = rig.answered_call()
    where = "sip:*800@example.com?Replaces=abc%40h%3Bto-tag%3Dours%3Bfrom-tag%3Dtheirs%3Bearly-only"
    rig.ask("REFER", 2, to_tag=tag, extra=f"Refer-To: <{where}>")
    replaces = rig.us.refers[0].replaces
    assert replaces is not None
    assert (replaces.call_id, replaces.to_tag, replaces.from_tag, replaces.early_only) == ("abc@h", "ours", "theirs", True)


@pytest.mark.parametrize(
    "extra", ["X-A: 1", f"{TO_801}\nRefer-To: <sip:a@b>", "Refer-To: <sip:a@b?Replaces=broken>", "Refer-To: nonsense"]
)
def test_a_refer_that_does_not_say_clearly_to_whom_gets_400(extra: str) -> None:
    rig = Rig()
    tag = rig.answered_call()
    rig.ask("REFER", 2, to_tag=tag, extra=extra)
    assert rig.take() == ["400 REFER"]
    assert rig.us.heard == []


def test_a_refer_to_a_telephone_number_is_for_the_owner_to_judge() -> None:
    rig = Rig()
    tag = rig.answered_call()
    rig.ask("REFER", 2, to_tag=tag, extra="Refer-To: <tel:+84281234567>")
    assert rig.us.refers[0].refer_to.uri == "tel:+84281234567"
    assert rig.us.refers[0].replaces is None


def test_a_refused_transfer_is_over() -> None:
    rig = Rig()
    tag = rig.answered_call()
    rig.ask("REFER", 2, to_tag=tag, extra=TO_801)
    refer = rig.us.refers[0]
    refer.refuse(603, [("Warning", '399 parkade "x"')], rig.now)
    rig.us.ua.notifier.accept_refer(refer, rig.now)
    rig.us.ua.notifier.report(refer.id, 200, "OK", rig.now, final=True)
    assert rig.take() == ["603 REFER"]
    assert rig.got[0].headers.get("Warning") == '399 parkade "x"'


def test_reports_on_the_second_refer_of_a_dialog_say_which() -> None:
    rig = Rig()
    tag = rig.answered_call()
    rig.ask("REFER", 2, to_tag=tag, extra=TO_801)
    rig.ask("REFER", 5, to_tag=tag, extra=TO_801)
    first, second = rig.us.refers
    assert first.id != second.id
    rig.us.ua.notifier.accept_refer(first, rig.now)
    rig.us.ua.notifier.accept_refer(second, rig.now)
    rig.take()
    assert [m.headers.get("Event") for m in rig.got if isinstance(m, Request)] == ["refer", "refer;id=5"]


@pytest.mark.parametrize("value", ["false", "False ;for=ever"])
def test_a_phone_may_forbid_reports(value: str) -> None:
    rig = Rig()
    tag = rig.answered_call()
    rig.ask("REFER", 2, to_tag=tag, extra=f"{TO_801}\nRefer-Sub: {value}\nSupported: norefersub")
    rig.us.ua.notifier.accept_refer(rig.us.refers[0], rig.now)
    rig.us.ua.notifier.report(rig.us.refers[0].id, 200, "OK", rig.now, final=True)
    assert rig.take() == ["202 REFER"]
    assert rig.got[0].headers.get("Refer-Sub") == "false"


def test_reports_go_on_after_the_bye_of_the_phone() -> None:
    rig = Rig()
    tag = rig.answered_call()
    rig.ask("REFER", 2, to_tag=tag, extra=TO_801)
    rig.us.ua.notifier.accept_refer(rig.us.refers[0], rig.now)
    rig.ask("BYE", 3, to_tag=tag)
    rig.take()
    for notice in [m for m in rig.got if isinstance(m, Request)]:
        rig.reply(notice, 200)
    rig.us.ua.notifier.report(rig.us.refers[0].id, 200, "OK", rig.now, final=True)
    assert rig.take() == ["NOTIFY"]
    assert rig.got[0].to.tag == "ph1"
    rig.reply(rig.request_sent("NOTIFY"), 481)
    rig.run(64)
    assert len(rig.us.ua) == 0


def test_a_refused_report_ends_the_reports_and_not_the_call() -> None:
    rig = Rig()
    tag = rig.answered_call()
    rig.ask("REFER", 2, to_tag=tag, extra=TO_801)
    rig.us.ua.notifier.accept_refer(rig.us.refers[0], rig.now)
    rig.take()
    rig.reply(rig.request_sent("NOTIFY"), 481)
    rig.us.ua.notifier.report(rig.us.refers[0].id, 180, "Ringing", rig.now)
    assert rig.take() == []
    assert rig.session.state is State.CONFIRMED


def test_a_transfer_nobody_decided_on_is_refused_when_the_call_ends() -> None:
    rig = Rig()
    tag = rig.answered_call()
    rig.ask("REFER", 2, to_tag=tag, extra=TO_801)
    rig.session.end(rig.now)
    assert rig.take() == ["487 REFER", "BYE"]
    rig.us.ua.notifier.accept_refer(rig.us.refers[0], rig.now)
    assert rig.take() == []


def test_a_refer_during_a_hold_is_taken_and_the_hold_finished() -> None:
    rig = Rig()
    tag = rig.answered_call()
    rig.us.answers = None
    rig.ask("INVITE", 2, to_tag=tag, body=SDP_2)
    rig.ask("REFER", 3, to_tag=tag, extra=TO_801)
    rig.us.ua.notifier.accept_refer(rig.us.refers[0], rig.now)
    rig.session.answer(b"v=0 held", rig.now)
    assert rig.take() == ["202 REFER", "NOTIFY", "200 INVITE"]
    rig.ask("ACK", 2, to_tag=tag)
    rig.us.ua.notifier.report(rig.us.refers[0].id, 200, "OK", rig.now, final=True)
    rig.take()
    assert rig.session.state is State.CONFIRMED


# Ours


def test_our_refer_hears_of_its_progress_until_it_is_final() -> None:
    rig = Rig()
    invite = rig.established_call()
    rig.session.refer("sip:*801@example.com", rig.now, headers=[("Referred-By", "<sip:100@example.com>")])
    rig.take()
    refer = rig.request_sent("REFER")
    assert refer.headers.get("Refer-To") == "<sip:*801@example.com>"
    assert refer.headers.get("Referred-By") == "<sip:100@example.com>"
    assert refer.contact is not None
    rig.reply(refer, 202)
    frag = "Event: refer;id=2\nSubscription-State: {}\nContent-Type: message/sipfrag"
    rig.ask_back(invite, "NOTIFY", 1, extra=frag.format("active;expires=60"), body="SIP/2.0 100 Trying")
    rig.ask_back(invite, "NOTIFY", 2, extra=frag.format("terminated;reason=noresource"), body="SIP/2.0 200 OK\r\n")
    rig.ask_back(invite, "NOTIFY", 3, extra=frag.format("active"), body="SIP/2.0 200 OK")
    assert rig.take() == ["200 NOTIFY", "200 NOTIFY", "481 NOTIFY"]
    assert rig.us.heard == ["transfer 100", "transfer 200 final"]


def test_a_refused_refer_is_told_as_final() -> None:
    rig = Rig()
    rig.established_call()
    rig.session.refer("sip:*801@example.com", rig.now)
    rig.take()
    rig.reply(rig.request_sent("REFER"), 486)
    assert rig.us.heard == ["transfer 486 final"]
    assert rig.session.state is State.CONFIRMED


def test_the_outcome_of_a_refer_is_heard_after_our_bye_for_a_while() -> None:
    rig = Rig()
    invite = rig.established_call()
    rig.session.refer("sip:*801@example.com", rig.now)
    rig.take()
    rig.reply(rig.request_sent("REFER"), 202)
    rig.session.end(rig.now)
    rig.take()
    rig.reply(rig.request_sent("BYE"), 200)
    frag = "Event: refer\nSubscription-State: terminated\nContent-Type: message/sipfrag"
    rig.ask_back(invite, "NOTIFY", 1, extra=frag, body="SIP/2.0 200 OK")
    assert rig.take() == ["200 NOTIFY"]
    assert rig.us.heard == ["ended ended", "transfer 200 final"]
    rig.ask_back(invite, "NOTIFY", 2, extra=frag, body="SIP/2.0 200 OK")
    assert rig.take() == ["481 NOTIFY"]


def test_a_refer_whose_outcome_never_comes_is_forgotten() -> None:
    rig = Rig()
    rig.established_call()
    rig.session.refer("sip:*801@example.com", rig.now)
    rig.take()
    rig.reply(rig.request_sent("REFER"), 202)
    rig.session.end(rig.now)
    rig.run(100)
    assert len(rig.us.ua) == 0


def test_a_notify_of_another_package_gets_489() -> None:
    rig = Rig()
    invite = rig.established_call()
    rig.ask_back(invite, "NOTIFY", 1, extra="Event: presence")
    rig.ask_back(invite, "NOTIFY", 2, extra="Event: refer")
    assert rig.take() == ["489 NOTIFY", "481 NOTIFY"]


def test_an_attended_transfer_between_three_parties_finds_the_call_to_replace() -> None:
    wire = Wire()
    ann, bob, pbx = wire.party("192.0.2.1"), wire.party("192.0.2.2"), wire.party("192.0.2.3")
    first = ann.call(pbx)
    consult = ann.call(pbx)
    wire.run(1)
    first.refer("sip:bob@192.0.2.2", wire.now, replaces=consult)
    wire.run(1)
    replaces = pbx.refers[0].replaces
    assert replaces is not None
    assert parse_replaces(str(replaces)) == replaces
    assert pbx.ua.session_by_dialog(replaces.call_id, replaces.to_tag, replaces.from_tag) is pbx.sessions[1]
    assert pbx.ua.session_by_dialog(replaces.call_id, replaces.from_tag, replaces.to_tag) is None
    consult.end(wire.now)
    wire.run(1)
    assert pbx.ua.session_by_dialog(replaces.call_id, replaces.to_tag, replaces.from_tag) is None
    assert bob.heard == []

"""Subscriptions (:rfc:`6665`) as a phone played by hand sees them, with a package that tells of lamps."""

from __future__ import annotations

import json

import pytest

from parkade.base.journal import Json, KeptError
from parkade.sip.message.flow import Flow
from parkade.sip.session.lifecycle import State
from parkade.sip.session.package import Package
from parkade.sip.session.subscription import Subscription
from tests.sip.lamp import LampRig
from tests.sip.session_peer import PHONE

TO_801 = "Refer-To: <sip:*801@example.com>"


def the_subscription(rig: LampRig) -> Subscription:
    notifier = rig.us.ua.notifier
    [subscription] = [s for name in notifier.subscribers() for s in notifier.of_subscriber(name)]
    return subscription


# Subscribing


def test_a_subscriber_is_told_at_once_and_after_each_change() -> None:
    rig = LampRig()
    rig.subscribe("desk")
    assert rig.take() == ["200 SUBSCRIBE", "NOTIFY"]
    accepted, notify = rig.response_sent("200 SUBSCRIBE"), rig.request_sent("NOTIFY")
    assert accepted.headers.get("Expires") == "300"
    assert accepted.contact is not None
    assert (notify.from_.tag, notify.to.tag, notify.call_id) == (accepted.to.tag, "ph1", "sub-1")
    assert notify.uri == f"sip:phone@{PHONE}:5060"
    assert notify.headers.get("Event") == "lamp"
    assert notify.content_type == "text/plain"
    assert notify.contact is not None
    assert rig.told() == [("desk - 0 v0", "active;expires=300")]
    rig.answer()
    rig.run(100)
    rig.light("desk", 7, "dimmed")
    assert rig.take() == ["NOTIFY"]
    assert rig.told() == [("desk dimmed 7 v1", "active;expires=200")]
    rig.answer()
    rig.light("hall", 1)
    assert rig.take() == []


def test_all_subscribers_of_a_resource_are_told_and_no_others() -> None:
    rig = LampRig()
    rig.subscribed("desk", call_id="a")
    rig.subscribed("hall", call_id="b")
    rig.subscribed("desk", call_id="c")
    rig.light("desk", 1)
    assert rig.take() == ["NOTIFY", "NOTIFY"]
    assert [message.call_id for message in rig.got] == ["a", "c"]
    assert rig.us.ua.notifier.resources("lamp") == ["desk", "hall"]
    assert [s.resource for s in rig.us.ua.notifier.of_subscriber("phone")] == ["desk", "hall", "desk"]


@pytest.mark.parametrize(
    ("expires", "granted"),
    [
        (None, "600"),
        ("60", "60"),
        ("3600", "3600"),
        ("86400", "3600"),
        ("4294967295", "3600"),
        ("nonsense", "600"),
        (" 90 ", "90"),
    ],
)
def test_the_life_of_a_subscription_is_what_is_asked_for_within_bounds(expires: str | None, granted: str) -> None:
    rig = LampRig()
    rig.subscribe(expires=expires)
    assert rig.take() == ["200 SUBSCRIBE", "NOTIFY"]
    assert rig.response_sent("200 SUBSCRIBE").headers.get("Expires") == granted
    assert rig.told()[0][1] == f"active;expires={granted}"


@pytest.mark.parametrize("event", ["", "presence", "dialog;id=3", "lamps", "Lamp.winfo", ";id=1", "lamp;=;"])
def test_an_unknown_package_gets_489_and_what_there_is(event: str) -> None:
    rig = LampRig()
    rig.subscribe(event=event)
    assert rig.refused("489 SUBSCRIBE").headers.all("Allow-Events") == ["bell", "lamp", "refer"]


def test_a_subscription_to_transfers_cannot_begin_by_subscribe() -> None:
    rig = LampRig()
    rig.subscribe(event="refer")
    rig.refused("403 SUBSCRIBE")


@pytest.mark.parametrize(
    ("accept", "mark"),
    [
        ("", "desk"),
        ("Accept: text/plain", "desk"),
        ("Accept: application/pidf+xml, TEXT/*;q=0.3", "desk"),
        ("Accept: */*", "desk"),
        ("Accept: application/lamp+xml", "<lamp/>"),
        ("Accept: application/sdp\nAccept: application/*", "<lamp/>"),
    ],
)
def test_a_subscriber_gets_what_it_reads(accept: str, mark: str) -> None:
    rig = LampRig()
    rig.subscribe(extra=accept)
    assert rig.take() == ["200 SUBSCRIBE", "NOTIFY"]
    assert rig.told()[0][0].startswith(mark)
    assert rig.request_sent("NOTIFY").content_type == ("application/lamp+xml" if mark == "<lamp/>" else "text/plain")


def test_a_subscriber_that_reads_nothing_of_ours_gets_406() -> None:
    rig = LampRig()
    rig.subscribe(extra="Accept: application/pidf+xml")
    assert rig.refused("406 SUBSCRIBE").headers.all("Accept") == ["text/plain", "application/lamp+xml"]


@pytest.mark.parametrize("expires", ["1", "59"])
def test_too_brief_a_life_gets_423(expires: str) -> None:
    rig = LampRig()
    rig.subscribe(expires=expires)
    assert rig.refused("423 SUBSCRIBE").headers.get("Min-Expires") == "60"


@pytest.mark.parametrize("contact", ["", "Contact: *", "Contact: <sip:>"])
def test_a_subscriber_that_cannot_be_reached_gets_400(contact: str) -> None:
    rig = LampRig()
    rig.subscribe(contact=contact)
    rig.refused("400 SUBSCRIBE")
    rig.run(40)
    assert len(rig.us.ua) == 0


def test_a_package_may_not_refuse_an_hour() -> None:
    for least_s, default_s, most_s in ((3601, 7200, 7200), (0, 60, 60), (90, 60, 120), (60, 600, 500)):
        with pytest.raises(ValueError, match="lamp"):
            Package("lamp", ("text/plain",), default_s=default_s, least_s=least_s, most_s=most_s)


# Its end


def test_a_subscription_that_is_not_refreshed_ends() -> None:
    rig = LampRig()
    rig.subscribed(expires="300")
    rig.run(299.9)
    assert rig.take() == []
    rig.run(0.2)
    assert rig.take() == ["NOTIFY"]
    assert rig.told() == [("desk - 0 v1", "terminated;reason=timeout")]
    last = rig.got
    rig.light("desk", 9)
    assert rig.take() == []
    rig.got = last
    rig.answer()
    assert rig.us.ua.notifier.subscribers() == []
    rig.run(40)
    assert len(rig.us.ua) == 0


def test_a_refresh_makes_it_live_on_and_tells_everything_again() -> None:
    rig = LampRig()
    tag = rig.subscribed(expires="300")
    rig.run(200)
    rig.subscribe(seq=2, expires="600", to_tag=tag, contact="Contact: <sip:moved@192.0.2.99>")
    assert rig.take() == ["200 SUBSCRIBE", "NOTIFY"]
    assert rig.response_sent("200 SUBSCRIBE").headers.get("Expires") == "600"
    assert rig.request_sent("NOTIFY").uri == "sip:moved@192.0.2.99"
    assert rig.told() == [("desk - 0 v1", "active;expires=600")]
    rig.answer()
    rig.run(599)
    assert rig.take() == []
    rig.run(1.1)
    assert rig.take() == ["NOTIFY"]


def test_a_refresh_that_is_refused_leaves_what_there_was() -> None:
    rig = LampRig()
    tag = rig.subscribed()
    rig.subscribe(seq=2, expires="5", to_tag=tag)
    rig.subscribe(seq=3, extra="Accept: image/png", to_tag=tag)
    rig.subscribe(seq=4, contact="Contact: *", to_tag=tag)
    rig.subscribe(seq=3, to_tag=tag)
    assert rig.take() == ["423 SUBSCRIBE", "406 SUBSCRIBE", "400 SUBSCRIBE", "500 SUBSCRIBE"]
    rig.light("desk", 1)
    assert rig.take() == ["NOTIFY"]


def test_unsubscribing_ends_it_with_one_more_notify() -> None:
    rig = LampRig()
    tag = rig.subscribed()
    rig.subscribe(seq=2, expires="0", to_tag=tag)
    assert rig.take() == ["200 SUBSCRIBE", "NOTIFY"]
    assert rig.response_sent("200 SUBSCRIBE").headers.get("Expires") == "0"
    assert rig.told() == [("desk - 0 v1", "terminated;reason=timeout")]
    rig.subscribe(seq=3, to_tag=tag)
    assert rig.take() == ["481 SUBSCRIBE"]


def test_a_fetch_is_a_subscription_that_ends_at_once() -> None:
    rig = LampRig()
    rig.subscribe(expires="0")
    assert rig.take() == ["200 SUBSCRIBE", "NOTIFY"]
    assert rig.told() == [("desk - 0 v0", "terminated;reason=timeout")]
    rig.answer()
    assert rig.us.ua.notifier.subscribers() == []
    rig.run(40)
    assert len(rig.us.ua) == 0


def test_a_resource_that_goes_ends_its_subscriptions() -> None:
    rig = LampRig()
    tag = rig.subscribed()
    rig.lamps.lit.pop("desk")
    rig.us.ua.notifier.changed("lamp", "desk", rig.now, over="noresource")
    assert rig.take() == ["NOTIFY"]
    assert rig.told() == [("", "terminated;reason=noresource")]
    assert "Content-Type" not in rig.request_sent("NOTIFY").headers
    rig.subscribe(seq=2, to_tag=tag)
    assert rig.take() == ["481 SUBSCRIBE"]


def test_an_owner_may_end_it() -> None:
    rig = LampRig()
    rig.subscribed()
    the_subscription(rig).end("deactivated", rig.now)
    the_subscription(rig).end("rejected", rig.now)
    assert rig.take() == ["NOTIFY"]
    assert rig.told() == [("desk - 0 v1", "terminated;reason=deactivated")]


def test_a_subscribe_in_a_dialog_that_is_gone_gets_481() -> None:
    rig = LampRig()
    rig.subscribe(to_tag="gone")
    assert rig.take() == ["481 SUBSCRIBE"]
    assert rig.us.requests == []


# One at a time


def test_what_changes_while_a_notify_is_under_way_is_told_once_and_as_it_is_then() -> None:
    rig = LampRig()
    rig.subscribe()
    rig.take()
    for brightness in (1, 2, 3):
        rig.light("desk", brightness)
    assert rig.take() == []
    rig.run(0.6)
    assert rig.take() == ["NOTIFY"], "sent again, as nobody answers"
    assert rig.told() == [("desk - 0 v0", "active;expires=300")]
    rig.answer()
    assert rig.take() == ["NOTIFY"]
    assert rig.told() == [("desk - 3 v1", "active;expires=299")]
    rig.answer()
    assert rig.take() == []


def test_an_end_while_a_notify_is_under_way_is_told_after_it() -> None:
    rig = LampRig()
    tag = rig.subscribed()
    rig.light("desk", 1)
    rig.take()
    rig.subscribe(seq=2, expires="0", to_tag=tag)
    before = list(rig.got)
    assert rig.take() == ["200 SUBSCRIBE"]
    rig.got = before
    rig.answer()
    assert rig.take() == ["NOTIFY"]
    assert rig.told() == [("desk - 1 v2", "terminated;reason=timeout")]


# A NOTIFY that does not arrive


@pytest.mark.parametrize("status", [300, 400, 403, 404, 408, 410, 480, 481, 489, 501, 503, 603])
def test_a_notify_that_is_refused_ends_the_subscription(status: int) -> None:
    rig = LampRig()
    rig.subscribe()
    rig.take()
    rig.answer(status)
    rig.light("desk", 1)
    assert rig.take() == []
    rig.run(40)
    assert len(rig.us.ua) == 0


@pytest.mark.parametrize("status", [408, 481])
def test_nobody_who_is_gone_is_waited_for(status: int) -> None:
    rig = LampRig()
    rig.subscribe()
    rig.take()
    rig.answer(status, "Retry-After: 5")
    assert rig.us.ua.notifier.subscribers() == []


def test_a_notify_that_nobody_answers_ends_the_subscription() -> None:
    rig = LampRig()
    rig.subscribe()
    rig.run(31)
    assert rig.us.ua.notifier.subscribers() == ["phone"]
    rig.run(2)
    assert rig.us.ua.notifier.subscribers() == []
    rig.run(10)
    assert len(rig.us.ua) == 0


def test_a_subscriber_may_put_us_off() -> None:
    rig = LampRig()
    rig.subscribe()
    rig.take()
    rig.answer(503, "Retry-After: 20 (busy);duration=60")
    rig.light("desk", 4)
    rig.run(19.9)
    assert rig.take() == []
    rig.run(0.2)
    assert rig.take() == ["NOTIFY"]
    assert rig.told() == [("desk - 4 v1", "active;expires=280")]
    rig.answer(503, "Retry-After: 900")
    rig.run(400)
    assert rig.us.ua.notifier.subscribers() == [], "it has ended meanwhile, and there is nobody to tell"
    assert len(rig.us.ua) == 0


def test_a_notify_that_was_overtaken_is_said_anew_once() -> None:
    rig = LampRig()
    rig.subscribe()
    rig.take()
    rig.answer(500)
    rig.run(1)
    assert rig.take() == ["NOTIFY"]
    rig.answer(200)
    rig.light("desk", 1)
    assert rig.take() == ["NOTIFY"]
    for expected in (["NOTIFY"], []):
        rig.answer(500)
        rig.run(1)
        assert rig.take() == expected
    assert rig.us.ua.notifier.subscribers() == []


def test_a_lost_connection_is_waited_for() -> None:
    rig = LampRig("TCP")
    rig.subscribed()
    rig.us.ua.flow_lost(rig.flow, rig.now)
    assert rig.us.ua.notifier.subscribers() == ["phone"]
    rig.light("desk", 1)
    rig.take()
    rig.us.ua.flow_lost(rig.flow, rig.now)
    rig.light("desk", 2)
    assert rig.take() == []
    subscription = the_subscription(rig)
    subscription.move(Flow("TCP", PHONE, 5099, 8), rig.now)
    assert rig.take() == ["NOTIFY"]
    assert rig.told() == [("desk - 2 v2", "active;expires=300")]
    rig.answer()
    subscription.move(Flow("TCP", PHONE, 5100, 9), rig.now)
    assert rig.take() == []


def test_whoever_never_comes_back_is_forgotten_in_time() -> None:
    rig = LampRig("TCP")
    rig.subscribe()
    rig.us.ua.flow_lost(rig.flow, rig.now)
    rig.run(301)
    assert len(rig.us.ua) == 0


def test_a_refresh_over_another_connection_tells_what_was_missed() -> None:
    rig = LampRig("TCP")
    rig.subscribe()
    assert rig.take() == ["200 SUBSCRIBE", "NOTIFY"]
    tag = rig.got[0].to.tag or ""
    rig.us.ua.flow_lost(rig.flow, rig.now)
    rig.flow = Flow("TCP", PHONE, 5099, 8)
    rig.subscribe(seq=2, to_tag=tag)
    assert rig.take() == ["200 SUBSCRIBE", "NOTIFY"]


@pytest.mark.parametrize("how", ["move", "refresh", "unsubscribe"])
@pytest.mark.parametrize("old", ["lost", "silent"])
def test_what_went_the_old_way_in_vain_goes_the_new_one(how: str, old: str) -> None:
    rig = LampRig("TCP")
    tag = rig.subscribed()
    rig.light("desk", 1)
    assert rig.take() == ["NOTIFY"]
    before, rig.flow = rig.flow, Flow("TCP", PHONE, 5099, 8)
    if how == "move":
        the_subscription(rig).move(rig.flow, rig.now)
    else:
        rig.subscribe(seq=2, to_tag=tag, expires="300" if how == "refresh" else "0")
        assert rig.take() == ["200 SUBSCRIBE"]
    if old == "lost":
        rig.us.ua.flow_lost(before, rig.now)
    else:
        rig.run(32)
    assert rig.take() == ["NOTIFY"]
    [(document, state)] = rig.told()
    assert document == "desk - 1 v2"
    assert state.startswith("terminated" if how == "unsubscribe" else "active")
    rig.answer()
    rig.light("desk", 2)
    assert rig.take() == ([] if how == "unsubscribe" else ["NOTIFY"])


def test_a_new_way_that_leads_nowhere_either_is_not_tried_for_ever() -> None:
    rig = LampRig("TCP")
    rig.subscribed()
    rig.light("desk", 1)
    the_subscription(rig).move(Flow("TCP", PHONE, 5099, 8), rig.now)
    assert rig.take() == ["NOTIFY"]
    rig.run(100)
    assert rig.take() == ["NOTIFY"]
    assert rig.us.ua.notifier.subscribers() == []


def call_with_a_transfer(rig: LampRig) -> None:
    """A call whose phone has asked for a transfer: two usages of one dialog, both written down."""
    tag = rig.answered_call()
    rig.write()
    rig.ask("REFER", 2, to_tag=tag, extra=TO_801)
    rig.us.ua.notifier.accept_refer(rig.us.refers[0], rig.now)
    assert rig.take() == ["202 REFER", "NOTIFY"]
    rig.answer()
    rig.write()


def test_after_a_crash_the_call_is_where_its_phone_has_gone_since_the_transfer_began() -> None:
    rig = LampRig()
    call_with_a_transfer(rig)
    rig.us.session.offer(b"v=0 again", rig.now)
    assert rig.take() == ["INVITE"]
    rig.reply(rig.request_sent("INVITE"), 200, contact=f"Contact: <sip:moved@{PHONE}:5070>", body="v=0")
    assert rig.take() == ["ACK"]
    rig.die()
    rig.us.sessions[-1].end(rig.now)
    assert rig.take() == ["BYE"]
    assert rig.request_sent("BYE").uri == f"sip:moved@{PHONE}:5070"


def test_after_a_crash_a_transfer_is_reported_where_its_phone_has_gone_since_the_call_was_written() -> None:
    rig = LampRig()
    call_with_a_transfer(rig)
    rig.ask(
        "SUBSCRIBE",
        3,
        to_tag=rig.us.refers[0].dialog.local_tag,
        extra="Event: refer\nExpires: 100",
        contact=f"Contact: <sip:moved@{PHONE}:5070>",
    )
    assert rig.take() == ["200 SUBSCRIBE", "NOTIFY"]
    rig.answer()
    rig.die()
    rig.us.sessions[-1].end(rig.now)
    assert rig.take() == ["BYE"]
    assert rig.request_sent("BYE").uri == f"sip:moved@{PHONE}:5070"


@pytest.mark.parametrize("mover", ["call", "transfer"])
def test_after_a_crash_both_go_where_one_of_them_was_moved(mover: str) -> None:
    rig = LampRig("TCP")
    call_with_a_transfer(rig)
    new = Flow("TCP", PHONE, 5099, 8)
    if mover == "call":
        rig.us.session.flow = new
    else:
        the_subscription(rig).move(new, rig.now)
    rig.die()
    assert rig.us.sessions[-1].flow[:3] == new[:3]
    assert the_subscription(rig).dialog.flow[:3] == new[:3]


def test_a_document_that_cannot_be_made_costs_one_subscription() -> None:
    rig = LampRig()
    rig.subscribed("desk", call_id="a")
    rig.subscribed("desk", call_id="b", extra="Accept: application/lamp+xml")
    rig.lamps.cannot_write = "text/plain"
    with pytest.raises(ZeroDivisionError):
        rig.light("desk", 1)
    assert rig.take() == ["NOTIFY"]
    assert rig.request_sent("NOTIFY").call_id == "b"
    assert the_subscription(rig).dialog.call_id == "b"
    rig.answer(481)
    rig.run(40)
    assert len(rig.us.ua) == 0


# Beside a call


def test_a_subscription_in_the_dialog_of_a_call_outlives_it() -> None:
    rig = LampRig()
    tag = rig.answered_call()
    rig.subscribed(seq=2, to_tag=tag, call_id="call-1")
    rig.session.info("application/dtmf", b"5", rig.now)
    rig.light("desk", 1)
    assert rig.take() == ["INFO", "NOTIFY"]
    assert [m.cseq.number for m in rig.got] == [2, 3]
    rig.answer()
    rig.reply(rig.request_sent("INFO"), 200)
    rig.ask("BYE", 3, to_tag=tag)
    assert rig.session.is_done
    rig.light("desk", 2)
    assert rig.take() == ["200 BYE", "NOTIFY"]
    assert (rig.got[1].cseq.number, rig.got[1].from_.tag) == (4, tag)
    rig.answer()
    rig.subscribe(seq=4, expires="0", to_tag=tag, call_id="call-1")
    assert rig.take() == ["200 SUBSCRIBE", "NOTIFY"]
    rig.answer()
    rig.run(40)
    assert len(rig.us.ua) == 0


def test_a_subscription_that_is_refused_its_notify_leaves_the_call_alone() -> None:
    rig = LampRig()
    tag = rig.answered_call()
    rig.subscribe(seq=2, to_tag=tag, call_id="call-1")
    rig.take()
    rig.answer(481)
    assert rig.us.ua.notifier.subscribers() == []
    assert rig.session.state is State.CONFIRMED
    rig.ask("INFO", 3, to_tag=tag)
    assert rig.take() == ["200 INFO"]


def test_subscriptions_in_one_dialog_are_told_apart_by_package_and_id() -> None:
    rig = LampRig()
    tag = rig.subscribed("desk", event="lamp")
    rig.subscribed("hall", 2, event="lamp;id=7", to_tag=tag)
    rig.subscribed("desk", 3, event="bell;id=7", to_tag=tag)
    notifier = rig.us.ua.notifier
    assert [(s.package.name, s.event, s.resource) for s in notifier.of_subscriber("phone")] == [
        ("lamp", "lamp", "desk"),
        ("lamp", "lamp;id=7", "hall"),
        ("bell", "bell;id=7", "desk"),
    ]
    assert len({s.dialog for s in notifier.of_subscriber("phone")}) == 1
    rig.subscribe(seq=4, event="lamp;id=7", expires="0", to_tag=tag)
    assert rig.take() == ["200 SUBSCRIBE", "NOTIFY"]
    assert rig.request_sent("NOTIFY").headers.get("Event") == "lamp;id=7"
    rig.answer()
    assert [s.event for s in notifier.of_subscriber("phone")] == ["lamp", "bell;id=7"]


def test_an_unknown_package_in_a_dialog_gets_489_too() -> None:
    rig = LampRig()
    tag = rig.answered_call()
    rig.subscribe(seq=2, event="presence", to_tag=tag, call_id="call-1")
    rig.subscribe(seq=3, event="refer", to_tag=tag, call_id="call-1")
    assert rig.take() == ["489 SUBSCRIBE", "481 SUBSCRIBE"]


def test_a_dialog_without_a_call_takes_nothing_but_subscriptions() -> None:
    rig = LampRig()
    tag = rig.subscribed()
    for seq, (method, status) in enumerate(
        [("OPTIONS", 200), ("BYE", 481), ("INFO", 481), ("INVITE", 481), ("REFER", 481), ("NOTIFY", 481), ("MESSAGE", 405)], 2
    ):
        rig.ask(method, seq, to_tag=tag, call_id="sub-1")
        assert rig.take() == [f"{status} {method}"]
    assert rig.us.ua.session_by_dialog("sub-1", tag, "ph1") is None
    rig.ask("ACK", 5, to_tag=tag, call_id="sub-1")
    rig.light("desk", 1)
    assert rig.take() == ["NOTIFY"]


# Transfers


def transfer(rig: LampRig, extra: str = TO_801) -> str:
    """The phone has asked for a transfer, which is accepted. Returns our tag."""
    tag = rig.answered_call()
    rig.ask("REFER", 2, to_tag=tag, extra=extra)
    rig.us.ua.notifier.accept_refer(rig.us.refers[-1], rig.now, subscriber="phone")
    return tag


def test_a_transfer_can_be_refreshed_by_either_of_its_names() -> None:
    rig = LampRig()
    tag = transfer(rig)
    rig.take()
    rig.answer()
    rig.run(100)
    for seq, event in ((3, "refer"), (4, "refer;id=2")):
        rig.subscribe(seq=seq, event=event, to_tag=tag, call_id="call-1")
        assert rig.take() == ["200 SUBSCRIBE", "NOTIFY"]
        assert rig.told() == [("SIP/2.0 100 Trying\r\n", "active;expires=300")]
        rig.answer()
    rig.subscribe(seq=5, event="refer;id=4", to_tag=tag, call_id="call-1")
    assert rig.take() == ["481 SUBSCRIBE"]


def test_nobody_need_hear_of_a_transfer_to_its_end() -> None:
    rig = LampRig()
    tag = transfer(rig)
    rig.take()
    rig.answer()
    rig.subscribe(seq=3, event="refer", expires="0", to_tag=tag, call_id="call-1")
    assert rig.take() == ["200 SUBSCRIBE", "NOTIFY"]
    assert rig.told() == [("SIP/2.0 100 Trying\r\n", "terminated;reason=timeout")]
    rig.answer()
    rig.us.ua.notifier.report(rig.us.refers[0].id, 200, "OK", rig.now, final=True)
    assert rig.take() == []


def test_a_transfer_that_nobody_reports_on_runs_out() -> None:
    rig = LampRig()
    tag = transfer(rig)
    rig.take()
    rig.answer()
    rig.ask("BYE", 3, to_tag=tag)
    rig.take()
    rig.run(3600.1)
    assert rig.take() == ["NOTIFY"]
    assert rig.told() == [("SIP/2.0 100 Trying\r\n", "terminated;reason=timeout")]
    rig.answer()
    rig.run(40)
    assert len(rig.us.ua) == 0


@pytest.mark.parametrize(
    ("extra", "refer_sub"), [("Refer-Sub: false", "false"), ("Refer-Sub: FALSE ", "false"), ("Require: nosub", None)]
)
def test_a_transfer_without_a_subscription(extra: str, refer_sub: str | None) -> None:
    rig = LampRig()
    transfer(rig, f"{TO_801}\n{extra}")
    assert rig.take() == ["202 REFER"]
    assert rig.response_sent("202 REFER").headers.get("Refer-Sub") == refer_sub
    assert rig.us.ua.notifier.resources("refer") == []


def test_a_subscription_by_another_request_is_not_offered() -> None:
    """The other half of :rfc:`7614`: whoever requires it is told that it is not there."""
    rig = LampRig()
    tag = rig.answered_call()
    rig.ask("REFER", 2, to_tag=tag, extra=f"{TO_801}\nRequire: explicitsub")
    assert rig.take() == ["420 REFER"]


# After a restart


def test_a_subscription_goes_on_after_a_restart() -> None:
    rig = LampRig()
    tag = rig.subscribed(extra="Accept: application/lamp+xml")
    rig.run(100)
    rig.die()
    assert rig.take() == []
    rig.light("desk", 3, "lit")
    assert rig.take() == ["NOTIFY"]
    notify = rig.request_sent("NOTIFY")
    assert (notify.cseq.number, notify.from_.tag, notify.to.tag) == (2, tag, "ph1")
    assert rig.told() == [("<lamp/> desk lit 3 v1", "active;expires=200")]
    rig.answer()
    rig.subscribe(seq=2, to_tag=tag)
    assert rig.take() == ["200 SUBSCRIBE", "NOTIFY"]
    rig.answer()
    rig.run(301)
    rig.take()
    rig.answer()
    rig.run(40)
    rig.write()
    assert len(rig.us.ua) == 0
    assert rig.journal == {}


def test_what_was_owed_is_told_after_a_restart() -> None:
    rig = LampRig()
    rig.subscribe()
    rig.take()
    rig.light("desk", 5, "lit")
    rig.die()
    assert rig.take() == ["NOTIFY"]
    assert rig.told() == [("desk lit 5 v1", "active;expires=300")]


def test_what_has_run_out_meanwhile_ends() -> None:
    rig = LampRig()
    rig.subscribed()
    rig.write()
    rig.wire.now += 400
    rig.die()
    assert rig.take() == ["NOTIFY"]
    assert rig.told() == [("desk - 0 v1", "terminated;reason=timeout")]
    rig.answer(481)
    rig.run(40)
    assert len(rig.us.ua) == 0


def test_an_end_that_was_under_way_is_told_again() -> None:
    rig = LampRig()
    tag = rig.subscribed()
    rig.subscribe(seq=2, expires="0", to_tag=tag)
    rig.take()
    rig.die()
    assert rig.take() == ["NOTIFY"]
    assert rig.told() == [("desk - 0 v2", "terminated;reason=timeout")]
    rig.die()
    rig.take()
    rig.run(40)
    assert len(rig.us.ua) == 0
    rig.write()
    assert rig.journal == {}


def test_a_call_and_its_subscription_share_their_numbers_after_a_restart() -> None:
    rig = LampRig()
    tag = rig.answered_call()
    rig.subscribed(seq=2, to_tag=tag, call_id="call-1")
    rig.write()
    for brightness in (1, 2, 3):
        rig.light("desk", brightness)
        rig.us.ua.touched.discard(rig.session)
        rig.write()
        rig.take()
        rig.answer()
    rig.us.ua.touched.discard(rig.session)
    rig.die()
    assert rig.take() == ["NOTIFY"]
    rig.session.end(rig.now)
    assert rig.take() == ["BYE"]
    assert rig.request_sent("BYE").cseq.number == 6, "four documents, and the last of them again"
    assert the_subscription(rig).dialog is rig.session.dialog


def test_no_number_is_used_again_when_what_had_kept_the_last_one_is_gone() -> None:
    rig = LampRig()
    tag = rig.answered_call()
    rig.subscribed(seq=2, to_tag=tag, call_id="call-1")
    rig.write()
    rig.subscribed(seq=3, to_tag=tag, call_id="call-1", event="lamp;id=2", expires="0")
    rig.write()
    rig.session.info("application/dtmf", b"5", rig.now)
    assert rig.take() == ["INFO"]
    rig.reply(rig.request_sent("INFO"), 200)
    rig.write()
    rig.ask("BYE", 4, to_tag=tag)
    rig.take()
    rig.die()
    assert rig.take() == []
    rig.light("desk", 1)
    assert rig.take() == ["NOTIFY"]
    assert rig.request_sent("NOTIFY").cseq.number == 4, "two documents and a key came before"


def test_the_number_of_a_notify_that_was_challenged_is_not_used_again_after_a_restart() -> None:
    rig = LampRig()
    tag = rig.answered_call()
    rig.session.credentials = ("bob", "secret")
    rig.ask("REFER", 2, to_tag=tag, extra=TO_801)
    [refer] = rig.us.refers
    rig.us.ua.notifier.accept_refer(refer, rig.now)
    assert rig.take() == ["202 REFER", "NOTIFY"]
    rig.write()
    rig.reply(rig.request_sent("NOTIFY"), 401, extra='WWW-Authenticate: Digest realm="r", nonce="n", qop="auth"')
    assert rig.take() == ["NOTIFY"]
    assert rig.request_sent("NOTIFY").cseq.number == 2
    rig.us.ua.touched.discard(rig.session)
    rig.die()
    assert rig.take() == ["NOTIFY"]
    assert rig.request_sent("NOTIFY").cseq.number == 3


@pytest.mark.parametrize(
    "broken",
    [
        {"id": 5},
        {"package": "presence"},
        {"package": None},
        {"version": "x"},
        {"over": "whim"},
        {"expires_at": None},
        {"flow": []},
        {"names": [1]},
        {"headers": [["one"]]},
        {"local_tag": None},
        {"state": None},
    ],
)
def test_a_kept_subscription_that_cannot_be_read_is_left_out(broken: dict[str, Json]) -> None:
    rig = LampRig()
    rig.subscribed()
    rig.write()
    [text] = rig.journal.values()
    rig.us.ua = rig._fresh()
    with pytest.raises(KeptError):
        rig.us.ua.notifier.restore({**json.loads(text), **broken}, rig.now)
    assert len(rig.us.ua) == 0
    rig.us.ua.notifier.restore(json.loads(text), rig.now)
    with pytest.raises(KeptError):
        rig.us.ua.notifier.restore(json.loads(text), rig.now)

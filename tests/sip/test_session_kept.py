"""A session that outlives its process: snapshot, JSON, a fresh user agent, and the dialog goes on as if nothing had been."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parkade.base.ids import Ids
from parkade.base.journal import Json, KeptError
from parkade.sip.message.flow import Flow
from parkade.sip.message.message import Request, Response
from parkade.sip.session.lifecycle import State
from parkade.sip.session.session import Session
from parkade.sip.session.ua import UserAgent
from tests.sip.session_peer import PHONE, SDP, SDP_2, US, Rig

TIMED = "Supported: timer\nSession-Expires: 600;refresher=uas\nAllow: INVITE, ACK, BYE, UPDATE, REFER, NOTIFY, PRACK"
GRANTED = "Supported: timer\nRequire: timer\nSession-Expires: 600;refresher=uac\nAllow: INVITE, ACK, BYE, UPDATE, REFER"


def through_json(value: Mapping[str, Json]) -> dict[str, Json]:
    read = json.loads(json.dumps(value))
    assert isinstance(read, dict)
    return read


def reborn(rig: Rig) -> Session:
    """The user agent of ``rig`` dies with all it knew, but for the snapshots of its last session and of all subscriptions, and
    starts anew.
    """
    value = through_json(rig.session.snapshot())
    us = rig.us
    subscriptions = [
        through_json(s.snapshot()) for name in us.ua.notifier.subscribers() for s in us.ua.notifier.of_subscriber(name)
    ]
    us.ua = UserAgent(us, Ids(random.Random(99).randbytes), lambda _: (US, 5060), keeps=True)
    for subscription in subscriptions:
        us.ua.notifier.restore(subscription, rig.now)
    session = us.ua.restore(value, us, rig.now)
    us.sessions.append(session)
    us.heard.clear()
    return session


def same(one: Mapping[str, Json], other: Mapping[str, Json]) -> bool:
    """Whether two snapshots say the same; what is allowed has no order."""

    def plain(value: Mapping[str, Json]) -> dict[str, Json]:
        read = through_json(value)
        allowed = read.get("allowed", [])
        assert isinstance(allowed, list)
        read["allowed"] = sorted(map(str, allowed))
        return read

    return plain(one) == plain(other)


def test_a_call_of_theirs_goes_on_with_the_next_cseq_the_same_tags_and_the_same_target() -> None:
    rig = Rig()
    tag = rig.answered_call(TIMED)
    before = rig.session.snapshot()
    session = reborn(rig)
    assert same(session.snapshot(), before)
    assert (session.state, session.incoming) == (State.CONFIRMED, True)
    assert (session.local_sdp, session.remote_sdp) == (b"v=0 ours", SDP.encode())
    rig.ask("INVITE", 2, to_tag=tag, body=SDP_2)
    assert rig.take() == ["200 INVITE"]
    rig.ask("ACK", 2, to_tag=tag)
    session.end(rig.now)
    assert rig.take() == ["BYE"]
    bye = rig.request_sent("BYE")
    assert (bye.cseq.number, bye.from_.tag, bye.to.tag, bye.call_id) == (1, tag, "ph1", "call-1")
    assert bye.uri == f"sip:phone@{PHONE}:5060"
    rig.reply(bye, 200)
    rig.run(40)
    assert len(rig.us.ua) == 0
    assert session.is_done


def test_a_call_of_ours_goes_on_too() -> None:
    rig = Rig()
    invite = rig.established_call(GRANTED)
    before = rig.session.snapshot()
    session = reborn(rig)
    assert same(session.snapshot(), before)
    assert (session.request.from_.tag, session.request.call_id) == (invite.from_.tag, invite.call_id)
    rig.ask_back(invite, "BYE", 7)
    assert rig.take() == ["200 BYE"]
    assert rig.us.heard == ["ended bye"]


@pytest.mark.parametrize("asleep_s", [0, 100, 299])
def test_a_refresh_of_ours_is_sent_when_it_is_due_and_at_once_if_it_was_due_before(asleep_s: float) -> None:
    rig = Rig()
    rig.established_call(GRANTED)
    value = through_json(rig.session.snapshot())
    rig.us.ua = UserAgent(rig.us, Ids(random.Random(99).randbytes), lambda _: (US, 5060), keeps=True)
    rig.wire.now += asleep_s
    rig.us.sessions.append(rig.us.ua.restore(value, rig.us, rig.now))
    rig.run(299 - asleep_s)
    assert rig.take() == []
    rig.run(2)
    assert rig.take()[:1] == ["UPDATE"]
    late = Rig()
    late.established_call(GRANTED)
    value = through_json(late.session.snapshot())
    late.us.ua = UserAgent(late.us, Ids(random.Random(99).randbytes), lambda _: (US, 5060), keeps=True)
    late.wire.now += 400
    late.us.sessions.append(late.us.ua.restore(value, late.us, late.now))
    late.run(0.1)
    assert late.take() == ["UPDATE"]


def test_a_session_that_expired_while_nobody_ran_is_ended_once() -> None:
    rig = Rig()
    rig.answered_call("Supported: timer\nSession-Expires: 600;refresher=uac")
    value = through_json(rig.session.snapshot())
    rig.us.ua = UserAgent(rig.us, Ids(random.Random(99).randbytes), lambda _: (US, 5060), keeps=True)
    rig.wire.now += 1000
    rig.us.sessions.append(rig.us.ua.restore(value, rig.us, rig.now))
    rig.us.heard.clear()
    rig.run(1)
    assert rig.us.heard == ["ended expired"]
    assert set(rig.take()) == {"BYE"}


def test_a_2xx_without_its_ack_goes_on_being_sent_until_the_ack_comes() -> None:
    rig = Rig()
    rig.invite()
    rig.session.accept(b"v=0 ours", rig.now)
    rig.take()
    first = rig.response_sent("200 INVITE").encode()
    session = reborn(rig)
    assert session.state is State.ACCEPTED
    rig.run(0.6)
    assert set(rig.take()) == {"200 INVITE"}
    assert all(message.encode() == first for message in rig.got)
    tag = rig.response_sent("200 INVITE").to.tag or ""
    rig.ask("ACK", 1, to_tag=tag)
    assert rig.us.heard == ["established"]
    rig.run(40)
    assert rig.take() == []
    assert session is rig.session
    assert rig.session.state is State.CONFIRMED


def test_the_same_invite_sent_again_after_the_restart_gets_the_same_2xx_and_is_no_new_call() -> None:
    rig = Rig()
    branch = rig.invite()
    rig.session.accept(b"v=0 ours", rig.now)
    rig.take()
    first = rig.response_sent("200 INVITE").encode()
    reborn(rig)
    rig.take()
    rig.invite(branch=branch)
    assert rig.take() == ["200 INVITE"]
    assert rig.got[0].encode() == first
    assert rig.us.heard == []


def test_a_2xx_that_never_finds_its_ack_ends_the_session_after_its_time() -> None:
    rig = Rig()
    rig.invite()
    rig.session.accept(b"v=0 ours", rig.now)
    rig.run(20)
    session = reborn(rig)
    rig.run(13)
    assert rig.us.heard == ["ended ack lost"]
    assert "BYE" in rig.take()
    assert session.state is State.CLOSING


def test_the_answer_to_an_offer_in_our_2xx_is_taken_from_an_ack_after_the_restart() -> None:
    rig = Rig()
    rig.invite(body="")
    rig.session.accept(b"v=0 our offer", rig.now)
    rig.take()
    tag = rig.response_sent("200 INVITE").to.tag or ""
    session = reborn(rig)
    rig.ask("ACK", 1, to_tag=tag, body=SDP)
    assert rig.us.heard == ["answer", "established"]
    assert (session.local_sdp, session.remote_sdp) == (b"v=0 our offer", SDP.encode())


def test_a_2xx_of_theirs_that_comes_again_after_the_restart_gets_the_same_ack() -> None:
    rig = Rig()
    rig.call()
    rig.take()
    invite = rig.request_sent("INVITE")
    rig.reply(invite, 200, body=SDP)
    rig.take()
    ack = rig.request_sent("ACK").encode()
    reborn(rig)
    rig.reply(invite, 200, body=SDP)
    assert rig.take() == ["ACK"]
    assert rig.got[0].encode() == ack


def test_a_late_offer_is_answered_after_the_restart() -> None:
    rig = Rig()
    rig.us.confirms = None
    rig.call(None)
    rig.take()
    rig.reply(rig.request_sent("INVITE"), 200, body=SDP)
    assert rig.take() == []
    session = reborn(rig)
    session.confirm(b"v=0 ours", rig.now)
    assert rig.take() == ["ACK"]
    assert rig.request_sent("ACK").body == b"v=0 ours"
    assert rig.us.heard == ["established"]


def test_a_bye_that_was_not_answered_is_sent_again() -> None:
    rig = Rig()
    rig.answered_call()
    rig.session.end(rig.now, [("Reason", "SIP;cause=200")])
    rig.take()
    session = reborn(rig)
    assert rig.take() == ["BYE"]
    bye = rig.request_sent("BYE")
    assert (bye.cseq.number, bye.headers.get("Reason")) == (2, "SIP;cause=200")
    rig.reply(bye, 481)
    assert session.is_done
    rig.run(40)
    assert len(rig.us.ua) == 0
    assert rig.us.heard == [], "its end was told before the restart"


def test_a_bye_that_waits_for_the_ack_goes_on_waiting() -> None:
    rig = Rig()
    rig.invite()
    rig.session.accept(b"v=0 ours", rig.now)
    rig.take()
    tag = rig.response_sent("200 INVITE").to.tag or ""
    rig.session.end(rig.now)
    reborn(rig)
    assert set(rig.take()) == {"200 INVITE"}
    rig.ask("ACK", 1, to_tag=tag)
    assert rig.take() == ["BYE"]


def test_a_transfer_is_reported_to_the_end_after_the_restart() -> None:
    rig = Rig()
    tag = rig.answered_call()
    rig.ask("REFER", 2, to_tag=tag, extra="Refer-To: <sip:102@example.com>")
    rig.us.ua.notifier.accept_refer(rig.us.refers[0], rig.now)
    rig.take()
    begun = rig.request_sent("NOTIFY")
    reborn(rig)
    [transfer] = rig.us.ua.notifier.resources("refer")
    assert transfer == rig.us.refers[0].id
    rig.us.ua.notifier.report(transfer, 200, "OK", rig.now, final=True)
    rig.run(0)
    assert rig.take() == ["NOTIFY"]
    notify = rig.request_sent("NOTIFY")
    assert notify.cseq.number == begun.cseq.number + 1
    assert (notify.body, notify.headers.get("Event")) == (b"SIP/2.0 200 OK\r\n", "refer")
    assert "terminated" in (notify.headers.get("Subscription-State") or "")
    rig.reply(notify, 200)
    assert rig.us.ua.notifier.resources("refer") == []


def test_a_transfer_can_be_reported_even_after_the_session_has_ended() -> None:
    rig = Rig()
    tag = rig.answered_call()
    rig.ask("REFER", 2, to_tag=tag, extra="Refer-To: <sip:102@example.com>")
    rig.us.ua.notifier.accept_refer(rig.us.refers[0], rig.now)
    rig.ask("BYE", 3, to_tag=tag)
    rig.take()
    assert rig.session.is_done
    session = reborn(rig)
    assert session.is_done
    [transfer] = rig.us.ua.notifier.resources("refer")
    rig.us.ua.notifier.report(transfer, 200, "OK", rig.now, final=True)
    rig.run(0)
    assert rig.take() == ["NOTIFY"]
    rig.reply(rig.request_sent("NOTIFY"), 200)
    rig.run(5)
    assert len(rig.us.ua) == 0


def test_news_of_a_transfer_of_ours_is_told_after_the_restart() -> None:
    rig = Rig()
    invite = rig.established_call("Allow: INVITE, ACK, BYE, REFER, NOTIFY")
    rig.session.refer("sip:103@example.com", rig.now)
    rig.take()
    rig.reply(rig.request_sent("REFER"), 202)
    reborn(rig)
    extra = "Event: refer\nSubscription-State: terminated;reason=noresource\nContent-Type: message/sipfrag"
    rig.ask_back(invite, "NOTIFY", 2, extra=extra, body="SIP/2.0 200 OK")
    assert rig.take() == ["200 NOTIFY"]
    assert rig.us.heard == ["transfer 200 final"]


def test_an_offer_of_ours_that_the_restart_interrupted_is_made_again() -> None:
    rig = Rig()
    rig.answered_call()
    rig.session.offer(b"v=0 new", rig.now)
    rig.take()
    lost = rig.request_sent("INVITE")
    session = reborn(rig)
    assert rig.take() == ["INVITE"]
    again = rig.request_sent("INVITE")
    assert (again.body, again.cseq.number) == (b"v=0 new", lost.cseq.number + 1)
    rig.reply(lost, 200, body=SDP_2)
    assert rig.take() == ["ACK"]
    rig.reply(again, 200, body=SDP_2)
    assert rig.take() == ["ACK"]
    assert rig.us.heard == ["answer"]
    assert (session.local_sdp, session.remote_sdp) == (b"v=0 new", SDP_2.encode())


def test_an_offer_of_theirs_that_the_restart_interrupted_can_come_again() -> None:
    rig = Rig()
    rig.us.answers = None
    tag = rig.answered_call()
    branch = rig.ask("INVITE", 2, to_tag=tag, body=SDP_2)
    rig.take()
    reborn(rig)
    rig.us.answers = b"v=0 answer"
    rig.ask("INVITE", 2, to_tag=tag, body=SDP_2, branch=branch)
    assert rig.take() == ["200 INVITE"]
    assert rig.us.heard == ["offer"]


def test_a_stream_does_not_survive_so_the_contact_is_dialled_until_the_owner_knows_better() -> None:
    rig = Rig("TCP")
    rig.answered_call()
    session = reborn(rig)
    assert session.flow == Flow("TCP", PHONE, 5060, 0)
    session.flow = Flow("TCP", PHONE, 40001, 12)
    session.end(rig.now)
    assert rig.us.ua.out[-1].flow == Flow("TCP", PHONE, 40001, 12)


@pytest.mark.interpreted
@pytest.mark.parametrize("contact", ["Contact: <sip:a@[2001:db8::1]:5070>", "Contact: <sip:b@192.0.2.98;ob>;x=y"])
@pytest.mark.parametrize("route", ["", "Record-Route: <sip:p1.example.com;lr>, <sip:p2.example.com;lr>"])
def test_targets_and_routes_come_through(contact: str, route: str) -> None:
    rig = Rig()
    rig.invite(route, contact=contact)
    rig.session.accept(b"v=0 ours", rig.now)
    rig.take()
    rig.ask("ACK", 1, to_tag=rig.response_sent("200 INVITE").to.tag or "")
    twin = copy.copy(rig.session.dialog)
    session = reborn(rig)
    assert twin is not None
    assert session.dialog is not None
    ours, theirs = twin.request("BYE"), session.dialog.request("BYE")
    assert ours.encode() == theirs.encode()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda v: v.pop("call_id"),
        lambda v: v.update(flow="UDP"),
        lambda v: v.update(flow=["UDP", 1, 2]),
        lambda v: v.update(state=99),
        lambda v: v.update(state=1),
        lambda v: v.update(local_seq="x"),
        lambda v: v.update(local_sdp=7),
        lambda v: v.update(routes=[1]),
        lambda v: v.update(timer=[1]),
        lambda v: v.update(id=None),
        lambda v: v.update(accepted={"number": 1}),
        lambda v: v.update(changes=[[9, "", [], True]]),
        lambda v: v.update(ack=[1, "x", 3, 4]),
        lambda v: v.update(remote_sdp="\u1234"),
    ],
)
def test_a_value_that_cannot_be_read_raises_one_error_and_leaves_nothing(spoil: Callable[[dict[str, Json]], object]) -> None:
    rig = Rig()
    rig.answered_call(TIMED)
    value = through_json(rig.session.snapshot())
    spoil(value)
    agent = UserAgent(rig.us, Ids(random.Random(1).randbytes), lambda _: (US, 5060))
    with pytest.raises(KeptError):
        agent.restore(value, rig.us, rig.now)
    assert (len(agent), agent.out) == (0, [])


def test_members_that_are_not_known_are_passed_over() -> None:
    rig = Rig()
    rig.answered_call()
    value = through_json(rig.session.snapshot()) | {"from the future": [1, {"a": None}]}
    agent = UserAgent(rig.us, Ids(random.Random(1).randbytes), lambda _: (US, 5060))
    assert agent.restore(value, rig.us, rig.now).state is State.CONFIRMED


def test_whatever_changes_a_kept_session_is_told_and_nothing_else() -> None:
    rig = Rig()
    us = rig.us
    us.ua = UserAgent(us, Ids(random.Random(3).randbytes), lambda _: (US, 5060), keeps=True)
    rig.invite()
    assert us.ua.touched == set()
    rig.session.accept(b"v=0 ours", rig.now)
    assert us.ua.touched == {rig.session}
    us.ua.touched.clear()
    rig.take()
    tag = rig.response_sent("200 INVITE").to.tag or ""
    for step in (
        lambda: rig.ask("ACK", 1, to_tag=tag),
        lambda: rig.ask("OPTIONS", 2, to_tag=tag),
        lambda: rig.session.tell_identity([("Subject", "x")], rig.now),
        lambda: rig.session.end(rig.now),
    ):
        before = through_json(rig.session.snapshot())
        step()
        assert us.ua.touched == {rig.session}
        assert not same(before, rig.session.snapshot())
        us.ua.touched.clear()
    assert UserAgent(us, Ids(random.Random(3).randbytes), lambda _: (US, 5060)).touched == set()


# Random histories


STEPS = ["offer", "update", "their invite", "their update", "info", "options", "identity", "refer", "wait", "moved"]


def perform(rig: Rig, step: str, tag: str, seq: int, invite: Request | None) -> None:
    """One thing that happens in a call, ours or theirs, answered as a phone would."""

    def ask(method: str, extra: str = "", body: str = "") -> None:
        if invite is None:
            rig.ask(method, seq, to_tag=tag, extra=extra, body=body)
        else:
            rig.ask_back(invite, method, seq, extra=extra, body=body)

    session = rig.session
    match step:
        case "offer":
            session.offer(f"v=0 ours {seq}".encode(), rig.now)
        case "update":
            session.offer(f"v=0 ours {seq}".encode(), rig.now, prefer_update=True)
        case "their invite":
            ask("INVITE", body=f"v=0 theirs {seq}")
            if rig.take() == ["200 INVITE"]:
                ask("ACK")
        case "their update":
            ask("UPDATE", body=f"v=0 theirs {seq}")
        case "info":
            session.info("application/dtmf", b"5", rig.now)
        case "options":
            ask("OPTIONS")
        case "identity":
            session.tell_identity([("Subject", "who")], rig.now)
        case "refer":
            ask("REFER", extra="Refer-To: <sip:103@example.com>")
            if rig.us.refers:
                rig.us.ua.notifier.accept_refer(rig.us.refers[-1], rig.now)
        case "moved":
            ask("UPDATE", extra="Supported: timer\nSession-Expires: 300;refresher=uas")
        case _:
            rig.run(1.5)


def answer_all(rig: Rig) -> None:
    for word in rig.take():
        message = next(m for m in rig.got if not isinstance(m, Response) and m.method == word) if " " not in word else None
        if isinstance(message, Request) and message.method not in ("ACK", "CANCEL"):
            rig.reply(message, 200, body=SDP_2 if message.body and message.method in ("INVITE", "UPDATE") else "")
    rig.take()


@settings(max_examples=120, deadline=None)
@given(
    st.booleans(),
    st.sampled_from(["", TIMED]),
    st.lists(st.tuples(st.sampled_from(STEPS), st.booleans()), max_size=8),
)
def test_whatever_has_happened_in_it_a_session_goes_on_exactly(
    incoming: bool, extra: str, steps: list[tuple[str, bool]]
) -> None:
    rig = Rig()
    allow = "Allow: INVITE, ACK, BYE, UPDATE, REFER, NOTIFY, INFO, OPTIONS"
    invite = None if incoming else rig.established_call(GRANTED if extra else allow)
    tag = rig.answered_call(extra or allow) if invite is None else ""
    for number, (step, answered) in enumerate(steps):
        perform(rig, step, tag, number + 2, invite)
        if answered:
            answer_all(rig)
    before = rig.session
    dialog = before.dialog
    assert dialog is not None
    value = through_json(before.snapshot())
    assert same(before.snapshot(), value)
    told = (before.dialog.id, dialog.target, dialog.routes, dialog.local_seq, dialog.offers.agreed) if before.dialog else None
    transfers = rig.us.ua.notifier.resources("refer")
    timer, expires_at = before.timer, before.expires_at
    rig.take()
    session = reborn(rig)
    after = session.dialog
    assert after is not None
    sent = rig.take()
    assert session.id == before.id
    assert told is not None
    assert told[:3] == (after.id, after.target, after.routes)
    assert told[3] + sum(word in ("INVITE", "UPDATE", "BYE") for word in sent) == after.local_seq
    assert after.offers.agreed == told[4]
    assert rig.us.ua.notifier.resources("refer") == transfers
    assert (session.timer, session.expires_at if session.timer else expires_at) == (timer, expires_at)
    if session.state is State.CONFIRMED:
        if not sent:
            assert same(session.snapshot(), value)
        seq = len(steps) + 10
        perform(rig, "options", tag, seq, invite)
        assert "200 OPTIONS" in rig.take()
        session.end(rig.now)
        assert "BYE" in rig.take()
        rig.reply(rig.request_sent("BYE"), 200)
    for transfer in transfers:
        rig.us.ua.notifier.report(transfer, 200, "OK", rig.now, final=True)
    rig.run(80)
    assert len(rig.us.ua) == 0
    assert session.is_done

"""Whatever both sides do, in whatever order, over a wire that loses and delays: each session ends once and leaves nothing."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parkade.base.clock import Instant
from parkade.sip.session.lifecycle import State
from parkade.sip.session.session import Session
from tests.sip.session_wire import ANSWER, OFFER, Party, Wire

VERBS = (
    "call",
    "late call",
    "ring",
    "early media",
    "accept",
    "reject",
    "end",
    "offer",
    "update",
    "identity",
    "info",
    "refer",
    "answer refers",
    "answer",
    "refuse",
    "confirm",
    "flow lost",
    "hold answers",
    "wait",
)
STEPS = st.lists(
    st.tuples(st.sampled_from(VERBS), st.booleans(), st.sampled_from((0.0, 0.005, 0.02, 0.3, 1.0, 8.0))),
    min_size=3,
    max_size=25,
)


def perform(verb: str, who: Party, other: Party, now: Instant) -> None:
    """Do ``verb``, whether it makes sense or not."""
    session: Session | None = who.sessions[-1] if who.sessions else None
    if verb == "call":
        who.call(other)
        return
    if verb == "late call":
        who.call(other, sdp=None)
        return
    if session is None:
        return
    match verb:
        case "ring":
            session.progress(180, now)
        case "early media":
            session.progress(183, now, sdp=ANSWER)
        case "accept":
            session.accept(ANSWER, now)
        case "reject":
            session.reject(486, now)
        case "end":
            session.end(now)
        case "offer":
            session.offer(OFFER, now)
        case "update":
            session.offer(OFFER, now, prefer_update=True)
        case "identity":
            session.tell_identity([("P-Asserted-Identity", "<sip:x@192.0.2.9>")], now)
        case "info":
            session.info("application/dtmf-relay", b"Signal=5", now)
        case "refer":
            session.refer("sip:*801@192.0.2.9", now)
        case "answer refers":
            for refer in who.refers:
                who.ua.notifier.accept_refer(refer, now)
                who.ua.notifier.report(refer.id, 200, "OK", now, final=True)
        case "answer":
            session.answer(ANSWER, now)
        case "refuse":
            session.refuse_offer(now)
        case "confirm":
            session.confirm(ANSWER, now)
        case "flow lost":
            who.ua.flow_lost(who.flow_to(other), now)
        case "hold answers":
            who.answers = who.offers = who.confirms = None
        case _:
            pass


def settle(wire: Wire, parties: tuple[Party, Party]) -> None:
    """End what is left and let every timer run out."""
    wire.run(40)
    for party in parties:
        for session in party.sessions:
            session.end(wire.now)
    wire.run(300)
    for party in parties:
        assert all(session.state is State.ENDED for session in party.sessions)
        assert {s.id: len(party.ends.get(s.id, [])) for s in party.sessions} == {s.id: 1 for s in party.sessions}
        assert party.late == []
    assert wire.alive() == 0


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS, st.integers(0, 2**32), st.sampled_from((0.0, 0.1, 0.35)), st.booleans(), st.booleans())
def test_any_storm_ends_each_session_once_and_leaves_nothing(
    steps: list[tuple[str, bool, float]], seed: int, loss: float, streams: bool, patient: bool
) -> None:
    wire = Wire(seed, loss, (0.001, 0.3))
    transport = "TCP" if streams else "UDP"
    ann, bob = wire.party("192.0.2.1", transport), wire.party("192.0.2.2", transport)
    if patient:
        ann.on_ring = bob.on_ring = lambda session, now: None
    ann.call(bob)
    for verb, by_bob, wait_s in steps:
        who, other = (bob, ann) if by_bob else (ann, bob)
        perform(verb, who, other, wire.now)
        wire.run(wait_s)
    settle(wire, (ann, bob))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from((0.2, 0.5)))
def test_a_lossy_wire_loses_no_event_of_an_ordinary_call(seed: int, loss: float) -> None:
    wire = Wire(seed, loss, (0.001, 0.1), mercy=2)
    ann, bob = wire.party("192.0.2.1"), wire.party("192.0.2.2")
    call = ann.call(bob)
    wire.run(40)
    assert ann.heard[:2] == ["answered", "established"]
    assert bob.heard[:2] == ["invite", "established"]
    call.end(wire.now)
    wire.run(200)
    assert ann.heard[2:] == ["ended ended"]
    assert bob.heard[2:] == ["ended bye"]
    assert wire.alive() == 0

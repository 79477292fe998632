"""The process dies in every stage of a call, and the call goes on: S85, SPEC 10.4 and 10.5."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parkade.base.ids import Ids
from parkade.base.sound import Music, Peer, Spoken
from parkade.calls.control import CallControl
from parkade.calls.directory import Directory, NotPickedUp, ParkPolicy
from parkade.calls.effects import EndLeg, Hear, NotRestored, Progress, RingEndpoint
from parkade.calls.events import CallAbandoned, CallParked, CallReparked, CallRetrieved, CallTimedOut
from parkade.calls.identity import Identity
from parkade.calls.inputs import DirectoryChanged, Failure
from parkade.testing.call_rig import CallRig, Phone, check_invariants
from tests.calls.accounts import rig_with, two_accounts


def parked(rig: CallRig, target: str = "*800") -> Phone:
    """Bob, parked by Alice."""
    alice, bob = rig.conversation("alice", "102")
    rig.transfer(alice, target)
    rig.advance(1)
    return bob


def refusal_of(phone: Phone) -> str | None:
    return phone.refused.refusal.id if phone.refused else None


def test_a_parked_caller_has_its_music_its_code_and_its_deadline() -> None:
    rig = rig_with()
    bob = parked(rig, "*805")
    rig.advance(99)
    rig.crash()
    assert bob.hears == Music()
    rig.advance(499.5)
    assert rig.all_ringing() == set()
    rig.advance(0.5)
    assert rig.all_ringing() == {"alice", "alice-app"}
    ring = rig.ringing("alice").ring
    assert ring
    assert ring.caller == Identity("Park *805 Bob", "102")
    assert rig.talking(rig.answer("alice"), bob)


def test_a_parked_caller_is_retrieved_by_its_code() -> None:
    rig = rig_with()
    bob = parked(rig)
    rig.crash()
    carol = rig.call("carol", "*801")
    assert rig.talking(carol, bob)
    (event,) = rig.events(CallRetrieved)
    assert (event.parked_by, event.waited_s) == ("101", 1)


def test_a_deadline_that_passed_while_nobody_was_there_is_due_at_once_and_once() -> None:
    rig = rig_with()
    bob = parked(rig)
    rig.now += 700
    rig.crash()
    assert rig.all_ringing() == {"alice", "alice-app"}
    rig.crash()
    assert rig.all_ringing() == {"alice", "alice-app"}
    assert len(rig.events(CallTimedOut)) == 1
    assert bob.hears == Music()


def test_a_ring_back_is_begun_anew_for_the_time_that_was_left() -> None:
    rig = rig_with()
    bob = parked(rig)
    rig.advance(600 + 9)
    rig.crash()
    assert rig.all_ringing() == {"alice", "alice-app"}
    rig.advance(19)
    assert rig.all_ringing() == {"alice", "alice-app"}
    rig.advance(1)
    assert rig.all_ringing() == set()
    assert [e.code for e in rig.events(CallReparked)] == ["*802"]
    assert rig.talking(rig.call("carol", "*802"), bob)


def test_a_ring_back_whose_time_passed_meanwhile_is_over_and_rings_nobody() -> None:
    rig = rig_with()
    parked(rig)
    rig.advance(600)
    rig.now += 60
    told = len(rig.effects)
    rig.crash()
    assert not [e for e in rig.effects[told:] if isinstance(e, RingEndpoint)]
    assert len(rig.events(CallReparked)) == 1


def test_a_caller_who_waits_for_a_code_goes_on_waiting() -> None:
    rig = rig_with(first=801, last=801)
    bob = parked(rig)
    rig.advance(600)
    rig.call("door", "")
    rig.advance(30)
    rig.crash()
    assert bob.hears == Music()
    rig.advance(15)
    assert rig.all_ringing() == {"alice", "alice-app"}


def test_a_conversation_goes_on() -> None:
    rig = rig_with()
    alice, bob = rig.conversation("alice", "102")
    rig.crash()
    assert rig.talking(alice, bob)
    rig.hold(alice)
    assert rig.call("alice", "*800").park_code == "*801"


def test_a_hold_goes_on_and_can_be_parked() -> None:
    rig = rig_with()
    first, _ = rig.conversation("alice", "102")
    rig.hold(first)
    second, carol = rig.conversation("alice", "103")
    rig.hold(second)
    rig.crash()
    assert carol.hears == Music()
    code = rig.call("alice", "*800")
    assert code.park_code == "*801"
    assert [e.caller_name for e in rig.events(CallParked)] == ["Carol"]


def test_a_reservation_and_the_last_pick_up_survive() -> None:
    rig = rig_with()
    parked(rig, "*805")
    carol = rig.call("carol", "*805")
    rig.advance(20)
    rig.crash()
    wall = rig.call("wall", "*805")
    assert wall.refused
    assert "Carol" in wall.refused.refusal.en
    rig.transfer(carol, "*800")
    assert rig.events(CallParked)[-1].code == "*805"
    again = rig.call("carol", "*805")
    rig.crash()
    rig.advance(30.5)
    rig.transfer(again, "*800")
    assert rig.events(CallParked)[-1].code == "*801"


def test_who_picked_up_is_known_after_the_call_is_over() -> None:
    rig = rig_with()
    bob = parked(rig)
    rig.call("carol", "*801")
    rig.hang_up(bob)
    rig.crash()
    assert refusal_of(rig.call("wall", "*801")) == "already_picked_up"
    rig.advance(11)
    assert refusal_of(rig.call("wall", "*801")) == "no_call_parked"
    assert not rig.kept


def test_a_retrieve_that_was_never_confirmed_is_undone_after_a_restart() -> None:
    rig = rig_with()
    bob = parked(rig)
    carol = rig.call("carol", "*801")
    rig.crash()
    rig.hang_up(carol, established=False)
    assert rig.talking(rig.call("wall", "*801"), bob)


@pytest.mark.parametrize("within_reserve_time", [True, False])
def test_a_retrieving_phone_that_is_lost_with_the_process_puts_the_caller_back(within_reserve_time: bool) -> None:
    rig = rig_with()
    bob = parked(rig)
    carol = rig.call("carol", "*801")
    rig.advance(5 if within_reserve_time else 40)
    rig.crash(lost=[carol])
    assert rig.talking(rig.call("wall", "*801"), bob)


def test_a_code_that_is_being_said_is_said_and_then_the_parker_is_hung_up_on() -> None:
    rig = rig_with()
    alice, bob = rig.conversation("alice", "102")
    rig.press(alice, "*5")
    words = alice.hears
    rig.crash()
    assert alice.hears == words
    rig.listen(alice)
    assert alice.ended
    assert bob.hears == Music()


def test_a_farewell_is_said_and_then_the_caller_is_hung_up_on() -> None:
    rig = rig_with(ParkPolicy(not_picked_up=NotPickedUp.DISCONNECT))
    bob = parked(rig)
    rig.advance(599.5)
    assert isinstance(bob.hears, Spoken)
    rig.crash()
    assert isinstance(bob.hears, Spoken)
    rig.advance(12)
    assert bob.ended
    assert not rig.kept


def test_a_transfer_under_way_is_begun_anew_and_reported() -> None:
    rig = rig_with()
    alice, bob = rig.conversation("alice", "102")
    transfer = rig.transfer(alice, "103")
    rig.crash()
    assert rig.all_ringing() == {"carol"}
    assert rig.talking(rig.answer("carol"), bob)
    assert rig.progress(transfer) == [Progress.ACCEPTED, Progress.DONE]


def test_a_transferred_caller_goes_back_to_the_transferor_also_after_a_restart() -> None:
    rig = rig_with()
    alice, bob = rig.conversation("alice", "102")
    rig.transfer(alice, "103")
    rig.crash(lost=[alice])
    rig.fail("carol", Failure.BUSY)
    assert rig.all_ringing() == {"alice", "alice-app"}
    rig.crash()
    assert rig.talking(rig.answer("alice"), bob)


def test_a_call_that_was_not_answered_is_gone() -> None:
    rig = rig_with()
    alice = rig.call("alice", "102")
    assert not rig.kept
    rig.crash()
    assert alice.gone
    assert not any(rig.control.counts())


def test_what_was_being_explained_is_left_out_and_the_two_talk() -> None:
    rig = rig_with(first=801, last=801)
    rig.call("door", "")
    alice, bob = rig.conversation("alice", "102")
    rig.press(alice, "*5")
    assert isinstance(alice.hears, Spoken)
    rig.crash()
    assert rig.talking(alice, bob)


def test_a_parked_caller_that_is_lost_has_left_its_code() -> None:
    rig = rig_with()
    bob = parked(rig)
    rig.crash(lost=[bob])
    assert len(rig.events(CallAbandoned)) == 1
    assert not any(rig.control.counts())
    assert not rig.kept


def test_whoever_a_lost_phone_had_on_hold_is_parked() -> None:
    rig = rig_with()
    bob, alice = rig.conversation("bob", "101", "alice")
    rig.hold(alice)
    rig.crash(lost=[alice])
    assert rig.talking(rig.call("carol", "*801"), bob)


@pytest.mark.parametrize("order", [1, -1])
def test_two_phones_that_are_lost_with_the_process_leave_nothing(order: int) -> None:
    rig = rig_with()
    bob, alice = rig.conversation("bob", "101", "alice")
    rig.hold(alice)
    rig.crash(lost=[bob, alice][::order])
    assert not any(rig.control.counts())
    assert not rig.kept


def test_a_lot_that_was_removed_while_nobody_was_there_keeps_its_callers() -> None:
    rig = rig_with()
    bob = parked(rig, "*805")
    directory = two_accounts()
    acme = directory.accounts["acme"]
    lots = {"new": replace(acme.lots[""], id="new", name="New", first=901, last=999)}
    rig._directory = Directory({"acme": replace(acme, lots=lots, main_lot="new")}, directory.devices)
    rig.crash()
    assert rig.talking(rig.call("carol", "*805"), bob)


def test_an_account_that_was_removed_while_nobody_was_there_keeps_its_callers() -> None:
    rig = rig_with()
    bob = parked(rig)
    rig._directory = Directory()
    rig.crash()
    assert bob.hears == Music()
    rig.tell(DirectoryChanged(two_accounts()))
    assert rig.talking(rig.call("carol", "*801"), bob)


def test_both_ends_are_told_what_they_hear_and_no_leg_is_ended() -> None:
    rig = rig_with()
    alice, bob = rig.conversation("alice", "102")
    told = len(rig.effects)
    rig.crash()
    effects = rig.effects[told:]
    assert Hear(alice.leg, Peer(bob.leg)) in effects
    assert Hear(bob.leg, Peer(alice.leg)) in effects
    assert not [e for e in effects if isinstance(e, EndLeg)]
    assert set(rig.control.legs()) == {alice.leg, bob.leg}


def at_work() -> CallRig:
    """Calls that are recalled, parked, transferred, announced, retrieved, with a code kept for one of them."""
    rig = rig_with(ParkPolicy(expiration_s=60), first=801, last=805)
    parked(rig)
    rig.advance(61)
    rig.call("door", "")
    rig.call("dock", "")
    carol = rig.conversation("gw", "103", "carol")[1]
    rig.transfer(carol, "110")
    rig.press(rig.conversation("gina", "105", "gus")[0], "*5")
    rig.call("gw", "*805")
    return rig


def nobody_there() -> CallRig:
    """A caller who waits for a code to be free, and one at the only code."""
    rig = rig_with(ParkPolicy(expiration_s=60), first=801, last=801)
    parked(rig)
    rig.advance(60)
    rig.call("door", "")
    rig.advance(31)
    return rig


def farewells() -> CallRig:
    """A caller who hears that nobody is there."""
    rig = rig_with(ParkPolicy(not_picked_up=NotPickedUp.DISCONNECT))
    parked(rig)
    rig.advance(599.5)
    return rig


OFFICES = [at_work, nobody_there, farewells]


def test_every_stage_has_been_seen_here() -> None:
    stages = {json.loads(v)["stage"] for office in OFFICES for v in office().kept.values() if "stage" in json.loads(v)}
    assert stages == {"ringing", "talking", "parked", "waiting", "announcing", "leaving"}


@pytest.mark.parametrize("office", OFFICES)
def test_values_are_plain_and_come_back_the_same(office: Callable[[], CallRig]) -> None:
    rig = office()
    before = dict(rig.kept)
    rig.crash()
    for call in list(rig.control._state.calls):
        rig.control._state.touched[call] = None
    rig._perform(rig.control._drain())
    again = {key: json.loads(value) for key, value in rig.kept.items()}
    assert again == {key: json.loads(value) for key, value in before.items()}


def damaged(value: object, path: list[int], by: object) -> object:
    if not path or not isinstance(value, dict | list) or not value:
        return by
    first, *rest = path
    if isinstance(value, list):
        at = first % len(value)
        return [damaged(one, rest, by) if n == at else one for n, one in enumerate(value)]
    key = sorted(value)[first % len(value)]
    if by == "left out" and not rest:
        return {name: one for name, one in value.items() if name != key}
    return {name: damaged(one, rest, by) if name == key else one for name, one in value.items()}


@given(
    office=st.sampled_from(OFFICES),
    which=st.integers(0, 5),
    path=st.lists(st.integers(0, 12), min_size=0, max_size=5),
    by=st.sampled_from([None, "left out", "x", "", [], {}, -1, 1e400, True, 9999999, [1, 2]]),
)
@settings(max_examples=300, deadline=None)
def test_a_value_that_cannot_be_read_is_left_out_and_takes_no_other_call_with_it(
    office: Callable[[], CallRig], which: int, path: list[int], by: object
) -> None:
    rig = office()
    kept = {key: json.loads(value) for key, value in rig.kept.items()}
    key = sorted(kept)[which % len(kept)]
    kept[key] = damaged(kept[key], path, by)
    control = CallControl(rig._directory, Ids(random.Random(3).randbytes))
    effects = control.restore({**kept, "leg/1": 5, "binding/x": None}, rig.now)
    check_invariants(control)
    assert {e.key for e in effects if isinstance(e, NotRestored)} <= {key}
    whole = {name.removeprefix("call/") for name, value in kept.items() if name != key and "party" in value}
    assert whole <= set(control._state.calls)
    for seconds in (0, 1, 100, 10_000):
        control.wake(rig.now + seconds)
        check_invariants(control)

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
from parkade.calls.effects import EndLeg, Hear, NotRestored, Progress, RingDevice
from parkade.calls.events import CallAbandoned, CallParked, CallReparked, CallRetrieved, CallTimedOut
from parkade.calls.identity import Identity
from parkade.calls.inputs import DirectoryChanged, Failure
from parkade.testing.call_play import CallPlay, Phone, umpire
from tests.calls.cast import play_with, two_accounts


def parked(play: CallPlay, target: str = "*800") -> Phone:
    """Bob, parked by Alice."""
    alice, bob = play.conversation("alice", "102")
    play.transfer(alice, target)
    play.advance(1)
    return bob


def refusal_of(phone: Phone) -> str | None:
    return phone.refused.refusal.id if phone.refused else None


def test_a_parked_caller_has_its_music_its_code_and_its_deadline() -> None:
    play = play_with()
    bob = parked(play, "*805")
    play.advance(99)
    play.crash()
    assert bob.hears == Music()
    play.advance(499.5)
    assert play.all_ringing() == set()
    play.advance(0.5)
    assert play.all_ringing() == {"alice", "alice-app"}
    ring = play.ringing("alice").ring
    assert ring
    assert ring.caller == Identity("Park *805 Bob", "102")
    assert play.talking(play.answer("alice"), bob)


def test_a_parked_caller_is_retrieved_by_its_code() -> None:
    play = play_with()
    bob = parked(play)
    play.crash()
    carol = play.call("carol", "*801")
    assert play.talking(carol, bob)
    (event,) = play.events(CallRetrieved)
    assert (event.parked_by, event.waited_s) == ("101", 1)


def test_a_deadline_that_passed_while_nobody_was_there_is_due_at_once_and_once() -> None:
    play = play_with()
    bob = parked(play)
    play.now += 700
    play.crash()
    assert play.all_ringing() == {"alice", "alice-app"}
    play.crash()
    assert play.all_ringing() == {"alice", "alice-app"}
    assert len(play.events(CallTimedOut)) == 1
    assert bob.hears == Music()


def test_a_ring_back_is_begun_anew_for_the_time_that_was_left() -> None:
    play = play_with()
    bob = parked(play)
    play.advance(600 + 9)
    play.crash()
    assert play.all_ringing() == {"alice", "alice-app"}
    play.advance(19)
    assert play.all_ringing() == {"alice", "alice-app"}
    play.advance(1)
    assert play.all_ringing() == set()
    assert [e.code for e in play.events(CallReparked)] == ["*802"]
    assert play.talking(play.call("carol", "*802"), bob)


def test_a_ring_back_whose_time_passed_meanwhile_is_over_and_rings_nobody() -> None:
    play = play_with()
    parked(play)
    play.advance(600)
    play.now += 60
    told = len(play.effects)
    play.crash()
    assert not [e for e in play.effects[told:] if isinstance(e, RingDevice)]
    assert len(play.events(CallReparked)) == 1


def test_a_caller_who_waits_for_a_code_goes_on_waiting() -> None:
    play = play_with(first=801, last=801)
    bob = parked(play)
    play.advance(600)
    play.call("door", "")
    play.advance(30)
    play.crash()
    assert bob.hears == Music()
    play.advance(15)
    assert play.all_ringing() == {"alice", "alice-app"}


def test_a_conversation_goes_on() -> None:
    play = play_with()
    alice, bob = play.conversation("alice", "102")
    play.crash()
    assert play.talking(alice, bob)
    play.hold(alice)
    assert play.call("alice", "*800").park_code == "*801"


def test_a_hold_goes_on_and_can_be_parked() -> None:
    play = play_with()
    first, _ = play.conversation("alice", "102")
    play.hold(first)
    second, carol = play.conversation("alice", "103")
    play.hold(second)
    play.crash()
    assert carol.hears == Music()
    code = play.call("alice", "*800")
    assert code.park_code == "*801"
    assert [e.caller_name for e in play.events(CallParked)] == ["Carol"]


def test_a_reservation_and_the_last_pick_up_survive() -> None:
    play = play_with()
    parked(play, "*805")
    carol = play.call("carol", "*805")
    play.advance(20)
    play.crash()
    wall = play.call("wall", "*805")
    assert wall.refused
    assert "Carol" in wall.refused.refusal.en
    play.transfer(carol, "*800")
    assert play.events(CallParked)[-1].code == "*805"
    again = play.call("carol", "*805")
    play.crash()
    play.advance(30.5)
    play.transfer(again, "*800")
    assert play.events(CallParked)[-1].code == "*801"


def test_who_picked_up_is_known_after_the_call_is_over() -> None:
    play = play_with()
    bob = parked(play)
    play.call("carol", "*801")
    play.hang_up(bob)
    play.crash()
    assert refusal_of(play.call("wall", "*801")) == "already_picked_up"
    play.advance(11)
    assert refusal_of(play.call("wall", "*801")) == "no_call_parked"
    assert not play.kept


def test_a_retrieve_that_was_never_confirmed_is_undone_after_a_restart() -> None:
    play = play_with()
    bob = parked(play)
    carol = play.call("carol", "*801")
    play.crash()
    play.hang_up(carol, established=False)
    assert play.talking(play.call("wall", "*801"), bob)


@pytest.mark.parametrize("within_reserve_time", [True, False])
def test_a_retrieving_phone_that_is_lost_with_the_process_puts_the_caller_back(within_reserve_time: bool) -> None:
    play = play_with()
    bob = parked(play)
    carol = play.call("carol", "*801")
    play.advance(5 if within_reserve_time else 40)
    play.crash(lost=[carol])
    if within_reserve_time:
        assert play.talking(play.call("wall", "*801"), bob)
    else:
        assert bob.ended


def test_a_code_that_is_being_said_is_said_and_then_the_parker_is_hung_up_on() -> None:
    play = play_with()
    alice, bob = play.conversation("alice", "102")
    play.press(alice, "*5")
    words = alice.hears
    play.crash()
    assert alice.hears == words
    play.listen(alice)
    assert alice.ended
    assert bob.hears == Music()


def test_a_farewell_is_said_and_then_the_caller_is_hung_up_on() -> None:
    play = play_with(ParkPolicy(not_picked_up=NotPickedUp.DISCONNECT))
    bob = parked(play)
    play.advance(599.5)
    assert isinstance(bob.hears, Spoken)
    play.crash()
    assert isinstance(bob.hears, Spoken)
    play.advance(12)
    assert bob.ended
    assert not play.kept


def test_a_transfer_under_way_is_begun_anew_and_reported() -> None:
    play = play_with()
    alice, bob = play.conversation("alice", "102")
    transfer = play.transfer(alice, "103")
    play.crash()
    assert play.all_ringing() == {"carol"}
    assert play.talking(play.answer("carol"), bob)
    assert play.progress(transfer) == [Progress.ACCEPTED, Progress.DONE]


def test_a_transferred_caller_goes_back_to_the_transferor_also_after_a_restart() -> None:
    play = play_with()
    alice, bob = play.conversation("alice", "102")
    play.transfer(alice, "103")
    play.crash(lost=[alice])
    play.fail("carol", Failure.BUSY)
    assert play.all_ringing() == {"alice", "alice-app"}
    play.crash()
    assert play.talking(play.answer("alice"), bob)


def test_a_call_that_was_not_answered_is_gone() -> None:
    play = play_with()
    alice = play.call("alice", "102")
    assert not play.kept
    play.crash()
    assert alice.gone
    assert not any(play.control.counts())


def test_what_was_being_explained_is_left_out_and_the_two_talk() -> None:
    play = play_with(first=801, last=801)
    play.call("door", "")
    alice, bob = play.conversation("alice", "102")
    play.press(alice, "*5")
    assert isinstance(alice.hears, Spoken)
    play.crash()
    assert play.talking(alice, bob)


def test_a_parked_caller_that_is_lost_has_left_its_code() -> None:
    play = play_with()
    bob = parked(play)
    play.crash(lost=[bob])
    assert len(play.events(CallAbandoned)) == 1
    assert not any(play.control.counts())
    assert not play.kept


def test_whoever_a_lost_phone_had_on_hold_is_parked() -> None:
    play = play_with()
    bob, alice = play.conversation("bob", "101", "alice")
    play.hold(alice)
    play.crash(lost=[alice])
    assert play.talking(play.call("carol", "*801"), bob)


@pytest.mark.parametrize("order", [1, -1])
def test_two_phones_that_are_lost_with_the_process_leave_nothing(order: int) -> None:
    play = play_with()
    bob, alice = play.conversation("bob", "101", "alice")
    play.hold(alice)
    play.crash(lost=[bob, alice][::order])
    assert not any(play.control.counts())
    assert not play.kept


def test_a_lot_that_was_removed_while_nobody_was_there_keeps_its_callers() -> None:
    play = play_with()
    bob = parked(play, "*805")
    directory = two_accounts()
    acme = directory.accounts["acme"]
    lots = {"new": replace(acme.lots[""], id="new", name="New", first=901, last=999)}
    play._directory = Directory({"acme": replace(acme, lots=lots, main_lot="new")}, directory.devices)
    play.crash()
    assert play.talking(play.call("carol", "*805"), bob)


def test_an_account_that_was_removed_while_nobody_was_there_keeps_its_callers() -> None:
    play = play_with()
    bob = parked(play)
    play._directory = Directory()
    play.crash()
    assert bob.hears == Music()
    play.tell(DirectoryChanged(two_accounts()))
    assert play.talking(play.call("carol", "*801"), bob)


def test_both_ends_are_told_what_they_hear_and_no_leg_is_ended() -> None:
    play = play_with()
    alice, bob = play.conversation("alice", "102")
    told = len(play.effects)
    play.crash()
    effects = play.effects[told:]
    assert Hear(alice.leg, Peer(bob.leg)) in effects
    assert Hear(bob.leg, Peer(alice.leg)) in effects
    assert not [e for e in effects if isinstance(e, EndLeg)]
    assert set(play.control.legs()) == {alice.leg, bob.leg}


def at_work() -> CallPlay:
    """Calls that are recalled, parked, transferred, announced, retrieved, with a code kept for one of them."""
    play = play_with(ParkPolicy(expiration_s=60), first=801, last=805)
    parked(play)
    play.advance(61)
    play.call("door", "")
    play.call("dock", "")
    carol = play.conversation("gw", "103", "carol")[1]
    play.transfer(carol, "110")
    play.press(play.conversation("gina", "105", "gus")[0], "*5")
    play.call("gw", "*805")
    return play


def nobody_there() -> CallPlay:
    """A caller who waits for a code to be free, and one at the only code."""
    play = play_with(ParkPolicy(expiration_s=60), first=801, last=801)
    parked(play)
    play.advance(60)
    play.call("door", "")
    play.advance(31)
    return play


def farewells() -> CallPlay:
    """A caller who hears that nobody is there."""
    play = play_with(ParkPolicy(not_picked_up=NotPickedUp.DISCONNECT))
    parked(play)
    play.advance(599.5)
    return play


OFFICES = [at_work, nobody_there, farewells]


def test_every_stage_has_been_seen_here() -> None:
    stages = {json.loads(v)["stage"] for office in OFFICES for v in office().kept.values() if "stage" in json.loads(v)}
    assert stages == {"ringing", "talking", "parked", "waiting", "announcing", "leaving"}


@pytest.mark.parametrize("office", OFFICES)
def test_values_are_plain_and_come_back_the_same(office: Callable[[], CallPlay]) -> None:
    play = office()
    before = dict(play.kept)
    play.crash()
    for call in list(play.control._board.calls):
        play.control._board.touched[call] = None
    play._perform(play.control._drain())
    again = {key: json.loads(value) for key, value in play.kept.items()}
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
    office: Callable[[], CallPlay], which: int, path: list[int], by: object
) -> None:
    play = office()
    kept = {key: json.loads(value) for key, value in play.kept.items()}
    key = sorted(kept)[which % len(kept)]
    kept[key] = damaged(kept[key], path, by)
    control = CallControl(play._directory, Ids(random.Random(3).randbytes))
    effects = control.restore({**kept, "leg/1": 5, "binding/x": None}, play.now)
    umpire(control)
    assert {e.key for e in effects if isinstance(e, NotRestored)} <= {key}
    whole = {name.removeprefix("call/") for name, value in kept.items() if name != key and "party" in value}
    assert whole <= set(control._board.calls)
    for seconds in (0, 1, 100, 10_000):
        control.wake(play.now + seconds)
        umpire(control)

"""Phones that die, and messages that cross: whoever was at the other end is kept where that is what anybody would want."""

from __future__ import annotations

from dataclasses import replace

import pytest

from parkade.base.sound import Music, Spoken
from parkade.calls.directory import Directory, ParkPolicy
from parkade.calls.events import CallAbandoned, CallParked, CallReparked, CallRetrieved, CallReturned, CallTimedOut
from parkade.calls.inputs import Cause, DirectoryChanged
from parkade.testing.call_play import CallPlay, Phone
from tests.calls.cast import play_with, two_accounts


def parked(play: CallPlay, target: str = "*800") -> Phone:
    """Bob, parked by Alice."""
    alice, bob = play.conversation("alice", "102")
    play.transfer(alice, target)
    return bob


def refusal_of(phone: Phone) -> str | None:
    return phone.refused.refusal.id if phone.refused else None


# A retrieve that was given up


@pytest.mark.parametrize("established", [True, False])
@pytest.mark.parametrize("cause", list(Cause))
@pytest.mark.parametrize("reserve_s", [0.0, 30.0])
@pytest.mark.parametrize("who", ["carol", "gw"])
def test_a_cancel_that_crosses_the_answer_to_a_retrieve_puts_the_caller_back(
    established: bool, cause: Cause, reserve_s: float, who: str
) -> None:
    play = play_with(ParkPolicy(reserve_s=reserve_s))
    bob = parked(play)
    play.advance(500)
    phone = play.call(who, "*801")
    play.advance(0.2)
    play.hang_up(phone, cause, established=established, cancelled=True)
    assert bob.hears == Music()
    assert not bob.gone
    play.advance(99)
    assert play.all_ringing() == set()
    play.advance(1)
    assert play.all_ringing() == {"alice", "alice-app"}


def test_a_caller_put_back_is_retrieved_by_its_old_code() -> None:
    play = play_with()
    bob = parked(play, "*805")
    play.hang_up(play.call("carol", "*805"), cancelled=True)
    wall = play.call("wall", "*805")
    assert play.talking(wall, bob)
    assert [type(e) for e in play.events(CallRetrieved, CallReparked)] == [
        CallRetrieved,
        CallReparked,
        CallRetrieved,
    ]


def test_a_caller_put_back_whose_code_was_given_away_gets_another() -> None:
    play = play_with(ParkPolicy(reserve_s=0))
    bob = parked(play)
    carol = play.call("carol", "*801")
    assert play.call("door", "").park_code == "*801"
    play.hang_up(carol, cancelled=True)
    assert bob.hears == Music()
    assert play.talking(play.call("alice", "*802"), bob)


def test_a_deadline_that_passed_while_a_retrieve_was_given_up_is_due_at_once() -> None:
    play = play_with()
    bob = parked(play)
    play.advance(590)
    carol = play.call("carol", "*801")
    play.advance(20)
    play.hang_up(carol, established=False)
    play.advance(0)
    assert play.all_ringing() == {"alice", "alice-app"}
    assert bob.hears == Music()
    assert len(play.events(CallTimedOut)) == 1


def test_a_retrieved_call_that_is_simply_hung_up_is_over() -> None:
    play = play_with()
    bob = parked(play)
    play.hang_up(play.call("carol", "*801"))
    assert bob.ended


def test_a_cancel_of_an_ordinary_call_that_crosses_its_answer_ends_it() -> None:
    play = play_with()
    alice, bob = play.conversation("alice", "102")
    play.hang_up(alice, cancelled=True)
    assert bob.ended


# Dead phones


def test_whoever_a_dead_phone_had_on_hold_is_parked_by_its_person() -> None:
    play = play_with()
    bob, alice = play.conversation("bob", "101", "alice")
    play.hold(alice)
    play.hang_up(alice, Cause.LOST)
    assert bob.hears == Music()
    (event,) = play.events(CallParked)
    assert (event.code, event.parked_by, event.caller_name) == ("*801", "101", "Bob")
    play.advance(600)
    assert play.talking(play.answer("alice-app"), bob)


@pytest.mark.parametrize("full", ["the lot is full", "parking is off"])
def test_where_it_cannot_be_parked_it_is_offered_to_the_persons_phones(full: str) -> None:
    play = play_with(first=801, last=801)
    bob, alice = play.conversation("bob", "101", "alice")
    play.hold(alice)
    if full == "the lot is full":
        play.call("door", "")
    else:
        play.tell(DirectoryChanged(two_accounts(ParkPolicy(enable=False))))
    play.hang_up(alice, Cause.LOST)
    assert bob.hears == Music()
    assert play.all_ringing() == {"alice", "alice-app"}
    assert play.talking(play.answer("alice-app"), bob)


def test_whom_nobody_takes_back_is_told_so() -> None:
    play = play_with(first=801, last=801)
    outside, gateway = play.conversation("carol", "102")
    play.call("door", "")
    play.hold(gateway)
    play.hang_up(gateway, Cause.LOST)
    play.advance(31)
    assert isinstance(outside.hears, Spoken)
    play.listen(outside)
    assert outside.ended


def test_whoever_a_dead_gateway_had_on_hold_is_parked_by_nobody() -> None:
    play = play_with()
    gateway, bob = play.conversation("gw", "102")
    play.hold(gateway)
    play.hang_up(gateway, Cause.LOST)
    assert bob.hears == Music()
    assert play.events(CallParked)[0].parked_by is None


def test_a_person_that_is_gone_by_then_still_leaves_its_caller_parked() -> None:
    play = play_with()
    bob, alice = play.conversation("bob", "101", "alice")
    play.hold(alice)
    before = two_accounts()
    acme = before.accounts["acme"]
    owners = {ext: owner for ext, owner in acme.owners.items() if ext != "101"}
    play.tell(DirectoryChanged(Directory({"acme": replace(acme, owners=owners)}, before.devices)))
    play.hang_up(alice, Cause.LOST)
    assert play.talking(play.call("carol", "*801"), bob)


def test_whoever_a_dead_phone_was_talking_with_is_hung_up_on() -> None:
    play = play_with()
    bob, alice = play.conversation("bob", "101", "alice")
    play.hang_up(alice, Cause.LOST)
    assert bob.ended


def test_a_party_retrieved_by_a_phone_that_dies_within_the_reserve_time_is_put_back() -> None:
    play = play_with()
    bob = parked(play)
    carol = play.call("carol", "*801")
    play.advance(29)
    play.hang_up(carol, Cause.LOST)
    assert play.talking(play.call("wall", "*801"), bob)


def test_after_the_reserve_time_the_call_is_a_call_like_any_other() -> None:
    play = play_with()
    bob = parked(play)
    carol = play.call("carol", "*801")
    play.advance(31)
    play.hang_up(carol, Cause.LOST)
    assert bob.ended


def test_a_parked_phone_that_dies_has_left() -> None:
    play = play_with()
    bob = parked(play)
    play.hang_up(bob, Cause.LOST)
    assert len(play.events(CallAbandoned)) == 1
    assert refusal_of(play.call("carol", "*801")) == "no_call_parked"


def test_both_ends_that_die_leave_nothing() -> None:
    play = play_with()
    bob, alice = play.conversation("bob", "101", "alice")
    play.hold(alice)
    play.hang_up(alice, Cause.LOST)
    play.hang_up(bob, Cause.LOST)
    assert not any(play.control.counts())


# Picking up by Replaces


def test_early_only_leaves_an_answered_call_alone() -> None:
    play = play_with()
    alice, bob = play.conversation("alice", "102")
    for end in (alice, bob):
        assert refusal_of(play.call("carol", "", replaces=end, early_only=True)) == "already_answered"
    assert play.talking(alice, bob)


@pytest.mark.parametrize("early_only", [True, False])
def test_a_phone_that_rings_is_picked_up_from_another(early_only: bool) -> None:
    play = play_with()
    alice = play.call("alice", "120")
    bob = play.rings("bob")
    carol = play.ringing("carol")
    wall = play.call("wall", "", replaces=bob, early_only=early_only)
    assert play.talking(alice, wall)
    assert bob.ended
    assert carol.ended
    assert bob.ended.answered_elsewhere


def test_a_ring_back_is_picked_up_from_another_phone() -> None:
    play = play_with()
    bob = parked(play)
    play.advance(600)
    carol = play.call("carol", "", replaces=play.ringing("alice"), early_only=True)
    assert play.talking(carol, bob)
    assert play.events(CallReturned)[0].returned_to == "103"


def test_early_only_leaves_a_parked_call_alone() -> None:
    play = play_with()
    bob = parked(play)
    assert refusal_of(play.call("carol", "", replaces=bob, early_only=True)) == "already_answered"
    assert play.talking(play.call("carol", "*801"), bob)

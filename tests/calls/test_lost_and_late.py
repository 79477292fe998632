"""Phones that die, and messages that cross: whoever was at the other end is kept where that is what anybody would want."""

from __future__ import annotations

from dataclasses import replace

import pytest

from parkade.base.sound import Music, Spoken
from parkade.calls.directory import Directory, ParkPolicy
from parkade.calls.effects import Elsewhere
from parkade.calls.events import CallAbandoned, CallParked, CallReparked, CallRetrieved, CallReturned, CallTimedOut
from parkade.calls.inputs import Cause, DirectoryChanged
from parkade.testing.call_rig import CallRig, Phone
from tests.calls.accounts import rig_with, two_accounts


def parked(rig: CallRig, target: str = "*800") -> Phone:
    """Bob, parked by Alice."""
    alice, bob = rig.conversation("alice", "102")
    rig.transfer(alice, target)
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
    rig = rig_with(ParkPolicy(reserve_s=reserve_s))
    bob = parked(rig)
    rig.advance(500)
    phone = rig.call(who, "*801")
    rig.advance(0.2)
    rig.hang_up(phone, cause, established=established, cancelled=True)
    assert bob.hears == Music()
    assert not bob.gone
    rig.advance(99)
    assert rig.all_ringing() == set()
    rig.advance(1)
    assert rig.all_ringing() == {"alice", "alice-app"}


def test_a_caller_put_back_is_retrieved_by_its_old_code() -> None:
    rig = rig_with()
    bob = parked(rig, "*805")
    rig.hang_up(rig.call("carol", "*805"), cancelled=True)
    wall = rig.call("wall", "*805")
    assert rig.talking(wall, bob)
    assert [type(e) for e in rig.events(CallRetrieved, CallReparked)] == [
        CallRetrieved,
        CallReparked,
        CallRetrieved,
    ]


def test_a_caller_put_back_whose_code_was_given_away_gets_another() -> None:
    rig = rig_with(ParkPolicy(reserve_s=0))
    bob = parked(rig)
    carol = rig.call("carol", "*801")
    assert rig.call("door", "").park_code == "*801"
    rig.hang_up(carol, cancelled=True)
    assert bob.hears == Music()
    assert rig.talking(rig.call("alice", "*802"), bob)


def test_a_deadline_that_passed_while_a_retrieve_was_given_up_is_due_at_once() -> None:
    rig = rig_with()
    bob = parked(rig)
    rig.advance(590)
    carol = rig.call("carol", "*801")
    rig.advance(20)
    rig.hang_up(carol, established=False)
    rig.advance(0)
    assert rig.all_ringing() == {"alice", "alice-app"}
    assert bob.hears == Music()
    assert len(rig.events(CallTimedOut)) == 1


def test_a_retrieved_call_that_is_simply_hung_up_is_over() -> None:
    rig = rig_with()
    bob = parked(rig)
    rig.hang_up(rig.call("carol", "*801"))
    assert bob.ended


def test_a_cancel_of_an_ordinary_call_that_crosses_its_answer_ends_it() -> None:
    rig = rig_with()
    alice, bob = rig.conversation("alice", "102")
    rig.hang_up(alice, cancelled=True)
    assert bob.ended


# Dead phones


def test_whoever_a_dead_phone_had_on_hold_is_parked_by_its_person() -> None:
    rig = rig_with()
    bob, alice = rig.conversation("bob", "101", "alice")
    rig.hold(alice)
    rig.hang_up(alice, Cause.LOST)
    assert bob.hears == Music()
    (event,) = rig.events(CallParked)
    assert (event.code, event.parked_by, event.caller_name) == ("*801", "101", "Bob")
    rig.advance(600)
    assert rig.talking(rig.answer("alice-app"), bob)


@pytest.mark.parametrize("full", ["the lot is full", "parking is off"])
def test_where_it_cannot_be_parked_it_is_offered_to_the_persons_phones(full: str) -> None:
    rig = rig_with(first=801, last=801)
    bob, alice = rig.conversation("bob", "101", "alice")
    rig.hold(alice)
    if full == "the lot is full":
        rig.call("door", "")
    else:
        rig.tell(DirectoryChanged(two_accounts(ParkPolicy(enable=False))))
    rig.hang_up(alice, Cause.LOST)
    assert bob.hears == Music()
    assert rig.all_ringing() == {"alice", "alice-app"}
    assert rig.talking(rig.answer("alice-app"), bob)


def test_whom_nobody_takes_back_is_told_so() -> None:
    rig = rig_with(first=801, last=801)
    outside, gateway = rig.conversation("carol", "102")
    rig.call("door", "")
    rig.hold(gateway)
    rig.hang_up(gateway, Cause.LOST)
    rig.advance(31)
    assert isinstance(outside.hears, Spoken)
    rig.listen(outside)
    assert outside.ended


def test_whoever_a_dead_gateway_had_on_hold_is_parked_by_nobody() -> None:
    rig = rig_with()
    gateway, bob = rig.conversation("gw", "102")
    rig.hold(gateway)
    rig.hang_up(gateway, Cause.LOST)
    assert bob.hears == Music()
    assert rig.events(CallParked)[0].parked_by is None


def test_a_person_that_is_gone_by_then_still_leaves_its_caller_parked() -> None:
    rig = rig_with()
    bob, alice = rig.conversation("bob", "101", "alice")
    rig.hold(alice)
    before = two_accounts()
    acme = before.accounts["acme"]
    owners = {ext: owner for ext, owner in acme.owners.items() if ext != "101"}
    rig.tell(DirectoryChanged(Directory({"acme": replace(acme, owners=owners)}, before.devices)))
    rig.hang_up(alice, Cause.LOST)
    assert rig.talking(rig.call("carol", "*801"), bob)


def test_whoever_a_dead_phone_was_talking_with_is_hung_up_on() -> None:
    rig = rig_with()
    bob, alice = rig.conversation("bob", "101", "alice")
    rig.hang_up(alice, Cause.LOST)
    assert bob.ended


def test_a_party_retrieved_by_a_phone_that_dies_within_the_reserve_time_is_put_back() -> None:
    rig = rig_with()
    bob = parked(rig)
    carol = rig.call("carol", "*801")
    rig.advance(29)
    rig.hang_up(carol, Cause.LOST)
    assert rig.talking(rig.call("wall", "*801"), bob)


def test_whoever_was_retrieved_long_ago_is_put_back_too_when_the_phone_dies() -> None:
    """A dead phone is noticed only after a minute and a half of silence, when no code is reserved any more."""
    rig = rig_with()
    bob = parked(rig)
    carol = rig.call("carol", "*801")
    rig.advance(95)
    rig.hang_up(carol, Cause.LOST)
    assert rig.talking(rig.call("wall", "*801"), bob)


def test_whoever_came_back_to_a_phone_that_dies_then_is_offered_to_the_person_again() -> None:
    rig = rig_with()
    bob = parked(rig)
    rig.advance(600)
    alice = rig.answer("alice")
    rig.advance(200)
    assert rig.talking(alice, bob)
    rig.hang_up(alice, Cause.LOST)
    assert bob.hears == Music()
    rig.advance(0.1)
    assert "alice" in rig.all_ringing()


def test_a_parked_phone_that_dies_has_left() -> None:
    rig = rig_with()
    bob = parked(rig)
    rig.hang_up(bob, Cause.LOST)
    assert len(rig.events(CallAbandoned)) == 1
    assert refusal_of(rig.call("carol", "*801")) == "no_call_parked"


def test_both_ends_that_die_leave_nothing() -> None:
    rig = rig_with()
    bob, alice = rig.conversation("bob", "101", "alice")
    rig.hold(alice)
    rig.hang_up(alice, Cause.LOST)
    rig.hang_up(bob, Cause.LOST)
    assert not any(rig.control.counts())


# Picking up by Replaces


def test_early_only_leaves_an_answered_call_alone() -> None:
    rig = rig_with()
    alice, bob = rig.conversation("alice", "102")
    for end in (alice, bob):
        assert refusal_of(rig.call("carol", "", replaces=end, early_only=True)) == "already_answered"
    assert rig.talking(alice, bob)


@pytest.mark.parametrize("early_only", [True, False])
def test_a_phone_that_rings_is_picked_up_from_another(early_only: bool) -> None:
    rig = rig_with()
    alice = rig.call("alice", "120")
    bob = rig.rings("bob")
    carol = rig.ringing("carol")
    wall = rig.call("wall", "", replaces=bob, early_only=early_only)
    assert rig.talking(alice, wall)
    assert bob.ended
    assert carol.ended
    assert bob.ended.elsewhere is Elsewhere.ANSWERED


def test_a_ring_back_is_picked_up_from_another_phone() -> None:
    rig = rig_with()
    bob = parked(rig)
    rig.advance(600)
    carol = rig.call("carol", "", replaces=rig.ringing("alice"), early_only=True)
    assert rig.talking(carol, bob)
    assert rig.events(CallReturned)[0].returned_to == "103"


def test_early_only_leaves_a_parked_call_alone() -> None:
    rig = rig_with()
    bob = parked(rig)
    assert refusal_of(rig.call("carol", "", replaces=bob, early_only=True)) == "already_answered"
    assert rig.talking(rig.call("carol", "*801"), bob)

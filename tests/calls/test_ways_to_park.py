"""Parking: S10, S12–S15, B16 A–D, B17, unattended parking, refusals, S22."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from parkade.base.sound import Music, Peer, Silence, Spoken
from parkade.calls.audience import EVERYBODY
from parkade.calls.directory import ParkPolicy
from parkade.calls.effects import Effect, Hear, Progress, TransferProgress
from parkade.calls.events import CallAbandoned, CallParked, ParkFailed
from parkade.calls.identity import Identity
from parkade.calls.state import GRACE_S
from parkade.testing.call_rig import CallRig, Phone
from tests.calls.accounts import rig_with

DONE = [Progress.ACCEPTED, Progress.DONE]


def parked_codes(rig: CallRig) -> list[str]:
    return [e.code for e in rig.events(CallParked)]


def about(rig: CallRig, phone: Phone, since: int) -> list[Effect]:
    return [e for e in rig.effects[since:] if getattr(e, "leg", None) == phone.leg]


def fill(rig: CallRig, first: int = 801, last: int = 899) -> None:
    """Unattended callers take every code."""
    for slot in range(first, last + 1):
        rig.call("gw", f"park:{slot}")


def failed(rig: CallRig) -> list[object]:
    return [e.reason for e in rig.events(ParkFailed)]


# A: blind transfer


def test_a_blind_transfer_to_the_park_code_parks_at_the_next_code() -> None:
    rig = rig_with()
    alice, bob = rig.conversation("alice", "102")
    since = len(rig.effects)
    name = rig.transfer(alice, "*800")
    assert rig.progress(name) == DONE
    assert {step.park_code for step in rig.transfers[name]} == {"*801"}
    assert alice.ended
    assert alice.ended.after_s == GRACE_S
    assert about(rig, bob, since) == [Hear(bob.leg, Music())]
    (event,) = rig.events(CallParked)
    assert event == CallParked(
        id=event.id,
        at=rig.now,
        account="acme",
        call=event.call,
        caller_name="Bob",
        caller_number="102",
        code="*801",
        lot="Main",
        lot_id="",
        site=None,
        parked_by="101",
        parked_by_name="Alice",
        note="",
        parked_at=rig.now,
        waited_s=0.0,
        round=0,
        audience=EVERYBODY,
        expires_at=rig.now + 600,
    )


def test_a_blind_transfer_to_a_slot_parks_there() -> None:
    rig = rig_with()
    alice, _ = rig.conversation("alice", "102")
    assert rig.progress(rig.transfer(alice, "*805")) == DONE
    assert parked_codes(rig) == ["*805"]


@pytest.mark.parametrize("parker", [0, 1])
def test_either_side_parks_the_other(parker: int) -> None:
    rig = rig_with()
    ends = rig.conversation("alice", "102")
    rig.transfer(ends[parker], "*800")
    assert ends[1 - parker].hears == Music()
    assert not ends[1 - parker].gone
    assert ends[parker].gone


def test_a_caller_from_outside_is_parked_with_name_and_number() -> None:
    rig = rig_with()
    _, bob = (rig.call("gw", "102", caller=Identity("Lan", "+84901234567")), rig.answer("bob"))
    rig.transfer(bob, "*800")
    (event,) = rig.events(CallParked)
    assert (event.caller_name, event.caller_number) == ("Lan", "+84901234567")


def test_a_call_to_a_gateway_is_parked_as_well() -> None:
    rig = rig_with()
    gateway, wall = rig.conversation("gw", "110")
    rig.transfer(gateway, "*800")
    assert wall.hears == Music()
    assert rig.events(CallParked)[0].parked_by is None


def test_whoever_was_on_hold_hears_the_same_music_on_when_parked() -> None:
    rig = rig_with()
    alice, bob = rig.conversation("alice", "102")
    rig.hold(alice)
    since = len(rig.effects)
    rig.transfer(alice, "*800")
    assert bob.hears == Music()
    assert about(rig, bob, since) == []


# C: the park code dialled over a held call


def test_the_park_code_over_a_held_call_parks_it_and_says_the_code() -> None:
    rig = rig_with()
    alice, bob = rig.conversation("carol", "102")
    rig.hold(bob)
    since = len(rig.effects)
    consult = rig.call("bob", "*800")
    assert consult.up
    assert consult.park_code == "*801"
    assert consult.display == Identity("Park *801", "*801")
    assert isinstance(consult.hears, Spoken)
    assert (consult.hears.language, consult.hears.phrases) == ("vi", ("parked-at", "star", "8", "0", "1"))
    assert alice.hears == Music()
    assert bob.hears == Silence()
    assert about(rig, alice, since) == []
    rig.listen(consult)
    assert consult.ended
    assert bob.ended
    assert not alice.gone


def test_the_announcement_ends_within_twelve_seconds() -> None:
    rig = rig_with()
    alice, _ = rig.conversation("alice", "102")
    rig.hold(alice)
    consult = rig.call("alice", "*800")
    rig.advance(10.9)
    assert [consult.gone, alice.gone] == [False, False]
    rig.advance(0.2)
    assert [consult.gone, alice.gone] == [True, True]


def test_hanging_up_the_announcement_ends_the_held_leg_too() -> None:
    rig = rig_with()
    alice, bob = rig.conversation("alice", "102")
    rig.hold(alice)
    rig.hang_up(rig.call("alice", "*800"))
    assert alice.ended
    assert bob.hears == Music()


def test_hanging_up_the_held_leg_leaves_the_announcement() -> None:
    rig = rig_with()
    alice, _ = rig.conversation("alice", "102")
    rig.hold(alice)
    consult = rig.call("alice", "*800")
    rig.hang_up(alice)
    assert not consult.gone
    rig.listen(consult)
    assert consult.ended


def test_the_call_held_last_is_the_one_that_is_parked() -> None:
    rig = rig_with()
    first, bob = rig.conversation("alice", "102")
    rig.hold(first)
    second, carol = rig.conversation("alice", "103")
    rig.hold(second)
    rig.call("alice", "*800")
    assert rig.events(CallParked)[0].caller_name == "Carol"
    assert not first.gone
    rig.resume(first)
    assert rig.talking(first, bob)
    assert carol.hears == Music()


def test_a_free_slot_over_a_held_call_parks_it_there() -> None:
    rig = rig_with()
    alice, _ = rig.conversation("alice", "102")
    rig.hold(alice)
    assert rig.call("alice", "*805").park_code == "*805"


def test_an_occupied_slot_over_a_held_call_picks_up_and_joins_no_strangers() -> None:
    rig = rig_with()
    stranger = rig.call("dock", "")
    alice, bob = rig.conversation("alice", "102")
    rig.hold(alice)
    consult = rig.call("alice", "*805")
    assert rig.talking(consult, stranger)
    rig.hang_up(consult)
    rig.resume(alice)
    assert rig.talking(alice, bob)


def test_without_a_held_call_there_is_nothing_to_park() -> None:
    rig = rig_with()
    alice, bob = rig.conversation("alice", "102")
    consult = rig.call("alice", "*800")
    assert consult.refused
    assert consult.refused.refusal.id == "nothing_to_park"
    assert consult.refused.phrases == ("nothing-to-park",)
    assert rig.talking(alice, bob)


def test_a_held_call_of_another_device_is_not_parked() -> None:
    rig = rig_with()
    alice, _ = rig.conversation("alice", "102")
    rig.hold(alice)
    assert rig.call("alice-app", "*800").refused
    assert not alice.gone


# B: attended transfer


def test_an_attended_transfer_onto_the_announcement_is_done_already() -> None:
    rig = rig_with()
    alice, bob = rig.conversation("alice", "102")
    rig.hold(alice)
    consult = rig.call("alice", "*800")
    name = rig.transfer(alice, "*800", consult)
    assert rig.progress(name) == DONE
    assert rig.transfers[name][-1].park_code == "*801"
    assert alice.ended
    assert consult.ended
    assert bob.hears == Music()
    assert parked_codes(rig) == ["*801"]


def test_an_attended_transfer_after_the_announcement_has_nobody_left() -> None:
    rig = rig_with()
    alice, _ = rig.conversation("alice", "102")
    rig.hold(alice)
    consult = rig.call("alice", "*800")
    rig.listen(consult)
    assert rig.progress(rig.transfer(alice, "*800", consult)) == [Progress.REFUSED]


# D: keys in the conversation


def test_the_park_keys_park_the_far_end_and_say_the_code() -> None:
    rig = rig_with()
    alice, bob = rig.conversation("alice", "102")
    rig.press(bob, "*5")
    assert alice.hears == Music()
    assert isinstance(bob.hears, Spoken)
    assert bob.hears.phrases == ("parked-at", "star", "8", "0", "1")
    rig.listen(bob)
    assert bob.ended
    assert not alice.gone


def test_slow_keys_do_not_park() -> None:
    rig = rig_with()
    alice, bob = rig.conversation("alice", "102")
    rig.press(bob, "*5", pause_s=3.5)
    assert rig.talking(alice, bob)


def test_keys_of_an_outside_caller_never_park() -> None:
    rig = rig_with()
    outside, bob = rig.conversation("gw", "102")
    rig.press(outside, "*5*5")
    assert rig.talking(outside, bob)


def test_keys_when_the_lot_is_full_are_answered_and_the_conversation_goes_on() -> None:
    rig = rig_with(first=801, last=803)
    fill(rig, 801, 803)
    alice, bob = rig.conversation("alice", "102")
    rig.press(alice, "*5")
    assert isinstance(alice.hears, Spoken)
    assert alice.hears.phrases == ("lot-full",)
    assert bob.hears == Music()
    rig.press(alice, "*5")
    rig.listen(alice)
    assert rig.talking(alice, bob)
    assert failed(rig) == ["lot_full"]


def test_the_conversation_goes_on_even_if_the_refusal_is_never_heard() -> None:
    rig = rig_with(ParkPolicy(enable=False))
    alice, bob = rig.conversation("alice", "102")
    rig.press(alice, "*5")
    assert bob.hears == Music()
    rig.advance(12.1)
    assert rig.talking(alice, bob)


# G: unattended


def test_a_device_with_destination_park_is_answered_and_parked_at_once() -> None:
    rig = rig_with()
    door = rig.call("door", "anything")
    assert door.up
    assert door.park_code == "*801"
    assert door.hears == Music()
    assert rig.events(CallParked)[0].parked_by is None
    assert rig.talking(rig.call("wall", "*801"), door)


def test_a_device_may_have_a_slot_of_its_own() -> None:
    rig = rig_with()
    assert rig.call("dock", "").park_code == "*805"
    again = rig.call("dock", "")
    assert again.refused
    assert again.refused.refusal.id == "slot_taken"


def test_an_unattended_call_to_a_full_lot_is_refused_before_any_answer() -> None:
    rig = rig_with(first=801, last=802)
    fill(rig, 801, 802)
    door = rig.call("door", "")
    assert door.refused
    assert door.refused.refusal.id == "lot_full"
    assert door.refused.phrases == ("lot-full",)
    assert not door.up


# Refusals: the call stays with the parker exactly as it was

Park = Callable[[CallRig, Phone], str | None]


def by_transfer(rig: CallRig, phone: Phone) -> str | None:
    step = rig.transfers[rig.transfer(phone, "*805")][-1]
    assert step.progress is Progress.REFUSED
    return step.refusal.id if step.refusal else None


def by_code_over_held_call(rig: CallRig, phone: Phone) -> str | None:
    consult = rig.call(phone.device, "*805")
    assert consult.refused
    return consult.refused.refusal.id


def taken(rig: CallRig) -> None:
    rig.call("dock", "")


@pytest.mark.parametrize(
    ("why", "policy", "last", "prepare"),
    [
        ("slot_taken", ParkPolicy(), 899, taken),
        ("no_such_slot", ParkPolicy(), 803, lambda rig: None),
        ("parking_disabled", ParkPolicy(enable=False), 899, lambda rig: None),
    ],
)
def test_a_refused_directed_park_leaves_the_call_as_it_was(
    why: str, policy: ParkPolicy, last: int, prepare: Callable[[CallRig], None]
) -> None:
    rig = rig_with(policy, last=last)
    prepare(rig)
    alice, bob = rig.conversation("alice", "102")
    since = len(rig.effects)
    assert by_transfer(rig, alice) == why
    assert failed(rig)[-1] == why
    assert not any(isinstance(e, Hear) for e in rig.effects[since:])
    assert rig.talking(alice, bob)


def test_a_full_lot_refuses_before_anything_is_accepted() -> None:
    rig = rig_with(first=801, last=802)
    fill(rig, 801, 802)
    alice, bob = rig.conversation("alice", "102")
    name = rig.transfer(alice, "*800")
    assert rig.progress(name) == [Progress.REFUSED]
    assert rig.talking(alice, bob)
    rig.hold(alice)
    consult = rig.call("alice", "*800")
    assert consult.refused
    assert consult.refused.refusal.id == "lot_full"
    rig.resume(alice)
    assert rig.talking(alice, bob)


def test_parking_that_is_switched_off_is_refused_over_a_held_call() -> None:
    rig = rig_with(ParkPolicy(enable=False))
    alice, bob = rig.conversation("alice", "102")
    rig.hold(alice)
    assert by_code_over_held_call(rig, alice) == "parking_disabled"
    rig.resume(alice)
    assert rig.talking(alice, bob)


def test_a_parked_party_cannot_be_parked_again_by_itself() -> None:
    rig = rig_with()
    alice, bob = rig.conversation("alice", "102")
    rig.transfer(alice, "*800")
    steps = rig.transfers[rig.transfer(bob, "*800")]
    assert [(s.progress, s.refusal.id if s.refusal else "") for s in steps] == [(Progress.REFUSED, "transfer_impossible")]
    rig.press(bob, "*5")
    rig.hold(bob)
    consult = rig.call("bob", "*800")
    assert consult.refused
    assert consult.refused.refusal.id == "nothing_to_park"
    assert bob.hears == Music()


def test_a_call_that_still_rings_cannot_be_parked() -> None:
    rig = rig_with()
    alice = rig.call("alice", "102")
    assert rig.progress(rig.transfer(alice, "*800")) == [Progress.REFUSED]
    assert rig.talking(alice, rig.answer("bob"))


def test_a_call_that_is_being_transferred_cannot_be_parked() -> None:
    rig = rig_with()
    alice, bob = rig.conversation("alice", "102")
    rig.transfer(alice, "103")
    assert rig.progress(rig.transfer(alice, "*800")) == [Progress.REFUSED]
    assert rig.talking(bob, rig.answer("carol"))


def test_whoever_hangs_up_at_a_code_frees_it_at_once() -> None:
    rig = rig_with()
    alice, bob = rig.conversation("alice", "102")
    rig.transfer(alice, "*800")
    rig.advance(30)
    rig.hang_up(bob)
    (event,) = rig.events(CallAbandoned)
    assert (event.code, event.waited_s) == ("*801", 30)
    carol, _ = rig.conversation("carol", "110")
    rig.transfer(carol, "*800")
    assert parked_codes(rig) == ["*801", "*801"]


def test_a_transfer_tells_the_code_in_every_step() -> None:
    rig = rig_with()
    alice, _ = rig.conversation("alice", "102")
    name = rig.transfer(alice, "*807")
    assert rig.transfers[name] == [
        TransferProgress(name, Progress.ACCEPTED, park_code="*807"),
        TransferProgress(name, Progress.DONE, park_code="*807"),
    ]


def test_after_the_conversation_the_sound_of_the_parker_is_heard_by_nobody() -> None:
    rig = rig_with()
    alice, bob = rig.conversation("alice", "102")
    rig.press(alice, "*5")
    assert not any(phone.hears == Peer(alice.leg) for phone in (alice, bob))

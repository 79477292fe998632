"""Parking: S10, S12–S15, B16 A–D, B17, unattended parking, refusals, S22."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from parkade.base.sound import Music, Peer, Silence, Spoken
from parkade.calls.board import GRACE_S
from parkade.calls.directory import ParkPolicy
from parkade.calls.effects import Effect, Hear, Progress, TransferProgress
from parkade.calls.events import CallAbandoned, CallParked, ParkFailed
from parkade.calls.identity import Identity
from parkade.testing.call_play import CallPlay, Phone
from tests.calls.cast import play_with

DONE = [Progress.ACCEPTED, Progress.DONE]


def parked_codes(play: CallPlay) -> list[str]:
    return [e.code for e in play.events(CallParked)]


def about(play: CallPlay, phone: Phone, since: int) -> list[Effect]:
    return [e for e in play.effects[since:] if getattr(e, "leg", None) == phone.leg]


def fill(play: CallPlay, first: int = 801, last: int = 899) -> None:
    """Unattended callers take every code."""
    for slot in range(first, last + 1):
        play.call("gw", f"park:{slot}")


def failed(play: CallPlay) -> list[object]:
    return [e.reason for e in play.events(ParkFailed)]


# A: blind transfer


def test_a_blind_transfer_to_the_park_code_parks_at_the_next_code() -> None:
    play = play_with()
    alice, bob = play.conversation("alice", "102")
    since = len(play.effects)
    name = play.transfer(alice, "*800")
    assert play.progress(name) == DONE
    assert {step.park_code for step in play.transfers[name]} == {"*801"}
    assert alice.ended
    assert alice.ended.after_s == GRACE_S
    assert about(play, bob, since) == [Hear(bob.leg, Music())]
    (event,) = play.events(CallParked)
    assert event == CallParked(
        id=event.id,
        at=play.now,
        account="acme",
        call=event.call,
        caller_name="Bob",
        caller_number="102",
        code="*801",
        lot="Main",
        parked_by="101",
        waited_s=0.0,
        expires_at=play.now + 600,
    )


def test_a_blind_transfer_to_a_slot_parks_there() -> None:
    play = play_with()
    alice, _ = play.conversation("alice", "102")
    assert play.progress(play.transfer(alice, "*805")) == DONE
    assert parked_codes(play) == ["*805"]


@pytest.mark.parametrize("parker", [0, 1])
def test_either_side_parks_the_other(parker: int) -> None:
    play = play_with()
    ends = play.conversation("alice", "102")
    play.transfer(ends[parker], "*800")
    assert ends[1 - parker].hears == Music()
    assert not ends[1 - parker].gone
    assert ends[parker].gone


def test_a_caller_from_outside_is_parked_with_name_and_number() -> None:
    play = play_with()
    _, bob = (play.call("gw", "102", caller=Identity("Lan", "+84901234567")), play.answer("bob"))
    play.transfer(bob, "*800")
    (event,) = play.events(CallParked)
    assert (event.caller_name, event.caller_number) == ("Lan", "+84901234567")


def test_a_call_to_a_gateway_is_parked_as_well() -> None:
    play = play_with()
    gateway, wall = play.conversation("gw", "110")
    play.transfer(gateway, "*800")
    assert wall.hears == Music()
    assert play.events(CallParked)[0].parked_by is None


def test_whoever_was_on_hold_hears_the_same_music_on_when_parked() -> None:
    play = play_with()
    alice, bob = play.conversation("alice", "102")
    play.hold(alice)
    since = len(play.effects)
    play.transfer(alice, "*800")
    assert bob.hears == Music()
    assert about(play, bob, since) == []


# C: the park code dialled over a held call


def test_the_park_code_over_a_held_call_parks_it_and_says_the_code() -> None:
    play = play_with()
    alice, bob = play.conversation("carol", "102")
    play.hold(bob)
    since = len(play.effects)
    consult = play.call("bob", "*800")
    assert consult.up
    assert consult.park_code == "*801"
    assert consult.display == Identity("Park *801", "*801")
    assert isinstance(consult.hears, Spoken)
    assert (consult.hears.language, consult.hears.phrases) == ("vi", ("parked-at", "star", "8", "0", "1"))
    assert alice.hears == Music()
    assert bob.hears == Silence()
    assert about(play, alice, since) == []
    play.listen(consult)
    assert consult.ended
    assert bob.ended
    assert not alice.gone


def test_the_announcement_ends_within_twelve_seconds() -> None:
    play = play_with()
    alice, _ = play.conversation("alice", "102")
    play.hold(alice)
    consult = play.call("alice", "*800")
    play.advance(10.9)
    assert [consult.gone, alice.gone] == [False, False]
    play.advance(0.2)
    assert [consult.gone, alice.gone] == [True, True]


def test_hanging_up_the_announcement_ends_the_held_leg_too() -> None:
    play = play_with()
    alice, bob = play.conversation("alice", "102")
    play.hold(alice)
    play.hang_up(play.call("alice", "*800"))
    assert alice.ended
    assert bob.hears == Music()


def test_hanging_up_the_held_leg_leaves_the_announcement() -> None:
    play = play_with()
    alice, _ = play.conversation("alice", "102")
    play.hold(alice)
    consult = play.call("alice", "*800")
    play.hang_up(alice)
    assert not consult.gone
    play.listen(consult)
    assert consult.ended


def test_the_call_held_last_is_the_one_that_is_parked() -> None:
    play = play_with()
    first, bob = play.conversation("alice", "102")
    play.hold(first)
    second, carol = play.conversation("alice", "103")
    play.hold(second)
    play.call("alice", "*800")
    assert play.events(CallParked)[0].caller_name == "Carol"
    assert not first.gone
    play.resume(first)
    assert play.talking(first, bob)
    assert carol.hears == Music()


def test_a_free_slot_over_a_held_call_parks_it_there() -> None:
    play = play_with()
    alice, _ = play.conversation("alice", "102")
    play.hold(alice)
    assert play.call("alice", "*805").park_code == "*805"


def test_an_occupied_slot_over_a_held_call_picks_up_and_joins_no_strangers() -> None:
    play = play_with()
    stranger = play.call("dock", "")
    alice, bob = play.conversation("alice", "102")
    play.hold(alice)
    consult = play.call("alice", "*805")
    assert play.talking(consult, stranger)
    play.hang_up(consult)
    play.resume(alice)
    assert play.talking(alice, bob)


def test_without_a_held_call_there_is_nothing_to_park() -> None:
    play = play_with()
    alice, bob = play.conversation("alice", "102")
    consult = play.call("alice", "*800")
    assert consult.refused
    assert consult.refused.refusal.id == "nothing_to_park"
    assert consult.refused.phrases == ("nothing-to-park",)
    assert play.talking(alice, bob)


def test_a_held_call_of_another_device_is_not_parked() -> None:
    play = play_with()
    alice, _ = play.conversation("alice", "102")
    play.hold(alice)
    assert play.call("alice-app", "*800").refused
    assert not alice.gone


# B: attended transfer


def test_an_attended_transfer_onto_the_announcement_is_done_already() -> None:
    play = play_with()
    alice, bob = play.conversation("alice", "102")
    play.hold(alice)
    consult = play.call("alice", "*800")
    name = play.transfer(alice, "*800", consult)
    assert play.progress(name) == DONE
    assert play.transfers[name][-1].park_code == "*801"
    assert alice.ended
    assert consult.ended
    assert bob.hears == Music()
    assert parked_codes(play) == ["*801"]


def test_an_attended_transfer_after_the_announcement_has_nobody_left() -> None:
    play = play_with()
    alice, _ = play.conversation("alice", "102")
    play.hold(alice)
    consult = play.call("alice", "*800")
    play.listen(consult)
    assert play.progress(play.transfer(alice, "*800", consult)) == [Progress.REFUSED]


# D: keys in the conversation


def test_the_park_keys_park_the_far_end_and_say_the_code() -> None:
    play = play_with()
    alice, bob = play.conversation("alice", "102")
    play.press(bob, "*5")
    assert alice.hears == Music()
    assert isinstance(bob.hears, Spoken)
    assert bob.hears.phrases == ("parked-at", "star", "8", "0", "1")
    play.listen(bob)
    assert bob.ended
    assert not alice.gone


def test_slow_keys_do_not_park() -> None:
    play = play_with()
    alice, bob = play.conversation("alice", "102")
    play.press(bob, "*5", pause_s=3.5)
    assert play.talking(alice, bob)


def test_keys_of_an_outside_caller_never_park() -> None:
    play = play_with()
    outside, bob = play.conversation("gw", "102")
    play.press(outside, "*5*5")
    assert play.talking(outside, bob)


def test_keys_when_the_lot_is_full_are_answered_and_the_conversation_goes_on() -> None:
    play = play_with(first=801, last=803)
    fill(play, 801, 803)
    alice, bob = play.conversation("alice", "102")
    play.press(alice, "*5")
    assert isinstance(alice.hears, Spoken)
    assert alice.hears.phrases == ("lot-full",)
    assert bob.hears == Music()
    play.press(alice, "*5")
    play.listen(alice)
    assert play.talking(alice, bob)
    assert failed(play) == ["lot_full"]


def test_the_conversation_goes_on_even_if_the_refusal_is_never_heard() -> None:
    play = play_with(ParkPolicy(enable=False))
    alice, bob = play.conversation("alice", "102")
    play.press(alice, "*5")
    assert bob.hears == Music()
    play.advance(12.1)
    assert play.talking(alice, bob)


# G: unattended


def test_a_device_with_destination_park_is_answered_and_parked_at_once() -> None:
    play = play_with()
    door = play.call("door", "anything")
    assert door.up
    assert door.park_code == "*801"
    assert door.hears == Music()
    assert play.events(CallParked)[0].parked_by is None
    assert play.talking(play.call("wall", "*801"), door)


def test_a_device_may_have_a_slot_of_its_own() -> None:
    play = play_with()
    assert play.call("dock", "").park_code == "*805"
    again = play.call("dock", "")
    assert again.refused
    assert again.refused.refusal.id == "slot_taken"


def test_an_unattended_call_to_a_full_lot_is_refused_before_any_answer() -> None:
    play = play_with(first=801, last=802)
    fill(play, 801, 802)
    door = play.call("door", "")
    assert door.refused
    assert door.refused.refusal.id == "lot_full"
    assert door.refused.phrases == ("lot-full",)
    assert not door.up


# Refusals: the call stays with the parker exactly as it was

Park = Callable[[CallPlay, Phone], str | None]


def by_transfer(play: CallPlay, phone: Phone) -> str | None:
    step = play.transfers[play.transfer(phone, "*805")][-1]
    assert step.progress is Progress.REFUSED
    return step.refusal.id if step.refusal else None


def by_code_over_held_call(play: CallPlay, phone: Phone) -> str | None:
    consult = play.call(phone.device, "*805")
    assert consult.refused
    return consult.refused.refusal.id


def taken(play: CallPlay) -> None:
    play.call("dock", "")


@pytest.mark.parametrize(
    ("why", "policy", "last", "prepare"),
    [
        ("slot_taken", ParkPolicy(), 899, taken),
        ("no_such_slot", ParkPolicy(), 803, lambda play: None),
        ("parking_disabled", ParkPolicy(enable=False), 899, lambda play: None),
    ],
)
def test_a_refused_directed_park_leaves_the_call_as_it_was(
    why: str, policy: ParkPolicy, last: int, prepare: Callable[[CallPlay], None]
) -> None:
    play = play_with(policy, last=last)
    prepare(play)
    alice, bob = play.conversation("alice", "102")
    since = len(play.effects)
    assert by_transfer(play, alice) == why
    assert failed(play)[-1] == why
    assert not any(isinstance(e, Hear) for e in play.effects[since:])
    assert play.talking(alice, bob)


def test_a_full_lot_refuses_before_anything_is_accepted() -> None:
    play = play_with(first=801, last=802)
    fill(play, 801, 802)
    alice, bob = play.conversation("alice", "102")
    name = play.transfer(alice, "*800")
    assert play.progress(name) == [Progress.REFUSED]
    assert play.talking(alice, bob)
    play.hold(alice)
    consult = play.call("alice", "*800")
    assert consult.refused
    assert consult.refused.refusal.id == "lot_full"
    play.resume(alice)
    assert play.talking(alice, bob)


def test_parking_that_is_switched_off_is_refused_over_a_held_call() -> None:
    play = play_with(ParkPolicy(enable=False))
    alice, bob = play.conversation("alice", "102")
    play.hold(alice)
    assert by_code_over_held_call(play, alice) == "parking_disabled"
    play.resume(alice)
    assert play.talking(alice, bob)


def test_a_parked_party_cannot_be_parked_again_by_itself() -> None:
    play = play_with()
    alice, bob = play.conversation("alice", "102")
    play.transfer(alice, "*800")
    steps = play.transfers[play.transfer(bob, "*800")]
    assert [(s.progress, s.refusal.id if s.refusal else "") for s in steps] == [(Progress.REFUSED, "transfer_impossible")]
    play.press(bob, "*5")
    play.hold(bob)
    consult = play.call("bob", "*800")
    assert consult.refused
    assert consult.refused.refusal.id == "nothing_to_park"
    assert bob.hears == Music()


def test_a_call_that_still_rings_cannot_be_parked() -> None:
    play = play_with()
    alice = play.call("alice", "102")
    assert play.progress(play.transfer(alice, "*800")) == [Progress.REFUSED]
    assert play.talking(alice, play.answer("bob"))


def test_a_call_that_is_being_transferred_cannot_be_parked() -> None:
    play = play_with()
    alice, bob = play.conversation("alice", "102")
    play.transfer(alice, "103")
    assert play.progress(play.transfer(alice, "*800")) == [Progress.REFUSED]
    assert play.talking(bob, play.answer("carol"))


def test_whoever_hangs_up_at_a_code_frees_it_at_once() -> None:
    play = play_with()
    alice, bob = play.conversation("alice", "102")
    play.transfer(alice, "*800")
    play.advance(30)
    play.hang_up(bob)
    (event,) = play.events(CallAbandoned)
    assert (event.code, event.waited_s) == ("*801", 30)
    carol, _ = play.conversation("carol", "110")
    play.transfer(carol, "*800")
    assert parked_codes(play) == ["*801", "*801"]


def test_a_transfer_tells_the_code_in_every_step() -> None:
    play = play_with()
    alice, _ = play.conversation("alice", "102")
    name = play.transfer(alice, "*807")
    assert play.transfers[name] == [
        TransferProgress(name, Progress.ACCEPTED, park_code="*807"),
        TransferProgress(name, Progress.DONE, park_code="*807"),
    ]


def test_after_the_conversation_the_sound_of_the_parker_is_heard_by_nobody() -> None:
    play = play_with()
    alice, bob = play.conversation("alice", "102")
    play.press(alice, "*5")
    assert not any(phone.hears == Peer(alice.leg) for phone in (alice, bob))

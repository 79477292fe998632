"""Transfers, blind and attended: S32, and whom they lead to when the target does not answer."""

from __future__ import annotations

import pytest

from parkade.base.sound import Music, Silence, Spoken, Tone
from parkade.calls.effects import Progress, ShowParty
from parkade.calls.events import CallEnded
from parkade.calls.identity import Identity
from parkade.calls.inputs import Failure
from parkade.calls.state import GRACE_S
from parkade.testing.call_rig import CallRig, Phone
from tests.calls.accounts import rig_with

ACCEPTED, RINGING, DONE, FAILED, REFUSED = Progress
BOB, CAROL = Identity("Bob", "102"), Identity("Carol", "103")


def why(rig: CallRig, name: str) -> str | None:
    refusal = rig.transfers[name][-1].refusal
    return refusal.id if refusal else None


# Blind


def test_a_blind_transfer_rings_the_target_while_the_party_hears_it_ring() -> None:
    rig = rig_with()
    alice, bob = rig.conversation("alice", "102")
    name = rig.transfer(alice, "103")
    assert rig.progress(name) == [ACCEPTED]
    assert bob.hears == Tone("ringback")
    assert alice.hears == Silence()
    assert rig.rings("carol").display == BOB
    assert rig.progress(name) == [ACCEPTED, RINGING]
    carol = rig.answer("carol")
    assert rig.talking(bob, carol)
    assert rig.progress(name) == [ACCEPTED, RINGING, DONE]
    assert alice.ended
    assert alice.ended.after_s == GRACE_S
    assert ShowParty(bob.leg, CAROL) in rig.effects
    assert carol.display == BOB


@pytest.mark.parametrize("who", [0, 1])
def test_either_side_transfers_the_other(who: int) -> None:
    rig = rig_with()
    ends = rig.conversation("alice", "102")
    rig.transfer(ends[who], "103")
    assert rig.talking(ends[1 - who], rig.answer("carol"))


def test_a_transferor_who_hangs_up_early_loses_nobody() -> None:
    rig = rig_with()
    alice, bob = rig.conversation("alice", "102")
    name = rig.transfer(alice, "103")
    rig.hang_up(alice)
    assert rig.talking(bob, rig.answer("carol"))
    assert rig.progress(name)[-1] is DONE


def test_when_the_target_fails_the_transferor_has_its_party_back() -> None:
    rig = rig_with()
    alice, bob = rig.conversation("alice", "102")
    name = rig.transfer(alice, "103")
    rig.fail("carol", Failure.BUSY)
    assert rig.talking(alice, bob)
    assert rig.progress(name) == [ACCEPTED, FAILED]
    assert why(rig, name) == "busy"


def test_a_party_given_back_to_a_transferor_on_hold_hears_music() -> None:
    rig = rig_with()
    alice, bob = rig.conversation("alice", "102")
    rig.hold(alice)
    rig.transfer(alice, "103")
    rig.fail("carol", Failure.DECLINED)
    assert bob.hears == Music()
    rig.resume(alice)
    assert rig.talking(alice, bob)


def test_when_target_and_transferor_are_gone_the_transferors_phones_ring() -> None:
    rig = rig_with()
    alice, bob = rig.conversation("alice", "102")
    rig.transfer(alice, "103")
    rig.hang_up(alice)
    rig.advance(120)
    assert rig.all_ringing() == {"alice", "alice-app"}
    assert rig.ringing("alice").display == Identity("Return Bob", "102")
    app = rig.answer("alice-app")
    assert rig.talking(app, bob)
    assert app.display == BOB


def test_when_nobody_at_all_is_left_the_caller_is_told_so() -> None:
    rig = rig_with()
    alice, bob = rig.conversation("alice", "102")
    name = rig.transfer(alice, "103")
    rig.hang_up(alice)
    rig.fail("carol", Failure.UNREACHABLE)
    rig.advance(30)
    assert isinstance(bob.hears, Spoken)
    assert bob.hears.phrases == ("sorry-nobody-goodbye",)
    rig.listen(bob)
    assert not any(rig.control.counts())
    assert rig.progress(name) == [ACCEPTED, FAILED]


def test_a_caller_who_hangs_up_while_the_transferors_phones_ring_stops_them() -> None:
    rig = rig_with()
    alice, bob = rig.conversation("alice", "102")
    rig.transfer(alice, "103")
    rig.hang_up(alice)
    rig.fail("carol", Failure.BUSY)
    rig.hang_up(bob)
    assert not any(rig.control.counts())


def test_a_transferor_without_a_person_cannot_be_rung_back() -> None:
    rig = rig_with()
    gateway, wall = rig.conversation("gw", "110")
    rig.transfer(gateway, "103")
    rig.hang_up(gateway)
    rig.fail("carol", Failure.BUSY)
    assert isinstance(wall.hears, Spoken)


def test_a_party_that_hangs_up_meanwhile_ends_the_transfer() -> None:
    rig = rig_with()
    alice, bob = rig.conversation("alice", "102")
    name = rig.transfer(alice, "103")
    rig.hang_up(bob)
    assert rig.all_ringing() == set()
    assert rig.progress(name) == [ACCEPTED, FAILED]
    assert alice.ended
    assert not any(rig.control.counts())


def test_a_number_nobody_has_is_refused_and_they_talk_on() -> None:
    rig = rig_with()
    alice, bob = rig.conversation("alice", "102")
    for target in ("555", "105", ""):
        name = rig.transfer(alice, target)
        assert rig.progress(name) == [REFUSED]
        assert why(rig, name) == "no_such_number"
    assert rig.talking(alice, bob)


def test_nobody_is_transferred_onto_a_parked_call() -> None:
    rig = rig_with()
    rig.call("door", "")
    alice, bob = rig.conversation("alice", "102")
    assert why(rig, rig.transfer(alice, "**801")) == "transfer_impossible"
    assert why(rig, rig.transfer(alice, "*801")) == "slot_taken"
    assert rig.talking(alice, bob)


def test_ones_own_extension_moves_the_call_to_ones_other_phone() -> None:
    rig = rig_with()
    alice, bob = rig.conversation("alice", "102")
    rig.transfer(alice, "101")
    assert rig.all_ringing() == {"alice-app"}
    assert rig.talking(bob, rig.answer("alice-app"))


def test_ones_own_only_phone_is_busy() -> None:
    rig = rig_with()
    alice, bob = rig.conversation("alice", "102")
    name = rig.transfer(bob, "102")
    assert rig.progress(name) == [ACCEPTED, FAILED]
    assert why(rig, name) == "busy"
    assert rig.talking(alice, bob)


def test_a_ring_group_is_a_target() -> None:
    rig = rig_with()
    alice, wall = rig.conversation("alice", "110")
    rig.transfer(alice, "120")
    assert rig.all_ringing() == {"bob", "carol"}
    assert rig.talking(wall, rig.answer("carol"))


def test_a_call_that_was_picked_up_can_be_transferred() -> None:
    rig = rig_with()
    alice, bob = rig.conversation("alice", "102")
    rig.transfer(alice, "*800")
    carol = rig.call("carol", "*801")
    rig.transfer(carol, "110")
    assert rig.talking(bob, rig.answer("wall"))


def test_a_second_transfer_while_the_first_rings_is_refused() -> None:
    rig = rig_with()
    alice, bob = rig.conversation("alice", "102")
    rig.transfer(alice, "103")
    for phone in (alice, bob):
        assert why(rig, rig.transfer(phone, "110")) == "transfer_impossible"
    assert rig.all_ringing() == {"carol"}


def test_a_party_put_on_hold_by_its_own_phone_stays_so() -> None:
    rig = rig_with()
    alice, bob = rig.conversation("alice", "102")
    rig.hold(bob)
    rig.transfer(alice, "103")
    carol = rig.answer("carol")
    assert carol.hears == Music()
    rig.resume(bob)
    assert rig.talking(bob, carol)


# Attended


def consult_of(rig: CallRig) -> tuple[Phone, Phone, Phone, Phone]:
    """Alice talks with Bob, holds, and talks with Carol: both legs of Alice, then Bob and Carol."""
    first, bob = rig.conversation("alice", "102")
    rig.hold(first)
    second, carol = rig.conversation("alice", "103")
    return first, second, bob, carol


@pytest.mark.parametrize("from_first", [True, False])
def test_an_attended_transfer_joins_the_two_far_ends(from_first: bool) -> None:
    rig = rig_with()
    first, second, bob, carol = consult_of(rig)
    name = rig.transfer(first, "103", second) if from_first else rig.transfer(second, "102", first)
    assert rig.talking(bob, carol)
    assert rig.progress(name) == [ACCEPTED, DONE]
    assert first.ended
    assert second.ended
    assert (bob.display, carol.display) == (CAROL, BOB)
    assert len(rig.control) == 1
    assert len(rig.events(CallEnded)) == 1
    rig.hang_up(bob)
    assert not any(rig.control.counts())


def test_the_calls_of_two_phones_of_a_person_may_be_joined() -> None:
    rig = rig_with()
    first, bob = rig.conversation("alice", "102")
    second, carol = rig.conversation("alice-app", "103")
    rig.transfer(first, "103", second)
    assert rig.talking(bob, carol)


def test_a_party_on_hold_at_its_own_phone_is_joined_on_hold() -> None:
    rig = rig_with()
    first, second, bob, carol = consult_of(rig)
    rig.hold(carol)
    rig.transfer(first, "103", second)
    assert bob.hears == Music()
    rig.resume(carol)
    assert rig.talking(bob, carol)


def test_a_transfer_before_the_target_has_answered_hands_over_the_waiting() -> None:
    rig = rig_with()
    first, bob = rig.conversation("alice", "102")
    rig.hold(first)
    second = rig.call("alice", "103")
    rig.rings("carol")
    name = rig.transfer(first, "103", second)
    assert rig.progress(name) == [ACCEPTED, RINGING]
    assert second.ended
    assert bob.hears == Tone("ringback")
    assert rig.ringing("carol").display == Identity("Alice", "101")
    carol = rig.answer("carol")
    assert rig.talking(bob, carol)
    assert carol.display == BOB
    assert rig.progress(name)[-1] is DONE
    assert first.ended


def test_if_that_target_does_not_answer_the_party_goes_back() -> None:
    rig = rig_with()
    first, bob = rig.conversation("alice", "102")
    second = rig.call("alice", "103")
    rig.advance(100)
    name = rig.transfer(first, "103", second)
    rig.advance(20)
    assert rig.progress(name) == [ACCEPTED, FAILED]
    assert why(rig, name) == "no_answer"
    assert rig.talking(first, bob)


def test_a_party_takes_the_place_of_a_transferor_who_has_been_parked() -> None:
    rig = rig_with()
    first, second, bob, carol = consult_of(rig)
    rig.transfer(carol, "*800")
    name = rig.transfer(first, "103", second)
    assert rig.progress(name) == [ACCEPTED, DONE]
    assert bob.hears == Music()
    assert first.ended
    assert second.ended
    assert rig.talking(rig.call("wall", "*801"), bob)


def test_the_code_that_was_kept_for_such_a_party_is_free() -> None:
    rig = rig_with()
    door = rig.call("door", "")
    first = rig.call("alice", "*801")
    rig.hold(first)
    second, carol = rig.conversation("alice", "103")
    rig.transfer(carol, "*805")
    rig.transfer(first, "103", second)
    assert rig.control.counts().reserved == 0
    assert rig.talking(rig.call("wall", "*805"), door)


def test_the_announcement_is_no_target_for_itself() -> None:
    rig = rig_with()
    alice, _ = rig.conversation("alice", "102")
    rig.hold(alice)
    consult = rig.call("alice", "*800")
    assert why(rig, rig.transfer(consult, "*800", consult)) == "transfer_impossible"
    assert not consult.gone


def test_a_leg_of_another_account_is_no_target() -> None:
    rig = rig_with()
    alice, bob = rig.conversation("alice", "102")
    gina, gus = rig.conversation("gina", "105")
    assert why(rig, rig.transfer(alice, "105", gina)) == "transfer_impossible"
    assert rig.talking(alice, bob)
    assert rig.talking(gina, gus)


def test_a_transfer_onto_oneself_is_refused() -> None:
    rig = rig_with()
    alice, bob = rig.conversation("alice", "102")
    assert why(rig, rig.transfer(alice, "102", alice)) == "transfer_impossible"
    assert why(rig, rig.transfer(alice, "102", bob)) == "transfer_impossible"
    assert rig.talking(alice, bob)


def test_a_second_leg_that_is_gone_is_no_target() -> None:
    rig = rig_with()
    first, second, bob, carol = consult_of(rig)
    rig.hang_up(carol)
    assert second.gone
    assert why(rig, rig.transfer(first, "103", second)) == "transfer_impossible"
    rig.resume(first)
    assert rig.talking(first, bob)


def test_a_second_leg_that_is_itself_being_transferred_is_no_target() -> None:
    rig = rig_with()
    first, second, bob, _ = consult_of(rig)
    rig.transfer(second, "110")
    assert why(rig, rig.transfer(first, "103", second)) == "transfer_impossible"
    rig.resume(first)
    assert rig.talking(first, bob)


def test_a_call_on_hold_may_be_joined_with_one_picked_up() -> None:
    rig = rig_with()
    door = rig.call("door", "")
    first, bob = rig.conversation("alice", "102")
    rig.hold(first)
    second = rig.call("alice", "*801")
    assert rig.talking(second, door)
    rig.transfer(first, "*801", second)
    assert rig.talking(bob, door)

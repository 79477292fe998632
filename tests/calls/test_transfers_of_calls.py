"""Transfers, blind and attended: S32, and whom they lead to when the target does not answer."""

from __future__ import annotations

import pytest

from parkade.base.sound import Music, Silence, Spoken, Tone
from parkade.calls.board import GRACE_S
from parkade.calls.effects import Progress, ShowParty
from parkade.calls.events import CallEnded
from parkade.calls.identity import Identity
from parkade.calls.inputs import Failure
from parkade.testing.call_play import CallPlay, Phone
from tests.calls.cast import play_with

ACCEPTED, RINGING, DONE, FAILED, REFUSED = Progress
BOB, CAROL = Identity("Bob", "102"), Identity("Carol", "103")


def why(play: CallPlay, name: str) -> str | None:
    refusal = play.transfers[name][-1].refusal
    return refusal.id if refusal else None


# Blind


def test_a_blind_transfer_rings_the_target_while_the_party_hears_it_ring() -> None:
    play = play_with()
    alice, bob = play.conversation("alice", "102")
    name = play.transfer(alice, "103")
    assert play.progress(name) == [ACCEPTED]
    assert bob.hears == Tone("ringback")
    assert alice.hears == Silence()
    assert play.rings("carol").display == BOB
    assert play.progress(name) == [ACCEPTED, RINGING]
    carol = play.answer("carol")
    assert play.talking(bob, carol)
    assert play.progress(name) == [ACCEPTED, RINGING, DONE]
    assert alice.ended
    assert alice.ended.after_s == GRACE_S
    assert ShowParty(bob.leg, CAROL) in play.effects
    assert carol.display == BOB


@pytest.mark.parametrize("who", [0, 1])
def test_either_side_transfers_the_other(who: int) -> None:
    play = play_with()
    ends = play.conversation("alice", "102")
    play.transfer(ends[who], "103")
    assert play.talking(ends[1 - who], play.answer("carol"))


def test_a_transferor_who_hangs_up_early_loses_nobody() -> None:
    play = play_with()
    alice, bob = play.conversation("alice", "102")
    name = play.transfer(alice, "103")
    play.hang_up(alice)
    assert play.talking(bob, play.answer("carol"))
    assert play.progress(name)[-1] is DONE


def test_when_the_target_fails_the_transferor_has_its_party_back() -> None:
    play = play_with()
    alice, bob = play.conversation("alice", "102")
    name = play.transfer(alice, "103")
    play.fail("carol", Failure.BUSY)
    assert play.talking(alice, bob)
    assert play.progress(name) == [ACCEPTED, FAILED]
    assert why(play, name) == "busy"


def test_a_party_given_back_to_a_transferor_on_hold_hears_music() -> None:
    play = play_with()
    alice, bob = play.conversation("alice", "102")
    play.hold(alice)
    play.transfer(alice, "103")
    play.fail("carol", Failure.DECLINED)
    assert bob.hears == Music()
    play.resume(alice)
    assert play.talking(alice, bob)


def test_when_target_and_transferor_are_gone_the_transferors_phones_ring() -> None:
    play = play_with()
    alice, bob = play.conversation("alice", "102")
    play.transfer(alice, "103")
    play.hang_up(alice)
    play.advance(120)
    assert play.all_ringing() == {"alice", "alice-app"}
    assert play.ringing("alice").display == Identity("Return Bob", "102")
    app = play.answer("alice-app")
    assert play.talking(app, bob)
    assert app.display == BOB


def test_when_nobody_at_all_is_left_the_caller_is_told_so() -> None:
    play = play_with()
    alice, bob = play.conversation("alice", "102")
    name = play.transfer(alice, "103")
    play.hang_up(alice)
    play.fail("carol", Failure.UNREACHABLE)
    play.advance(30)
    assert isinstance(bob.hears, Spoken)
    assert bob.hears.phrases == ("sorry-nobody-goodbye",)
    play.listen(bob)
    assert not any(play.control.counts())
    assert play.progress(name) == [ACCEPTED, FAILED]


def test_a_caller_who_hangs_up_while_the_transferors_phones_ring_stops_them() -> None:
    play = play_with()
    alice, bob = play.conversation("alice", "102")
    play.transfer(alice, "103")
    play.hang_up(alice)
    play.fail("carol", Failure.BUSY)
    play.hang_up(bob)
    assert not any(play.control.counts())


def test_a_transferor_without_a_person_cannot_be_rung_back() -> None:
    play = play_with()
    gateway, wall = play.conversation("gw", "110")
    play.transfer(gateway, "103")
    play.hang_up(gateway)
    play.fail("carol", Failure.BUSY)
    assert isinstance(wall.hears, Spoken)


def test_a_party_that_hangs_up_meanwhile_ends_the_transfer() -> None:
    play = play_with()
    alice, bob = play.conversation("alice", "102")
    name = play.transfer(alice, "103")
    play.hang_up(bob)
    assert play.all_ringing() == set()
    assert play.progress(name) == [ACCEPTED, FAILED]
    assert alice.ended
    assert not any(play.control.counts())


def test_a_number_nobody_has_is_refused_and_they_talk_on() -> None:
    play = play_with()
    alice, bob = play.conversation("alice", "102")
    for target in ("555", "105", ""):
        name = play.transfer(alice, target)
        assert play.progress(name) == [REFUSED]
        assert why(play, name) == "no_such_number"
    assert play.talking(alice, bob)


def test_nobody_is_transferred_onto_a_parked_call() -> None:
    play = play_with()
    play.call("door", "")
    alice, bob = play.conversation("alice", "102")
    assert why(play, play.transfer(alice, "**801")) == "transfer_impossible"
    assert why(play, play.transfer(alice, "*801")) == "slot_taken"
    assert play.talking(alice, bob)


def test_ones_own_extension_moves_the_call_to_ones_other_phone() -> None:
    play = play_with()
    alice, bob = play.conversation("alice", "102")
    play.transfer(alice, "101")
    assert play.all_ringing() == {"alice-app"}
    assert play.talking(bob, play.answer("alice-app"))


def test_ones_own_only_phone_is_busy() -> None:
    play = play_with()
    alice, bob = play.conversation("alice", "102")
    name = play.transfer(bob, "102")
    assert play.progress(name) == [ACCEPTED, FAILED]
    assert why(play, name) == "busy"
    assert play.talking(alice, bob)


def test_a_ring_group_is_a_target() -> None:
    play = play_with()
    alice, wall = play.conversation("alice", "110")
    play.transfer(alice, "120")
    assert play.all_ringing() == {"bob", "carol"}
    assert play.talking(wall, play.answer("carol"))


def test_a_call_that_was_picked_up_can_be_transferred() -> None:
    play = play_with()
    alice, bob = play.conversation("alice", "102")
    play.transfer(alice, "*800")
    carol = play.call("carol", "*801")
    play.transfer(carol, "110")
    assert play.talking(bob, play.answer("wall"))


def test_a_second_transfer_while_the_first_rings_is_refused() -> None:
    play = play_with()
    alice, bob = play.conversation("alice", "102")
    play.transfer(alice, "103")
    for phone in (alice, bob):
        assert why(play, play.transfer(phone, "110")) == "transfer_impossible"
    assert play.all_ringing() == {"carol"}


def test_a_party_put_on_hold_by_its_own_phone_stays_so() -> None:
    play = play_with()
    alice, bob = play.conversation("alice", "102")
    play.hold(bob)
    play.transfer(alice, "103")
    carol = play.answer("carol")
    assert carol.hears == Music()
    play.resume(bob)
    assert play.talking(bob, carol)


# Attended


def consult_of(play: CallPlay) -> tuple[Phone, Phone, Phone, Phone]:
    """Alice talks with Bob, holds, and talks with Carol: both legs of Alice, then Bob and Carol."""
    first, bob = play.conversation("alice", "102")
    play.hold(first)
    second, carol = play.conversation("alice", "103")
    return first, second, bob, carol


@pytest.mark.parametrize("from_first", [True, False])
def test_an_attended_transfer_joins_the_two_far_ends(from_first: bool) -> None:
    play = play_with()
    first, second, bob, carol = consult_of(play)
    name = play.transfer(first, "103", second) if from_first else play.transfer(second, "102", first)
    assert play.talking(bob, carol)
    assert play.progress(name) == [ACCEPTED, DONE]
    assert first.ended
    assert second.ended
    assert (bob.display, carol.display) == (CAROL, BOB)
    assert len(play.control) == 1
    assert len(play.events(CallEnded)) == 1
    play.hang_up(bob)
    assert not any(play.control.counts())


def test_the_calls_of_two_phones_of_a_person_may_be_joined() -> None:
    play = play_with()
    first, bob = play.conversation("alice", "102")
    second, carol = play.conversation("alice-app", "103")
    play.transfer(first, "103", second)
    assert play.talking(bob, carol)


def test_a_party_on_hold_at_its_own_phone_is_joined_on_hold() -> None:
    play = play_with()
    first, second, bob, carol = consult_of(play)
    play.hold(carol)
    play.transfer(first, "103", second)
    assert bob.hears == Music()
    play.resume(carol)
    assert play.talking(bob, carol)


def test_a_transfer_before_the_target_has_answered_hands_over_the_waiting() -> None:
    play = play_with()
    first, bob = play.conversation("alice", "102")
    play.hold(first)
    second = play.call("alice", "103")
    play.rings("carol")
    name = play.transfer(first, "103", second)
    assert play.progress(name) == [ACCEPTED, RINGING]
    assert second.ended
    assert bob.hears == Tone("ringback")
    assert play.ringing("carol").display == Identity("Alice", "101")
    carol = play.answer("carol")
    assert play.talking(bob, carol)
    assert carol.display == BOB
    assert play.progress(name)[-1] is DONE
    assert first.ended


def test_if_that_target_does_not_answer_the_party_goes_back() -> None:
    play = play_with()
    first, bob = play.conversation("alice", "102")
    second = play.call("alice", "103")
    play.advance(100)
    name = play.transfer(first, "103", second)
    play.advance(20)
    assert play.progress(name) == [ACCEPTED, FAILED]
    assert why(play, name) == "no_answer"
    assert play.talking(first, bob)


def test_a_party_takes_the_place_of_a_transferor_who_has_been_parked() -> None:
    play = play_with()
    first, second, bob, carol = consult_of(play)
    play.transfer(carol, "*800")
    name = play.transfer(first, "103", second)
    assert play.progress(name) == [ACCEPTED, DONE]
    assert bob.hears == Music()
    assert first.ended
    assert second.ended
    assert play.talking(play.call("wall", "*801"), bob)


def test_the_code_that_was_kept_for_such_a_party_is_free() -> None:
    play = play_with()
    door = play.call("door", "")
    first = play.call("alice", "*801")
    play.hold(first)
    second, carol = play.conversation("alice", "103")
    play.transfer(carol, "*805")
    play.transfer(first, "103", second)
    assert play.control.counts().reserved == 0
    assert play.talking(play.call("wall", "*805"), door)


def test_the_announcement_is_no_target_for_itself() -> None:
    play = play_with()
    alice, _ = play.conversation("alice", "102")
    play.hold(alice)
    consult = play.call("alice", "*800")
    assert why(play, play.transfer(consult, "*800", consult)) == "transfer_impossible"
    assert not consult.gone


def test_a_leg_of_another_account_is_no_target() -> None:
    play = play_with()
    alice, bob = play.conversation("alice", "102")
    gina, gus = play.conversation("gina", "105")
    assert why(play, play.transfer(alice, "105", gina)) == "transfer_impossible"
    assert play.talking(alice, bob)
    assert play.talking(gina, gus)


def test_a_transfer_onto_oneself_is_refused() -> None:
    play = play_with()
    alice, bob = play.conversation("alice", "102")
    assert why(play, play.transfer(alice, "102", alice)) == "transfer_impossible"
    assert why(play, play.transfer(alice, "102", bob)) == "transfer_impossible"
    assert play.talking(alice, bob)


def test_a_second_leg_that_is_gone_is_no_target() -> None:
    play = play_with()
    first, second, bob, carol = consult_of(play)
    play.hang_up(carol)
    assert second.gone
    assert why(play, play.transfer(first, "103", second)) == "transfer_impossible"
    play.resume(first)
    assert play.talking(first, bob)


def test_a_second_leg_that_is_itself_being_transferred_is_no_target() -> None:
    play = play_with()
    first, second, bob, _ = consult_of(play)
    play.transfer(second, "110")
    assert why(play, play.transfer(first, "103", second)) == "transfer_impossible"
    play.resume(first)
    assert play.talking(first, bob)


def test_a_call_on_hold_may_be_joined_with_one_picked_up() -> None:
    play = play_with()
    door = play.call("door", "")
    first, bob = play.conversation("alice", "102")
    play.hold(first)
    second = play.call("alice", "*801")
    assert play.talking(second, door)
    play.transfer(first, "*801", second)
    assert play.talking(bob, door)

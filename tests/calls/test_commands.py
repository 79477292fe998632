"""What programs ask for: park, retrieve, give back, hang up, note, list; and what boards are told of slots."""

from __future__ import annotations

import pytest

from parkade.base.sound import Music
from parkade.calls.commands import (
    GiveBackCall,
    HangUpCall,
    ListParked,
    NoteCall,
    ParkCall,
    ParkedCall,
    RetrieveCall,
    Wanted,
)
from parkade.calls.directory import ParkPolicy
from parkade.calls.effects import Progress, SlotState
from parkade.calls.events import CallRetrieved, CallTimedOut
from parkade.calls.identity import Identity
from parkade.calls.inputs import Cause, Failure
from parkade.testing.call_play import CallPlay, Phone
from tests.calls.cast import play_with


def parked(play: CallPlay, target: str = "*800") -> Phone:
    """Bob, parked by Alice."""
    alice, bob = play.conversation("alice", "102")
    play.transfer(alice, target)
    return bob


def refusal_of(play: CallPlay, command: str) -> str | None:
    refusal = play.replies[command].refusal
    return refusal.id if refusal else None


def the_call(play: CallPlay) -> str:
    (call,) = play.control._board.calls
    return call


def test_a_call_is_parked_by_its_id() -> None:
    play = play_with()
    alice, bob = play.conversation("alice", "102")
    call = the_call(play)
    reply = play.replies[play.command("acme", ParkCall(call, "101", "805", "for Carol"))]
    assert reply.result == ParkedCall(
        "*805", "Main", 805, call, Identity("Bob", "102"), "101", "for Carol", play.now, play.now + 600
    )
    assert bob.hears == Music()
    assert alice.ended
    assert play.talking(play.call("carol", "*805"), bob)


@pytest.mark.parametrize(
    ("account", "wanted", "refusal"),
    [
        ("acme", ParkCall("nothing", "101"), "no_such_call"),
        ("globex", ParkCall("it", "101"), "no_such_call"),
        ("nowhere", ParkCall("it", "101"), "no_such_call"),
        ("acme", ParkCall("it", "103"), "no_such_call"),
        ("acme", ParkCall("it", "101", "999"), "no_such_slot"),
        ("globex", HangUpCall("it"), "no_such_call"),
        ("acme", HangUpCall("nothing"), "no_such_call"),
        ("acme", NoteCall("*801", "x"), "no_call_parked"),
        ("acme", GiveBackCall("*801"), "no_call_parked"),
        ("acme", RetrieveCall("*801", "carol"), "no_call_parked"),
        ("acme", RetrieveCall("nonsense", "carol"), "no_call_parked"),
        ("acme", RetrieveCall("*801", "gus"), "no_such_device"),
        ("acme", RetrieveCall("*801", "nobody"), "no_such_device"),
        ("acme", RetrieveCall("*801", "dan"), "not_licensed"),
    ],
)
def test_what_cannot_be_is_refused_by_id_and_changes_nothing(account: str, wanted: Wanted, refusal: str) -> None:
    play = play_with()
    alice, bob = play.conversation("alice", "102")
    if isinstance(wanted, ParkCall | HangUpCall) and wanted.call == "it":
        wanted = type(wanted)(the_call(play), *([wanted.by, wanted.slot] if isinstance(wanted, ParkCall) else []))  # type: ignore[arg-type]
    assert refusal_of(play, play.command(account, wanted)) == refusal
    assert play.talking(alice, bob)


def test_a_code_of_another_account_looks_like_a_free_one() -> None:
    play = play_with()
    parked(play)
    taken = play.replies[play.command("globex", RetrieveCall("*801", "gus"))].refusal
    free = play.replies[play.command("globex", RetrieveCall("*802", "gus"))].refusal
    assert taken
    assert free
    assert taken.en.replace("*801", "*802") == free.en


def test_a_phone_is_rung_and_then_connected_and_the_call_stays_parked_until_then() -> None:
    play = play_with()
    bob = parked(play)
    command = play.command("acme", RetrieveCall("*801", "carol"))
    assert command not in play.replies
    carol = play.rings("carol")
    assert carol.display == Identity("Park *801 Bob", "102")
    assert bob.hears == Music()
    play.advance(5)
    play.answer("carol")
    assert play.talking(carol, bob)
    result = play.replies[command].result
    assert isinstance(result, ParkedCall)
    assert (result.code, result.caller) == ("*801", Identity("Bob", "102"))
    assert play.events(CallRetrieved)[0].retrieved_by == "103"


def test_whoever_dials_the_code_first_has_the_call_and_the_phone_stops_ringing() -> None:
    play = play_with()
    bob = parked(play)
    command = play.command("acme", RetrieveCall("*801", "carol"))
    wall = play.call("wall", "*801")
    assert play.talking(wall, bob)
    assert play.all_ringing() == set()
    assert refusal_of(play, command) == "already_picked_up"


def test_of_two_phones_that_ring_for_one_call_the_first_has_it() -> None:
    play = play_with()
    bob = parked(play)
    first = play.command("acme", RetrieveCall("*801", "carol"))
    second = play.command("acme", RetrieveCall("*801", "wall"))
    assert play.talking(play.answer("wall"), bob)
    assert refusal_of(play, first) == "already_picked_up"
    assert play.replies[second].result
    assert play.all_ringing() == set()


@pytest.mark.parametrize("why", [Failure.BUSY, Failure.DECLINED, Failure.NOT_REGISTERED, Failure.REDIRECTED])
def test_a_phone_that_does_not_take_the_call_leaves_it_parked(why: Failure) -> None:
    play = play_with()
    bob = parked(play)
    command = play.command("acme", RetrieveCall("*801", "carol"))
    play.fail("carol", why)
    assert refusal_of(play, command) is not None
    assert play.talking(play.call("wall", "*801"), bob)


def test_a_phone_that_nobody_picks_up_stops_ringing_after_half_a_minute() -> None:
    play = play_with()
    parked(play)
    command = play.command("acme", RetrieveCall("*801", "carol"))
    play.advance(30)
    assert play.all_ringing() == set()
    assert refusal_of(play, command) == "no_answer"


@pytest.mark.parametrize("what", ["expires", "hangs up", "is given back", "is hung up"])
def test_a_call_that_leaves_its_code_stops_the_phone(what: str) -> None:
    play = play_with()
    bob = parked(play)
    call = the_call(play)
    play.advance(590)
    command = play.command("acme", RetrieveCall("*801", "carol"))
    if what == "expires":
        play.advance(10)
    elif what == "hangs up":
        play.hang_up(bob)
    elif what == "is given back":
        play.command("acme", GiveBackCall("*801"))
    else:
        play.command("acme", HangUpCall(call))
    assert not play.is_ringing("carol")
    assert refusal_of(play, command) == "no_call_parked"


def test_a_phone_that_dies_while_it_rings_leaves_the_call_parked() -> None:
    play = play_with()
    bob = parked(play)
    command = play.command("acme", RetrieveCall("*801", "carol"))
    play.hang_up(play.ringing("carol"), Cause.LOST)
    assert refusal_of(play, command) == "unreachable"
    assert play.talking(play.call("wall", "*801"), bob)


def test_a_crash_while_the_phone_rings_leaves_the_call_parked() -> None:
    play = play_with()
    bob = parked(play)
    play.command("acme", RetrieveCall("*801", "carol"))
    play.crash()
    assert play.all_ringing() == set()
    assert play.talking(play.call("wall", "*801"), bob)


def test_a_call_is_given_back_before_its_deadline() -> None:
    play = play_with()
    bob = parked(play)
    assert refusal_of(play, play.command("acme", GiveBackCall("*801"))) is None
    assert play.all_ringing() == {"alice", "alice-app"}
    assert play.talking(play.answer("alice"), bob)
    assert play.events(CallTimedOut) == []


def test_a_call_that_nobody_parked_cannot_be_given_back() -> None:
    play = play_with()
    play.call("door", "")
    assert refusal_of(play, play.command("acme", GiveBackCall("*801"))) == "nobody_parked_it"


@pytest.mark.parametrize("stage", ["ringing", "talking", "parked", "recalled"])
def test_a_call_is_hung_up_in_any_stage(stage: str) -> None:
    play = play_with(ParkPolicy(reserve_s=0))
    if stage == "ringing":
        play.call("alice", "102")
    elif stage == "talking":
        play.conversation("alice", "102")
    else:
        parked(play)
        play.advance(600 if stage == "recalled" else 1)
    play.command("acme", HangUpCall(the_call(play)))
    assert all(phone.gone for phone in play.phones.values())
    assert not any(play.control.counts())


def test_a_note_is_listed_and_survives() -> None:
    play = play_with()
    parked(play)
    play.call("door", "")
    play.command("acme", NoteCall("*801", "wants Ann"))
    play.crash()
    result = play.replies[play.command("acme", ListParked())].result
    assert isinstance(result, tuple)
    assert [(one.code, one.note, one.parked_by) for one in result] == [("*801", "wants Ann", "101"), ("*802", "", None)]
    assert play.replies[play.command("globex", ListParked())].result == ()


def test_a_board_sees_a_slot_taken_reserved_and_free() -> None:
    play = play_with()
    bob = parked(play)
    at = ("acme", "", 801)
    slot = play.slots[at]
    assert (slot.state, slot.code, slot.caller, slot.parked_by) == (SlotState.TAKEN, "*801", Identity("Bob", "102"), "101")
    assert (slot.since, slot.expires_at) == (play.now, play.now + 600)
    play.call("carol", "*801")
    assert (play.slots[at].state, play.slots[at].expires_at) == (SlotState.RESERVED, play.now + 30)
    play.advance(30)
    assert play.slots[at].state is SlotState.FREE
    assert not bob.gone


def test_a_board_sees_every_slot_again_after_a_restart() -> None:
    play = play_with()
    parked(play)
    before = dict(play.slots)
    play.crash()
    assert play.slots == before


def test_events_have_ids_of_their_own() -> None:
    play = play_with()
    parked(play)
    play.call("carol", "*801")
    ids = [event.id for event in play.events()]
    assert all(ids)
    assert len(set(ids)) == len(ids)


def test_a_phone_that_rings_so_as_to_retrieve_a_call_cannot_transfer_it() -> None:
    play = play_with()
    bob = play.call("door", "")
    play.command("acme", RetrieveCall("*801", "carol"))
    assert play.progress(play.transfer(play.ringing("carol"), "", bob)) == [Progress.REFUSED]
    assert play.progress(play.transfer(play.ringing("carol"), "102")) == [Progress.REFUSED]
    assert play.talking(play.answer("carol"), bob)

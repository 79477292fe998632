"""What programs ask for: park, retrieve, give back, hang up, note, list; and what boards are told of slots."""

from __future__ import annotations

import pytest

from parkade.base.sound import Music
from parkade.calls.commands import (
    ForceBackCall,
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
from parkade.testing.call_rig import CallRig, Phone
from tests.calls.accounts import rig_with


def parked(rig: CallRig, target: str = "*800") -> Phone:
    """Bob, parked by Alice."""
    alice, bob = rig.conversation("alice", "102")
    rig.transfer(alice, target)
    return bob


def refusal_of(rig: CallRig, command: str) -> str | None:
    refusal = rig.replies[command].refusal
    return refusal.id if refusal else None


def the_call(rig: CallRig) -> str:
    (call,) = rig.control._state.calls
    return call


def test_a_call_is_parked_by_its_id() -> None:
    rig = rig_with()
    alice, bob = rig.conversation("alice", "102")
    call = the_call(rig)
    reply = rig.replies[rig.command("acme", ParkCall(call, "101", "805", "for Carol"))]
    assert reply.result == ParkedCall(
        *("*805", "Main", 805, call, Identity("Bob", "102"), "101", "for Carol", rig.now, rig.now + 600),
        parked_by_name="Alice",
    )
    assert bob.hears == Music()
    assert alice.ended
    assert rig.talking(rig.call("carol", "*805"), bob)


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
        ("acme", ForceBackCall("*801"), "no_call_parked"),
        ("acme", RetrieveCall("*801", "carol"), "no_call_parked"),
        ("acme", RetrieveCall("nonsense", "carol"), "no_call_parked"),
        ("acme", RetrieveCall("*801", "gus"), "no_such_device"),
        ("acme", RetrieveCall("*801", "nobody"), "no_such_device"),
        ("acme", RetrieveCall("*801", "dan"), "not_licensed"),
    ],
)
def test_what_cannot_be_is_refused_by_id_and_changes_nothing(account: str, wanted: Wanted, refusal: str) -> None:
    rig = rig_with()
    alice, bob = rig.conversation("alice", "102")
    if isinstance(wanted, ParkCall | HangUpCall) and wanted.call == "it":
        wanted = type(wanted)(the_call(rig), *([wanted.by, wanted.slot] if isinstance(wanted, ParkCall) else []))  # type: ignore[arg-type]
    assert refusal_of(rig, rig.command(account, wanted)) == refusal
    assert rig.talking(alice, bob)


def test_a_code_of_another_account_looks_like_a_free_one() -> None:
    rig = rig_with()
    parked(rig)
    taken = rig.replies[rig.command("globex", RetrieveCall("*801", "gus"))].refusal
    free = rig.replies[rig.command("globex", RetrieveCall("*802", "gus"))].refusal
    assert taken
    assert free
    assert taken.en.replace("*801", "*802") == free.en


def test_a_phone_is_rung_and_then_connected_and_the_call_stays_parked_until_then() -> None:
    rig = rig_with()
    bob = parked(rig)
    command = rig.command("acme", RetrieveCall("*801", "carol"))
    assert command not in rig.replies
    carol = rig.rings("carol")
    assert carol.display == Identity("Park *801 Bob", "102")
    assert bob.hears == Music()
    rig.advance(5)
    rig.answer("carol")
    assert rig.talking(carol, bob)
    result = rig.replies[command].result
    assert isinstance(result, ParkedCall)
    assert (result.code, result.caller) == ("*801", Identity("Bob", "102"))
    assert rig.events(CallRetrieved)[0].retrieved_by == "103"


def test_whoever_dials_the_code_first_has_the_call_and_the_phone_stops_ringing() -> None:
    rig = rig_with()
    bob = parked(rig)
    command = rig.command("acme", RetrieveCall("*801", "carol"))
    wall = rig.call("wall", "*801")
    assert rig.talking(wall, bob)
    assert rig.all_ringing() == set()
    assert refusal_of(rig, command) == "already_picked_up"


def test_of_two_phones_that_ring_for_one_call_the_first_has_it() -> None:
    rig = rig_with()
    bob = parked(rig)
    first = rig.command("acme", RetrieveCall("*801", "carol"))
    second = rig.command("acme", RetrieveCall("*801", "wall"))
    assert rig.talking(rig.answer("wall"), bob)
    assert refusal_of(rig, first) == "already_picked_up"
    assert rig.replies[second].result
    assert rig.all_ringing() == set()


@pytest.mark.parametrize("why", [Failure.BUSY, Failure.DECLINED, Failure.NOT_REGISTERED, Failure.REDIRECTED])
def test_a_phone_that_does_not_take_the_call_leaves_it_parked(why: Failure) -> None:
    rig = rig_with()
    bob = parked(rig)
    command = rig.command("acme", RetrieveCall("*801", "carol"))
    rig.fail("carol", why)
    assert refusal_of(rig, command) is not None
    assert rig.talking(rig.call("wall", "*801"), bob)


def test_a_phone_that_nobody_picks_up_stops_ringing_after_half_a_minute() -> None:
    rig = rig_with()
    parked(rig)
    command = rig.command("acme", RetrieveCall("*801", "carol"))
    rig.advance(30)
    assert rig.all_ringing() == set()
    assert refusal_of(rig, command) == "no_answer"


@pytest.mark.parametrize("what", ["expires", "hangs up", "is forced back", "is hung up"])
def test_a_call_that_leaves_its_code_stops_the_phone(what: str) -> None:
    rig = rig_with()
    bob = parked(rig)
    call = the_call(rig)
    rig.advance(590)
    command = rig.command("acme", RetrieveCall("*801", "carol"))
    if what == "expires":
        rig.advance(10)
    elif what == "hangs up":
        rig.hang_up(bob)
    elif what == "is forced back":
        rig.command("acme", ForceBackCall("*801"))
    else:
        rig.command("acme", HangUpCall(call))
    assert not rig.is_ringing("carol")
    assert refusal_of(rig, command) == "no_call_parked"


def test_a_phone_that_dies_while_it_rings_leaves_the_call_parked() -> None:
    rig = rig_with()
    bob = parked(rig)
    command = rig.command("acme", RetrieveCall("*801", "carol"))
    rig.hang_up(rig.ringing("carol"), Cause.LOST)
    assert refusal_of(rig, command) == "unreachable"
    assert rig.talking(rig.call("wall", "*801"), bob)


def test_a_crash_while_the_phone_rings_leaves_the_call_parked() -> None:
    rig = rig_with()
    bob = parked(rig)
    rig.command("acme", RetrieveCall("*801", "carol"))
    rig.crash()
    assert rig.all_ringing() == set()
    assert rig.talking(rig.call("wall", "*801"), bob)


def test_a_call_is_forced_back_before_its_deadline() -> None:
    rig = rig_with()
    bob = parked(rig)
    assert refusal_of(rig, rig.command("acme", ForceBackCall("*801"))) is None
    assert rig.all_ringing() == {"alice", "alice-app"}
    assert rig.talking(rig.answer("alice"), bob)
    assert rig.events(CallTimedOut) == []


def test_a_call_that_nobody_parked_cannot_be_forced_back() -> None:
    rig = rig_with()
    rig.call("door", "")
    assert refusal_of(rig, rig.command("acme", ForceBackCall("*801"))) == "nobody_parked_it"


@pytest.mark.parametrize("stage", ["ringing", "talking", "parked", "recalled"])
def test_a_call_is_hung_up_in_any_stage(stage: str) -> None:
    rig = rig_with(ParkPolicy(reserve_s=0))
    if stage == "ringing":
        rig.call("alice", "102")
    elif stage == "talking":
        rig.conversation("alice", "102")
    else:
        parked(rig)
        rig.advance(600 if stage == "recalled" else 1)
    rig.command("acme", HangUpCall(the_call(rig)))
    assert all(phone.gone for phone in rig.phones.values())
    assert not any(rig.control.counts())


def test_a_note_is_listed_and_survives() -> None:
    rig = rig_with()
    parked(rig)
    rig.call("door", "")
    rig.command("acme", NoteCall("*801", "wants Ann"))
    rig.crash()
    result = rig.replies[rig.command("acme", ListParked())].result
    assert isinstance(result, tuple)
    parked_calls = [one for one in result if isinstance(one, ParkedCall)]
    assert [(one.code, one.note, one.parked_by) for one in parked_calls] == [("*801", "wants Ann", "101"), ("*802", "", None)]
    assert rig.replies[rig.command("globex", ListParked())].result == ()


def test_a_board_sees_a_slot_taken_reserved_and_free() -> None:
    rig = rig_with()
    bob = parked(rig)
    at = ("acme", "", 801)
    slot = rig.slots[at]
    assert (slot.state, slot.code, slot.caller, slot.parked_by) == (SlotState.TAKEN, "*801", Identity("Bob", "102"), "101")
    assert (slot.since, slot.expires_at) == (rig.now, rig.now + 600)
    rig.call("carol", "*801")
    assert (rig.slots[at].state, rig.slots[at].expires_at) == (SlotState.RESERVED, rig.now + 30)
    rig.advance(30)
    assert rig.slots[at].state is SlotState.FREE
    assert not bob.gone


def test_a_board_sees_every_slot_again_after_a_restart() -> None:
    rig = rig_with()
    parked(rig)
    before = dict(rig.slots)
    rig.crash()
    assert rig.slots == before


def test_events_have_ids_of_their_own() -> None:
    rig = rig_with()
    parked(rig)
    rig.call("carol", "*801")
    ids = [event.id for event in rig.events()]
    assert all(ids)
    assert len(set(ids)) == len(ids)


def test_a_phone_that_rings_so_as_to_retrieve_a_call_cannot_transfer_it() -> None:
    rig = rig_with()
    bob = rig.call("door", "")
    rig.command("acme", RetrieveCall("*801", "carol"))
    assert rig.progress(rig.transfer(rig.ringing("carol"), "", bob)) == [Progress.REFUSED]
    assert rig.progress(rig.transfer(rig.ringing("carol"), "102")) == [Progress.REFUSED]
    assert rig.talking(rig.answer("carol"), bob)

"""What programs may do with calls: list them, transfer them, hang up, give back and force back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from parkade.base.sound import Music
from parkade.calls.commands import (
    CallDetail,
    CallStage,
    ForceBackCall,
    GetCall,
    GiveBackCall,
    HangUpCall,
    ListCalls,
    ListParked,
    NoteCall,
    ParkCall,
    ParkedCall,
    ParkState,
    Result,
    RetrieveCall,
    TransferCall,
    Wanted,
)
from parkade.calls.directory import Directory, Lot, ParkPolicy
from parkade.calls.events import (
    CallAbandoned,
    CallEnded,
    CallGivenBack,
    CallGivenUp,
    CallReminded,
    CallReparked,
    CallsResumed,
    CallTimedOut,
    CallTransferred,
    EndReason,
    NoteChanged,
    TransferFailed,
)
from parkade.calls.identity import Identity
from parkade.calls.inputs import Cause, DirectoryChanged, Failure
from parkade.calls.park import LOST_RACE_S
from parkade.calls.recall import GIVEN_BACK_S
from parkade.testing.call_rig import CallRig, Phone
from tests.calls.accounts import rig_with, two_accounts, two_sites, with_trunk
from tests.calls.test_commands import parked, refusal_of, the_call


def ask(rig: CallRig, wanted: Wanted, account: str = "acme") -> Result:
    """The result of what is answered at once."""
    reply = rig.replies[rig.command(account, wanted)]
    assert reply.refusal is None, reply.refusal
    return reply.result


def refused(rig: CallRig, wanted: Wanted, account: str = "acme") -> str | None:
    return refusal_of(rig, rig.command(account, wanted))


def call_of(rig: CallRig, seen_by: str | None = None) -> CallDetail:
    """The only call there is."""
    calls = ask(rig, ListCalls(seen_by))
    assert isinstance(calls, tuple)
    (call,) = calls
    assert isinstance(call, CallDetail)
    assert ask(rig, GetCall(call.id, seen_by)) == call
    return call


def picture(call: CallDetail) -> tuple[str, list[tuple[str, str | None, str]]]:
    return call.stage, [(party.number, party.extension, party.state) for party in call.parties]


def codes(rig: CallRig, wanted: ListParked) -> list[tuple[str, str]]:
    listed = ask(rig, wanted)
    assert isinstance(listed, tuple)
    return [(one.code, one.state) for one in listed if isinstance(one, ParkedCall)]


# Looking


def test_a_call_is_listed_with_its_parties_and_what_each_does() -> None:
    rig = rig_with()
    alice = rig.call("alice", "102")
    call = call_of(rig)
    assert picture(call) == ("ringing", [("101", "101", "calling"), ("102", "102", "ringing")])
    assert (call.account, call.started_at, call.since, call.parked) == ("acme", rig.now, rig.now, None)
    rig.advance(5)
    rig.answer("bob")
    assert picture(call_of(rig)) == ("talking", [("101", "101", "talking"), ("102", "102", "talking")])
    assert call_of(rig).since == call.started_at + 5
    rig.hold(alice)
    assert picture(call_of(rig)) == ("talking", [("101", "101", "holding"), ("102", "102", "held")])
    rig.transfer(alice, "*800")
    call = call_of(rig)
    assert picture(call) == ("parked", [("102", "102", "parked")])
    assert call.parked
    assert (call.parked.code, call.parked.state, call.parked.parked_by_name) == ("*801", ParkState.PARKED, "Alice")
    rig.advance(600)
    assert picture(call_of(rig)) == ("ringing_back", [("102", "102", "waiting"), ("101", "101", "ringing")])
    assert codes(rig, ListParked()) == [("*801", "ringing_back")]
    rig.answer("alice")
    assert call_of(rig).stage is CallStage.TALKING
    assert codes(rig, ListParked()) == []


def test_whoever_is_kept_waiting_for_a_code_is_listed_too() -> None:
    rig = rig_with(first=801, last=801)
    parked(rig)
    rig.advance(600)
    rig.call("gw", "park:801")
    rig.advance(30)
    assert sorted(codes(rig, ListParked())) == [("*801", "parked"), ("*801", "waiting")]


def test_a_leg_that_hears_a_code_is_no_call() -> None:
    rig = rig_with()
    alice, _ = rig.conversation("alice", "102")
    rig.hold(alice)
    rig.call("alice", "*800")
    assert call_of(rig).stage is CallStage.PARKED
    assert len(rig.control._state.calls) == 2


def test_a_call_that_was_picked_up_is_listed_as_long_as_its_code_is_kept() -> None:
    rig = rig_with()
    parked(rig)
    rig.call("carol", "*801")
    assert codes(rig, ListParked()) == []
    assert codes(rig, ListParked(reserved=True)) == [("*801", "reserved")]
    call = call_of(rig)
    assert call.parked
    assert (call.parked.retrieved_by, call.parked.kept_until) == (Identity("Carol", "103"), rig.now + 30)
    rig.advance(30)
    assert codes(rig, ListParked(reserved=True)) == []


def test_a_person_sees_the_calls_it_is_in_and_those_that_are_parked() -> None:
    rig = rig_with()
    rig.conversation("alice", "102")
    assert call_of(rig, "101").id == call_of(rig, "102").id
    assert ask(rig, ListCalls("103")) == ask(rig, ListCalls("999")) == ()
    assert refused(rig, GetCall(the_call(rig), "103")) == "no_such_call"
    ask(rig, ParkCall(the_call(rig), "101"))
    assert call_of(rig, "103").stage is CallStage.PARKED
    assert refused(rig, GetCall(the_call(rig)), "globex") == "no_such_call"


def test_another_name_of_a_lot_is_an_event() -> None:
    rig = rig_with()
    parked(rig)
    rig.tell(DirectoryChanged(renamed(two_accounts())))
    (event,) = [event for event in rig.events()[-1:] if event.moment.detail]
    assert event.moment.detail
    assert event.moment.detail.parked
    assert event.moment.detail.parked.lot == "Renamed"


def renamed(directory: Directory) -> Directory:
    acme = directory.accounts["acme"]
    lots = {id_: replace(lot, name="Renamed") for id_, lot in acme.lots.items()}
    return Directory({**directory.accounts, "acme": replace(acme, lots=lots)}, directory.devices)


# Giving back


def picked_up(rig: CallRig, after_s: float = 60.0) -> tuple[Phone, Phone]:
    """Bob, parked by Alice at *801 and picked up by Carol."""
    bob = parked(rig)
    rig.advance(after_s)
    return bob, rig.call("carol", "*801")


@pytest.mark.parametrize("by", ["103", None])
def test_whoever_picked_up_by_mistake_gives_the_caller_back_to_the_same_code_with_the_deadline_it_had(by: str | None) -> None:
    rig = rig_with()
    deadline = rig.now + 600
    bob, carol = picked_up(rig)
    rig.advance(5)
    result = ask(rig, GiveBackCall("*801", by))
    assert isinstance(result, ParkedCall)
    assert (result.code, result.state, result.expires_at, result.parked_by) == ("*801", ParkState.PARKED, deadline, "101")
    assert carol.ended
    assert bob.hears == Music()
    (event,) = rig.events(CallGivenBack)
    assert (event.code, event.expires_at, event.given_back_by, event.waited_s) == ("*801", deadline, by, 65)
    rig.advance(deadline - rig.now)
    assert rig.all_ringing() == {"alice", "alice-app"}


@pytest.mark.parametrize(("left_s", "policy_s"), [(0.5, 600.0), (2.0, 5.0)])
def test_a_caller_who_is_given_back_late_has_time_to_be_picked_up(left_s: float, policy_s: float) -> None:
    rig = rig_with(ParkPolicy(expiration_s=policy_s))
    bob, _ = picked_up(rig, policy_s - left_s)
    rig.advance(3)
    ask(rig, GiveBackCall("*801", "103"))
    least_s = min(GIVEN_BACK_S, policy_s)
    rig.advance(least_s - 0.1)
    assert bob.hears == Music()
    assert not rig.all_ringing()
    rig.advance(0.1)
    assert rig.all_ringing() == {"alice", "alice-app"}


def test_it_can_be_picked_up_and_given_back_again_and_after_a_crash_too() -> None:
    rig = rig_with()
    bob, _ = picked_up(rig)
    rig.crash()
    ask(rig, GiveBackCall("*801", "103"))
    wall = rig.call("wall", "*801")
    assert rig.talking(wall, bob)
    ask(rig, GiveBackCall("*801", "110"))
    rig.crash()
    assert rig.talking(rig.call("carol", "*801"), bob)


def test_without_a_time_to_keep_codes_there_are_ten_seconds_unless_the_code_is_given_away() -> None:
    rig = rig_with(ParkPolicy(reserve_s=0))
    bob, _ = picked_up(rig)
    rig.advance(LOST_RACE_S - 0.1)
    ask(rig, GiveBackCall("*801", "103"))
    rig.advance(1)
    carol = rig.call("carol", "*801")
    rig.call("door", "")
    assert refused(rig, GiveBackCall("*801", "103")) == "nothing_to_give_back"
    assert rig.talking(carol, bob)


@pytest.mark.parametrize(
    ("account", "wanted"),
    [
        ("acme", GiveBackCall("*801", "101")),
        ("acme", GiveBackCall("*801", "999")),
        ("acme", GiveBackCall("*802", "103")),
        ("acme", GiveBackCall("nonsense")),
        ("globex", GiveBackCall("*801")),
    ],
)
def test_nobody_gives_back_what_somebody_else_has(account: str, wanted: GiveBackCall) -> None:
    rig = rig_with()
    bob, carol = picked_up(rig)
    assert refused(rig, wanted, account) == "nothing_to_give_back"
    assert rig.talking(carol, bob)


def test_what_is_over_or_handed_on_is_not_given_back() -> None:
    rig = rig_with()
    bob, carol = picked_up(rig)
    rig.transfer(carol, "110")
    wall = rig.answer("wall")
    assert refused(rig, GiveBackCall("*801", "103")) == "nothing_to_give_back"
    assert rig.talking(wall, bob)
    rig.hang_up(wall)
    assert refused(rig, GiveBackCall("*801")) == "nothing_to_give_back"
    assert refused(rig_with(), GiveBackCall("*801")) == "nothing_to_give_back"


# Forcing back, notes


@pytest.mark.parametrize(("by", "told"), [("103", "103"), (None, "")])
def test_who_forces_a_call_back_is_told(by: str | None, told: str) -> None:
    rig = rig_with()
    parked(rig)
    ask(rig, ForceBackCall("*801", by))
    (event,) = rig.events(CallReminded)
    assert (event.reminded, event.forced_by, event.code) == ("101", told, "*801")
    assert call_of(rig).stage is CallStage.RINGING_BACK


def the_parked(rig: CallRig) -> ParkedCall:
    """The only parked call there is."""
    found = ask(rig, ListParked())
    assert isinstance(found, tuple)
    (one,) = found
    assert isinstance(one, ParkedCall)
    return one


@pytest.mark.parametrize("crashes", [False, True])
def test_a_call_that_is_forced_back_in_vain_waits_where_and_as_long_as_before(crashes: bool) -> None:
    """However often: nobody has waited for its deadline, so it counts for no round."""
    rig = rig_with()
    bob = parked(rig)
    before = the_parked(rig)
    rig.advance(60)
    for _ in range(5):
        ask(rig, ForceBackCall("*801"))
        if crashes:
            rig.crash()
        for phone in ("alice", "alice-app"):
            rig.fail(phone, Failure.NO_ANSWER)
        assert (the_parked(rig).code, the_parked(rig).expires_at) == ("*801", before.expires_at)
    rig.advance(540)
    assert rig.all_ringing() == {"alice", "alice-app"}
    assert rig.talking(rig.answer("alice"), bob)


def test_at_the_deadline_nobody_has_forced_it() -> None:
    rig = rig_with()
    parked(rig)
    rig.advance(600)
    assert [(event.reminded, event.forced_by) for event in rig.events(CallReminded)] == [("101", None)]


def test_a_note_is_an_event() -> None:
    rig = rig_with()
    parked(rig)
    ask(rig, NoteCall("*801", "for Minh", "103"))
    (event,) = rig.events(NoteChanged)
    assert (event.note, event.noted_by) == ("for Minh", "103")
    assert event.moment.detail
    assert event.moment.detail.parked
    assert event.moment.detail.parked.note == "for Minh"


# Transfers


def test_a_call_is_transferred_to_an_extension() -> None:
    rig = rig_with()
    alice, bob = rig.conversation("alice", "102")
    result = ask(rig, TransferCall(the_call(rig), "101", "103"))
    assert isinstance(result, CallDetail)
    assert picture(result) == (
        "transferring",
        [("102", "102", "waiting"), ("101", "101", "transferring"), ("103", "103", "ringing")],
    )
    assert rig.talking(rig.answer("carol"), bob)
    assert alice.ended
    (event,) = rig.events(CallTransferred)
    assert (event.transferred_by, event.transferred_to) == ("101", "103")
    assert not rig.transfers


def test_a_transfer_that_nobody_answers_leaves_the_two_talking() -> None:
    rig = rig_with()
    alice, bob = rig.conversation("alice", "102")
    ask(rig, TransferCall(the_call(rig), "101", "103"))
    rig.fail("carol", Failure.BUSY)
    assert rig.talking(alice, bob)
    assert [(event.transferred_by, event.reason) for event in rig.events(TransferFailed)] == [("101", "busy")]


def test_a_transfer_by_a_program_goes_on_after_a_crash() -> None:
    rig = rig_with()
    _, bob = rig.conversation("alice", "102")
    ask(rig, TransferCall(the_call(rig), "101", "103"))
    rig.crash()
    assert rig.control.transfers() == set()
    assert rig.talking(rig.answer("carol"), bob)


def test_a_call_is_transferred_to_an_outside_number_and_to_a_code() -> None:
    rig = CallRig(with_trunk(two_accounts()))
    rig.conversation("alice", "102")
    ask(rig, TransferCall(the_call(rig), "101", "+84901234567"))
    ring = rig.ringing("acme/1").ring
    assert ring
    assert ring.number == "+84901234567"
    rig = rig_with()
    rig.conversation("alice", "102")
    ask(rig, TransferCall(the_call(rig), "101", "*805"))
    assert codes(rig, ListParked()) == [("*805", "parked")]


@pytest.mark.parametrize(
    ("account", "by", "to", "refusal"),
    [
        ("acme", "101", "999", "no_such_number"),
        ("acme", "101", "+84901234567", "no_such_number"),
        ("acme", "101", "**801", "transfer_impossible"),
        ("acme", "103", "110", "no_such_call"),
        ("globex", "101", "105", "no_such_call"),
    ],
)
def test_a_transfer_that_cannot_be_is_refused_in_words(account: str, by: str, to: str, refusal: str) -> None:
    rig = rig_with()
    alice, bob = rig.conversation("alice", "102")
    assert refused(rig, TransferCall(the_call(rig), by, to), account) == refusal
    assert rig.talking(alice, bob)


def test_who_is_parked_transfers_nobody() -> None:
    rig = rig_with()
    parked(rig)
    assert refused(rig, TransferCall(the_call(rig), "102", "103")) == "transfer_impossible"


# Hanging up


@pytest.mark.parametrize("by", ["101", "102"])
def test_a_person_ends_a_call_it_is_in(by: str) -> None:
    rig = rig_with()
    alice, bob = rig.conversation("alice", "102")
    ask(rig, HangUpCall(the_call(rig), by))
    assert alice.ended
    assert bob.ended
    (event,) = rig.events(CallEnded)
    assert (event.reason, event.ended_by) == (EndReason.COMMAND, by)


def test_a_person_ends_no_call_of_others() -> None:
    rig = rig_with()
    alice, bob = rig.conversation("alice", "102")
    for by in ("103", "999"):
        assert refused(rig, HangUpCall(the_call(rig), by)) == "no_such_call"
    assert rig.talking(alice, bob)
    ask(rig, ParkCall(the_call(rig), "101"))
    assert refused(rig, HangUpCall(the_call(rig), "101")) == "no_such_call", "whoever has parked it is not in it any more"


def test_whose_phone_rings_declines_for_that_person_alone() -> None:
    rig = rig_with()
    alice = rig.call("alice", "120")
    ask(rig, HangUpCall(the_call(rig), "102"))
    assert rig.all_ringing() == {"carol"}
    assert not alice.gone
    ask(rig, HangUpCall(the_call(rig), "103"))
    assert alice.refused
    assert alice.refused.refusal.id == "declined"


def test_whose_phone_is_to_retrieve_a_call_may_decline() -> None:
    rig = rig_with()
    bob = parked(rig)
    command = rig.command("acme", RetrieveCall("*801", "carol"))
    ask(rig, HangUpCall(the_call(rig), "103"))
    assert refusal_of(rig, command) == "declined"
    assert rig.talking(rig.call("wall", "*801"), bob)


def test_a_parked_call_that_a_program_ends_was_not_given_up_by_its_caller() -> None:
    rig = rig_with()
    parked(rig)
    ask(rig, HangUpCall(the_call(rig)))
    assert [event.reason for event in rig.events(CallAbandoned)] == [EndReason.COMMAND]


@pytest.mark.parametrize(("cause", "reason"), [(Cause.HUNG_UP, EndReason.HUNG_UP), (Cause.LOST, EndReason.LOST)])
def test_how_a_caller_left_is_told(cause: Cause, reason: EndReason) -> None:
    rig = rig_with()
    bob = parked(rig)
    rig.hang_up(bob, cause)
    assert [event.reason for event in rig.events(CallAbandoned)] == [reason]
    assert [event.reason for event in rig.events(CallEnded)] == [reason]


def test_of_a_caller_for_whom_nobody_was_found_that_is_told() -> None:
    rig = rig_with(ParkPolicy(expiration_s=60, ring_back_s=10))
    bob = parked(rig)
    for _ in range(3):
        rig.advance(70)
    told = [type(event) for event in rig.events(CallTimedOut, CallReminded, CallReparked, CallGivenUp)]
    assert told == [CallTimedOut, CallReminded, CallReparked] * 2 + [CallTimedOut, CallReminded, CallGivenUp]
    rig.listen(bob)
    assert [event.reason for event in rig.events(CallEnded)] == [EndReason.NOBODY]


# Retrieving


@pytest.mark.parametrize("answer", [True, False])
def test_a_phone_may_be_asked_to_answer_by_itself(answer: bool) -> None:
    rig = rig_with()
    parked(rig)
    rig.command("acme", RetrieveCall("*801", "carol", "103", answer=answer))
    ring = rig.ringing("carol").ring
    assert ring
    assert ring.auto_answer is answer


def both_sites() -> tuple[CallRig, Phone, Phone]:
    """At *801 of the North waits Bob, at that of the South the door's caller."""
    rig = CallRig(two_sites({"North": Lot("N", 801, 809), "South": Lot("S", 801, 809)}))
    alice, bob = rig.conversation("alice", "102")
    rig.transfer(alice, "*801")
    wall, carol = rig.conversation("wall", "103")
    rig.transfer(carol, "*801")
    return rig, bob, wall


def test_a_code_is_that_of_the_retrievers_site_unless_a_site_is_named() -> None:
    rig, bob, wall = both_sites()
    rig.command("acme", RetrieveCall("*801", "alice", "101"))
    assert rig.talking(rig.answer("alice"), bob)
    rig.command("acme", RetrieveCall("*801", "alice-app", "101", site="South"))
    assert rig.talking(rig.answer("alice-app"), wall)


def test_of_two_calls_at_one_code_an_administrator_names_the_site() -> None:
    rig, bob, wall = both_sites()
    assert refused(rig, ForceBackCall("*801")) == "no_call_parked"
    assert codes(rig, ListParked(site="North")) == [("*801", "parked")]
    ask(rig, NoteCall("*801", "the south one", site="South"))
    ask(rig, ForceBackCall("*801", site="South"))
    assert rig.all_ringing() == {"carol"}
    assert refused(rig, ForceBackCall("*801", site="South")) == "no_call_parked", "never the one of another site"
    assert refused(rig, ForceBackCall("*801", site="nowhere")) == "no_call_parked"
    assert bob.hears == wall.hears == Music()


# Restart


def test_after_a_restart_it_is_told_which_calls_go_on() -> None:
    rig = rig_with()
    parked(rig)
    there = the_call(rig)
    rig.call("alice", "103")
    told = len(rig.effects)
    rig.crash()
    resumed = {event.account: event.calls for event in rig.effects[told:] if isinstance(event, CallsResumed)}
    assert resumed == {"acme": (there,), "globex": ()}
    assert list(rig.board.calls) == [there], "what only rang is over"


def test_what_was_told_before_a_crash_is_not_told_again() -> None:
    rig = rig_with()
    parked(rig)
    picked = rig_with()
    picked_up(picked)
    for one in (rig, picked):
        told = len(one.events())
        one.crash()
        assert [type(event).__name__ for event in one.events()[told:]] == ["CallChanged"]

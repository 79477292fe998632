"""The watch over a world finds what must not be: each rule is broken once."""

from __future__ import annotations

from dataclasses import fields

import pytest

from parkade.base.sound import Peer
from parkade.calls.audience import EVERYBODY
from parkade.calls.events import (
    CallAbandoned,
    CallEnded,
    CallParked,
    CallReparked,
    CallRetrieved,
    CallReturned,
    CallStarted,
    CallTimedOut,
    EndReason,
    Event,
)
from parkade.testing.watch import ParkBook, WatchedWorld, assert_sound_is_right
from parkade.testing.world import SimWorld


def event(kind: type[Event], at: float, call: str = "1", **given: str | float) -> Event:
    usual: dict[str, object] = {
        "caller_name": "",
        "caller_number": "101",
        "code": "*801",
        "lot": "main",
        "parked_by": None,
        "waited_s": 0.0,
    }
    usual |= {"lot_id": "", "parked_by_name": "", "note": "", "parked_at": 0.0, "audience": EVERYBODY}
    usual |= {"retrieved_by_name": "", "returned_to_name": "", "reason": EndReason.HUNG_UP, "ended_by": ""}
    usual |= {"dialled": "", "duration_s": 0.0, "retrieved_by": "", "returned_to": "", "old_code": "", "round": 1}
    members = {"id": "", "at": at, "account": "acme", "call": call, **usual, **given}
    # What is not given here does not matter to a book.
    return kind(**{field.name: members.get(field.name) for field in fields(kind) if field.name != "moment"})  # type: ignore[arg-type]


STARTED = event(CallStarted, 0.0)
PARKED = event(CallParked, 10.0, expires_at=70.0)
TIMED_OUT = event(CallTimedOut, 70.0)
RETRIEVED = event(CallRetrieved, 20.0)
ENDED = event(CallEnded, 80.0)


@pytest.mark.parametrize(
    ("events", "complaint"),
    [
        ([PARKED, ENDED], "lost"),
        ([PARKED, event(CallParked, 11.0, "2", expires_at=70.0)], "where"),
        ([PARKED, TIMED_OUT, TIMED_OUT], "its time is over"),
        ([PARKED, TIMED_OUT, RETRIEVED], "its time is over"),
        ([PARKED, RETRIEVED, TIMED_OUT], "not in the lot"),
        ([PARKED, RETRIEVED, RETRIEVED], "not in the lot"),
        ([PARKED, event(CallTimedOut, 60.0)], "to be at"),
        ([PARKED, event(CallTimedOut, 75.0)], "to be at"),
        ([PARKED, event(CallReturned, 20.0)], "before its time"),
        ([event(CallAbandoned, 20.0)], "not in the lot"),
        ([event(CallParked, 10.0, expires_at=10.0)], "before it begins"),
        ([PARKED, event(CallParked, 11.0, expires_at=71.0)], "though it is parked"),
        ([STARTED, STARTED], "twice"),
        ([STARTED, ENDED, STARTED], "after the end"),
        ([PARKED, ENDED, event(CallParked, 80.0, "2", expires_at=90.0)], "another deadline"),
    ],
)
def test_a_story_that_must_not_be_is_found(events: list[Event], complaint: str) -> None:
    with pytest.raises(AssertionError, match=complaint):
        ParkBook().read(events)


@pytest.mark.parametrize(
    "events",
    [
        [STARTED, PARKED, RETRIEVED, ENDED],
        [STARTED, PARKED, TIMED_OUT, event(CallReturned, 75.0), ENDED],
        [
            STARTED,
            PARKED,
            TIMED_OUT,
            event(CallReparked, 75.0, expires_at=135.0),
            event(CallAbandoned, 79.0),
            ENDED,
        ],
        [STARTED, PARKED, TIMED_OUT, ENDED],
        [STARTED, PARKED, ENDED, event(CallParked, 80.0, "2", expires_at=70.0 + 10.0 - 10.0)],
    ],
)
def test_a_story_that_may_be_is_let_pass(events: list[Event]) -> None:
    if isinstance(events[-1], CallParked):
        # In the parked transferor's place, with what is left of its time.
        events = [*events[:-2], event(CallEnded, 60.0), event(CallParked, 60.0, "2", expires_at=70.0)]
    book = ParkBook()
    book.read(events)
    book.read(events)
    assert book.told == len(events)


def test_whoever_waits_longer_than_was_said_is_found() -> None:
    book = ParkBook()
    book.read([PARKED])
    book.assert_in_time(70.4)
    with pytest.raises(AssertionError, match="overdue"):
        book.assert_in_time(71.0)


def conversations(world: SimWorld) -> None:
    world.account("acme", {"101": "Alice", "102": "Bob", "103": "Carol", "104": "Dave"})
    phones = [world.phone(f"acme-{n}") for n in (101, 102, 103, 104)]
    for caller, called in ((phones[0], phones[1]), (phones[2], phones[3])):
        caller.call(called.name[-3:])
        world.run(1)
        called.answer()
        world.run(1)


def test_a_third_who_listens_and_a_circle_are_found() -> None:
    world = WatchedWorld()
    conversations(world)
    one, two, three, four = world.media.legs.values()
    three.sound = Peer(one.id)
    with pytest.raises(AssertionError, match="both hear"):
        world.run(1)
    two.sound, three.sound = Peer(three.id), Peer(four.id)
    with pytest.raises(AssertionError, match=r"both hear|which hears"):
        assert_sound_is_right(world)


def test_a_healthy_phone_that_was_hung_up_on_in_the_lot_is_found() -> None:
    world = WatchedWorld()
    conversations(world)
    world.healthy += [world.phone("acme-101")]
    world.assert_no_parked_caller_is_lost()
    abandoned = event(CallAbandoned, world.now)
    assert isinstance(abandoned, CallAbandoned)
    world.book.abandoned.append(abandoned)
    with pytest.raises(AssertionError, match="abandoned"):
        world.assert_no_parked_caller_is_lost()


def test_a_healthy_phone_that_hears_another_account_is_found() -> None:
    world = WatchedWorld()
    conversations(world)
    world.account("zeta", {"101": "Zoe"})
    phone = world.phone("acme-101")
    world.healthy.append(phone)
    world.assert_accounts_are_apart()
    call = phone.call("102")
    call.heard.append((world.now, "zeta-101"))
    with pytest.raises(AssertionError, match="another account"):
        world.assert_accounts_are_apart()

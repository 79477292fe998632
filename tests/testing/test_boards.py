"""A board that only hears events has the calls that there are, whatever happens; ten thousand calls with ``make boards``."""

from __future__ import annotations

import pytest

from parkade.calls.board import Board
from parkade.calls.commands import HangUpCall, ListCalls
from parkade.calls.events import CallChanged, CallEvent
from parkade.testing import boards
from parkade.testing.boards import MirroredWorld, Office, main


@pytest.mark.parametrize("first", range(0, 20, 4))
def test_for_random_calls_and_crashes_the_events_alone_say_what_there_is(first: int) -> None:
    outcomes = [boards.outcome_of(seed) for seed in range(first, first + 4)]
    assert not [outcome.violation for outcome in outcomes if outcome.violation]
    assert sum(outcome.calls for outcome in outcomes) >= 4 * boards.CALLS_OF_AN_OFFICE
    assert sum(outcome.looks for outcome in outcomes) > 1000


def test_the_offices_are_wild_enough() -> None:
    office = Office(1)
    office.run()
    kinds = {type(event).__name__ for event in office.world.events}
    assert len(kinds) > 12, sorted(kinds)


def test_a_board_that_has_missed_an_event_is_found_out() -> None:
    world = MirroredWorld()
    world.account("acme", {"101": "Alice", "102": "Bob"})
    alice, _ = world.phone("acme-101"), world.phone("acme-102")
    alice.call("102")
    world.run(1)
    world.board.calls.clear()
    with pytest.raises(AssertionError, match="told:  None"):
        world.run(1)


def test_what_no_other_event_is_about_is_told_all_the_same() -> None:
    """Without those events a board would be wrong."""
    office = Office(1)
    office.run()
    whole, poor, wrong = Board(), Board(), 0
    for event in office.world.events:
        whole.tell(event)
        if not isinstance(event, CallChanged):
            poor.tell(event)
        wrong += whole.calls != poor.calls
    assert wrong > 10


def test_events_belong_to_one_account_each() -> None:
    office = Office(2)
    office.run()
    for slug, board in office.world.boards.items():
        assert {detail.account for detail in board.calls.values()} <= {slug}
    accounts = {event.call: set[str]() for event in office.world.events if isinstance(event, CallEvent)}
    for event in office.world.call_events():
        accounts[event.call].add(event.account)
    assert {len(of_call) for of_call in accounts.values()} == {1}


def test_a_quiet_world_is_told_once() -> None:
    world = MirroredWorld()
    world.account("acme", {"101": "Alice", "102": "Bob"})
    alice, bob = world.phone("acme-101"), world.phone("acme-102")
    alice.call("102")
    world.run(1)
    bob.answer()
    world.run(1)
    bob.refer("*800")
    world.run(5)
    told = len(world.call_events())
    world.crash_signalling()
    world.run(5)
    assert [type(event) for event in world.call_events()[told:]] == [CallChanged]
    world.compare_with_commands()
    (call,) = world.board.calls
    world.answer_to("acme", HangUpCall(call))
    world.run(5)
    assert world.answer_to("acme", ListCalls()) == ()


def test_the_command_says_how_it_went(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--calls", "20", "--first", "3"]) == 0
    assert "0 offices wrong" in capsys.readouterr().out

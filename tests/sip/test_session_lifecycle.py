"""The table of session states by itself."""

from __future__ import annotations

from parkade.sip.session.lifecycle import STEPS, Event, State


def test_a_session_never_goes_back() -> None:
    assert all(before <= after for (before, _), after in STEPS.items())


def test_every_state_but_the_last_two_can_be_over_and_only_what_is_over_can_be_gone() -> None:
    assert {before for before, event in STEPS if event is Event.OVER} == set(State) - {State.CLOSING, State.ENDED}
    assert {before for before, event in STEPS if event is Event.GONE} == {State.CLOSING}
    assert not any(before is State.ENDED for before, _ in STEPS)


def test_every_state_is_reached() -> None:
    assert {State.CALLING, *STEPS.values()} == set(State)

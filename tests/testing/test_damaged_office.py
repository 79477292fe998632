"""Offices in which 15 % of what some phones send is damaged: nothing raises, nothing is left, whoever is not damaged talks on.

More of them: ``make fuzz ARGS="--seeds 2000"``. A failure prints its seed: ``--first SEED --seeds 1`` makes its story short.
"""

from __future__ import annotations

import pytest

from parkade.sip.message.errors import SipError
from parkade.switch.inputs import Received, SwitchEffect, SwitchInput
from parkade.switch.switch import Switch
from parkade.testing.fuzz import failure_of, main, shrink
from parkade.testing.office import Plan

SEEDS = range(16)


@pytest.mark.parametrize("seed", SEEDS)
def test_damaged_messages_raise_nothing_leave_nothing_and_disturb_nobody_else(seed: int) -> None:
    failure = failure_of(Plan(seed))
    assert failure is None, str(failure)


def test_the_same_plan_gives_the_same_run() -> None:
    first, second = (failure_of(Plan(3, length=20, damages=frozenset({"no such message"}))) for _ in range(2))
    assert first is second is None


@pytest.fixture
def fragile(monkeypatch: pytest.MonkeyPatch) -> None:
    """A switch that raises on a message with two lines of one header."""
    tell = Switch.tell

    def raise_on_it(switch: Switch, given: SwitchInput, now: float) -> list[SwitchEffect]:
        if isinstance(given, Received) and given.data.count(b"\r\nCall-ID:") > 1:
            raise SipError(400, "planted")
        return tell(switch, given, now)

    monkeypatch.setattr(Switch, "tell", raise_on_it)


@pytest.mark.usefixtures("fragile")
def test_a_planted_fault_is_found_and_its_story_shortened() -> None:
    failures = (failure_of(Plan(seed, length=40, share=0.5)) for seed in range(20))
    failure = next(failure for failure in failures if failure is not None)
    assert failure.what == "SipError: planted"
    shortest = shrink(failure, most_tries=40)
    assert shortest.what == failure.what
    assert 1 <= len(shortest.damages) <= 3
    assert len(shortest.story) < len(failure.story)
    assert f"seed {failure.plan.seed}" in str(shortest)


@pytest.mark.usefixtures("fragile")
def test_the_command_tells_what_went_wrong_and_gives_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seeds", "0"]) == 0
    assert "0 offices" in capsys.readouterr().out

"""Call-days in offices whose server dies between any two effects: nothing that was promised to a parked caller is broken.

More of them: ``make days ARGS="--days 2000 --jobs 2"``.
"""

from __future__ import annotations

import pytest

from parkade.base.journal import Drop, Json, Keep
from parkade.calls import keeping
from parkade.calls.call import Parked
from parkade.calls.state import CallState
from parkade.switch.switch import Switch
from parkade.testing.day import DayPlan
from parkade.testing.days import main, outcome_of
from parkade.testing.mortal import MortalWorld, stays_in
from parkade.testing.world import SimWorld

DAYS = range(12)


@pytest.mark.parametrize("seed", DAYS)
def test_a_day_on_which_the_server_dies_again_and_again_loses_no_parked_caller(seed: int) -> None:
    outcome = outcome_of(DayPlan(seed))
    assert outcome.violation is None, outcome.violation
    assert outcome.parked > 10
    assert outcome.deaths > 3


def a_violation_is_found(days: int = 10) -> str:
    for seed in range(days):
        violation = outcome_of(DayPlan(seed, deaths=20)).violation
        if violation is not None:
            return violation
    raise AssertionError("the planted fault was not found")


def test_a_deadline_kept_as_a_duration_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def parked_with_a_duration(stage: Parked) -> Json:
        return {"stay": keeping._stay(stage.stay), "expires_at": stage.stay.since + 30.0}

    monkeypatch.setitem(keeping._STAGES, Parked, parked_with_a_duration)
    assert "kept" in a_violation_is_found()


def test_a_deadline_that_begins_anew_with_the_process_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    new_switch = SimWorld.new_switch

    def from_now_on(world: SimWorld) -> Switch:
        for call, stay in stays_in(world.journal).items():
            value = world.journal[f"call/{call}"]
            if stay.expires_at is not None and isinstance(value, dict):
                value["is"]["expires_at"] += 60.0
                value["until"] += 60.0
        return new_switch(world)

    monkeypatch.setattr(SimWorld, "new_switch", from_now_on)
    violation = a_violation_is_found()
    assert "overdue" in violation or "to be at" in violation


@pytest.mark.parametrize("what", ["call/", "leg/"])
def test_what_is_not_written_down_is_missed(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = MortalWorld.journal_type

    class Forgetful(journal):  # type: ignore[valid-type, misc]
        """Of every fifth call or leg nothing is written."""

        seen: dict[str, int]

        def __setitem__(self, key: str, value: Json) -> None:
            number = self.__dict__.setdefault("seen", {}).setdefault(key, len(self.seen))
            if not key.startswith(what) or number % 5:
                super().__setitem__(key, value)

    monkeypatch.setattr(MortalWorld, "journal_type", Forgetful)
    assert "AssertionError: " in a_violation_is_found()


@pytest.mark.interpreted
def test_a_timeout_that_is_not_written_down_is_told_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_ringing(state: CallState) -> list[Keep | Drop]:
        return [c for c in keeping.changes(state) if not (isinstance(c, Keep) and "ring_back" in str(c.value))]

    monkeypatch.setattr("parkade.calls.control.changes", without_ringing)
    assert "AssertionError: " in a_violation_is_found()


def test_the_command_counts_days_and_deaths(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--days", "1"]) == 0
    assert "1 call-days" in capsys.readouterr().out

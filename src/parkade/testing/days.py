"""Many call-days in offices whose server dies: ``day`` says what a call-day is.

::

    python -m parkade.testing.days --days 2000 --jobs 2
    python -m parkade.testing.days --first 7 --days 1
    make days ARGS="--days 2000 --jobs 2"

Each violation is printed with its seed and what happened before it. The exit status is 1 if there was one.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from parkade.calls.events import CallParked, CallReparked
from parkade.testing.day import Day, DayPlan


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one day. ``violation`` is None if every promise was kept."""

    seed: int
    deaths: int
    parked: int
    violation: str | None


def outcome_of(plan: DayPlan) -> Outcome:
    """Run one day."""
    day = Day(plan)
    violation: str | None = None
    try:
        day.run()
    except Exception as error:  # noqa: BLE001 - whatever it is, is what we look for
        frames = traceback.format_list(traceback.extract_tb(error.__traceback__)[-4:])
        violation = "\n".join([f"seed {plan.seed}: {type(error).__name__}: {error}", *day.story[-12:], *frames])
    parked = sum(isinstance(event, CallParked | CallReparked) for event in day.world.events)
    return Outcome(plan.seed, day.world.deaths, parked, violation)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Gives the exit status."""
    parser = argparse.ArgumentParser(prog="python -m parkade.testing.days", description=__doc__.partition("\n")[0])
    parser.add_argument("--days", type=int, default=20, help="how many call-days")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--deaths", type=int, default=DayPlan(0).deaths, help="callers during whose calls the server dies")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    given = parser.parse_args(arguments)
    plans = [DayPlan(seed, given.deaths) for seed in range(given.first, given.first + given.days)]
    began = time.perf_counter()
    outcomes: list[Outcome] = []
    with ProcessPoolExecutor(given.jobs) as pool:
        for outcome in pool.map(outcome_of, plans, chunksize=4):
            outcomes.append(outcome)
            if outcome.violation is not None:
                say(outcome.violation)
    violations = sum(outcome.violation is not None for outcome in outcomes)
    deaths, parked = sum(o.deaths for o in outcomes), sum(o.parked for o in outcomes)
    say(
        f"{len(outcomes)} call-days, {deaths} deaths, {parked} times parked, {violations} violations, "
        f"{time.perf_counter() - began:.0f} s"
    )
    return 1 if violations else 0


def say(text: str) -> None:
    """One piece of the report."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

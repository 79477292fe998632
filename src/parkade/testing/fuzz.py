"""Many random offices, and of each that goes wrong the shortest story that still goes wrong.

::

    python -m parkade.testing.fuzz --seeds 2000
    python -m parkade.testing.fuzz --first 26 --seeds 1
    make fuzz ARGS="--seeds 2000"

Each failure is printed with its seed, the steps and the damages that are left after shrinking, and where it came from. The exit
status is 1 if there was one. Shrinking leaves out steps and damages as long as the same thing goes wrong: the same exception
from the same line.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

from parkade.testing.office import Office, Plan

_Item = TypeVar("_Item")

MOST_TRIES = 150
"""How many runs the shrinking of one failure may take."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong in a run. ``signature`` is the same for the same fault, ``trace`` where it came from."""

    plan: Plan
    signature: str
    what: str
    trace: str
    story: tuple[str, ...]
    damages: tuple[str, ...]
    damaged: tuple[str, ...]

    def __str__(self) -> str:
        lines = [
            f"seed {self.plan.seed}: {self.what}",
            "people:",
            *(f"  {step}" for step in self.story),
            "damages:",
            *(f"  {damage}" for damage in self.damages),
            "from:",
            *(f"  {line}" for line in self.trace.splitlines()),
        ]
        return "\n".join(lines)


def failure_of(plan: Plan) -> Failure | None:
    """Run ``plan``; what went wrong, or None."""
    office: Office | None = None
    try:
        office = Office(plan)
        office.run()
    except Exception as error:  # noqa: BLE001 - whatever it is, is what we look for
        frames = traceback.extract_tb(error.__traceback__)
        where = next(
            (f for f in reversed(frames) if not isinstance(error, AssertionError) or "testing" in f.filename), frames[-1]
        )
        return Failure(
            plan,
            f"{type(error).__name__} {where.filename.rpartition('/')[2]}:{where.lineno}",
            f"{type(error).__name__}: {error}"[:2000],
            "".join(traceback.format_list(frames[-8:])),
            tuple(office.story) if office else (),
            tuple(f"{d.key} {' '.join(d.what)}: {d.start}" for d in office.damages) if office else (),
            tuple(d.key for d in office.damages) if office else (),
        )
    return None


def shrink(failure: Failure, most_tries: int = MOST_TRIES) -> Failure:
    """Leave out damages, then steps, as long as the same thing goes wrong."""
    tries = 0
    best = failure

    def still_wrong(plan: Plan) -> bool:
        nonlocal tries, best
        tries += 1
        found = failure_of(plan) if tries <= most_tries else None
        if found is None or found.signature != failure.signature:
            return False
        best = found
        return True

    damages = _fewest(failure.damaged, lambda keys: still_wrong(replace(best.plan, damages=frozenset(keys))))
    steps = _fewest(
        tuple(int(step.partition(":")[0]) for step in best.story),
        lambda numbers: still_wrong(replace(best.plan, steps=frozenset(numbers))),
    )
    # With other steps the messages are others, too: the damages that are left may be fewer.
    if len(steps) < len(failure.story):
        _fewest(damages, lambda keys: still_wrong(replace(best.plan, damages=frozenset(keys))))
    return best


def _fewest(items: Sequence[_Item], wrong: Callable[[Sequence[_Item]], bool]) -> list[_Item]:
    """Delta debugging: leave out halves, quarters and so on, as long as it stays ``wrong``."""
    left = [*items]
    size = max(1, len(left) // 2)
    while left:
        start = 0
        while start < len(left):
            fewer = left[:start] + left[start + size :]
            if wrong(fewer):
                left = fewer
            else:
                start += size
        if size == 1:
            break
        size //= 2
    return left


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Gives the exit status."""
    parser = argparse.ArgumentParser(prog="python -m parkade.testing.fuzz", description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=100, help="how many offices")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--length", type=int, default=Plan(0).length, help="steps in each")
    parser.add_argument("--share", type=float, default=Plan(0).share, help="share of the messages that is damaged, 0 to 1")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--no-shrink", action="store_true", help="print failures as they are")
    given = parser.parse_args(arguments)
    plans = [Plan(seed, given.length, given.share) for seed in range(given.first, given.first + given.seeds)]
    began = time.perf_counter()
    seen: Counter[str] = Counter()
    with ProcessPoolExecutor(given.jobs) as pool:
        for failure in pool.map(failure_of, plans, chunksize=4):
            if failure is None:
                continue
            seen[failure.signature] += 1
            if seen[failure.signature] == 1:
                say(str(failure if given.no_shrink else shrink(failure)))
            else:
                say(f"seed {failure.plan.seed}: {failure.signature} again")
    say(f"{len(plans)} offices in {time.perf_counter() - began:.0f} s, {seen.total()} failures: {dict(seen)}")
    return 1 if seen else 0


def say(text: str) -> None:
    """One piece of the report."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

"""Two source trees in one run, turn by turn: ``python -m bench.compare BASE_TREE``.

What is compared is what a call costs, in processor time of each process, because a rate that just holds depends on everything
else that this machine does. Each round starts a fresh server of each variant on the same core: BASE_TREE, this tree compiled
(``make compiled``), the same without its journal, and this tree as it is. A ratio is the median of the ratios within a round.
``--highest`` looks for the highest rate as well.

A call is parked, hears a second of music, is retrieved and hung up. Limits: loopback, u-law, one core.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench import park_calls
from bench.cores import LOAD, SERVER, confined, robbed_s
from bench.listen import Deaf
from bench.load import Plan, calling
from bench.park_calls import RTP_PORTS, measure
from bench.server import COMPILED, HERE, running

NO_JOURNAL = {"PARKADE_JOURNAL": "off"}
_ARRIVING_PER_S = 200
_SETTLE_S = 2.0


@dataclass(slots=True)
class Variant:
    """A tree, and what was measured with it, a value a round."""

    name: str
    tree: Path
    environment: Mapping[str, str]
    values: dict[str, list[float]] = field(default_factory=dict)

    def add(self, what: str, value: float) -> None:
        """One more round."""
        self.values.setdefault(what, []).append(value)


def calls(variant: Variant, calls_per_s: float, seconds: float) -> None:
    """What a call costs each process at a rate that is far from too much."""
    with running(SERVER, RTP_PORTS, variant.tree, variant.environment) as server:
        measure(server, 50, 1)  # the first calls find everything cold
        step = measure(server, calls_per_s, seconds)
    made = step.outcome.calls
    variant.add("signalling, us a call", 1e6 * step.used.signalling_s / made)
    variant.add("media, us a call", 1e6 * step.used.media_s / made)
    variant.add("both, us a call", 1e6 * step.used.cpu_s / made)
    variant.add("calls a second of one core", made / step.used.cpu_s)
    variant.add("calls that failed, %", 100 * (1 - step.outcome.success))
    print(f"  {variant.name:20} {step}", flush=True)


def memory(variant: Variant, callers: int) -> None:
    """What one more parked caller needs in all processes together, and what its music costs."""
    stay_s = callers / _ARRIVING_PER_S + 2 * _SETTLE_S + 4
    plan = Plan(_ARRIVING_PER_S, callers, parked_ms=round(1000 * stay_s), talk_ms=0)
    deaf = Deaf()
    with running(SERVER, RTP_PORTS, variant.tree, variant.environment) as server:
        measure(server, 50, 1)  # code is in memory once it has run
        empty = server.usage()
        with calling(server, plan, LOAD, [deaf.port], deaf.port):
            time.sleep(callers / _ARRIVING_PER_S + _SETTLE_S)
            full, began = server.usage(), time.monotonic()
            time.sleep(_SETTLE_S)
            later, took_s = server.usage(), time.monotonic() - began
    deaf.close()
    variant.add("KiB a parked call", (full.memory_kib - empty.memory_kib) / callers)
    variant.add("music, us a caller and second", 1e6 * (later.cpu_s - full.cpu_s) / took_s / callers)
    print(f"  {variant.name:20} {variant.values['KiB a parked call'][-1]:6.1f} KiB a parked call", flush=True)


def highest(variant: Variant, seconds: float) -> None:
    """The highest rate that holds. Noisy: see the module."""
    best = park_calls.highest(400, seconds, tree=variant.tree, environment=variant.environment)
    variant.add("calls/s that hold", best.calls_per_s if best else 0)


def ratio(variant: Variant, base: Variant, what: str) -> float:
    """How much of ``base`` it is: the median over the rounds."""
    pairs = zip(variant.values[what], base.values[what], strict=True)
    return statistics.median(mine / theirs if theirs else float("nan") for mine, theirs in pairs)


def table(variants: list[Variant]) -> str:
    """Medians as Markdown, with ratios to the first variant, and of this tree to itself without its journal."""
    base, here = variants[0], variants[1]
    names = [variant.name for variant in variants]
    head = ["", *names, f"{here.name} : {base.name}", *(f"{here.name} : {v.name}" for v in variants[2:])]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for what in base.values:
        medians = [f"{statistics.median(variant.values[what]):.1f}" for variant in variants]
        ratios = [f"{ratio(here, other, what):.2f}" for other in (base, *variants[2:])]
        lines.append("| " + " | ".join([what, *medians, *ratios]) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.compare", description=__doc__)
    parser.add_argument("base", type=Path, help="a source tree, such as a git worktree of an earlier commit")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--rate", type=float, default=150, help="calls a second (default 150)")
    parser.add_argument("--seconds", type=float, default=8, help="how long each round calls (default 8)")
    parser.add_argument("--callers", type=int, default=1000, help="how many are parked to measure memory (default 1000)")
    parser.add_argument("--highest", action="store_true", help="look for the highest rate as well; minutes more")
    given = parser.parse_args()
    variants = [
        Variant("before", given.base.resolve(), {}),
        Variant("now", COMPILED, {}),
        Variant("now, no journal", COMPILED, NO_JOURNAL),
        Variant("now, not compiled", HERE, {}),
    ]
    robbed_before_s, began = robbed_s(), time.monotonic()
    with confined():
        for number in range(given.rounds):
            print(f"round {number + 1} of {given.rounds}", flush=True)
            for variant in variants if number % 2 == 0 else variants[::-1]:
                calls(variant, given.rate, given.seconds)
        for number in range(2):
            for variant in variants if number % 2 == 0 else variants[::-1]:
                memory(variant, given.callers)
        if given.highest:
            for variant in variants:
                print(f"  {variant.name}:")
                highest(variant, given.seconds)
    print("\n" + table(variants))
    robbed = (robbed_s() - robbed_before_s) / (time.monotonic() - began)
    print(f"\nThe host of this machine took away {robbed:.1%} of one processor meanwhile.")


if __name__ == "__main__":
    main()

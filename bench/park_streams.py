"""Parked callers that hear music from one core: ``python -m bench.park_streams --streams 2000``.

SIPp calls until that many callers are parked; then each should get 50.0 packets a second, and two packets should be
20 ms apart when they reach the caller. One caller in eight is listened to.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.cores import LOAD, SERVER, confined
from bench.listen import Deaf, Ear, Streams
from bench.load import Plan, calling
from bench.server import HERE, running

ARRIVING_PER_S = 300
LISTENED_TO = 8
PACING_MS = 5.0
"""The greatest p99 of the spacing with which a number of streams counts as carried."""
_TIME_TO_HANG_UP_S = 5


@dataclass(frozen=True, slots=True)
class Parked:
    """What many parked callers heard, and what it cost."""

    callers: int
    music: Streams
    core: float
    kib_a_call: float

    @property
    def carried(self) -> bool:
        """Whether every caller had all of its music in time."""
        rates = self.music.rates
        full = len(rates) * LISTENED_TO >= 0.99 * self.callers and not self.music.lost.any()
        return full and bool(np.all(np.abs(rates - 50) < 0.5)) and self.music.spacing(99) <= PACING_MS

    def __str__(self) -> str:
        rates = self.music.rates
        slowest, fastest = (float(rates.min()), float(rates.max())) if len(rates) else (0.0, 0.0)
        verdict = "carried" if self.carried else "TOO MANY"
        return (
            f"{self.callers:6d} parked   {verdict:9}  {slowest:.1f}-{fastest:.1f} packets/s each  "
            f"{int(self.music.lost.sum())} lost  gap {self.music.gap_ms:.0f} ms  "
            f"spacing p50/p99 {self.music.spacing(50):.2f}/{self.music.spacing(99):.2f} ms  "
            f"{self.core:.0%} of the core  {self.kib_a_call:.0f} KiB a call"
        )


def measure(callers: int, seconds: float, tree: Path = HERE) -> Parked:
    """Park ``callers`` in a fresh server and listen for ``seconds``."""
    arriving_s = callers / ARRIVING_PER_S
    # Nobody is retrieved while we listen.
    stay_s = arriving_s + seconds + _TIME_TO_HANG_UP_S
    plan = Plan(ARRIVING_PER_S, callers, parked_ms=round(1000 * stay_s), talk_ms=0)
    ports = f"20000-{20000 + 2 * callers + 1000}"
    with running(SERVER, ports, tree) as server:
        time.sleep(1)
        empty = server.usage()
        ear, deaf = Ear(), Deaf()
        with calling(server, plan, LOAD, [ear.port, *[deaf.port] * (LISTENED_TO - 1)], deaf.port):
            ear.listen_for(arriving_s + 2)
            before, began = server.usage(), time.monotonic()
            music = ear.listen_for(seconds)
            after, took_s = server.usage(), time.monotonic() - began
        ear.close()
        deaf.close()
    return Parked(callers, music, (after.cpu_s - before.cpu_s) / took_s, (after.memory_kib - empty.memory_kib) / callers)


def highest(start: int, step: int, seconds: float, until: float = float("inf"), tree: Path = HERE) -> Parked | None:
    """As many as are carried, found in steps upwards from ``start``, or downwards if even those are too many.

    None is begun after ``until`` (of ``time.monotonic``).
    """
    best: Parked | None = None
    callers, way = start, step
    while callers > 0 and time.monotonic() < until:
        parked = measure(callers, seconds, tree)
        print(parked, flush=True)
        if parked.carried:
            best = parked
            if way < 0:
                break
        elif best is not None:
            break
        else:
            way = -step
        callers += way
    return best


def main() -> None:
    """Measure one number of callers, or look for the highest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, help="only this many parked callers")
    parser.add_argument("--seconds", type=float, default=10, help="how long to listen")
    given = parser.parse_args()
    with confined():
        if given.streams:
            print(measure(given.streams, given.seconds))
        else:
            highest(2000, 500, given.seconds)


if __name__ == "__main__":
    main()

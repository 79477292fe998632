"""Calls a second that are parked, retrieved and hung up on one core: ``python -m bench.park_calls --rate 500``.

A rate is sustained if more than 99.9 % of its calls go through whole, 99 % of the INVITEs are answered before a phone would
ask again, and the callers that are listened to hear all of their music: 50 packets a second, none lost, no hole. Callers are
parked for a second, so the server plays to about as many as call in a second; one in eight is listened to.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.cores import LOAD, SERVER, confined
from bench.listen import Deaf, Ear, Streams
from bench.load import Outcome, Plan, calling
from bench.server import HERE, Server, Usage, running

RTP_PORTS = "20000-31999"
PARKED_MS, TALK_MS = 1000, 800
"""Whoever hangs up sooner than 0.6 s after the answer has given up before it, and the caller is put back."""
SUCCESS = 0.999
T1_MS = 500
FULL_MUSIC = 0.99
"""Share of its packets that a caller must have heard to have heard the music, and of the callers who must have."""
LISTENED_TO = 8
_GRID = 50
_CLOSE = 0.1


@dataclass(frozen=True, slots=True)
class Step:
    """One rate, and how it went."""

    calls_per_s: float
    outcome: Outcome
    music: Streams
    used: Usage

    @property
    def full_music(self) -> float:
        """Share of the callers listened to who heard (nearly) every packet."""
        due = (PARKED_MS + TALK_MS) / 20
        return float(np.mean(self.music.packets >= FULL_MUSIC * due - 1)) if len(self.music.packets) else 0.0

    @property
    def sustained(self) -> bool:
        """Whether this rate counts."""
        answers_ms = (*self.outcome.park_ms, *self.outcome.retrieve_ms)
        prompt = bool(answers_ms) and float(np.percentile(answers_ms, 99)) < T1_MS
        return self.outcome.success > SUCCESS and self.full_music >= FULL_MUSIC and prompt

    def __str__(self) -> str:
        outcome, calls = self.outcome, self.outcome.calls
        verdict = "sustained" if self.sustained else "TOO MUCH"
        return (
            f"{self.calls_per_s:6.0f} calls/s  {verdict:9}  {outcome.success:8.3%} whole  "
            f"{self.full_music:6.1%} heard all  gap {self.music.gap_ms:5.0f} ms  spacing p99 {self.music.spacing(99):5.2f} ms  "
            f"park/retrieve p99 {_p99(outcome.park_ms)}/{_p99(outcome.retrieve_ms)} ms  "
            f"{1e6 * self.used.signalling_s / calls:4.0f} + {1e6 * self.used.media_s / calls:4.0f} us a call  "
            f"{outcome.retransmissions} retransmissions"
        )


def measure(server: Server, calls_per_s: float, seconds: float) -> Step:
    """Call at one rate for ``seconds``."""
    plan = Plan(calls_per_s, max(100, round(calls_per_s * seconds / 100) * 100), PARKED_MS, TALK_MS)
    ear, deaf = Ear(), Deaf()
    before = server.usage()
    with calling(server, plan, LOAD, [ear.port, *[deaf.port] * (LISTENED_TO - 1)], deaf.port) as load:
        music = ear.listen(lambda: load.going)
        outcome = load.outcome()
    after = server.usage()
    ear.close()
    deaf.close()
    used = Usage(after.signalling_s - before.signalling_s, after.media_s - before.media_s, after.memory_kib)
    return Step(calls_per_s, outcome, music, used)


def highest(
    start: float,
    seconds: float,
    until: float = float("inf"),
    tree: Path = HERE,
    environment: Mapping[str, str] | None = None,
) -> Step | None:
    """The highest sustained rate to within ``_CLOSE``: doubled until it is too much, then halved in between.

    Each rate has a fresh server. None is begun after ``until`` (of ``time.monotonic``).
    """
    best: Step | None = None
    low, high, rate = 0.0, 0.0, start
    while time.monotonic() < until:
        with running(SERVER, RTP_PORTS, tree, environment) as server:
            measure(server, 50, 1)  # the first calls find everything cold
            step = measure(server, rate, seconds)
        print(step, flush=True)
        if step.sustained:
            best, low = step, rate
        else:
            high = rate
        if high and high - low <= max(_GRID, _CLOSE * high):
            break
        rate = _GRID * round((low + high) / 2 / _GRID) if high else 2 * low
    return best


def main() -> None:
    """Measure one rate, or look for the highest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, help="only this many calls a second")
    parser.add_argument("--seconds", type=float, default=10, help="how long to call at each rate")
    given = parser.parse_args()
    with confined():
        if given.rate:
            with running(SERVER, RTP_PORTS) as server:
                print(measure(server, given.rate, given.seconds))
        else:
            highest(400, given.seconds)


def _p99(times_ms: tuple[float, ...]) -> str:
    return f"{np.percentile(times_ms, 99):.0f}" if times_ms else "?"


if __name__ == "__main__":
    main()

"""``make bench``: what one core carries, measured from outside over loopback, in less than four minutes.

The whole server (signalling and media processes) is confined to one core; SIPp and whoever listens have another. u-law,
20 ms. The figures of a machine that does other things at the same time say little.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import time
from pathlib import Path
from types import FrameType

from bench import park_calls, park_streams
from bench.cores import LOAD, SERVER, confined, robbed_s
from bench.server import COMPILED

_SHARE_OF_CALLS = 0.5
_LAST_STEP_S = 40
"""No step is begun later than this before the end, which comes in any case."""


def main() -> None:
    """Look for both limits and print them."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5, help="how long each step listens (default 5)")
    parser.add_argument("--minutes", type=float, default=3.75, help="when to end at the latest (default 3.75)")
    parser.add_argument("--tree", type=Path, default=COMPILED, help="what is measured (default build/compiled)")
    given = parser.parse_args()
    print(f"{_processor()}; server on core {SERVER}, load on core {min(LOAD)}; loopback, u-law, 20 ms\n")
    signal.signal(signal.SIGALRM, _time_is_up)
    signal.alarm(max(1, round(60 * given.minutes)))
    robbed_before_s = robbed_s()
    began, budget_s = time.monotonic(), 60 * given.minutes - _LAST_STEP_S
    with confined():
        print(f"callers who are parked, hear {park_calls.PARKED_MS / 1000:.0f} s of music, are retrieved and hung up:")
        calls = park_calls.highest(400, given.seconds, began + _SHARE_OF_CALLS * budget_s, given.tree)
        print("\ncallers who stay parked and hear music:")
        streams = park_streams.highest(2000, 750, given.seconds, began + budget_s, given.tree)
    print("\nOne core carries")
    if calls:
        outcome, spent = calls.outcome, calls.used
        print(
            f"  {calls.calls_per_s:5.0f} calls a second, parked, retrieved and hung up: {outcome.success:.2%} of them whole, "
            f"{calls.full_music:.1%} with full music; a call costs {1e6 * spent.signalling_s / outcome.calls:.0f} us of "
            f"signalling and {1e6 * spent.media_s / outcome.calls:.0f} us of media"
        )
    else:
        print("  fewer calls a second than were tried")
    if streams:
        print(
            f"  {streams.callers:5d} parked callers, each with 50.0 packets of music a second: spacing p99 "
            f"{streams.music.spacing(99):.2f} ms, {streams.core:.0%} of the core, {streams.kib_a_call:.0f} KiB a call"
        )
    else:
        print("  fewer parked callers than were tried")
    robbed = (robbed_s() - robbed_before_s) / (time.monotonic() - began) / (os.cpu_count() or 1)
    print(
        f"\nThe host of this machine took away {robbed:.1%} of its processor time meanwhile: the less, the better the figures."
    )


def _time_is_up(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit("\nthe time is up: a step took much longer than it should, so there is no result")


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


if __name__ == "__main__":
    main()

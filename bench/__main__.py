"""``make bench``: what one core carries, measured from outside over loopback.

The whole server (signalling and media processes) is confined to one core; SIPp and whoever listens have another. u-law,
20 ms. The figures of a machine that does other things at the same time say little.
"""

from __future__ import annotations

import argparse
import platform
from pathlib import Path

from bench import park_calls, park_streams
from bench.cores import LOAD, SERVER, confined


def main() -> None:
    """Look for both limits and print them."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10, help="how long each step takes (default 10)")
    given = parser.parse_args()
    print(f"{_processor()}; server on core {SERVER}, load on core {min(LOAD)}; loopback, u-law, 20 ms\n")
    with confined():
        print(f"park, {park_calls.PARKED_MS / 1000:.0f} s of music, retrieve, hang up:")
        calls = park_calls.highest(500, given.seconds)
        print("\nparked callers with music:")
        streams = park_streams.highest(2000, 500, given.seconds)
    print(
        f"\ncalls a second on one core:   {calls.calls_per_s:.0f}"
        if calls
        else "\ncalls a second on one core:   below what was tried"
    )
    if streams:
        print(f"parked streams on one core:   {streams.callers}, spacing p99 {streams.music.spacing(99):.2f} ms")
    else:
        print("parked streams on one core:   below what was tried")


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


if __name__ == "__main__":
    main()

"""What a call costs the media process: legs opened, described, heard and closed through the real socket.

Run ``python -m bench.media_calls``: each call has two legs and the nine orders of a call that is parked, retrieved and hung
up, one after the other, so nearly nothing is played: what music costs is for ``bench.media_streams``. ``--against FOLDER``
measures the tree in another folder by turns with this one and prints the ratio.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.cores import LOAD, SERVER, confined
from bench.server import cpu_s
from parkade.base.sound import Music, Peer
from parkade.media.client import MediaClient
from parkade.rtp.orders import CloseLeg, Describe, Hear, LegClosed, OpenLeg, Order, PortsReady, Report

_HERE = Path(__file__).resolve().parents[1]
_STEPS = 3
_WARM_UP_S = 1.5
_PATIENCE_S = 5.0


class Caller:
    """Signalling that makes call after call; ``step`` parks one, retrieves the one before and ends the one before that."""

    def __init__(self) -> None:
        self.free: list[int] = []
        self.ready = asyncio.Event()
        self.closed = 0
        self.missed = 0
        self._calls: list[int] = []
        self._made = 0

    def hear(self, report: Report) -> None:
        """What the media process tells."""
        match report:
            case PortsReady(ports):
                self.free += ports
                self.ready.set()
            case LegClosed():
                self.closed += 1
            case _:
                pass

    def steps(self) -> list[list[Order]]:
        """The orders of the next step, in as many writes as the switch would take."""
        writes: list[list[Order]] = []
        if len(self.free) < 2:
            self.missed += 1
        else:
            self._made += 1
            self._calls.append(self._made)
            caller = f"{self._made:015x}a"
            writes.append([OpenLeg(caller, self.free.pop(0)), Hear(caller, Music()), _describe(caller, self._made)])
        if len(self._calls) > 1:
            call = self._calls[-2]
            caller, picker = f"{call:015x}a", f"{call:015x}b"
            orders = OpenLeg(picker, self.free.pop(0)), Hear(caller, Peer(picker)), Hear(picker, Peer(caller))
            writes.append([*orders, _describe(picker, call)])
        if len(self._calls) == _STEPS:
            call = self._calls.pop(0)
            writes.append([CloseLeg(f"{call:015x}b"), CloseLeg(f"{call:015x}a")])
        return writes


def _describe(leg: str, number: int) -> Describe:
    port = 20000 + 2 * number % 20000
    return Describe(leg, "127.0.0.9", port, port + 1, "PCMU", 0, 101, 20, sends=True, receives=True)


async def measure(calls_per_s: float, seconds: float) -> float:
    """Microseconds of CPU that the media process needs for one call."""
    caller = Caller()
    with tempfile.TemporaryDirectory(prefix="parkade-bench-") as folder:
        # A process is born with the affinity of its parent.
        os.sched_setaffinity(0, {SERVER})
        client = await MediaClient.start(
            socket_path=Path(folder) / "media",
            host="127.0.0.1",
            rtp_ports=(20000, 35999),
            on_report=caller.hear,
            on_death=lambda: sys.exit("the media process died"),
        )
        os.sched_setaffinity(0, LOAD)
        async with asyncio.timeout(_PATIENCE_S):
            await caller.ready.wait()
        await _call(client, caller, calls_per_s, _WARM_UP_S)
        before_s, closed = cpu_s(client.pid), caller.closed
        await _call(client, caller, calls_per_s, seconds)
        spent_s, legs = cpu_s(client.pid) - before_s, caller.closed - closed
        await client.close()
    if caller.missed:
        sys.exit(f"{caller.missed} calls found no port")
    return 2e6 * spent_s / legs


async def _call(client: MediaClient, caller: Caller, calls_per_s: float, seconds: float) -> None:
    began = time.monotonic()
    for n in range(round(calls_per_s * seconds)):
        for at, orders in enumerate(caller.steps()):
            late_s = time.monotonic() - began - (n + at / _STEPS) / calls_per_s
            await asyncio.sleep(max(0.0, -late_s))
            client.send(orders)


def _in(tree: Path, given: argparse.Namespace) -> float:
    """One run with the code of ``tree``."""
    command = [sys.executable, "-m", "bench.media_calls", "--alone", "--rate", str(given.rate), "--seconds", str(given.seconds)]
    places = os.pathsep.join(map(str, (tree / "src", _HERE)))
    patience_s = given.seconds + _WARM_UP_S + 4 * _PATIENCE_S
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, timeout=patience_s, cwd=_HERE, env={**os.environ, "PYTHONPATH": places}
    )
    return float(done.stdout)


def main() -> None:
    """Measure this tree, and perhaps another by turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=400, help="calls a second (default 400)")
    parser.add_argument("--seconds", type=float, default=4, help="how long each run calls (default 4)")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--against", type=Path, help="a folder with another state of this project")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.alone:
        with confined():
            print(asyncio.run(measure(given.rate, given.seconds)))
        return
    trees = [_HERE] if given.against is None else [given.against.resolve(), _HERE]
    found: list[list[float]] = [[] for _ in trees]
    for _ in range(given.runs):
        for figures, tree in zip(found, trees, strict=True):
            figures.append(_in(tree, given))
    for figures, tree in zip(found, trees, strict=True):
        middle = statistics.median(figures)
        print(f"{middle:7.1f} us a call, {middle / 2:6.1f} us a leg  ({min(figures):.1f} to {max(figures):.1f})  {tree.name}")
    if len(found) > 1:
        print(f"  {statistics.median(found[1]) / statistics.median(found[0]):.2f} of the other")


if __name__ == "__main__":
    main()

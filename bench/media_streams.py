"""Music streams of one media process, without signalling: ``python -m bench.media_streams --streams 2000``.

Opens that many legs with music through the real socket and listens to one in eight, as ``bench.park_streams`` does with
parked callers; what signalling costs is the difference between the two.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from pathlib import Path

from bench.cores import LOAD, SERVER, confined
from bench.listen import Deaf, Ear
from bench.park_streams import LISTENED_TO, Parked
from bench.server import cpu_s, memory_kib
from parkade.base.sound import Music
from parkade.media.client import MediaClient
from parkade.rtp.orders import Describe, Hear, OpenLeg, PortsReady, Report

_SETTLE_S = 1.0


async def measure(streams: int, seconds: float, legs_per_s: int) -> Parked:
    """Open the legs at a steady rate, let them settle, and listen."""
    reports: asyncio.Queue[Report] = asyncio.Queue()
    ear, deaf = Ear(), Deaf()
    with tempfile.TemporaryDirectory(prefix="parkade-bench-") as folder:
        # A process is born with the affinity of its parent.
        os.sched_setaffinity(0, {SERVER})
        client = await MediaClient.start(
            socket_path=Path(folder) / "media",
            host="127.0.0.1",
            rtp_ports=(20000, 20000 + 2 * streams + 1000),
            on_report=reports.put_nowait,
            on_death=lambda: print("the media process died"),
        )
        os.sched_setaffinity(0, LOAD)
        free: list[int] = []
        empty_kib = memory_kib(client.pid)
        for n in range(streams):
            while not free:
                report = await reports.get()
                free += report.ports if isinstance(report, PortsReady) else ()
            port = deaf.port if n % LISTENED_TO else ear.port
            far = Describe(str(n), "127.0.0.1", port, 9, "PCMU", 0, 101, 20, sends=True, receives=True)
            client.send([OpenLeg(str(n), free.pop(0)), far, Hear(str(n), Music())])
            await asyncio.sleep(1 / legs_per_s)
        ear.listen_for(_SETTLE_S)
        used_s, began = cpu_s(client.pid), time.monotonic()
        music = ear.listen_for(seconds)
        core = (cpu_s(client.pid) - used_s) / (time.monotonic() - began)
        found = Parked(streams, music, core, (memory_kib(client.pid) - empty_kib) / streams)
        await client.close()
    ear.close()
    deaf.close()
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--legs-per-s", type=int, default=500, help="how fast the legs are opened")
    given = parser.parse_args()
    with confined():
        print(asyncio.run(measure(given.streams, given.seconds, given.legs_per_s)))


if __name__ == "__main__":
    main()

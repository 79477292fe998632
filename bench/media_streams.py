"""Parked streams of one media process: ``python -m bench.media_streams --streams 2000 --seconds 10``.

Starts a media process on one core, gives it that many legs with music, and takes all packets on the other core. Times are
the kernel's, taken when a packet reaches the socket, so that a late reader here does not count as a late sender there.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import json
import os
import resource
import socket
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from parkade.base.sound import Music
from parkade.media.client import MediaClient
from parkade.rtp.orders import Describe, Hear, OpenLeg, Order, PortsReady, Report

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

SO_RCVBUFFORCE = 33
SO_TIMESTAMPNS = 35
PTIME_S = 0.02


class Sink:
    """One socket that every leg sends to, read many packets at a time; streams are told apart by SSRC."""

    BATCH = 256

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.socket.setblocking(False)
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        except PermissionError:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 20)
        self._packets = np.zeros((self.BATCH, 256), np.uint8)
        self._control = np.zeros((self.BATCH, 8), np.int64)
        self._places = np.zeros((self.BATCH, 2), np.uint64)
        self._places[:, 0] = self._packets.ctypes.data + 256 * np.arange(self.BATCH, dtype=np.uint64)
        self._places[:, 1] = 256
        # struct mmsghdr as eight words: name, its length, iovec, their number, control, its length, flags, bytes received.
        self._messages = np.zeros((self.BATCH, 8), np.uint64)
        self._messages[:, 2] = self._places.ctypes.data + 16 * np.arange(self.BATCH, dtype=np.uint64)
        self._messages[:, 3] = 1
        self._messages[:, 4] = self._control.ctypes.data + 64 * np.arange(self.BATCH, dtype=np.uint64)

    def collect(self, seconds: float) -> tuple[Floats, Integers, Integers]:
        """Arrival in seconds, SSRC and sequence of every packet that came within ``seconds``."""
        found: list[tuple[Floats, Integers, Integers]] = []
        recvmmsg = ctypes.CDLL(None).recvmmsg
        messages = ctypes.c_void_p(self._messages.ctypes.data)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._messages[:, 5] = 64
            count = recvmmsg(self.socket.fileno(), messages, self.BATCH, 0, None)
            if count > 0:
                numbers = self._packets[:count].astype(np.int64)
                at = self._control[:count, 2] + self._control[:count, 3] / 1e9
                ssrc = numbers[:, 8:12] @ np.array([1 << 24, 1 << 16, 1 << 8, 1])
                found.append((at, ssrc, numbers[:, 2] << 8 | numbers[:, 3]))
            if count < self.BATCH:
                # Waiting in the system call would make each packet's sender pay for a wake-up that no network asks of it.
                time.sleep(0.005)
        arrivals, ssrcs, sequences = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return arrivals, ssrcs, sequences


def cpu_s(pid: int) -> float:
    """Processor time a process has used, exactly: samples at clock ticks would beat with work done every millisecond."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def memory_kib(pid: int) -> int:
    """Resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize() // 1024


def pacing(at: Floats, ssrc: Integers, sequence: Integers) -> dict[str, float]:
    """How far packets of one stream are from 20 ms apart, and how many never came."""
    order = np.lexsort((at, ssrc))
    at, ssrc, sequence = at[order], ssrc[order], sequence[order]
    same = ssrc[1:] == ssrc[:-1]
    steps = (sequence[1:] - sequence[:-1])[same] % 65536
    deviation_ms = np.abs(np.diff(at)[same] - PTIME_S * steps) * 1000
    return {
        "streams": len(np.unique(ssrc)),
        "packets_per_stream_and_second": round(len(at) / len(np.unique(ssrc)) / (at.max() - at.min()), 2),
        "lost": int(np.sum(steps - 1)),
        "pacing_p50_ms": round(float(np.percentile(deviation_ms, 50)), 3),
        "pacing_p99_ms": round(float(np.percentile(deviation_ms, 99)), 3),
        "pacing_max_ms": round(float(deviation_ms.max()), 3),
    }


async def measure(streams: int, seconds: float, legs_per_s: int) -> dict[str, float]:
    """Open the legs at a steady rate, let them settle, and listen."""
    reports: asyncio.Queue[Report] = asyncio.Queue()
    with tempfile.TemporaryDirectory() as folder:
        client = await MediaClient.start(
            socket_path=Path(folder) / "media",
            host="127.0.0.1",
            rtp_ports=(20000, 20000 + 4 * streams + 600),
            on_report=reports.put_nowait,
            on_death=lambda: print("the media process died"),
        )
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) > 1:
            os.sched_setaffinity(client.pid, {cores[0]})
            os.sched_setaffinity(0, set(cores[1:]))
        sink = Sink()
        port = sink.socket.getsockname()[1]
        free: list[int] = []
        before_kib = memory_kib(client.pid)
        for n in range(streams):
            while not free:
                report = await reports.get()
                free += report.ports if isinstance(report, PortsReady) else ()
            leg = f"leg-{n}"
            orders: list[Order] = [
                OpenLeg(leg, free.pop()),
                Describe(
                    leg,
                    address="127.0.0.1",
                    port=port,
                    rtcp_port=9,
                    codec="PCMU",
                    payload_type=0,
                    dtmf_payload_type=101,
                    ptime_ms=20,
                    sends=True,
                    receives=True,
                ),
                Hear(leg, Music()),
            ]
            client.send(orders)
            await asyncio.sleep(1 / legs_per_s)
        await asyncio.sleep(1.0)
        sink.collect(1.0)
        used_s, began = cpu_s(client.pid), time.monotonic()
        arrivals = sink.collect(seconds)
        used_s = (cpu_s(client.pid) - used_s) / (time.monotonic() - began)
        figures = pacing(*arrivals)
        figures["cpu_percent_of_a_core"] = round(100 * used_s, 1)
        figures["memory_kib_per_leg"] = round((memory_kib(client.pid) - before_kib) / streams, 1)
        await client.close()
        sink.socket.close()
    return figures


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streams", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--legs-per-s", type=int, default=1000, help="how fast the legs are opened")
    wanted = parser.parse_args()
    print(json.dumps(asyncio.run(measure(wanted.streams, wanted.seconds, wanted.legs_per_s))))


if __name__ == "__main__":
    main()

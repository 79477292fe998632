"""What the edge adds to a message: OPTIONS and parked calls over a real UDP socket, through the pump and the switch.

Run ``python -m bench.edge_udp``; prints messages a second and microseconds of the server's CPU a message. ``--before SRC``
measures the code in another checkout's ``src`` in the same run, turn by turn, and prints the ratio; ``--journal`` measures this
one also with a journal, which both calls and their answers go through. Media is a function that
encodes orders as the media client does and drops them; the load runs on the other core, ``--window`` requests in flight.
"""

from __future__ import annotations

import argparse
import asyncio
import inspect
import os
import re
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.cores import LOAD, SERVER
from bench.server import cpu_s

OPTIONS = (
    "OPTIONS sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bKo{n};rport\r\nMax-Forwards: 70\r\n"
    "From: <sip:c@127.0.0.1>;tag=o{n}\r\nTo: <sip:127.0.0.1>\r\nCall-ID: o{n}@127.0.0.1\r\nCSeq: 1 OPTIONS\r\n"
    "User-Agent: bench\r\nContent-Length: 0\r\n\r\n"
)
SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8 101\r\n"
    "a=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\na=sendrecv\r\n"
)
REQUEST = (
    "{method} sip:park@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK{method}{n};rport\r\n"
    "Max-Forwards: 70\r\nFrom: <sip:c@127.0.0.1>;tag=c{n}\r\nTo: <sip:park@127.0.0.1>{tag}\r\nCall-ID: c{n}@127.0.0.1\r\n"
    "CSeq: {seq} {method}\r\nContact: <sip:c@127.0.0.1:{port}>\r\n{type}Content-Length: {size}\r\n\r\n{body}"
)
_TAG = re.compile(rb"\nTo:[^\r\n]*(;tag=[^\r\n;]+)")
_CALL = re.compile(rb"\nCall-ID: [co](\d+)@")


@dataclass(frozen=True, slots=True)
class Figure:
    """One measurement."""

    per_s: float
    us: float


class _Phone:
    """Many callers on one socket, each in its own state."""

    def __init__(self, server: tuple[str, int]) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.connect(server)
        self.socket.settimeout(5)
        self.port = self.socket.getsockname()[1]
        self._next = 0

    def options(self, _: bytes) -> bool:
        self._next += 1
        self.socket.send(OPTIONS.format(n=self._next, port=self.port).encode())
        return True

    def call(self, answer: bytes) -> bool:
        """One step of a call: INVITE; at the 200 ACK and BYE; at the BYE's 200 it is over and the next begins."""
        if answer.startswith(b"SIP/2.0 1"):
            return False
        if answer and b" INVITE\r\n" in answer:
            tag, n = _TAG.search(answer), _CALL.search(answer)
            assert answer.startswith(b"SIP/2.0 200"), answer
            assert tag, answer
            assert n, answer
            for method, seq in (("ACK", 1), ("BYE", 2)):
                self._send(method, n[1].decode(), seq, tag[1].decode())
            return False
        self._next += 1
        self._send("INVITE", str(self._next), 1, "", SDP)
        return True

    def _send(self, method: str, n: str, seq: int, tag: str, body: str = "") -> None:
        kind = "Content-Type: application/sdp\r\n" if body else ""
        text = REQUEST.format(method=method, n=n, seq=seq, tag=tag, port=self.port, type=kind, size=len(body), body=body)
        self.socket.send(text.encode())


def measured(source: Path, kind: str, seconds: float, window: int, *, journal: bool) -> Figure:
    """``kind`` (``options`` or ``calls``) against a fresh server that runs the code in ``source``."""
    with TemporaryDirectory() as folder, _server(source, folder if journal else "") as (pid, port):
        phone = _Phone(("127.0.0.1", port))
        step: Callable[[bytes], bool] = phone.options if kind == "options" else phone.call
        for _ in range(window):
            step(b"")
        _go(phone, step, 0.5)
        began, used = time.monotonic(), cpu_s(pid)
        done = _go(phone, step, seconds)
        return Figure(done / (time.monotonic() - began), 1e6 * (cpu_s(pid) - used) / done)


def _go(phone: _Phone, step: Callable[[bytes], bool], seconds: float) -> int:
    done, until = 0, time.monotonic() + seconds
    while time.monotonic() < until:
        done += step(phone.socket.recv(65536))
    return done


@contextmanager
def _server(source: Path, folder: str) -> Iterator[tuple[int, int]]:
    process = subprocess.Popen(
        [sys.executable, __file__, "--serve", folder],
        env={**os.environ, "PYTHONPATH": f"{source}{os.pathsep}{source.parent}"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process.pid, int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()


async def _serve(folder: str | None) -> None:
    from parkade.base.ids import Ids
    from parkade.edge.clock import Clock
    from parkade.edge.collector import settle_collector
    from parkade.edge.pump import Pump
    from parkade.edge.udp import UdpTransport
    from parkade.media.wire import order_to_line
    from parkade.rtp.orders import PortsReady
    from parkade.switch.inputs import MediaReport
    from parkade.switch.switch import Switch

    os.sched_setaffinity(0, {SERVER})
    options: Any = {"keeps": folder is not None} if "keeps" in inspect.signature(Switch).parameters else {}
    switch = Switch(_directory(), {}, Ids(os.urandom), lambda _: ("127.0.0.1", 5060), **options)
    journal: Any = None
    if folder is not None:
        from parkade.store.journal import Journal

        journal = Journal.open(Path(folder) / "journal.db")
    pump = Pump(switch, Clock(), lambda _: None, *([journal] if journal is not None else []))
    reader, writer = socket.socketpair()
    reader.setblocking(False)

    def orders(given: Any) -> None:
        writer.send(b"".join(map(order_to_line, given)))
        reader.recv(1 << 20)

    pump.send_orders = orders
    # The checkout before this one has an asyncio protocol that is fed one message at a time.
    bind: Any = UdpTransport.bind
    bound = bind("127.0.0.1", 0, getattr(pump, "feed_all", pump.feed))
    udp, port = await bound if asyncio.iscoroutine(bound) else bound
    pump.transports["UDP"] = udp
    for _ in range(40):  # ports are used up here, as nobody gives them back
        pump.feed(MediaReport(PortsReady(tuple(range(10000, 60000, 2)))))
    if journal is not None:
        journal.start()
    settle_collector()
    print(port, flush=True)
    await asyncio.Event().wait()


def _directory() -> Any:
    from bench.switch_calls import _directory as directory_of_calls

    directory = directory_of_calls()
    return replace(directory, devices={**directory.devices, "gw": replace(directory.devices["gw"], address="127.0.0.1")})


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path, help="src of another checkout to measure beside this one")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--window", type=int, default=16, help="requests in flight (default 16)")
    parser.add_argument("--journal", action="store_true", help="this code with a journal too")
    parser.add_argument("--serve", nargs="?", const="", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve is not None:
        asyncio.run(_serve(given.serve or None))
        return
    os.sched_setaffinity(0, LOAD)
    here = Path(__file__).resolve().parents[1] / "src"
    sources = {"now": here} | ({"before": given.before} if given.before else {}) | ({"journal": here} if given.journal else {})
    for kind in ("options", "calls"):
        rounds = [
            {
                name: measured(source, kind, given.seconds, given.window, journal=name == "journal")
                for name, source in sources.items()
            }
            for _ in range(given.rounds)
        ]
        middle = {
            name: Figure(*(statistics.median(getattr(r[name], part) for r in rounds) for part in ("per_s", "us")))
            for name in sources
        }
        for name, figure in middle.items():
            print(f"{kind:8} {name:7} {figure.per_s:7.0f} a second, {figure.us:6.1f} us of the server's CPU each")
        for name, part, other in (("before", "now", "before"), ("journal", "journal", "now")):
            if name in middle:
                print(
                    f"{kind:8} {part} / {other}: {middle[part].per_s / middle[other].per_s:.2f} in number, "
                    f"{middle[part].us / middle[other].us:.2f} in CPU"
                )


if __name__ == "__main__":
    main()

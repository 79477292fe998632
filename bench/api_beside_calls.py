"""What the API costs those who call: ``python -m bench.api_beside_calls``.

Callers are parked, retrieved and hung up at ``--rate`` a second, in turns without anything beside it and with: a program that
asks the API ``--requests`` times a second, a wall board that never reads its WebSocket, and a webhook whose receiver takes
everything and never answers. Printed is the p99 from INVITE to 200 of all turns of each kind together, and their ratio. The
whole server, its web process too, has one core; callers and programs have the other.

On a machine that does other things, give the bench a session of its own that goes before them (as root):
``setsid -w sh -c 'echo -20 > /proc/self/autogroup; exec python -m bench.api_beside_calls'``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from bench.cores import SERVER, confined, robbed_s
from bench.listen import Deaf
from bench.load import Plan
from bench.server import HERE, Server, cpu_s, running
from bench.stopwatch import Callers, Times

RTP_PORTS = "20000-31999"
PARKED_MS, TALK_MS = 1000, 800
CONNECTIONS = 16
PATHS = (
    "/api/v1/parked-calls?account=bench",
    "/api/v1/calls?account=bench",
    "/api/v1/me",
    "/api/v1/events?account=bench&limit=20",
)
"""What is asked in turn."""
_PASSWORD = re.compile(r"Administrator: (\S+)  password: (\S+)")
GOAL = 1.2


def signed_in(server: Server) -> str:
    """A token of the administrator, whose password the first start has printed."""
    found = _PASSWORD.search(server.log.read_text())
    assert found is not None, server.log.read_text()
    return str(_posted(server, "/api/v1/login", {"login": found[1], "password": found[2]})["token"])


def _posted(server: Server, path: str, body: dict[str, Any], token: str = "") -> dict[str, Any]:
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    request = urllib.request.Request(f"http://127.0.0.1:{server.http_port}{path}", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


@contextmanager
def deaf_board(server: Server, token: str) -> Iterator[None]:
    """A WebSocket that listens to all events and never reads one."""
    with socket.socket() as board:
        board.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        board.connect(("127.0.0.1", server.http_port))
        board.sendall(
            f"GET /api/v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        yield


@contextmanager
def hanging_receiver() -> Iterator[int]:
    """A port where connections are made by the kernel, and nobody ever accepts one."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as receiver:
        yield int(receiver.getsockname()[1])


@contextmanager
def asking(server: Server, token: str, requests_per_s: float) -> Iterator[list[str]]:
    """A program that asks; at the end its answers by status are in the list that is given."""
    command = [
        sys.executable,
        "-m",
        "bench.api_beside_calls",
        "--ask",
        str(server.http_port),
        "--requests",
        str(requests_per_s),
    ]
    environment = {**os.environ, "PARKADE_BENCH_TOKEN": token}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as program:
        said: list[str] = []
        yield said
        output, _ = program.communicate("\n")
        said.append(output.strip())


async def ask(port: int, token: str, requests_per_s: float) -> None:
    """Ask until standard input ends, over ``CONNECTIONS``; whoever is late asks at once."""
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin, ended.set)
    statuses, times_ms = Counter[str](), list[float]()

    async def work(n: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        due = time.monotonic() + n / requests_per_s
        for i in range(1 << 40):
            await asyncio.sleep(due - time.monotonic())
            if ended.is_set():
                break
            path = PATHS[(n + i) % len(PATHS)]
            began = time.monotonic()
            writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", head)
            assert length is not None, head
            await reader.readexactly(int(length[1]))
            times_ms.append(1000 * (time.monotonic() - began))
            statuses[head[9:12].decode()] += 1
            due = max(due + CONNECTIONS / requests_per_s, time.monotonic() - 1)
        writer.close()

    began = time.monotonic()
    await asyncio.gather(*map(work, range(CONNECTIONS)))
    rate = sum(statuses.values()) / (time.monotonic() - began)
    print(f"{rate:.0f} answers/s {dict(statuses)}, median {statistics.median(times_ms):.0f} ms")


def turn(server: Server, rate: float, seconds: float) -> list[float]:
    """Call for some seconds; how long each INVITE, of both kinds, waited for its 200, in ms."""
    plan = Plan(rate, round(rate * seconds), PARKED_MS, TALK_MS)

    async def work() -> Times:
        callers = Callers(server.sip_port, deaf.port)
        try:
            return await callers.run(plan)
        finally:
            callers.close()

    deaf = Deaf()
    try:
        times = asyncio.run(work())
    finally:
        deaf.close()
    if times.whole < plan.calls:
        print(f"  {plan.calls - times.whole} of {plan.calls} calls were not whole")
    return [*times.park_ms, *times.retrieve_ms]


def main() -> None:
    """Measure and print, or be the program that asks."""
    parser = argparse.ArgumentParser(prog="python -m bench.api_beside_calls", description=__doc__)
    parser.add_argument("--rate", type=float, default=100)
    parser.add_argument("--requests", type=float, default=200)
    parser.add_argument("--seconds", type=float, default=8, help="of each turn")
    parser.add_argument("--turns", type=int, default=5, help="of each kind")
    parser.add_argument("--tree", type=Path, default=HERE)
    parser.add_argument("--ask", type=int, metavar="PORT", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.ask:
        asyncio.run(ask(given.ask, os.environ["PARKADE_BENCH_TOKEN"], given.requests))
        return
    robbed_before_s, began = robbed_s(), time.monotonic()
    alone, beside = list[float](), list[float]()
    turns: dict[str, list[float]] = {"alone": [], "beside": []}
    environment = {"PARKADE_WEBHOOK_PRIVATE_TARGETS": "127.0.0.1"}
    with confined(), ExitStack() as stack:
        receiver = stack.enter_context(hanging_receiver())
        server = stack.enter_context(running(SERVER, RTP_PORTS, given.tree, environment))
        token = signed_in(server)
        hook = {"url": f"http://127.0.0.1:{receiver}/", "events": ["*"], "active": True}
        turn(server, given.rate, 5)  # the first calls find everything cold
        for n in range(given.turns):
            alone += (times := turn(server, given.rate, given.seconds))
            turns["alone"].append(float(np.percentile(times, 99)))
            print(f"alone   p50 {np.percentile(times, 50):5.2f}  p99 {np.percentile(times, 99):5.2f} ms", flush=True)
            with deaf_board(server, token), asking(server, token, given.requests) as said:
                if n == 0:
                    _posted(server, "/api/v1/webhooks?account=bench", hook, token)
                before, since = sum(map(cpu_s, server.web())), time.monotonic()
                beside += (times := turn(server, given.rate, given.seconds))
                turns["beside"].append(float(np.percentile(times, 99)))
                core = (sum(map(cpu_s, server.web())) - before) / (time.monotonic() - since)
            print(
                f"beside  p50 {np.percentile(times, 50):5.2f}  p99 {np.percentile(times, 99):5.2f} ms  ({said[0]}; web had "
                f"{core:.0%} of the core)",
                flush=True,
            )
    ratio = np.percentile(beside, 99) / np.percentile(alone, 99)
    robbed = (robbed_s() - robbed_before_s) / (time.monotonic() - began) / (os.cpu_count() or 1)
    print(
        f"\nINVITE to 200 at {given.rate:.0f} calls/s, p99 of {len(alone)} and {len(beside)}: "
        f"alone {np.percentile(alone, 99):.2f} ms, beside the API {np.percentile(beside, 99):.2f} ms: "
        f"{ratio:.2f}x ({'within' if ratio <= GOAL else 'MORE THAN'} {GOAL}x); medians of the turns' p99 "
        f"{statistics.median(turns['alone']):.1f} and {statistics.median(turns['beside']):.1f} ms\n"
        f"load of the machine: {os.getloadavg()[0]:.1f}; its host took away {robbed:.1%} of the processor time"
    )


if __name__ == "__main__":
    main()

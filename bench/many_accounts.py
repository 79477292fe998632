"""10,000 users in 50 accounts: how long an import and a start take, and what a change of settings costs signalling.

``python -m bench.many_accounts``. The server has a core of its own. A pinger on the other sends OPTIONS over UDP, each when the
last was answered and ``PING_S`` have passed, first while nothing changes, then while another process changes settings of one
account after the other: the longest answer is how long signalling stood still, with the network and the pinger's own pauses.
Run it on a machine that does nothing else, and compare the two.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import time
import timeit
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.cores import LOAD, SERVER, confined, robbed_s
from bench.server import HERE, descendants
from parkade.calls.park_settings import Level, Source, resolve
from parkade.store.park_levels import Changer, LevelRef, patch_level
from parkade.store.store import Store

ACCOUNTS, USERS = 50, 200
PING_S = 0.002
CHANGE_S = 0.25
SITES = ("Main", "Depot", "Harbour")
GROUPS = ("Sales", "Packing")


def directory_text(accounts: int, users: int, logins: bool) -> str:
    """The directory file; with ``logins`` every user has one with a password, else only the administrators."""
    lines = ["accounts:"]
    for n in range(accounts):
        lines += [
            f"  - slug: account-{n}",
            f"    name: Account {n}",
            "    multi_site: true",
            f'    admins: [{{login: "admin@account-{n}.test", password: "secret-of-{n}"}}]',
            f"    sites: [{', '.join('{name: ' + name + '}' for name in SITES)}]",
            "    settings: {call_park: {expiration_period: 10, sequence: 1}}",
            f"    user_groups: [{', '.join('{name: ' + name + '}' for name in GROUPS)}]",
            "    users:",
        ]
        for i in range(users):
            login = f'login: "u{i}@account-{n}.test", password: "password-{n}-{i}", ' if logins else ""
            own = "settings: {call_park: {reserve_seconds: 60}}, " if i % 10 == 0 else ""
            device = f'{{username: "d-{n}-{i}", password: "sip-{n}-{i}", model: yealink-t46u}}'
            lines.append(
                f'      - {{extension: "{1000 + i}", name: User {i}, site: {SITES[i % len(SITES)]}, group: {GROUPS[i % 2]}, '
                f"{login}{own}devices: [{device}]}}"
            )
    return "\n".join(lines) + "\n"


@contextmanager
def serving(data: Path) -> Iterator[tuple[int, float]]:
    """A server of ``data``: its SIP port, and how many seconds it took to be ready."""
    command = [sys.executable, "-m", "parkade", "serve", "--data", str(data), "--host", "127.0.0.1", "--sip-port", "0"]
    command += ["--http-port", "0", "--rtp-ports", "20000-20999", "--log-level", "warning"]
    os.sched_setaffinity(0, {SERVER})
    try:
        began = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    finally:
        os.sched_setaffinity(0, LOAD)
    try:
        assert process.stdout is not None
        ready = next((line for line in process.stdout if line.startswith("{")), None)
        if ready is None:
            raise SystemExit("the server did not start")
        yield json.loads(ready)["sip"], time.monotonic() - began
    finally:
        for pid in descendants(process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


def pinged(port: int, seconds: float) -> list[float]:
    """How long each OPTIONS took to be answered, in ms."""
    took: list[float] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.connect(("127.0.0.1", port))
        own.settimeout(2)
        mine = own.getsockname()[1]
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            branch = f"z9hG4bK-{random.getrandbits(64):x}"
            request = (
                f"OPTIONS sip:127.0.0.1:{port} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{mine};branch={branch}\r\n"
                f"From: <sip:ping@127.0.0.1>;tag=1\r\nTo: <sip:127.0.0.1>\r\nCall-ID: {branch}\r\nCSeq: 1 OPTIONS\r\n"
                "Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
            ).encode()
            sent = time.perf_counter()
            own.send(request)
            own.recv(4096)
            took.append(1000 * (time.perf_counter() - sent))
            time.sleep(max(0.0, PING_S - (time.perf_counter() - sent)))
    return took


async def change(data: Path, accounts: int, seconds: float) -> int:
    """Change a setting of one account after the other; how many were changed."""
    by, done, end = Changer("bench", "account_admin"), 0, time.monotonic() + seconds
    async with await Store.open(data) as store:
        while time.monotonic() < end:
            says = {"reserve_seconds": random.randrange(600)}
            async with store.writing() as connection:
                slug = f"account-{done % accounts}"
                await patch_level(connection, slug, LevelRef(Source.ACCOUNT), says, by=by, now=time.time())
            done += 1
            await asyncio.sleep(CHANGE_S)
    return done


def look_up_us(data: Path) -> tuple[float, float]:
    """What a park spends on its settings as they are loaded, and what it would spend on resolving four levels, in us."""

    async def load() -> tuple[object, object]:
        async with await Store.open(data) as store:
            directory, _ = await store.directory()
            return directory, directory.endpoint("d-7-70")

    directory, device = asyncio.run(load())
    levels = [Level(Source.ACCOUNT, {"sequence": 1}), Level(Source.SITE, {"expiration_period": 5})]
    levels += [Level(Source.GROUP, {"enable": True}), Level(Source.USER, {"reserve_seconds": 60})]
    times = 20_000
    found = timeit.timeit(lambda: directory.owner_of(device).policy, number=times)  # type: ignore[attr-defined]
    resolved = timeit.timeit(lambda: resolve(levels).policy(), number=times)
    return 1e6 * found / times, 1e6 * resolved / times


def said(what: str, took: list[float]) -> str:
    """A line about answers, in ms."""
    took = sorted(took)
    p999 = took[int(0.999 * len(took))]
    slow = sum(one > 5 for one in took)
    return (
        f"{what}: {len(took)} answers, median {statistics.median(took):.2f} ms, p99.9 {p999:.2f} ms, "
        f"longest {took[-1]:.2f} ms, {slow} above 5 ms"
    )


def main() -> None:
    """Import, start, ping; or, started by itself, change settings."""
    parser = argparse.ArgumentParser(prog="python -m bench.many_accounts", description=__doc__)
    parser.add_argument("--accounts", type=int, default=ACCOUNTS)
    parser.add_argument("--users", type=int, default=USERS, help="of each account")
    parser.add_argument("--logins", action="store_true", help="every user has a login with a password")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--first", action="store_true", help="before all other programs of this machine (needs root)")
    parser.add_argument("--data", type=Path, help="where the 10,000 users are already, so that nothing is imported")
    parser.add_argument("--change", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.change:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))  # it shares the pinger's core
        print(asyncio.run(change(given.change, given.accounts, given.seconds)))
        return
    if given.first:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    robbed_before, began = robbed_s(), time.monotonic()
    with confined(), TemporaryDirectory(prefix="parkade-bench-") as folder:
        data = given.data or Path(folder) / "data"
        if given.data is None:
            file = Path(folder) / "directory.yaml"
            file.write_text(directory_text(given.accounts, given.users, given.logins))
            importing = [sys.executable, "-m", "parkade", "import", "--data", str(data), str(file)]
            for what in (f"import of {given.accounts * given.users} users in {given.accounts} accounts", "the same again"):
                us = time.monotonic()
                subprocess.run(importing, check=True, stdout=subprocess.DEVNULL)
                print(f"{what}: {time.monotonic() - us:.1f} s")
        found, resolved = look_up_us(data)
        print(f"settings of whoever parks: {found:.2f} us; four levels resolved anew: {resolved:.1f} us")
        with serving(data) as (port, seconds):
            print(f"start until phones can call: {seconds:.2f} s")
            pinged(port, 4)  # the other processes are done with starting
            for _ in range(given.rounds):
                print(said("nothing changes ", pinged(port, given.seconds)))
                command = [sys.executable, "-m", "bench.many_accounts", "--change", str(data)]
                command += ["--accounts", str(given.accounts), "--seconds", str(given.seconds)]
                with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=HERE) as changing:
                    took = pinged(port, given.seconds + 2)
                    changes = (changing.stdout.read() if changing.stdout else "").strip()
                print(said(f"{changes:>3} changes     ", took))
    robbed = (robbed_s() - robbed_before) / (time.monotonic() - began) / (os.cpu_count() or 1)
    print(f"The host took away {robbed:.1%} of this machine's processor time meanwhile.")


if __name__ == "__main__":
    main()

"""SIPp as the callers and as the one who retrieves: two processes, because a SIPp scenario knows one dialog.

The caller is answered, parked and told its code in ``X-Parkade-Park-Code``; after its time in the lot it hands the code
to the retriever over SIPp's own link between two controllers (3PCC). So every call is retrieved by the code that it was
given, and counts only if it was parked, retrieved and hung up in order.
"""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import AF_INET, SOCK_DGRAM, SOCK_STREAM, socket
from tempfile import TemporaryDirectory

from bench.server import GATEWAY, PACKER, Server

_SCENARIOS = Path(__file__).parent / "sipp"
_BUFFER_BYTES = 4 << 20
_PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class Plan:
    """``calls`` callers at ``calls_per_s``, each parked for ``parked_ms`` and then talked to for ``talk_ms``."""

    calls_per_s: float
    calls: int
    parked_ms: int
    talk_ms: int

    @property
    def expected_s(self) -> float:
        """How long all of it takes when nothing is late."""
        return self.calls / self.calls_per_s + (self.parked_ms + self.talk_ms) / 1000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the calls of a plan. Times are from the INVITE to its 200."""

    calls: int
    succeeded: int
    retransmissions: int
    park_ms: tuple[float, ...]
    retrieve_ms: tuple[float, ...]

    @property
    def success(self) -> float:
        """Share of the calls that went through whole."""
        return self.succeeded / self.calls


class Load:
    """SIPp under way."""

    def __init__(self, folder: Path, plan: Plan, caller: subprocess.Popen[bytes]) -> None:
        self._folder = folder
        self._plan = plan
        self._caller = caller
        self._until = time.monotonic() + 1.5 * plan.expected_s + _PATIENCE_S

    @property
    def going(self) -> bool:
        """Whether callers are left, and some hope for them."""
        return self._caller.poll() is None and time.monotonic() < self._until

    def outcome(self) -> Outcome:
        """End what is still going, and count."""
        self._caller.kill()
        self._caller.wait()
        caller = _last_row(self._folder / "caller.csv")
        retriever = _last_row(self._folder / "retriever.csv")
        return Outcome(
            calls=self._plan.calls,
            succeeded=int(caller.get("SuccessfulCall(C)", 0)),
            retransmissions=sum(int(row.get("Retransmissions(C)", 0)) for row in (caller, retriever)),
            park_ms=_response_times(self._folder, "caller"),
            retrieve_ms=_response_times(self._folder, "retriever"),
        )


@contextmanager
def calling(server: Server, plan: Plan, cores: set[int], rtp_ports: list[int], deaf_port: int) -> Iterator[Load]:
    """Start ``plan`` on ``cores``. Callers want their sound on ``rtp_ports`` in turn, the retriever on ``deaf_port``."""
    if shutil.which("sipp") is None:
        raise SystemExit("SIPp is missing: install the package sip-tester (tools/setup.sh debian does)")
    with TemporaryDirectory(prefix="parkade-bench-") as name:
        folder = Path(name)
        (folder / "ports").write_text("\n".join(["SEQUENTIAL", *map(str, rtp_ports), ""]))
        link = f"127.0.0.1:{_free_port(SOCK_STREAM, '127.0.0.1')}"
        retriever = _sipp(
            server, folder, "retriever", PACKER, link, plan, plan.talk_ms, ["-key", "deaf_port", str(deaf_port)], cores
        )
        try:
            _wait_for(retriever, link)
            spread = ["-inf", str(folder / "ports"), "-r", str(plan.calls_per_s)]
            caller = _sipp(server, folder, "caller", GATEWAY, link, plan, plan.parked_ms, spread, cores)
            try:
                yield Load(folder, plan, caller)
            finally:
                caller.kill()
                caller.wait()
        finally:
            retriever.terminate()
            retriever.wait()


def _sipp(
    server: Server, folder: Path, role: str, host: str, link: str, plan: Plan, pause_ms: int, more: list[str], cores: set[int]
) -> subprocess.Popen[bytes]:
    command = ["sipp", f"127.0.0.1:{server.sip_port}", "-sf", str(_SCENARIOS / f"{role}.xml"), "-i", host]
    command += ["-p", str(_free_port(SOCK_DGRAM, host)), "-3pcc", link, "-nostdin", "-m", str(plan.calls), "-d", str(pause_ms)]
    command += ["-l", str(plan.calls), "-buff_size", str(_BUFFER_BYTES), "-timer_resol", "1"]
    command += ["-trace_stat", "-stf", str(folder / f"{role}.csv"), "-fd", "1", "-trace_rtt", "-rtt_freq", "100", *more]
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
    )
    os.sched_setaffinity(process.pid, cores)
    return process


def _wait_for(process: subprocess.Popen[bytes], link: str) -> None:
    """Until the retriever listens for codes. SIPp says so nowhere; the kernel does."""
    port = f":{int(link.rpartition(':')[2]):04X} "
    for _ in range(100):
        if any(port in line and " 0A " in line for line in Path("/proc/net/tcp").read_text().splitlines()):
            return
        try:
            process.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
        break
    raise SystemExit("SIPp did not start as the retriever")


def _free_port(kind: int, host: str) -> int:
    with socket(AF_INET, kind) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _last_row(file: Path) -> dict[str, str]:
    with file.open(newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter=";"))
    return rows[-1] if rows else {}


def _response_times(folder: Path, role: str) -> tuple[float, ...]:
    times: list[float] = []
    for file in folder.glob(f"{role}_*_rtt.csv"):
        with file.open(newline="") as lines:
            times += (float(row["response_time_ms"]) for row in csv.DictReader(lines, delimiter=";"))
    return tuple(times)

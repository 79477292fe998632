"""The server under test: ``parkade import`` and ``parkade serve`` in a temporary place, every process of it on one core."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from socket import AF_INET, SOCK_DGRAM, socket
from tempfile import TemporaryDirectory

GATEWAY, PACKER = "127.0.0.2", "127.0.0.3"
"""Where the two devices call from: they are known by their address, so that no call is made twice for a password."""

HERE = Path(__file__).resolve().parents[1]
COMPILED = HERE / "build/compiled"
"""Where ``make compiled`` puts the product."""
_DIRECTORY = {
    "accounts": [
        {
            "slug": "bench",
            "name": "Bench",
            "sites": [{"name": "Main", "park": {"codes": "10001-30000"}}],
            "settings": {"call_park": {"sequence": 1, "expiration_period": 60}},
            "devices": [
                {"username": "bench-gateway", "address": GATEWAY, "to": "park"},
                {"username": "bench-packer", "address": PACKER},
            ],
        }
    ]
}


SPARE_S = 3.0
"""After this time the spare media process is there, whose start (half a second of processor time) is no part of a call."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What the server's processes have used together since they started, but for the web process, which is not about calls."""

    signalling_s: float
    media_s: float
    memory_kib: int

    @property
    def cpu_s(self) -> float:
        """Processor time of all of them."""
        return self.signalling_s + self.media_s


@dataclass(frozen=True, slots=True)
class Server:
    """A server that is ready for calls."""

    pid: int
    sip_port: int
    http_port: int = 0
    log: Path = Path()
    """What it says on standard error."""

    def usage(self) -> Usage:
        """Processor time and memory up to now. What is not the media process counts as signalling."""
        media, others = self.processes()
        return Usage(sum(map(cpu_s, others)), sum(map(cpu_s, media)), sum(map(memory_kib, media + others)))

    def processes(self) -> tuple[list[int], list[int]]:
        """The media process, and all others of this server but the web process."""
        pids = descendants(self.pid)
        media, web = _running(pids, b"parkade.media"), _running(pids, b"parkade.web")
        return media, [pid for pid in pids if pid not in (*media, *web)]

    def web(self) -> list[int]:
        """The web process."""
        return _running(descendants(self.pid), b"parkade.web")


@contextmanager
def running(core: int, rtp_ports: str, tree: Path = HERE, environment: Mapping[str, str] | None = None) -> Iterator[Server]:
    """A fresh server from ``tree``, a source tree or a folder with the package, confined to ``core``, and its end."""
    with TemporaryDirectory(prefix="parkade-bench-") as folder:
        data, file, log = Path(folder) / "data", Path(folder) / "directory.yaml", Path(folder) / "server.log"
        file.write_text(json.dumps(_DIRECTORY))  # JSON is YAML
        package = tree / "src" if (tree / "src").is_dir() else tree
        if not (package / "parkade").is_dir():
            raise SystemExit(f"there is no parkade in {package} (make compiled puts one into {COMPILED})")
        environ = {**os.environ, "PYTHONPATH": str(package), **(environment or {})}
        parkade = [sys.executable, "-m", "parkade"]
        subprocess.run([*parkade, "import", "--data", data, file], check=True, stdout=subprocess.DEVNULL, env=environ)
        command = [*parkade, "serve", "--data", str(data), "--host", "127.0.0.1", "--sip-port", "0", "--http-port", "0"]
        command += ["--rtp-ports", rtp_ports, "--log-level", "warning"]
        elsewhere = os.sched_getaffinity(0)
        with log.open("wb") as errors:
            # A process is born with the affinity of its parent, and hands it on to its own.
            os.sched_setaffinity(0, {core})
            try:
                process = subprocess.Popen(
                    command, stdout=subprocess.PIPE, stderr=errors, stdin=subprocess.DEVNULL, text=True, env=environ
                )
            finally:
                os.sched_setaffinity(0, elsewhere)
            try:
                assert process.stdout is not None
                ready = next((line for line in process.stdout if line.startswith("{")), None)
                if ready is None:
                    raise SystemExit(f"the server did not start:\n{log.read_text()}")
                time.sleep(SPARE_S)
                said = json.loads(ready)
                yield Server(process.pid, said["sip"], said.get("http", 0), log)
                if process.poll() is not None:
                    raise SystemExit(f"the server ended while it was measured:\n{log.read_text()}")
            finally:
                # A media process outlives signalling: none of them may be left to run.
                for pid in descendants(process.pid):
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                process.wait()
                if process.stdout is not None:
                    process.stdout.close()


def descendants(pid: int) -> list[int]:
    """The process and all that it has started, as far as they still run."""
    found = [pid]
    for parent in found:
        with suppress(FileNotFoundError, ProcessLookupError):
            for task in Path(f"/proc/{parent}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
    return found


def _running(pids: list[int], program: bytes) -> list[int]:
    return [pid for pid in pids if program in Path(f"/proc/{pid}/cmdline").read_bytes()]


def free_rtp_ports(width: int, lowest: int = 10_000) -> str:
    """A range of ``width`` ports below those that the kernel hands out, of which none that was tried is taken.

    If there is none, the one with the most that are free: a server passes over those that others have.
    """
    most, best = 0, ""
    for _ in range(100):
        first = random.randrange(lowest, 32_000 - width + 1, 500)
        tried = range(first, first + width, max(2, width // 200 // 2 * 2))
        free = sum(map(_is_free, tried))
        if free > most:
            most, best = free, f"{first}-{first + width - 1}"
        if free == len(tried):
            break
    if not best:
        raise SystemExit(f"no {width} UDP ports in a row with any that is free")
    return best


def _is_free(port: int) -> bool:
    with socket(AF_INET, SOCK_DGRAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def cpu_s(pid: int) -> float:
    """Processor time a process has used, exactly: samples at clock ticks would beat with work done every 5 ms."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


def memory_kib(pid: int) -> int:
    """Resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize() // 1024

"""The server under test: ``parkade import`` and ``parkade serve`` in a temporary place, every process of it on one core."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

GATEWAY, PACKER = "127.0.0.2", "127.0.0.3"
"""Where the two devices call from: they are known by their address, so that no call is made twice for a password."""

_PARKADE = Path(sys.executable).with_name("parkade")
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


@dataclass(frozen=True, slots=True)
class Usage:
    """What the server's processes have used together since they started."""

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

    def usage(self) -> Usage:
        """Processor time and memory up to now."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        pids = [self.pid, *map(int, children)]
        return Usage(cpu_s(self.pid), sum(map(cpu_s, pids[1:])), sum(map(memory_kib, pids)))


@contextmanager
def running(core: int, rtp_ports: str) -> Iterator[Server]:
    """A fresh server, confined to ``core``, and its end."""
    with TemporaryDirectory(prefix="parkade-bench-") as folder:
        data, file, log = Path(folder) / "data", Path(folder) / "directory.yaml", Path(folder) / "server.log"
        file.write_text(json.dumps(_DIRECTORY))  # JSON is YAML
        subprocess.run([_PARKADE, "import", "--data", data, file], check=True, stdout=subprocess.DEVNULL)
        command = [str(_PARKADE), "serve", "--data", str(data), "--host", "127.0.0.1", "--sip-port", "0"]
        command += ["--rtp-ports", rtp_ports, "--log-level", "warning"]
        elsewhere = os.sched_getaffinity(0)
        with log.open("wb") as errors:
            # A process is born with the affinity of its parent, and hands it on to its own.
            os.sched_setaffinity(0, {core})
            try:
                process = subprocess.Popen(
                    command,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    stdin=subprocess.DEVNULL,
                    text=True,
                )
            finally:
                os.sched_setaffinity(0, elsewhere)
            try:
                assert process.stdout is not None
                ready = next((line for line in process.stdout if line.startswith("{")), None)
                if ready is None:
                    raise SystemExit(f"the server did not start:\n{log.read_text()}")
                yield Server(process.pid, json.loads(ready)["sip"])
                if process.poll() is not None:
                    raise SystemExit(f"the server ended while it was measured:\n{log.read_text()}")
            finally:
                process.kill()
                process.wait()


def cpu_s(pid: int) -> float:
    """Processor time a process has used, exactly: samples at clock ticks would beat with work done every 5 ms."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


def memory_kib(pid: int) -> int:
    """Resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize() // 1024

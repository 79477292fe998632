"""A real ``parkade serve`` in a process of its own, for the tests of this room."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.server import free_rtp_ports

PATIENCE_S = 30.0


class Served:
    """One run of ``serve``."""

    def __init__(self, data: Path, *flags: str) -> None:
        self.data = data
        self.log = data.parent / "serve.log"
        ports = data.parent / "ports"
        if not ports.exists():
            ports.write_text(free_rtp_ports(10_000))  # The same ones for every server of these data.
        where = ["--data", f"{data}", "--host", "127.0.0.1", "--sip-port", "0", "--http-port", "0"]
        where += ["--rtp-ports", ports.read_text()]
        with self.log.open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "parkade", "serve", *where, *flags],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, "PARKADE_DRAIN_SECONDS": "0"},
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.log.read_text()
        self.ready = json.loads(line)
        self.port = int(self.ready["sip"])
        self.http_port = int(self.ready["http"])

    def pid(self, name: str) -> int:
        """The process id of ``name`` as it is now."""
        return int((self.data / "run" / f"{name}.pid").read_text())

    def kill(self, name: str) -> int:
        """SIGKILL; the process id that was."""
        pid = self.pid(name)
        os.kill(pid, signal.SIGKILL)
        return pid

    def stop(self) -> int:
        """SIGTERM, and the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        _, _ = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode


@contextmanager
def served(data: Path, *flags: str) -> Iterator[Served]:
    """A server, and in any case its end and that of its children."""
    with served_on(Served(data, *flags)) as it:
        yield it


@contextmanager
def served_on(it: Served) -> Iterator[Served]:
    """The same for one that runs already."""
    try:
        yield it
    finally:
        if it.process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                it.stop()
        for pid in (it.process.pid, it.pid("signalling"), it.pid("media"), it.pid("web")):
            with contextlib.suppress(OSError):
                if b"parkade" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    os.kill(pid, signal.SIGKILL)
        it.process.wait()
        if it.process.stdout is not None:
            it.process.stdout.close()


def options(n: int, port: int) -> bytes:
    """A request that any server answers."""
    return (
        f"OPTIONS sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK{port}x{n};rport\r\n"
        f"Max-Forwards: 70\r\nFrom: <sip:a@127.0.0.1>;tag={n}\r\nTo: <sip:127.0.0.1>\r\nCall-ID: {n}-{port}@127.0.0.1\r\n"
        f"CSeq: {n} OPTIONS\r\nContent-Length: 0\r\n\r\n"
    ).encode()


def phone() -> socket.socket:
    """A UDP socket on loopback."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    sock.bind(("127.0.0.1", 0))
    sock.settimeout(PATIENCE_S)
    return sock


def lives(pid: int) -> bool:
    """Whether there is such a process (one that is dead and not yet waited for does not count)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(condition: Callable[[], object], what: str) -> None:
    """Wait until it is so."""
    until = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until, what
        time.sleep(0.005)

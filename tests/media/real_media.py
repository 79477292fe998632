"""A real media process, real phones' worth of UDP sockets, and a plain blocking end of the unix socket."""

from __future__ import annotations

import selectors
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TypeVar

from bench.server import free_rtp_ports
from parkade.media.wire import order_to_line, report_from_line
from parkade.rtp.orders import CloseLeg, Describe, LegClosed, OpenLeg, Order, PortsReady, Report
from parkade.rtp.packet import Packet, parse

HOST = "127.0.0.1"
PATIENCE_S = 10.0
SO_TIMESTAMPNS = 35
R = TypeVar("R")


class Phone:
    """Two sockets of a phone. Arrival times are the kernel's, on the clock of ``time.time``."""

    def __init__(self) -> None:
        self.rtp, self.rtcp = bound(), bound()
        self.rtcp_port = int(self.rtcp.getsockname()[1])
        self.ssrc = self.port
        self.sequence, self.timestamp = 7, 70000

    @property
    def port(self) -> int:
        return int(self.rtp.getsockname()[1])

    def hears(self, count: int, within_s: float = PATIENCE_S) -> list[tuple[float, Packet]]:
        """The next ``count`` RTP packets with their times; fewer if no more come ``within_s``."""
        heard: list[tuple[float, Packet]] = []
        until = time.monotonic() + within_s
        while len(heard) < count and (left := until - time.monotonic()) > 0:
            self.rtp.settimeout(left)
            try:
                heard.append(self._next())
            except TimeoutError:
                break
        return heard

    def has_heard(self) -> list[tuple[float, Packet]]:
        """All RTP packets that have arrived by now, with their times."""
        self.rtp.setblocking(False)
        heard: list[tuple[float, Packet]] = []
        try:
            while True:
                heard.append(self._next())
        except BlockingIOError:
            return heard

    def _next(self) -> tuple[float, Packet]:
        data, ancillary, _, _ = self.rtp.recvmsg(2048, 64)
        seconds, nanoseconds = (int.from_bytes(ancillary[0][2][at : at + 8], sys.byteorder) for at in (0, 8))
        packet = parse(data)
        assert packet is not None
        return seconds + nanoseconds / 1e9, packet

    def forgets(self) -> None:
        """Throw away what has arrived so far."""
        self.rtp.setblocking(False)
        try:
            while True:
                self.rtp.recv(2048)
        except BlockingIOError:
            return

    def says(self, port: int, payload: bytes, payload_type: int = 0) -> float:
        """Send one packet to ``port`` of the media process; when."""
        packet = Packet(payload_type, False, self.sequence & 0xFFFF, self.timestamp, self.ssrc, payload)
        self.sequence += 1
        self.timestamp += len(payload)
        self.rtp.sendto(packet.encode(), (HOST, port))
        return time.time()

    def close(self) -> None:
        self.rtp.close()
        self.rtcp.close()


def bound() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((HOST, 0))
    made.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    return made


def lasting_media(folder: Path) -> RealMedia:
    """A media process that lingers, with a state file in ``folder``. Each one there has the same ports, free when it began."""
    ports = folder / "ports"
    if not ports.exists():
        ports.write_text(free_rtp_ports(10_000))
    return RealMedia(folder, "--rtp-ports", ports.read_text(), "--linger", "20", "--state", f"{folder / 'state'}")


class RealMedia:
    """Starts the process, connects, takes orders, keeps reports until they are asked for."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.path = folder / "media"
        command = [sys.executable, "-m", "parkade.media", "--socket", str(self.path), "--host", HOST]
        command += arguments or ("--rtp-ports", "0-0")
        if "--linger" not in command:
            command.append("--with-parent")
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=log)
        _RUNNING.append(self)
        self.phones: list[Phone] = []
        self.free: list[int] = []
        self._reports: list[Report] = []
        self._data = b""
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.connect()

    def connect(self) -> None:
        """Be the signalling process, in place of any before."""
        self.socket.close()
        until = time.monotonic() + PATIENCE_S
        while True:
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                self.socket.connect(str(self.path))
            except (FileNotFoundError, ConnectionRefusedError):
                self.socket.close()
                assert self.process.poll() is None, self.log.read_text()
                assert time.monotonic() < until, "the media process did not come up"
                selectors.DefaultSelector().select(0.01)
            else:
                break
        self.free.clear()
        self._reports.clear()
        self._data = b""

    def order(self, *orders: Order) -> float:
        """Send orders in one write; when."""
        now = time.time()
        self.socket.sendall(b"".join(map(order_to_line, orders)))
        return now

    def told(self, kind: type[R], within_s: float = PATIENCE_S) -> R:
        """The next report of that kind; reports of other kinds are kept for later."""
        until = time.monotonic() + within_s
        while True:
            for report in self._reports:
                if isinstance(report, kind):
                    self._reports.remove(report)
                    return report
            self.socket.settimeout(max(0.001, until - time.monotonic()))
            data = self.socket.recv(65536)
            assert data, self.log.read_text()
            *lines, self._data = (self._data + data).split(b"\n")
            self._reports += map(report_from_line, lines)

    def settle(self) -> None:
        """Wait until all orders so far are performed."""
        self.order(OpenLeg("settled", self.port()), CloseLeg("settled"))
        assert self.told(LegClosed).leg == "settled"

    def port(self, within_s: float = PATIENCE_S) -> int:
        """A port of the reserve, not given out before."""
        while not self.free:
            self.free += self.told(PortsReady, within_s).ports
        return self.free.pop()

    def leg(self, name: str, **described: object) -> tuple[Phone, int]:
        """Open and describe a leg: its phone, and the port it has here."""
        phone, port = Phone(), self.port()
        self.phones.append(phone)
        self.order(OpenLeg(name, port), self.describe(name, phone, **described))
        return phone, port

    @staticmethod
    def describe(name: str, phone: Phone, **described: object) -> Describe:
        """The usual description of a phone, changed as told."""
        usual: dict[str, object] = {
            "address": HOST,
            "port": phone.port,
            "rtcp_port": phone.rtcp.getsockname()[1],
            "codec": "PCMU",
            "payload_type": 0,
            "dtmf_payload_type": 101,
            "ptime_ms": 20,
            "sends": True,
            "receives": True,
        }
        return Describe(name, **{**usual, **described})  # type: ignore[arg-type]

    @property
    def open_files(self) -> int:
        """How many descriptors the process has open."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    @property
    def memory_kib(self) -> int:
        """Resident memory of the process."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * 4

    def kill(self) -> float:
        """Let the process die without a word; when. The phones stay."""
        self.process.kill()
        killed_at = time.time()
        self._ended()
        return killed_at

    def close(self) -> None:
        """End everything; the process must have ended well."""
        for phone in self.phones:
            phone.close()
        self._ended()

    def _ended(self) -> None:
        self.socket.close()
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.process.wait(PATIENCE_S)
        if self in _RUNNING:
            _RUNNING.remove(self)


_RUNNING: list[RealMedia] = []
"""Those that no test has ended yet."""


def end_what_runs() -> None:
    """End what a test that failed has left: nothing of it may disturb another test."""
    for left in _RUNNING[:]:
        left.process.kill()
        left.close()

"""Callers with a good watch: as those of SIPp (``load.py``), but each answer is timed by the kernel, to the microsecond.

SIPp's clock has steps of 4 ms where the kernel's tick has. One thread, a few hundred calls a second at most. A caller is
parked, another phone picks up at the code, talks, and hangs up; who is lost on the way is counted as not whole.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import struct
import time
from dataclasses import dataclass, field

from bench.load import Plan
from bench.server import GATEWAY, PACKER

_SO_TIMESTAMPNS = 35
_PATIENCE_S = 3.0
_CALL = re.compile(rb"(?mi)^Call-ID: *([a-z])(\d+)@")
_TO = re.compile(rb"(?mi)^To: *(.*?)\r\n")
_CODE = re.compile(rb"(?mi)^X-Parkade-Park-Code: *(\S+)")
_METHOD = re.compile(rb"(?mi)^CSeq: *\d+ (\w+)")
_COPIED = re.compile(rb"(?mi)^(?:Via|From|To|Call-ID|CSeq):.*\r\n")
_SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 0 8 101\r\n"
    "a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\n"
)


@dataclass
class Times:
    """From INVITE to 200 in ms, by whether it parked or picked up; and how many calls were whole."""

    park_ms: list[float] = field(default_factory=list)
    retrieve_ms: list[float] = field(default_factory=list)
    whole: int = 0


class Callers:
    """``run`` a plan against the server at ``port``."""

    def __init__(self, port: int, rtp_port: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._server = ("127.0.0.1", port)
        self._sdp = _SDP.format(port=rtp_port)
        self._sockets = {kind: self._bound(host) for kind, host in (("c", GATEWAY), ("d", PACKER))}
        self._sent: dict[tuple[str, int], float] = {}
        self.times = Times()
        self._all_whole = asyncio.Event()
        self._plan = Plan(0, 0, 0, 0)

    async def run(self, plan: Plan) -> Times:
        """All calls of the plan, and the patience to see their ends."""
        self._plan = plan
        began, first = self._loop.time(), time.time_ns() // 1_000_000
        for n in range(plan.calls):
            await asyncio.sleep(began + n / plan.calls_per_s - self._loop.time())
            self._invite("c", first + n, "park")
        until = self._loop.time() + (plan.parked_ms + plan.talk_ms) / 1000 + _PATIENCE_S
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                await self._all_whole.wait()
        return self.times

    def close(self) -> None:
        """Give the sockets back."""
        for sock in self._sockets.values():
            self._loop.remove_reader(sock)
            sock.close()

    def _bound(self, host: str) -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        sock.setblocking(False)
        sock.bind((host, 0))
        self._loop.add_reader(sock, self._readable, sock)
        return sock

    def _readable(self, sock: socket.socket) -> None:
        for _ in range(32):
            try:
                data, ancillary, _, _ = sock.recvmsg(65535, socket.CMSG_SPACE(16))
            except BlockingIOError:
                return
            seconds, nanoseconds = struct.unpack("@qq", ancillary[0][2])
            self._heard(sock, data, seconds + nanoseconds / 1e9)

    def _heard(self, sock: socket.socket, data: bytes, at: float) -> None:
        if not data.startswith(b"SIP/2.0"):
            agreed = b"SIP/2.0 200 OK\r\n" + b"".join(_COPIED.findall(data)) + b"Content-Length: 0\r\n\r\n"
            sock.sendto(agreed, self._server)
            return
        call, method = _CALL.search(data), _METHOD.search(data)
        if call is None or method is None or not data.startswith(b"SIP/2.0 200"):
            return
        kind, n = call[1].decode(), int(call[2])
        if method[1] == b"BYE":
            self.times.whole += 1
            if self.times.whole == self._plan.calls:
                self._all_whole.set()
        elif (sent := self._sent.pop((kind, n), None)) is not None:
            to = _TO.search(data)
            assert to is not None, data
            self._send(kind, n, "ACK", "park", 1, to[1].decode())
            (self.times.park_ms if kind == "c" else self.times.retrieve_ms).append(1000 * (at - sent))
            if kind == "c":
                code = _CODE.search(data)
                assert code is not None, data
                self._loop.call_later(self._plan.parked_ms / 1000, self._invite, "d", n, code[1].decode())
            else:
                self._loop.call_later(self._plan.talk_ms / 1000, self._send, kind, n, "BYE", "park", 2, to[1].decode())

    def _invite(self, kind: str, n: int, whom: str) -> None:
        self._sent[kind, n] = time.time()
        self._send(kind, n, "INVITE", whom, 1, f"<sip:{whom}@127.0.0.1>", self._sdp)

    def _send(self, kind: str, n: int, method: str, whom: str, number: int, to: str, body: str = "") -> None:
        sock = self._sockets[kind]
        host, port = sock.getsockname()
        lines = [
            f"{method} sip:{whom}@127.0.0.1:{self._server[1]} SIP/2.0",
            f"Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bK{method}{kind}{n}",
            "Max-Forwards: 70",
            f'From: "Caller" <sip:{n}@{host}>;tag={kind}{n}',
            f"To: {to}",
            f"Call-ID: {kind}{n}@{host}",
            f"CSeq: {number} {method}",
            f"Contact: <sip:caller@{host}:{port}>",
            *(["Content-Type: application/sdp"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        sock.sendto(("\r\n".join(lines) + "\r\n\r\n" + body).encode(), self._server)

"""A phone written byte by byte on a real socket: for what no SIP stack sends, and to see where an answer really arrives."""

from __future__ import annotations

import re
import select
import socket
import time
from collections.abc import Callable

from parkade.sip.message.digest import answer_challenge

PATIENCE_S = 10.0


class WirePhone:
    """Registers as ``username``. ``host`` and ``port`` are what it believes to have; UDP or TCP by its socket."""

    def __init__(self, sock: socket.socket, server: tuple[str, int], username: str, password: str) -> None:
        self.socket = sock
        self.server = server
        self.username = username
        self.host, self.port = sock.getsockname()[:2]
        self.rport = True
        self.between = b""
        """What is sent before each message on a stream."""
        self._password = password
        self._seq = 0
        self._rest = b""

    @property
    def is_stream(self) -> bool:
        """TCP."""
        return self.socket.type == socket.SOCK_STREAM

    def request(self, method: str, number: str, *, more: str = "", body: str = "", authorization: str = "") -> bytes:
        """A request outside of a dialog."""
        self._seq += 1
        transport = "TCP" if self.is_stream else "UDP"
        lines = [
            f"{method} sip:{number}@{self.server[0]}:{self.server[1]} SIP/2.0",
            f"Via: SIP/2.0/{transport} {self.host}:{self.port};branch=z9hG4bK{id(self)}-{self._seq}{';rport' * self.rport}",
            "Max-Forwards: 70",
            f"From: <sip:{self.username}@{self.server[0]}>;tag=wire{id(self)}",
            f"To: <sip:{self.username if method == 'REGISTER' else number}@{self.server[0]}>",
            f"Call-ID: wire-{id(self)}-{method}-{number}",
            f"CSeq: {self._seq} {method}",
            f"Contact: <sip:{self.username}@{self.host}:{self.port}>",
        ]
        lines += [line for line in (more, authorization) if line]
        if body:
            lines.append("Content-Type: application/sdp")
        return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", body]).encode()

    def ask(self, method: str, number: str, *, more: str = "", body: str = "", pad_to: int = 0) -> int:
        """Send it, answer the challenge, and give the final status. ``pad_to`` makes the whole message that long."""
        status, challenge = self._try(
            lambda authorization, filling: self.request(
                method, number, more=more + filling, body=body, authorization=authorization
            ),
            "",
            pad_to,
        )
        if status != 401:
            return status
        if method == "INVITE":
            self.send(
                self.request("ACK", number).replace(f"CSeq: {self._seq} ACK".encode(), f"CSeq: {self._seq - 1} ACK".encode())
            )
            self._seq -= 1
        uri = f"sip:{number}@{self.server[0]}:{self.server[1]}"
        proof = answer_challenge(challenge, self.username, self._password, method, uri, "c")
        return self._try(
            lambda authorization, filling: self.request(
                method, number, more=more + filling, body=body, authorization=authorization
            ),
            f"Authorization: {proof}",
            pad_to,
        )[0]

    def _try(self, make: Callable[[str, str], bytes], authorization: str, pad_to: int) -> tuple[int, list[str]]:
        message = make(authorization, "")
        if pad_to:
            self._seq -= 1
            missing = pad_to - len(message) - len("X-Padding: \r\n")
            message = make(authorization, f"X-Padding: {'p' * missing}")
            assert len(message) == pad_to
        self.send(message)
        answer = self.receive_final()
        return int(answer.split(" ", 2)[1]), re.findall(r"^WWW-Authenticate: (.*?)\r$", answer, re.MULTILINE)

    def send(self, message: bytes) -> None:
        """Put it on the wire."""
        if self.is_stream:
            self.socket.sendall(self.between + message)
        else:
            self.socket.sendto(message, self.server)

    def receive_final(self) -> str:
        """The next final response, within ``PATIENCE_S``; else AssertionError."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            text = self._receive(deadline)
            if text is not None and re.match(r"SIP/2.0 [2-6]", text):
                return text
        raise AssertionError(f"{self.username} at {self.socket.getsockname()} got no answer")

    def _receive(self, deadline: float) -> str | None:
        if not self.is_stream:
            if not select.select([self.socket], [], [], max(0.0, deadline - time.monotonic()))[0]:
                return None
            return self.socket.recv(65535).decode(errors="replace")
        self._rest = self._rest.lstrip(b"\r\n")
        head, end, rest = self._rest.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)^Content-Length: *(\d+)", head, re.MULTILINE)
        if end and length and len(rest) >= (size := int(length[1])):
            self._rest = rest[size:]
            return (head + end + rest[:size]).decode(errors="replace")
        if select.select([self.socket], [], [], max(0.0, deadline - time.monotonic()))[0]:
            received = self.socket.recv(65535)
            assert received, "the server has closed the connection"
            self._rest += received
        return None

"""A gateway whose callers are parked: raw SIP over UDP, one request after the other, each with the time its answer took."""

from __future__ import annotations

import re
import socket
import time
from dataclasses import dataclass

GATEWAY = "127.0.0.2"
PATIENCE_S = 5.0

DIRECTORY = {
    "accounts": [
        {
            "slug": slug,
            "name": slug.title(),
            "sites": [{"name": "Main", "park": {"codes": codes}}],
            "settings": {"call_park": {"sequence": 1, "expiration_period": 60, "reserve_seconds": 0}},
            "admins": [{"login": f"admin@{slug}.test", "password": "admin-secret"}],
            "users": [
                {
                    "extension": "101",
                    "name": "Alice",
                    "licensed": True,
                    "site": "Main",
                    "devices": [{"username": f"{slug}-101", "password": "secret"}],
                }
            ],
            "devices": [{"username": f"{slug}-gateway", "address": gateway, "to": "park"}],
        }
        for slug, codes, gateway in (("acme", "801-899", GATEWAY), ("other", "801-899", "127.0.0.4"))
    ]
}


@dataclass(slots=True)
class Caller:
    """A call that was answered: its Call-ID, the tag of the server, the code."""

    call_id: str
    tag: str
    code: str
    answered_after_s: float


class Gateway:
    """``call`` and ``end``, as often as one likes."""

    def __init__(self, server_port: int, host: str = GATEWAY) -> None:
        self._host = host
        self._server = ("127.0.0.1", server_port)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((host, 0))
        self._socket.settimeout(PATIENCE_S)
        self._port = self._socket.getsockname()[1]
        self._n = 0

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()

    def call(self) -> Caller:
        """A caller is parked. It may not take so long that a phone would ask again."""
        self._n += 1
        call_id = f"{self._n}-{self._port}-{time.time_ns()}"
        body = (
            f"v=0\r\no=- 1 1 IN IP4 {self._host}\r\ns=-\r\nc=IN IP4 {self._host}\r\nt=0 0\r\n"
            "m=audio 9 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
        )
        began = time.monotonic()
        self._send("INVITE", call_id, 1, "", body)
        answer = self._final(call_id, "INVITE")
        took_s = time.monotonic() - began
        assert answer.startswith("SIP/2.0 200"), answer
        tag = _found(r"(?mi)^(?:To|t):.*;tag=([^\s;]+)", answer)
        code = _found(r"(?mi)^X-Parkade-Park-Code: *(\S+)", answer)
        self._send("ACK", call_id, 1, tag)
        return Caller(call_id, tag, code, took_s)

    def end(self, caller: Caller) -> None:
        """The caller hangs up."""
        self._send("BYE", caller.call_id, 2, caller.tag)
        answer = self._final(caller.call_id, "BYE")
        assert answer.startswith("SIP/2.0 200"), answer

    def _send(self, method: str, call_id: str, number: int, tag: str, body: str = "") -> None:
        to_tag = f";tag={tag}" if tag else ""
        lines = [
            f"{method} sip:warehouse@127.0.0.1:{self._server[1]} SIP/2.0",
            f"Via: SIP/2.0/UDP {self._host}:{self._port};branch=z9hG4bK{method}{call_id}",
            "Max-Forwards: 70",
            f'From: "Caller {self._n}" <sip:{self._n}@{self._host}>;tag=f{call_id}',
            f"To: <sip:warehouse@127.0.0.1>{to_tag}",
            f"Call-ID: {call_id}",
            f"CSeq: {number} {method}",
            f"Contact: <sip:caller@{self._host}:{self._port}>",
            *(["Content-Type: application/sdp"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        self._socket.sendto(("\r\n".join(lines) + "\r\n\r\n" + body).encode(), self._server)

    def _final(self, call_id: str, method: str) -> str:
        while True:
            text = self._socket.recv(65535).decode()
            if not text.startswith("SIP/2.0"):
                continue  # a request of the server's
            if f"Call-ID: {call_id}" in text and f" {method}" in _found(r"(?mi)^CSeq:.*", text) and text[8] != "1":
                return text


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    assert match is not None, text
    return match[match.lastindex or 0]

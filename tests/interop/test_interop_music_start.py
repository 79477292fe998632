"""A caller who says nothing hears music at once: measured by the kernel's clock, from the 200 to the first packet."""

from __future__ import annotations

import socket
import statistics
import struct
from pathlib import Path

from tests.interop.server import Server, account

HOST = "127.0.0.77"
CALLS = 9
_SO_TIMESTAMPNS = 35


def stamped_socket() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((HOST, 0))
    sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    sock.settimeout(10)
    return sock


def receive(sock: socket.socket) -> tuple[bytes, float]:
    data, ancillary, _, _ = sock.recvmsg(4096, 128)
    seconds, nanoseconds = struct.unpack("ll", ancillary[0][2])
    return data, seconds + nanoseconds / 1e9


def request(method: str, number: int, sip_port: int, to: str, seq: int, body: str = "") -> bytes:
    lines = [
        f"{method} sip:park@127.0.0.1 SIP/2.0",
        f"Via: SIP/2.0/UDP {HOST}:{sip_port};branch=z9hG4bK-{number}-{seq}-{method};rport",
        "Max-Forwards: 70",
        f"From: <sip:+84901@{HOST}>;tag=f{number}",
        f"To: {to}",
        f"Call-ID: silent-{number}",
        f"CSeq: {seq} {method}",
        f"Contact: <sip:caller@{HOST}:{sip_port}>",
        *(["Content-Type: application/sdp"] if body else []),
        f"Content-Length: {len(body)}",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def description(rtp_port: int) -> str:
    return (
        f"v=0\r\no=- 1 1 IN IP4 {HOST}\r\ns=-\r\nc=IN IP4 {HOST}\r\nt=0 0\r\n"
        f"m=audio {rtp_port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
    )


def milliseconds_until_music(server: Server, number: int) -> float:
    """One parked call: how long after its 200 the first packet of music arrived."""
    with stamped_socket() as sip, stamped_socket() as rtp:
        where, sip_port = ("127.0.0.1", server.sip_port), sip.getsockname()[1]
        to = "<sip:park@127.0.0.1>"
        sip.sendto(request("INVITE", number, sip_port, to, 1, description(rtp.getsockname()[1])), where)
        answer, answered_at = receive(sip)
        while answer.startswith(b"SIP/2.0 1"):
            answer, answered_at = receive(sip)
        assert answer.startswith(b"SIP/2.0 200"), answer
        to = next(line for line in answer.decode().split("\r\n") if line.startswith("To: "))[4:]
        sip.sendto(request("ACK", number, sip_port, to, 1), where)
        music, music_at = receive(rtp)
        assert music[0] >> 6 == 2
        assert music[1] & 0x7F == 0
        sip.sendto(request("BYE", number, sip_port, to, 2), where)
        assert receive(sip)[0].startswith(b"SIP/2.0 200")
    return (music_at - answered_at) * 1000


def test_music_reaches_a_silent_caller_within_20_ms_of_the_200(tmp_path: Path) -> None:
    tree = account("acme")
    assert isinstance(tree, dict)
    tree["devices"] = [{"username": "gateway", "address": HOST, "to": "park"}]
    server = Server(tmp_path, [tree])
    try:
        waits_ms = [milliseconds_until_music(server, number) for number in range(CALLS)]
    finally:
        server.stop()
    # The median, because a busy machine may keep any one process waiting for longer than that.
    assert statistics.median(waits_ms) <= 20, waits_ms

"""A trace as a file for Wireshark: read back here by its format, and by tshark."""

from __future__ import annotations

import ipaddress
import json
import struct
import subprocess
from pathlib import Path

import pytest

from parkade.api.pcap import pcap
from parkade.edge.trace import Message

INVITE = (
    b"INVITE sip:101@198.51.100.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5062;branch=z9hG4bK1\r\n"
    b"From: <sip:102@x>;tag=1\r\nTo: <sip:101@x>\r\nCall-ID: abc\r\nCSeq: 1 INVITE\r\n"
    b"Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
)
TRYING = (
    b"SIP/2.0 100 Trying\r\nVia: SIP/2.0/UDP 192.0.2.1:5062;branch=z9hG4bK1\r\n"
    b"From: <sip:102@x>;tag=1\r\nTo: <sip:101@x>\r\nCall-ID: abc\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
)
V4 = (("198.51.100.1", 5060), ("192.0.2.1", 5062))
V6 = (("2001:db8::1", 5060), ("2001:db8::2", 5062))
NOON = 1_800_000_000.123456


def packets(data: bytes) -> list[tuple[float, bytes]]:
    magic, major, minor, _, _, _, link = struct.unpack("<IHHiIII", data[:24])
    assert (magic, major, minor, link) == (0xA1B2C3D4, 2, 4, 1)
    found, at = [], 24
    while at < len(data):
        seconds, micro, kept, length = struct.unpack("<IIII", data[at : at + 16])
        assert kept == length
        found.append((seconds + micro / 1e6, data[at + 16 : at + 16 + kept]))
        at += 16 + kept
    assert at == len(data)
    return found


def checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def opened(frame: bytes) -> tuple[int, str, int, str, int, bytes, bytes]:
    """Protocol, source, target, payload and the header above IP of a frame; checks every length and checksum."""
    kind, packet = struct.unpack("!H", frame[12:14])[0], frame[14:]
    if kind == 0x0800:
        assert packet[0] == 0x45
        assert struct.unpack("!H", packet[2:4])[0] == len(packet)
        assert checksum(packet[:20]) == 0xFFFF
        protocol, ends, body = packet[9], packet[12:20], packet[20:]
        pseudo = ends + struct.pack("!BBH", 0, protocol, len(body))
    else:
        assert kind == 0x86DD
        assert packet[0] >> 4 == 6
        assert struct.unpack("!H", packet[4:6])[0] == len(packet) - 40
        protocol, ends, body = packet[6], packet[8:40], packet[40:]
        pseudo = ends + struct.pack("!IHBB", len(body), 0, 0, protocol)
    assert checksum(pseudo + body) == 0xFFFF
    half = len(ends) // 2
    source, target = (str(ipaddress.ip_address(end)) for end in (ends[:half], ends[half:]))
    from_port, to_port = struct.unpack("!HH", body[:4])
    header = 8 if protocol == 17 else 20
    if protocol == 17:
        assert struct.unpack("!H", body[4:6])[0] == len(body)
    return protocol, source, from_port, target, to_port, body[header:], body[:header]


@pytest.mark.parametrize(("local", "remote"), [V4, V6])
def test_udp(local: tuple[str, int], remote: tuple[str, int]) -> None:
    written = pcap([Message(NOON, True, "UDP", local, remote, INVITE), Message(NOON + 1, False, "UDP", local, remote, TRYING)])
    (first_at, first), (second_at, second) = packets(written)
    assert first_at == pytest.approx(NOON, abs=1e-6)
    assert second_at == pytest.approx(NOON + 1, abs=1e-6)
    assert opened(first)[:6] == (17, *remote, *local, INVITE)
    assert opened(second)[:6] == (17, *local, *remote, TRYING)


@pytest.mark.parametrize("transport", ["TCP", "TLS", "WS"])
def test_streams_count_their_bytes(transport: str) -> None:
    local, remote = V4
    long = INVITE + b"x" * 40_000
    written = pcap([Message(NOON, came, transport, local, remote, long) for came in (True, False, True)])
    streams: dict[tuple[str, int], bytes] = {}
    for _, frame in packets(written):
        protocol, source, port, *_, data, header = opened(frame)
        sequence, acknowledged = struct.unpack("!II", header[4:12])
        assert protocol == 6
        assert sequence == 1 + len(streams.get((source, port), b""))
        other = remote if (source, port) == local else local
        assert acknowledged == 1 + len(streams.get(other, b""))
        streams[source, port] = streams.get((source, port), b"") + data
    assert streams == {remote: long * 2, local: long}


def test_addresses_of_both_kinds_and_the_longest_datagram() -> None:
    written = pcap(
        [
            Message(NOON, True, "UDP", ("198.51.100.1", 5060), ("2001:db8::2", 5060), INVITE),
            Message(NOON, True, "UDP", *V4, b"x" * 65_507),
        ]
    )
    first, second = (opened(frame) for _, frame in packets(written))
    assert (first[1], first[3]) == ("2001:db8::2", "::ffff:c633:6401")
    assert len(second[5]) == 65_507


def test_nothing() -> None:
    assert packets(pcap([])) == []


def test_tshark_reads_it_as_sip(tmp_path: Path) -> None:
    """A second opinion; the format itself is checked above."""
    messages = [
        Message(NOON, came, transport, *ends, INVITE if came else TRYING)
        for ends in (V4, V6)
        for transport in ("UDP", "TCP")
        for came in (True, False)
    ]
    written = pcap(messages)
    assert len(packets(written)) == 8
    path = tmp_path / "trace.pcap"
    path.write_bytes(written)
    fields = ["-e", "sip.Method", "-e", "sip.Status-Code", "-e", "sip.Call-ID", "-e", "_ws.malformed"]
    checks = [f for name in ("ip", "udp", "tcp") for f in ("-o", f"{name}.check_checksum:TRUE")]
    ran = subprocess.run(["tshark", "-r", str(path), *checks, "-T", "json", *fields], capture_output=True, check=True)
    found = [packet["_source"]["layers"] for packet in json.loads(ran.stdout)]
    assert [layer.get("sip.Method") if "sip.Status-Code" not in layer else layer["sip.Status-Code"] for layer in found] == [
        ["INVITE"],
        ["100"],
    ] * 4
    assert all(layer["sip.Call-ID"] == ["abc"] for layer in found)
    assert not any("_ws.malformed" in layer for layer in found)

"""A trace as a libpcap file that Wireshark and tshark read: Ethernet, IP, UDP or TCP around each message.

The headers are made up, for only messages are kept: addresses and ports are true, MAC addresses are none, TCP has neither
handshake nor acknowledgements, and what went over TLS or a WebSocket is there in clear, as TCP. Times are to the microsecond.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterable
from typing import Final, Protocol

MEDIA_TYPE: Final = "application/vnd.tcpdump.pcap"
_FILE: Final = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 1)
_MOST: Final = 16_000
"""Of a message in one packet of TCP."""
_ETHERNET: Final = bytes(12)
_UDP, _TCP = 17, 6
_PSH_ACK: Final = 0x18


class Sent(Protocol):
    """One message of a trace."""

    @property
    def at(self) -> float: ...
    @property
    def came(self) -> bool: ...
    @property
    def transport(self) -> str: ...
    @property
    def local(self) -> tuple[str, int]: ...
    @property
    def remote(self) -> tuple[str, int]: ...
    @property
    def data(self) -> bytes: ...


def pcap(messages: Iterable[Sent]) -> bytes:
    """The file."""
    parts = [_FILE]
    sequence: dict[tuple[tuple[str, int], tuple[str, int]], int] = {}
    for message in messages:
        source, target = (message.remote, message.local) if message.came else (message.local, message.remote)
        if message.transport == "UDP":
            parts.append(_packet(message.at, _ip(source, target, _UDP, message.data, 0, 0)))
            continue
        for start in range(0, len(message.data), _MOST):
            some = message.data[start : start + _MOST]
            here, there = sequence.setdefault((source, target), 1), sequence.setdefault((target, source), 1)
            parts.append(_packet(message.at, _ip(source, target, _TCP, some, here, there)))
            sequence[source, target] = (here + len(some)) & 0xFFFFFFFF
    return b"".join(parts)


def _packet(at: float, data: bytes) -> bytes:
    seconds, microseconds = divmod(round(at * 1e6), 1_000_000)
    return struct.pack("<IIII", seconds, microseconds, len(data), len(data)) + data


def _ip(
    source: tuple[str, int], target: tuple[str, int], protocol: int, data: bytes, sequence: int, acknowledged: int
) -> bytes:
    """The frame of one packet. IPv4 where both addresses are, else IPv6."""
    addresses = [ipaddress.ip_address(host.partition("%")[0]) for host, _ in (source, target)]
    if any(address.version == 6 for address in addresses):
        ends = b"".join((address if address.version == 6 else _mapped(address)).packed for address in addresses)
        version, ethertype = 6, 0x86DD
    else:
        ends = b"".join(address.packed for address in addresses)
        version, ethertype = 4, 0x0800
    ports = struct.pack("!HH", source[1] & 0xFFFF, target[1] & 0xFFFF)
    if protocol == _UDP:
        data = data[: 65_535 - 28]
        header = [ports + struct.pack("!H", len(data) + 8), b""]
    else:
        header = [ports + struct.pack("!IIBBH", sequence, acknowledged, 5 << 4, _PSH_ACK, 65_535), b"\0\0"]
    length = len(header[0]) + 2 + len(header[1]) + len(data)
    pseudo = ends + (struct.pack("!BBH", 0, protocol, length) if version == 4 else struct.pack("!IHBB", length, 0, 0, protocol))
    check = _checksum(pseudo + header[0] + b"\0\0" + header[1] + data)
    body = header[0] + struct.pack("!H", check or 0xFFFF) + header[1] + data
    if version == 4:
        fields = struct.pack("!BBHHHBB", 0x45, 0, 20 + len(body), 0, 0x4000, 64, protocol)
        packet = fields + struct.pack("!H", _checksum(fields + b"\0\0" + ends)) + ends + body
    else:
        packet = struct.pack("!IHBB", 6 << 28, len(body), protocol, 64) + ends + body
    return _ETHERNET + struct.pack("!H", ethertype) + packet


def _mapped(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv6Address:
    return ipaddress.IPv6Address(f"::ffff:{address}")


def _checksum(data: bytes) -> int:
    """The Internet checksum (:rfc:`1071`)."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF

"""What a media process that dies leaves to the next one: the place of each stream, in a small memory-mapped file.

One record a leg: its port, SSRC, sequence number, timestamp, place in its sound, and the address it was sent to. Records are
written once a second, when a leg is described and when it closes, in memory only: the kernel keeps the pages when the process
is killed, and writes them to the disk when it pleases. A power cut may lose them; then streams begin anew. A record that was
cut in the middle fails its checksum and is passed over.

Limits: ``records`` legs at once, those beyond are not kept. One process at a time uses a file. Its space on the disk is taken
when it is made, because writing to a mapped page for which the disk has no room kills the process (SIGBUS).
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from functools import lru_cache
from hashlib import blake2b
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from struct import Struct
from typing import NamedTuple
from zlib import crc32

from parkade.base.clock import Instant
from parkade.base.sound import Sound
from parkade.rtp.latch import Address

WRITE_EVERY_S = 1.0
MARGIN_PACKETS = 16
"""Packets that may have been sent beyond the usual rate since the last writing: a burst of a relayed source."""
OLDEST_S = 3600.0
"""What has not been written for longer is of no call that still lives."""

_MAGIC = b"parkade media 1\n"
_RECORD = Struct("<32sHHHHIIIIId16s")
_CHECK = Struct("<I")
_SIZE = 96
_NO_HOST = bytes(16)


class StreamState(NamedTuple):
    """One leg. ``sequence`` was sent last, ``timestamp`` comes next, ``position_ms`` is the place in the sound ``mark`` names.

    ``source`` is the address that had proved itself; ``written_at`` is UTC.
    """

    port: int
    ssrc: int
    sequence: int
    timestamp: int
    ptime_ms: int
    mark: int
    position_ms: int
    source: Address | None
    written_at: Instant

    def sequence_now(self, now: Instant) -> int:
        """A number that is not below any sent before the process died, and less than 100 beyond the last with 20 ms."""
        beyond = MARGIN_PACKETS + round(min(max(now - self.written_at, 0.0), WRITE_EVERY_S + 0.1) * 1000 / self.ptime_ms)
        return self.sequence + beyond & 0xFFFF


@lru_cache(maxsize=4096)
def mark_of(sound: Sound) -> int:
    """A number that is the same for the same sound in another process."""
    return crc32(repr(sound).encode())


class StateFile:
    """The records of one file, by leg. Raises OSError if the file cannot be made."""

    def __init__(self, path: Path, records: int) -> None:
        size = _SIZE * (1 + records)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fresh = os.pread(file, len(_MAGIC), 0) != _MAGIC
            if fresh:
                os.ftruncate(file, 0)
            size = max(size, os.fstat(file).st_size // _SIZE * _SIZE)
            os.posix_fallocate(file, 0, size)
            self._map = mmap.mmap(file, size)
        finally:
            os.close(file)
        self._map[: len(_MAGIC)] = _MAGIC
        self._left: dict[bytes, tuple[int, StreamState]] = {}
        self._free: list[int] = []
        for slot in range(size // _SIZE - 1, 0, -1):
            found = self._read(slot)
            if found is None:
                self._free.append(slot)
            else:
                self._left[found[0]] = slot, found[1]

    def left(self, now: Instant) -> Iterator[StreamState]:
        """What an earlier process left and nobody has adopted yet; records that are too old are cleared."""
        for key, (slot, state) in tuple(self._left.items()):
            if now - state.written_at > OLDEST_S:
                del self._left[key]
                self.clear(slot)
            else:
                yield state

    def forget_left(self) -> None:
        """Nobody will come for these any more."""
        for slot, _ in self._left.values():
            self.clear(slot)
        self._left.clear()

    def peek(self, leg: str) -> StreamState | None:
        """What ``adopt`` would give, on whichever port; it stays."""
        found = self._left.get(_key(leg))
        return None if found is None else found[1]

    def adopt(self, leg: str, port: int) -> StreamState | None:
        """What an earlier process left of this leg on this port. The record is free again: ``open`` takes one."""
        found = self._left.get(_key(leg)) if self._left else None
        if found is None or found[1].port != port:
            return None
        del self._left[_key(leg)]
        self._free.append(found[0])
        return found[1]

    def open(self, leg: str) -> int:
        """A record for ``leg``; 0 if there is none left."""
        return self._free.pop() if self._free else 0

    def write(self, slot: int, leg: str, state: StreamState) -> None:
        """Put ``state`` into a record that was opened for ``leg``."""
        port, ssrc, sequence, timestamp, ptime_ms, mark, position_ms, source, written_at = state
        host, source_port = (_NO_HOST, 0) if source is None else (_packed(source[0]), source[1])
        data = _RECORD.pack(
            _key(leg),
            port,
            source_port,
            sequence,
            ptime_ms,
            ssrc,
            timestamp,
            mark,
            position_ms & 0xFFFFFFFF,
            0,
            written_at,
            host,
        )
        start = slot * _SIZE
        self._map[start : start + _CHECK.size + _RECORD.size] = _CHECK.pack(crc32(data)) + data

    def clear(self, slot: int) -> None:
        """The leg of this record is no more."""
        if slot:
            self._map[slot * _SIZE : (slot + 1) * _SIZE] = bytes(_SIZE)
            self._free.append(slot)

    def close(self) -> None:
        """Let go of the file; what is in it stays."""
        self._map.close()

    def _read(self, slot: int) -> tuple[bytes, StreamState] | None:
        start = slot * _SIZE
        data = self._map[start + _CHECK.size : start + _CHECK.size + _RECORD.size]
        (check,) = _CHECK.unpack_from(self._map, start)
        if check == 0 or check != crc32(data):
            return None
        key, port, source_port, sequence, ptime_ms, ssrc, timestamp, mark, position_ms, _, written_at, host = _RECORD.unpack(
            data
        )
        source = None if host == _NO_HOST else (_unpacked(host), source_port)
        return key, StreamState(port, ssrc, sequence, timestamp, ptime_ms or 20, mark, position_ms, source, written_at)


def _key(leg: str) -> bytes:
    """32 bytes that stand for a leg's id: the id itself, or a digest of a long one."""
    name = leg.encode()
    return name.ljust(32, b"\0") if len(name) <= 32 else blake2b(name, digest_size=32).digest()


@lru_cache(maxsize=4096)
def _packed(host: str) -> bytes:
    address = ip_address(host)
    return address.packed if isinstance(address, IPv6Address) else IPv6Address(b"\0" * 10 + b"\xff\xff" + address.packed).packed


def _unpacked(host: bytes) -> str:
    address = IPv6Address(host)
    return str(address.ipv4_mapped or address)

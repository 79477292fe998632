"""What each leg was ordered, in a memory-mapped file beside the state file: open, describe and hear, as lines of the wire.

A media process that is started again obeys these before anybody has told it anything, so music and conversations do not wait
for signalling, which may be starting as well. Signalling that comes finds these legs there, and corrects what is not so.

Limits: orders of at most ``_TEXT`` bytes a leg, those of a longer description are not kept. Prompts and playlists are not
kept: whether they were heard is for signalling to say. Text that was cut in the middle fails its checksum and is passed over.
The file's space on the disk is taken when it is made, as that of the state file is.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from pathlib import Path
from struct import Struct
from zlib import crc32

from parkade.base.sound import Music, Peer, Tone
from parkade.media.leg import RtpLeg
from parkade.media.wire import WireError, order_from_line, order_to_line
from parkade.rtp.orders import Describe, Hear, OpenLeg, Order

_HEAD = Struct("<IH")
_SIZE = 512
_TEXT = _SIZE - _HEAD.size
_NOTHING = bytes(_HEAD.size)


class KeptOrders:
    """One text for each record of a state file; record 0 is nobody's. Raises OSError if the file cannot be made."""

    def __init__(self, path: Path, records: int) -> None:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._records = records
            size = _SIZE * (1 + records)
            if os.fstat(file).st_size != size:
                os.ftruncate(file, 0)
            os.posix_fallocate(file, 0, size)
            self._map = mmap.mmap(file, size)
        finally:
            os.close(file)

    def write(self, record: int, leg: RtpLeg) -> None:
        """Keep what ``leg`` was ordered last."""
        if not 0 < record <= self._records:
            return
        orders: list[Order] = [OpenLeg(leg.id, leg.ports.port)]
        if leg.described is not None:
            orders.append(leg.described)
        if isinstance(leg.sound, Music | Tone | Peer):
            orders.append(Hear(leg.id, leg.sound))
        text = b"".join(map(order_to_line, orders))
        if len(text) > _TEXT:
            self.clear(record)
            return
        start = record * _SIZE
        self._map[start : start + _HEAD.size + len(text)] = _HEAD.pack(crc32(text), len(text)) + text

    def clear(self, record: int) -> None:
        """The leg of this record is no more."""
        if 0 < record <= self._records:
            self._map[record * _SIZE : record * _SIZE + _HEAD.size] = _NOTHING

    def take(self) -> list[tuple[OpenLeg, list[Describe | Hear]]]:
        """What an earlier process was ordered, leg by leg. It is not kept any more."""
        found = [kept for record in range(1, self._records + 1) if (kept := self._read(record)) is not None]
        for record in range(1, self._records + 1):
            self.clear(record)
        return found

    def close(self) -> None:
        """Let go of the file; what is in it stays."""
        self._map.close()

    def _read(self, record: int) -> tuple[OpenLeg, list[Describe | Hear]] | None:
        start = record * _SIZE
        check, length = _HEAD.unpack_from(self._map, start)
        if not 0 < length <= _TEXT:
            return None
        text = self._map[start + _HEAD.size : start + _HEAD.size + length]
        if crc32(text) != check:
            return None
        try:
            first, *orders = _orders(text)
        except (WireError, ValueError):
            return None
        rest = [order for order in orders if isinstance(order, Describe | Hear) and order.leg == first.leg]
        return (first, rest) if isinstance(first, OpenLeg) else None


def _orders(text: bytes) -> Iterator[Order]:
    return map(order_from_line, text.splitlines())

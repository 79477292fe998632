"""The tail of the journal: a file that changes are added to at its end, one ``write`` for all changes of a moment.

What ``write`` has taken is in pages of the kernel: it survives ``kill -9`` of everything, costs some microseconds and waits for
no disk. ``sync`` moves it to the disk. A file is ``MAGIC`` and then records, each its length, its CRC and its changes; a record
that a crash has cut, and whatever comes after it, is not read. A file is written by one process: after a ``write`` that failed
it takes nothing any more.

Not in this file: when a tail is moved into the database and removed (``journal.py``).
"""

from __future__ import annotations

import errno
import json
import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from struct import Struct
from typing import Final, Self, TypeAlias
from zlib import crc32

import msgspec

from parkade.base.journal import Drop, Json, Keep

log = logging.getLogger("parkade.journal")

MAGIC: Final = b"parkade tail 2\n\0"
_RECORD = Struct("<II")
"""How many bytes of changes follow, and their CRC."""
_CHANGE = Struct("<II")
"""How many bytes of key and of value follow."""
_DROPPED: Final = 0xFFFFFFFF
"""In place of the length of a value: the key is dropped."""
_BUFFER_BYTES: Final = 1 << 18
_NAME: Final = "-tail-"
_PLAIN: Final = b"m"
"""What a value begins with that is MessagePack. That is written in two thirds of the time of JSON: SDP and messages are full of
what JSON escapes."""
_ODD: Final = b"j"
"""What one begins with that is JSON."""
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode

Changes: TypeAlias = "dict[str, bytes | None]"
"""The last value of each key, as it is written; None for one that is dropped."""


def encoded(changes: Iterable[Keep | Drop]) -> list[tuple[str, bytes | None]]:
    """Keys and values as they are written. A value that cannot be written down is noted and left out."""
    result: list[tuple[str, bytes | None]] = []
    for change in changes:
        if isinstance(change, Drop):
            result.append((change.key, None))
            continue
        try:
            result.append((change.key, _written(change.value)))
        except (TypeError, ValueError, RecursionError):
            log.exception("journal: the value of %r cannot be written down", change.key)
    return result


def _written(value: Json) -> bytes:
    try:
        return _PLAIN + _encode(value)
    except (ValueError, OverflowError):
        # Bytes of a header that are no UTF-8 are lone surrogates, which only JSON can write.
        return _ODD + json.dumps(value, separators=(",", ":")).encode()


def read_value(written: bytes) -> Json:
    """A value that ``encoded`` has written. Raises ``ValueError``."""
    if written[:1] == _ODD:
        value: Json = json.loads(written[1:])
        return value
    try:
        value = _decode(written[1:])
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from None
    return value


class Tail:
    """One file, open for adding to it. ``size`` is its length in bytes."""

    def __init__(self, path: Path, number: int, file: int) -> None:
        self.path = path
        self.number = number
        self.size = len(MAGIC)
        self._file = file
        self._synced = 0

    @classmethod
    def begin(cls, journal: Path, number: int) -> Self:
        """A new one. Raises ``OSError``."""
        path = journal.with_name(f"{journal.name}{_NAME}{number}")
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            _write(file, MAGIC)
        except OSError:
            os.close(file)
            raise
        return cls(path, number, file)

    def write(self, changes: list[tuple[str, bytes | None]]) -> None:
        """Add one record. Raises ``OSError``; then the file is not to be written any more."""
        if not changes:
            return
        parts: list[bytes] = []
        for key, value in changes:
            name = key.encode("utf-8", "surrogatepass")
            if value is None:
                parts += (_CHANGE.pack(len(name), _DROPPED), name)
            else:
                parts += (_CHANGE.pack(len(name), len(value)), name, value)
        body = b"".join(parts)
        record = _RECORD.pack(len(body), crc32(body)) + body
        _write(self._file, record)
        self.size += len(record)

    def sync(self) -> None:
        """Move to the disk what is not there yet. Raises ``OSError``."""
        size = self.size
        if size == self._synced:
            return
        os.fdatasync(self._file)
        if not self._synced:
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        self._synced = size

    def close(self) -> None:
        """Nothing is added any more; the file stays."""
        os.close(self._file)


def _write(file: int, data: bytes) -> None:
    if os.write(file, data) != len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def tails_of(journal: Path) -> list[tuple[int, Path]]:
    """The tails of a journal and their numbers, oldest first."""
    found = [(path.name.removeprefix(journal.name + _NAME), path) for path in journal.parent.glob(f"{journal.name}{_NAME}*")]
    return sorted((int(number), path) for number, path in found if number.isascii() and number.isdigit())


def add_from(path: Path, changes: Changes) -> None:
    """Add what a tail says to ``changes``, which is older. Raises ``OSError`` if the file cannot be read."""
    for body in _records(path):
        at = 0
        while at < len(body):
            key_length, length = _CHANGE.unpack_from(body, at)
            at += _CHANGE.size + key_length
            key = body[at - key_length : at].decode("utf-8", "surrogatepass")
            if length == _DROPPED:
                changes[key] = None
            else:
                changes[key] = body[at : at + length]
                at += length


def _records(path: Path) -> Iterator[bytes]:
    """The changes of each whole record."""
    with path.open("rb", buffering=_BUFFER_BYTES) as file:
        left = os.fstat(file.fileno()).st_size - len(MAGIC)
        if file.read(len(MAGIC)) != MAGIC:
            log.warning("journal: %s is no tail of this version and is not read", path.name)
            return
        while len(head := file.read(_RECORD.size)) == _RECORD.size:
            length, check = _RECORD.unpack(head)
            left -= _RECORD.size + length
            # A length that a power cut has made of nothing may be gigabytes, which ``read`` would first make room for.
            body = file.read(length) if left >= 0 else b""
            if not body or crc32(body) != check:
                log.info("journal: %s ends in a record that was cut", path.name)
                return
            yield body

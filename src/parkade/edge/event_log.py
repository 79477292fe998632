"""The log of events: what signalling writes, and the web process reads and takes into the database.

Files ``<number of their first event>.log`` in one folder, only ever added to: a line an event, JSON, ``{"number", "type",
"event"}`` with the members of the event as they are in ``calls/events.py``; the reader gives the form of the contract. Numbers
count from 1 and go on after any crash. All events of a moment are one ``write``, after the
journal's and before any message leaves: nobody hears of what the log does not know. If signalling is killed between these two
writes, some microseconds, what was decided goes on from the journal and its events are lost. What is written is in pages of the
kernel: it survives ``kill -9`` of everything. A thread moves it to the disk about once a second, so a power cut costs at most
that second.

A call never waits for this and nothing here raises. While the disk takes nothing (full, or so slow that a ``write`` takes
``SLOW_S``) lines wait in memory, up to ``MAX_WAITING_BYTES``, and a thread tries again; one line in the process's log at the
beginning, one at the end. Events beyond that are left out, and get no number, as are those before the folder can be made. If
the web process takes nothing for so long that there are ``MAX_BYTES``, the oldest file is removed.

The reader removes the files that it has wholly read, never the last. A line that a crash has cut is removed by the next writer;
a reader takes whole lines only.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import logging
import os
import re
import time
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Self, TypeAlias

import msgspec

from parkade.calls.events import Event
from parkade.edge.event_json import TYPES, contract

log = logging.getLogger("parkade.edge.events")

EVENTS_FOLDER: Final = "events"
FILE_BYTES: Final = 4 << 20
"""How long a file gets: some ten thousand events."""
MAX_BYTES: Final = 512 << 20
MAX_WAITING_BYTES: Final = 16 << 20
SYNC_S: Final = 1.0
RETRY_S: Final = 1.0
SLOW_S: Final = 0.1
READ_BYTES: Final = 1 << 20
_SUFFIX: Final = ".log"
_UNREADABLE: Final = re.compile("[\0\ud800-\udfff]")
_NUL: Final = b"\\u0000"
_LINE: Final = b'{"number":%d,"type":"%b","event":%b}\n'
_encode = msgspec.json.Encoder().encode

Line: TypeAlias = "dict[str, Any]"
"""An event as the contract writes it, and its ``number``, as a reader gives it."""


def event_line(event: Event, number: int) -> bytes:
    """One line, newline included."""
    try:
        members = _encode(event)
    except (ValueError, OverflowError):
        members = _NUL
    if _NUL in members:
        # A name whose bytes are no UTF-8, or have a NUL among them: no database would take it.
        members = _encode(_readable(msgspec.to_builtins(event)))
    return _LINE % (number, TYPES[type(event)].encode(), members)


def _readable(value: Any) -> Any:
    match value:
        case str():
            return _UNREADABLE.sub("\N{REPLACEMENT CHARACTER}", value)
        case dict():
            return {key: _readable(member) for key, member in value.items()}
        case list() | tuple():
            return [_readable(member) for member in value]
        case _:
            return value


def log_files(folder: Path) -> list[tuple[int, Path]]:
    """The files and the numbers of their first events, in order."""
    found = [(path.name.removesuffix(_SUFFIX), path) for path in folder.glob(f"*{_SUFFIX}")]
    return sorted((int(first), path) for first, path in found if first.isascii() and first.isdigit())


class EventLog:
    """The writer. ``open``, then ``write``; ``close`` at the end. ``last`` is the number of the last event it has recorded."""

    def __init__(self, folder: Path, at_least: int) -> None:
        self.folder = folder
        self.last = at_least
        self._file = -1
        self._size = 0
        self._retired: list[int] = []
        """Files that are complete, and yet to be moved to the disk and closed."""
        self._dirty = False
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._left_out = 0
        self._loop = asyncio.get_running_loop()
        self._due: asyncio.TimerHandle | None = None
        self._job: asyncio.Future[Any] | None = None
        self._sync_failed = False

    @classmethod
    def open(cls, folder: Path, at_least: int = 0) -> Self:
        """Go on with the log in ``folder``. The next event gets a number above ``at_least``, which is that of the last one in
        the database: after a power cut the log may have less than that.
        """
        self = cls(folder, at_least)
        try:
            self._go_on()
        except OSError as error:
            self._fail(error)
        return self

    @property
    def waiting(self) -> int:
        """How many bytes wait in memory for a disk that takes nothing."""
        return self._waiting_bytes

    def write(self, events: Sequence[Event]) -> list[bytes]:
        """Add events that belong together, in their order; gives the lines."""
        lines: list[bytes] = []
        for event in events:
            try:
                lines.append(event_line(event, self.last + len(lines) + 1))
            except Exception:
                log.exception("%s cannot be written down", type(event).__name__)
        data = b"".join(lines)
        if self._file < 0 or self._waiting_bytes + len(data) > MAX_WAITING_BYTES:
            if not self._left_out:
                log.error("events: what happens from now on is not recorded")
            self._left_out += len(lines)
            return lines
        self.last += len(lines)
        if self._waiting:
            self._wait(data)
            return lines
        began = time.monotonic()
        try:
            written = os.write(self._file, data)
        except OSError as error:
            self._wait(data)
            self._fail(error)
            return lines
        self._size += written
        self._dirty = True
        if written < len(data):
            self._wait(data[written:])
            self._fail(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
        elif time.monotonic() - began > SLOW_S:
            self._wait(b"")
            self._fail(OSError(errno.EAGAIN, "the disk is slow"))
        else:
            if self._size >= FILE_BYTES:
                self._begin(self.last + 1)
            self._sync_soon()
        return lines

    def close(self) -> None:
        """Give the files back. What waits in memory is tried once more."""
        if self._due is not None:
            self._due.cancel()
        if self._job is not None:
            return  # a thread has them, and this process ends
        with contextlib.suppress(OSError):
            if self._waiting:
                os.write(self._file, b"".join(self._waiting))
        growing = [self._file] if self._file >= 0 else []
        with contextlib.suppress(OSError):
            _to_disk([*self._retired, *growing], None)
        self._retired, self._file = [], -1

    def _go_on(self) -> None:
        """Open the last file for adding to it, or begin one. Raises ``OSError``."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        files = log_files(self.folder)
        if not files:
            self._create(self.last + 1)
            return
        first, path = files[-1]
        last, end = _end_of(path, first)
        if path.stat().st_size > end:
            log.warning("events: %s ended in a line that was cut", path.name)
            os.truncate(path, end)
        if last < self.last or end >= FILE_BYTES:
            self.last = max(last, self.last)
            self._create(self.last + 1)
            return
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        self._size, self.last = end, last

    def _create(self, first: int) -> None:
        """Begin the file whose first event is ``first``. Raises ``OSError``."""
        path = self.folder / f"{first:012d}{_SUFFIX}"
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        if self._file >= 0:
            self._retired.append(self._file)
        self._file, self._size = file, 0

    def _begin(self, first: int) -> None:
        """The next file, and an end of the oldest if there are too many. Without one, the last grows on."""
        try:
            self._create(first)
            sizes = [(path, path.stat().st_size) for _, path in log_files(self.folder)]
            total = sum(size for _, size in sizes)
            for path, size in sizes[:-1]:
                if total <= MAX_BYTES:
                    break
                log.error("events: nobody takes them into the database; %s is given up", path.name)
                path.unlink(missing_ok=True)
                total -= size
        except OSError as error:
            log.error("events: no new file: %s", error.strerror)

    # A disk that takes nothing

    def _wait(self, data: bytes) -> None:
        self._waiting.append(data)
        self._waiting_bytes += len(data)

    def _fail(self, error: OSError) -> None:
        log.error("events: %s: %s; trying again", self.folder, (error.strerror or str(error)).lower())
        self._try_again(RETRY_S)

    def _try_again(self, after_s: float) -> None:
        if self._due is not None:
            self._due.cancel()
        self._due = self._loop.call_later(after_s, self._retry)

    def _retry(self) -> None:
        """Let a thread write what waits; whatever comes meanwhile waits behind it."""
        self._due = None
        if self._job is not None:
            self._try_again(RETRY_S)
        elif self._file < 0:
            try:
                self._go_on()
            except OSError:
                self._try_again(RETRY_S)
            else:
                self._say_recovered()
        else:
            self._job = self._loop.run_in_executor(None, _written, self._file, list(self._waiting))
            self._job.add_done_callback(self._retried)

    def _retried(self, job: asyncio.Future[tuple[int, int, bool]]) -> None:
        self._job = None
        parts, more, failed = job.result()
        for _ in range(parts):
            size = len(self._waiting.popleft())
            self._waiting_bytes -= size
            self._size += size
        if more:
            self._waiting[0] = self._waiting[0][more:]
            self._waiting_bytes -= more
            self._size += more
        self._dirty = True
        if failed or self._waiting:
            self._try_again(RETRY_S if failed else 0.0)
            return
        self._say_recovered()
        self._sync_soon()

    def _say_recovered(self) -> None:
        left_out, self._left_out = self._left_out, 0
        log.warning("events: they are recorded again; %s", f"{left_out} were left out" if left_out else "none was lost")

    # The disk itself

    def _sync_soon(self) -> None:
        if self._due is None and self._job is None:
            self._due = self._loop.call_later(SYNC_S, self._sync)

    def _sync(self) -> None:
        self._due, self._dirty = None, False
        retired, self._retired = self._retired, []
        self._job = self._loop.run_in_executor(None, _to_disk, retired, self._file)
        self._job.add_done_callback(self._synced)

    def _synced(self, job: asyncio.Future[None]) -> None:
        self._job = None
        error = job.exception()
        if error is not None and not self._sync_failed:
            log.error("events: not on the disk yet: %s", error)
        self._sync_failed = error is not None
        if self._dirty:
            self._sync_soon()


def _written(file: int, parts: list[bytes]) -> tuple[int, int, bool]:
    """In a thread: how many parts were written, how many bytes of the next, and whether the disk still takes no more."""
    for done, part in enumerate(parts):
        began = time.monotonic()
        try:
            written = os.write(file, part)
        except OSError:
            return done, 0, True
        if written < len(part):
            return done, written, True
        if time.monotonic() - began > SLOW_S:
            return done + 1, 0, True
    return len(parts), 0, False


def _to_disk(complete: list[int], growing: int | None) -> None:
    """In a thread: move to the disk what was written, and close the files that are ``complete``."""
    try:
        for file in complete if growing is None else (*complete, growing):
            os.fdatasync(file)
    finally:
        for file in complete:
            os.close(file)


def _end_of(path: Path, first: int) -> tuple[int, int]:
    """The number of the last whole event of a file, and where it ends. ``first - 1`` and 0 if there is none."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        start = max(0, size - READ_BYTES)
        file.seek(start)
        data = file.read()
    end = data.rfind(b"\n") + 1
    while end:
        begin = data.rfind(b"\n", 0, end - 1) + 1
        line = _read(data[begin:end])
        if line is not None:
            return line["number"], start + end
        end = begin
    return first - 1, 0


def _read(data: bytes) -> Line | None:
    try:
        line = json.loads(data)
        return {"number": int(line["number"]), **contract(line["type"], line["event"])}
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return None


class EventReader:
    """Reads the log in order, from the event after ``after`` on. Blocking: it belongs into a thread."""

    def __init__(self, folder: Path, after: int) -> None:
        self.folder = folder
        self.number = after
        """The last event that was read."""
        self._file: int | None = None
        self._first = 0
        self._offset = 0
        self._read_all = False
        self.has_left_files = True
        """Whether there may be files that ``remove_read`` would remove."""

    def read(self) -> list[Line]:
        """Further events, a bounded number of them; none if there are no more now. Raises ``OSError``."""
        found: list[Line] = []
        while not found:
            if self._file is None and not self._open_next():
                break
            assert self._file is not None
            data = os.pread(self._file, READ_BYTES, self._offset)
            end = data.rfind(b"\n") + 1
            if end:
                found = list(self._lines(data[:end]))
                self._offset += end
                self._read_all = False
            elif not self._read_all and self._is_complete():
                self._read_all = True  # once more: it may have grown before the next was begun
            elif self._read_all:
                self.close()
                self.has_left_files = True
            else:
                break
        return found

    def close(self) -> None:
        """Give the file back."""
        if self._file is not None:
            os.close(self._file)
        self._file, self._read_all = None, False

    def remove_read(self, up_to: int) -> None:
        """Remove the files, but for the last, that have nothing after ``up_to``."""
        self.has_left_files = False
        files = log_files(self.folder)
        for (_, path), (following, _) in pairwise(files):
            if following - 1 <= up_to:
                path.unlink(missing_ok=True)

    def _is_complete(self) -> bool:
        return any(first > self._first for first, _ in log_files(self.folder))

    def _open_next(self) -> bool:
        files = log_files(self.folder)
        wanted = [(first, path) for first, path in files if first > self._first or not self._first]
        # The last that begins not after what is wanted, else the first there is.
        chosen = next(((first, path) for first, path in reversed(wanted) if first <= self.number + 1), None)
        if chosen is None:
            if not wanted:
                return False
            chosen = wanted[0]
        try:
            self._file = os.open(chosen[1], os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:  # removed in this moment
            return False
        self._first, self._offset = chosen[0], 0
        return True

    def _lines(self, data: bytes) -> Iterator[Line]:
        for text in data.splitlines():
            line = _read(text)
            if line is None:
                log.error("events: a line of %s cannot be read and is left out", self.folder / f"{self._first:012d}{_SUFFIX}")
                continue
            number = line["number"]
            if number <= self.number:
                continue
            if number > self.number + 1 and self.number:
                log.error("events: numbers %d to %d are missing", self.number + 1, number - 1)
            self.number = number
            yield line

"""The journal: what must outlive this process, the last value of each key.

``write`` adds changes to a tail (``tail.py``), a file that is only added to, and returns when they are there: whatever then
kills this process, the next one finds them. That costs some microseconds and waits for no thread and no disk. A thread moves
the tail to the disk about once a second, so a power cut costs at most that second. Once the tail is ``TAIL_BYTES`` long it
begins another and moves what is left of the old one, the last value of each key, into a SQLite file in one transaction. Most
calls are over by then and cost that file nothing.

Nothing here raises into the loop. While the tail cannot be written (disk full, or so slow that a ``write`` takes ``SLOW_S``)
changes wait in memory, the last value of each key, and the thread tries again; one log line at the beginning, one at the end.
While only the SQLite file cannot be written (locked by another program) tails stay and survive. A SQLite file that is damaged,
or of a newer version, is renamed and an empty one takes its place.

Not in this file: who decides what is kept (``switch``), and what waits for ``write`` (``edge/pump.py``).
"""

from __future__ import annotations

import contextlib
import json
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, Self

from parkade.base.errors import ParkadeError
from parkade.base.journal import Drop, Json, Keep
from parkade.store.private import make_private
from parkade.store.tail import Changes, Tail, add_from, encoded, read_value, tails_of

log = logging.getLogger("parkade.journal")

JOURNAL_FILE = "journal.db"
VERSION: Final = 2
"""1 had no tails: all was in the SQLite file, in the same table."""
LOCKED_S = 5.0
"""How long opening waits for another program that has the file locked."""
BUSY_S = 0.2
RETRY_S = 2.0
SYNC_S = 1.0
SLOW_S = 0.25
"""Half of what a phone waits before it asks again: a disk that holds the loop up so long is left to the thread."""
TAIL_BYTES = 16 << 20
"""How long a tail gets: some thousand calls. It is read when the process comes back, which takes a tenth of a second."""
MAX_TAIL_BYTES = 64 << 20
"""How long it gets while the SQLite file cannot be written; beyond, changes wait in memory."""
MAX_WAITING = 200_000
"""Keys that may wait for a disk that takes nothing; beyond, those that are not needed any more are forgotten first."""
_ROWS = 256
"""How many rows one statement writes: each lets go of the interpreter and has to wait for it again."""
_DAMAGED: Final = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}
_KEEP: Final = {n: f"REPLACE INTO kept (key, value) VALUES {', '.join(['(?, ?)'] * n)}" for n in range(1, _ROWS + 1)}  # noqa: S608
_DROP: Final = "DELETE FROM kept WHERE key IN (SELECT value FROM json_each(?))"


class JournalError(ParkadeError):
    """The journal cannot be opened; the line says which and why."""


class Journal:
    """One open journal. ``load`` first, then ``start``, then ``write``; ``close`` at the end."""

    def __init__(self, path: Path, database: sqlite3.Connection | None) -> None:
        self.path = path
        self._database = database
        self._lock = threading.Lock()
        """Of ``_tail``, ``_failing`` and ``_waiting``: held for one ``write``, and by the thread to exchange them."""
        self._tail: Tail | None = None
        self._failing = True
        """Whether changes wait in memory, because the tail cannot be written."""
        self._waiting: Changes = {}
        self._left: list[tuple[int, Path]] = []
        """Tails that are yet to be moved, but for the one that is written, oldest first."""
        self._moved = 0
        """The number of the last tail that is in the SQLite file."""
        self._stuck = False
        """Whether the SQLite file cannot be written."""
        self._wake = threading.Event()
        self._closing = False
        self._thread: threading.Thread | None = None

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open ``path``, making it as needed. A damaged file is set aside.

        :raises JournalError: another program has it locked, for ``LOCKED_S`` seconds.
        """
        try:
            return cls(path, _open_or_set_aside(path))
        except sqlite3.OperationalError as error:
            if _code(error) in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
                raise JournalError(f"journal {path}: {error}") from None
            log.error("journal %s: %s; nothing will survive a restart until it can be written", path, error)
            return cls(path, None)

    def load(self) -> dict[str, Json]:
        """What is kept. A value that cannot be read is noted and left out; a damaged file is set aside.

        :raises JournalError: the file is whole as far as one can tell, and cannot be read now.
        """
        texts: dict[str, str | bytes | None] = {}
        if self._database is not None:
            try:
                texts.update(self._load_rows(self._database))
            except sqlite3.DatabaseError as error:
                self._database.close()
                if _code(error) not in _DAMAGED:
                    raise JournalError(f"journal {self.path}: {error}") from None
                set_aside(self.path, "damaged", error)
                self._database = _open_or_set_aside(self.path)
        self._left = tails_of(self.path)
        texts.update(self._changes_left(_say_unreadable))
        kept: dict[str, Json] = {}
        for key, text in texts.items():
            if text is None:
                continue
            try:
                kept[key] = read_value(text) if isinstance(text, bytes) else json.loads(text)
            except (ValueError, TypeError):
                log.warning("journal: the value of %r cannot be read and is left out", key)
        return kept

    def _load_rows(self, database: sqlite3.Connection) -> dict[str, str]:
        (self._moved,) = database.execute("SELECT number FROM moved").fetchone()
        return dict(database.execute("SELECT key, value FROM kept"))

    def start(self) -> None:
        """Begin to write."""
        self._begin_tail()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def _begin_tail(self) -> None:
        # While nobody can read which number was moved last, one that is higher: what is not will count as moved already.
        moved = self._moved if self._database is not None else int(time.time())
        number = max([moved, *[number for number, _ in self._left]]) + 1
        try:
            self._tail = Tail.begin(self.path, number)
            self._failing = False
        except OSError as error:
            self._say_failing(error)

    def write(self, changes: Iterable[Keep | Drop]) -> bool:
        """Add ``changes``: when it returns they survive this process. False: the disk takes nothing, they wait in memory."""
        written = encoded(changes)
        with self._lock:
            tail = self._tail
            if not self._failing and tail is not None:
                began = time.monotonic()
                try:
                    tail.write(written)
                except OSError as error:
                    self._fail(error)
                else:
                    took_s = time.monotonic() - began
                    if took_s > SLOW_S:
                        self._fail(f"the disk took {took_s:.1f} s")
                    elif tail.size > MAX_TAIL_BYTES:
                        self._fail(f"{tail.path.name} is too long")
                    elif tail.size > TAIL_BYTES and not self._stuck:
                        self._wake.set()
                    return True
            self._waiting.update(written)
        return False

    @property
    def waiting(self) -> int:
        """How many keys have changes in memory that the disk has not taken."""
        return len(self._waiting)

    def close(self) -> None:
        """Move everything into the SQLite file and give it back. What it does not take now stays in the tails."""
        if self._thread is not None:
            self._closing = True
            self._wake.set()
            self._thread.join()
            self._thread = None
        if self._tail is not None:
            self._tail.close()
            self._tail = None
        if self._database is not None:
            with contextlib.suppress(sqlite3.Error):
                self._database.close()
            self._database = None

    # The thread

    def _run(self) -> None:
        while not self._closing:
            if self._failing:
                self._recover()
            elif self._left or (self._tail is not None and self._tail.size > TAIL_BYTES):
                self._move()
            self._sync()
            self._wake.wait(RETRY_S if self._failing or self._stuck else SYNC_S)
            self._wake.clear()
        self._leave_tail()
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        self._commit(waiting)

    def _sync(self) -> None:
        try:
            if self._tail is not None:
                self._tail.sync()
        except OSError as error:
            log.debug("journal: not moved to the disk: %s", error)

    def _move(self) -> None:
        """Move the tails that are left into the SQLite file; the present one too if it is long enough, and none is left."""
        tail = self._tail
        if not self._left and tail is not None:
            try:
                following = Tail.begin(self.path, tail.number + 1)
            except OSError as error:
                log.debug("journal: no new tail: %s", error)
                return  # The present one may take some more.
            with self._lock:
                self._tail = following
            self._leave(tail)
        self._commit({})

    def _recover(self) -> None:
        """Move all there is, changes that wait in memory too, and begin a new tail with those that came meanwhile."""
        self._leave_tail()
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        if not self._commit(waiting):
            with self._lock:
                self._waiting = {**waiting, **self._waiting}
                if len(self._waiting) > MAX_WAITING:
                    self._waiting = {key: value for key, value in self._waiting.items() if value is not None}
            return
        try:
            tail = Tail.begin(self.path, self._moved + 1)
        except OSError as error:
            log.debug("journal: no new tail: %s", error)
            return
        try:
            with self._lock:
                tail.write([*self._waiting.items()])
                self._waiting.clear()
                self._tail, self._failing = tail, False
        except OSError as error:
            tail.close()
            log.debug("journal: the new tail takes nothing: %s", error)
            return
        log.warning("journal %s is written again", self.path)

    def _leave_tail(self) -> None:
        with self._lock:
            tail, self._tail = self._tail, None
        if tail is not None:
            self._leave(tail)

    def _leave(self, tail: Tail) -> None:
        """``tail`` is yet to be moved. It goes to the disk first: those after it may be there before it is moved."""
        try:
            tail.sync()
        except OSError as error:
            log.debug("journal: not moved to the disk: %s", error)
        tail.close()
        self._left.append((tail.number, tail.path))

    def _changes_left(self, unreadable: Callable[[Path, OSError], None]) -> Changes:
        """What the tails that are left say. ``unreadable`` is asked about one that cannot be read: it may raise."""
        changes: Changes = {}
        for number, path in self._left:
            if number > self._moved:
                try:
                    add_from(path, changes)
                except OSError as error:
                    unreadable(path, error)
        return changes

    def _commit(self, waiting: Changes) -> bool:
        """Move the tails that are left, and ``waiting``, which is newer, into the SQLite file."""
        try:
            if self._left or waiting or self._database is None:
                if self._database is None:
                    self._database = _open_or_set_aside(self.path)
                with _transaction(self._database):
                    moved = self._left[-1][0] if self._left else self._moved
                    _put(self._database, {**self._changes_left(_must_be_read), **waiting}, moved)
                self._moved = moved
            for _, path in self._left:
                path.unlink(missing_ok=True)
            self._left.clear()
        except (sqlite3.Error, OSError) as error:
            self._not_moved(error)
            return False
        if self._stuck:
            self._stuck = False
            if not self._failing:
                log.warning("journal %s is written again", self.path)
        return True

    # What goes wrong

    def _fail(self, why: object) -> None:
        """The tail takes nothing any more."""
        self._failing = True
        self._say_failing(why)
        self._wake.set()

    def _say_failing(self, why: object) -> None:
        log.error("journal %s: %s; calls go on, and what changes now does not survive a restart", self.path, why)

    def _not_moved(self, error: Exception) -> None:
        if not self._stuck:
            self._stuck = True
            if not self._failing:
                log.error("journal %s: %s; calls go on, and are kept in files beside it", self.path, error)
        if isinstance(error, sqlite3.Error) and _code(error) in _DAMAGED and self._database is not None:
            with contextlib.suppress(sqlite3.Error):
                self._database.close()
            self._database = None
            with contextlib.suppress(OSError):
                set_aside(self.path, "damaged", error)


def _say_unreadable(path: Path, error: OSError) -> None:
    log.error("journal: %s cannot be read: %s", path, error)


def _must_be_read(path: Path, error: OSError) -> None:  # noqa: ARG001 - as ``_say_unreadable``
    """A tail is removed after this. One that is there and cannot be read now (no descriptor left) may be later."""
    if not isinstance(error, FileNotFoundError):
        raise error


@contextlib.contextmanager
def _transaction(database: sqlite3.Connection) -> Iterator[None]:
    """All or nothing. At its end what was written is on the disk."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


def _put(database: sqlite3.Connection, changes: Changes, moved: int) -> None:
    parameters: list[str] = []
    for key, value in changes.items():
        if value is not None:
            parameters += (key, json.dumps(read_value(value), separators=(",", ":")))
    for start in range(0, len(parameters), 2 * _ROWS):
        some = parameters[start : start + 2 * _ROWS]
        database.execute(_KEEP[len(some) // 2], some)
    database.execute(_DROP, (json.dumps([key for key, value in changes.items() if value is None]),))
    database.execute("UPDATE moved SET number = ?", (moved,))


def set_aside(path: Path, why: str, error: object, *, tails: bool = False) -> None:
    """Rename a journal that cannot be used, so that somebody may look at it; an empty one takes its place.

    ``tails``: what is not moved yet is of no use either.
    """
    aside = path.with_name(f"{path.name}.{why}-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}")
    with contextlib.suppress(FileNotFoundError):
        path.rename(aside)
    beside = [path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")]
    if tails:
        beside += [tail for _, tail in tails_of(path)]
    for other in beside:
        with contextlib.suppress(FileNotFoundError):
            other.rename(aside.with_name(aside.name + other.name.removeprefix(path.name)))
    log.error("journal %s is %s (%s): it is now called %s, and nothing is known of calls before", path, why, error, aside.name)


def _open_or_set_aside(path: Path) -> sqlite3.Connection:
    try:
        return _open(path)
    except _NewerError as newer:
        set_aside(path, "newer", newer, tails=True)
    except sqlite3.DatabaseError as error:
        if _code(error) not in _DAMAGED:
            raise
        set_aside(path, "damaged", error)
    return _open(path)


class _NewerError(Exception):
    """A journal that a later release has written."""


def _open(path: Path) -> sqlite3.Connection:
    database = _connect(path, LOCKED_S)
    try:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise _NewerError(f"version {version}, this release writes {VERSION}")
        database.execute("PRAGMA journal_mode = WAL")
        if version < VERSION:
            _make_current(database)
        database.execute("SELECT key, value FROM kept LIMIT 1").fetchone()
        database.execute(f"PRAGMA busy_timeout = {int(BUSY_S * 1000)}")
    except BaseException:
        database.close()
        raise
    return database


def _make_current(database: sqlite3.Connection) -> None:
    """Make the tables, or make them of those of version 1."""
    with _transaction(database):
        (before,) = database.execute("SELECT count(*) FROM sqlite_master WHERE name = 'kept'").fetchone()
        if before:
            database.execute("ALTER TABLE kept RENAME TO kept_1")
        database.execute("CREATE TABLE kept (key TEXT PRIMARY KEY, value TEXT NOT NULL)")
        database.execute("CREATE TABLE moved (number INTEGER NOT NULL)")
        database.execute("INSERT INTO moved (number) VALUES (0)")
        if before:
            # A new value was a row at the end, and so was the word that a key is dropped: the last row of a key counts.
            last = "SELECT max(id) FROM kept_1 GROUP BY key"
            database.execute(f"INSERT INTO kept SELECT key, value FROM kept_1 WHERE value IS NOT NULL AND id IN ({last})")  # noqa: S608
            database.execute("DROP TABLE kept_1")
        database.execute(f"PRAGMA user_version = {VERSION}")


def _connect(path: Path, timeout_s: float) -> sqlite3.Connection:
    make_private(path)
    database = sqlite3.connect(path, timeout=timeout_s, isolation_level=None, check_same_thread=False)
    # A tail is removed once it is here, so a commit is on the disk.
    database.execute("PRAGMA synchronous = FULL")
    database.execute("PRAGMA cache_size = -1024")
    return database


def _code(error: sqlite3.Error) -> int:
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF

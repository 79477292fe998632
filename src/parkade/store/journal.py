"""The journal: what must outlive this process, the last value of each key, in a SQLite file of its own.

The table is only ever added to: a new value, or the word that a key is dropped, is a row at the end, so a commit touches
the few pages there and no others. The last row of a key counts. Rows that count no longer are deleted a thousand at a time.

``write`` takes changes on the loop and returns at once; one thread commits them, all that came meanwhile in one statement, and
says so. A commit is in the hands of the kernel: it survives ``kill -9`` of everything. A second thread moves it to the disk
about once a second, so a power cut costs at most that second, and never the file (WAL, ``synchronous = NORMAL``).

Nothing here raises into the loop. While the file cannot be written (disk full, locked by another program) changes wait in
memory, the last value of each key, and the thread tries again; one log line when it begins and one when it is over. A file that
is damaged, or of a newer version, is renamed and an empty one takes its place.

Not in this file: who decides what is kept (``switch``), and who waits for a commit (``edge/pump.py``).
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from parkade.base.errors import ParkadeError
from parkade.base.journal import Drop, Json, Keep

log = logging.getLogger("parkade.journal")

JOURNAL_FILE = "journal.db"
VERSION: Final = 1
LOCKED_S = 5.0
"""How long opening waits for another program that has the file locked."""
BUSY_S = 0.2
RETRY_S = 0.5
SYNC_S = 1.0
PACE_S = 0.003
BUSY_WRITES_PER_S = 1000
"""Beyond that many writes a second commits are at least ``PACE_S`` apart: a commit of four inputs costs half of four commits,
and a value that is written twice within that time is encoded once. Below, every answer leaves as early as it can."""
_RATE_OVER_S = 0.05
_ROWS = 32
"""How many rows one statement adds."""
_OUTDATED = 1000
"""So many rows that count no longer are deleted together: most fill whole pages, which need not be read or written for that."""
MAX_WAITING = 200_000
"""Keys that may wait for a disk that takes nothing; beyond, those that are not needed any more are forgotten first."""
_WAL_LIMIT_BYTES = 64 << 20
_CHECKPOINT_BYTES = 4 << 20
_DAMAGED: Final = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}
_ROW: Final = "(?, ?, ?)"
_INSERT: Final = {n: f"INSERT INTO kept (id, key, value) VALUES {', '.join([_ROW] * n)}" for n in range(1, _ROWS + 1)}  # noqa: S608
_DELETE: Final = "DELETE FROM kept WHERE id IN (SELECT value FROM json_each(?))"


class JournalError(ParkadeError):
    """The journal cannot be opened; the line says which and why."""


class Journal:
    """One open journal. ``load`` first, then ``start``, then ``write``; ``close`` at the end.

    ``start`` is told whom to call, from the journal's thread, with the number of the last batch that is committed.
    """

    def __init__(self, path: Path, database: sqlite3.Connection | None) -> None:
        self.path = path
        self._database = database
        self._wal = -1
        self._lock = threading.Lock()
        self._waiting: dict[str, Keep | Drop] = {}
        self._rows: dict[str, int] = {}
        """The row that counts, of each key that is kept."""
        self._outdated: list[int] = []
        """Rows that count no longer, oldest first."""
        self._next_row = 1
        self._number = 0
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._asleep = True
        self._failing = database is None
        self._closing = False
        self._unsynced = False
        self._committed: Callable[[int], None] = _nobody
        self._threads: list[threading.Thread] = []
        self._end_of_sync = threading.Event()

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
        """What is kept. A value that cannot be read is noted and left out."""
        kept: dict[str, Json] = {}
        if self._database is None:
            return kept
        try:
            rows = self._database.execute("SELECT id, key, value FROM kept ORDER BY id").fetchall()
        except sqlite3.DatabaseError as error:
            self._database.close()
            set_aside(self.path, "damaged", error)
            self._database = _open_or_set_aside(self.path)
            return kept
        last = {key: (row, text) for row, key, text in rows}
        self._next_row = rows[-1][0] + 1 if rows else 1
        self._rows = {key: row for key, (row, text) in last.items() if text is not None}
        counting = set(self._rows.values())
        self._outdated = [row for row, _, _ in rows if row not in counting]
        for key in self._rows:
            try:
                kept[key] = json.loads(last[key][1])
            except (ValueError, TypeError):
                log.warning("journal: the value of %r cannot be read and is left out", key)
        return kept

    def start(self, committed: Callable[[int], None]) -> None:
        """Begin to write. ``committed`` is called from the journal's thread and must not block."""
        self._committed = committed
        for work, name in ((self._run, "journal"), (self._sync, "journal sync")):
            thread = threading.Thread(target=work, name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def write(self, changes: Iterable[Keep | Drop]) -> int:
        """Have ``changes`` written, in their order; the number of their batch, or 0 if the file cannot be written now.

        Values must not be changed afterwards: they are encoded later, if no newer one has taken their place.
        """
        with self._lock:
            self._waiting.update([(change.key, change) for change in changes])
            self._number += 1
            number, asleep = self._number, self._asleep
            self._asleep = False
        if asleep:
            self._wake.put(None)
        return 0 if self._failing else number

    def close(self) -> None:
        """Write what waits, move it to the disk and give the file back."""
        self._closing = True
        self._end_of_sync.set()
        self._wake.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()
        if self._wal >= 0:
            os.close(self._wal)
            self._wal = -1
        if self._database is not None:
            with contextlib.suppress(sqlite3.Error):
                self._database.close()
            self._database = None

    # The thread that writes

    def _run(self) -> None:
        pace = _Pace()
        while True:
            pace.wait(self._number)
            batch, number = self._next_batch()
            if not batch and self._closing:
                return
            if batch and not self._commit(batch):
                if self._closing:
                    return
                self._put_back(batch)
                self._committed(number)  # nobody gains by waiting for a disk that takes nothing
                time.sleep(RETRY_S)
                continue
            self._committed(number)
            self._limit_wal()

    def _next_batch(self) -> tuple[dict[str, Keep | Drop], int]:
        while True:
            with self._lock:
                if self._waiting or self._closing:
                    batch, self._waiting = self._waiting, {}
                    return batch, self._number
                self._asleep = True
            self._wake.get()

    def _commit(self, batch: dict[str, Keep | Drop]) -> bool:
        try:
            if self._database is None:
                self._database = _open_or_set_aside(self.path)
                self._rows, self._outdated = {}, []
            self._add(self._database, _encoded(batch, self._rows))
            if len(self._outdated) >= _OUTDATED:
                self._database.execute(_DELETE, (json.dumps(self._outdated),))
                self._outdated = []
        except (sqlite3.Error, OSError) as error:
            self._failed(error)
            return False
        self._unsynced = True
        if self._failing:
            self._failing = False
            log.warning("journal %s is written again", self.path)
        return True

    def _add(self, database: sqlite3.Connection, values: list[tuple[str, str | None]]) -> None:
        """Add rows, all or none."""
        first = self._next_row
        rows: list[Any] = []
        for row, (key, text) in enumerate(values, first):
            rows += (row, key, text)
        if len(values) > _ROWS:
            database.execute("BEGIN IMMEDIATE")
        try:
            for start in range(0, len(rows), 3 * _ROWS):
                some = rows[start : start + 3 * _ROWS]
                database.execute(_INSERT[len(some) // 3], some)
            if len(values) > _ROWS:
                database.execute("COMMIT")
        except BaseException:
            if database.in_transaction:
                database.execute("ROLLBACK")
            raise
        self._next_row += len(values)
        for row, (key, text) in enumerate(values, first):
            before = self._rows.pop(key, None)
            if before is not None:
                self._outdated.append(before)
            if text is None:
                self._outdated.append(row)
            else:
                self._rows[key] = row

    def _failed(self, error: Exception) -> None:
        if not self._failing:
            self._failing = True
            log.error("journal %s: %s; calls go on, and what changes now does not survive a restart", self.path, error)
        if isinstance(error, sqlite3.Error) and _code(error) in _DAMAGED and self._database is not None:
            with contextlib.suppress(sqlite3.Error):
                self._database.close()
            self._database = None
            with contextlib.suppress(OSError):
                set_aside(self.path, "damaged", error)

    def _put_back(self, batch: dict[str, Keep | Drop]) -> None:
        with self._lock:
            self._waiting = {**batch, **self._waiting}
            if len(self._waiting) > MAX_WAITING:
                self._waiting = {key: change for key, change in self._waiting.items() if isinstance(change, Keep)}

    def _limit_wal(self) -> None:
        """Under a load without a pause the WAL would only grow: start it anew, which takes some hundredths of a second."""
        if self._wal >= 0 and self._database is not None and os.fstat(self._wal).st_size > _WAL_LIMIT_BYTES:
            with contextlib.suppress(sqlite3.Error):
                self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    # The thread that moves it to the disk

    def _sync(self) -> None:
        """Once a second; copies the WAL into the file while the writer goes on, and removes the rows of dropped keys."""
        database: sqlite3.Connection | None = None
        while True:
            ending = self._end_of_sync.wait(SYNC_S)
            if self._unsynced:
                self._unsynced = False
                try:
                    if self._wal < 0:
                        self._wal = os.open(f"{self.path}-wal", os.O_RDONLY)
                    os.fdatasync(self._wal)
                    if os.fstat(self._wal).st_size > _CHECKPOINT_BYTES:
                        database = database or _connect(self.path, BUSY_S)
                        database.execute("PRAGMA wal_checkpoint(PASSIVE)")
                except (sqlite3.Error, OSError) as error:
                    log.debug("journal: not moved to the disk: %s", error)
            if ending:
                if database is not None:
                    database.close()
                return


def _encoded(batch: dict[str, Keep | Drop], rows: dict[str, int]) -> list[tuple[str, str | None]]:
    """The rows of ``batch``. A key that is not kept need not be dropped; a value that cannot be written down is left out."""
    values: list[tuple[str, str | None]] = []
    for key, change in batch.items():
        if isinstance(change, Drop):
            if key in rows:
                values.append((key, None))
            continue
        try:
            try:
                text = msgspec.json.encode(change.value).decode()
            except (ValueError, OverflowError):
                # Bytes of a header that are no UTF-8 are lone surrogates, which only the slow way can write.
                text = json.dumps(change.value, separators=(",", ":"))
        except (TypeError, ValueError, RecursionError):
            log.exception("journal: the value of %r cannot be written down", key)
            continue
        values.append((key, text))
    return values


class _Pace:
    """How far commits are apart."""

    def __init__(self) -> None:
        self._committed_at = self._since = time.monotonic()
        self._counted = 0
        self._busy = False

    def wait(self, writes: int) -> None:
        """Called between two commits with the number of writes up to now."""
        now = time.monotonic()
        if now - self._since > _RATE_OVER_S:
            self._busy = (writes - self._counted) / (now - self._since) > BUSY_WRITES_PER_S
            self._since, self._counted = now, writes
        if self._busy and (rest := self._committed_at + PACE_S - now) > 0:
            time.sleep(rest)
            now += rest
        self._committed_at = now


def set_aside(path: Path, why: str, error: object) -> None:
    """Rename a journal that cannot be used, so that somebody may look at it; an empty one takes its place."""
    aside = path.with_name(f"{path.name}.{why}-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}")
    with contextlib.suppress(FileNotFoundError):
        path.rename(aside)
    for tail in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + tail).rename(aside.with_name(aside.name + tail))
    log.error("journal %s is %s (%s): it is now called %s, and nothing is known of calls before", path, why, error, aside.name)


def _open_or_set_aside(path: Path) -> sqlite3.Connection:
    try:
        return _open(path)
    except _NewerError as newer:
        set_aside(path, "newer", newer)
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
        # Checkpoints belong to the second thread.
        database.execute("PRAGMA wal_autocheckpoint = 0")
        if version < VERSION:
            database.execute("CREATE TABLE IF NOT EXISTS kept (id INTEGER PRIMARY KEY, key TEXT NOT NULL, value TEXT)")
            database.execute(f"PRAGMA user_version = {VERSION}")
        database.execute("SELECT key, value FROM kept LIMIT 1").fetchone()
        database.execute(f"PRAGMA busy_timeout = {int(BUSY_S * 1000)}")
    except BaseException:
        database.close()
        raise
    return database


def _connect(path: Path, timeout_s: float) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=timeout_s, isolation_level=None, check_same_thread=False, cached_statements=64)
    database.execute("PRAGMA synchronous = NORMAL")
    # Rows are added at the end and never read: two megabytes of pages would only be kept in memory.
    database.execute("PRAGMA cache_size = -256")
    return database


def _code(error: sqlite3.Error) -> int:
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _nobody(_number: int) -> None:
    """Nobody waits for commits before ``start``."""

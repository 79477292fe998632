"""The journal: what was written is there after kill -9, the last value wins, and no trouble of a disk stops anything."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parkade.base.journal import Drop, Json, Keep
from parkade.store import journal as journal_module
from parkade.store.journal import VERSION, Journal, JournalError
from parkade.store.tail import Tail, tails_of

PATIENCE_S = 10.0


class Open:
    """A journal that is written."""

    def __init__(self, path: Path) -> None:
        self.journal = Journal.open(path)
        self.kept = self.journal.load()
        self.journal.start()

    def write(self, *changes: Keep | Drop) -> bool:
        return self.journal.write(changes)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def opened(path: Path) -> Iterator[Open]:
    it = Open(path)
    yield it
    it.journal.close()


def read(path: Path) -> dict[str, Json]:
    journal = Journal.open(path)
    try:
        return journal.load()
    finally:
        journal.close()


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


KEYS = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1)


@settings(max_examples=15)
@given(st.dictionaries(KEYS, PLAIN, min_size=1, max_size=5))
def test_any_plain_value_comes_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, values: dict[str, Json]) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal.db"
    opened = Open(path)
    opened.write(*(Keep(key, value) for key, value in values.items()))
    opened.journal.close()
    assert read(path) == values


def test_the_last_value_of_a_key_wins_and_a_dropped_key_is_gone(path: Path, opened: Open) -> None:
    opened.write(Keep("a", 1), Keep("b", 1), Keep("a", 2), Drop("b"), Drop("never there"))
    opened.write(Keep("c", 1), Drop("c"), Keep("c", {"again": True}))
    opened.write(Drop("a"))
    opened.journal.close()
    assert read(path) == {"c": {"again": True}}


def test_a_value_that_cannot_be_written_costs_no_other(path: Path, opened: Open) -> None:
    opened.write(Keep("a", 1), Keep("bad", object()), Keep("b", 2))  # type: ignore[arg-type]
    opened.journal.close()
    assert read(path) == {"a": 1, "b": 2}


def test_a_value_that_cannot_be_read_is_left_out(path: Path, opened: Open, caplog: pytest.LogCaptureFixture) -> None:
    opened.write(Keep("a", 1), Keep("b", 2))
    opened.journal.close()
    with sqlite3.connect(path) as database:
        database.execute("UPDATE kept SET value = '[tru' WHERE key = 'a'")
    database.close()
    assert read(path) == {"b": 2}
    assert "'a' cannot be read" in caplog.text


WRITER = """
import sys, time
from pathlib import Path
from parkade.base.journal import Drop, Keep
from parkade.store import journal as module
module.TAIL_BYTES, module.SYNC_S = 100_000, 0.02
journal = module.Journal.open(Path(sys.argv[1]))
journal.load()
journal.start()
n = 0
while True:
    n += 1
    assert journal.write([Keep(f"call/{n}", {"n": n, "text": "x" * 500}), Keep("last", n), Drop(f"call/{n - 50}")])
    sys.stdout.write(f"{n}\\n")
    sys.stdout.flush()
    if n % 20 == 0:
        time.sleep(0.001)
"""


@pytest.mark.parametrize("after_s", [0.05, 0.2, 0.5, 1.3])
def test_everything_written_is_there_after_kill_9(path: Path, after_s: float) -> None:
    source = Path(journal_module.__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, path],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(source)},
    )
    assert process.stdout is not None
    assert process.stdout.readline()
    killer = threading.Timer(after_s, process.send_signal, (signal.SIGKILL,))
    killer.start()
    said = [int(line) for line in process.stdout if line.endswith("\n")]
    process.wait()
    process.stdout.close()
    kept = read(path)
    last = kept["last"]
    assert isinstance(last, int)
    assert said[-1] <= last <= said[-1] + 1
    for n in range(max(1, last - 49), last + 1):
        assert kept[f"call/{n}"] == {"n": n, "text": "x" * 500}
    assert len(kept) == min(last, 50) + 1


def test_a_tail_is_moved_when_it_is_long_and_what_is_dropped_by_then_is_not(
    path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened.write(Keep("a", 1), Keep("gone", 1), Keep("gone too", 1))
    opened.write(Keep("a", 2), Drop("gone"))
    monkeypatch.setattr(journal_module, "TAIL_BYTES", 10_000)
    opened.write(Keep("b", "x" * 10_000))
    wait_for(lambda: rows(path) == {"a", "gone too", "b"})
    opened.write(Keep("c", 1), Drop("gone too"))
    assert read(path) == {"a": 2, "b": "x" * 10_000, "c": 1}
    opened.journal.close()
    assert rows(path) == {"a", "b", "c"}
    assert not tails_of(path)


@pytest.mark.parametrize("cut", [1, 7, 9, 20, 40])
def test_what_a_crash_has_cut_is_not_read_and_all_before_it_is(path: Path, opened: Open, cut: int) -> None:
    opened.write(Keep("a", 1), Keep("b", 1))
    opened.write(Keep("a", 2), Drop("b"))
    ((_, tail),) = tails_of(path)
    whole = tail.stat().st_size
    opened.write(Keep("a", 3), Keep("c", "x" * 20))
    data = tail.read_bytes()
    tail.write_bytes(data[: whole + cut])
    assert read(path) == {"a": 2}
    # A power cut may leave nothing where something was.
    tail.write_bytes(data[: whole + cut] + bytes(len(data) - whole - cut))
    assert read(path) == {"a": 2}
    tail.write_bytes(data)
    assert read(path) == {"a": 3, "c": "x" * 20}


def test_a_tail_that_was_moved_before_a_crash_is_not_taken_for_news(path: Path) -> None:
    opened = Open(path)
    opened.write(Keep("a", 1))
    ((number, tail),) = tails_of(path)
    old = tail.read_bytes()
    opened.write(Keep("a", 2))
    opened.journal.close()
    tail.write_bytes(old)
    again = Open(path)
    assert again.kept == {"a": 2}
    again.write(Keep("b", 1))
    wait_for(lambda: number not in dict(tails_of(path)))
    again.journal.close()
    assert read(path) == {"a": 2, "b": 1}


def test_a_length_that_is_none_is_not_believed(path: Path, opened: Open) -> None:
    opened.write(Keep("a", 1))
    ((_, tail),) = tails_of(path)
    with tail.open("ab") as file:
        file.write(b"\xff" * 20)
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (3 << 30, before[1]))
    try:
        assert read(path) == {"a": 1}
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def test_a_tail_that_cannot_be_read_for_a_while_is_not_removed(
    path: Path, opened: Open, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_descriptor_left(path: Path, changes: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(journal_module, "RETRY_S", 0.05)
    opened.write(Keep("a", 1))
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(journal_module, "add_from", no_descriptor_left)
        meanwhile.setattr(journal_module, "TAIL_BYTES", 10)
        opened.write(Keep("b", 2))
        wait_for(lambda: "are kept in files beside it" in caplog.text)
    wait_for(lambda: "is written again" in caplog.text)
    opened.journal.close()
    assert read(path) == {"a": 1, "b": 2}


def test_what_is_written_while_the_database_cannot_be_opened_is_there_when_it_can(path: Path) -> None:
    for n in range(3):  # The tails moved last have had some numbers by now.
        opened = Open(path)
        opened.write(Keep("before", n))
        opened.journal.close()
    in_the_way = path.with_name(f"{path.name}-wal")
    in_the_way.mkdir()
    subprocess.run([sys.executable, "-c", _ONE_WRITE, str(path)], check=True, env={**os.environ})
    in_the_way.rmdir()
    assert read(path) == {"before": 2, "meanwhile": 1}


_ONE_WRITE = """
import os, sys
from pathlib import Path
from parkade.base.journal import Keep
from parkade.store.journal import Journal
journal = Journal.open(Path(sys.argv[1]))
journal.load()
journal.start()
assert journal.write([Keep("meanwhile", 1)])
os._exit(0)
"""


def test_a_long_tail_is_on_the_disk_before_the_next_one(
    path: Path, opened: Open, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real = os.fdatasync

    def fdatasync(file: int) -> None:
        real(file)
        synced.append(f"{Path(f'/proc/self/fd/{file}').readlink().name} {os.fstat(file).st_size}")

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    ((_, tail),) = tails_of(path)
    monkeypatch.setattr(journal_module, "TAIL_BYTES", 10)
    opened.write(Keep("a", 1))
    wait_for(lambda: "are kept in files beside it" in caplog.text)
    assert f"{tail.name} {tail.stat().st_size}" in synced
    other.execute("ROLLBACK")
    other.close()


def test_a_locked_file_holds_nobody_up_and_nothing_is_lost(
    path: Path, opened: Open, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "TAIL_BYTES", 10_000)
    monkeypatch.setattr(journal_module, "RETRY_S", 0.1)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    for n in range(1000):
        assert opened.write(Keep("a", n), Keep("b", "x" * 100))
    assert time.monotonic() - began < 0.25
    wait_for(lambda: "are kept in files beside it" in caplog.text)
    assert opened.write(Keep("a", 1000))
    assert read(path) == {"a": 1000, "b": "x" * 100}
    other.execute("ROLLBACK")
    other.close()
    wait_for(lambda: "is written again" in caplog.text)
    opened.journal.close()
    assert read(path) == {"a": 1000, "b": "x" * 100}
    assert len([r for r in caplog.records if r.levelno == logging.ERROR]) == 1


@contextlib.contextmanager
def full_disk(room: int = 0) -> Iterator[None]:
    """No file may grow beyond ``room`` bytes: to whoever writes the same as a disk without space."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("room", [0, 50_000])
def test_a_full_disk_is_said_once_and_loses_nothing_that_is_still_wanted(
    path: Path, opened: Open, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    monkeypatch.setattr(journal_module, "RETRY_S", 0.05)
    assert opened.write(Keep("before", 1))
    with full_disk(room):
        written = [opened.write(Keep(f"call/{n}", "x" * 4000), Keep("last", n)) for n in range(30)]
        for n in range(20):
            opened.write(Drop(f"call/{n}"))
        time.sleep(0.2)
        assert not opened.write(Keep("late", 1))
    assert sum(written) == room // 4040
    wait_for(lambda: "is written again" in caplog.text)
    assert opened.write(Keep("after", 1))
    kept = {"before": 1, "last": 29, "late": 1, "after": 1, **{f"call/{n}": "x" * 4000 for n in range(20, 30)}}
    assert read(path) == kept
    opened.journal.close()
    assert read(path) == kept
    assert len([r for r in caplog.records if r.levelno == logging.ERROR]) == 1


def test_a_full_database_costs_nothing_while_there_is_room_for_tails(
    path: Path, opened: Open, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "TAIL_BYTES", 10_000)
    monkeypatch.setattr(journal_module, "RETRY_S", 0.1)
    database = opened.journal._database
    assert database is not None
    database.execute("PRAGMA max_page_count = 6")
    for n in range(30):
        assert opened.write(Keep(f"call/{n}", "x" * 4000), Keep("last", n))
    wait_for(lambda: "full" in caplog.text)
    assert opened.write(*(Drop(f"call/{n}") for n in range(20)))
    wanted = {"last": 29, **{f"call/{n}": "x" * 4000 for n in range(20, 30)}}
    assert read(path) == wanted
    database.execute("PRAGMA max_page_count = 100000")
    wait_for(lambda: "is written again" in caplog.text)
    opened.journal.close()
    assert read(path) == wanted


def test_a_disk_that_is_too_slow_holds_the_loop_up_once(
    path: Path, opened: Open, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "SLOW_S", 0.05)
    write, slow = Tail.write, [True]

    def slowly(tail: Tail, changes: list[tuple[str, bytes | None]]) -> None:
        if slow:
            time.sleep(0.1)
        write(tail, changes)

    monkeypatch.setattr(Tail, "write", slowly)
    monkeypatch.setattr(Tail, "begin", classmethod(lambda *_: (_ for _ in ()).throw(OSError("simulated"))))
    assert opened.write(Keep("a", 1))
    began = time.monotonic()
    assert not any(opened.write(Keep("a", n)) for n in range(100))
    assert time.monotonic() - began < 0.1
    slow.clear()
    monkeypatch.undo()
    opened.journal._wake.set()
    wait_for(lambda: "is written again" in caplog.text)
    assert opened.write(Keep("b", 1))
    assert read(path) == {"a": 99, "b": 1}


def test_a_tail_that_nothing_can_be_moved_from_does_not_fill_the_disk(
    path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "TAIL_BYTES", 10_000)
    monkeypatch.setattr(journal_module, "MAX_TAIL_BYTES", 100_000)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for n in range(2000):
        opened.write(Keep("a", n), Keep("b", "x" * 1000))
    assert sum(tail.stat().st_size for _, tail in tails_of(path)) < 250_000
    other.execute("ROLLBACK")
    other.close()
    opened.journal.close()
    assert read(path) == {"a": 1999, "b": "x" * 1000}


def test_a_file_of_version_1_is_read_and_goes_on(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE kept (id INTEGER PRIMARY KEY, key TEXT NOT NULL, value TEXT)")
        rows = [("a", "1"), ("b", "1"), ("a", "2"), ("b", None), ("c", None), ("c", '{"again":true}'), ("d", '"\\udc80"')]
        database.executemany("INSERT INTO kept (key, value) VALUES (?, ?)", rows)
        database.execute("PRAGMA user_version = 1")
    database.close()
    opened = Open(path)
    assert opened.kept == {"a": 2, "c": {"again": True}, "d": "\udc80"}
    opened.write(Drop("a"), Keep("c", 3))
    opened.journal.close()
    assert read(path) == {"c": 3, "d": "\udc80"}


@pytest.mark.parametrize("damage", [b"nothing of the kind" * 400, b"SQLite format 3\0" + b"\xff" * 9000, "cut", "page"])
def test_a_damaged_file_is_set_aside_and_the_start_is_empty(
    path: Path, damage: bytes | str, caplog: pytest.LogCaptureFixture
) -> None:
    opened = Open(path)
    opened.write(*(Keep(f"call/{n}", "x" * 900) for n in range(100)))
    opened.journal.close()
    whole = path.read_bytes()
    if isinstance(damage, bytes):
        path.write_bytes(damage)
    else:
        path.write_bytes(whole[: len(whole) // 2] if damage == "cut" else whole[:4096] + b"\xff" * (len(whole) - 4096))
    again = Open(path)
    assert again.kept == {}
    again.write(Keep("new", 1))
    again.journal.close()
    assert read(path) == {"new": 1}
    assert len([p for p in path.parent.iterdir() if ".damaged-" in p.name and not p.name.endswith(("-wal", "-shm"))]) == 1
    assert "is damaged" in caplog.text


def test_a_file_of_a_newer_version_is_set_aside_and_not_touched(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE other (x)")
        database.execute(f"PRAGMA user_version = {VERSION + 1}")
    database.close()
    assert read(path) == {}
    (aside,) = [p for p in path.parent.iterdir() if ".newer-" in p.name]
    with sqlite3.connect(aside) as database:
        assert database.execute("SELECT count(*) FROM other").fetchone() == (0,)
    database.close()


def test_an_empty_file_is_a_new_journal(path: Path) -> None:
    path.touch()
    assert read(path) == {}


def test_a_file_that_stays_locked_refuses_the_start_in_words(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "LOCKED_S", 0.1)
    read(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA journal_mode = DELETE")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(JournalError, match=r"journal .*: database is locked"):
        Journal.open(path)
    other.close()


def test_a_file_that_is_locked_when_it_is_read_is_not_set_aside(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Open(path)
    opened.write(Keep("a", 1))
    opened.journal.close()
    journal = Journal.open(path)
    monkeypatch.setattr(journal, "_load_rows", _locked)
    with pytest.raises(JournalError, match=r"journal .*: database is locked"):
        journal.load()
    assert read(path) == {"a": 1}


def _locked(_database: sqlite3.Connection) -> dict[str, str]:
    error = sqlite3.OperationalError("database is locked")
    error.sqlite_errorcode = sqlite3.SQLITE_BUSY
    raise error


def test_a_journal_that_cannot_be_made_starts_without_and_tries_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "later" / "journal.db"
    opened = Open(path)
    opened.write(Keep("a", 1))
    assert "nothing will survive" in caplog.text
    path.parent.mkdir()
    wait_for(lambda: "is written again" in caplog.text)
    opened.journal.close()
    assert read(path) == {"a": 1}


def test_closing_writes_what_waits(path: Path) -> None:
    opened = Open(path)
    opened.journal.write([Keep(f"call/{n}", n) for n in range(1000)])
    opened.journal.close()
    assert len(read(path)) == 1000


def test_what_is_written_over_and_over_does_not_grow_the_files(
    path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "TAIL_BYTES", 200_000)
    for n in range(500):
        opened.write(*(Keep(f"call/{m}", f"{n}" + "x" * 1000) for m in range(20)))
        time.sleep(0.001)
    wait_for(lambda: len(tails_of(path)) == 1)
    sizes = sum(p.stat().st_size for p in path.parent.iterdir())
    assert sizes < 6 << 20


def rows(path: Path) -> set[str]:
    """The keys in the SQLite file."""
    with sqlite3.connect(path) as database:
        keys = {key for (key,) in database.execute("SELECT key FROM kept")}
    database.close()
    return keys


def wait_for(condition: object) -> None:
    assert callable(condition)
    for _ in range(int(PATIENCE_S / 0.01)):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("not in time")

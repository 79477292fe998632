"""The journal: what was acknowledged is there after kill -9, the last value wins, and no trouble of a disk stops anything."""

from __future__ import annotations

import logging
import os
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

PATIENCE_S = 10.0


class Open:
    """A journal that is written, and the batches that were committed."""

    def __init__(self, path: Path) -> None:
        self.journal = Journal.open(path)
        self.kept = self.journal.load()
        self._told = threading.Condition()
        self._committed = 0
        self.journal.start(self._done)

    def _done(self, number: int) -> None:
        with self._told:
            self._committed = number
            self._told.notify_all()

    def write(self, *changes: Keep | Drop) -> None:
        """Write, and wait for the commit."""
        number = self.journal.write(changes)
        with self._told:
            assert self._told.wait_for(lambda: self._committed >= number, PATIENCE_S)


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
import sys
from pathlib import Path
from parkade.base.journal import Drop, Keep
from parkade.store.journal import Journal
journal = Journal.open(Path(sys.argv[1]))
journal.load()
said = 0
def committed(number):
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
journal.start(committed)
n = 0
while True:
    n += 1
    journal.write([Keep(f"call/{n}", {"n": n, "text": "x" * 500}), Keep("last", n), Drop(f"call/{n - 50}")])
    if n % 20 == 0:
        import time; time.sleep(0.001)
"""


@pytest.mark.parametrize("after_s", [0.05, 0.2, 0.5, 1.3])
def test_everything_acknowledged_is_there_after_kill_9(path: Path, after_s: float) -> None:
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
    acknowledged = said[-1]
    kept = read(path)
    last = kept["last"]
    assert isinstance(last, int)
    assert last >= acknowledged > 0
    for n in range(max(1, last - 49), last + 1):
        assert kept[f"call/{n}"] == {"n": n, "text": "x" * 500}
    assert len(kept) == min(last, 50) + 1


def test_a_locked_file_holds_nobody_up_and_is_written_when_it_is_free(
    path: Path, opened: Open, caplog: pytest.LogCaptureFixture
) -> None:
    opened.write(Keep("before", 1))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    opened.write(Keep("a", 1))  # the first finds out, in the time that a statement waits for a lock
    assert time.monotonic() - began < 0.5
    began = time.monotonic()
    for n in range(1000):
        opened.write(Keep("a", n))
    assert time.monotonic() - began < 0.25
    other.execute("ROLLBACK")
    other.close()
    wait_for(lambda: "is written again" in caplog.text)
    opened.journal.close()
    assert read(path) == {"before": 1, "a": 999}
    assert len([r for r in caplog.records if r.levelno == logging.ERROR]) == 1


def test_a_full_disk_is_said_once_and_loses_nothing_that_is_still_wanted(
    path: Path, opened: Open, caplog: pytest.LogCaptureFixture
) -> None:
    opened.write(Keep("before", 1))
    database = opened.journal._database
    assert database is not None
    database.execute("PRAGMA max_page_count = 4")
    for n in range(30):
        opened.write(Keep(f"call/{n}", "x" * 4000), Keep("last", n))
    for n in range(20):
        opened.write(Drop(f"call/{n}"))
    database.execute("PRAGMA max_page_count = 100000")
    wait_for(lambda: "is written again" in caplog.text)
    opened.journal.close()
    assert read(path) == {"before": 1, "last": 29, **{f"call/{n}": "x" * 4000 for n in range(20, 30)}}
    (error,) = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert "full" in error.getMessage()


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
    monkeypatch.setattr(journal_module, "_WAL_LIMIT_BYTES", 1 << 20)
    opened.write(Keep("a", 0))
    wait_for(lambda: opened.journal._wal >= 0)
    for n in range(500):
        opened.write(*(Keep(f"call/{m}", f"{n}" + "x" * 1000) for m in range(20)))
    sizes = sum(p.stat().st_size for p in path.parent.iterdir())
    assert sizes < 4 << 20


def wait_for(condition: object) -> None:
    assert callable(condition)
    for _ in range(int(PATIENCE_S / 0.01)):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("not in time")

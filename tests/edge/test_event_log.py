"""The event log: nothing is lost or doubled, whatever is killed, and no call pays for a disk that is full."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parkade.calls.events import CallEnded, EndReason
from parkade.edge import event_log
from parkade.edge.event_log import EventLog, EventReader, log_files
from tests.edge.heard import until

pytestmark = pytest.mark.asyncio


def ended(n: int, name: str = "Lan") -> CallEnded:
    return CallEnded(f"e{n}", 1_790_000_000.0 + n, "acme", f"c{n}", name, "102", 1.5, EndReason.HUNG_UP, "")


def open_files() -> int:
    return len([*Path("/proc/self/fd").iterdir()])


def read_all(folder: Path, after: int = 0) -> list[tuple[int, str]]:
    reader = EventReader(folder, after)
    found = []
    while lines := reader.read():
        found += [(line["number"], line["id"]) for line in lines]
    reader.close()
    return found


def expected(*numbers: int) -> list[tuple[int, str]]:
    return [(n, f"e{n}") for n in numbers]


async def test_a_batch_is_one_write_of_the_contracts_events_with_their_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = EventLog.open(tmp_path / "events")
    write, sizes = os.write, []

    def counted(file: int, data: bytes) -> int:
        sizes.append(len(data))
        return write(file, data)

    monkeypatch.setattr(os, "write", counted)
    lines = log.write([ended(1), ended(2)])
    monkeypatch.undo()
    assert sizes == [len(b"".join(lines))]
    assert log.last == 2
    assert EventReader(tmp_path / "events", 0).read()[0] == {
        "number": 1,
        "id": "e1",
        "type": "call.ended",
        "at": "2026-09-21T14:13:21.000Z",
        "account": "acme",
        "data": {
            "call": "c1",
            "caller_name": "Lan",
            "caller_number": "102",
            "duration_s": 1.5,
            "reason": "hung_up",
            "ended_by": "",
        },
    }
    log.close()


async def test_numbers_go_on_after_a_restart(tmp_path: Path) -> None:
    for n in range(1, 4):
        log = EventLog.open(tmp_path)
        log.write([ended(n)])
        log.close()
    assert read_all(tmp_path) == expected(1, 2, 3)
    assert len(log_files(tmp_path)) == 1


async def test_numbers_are_above_those_that_the_database_has(tmp_path: Path) -> None:
    log = EventLog.open(tmp_path)
    log.write([ended(1), ended(2)])
    log.close()
    log = EventLog.open(tmp_path, at_least=7)
    log.write([ended(8)])
    log.close()
    assert read_all(tmp_path, after=7) == expected(8)
    log = EventLog.open(tmp_path, at_least=3)
    log.write([ended(9)])
    log.close()
    assert read_all(tmp_path, after=7) == expected(8, 9)


@given(st.integers(0, 600), st.binary(max_size=20), st.integers(1, 4))
async def test_whatever_a_crash_leaves_of_the_last_line_the_next_process_goes_on_behind_the_whole_ones(
    cut: int, rubbish: bytes, more: int
) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        log = EventLog.open(folder)
        lines = b"".join(log.write([ended(1), ended(2), ended(3)]))
        log.close()
        whole = lines[: max(0, len(lines) - cut)]
        log_files(folder)[0][1].write_bytes(whole + (b"\0" + rubbish if rubbish else b""))
        left = whole.count(b"\n")
        log = EventLog.open(folder)
        assert log.last == left
        log.write([ended(left + n) for n in range(1, more + 1)])
        log.close()
        assert read_all(folder) == expected(*range(1, left + more + 1))


async def test_a_reader_waits_for_the_rest_of_a_line(tmp_path: Path) -> None:
    log = EventLog.open(tmp_path)
    first, second = log.write([ended(1), ended(2)])
    log.close()
    path = log_files(tmp_path)[0][1]
    path.write_bytes(first + second[:20])
    reader = EventReader(tmp_path, 0)
    assert [line["number"] for line in reader.read()] == [1]
    assert reader.read() == []
    path.write_bytes(first + second)
    assert [line["number"] for line in reader.read()] == [2]


async def test_files_follow_one_another_and_go_when_they_have_been_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_log, "FILE_BYTES", 500)
    log = EventLog.open(tmp_path)
    for n in range(1, 41):
        log.write([ended(n)])
    files = log_files(tmp_path)
    assert len(files) > 5
    assert read_all(tmp_path) == expected(*range(1, 41))
    assert read_all(tmp_path, after=17) == expected(*range(18, 41))
    reader = EventReader(tmp_path, 0)
    reader.remove_read(files[3][0] - 1)
    assert log_files(tmp_path) == files[3:]
    reader.remove_read(40)
    assert log_files(tmp_path) == files[-1:]
    log.write([ended(41)])
    log.close()
    assert read_all(tmp_path, after=40) == expected(41)


async def test_a_reader_that_is_at_the_end_goes_on_with_the_next_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_log, "FILE_BYTES", 300)
    log, reader, found = EventLog.open(tmp_path), EventReader(tmp_path, 0), list[int]()
    for n in range(1, 21):
        log.write([ended(n)])
        found += [line["number"] for line in reader.read()]
        assert found == [*range(1, n + 1)]
        assert reader.read() == []
    log.close()


async def test_without_a_reader_the_oldest_file_goes_and_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(event_log, "FILE_BYTES", 500)
    monkeypatch.setattr(event_log, "MAX_BYTES", 2000)
    log = EventLog.open(tmp_path)
    for n in range(1, 101):
        log.write([ended(n)])
    log.close()
    assert sum(path.stat().st_size for _, path in log_files(tmp_path)) <= 2500
    assert "nobody takes them into the database" in caplog.text
    left = read_all(tmp_path, after=3)
    assert left == expected(*range(left[0][0], 101))
    assert "are missing" in caplog.text


def fails(times: int, partly: int, error: int = errno.ENOSPC) -> Callable[[int, bytes], int]:
    """A disk that takes ``partly`` bytes of the first write and nothing of the next ones."""
    write, left = os.write, [times]

    def failing(file: int, data: bytes) -> int:
        if left[0] <= 0:
            return write(file, data)
        left[0] -= 1
        if left[0] == times - 1 and partly:
            return write(file, data[:partly])
        raise OSError(error, os.strerror(error))

    return failing


@pytest.mark.parametrize(("times", "partly"), [(1, 0), (3, 0), (1, 30), (4, 200)])
async def test_on_a_full_disk_events_wait_and_none_is_lost_or_doubled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, times: int, partly: int
) -> None:
    monkeypatch.setattr(event_log, "RETRY_S", 0.02)
    log = EventLog.open(tmp_path)
    log.write([ended(1)])
    monkeypatch.setattr(os, "write", fails(times, partly))
    log.write([ended(2), ended(3)])
    assert log.waiting
    log.write([ended(4)])
    await until(lambda: not log.waiting)
    log.write([ended(5)])
    assert not log.waiting
    log.close()
    assert read_all(tmp_path) == expected(1, 2, 3, 4, 5)
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(errors) == 1
    assert "none was lost" in caplog.text


async def test_a_slow_disk_is_left_to_a_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_log, "RETRY_S", 0.02)
    monkeypatch.setattr(event_log, "SLOW_S", -1.0)
    log = EventLog.open(tmp_path)
    log.write([ended(1)])
    log.write([ended(2)])
    assert log.waiting
    monkeypatch.setattr(event_log, "SLOW_S", 1.0)
    await until(lambda: not log.waiting)
    log.write([ended(3)])
    assert not log.waiting
    log.close()
    assert read_all(tmp_path) == expected(1, 2, 3)


async def test_what_does_not_fit_into_memory_is_left_out_without_a_gap_in_the_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(event_log, "RETRY_S", 0.02)
    monkeypatch.setattr(event_log, "MAX_WAITING_BYTES", 500)
    log = EventLog.open(tmp_path)
    with monkeypatch.context() as full:
        full.setattr(os, "write", fails(10**6, 0))
        for n in range(1, 20):
            log.write([ended(n)])
        kept = log.last
        assert 1 <= kept <= 4
    await until(lambda: not log.waiting)
    log.write([ended(kept + 1)])
    log.close()
    assert read_all(tmp_path) == expected(*range(1, kept + 2))
    assert f"{19 - kept} were left out" in caplog.text


async def test_a_folder_that_cannot_be_made_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(event_log, "RETRY_S", 0.02)
    (tmp_path / "events").write_text("in the way")
    log = EventLog.open(tmp_path / "events")
    log.write([ended(1)])
    (tmp_path / "events").unlink()
    await until(lambda: "they are recorded again" in caplog.text)
    log.write([ended(1)])
    log.close()
    assert read_all(tmp_path / "events") == expected(1)


async def test_names_of_any_bytes_can_be_read_back(tmp_path: Path) -> None:
    log = EventLog.open(tmp_path)
    log.write([ended(1, "b\udcffd"), ended(2, "n\0l"), ended(3, 'q"\\\n\u2028')])
    log.close()
    reader = EventReader(tmp_path, 0)
    assert [line["data"]["caller_name"] for line in reader.read()] == ["b\ufffdd", "n\ufffdl", 'q"\\\n\u2028']


async def test_what_was_written_is_moved_to_the_disk_and_old_files_are_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_log, "SYNC_S", 0.02)
    monkeypatch.setattr(event_log, "FILE_BYTES", 300)
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", synced.append)
    log = EventLog.open(tmp_path)
    before = open_files()
    for n in range(1, 21):
        log.write([ended(n)])
    await until(lambda: len(synced) >= 2)
    await until(lambda: open_files() <= before + 1)
    log.close()

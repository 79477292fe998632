"""From the log into the database: each event once and in order, whatever is killed, locked or refused."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from parkade.api import ingest as module
from parkade.api.live import LiveEvents
from parkade.edge import event_log
from parkade.edge.event_log import EventLog, Line, log_files
from parkade.store import events
from tests.api.conftest import Office
from tests.edge.heard import until
from tests.web.conftest import Happening, ended, ingest_of, parked

pytestmark = pytest.mark.asyncio


async def stored(office: Office, account: str | None = None) -> list[tuple[int, str]]:
    async with office.store.reading() as connection:
        return [(one.number, one.json["id"]) for one in await events.after(connection, 0, account, 10_000)]


async def position(office: Office) -> int:
    async with office.store.reading() as connection:
        return await events.position(connection)


def expected(*numbers: int) -> list[tuple[int, str]]:
    return [(n, f"e{n}") for n in numbers]


async def test_an_event_is_read_back_as_the_contract_has_it(office: Office, happen: Happening) -> None:
    await happen(parked(1))
    async with office.store.reading() as connection:
        (one,) = await events.after(connection, 0, "acme", 10)
        assert await events.number_of(connection, "e1", "acme") == 1
        assert await events.number_of(connection, "e1", "other") is None
    assert one.json == {
        "id": "e1",
        "type": "call.parked",
        "at": "2026-09-21T14:13:21.000Z",
        "account": "acme",
        "data": {
            "call": "c1",
            "caller_name": "Lan",
            "caller_number": "0912",
            "code": "*801",
            "lot": "Main",
            "lot_id": "l1",
            "site": None,
            "parked_by": "101",
            "parked_by_name": "Alice",
            "note": "",
            "parked_at": "2026-09-21T14:13:21.000Z",
            "waited_s": 0.0,
            "round": 0,
            "audience": {"kind": "account", "place": None, "people": []},
            "expires_at": "2026-09-21T14:23:21.000Z",
        },
    }


class Killed(BaseException):
    """What no handler of ours catches."""


@pytest.mark.parametrize("survives", range(1, 9))
async def test_killed_at_any_step_the_next_process_takes_each_event_once(
    office: Office, happen: Happening, monkeypatch: pytest.MonkeyPatch, survives: int
) -> None:
    monkeypatch.setattr(module, "BATCH", 3)
    happen.log.write([ended(n) for n in range(1, 11)])
    followed: list[str] = []
    told: list[str] = []
    left = [survives]

    async def follow(connection: AsyncConnection, lines: Sequence[Line]) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise Killed
        followed.extend(line["id"] for line in lines)

    class Told(LiveEvents):
        def happened(self, events: Sequence[Line]) -> None:  # type: ignore[override]
            left[0] -= 1
            if left[0] == 0:
                raise Killed
            told.extend(line["id"] for line in events)

    for _ in range(3):
        ingest = ingest_of(office, happen.folder, Told(), [follow])
        try:
            await ingest.take_all()
        except Killed:
            continue
        break
    assert await stored(office) == expected(*range(1, 11))
    assert followed == [f"e{n}" for n in range(1, 11)]
    assert await position(office) == 10
    assert sorted(set(told), key=lambda id_: int(id_[1:])) == told


async def test_two_processes_at_once_take_each_event_once(
    office: Office, happen: Happening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH", 2)
    happen.log.write([ended(n) for n in range(1, 41)])
    followed: list[str] = []

    async def follow(connection: AsyncConnection, lines: Sequence[Line]) -> None:
        followed.extend(line["id"] for line in lines)

    await asyncio.gather(*(ingest_of(office, happen.folder, LiveEvents(), [follow]).take_all() for _ in range(2)))
    assert await stored(office) == expected(*range(1, 41))
    assert sorted(followed, key=lambda id_: int(id_[1:])) == [f"e{n}" for n in range(1, 41)]


async def test_a_database_that_is_locked_is_waited_for(
    office: Office, happen: Happening, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.02)
    monkeypatch.setattr(module, "POLL_S", 0.02)
    running = asyncio.create_task(happen.ingest.run())
    async with office.store.writing():
        happen.log.write([ended(1), ended(2)])
        happen.ingest.news(2)
        await asyncio.sleep(0.3)
        assert await position(office) == 0
        assert happen.ingest.newest == 2
    await until(lambda: happen.ingest.position == 2, 15)
    running.cancel()
    assert await stored(office) == expected(1, 2)
    assert len([record for record in caplog.records if record.levelno >= logging.ERROR]) <= 1


async def test_an_event_that_the_database_refuses_holds_nobody_up(
    office: Office, happen: Happening, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.0)
    followed: list[str] = []

    async def follow(connection: AsyncConnection, lines: Sequence[Line]) -> None:
        if any(line["id"] == "e5" for line in lines):
            raise ValueError("a history that cannot be")
        followed.extend(line["id"] for line in lines)

    happen.log.write([ended(n) for n in range(1, 11)])
    ingest = ingest_of(office, happen.folder, happen.live, [follow])
    running = asyncio.create_task(ingest.run())
    await until(lambda: ingest.position == 10)
    running.cancel()
    assert await stored(office) == expected(*range(1, 11))
    assert followed == [f"e{n}" for n in range(1, 11) if n != 5]
    assert "event e5 (5) cannot be taken into the database and has neither history nor webhooks" in caplog.text


async def test_an_event_that_cannot_even_be_written_down_is_left_out(
    office: Office, happen: Happening, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.0)
    add = events.add

    async def refused(connection: AsyncConnection, lines: Sequence[Line]) -> None:
        if any(line["id"] == "e2" for line in lines):
            raise IntegrityError("INSERT", {}, Exception("refused"))
        await add(connection, lines)

    monkeypatch.setattr(events, "add", refused)
    happen.log.write([ended(n) for n in range(1, 5)])
    running = asyncio.create_task(happen.ingest.run())
    await until(lambda: happen.ingest.position == 4)
    running.cancel()
    assert await stored(office) == expected(1, 3, 4)
    assert "event e2 (2) cannot be taken into the database and is left out" in caplog.text


async def test_files_that_have_been_taken_are_removed(
    office: Office, happen: Happening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_log, "FILE_BYTES", 600)
    log = EventLog.open(tmp_path / "more")
    ingest = ingest_of(office, tmp_path / "more", LiveEvents())
    for n in range(1, 31):
        log.write([ended(n)])
    assert len(log_files(tmp_path / "more")) > 3
    await ingest.take_all()
    assert len(log_files(tmp_path / "more")) == 1
    log.write([ended(31)])
    await ingest.take_all()
    log.close()
    assert await stored(office) == expected(*range(1, 32))


async def test_it_hears_of_news_at_once_and_finds_them_without_a_word_too(
    office: Office, happen: Happening, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = asyncio.create_task(happen.ingest.run())
    await asyncio.sleep(0.05)
    happen.log.write([ended(1)])
    happen.ingest.news(1)
    await until(lambda: happen.ingest.position == 1, 0.5)
    monkeypatch.setattr(module, "POLL_S", 0.02)
    happen.log.write([ended(2)])
    await until(lambda: happen.ingest.position == 2, 3)
    running.cancel()

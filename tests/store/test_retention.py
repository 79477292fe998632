"""What has been kept long enough goes, in portions; what goes on stays."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select

from parkade.store import history, retention
from parkade.store import tables as t
from parkade.store.retention import Retention, remove_old
from parkade.store.store import Store
from tests.store.directory_text import ACME
from tests.store.happenings import START, Happenings
from tests.store.installation import imported, within

DAY_S = 86_400.0


async def calls(store: Store) -> set[str]:
    async with store.reading() as connection:
        return set((await connection.execute(select(t.park_history.c.call))).scalars())


def test_parks_that_are_over_go_after_their_days(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "PORTION", 2)
    monkeypatch.setattr(retention, "PAUSE_S", 0.0)

    async def work(store: Store) -> None:
        it = Happenings()
        for number in range(5):
            it.park(f"old{number}", 10, "abandoned")
        it("parked", "still-parked")
        it.now += 20 * DAY_S
        it.park("new", 10, "abandoned")
        async with store.writing() as connection:
            await history.apply(connection, it.events)
        assert await remove_old(store, Retention(history_days=30), START + 29 * DAY_S) == 0
        assert await remove_old(store, Retention(history_days=30), START + 31 * DAY_S) == 5
        assert await calls(store) == {"still-parked", "new"}

    within(data, work)


def event(number: int, at: float) -> dict[str, Any]:
    return {"number": number, "uid": f"e{number}", "account": "acme", "at": at, "type": "call.parked", "call": "c", "data": {}}


def test_events_go_after_theirs_unless_somebody_is_yet_to_hear_of_them(data: Path) -> None:
    imported(data, ACME)

    async def work(store: Store) -> None:
        async with store.writing() as connection:
            account = (await connection.execute(select(t.account.c.id))).scalar_one()
            hook = {
                "uid": "w",
                "account_id": account,
                "url": "https://x.test",
                "secret": "s",
                "events": ["*"],
                "form": "parkade",
            }
            await connection.execute(insert(t.webhook).values(id=1, **hook, active=True, created_at=START))
            await connection.execute(insert(t.event), [event(number, START + number) for number in range(1, 6)])
            delivery = {"webhook_id": 1, "call": "c", "attempts": 1, "next_at": START, "created_at": START}
            await connection.execute(
                insert(t.webhook_delivery),
                [
                    {"uid": "d2", "event_number": 2, "state": "delivered", "ended_at": START, **delivery},
                    {"uid": "d3", "event_number": 3, "state": "waiting", "ended_at": None, **delivery},
                ],
            )
        assert await remove_old(store, Retention(event_days=7), START + 7 * DAY_S + 4.5) == 4
        async with store.reading() as connection:
            assert list((await connection.execute(select(t.event.c.number).order_by(t.event.c.number))).scalars()) == [3, 5]
            assert list((await connection.execute(select(t.webhook_delivery.c.uid))).scalars()) == ["d3"]

    within(data, work)


def test_another_writer_has_its_turn_between_two_portions(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "PORTION", 10)

    async def work(store: Store) -> None:
        it = Happenings()
        for number in range(100):
            it.park(f"c{number}", 10, "abandoned")
        async with store.writing() as connection:
            await history.apply(connection, it.events)
        removing = asyncio.create_task(remove_old(store, Retention(history_days=1), START + 2 * DAY_S))
        left = 100
        while left == 100:
            await asyncio.sleep(0.001)
            async with store.writing() as connection:
                left = len((await connection.execute(select(t.park_history.c.id))).all())
        assert left > 0
        assert await removing == 100

    within(data, work)

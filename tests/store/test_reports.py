"""Reports: the database's figures are those that one gets by counting the rows by hand."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from parkade.store import history, reports
from parkade.store.history import ParkFilter
from parkade.store.reports import By, ReportRow
from parkade.store.store import Store
from tests.store.happenings import START, Happenings
from tests.store.installation import within

HANOI, BERLIN = ZoneInfo("Asia/Ho_Chi_Minh"), ZoneInfo("Europe/Berlin")
ENDS: list[tuple[str, dict[str, Any]]] = [
    ("retrieved", {"retrieved_by": "102"}),
    ("retrieved", {"retrieved_by": "103"}),
    ("returned", {"returned_to": "101"}),
    ("abandoned", {}),
    ("timed_out", {}),
]


def happened(seed: int, days: int = 400) -> list[Any]:
    """A year of parks, over two changes of the clocks, some of them going on."""
    chance = random.Random(seed)
    it = Happenings()
    for number in range(300):
        it.now = START + chance.uniform(0, days * 86_400)
        kind, who = chance.choice(ENDS)
        place = {"code": f"*80{chance.randrange(4)}", "parked_by": chance.choice(["101", "102", None])}
        place["site"] = chance.choice(["s1", "s2"])
        if chance.random() < 0.1:
            it("parked", f"c{number}", **place)
        else:
            it.park(f"c{number}", round(chance.expovariate(1 / 60), 3), kind, **place, **who)
    return it.events


def by_hand(rows: list[Any], key: Callable[[Any], str | None]) -> dict[str | None, ReportRow]:
    groups: dict[str | None, list[Any]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    found = {}
    for name, group in groups.items():
        waits = sorted(row["waited_s"] for row in group if row["outcome"])

        def rank(percent: int, waits: list[float] = waits) -> float | None:
            return waits[math.ceil(len(waits) * percent / 100) - 1] if waits else None

        def count(outcome: str | None, group: list[Any] = group) -> int:
            return sum(row["outcome"] == outcome for row in group)

        ended = {outcome: count(outcome) for outcome in ("retrieved", "returned", "abandoned", "timed_out", "ended")}
        rate = round(count("abandoned") / len(waits), 4) if waits else None
        found[name] = ReportRow(
            key=name,
            parks=len(group),
            waiting=count(None),
            **ended,
            reparks=sum(row["reparks"] for row in group),
            wait_p50_s=rank(50),
            wait_p90_s=rank(90),
            wait_longest_s=rank(100),
            abandon_rate=rate,
        )
    return found


def hour(zone: Any) -> Callable[[Any], str]:
    return lambda row: f"{datetime.fromtimestamp(row['parked_at'], zone).hour:02}"


def day(zone: Any) -> Callable[[Any], str]:
    return lambda row: datetime.fromtimestamp(row["parked_at"], zone).date().isoformat()


@pytest.mark.parametrize(
    ("by", "zone", "key"),
    [
        (By.TOTAL, None, lambda _row: "total"),
        (By.SLOT, None, lambda row: row["code"]),
        (By.PERSON, None, lambda row: row["parked_by"]),
        (By.RETRIEVER, None, lambda row: row["ended_by"]),
        (By.SITE, None, lambda row: row["site"]),
        (By.HOUR, None, hour(UTC)),
        (By.HOUR, HANOI, hour(HANOI)),
        (By.HOUR, BERLIN, hour(BERLIN)),
        (By.DAY, BERLIN, day(BERLIN)),
    ],
    ids=str,
)
def test_the_figures_are_those_of_counting_by_hand(data: Path, by: By, zone: ZoneInfo | None, key: Any) -> None:
    async def work(store: Store) -> None:
        async with store.writing() as connection:
            await history.apply(connection, happened(1))
        async with store.reading() as connection:
            rows = await history.page(connection, ParkFilter(), 10_000)
            found = await reports.report(connection, by, ParkFilter(), zone)
        wanted = by_hand(rows, key)
        assert {row.key: row for row in found} == wanted
        assert len(found) == len(wanted)
        keys = [row.key for row in found]
        if by in (By.HOUR, By.DAY):
            assert keys == sorted(keys, key=str)
        else:
            assert [row.parks for row in found] == sorted((row.parks for row in found), reverse=True)

    within(data, work)


def test_a_report_is_about_what_was_asked_for(data: Path) -> None:
    async def work(store: Store) -> None:
        async with store.writing() as connection:
            await history.apply(connection, happened(2))
        wanted = ParkFilter(account="acme", site="s1", since=START + 86_400, until=START + 86_400 * 200, outcome="retrieved")
        async with store.reading() as connection:
            rows = await history.page(connection, wanted, 10_000)
            assert rows
            found = await reports.report(connection, By.SLOT, wanted, HANOI)
            assert {row.key: row for row in found} == by_hand(rows, lambda row: row["code"])
            assert await reports.report(connection, By.HOUR, ParkFilter(account="other"), HANOI) == []
            assert await reports.report(connection, By.TOTAL, ParkFilter(account="other")) == []

    within(data, work)


def test_of_ten_waits_the_ninetieth_percentile_is_the_ninth(data: Path) -> None:
    async def work(store: Store) -> ReportRow:
        it = Happenings()
        for number in range(10):
            it.park(f"c{number}", 10.0 * (number + 1), "abandoned")
        async with store.writing() as connection:
            await history.apply(connection, it.events)
        async with store.reading() as connection:
            (row,) = await reports.report(connection, By.TOTAL, ParkFilter())
            return row

    row = within(data, work)
    assert (row.wait_p50_s, row.wait_p90_s, row.wait_longest_s, row.abandon_rate) == (50.0, 90.0, 100.0, 1.0)

"""The history of parked calls: one row for each park, exactly what the events said, whatever was cut into portions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from parkade.edge.event_json import iso
from parkade.store import history
from parkade.store import tables as t
from parkade.store.history import Fold, ParkFilter
from parkade.store.store import Store
from tests.store.directory_text import ACME
from tests.store.happenings import START, STAYS, Happenings
from tests.store.installation import imported, within


def applied(data: Path, events: Sequence[Any], portion: int = 1000) -> None:
    async def work(store: Store) -> None:
        for start in range(0, len(events), portion):
            async with store.writing() as connection:
                await history.apply(connection, events[start : start + portion])

    within(data, work)


def parks(data: Path, wanted: ParkFilter | None = None, limit: int = 1000, after: tuple[float, int] | None = None) -> list[Any]:
    async def work(store: Store) -> list[Any]:
        async with store.reading() as connection:
            return await history.page(connection, wanted or ParkFilter(), limit, after)

    return within(data, work)


def one(data: Path) -> dict[str, Any]:
    (row,) = parks(data)
    return dict(row)


def said(row: dict[str, Any], *names: str) -> tuple[Any, ...]:
    return tuple(row[name] for name in names)


def test_a_park_is_a_row_from_its_first_moment(data: Path) -> None:
    it = Happenings()
    applied(data, [it("parked", "c1", code="*805", note="for Minh")])
    row = one(data)
    assert said(row, "account", "call", "code", "lot", "parked_by") == ("acme", "c1", "*805", "Main", "101")
    assert said(row, "caller_name", "caller_number", "note") == ("Lan", "+84281234567", "for Minh")
    assert said(row, "parked_at", "ended_at", "waited_s", "outcome", "ended_by", "reparks") == (
        START,
        None,
        None,
        None,
        None,
        0,
    )


@pytest.mark.parametrize(
    ("kind", "who", "outcome", "by"),
    [
        ("retrieved", {"retrieved_by": "102"}, "retrieved", "102"),
        ("returned", {"returned_to": "101"}, "returned", "101"),
        ("abandoned", {}, "abandoned", None),
        ("timed_out", {}, "timed_out", None),
        ("ended", {"duration_s": 90.0}, "ended", None),
    ],
)
@pytest.mark.parametrize("portion", [1, 10])
def test_a_park_ends_one_way(data: Path, kind: str, who: dict[str, Any], outcome: str, by: str | None, portion: int) -> None:
    it = Happenings()
    it.park("c1", 12.5, kind, **who)
    applied(data, it.events, portion)
    assert said(one(data), "outcome", "ended_by", "ended_at", "waited_s") == (outcome, by, START + 12.5, 12.5)


def test_a_call_that_is_parked_again_because_nobody_had_it_stays_one_row(data: Path) -> None:
    it = Happenings()
    it("parked", "c1")
    it.now += 60
    it("timed_out", "c1")
    it.now += 30
    it("reparked", "c1", code="*802", old_code="*801", round=1, lot="Main")
    assert it.now == START + 90
    applied(data, it.events, 2)
    assert said(one(data), "code", "outcome", "ended_at", "waited_s", "reparks") == ("*802", None, None, None, 1)
    it.now += 60
    it("timed_out", "c1", code="*802")
    it.now += 5
    it("returned", "c1", code="*802", returned_to="101")
    it("ended", "c1", duration_s=300.0)
    applied(data, it.events[3:], 1)
    assert said(one(data), "code", "outcome", "ended_by", "waited_s", "reparks") == ("*802", "returned", "101", 155.0, 1)


def test_a_call_that_somebody_had_and_parks_again_is_another_row(data: Path) -> None:
    it = Happenings()
    it("parked", "c1")
    it.now += 10
    it("retrieved", "c1", retrieved_by="102")
    it.now += 10
    it("parked", "c1", parked_by="102")
    it.now += 10
    it("abandoned", "c1")
    applied(data, it.events)
    newer, older = parks(data)
    assert said(older, "parked_by", "outcome", "ended_by") == ("101", "retrieved", "102")
    assert said(newer, "parked_by", "outcome", "waited_s") == ("102", "abandoned", 10.0)


def test_whoever_retrieved_it_was_never_there_or_gives_it_back_and_the_park_goes_on(data: Path) -> None:
    it = Happenings()
    it("parked", "c1")
    it.now += 10
    it("retrieved", "c1", retrieved_by="102")
    it("reparked", "c1", old_code="*801", round=0)
    applied(data, it.events)
    assert said(one(data), "outcome", "ended_by", "ended_at", "reparks") == (None, None, None, 1)
    it("retrieved", "c1", retrieved_by="103")
    it("given_back", "c1", given_back_by="103")
    it("note_changed", "c1", note="for Minh")
    applied(data, it.events[-3:])
    assert said(one(data), "outcome", "ended_by", "note", "reparks") == (None, None, "for Minh", 1)


def test_who_is_told_that_nobody_is_there_has_waited_until_then(data: Path) -> None:
    it = Happenings()
    it("parked", "c1")
    it.now += 60
    it("timed_out", "c1")
    it.now += 30
    it("given_up", "c1")
    applied(data, it.events)
    assert said(one(data), "outcome", "ended_at", "waited_s") == ("timed_out", START + 90, 90.0)


def test_what_a_restart_does_not_know_any_more_is_over(data: Path) -> None:
    it, other = Happenings(), Happenings("other")
    for call in ("a", "b", "c"):
        it("parked", call)
    other("parked", "d")
    it.now += 30
    it("retrieved", "c", retrieved_by="102")
    applied(data, [*it.events, *other.events])
    it.now += 30
    applied(data, [it("calls.resumed", "", calls=["b", "x"])])
    found = {row["call"]: said(row, "outcome", "waited_s") for row in parks(data)}
    assert found == {"a": ("ended", 60.0), "b": (None, None), "c": ("retrieved", 30.0), "d": (None, None)}


def test_who_had_an_extension_then_and_whose_lot_it_was_is_kept(data: Path) -> None:
    imported(data, ACME)

    async def ids(store: Store) -> dict[str, str]:
        async with store.reading() as connection:
            people = await connection.execute(select(t.owner.c.extension, t.owner.c.uid))
            sites = await connection.execute(select(t.site.c.name, t.site.c.uid))
            return {str(name): str(uid) for rows in (people, sites) for name, uid in rows}

    known = within(data, ids)
    it = Happenings()
    it.park("c1", 3, "retrieved", retrieved_by="102")
    it.park("c2", 3, "retrieved", retrieved_by="0901234567", parked_by=None, lot="Elsewhere")
    it.park("c3", 3, "retrieved", retrieved_by="102", site="said")
    applied(data, it.events)
    c3, c2, c1 = parks(data)
    assert said(c1, "parked_by_id", "ended_by_id", "site") == (known["101"], known["102"], known["Main"])
    assert said(c2, "parked_by_id", "ended_by_id", "site") == (None, None, None)
    assert c3["site"] == "said"


def test_names_of_any_bytes_are_kept_as_far_as_a_database_takes_them(data: Path) -> None:
    it = Happenings()
    it("parked", "c1", caller_name="a\0b\udce1c", note="n\0")
    applied(data, it.events)
    assert said(one(data), "caller_name", "note") == ("a\ufffdb\ufffdc", "n\ufffd")


def test_an_event_that_was_lost_leaves_no_park_open_for_ever_and_others_alone(data: Path) -> None:
    it = Happenings()
    it("retrieved", "never-parked", retrieved_by="102")
    it("ended", "never-parked", duration_s=1.0)
    it("parked", "c1")
    it.now += 5
    it("parked", "c1")
    it("started", "c2", dialled="101")
    it("park_failed", "c2", reason="lot_full", parked_by="101")
    applied(data, it.events)
    newer, older = parks(data)
    assert said(older, "outcome", "waited_s") == ("ended", 5.0)
    assert newer["outcome"] is None
    it("reparked", "c3", code="*803", old_code="*802", round=1, parked_at=iso(START - 40))
    applied(data, it.events[-1:])
    assert said(parks(data, ParkFilter(call="c3"))[0], "parked_at", "reparks") == (START - 40, 1)


def many(accounts: Sequence[str] = ("acme",)) -> list[Any]:
    events: list[Any] = []
    for account in accounts:
        it = Happenings(account)
        for number in range(12):
            it.now = START + 60 * (number // 2)  # two at a time
            who = {"retrieved_by": f"10{number % 3}"} if number % 2 else {}
            kind = "retrieved" if number % 2 else "abandoned"
            lot, site = (("Main", "s1"), ("Depot", "s2"))[number % 4 == 0]
            it.park(f"{account}-c{number}", 5 + number, kind, code=f"*80{number % 5}", lot=lot, site=site, **who)
        it("parked", f"{account}-open")
        events += it.events
    return events


def test_pages_are_newest_first_and_nothing_is_missing_or_doubled(data: Path) -> None:
    applied(data, many())
    everything = parks(data)
    assert [row["parked_at"] for row in everything] == sorted((row["parked_at"] for row in everything), reverse=True)
    assert len(everything) == 13
    for limit in (1, 2, 5, 13):
        found: list[Any] = []
        after = None
        while page := parks(data, limit=limit, after=after):
            found += page
            after = (page[-1]["parked_at"], page[-1]["id"])
        assert found == everything
    assert parks(data, after=(START + 1e9, 2**60)) == everything
    assert parks(data, after=(-1e300, -1)) == []


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        (ParkFilter(account="acme"), lambda row: row["account"] == "acme"),
        (ParkFilter(account="acme", code="*803"), lambda row: row["account"] == "acme" and row["code"] == "*803"),
        (ParkFilter(lot="Depot"), lambda row: row["lot"] == "Depot"),
        (ParkFilter(site="s1", account="beta"), lambda row: row["site"] == "s1" and row["account"] == "beta"),
        (ParkFilter(number="101"), lambda row: "101" in (row["parked_by"], row["ended_by"])),
        (ParkFilter(number="102"), lambda row: "102" in (row["parked_by"], row["ended_by"])),
        (ParkFilter(outcome="abandoned"), lambda row: row["outcome"] == "abandoned"),
        (ParkFilter(outcome="parked"), lambda row: row["outcome"] is None),
        (ParkFilter(since=START + 60, until=START + 180), lambda row: START + 60 <= row["parked_at"] < START + 180),
        (ParkFilter(call="beta-c3"), lambda row: row["call"] == "beta-c3"),
        (ParkFilter(person="nobody"), lambda _row: False),
    ],
)
def test_filters(data: Path, wanted: ParkFilter, chosen: Any) -> None:
    applied(data, many(("acme", "beta")))
    assert parks(data, wanted) == [row for row in parks(data) if chosen(row)]


KINDS = (*STAYS, "ended", "started")


@given(st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from("ab"), st.integers(0, 100)), max_size=30), st.integers(1, 30))
def test_portions_make_no_difference_and_a_park_is_over_or_goes_on(happened: list[tuple[str, str, int]], portion: int) -> None:
    """Any order of events at all, even an impossible one."""
    it = Happenings()
    for kind, call, later in happened:
        it.now += later
        it(kind, call, retrieved_by="1", returned_to="2", old_code="*1", round=1, duration_s=1.0)
    whole = Fold({})
    stored: dict[str, Any] = {}
    last: dict[str, Any] = {}
    for start in range(0, len(it.events), portion):
        fold = Fold({call: dict(row) for call, row in last.items()})
        for event in it.events[start : start + portion]:
            if event["type"] != "call.started":
                fold.add(event)
                whole.add(event)
        for row in (*fold.changed(), *fold.new()):
            stored[row["uid"]] = row
            last[row["call"]] = row
    assert stored == {row["uid"]: row for row in whole.new()}
    for row in stored.values():
        assert (row["outcome"] is None) == (row["ended_at"] is None) == (row["waited_s"] is None)
        assert row["outcome"] in (None, *history.OUTCOMES)
    opened = [row["call"] for row in stored.values() if row["outcome"] is None]
    assert len(opened) == len(set(opened))


async def count_of(connection: AsyncConnection) -> int:
    return int((await connection.execute(select(func.count()).select_from(t.park_history))).scalar_one())


def test_a_transaction_that_is_undone_leaves_nothing(data: Path) -> None:
    it = Happenings()
    it("parked", "c1")

    async def work(store: Store) -> int:
        async def fails() -> None:
            async with store.writing() as connection:
                await history.apply(connection, it.events)
                assert await count_of(connection) == 1
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await fails()
        async with store.reading() as connection:
            return await count_of(connection)

    assert within(data, work) == 0

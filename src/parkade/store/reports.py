"""What the history of parked calls says in figures: how many, how they ended, how long callers waited, how many gave up.

Percentiles are those of the nearest rank: of ten waits the 90th is the ninth. The database computes them, in one query.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import BigInteger, Float, case, cast, func, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.functions import FunctionElement

from parkade.store import tables as t
from parkade.store.history import ParkFilter

MOST_ROWS: Final = 2000
"""How many rows a report has: those with the most parks."""
_DAY_S: Final = 86_400
_h = t.park_history.c


class By(StrEnum):
    """What the rows of a report are about. A person is who parked, a retriever who had the call at the end."""

    TOTAL = "total"
    SLOT = "slot"
    PERSON = "person"
    RETRIEVER = "retriever"
    SITE = "site"
    HOUR = "hour"
    DAY = "day"


@dataclass(frozen=True, slots=True)
class ReportRow:
    """One row. ``key`` is a code, an extension or number, the id of a site, an hour (``00``) or a day; None for nobody.

    ``parks`` counts all, ``waiting`` those that are still parked; waits are in seconds, of those that are over.
    ``abandon_rate`` is the share of callers who hung up among them. Waits and rate are None if none is over.
    """

    key: str | None
    parks: int
    waiting: int
    retrieved: int
    returned: int
    abandoned: int
    timed_out: int
    ended: int
    reparks: int
    wait_p50_s: float | None
    wait_p90_s: float | None
    wait_longest_s: float | None
    abandon_rate: float | None


NOTHING: Final = ReportRow(None, 0, 0, 0, 0, 0, 0, 0, 0, None, None, None, None)


async def report(connection: AsyncConnection, by: By, wanted: ParkFilter, zone: ZoneInfo | None = None) -> list[ReportRow]:
    """The parks of ``wanted`` by ``by``: hours and days in order, the others with the most parks first, ``MOST_ROWS`` at most.

    ``zone`` is where hours and days are told, UTC if it is None.
    """
    offsets: list[tuple[float, int]] = []
    if zone is not None and by in (By.HOUR, By.DAY):
        bounds = select(func.min(_h.parked_at), func.max(_h.parked_at)).where(wanted.condition())
        first, last = (await connection.execute(bounds)).one()
        offsets = [] if first is None else _offsets(zone, first, last)
    key = _key(by, offsets)
    over = _h.outcome.is_not(None)
    ranked = (
        select(
            key.label("key"),
            _h.outcome,
            _h.waited_s,
            _h.reparks,
            func.row_number().over(partition_by=(key, over), order_by=_h.waited_s).label("rank"),
            func.count().over(partition_by=(key, over)).label("of"),
        )
        .where(wanted.condition())
        .subquery()
        .c
    )
    query = select(
        ranked.key,
        func.count(),
        _count(ranked.outcome.is_(None)),
        *(_count(ranked.outcome == outcome) for outcome in ("retrieved", "returned", "abandoned", "timed_out", "ended")),
        func.sum(ranked.reparks),
        *(_percentile(ranked, percent) for percent in (50, 90, 100)),
    ).group_by(ranked.key)
    query = query.order_by(ranked.key) if by in (By.HOUR, By.DAY) else query.order_by(func.count().desc(), ranked.key)
    return [_row(by, row) for row in await connection.execute(query.limit(MOST_ROWS))]


def _count(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.sum(case((condition, 1), else_=0))


def _percentile(ranked: Any, percent: int) -> ColumnElement[float]:
    reached = ranked.outcome.is_not(None) & (ranked.rank * 100 >= ranked.of * percent)
    return func.min(case((reached, ranked.waited_s)))


def _key(by: By, offsets: Sequence[tuple[float, int]]) -> ColumnElement[Any]:
    plain: dict[By, ColumnElement[Any]] = {
        By.TOTAL: literal("total"),
        By.SLOT: _h.code,
        By.PERSON: _h.parked_by,
        By.RETRIEVER: _h.ended_by,
        By.SITE: _h.site,
    }
    if by in plain:
        return plain[by]
    moment: ColumnElement[float] = _h.parked_at
    if len(offsets) == 1:
        moment = moment + offsets[0][1]
    elif offsets:
        moment = moment + case(*((_h.parked_at < until, offset) for until, offset in offsets[:-1]), else_=offsets[-1][1])
    day = whole(moment / literal(float(_DAY_S), Float))
    return day if by is By.DAY else whole((moment - cast(day, Float) * _DAY_S) / literal(3600.0, Float))


def _offsets(zone: ZoneInfo, first: float, last: float) -> list[tuple[float, int]]:
    """How many seconds ``zone`` is ahead of UTC between two moments: until when, and how many."""
    found: list[tuple[float, int]] = []
    at = first
    while True:
        offset = _offset(zone, at)
        low, high = at, at
        # Clocks change at most every few weeks; a day with a change is found, then the moment in it.
        while high <= last and _offset(zone, high) == offset:
            low, high = high, high + _DAY_S
        if high > last and _offset(zone, last) == offset:
            found.append((last, offset))
            return found
        high = min(high, last)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if _offset(zone, middle) == offset else (low, middle)
        at = float(int(high))
        found.append((at, offset))


def _offset(zone: ZoneInfo, at: float) -> int:
    offset = datetime.fromtimestamp(at, zone).utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0


def _row(by: By, row: Any) -> ReportRow:
    key, parks, waiting, retrieved, returned, abandoned, timed_out, ended, reparks, p50, p90, longest = row
    if key is not None:
        key = {By.HOUR: lambda: f"{int(key):02}", By.DAY: lambda: _day(int(key))}.get(by, lambda: str(key))()
    rate = round(abandoned / (parks - waiting), 4) if parks > waiting else None
    return ReportRow(
        key, int(parks), int(waiting), int(retrieved), int(returned), int(abandoned), int(timed_out), int(ended), int(reparks),
        p50, p90, longest, rate,
    )  # fmt: skip


def _day(number: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=number)).date().isoformat()


class whole(FunctionElement[int]):  # noqa: N801 - a function of SQL
    """The whole number below a number that is not negative."""

    type = BigInteger()
    inherit_cache = True


@compiles(whole)
def _whole(element: whole, compiler: SQLCompiler, **how: Any) -> str:
    return f"CAST(floor({compiler.process(element.clauses, **how)}) AS BIGINT)"


@compiles(whole, "sqlite")
def _whole_in_sqlite(element: whole, compiler: SQLCompiler, **how: Any) -> str:
    # SQLite may be built without ``floor``; there a cast cuts off what is behind the point.
    return f"CAST({compiler.process(element.clauses, **how)} AS INTEGER)"

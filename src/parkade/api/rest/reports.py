"""What the history says in figures: parks, how they ended, how long callers waited, how many gave up."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import AfterValidator, BaseModel
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from parkade.api import spreadsheet
from parkade.api.rest.history import CSV_TOO, GivenFormat, WhichParks, wants_csv
from parkade.api.services import Use
from parkade.store import reports
from parkade.store import tables as t
from parkade.store.reports import By, ReportRow

router = APIRouter(tags=["history"])


class Figures(BaseModel):
    """`parks` counts all, `waiting` those that go on. Waits are in seconds; percentiles are those of the nearest rank.
    `abandon_rate` is the share of callers who hung up among the parks that are over."""

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


class FiguresOf(Figures):
    """`key` is a code, an extension or number, the id of a site, an hour (`00` to `23`) or a day; null for nobody and nowhere.
    `name` is that of the person or site who has it now."""

    key: str | None
    name: str | None


class Report(BaseModel):
    """`total` is about all of it, `items` about each."""

    by: By
    time_zone: str
    total: Figures
    items: list[FiguresOf]
    next: None = None


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        raise ValueError("no time zone of that name is known") from None
    return name


GivenZone = Annotated[str, AfterValidator(_known_zone), Query(max_length=64, description="Where hours and days are told.")]


@router.get("/reports/parks", response_model=Report, responses=CSV_TOO)
async def report_parks(
    wanted: WhichParks,
    use: Use,
    request: Request,
    by: Annotated[
        By, Query(description="What each row is about. `person` parked the call, `retriever` had it at the end.")
    ] = By.SLOT,
    time_zone: GivenZone = "UTC",
    format_: GivenFormat = None,
) -> Any:
    """Parks in figures."""
    zone = None if time_zone == "UTC" else ZoneInfo(time_zone)
    async with use.store.reading() as connection:
        rows = await reports.report(connection, by, wanted, zone)
        totals = await reports.report(connection, By.TOTAL, wanted)
        names = await _names(connection, by, wanted.account, [row.key for row in rows if row.key is not None])
    if wants_csv(request, format_):
        columns = ["key", "name", *(field.name for field in fields(ReportRow) if field.name != "key")]
        lines = [[asdict(row).get(name, names.get(row.key)) for name in columns] for row in rows]
        headers = {"Content-Disposition": f'attachment; filename="parks-by-{by}.csv"'}
        return Response(
            spreadsheet.lines([columns, *lines]), media_type=f"{spreadsheet.MEDIA_TYPE}; charset=utf-8", headers=headers
        )
    total = totals[0] if totals else reports.NOTHING
    return Report(
        by=by,
        time_zone=time_zone,
        total=Figures(**{name: value for name, value in asdict(total).items() if name != "key"}),
        items=[FiguresOf(name=names.get(row.key), **asdict(row)) for row in rows],
    )


async def _names(connection: AsyncConnection, by: By, account: str | None, keys: list[str]) -> dict[str | None, str]:
    of = {
        By.PERSON: (t.owner, t.owner.c.extension),
        By.RETRIEVER: (t.owner, t.owner.c.extension),
        By.SITE: (t.site, t.site.c.uid),
    }
    if by not in of:
        return {}
    table, column = of[by]
    query = (
        select(column, table.c.name).join(t.account).where(t.account.c.slug == account, column.in_(keys[: reports.MOST_ROWS]))
    )
    return {str(key): str(name) for key, name in await connection.execute(query)}

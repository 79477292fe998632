"""The history of parked calls, as JSON a page at a time or as one CSV. Whoever may not see all of it sees a part of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from parkade.api import refusals, spreadsheet
from parkade.api.auth import AccountSlug, Reach, allowed, may_see_history
from parkade.api.describe import answers
from parkade.api.models import GivenTime, Time, time, time_or_none
from parkade.api.paging import Page, Paged
from parkade.api.principal import Principal
from parkade.api.problems import Problem
from parkade.api.services import Services, Use
from parkade.edge.event_json import iso
from parkade.store import history
from parkade.store.history import ParkFilter

router = APIRouter(tags=["history"])

_PORTION = 1000


class Outcome(StrEnum):
    """How a park ended: `ended` if the call was ended by somebody else than the caller; `parked` while it goes on."""

    PARKED = "parked"
    RETRIEVED = "retrieved"
    RETURNED = "returned"
    ABANDONED = "abandoned"
    TIMED_OUT = "timed_out"
    ENDED = "ended"


class Format(StrEnum):
    JSON = "json"
    CSV = "csv"


class HistoricCaller(BaseModel):
    name: str
    number: str


class HistoricPark(BaseModel):
    """One park from start to end. `ended_by` is the number that has the call then, `waited_s` how long the caller waited."""

    id: str
    call_id: str
    code: str
    lot: str
    site: str | None
    caller: HistoricCaller
    parked_by: str | None
    parked_by_id: str | None
    note: str
    parked_at: Time
    ended_at: Time | None
    waited_s: float | None
    outcome: Outcome
    ended_by: str | None
    ended_by_id: str | None
    reparks: int


_COLUMNS = (
    "id", "call_id", "code", "lot", "site", "caller_name", "caller_number", "parked_by", "note", "parked_at", "ended_at",
    "waited_s", "outcome", "ended_by", "reparks",
)  # fmt: skip
"""Of the CSV. They never change their names; further ones come behind."""

Historian = Annotated[Principal, Depends(allowed(may_see_history))]


def which_parks(
    who: Historian,
    account: AccountSlug,
    site: Annotated[str | None, Query(max_length=100, description="The id of a site.")] = None,
    code: Annotated[str | None, Query(max_length=20, description="A parking code: `*801` or `801`.")] = None,
    person: Annotated[
        str | None, Query(max_length=100, description="The id of who parked the call or had it at the end.")
    ] = None,
    extension: Annotated[str | None, Query(max_length=100, description="The number of who did, as it was then.")] = None,
    call: Annotated[str | None, Query(max_length=100, description="The id of a call.")] = None,
    outcome: Annotated[Outcome | None, Query(description="How it ended.")] = None,
    since: Annotated[GivenTime | None, Query(description="Parked at this time or later.")] = None,
    until: Annotated[GivenTime | None, Query(description="Parked before this time.")] = None,
) -> ParkFilter:
    """The parks that are asked for, as far as ``who`` may see them."""
    if code is not None and not code.startswith("*"):
        code = f"*{code}"
    wanted = ParkFilter(
        account=account,
        site=site,
        code=code,
        person=person,
        number=extension,
        call=call,
        outcome=outcome.value if outcome else None,
        since=_seconds(since),
        until=_seconds(until),
    )
    return limited(who, wanted)


WhichParks = Annotated[ParkFilter, Depends(which_parks)]


def limited(who: Principal, wanted: ParkFilter) -> ParkFilter:
    """``wanted`` as far as ``who`` may see it. Who asks for another's is refused: an empty list would say there is nothing."""
    match may_see_history(who):
        case Reach.OWN if who.owner is not None and wanted.person in (None, who.owner):
            return replace(wanted, person=who.owner)
        case Reach.SITE if who.site is not None and wanted.site in (None, who.site):
            return replace(wanted, site=who.site)
        case Reach.ACCOUNT | Reach.INSTALLATION:
            return wanted
        case _:
            raise Problem(refusals.NOT_ALLOWED)


def wants_csv(request: Request, format_: Format | None) -> bool:
    """By ``?format=``, else by ``Accept``."""
    if format_ is not None:
        return format_ is Format.CSV
    accepted = [part.partition(";")[0].strip().lower() for part in request.headers.get("accept", "").split(",")]
    return spreadsheet.MEDIA_TYPE in accepted and "application/json" not in accepted


GivenFormat = Annotated[
    Format | None,
    Query(alias="format", description="`csv` for a spreadsheet; so does `Accept: text/csv`. Then it is all in one."),
]
CSV_TOO: dict[int | str, dict[str, Any]] = {200: {"content": {spreadsheet.MEDIA_TYPE: {"schema": {"type": "string"}}}}}


@router.get("/history/parks", response_model=Page[HistoricPark], responses=CSV_TOO | answers(refusals.BAD_CURSOR))
async def list_parks(wanted: WhichParks, paged: Paged, use: Use, request: Request, format_: GivenFormat = None) -> Any:
    """Every park, newest first."""
    if wants_csv(request, format_):
        headers = {"Content-Disposition": 'attachment; filename="parks.csv"'}
        return StreamingResponse(_csv(use, wanted), media_type=f"{spreadsheet.MEDIA_TYPE}; charset=utf-8", headers=headers)
    after = paged.after(float, int)
    async with use.store.reading() as connection:
        rows = await history.page(
            connection, wanted, paged.limit + 1, None if after is None else (float(after[0]), int(after[1]))
        )
    rows_now, following = paged.page(rows, lambda row: [row["parked_at"], row["id"]])
    return Page(items=[_park(row) for row in rows_now], next=following)


@router.get("/history/parks/{park}")
async def get_park(park: str, who: Historian, account: AccountSlug, use: Use) -> HistoricPark:
    """One park by its id."""
    async with use.store.reading() as connection:
        rows = await history.page(connection, limited(who, ParkFilter(account=account, uid=park)), 1)
    if not rows:
        raise Problem(refusals.NOT_FOUND)
    return _park(rows[0])


async def _csv(use: Services, wanted: ParkFilter) -> AsyncIterator[str]:
    """A portion at a time, each with a look of its own: a slow client must not hold the database."""
    yield spreadsheet.lines([_COLUMNS])
    after: tuple[float, int] | None = None
    while True:
        async with use.store.reading() as connection:
            rows = await history.page(connection, wanted, _PORTION, after)
        if rows:
            yield spreadsheet.lines(_csv_row(row) for row in rows)
        if len(rows) < _PORTION:
            return
        after = (rows[-1]["parked_at"], rows[-1]["id"])


def _csv_row(row: history.Row) -> list[object]:
    said = {
        **row,
        "id": row["uid"],
        "call_id": row["call"],
        "parked_at": iso(row["parked_at"]),
        "ended_at": None if row["ended_at"] is None else iso(row["ended_at"]),
        "outcome": row["outcome"] or Outcome.PARKED.value,
    }
    return [said[name] for name in _COLUMNS]


def _park(row: history.Row) -> HistoricPark:
    same = {name: row[name] for name in ("code", "lot", "site", "note", "waited_s", "reparks")}
    people = {name: row[name] for name in ("parked_by", "parked_by_id", "ended_by", "ended_by_id")}
    return HistoricPark(
        id=row["uid"],
        call_id=row["call"],
        caller=HistoricCaller(name=row["caller_name"], number=row["caller_number"]),
        parked_at=time(row["parked_at"]),
        ended_at=time_or_none(row["ended_at"]),
        outcome=Outcome(row["outcome"] or Outcome.PARKED),
        **same,
        **people,
    )


def _seconds(at: datetime | None) -> float | None:
    return None if at is None else at.timestamp()

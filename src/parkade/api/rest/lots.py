"""Park lots: their ranges of codes, and the sites they belong to. They are changed with their sites."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel
from sqlalchemy import RowMapping

from parkade.api import refusals
from parkade.api.auth import AccountSlug, allowed, may_see_parked
from parkade.api.describe import answers
from parkade.api.paging import Page, Paged, fetch_page
from parkade.api.principal import Principal
from parkade.api.problems import Problem
from parkade.api.services import Use
from parkade.store import directory_queries as queries
from parkade.store import tables as t

router = APIRouter(tags=["places"])

Viewer = Annotated[Principal, Depends(allowed(may_see_parked))]


class Lot(BaseModel):
    """``codes``: a range like ``801-899``. ``in_use``: calls can be parked there; without multi-site only in the main one."""

    id: str
    name: str
    site: str | None
    codes: str
    expiration_seconds: float | None
    in_use: bool

    @classmethod
    def of(cls, row: RowMapping) -> Lot:
        """From a row of ``queries.lots``."""
        in_use = bool(row["multi_site"]) or row["position"] == 0
        names = ("id", "name", "site", "codes", "expiration_seconds")
        return cls(**{name: row[name] for name in names}, in_use=in_use)


@router.get("/lots", responses=answers(refusals.BAD_CURSOR))
async def list_lots(who: Viewer, account: AccountSlug, use: Use, paged: Paged) -> Page[Lot]:
    """The lots of the account, in the order of their sites."""
    async with use.store.reading() as connection:
        rows, following = await fetch_page(connection, queries.lots(account), [(t.lot.c.id, int)], paged)
    return Page(items=[Lot.of(row) for row in rows], next=following)


@router.get("/lots/{lot}")
async def get_lot(who: Viewer, account: AccountSlug, use: Use, lot: Annotated[str, Path(max_length=64)]) -> Lot:
    """One lot."""
    async with use.store.reading() as connection:
        row = await queries.one(connection, queries.lots(account), t.lot.c.uid == lot)
    if row is None:
        raise Problem(refusals.NOT_FOUND)
    return Lot.of(row)

"""Phone licences: who has one. Without one nobody registers, parks or retrieves. They are given with the person."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel
from sqlalchemy import RowMapping, func

from parkade.api import refusals
from parkade.api.auth import AccountSlug, allowed, may_see_directory
from parkade.api.describe import answers
from parkade.api.paging import Page, Paged, fetch_page
from parkade.api.principal import Principal
from parkade.api.problems import Problem
from parkade.api.services import Use
from parkade.calls.directory import OwnerKind
from parkade.store import directory_queries as queries
from parkade.store import tables as t

router = APIRouter(tags=["people"])

Viewer = Annotated[Principal, Depends(allowed(may_see_directory))]


class Licence(BaseModel):
    """``id`` is that of the user or common area."""

    id: str
    kind: OwnerKind
    extension: str
    name: str
    licensed: bool

    @classmethod
    def of(cls, row: RowMapping) -> Licence:
        """From a row of ``queries.people``."""
        return cls(**{name: row[name] for name in cls.model_fields})


@router.get("/licences", responses=answers(refusals.BAD_CURSOR))
async def list_licences(
    who: Viewer, account: AccountSlug, use: Use, paged: Paged, licensed: bool | None = None
) -> Page[Licence]:
    """Who has a phone licence, and who has none."""
    query = queries.people(account)
    if licensed is not None:
        query = query.where(func.coalesce(t.owner.c.licensed, True).is_(licensed))
    async with use.store.reading() as connection:
        rows, following = await fetch_page(connection, query, queries.BY_EXTENSION, paged)
    return Page(items=[Licence.of(row) for row in rows], next=following)


@router.get("/licences/{id}")
async def get_licence(
    who: Viewer, account: AccountSlug, use: Use, id_: Annotated[str, Path(alias="id", max_length=64)]
) -> Licence:
    """Whether one user or common area has a licence."""
    async with use.store.reading() as connection:
        row = await queries.one(connection, queries.people(account), t.owner.c.uid == id_)
    if row is None:
        raise Problem(refusals.NOT_FOUND)
    return Licence.of(row)

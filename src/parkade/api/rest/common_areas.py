"""Common areas: extensions that belong to a place, like a warehouse wall."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from parkade.api import people, refusals
from parkade.api.auth import AccountSlug, allowed, may_change_directory, may_see_directory
from parkade.api.changing import Changing, Show, new_id
from parkade.api.describe import answers
from parkade.api.etags import NOT_MODIFIED, IfMatch, IfNoneMatch, etag, tagged, version_of
from parkade.api.paging import Page, Paged
from parkade.api.people import CommonArea, CommonAreaPatch, NewCommonArea
from parkade.api.principal import Principal
from parkade.api.services import Use
from parkade.store import directory_queries as queries

router = APIRouter(tags=["people"])

KIND = "common_area"
Viewer = Annotated[Principal, Depends(allowed(may_see_directory))]
Changer = Annotated[Principal, Depends(allowed(may_change_directory))]
PersonId = Annotated[str, Path(alias="id", max_length=64)]
Ref = Annotated[str | None, Query(max_length=64)]


def _show(who: Principal, account: str, id_: str) -> Show[CommonArea]:
    async def show(connection: AsyncConnection) -> CommonArea | None:
        row = await people.one(connection, account, KIND, id_)
        return None if row is None else CommonArea.of(row, who)

    return show


@router.get("/common-areas", responses=answers(refusals.BAD_CURSOR))
async def list_common_areas(
    who: Viewer,
    account: AccountSlug,
    use: Use,
    paged: Paged,
    site: Ref = None,
    group: Ref = None,
    licensed: bool | None = None,
    find: Annotated[str | None, Query(max_length=100, description="Part of a name, or the beginning of an extension.")] = None,
) -> Page[CommonArea]:
    """The common areas of the account, by extension."""
    rows, following = await people.page(use, account, KIND, paged, site=site, group=group, licensed=licensed, find=find)
    return Page(items=[CommonArea.of(row, who) for row in rows], next=following)


@router.post("/common-areas", status_code=201, responses=answers(refusals.DIRECTORY_REFUSED))
async def make_common_area(who: Changer, account: AccountSlug, use: Use, request: Request, given: NewCommonArea) -> CommonArea:
    """Make a common area."""
    id_ = given.id or new_id()
    values = await people.values_of(use, given)
    async with use.store.reading() as connection:
        allow = people.within_reach(who, await queries.main_site(connection, account))
    work = Changing(use, who, request, account, f"common-areas/{id_}")
    return await work.make(people.adding(KIND, id_, values), _show(who, account, id_), allow)


@router.get("/common-areas/{id}", response_model=CommonArea, responses=NOT_MODIFIED)
async def get_common_area(
    who: Viewer, account: AccountSlug, use: Use, response: Response, id_: PersonId, if_none_match: IfNoneMatch = None
) -> CommonArea | Response:
    """One common area."""
    async with use.store.reading() as connection:
        found = await _show(who, account, id_)(connection)
    return tagged(found, response, if_none_match)


@router.patch("/common-areas/{id}", responses=answers(refusals.DIRECTORY_REFUSED, refusals.CHANGED_MEANWHILE))
async def change_common_area(
    who: Changer,
    account: AccountSlug,
    use: Use,
    request: Request,
    response: Response,
    id_: PersonId,
    given: CommonAreaPatch,
    if_match: IfMatch = None,
) -> CommonArea:
    """Change a common area. What is not said stays; `null` takes it away."""
    values = await people.values_of(use, given)
    async with use.store.reading() as connection:
        allow = people.within_reach(who, await queries.main_site(connection, account))
    secret = ("password",) if "password_hash" in values else ()
    work = Changing(use, who, request, account, f"common-areas/{id_}", secret)
    changed = await work.change(people.changing(KIND, id_, values), _show(who, account, id_), allow, if_match)
    response.headers["ETag"] = etag(version_of(changed))
    return changed


@router.delete("/common-areas/{id}", status_code=204, responses=answers(refusals.DIRECTORY_REFUSED, refusals.CHANGED_MEANWHILE))
async def remove_common_area(
    who: Changer, account: AccountSlug, use: Use, request: Request, id_: PersonId, if_match: IfMatch = None
) -> None:
    """Remove a common area with its phones. Calls that are under way go on."""
    async with use.store.reading() as connection:
        allow = people.within_reach(who, await queries.main_site(connection, account))
    work = Changing(use, who, request, account, f"common-areas/{id_}")
    await work.remove(people.removing(KIND, id_), _show(who, account, id_), allow, if_match)

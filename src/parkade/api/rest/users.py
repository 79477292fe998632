"""Users: people with an extension, phones, and perhaps a log-in."""

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
from parkade.api.people import NewUser, User, UserPatch
from parkade.api.principal import Principal
from parkade.api.services import Use
from parkade.store import directory_queries as queries
from parkade.store import tokens

router = APIRouter(tags=["people"])

KIND = "user"
Viewer = Annotated[Principal, Depends(allowed(may_see_directory))]
Changer = Annotated[Principal, Depends(allowed(may_change_directory))]
PersonId = Annotated[str, Path(alias="id", max_length=64)]
Ref = Annotated[str | None, Query(max_length=64)]


def _show(who: Principal, account: str, id_: str) -> Show[User]:
    async def show(connection: AsyncConnection) -> User | None:
        row = await people.one(connection, account, KIND, id_)
        return None if row is None else User.of(row, who)

    return show


@router.get("/users", responses=answers(refusals.BAD_CURSOR))
async def list_users(
    who: Viewer,
    account: AccountSlug,
    use: Use,
    paged: Paged,
    site: Ref = None,
    group: Ref = None,
    licensed: bool | None = None,
    find: Annotated[str | None, Query(max_length=100, description="Part of a name, or the beginning of an extension.")] = None,
) -> Page[User]:
    """The users of the account, by extension."""
    rows, following = await people.page(use, account, KIND, paged, site=site, group=group, licensed=licensed, find=find)
    return Page(items=[User.of(row, who) for row in rows], next=following)


@router.post("/users", status_code=201, responses=answers(refusals.DIRECTORY_REFUSED))
async def make_user(who: Changer, account: AccountSlug, use: Use, request: Request, given: NewUser) -> User:
    """Make a user."""
    id_ = given.id or new_id()
    values = await people.values_of(use, given)
    async with use.store.reading() as connection:
        allow = people.within_reach(who, await queries.main_site(connection, account))
    work = Changing(use, who, request, account, f"users/{id_}")
    return await work.make(people.adding(KIND, id_, values), _show(who, account, id_), allow)


@router.get("/users/{id}", response_model=User, responses=NOT_MODIFIED)
async def get_user(
    who: Viewer, account: AccountSlug, use: Use, response: Response, id_: PersonId, if_none_match: IfNoneMatch = None
) -> User | Response:
    """One user."""
    async with use.store.reading() as connection:
        found = await _show(who, account, id_)(connection)
    return tagged(found, response, if_none_match)


@router.patch("/users/{id}", responses=answers(refusals.DIRECTORY_REFUSED, refusals.CHANGED_MEANWHILE))
async def change_user(
    who: Changer,
    account: AccountSlug,
    use: Use,
    request: Request,
    response: Response,
    id_: PersonId,
    given: UserPatch,
    if_match: IfMatch = None,
) -> User:
    """Change a user. What is not said stays; `null` takes it away."""
    values = await people.values_of(use, given)
    async with use.store.reading() as connection:
        allow = people.within_reach(who, await queries.main_site(connection, account))
    secret = ("password",) if "password_hash" in values else ()
    work = Changing(use, who, request, account, f"users/{id_}", secret)
    changed = await work.change(people.changing(KIND, id_, values), _show(who, account, id_), allow, if_match)
    if secret and changed.login is not None:
        async with use.store.writing() as connection:
            await tokens.end_sessions(connection, changed.login, but=who.token)
    response.headers["ETag"] = etag(version_of(changed))
    return changed


@router.delete("/users/{id}", status_code=204, responses=answers(refusals.DIRECTORY_REFUSED, refusals.CHANGED_MEANWHILE))
async def remove_user(
    who: Changer, account: AccountSlug, use: Use, request: Request, id_: PersonId, if_match: IfMatch = None
) -> None:
    """Remove a user with its phones. Calls that are under way go on."""
    async with use.store.reading() as connection:
        allow = people.within_reach(who, await queries.main_site(connection, account))
    work = Changing(use, who, request, account, f"users/{id_}")
    await work.remove(people.removing(KIND, id_), _show(who, account, id_), allow, if_match)

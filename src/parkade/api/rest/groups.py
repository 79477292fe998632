"""User groups: people with settings in common. (Ring groups and paging groups are extensions, and another thing.)"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BaseModel
from sqlalchemy import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from parkade.api import refusals
from parkade.api.auth import AccountSlug, allowed, may_change_account, may_see_directory
from parkade.api.changing import Changing, Show, entry_of, new_id, put_values
from parkade.api.describe import answers
from parkade.api.etags import NOT_MODIFIED, IfMatch, IfNoneMatch, etag, tagged, version_of
from parkade.api.models import Body
from parkade.api.paging import Page, Paged, fetch_page
from parkade.api.principal import Principal
from parkade.api.services import Use
from parkade.store import directory_queries as queries
from parkade.store import tables as t
from parkade.store.directory_edit import Tree
from parkade.store.directory_model import Id, Text

router = APIRouter(tags=["people"])

Viewer = Annotated[Principal, Depends(allowed(may_see_directory))]
Changer = Annotated[Principal, Depends(allowed(may_change_account))]
GroupId = Annotated[str, Path(alias="id", max_length=64)]


class UserGroup(BaseModel):
    """``members``: how many people are in it."""

    id: str
    name: str
    members: int

    @classmethod
    def of(cls, row: RowMapping) -> UserGroup:
        """From a row of ``queries.groups``."""
        return cls(**{name: row[name] for name in cls.model_fields})


class NewGroup(Body):
    id: Id | None = None
    name: Text


class GroupPatch(Body):
    name: Text | None = None


def _show(account: str, id_: str) -> Show[UserGroup]:
    async def show(connection: AsyncConnection) -> UserGroup | None:
        row = await queries.one(connection, queries.groups(account), t.user_group.c.uid == id_)
        return None if row is None else UserGroup.of(row)

    return show


@router.get("/groups", responses=answers(refusals.BAD_CURSOR))
async def list_groups(who: Viewer, account: AccountSlug, use: Use, paged: Paged) -> Page[UserGroup]:
    """The user groups of the account. `GET /users?group=` has the people."""
    order = [(t.user_group.c.position, int), (t.user_group.c.id, int)]
    async with use.store.reading() as connection:
        rows, following = await fetch_page(connection, queries.groups(account), order, paged)
    return Page(items=[UserGroup.of(row) for row in rows], next=following)


@router.post("/groups", status_code=201, responses=answers(refusals.DIRECTORY_REFUSED))
async def make_group(who: Changer, account: AccountSlug, use: Use, request: Request, given: NewGroup) -> UserGroup:
    """Make a user group. People are put into it by `PATCH /users/{id}`."""
    id_ = given.id or new_id()

    def edit(tree: Tree) -> None:
        tree.setdefault("user_groups", []).append({"id": id_, "name": given.name})

    return await Changing(use, who, request, account, f"groups/{id_}").make(edit, _show(account, id_))


@router.get("/groups/{id}", response_model=UserGroup, responses=NOT_MODIFIED)
async def get_group(
    who: Viewer, account: AccountSlug, use: Use, response: Response, id_: GroupId, if_none_match: IfNoneMatch = None
) -> UserGroup | Response:
    """One user group."""
    async with use.store.reading() as connection:
        found = await _show(account, id_)(connection)
    return tagged(found, response, if_none_match)


@router.patch("/groups/{id}", responses=answers(refusals.DIRECTORY_REFUSED, refusals.CHANGED_MEANWHILE))
async def change_group(
    who: Changer,
    account: AccountSlug,
    use: Use,
    request: Request,
    response: Response,
    id_: GroupId,
    given: GroupPatch,
    if_match: IfMatch = None,
) -> UserGroup:
    """Rename a user group."""

    def edit(tree: Tree) -> None:
        group = entry_of(tree, "user_groups", id_)
        was = group["name"]
        put_values(group, given.model_dump(exclude_unset=True))
        for person in (*tree.get("users", ()), *tree.get("common_areas", ())):
            if person.get("group") == was:
                put_values(person, {"group": group.get("name")})

    changed = await Changing(use, who, request, account, f"groups/{id_}").change(edit, _show(account, id_), if_match=if_match)
    response.headers["ETag"] = etag(version_of(changed))
    return changed


@router.delete("/groups/{id}", status_code=204, responses=answers(refusals.DIRECTORY_REFUSED, refusals.CHANGED_MEANWHILE))
async def remove_group(
    who: Changer, account: AccountSlug, use: Use, request: Request, id_: GroupId, if_match: IfMatch = None
) -> None:
    """Remove a user group. Its people are in none then."""

    def edit(tree: Tree) -> None:
        group = entry_of(tree, "user_groups", id_)
        tree["user_groups"].remove(group)
        for person in (*tree.get("users", ()), *tree.get("common_areas", ())):
            if person.get("group") == group["name"]:
                del person["group"]

    await Changing(use, who, request, account, f"groups/{id_}").remove(edit, _show(account, id_), if_match=if_match)

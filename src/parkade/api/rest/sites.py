"""Sites of an account, each with its park lot. The first one is the main one; people at no site belong to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BaseModel, Field
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
from parkade.store.directory_model import Codes, Id, Text

router = APIRouter(tags=["places"])

Viewer = Annotated[Principal, Depends(allowed(may_see_directory))]
Changer = Annotated[Principal, Depends(allowed(may_change_account))]
SiteId = Annotated[str, Path(alias="id", max_length=64)]


class Site(BaseModel):
    """``lot`` is the id of its lot, ``codes`` the range of it, ``main`` whether it is the account's main site."""

    id: str
    name: str
    main: bool
    lot: str
    codes: str
    expiration_seconds: float | None

    @classmethod
    def of(cls, row: RowMapping) -> Site:
        """From a row of ``queries.sites``."""
        said = {name: row[name] for name in ("id", "name", "lot", "codes", "expiration_seconds")}
        return cls(**said, main=row["position"] == 0)


class SiteBody(Body):
    codes: Codes | None = None
    expiration_seconds: Annotated[float | None, Field(gt=0, le=86400)] = None


class NewSite(SiteBody):
    id: Id | None = None
    name: Text


class SitePatch(SiteBody):
    name: Text | None = None


def _show(account: str, id_: str) -> Show[Site]:
    async def show(connection: AsyncConnection) -> Site | None:
        row = await queries.one(connection, queries.sites(account), t.site.c.uid == id_)
        return None if row is None else Site.of(row)

    return show


def _putting(id_: str, values: dict[str, Any]) -> Callable[[Tree], None]:
    def edit(tree: Tree) -> None:
        site = entry_of(tree, "sites", id_)
        park, was = site.get("park", {}), site["name"]
        if "name" in values:
            put_values(site, {"name": values["name"]})
            for one in (*tree.get("users", ()), *tree.get("common_areas", ()), *tree.get("admins", ())):
                if one.get("site") == was:
                    one["site"] = values["name"]
        put_values(park, {name: values[name] for name in ("codes", "expiration_seconds") if name in values})
        put_values(site, {"park": park or None})

    return edit


@router.get("/sites", responses=answers(refusals.BAD_CURSOR))
async def list_sites(who: Viewer, account: AccountSlug, use: Use, paged: Paged) -> Page[Site]:
    """The sites of the account, the main one first."""
    order = [(t.site.c.position, int), (t.site.c.id, int)]
    async with use.store.reading() as connection:
        rows, following = await fetch_page(connection, queries.sites(account), order, paged)
    return Page(items=[Site.of(row) for row in rows], next=following)


@router.post("/sites", status_code=201, responses=answers(refusals.DIRECTORY_REFUSED))
async def make_site(who: Changer, account: AccountSlug, use: Use, request: Request, given: NewSite) -> Site:
    """Make a site, with a lot of its own. An account without sites gets its lot as the first one."""
    id_ = given.id or new_id()

    def edit(tree: Tree) -> None:
        tree.setdefault("sites", []).append({"id": id_, "name": given.name})
        _putting(id_, given.model_dump(exclude_unset=True))(tree)

    return await Changing(use, who, request, account, f"sites/{id_}").make(edit, _show(account, id_))


@router.get("/sites/{id}", response_model=Site, responses=NOT_MODIFIED)
async def get_site(
    who: Viewer, account: AccountSlug, use: Use, response: Response, id_: SiteId, if_none_match: IfNoneMatch = None
) -> Site | Response:
    """One site."""
    async with use.store.reading() as connection:
        found = await _show(account, id_)(connection)
    return tagged(found, response, if_none_match)


@router.patch("/sites/{id}", responses=answers(refusals.DIRECTORY_REFUSED, refusals.CHANGED_MEANWHILE))
async def change_site(
    who: Changer,
    account: AccountSlug,
    use: Use,
    request: Request,
    response: Response,
    id_: SiteId,
    given: SitePatch,
    if_match: IfMatch = None,
) -> Site:
    """Change a site or the codes of its lot. Whoever is parked at a code that is gone can still be retrieved there."""
    work = Changing(use, who, request, account, f"sites/{id_}")
    changed = await work.change(_putting(id_, given.model_dump(exclude_unset=True)), _show(account, id_), if_match=if_match)
    response.headers["ETag"] = etag(version_of(changed))
    return changed


@router.delete("/sites/{id}", status_code=204, responses=answers(refusals.DIRECTORY_REFUSED, refusals.CHANGED_MEANWHILE))
async def remove_site(
    who: Changer, account: AccountSlug, use: Use, request: Request, id_: SiteId, if_match: IfMatch = None
) -> None:
    """Remove a site and its administrators. Its people belong to the main one then."""

    def edit(tree: Tree) -> None:
        site = entry_of(tree, "sites", id_)
        tree["sites"].remove(site)
        for person in (*tree.get("users", ()), *tree.get("common_areas", ())):
            if person.get("site") == site["name"]:
                del person["site"]
        tree["admins"] = [admin for admin in tree.get("admins", ()) if admin.get("site") != site["name"]]

    await Changing(use, who, request, account, f"sites/{id_}").remove(edit, _show(account, id_), if_match=if_match)

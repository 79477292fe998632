"""Accounts: the tenants of an installation. Its administrator makes and removes them; others see their own."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel
from sqlalchemy import RowMapping, or_
from sqlalchemy.ext.asyncio import AsyncConnection

from parkade.api import refusals
from parkade.api.auth import allowed, may_change_account, may_run_installation, may_see_accounts
from parkade.api.changing import Changing, Show, felt, put_values
from parkade.api.describe import answers
from parkade.api.etags import NOT_MODIFIED, IfMatch, IfNoneMatch, etag, must_match, tagged, version_of
from parkade.api.models import Body
from parkade.api.paging import Page, Paged, fetch_page
from parkade.api.principal import Principal
from parkade.api.problems import Problem
from parkade.api.services import Use
from parkade.store import audit, directory_edit
from parkade.store import directory_queries as queries
from parkade.store import tables as t
from parkade.store.audit import AuditEntry
from parkade.store.directory_edit import Tree
from parkade.store.directory_model import Language, Slug, Text

router = APIRouter(tags=["accounts"])

Viewer = Annotated[Principal, Depends(allowed(may_see_accounts))]
Changer = Annotated[Principal, Depends(allowed(may_change_account))]
Operator = Annotated[Principal, Depends(allowed(may_run_installation))]
SlugPath = Annotated[str, Path(max_length=64)]


class Account(BaseModel):
    """An account is known by its slug, which never changes."""

    slug: str
    name: str
    language: str | None
    multi_site: bool

    @classmethod
    def of(cls, row: RowMapping) -> Account:
        """From a row of ``queries.accounts``."""
        said = {name: row[name] for name in ("slug", "name", "language")}
        return cls(**said, multi_site=bool(row["multi_site"]))


class AccountBody(Body):
    language: Language | None = None
    multi_site: bool | None = None


class NewAccount(AccountBody):
    slug: Slug
    name: Text


class AccountPatch(AccountBody):
    name: Text | None = None


def _show(slug: str) -> Show[Account]:
    async def show(connection: AsyncConnection) -> Account | None:
        row = await queries.one(connection, queries.accounts(), t.account.c.slug == slug)
        return None if row is None else Account.of(row)

    return show


@router.get("/accounts", responses=answers(refusals.BAD_CURSOR))
async def list_accounts(
    who: Viewer,
    use: Use,
    paged: Paged,
    find: Annotated[str | None, Query(max_length=100, description="Part of a name, or the beginning of a slug.")] = None,
) -> Page[Account]:
    """The accounts of the installation; for everybody else the own one."""
    query = queries.accounts()
    if who.account is not None:
        query = query.where(t.account.c.slug == who.account)
    if find:
        part = t.account.c.name.icontains(find, autoescape=True)
        query = query.where(or_(part, t.account.c.slug.startswith(find, autoescape=True)))
    async with use.store.reading() as connection:
        rows, following = await fetch_page(connection, query, [(t.account.c.slug, str)], paged)
    return Page(items=[Account.of(row) for row in rows], next=following)


@router.post("/accounts", status_code=201, responses=answers(refusals.DIRECTORY_REFUSED, refusals.ALREADY_THERE))
async def make_account(who: Operator, use: Use, request: Request, given: NewAccount) -> Account:
    """Make an account, without people. `POST /admins?account=` gives it an administrator."""

    def edit(tree: Tree) -> None:
        if "name" in tree:
            raise Problem(refusals.ALREADY_THERE)
        put_values(tree, given.model_dump(exclude_unset=True))

    return await Changing(use, who, request, given.slug, f"accounts/{given.slug}").make(edit, _show(given.slug))


@router.get("/accounts/{slug}", response_model=Account, responses=NOT_MODIFIED)
async def get_account(
    who: Viewer, use: Use, response: Response, slug: SlugPath, if_none_match: IfNoneMatch = None
) -> Account | Response:
    """One account."""
    _mine(who, slug)
    async with use.store.reading() as connection:
        found = await _show(slug)(connection)
    return tagged(found, response, if_none_match)


@router.patch("/accounts/{slug}", responses=answers(refusals.DIRECTORY_REFUSED, refusals.CHANGED_MEANWHILE))
async def change_account(
    who: Changer,
    use: Use,
    request: Request,
    response: Response,
    slug: SlugPath,
    given: AccountPatch,
    if_match: IfMatch = None,
) -> Account:
    """Change the name of an account, its language, whether it has several sites."""
    _mine(who, slug)
    work = Changing(use, who, request, slug, f"accounts/{slug}")
    values = given.model_dump(exclude_unset=True)
    changed = await work.change(lambda tree: put_values(tree, values), _show(slug), if_match=if_match)
    response.headers["ETag"] = etag(version_of(changed))
    return changed


@router.delete("/accounts/{slug}", status_code=204, responses=answers(refusals.CHANGED_MEANWHILE))
async def remove_account(who: Operator, use: Use, request: Request, slug: SlugPath, if_match: IfMatch = None) -> None:
    """Remove an account with all that it has. Its history stays until it is too old."""
    async with use.store.writing() as connection:
        before = await _show(slug)(connection)
        if before is None:
            raise Problem(refusals.NOT_FOUND)
        must_match(if_match, version_of(before))
        await directory_edit.remove_account(connection, slug)
        address = request.client.host if request.client else None
        what = (slug, use.now(), who.by, who.role, "delete", f"accounts/{slug}", before.model_dump(), None, address)
        await audit.add(connection, AuditEntry(*what))
    await felt(use)


def _mine(who: Principal, slug: str) -> None:
    if who.account not in (None, slug):
        raise Problem(refusals.NOT_FOUND)

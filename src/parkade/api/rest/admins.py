"""Who administers an account, or one site of it, by log-in. Users who log in are changed with the person."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from pydantic import BaseModel, Field
from sqlalchemy import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from parkade.api import refusals
from parkade.api.auth import AccountSlug, allowed, may_change_account
from parkade.api.changing import Changing, Show, hashed, name_of, put_values
from parkade.api.describe import answers
from parkade.api.models import Body
from parkade.api.paging import Page, Paged, fetch_page
from parkade.api.principal import Principal
from parkade.api.problems import Problem
from parkade.api.services import Use
from parkade.store import directory_queries as queries
from parkade.store import tables as t
from parkade.store import tokens
from parkade.store.directory_edit import Tree
from parkade.store.directory_model import Login, Secret

router = APIRouter(tags=["accounts"])

Changer = Annotated[Principal, Depends(allowed(may_change_account))]
LoginPath = Annotated[str, Path(max_length=200)]


class Admin(BaseModel):
    """``site`` is the id of the site that is administered, null for the whole account."""

    login: str
    site: str | None

    @classmethod
    def of(cls, row: RowMapping) -> Admin:
        """From a row of ``queries.admins``."""
        return cls(login=row["login"], site=row["site"])


class NewAdmin(Body):
    login: Annotated[Login, Field(max_length=200)]
    password: Secret
    site: Annotated[str, Field(max_length=64)] | None = None


class AdminPatch(Body):
    password: Secret | None = None
    site: Annotated[str, Field(max_length=64)] | None = None


def _show(account: str, login: str) -> Show[Admin]:
    async def show(connection: AsyncConnection) -> Admin | None:
        row = await queries.one(connection, queries.admins(account), t.login.c.name == login)
        return None if row is None else Admin.of(row)

    return show


def _entry(tree: Tree, login: str) -> Tree:
    for admin in tree.get("admins", ()):
        if admin["login"] == login:
            found: Tree = admin
            return found
    raise Problem(refusals.NOT_FOUND)


@router.get("/admins", responses=answers(refusals.BAD_CURSOR))
async def list_admins(who: Changer, account: AccountSlug, use: Use, paged: Paged) -> Page[Admin]:
    """The administrators of the account and of its sites."""
    async with use.store.reading() as connection:
        rows, following = await fetch_page(connection, queries.admins(account), [(t.login.c.name, str)], paged)
    return Page(items=[Admin.of(row) for row in rows], next=following)


@router.post("/admins", status_code=201, responses=answers(refusals.DIRECTORY_REFUSED))
async def make_admin(who: Changer, account: AccountSlug, use: Use, request: Request, given: NewAdmin) -> Admin:
    """Make an administrator of the account, or of a site."""
    password_hash = await hashed(use, given.password)

    def edit(tree: Tree) -> None:
        entry = {"login": given.login, "password_hash": password_hash}
        put_values(entry, {"site": name_of(tree, "sites", given.site, "body.site")})
        tree.setdefault("admins", []).append(entry)

    work = Changing(use, who, request, account, f"admins/{given.login}", ("password",))
    return await work.make(edit, _show(account, given.login))


@router.patch("/admins/{login}", responses=answers(refusals.DIRECTORY_REFUSED))
async def change_admin(
    who: Changer, account: AccountSlug, use: Use, request: Request, login: LoginPath, given: AdminPatch
) -> Admin:
    """Set a new password (sessions end), or another site."""
    values = given.model_dump(exclude_unset=True)
    password_hash = await hashed(use, values.get("password"))

    def edit(tree: Tree) -> None:
        entry = _entry(tree, login)
        if "site" in values:
            put_values(entry, {"site": name_of(tree, "sites", values["site"], "body.site")})
        if password_hash is not None:
            entry["password_hash"] = password_hash

    secret = ("password",) if password_hash else ()
    changed = await Changing(use, who, request, account, f"admins/{login}", secret).change(edit, _show(account, login))
    if password_hash is not None:
        async with use.store.writing() as connection:
            await tokens.end_sessions(connection, login, but=who.token)
    return changed


@router.delete("/admins/{login}", status_code=204, responses=answers(refusals.DIRECTORY_REFUSED))
async def remove_admin(who: Changer, account: AccountSlug, use: Use, request: Request, login: LoginPath) -> None:
    """Remove an administrator, with the tokens that he or she has made."""

    def edit(tree: Tree) -> None:
        tree["admins"].remove(_entry(tree, login))

    await Changing(use, who, request, account, f"admins/{login}").remove(edit, _show(account, login))

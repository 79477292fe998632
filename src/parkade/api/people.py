"""Users and common areas: what they look like, and how they are made, changed and removed. The endpoints are in ``rest/``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BaseModel, Field
from sqlalchemy import RowMapping, func, or_
from sqlalchemy.ext.asyncio import AsyncConnection

from parkade.api import refusals
from parkade.api.auth import Reach, may_change_directory
from parkade.api.changing import entry_of, hashed, name_of, put_values
from parkade.api.models import Body
from parkade.api.paging import Wanted, fetch_page
from parkade.api.principal import Principal, Role
from parkade.api.problems import Problem
from parkade.api.services import Services
from parkade.store import directory_queries as queries
from parkade.store import tables as t
from parkade.store.directory_edit import Tree
from parkade.store.directory_model import Extension, Id, Language, Login, Secret, Text

KEYS = {"user": "users", "common_area": "common_areas"}
Ref = Annotated[str, Field(max_length=64)]


class PersonShown(BaseModel):
    """``site`` and ``group`` are ids; at no site: at the main one."""

    id: str
    extension: str
    name: str
    language: str | None
    licensed: bool
    site: str | None
    group: str | None


class User(PersonShown):
    """``login`` is for administrators to see."""

    voicemail: bool | None
    login: str | None

    @classmethod
    def of(cls, row: RowMapping, who: Principal) -> User:
        """From a row of ``queries.people``, as ``who`` may see it."""
        shown = {name: row[name] for name in cls.model_fields}
        if who.role is Role.USER and who.owner != row["id"]:
            shown["login"] = None
        return cls(**shown)


class CommonArea(PersonShown):
    @classmethod
    def of(cls, row: RowMapping, _: Principal) -> CommonArea:
        """From a row of ``queries.people``."""
        return cls(**{name: row[name] for name in cls.model_fields})


class PersonBody(Body):
    language: Language | None = None
    licensed: bool | None = None
    site: Ref | None = None
    group: Ref | None = None


class UserBody(PersonBody):
    """A password is never shown again."""

    voicemail: bool | None = None
    login: Login | None = None
    password: Secret | None = None


class NewUser(UserBody):
    id: Id | None = None
    extension: Extension
    name: Text


class UserPatch(UserBody):
    extension: Extension | None = None
    name: Text | None = None


class NewCommonArea(PersonBody):
    id: Id | None = None
    extension: Extension
    name: Text


class CommonAreaPatch(PersonBody):
    extension: Extension | None = None
    name: Text | None = None


async def page(
    use: Services,
    account: str,
    kind: str,
    paged: Wanted,
    *,
    site: str | None,
    group: str | None,
    licensed: bool | None,
    find: str | None,
) -> tuple[list[RowMapping], str | None]:
    """People of a kind, by extension."""
    query = queries.people(account, kind)
    async with use.store.reading() as connection:
        if site is not None:
            there = t.site.c.uid == site
            main = await queries.main_site(connection, account)
            query = query.where(or_(there, t.owner.c.site_id.is_(None)) if site == main else there)
        if group is not None:
            query = query.where(t.user_group.c.uid == group)
        if licensed is not None:
            query = query.where(func.coalesce(t.owner.c.licensed, True).is_(licensed))
        if find:
            part = t.owner.c.name.icontains(find, autoescape=True)
            query = query.where(or_(part, t.owner.c.extension.startswith(find, autoescape=True)))
        return await fetch_page(connection, query, queries.BY_EXTENSION, paged)


async def one(connection: AsyncConnection, account: str, kind: str, id_: str) -> RowMapping | None:
    """One of them."""
    return await queries.one(connection, queries.people(account, kind), t.owner.c.uid == id_)


def within_reach(who: Principal, main_site: str | None) -> Callable[[PersonShown], None]:
    """Whether ``who`` may change somebody: a site's administrator those at the site, before and after."""

    def allow(person: PersonShown) -> None:
        if may_change_directory(who) is Reach.SITE and (person.site or main_site) != who.site:
            raise Problem(refusals.NOT_ALLOWED)

    return allow


async def values_of(use: Services, given: BaseModel) -> dict[str, Any]:
    """What somebody has said, with the hash of a password in its place."""
    values = given.model_dump(exclude_unset=True)
    if "password" in values:
        values["password_hash"] = await hashed(use, values.pop("password"))
    return values


def adding(kind: str, id_: str, values: dict[str, Any]) -> Callable[[Tree], None]:
    """An edit that makes somebody."""

    def edit(tree: Tree) -> None:
        entry: Tree = {"id": id_}
        _put(tree, entry, values)
        tree.setdefault(KEYS[kind], []).append(entry)

    return edit


def changing(kind: str, id_: str, values: dict[str, Any]) -> Callable[[Tree], None]:
    """An edit that changes somebody."""

    def edit(tree: Tree) -> None:
        _put(tree, entry_of(tree, KEYS[kind], id_), values)

    return edit


def removing(kind: str, id_: str) -> Callable[[Tree], None]:
    """An edit that removes somebody, with the phones."""

    def edit(tree: Tree) -> None:
        tree[KEYS[kind]].remove(entry_of(tree, KEYS[kind], id_))

    return edit


def _put(tree: Tree, entry: Tree, values: dict[str, Any]) -> None:
    values = dict(values)
    values.pop("id", None)
    if "site" in values:
        values["site"] = name_of(tree, "sites", values["site"], "body.site")
    if "group" in values:
        values["group"] = name_of(tree, "user_groups", values["group"], "body.group")
    if values.get("login", "") is None:
        values["password_hash"] = None
    put_values(entry, values)

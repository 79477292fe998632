"""What is in the directory, a list at a time: queries of one account each, and what one thing is by its id.

The columns are what the API shows; ids are those of everybody else (``uid``). Whoever runs a query orders it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, ScalarSelect, Select, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from parkade.calls.directory import DEFAULT_CODES
from parkade.store import tables as t

BY_EXTENSION: Sequence[tuple[ColumnElement[Any], type]] = (
    (func.length(t.owner.c.extension), int),
    (t.owner.c.extension, str),
)
"""The order of people: 101 before 1001."""


def account_id(slug: str) -> ScalarSelect[Any]:
    """The row id of an account, for use in a query."""
    return select(t.account.c.id).where(t.account.c.slug == slug).scalar_subquery()


def accounts() -> Select[Any]:
    """Every account."""
    own = t.account.c
    return select(own.uid.label("id"), own.slug, own.name, own.language, own.multi_site)


def sites(slug: str) -> Select[Any]:
    """The sites of an account. The one at position 0 is the main one."""
    own, joined = t.site.c, t.site.outerjoin(t.lot, t.lot.c.site_id == t.site.c.id)
    codes = func.coalesce(t.lot.c.codes, DEFAULT_CODES).label("codes")
    columns = (own.uid.label("id"), own.name, own.position, t.lot.c.uid.label("lot"), codes, t.lot.c.expiration_seconds)
    return select(*columns).select_from(joined).where(own.account_id == account_id(slug))


def lots(slug: str) -> Select[Any]:
    """The lots of an account, with the site of each."""
    joined = t.lot.outerjoin(t.site, t.site.c.id == t.lot.c.site_id).join(t.account, t.account.c.id == t.lot.c.account_id)
    codes = func.coalesce(t.lot.c.codes, DEFAULT_CODES).label("codes")
    columns = (t.lot.c.uid.label("id"), t.site.c.uid.label("site"), func.coalesce(t.site.c.name, "").label("name"), codes)
    position = func.coalesce(t.site.c.position, 0).label("position")
    query = select(*columns, t.lot.c.expiration_seconds, position, t.account.c.multi_site).select_from(joined)
    return query.where(t.lot.c.account_id == account_id(slug))


def groups(slug: str) -> Select[Any]:
    """The user groups of an account."""
    own = t.user_group.c
    members = select(func.count()).where(t.owner.c.user_group_id == own.id).scalar_subquery().label("members")
    return select(own.uid.label("id"), own.name, own.position, members).where(own.account_id == account_id(slug))


def people(slug: str, kind: str | None = None) -> Select[Any]:
    """Users (``user``), common areas (``common_area``) or both."""
    own = t.owner.c
    joined = (
        t.owner.outerjoin(t.site, t.site.c.id == own.site_id)
        .outerjoin(t.user_group, t.user_group.c.id == own.user_group_id)
        .outerjoin(t.login, t.login.c.owner_id == own.id)
    )
    columns = (own.uid.label("id"), own.kind, own.extension, own.name, own.language, own.voicemail)
    licensed = func.coalesce(own.licensed, True).label("licensed")
    names = (t.site.c.uid.label("site"), t.user_group.c.uid.label("group"), t.login.c.name.label("login"))
    query = select(*columns, licensed, *names).select_from(joined).where(own.account_id == account_id(slug))
    return query if kind is None else query.where(own.kind == kind)


def devices(slug: str) -> Select[Any]:
    """The devices of an account."""
    own = t.device.c
    joined = t.device.outerjoin(t.owner, t.owner.c.id == own.owner_id).outerjoin(t.site, t.site.c.id == t.owner.c.site_id)
    columns = (own.uid.label("id"), own.username, own.address, own.destination.label("to"), own.model, own.mac)
    whose = (t.owner.c.uid.label("owner"), t.owner.c.extension, t.site.c.uid.label("site"))
    return select(*columns, *whose).select_from(joined).where(own.account_id == account_id(slug))


async def one(connection: AsyncConnection, query: Select[Any], condition: ColumnElement[bool]) -> RowMapping | None:
    """The row of ``query`` of which ``condition`` holds."""
    row: RowMapping | None = (await connection.execute(query.where(condition))).mappings().first()
    return row


async def all_of(connection: AsyncConnection, query: Select[Any]) -> list[RowMapping]:
    """Every row of ``query``; for what there are few of."""
    return list((await connection.execute(query)).mappings())


async def main_site(connection: AsyncConnection, slug: str) -> str | None:
    """The id of the first site of an account: where everybody is who is at no other."""
    own = t.site.c
    query = select(own.uid).where(own.account_id == account_id(slug)).order_by(own.position).limit(1)
    found: str | None = (await connection.execute(query)).scalar()
    return found


async def extensions_at(connection: AsyncConnection, slug: str, site: str | None) -> frozenset[str]:
    """The extensions of everybody at the site with that id; who is at no site belongs to the main one."""
    there = t.site.c.uid == site
    if site == await main_site(connection, slug):
        there = or_(there, t.owner.c.site_id.is_(None))
    joined = t.owner.outerjoin(t.site, t.site.c.id == t.owner.c.site_id)
    query = select(t.owner.c.extension).select_from(joined).where(t.owner.c.account_id == account_id(slug), there)
    return frozenset((await connection.execute(query)).scalars())


def _keys() -> Select[Any]:
    key = t.device_key.c
    columns = (t.device.c.uid.label("device"), key.type, key.value, key.label)
    joined = t.device_key.join(t.device, t.device.c.id == key.device_id)
    return select(*columns).select_from(joined).order_by(key.device_id, key.position)


async def keys_of(connection: AsyncConnection, device: str) -> list[RowMapping]:
    """The programmable keys of a device, by its id."""
    return await all_of(connection, _keys().where(t.device.c.uid == device))


async def keys_of_account(connection: AsyncConnection, slug: str) -> dict[str, list[RowMapping]]:
    """The programmable keys of every device of an account, by the id of the device."""
    found: dict[str, list[RowMapping]] = {}
    for row in await all_of(connection, _keys().where(t.device.c.account_id == account_id(slug))):
        found.setdefault(row["device"], []).append(row)
    return found


def admins(slug: str) -> Select[Any]:
    """Who administers an account, or a site of it."""
    own, joined = t.login.c, t.login.outerjoin(t.site, t.site.c.id == t.login.c.site_id)
    query = select(own.name.label("login"), t.site.c.uid.label("site")).select_from(joined)
    return query.where(own.account_id == account_id(slug), own.owner_id.is_(None))

"""Who asks: their extension, lots, phones and rights; their own password and language."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from parkade.api import refusals
from parkade.api.auth import RIGHTS, SignedIn, password_is
from parkade.api.describe import answers
from parkade.api.models import Body
from parkade.api.principal import Principal, Role
from parkade.api.problems import Problem
from parkade.api.services import Use
from parkade.store import audit, logins, tokens
from parkade.store import directory_queries as queries
from parkade.store import tables as t
from parkade.store.audit import AuditEntry
from parkade.store.directory_model import Secret
from parkade.store.passwords import hash_password

router = APIRouter(tags=["who"])


class MyAccount(BaseModel):
    slug: str
    name: str
    multi_site: bool


class MyLot(BaseModel):
    """``codes``: the range of codes, like ``801-899``."""

    id: str
    name: str
    codes: str


class Me(BaseModel):
    """``id`` and ``extension`` are those of a user, null for others. ``rights``: how far each of them goes."""

    id: str | None
    name: str
    role: Role
    language: str
    account: MyAccount | None
    extension: str | None
    site: str | None
    group: str | None
    devices: list[str]
    lots: list[MyLot]
    rights: dict[str, str]
    scopes: list[str]


@router.get("/me")
async def who_am_i(who: SignedIn, use: Use) -> Me:
    """Who am I, my extension, my lots, my rights."""
    account, site, group, devices, lots = None, who.site, None, list[str](), list[MyLot]()
    if who.account is not None:
        async with use.store.reading() as connection:
            row = await queries.one(connection, queries.accounts(), t.account.c.slug == who.account)
            assert row is not None
            account = MyAccount(slug=row["slug"], name=row["name"], multi_site=bool(row["multi_site"]))
            if who.owner is not None:
                person = await queries.one(connection, queries.people(who.account), t.owner.c.uid == who.owner)
                assert person is not None
                site = person["site"] or await queries.main_site(connection, who.account)
                group = person["group"]
                of_mine = queries.devices(who.account).where(t.owner.c.uid == who.owner).order_by(t.device.c.id)
                devices = [row["username"] for row in await queries.all_of(connection, of_mine)]
            lots = await _lots(connection, who, account.multi_site, site)
    return Me(
        id=who.owner,
        name=who.name,
        role=who.role,
        language=who.language,
        account=account,
        extension=who.extension,
        site=site,
        group=group,
        devices=devices,
        lots=lots,
        rights={name: right(who).name.lower() for name, right in RIGHTS.items()},
        scopes=sorted(who.scopes),
    )


async def _lots(connection: AsyncConnection, who: Principal, multi_site: bool, site: str | None) -> list[MyLot]:
    """Those that may be looked at: of one's site, or of the account; without multi-site the main one is all there is."""
    assert who.account is not None
    rows = sorted(await queries.all_of(connection, queries.lots(who.account)), key=lambda row: int(row["position"]))
    if not multi_site:
        rows = rows[:1]
    elif site is not None:
        rows = [row for row in rows if row["site"] == site]
    return [MyLot(id=row["id"], name=row["name"], codes=row["codes"]) for row in rows]


class NewPassword(Body):
    """``old`` is the present one."""

    old: Annotated[str, Field(max_length=1000)]
    new: Annotated[Secret, Field(min_length=8, max_length=1000)]


@router.put("/me/password", status_code=204, responses=answers(refusals.WRONG_PASSWORD, refusals.NOT_FOUND))
async def change_my_password(who: SignedIn, given: NewPassword, request: Request, use: Use) -> None:
    """Choose another password. Every other session of this log-in ends."""
    async with use.store.reading() as connection:
        known = await logins.login_of_token(connection, who.token)
    if known is None:
        raise Problem(refusals.NOT_FOUND)
    if not await password_is(use, known.password_hash, given.old):
        raise Problem(refusals.WRONG_PASSWORD)
    async with use.checking_passwords:
        password_hash = await asyncio.to_thread(hash_password, given.new)
    async with use.store.writing() as connection:
        await logins.set_login_password(connection, known.id, password_hash)
        await tokens.end_sessions(connection, known.name, but=who.token)
        address = request.client.host if request.client else None
        what = {"password": "…"}
        await audit.add(
            connection, AuditEntry(who.account, use.now(), who.by, who.role, "change", "me/password", None, what, address)
        )

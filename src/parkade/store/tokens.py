"""Who may be let in: log-ins to check a password against, and the tokens that sessions and programs show.

Tokens are known by their SHA-256 alone. Ids here are those of everybody else (``uid``), times seconds since the epoch.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, Select, and_, delete, func, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from parkade.store import tables as t


@dataclass(frozen=True, slots=True)
class Person:
    """Whom a log-in or a token stands for. Without an account it is the installation's; all is None where there is nobody.

    ``site`` is that of a site's administrator or a wall board, ``owner`` the id of a user. ``standing`` is what the log-in is
    now: ``user``, ``site_admin``, ``account_admin`` or ``installation_admin``.
    """

    login: str | None
    standing: str | None
    account: str | None
    site: str | None
    owner: str | None
    extension: str | None
    name: str | None
    language: str | None


@dataclass(frozen=True, slots=True)
class KnownLogin:
    """A log-in of that name. ``id`` is for ``new_token``."""

    id: int
    password_hash: str | None
    person: Person


@dataclass(frozen=True, slots=True)
class KnownToken:
    """A token as it may be shown again: without what is secret."""

    id: str
    kind: str
    role: str
    name: str
    scopes: tuple[str, ...]
    created_at: float
    expires_at: float | None
    login_id: int | None
    person: Person


_token_site = t.site.alias("token_site")
_PERSON = (
    t.login.c.name.label("login"),
    t.login.c.account_id.label("login_account"),
    t.login.c.owner_id.label("login_owner"),
    t.login.c.site_id.label("login_site"),
    t.account.c.slug.label("account"),
    t.owner.c.uid.label("owner"),
    t.owner.c.extension.label("extension"),
    t.owner.c.name.label("person"),
    func.coalesce(t.owner.c.language, t.account.c.language).label("language"),
)


def _person(row: RowMapping) -> Person:
    said = ("account", "site", "owner", "extension", "person", "language")
    return Person(row["login"], _standing(row), *(row[name] for name in said))


def _standing(row: RowMapping) -> str | None:
    if row["login"] is None:
        return None
    if row["login_owner"] is not None:
        return "user"
    if row["login_site"] is not None:
        return "site_admin"
    return "installation_admin" if row["login_account"] is None else "account_admin"


async def find_login(connection: AsyncConnection, name: str) -> KnownLogin | None:
    """The log-in ``name``."""
    joined = (
        t.login.outerjoin(t.account, t.account.c.id == t.login.c.account_id)
        .outerjoin(t.owner, t.owner.c.id == t.login.c.owner_id)
        .outerjoin(t.site, t.site.c.id == t.login.c.site_id)
    )
    columns = (t.login.c.id, t.login.c.password_hash, t.site.c.uid.label("site"), *_PERSON)
    query = select(*columns).select_from(joined).where(t.login.c.name == name)
    row = (await connection.execute(query)).mappings().first()
    return None if row is None else KnownLogin(row["id"], row["password_hash"], _person(row))


def _tokens() -> Select[Any]:
    joined = (
        t.api_token.outerjoin(t.login, t.login.c.id == t.api_token.c.login_id)
        .outerjoin(t.account, t.account.c.id == t.api_token.c.account_id)
        .outerjoin(t.owner, t.owner.c.id == t.login.c.owner_id)
        .outerjoin(t.site, t.site.c.id == t.login.c.site_id)
        .outerjoin(_token_site, _token_site.c.id == t.api_token.c.site_id)
    )
    own = t.api_token.c
    site = func.coalesce(_token_site.c.uid, t.site.c.uid).label("site")
    columns = (own.id, own.uid, own.kind, own.role, own.name, own.scopes, own.created_at, own.expires_at, own.login_id, site)
    return select(*columns, *_PERSON).select_from(joined)


def _known(row: RowMapping) -> KnownToken:
    scopes = tuple(row["scopes"])
    times = row["created_at"], row["expires_at"]
    return KnownToken(row["uid"], row["kind"], row["role"], row["name"], scopes, *times, row["login_id"], _person(row))


_TOKENS = _tokens()


async def find_token(connection: AsyncConnection, token_hash: str, now: float) -> KnownToken | None:
    """The token with that SHA-256, unless it has expired."""
    query = _TOKENS.where(t.api_token.c.token_hash == token_hash, _lives(now))
    row = (await connection.execute(query)).mappings().first()
    return None if row is None else _known(row)


def _lives(now: float) -> ColumnElement[bool]:
    return or_(t.api_token.c.expires_at.is_(None), t.api_token.c.expires_at > now)


async def new_token(
    connection: AsyncConnection,
    *,
    kind: str,
    role: str,
    name: str,
    scopes: Sequence[str],
    token_hash: str,
    now: float,
    expires_at: float | None,
    account: str | None,
    login_id: int | None,
    site: str | None = None,
) -> str:
    """Keep a token; its id. Those that have expired are forgotten. ``account`` is a slug, ``site`` an id of that account."""
    await connection.execute(delete(t.api_token).where(t.api_token.c.expires_at <= now))
    uid = secrets.token_hex(8)
    account_id = select(t.account.c.id).where(t.account.c.slug == account).scalar_subquery()
    site_id = select(t.site.c.id).where(t.site.c.uid == site, t.site.c.account_id == account_id).scalar_subquery()
    values = {
        "uid": uid,
        "account_id": None if account is None else account_id,
        "login_id": login_id,
        "site_id": None if site is None else site_id,
        "kind": kind,
        "role": role,
        "name": name,
        "scopes": list(scopes),
        "token_hash": token_hash,
        "created_at": now,
        "expires_at": expires_at,
    }
    await connection.execute(insert(t.api_token).values(**values))
    return uid


def of_account(account: str | None) -> ColumnElement[bool]:
    """Tokens of the account with that slug, None: of the installation."""
    if account is None:
        return t.api_token.c.account_id.is_(None)
    return t.api_token.c.account_id.in_(select(t.account.c.id).where(t.account.c.slug == account))


def of_login(login_id: int | None) -> ColumnElement[bool]:
    """Tokens of one log-in; of nobody if it is None."""
    return and_(t.api_token.c.login_id.is_not(None), t.api_token.c.login_id == login_id)


def at_site(site: str | None) -> ColumnElement[bool]:
    """Tokens that hang at the site with that id."""
    return t.api_token.c.site_id.in_(select(t.site.c.id).where(t.site.c.uid == site))


async def tokens(
    connection: AsyncConnection, where: ColumnElement[bool], now: float, *, after: int = 0, limit: int = 100
) -> list[tuple[int, KnownToken]]:
    """Tokens that programs have (no sessions), oldest first, each with the number to go on ``after``."""
    own = t.api_token.c
    query = _TOKENS.where(own.kind == "token", _lives(now), own.id > after, where).order_by(own.id).limit(limit)
    return [(row["id"], _known(row)) for row in (await connection.execute(query)).mappings()]


async def revoke(connection: AsyncConnection, token: str, where: ColumnElement[bool]) -> bool:
    """Forget the token (no session) with the id ``token``, if it is one of ``where``; whether there was one."""
    own = t.api_token.c
    return bool((await connection.execute(delete(t.api_token).where(own.uid == token, own.kind == "token", where))).rowcount)


async def end_session(connection: AsyncConnection, session: str) -> None:
    """Forget the session with the id ``session``."""
    own = t.api_token.c
    await connection.execute(delete(t.api_token).where(own.uid == session, own.kind == "session"))


async def end_sessions(connection: AsyncConnection, login: str, *, but: str = "") -> None:
    """Forget every session of the log-in of that name, but for the one with the id ``but``: its password has changed."""
    own = t.api_token.c
    of_login = own.login_id.in_(select(t.login.c.id).where(t.login.c.name == login))
    await connection.execute(delete(t.api_token).where(of_login, own.kind == "session", own.uid != but))

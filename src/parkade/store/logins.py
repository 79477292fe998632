"""Who may log in: the first administrator of an installation, and new passwords for people and phones."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from parkade.base.errors import ParkadeError
from parkade.store import tables as t
from parkade.store.passwords import device_secret, hash_password, random_password
from parkade.store.revisions import mark_changed
from parkade.store.tokens import end_sessions

ADMINISTRATOR = "admin"


class NoSuchLoginError(ParkadeError):
    """Neither a login nor a device of that name exists."""


async def ensure_administrator(connection: AsyncConnection) -> str | None:
    """Make the installation's administrator if there is none; the password made up for it, or None if there was one."""
    login = t.login
    there = select(login.c.id).where(login.c.account_id.is_(None))
    if (await connection.execute(there)).first() is not None:
        return None
    password = random_password()
    await connection.execute(insert(login).values(name=ADMINISTRATOR, password_hash=hash_password(password)))
    return password


async def set_password(connection: AsyncConnection, name: str, password: str) -> str:
    """A new password for the login or, if there is none of that name, for the device ``name``; says which it was.

    :raises NoSuchLoginError: there is neither.
    """
    person = update(t.login).where(t.login.c.name == name).values(password_hash=hash_password(password))
    if (await connection.execute(person)).rowcount:
        await end_sessions(connection, name)
        return f"login {name}"
    secret = device_secret(name, password)
    phone = update(t.device).where(t.device.c.username == name, t.device.c.address.is_(None))
    digests = {"ha1_md5": secret.ha1_md5, "ha1_sha256": secret.ha1_sha256}
    if (await connection.execute(phone.values(**digests))).rowcount:
        of_device = select(t.account.c.slug).join_from(t.account, t.device).where(t.device.c.username == name)
        await mark_changed(connection, (await connection.execute(of_device)).scalars())
        return f"device {name}"
    raise NoSuchLoginError(f"there is no login and no device {name}")


class OwnLogin(NamedTuple):
    """The log-in behind a session or a token."""

    id: int
    name: str
    password_hash: str | None


async def login_of_token(connection: AsyncConnection, token: str) -> OwnLogin | None:
    """The log-in that the token or session with the id ``token`` belongs to; None for a token of nobody."""
    joined = t.login.join(t.api_token, t.api_token.c.login_id == t.login.c.id)
    columns = (t.login.c.id, t.login.c.name, t.login.c.password_hash)
    row = (await connection.execute(select(*columns).select_from(joined).where(t.api_token.c.uid == token))).first()
    return None if row is None else OwnLogin(*row)


async def set_login_password(connection: AsyncConnection, login_id: int, password_hash: str) -> None:
    """A new password for one log-in, by its hash."""
    await connection.execute(update(t.login).where(t.login.c.id == login_id).values(password_hash=password_hash))

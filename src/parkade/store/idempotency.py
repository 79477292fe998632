"""Requests that are made once however often they are sent: what was asked under a key, and what was answered.

Times are seconds since the epoch.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from sqlalchemy import and_, delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from parkade.store import tables as t

KEPT_S: Final = 86400.0
"""How long an answer is remembered."""
UNDER_WAY_S: Final = 60.0
"""After that a request without an answer was cut short (by a crash), and may be made again."""


class Answered(NamedTuple):
    """``status`` is None while the request is under way."""

    request_hash: str
    status: int | None
    body: Any


async def begin(connection: AsyncConnection, principal: str, key: str, request_hash: str, now: float) -> Answered | None:
    """Note that a request is under way; None if it was not known, else what is known of it. To be called while writing."""
    own = t.idempotency.c
    stale = or_(own.created_at < now - KEPT_S, and_(own.status.is_(None), own.created_at < now - UNDER_WAY_S))
    await connection.execute(delete(t.idempotency).where(stale))
    query = select(own.request_hash, own.status, own.body).where(own.principal == principal, own.key == key)
    row = (await connection.execute(query)).first()
    if row is not None:
        return Answered(*row)
    values = {"principal": principal, "key": key, "request_hash": request_hash, "created_at": now}
    await connection.execute(insert(t.idempotency).values(**values))
    return None


async def finish(connection: AsyncConnection, principal: str, key: str, status: int, body: Any) -> None:
    """Remember the answer."""
    own = t.idempotency.c
    mine = update(t.idempotency).where(own.principal == principal, own.key == key)
    await connection.execute(mine.values(status=status, body=body))


async def forget(connection: AsyncConnection, principal: str, key: str) -> None:
    """It was not done after all: the next one with this key does it."""
    own = t.idempotency.c
    await connection.execute(delete(t.idempotency).where(own.principal == principal, own.key == key))

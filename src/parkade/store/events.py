"""Events in the database, and how far the event log has been taken into it.

An event here is a mapping as the log has it: the contract's ``id``, ``type``, ``at``, ``account``, ``data``, and its
``number``. What is read back is the same but for ``number``, which stands beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from parkade.store.tables import event, event_position

Logged: TypeAlias = Mapping[str, Any]
"""One event of the log."""


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event that was read back. ``json`` is what the contract says."""

    number: int
    account: str
    json: Mapping[str, Any]


async def position(connection: AsyncConnection) -> int:
    """The number of the last event that is in the database, or was."""
    return int((await connection.execute(select(event_position.c.number))).scalar_one())


async def advance(connection: AsyncConnection, before: int, after: int) -> bool:
    """Move the position; False, and nothing is done, if it is not ``before``: somebody else has moved it."""
    moved = await connection.execute(update(event_position).where(event_position.c.number == before).values(number=after))
    return bool(moved.rowcount == 1)


async def add(connection: AsyncConnection, events: Sequence[Logged]) -> None:
    """Write events down. Fails if one of them is there already."""
    rows = [
        {
            "number": one["number"],
            "uid": one["id"],
            "account": one["account"],
            "at": datetime.fromisoformat(one["at"]).timestamp(),
            "type": one["type"],
            "call": one["data"].get("call"),
            "data": one["data"],
        }
        for one in events
    ]
    if rows:
        await connection.execute(insert(event), rows)


async def number_of(connection: AsyncConnection, id_: str, account: str | None) -> int | None:
    """The number of the event with that id, None if the account (None: any) has none such (any more)."""
    query = select(event.c.number).where(event.c.uid == id_)
    if account is not None:
        query = query.where(event.c.account == account)
    number = (await connection.execute(query)).scalar()
    return None if number is None else int(number)


async def after(connection: AsyncConnection, number: int, account: str | None, limit: int) -> list[StoredEvent]:
    """The first ``limit`` events of the account (None: of all) after ``number``, in order."""
    query = select(event).where(event.c.number > number).order_by(event.c.number).limit(limit)
    if account is not None:
        query = query.where(event.c.account == account)
    return [_stored(row) for row in await connection.execute(query)]


def _stored(row: Row[Any]) -> StoredEvent:
    at = datetime.fromtimestamp(row.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    json = {"id": row.uid, "type": row.type, "at": at, "account": row.account, "data": row.data}
    return StoredEvent(row.number, row.account, json)

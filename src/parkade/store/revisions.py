"""The revision of the directory, and which accounts changed since one: what lets a running server load only those."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from parkade.store import tables as t


async def revision(connection: AsyncConnection) -> int:
    """The number of the directory in force: one row of one table, cheap enough to ask every second."""
    number: int = (await connection.execute(select(t.directory.c.revision))).scalar_one()
    return number


async def changed_accounts(connection: AsyncConnection, since: int) -> tuple[int, list[str]]:
    """The revision in force and the slugs of the accounts that changed after ``since``, gone ones included."""
    number = await revision(connection)
    if number == since:
        return number, []
    changed = select(t.account_revision.c.slug).where(t.account_revision.c.revision > since)
    slugs = (await connection.execute(changed.order_by(t.account_revision.c.revision, t.account_revision.c.slug))).scalars()
    return number, list(slugs)


async def mark_changed(connection: AsyncConnection, slugs: Iterable[str]) -> None:
    """Let running servers notice that these accounts have changed."""
    await connection.execute(update(t.directory).values(revision=t.directory.c.revision + 1))
    number = await revision(connection)
    for slug in slugs:
        again = update(t.account_revision).where(t.account_revision.c.slug == slug).values(revision=number)
        if not (await connection.execute(again)).rowcount:
            await connection.execute(insert(t.account_revision).values(slug=slug, revision=number))

"""The audit trail: who changed what, with what it was before and after. It is added to, and never changed."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from parkade.store import tables as t
from parkade.store.history import older

Row: TypeAlias = dict[str, Any]
_a = t.audit.c


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change. ``account`` is a slug, None for the installation; ``by`` a log-in or the name of a token.

    ``at`` is in seconds since the epoch. ``object`` is a path like ``sites/8f…/settings/call-park``; ``before`` and ``after``
    say what differs, without secrets.
    """

    account: str | None
    at: float
    by: str
    role: str
    action: str
    object: str
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    address: str | None = None


async def add(connection: AsyncConnection, entry: AuditEntry) -> str:
    """Add ``entry``, in the transaction of the change itself; its id."""
    uid = secrets.token_hex(8)
    values = {name: getattr(entry, name) for name in AuditEntry.__slots__}
    await connection.execute(insert(t.audit).values(uid=uid, **values))
    return uid


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries: those of an ``account`` (None: of none), and all that are None below do not matter.

    ``object`` is a path or the beginning of one that ends at a ``/``.
    """

    account: str | None
    by: str | None = None
    action: str | None = None
    object: str | None = None
    since: float | None = None
    until: float | None = None


async def page(
    connection: AsyncConnection, wanted: AuditFilter, limit: int, after: tuple[float, int] | None = None
) -> list[Row]:
    """Up to ``limit`` rows of ``audit``, newest first; those after the row with this ``at`` and ``id``."""
    query = select(t.audit).where(_a.account.is_(None) if wanted.account is None else _a.account == wanted.account)
    said = [(_a.by, wanted.by), (_a.action, wanted.action)]
    query = query.where(*(column == value for column, value in said if value is not None))
    if wanted.object is not None:
        query = query.where((_a.object == wanted.object) | _a.object.startswith(f"{wanted.object}/", autoescape=True))
    if wanted.since is not None:
        query = query.where(_a.at >= wanted.since)
    if wanted.until is not None:
        query = query.where(_a.at < wanted.until)
    if after is not None:
        query = query.where(older(_a.at, _a.id, after))
    query = query.order_by(_a.at.desc(), _a.id.desc()).limit(limit)
    return [dict(row) for row in (await connection.execute(query)).mappings()]

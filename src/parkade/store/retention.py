"""Removes what has been kept long enough, in small portions, so that no other writer waits for long."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Table, delete, select

from parkade.store import tables as t
from parkade.store.errors import StoreError
from parkade.store.store import Store

log = logging.getLogger("parkade.store")

PORTION: Final = 500
EVERY_S: Final = 3600.0
PAUSE_S: Final = 0.05
"""Between two portions: whoever wants to write has its turn."""
_DAY_S: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Retention:
    """For how many days things are kept."""

    history_days: float = 365
    event_days: float = 30
    answer_days: float = 1
    """Answers to requests with an ``Idempotency-Key``."""


async def remove_old(store: Store, kept: Retention, now: float) -> int:
    """Remove what is older at ``now`` (seconds since the epoch); how many rows.

    A park that is still going on stays, however old, and so does an event that is yet to be delivered to somebody.

    :raises StoreError: the database cannot be written; what was removed before stays removed.
    """
    removed = 0
    undelivered = select(t.webhook_delivery.c.event_number).where(t.webhook_delivery.c.state == "waiting")
    for table, old in (
        (
            t.park_history,
            (t.park_history.c.parked_at < now - kept.history_days * _DAY_S) & t.park_history.c.outcome.is_not(None),
        ),
        (t.webhook_delivery, t.webhook_delivery.c.ended_at < now - kept.event_days * _DAY_S),
        (t.event, (t.event.c.at < now - kept.event_days * _DAY_S) & t.event.c.number.not_in(undelivered)),
        (t.idempotency, t.idempotency.c.created_at < now - kept.answer_days * _DAY_S),
        (t.api_token, t.api_token.c.expires_at < now),
    ):
        removed += await _remove(store, table, old)
    if removed:
        log.info("removed what has been kept long enough: rows %d", removed)
    return removed


async def keep_removing(store: Store, kept: Retention, now: Callable[[], float]) -> None:
    """``remove_old`` now and then, for ever. What prevents it is said, and it is tried again."""
    while True:
        try:
            await remove_old(store, kept, now())
        except StoreError as error:
            log.warning("what is old could not be removed: %s", error)
        await asyncio.sleep(EVERY_S)


async def _remove(store: Store, table: Table, old: ColumnElement[bool]) -> int:
    (key,) = table.primary_key.columns
    some = select(key).where(old).order_by(key).limit(PORTION)
    removed = 0
    while True:
        async with store.writing() as connection:
            portion = (await connection.execute(delete(table).where(key.in_(some)))).rowcount
        removed += portion
        if portion < PORTION:
            return removed
        await asyncio.sleep(PAUSE_S)

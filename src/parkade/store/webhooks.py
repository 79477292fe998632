"""Webhooks and the queue of what is on its way to them.

``enqueue`` puts events in, in the transaction that writes the events. Whoever sends asks what is ``due`` and writes down with
``settle`` what came of it. A delivery that was under way when the process died is simply due again, under the same id.

Order: to one webhook, the events of one call are sent one after the other. Only the first that waits has a time (``next_at``);
when it has ended, delivered or failed for good, the next one gets its time. Events of different calls do not wait for
each other.

Limits: who sends remembers what is under way, so there is to be one sender to a database.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Row, Select, and_, bindparam, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from parkade.store import audit, tables
from parkade.store.audit import AuditEntry

FORMER_SECRET_S: Final = 86400.0
"""How long the secret before the present one signs too."""
FORMS: Final = ("parkade", "callee_parked")
FORM_EVENTS: Final[Mapping[str, frozenset[str]]] = {"callee_parked": frozenset({"call.parked", "call.park_failed"})}
"""The types of events that a form has words for; a form that is not here has them for all."""
MAX_WAITING: Final = 100_000
_CHUNK: Final = 500

_hook, _delivery, _event = tables.webhook, tables.webhook_delivery, tables.event


@dataclass(frozen=True, slots=True)
class Webhook:
    """One row of ``webhook``; ``id`` is for this room and its callers, ``uid`` for everybody else, ``account`` a slug."""

    id: int
    uid: str
    account: str
    url: str
    secret: str
    former_secret: str | None
    former_until: float | None
    events: tuple[str, ...]
    form: str
    active: bool
    created_at: float
    failing_since: float | None
    switched_off_at: float | None

    def wants(self, type_: str) -> bool:
        """Whether an event of the type is sent there."""
        return ("*" in self.events or type_ in self.events) and type_ in FORM_EVENTS.get(self.form, (type_,))

    def secrets_at(self, now: float) -> list[str]:
        """What signs at ``now``, the present secret first."""
        former = self.former_secret if self.former_secret and (self.former_until or 0.0) > now else None
        return [self.secret, former] if former else [self.secret]


@dataclass(frozen=True, slots=True)
class Due:
    """A delivery to be tried now. ``event`` is as the contract writes it, ``attempts`` how many there have been."""

    id: int
    uid: str
    call: str | None
    attempts: int
    created_at: float
    event: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one attempt: delivered, to be tried again at ``retry_at``, or (neither) failed for good.

    ``status`` is the HTTP status of the answer, None if there was none; ``error`` a line for people.
    """

    delivery: int
    webhook: int
    call: str | None
    delivered: bool
    retry_at: float | None = None
    status: int | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery as the list of deliveries shows it. ``next_at``: None while it waits for an earlier one, and at the end."""

    id: int
    uid: str
    event: str | None
    """The id of the event; None if it is so old that it has been removed."""
    type: str | None
    call: str | None
    state: str
    attempts: int
    next_at: float | None
    last_status: int | None
    last_error: str | None
    created_at: float
    ended_at: float | None


# The webhooks


async def webhooks(connection: AsyncConnection, account: str, *, after: int = 0, limit: int = 100) -> list[Webhook]:
    """Those of the account (a slug), oldest first, from the one after the row ``after`` on."""
    query = _webhooks().where(tables.account.c.slug == account, _hook.c.id > after).order_by(_hook.c.id).limit(limit)
    return [_webhook_of(row) for row in await connection.execute(query)]


async def webhook(connection: AsyncConnection, account: str, uid: str) -> Webhook | None:
    """One of the account's."""
    row = (await connection.execute(_webhooks().where(tables.account.c.slug == account, _hook.c.uid == uid))).first()
    return _webhook_of(row) if row is not None else None


async def count(connection: AsyncConnection, account: str) -> int:
    """How many webhooks the account has."""
    query = select(func.count()).select_from(_hook.join(tables.account)).where(tables.account.c.slug == account)
    return int((await connection.execute(query)).scalar_one())


async def add(
    connection: AsyncConnection,
    account: str,
    *,
    url: str,
    secret: str,
    events: Sequence[str],
    form: str,
    active: bool,
    now: float,
) -> Webhook:
    """A new one for the account, which must exist."""
    account_id = (await connection.execute(select(tables.account.c.id).where(tables.account.c.slug == account))).scalar_one()
    uid = secrets.token_hex(8)
    values = {"url": url, "secret": secret, "events": [*events], "form": form, "active": active, "created_at": now}
    await connection.execute(insert(_hook).values(uid=uid, account_id=account_id, **values))
    made = await webhook(connection, account, uid)
    assert made is not None
    return made


async def change(connection: AsyncConnection, hook: Webhook, changes: Mapping[str, Any], now: float) -> None:
    """Set ``url``, ``events``, ``form``, ``active``. Switching off fails what waits, switching on forgets failures."""
    if not changes:
        return
    values = {key: [*value] if key == "events" else value for key, value in changes.items()}
    active = values.get("active")
    if active is True:
        values |= {"failing_since": None, "switched_off_at": None}
    await connection.execute(update(_hook).where(_hook.c.id == hook.id).values(**values))
    if active is False:
        await _fail_all(connection, hook.id, "the webhook was switched off", now)


async def rotate_secret(connection: AsyncConnection, hook: Webhook, secret: str, now: float) -> None:
    """A new secret; the present one signs too for ``FORMER_SECRET_S``."""
    values = {"secret": secret, "former_secret": hook.secret, "former_until": now + FORMER_SECRET_S}
    await connection.execute(update(_hook).where(_hook.c.id == hook.id).values(**values))


async def remove(connection: AsyncConnection, hook: Webhook) -> None:
    """The webhook and its deliveries."""
    await connection.execute(delete(_delivery).where(_delivery.c.webhook_id == hook.id))
    await connection.execute(delete(_hook).where(_hook.c.id == hook.id))


async def switch_off_failing(connection: AsyncConnection, since: float, now: float) -> list[Webhook]:
    """Switch off every webhook that has only failed since ``since`` or earlier, or that fails and for which ``MAX_WAITING``
    deliveries wait, and say so in the audit trail; which they were.
    """
    query = _webhooks().where(_hook.c.active, _hook.c.failing_since.is_not(None))
    given_up: list[Webhook] = []
    for hook in [_webhook_of(row) for row in await connection.execute(query)]:
        assert hook.failing_since is not None
        behind = await waiting(connection, hook.id)
        if hook.failing_since > since and behind < MAX_WAITING:
            continue
        given_up.append(hook)
        await connection.execute(update(_hook).where(_hook.c.id == hook.id).values(active=False, switched_off_at=now))
        await _fail_all(connection, hook.id, "the webhook was switched off: it had failed for too long", now)
        was, now_is = {"active": True}, {"active": False, "failing_since": _iso(hook.failing_since), "waiting": behind}
        entry = AuditEntry(hook.account, now, "parkade", "system", "switch_off", f"webhooks/{hook.uid}", was, now_is)
        await audit.add(connection, entry)
    return given_up


async def _fail_all(connection: AsyncConnection, hook: int, why: str, now: float) -> None:
    waits = and_(_delivery.c.webhook_id == hook, _delivery.c.state == "waiting")
    await connection.execute(update(_delivery).where(waits).values(state="failed", next_at=None, last_error=why, ended_at=now))


# Into the queue


async def enqueue(connection: AsyncConnection, events: Sequence[Mapping[str, Any]], now: float) -> int:
    """Queue each event for every active webhook of its account that wants it; how many deliveries that are.

    ``events`` are as the event log has them: the contract's members and ``number``, in the order of that. To be called in the
    transaction that writes them to ``event``.
    """
    accounts = {str(event["account"]) for event in events}
    hooks: dict[str, list[Webhook]] = {}
    for chunk in _chunks(accounts):
        query = _webhooks().where(_hook.c.active, tables.account.c.slug.in_(chunk)).order_by(_hook.c.id)
        for row in await connection.execute(query):
            hooks.setdefault(row.slug, []).append(_webhook_of(row))
    wanted = [
        (hook.id, int(event["number"]), call_of(event))
        for event in events
        for hook in hooks.get(str(event["account"]), ())
        if hook.wants(str(event["type"]))
    ]
    await _queue(connection, wanted, now)
    return len(wanted)


async def replay(connection: AsyncConnection, hook: Webhook, delivery: Delivery, now: float) -> Delivery | None:
    """Queue the event of ``delivery`` once more, as a new delivery; None if the event has been removed."""
    if delivery.event is None:
        return None
    number = (await connection.execute(select(_event.c.number).where(_event.c.uid == delivery.event))).scalar_one()
    uids = await _queue(connection, [(hook.id, int(number), delivery.call)], now)
    return await find_delivery(connection, hook, uids[0])


async def replay_since(
    connection: AsyncConnection, hook: Webhook, event: str, now: float, *, limit: int = 10_000
) -> tuple[int, str | None] | None:
    """Queue every event after the one with the id ``event`` that the webhook wants, oldest first, at most ``limit``.

    How many, and the id of the last that was looked at if there may be more. None if there is no such event (any more).
    """
    found = select(_event.c.number).where(_event.c.uid == event, _event.c.account == hook.account)
    number = (await connection.execute(found)).scalar()
    if number is None:
        return None
    after = (_event.c.account == hook.account, _event.c.number > number)
    columns = (_event.c.number, _event.c.uid, _event.c.type, _event.c.call)
    rows = (await connection.execute(select(*columns).where(*after).order_by(_event.c.number).limit(limit))).all()
    wanted = [(hook.id, int(row.number), row.call) for row in rows if hook.wants(row.type)]
    await _queue(connection, wanted, now)
    return len(wanted), rows[-1].uid if len(rows) == limit else None


async def _queue(connection: AsyncConnection, wanted: Sequence[tuple[int, int, str | None]], now: float) -> list[str]:
    """Deliveries of (webhook, number of the event, call); their uids. Those behind another of the same call get no time."""
    if not wanted:
        return []
    busy: set[tuple[int, str]] = set()
    hooks = {hook for hook, _, _ in wanted}
    for chunk in _chunks({call for _, _, call in wanted if call is not None}):
        waits = (_delivery.c.webhook_id.in_(hooks), _delivery.c.call.in_(chunk), _delivery.c.state == "waiting")
        rows = await connection.execute(select(_delivery.c.webhook_id, _delivery.c.call).where(*waits).distinct())
        busy |= {(row.webhook_id, row.call) for row in rows}
    values = []
    for hook, number, call in wanted:
        waits_behind = call is not None and (hook, call) in busy
        if call is not None:
            busy.add((hook, call))
        values.append(
            {
                "uid": secrets.token_hex(8),
                "webhook_id": hook,
                "event_number": number,
                "call": call,
                "state": "waiting",
                "attempts": 0,
                "next_at": None if waits_behind else now,
                "created_at": now,
            }
        )
    await connection.execute(insert(_delivery), values)
    return [str(value["uid"]) for value in values]


# Out of the queue


async def next_times(connection: AsyncConnection) -> list[tuple[int, float]]:
    """For each webhook for which something waits, when the next of it is due. One look into an index a webhook."""
    waits = and_(_delivery.c.webhook_id == _hook.c.id, _delivery.c.state == "waiting", _delivery.c.next_at.is_not(None))
    first = select(func.min(_delivery.c.next_at)).where(waits).correlate(_hook).scalar_subquery()
    rows = await connection.execute(select(_hook.c.id, first.label("at")).where(_hook.c.active))
    return [(int(row.id), float(row.at)) for row in rows if row.at is not None]


async def due(
    connection: AsyncConnection, hook_id: int, now: float, under_way: Collection[int], limit: int
) -> tuple[Webhook, list[Due]] | None:
    """The webhook and at most ``limit`` of its deliveries that are due and not ``under_way``; None if it is gone."""
    row = (await connection.execute(_webhooks().where(_hook.c.id == hook_id))).first()
    if row is None:
        return None
    ripe = and_(_delivery.c.webhook_id == hook_id, _delivery.c.state == "waiting", _delivery.c.next_at <= now)
    query = (
        select(_delivery, _event.c.uid.label("event"), _event.c.account, _event.c.at, _event.c.type, _event.c.data)
        .outerjoin(_event, _event.c.number == _delivery.c.event_number)
        .where(ripe, _delivery.c.id.not_in(under_way))
        .order_by(_delivery.c.next_at, _delivery.c.id)
        .limit(limit)
    )
    return _webhook_of(row), [_due_of(found) for found in await connection.execute(query)]


async def next_after(connection: AsyncConnection, hook_id: int, now: float) -> float | None:
    """When the next delivery of the webhook is due that is not yet."""
    later = (_delivery.c.webhook_id == hook_id, _delivery.c.state == "waiting", _delivery.c.next_at > now)
    at = (await connection.execute(select(func.min(_delivery.c.next_at)).where(*later))).scalar()
    return None if at is None else float(at)


_ARRIVED = (
    # One that was switched off or had failed meanwhile has arrived all the same.
    update(_delivery)
    .where(_delivery.c.id == bindparam("which"), _delivery.c.state != "delivered")
    .values(
        attempts=_delivery.c.attempts + 1,
        state="delivered",
        next_at=None,
        last_status=bindparam("status"),
        last_error=None,
        ended_at=bindparam("at"),
    )
)
_NOT_ARRIVED = (
    update(_delivery)
    .where(_delivery.c.id == bindparam("which"), _delivery.c.state == "waiting")
    .values(
        attempts=_delivery.c.attempts + 1,
        state=bindparam("becomes"),
        next_at=bindparam("again_at"),
        last_status=bindparam("status"),
        last_error=bindparam("error"),
        ended_at=bindparam("at"),
    )
)


async def settle(connection: AsyncConnection, outcomes: Sequence[Outcome], now: float) -> None:
    """Write down what came of attempts, let those go that waited behind them, and note which webhooks fail."""
    if arrived := [{"which": one.delivery, "status": one.status, "at": now} for one in outcomes if one.delivered]:
        await connection.execute(_ARRIVED, arrived)
    if others := [_row_of(one, now) for one in outcomes if not one.delivered]:
        await connection.execute(_NOT_ARRIVED, others)
    await _let_go(connection, [one for one in outcomes if one.delivered or one.retry_at is None], now)
    last = {outcome.webhook: outcome.delivered for outcome in outcomes}
    if worked := {outcome.webhook for outcome in outcomes if outcome.delivered}:
        recovered = and_(_hook.c.id.in_(worked), _hook.c.failing_since.is_not(None))
        await connection.execute(update(_hook).where(recovered).values(failing_since=None))
    if failed := [hook for hook, delivered in last.items() if not delivered]:
        begins = and_(_hook.c.id.in_(failed), _hook.c.failing_since.is_(None))
        await connection.execute(update(_hook).where(begins).values(failing_since=now))


def _row_of(outcome: Outcome, now: float) -> dict[str, Any]:
    over = outcome.retry_at is None
    return {
        "which": outcome.delivery,
        "becomes": "failed" if over else "waiting",
        "again_at": outcome.retry_at,
        "status": outcome.status,
        "error": outcome.error,
        "at": now if over else None,
    }


async def _let_go(connection: AsyncConnection, over: Sequence[Outcome], now: float) -> None:
    """The first that waits of each of these calls has its turn."""
    hooks = {outcome.webhook for outcome in over}
    for calls in _chunks({outcome.call for outcome in over if outcome.call is not None}):
        waits = (_delivery.c.webhook_id.in_(hooks), _delivery.c.call.in_(calls), _delivery.c.state == "waiting")
        firsts = select(func.min(_delivery.c.id)).where(*waits).group_by(_delivery.c.webhook_id, _delivery.c.call)
        if ids := (await connection.execute(firsts)).scalars().all():
            freed = and_(_delivery.c.id.in_(ids), _delivery.c.next_at.is_(None))
            await connection.execute(update(_delivery).where(freed).values(next_at=now))


async def waiting(connection: AsyncConnection, hook: int | None = None) -> int:
    """How many deliveries wait, of one webhook or of all."""
    query = select(func.count()).select_from(_delivery).where(_delivery.c.state == "waiting")
    if hook is not None:
        query = query.where(_delivery.c.webhook_id == hook)
    return int((await connection.execute(query)).scalar_one())


# The list of deliveries


async def deliveries(
    connection: AsyncConnection, hook: Webhook, *, state: str | None = None, before: int | None = None, limit: int = 100
) -> list[Delivery]:
    """Newest first, from the one before the row ``before`` on."""
    query = _deliveries().where(_delivery.c.webhook_id == hook.id).order_by(_delivery.c.id.desc()).limit(limit)
    if state is not None:
        query = query.where(_delivery.c.state == state)
    if before is not None:
        query = query.where(_delivery.c.id < before)
    return [_delivery_of(row) for row in await connection.execute(query)]


async def find_delivery(connection: AsyncConnection, hook: Webhook, uid: str) -> Delivery | None:
    """One of the webhook's."""
    query = _deliveries().where(_delivery.c.webhook_id == hook.id, _delivery.c.uid == uid)
    row = (await connection.execute(query)).first()
    return _delivery_of(row) if row is not None else None


# Small things


def call_of(event: Mapping[str, Any]) -> str | None:
    """The call that an event is about."""
    call = event["data"].get("call")
    return str(call) if call is not None else None


def _webhooks() -> Select[Any]:
    return select(_hook, tables.account.c.slug).join(tables.account, tables.account.c.id == _hook.c.account_id)


def _webhook_of(row: Row[Any]) -> Webhook:
    return Webhook(
        id=row.id,
        uid=row.uid,
        account=row.slug,
        url=row.url,
        secret=row.secret,
        former_secret=row.former_secret,
        former_until=row.former_until,
        events=tuple(row.events),
        form=row.form,
        active=row.active,
        created_at=row.created_at,
        failing_since=row.failing_since,
        switched_off_at=row.switched_off_at,
    )


def _deliveries() -> Select[Any]:
    columns = (_delivery, _event.c.uid.label("event"), _event.c.type)
    return select(*columns).outerjoin(_event, _event.c.number == _delivery.c.event_number)


def _delivery_of(row: Row[Any]) -> Delivery:
    return Delivery(
        id=row.id,
        uid=row.uid,
        event=row.event,
        type=row.type,
        call=row.call,
        state=row.state,
        attempts=row.attempts,
        next_at=row.next_at,
        last_status=row.last_status,
        last_error=row.last_error,
        created_at=row.created_at,
        ended_at=row.ended_at,
    )


def _due_of(row: Row[Any]) -> Due:
    event: dict[str, Any] = {}
    if row.event is not None:
        event = {"id": row.event, "type": row.type, "at": _iso(row.at), "account": row.account, "data": row.data}
    return Due(row.id, row.uid, row.call, row.attempts, row.created_at, event)


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _chunks(values: Iterable[str]) -> Iterable[list[str]]:
    every = sorted(values)
    return (every[at : at + _CHUNK] for at in range(0, len(every), _CHUNK))

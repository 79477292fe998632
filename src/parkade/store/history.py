"""The history of parked calls: one row for each park, from when the call was parked until somebody has it or nobody waits.

Rows are made of events (``calls/events.py``) and of nothing else. ``apply`` is to be called once with each event, in their
order: whoever calls it keeps the number of the last one in the same transaction. A call that is parked again because nobody had
it stays one row; one that somebody has retrieved and parks again is another.

Who had an extension, and which site a lot belongs to, is looked up when the event is applied, a moment after it happened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeAlias

from sqlalchemy import ColumnElement, and_, bindparam, insert, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from parkade.store import tables as t
from parkade.store.text import storable

Row: TypeAlias = dict[str, Any]
EventJson: TypeAlias = Mapping[str, Any]
"""An event as the event log has it: ``id``, ``type``, ``at``, ``account``, ``data``."""

OUTCOMES: Final = ("retrieved", "returned", "abandoned", "timed_out", "ended")
"""How a park ends: somebody picked up at the code; somebody who was rung after expiry answered; the caller hung up; nobody came
and the caller was told so; the call ended otherwise, or nobody knows how."""
PARKED: Final = "parked"
"""In a filter: the call is still parked."""
_MOST_NAMES = 500
_BIGGEST_ID = 2**31 - 1
_h = t.park_history.c


# From events to rows


async def apply(connection: AsyncConnection, events: Iterable[EventJson]) -> None:
    """Take ``events`` into the history. Those of other kinds are passed over."""
    wanted = [event for event in events if event["type"] in _FOLD]
    if not wanted:
        return
    known = await _last_rows(connection, {str(event["data"]["call"]) for event in wanted if "call" in event["data"]})
    if resumed := [event["account"] for event in wanted if event["type"] == "calls.resumed"]:
        known |= await _open_rows(connection, resumed)
    fold = Fold(known, await _names(connection, wanted))
    for event in wanted:
        fold.add(event)
    if new := fold.new():
        await connection.execute(insert(t.park_history), new)
    if changed := fold.changed():
        columns = [name for name in _COLUMNS if name != "uid"]
        change = update(t.park_history).where(_h.uid == bindparam("b_uid"))
        change = change.values({name: bindparam(f"b_{name}") for name in columns})
        await connection.execute(change, [{f"b_{name}": row[name] for name in _COLUMNS} for row in changed])


class Fold:
    """The rows of some calls and what events make of them. Pure.

    ``known`` has the last row of each call that has one; ``names`` gives ids of people and sites.
    """

    def __init__(self, known: Mapping[str, Row], names: Names | None = None) -> None:
        self._last = dict(known)
        self._names = names or Names({}, {})
        self._new: dict[str, Row] = {}
        self._changed: dict[str, Row] = {}

    def add(self, event: EventJson) -> None:
        """The next event."""
        _FOLD[event["type"]](self, event, event["data"])

    def new(self) -> list[Row]:
        """Rows to be inserted."""
        return list(self._new.values())

    def changed(self) -> list[Row]:
        """Rows that were known and are different now."""
        return list(self._changed.values())

    def _parked(self, event: EventJson, data: Mapping[str, Any]) -> None:
        account = str(event["account"])
        self._close(event, data["call"])  # there is none, unless an event was lost
        row: Row = {
            "uid": str(event["id"]),
            "account": account,
            "call": str(data["call"]),
            "caller_name": storable(data["caller_name"]),
            "caller_number": storable(data["caller_number"]),
            "note": storable(data.get("note") or ""),
            "parked_at": seconds(data["parked_at"]),
            "ended_at": None,
            "waited_s": None,
            "outcome": None,
            "ended_by": None,
            "ended_by_id": None,
            "reparks": 0,
        }
        self._last[row["call"]] = self._new[row["uid"]] = row
        self._place(row, account, data)
        by = data.get("parked_by")
        row |= {"parked_by": by, "parked_by_id": self._names.people.get((account, by))}

    def _place(self, row: Row, account: str, data: Mapping[str, Any]) -> None:
        site = data.get("site") or self._names.sites.get((account, data["lot"]))
        row |= {"code": str(data["code"]), "lot": storable(data["lot"]), "site": site}

    def _again(self, event: EventJson, data: Mapping[str, Any]) -> None:
        """The call waits again: nobody has it after all."""
        row = self._row(data)
        if row is None:
            self._parked(event, data)
            row = self._last[str(data["call"])]
            row["parked_at"] = seconds(data["parked_at"])
        row |= {"ended_at": None, "waited_s": None, "outcome": None, "ended_by": None, "ended_by_id": None}
        self._place(row, str(event["account"]), data)

    def _reparked(self, event: EventJson, data: Mapping[str, Any]) -> None:
        self._again(event, data)
        self._last[str(data["call"])]["reparks"] += 1

    def _noted(self, event: EventJson, data: Mapping[str, Any]) -> None:
        if row := self._row(data):
            row["note"] = storable(data.get("note") or "")

    def _end(self, event: EventJson, data: Mapping[str, Any], outcome: str, by: str | None = None) -> None:
        row = self._row(data)
        if row is None or row["outcome"] not in {None, "timed_out"}:
            return
        waited_s = float(data["waited_s"]) if "waited_s" in data else max(0.0, seconds(event["at"]) - row["parked_at"])
        row |= {"ended_at": seconds(event["at"]), "waited_s": waited_s, "outcome": outcome}
        row |= {"ended_by": by, "ended_by_id": self._names.people.get((str(event["account"]), by))}

    def _close(self, event: EventJson, call: str) -> None:
        row = self._last.get(call)
        if row is not None and row["outcome"] is None:
            self._end(event, {"call": call}, "ended")

    def _resumed(self, event: EventJson, data: Mapping[str, Any]) -> None:
        """After a restart: the other calls of the account are over, and nobody knows how."""
        for call, row in self._last.items():
            if row["account"] == event["account"] and call not in data["calls"]:
                self._close(event, call)

    def _row(self, data: Mapping[str, Any]) -> Row | None:
        """The last row of the call, which is about to change."""
        row = self._last.get(str(data["call"]))
        if row is not None and row["uid"] not in self._new:
            self._changed[row["uid"]] = row
        return row


_FOLD: Final[Mapping[str, Callable[[Fold, EventJson, Mapping[str, Any]], None]]] = {
    "call.parked": Fold._parked,
    "call.reparked": Fold._reparked,
    "call.given_back": Fold._again,
    "call.note_changed": Fold._noted,
    "call.retrieved": lambda fold, event, data: fold._end(event, data, "retrieved", data["retrieved_by"]),
    "call.returned": lambda fold, event, data: fold._end(event, data, "returned", data["returned_to"]),
    "call.abandoned": lambda fold, event, data: fold._end(event, data, "abandoned"),
    "call.timed_out": lambda fold, event, data: fold._end(event, data, "timed_out"),
    "call.given_up": lambda fold, event, data: fold._end(event, data, "timed_out"),
    "call.ended": lambda fold, event, data: fold._close(event, data["call"]),
    "calls.resumed": Fold._resumed,
}
_COLUMNS: Final = tuple(column.name for column in t.park_history.c if column.name != "id")


@dataclass(frozen=True, slots=True)
class Names:
    """Ids of people by account and extension, and of sites by account and name."""

    people: Mapping[tuple[str, str | None], str]
    sites: Mapping[tuple[str, str], str]


async def _names(connection: AsyncConnection, events: Sequence[EventJson]) -> Names:
    """Those that ``events`` name, from the directory in force."""
    numbers, lots = set[tuple[str, str]](), set[tuple[str, str]]()
    for event in events:
        account, data = str(event["account"]), event["data"]
        numbers |= {(account, data[who]) for who in ("parked_by", "retrieved_by", "returned_to") if data.get(who)}
        if "lot" in data and not data.get("site"):
            lots.add((account, data["lot"]))
    people = await _ids(connection, t.owner, t.owner.c.extension, numbers)
    return Names(people, await _ids(connection, t.site, t.site.c.name, lots))


async def _ids(
    connection: AsyncConnection, table: Any, column: ColumnElement[str], wanted: set[tuple[str, str]]
) -> dict[Any, str]:
    found: dict[Any, str] = {}
    for some in _portions(sorted((account, storable(name)) for account, name in wanted)):
        query = select(t.account.c.slug, column, table.c.uid).join_from(t.account, table)
        query = query.where(tuple_(t.account.c.slug, column).in_(some))
        found |= {(slug, name): uid for slug, name, uid in await connection.execute(query)}
    return found


async def _last_rows(connection: AsyncConnection, calls: set[str]) -> dict[str, Row]:
    """The last row of each of ``calls`` that has one."""
    found: dict[str, Row] = {}
    for some in _portions(sorted(calls)):
        query = select(t.park_history).where(_h.call.in_(some)).order_by(_h.id)
        found |= {row["call"]: dict(row) for row in (await connection.execute(query)).mappings()}
    return found


async def _open_rows(connection: AsyncConnection, accounts: Sequence[str]) -> dict[str, Row]:
    """Those of the calls that are parked, as far as the history knows. They are the last of their calls."""
    query = select(t.park_history).where(_h.outcome.is_(None), _h.account.in_(accounts[-_MOST_NAMES:])).order_by(_h.id)
    return {row["call"]: dict(row) for row in (await connection.execute(query)).mappings()}


def _portions(items: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(items), _MOST_NAMES):
        yield items[start : start + _MOST_NAMES]


def seconds(iso: str) -> float:
    """Seconds since the epoch of a time as events write it."""
    return datetime.fromisoformat(iso).timestamp()


# From rows to pages


@dataclass(frozen=True, slots=True)
class ParkFilter:
    """Which parks: all that are None do not matter.

    ``site`` and ``person`` are ids; a person parked the call or had it at the end. ``number`` is an extension that did.
    ``outcome`` is one of ``OUTCOMES`` or ``PARKED``. ``since`` and ``until`` (not included) are about when the call was parked.
    """

    account: str | None = None
    site: str | None = None
    code: str | None = None
    lot: str | None = None
    person: str | None = None
    number: str | None = None
    call: str | None = None
    uid: str | None = None
    outcome: str | None = None
    since: float | None = None
    until: float | None = None

    def condition(self) -> ColumnElement[bool]:
        """As SQL."""
        said: list[ColumnElement[bool]] = [
            column == value
            for column, value in (
                (_h.account, self.account),
                (_h.site, self.site),
                (_h.code, self.code),
                (_h.lot, self.lot),
                (_h.call, self.call),
                (_h.uid, self.uid),
            )
            if value is not None
        ]
        if self.person is not None:
            said.append(or_(_h.parked_by_id == self.person, _h.ended_by_id == self.person))
        if self.number is not None:
            said.append(or_(_h.parked_by == self.number, _h.ended_by == self.number))
        if self.outcome is not None:
            said.append(_h.outcome.is_(None) if self.outcome == PARKED else _h.outcome == self.outcome)
        if self.since is not None:
            said.append(_h.parked_at >= self.since)
        if self.until is not None:
            said.append(_h.parked_at < self.until)
        return and_(True, *said)


async def page(
    connection: AsyncConnection, wanted: ParkFilter, limit: int, after: tuple[float, int] | None = None
) -> list[Row]:
    """Up to ``limit`` rows of ``park_history``, newest first; those after the row with this ``parked_at`` and ``id``."""
    query = select(t.park_history).where(wanted.condition())
    if after is not None:
        query = query.where(older(_h.parked_at, _h.id, after))
    query = query.order_by(_h.parked_at.desc(), _h.id.desc()).limit(limit)
    return [dict(row) for row in (await connection.execute(query)).mappings()]


def older(at: ColumnElement[float], row_id: ColumnElement[int], than: tuple[float, int]) -> ColumnElement[bool]:
    """Rows that come after ``than`` in a list that begins with the newest."""
    return tuple_(at, row_id) < tuple_(than[0], min(max(than[1], 0), _BIGGEST_ID))

"""Writes the entries of one account into its tables, and keeps what it changed for the report.

Parents are written before children; what is gone is removed at the end, children before parents.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

from sqlalchemy import ColumnElement, Select, Table, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from parkade.base.errors import ParkadeError
from parkade.store.directory_changes import Change
from parkade.store.directory_match import Matches, Row, key_of, match

Describe: TypeAlias = Callable[[Row], str]
_MOST_NAMES_A_QUERY = 500


class ImportRefusedError(ParkadeError):
    """The file is right in itself but clashes with an account that it does not name."""


class Kind(NamedTuple):
    """How rows of ``table`` are found again and spoken of.

    ``identity`` says what became of a row that stayed itself (`` renamed to X``); a change of nothing but ``silent`` columns
    is written without a line.
    """

    table: Table
    key: tuple[str, ...]
    label: Describe
    identity: Callable[[Row, Row], str] = lambda _old, _new: ""
    silent: frozenset[str] = frozenset()


class AccountTables:
    """One import of one account."""

    def __init__(self, connection: AsyncConnection, slug: str) -> None:
        self._connection = connection
        self._slug = slug
        self._stale: list[tuple[Table, object, str]] = []
        self.changes: list[Change] = []

    def say(self, verb: str, what: str) -> None:
        """Add a line to the report."""
        self.changes.append(Change(self._slug, verb, what))

    async def rows(self, table: Table, scope: ColumnElement[bool]) -> list[Row]:
        """The rows of ``table`` in ``scope``, in their order."""
        order = table.c.position if "position" in table.c else table.c.id
        return [dict(row) for row in (await self._connection.execute(select(table).where(scope).order_by(order))).mappings()]

    async def put(
        self,
        kind: Kind,
        scope: ColumnElement[bool],
        entries: Sequence[Row],
        further: Callable[[Matches], Matches] = lambda matches: matches,
    ) -> list[int]:
        """Make the rows in ``scope`` what ``entries`` say; their ``id`` in the order of ``entries``.

        ``further`` may match what neither id nor key does. Rows that nothing matches are noted for ``remove_stale``.
        """
        matches = further(match(entries, await self.rows(kind.table, scope), kind.key))
        await self._free_keys(kind, entries, matches)
        new: list[Row] = []
        for entry, old in zip(entries, matches.rows, strict=True):
            if old is None:
                self.say("created", kind.label(entry))
                new.append(entry)
            else:
                await self._update(kind, entry, old)
        made = iter(await self.insert_all(kind.table, new))
        for row in matches.gone:
            self.remove_later(kind.table, row["id"], kind.label(row))
        return [next(made) if old is None else old["id"] for old in matches.rows]  # type: ignore[misc]

    async def insert(self, table: Table, entry: Row) -> int:
        """A new row, with a ``uid`` of its own unless ``entry`` has one; its ``id``."""
        (row_id,) = await self.insert_all(table, [entry])
        return row_id

    async def insert_all(self, table: Table, entries: Sequence[Row]) -> list[int]:
        """The same for many rows, which is much faster than one after the other: their ``id``, in their order."""
        if not entries:
            return []
        rows = [dict(entry) for entry in entries]
        if "uid" in table.c:
            rows = [row | {"uid": row.get("uid") or secrets.token_hex(8)} for row in rows]
        query = insert(table).returning(table.c.id, sort_by_parameter_order=True)
        return list((await self._connection.execute(query, rows)).scalars())

    async def update(self, table: Table, row_id: object, **values: object) -> None:
        """Change columns of one row."""
        await self._connection.execute(update(table).where(table.c.id == row_id).values(**values))

    def remove_later(self, table: Table, row_id: object, what: str) -> None:
        """Note a row for ``remove_stale``; without a line in the report if ``what`` is empty."""
        self._stale.append((table, row_id, what))

    async def remove_stale(self) -> None:
        """Delete what is gone, last noted first."""
        for table, row_id, what in reversed(self._stale):
            await self._connection.execute(delete(table).where(table.c.id == row_id))
            if what:
                self.say("removed", what)

    async def has(self, query: Select[Any]) -> bool:
        """Whether ``query`` finds anything."""
        return (await self._connection.execute(query)).first() is not None

    async def taken(self, column: ColumnElement[str], table: Table, names: Sequence[str]) -> list[Row]:
        """The rows of any account whose ``column``, unique over all of them, is one of ``names``."""
        found: list[Row] = []
        for start in range(0, len(names), _MOST_NAMES_A_QUERY):
            query = select(table).where(column.in_(names[start : start + _MOST_NAMES_A_QUERY]))
            found += [dict(row) for row in (await self._connection.execute(query)).mappings()]
        return found

    async def _update(self, kind: Kind, entry: Row, old: Row) -> None:
        changed = {name: value for name, value in entry.items() if old[name] != value and not (name == "uid" and value is None)}
        if changed:
            await self.update(kind.table, old["id"], **changed)
        if changed.keys() - kind.silent:
            same = kind.identity(old, entry)
            self.say("updated", kind.label(old if same else entry) + same)

    async def _free_keys(self, kind: Kind, entries: Sequence[Row], matches: Matches) -> None:
        """Names may be exchanged: rows give up those that another row is to have. They are unique at every moment."""
        wanted = {key_of(entry, kind.key) for entry in entries}
        staying = [(row, key_of(entry, kind.key)) for row, entry in zip(matches.rows, entries, strict=True) if row is not None]
        leaving = [(row, None) for row in matches.gone]
        for row, key in (*staying, *leaving):
            before = key_of(row, kind.key)
            if before in wanted and key != before:
                await self.update(kind.table, row["id"], **{kind.key[-1]: f"\x01{row['id']}"})

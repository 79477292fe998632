"""The rows of one account or of all, found by their parents. Nothing is interpreted here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from sqlalchemy import Select, Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

from parkade.store import tables as t

Row: TypeAlias = Mapping[str, Any]
Raw: TypeAlias = dict[Table, tuple[Sequence[str], Sequence[Sequence[object]]]]
"""Column names and rows of each table, as the database gave them."""

FOR_CALLS = (
    t.account,
    t.site,
    t.lot,
    t.user_group,
    t.owner,
    t.device,
    t.extension_group,
    t.group_member,
    t.feature_codes,
    t.park_setting,
)
"""The tables that call control's directory is made of."""

FOR_FILES = (*FOR_CALLS, t.login, t.device_key, t.trunk, t.inbound_number)
"""Those that a directory file is made of."""


async def fetch(connection: AsyncConnection, wanted: Iterable[Table], account_id: int | None = None) -> Raw:
    """The rows of the tables ``wanted``, of the account ``account_id`` alone unless it is None."""
    raw: Raw = {}
    for table in wanted:
        query = select(table).order_by(table.c.position if "position" in table.c else table.c.id)
        result = await connection.execute(query if account_id is None else _of_account(query, table, account_id))
        raw[table] = (list(result.keys()), result.all())
    return raw


def _of_account(query: Select[Any], table: Table, account_id: int) -> Select[Any]:
    if table is t.account:
        return query.where(table.c.id == account_id)
    if "account_id" in table.c:
        return query.where(table.c.account_id == account_id)
    (parent,) = (key.column.table for key in table.foreign_keys if key.column.table in (t.extension_group, t.trunk, t.device))
    column = table.c[f"{parent.name}_id"]
    return query.where(column.in_(select(parent.c.id).where(parent.c.account_id == account_id)))


class Rows:
    """Rows as mappings. Making one costs a few microseconds a row: for many rows, do it off the event loop."""

    def __init__(self, raw: Raw) -> None:
        self._rows = {table: [dict(zip(names, row, strict=True)) for row in rows] for table, (names, rows) in raw.items()}
        self._children: dict[tuple[Table, str], dict[object, list[Row]]] = {}

    def all(self, table: Table) -> Sequence[Row]:
        """Every row of ``table`` that was fetched, in the order to be shown."""
        return self._rows[table]

    def of(self, table: Table, parent: str, parent_id: object) -> Sequence[Row]:
        """The rows of ``table`` whose column ``parent`` is ``parent_id``."""
        if (table, parent) not in self._children:
            index: dict[object, list[Row]] = defaultdict(list)
            for row in self._rows[table]:
                index[row[parent]].append(row)
            self._children[(table, parent)] = index
        return self._children[(table, parent)].get(parent_id, ())

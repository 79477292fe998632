"""Lists a page at a time: ``?limit=&cursor=``, answered by ``{"items": […], "next": cursor or null}``.

A cursor says after which entry to go on (the values it is ordered by), so nothing is missed or doubled by what comes and goes.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Generic, TypeAlias, TypeVar

from fastapi import Depends, Query
from pydantic import BaseModel
from sqlalchemy import ColumnElement, RowMapping, Select, and_, or_
from sqlalchemy.ext.asyncio import AsyncConnection

from parkade.api import refusals
from parkade.api.problems import Problem

T = TypeVar("T")
Values: TypeAlias = list[str | int | float]
MOST = 1000
_BIGGEST = {int: 2**31, float: 2**53}
"""Whole numbers are those of rows, which PostgreSQL keeps in four bytes and refuses to compare with larger ones."""


class Page(BaseModel, Generic[T]):
    """Some of a list. ``next`` is the cursor of what follows, null at the end."""

    items: list[T]
    next: str | None = None


class Wanted:
    """What of a list is wanted."""

    def __init__(self, limit: int, cursor: str | None) -> None:
        self.limit = limit
        self.cursor = cursor

    def after(self, *kinds: type) -> Values | None:
        """The values of the entry to go on after, of these kinds each; None at the beginning. Answers 400 to nonsense."""
        if self.cursor is None:
            return None
        try:
            values = json.loads(base64.urlsafe_b64decode(self.cursor.encode("ascii") + b"=="))
        except (ValueError, RecursionError):
            values = None
        if not isinstance(values, list) or len(values) != len(kinds) or not all(map(_fits, values, kinds)):
            raise Problem(refusals.BAD_CURSOR)
        return values

    def page(self, entries: Sequence[T], order: Callable[[T], Values]) -> tuple[Sequence[T], str | None]:
        """Of ``entries`` (one more than wanted, if there are more) those of this page, and the cursor of the next."""
        if len(entries) <= self.limit:
            return entries, None
        return entries[: self.limit], cursor_of(order(entries[self.limit - 1]))


async def wanted(
    limit: Annotated[int, Query(ge=1, le=MOST, description="At most so many.")] = 100,
    cursor: Annotated[str | None, Query(max_length=1000, description="`next` of the page before.")] = None,
) -> Wanted:
    """What a request asks for."""
    return Wanted(limit, cursor)


Paged = Annotated[Wanted, Depends(wanted)]


_UNWRITABLE = re.compile("[\0\ud800-\udfff]")
"""What no database takes."""


def _fits(value: object, kind: type) -> bool:
    if isinstance(value, bool) or not isinstance(value, (kind, int) if kind is float else kind):
        return False
    if isinstance(value, (int, float)):
        return abs(value) < _BIGGEST[kind]
    return _UNWRITABLE.search(str(value)) is None


def cursor_of(values: Values) -> str:
    """The text of a cursor."""
    return base64.urlsafe_b64encode(json.dumps(values, separators=(",", ":")).encode()).decode().rstrip("=")


async def fetch_page(
    connection: AsyncConnection, query: Select[Any], order: Sequence[tuple[ColumnElement[Any], type]], paged: Wanted
) -> tuple[list[RowMapping], str | None]:
    """The rows of ``query`` that are wanted, by ``order`` (columns with the kind of their values, unique together)."""
    after = paged.after(*(kind for _, kind in order))
    columns = [column for column, _ in order]
    if after is not None:
        query = query.where(_beyond(columns, after))
    named = [column.label(f"order_{i}") for i, column in enumerate(columns)]
    query = query.add_columns(*named).order_by(*columns).limit(paged.limit + 1)
    rows = list((await connection.execute(query)).mappings())
    there, following = paged.page(rows, lambda row: [row[f"order_{i}"] for i in range(len(columns))])
    return list(there), following


def _beyond(columns: Sequence[ColumnElement[Any]], values: Values) -> ColumnElement[bool]:
    """Rows that come after the one with these values."""
    return or_(
        *(
            and_(*(column == value for column, value in zip(columns[:i], values, strict=False)), columns[i] > values[i])
            for i in range(len(columns))
        )
    )

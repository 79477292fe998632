"""Which row of the database is meant by which entry of a directory file. Pure.

An entry with an id means the row with that id. One without, or whose id no row has, means the row with the same natural
key (a site's name, a person's extension, a device's username), unless another entry has claimed that row by id. What is
left over is new, and rows that nothing means are gone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

Row: TypeAlias = Mapping[str, object]
Key: TypeAlias = tuple[object, ...]


class Matches(NamedTuple):
    """``rows`` has the row meant by each entry, None for a new one; ``gone`` the rows that no entry means."""

    rows: list[Row | None]
    gone: list[Row]


def key_of(row: Row, key: Sequence[str]) -> Key:
    """The natural key of a row or an entry."""
    return tuple(row[name] for name in key)


def match(entries: Sequence[Row], rows: Sequence[Row], key: Sequence[str]) -> Matches:
    """Match ``entries`` (whose ``uid`` is None or missing if the file says no id) with ``rows`` by id, then by ``key``."""
    by_uid = {row["uid"]: row for row in rows if "uid" in row}
    found: list[Row | None] = [by_uid.get(entry.get("uid")) for entry in entries]
    claimed = {row["uid"] for row in found if row is not None}
    free = {key_of(row, key): row for row in rows if row.get("uid") not in claimed}
    for i, entry in enumerate(entries):
        if found[i] is None:
            found[i] = free.pop(key_of(entry, key), None)
    return Matches(found, list(free.values()))


def match_renamed(
    matches: Matches, entries: Sequence[Row], marks: Sequence[object], mark_of: Callable[[Row], object]
) -> Matches:
    """Take new entries without an id for rows that are gone where it is plain which: the file only says another name.

    It is plain if just one new entry and just one row that is gone have the same mark (``marks`` are those of the entries),
    or if just one of each is left.
    """
    rows, gone = list(matches.rows), list(matches.gone)
    new = [i for i, row in enumerate(rows) if row is None and entries[i].get("uid") is None]
    for mark in {marks[i] for i in new}:
        alike = [i for i in new if marks[i] == mark]
        before = [row for row in gone if mark_of(row) == mark]
        if len(alike) == len(before) == 1:
            rows[alike[0]] = before[0]
            new.remove(alike[0])
            gone.remove(before[0])
    if len(new) == len(gone) == 1:
        rows[new[0]] = gone.pop()
    return Matches(rows, gone)

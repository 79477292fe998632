"""CSV as spreadsheets read it (:rfc:`4180`), without letting a caller's name be a formula."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

MEDIA_TYPE = "text/csv"
_RISKY = ("=", "+", "-", "@", "\t", "\r")
"""What a cell begins with that some spreadsheet takes for a formula."""
_NUMBER = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{1,30})?")


def cell(value: object) -> str:
    """One value. Text that could be taken for a formula gets an apostrophe before it; a telephone number is a number."""
    if value is None:
        return ""
    text = str(value)
    return f"'{text}" if text.startswith(_RISKY) and not _NUMBER.fullmatch(text) else text


def lines(rows: Iterable[Sequence[object]]) -> str:
    """Some lines."""
    out = io.StringIO()
    csv.writer(out).writerows([cell(value) for value in row] for row in rows)
    return out.getvalue()

"""Text from outside (names on displays, user agents) as every database takes it."""

from __future__ import annotations

import re

_REFUSED = re.compile("[\x00\ud800-\udfff]")


def storable(text: str) -> str:
    """``text`` with U+FFFD for what PostgreSQL (NUL) or UTF-8 (lone surrogates) cannot hold."""
    return _REFUSED.sub("\ufffd", text)

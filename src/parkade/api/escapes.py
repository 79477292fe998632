"""Half characters in JSON: ``"\\ud800"`` is JSON, and no text that could be written down as UTF-8 (:rfc:`8259` section 8.2)."""

from __future__ import annotations

import re
from typing import Final

_ESCAPE: Final = re.compile(rb"\\(?:u([0-9a-fA-F]{4})|[^u])|[^\\]+", re.DOTALL)
_LONGEST: Final = 6
"""Bytes of an escape."""


class Escapes:
    """Looks at a body as it comes, in pieces of any length. ``lone`` is True once half a character has been seen.

    Half a character at the very end is not seen; a body that ends so is no JSON.
    """

    def __init__(self) -> None:
        self.lone = False
        self._left = b""
        self._high = False
        """Whether what came last is the first half of a pair."""

    def feed(self, data: bytes) -> None:
        """The next piece."""
        if not self._left and not self._high and b"\\" not in data:
            return
        data = self._left + data
        at = 0
        while at < len(data):
            found = _ESCAPE.match(data, at)
            if found is None:
                if len(data) - at < _LONGEST:
                    break  # the rest of it is yet to come
                at += 1  # no escape of JSON: whoever reads it will say so
                continue
            code = int(found[1], 16) if found[1] else 0
            low = 0xDC00 <= code < 0xE000
            if low is not self._high:
                self.lone = True
            self._high = 0xD800 <= code < 0xDC00
            at = found.end()
        self._left = data[at:]

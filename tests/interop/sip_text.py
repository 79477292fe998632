"""Reading SIP messages from a trace. Small, and on purpose not the parser under test."""

from __future__ import annotations

import re
from dataclasses import dataclass

COMPACT = {"i": "call-id", "m": "contact", "f": "from", "t": "to", "v": "via", "c": "content-type", "l": "content-length"}


@dataclass(frozen=True, slots=True)
class Message:
    """One message as a phone sent (``tx``) or received (``rx``) it."""

    way: str
    text: str
    at: float
    """Monotonic seconds."""

    @property
    def first_line(self) -> str:
        return self.text.split("\n", 1)[0].strip()

    @property
    def status(self) -> int | None:
        """The status of a response; None for a request."""
        found = re.match(r"SIP/2\.0 (\d{3})", self.first_line)
        return int(found[1]) if found else None

    @property
    def method(self) -> str:
        """The method of a request, or of the request that a response answers."""
        return self.header("CSeq").split()[-1]

    @property
    def body(self) -> str:
        parts = re.split(r"\r?\n\r?\n", self.text, maxsplit=1)
        return parts[1] if len(parts) == 2 else ""

    def headers(self, name: str) -> list[str]:
        """The values of every line of that header, in order."""
        head = re.split(r"\r?\n\r?\n", self.text, maxsplit=1)[0]
        found = []
        for line in re.split(r"\r?\n", head)[1:]:
            label, colon, value = line.partition(":")
            label = label.strip().lower()
            if colon and COMPACT.get(label, label) == name.lower():
                found.append(value.strip())
        return found

    def header(self, name: str) -> str:
        """The first value of that header, or an empty string."""
        return next(iter(self.headers(name)), "")

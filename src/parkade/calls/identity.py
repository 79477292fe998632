"""A name and a number as a display shows them."""

from __future__ import annotations

from parkade.base.values import valueclass


@valueclass(frozen=True, slots=True)
class Identity:
    """Who someone is to the person looking at the display. Either part may be empty."""

    name: str
    number: str

    def __str__(self) -> str:
        return f"{self.name} ({self.number})" if self.name and self.number else self.name or self.number

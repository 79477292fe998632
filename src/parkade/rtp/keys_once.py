"""Tells a second report of one press from a second press: some phones send a key two ways at once."""

from __future__ import annotations

from parkade.base.clock import Instant

WITHIN_S = 1.0
"""An event comes when a key goes down, an INFO when it comes up, later still if it was sent again."""


class KeysOnce:
    """``counts`` says whether a key is a new press. A press is matched with at most one report of each other way."""

    __slots__ = ("_unmatched",)

    def __init__(self) -> None:
        self._unmatched: list[tuple[str, str, Instant]] = []

    def counts(self, key: str, way: str, now: Instant) -> bool:
        """Whether ``key``, which came by ``way`` (any word), is not the same press that another way has told."""
        recent = [entry for entry in self._unmatched if now - entry[2] <= WITHIN_S]
        self._unmatched = recent
        for index, (known, by, _) in enumerate(recent):
            if known == key and by != way:
                del recent[index]
                return False
        recent.append((key, way, now))
        return True

"""Recognises a feature code among the keys pressed during a conversation.

A code counts when its keys come one after the other, each within ``INTER_KEY_S`` of the one before; other keys before
it do not matter (``**5`` contains ``*5``). The keys reach the other party as well: nothing is held back.
"""

from __future__ import annotations

from parkade.base.clock import Instant

INTER_KEY_S = 3.0
"""The longest pause between two keys of one code."""


class Keypad:
    """The keys pressed lately on one leg."""

    __slots__ = ("_at", "_keys")

    def __init__(self) -> None:
        self._keys = ""
        self._at: Instant = 0.0

    def press(self, key: str, code: str, now: Instant) -> bool:
        """True when ``key`` completes ``code`` (then the keys are forgotten). An empty code is never complete."""
        if not code:
            return False
        pressed = self._keys if now - self._at <= INTER_KEY_S else ""
        self._keys, self._at = (pressed + key)[-len(code) :], now
        if self._keys != code:
            return False
        self._keys = ""
        return True

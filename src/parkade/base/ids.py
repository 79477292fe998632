"""Identifiers and choices made from entropy that is handed in, so that a simulated world repeats itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

Entropy: TypeAlias = Callable[[int], bytes]
"""``entropy(n)`` gives ``n`` random bytes: ``os.urandom`` in the product, a seeded stream in tests."""


class Ids:
    """Makes tokens for tags, branches, Call-IDs and legs: 64 random bits as hex unless told otherwise.

    Entropy is drawn in blocks, because a system call for each token is dearer than the token.
    """

    __slots__ = ("_block", "_entropy", "_used")

    BLOCK_BYTES: Final = 4096

    def __init__(self, entropy: Entropy) -> None:
        self._entropy = entropy
        self._block = ""
        self._used = 0

    def token(self, size_bytes: int = 8) -> str:
        """A fresh lower-case hex token of ``2 * size_bytes`` characters (``size_bytes`` at most 64)."""
        end = self._used + 2 * size_bytes
        if end > len(self._block):
            self._block = self._entropy(self.BLOCK_BYTES).hex()
            self._used, end = 0, 2 * size_bytes
        token = self._block[self._used : end]
        self._used = end
        return token

    def below(self, limit: int) -> int:
        """A number in ``range(limit)``, uniform to within 2**-32 for limits below 2**32."""
        return int(self.token(8), 16) % limit

"""The reserve of RTP ports that the media process has bound for us."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable


class AnnouncedPorts:
    """First in, first out, so that a port rests as long as possible before stray packets of an old call could meet a
    new one.
    """

    __slots__ = ("_ready",)

    def __init__(self) -> None:
        self._ready: deque[int] = deque()

    def __len__(self) -> int:
        return len(self._ready)

    def add(self, ports: Iterable[int]) -> None:
        """Ports that the media process has just announced."""
        self._ready.extend(ports)

    def take(self) -> int | None:
        """One port for one leg, or None if the reserve is exhausted."""
        return self._ready.popleft() if self._ready else None

    def clear(self) -> None:
        """The media process is gone and its ports with it."""
        self._ready.clear()

"""The RTP ports that the media process has announced and that no leg uses, and who waits for one.

Ports are announced in portions. When the last one is taken, more are on their way unless media has said that there are none:
so a call waits for a moment rather than being refused for want of a port that exists.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from parkade.base.clock import Instant

PATIENCE_S = 4.0
"""How long a leg waits for a port: longer than a pause of the media process, shorter than a caller's patience."""


class AnnouncedPorts:
    """First in, first out, so that a port rests as long as possible before stray packets of an old call could meet a
    new one. ``exhausted`` tells that media has no other than those announced.
    """

    __slots__ = ("_ready", "_waiting", "exhausted")

    def __init__(self) -> None:
        self.exhausted = False
        self._ready: deque[int] = deque()
        self._waiting: deque[tuple[Instant, Callable[[Instant], None]]] = deque()

    def __len__(self) -> int:
        return len(self._ready)

    @property
    def are_coming(self) -> bool:
        """Whether there is no port to spare now, or others wait already, but more can be expected."""
        return not self.exhausted and (not self._ready or bool(self._waiting))

    def add(self, ports: Iterable[int]) -> None:
        """Ports that the media process has just announced."""
        self._ready.extend(ports)
        self.exhausted = False

    def take(self) -> int | None:
        """One port for one leg, or None if there is none."""
        return self._ready.popleft() if self._ready else None

    def clear(self) -> None:
        """The media process is gone and its ports with it."""
        self._ready.clear()

    # Waiting

    @property
    def waiting(self) -> int:
        """How many legs wait for a port."""
        return len(self._waiting)

    def wait(self, go_on: Callable[[Instant], None], now: Instant) -> None:
        """``go_on`` once there is a port, in the order of arrival, or once there will be none or it has waited long enough."""
        self._waiting.append((now + PATIENCE_S, go_on))

    def deadline(self) -> Instant | None:
        """When whoever has waited longest will not wait any more."""
        return self._waiting[0][0] if self._waiting else None

    def serve(self, now: Instant) -> None:
        """Let go on whoever can or must: each takes a port, or finds none and gives up."""
        waiting = self._waiting
        while waiting and (self._ready or self.exhausted or waiting[0][0] <= now):
            waiting.popleft()[1](now)

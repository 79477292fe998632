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

    __slots__ = ("_ready", "_used", "_waiting", "exhausted")

    def __init__(self) -> None:
        self.exhausted = False
        self._ready: deque[int] = deque()
        self._used: set[int] = set()
        self._waiting: deque[tuple[Instant, Callable[[Instant], None]]] = deque()

    def __len__(self) -> int:
        return len(self._ready)

    @property
    def are_coming(self) -> bool:
        """Whether there is no port to spare now, or others wait already, but more can be expected."""
        return not self.exhausted and (not self._ready or bool(self._waiting))

    def add(self, ports: Iterable[int]) -> None:
        """Ports that the media process has just announced; those that legs of ours are to get back are left to them."""
        self._ready.extend(port for port in ports if 0 < port < 65536 and port not in self._used)
        self.exhausted = False

    def take(self) -> int | None:
        """One port for one leg, or None if there is none."""
        if not self._ready:
            return None
        port = self._ready.popleft()
        self._used.add(port)
        return port

    def claim(self, port: int) -> bool:
        """A leg from before a restart has this port; False if another one has it."""
        if port in self._used:
            return False
        self._used.add(port)
        return True

    def give_back(self, port: int) -> None:
        """No leg uses it any more; media will announce it again."""
        self._used.discard(port)

    def clear(self) -> None:
        """What was announced is not valid any more: media, or its connection to us, is a new one."""
        self._ready.clear()
        self.exhausted = False

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

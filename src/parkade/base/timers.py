"""A table of timers: one deadline a key, set and cancelled in O(log n), no clock of its own.

Cancelling leaves a dead entry in the heap; the heap is rebuilt when most of it is dead, so a call that arms and
disarms timers for hours does not grow it.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

from parkade.base.clock import Instant

K = TypeVar("K", bound=Hashable)


class Timers(Generic[K]):
    """Deadlines by key. Setting a key again replaces its deadline.

    ``next`` is the earliest deadline, or None if nothing is armed: asked far more often than anything is set.
    """

    __slots__ = ("_due", "_heap", "_serial", "next")

    def __init__(self) -> None:
        self.next: Instant | None = None
        self._due: dict[K, tuple[Instant, int, K]] = {}
        self._heap: list[tuple[Instant, int, K]] = []
        self._serial = 0

    def __len__(self) -> int:
        return len(self._due)

    def set(self, key: K, at: Instant) -> None:
        """Arm ``key`` for ``at``; an earlier setting of it is forgotten."""
        self._serial += 1
        before = self._due.get(key)
        entry = self._due[key] = (at, self._serial, key)
        heapq.heappush(self._heap, entry)
        if before is not None and before[0] == self.next:
            self._look()
        elif self.next is None or at < self.next:
            self.next = at
        if len(self._heap) > 64 and len(self._heap) > 4 * len(self._due):
            self._heap = list(self._due.values())
            heapq.heapify(self._heap)

    def cancel(self, key: K) -> None:
        """Disarm ``key``; nothing happens if it is not armed."""
        entry = self._due.pop(key, None)
        if entry is not None and entry[0] == self.next:
            self._look()

    def when(self, key: K) -> Instant | None:
        """The deadline of ``key``, or None if it is not armed."""
        entry = self._due.get(key)
        return entry[0] if entry else None

    def deadline(self) -> Instant | None:
        """The earliest deadline, or None if nothing is armed."""
        return self.next

    def pop_due(self, now: Instant) -> Iterator[K]:
        """Yield and disarm every key whose deadline is at or before ``now``, earliest first.

        A key armed by the consumer during the iteration is yielded too if it is due.
        """
        while self.next is not None and self.next <= now:
            _, _, key = heapq.heappop(self._heap)
            del self._due[key]
            self._look()
            yield key

    def _look(self) -> None:
        """Pass over what is dead at the top of the heap, and note what comes next."""
        heap, due = self._heap, self._due
        while heap:
            at, serial, key = heap[0]
            known = due.get(key)
            if known is not None and known[1] == serial:
                self.next = at
                return
            heapq.heappop(heap)
        self.next = None

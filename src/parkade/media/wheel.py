"""Who is due when: time cut into milliseconds, for each packet time a ring of as many slots.

A leg that plays frames of 20 ms sits in one of twenty slots and comes round every 20 ms, wherever the others sit: thousands
of legs are spread as evenly as their calls began, and each keeps its own beat. Placing and removing cost the same for one leg
and for thousands.
"""

from __future__ import annotations

from collections.abc import Iterator

from parkade.media.leg import Leg, Slot


class Wheel:
    """``ms`` is the millisecond that was turned to last."""

    __slots__ = ("_rings", "ms")

    CATCH_UP_MS = 200
    """After a longer stop of the machine the missed slots are left out: nobody would hear them."""

    def __init__(self, ms: int) -> None:
        self.ms = ms
        self._rings: dict[int, list[Slot]] = {}

    def place(self, leg: Leg, due_ms: int) -> None:
        """Let ``leg`` come round each ``leg.ptime_ms``, first at the next such time as ``due_ms`` is one of."""
        ring = self._rings.get(leg.ptime_ms)
        if ring is None:
            ring = self._rings[leg.ptime_ms] = [{} for _ in range(leg.ptime_ms)]
        leg.slot = ring[due_ms % leg.ptime_ms]
        leg.slot[leg] = None

    def remove(self, leg: Leg) -> None:
        """Take ``leg`` off, if it is on."""
        if leg.slot is not None:
            del leg.slot[leg]
            leg.slot = None

    def next_ms(self) -> int | None:
        """The next millisecond with somebody in its slot."""
        for ms in range(self.ms + 1, self.ms + 1 + max(self._rings, default=0)):
            for ptime_ms, ring in self._rings.items():
                if ring[ms % ptime_ms]:
                    return ms
        return None

    def turn(self, ms: int) -> Iterator[Slot]:
        """Turn to ``ms``, giving each slot on the way that is not empty."""
        self.ms = max(self.ms, ms - self.CATCH_UP_MS)
        while self.ms < ms:
            self.ms += 1
            for ptime_ms, ring in self._rings.items():
                slot = ring[self.ms % ptime_ms]
                if slot:
                    yield slot

"""Who is due when: time cut into slots of ``SLOT_MS``, for each packet time a ring of them.

A leg that plays frames of 20 ms sits in one of four slots and comes round every 20 ms, wherever the others sit: thousands of
legs are spread as evenly as their calls began, and each keeps its own beat. Placing and removing cost the same for one leg
and for thousands. Finer slots would start music no sooner, since the first frame never waits for its slot, and wake the
process more often: 2,000 streams cost a quarter more with slots of 1 ms.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from parkade.base.clock import Instant
from parkade.media.leg import RtpLeg, Slot
from parkade.rtp.packet import CLOCK_HZ

SLOT_MS = 5
SLOTS_PER_S = 1000 // SLOT_MS


class Wheel:
    """``at`` is the number of the slot turned to last, counted from the epoch."""

    __slots__ = ("_longest", "_rings", "at")

    CATCH_UP: Final = 200 // SLOT_MS
    """After a longer stop of the machine the missed slots are left out: nobody would hear them."""

    def __init__(self, now: Instant) -> None:
        self.at = self.slot_of(now)
        self._rings: dict[int, list[Slot]] = {}
        self._longest = 0

    @staticmethod
    def slot_of(moment: Instant) -> int:
        """The slot that ``moment`` falls into."""
        return int(moment * SLOTS_PER_S)

    def place(self, leg: RtpLeg, due: int) -> None:
        """Let ``leg`` come round each ``leg.ptime_ms``, first with the slot ``due`` or, if that is over, as much later."""
        ring = self._rings.get(leg.ptime_ms)
        if ring is None:
            samples = leg.ptime_ms * CLOCK_HZ // 1000
            ring = self._rings[leg.ptime_ms] = [Slot(samples) for _ in range(leg.ptime_ms // SLOT_MS)]
            self._longest = max(self._longest, len(ring))
        leg.slot = ring[due % len(ring)]
        leg.slot.fresh[leg] = None

    def remove(self, leg: RtpLeg) -> None:
        """Take ``leg``, which is settled, off, if it is on."""
        if leg.slot is not None:
            del leg.slot.fresh[leg]
            leg.slot = None

    def deadline(self) -> Instant | None:
        """When the next slot with somebody in it begins."""
        for at in range(self.at + 1, self.at + 1 + self._longest):
            for ring in self._rings.values():
                slot = ring[at % len(ring)]
                if slot.going or slot.fresh:
                    return at / SLOTS_PER_S
        return None

    def turn(self, now: Instant) -> Iterator[Slot]:
        """Turn to ``now``, giving each slot on the way that is not empty."""
        last = self.slot_of(now)
        self.at = max(self.at, last - self.CATCH_UP)
        while self.at < last:
            self.at += 1
            for ring in self._rings.values():
                slot = ring[self.at % len(ring)]
                if slot.going or slot.fresh:
                    yield slot

"""The one clock of the process: UTC seconds that never run backwards."""

from __future__ import annotations

import time

from parkade.base.clock import Instant


class Clock:
    """The monotonic clock, shifted once to the Unix epoch; ``at_loop`` turns an instant into asyncio's loop time."""

    __slots__ = ("_offset_s",)

    def __init__(self) -> None:
        self._offset_s = time.time() - time.monotonic()

    def now(self) -> Instant:
        """Now, as the pure rooms count it."""
        return time.monotonic() + self._offset_s

    def at_loop(self, instant: Instant) -> float:
        """``instant`` on the time line of ``asyncio``'s ``loop.time()``, which is the monotonic clock."""
        return instant - self._offset_s

"""What the tests of the edge share: a recorder of inputs, and patience."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from parkade.sip.message.flow import Flow
from parkade.switch.inputs import FlowLost, Received, SwitchInput


class Heard:
    """What a transport fed, batch by batch."""

    def __init__(self) -> None:
        self.batches: list[list[SwitchInput]] = []

    def __call__(self, inputs: Sequence[SwitchInput]) -> None:
        self.batches.append(list(inputs))

    @property
    def data(self) -> list[bytes]:
        """The messages."""
        return [given.data for batch in self.batches for given in batch if isinstance(given, Received)]

    @property
    def flows(self) -> list[Flow]:
        """The flow of each message."""
        return [given.flow for batch in self.batches for given in batch if isinstance(given, Received)]

    def has(self, count: int) -> bool:
        """Whether ``count`` messages have come."""
        return len(self.data) >= count

    @property
    def lost(self) -> list[Flow]:
        """The flows that were lost."""
        return [given.flow for batch in self.batches for given in batch if isinstance(given, FlowLost)]


async def until(condition: Callable[[], object], patience_s: float = 5.0) -> None:
    """Wait for ``condition``."""
    for _ in range(int(patience_s / 0.005)):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError(f"not within {patience_s} s")

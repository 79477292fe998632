"""Streams that are gone, so that a phone which registers again gets its calls back (:rfc:`5923`, :rfc:`5626`).

A lost stream is remembered rather than looked for among the sessions: which of them used it shows when their phone comes back.
"""

from __future__ import annotations

from collections import OrderedDict

from parkade.base.clock import Instant
from parkade.sip.message.flow import Flow

REMEMBERED_S = 2 * 3600.0
"""Longer than any session lives without a refresh."""
MAX_REMEMBERED = 200_000


class LostFlows:
    """Flows that were lost lately, at most ``MAX_REMEMBERED``, oldest first."""

    def __init__(self) -> None:
        self._lost: OrderedDict[Flow, Instant] = OrderedDict()
        """Ordered, because the first of a plain dict is looked for among all that were deleted before it."""

    def __len__(self) -> int:
        return len(self._lost)

    def add(self, flow: Flow, now: Instant) -> None:
        """``flow`` is gone."""
        lost = self._lost
        lost[flow] = now
        lost.move_to_end(flow)
        while len(lost) > MAX_REMEMBERED or next(iter(lost.values())) < now - REMEMBERED_S:
            lost.popitem(last=False)

    def has(self, flow: Flow) -> bool:
        """Whether nothing can be sent on ``flow`` any more."""
        return flow in self._lost

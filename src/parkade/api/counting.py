"""Counts events for the metrics since this process began: how many of each kind, how long callers waited."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric

WAITS_S: Final = (1.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 3600.0)
"""The upper bounds of the histogram of waits."""
OUTCOMES: Final[Mapping[str, str]] = {
    "call.retrieved": "retrieved",
    "call.returned": "returned",
    "call.abandoned": "abandoned",
    "call.given_up": "given_up",
}
"""The events that end a wait."""


class Counting:
    """``add`` what has happened, ``collect`` for the metrics."""

    def __init__(self) -> None:
        self._events: Counter[str] = Counter()
        self._waits: dict[str, list[int]] = {outcome: [0] * (len(WAITS_S) + 1) for outcome in OUTCOMES.values()}
        self._waited_s = dict.fromkeys(OUTCOMES.values(), 0.0)

    def add(self, events: Sequence[Mapping[str, Any]]) -> None:
        """These have happened."""
        for event in events:
            kind = str(event["type"])
            self._events[kind] += 1
            if (outcome := OUTCOMES.get(kind)) is not None:
                waited_s = float(event["data"].get("waited_s") or 0.0)
                slot = next((i for i, bound in enumerate(WAITS_S) if waited_s <= bound), len(WAITS_S))
                self._waits[outcome][slot] += 1
                self._waited_s[outcome] += waited_s

    def collect(self) -> Iterator[Metric]:
        """A counter of events by type, a histogram of waits by outcome."""
        events = CounterMetricFamily("parkade_events", "Events by type", labels=["type"])
        for kind, count in sorted(self._events.items()):
            events.add_metric([kind], count)
        yield events
        waits = HistogramMetricFamily("parkade_park_wait_seconds", "How long parked callers waited", labels=["outcome"])
        for outcome, counts in self._waits.items():
            buckets, total = [], 0
            for bound, count in zip((*map(str, WAITS_S), "+Inf"), counts, strict=True):
                total += count
                buckets.append((bound, total))
            waits.add_metric([outcome], buckets, self._waited_s[outcome])
        yield waits

"""How many requests somebody may make: a bucket of tokens for each. Pure; times are seconds."""

from __future__ import annotations


class Limiter:
    """``rate_per_s`` requests for as long as one likes, ``burst`` at once after a rest."""

    MOST = 10_000
    """How many are remembered; whoever has been quiet for long enough needs no memory."""

    def __init__(self, rate_per_s: float, burst: float) -> None:
        self._rate = rate_per_s
        self._burst = burst
        self._buckets: dict[str, tuple[float, float]] = {}

    def wait_s(self, who: str, now: float) -> float:
        """Take one; the seconds until there is one, 0 if it was there."""
        left, at = self._buckets.get(who, (self._burst, now))
        left = min(self._burst, left + max(0.0, now - at) * self._rate)
        if left < 1:
            self._buckets[who] = (left, now)
            return (1 - left) / self._rate
        if len(self._buckets) >= self.MOST:
            self._forget(now)
        self._buckets[who] = (left - 1, now)
        return 0.0

    def _forget(self, now: float) -> None:
        full_after = self._burst / self._rate
        self._buckets = {who: bucket for who, bucket in self._buckets.items() if now - bucket[1] < full_after}

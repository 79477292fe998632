"""Time as the pure rooms see it.

Every pure machine is handed ``now``: seconds since the Unix epoch (UTC) as a float that never runs backwards.
The edge makes it from the monotonic clock plus the epoch offset read once at start, so a stepped system clock
neither fires nor loses a timer.
"""

from typing import TypeAlias

Instant: TypeAlias = float
"""Seconds since the Unix epoch, never running backwards within a process."""

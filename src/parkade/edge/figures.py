"""How signalling is doing: gauges of this moment and counters since it started, under the names of their metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from parkade.edge.event_log import EventLog
from parkade.rtp.orders import LegClosed, Report

CLOCK_HZ = 8000
"""Of the codecs that there are."""
_OF_COUNTS: Mapping[str, str] = {
    "calls": "parkade_calls",
    "parked": "parkade_parked_calls",
    "legs": "parkade_legs",
    "bindings": "parkade_registrations",
    "ports": "parkade_rtp_ports_free",
    "waiting": "parkade_calls_waiting_for_a_port",
    "sip": "parkade_sip_transactions_and_dialogs",
    "transfers": "parkade_transfers",
}
"""What the switch counts, and what the metric is called."""


class Figures:
    """``counts`` are those of the switch, ``journal_waiting`` how many changes the disk has not taken."""

    def __init__(self, counts: Callable[[], Mapping[str, int]], journal_waiting: Callable[[], int], events: EventLog) -> None:
        self._counts = counts
        self._journal_waiting = journal_waiting
        self._events = events
        self._legs = self._sent = self._received = self._lost = self._refused = self._jitter = 0

    def heard(self, reports: Sequence[Report]) -> None:
        """Count what media says of the streams that ended."""
        for report in reports:
            if isinstance(report, LegClosed):
                self._legs += 1
                self._sent += report.sent
                self._received += report.received
                self._lost += report.lost
                self._refused += report.refused
                self._jitter += report.jitter

    def now(self) -> dict[str, float]:
        """All of them."""
        counts = self._counts()
        return {
            **{metric: counts[name] for name, metric in _OF_COUNTS.items() if name in counts},
            "parkade_journal_waiting": self._journal_waiting(),
            "parkade_event_log_waiting_bytes": self._events.waiting,
            "parkade_event_log_number": self._events.last,
            "parkade_rtp_legs_ended_total": self._legs,
            "parkade_rtp_jitter_seconds_total": self._jitter / CLOCK_HZ,
            "parkade_rtp_packets_sent_total": self._sent,
            "parkade_rtp_packets_received_total": self._received,
            "parkade_rtp_packets_lost_total": self._lost,
            "parkade_rtp_packets_refused_total": self._refused,
        }

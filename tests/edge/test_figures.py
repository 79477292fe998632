"""The figures of signalling: those of the switch as metrics, and what media says of streams that ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from parkade.edge.event_log import EventLog
from parkade.edge.figures import Figures
from parkade.rtp.orders import LegClosed, PortsReady

pytestmark = pytest.mark.asyncio


async def test_streams_are_counted_when_they_end(tmp_path: Path) -> None:
    log = EventLog.open(tmp_path)
    counts = {"calls": 3, "parked": 2, "legs": 4, "bindings": 5, "ports": 100, "waiting": 1, "sip": 9, "transfers": 0}
    figures = Figures(lambda: counts, lambda: 7, log)
    figures.heard([LegClosed("a", 500, 490, 10, 2, jitter=80), PortsReady((20_000,)), LegClosed("b", 50, 49, 1, 0, jitter=16)])
    now = figures.now()
    assert now == {
        "parkade_calls": 3,
        "parkade_parked_calls": 2,
        "parkade_legs": 4,
        "parkade_registrations": 5,
        "parkade_rtp_ports_free": 100,
        "parkade_calls_waiting_for_a_port": 1,
        "parkade_sip_transactions_and_dialogs": 9,
        "parkade_transfers": 0,
        "parkade_journal_waiting": 7,
        "parkade_event_log_waiting_bytes": 0,
        "parkade_event_log_number": 0,
        "parkade_rtp_legs_ended_total": 2,
        "parkade_rtp_jitter_seconds_total": 0.012,
        "parkade_rtp_packets_sent_total": 550,
        "parkade_rtp_packets_received_total": 539,
        "parkade_rtp_packets_lost_total": 11,
        "parkade_rtp_packets_refused_total": 2,
    }
    log.close()

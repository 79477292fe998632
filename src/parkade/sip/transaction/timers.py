"""The timers of :rfc:`3261` table 4 and :rfc:`6026`: how long each one is, one line each.

Durations only. Which state arms which timer, and what its firing does, stands in ``tables``.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

T1 = 0.5
"""Round-trip estimate, seconds."""
T2 = 4.0
"""Longest wait between retransmissions of a non-INVITE request or an INVITE response, seconds."""
T4 = 5.0
"""How long the network may keep a message, seconds."""


class Timer(StrEnum):
    """What a transaction waits for."""

    A = "timer A"
    B = "timer B"
    D = "timer D"
    E = "timer E"
    F = "timer F"
    G = "timer G"
    H = "timer H"
    I = "timer I"  # noqa: E741 - the RFC's name
    J = "timer J"
    K = "timer K"
    L = "timer L"
    M = "timer M"
    TRYING = "100 due"
    CANCELLED = "CANCEL unanswered"


class Wait(NamedTuple):
    """Seconds until a timer fires. ``reliable_s`` None: never armed there. ``longest_s``: doubles up to here each time."""

    unreliable_s: float
    reliable_s: float | None
    longest_s: float | None = None


WAITS: dict[Timer, Wait] = {
    Timer.A: Wait(T1, None, 64 * T1),  # INVITE is sent again
    Timer.B: Wait(64 * T1, 64 * T1),  # INVITE found no answer at all
    Timer.D: Wait(64 * T1, 0.0),  # retransmitted final responses still need their ACK
    Timer.E: Wait(T1, None, T2),  # request is sent again
    Timer.F: Wait(64 * T1, 64 * T1),  # request found no final answer
    Timer.G: Wait(T1, None, T2),  # final response to INVITE is sent again
    Timer.H: Wait(64 * T1, 64 * T1),  # ACK never came
    Timer.I: Wait(T4, 0.0),  # retransmitted ACKs are absorbed
    Timer.J: Wait(64 * T1, 0.0),  # retransmitted requests are answered again
    Timer.K: Wait(T4, 0.0),  # retransmitted responses are absorbed
    Timer.L: Wait(64 * T1, 64 * T1),  # INVITE was accepted: retransmissions of it are absorbed (RFC 6026)
    Timer.M: Wait(64 * T1, 64 * T1),  # INVITE was accepted: further 2xx belong to it (RFC 6026)
    Timer.TRYING: Wait(0.2, 0.2),  # the TU has not answered an INVITE: 100 is sent for it (17.2.1)
    Timer.CANCELLED: Wait(64 * T1, 64 * T1),  # a CANCEL was sent, but no final response came (9.1)
}

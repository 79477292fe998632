"""The states of a session, as one table. A session only ever moves down the list."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum


class State(IntEnum):
    """How far a session has come."""

    CALLING = 0
    """Ours: the INVITE is out, nobody has said anything but 100."""
    EARLY = 1
    """Ours rings, or theirs waits for our answer."""
    ACCEPTED = 2
    """There is a 2xx and not yet an ACK."""
    CONFIRMED = 3
    CLOSING = 4
    """Over for the owner; a CANCEL or BYE of ours is still on its way."""
    ENDED = 5


class Event(IntEnum):
    """What moves a session on."""

    RANG = 0
    ANSWERED = 1
    ACKED = 2
    OVER = 3
    """The owner is told of the end, or asked for it."""
    GONE = 4
    """Nothing is left to be done on the wire."""


STEPS: Mapping[tuple[State, Event], State] = {
    (State.CALLING, Event.RANG): State.EARLY,
    (State.EARLY, Event.RANG): State.EARLY,
    (State.CALLING, Event.ANSWERED): State.ACCEPTED,
    (State.EARLY, Event.ANSWERED): State.ACCEPTED,
    (State.ACCEPTED, Event.ACKED): State.CONFIRMED,
    (State.CALLING, Event.OVER): State.CLOSING,
    (State.EARLY, Event.OVER): State.CLOSING,
    (State.ACCEPTED, Event.OVER): State.CLOSING,
    (State.CONFIRMED, Event.OVER): State.CLOSING,
    (State.CLOSING, Event.GONE): State.ENDED,
}
"""An absent entry: what happened came too late, and nothing is done about it."""

"""The states of a session and the ways to end one, as tables. A session only ever moves down the list."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Literal, TypeAlias

End: TypeAlias = Literal[
    "ended", "rejected", "bye", "cancelled", "ack lost", "no answer", "expired", "gone", "timeout", "transport"
]
"""Why a session ended: by our ``end`` or ``reject``; by their BYE or CANCEL; our 2xx never found its ACK; an offer of ours
never found its answer; nobody refreshed it; the far side does not know it any more (481, 408); it answers nothing; its
connection is lost.
"""


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


class Farewell(IntEnum):
    """What is still to be done on the wire when a session ends."""

    NOTHING = 0
    REFUSE = 1
    """A final response to their INVITE; its status is in ``REFUSALS``."""
    CANCEL = 2
    BYE = 3
    BYE_AFTER_ACK = 4
    """Not before the ACK to our 2xx, or the time in which it may come (:rfc:`3261` section 15)."""
    ACK_AND_BYE = 5
    """Their late offer gets no answer, but the 2xx its ACK."""


FAREWELLS: Mapping[tuple[bool, State], Farewell] = {
    (True, State.EARLY): Farewell.REFUSE,
    (True, State.ACCEPTED): Farewell.BYE_AFTER_ACK,
    (True, State.CONFIRMED): Farewell.BYE,
    (False, State.CALLING): Farewell.CANCEL,
    (False, State.EARLY): Farewell.CANCEL,
    (False, State.ACCEPTED): Farewell.ACK_AND_BYE,
    (False, State.CONFIRMED): Farewell.BYE,
}
"""By whether they called us, and the state. Absent: it is over already."""

FAREWELLS_TO_BYE: Mapping[tuple[bool, State], Farewell] = {
    (True, State.EARLY): Farewell.REFUSE,
    (False, State.CALLING): Farewell.CANCEL,
    (False, State.EARLY): Farewell.CANCEL,
}
"""The same where they have said BYE themselves. Absent: nothing."""

REFUSALS: Mapping[End, int] = {"bye": 487, "cancelled": 487, "transport": 503, "timeout": 504}
"""The final response to their INVITE, by why the session ends before the answer. Any other: 480."""

"""What happened to calls, for history, boards, webhooks and whatever else follows along.

Values only: who makes them is ``emit.py``; their JSON is made at the edge (``edge/event_json.py``). The members of a class are
what the contract puts into ``data``, under the same names. Instants are seconds since the epoch, UTC; durations are seconds.
"""

from __future__ import annotations

from typing import TypeAlias

from parkade.base.clock import Instant
from parkade.base.values import valueclass


@valueclass(frozen=True, slots=True)
class CallEvent:
    """What every event says. ``id`` is unique, ``account`` a slug, ``call`` a call id, the caller as displays show it."""

    id: str
    at: Instant
    account: str
    call: str
    caller_name: str
    caller_number: str


@valueclass(frozen=True, slots=True)
class CallStarted(CallEvent):
    """Somebody called ``dialled``."""

    dialled: str


@valueclass(frozen=True, slots=True)
class CallAnswered(CallEvent):
    """The extension ``answered_by`` has picked up."""

    answered_by: str


@valueclass(frozen=True, slots=True)
class CallEnded(CallEvent):
    """The call is over."""

    duration_s: float


@valueclass(frozen=True, slots=True)
class ParkFailed(CallEvent):
    """The call stays with whoever wanted to park it; ``reason`` is the id of a refusal, ``parked_by`` an extension."""

    reason: str
    parked_by: str | None


@valueclass(frozen=True, slots=True)
class StayEvent(CallEvent):
    """What every event of a parked call says.

    ``lot`` is a name, ``parked_by`` an extension (None if nobody parked the call), ``waited_s`` the time since it was parked.
    """

    code: str
    lot: str
    parked_by: str | None
    waited_s: float


@valueclass(frozen=True, slots=True)
class CallParked(StayEvent):
    """The call was parked; somebody should retrieve it before ``expires_at``."""

    expires_at: Instant


@valueclass(frozen=True, slots=True)
class CallReparked(StayEvent):
    """Nobody had the call, so it is parked again; ``old_code`` is no longer valid. ``round`` counts from 1."""

    expires_at: Instant
    old_code: str
    round: int


@valueclass(frozen=True, slots=True)
class CallTimedOut(StayEvent):
    """Nobody retrieved it in time; the code is free."""


@valueclass(frozen=True, slots=True)
class CallReturned(StayEvent):
    """The number ``returned_to``, which was rung after expiry, has answered."""

    returned_to: str


@valueclass(frozen=True, slots=True)
class CallRetrieved(StayEvent):
    """The number ``retrieved_by`` has picked up at the code."""

    retrieved_by: str


@valueclass(frozen=True, slots=True)
class CallAbandoned(StayEvent):
    """The caller hung up while it waited."""


Event: TypeAlias = (
    CallParked
    | CallRetrieved
    | CallReparked
    | CallTimedOut
    | CallReturned
    | CallAbandoned
    | ParkFailed
    | CallStarted
    | CallAnswered
    | CallEnded
)

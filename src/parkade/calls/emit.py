"""Makes the events of ``events.py`` from calls and stays, and puts them among the effects."""

from __future__ import annotations

from typing import TypeAlias

from parkade.base.clock import Instant
from parkade.calls import events
from parkade.calls.call import Call, Parked, Stay
from parkade.calls.directory import Owner
from parkade.calls.identity import Identity
from parkade.calls.refusals import Refusal
from parkade.calls.state import CallState

_StayMembers: TypeAlias = tuple[str, Instant, str, str, str, str, str, str, str | None, float]


def started(state: CallState, call: Call, dialled: str) -> None:
    """Somebody called ``dialled``."""
    state.out.append(events.CallStarted(*state.event_head(call), dialled))


def answered(state: CallState, call: Call) -> None:
    """The other end has picked up."""
    assert call.other is not None
    state.out.append(events.CallAnswered(*state.event_head(call), call.other.identity.number))


def parked(state: CallState, call: Call, stage: Parked) -> None:
    """A call was parked."""
    state.out.append(events.CallParked(*_stay(state, call, stage.stay), stage.expires_at))


def reparked(state: CallState, call: Call, stage: Parked, old_code: str) -> None:
    """A call that was at ``old_code`` is parked again."""
    stay = stage.stay
    state.out.append(events.CallReparked(*_stay(state, call, stay), stage.expires_at, old_code, stay.rounds))


def timed_out(state: CallState, call: Call, stay: Stay) -> None:
    """Nobody retrieved it in time."""
    state.out.append(events.CallTimedOut(*_stay(state, call, stay)))


def returned(state: CallState, call: Call, stay: Stay, to: Identity) -> None:
    """Whoever was rung after expiry has answered."""
    state.out.append(events.CallReturned(*_stay(state, call, stay), to.number))


def retrieved(state: CallState, call: Call, stay: Stay, by: Identity) -> None:
    """Somebody has picked up at the code."""
    state.out.append(events.CallRetrieved(*_stay(state, call, stay), by.number))


def abandoned(state: CallState, call: Call, stay: Stay) -> None:
    """The caller hung up while it waited."""
    state.out.append(events.CallAbandoned(*_stay(state, call, stay)))


def park_failed(state: CallState, call: Call, why: Refusal, parker: Owner | None) -> None:
    """It stays with whoever wanted to park it."""
    state.out.append(events.ParkFailed(*state.event_head(call), why.id, parker.extension if parker else None))


def _stay(state: CallState, call: Call, stay: Stay) -> _StayMembers:
    parked_by = stay.parker.extension if stay.parker else None
    return *state.event_head(call), stay.code, stay.lot.lot.name, parked_by, state.now - stay.since

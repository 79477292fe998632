"""Makes the events of calls and stays and puts them among the effects. Which state each ends in is added by ``news.py``."""

from __future__ import annotations

from parkade.base.clock import Instant
from parkade.calls import events
from parkade.calls.audience import Audience
from parkade.calls.call import Call, Parked, Stay
from parkade.calls.directory import Owner
from parkade.calls.events import EndReason
from parkade.calls.identity import Identity
from parkade.calls.inputs import Cause
from parkade.calls.refusals import Refusal
from parkade.calls.state import CallState

REASONS: dict[Cause, EndReason] = {
    Cause.HUNG_UP: EndReason.HUNG_UP,
    Cause.CANCELLED: EndReason.CANCELLED,
    Cause.LOST: EndReason.LOST,
    Cause.COMMAND: EndReason.COMMAND,
}
"""What the end of a leg says about the end of its call."""

_StayMembers = tuple[
    str,
    Instant,
    str,
    str,
    str,
    str,
    str,
    str,
    str,
    str | None,
    str | None,
    str,
    str,
    Instant,
    float,
    int,
    Audience,
]


def started(state: CallState, call: Call, dialled: str) -> None:
    """Somebody called ``dialled``."""
    state.out.append(events.CallStarted(*state.event_head(call), dialled, moment=state.moment(call)))


def answered(state: CallState, call: Call) -> None:
    """The other end has picked up."""
    assert call.other is not None
    state.out.append(events.CallAnswered(*state.event_head(call), call.other.identity.number, moment=state.moment(call)))


def transferred(state: CallState, call: Call, by: Owner | None, to: Identity) -> None:
    """Somebody has been sent elsewhere, and is answered there."""
    who = by.extension if by else None
    state.out.append(events.CallTransferred(*state.event_head(call), who, to.number, moment=state.moment(call)))


def transfer_failed(state: CallState, call: Call, by: Owner | None, why: Refusal) -> None:
    """Nobody was there."""
    who = by.extension if by else None
    state.out.append(events.TransferFailed(*state.event_head(call), who, why.id, moment=state.moment(call)))


def parked(state: CallState, call: Call, stage: Parked) -> None:
    """A call was parked."""
    state.out.append(events.CallParked(*_stay(state, call, stage.stay), stage.expires_at, moment=state.moment(call)))


def reparked(state: CallState, call: Call, stage: Parked, old_code: str) -> None:
    """A call that was at ``old_code`` is parked again."""
    state.out.append(
        events.CallReparked(*_stay(state, call, stage.stay), stage.expires_at, old_code, moment=state.moment(call))
    )


def given_back(state: CallState, call: Call, stage: Parked, by: str | None) -> None:
    """A call that was picked up by mistake is at its code again."""
    state.out.append(events.CallGivenBack(*_stay(state, call, stage.stay), stage.expires_at, by, moment=state.moment(call)))


def noted(state: CallState, call: Call, stay: Stay, by: str | None) -> None:
    """Somebody has written something beside it."""
    state.out.append(events.NoteChanged(*_stay(state, call, stay), by, moment=state.moment(call)))


def reminded(state: CallState, call: Call, stay: Stay, who: Identity, forced_by: str | None) -> None:
    """Somebody is rung about it."""
    state.out.append(events.CallReminded(*_stay(state, call, stay), who.number, forced_by, moment=state.moment(call)))


def timed_out(state: CallState, call: Call, stay: Stay) -> None:
    """Nobody retrieved it in time."""
    state.out.append(events.CallTimedOut(*_stay(state, call, stay), moment=state.moment(call)))


def returned(state: CallState, call: Call, stay: Stay, to: Identity) -> None:
    """Whoever was rung after expiry has answered."""
    state.out.append(events.CallReturned(*_stay(state, call, stay), to.number, to.name, moment=state.moment(call)))


def retrieved(state: CallState, call: Call, stay: Stay, by: Identity, kept_until: Instant | None) -> None:
    """Somebody has picked up at the code."""
    state.out.append(events.CallRetrieved(*_stay(state, call, stay), by.number, by.name, kept_until, moment=state.moment(call)))


def abandoned(state: CallState, call: Call, stay: Stay, cause: Cause) -> None:
    """The caller is gone while it waited."""
    state.out.append(events.CallAbandoned(*_stay(state, call, stay), REASONS[cause], moment=state.moment(call)))


def given_up(state: CallState, call: Call, stay: Stay) -> None:
    """Nobody was found for the caller."""
    state.out.append(events.CallGivenUp(*_stay(state, call, stay), moment=state.moment(call)))


def park_failed(state: CallState, call: Call, why: Refusal, parker: Owner | None) -> None:
    """It stays with whoever wanted to park it."""
    who = parker.extension if parker else None
    state.out.append(events.ParkFailed(*state.event_head(call), why.id, who, moment=state.moment(call)))


def _stay(state: CallState, call: Call, stay: Stay) -> _StayMembers:
    parker, lot = stay.parker, stay.lot
    return (
        *state.event_head(call),
        stay.code,
        lot.lot.name,
        lot.lot.id,
        lot.site,
        parker.extension if parker else None,
        parker.name if parker else "",
        stay.note,
        stay.since,
        state.now - stay.since,
        stay.rounds,
        stay.audience,
    )

"""Calls as programs see them: what ``ListCalls`` and ``ListParked`` answer, and what events tell."""

from __future__ import annotations

from parkade.calls.call import Announcing, Call, Leg, Parked, Ringing, Stay, Talking, Waiting
from parkade.calls.commands import CallDetail, CallStage, ParkedCall, ParkState, Party, PartyState
from parkade.calls.identity import Identity
from parkade.calls.recall import RingBack
from parkade.calls.state import CallState, LotTimer

_ALONE: dict[CallStage, PartyState] = {
    CallStage.PARKED: PartyState.PARKED,
    CallStage.LEAVING: PartyState.LEAVING,
}
"""What the party does where there is no other end; it waits in every other stage."""


def is_shown(call: Call) -> bool:
    """Whether it is a call for programs: a leg that only hears a code is none."""
    return not isinstance(call.stage, Announcing)


def detail_of(state: CallState, call: Call) -> CallDetail:
    """A call that is shown."""
    stage = call.stage
    kind = stage.kind
    parties: tuple[Party, ...]
    if isinstance(stage, Parked) and not stage.retrieving:
        parties = (_party(call.party, PartyState.PARKED),)  # As mostly: nothing is looked up.
    elif isinstance(stage, Talking):
        assert call.other is not None
        party, other = call.party, call.other
        parties = (_party(party, _talks(party, other)), _party(other, _talks(other, party)))
    elif isinstance(stage, Ringing | Parked):
        waits = PartyState.CALLING if not call.party.up else _ALONE.get(kind, PartyState.WAITING)
        rung = _rung(stage)
        if call.other is not None:
            parties = (_party(call.party, waits), _party(call.other, PartyState.TRANSFERRING), *rung)
        else:
            parties = (_party(call.party, waits), *rung)
    else:
        parties = (_party(call.party, _ALONE.get(kind, PartyState.WAITING)),)
    return CallDetail(call.id, call.account, kind, call.started_at, call.since, parties, parked_call(state, call))


def parked_call(state: CallState, call: Call) -> ParkedCall | None:
    """What the lot has to do with a call; None if nothing."""
    stage = call.stage
    if isinstance(stage, Parked):
        stay, park, expires_at = stage.stay, ParkState.PARKED, stage.expires_at
    elif isinstance(stage, Talking):
        return _reserved(state, call, stage)
    elif isinstance(stage, Waiting):
        stay, park, expires_at = stage.stay, ParkState.WAITING, state.timers.when(call.id) or state.now
    elif isinstance(stage, Ringing) and isinstance(stage.purpose, RingBack):
        stay, park, expires_at = stage.purpose.stay, ParkState.RINGING_BACK, state.timers.when(call.id) or state.now
    else:
        return None
    return _parked(call, stay, park, expires_at)


def can_give_back(call: Call) -> Parked | None:
    """Where ``call`` was parked until somebody picked it up who can still give it back; None if there is nobody."""
    parked = call.stage.picked_up if isinstance(call.stage, Talking) else None
    if parked is None:
        return None
    last = parked.stay.lot.last_pick_up(parked.stay.slot)
    return parked if last is not None and last.call == call.id else None


def _reserved(state: CallState, call: Call, stage: Talking) -> ParkedCall | None:
    parked = stage.picked_up
    if parked is None or call.reserved is None or call.other is None:
        return None
    lot, slot = call.reserved
    kept_until = state.timers.when((LotTimer.RELEASE, lot, slot))
    return _parked(call, parked.stay, ParkState.RESERVED, parked.expires_at, call.other.identity, kept_until)


def _parked(
    call: Call,
    stay: Stay,
    park: ParkState,
    expires_at: float,
    retrieved_by: Identity | None = None,
    kept_until: float | None = None,
) -> ParkedCall:
    lot, parker = stay.lot, stay.parker
    return ParkedCall(
        stay.code,
        lot.lot.name,
        stay.slot,
        call.id,
        call.party.identity,
        parker.extension if parker else None,
        stay.note,
        stay.since,
        expires_at,
        park,
        lot.site,
        lot.lot.id,
        parker.name if parker else "",
        stay.rounds,
        stay.audience,
        retrieved_by,
        kept_until,
    )


def _party(leg: Leg, does: PartyState) -> Party:
    owner = leg.owner
    return Party(leg.identity.name, leg.identity.number, owner.extension if owner else None, does)


def _talks(leg: Leg, facing: Leg) -> PartyState:
    if leg.held:
        return PartyState.HOLDING
    return PartyState.HELD if facing.held else PartyState.TALKING


def _rung(stage: Ringing | Parked) -> list[Party]:
    """Who is rung, each person once."""
    rung: dict[Party, None] = {}
    for leg in stage.ringing():
        rung[_party(leg, PartyState.RINGING)] = None
    return list(rung)

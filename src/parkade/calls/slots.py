"""What boards and lamps are told of slots."""

from __future__ import annotations

from parkade.calls.call import Parked
from parkade.calls.effects import SlotChanged, SlotState
from parkade.calls.park import ParkLot
from parkade.calls.state import CallState, LotTimer


def slot_changes(state: CallState) -> list[SlotChanged]:
    """Every slot that has changed since this was last asked, as it is now."""
    told = [state_of(state, lot, slot) for lot, slot in state.slots_changed]
    state.slots_changed.clear()
    return told


def state_of(state: CallState, lot: ParkLot, slot: int) -> SlotChanged:
    """One slot as it is now."""
    where = (lot.account, lot.lot.id, slot, lot.lot.code(slot))
    if call_id := lot.call_at(slot):
        call = state.calls[call_id]
        assert isinstance(call.stage, Parked)
        stay = call.stage.stay
        parked_by = stay.parker.extension if stay.parker else None
        return SlotChanged(*where, SlotState.TAKEN, call_id, call.party.identity, parked_by, stay.since, call.stage.expires_at)
    if call_id := lot.reserved_for(slot):
        until = state.timers.when((LotTimer.RELEASE, lot, slot))
        return SlotChanged(*where, SlotState.RESERVED, call_id, state.calls[call_id].party.identity, expires_at=until)
    return SlotChanged(*where, SlotState.FREE)

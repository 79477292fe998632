"""What boards and lamps are told of slots."""

from __future__ import annotations

from parkade.calls.board import Board, LotTimer
from parkade.calls.call import Parked
from parkade.calls.effects import SlotChanged, SlotState
from parkade.calls.park import ParkLot


def slot_changes(board: Board) -> list[SlotChanged]:
    """Every slot that has changed since this was last asked, as it is now."""
    told = [state_of(board, lot, slot) for lot, slot in board.slots_changed]
    board.slots_changed.clear()
    return told


def state_of(board: Board, lot: ParkLot, slot: int) -> SlotChanged:
    """One slot as it is now."""
    where = (lot.account, lot.lot.id, slot, lot.lot.code(slot))
    if call_id := lot.call_at(slot):
        call = board.calls[call_id]
        assert isinstance(call.stage, Parked)
        stay = call.stage.stay
        parked_by = stay.parker.extension if stay.parker else None
        return SlotChanged(*where, SlotState.TAKEN, call_id, call.party.identity, parked_by, stay.since, call.stage.expires_at)
    if call_id := lot.reserved_for(slot):
        until = board.timers.when((LotTimer.RELEASE, lot, slot))
        return SlotChanged(*where, SlotState.RESERVED, call_id, board.calls[call_id].party.identity, expires_at=until)
    return SlotChanged(*where, SlotState.FREE)

"""Parking and picking up, whichever way the wish was signalled.

How the wish comes (a transfer, a code dialled over a held call, keys, a device's destination) decides only what becomes of
the parker's own leg; that is the business of ``arrive.py``, ``transfer.py`` and ``feature.py``. Whoever is parked hears
music and is not otherwise touched.

* One parks in the lot of one's own site. One picks up there first, then at the other lots of the account if exactly one of
  them has something at that code.
* A call that was picked up keeps its code for ``reserve_s``: whoever holds it and parks it anywhere gets the code back,
  nobody else does. For ``LOST_RACE_S``, and as long as the code is kept, whoever dials it is told who was first.
* Gateways and other devices without a person may pick up what they dial, and their calls may be parked; then there is
  nobody to ring back.
* A person who parks without a licence, or where parking is switched off, keeps the call. Picking up stays possible.
"""

from __future__ import annotations

from parkade.calls import events
from parkade.calls.board import LAST_WORDS_S, Board, LotTimer
from parkade.calls.call import MUSIC, Announcing, Call, Leg, Parked, Stay, Talking
from parkade.calls.directory import Account, Owner
from parkade.calls.effects import EventType
from parkade.calls.identity import Identity
from parkade.calls.park import LOST_RACE_S, ParkLot, PickUp
from parkade.calls.phrases import parked_at
from parkade.calls.refusals import (
    ALREADY_PICKED_UP,
    NO_CALL_PARKED,
    NO_SUCH_SLOT,
    NOT_LICENSED,
    PARKING_DISABLED,
    TRANSFER_IMPOSSIBLE,
    Refusal,
)

# Parking


def park_far_end(board: Board, leg: Leg, wanted: str | None) -> Stay | Refusal:
    """Park whoever talks with ``leg``, at ``wanted`` or the next free code.

    When it succeeds ``leg`` is in no call any longer and the caller of this ends it or announces to it. A refusal changes
    nothing.
    """
    call = leg.call
    if not isinstance(call.stage, Talking):
        return TRANSFER_IMPOSSIBLE
    parker = board.owner(leg)
    taken = _refuse_unlicensed(parker) or _take_slot(board, call, board.account(leg), parker, wanted)
    if isinstance(taken, Refusal):
        events.park_failed(board, call, taken, parker)
        return taken
    call.party, call.other = call.facing(leg), None
    lot, slot = taken
    return begin_stay(board, call, lot, slot, parker)


def park_arriving(board: Board, leg: Leg, wanted: str | None) -> None:
    """Answer ``leg`` and park it at once: nobody parked it, so nobody is rung back."""
    call = board.new_call(leg, Talking())
    taken = _take_slot(board, call, board.account(leg), board.owner(leg), wanted)
    board.event(EventType.STARTED, call, dialled=f"park:{wanted}" if wanted else "park")
    if isinstance(taken, Refusal):
        events.park_failed(board, call, taken, None)
        board.refuse(leg, taken)
        board.drop(call)
        return
    lot, slot = taken
    code = lot.lot.code(slot)
    board.hear(leg, MUSIC)
    board.answer(leg, parked_identity(code), code)
    begin_stay(board, call, lot, slot, None)


def parked_identity(code: str) -> Identity:
    """What the display of a phone shows that is connected to a code rather than a person."""
    return Identity(f"Park {code}", code)


def begin_stay(board: Board, call: Call, lot: ParkLot, slot: int, parker: Owner | None) -> Stay:
    """``call`` has just been given ``slot``; its party is parked there."""
    stay = Stay(lot, slot, parker, board.now)
    stage = settle(board, call, stay)
    events.parked(board, call, stage)
    return stay


def settle(board: Board, call: Call, stay: Stay) -> Parked:
    """The party waits at ``stay.slot`` from now on."""
    stage = Parked(stay, board.now + stay.lot.lot.policy.expiration_s)
    board.enter(call, stage, stage.expires_at)
    return stage


def announce(board: Board, leg: Leg, stay: Stay, old: Leg | None = None) -> None:
    """Say the code to the parker's ``leg``, then end it, and the ``old`` leg beside it whose party is parked now."""
    spoken = board.spoken(parked_at(stay.code), leg.language)
    call = board.new_call(leg, stage := Announcing(spoken, stay.code))
    if old:
        call.other = old
        board.seat(old, call)
    board.enter(call, stage, board.now + LAST_WORDS_S)
    if not leg.up:
        board.answer(leg, parked_identity(stay.code), stay.code)


def announced(board: Board, call: Call) -> None:
    """The code was heard, or has had its time."""
    board.drop(call)
    for leg in call.legs():
        board.end(leg)


def _refuse_unlicensed(parker: Owner | None) -> Refusal | None:
    return NOT_LICENSED if parker and not parker.licensed else None


def _take_slot(
    board: Board, call: Call, account: Account | None, who: Owner | None, wanted: str | None
) -> tuple[ParkLot, int] | Refusal:
    """Give ``call`` a slot, the one kept for it if ``wanted`` names none."""
    lot = _own_lot(board, account, who.site if who else None, wanted)
    if lot is None or not lot.lot.policy.enable:
        return PARKING_DISABLED
    if wanted is not None:
        named = lot.lot.slot(wanted)
        if named is None:
            return NO_SUCH_SLOT.with_(code=wanted if wanted.startswith("*") else f"*{wanted}")
        choice: int | Refusal = named
    elif call.reserved:
        lot, choice = call.reserved
    else:
        choice = lot.next_free(board.ids)
    if isinstance(choice, Refusal):
        return choice
    return put(board, call, lot, choice) or (lot, choice)


def put(board: Board, call: Call, lot: ParkLot, slot: int) -> Refusal | None:
    """Give ``call`` exactly this slot and end every reservation it had."""
    refusal = lot.take(call.id, slot)
    if refusal is None:
        board.release(call)
        board.timers.cancel((LotTimer.FORGET, lot, slot))
    return refusal


def _own_lot(board: Board, account: Account | None, site: str | None, wanted: str | None) -> ParkLot | None:
    """The lot of a site; for a device that is nowhere, the first lot that has the wanted slot."""
    if account is None:
        return None
    lot = account.lot_of(site)
    if site is None and lot is None:
        lots = account.lots_in_use().values()
        lot = next((lot for lot in lots if wanted is None or lot.slot(wanted) is not None), None)
    return board.lot(account, lot) if lot else None


# Picking up


def find(board: Board, leg: Leg, slot: int) -> tuple[ParkLot, str | PickUp] | None:
    """What there is at ``slot`` for ``leg``: a parked call, or somebody who was first. The own lot has precedence."""
    account = board.account(leg)
    if account is None:
        return None
    owner = board.owner(leg)
    own = account.lot_of(owner.site if owner else None)
    if own is not None and (there := _at(board.lot(account, own), slot)) is not None:
        return board.lot(account, own), there
    lots = [board.lot(account, lot) for lot in account.lots_in_use().values()]
    elsewhere = [(lot, there) for lot in lots if (there := _at(lot, slot)) is not None]
    return elsewhere[0] if len(elsewhere) == 1 else None


def is_kept_for(board: Board, call: Call, slot: int) -> bool:
    """True when ``slot`` is kept for ``call`` and the time of races is over: then dialling it parks there again."""
    if call.reserved is None or call.reserved[1] != slot:
        return False
    last = call.reserved[0].last_pick_up(slot)
    return last is None or board.now - last.at >= LOST_RACE_S


def may_park_at(board: Board, leg: Leg, slot: int) -> bool:
    """True when ``slot`` belongs to the lot in which ``leg`` parks."""
    owner = board.owner(leg)
    lot = _own_lot(board, board.account(leg), owner.site if owner else None, str(slot))
    return lot is not None and lot.lot.slot(str(slot)) is not None


def pick_up(board: Board, leg: Leg, slot: int) -> None:
    """Connect ``leg`` with the call parked at ``slot``, or say why not."""
    code = f"*{slot}"
    match find(board, leg, slot):
        case lot, str(call_id):
            _connect(board, leg, lot, slot, board.calls[call_id])
        case _, PickUp(name=name, extension=extension):
            board.refuse(leg, ALREADY_PICKED_UP.with_(name=name), extension)
        case _:
            board.refuse(leg, NO_CALL_PARKED.with_(code=code), code)


def _connect(board: Board, leg: Leg, lot: ParkLot, slot: int, call: Call) -> None:
    assert isinstance(call.stage, Parked)
    stay, reserve_s = call.stage.stay, lot.lot.policy.reserve_s
    by, owner = leg.identity, board.owner(leg)
    taken = PickUp(call.id, by.name or by.number, owner.extension if owner else "", board.now)
    lot.pick_up(slot, taken, reserve=reserve_s > 0)
    board.timers.set((LotTimer.FORGET, lot, slot), board.now + max(reserve_s, LOST_RACE_S))
    if reserve_s > 0:
        call.reserved = lot, slot
        board.timers.set((LotTimer.RELEASE, lot, slot), board.now + reserve_s)
    call.other = leg
    board.seat(leg, call)
    board.connect(call)
    call.stage = Talking(picked_up=stay)
    events.retrieved(board, call, stay, by)


def release_over(board: Board, lot: ParkLot, slot: int) -> None:
    """The code has been kept long enough."""
    call_id = lot.reserved_for(slot)
    if call_id is not None:
        board.release(board.calls[call_id])


def _at(lot: ParkLot, slot: int) -> str | PickUp | None:
    return lot.call_at(slot) or lot.last_pick_up(slot)

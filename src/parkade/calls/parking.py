"""Parking and picking up, whichever way the wish was signalled.

How the wish comes (a transfer, a code dialled over a held call, keys, a device's destination) decides only what becomes of
the parker's own leg; that is the business of ``arrive.py``, ``transfer.py`` and ``feature.py``. Whoever is parked hears
music and is not otherwise touched.

* One parks in the lot of one's own site, by one's own settings as they are at that moment. One picks up there first, then
  at the other lots of the account if exactly one of them has something at that code.
* A lot that the directory no longer has is retired: its calls can be picked up as before, no call of the account gets a code
  that is in use there, and a call that is not picked up is parked again in the lot that its parker parks in now.
* A call that was picked up keeps its code for ``reserve_s``: whoever holds it and parks it anywhere gets the code back,
  nobody else does. For ``LOST_RACE_S``, and as long as the code is kept, whoever dials it is told who was first.
* Gateways and other devices without a person may pick up what they dial, and their calls may be parked; then there is
  nobody to ring back.
* A person who parks without a licence, or where parking is switched off, keeps the call. Picking up stays possible.
"""

from __future__ import annotations

from parkade.base.clock import Instant
from parkade.calls import emit
from parkade.calls.board import LAST_WORDS_S, Board, LotTimer, RetrieveTimer
from parkade.calls.call import MUSIC, Announcing, Call, Leg, Parked, Stay, Talking, Waiting
from parkade.calls.commands import Reply
from parkade.calls.directory import Account, Owner
from parkade.calls.identity import Identity
from parkade.calls.inputs import LegEnded
from parkade.calls.park import LOST_RACE_S, ParkLot, PickUp
from parkade.calls.phrases import parked_at
from parkade.calls.refusals import (
    ALREADY_PICKED_UP,
    NO_CALL_PARKED,
    NO_SUCH_NUMBER,
    NO_SUCH_SLOT,
    NOT_LICENSED,
    PARKING_DISABLED,
    SLOT_TAKEN,
    TRANSFER_IMPOSSIBLE,
    Refusal,
)

# Parking


def park_far_end(board: Board, leg: Leg, wanted: str | None, note: str = "") -> Stay | Refusal:
    """Park whoever talks with ``leg``, at ``wanted`` or the next free code.

    When it succeeds ``leg`` is in no call any longer and the caller of this ends it or announces to it. A refusal changes
    nothing.
    """
    if not leg.call.talking:
        return TRANSFER_IMPOSSIBLE
    return park_facing(board, leg.call, leg, wanted, note)


def park_facing(board: Board, call: Call, leg: Leg, wanted: str | None, note: str = "") -> Stay | Refusal:
    """The same for a ``leg`` of ``call`` that may be gone already."""
    parker = board.owner(leg)
    stay = _refuse_unlicensed(parker) or _take_slot(board, call, board.account(leg), parker, wanted)
    if isinstance(stay, Refusal):
        emit.park_failed(board, call, stay, parker)
        return stay
    call.party, call.other, stay.note = call.facing(leg), None, note
    begin(board, call, stay)
    return stay


def park_arriving(board: Board, leg: Leg, wanted: str | None) -> None:
    """Answer ``leg`` and park it at once: nobody parked it, so nobody is rung back."""
    call = board.new_call(leg, Talking())
    stay = _take_slot(board, call, board.account(leg), board.owner(leg), wanted)
    emit.started(board, call, f"park:{wanted}" if wanted else "park")
    if isinstance(stay, Refusal):
        emit.park_failed(board, call, stay, None)
        board.refuse(leg, stay)
        board.drop(call)
        return
    stay.parker = None
    board.hear(leg, MUSIC)
    board.answer(leg, parked_identity(stay.code), stay.code)
    begin(board, call, stay)


def parked_identity(code: str) -> Identity:
    """What the display of a phone shows that is connected to a code rather than a person."""
    return Identity(f"Park {code}", code)


def begin(board: Board, call: Call, stay: Stay) -> None:
    """``call`` has just been given the slot of ``stay``; its party is parked there."""
    emit.parked(board, call, settle(board, call, stay))


def settle(board: Board, call: Call, stay: Stay, expires_at: Instant | None = None) -> Parked:
    """The party waits at ``stay.slot`` from now on, for the whole time that the policy gives unless told otherwise."""
    stage = Parked(stay, board.now + stay.policy.expiration_s if expires_at is None else expires_at)
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


def announcement_gone(board: Board, call: Call, leg: Leg, _given: LegEnded) -> None:
    """The parker has hung up before the code was heard to its end."""
    if leg is call.other:
        call.other = None
        return
    board.drop(call)
    if call.other:
        board.end(call.other)


def irreplaceable(_board: Board, _call: Call, _old: Leg, _new: Leg) -> Refusal | None:
    """A leg that only hears something said cannot be replaced: its call is over."""
    return NO_SUCH_NUMBER


def parked_gone(board: Board, call: Call, _leg: Leg, _given: LegEnded) -> None:
    """The parked party has hung up."""
    assert isinstance(call.stage, Parked)
    stay = call.stage.stay
    if call.stage.retrieving:
        stop_retrieving(board, call.stage, NO_CALL_PARKED.with_(code=stay.code))
    stay.lot.leave(stay.slot)
    emit.abandoned(board, call, stay)
    board.drop(call)


def waiting_gone(board: Board, call: Call, _leg: Leg, _given: LegEnded) -> None:
    """The party has hung up while no code was free for it."""
    assert isinstance(call.stage, Waiting)
    emit.abandoned(board, call, call.stage.stay)
    board.drop(call)


def party_replaced(board: Board, call: Call, old: Leg, new: Leg) -> Refusal | None:
    """Another device takes the place of the party that is parked or waits for a code."""
    assert isinstance(call.stage, Parked | Waiting)
    if old is not call.party:
        return NO_SUCH_NUMBER
    board.substitute(call, old, new)
    board.tune(call)
    board.answer(new, parked_identity(call.stage.stay.code))
    board.end(old)
    return None


def _refuse_unlicensed(parker: Owner | None) -> Refusal | None:
    return NOT_LICENSED if parker and not parker.licensed else None


def _take_slot(board: Board, call: Call, account: Account | None, who: Owner | None, wanted: str | None) -> Stay | Refusal:
    """Give ``call`` a slot, the one kept for it if ``wanted`` names none, by the settings of ``who``."""
    lot = _own_lot(board, account, who.site if who else None, wanted)
    if lot is None:
        return PARKING_DISABLED
    policy = (who.policy if who else None) or lot.lot.policy
    if not policy.enable:
        return PARKING_DISABLED
    choice: int | Refusal
    if wanted is not None:
        choice = _named(board, call, lot, wanted)
    elif call.reserved and not call.reserved[0].retired:
        lot, choice = call.reserved
    else:
        choice = lot.next_free(board.ids, None, policy.assignment, board.occupied_in_retired_lots(call.account))
    if isinstance(choice, Refusal):
        return choice
    return put(board, call, lot, choice) or Stay(lot, choice, who, policy, board.now)


def _named(board: Board, call: Call, lot: ParkLot, wanted: str) -> int | Refusal:
    """The slot that ``wanted`` names, if it can be given to ``call``."""
    slot = lot.lot.slot(wanted)
    if slot is None:
        return NO_SUCH_SLOT.with_(code=wanted if wanted.startswith("*") else f"*{wanted}")
    own = call.reserved is not None and call.reserved[1] == slot
    if not own and slot in board.occupied_in_retired_lots(call.account):
        return SLOT_TAKEN.with_(code=lot.lot.code(slot))
    return slot


def put(board: Board, call: Call, lot: ParkLot, slot: int) -> Refusal | None:
    """Give ``call`` exactly this slot and end every reservation it had."""
    last = lot.last_pick_up(slot)
    refusal = lot.take(call.id, slot)
    if refusal is None:
        if last:
            board.touched[last.call] = None
        board.release(call)
        board.timers.cancel((LotTimer.FORGET, lot, slot))
    return refusal


def put_somewhere(board: Board, call: Call, stay: Stay) -> Refusal | None:
    """Give ``call`` another slot than its last, in the lot of its stay or, if that is gone, in the one that is there now."""
    lot = lot_now(board, call, stay)
    avoid = stay.slot if lot is stay.lot else None
    slot = lot.next_free(board.ids, avoid, stay.policy.assignment, board.occupied_in_retired_lots(call.account))
    refusal = slot if isinstance(slot, Refusal) else put(board, call, lot, slot)
    if refusal is None:
        assert isinstance(slot, int)
        stay.lot, stay.slot = lot, slot
    return refusal


def lot_now(board: Board, call: Call, stay: Stay) -> ParkLot:
    """The lot of a stay; once that is retired the one that the parker parks in now, else the first of the account.

    Where there is none at all (the account is gone) the retired lot serves on.
    """
    if not stay.lot.retired:
        return stay.lot
    account = board.directory.accounts.get(call.account)
    parker = account.owner_now(stay.parker) if account and stay.parker else None
    return _own_lot(board, account, parker.site if parker else None, None) or board.keep_lot(call.account, stay.lot)


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
    account, owner = board.account(leg), board.owner(leg)
    return find_at(board, account, owner.site if owner else None, slot) if account else None


def find_at(board: Board, account: Account, site: str | None, slot: int) -> tuple[ParkLot, str | PickUp] | None:
    """The same for somebody at a site of an account."""
    lots = board.lots.get(account.slug, {})
    own = account.lot_of(site)
    if own is not None and own.id in lots and (there := _at(lots[own.id], slot)) is not None:
        return lots[own.id], there
    elsewhere = [(lot, there) for lot in lots.values() if (there := _at(lot, slot)) is not None]
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
        case _, str(call_id):
            connect(board, leg, board.calls[call_id])
        case _, PickUp(name=name, extension=extension):
            board.refuse(leg, ALREADY_PICKED_UP.with_(name=name), extension)
        case _:
            board.refuse(leg, NO_CALL_PARKED.with_(code=code), code)


def connect(board: Board, leg: Leg, call: Call) -> None:
    """``leg`` has the parked ``call``."""
    assert isinstance(call.stage, Parked)
    parked, stay = call.stage, call.stage.stay
    lot, slot = stay.lot, stay.slot
    if parked.retrieving:
        stop_retrieving(board, parked, ALREADY_PICKED_UP.with_(name=leg.identity.name or leg.identity.number))
    reserve_s = stay.policy.reserve_s
    by, owner = leg.identity, board.owner(leg)
    taken = PickUp(call.id, by.name or by.number, owner.extension if owner else "", board.now)
    lot.pick_up(slot, taken, reserve=reserve_s > 0)
    board.pick_ups.setdefault(call.id, set()).add((lot, slot))
    board.timers.set((LotTimer.FORGET, lot, slot), board.now + max(reserve_s, LOST_RACE_S))
    if reserve_s > 0:
        call.reserved = lot, slot
        board.timers.set((LotTimer.RELEASE, lot, slot), board.now + reserve_s)
    call.other = leg
    board.seat(leg, call)
    board.connect(call)
    call.stage = Talking(picked_up=parked)
    emit.retrieved(board, call, stay, by)


def stop_retrieving(board: Board, parked: Parked, why: Refusal) -> None:
    """Phones that ring so as to retrieve the call come too late."""
    for one in parked.retrieving.values():
        board.timers.cancel(RetrieveTimer(one.leg.id))
        board.end(one.leg, answered_elsewhere=True)
        board.out.append(Reply(one.command, refusal=why))
    parked.retrieving.clear()


def release_over(board: Board, lot: ParkLot, slot: int) -> None:
    """The code has been kept long enough."""
    call_id = lot.reserved_for(slot)
    if call_id is not None:
        board.release(board.calls[call_id])


def _at(lot: ParkLot, slot: int) -> str | PickUp | None:
    return lot.call_at(slot) or lot.last_pick_up(slot)

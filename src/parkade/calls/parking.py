"""Parking and picking up, however it was asked for.

How it was asked for (a transfer, a code dialled over a held call, keys, a device's destination) decides only what becomes of
the parker's own leg; that is decided in ``arrive.py``, ``transfer.py`` and ``feature.py``. Whoever is parked hears
music and is not otherwise touched.

* One parks in the lot of one's own site, by one's own settings as they are at that moment. One picks up there first, then
  at the other lots of the account if exactly one of them has something at that code.
* A lot that the directory no longer has is retired: its calls can be picked up as before, no call of the account gets a code
  that is in use there, and a call that is not picked up is parked again in the lot that its parker parks in now.
* A call that was picked up keeps its code for ``reserve_s``: whoever holds it and parks it anywhere gets the code back,
  nobody else does. For ``LOST_RACE_S``, and as long as the code is kept, whoever dials it is told who was first.
* Gateways and other devices without a person may pick up what they dial, and their calls may be parked; then there is
  nobody to ring back.
* Whoever may not see a parked call (``audience.py``) finds nothing at its code.
* A person who parks without a licence, or where parking is switched off, keeps the call. Picking up stays possible.
"""

from __future__ import annotations

from parkade.base.clock import Instant
from parkade.calls import emit
from parkade.calls.audience import Viewer, audience_of
from parkade.calls.call import MUSIC, Announcing, Call, Leg, Parked, Stay, Talking, Waiting
from parkade.calls.commands import Reply
from parkade.calls.directory import Account, Owner
from parkade.calls.effects import Elsewhere
from parkade.calls.events import EndReason
from parkade.calls.identity import Identity
from parkade.calls.inputs import LegEnded
from parkade.calls.park import LOST_RACE_S, ParkLot, PickUp
from parkade.calls.phrases import parked_at
from parkade.calls.refusals import (
    ALREADY_PICKED_UP,
    NO_CALL_PARKED,
    NO_SUCH_CALL,
    NO_SUCH_NUMBER,
    NO_SUCH_SLOT,
    NOT_LICENSED,
    PARKING_DISABLED,
    SLOT_TAKEN,
    TRANSFER_IMPOSSIBLE,
    Refusal,
)
from parkade.calls.state import PROMPT_S, CallState, LotTimer, RetrieveTimer

# Parking


def park_far_end(state: CallState, leg: Leg, wanted: str | None, note: str = "") -> Stay | Refusal:
    """Park whoever talks with ``leg``, at ``wanted`` or the next free code.

    When it succeeds ``leg`` is in no call any longer and the caller of this ends it or announces to it. A refusal changes
    nothing.
    """
    if not leg.call.talking:
        return TRANSFER_IMPOSSIBLE
    return park_facing(state, leg.call, leg, wanted, note)


def park_facing(state: CallState, call: Call, leg: Leg, wanted: str | None, note: str = "") -> Stay | Refusal:
    """The same for a ``leg`` of ``call`` that may be gone already."""
    parker = state.owner(leg)
    stay = _refuse_unlicensed(parker) or _new_stay(state, call, state.account(leg), parker, wanted)
    if isinstance(stay, Refusal):
        emit.park_failed(state, call, stay, parker)
        return stay
    call.party, call.other, stay.note = call.facing(leg), None, note
    start_stay(state, call, stay)
    return stay


def park_arriving(state: CallState, leg: Leg, wanted: str | None) -> None:
    """Answer ``leg`` and park it at once: nobody parked it, so nobody is rung back."""
    call = state.new_call(leg, Talking())
    stay = _new_stay(state, call, state.account(leg), state.owner(leg), wanted)
    emit.started(state, call, f"park:{wanted}" if wanted else "park")
    if isinstance(stay, Refusal):
        emit.park_failed(state, call, stay, None)
        state.refuse(leg, stay)
        state.drop(call, EndReason.REFUSED)
        return
    stay.parker, stay.audience = None, audience_of(stay.policy.visibility, None, stay.lot.site)
    state.hear(leg, MUSIC)
    state.answer(leg, parked_identity(stay.code), stay.code)
    start_stay(state, call, stay)


def parked_identity(code: str) -> Identity:
    """What the display of a phone shows that is connected to a code rather than a person."""
    return Identity(f"Park {code}", code)


def start_stay(state: CallState, call: Call, stay: Stay) -> None:
    """``call`` has just been given the slot of ``stay``: its party is parked there, and that is an event."""
    emit.parked(state, call, enter_parked(state, call, stay))


def enter_parked(state: CallState, call: Call, stay: Stay, expires_at: Instant | None = None) -> Parked:
    """The party waits at ``stay.slot`` from now on, for the whole time that the policy gives unless told otherwise."""
    stage = Parked(stay, state.now + stay.policy.expiration_s if expires_at is None else expires_at)
    state.enter(call, stage, stage.expires_at)
    return stage


def announce(state: CallState, leg: Leg, stay: Stay, old: Leg | None = None) -> None:
    """Say the code to the parker's ``leg``, then end it, and the ``old`` leg beside it whose party is parked now."""
    spoken = state.spoken(parked_at(stay.code), leg.language)
    call = state.new_call(leg, stage := Announcing(spoken, stay.code))
    if old:
        call.other = old
        state.attach(old, call)
    state.enter(call, stage, state.now + PROMPT_S)
    if not leg.up:
        state.answer(leg, parked_identity(stay.code), stay.code)


def announced(state: CallState, call: Call) -> None:
    """The code was heard, or has had its time."""
    state.drop(call, EndReason.HUNG_UP)
    for leg in call.legs():
        state.end(leg)


def announcement_gone(state: CallState, call: Call, leg: Leg, _given: LegEnded) -> None:
    """The parker has hung up before the code was heard to its end."""
    if leg is call.other:
        call.other = None
        return
    state.drop(call, EndReason.HUNG_UP)
    if call.other:
        state.end(call.other)


def not_replaceable(_state: CallState, _call: Call, _old: Leg, _new: Leg) -> Refusal | None:
    """A leg that only hears something said cannot be replaced: its call is over."""
    return NO_SUCH_NUMBER


def parked_gone(state: CallState, call: Call, leg: Leg, given: LegEnded) -> None:
    """The parked party has hung up."""
    assert isinstance(call.stage, Parked)
    stay = call.stage.stay
    if call.stage.retrieving:
        stop_retrieving(state, call.stage, NO_CALL_PARKED.with_(code=stay.code))
    stay.lot.leave(stay.slot)
    emit.abandoned(state, call, stay, given.cause)
    state.drop(call, emit.REASONS[given.cause], leg.identity.number)


def waiting_gone(state: CallState, call: Call, leg: Leg, given: LegEnded) -> None:
    """The party has hung up while no code was free for it."""
    assert isinstance(call.stage, Waiting)
    emit.abandoned(state, call, call.stage.stay, given.cause)
    state.drop(call, emit.REASONS[given.cause], leg.identity.number)


def party_replaced(state: CallState, call: Call, old: Leg, new: Leg) -> Refusal | None:
    """Another device takes the place of the party that is parked or waits for a code."""
    assert isinstance(call.stage, Parked | Waiting)
    if old is not call.party:
        return NO_SUCH_NUMBER
    if not old.is_of_same_person(new) and not Viewer(state.owner(new)).sees(call.stage.stay.audience):
        return NO_SUCH_CALL
    state.substitute(call, old, new)
    state.update_sound(call)
    state.answer(new, parked_identity(call.stage.stay.code))
    state.end(old)
    return None


def _refuse_unlicensed(parker: Owner | None) -> Refusal | None:
    return NOT_LICENSED if parker and not parker.licensed else None


def _new_stay(state: CallState, call: Call, account: Account | None, who: Owner | None, wanted: str | None) -> Stay | Refusal:
    """Give ``call`` a slot, the one kept for it if ``wanted`` names none, by the settings of ``who``."""
    lot = _lot_for(state, account, who.site if who else None, wanted)
    if lot is None:
        return PARKING_DISABLED
    policy = (who.policy if who else None) or lot.lot.policy
    if not policy.enable:
        return PARKING_DISABLED
    choice: int | Refusal
    if wanted is not None:
        choice = _named(state, call, lot, wanted)
    elif call.reserved and not call.reserved[0].retired:
        lot, choice = call.reserved
    else:
        choice = lot.next_free(state.ids, None, policy.assignment, state.occupied_in_retired_lots(call.account))
    if isinstance(choice, Refusal):
        return choice
    audience = audience_of(policy.visibility, who, lot.site)
    return take_slot(state, call, lot, choice) or Stay(lot, choice, who, policy, state.now, audience=audience)


def _named(state: CallState, call: Call, lot: ParkLot, wanted: str) -> int | Refusal:
    """The slot that ``wanted`` names, if it can be given to ``call``."""
    slot = lot.lot.slot(wanted)
    if slot is None:
        return NO_SUCH_SLOT.with_(code=wanted if wanted.startswith("*") else f"*{wanted}")
    own = call.reserved is not None and call.reserved[1] == slot
    if not own and slot in state.occupied_in_retired_lots(call.account):
        return SLOT_TAKEN.with_(code=lot.lot.code(slot))
    return slot


def take_slot(state: CallState, call: Call, lot: ParkLot, slot: int) -> Refusal | None:
    """Give ``call`` exactly this slot and end every reservation it had."""
    last = lot.last_pick_up(slot)
    refusal = lot.take(call.id, slot)
    if refusal is None:
        if last:
            state.touched[last.call] = None
        state.release(call)
        state.timers.cancel((LotTimer.FORGET, lot, slot))
    return refusal


def take_another_slot(state: CallState, call: Call, stay: Stay) -> Refusal | None:
    """Give ``call`` another slot than its last, in the lot of its stay or, if that is gone, in the one that is there now."""
    lot = lot_now(state, call, stay)
    avoid = stay.slot if lot is stay.lot else None
    slot = lot.next_free(state.ids, avoid, stay.policy.assignment, state.occupied_in_retired_lots(call.account))
    refusal = slot if isinstance(slot, Refusal) else take_slot(state, call, lot, slot)
    if refusal is None:
        assert isinstance(slot, int)
        stay.lot, stay.slot = lot, slot
    return refusal


def lot_now(state: CallState, call: Call, stay: Stay) -> ParkLot:
    """The lot of a stay; once that is retired the one that the parker parks in now, else the first of the account.

    Where there is none at all (the account is gone) the retired lot serves on.
    """
    if not stay.lot.retired:
        return stay.lot
    account = state.directory.accounts.get(call.account)
    parker = account.owner_now(stay.parker) if account and stay.parker else None
    return _lot_for(state, account, parker.site if parker else None, None) or state.keep_lot(call.account, stay.lot)


def _lot_for(state: CallState, account: Account | None, site: str | None, wanted: str | None) -> ParkLot | None:
    """The lot of a site; for a device that is nowhere, the first lot that has the wanted slot."""
    if account is None:
        return None
    lot = account.lot_of(site)
    if site is None and lot is None:
        lots = account.lots_in_use().values()
        lot = next((lot for lot in lots if wanted is None or lot.slot(wanted) is not None), None)
    return state.lot(account, lot) if lot else None


# Picking up


def find(state: CallState, leg: Leg, slot: int) -> tuple[ParkLot, str | PickUp] | None:
    """What there is at ``slot`` for ``leg``: a parked call, or somebody who was first. The own lot has precedence."""
    account, owner = state.account(leg), state.owner(leg)
    return find_at(state, account, owner.site if owner else None, slot, Viewer(owner)) if account else None


def find_at(
    state: CallState, account: Account, site: str | None, slot: int, who: Viewer
) -> tuple[ParkLot, str | PickUp] | None:
    """The same for somebody at a site of an account."""
    lots = state.lots.get(account.slug, {})
    own = account.lot_of(site)
    if own is not None and own.id in lots and (there := _at(state, lots[own.id], slot, who)) is not None:
        return lots[own.id], there
    elsewhere = [(lot, there) for lot in lots.values() if (there := _at(state, lot, slot, who)) is not None]
    return elsewhere[0] if len(elsewhere) == 1 else None


def find_at_site(state: CallState, account: Account, site: str, slot: int, who: Viewer) -> tuple[ParkLot, str | PickUp] | None:
    """The same at the lot of one site and nowhere else."""
    lots = [lot for lot in state.lots.get(account.slug, {}).values() if lot.site == site]
    return next(((lot, there) for lot in lots if (there := _at(state, lot, slot, who)) is not None), None)


def is_kept_for(state: CallState, call: Call, slot: int) -> bool:
    """True when ``slot`` is kept for ``call`` and the time of races is over: then dialling it parks there again."""
    if call.reserved is None or call.reserved[1] != slot:
        return False
    last = call.reserved[0].last_pick_up(slot)
    return last is None or state.now - last.at >= LOST_RACE_S


def may_park_at(state: CallState, leg: Leg, slot: int) -> bool:
    """True when ``slot`` belongs to the lot in which ``leg`` parks."""
    owner = state.owner(leg)
    lot = _lot_for(state, state.account(leg), owner.site if owner else None, str(slot))
    return lot is not None and lot.lot.slot(str(slot)) is not None


def pick_up(state: CallState, leg: Leg, slot: int) -> None:
    """Connect ``leg`` with the call parked at ``slot``, or say why not."""
    code = f"*{slot}"
    match find(state, leg, slot):
        case _, str(call_id):
            connect(state, leg, state.calls[call_id])
        case _, PickUp(name=name, extension=extension):
            state.refuse(leg, ALREADY_PICKED_UP.with_(name=name), extension)
        case _:
            state.refuse(leg, NO_CALL_PARKED.with_(code=code), code)


def connect(state: CallState, leg: Leg, call: Call) -> None:
    """``leg`` has the parked ``call``."""
    assert isinstance(call.stage, Parked)
    parked, stay = call.stage, call.stage.stay
    lot, slot = stay.lot, stay.slot
    if parked.retrieving:
        stop_retrieving(state, parked, ALREADY_PICKED_UP.with_(name=leg.identity.name or leg.identity.number))
    reserve_s = stay.policy.reserve_s
    by, owner = leg.identity, state.owner(leg)
    taken = PickUp(call.id, by.name or by.number, owner.extension if owner else "", state.now, stay.audience)
    lot.pick_up(slot, taken, reserve=reserve_s > 0)
    state.pick_ups.setdefault(call.id, set()).add((lot, slot))
    state.timers.set((LotTimer.FORGET, lot, slot), state.now + max(reserve_s, LOST_RACE_S))
    kept_until: Instant | None = None
    if reserve_s > 0:
        call.reserved, kept_until = (lot, slot), state.now + reserve_s
        state.timers.set((LotTimer.RELEASE, lot, slot), kept_until)
    call.other = leg
    state.attach(leg, call)
    state.connect(call)
    call.stage = Talking(picked_up=parked)
    emit.retrieved(state, call, stay, by, kept_until)


def stop_retrieving(state: CallState, parked: Parked, why: Refusal) -> None:
    """Phones that ring so as to retrieve the call come too late."""
    for one in parked.retrieving.values():
        state.timers.cancel(RetrieveTimer(one.leg.id))
        state.end(one.leg, elsewhere=Elsewhere.ANSWERED)
        state.out.append(Reply(one.command, refusal=why))
    parked.retrieving.clear()


def release_over(state: CallState, lot: ParkLot, slot: int) -> None:
    """The code has been kept long enough."""
    call_id = lot.reserved_for(slot)
    if call_id is not None:
        state.release(state.calls[call_id])


def _at(state: CallState, lot: ParkLot, slot: int, who: Viewer) -> str | PickUp | None:
    call_id = lot.call_at(slot)
    if call_id is None:
        last = lot.last_pick_up(slot)
        return last if last is not None and who.sees(last.audience) else None
    stage = state.calls[call_id].stage
    assert isinstance(stage, Parked)
    return call_id if who.sees(stage.stay.audience) else None

"""Carries commands out. What they mean is in ``commands.py``; every command is done by the operations that phones cause too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from parkade.calls import parking, recall, ring
from parkade.calls.call import Call, Leg, Parked, Retrieving
from parkade.calls.commands import (
    Command,
    GiveBackCall,
    HangUpCall,
    ListParked,
    NoteCall,
    ParkCall,
    ParkedCall,
    Reply,
    RetrieveCall,
    Wanted,
)
from parkade.calls.directory import Account
from parkade.calls.effects import RingEndpoint
from parkade.calls.identity import Identity
from parkade.calls.inputs import Failure, LegEnded
from parkade.calls.park import PickUp
from parkade.calls.refusals import (
    ALREADY_PICKED_UP,
    NO_CALL_PARKED,
    NO_SUCH_CALL,
    NO_SUCH_DEVICE,
    NOBODY_PARKED_IT,
    NOT_LICENSED,
    NOTHING_TO_PARK,
    Refusal,
)
from parkade.calls.state import GRACE_S, CallState, RetrieveTimer

RETRIEVE_RING_S = 30.0
"""How long a phone rings that is to retrieve a call."""


def execute(state: CallState, given: Command) -> None:
    """Carry a command out and answer it, now or later."""
    account = state.directory.accounts.get(given.account)
    what = given.command
    if account is None:
        outcome: Outcome = NO_SUCH_CALL
    else:
        outcome = _HANDLERS[type(what)](state, account, given.id, what)
    if isinstance(outcome, Refusal):
        state.out.append(Reply(given.id, refusal=outcome))
    elif not isinstance(outcome, _Later):
        state.out.append(Reply(given.id, outcome))


class _Later:
    """The answer comes when the phone was picked up."""


LATER = _Later()
Outcome = ParkedCall | tuple[ParkedCall, ...] | Refusal | _Later | None


def _park(state: CallState, account: Account, _: str, what: ParkCall) -> Outcome:
    call = _call(state, account, what.call)
    if call is None:
        return NO_SUCH_CALL
    person = account.owners.get(what.by)
    leg = next((leg for leg in call.legs() if person and leg.owner and leg.owner.id == person.id), None)
    if leg is None:
        return NO_SUCH_CALL
    if not call.talking:
        return NOTHING_TO_PARK
    stay = parking.park_far_end(state, leg, what.slot, what.note)
    if isinstance(stay, Refusal):
        return stay
    state.end(leg, after_s=GRACE_S)
    return parked_call(call)


def _retrieve(state: CallState, account: Account, id_: str, what: RetrieveCall) -> Outcome:
    device = state.directory.devices.get(what.device)
    if device is None or device.account != account.slug:
        return NO_SUCH_DEVICE
    owner = account.owners.get(device.extension)
    if owner and not owner.licensed:
        return NOT_LICENSED
    call = _at(state, account, what.code, owner.site if owner else None)
    if isinstance(call, Refusal):
        return call
    stage, party = call.stage, call.party
    assert isinstance(stage, Parked)
    identity = owner.identity if owner else Identity("", device.extension)
    who = party.identity
    caller = Identity(f"{parking.parked_identity(stage.stay.code).name} {who.name or who.number}", who.number)
    leg = Leg(state.ids.token(), device, owner, identity, owner.language if owner else account.language, sees=caller)
    stage.retrieving[leg.id] = Retrieving(leg, id_)
    state.attach(leg, call)
    state.timers.set(RetrieveTimer(leg.id), state.now + RETRIEVE_RING_S)
    state.out.append(RingEndpoint(leg.id, device.id, caller, beside=party.id))
    return LATER


def answered(state: CallState, call: Call, leg: Leg) -> None:
    """A phone that was rung for ``RetrieveCall`` was picked up: it has the call."""
    stage = call.stage
    assert isinstance(stage, Parked)
    was = parked_call(call)
    retrieving = stage.retrieving.pop(leg.id)
    state.timers.cancel(RetrieveTimer(leg.id))
    leg.up = True
    parking.connect(state, leg, call)
    state.out.append(Reply(retrieving.command, was))


def failed(state: CallState, call: Call, leg: Leg, why: Failure) -> None:
    """It will not be picked up; the call stays where it is. A phone that forwards is not followed."""
    stage = call.stage
    assert isinstance(stage, Parked)
    retrieving = stage.retrieving.pop(leg.id)
    state.timers.cancel(RetrieveTimer(leg.id))
    state.forget(leg)
    state.out.append(Reply(retrieving.command, refusal=ring.REFUSALS[why]))


def gave_up(state: CallState, leg_id: str) -> None:
    """The phone has rung long enough."""
    leg = state.legs[leg_id]
    stage = leg.call.stage
    assert isinstance(stage, Parked)
    retrieving = stage.retrieving.pop(leg_id)
    state.end(leg)
    state.out.append(Reply(retrieving.command, refusal=ring.REFUSALS[Failure.NO_ANSWER]))


def _give_back(state: CallState, account: Account, _: str, what: GiveBackCall) -> Outcome:
    call = _at(state, account, what.code, None)
    if isinstance(call, Refusal):
        return call
    assert isinstance(call.stage, Parked)
    if call.stage.stay.parker is None:
        return NOBODY_PARKED_IT
    recall.give_back(state, call)
    return None


def _hang_up(state: CallState, account: Account, _: str, what: HangUpCall) -> Outcome:
    call = _call(state, account, what.call)
    if call is None:
        return NO_SUCH_CALL
    party = call.party
    state.end(party)
    state.rules(call).gone(state, call, party, LegEnded(party.id))
    return None


def _note(state: CallState, account: Account, _: str, what: NoteCall) -> Outcome:
    call = _at(state, account, what.code, None)
    if isinstance(call, Refusal):
        return call
    assert isinstance(call.stage, Parked)
    call.stage.stay.note = what.note
    state.touched[call.id] = None
    return parked_call(call)


def _list(state: CallState, account: Account, _: str, __: ListParked) -> Outcome:
    there = [
        (lot.lot.name, slot, state.calls[call_id])
        for lot in state.lots.get(account.slug, {}).values()
        for slot, call_id in lot.parked()
    ]
    return tuple(parked_call(call) for _, _, call in sorted(there, key=lambda one: one[:2]))


def parked_call(call: Call) -> ParkedCall:
    """A parked call as programs see it."""
    stage = call.stage
    assert isinstance(stage, Parked)
    stay, parker = stage.stay, stage.stay.parker
    return ParkedCall(
        code=stay.code,
        lot=stay.lot.lot.name,
        slot=stay.slot,
        call=call.id,
        caller=call.party.identity,
        parked_by=parker.extension if parker else None,
        note=stay.note,
        parked_at=stay.since,
        expires_at=stage.expires_at,
    )


def _call(state: CallState, account: Account, call_id: str) -> Call | None:
    call = state.calls.get(call_id)
    return call if call and call.account == account.slug else None


def _at(state: CallState, account: Account, code: str, site: str | None) -> Call | Refusal:
    """The call parked at ``code``: in the lot of ``site``, or in the only lot of the account that has something there."""
    digits = code.removeprefix("*")
    slot = int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= len("999999") else 0
    match parking.find_at(state, account, site, slot):
        case _, str(call_id):
            return state.calls[call_id]
        case _, PickUp(name=name):
            return ALREADY_PICKED_UP.with_(name=name)
        case _:
            return NO_CALL_PARKED.with_(code=f"*{slot}" if slot else code)


_HANDLERS: dict[type[Wanted], Callable[[CallState, Account, str, Any], Outcome]] = {
    ParkCall: _park,
    RetrieveCall: _retrieve,
    GiveBackCall: _give_back,
    HangUpCall: _hang_up,
    NoteCall: _note,
    ListParked: _list,
}

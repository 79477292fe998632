"""Carries commands out. What they mean is in ``commands.py``; every command is done by the operations that phones cause too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from parkade.base.clock import Instant
from parkade.calls import details, emit, parking, recall, ring, transfer
from parkade.calls.audience import ADMINISTRATOR, Viewer
from parkade.calls.call import Call, Leg, Parked, Retrieving
from parkade.calls.commands import (
    CallDetail,
    Command,
    ForceBackCall,
    GetCall,
    GiveBackCall,
    HangUpCall,
    ListCalls,
    ListParked,
    NoteCall,
    ParkCall,
    ParkedCall,
    ParkState,
    Reply,
    RetrieveCall,
    TransferCall,
    Wanted,
)
from parkade.calls.directory import Account, Owner
from parkade.calls.effects import EndLeg, RingEndpoint
from parkade.calls.identity import Identity
from parkade.calls.inputs import Cause, Failure, LegEnded, TransferAsked
from parkade.calls.park import ParkLot, PickUp
from parkade.calls.refusals import (
    ALREADY_PICKED_UP,
    NO_CALL_PARKED,
    NO_SUCH_CALL,
    NO_SUCH_DEVICE,
    NOBODY_PARKED_IT,
    NOT_LICENSED,
    NOTHING_TO_GIVE_BACK,
    NOTHING_TO_PARK,
    TRANSFER_IMPOSSIBLE,
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
        handler = _HANDLERS.get(type(what))
        assert handler is not None, "what is not about calls is the switch's"
        outcome = handler(state, account, given.id, what)
    if isinstance(outcome, Refusal):
        state.out.append(Reply(given.id, refusal=outcome))
    elif not isinstance(outcome, _Later):
        state.out.append(Reply(given.id, outcome))


class _Later:
    """The answer comes when the phone was picked up."""


LATER = _Later()
Outcome = ParkedCall | tuple[ParkedCall, ...] | CallDetail | tuple[CallDetail, ...] | Refusal | _Later | None


def _park(state: CallState, account: Account, _: str, what: ParkCall) -> Outcome:
    found = _end_of(state, account, what.call, what.by)
    if found is None:
        return NO_SUCH_CALL
    call, leg = found
    if not call.talking:
        return NOTHING_TO_PARK
    stay = parking.park_far_end(state, leg, what.slot, what.note)
    if isinstance(stay, Refusal):
        return stay
    state.end(leg, after_s=GRACE_S)
    return details.parked_call(state, call)


def _retrieve(state: CallState, account: Account, id_: str, what: RetrieveCall) -> Outcome:
    device = state.directory.devices.get(what.device)
    if device is None or device.account != account.slug:
        return NO_SUCH_DEVICE
    owner = account.owners.get(device.extension)
    if owner and not owner.licensed:
        return NOT_LICENSED
    found = _at(state, account, what.code, _viewer(account, what.by), what.site, owner)
    if isinstance(found, Refusal):
        return found
    call, stage = found
    party = call.party
    identity = owner.identity if owner else Identity("", device.extension)
    who = party.identity
    caller = Identity(f"{parking.parked_identity(stage.stay.code).name} {who.name or who.number}", who.number)
    leg = Leg(state.ids.token(), device, owner, identity, owner.language if owner else account.language, sees=caller)
    stage.retrieving[leg.id] = Retrieving(leg, id_)
    state.attach(leg, call)
    state.timers.set(RetrieveTimer(leg.id), state.now + RETRIEVE_RING_S)
    state.out.append(RingEndpoint(leg.id, device.id, caller, beside=party.id, auto_answer=what.answer))
    return LATER


def answered(state: CallState, call: Call, leg: Leg) -> None:
    """A phone that was rung for ``RetrieveCall`` was picked up: it has the call."""
    stage = call.stage
    assert isinstance(stage, Parked)
    was = details.parked_call(state, call)
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


def _force_back(state: CallState, account: Account, _: str, what: ForceBackCall) -> Outcome:
    found = _at(state, account, what.code, _viewer(account, what.by), what.site, _person(account, what.by))
    if isinstance(found, Refusal):
        return found
    call, stage = found
    if stage.stay.parker is None:
        return NOBODY_PARKED_IT
    recall.force_back(state, call, what.by or "")
    return None


def _give_back(state: CallState, account: Account, _: str, what: GiveBackCall) -> Outcome:
    slot, person = _slot(what.code), _person(account, what.by)
    refusal = NOTHING_TO_GIVE_BACK.with_(code=f"*{slot}" if slot else what.code)
    there = _find(state, account, slot, ADMINISTRATOR, what.site, person)
    call = state.calls.get(there[1].call) if there and isinstance(there[1], PickUp) else None
    parked = details.can_give_back(call) if call else None
    if call is None or parked is None or call.other is None or (what.by is not None and not call.other.is_of(person)):
        return refusal
    return recall.give_back(state, call, parked, what.by) or details.parked_call(state, call)


def _transfer(state: CallState, account: Account, _: str, what: TransferCall) -> Outcome:
    found = _end_of(state, account, what.call, what.by)
    if found is None:
        return NO_SUCH_CALL
    call, leg = found
    if not call.talking:
        return TRANSFER_IMPOSSIBLE
    return transfer.blind(state, leg, TransferAsked(leg.id, "", what.to)) or details.detail_of(state, call)


def _hang_up(state: CallState, account: Account, _: str, what: HangUpCall) -> Outcome:
    call = _call(state, account, what.call)
    if call is None:
        return NO_SUCH_CALL
    if what.by is None:
        _end(state, call, call.party)
        return None
    person = _person(account, what.by)
    theirs = [leg for leg in call.legs() if leg.is_of(person)]
    if not theirs:
        return NO_SUCH_CALL
    leg = theirs[0]
    if leg is call.party or leg is call.other:
        _end(state, call, leg)
    else:
        state.rules(call).failed(state, call, leg, Failure.DECLINED)
        state.out.append(EndLeg(leg.id))
    return None


def _end(state: CallState, call: Call, leg: Leg) -> None:
    """As if the phone of ``leg``, an end of the call, had hung up."""
    state.end(leg)
    state.rules(call).gone(state, call, leg, LegEnded(leg.id, cause=Cause.COMMAND))


def _note(state: CallState, account: Account, _: str, what: NoteCall) -> Outcome:
    found = _at(state, account, what.code, _viewer(account, what.by), what.site, _person(account, what.by))
    if isinstance(found, Refusal):
        return found
    call, stage = found
    stage.stay.note = what.note
    state.touched[call.id] = None
    emit.noted(state, call, stage.stay, what.by)
    return details.parked_call(state, call)


def _list_parked(state: CallState, account: Account, _: str, what: ListParked) -> Outcome:
    who = _viewer(account, what.seen_by)
    found: list[tuple[str, int, str, ParkedCall]] = []
    for call in state.calls.values():
        if call.account != account.slug:
            continue
        parked = details.parked_call(state, call)
        if parked is None or (parked.state is ParkState.RESERVED and not what.reserved):
            continue
        if (what.site is None or parked.site == what.site) and who.sees(parked.audience):
            found.append((parked.lot, parked.slot, parked.call, parked))
    found.sort(key=_place)
    return tuple([parked for _, _, _, parked in found])


def _place(found: tuple[str, int, str, ParkedCall]) -> tuple[str, int, str]:
    return found[:3]


def _list_calls(state: CallState, account: Account, _: str, what: ListCalls) -> Outcome:
    calls = [call for call in state.calls.values() if call.account == account.slug and details.is_shown(call)]
    seen = [details.detail_of(state, call) for call in calls if _may_see(state, account, call, what.seen_by)]
    seen.sort(key=_age)
    return tuple(seen)


def _age(detail: CallDetail) -> tuple[Instant, str]:
    return detail.started_at, detail.id


def _get_call(state: CallState, account: Account, _: str, what: GetCall) -> Outcome:
    call = _call(state, account, what.call)
    if call is None or not _may_see(state, account, call, what.seen_by):
        return NO_SUCH_CALL
    return details.detail_of(state, call)


def _may_see(state: CallState, account: Account, call: Call, extension: str | None) -> bool:
    """Whether a person may know of a call: it is the person's own, or waits in the lot for the person to see."""
    if extension is None:
        return True
    person = _person(account, extension)
    if any(leg.is_of(person) for leg in call.legs()):
        return True
    parked = details.parked_call(state, call)
    return parked is not None and parked.state is not ParkState.RESERVED and Viewer(person).sees(parked.audience)


# Looking things up


def _person(account: Account, extension: str | None) -> Owner | None:
    return account.owners.get(extension) if extension is not None else None


def _viewer(account: Account, extension: str | None) -> Viewer:
    return ADMINISTRATOR if extension is None else Viewer(account.owners.get(extension))


def _call(state: CallState, account: Account, call_id: str) -> Call | None:
    call = state.calls.get(call_id)
    return call if call and call.account == account.slug and details.is_shown(call) else None


def _end_of(state: CallState, account: Account, call_id: str, extension: str) -> tuple[Call, Leg] | None:
    """The call, and the end of it at which the person is whose ``extension`` it is."""
    call, person = _call(state, account, call_id), _person(account, extension)
    if call is None:
        return None
    return next(((call, leg) for leg in (call.party, call.other) if leg is not None and leg.is_of(person)), None)


def _slot(code: str) -> int:
    """The number of the slot that ``code`` names; 0 if none."""
    digits = code.removeprefix("*")
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= len("999999") else 0


def _find(
    state: CallState, account: Account, slot: int, who: Viewer, site: str | None, at: Owner | None
) -> tuple[ParkLot, str | PickUp] | None:
    """What there is at ``slot``: at the lot of ``site`` and nowhere else, or as whoever is ``at`` a phone would find it."""
    if site is not None:
        return parking.find_at_site(state, account, site, slot, who)
    return parking.find_at(state, account, at.site if at else None, slot, who)


def _at(
    state: CallState, account: Account, code: str, who: Viewer, site: str | None, at: Owner | None
) -> tuple[Call, Parked] | Refusal:
    """The call parked at ``code``."""
    slot = _slot(code)
    match _find(state, account, slot, who, site, at):
        case _, str(call_id):
            call = state.calls[call_id]
            assert isinstance(call.stage, Parked)
            return call, call.stage
        case _, PickUp(name=name):
            return ALREADY_PICKED_UP.with_(name=name)
        case _:
            return NO_CALL_PARKED.with_(code=f"*{slot}" if slot else code)


_HANDLERS: dict[type[Wanted], Callable[[CallState, Account, str, Any], Outcome]] = {
    ParkCall: _park,
    RetrieveCall: _retrieve,
    ForceBackCall: _force_back,
    GiveBackCall: _give_back,
    TransferCall: _transfer,
    HangUpCall: _hang_up,
    NoteCall: _note,
    ListParked: _list_parked,
    ListCalls: _list_calls,
    GetCall: _get_call,
}

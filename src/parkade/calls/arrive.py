"""Somebody calls: what comes of it follows from who it is, what it dialled, and what else that device has on hold.

Park or pick up is never decided by the number alone. A park code parks what the device has on hold. A slot code picks up
whatever is parked there; if nothing is, and the device has a call on hold, it parks that call there, unless somebody has
just picked up at that code: then a race was lost and nothing is parked. A device with a destination calls that, whatever
it dials; a call from a trunk goes where its number leads, and nowhere else.

A leg that replaces another (:rfc:`3891`) picks a ringing call up, or takes the place of an end of a call. With ``early-only``
it does so only while the other is not answered: a pick-up that comes a moment late takes no conversation over.
"""

from __future__ import annotations

from parkade.calls import calling, parking
from parkade.calls.call import Leg
from parkade.calls.directory import Device, Endpoint, Trunk
from parkade.calls.effects import RefuseLeg
from parkade.calls.identity import Identity
from parkade.calls.inputs import LegArrived
from parkade.calls.refusals import ALREADY_ANSWERED, NO_SUCH_CALL, NO_SUCH_NUMBER, NOT_LICENSED, NOTHING_TO_PARK, Refusal
from parkade.calls.route import ParkCode, ParkSelf, People, SlotCode, outside, route
from parkade.calls.state import CallState


def arrived(state: CallState, given: LegArrived) -> None:
    """A device calls, or somebody from outside."""
    endpoint = state.directory.endpoint(given.endpoint)
    account = state.directory.accounts.get(endpoint.account) if endpoint else None
    if endpoint is None or account is None:
        state.out.append(RefuseLeg(given.leg, NO_SUCH_NUMBER))
        return
    owner = state.directory.owner_of(endpoint)
    extension = endpoint.extension if isinstance(endpoint, Device) else ""
    identity = given.caller or (owner.identity if owner else Identity("", extension))
    leg = Leg(given.leg, endpoint, owner, identity, owner.language if owner else account.language)
    if owner and not owner.licensed:
        state.refuse(leg, NOT_LICENSED)
        return
    if given.replaces is not None:
        if isinstance(endpoint, Trunk):
            state.refuse(leg, NO_SUCH_CALL)
            return
        _replace(state, leg, given.replaces, given.early_only)
        return
    dialled = _destination(endpoint, given.dialled)
    match route(account, dialled):
        case People() as people:
            calling.call(state, leg, people)
        case SlotCode(slot, only_pick_up):
            _slot_dialled(state, leg, slot, only_pick_up)
        case ParkCode():
            _park_held(state, leg, last_held(state, leg), None)
        case ParkSelf(wanted):
            parking.park_arriving(state, leg, wanted)
        case None:
            # Whose calls go out is known: those of people and places. What comes from a line never goes out again.
            number = outside(account, dialled) if owner else None
            if number is None:
                state.refuse(leg, NO_SUCH_NUMBER)
            else:
                calling.call(state, leg, number)


def _destination(endpoint: Endpoint, dialled: str) -> str:
    """Where a call goes: from a trunk only to where its number leads, whatever that spells here."""
    if isinstance(endpoint, Trunk):
        return endpoint.inbound.get(dialled, "")
    return endpoint.destination or dialled


def last_held(state: CallState, leg: Leg) -> Leg | None:
    """Of the conversations that the device of ``leg`` has on hold, its leg of the one held last."""
    held = state.holding.get(leg.endpoint.id)
    if held is None:
        return None
    return max((other for other in held.values() if other.call.talking), key=lambda other: other.held, default=None)


def _slot_dialled(state: CallState, leg: Leg, slot: int, only_pick_up: bool) -> None:
    held = None if only_pick_up else last_held(state, leg)
    if held and (
        parking.is_kept_for(state, held.call, slot)
        or (parking.find(state, leg, slot) is None and parking.may_park_at(state, leg, slot))
    ):
        _park_held(state, leg, held, str(slot))
    else:
        parking.pick_up(state, leg, slot)


def _park_held(state: CallState, leg: Leg, held: Leg | None, wanted: str | None) -> None:
    if held is None:
        state.refuse(leg, NOTHING_TO_PARK)
        return
    stay = parking.park_far_end(state, held, wanted)
    if isinstance(stay, Refusal):
        state.refuse(leg, stay)
    else:
        parking.announce(state, leg, stay, held)


def _replace(state: CallState, leg: Leg, replaced_id: str, early_only: bool) -> None:
    """``leg`` takes the place of another leg of its account: of an end of a call, or of a device that still rings."""
    replaced = state.legs.get(replaced_id)
    if replaced is None or replaced.endpoint.account != leg.endpoint.account:
        state.refuse(leg, NO_SUCH_NUMBER)
        return
    if not replaced.up and replaced is replaced.call.party:
        # It is the caller who waits: only who is rung by us can be picked up for (RFC 3891 section 3).
        state.refuse(leg, NO_SUCH_CALL)
        return
    if early_only and replaced.up:
        state.refuse(leg, ALREADY_ANSWERED)
        return
    if refusal := state.rules(replaced.call).replaced(state, replaced.call, replaced, leg):
        state.refuse(leg, refusal)

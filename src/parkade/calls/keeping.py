"""A call written down, so that it outlives the process. ``restoring.py`` reads it back.

What is kept of a call is its value as of the end of an input: account, ends, stage with its deadline, the code kept for it, and
who picked it up last (also for a while after the call is over, so that whoever dials the code learns who was first). A call
whose party is not answered yet is not kept: nothing of it survives.

Not kept: keys of a feature code that is half pressed, what was being said to somebody who cannot park, and phones that
ring; the step of the plan at which a call was begins anew. People, endpoints and lots are kept by id, with what is needed of
them should the directory not know them any more. The values are plain JSON (``base/journal.py``); unknown members are passed
over.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from parkade.base.journal import Drop, Json, Keep
from parkade.base.sound import Spoken
from parkade.calls.audience import EVERYBODY, Audience
from parkade.calls.call import (
    MUSIC,
    Announcing,
    Call,
    Leaving,
    Leg,
    Parked,
    Purpose,
    Ringing,
    Stage,
    Stay,
    Talking,
    Waiting,
)
from parkade.calls.calling import OrdinaryCall
from parkade.calls.directory import Endpoint, Owner, Trunk
from parkade.calls.identity import Identity
from parkade.calls.park import ParkLot
from parkade.calls.plan import OutsideNumber, Step, Target
from parkade.calls.recall import RingBack
from parkade.calls.state import CallState, LotTimer
from parkade.calls.transfer import Returning, Transferring

PREFIX = "call/"
"""What the keys of kept calls begin with."""

VERSION = 1


def changes(state: CallState) -> list[Keep | Drop]:
    """What has become of the calls that were touched since this was last asked."""
    result: list[Keep | Drop] = []
    for call_id in state.touched:
        call = state.calls.get(call_id)
        value = _written(state, call) if call is not None and is_kept(call) else _remembered(state, call_id)
        if value is not None:
            state.kept.add(call_id)
            result.append(Keep(PREFIX + call_id, value))
        elif call_id in state.kept:
            state.kept.discard(call_id)
            result.append(Drop(PREFIX + call_id))
    state.touched.clear()
    return result


def is_kept(call: Call) -> bool:
    """Whether a call can go on after a restart: its party is up."""
    return call.party.up and not (isinstance(call.stage, Ringing) and isinstance(call.stage.purpose, OrdinaryCall))


# Writing


def _written(state: CallState, call: Call) -> dict[str, Json]:
    stage = call.stage
    return {
        "version": VERSION,
        "account": call.account,
        "started_at": call.started_at,
        "since": call.since,
        "party": _leg(call.party),
        "other": _leg(call.other) if call.other else None,
        "stage": _NAMES[type(stage)],
        "is": _STAGES[type(stage)](stage),
        "until": state.timers.when(call.id),
        "reserved": _reserved(state, call),
        "picked_up": _pick_ups(state, call.id),
    }


def _remembered(state: CallState, call_id: str) -> dict[str, Json] | None:
    """Of a call that is over: who picked it up, as long as that is remembered."""
    pick_ups = _pick_ups(state, call_id)
    return {"version": VERSION, "picked_up": pick_ups} if pick_ups else None


def _reserved(state: CallState, call: Call) -> Json:
    if call.reserved is None:
        return None
    lot, slot = call.reserved
    return {"lot": _lot(lot), "slot": slot, "until": state.timers.when((LotTimer.RELEASE, lot, slot))}


def _pick_ups(state: CallState, call_id: str) -> list[Json]:
    there = state.pick_ups.get(call_id)
    if there is None:
        return []
    result: list[Json] = []
    for lot, slot in tuple(there):
        last = lot.last_pick_up(slot)
        until = state.timers.when((LotTimer.FORGET, lot, slot))
        if last is None or last.call != call_id or until is None:
            there.discard((lot, slot))
            continue
        result.append(
            {
                "account": lot.account,
                "lot": _lot(lot),
                "slot": slot,
                "until": until,
                "name": last.name,
                "extension": last.extension,
                "at": last.at,
                "audience": _audience(last.audience),
            }
        )
    if not there:
        del state.pick_ups[call_id]
    return result


def _leg(leg: Leg) -> Json:
    return {
        "id": leg.id,
        "endpoint": _endpoint(leg.endpoint),
        "owner": _owner(leg.owner),
        "identity": _identity(leg.identity),
        "language": leg.language,
        "held": leg.held,
        "sees": _identity(leg.sees) if leg.sees else None,
    }


def _endpoint(endpoint: Endpoint) -> Json:
    if isinstance(endpoint, Trunk):
        return {"trunk": endpoint.id, "name": endpoint.name}
    return {"device": endpoint.id, "extension": endpoint.extension}


def _owner(owner: Owner | None) -> Json:
    if owner is None:
        return None
    return {
        "id": owner.id,
        "extension": owner.extension,
        "name": owner.name,
        "kind": owner.kind,
        "language": owner.language,
        "site": owner.site,
    }


def _identity(identity: Identity) -> Json:
    return [identity.name, identity.number]


def _lot(lot: ParkLot) -> Json:
    value = lot.lot
    return {"id": value.id, "name": value.name, "first": value.first, "last": value.last, "site": lot.site}


def _audience(audience: Audience) -> Json:
    return None if audience == EVERYBODY else [audience.kind, audience.place, *audience.people]


def _stay(stay: Stay) -> Json:
    policy = stay.policy
    return {
        "lot": _lot(stay.lot),
        "slot": stay.slot,
        "parker": _owner(stay.parker),
        "since": stay.since,
        "rounds": stay.rounds,
        "note": stay.note,
        "audience": _audience(stay.audience),
        "policy": {
            "enable": policy.enable,
            "expiration_s": policy.expiration_s,
            "not_picked_up": policy.not_picked_up,
            "forward_to": policy.forward_to,
            "assignment": policy.assignment,
            "reserve_s": policy.reserve_s,
            "ring_back_s": policy.ring_back_s,
        },
    }


def _ringing(stage: Ringing) -> Json:
    return {
        "purpose": _purpose(stage.purpose),
        "shown": _identity(stage.shown),
        "plan": [_step(step) for step in stage.plan.steps],
        "step": stage.step,
        "declined": sorted(stage.declined),
        "caller": _identity(stage.caller),
        "except_endpoint": stage.except_endpoint,
    }


def _step(step: Step) -> Json:
    targets: list[Json] = [_target(target) for target in step.targets]
    return {"targets": targets, "ring_s": step.ring_s, "forwarded_by": list(step.forwarded_by)}


def _target(target: Target) -> Json:
    if isinstance(target, OutsideNumber):
        return {"trunk": _endpoint(target.trunk), "number": target.number}
    return {"owner": _owner(target)}


def _purpose(purpose: Purpose) -> Json:
    match purpose:
        case Transferring(transfer, transferor):
            return {"name": "transferring", "transfer": transfer, "transferor": _owner(transferor)}
        case Returning(meanwhile=meanwhile):
            return {"name": "returning", "music": meanwhile == MUSIC}
        case RingBack(stay=stay, until=until):
            return {"name": "ring_back", "stay": _stay(stay), "until": until}
        case _:
            raise AssertionError(purpose)


def _talking(stage: Talking) -> Json:
    return {"picked_up": _parked(stage.picked_up) if stage.picked_up else None}


def _parked(stage: Parked) -> Json:
    return {"stay": _stay(stage.stay), "expires_at": stage.expires_at}


def _waiting(stage: Waiting) -> Json:
    return {"stay": _stay(stage.stay)}


def _announcing(stage: Announcing) -> Json:
    return {"spoken": _spoken(stage.spoken), "code": stage.code}


def _leaving(stage: Leaving) -> Json:
    return {"spoken": _spoken(stage.spoken)}


def _spoken(spoken: Spoken) -> Json:
    return {"prompt": spoken.prompt, "language": spoken.language, "phrases": list(spoken.phrases)}


_STAGES: dict[type[Stage], Callable[[Any], Json]] = {
    Ringing: _ringing,
    Talking: _talking,
    Parked: _parked,
    Waiting: _waiting,
    Announcing: _announcing,
    Leaving: _leaving,
}
_NAMES: dict[type[Stage], str] = {stage: stage.__name__.lower() for stage in _STAGES}

"""Ringing any number of devices at once for one waiting party, until somebody answers or nobody is left.

A call, a transfer, a ring-back are the same machine; what differs stands in their ``Purpose``. A person who declines on one
phone has declined on all of them, while the other members of a ring group go on ringing. Busy phones do not stop the
others. Of several failures the one that says most about the person counts.

A phone that forwards the call (3xx) is followed within the account, at most ``MAX_FORWARDS`` times one after the other and
never to an extension that has forwarded it already; a device rings once at most. Of several places that it forwards to, the
first that can be rung counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from parkade.base.clock import Instant
from parkade.calls.call import Call, Leg, Purpose, Ringing
from parkade.calls.directory import Owner
from parkade.calls.effects import GiveUpSilent, OpenEarlyMedia, RingDevice
from parkade.calls.identity import Identity
from parkade.calls.inputs import Failure, LegEnded
from parkade.calls.refusals import (
    BUSY,
    DECLINED,
    FORBIDDEN,
    FORWARDED_IN_VAIN,
    FORWARDED_OUTSIDE,
    INCOMPATIBLE,
    NO_ANSWER,
    NO_CAPACITY,
    NO_SUCH_NUMBER,
    NOT_REGISTERED,
    PHONE_ERROR,
    UNKNOWN_TO_PHONE,
    UNREACHABLE,
    Refusal,
)
from parkade.calls.route import People, route
from parkade.calls.state import CallState

REFUSALS: dict[Failure, Refusal] = {
    Failure.BUSY: BUSY,
    Failure.DECLINED: DECLINED,
    Failure.NO_ANSWER: NO_ANSWER,
    Failure.FORWARDED_OUTSIDE: FORWARDED_OUTSIDE,
    Failure.FORWARDED_IN_VAIN: FORWARDED_IN_VAIN,
    Failure.FORBIDDEN: FORBIDDEN,
    Failure.UNKNOWN_TO_PHONE: UNKNOWN_TO_PHONE,
    Failure.INCOMPATIBLE: INCOMPATIBLE,
    Failure.PHONE_ERROR: PHONE_ERROR,
    Failure.NO_CAPACITY: NO_CAPACITY,
    Failure.UNREACHABLE: UNREACHABLE,
    Failure.NOT_REGISTERED: NOT_REGISTERED,
    Failure.REDIRECTED: FORWARDED_OUTSIDE,
}
"""What the caller is told."""

MAX_FORWARDS = 3
"""How many phones may forward a call one after the other."""

_SAID_BY_NOBODY = frozenset({Failure.NOT_REGISTERED, Failure.UNREACHABLE, Failure.NO_CAPACITY})
"""Failures that no phone has told: they do not show that a phone that is there would have answered by now."""

_RANK = {failure: rank for rank, failure in enumerate(Failure)}


def start(
    state: CallState,
    call: Call,
    owners: Iterable[Owner],
    purpose: Purpose,
    shown: Identity,
    caller: Identity | None = None,
    except_device: str | None = None,
) -> None:
    """Ring all devices of ``owners`` for the call's party, but neither the party's own device nor ``except_device``.

    ``caller`` is what the phones show, the party's identity unless given.
    """
    begin(state, call, Ringing(purpose, shown, tuple(owners), caller or call.party.identity, except_device))


def begin(state: CallState, call: Call, stage: Ringing, until: Instant | None = None) -> None:
    """Ring whom ``stage`` names, until ``until`` or as long as its purpose says."""
    state.enter(call, stage, state.now + stage.purpose.ring_s if until is None else until)
    if failure := _ring(state, call, stage, stage.owners):
        stage.failures.append(failure)
        _nobody_answers(state, call, stage)


def _ring(
    state: CallState, call: Call, stage: Ringing, owners: Iterable[Owner], forwarded_by: tuple[str, ...] = ()
) -> Failure | None:
    """Ring the devices of ``owners`` that have not been rung yet; why none of them can be, if that is so.

    A person none of whose devices is left (one calls the own extension from the only phone) is busy.
    """
    party, branches, failure = call.party, [], Failure.NOT_REGISTERED
    for owner in owners:
        for device_id in owner.devices:
            device = state.directory.devices.get(device_id)
            if device is None or device.account != call.account:
                continue
            if device_id in stage.rung:
                failure = Failure.FORWARDED_IN_VAIN
            elif device_id in (party.device.id, stage.except_device):
                failure = Failure.BUSY
            else:
                leg = Leg(state.ids.token(), device, owner, owner.identity, owner.language, sees=stage.caller)
                leg.forwarded_by = forwarded_by
                branches.append(leg)
    for leg in branches:
        stage.rung.add(leg.device.id)
        stage.branches[leg.id] = leg
        state.attach(leg, call)
        state.out.append(RingDevice(leg.id, leg.device.id, stage.caller, stage.purpose.alert, party.id))
    return None if branches else failure


def _follow(state: CallState, call: Call, stage: Ringing, leg: Leg, targets: Sequence[str | None]) -> Failure | None:
    """The device of ``leg`` forwards the call to the first of ``targets`` that can be rung: ring there.

    Why not the first of all, if none can be.
    """
    failures: list[Failure] = []
    for target in targets:
        failure = _follow_to(state, call, stage, leg, target)
        if failure is None:
            return None
        failures.append(failure)
    return failures[0]


def _follow_to(state: CallState, call: Call, stage: Ringing, leg: Leg, target: str | None) -> Failure | None:
    account, path = state.directory.accounts.get(call.account), (*leg.forwarded_by, leg.device.extension)
    if not target:
        return Failure.FORWARDED_IN_VAIN
    device = state.directory.devices.get(target)
    if device is not None and device.account == call.account:
        target = device.extension  # Phones know each other by the names they register under, too.
    there = route(account, target) if account else None
    if there is None:
        return Failure.FORWARDED_OUTSIDE
    if not isinstance(there, People) or target in path or len(path) > MAX_FORWARDS:
        return Failure.FORWARDED_IN_VAIN
    return _ring(state, call, stage, there.owners, path)


def rang(state: CallState, call: Call, leg: Leg, early_media: bool) -> None:
    """A device rings, or already sends sound: the first that does so is heard by a caller who is not answered yet."""
    stage = _ringing(call)
    if early_media and not call.party.up and stage.early is None:
        stage.early, stage.early_was_open = leg.id, True
        state.update_sound(call)
        state.out.append(OpenEarlyMedia(call.party.id, stage.shown))
    if not stage.alerted:
        stage.alerted = True
        stage.purpose.rang(state, call)


def answered(state: CallState, call: Call, leg: Leg) -> None:
    """A device was picked up: it has the call, the others stop ringing."""
    leg.up = True
    _take(state, call, _ringing(call), leg)


def _take(state: CallState, call: Call, stage: Ringing, winner: Leg) -> None:
    """``winner``, a branch or somebody who picks up for it, gets the call."""
    stage.branches.pop(winner.id, None)
    transferor, call.other = call.other, winner
    state.connect(call)
    for loser in stage.branches.values():
        state.end(loser, answered_elsewhere=True)
    stage.purpose.answered(state, call, transferor)


def failed(state: CallState, call: Call, leg: Leg, why: Failure, targets: Sequence[str | None]) -> None:
    """A device could not be reached, is busy, forwards to one of ``targets``, or its owner does not want the call."""
    stage = _ringing(call)
    state.forget(leg)
    del stage.branches[leg.id]
    if why is not Failure.REDIRECTED:
        stage.failures.append(why)
    elif instead := _follow(state, call, stage, leg, targets):
        stage.failures.append(instead)
    if why is Failure.DECLINED:
        for other in [b for b in stage.branches.values() if b.device.extension == leg.device.extension]:
            del stage.branches[other.id]
            state.end(other)
    if why not in _SAID_BY_NOBODY:
        state.out.extend(GiveUpSilent(other) for other in stage.branches)
    if not stage.branches:
        _nobody_answers(state, call, stage)
    elif stage.early is not None and stage.early not in stage.branches:
        stage.early = None
        state.update_sound(call)


def gave_up(state: CallState, call: Call) -> None:
    """It has rung long enough."""
    stage = _ringing(call)
    stop(state, stage)
    stage.failures.append(Failure.NO_ANSWER)
    _nobody_answers(state, call, stage)


def gone(state: CallState, call: Call, leg: Leg, _given: LegEnded) -> None:
    """The party has hung up, or whoever transfers it has."""
    stage = _ringing(call)
    if leg is call.other:
        call.other = None
        return
    stop(state, stage)
    stage.purpose.caller_gone(state, call)


def replaced(state: CallState, call: Call, old: Leg, new: Leg) -> Refusal | None:
    """Another device picks the call up for one that rings, or takes the place of the party; whoever transfers stays."""
    stage = _ringing(call)
    if old.id in stage.branches:
        state.attach(new, call)
        _take(state, call, stage, new)
        return None
    if old is call.other:
        return NO_SUCH_NUMBER
    state.substitute(call, old, new)
    state.update_sound(call)
    state.answer(new, stage.shown)
    state.end(old)
    return None


def restored(state: CallState, call: Call) -> None:
    """Ring again, for the time that is left; nothing that rang was kept."""
    stage, until = _ringing(call), state.timers.when(call.id)
    if stage.branches or until is None:
        return
    if until > state.now:
        begin(state, call, stage, until)
    else:
        gave_up(state, call)


def _ringing(call: Call) -> Ringing:
    assert isinstance(call.stage, Ringing)
    return call.stage


def stop(state: CallState, stage: Ringing) -> None:
    """Nothing rings any more."""
    for leg in stage.branches.values():
        state.end(leg)
    stage.branches.clear()


def _nobody_answers(state: CallState, call: Call, stage: Ringing) -> None:
    why = min(stage.failures, key=_RANK.__getitem__, default=Failure.FORWARDED_IN_VAIN)
    stage.purpose.failed(state, call, why)

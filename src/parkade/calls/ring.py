"""Ringing for one waiting party, step by step of a plan, until somebody answers or the plan is at its end.

A call, a transfer, a ring-back are the same machine; what differs stands in their ``Purpose``. A person who declines on one
phone has declined on all of them and is not rung again, while the other members of a ring group go on ringing. Busy phones do
not stop the others. A step is over when nobody rings any more or its time is, and the next one follows. Of all failures, over
all steps, the one that says most about the people counts.

A phone that forwards the call (3xx) is followed within the account, at once, also if other phones of the person ring on; at
most ``MAX_FORWARDS`` times one after the other and never to an extension that has forwarded it already. A device rings once at
most in a step. Of several places that one phone forwards to, the first that can be rung counts; of two phones that forward to
different places, both. A carrier that forwards is not followed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from parkade.base.clock import Instant
from parkade.calls.audience import Viewer
from parkade.calls.call import Call, Leg, Purpose, Ringing
from parkade.calls.directory import Device, Owner
from parkade.calls.effects import Elsewhere, GiveUpSilent, OpenEarlyMedia, RingEndpoint
from parkade.calls.identity import Identity
from parkade.calls.inputs import Failure, LegEnded
from parkade.calls.plan import OutsideNumber, RingPlan, Target
from parkade.calls.refusals import (
    BUSY,
    DECLINED,
    FORBIDDEN,
    FORWARDED_IN_VAIN,
    FORWARDED_OUTSIDE,
    INCOMPATIBLE,
    NO_ANSWER,
    NO_CAPACITY,
    NO_SUCH_CALL,
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
    Failure.DECLINED: DECLINED,
    Failure.BUSY: BUSY,
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
    plan: RingPlan,
    purpose: Purpose,
    shown: Identity,
    caller: Identity | None = None,
    except_endpoint: str | None = None,
) -> None:
    """Ring by ``plan`` for the call's party, but neither the party's own device nor ``except_endpoint``.

    ``caller`` is what the phones show, the party's identity unless given.
    """
    begin(state, call, Ringing(purpose, shown, plan, caller or call.party.identity, except_endpoint))


def begin(state: CallState, call: Call, stage: Ringing, until: Instant | None = None) -> None:
    """Ring from the step of ``stage`` on, and at that one until ``until`` or as long as the plan says."""
    while stage.step < len(stage.plan.steps):
        step = stage.plan.steps[stage.step]
        state.enter(call, stage, state.now + step.ring_s if until is None else until)
        failure = _ring(state, call, stage, step.targets, step.forwarded_by)
        if failure is None:
            return
        stage.failures.append(failure)
        stage.step, until = stage.step + 1, None
    why = min(stage.failures, key=_RANK.__getitem__, default=Failure.NOT_REGISTERED)
    stage.purpose.failed(state, call, why)


def _next_step(state: CallState, call: Call, stage: Ringing) -> None:
    """Nobody rings any more."""
    stage.step += 1
    stage.early = None
    stage.rung.clear()
    begin(state, call, stage)


def _ring(
    state: CallState, call: Call, stage: Ringing, targets: Iterable[Target], forwarded_by: tuple[str, ...]
) -> Failure | None:
    """Ring everything of ``targets`` that has not been rung in this step; why none of it can be, if that is so.

    A person none of whose devices is left (one calls the own extension from the only phone) is busy.
    """
    branches: list[Leg] = []
    failure = Failure.NOT_REGISTERED
    for target in targets:
        for leg in _legs(state, call, target):
            number = (leg.endpoint.id, leg.number)
            if number in stage.rung:
                failure = Failure.FORWARDED_IN_VAIN
            elif _person(leg) in stage.declined:
                failure = Failure.DECLINED
            elif isinstance(leg.endpoint, Device) and leg.endpoint.id in (call.party.endpoint.id, stage.except_endpoint):
                failure = Failure.BUSY
            else:
                leg.sees, leg.forwarded_by = stage.caller, forwarded_by
                branches.append(leg)
    for leg in branches:
        stage.rung.add((leg.endpoint.id, leg.number))
        stage.branches[leg.id] = leg
        state.attach(leg, call)
        effect = RingEndpoint(leg.id, leg.endpoint.id, stage.caller, stage.purpose.alert, call.party.id, leg.number)
        state.out.append(effect)
    return None if branches else failure


def _legs(state: CallState, call: Call, target: Target) -> Iterator[Leg]:
    """A leg for each endpoint at which ``target`` is to be rung."""
    if isinstance(target, OutsideNumber):
        trunk, account = state.endpoint_now(target.trunk), state.directory.accounts.get(call.account)
        if account is not None and trunk.id in account.trunks:
            yield Leg(state.ids.token(), trunk, None, target.shown, account.language, number=target.number)
        return
    for device_id in target.devices:
        device = state.directory.devices.get(device_id)
        if device is not None and device.account == call.account:
            yield Leg(state.ids.token(), device, target, target.identity, target.language)


def _person(leg: Leg) -> str:
    """Whom a leg stands for: two with the same are one person's."""
    return leg.owner.id if leg.owner else leg.id


def forwarded(state: CallState, call: Call, leg: Leg, targets: Sequence[str]) -> None:
    """A phone of ``leg``, which may ring on elsewhere, forwards to the first of ``targets`` that can be rung."""
    stage = _ringing(call)
    failure = _follow(state, call, stage, leg.owner, leg.forwarded_by, targets) if leg.owner else Failure.FORWARDED_OUTSIDE
    if failure is not None:
        stage.failures.append(failure)
    state.out.extend(GiveUpSilent(other) for other in stage.branches if other != leg.id)


def _follow(
    state: CallState, call: Call, stage: Ringing, owner: Owner, forwarded_by: tuple[str, ...], targets: Sequence[str]
) -> Failure | None:
    """Why not to the first of all, if none can be rung."""
    failures: list[Failure] = []
    for target in targets:
        failure = _follow_to(state, call, stage, (*forwarded_by, owner.extension), target)
        if failure is None:
            return None
        failures.append(failure)
    return failures[0] if failures else Failure.FORWARDED_IN_VAIN


def _follow_to(state: CallState, call: Call, stage: Ringing, path: tuple[str, ...], target: str) -> Failure | None:
    account, device = state.directory.accounts.get(call.account), state.directory.devices.get(target)
    if device is not None and device.account == call.account:
        target = device.extension  # Phones know each other by the names they register under, too.
    there = route(account, target) if account else None
    if there is None:
        return Failure.FORWARDED_OUTSIDE
    if not isinstance(there, People) or target in path or len(path) > MAX_FORWARDS:
        return Failure.FORWARDED_IN_VAIN
    first, *rest = there.plan(stage.plan.steps[stage.step].ring_s).steps
    # Whoever has a step already gets no other, so that phones that forward to a group and back come to an end.
    later = [replace(step, forwarded_by=path) for step in rest if not stage.plan.names(step.targets)]
    if later:
        stage.plan = stage.plan.after(stage.step, later)
    return _ring(state, call, stage, first.targets, path)


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
        state.end(loser, elsewhere=Elsewhere.ANSWERED)
    stage.purpose.answered(state, call, transferor)


def failed(state: CallState, call: Call, leg: Leg, why: Failure) -> None:
    """A device could not be reached, is busy, has forwarded the call, or its owner does not want it."""
    stage = _ringing(call)
    state.forget(leg)
    del stage.branches[leg.id]
    if why is not Failure.REDIRECTED:
        stage.failures.append(why)
    if why is Failure.DECLINED:
        stage.declined.add(_person(leg))
        for other in [b for b in stage.branches.values() if _person(b) == _person(leg)]:
            del stage.branches[other.id]
            state.end(other, elsewhere=Elsewhere.DECLINED)
    if why not in _SAID_BY_NOBODY:
        state.out.extend(GiveUpSilent(other) for other in stage.branches)
    if not stage.branches:
        _next_step(state, call, stage)
    elif stage.early is not None and stage.early not in stage.branches:
        stage.early = None
        state.update_sound(call)


def gave_up(state: CallState, call: Call) -> None:
    """It has rung long enough here."""
    stage = _ringing(call)
    stop(state, stage)
    stage.failures.append(Failure.NO_ANSWER)
    _next_step(state, call, stage)


def gone(state: CallState, call: Call, leg: Leg, given: LegEnded) -> None:
    """The party has hung up, or whoever transfers it has."""
    stage = _ringing(call)
    if leg is call.other:
        call.other = None
        return
    stop(state, stage)
    stage.purpose.caller_gone(state, call, leg, given)


def replaced(state: CallState, call: Call, old: Leg, new: Leg) -> Refusal | None:
    """Another device picks the call up for one that rings, or takes the place of the party; whoever transfers stays."""
    stage = _ringing(call)
    if old.id in stage.branches:
        if not old.is_of_same_person(new) and not Viewer(state.owner(new)).sees(stage.purpose.audience):
            return NO_SUCH_CALL
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

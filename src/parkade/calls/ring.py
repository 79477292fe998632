"""Ringing any number of devices at once for one waiting party, until somebody answers or nobody is left.

A call, a transfer, a ring-back are the same machine; what differs stands in their ``Purpose``. A person who declines on one
phone has declined on all of them, while the other members of a ring group go on ringing. Busy phones do not stop the
others. Of several failures the one that says most about the person counts.

A phone that forwards the call (3xx) is followed within the account, at most ``MAX_FORWARDS`` times one after the other and
never to an extension that has forwarded it already; a device rings once at most.
"""

from __future__ import annotations

from collections.abc import Iterable

from parkade.base.clock import Instant
from parkade.calls.board import Board
from parkade.calls.call import Call, Leg, Purpose, Ringing
from parkade.calls.directory import Owner
from parkade.calls.effects import OpenEarlyMedia, RingDevice, ShowRinging
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

_RANK = {failure: rank for rank, failure in enumerate(Failure)}


def start(
    board: Board,
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
    begin(board, call, Ringing(purpose, shown, tuple(owners), caller or call.party.identity, except_device))


def begin(board: Board, call: Call, stage: Ringing, until: Instant | None = None) -> None:
    """Ring whom ``stage`` names, until ``until`` or as long as its purpose says."""
    board.enter(call, stage, board.now + stage.purpose.ring_s if until is None else until)
    if failure := _ring(board, call, stage, stage.owners):
        stage.failures.append(failure)
        _nobody(board, call, stage)


def _ring(
    board: Board, call: Call, stage: Ringing, owners: Iterable[Owner], forwarded_by: tuple[str, ...] = ()
) -> Failure | None:
    """Ring the devices of ``owners`` that have not been rung yet; why none of them can be, if that is so.

    A person none of whose devices is left (one calls the own extension from the only phone) is busy.
    """
    party, branches, failure = call.party, [], Failure.NOT_REGISTERED
    for owner in owners:
        for device_id in owner.devices:
            device = board.directory.devices.get(device_id)
            if device is None or device.account != call.account:
                continue
            if device_id in stage.rung:
                failure = Failure.FORWARDED_IN_VAIN
            elif device_id in (party.device.id, stage.except_device):
                failure = Failure.BUSY
            else:
                leg = Leg(board.ids.token(), device, owner, owner.identity, owner.language, sees=stage.caller)
                leg.forwarded_by = forwarded_by
                branches.append(leg)
    for leg in branches:
        stage.rung.add(leg.device.id)
        stage.branches[leg.id] = leg
        board.seat(leg, call)
        board.out.append(RingDevice(leg.id, leg.device.id, stage.caller, stage.purpose.alert, party.id))
    return None if branches else failure


def _follow(board: Board, call: Call, stage: Ringing, leg: Leg, target: str | None) -> Failure | None:
    """The device of ``leg`` forwards the call to ``target``: ring there. Why not, if that cannot be."""
    account, path = board.directory.accounts.get(call.account), (*leg.forwarded_by, leg.device.extension)
    there = route(account, target) if account and target else None
    if there is None:
        return Failure.FORWARDED_OUTSIDE
    if not isinstance(there, People) or target in path or len(path) > MAX_FORWARDS:
        return Failure.FORWARDED_IN_VAIN
    return _ring(board, call, stage, there.owners, path)


def rang(board: Board, call: Call, leg: Leg, early_media: bool) -> None:
    """A device rings, or already sends sound: the first that does so is heard by a caller who is not answered yet."""
    stage = _ringing(call)
    if early_media and not call.party.up and stage.early is None:
        stage.early, stage.early_was_open = leg.id, True
        board.tune(call)
        board.out.append(OpenEarlyMedia(call.party.id, stage.shown))
    if not stage.alerted:
        stage.alerted = True
        stage.purpose.rang(board, call)


def answered(board: Board, call: Call, leg: Leg) -> None:
    """A device was picked up: it has the call, the others stop ringing."""
    leg.up = True
    _take(board, call, _ringing(call), leg)


def _take(board: Board, call: Call, stage: Ringing, winner: Leg) -> None:
    """``winner``, a branch or somebody who picks up for it, gets the call."""
    stage.branches.pop(winner.id, None)
    transferor, call.other = call.other, winner
    board.connect(call)
    for loser in stage.branches.values():
        board.end(loser, answered_elsewhere=True)
    stage.purpose.answered(board, call, transferor)


def failed(board: Board, call: Call, leg: Leg, why: Failure, target: str | None) -> None:
    """A device could not be reached, is busy, forwards to ``target``, or its owner does not want the call."""
    stage = _ringing(call)
    board.forget(leg)
    del stage.branches[leg.id]
    if why is not Failure.REDIRECTED:
        stage.failures.append(why)
    elif instead := _follow(board, call, stage, leg, target):
        stage.failures.append(instead)
    if why is Failure.DECLINED:
        for other in [b for b in stage.branches.values() if b.device.extension == leg.device.extension]:
            del stage.branches[other.id]
            board.end(other)
    if not stage.branches:
        _nobody(board, call, stage)
    elif stage.early is not None and stage.early not in stage.branches:
        stage.early = None
        board.tune(call)


def gave_up(board: Board, call: Call) -> None:
    """It has rung long enough."""
    stage = _ringing(call)
    stop(board, stage)
    stage.failures.append(Failure.NO_ANSWER)
    _nobody(board, call, stage)


def gone(board: Board, call: Call, leg: Leg, _given: LegEnded) -> None:
    """The party has hung up, or whoever transfers it has."""
    stage = _ringing(call)
    if leg is call.other:
        call.other = None
        return
    stop(board, stage)
    stage.purpose.caller_gone(board, call)


def replaced(board: Board, call: Call, old: Leg, new: Leg) -> Refusal | None:
    """Another device picks the call up for one that rings, or takes the place of the party; whoever transfers stays."""
    stage = _ringing(call)
    if old.id in stage.branches:
        board.seat(new, call)
        _take(board, call, stage, new)
        return None
    if old is call.other:
        return NO_SUCH_NUMBER
    board.substitute(call, old, new)
    if old.up:
        board.tune(call)
        board.answer(new, stage.shown)
    else:
        stage.early, stage.early_was_open = None, False
        if stage.alerted:
            board.out.append(ShowRinging(new.id, stage.shown))
    board.end(old)
    return None


def restored(board: Board, call: Call) -> None:
    """Ring again, for the time that is left; nothing that rang was kept."""
    stage, until = _ringing(call), board.timers.when(call.id)
    if stage.branches or until is None:
        return
    if until > board.now:
        begin(board, call, stage, until)
    else:
        gave_up(board, call)


def _ringing(call: Call) -> Ringing:
    assert isinstance(call.stage, Ringing)
    return call.stage


def stop(board: Board, stage: Ringing) -> None:
    """Nothing rings any more."""
    for leg in stage.branches.values():
        board.end(leg)
    stage.branches.clear()


def _nobody(board: Board, call: Call, stage: Ringing) -> None:
    why = min(stage.failures, key=_RANK.__getitem__, default=Failure.FORWARDED_IN_VAIN)
    stage.purpose.failed(board, call, why)

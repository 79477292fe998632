"""Ringing any number of devices at once for one waiting party, until somebody answers or nobody is left.

A call, a transfer, a ring-back are the same machine; what differs stands in their ``Purpose``. A person who declines on one
phone has declined on all of them, while the other members of a ring group go on ringing. Busy phones do not stop the
others. Of several failures the one that says most about the person counts.
"""

from __future__ import annotations

from collections.abc import Iterable

from parkade.calls.board import Board
from parkade.calls.call import Call, Leg, Purpose, Ringing
from parkade.calls.directory import Owner
from parkade.calls.effects import OpenEarlyMedia, RingDevice
from parkade.calls.identity import Identity
from parkade.calls.inputs import Failure
from parkade.calls.refusals import BUSY, DECLINED, INCOMPATIBLE, NO_ANSWER, NO_CAPACITY, UNREACHABLE, Refusal

REFUSALS: dict[Failure, Refusal] = {
    Failure.BUSY: BUSY,
    Failure.DECLINED: DECLINED,
    Failure.NO_ANSWER: NO_ANSWER,
    Failure.INCOMPATIBLE: INCOMPATIBLE,
    Failure.NO_CAPACITY: NO_CAPACITY,
    Failure.UNREACHABLE: UNREACHABLE,
}
"""What the caller is told, and by its order which of several failures counts."""

_RANK = {failure: rank for rank, failure in enumerate(REFUSALS)}


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

    ``caller`` is what the phones show, the party's identity unless given. A person none of whose devices is left (one calls
    the own extension from the only phone) is busy.
    """
    party, stage = call.party, Ringing(purpose, shown)
    caller = caller or party.identity
    in_use = False
    for owner in owners:
        for device_id in owner.devices:
            device = board.directory.devices.get(device_id)
            if device is None or device.account != call.account:
                continue
            if device_id in (party.device.id, except_device):
                in_use = True
                continue
            leg = Leg(board.ids.token(), device, owner, owner.identity, owner.language, sees=caller)
            stage.branches[leg.id] = leg
    board.enter(call, stage, board.now + purpose.ring_s)
    if not stage.branches:
        stage.failures.append(Failure.BUSY if in_use else Failure.UNREACHABLE)
        _nobody(board, call, stage)
        return
    for leg in stage.branches.values():
        board.seat(leg, call)
        board.out.append(RingDevice(leg.id, leg.device.id, caller, purpose.alert, party.id))


def rang(board: Board, leg: Leg, early_media: bool) -> None:
    """A device rings, or already sends sound: the first that does so is heard by a caller who is not answered yet."""
    call, stage = leg.call, leg.call.stage
    if not isinstance(stage, Ringing) or leg.id not in stage.branches:
        return
    if early_media and not call.party.up and stage.early is None:
        stage.early, stage.early_was_open = leg.id, True
        board.tune(call)
        board.out.append(OpenEarlyMedia(call.party.id, stage.shown))
    if not stage.alerted:
        stage.alerted = True
        stage.purpose.rang(board, call)


def answered(board: Board, leg: Leg) -> None:
    """A device was picked up: it has the call, the others stop ringing."""
    call, stage = leg.call, leg.call.stage
    if not isinstance(stage, Ringing) or leg.id not in stage.branches:
        return
    leg.up = True
    take(board, call, stage, leg)


def take(board: Board, call: Call, stage: Ringing, winner: Leg) -> None:
    """``winner``, a branch or somebody who picks up for it, gets the call."""
    stage.branches.pop(winner.id, None)
    transferor, call.other = call.other, winner
    board.connect(call)
    for loser in stage.branches.values():
        board.end(loser, answered_elsewhere=True)
    stage.purpose.answered(board, call, transferor)


def failed(board: Board, leg: Leg, why: Failure) -> None:
    """A device could not be reached, is busy, or its owner does not want the call."""
    call, stage = leg.call, leg.call.stage
    if not isinstance(stage, Ringing) or leg.id not in stage.branches:
        return
    board.forget(leg)
    del stage.branches[leg.id]
    stage.failures.append(why)
    if why is Failure.DECLINED:
        for other in [b for b in stage.branches.values() if b.device.extension == leg.device.extension]:
            del stage.branches[other.id]
            board.end(other)
    if not stage.branches:
        _nobody(board, call, stage)
    elif stage.early is not None and stage.early not in stage.branches:
        stage.early = None
        board.tune(call)


def gave_up(board: Board, call: Call, stage: Ringing) -> None:
    """It has rung long enough."""
    stop(board, stage)
    stage.failures.append(Failure.NO_ANSWER)
    _nobody(board, call, stage)


def stop(board: Board, stage: Ringing) -> None:
    """Nothing rings any more."""
    for leg in stage.branches.values():
        board.end(leg)
    stage.branches.clear()


def _nobody(board: Board, call: Call, stage: Ringing) -> None:
    stage.purpose.failed(board, call, min(stage.failures, key=_RANK.__getitem__))

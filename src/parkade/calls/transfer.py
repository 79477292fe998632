"""One party of a conversation sends the other elsewhere.

Blind: to anything a call may go to, the lot included. Attended: the far end takes the place of the transferor's second
leg, wherever that is: in a conversation, before a phone that still rings, even at a code if somebody has parked the
transferor. The second leg may also be hearing the code of the call that is being transferred; then all is done already.

Nobody is lost on the way. If the target does not answer the far end goes back to the transferor, whose phone is rung
again if its leg is gone; if that fails too the caller is told so. A transfer that was accepted ends with ``DONE`` or
``FAILED``, exactly once, also when the leg that asked for it is gone by then.
"""

from __future__ import annotations

from dataclasses import dataclass

from parkade.base.sound import Sound
from parkade.calls import emit, parking, ring
from parkade.calls.board import GRACE_S, Board
from parkade.calls.call import MUSIC, RINGBACK, Announcing, Call, Leg, Parked, Ringing
from parkade.calls.calling import RING_S, OrdinaryCall
from parkade.calls.directory import Owner
from parkade.calls.effects import Alert, Progress, TransferProgress
from parkade.calls.identity import Identity
from parkade.calls.inputs import Failure, TransferAsked
from parkade.calls.refusals import NO_SUCH_NUMBER, TRANSFER_IMPOSSIBLE, Refusal
from parkade.calls.route import ParkCode, ParkSelf, People, SlotCode, route

RETURN_S = 30.0
"""How long the transferor's phones ring when a transfer has failed and it had hung up already."""


@dataclass(frozen=True, slots=True)
class Transferring:
    """The purpose of ringing the target for whoever is transferred."""

    transfer: str
    transferor: Owner | None
    ring_s: float = RING_S
    alert: Alert = Alert.NORMAL
    meanwhile: Sound = RINGBACK

    def rang(self, board: Board, call: Call) -> None:
        """The transferor's display may say so."""
        _tell(board, self.transfer, Progress.RINGING)

    def answered(self, board: Board, call: Call, transferor: Leg | None) -> None:
        """Transferred."""
        _tell(board, self.transfer, Progress.DONE)
        if transferor:
            board.end(transferor, after_s=GRACE_S)

    def failed(self, board: Board, call: Call, why: Failure) -> None:
        """Back to the transferor."""
        if call.other:
            board.connect(call)
        _tell(board, self.transfer, Progress.FAILED, ring.REFUSALS[why])
        if call.other:
            return
        if self.transferor:
            give_back(board, call, self.transferor, RINGBACK)
        else:
            board.say_farewell(call)

    def caller_gone(self, board: Board, call: Call) -> None:
        """Nobody is left to be transferred."""
        _tell(board, self.transfer, Progress.FAILED, TRANSFER_IMPOSSIBLE)
        if call.other:
            board.end(call.other)
        board.drop(call)


@dataclass(frozen=True, slots=True)
class Returning:
    """The purpose of ringing the person whose transfer has failed, or whose phone was lost with somebody on hold."""

    ring_s: float = RETURN_S
    alert: Alert = Alert.NORMAL
    meanwhile: Sound = RINGBACK

    def rang(self, board: Board, call: Call) -> None:
        """The caller hears it ring anyway."""

    def answered(self, board: Board, call: Call, transferor: Leg | None) -> None:
        """They talk again."""

    def failed(self, board: Board, call: Call, why: Failure) -> None:
        """Nobody is there."""
        board.say_farewell(call)

    def caller_gone(self, board: Board, call: Call) -> None:
        """It was too long."""
        board.drop(call)


def give_back(board: Board, call: Call, person: Owner, meanwhile: Sound = MUSIC) -> None:
    """Ring ``person``, who had the call's party last; the party hears ``meanwhile``."""
    who = call.party.identity
    shown = Identity(f"Return {who.name or who.number}", who.number)
    ring.start(board, call, (person,), Returning(meanwhile=meanwhile), person.identity, shown)


def asked(board: Board, given: TransferAsked) -> None:
    """A device asks for a transfer."""
    leg = board.legs.get(given.leg)
    refusal: Refusal | None = TRANSFER_IMPOSSIBLE
    if leg is not None:
        refusal = _blind(board, leg, given) if given.consult is None else _attended(board, leg, given)
    if refusal:
        _tell(board, given.transfer, Progress.REFUSED, refusal)


def _blind(board: Board, leg: Leg, given: TransferAsked) -> Refusal | None:
    account = board.account(leg)
    if not leg.call.talking:
        return TRANSFER_IMPOSSIBLE
    match route(account, given.target) if account else None:
        case People(shown, owners):
            _tell(board, given.transfer, Progress.ACCEPTED)
            _turn_to(leg.call, leg)
            purpose = Transferring(given.transfer, board.owner(leg))
            ring.start(board, leg.call, owners, purpose, shown, except_device=leg.device.id)
            return None
        case ParkCode():
            return _park(board, leg, given, None)
        case ParkSelf(wanted):
            return _park(board, leg, given, wanted)
        case SlotCode(slot, only_pick_up=False):
            return _park(board, leg, given, str(slot))
        case SlotCode():
            return TRANSFER_IMPOSSIBLE
        case None:
            return NO_SUCH_NUMBER


def _park(board: Board, leg: Leg, given: TransferAsked, wanted: str | None) -> Refusal | None:
    stay = parking.park_far_end(board, leg, wanted)
    if isinstance(stay, Refusal):
        return stay
    done(board, given, stay.code)
    board.end(leg, after_s=GRACE_S)
    return None


def _attended(board: Board, leg: Leg, given: TransferAsked) -> Refusal | None:
    consult = board.legs.get(given.consult or "")
    if consult is None or consult is leg or consult.device.account != leg.device.account:
        return TRANSFER_IMPOSSIBLE
    call, second = leg.call, consult.call
    if call is not second and not call.talking:
        return TRANSFER_IMPOSSIBLE
    return board.rules(second).consulted(board, second, consult, call, leg, given)


# What an attended transfer does, by the stage of the second leg's call (for two that talk see talking.py)


def impossible(_board: Board, _second: Call, _consult: Leg, _call: Call, _leg: Leg, _given: TransferAsked) -> Refusal | None:
    """There is nobody at the second leg."""
    return TRANSFER_IMPOSSIBLE


def to_announcement(board: Board, second: Call, _consult: Leg, call: Call, _leg: Leg, given: TransferAsked) -> Refusal | None:
    """The second leg hears the code of the call that is being transferred: it is parked already, so both legs may go."""
    if call is not second:
        return TRANSFER_IMPOSSIBLE
    assert isinstance(call.stage, Announcing)
    done(board, given, call.stage.code)
    board.drop(call)
    for parker in call.legs():
        board.end(parker, after_s=GRACE_S)
    return None


def to_ringing(board: Board, second: Call, consult: Leg, call: Call, leg: Leg, given: TransferAsked) -> Refusal | None:
    """The far end waits in place of the second leg for the phones that ring already."""
    stage = second.stage
    assert isinstance(stage, Ringing)
    if call is second or not isinstance(stage.purpose, OrdinaryCall) or consult is not second.party:
        return TRANSFER_IMPOSSIBLE
    _tell(board, given.transfer, Progress.ACCEPTED)
    until = board.timers.when(second.id)
    board.drop(second)
    _turn_to(call, leg)
    for branch in stage.branches.values():
        board.seat(branch, call)
    stage.purpose = Transferring(given.transfer, board.owner(leg))
    stage.early = None
    board.enter(call, stage, until)
    if stage.alerted:
        stage.purpose.rang(board, call)
    board.end(consult)
    return None


def to_code(board: Board, second: Call, consult: Leg, call: Call, leg: Leg, given: TransferAsked) -> Refusal | None:
    """The far end waits at the code at which somebody has parked the transferor."""
    stage = second.stage
    assert isinstance(stage, Parked)
    if call is second or consult is not second.party:
        return TRANSFER_IMPOSSIBLE
    done(board, given)
    board.drop(second)
    board.release(call)
    call.party, call.other = call.facing(leg), None
    stage.stay.lot.hand_over(stage.stay.slot, call.id)
    for one in stage.retrieving.values():
        board.seat(one.leg, call)
    board.enter(call, stage, stage.expires_at)
    emit.parked(board, call, stage)
    board.end(leg, after_s=GRACE_S)
    board.end(consult, after_s=GRACE_S)
    return None


def _turn_to(call: Call, transferor: Leg) -> None:
    """The far end of ``transferor`` becomes the call's party."""
    call.party, call.other = call.facing(transferor), transferor


def done(board: Board, given: TransferAsked, park_code: str | None = None) -> None:
    """A transfer was carried out at once."""
    _tell(board, given.transfer, Progress.ACCEPTED, park_code=park_code)
    _tell(board, given.transfer, Progress.DONE, park_code=park_code)


def _tell(
    board: Board, transfer: str, progress: Progress, refusal: Refusal | None = None, park_code: str | None = None
) -> None:
    board.out.append(TransferProgress(transfer, progress, refusal, park_code))

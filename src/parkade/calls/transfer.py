"""One party of a conversation sends the other elsewhere.

Blind: to anything a call may go to, the lot included. Attended: the far end takes the place of the transferor's second
leg, wherever that is: in a conversation, before a phone that still rings, even at a code if somebody has parked the
transferor. The second leg may also be hearing the code of the call that is being transferred; then all is done already.

No party is lost. If the target does not answer the far end goes back to the transferor, whose phone is rung
again if its leg is gone; if that fails too the caller is told so. A transfer that was accepted ends with ``DONE`` or
``FAILED``, exactly once, also when the leg that asked for it is gone by then.
"""

from __future__ import annotations

from parkade.base.sound import Sound
from parkade.base.values import valueclass
from parkade.calls import emit, parking, ring
from parkade.calls.audience import EVERYBODY, Audience
from parkade.calls.call import MUSIC, RINGBACK, Announcing, Call, Leg, Parked, Ringing
from parkade.calls.calling import RING_S, OrdinaryCall
from parkade.calls.commands import CallStage
from parkade.calls.directory import Owner, Trunk
from parkade.calls.effects import Alert, Progress, TransferProgress
from parkade.calls.events import EndReason
from parkade.calls.identity import Identity
from parkade.calls.inputs import Failure, LegEnded, TransferAsked
from parkade.calls.plan import OutsideNumber, at_once
from parkade.calls.refusals import NO_SUCH_NUMBER, TRANSFER_IMPOSSIBLE, Refusal
from parkade.calls.route import ParkCode, ParkSelf, People, SlotCode, outside, route
from parkade.calls.state import GRACE_S, CallState

RETURN_S = 30.0
"""How long the transferor's phones ring when a transfer has failed and it had hung up already."""


@valueclass(frozen=True, slots=True)
class Transferring:
    """The purpose of ringing the target for whoever is transferred. ``transfer`` is empty where a program has asked."""

    transfer: str
    transferor: Owner | None
    alert: Alert = Alert.NORMAL
    meanwhile: Sound = RINGBACK
    kind: CallStage = CallStage.TRANSFERRING
    audience: Audience = EVERYBODY

    def rang(self, state: CallState, call: Call) -> None:
        """The transferor's display may say so."""
        _tell(state, self.transfer, Progress.RINGING)

    def answered(self, state: CallState, call: Call, transferor: Leg | None) -> None:
        """Transferred."""
        assert call.other is not None
        emit.transferred(state, call, self.transferor, call.other.identity)
        _tell(state, self.transfer, Progress.DONE)
        if transferor:
            state.end(transferor, after_s=GRACE_S)

    def failed(self, state: CallState, call: Call, why: Failure) -> None:
        """Back to the transferor."""
        if call.other:
            state.connect(call)
        emit.transfer_failed(state, call, self.transferor, ring.REFUSALS[why])
        _tell(state, self.transfer, Progress.FAILED, ring.REFUSALS[why])
        if call.other:
            return
        if self.transferor:
            give_back(state, call, self.transferor, RINGBACK)
        else:
            state.say_farewell(call)

    def caller_gone(self, state: CallState, call: Call, party: Leg, given: LegEnded) -> None:
        """Nobody is left to be transferred."""
        emit.transfer_failed(state, call, self.transferor, TRANSFER_IMPOSSIBLE)
        _tell(state, self.transfer, Progress.FAILED, TRANSFER_IMPOSSIBLE)
        if call.other:
            state.end(call.other)
        state.drop(call, emit.REASONS[given.cause], party.identity.number)


@valueclass(frozen=True, slots=True)
class Returning:
    """The purpose of ringing the person whose transfer has failed, or whose phone was lost with somebody on hold."""

    alert: Alert = Alert.NORMAL
    meanwhile: Sound = RINGBACK
    kind: CallStage = CallStage.RETURNING
    audience: Audience = EVERYBODY

    def rang(self, state: CallState, call: Call) -> None:
        """The caller hears it ring anyway."""

    def answered(self, state: CallState, call: Call, transferor: Leg | None) -> None:
        """They talk again."""

    def failed(self, state: CallState, call: Call, why: Failure) -> None:
        """Nobody is there."""
        state.say_farewell(call)

    def caller_gone(self, state: CallState, call: Call, party: Leg, given: LegEnded) -> None:
        """It was too long."""
        state.drop(call, emit.REASONS[given.cause], party.identity.number)


def give_back(state: CallState, call: Call, person: Owner, meanwhile: Sound = MUSIC) -> None:
    """Ring ``person``, who had the call's party last; the party hears ``meanwhile``."""
    who = call.party.identity
    shown = Identity(f"Return {who.name or who.number}", who.number)
    ring.start(state, call, at_once((person,), RETURN_S), Returning(meanwhile=meanwhile), person.identity, shown)


def asked(state: CallState, given: TransferAsked) -> None:
    """A device asks for a transfer."""
    leg = state.legs.get(given.leg)
    refusal: Refusal | None = TRANSFER_IMPOSSIBLE
    if leg is not None and not isinstance(leg.endpoint, Trunk):  # Nobody outside sends anybody anywhere.
        refusal = blind(state, leg, given) if given.consult is None else _attended(state, leg, given)
    if refusal:
        _tell(state, given.transfer, Progress.REFUSED, refusal)


def blind(state: CallState, leg: Leg, given: TransferAsked) -> Refusal | None:
    """Send the party of ``leg`` to ``given.target``; or why not, and then nothing has changed."""
    account = state.account(leg)
    if not leg.call.talking:
        return TRANSFER_IMPOSSIBLE
    match route(account, given.target) if account else None:
        case People() as people:
            _ring(state, leg, given, people)
            return None
        case ParkCode():
            return _park(state, leg, given, None)
        case ParkSelf(wanted):
            return _park(state, leg, given, wanted)
        case SlotCode(slot, only_pick_up=False):
            return _park(state, leg, given, str(slot))
        case SlotCode():
            return TRANSFER_IMPOSSIBLE
        case None:
            number = outside(account, given.target) if account and leg.owner else None
            if number is None:
                return NO_SUCH_NUMBER
            _ring(state, leg, given, number)
            return None


def _ring(state: CallState, leg: Leg, given: TransferAsked, target: People | OutsideNumber) -> None:
    _tell(state, given.transfer, Progress.ACCEPTED)
    _turn_to(leg.call, leg)
    purpose = Transferring(given.transfer, state.owner(leg))
    ring.start(state, leg.call, target.plan(RING_S), purpose, target.shown, except_endpoint=leg.endpoint.id)


def _park(state: CallState, leg: Leg, given: TransferAsked, wanted: str | None) -> Refusal | None:
    stay = parking.park_far_end(state, leg, wanted)
    if isinstance(stay, Refusal):
        return stay
    done(state, given, stay.code)
    state.end(leg, after_s=GRACE_S)
    return None


def _attended(state: CallState, leg: Leg, given: TransferAsked) -> Refusal | None:
    consult = state.legs.get(given.consult or "")
    if consult is None or consult is leg or consult.endpoint.account != leg.endpoint.account:
        return TRANSFER_IMPOSSIBLE
    call, second = leg.call, consult.call
    if call is not second and not call.talking:
        return TRANSFER_IMPOSSIBLE
    return state.rules(second).consulted(state, second, consult, call, leg, given)


# What an attended transfer does, by the stage of the second leg's call (for two that talk see talking.py)


def impossible(
    _state: CallState, _second: Call, _consult: Leg, _call: Call, _leg: Leg, _given: TransferAsked
) -> Refusal | None:
    """There is nobody at the second leg."""
    return TRANSFER_IMPOSSIBLE


def to_announcement(
    state: CallState, second: Call, _consult: Leg, call: Call, _leg: Leg, given: TransferAsked
) -> Refusal | None:
    """The second leg hears the code of the call that is being transferred: it is parked already, so both legs may go."""
    if call is not second:
        return TRANSFER_IMPOSSIBLE
    assert isinstance(call.stage, Announcing)
    done(state, given, call.stage.code)
    state.drop(call, EndReason.JOINED)
    for parker in call.legs():
        state.end(parker, after_s=GRACE_S)
    return None


def to_ringing(state: CallState, second: Call, consult: Leg, call: Call, leg: Leg, given: TransferAsked) -> Refusal | None:
    """The far end waits in place of the second leg for the phones that ring already."""
    stage = second.stage
    assert isinstance(stage, Ringing)
    if call is second or not isinstance(stage.purpose, OrdinaryCall) or consult is not second.party:
        return TRANSFER_IMPOSSIBLE
    _tell(state, given.transfer, Progress.ACCEPTED)
    until = state.timers.when(second.id)
    state.drop(second, EndReason.JOINED, leg.identity.number)
    _turn_to(call, leg)
    for branch in stage.branches.values():
        state.attach(branch, call)
    stage.purpose = Transferring(given.transfer, state.owner(leg))
    stage.early = None
    state.enter(call, stage, until)
    if stage.alerted:
        stage.purpose.rang(state, call)
    state.end(consult)
    return None


def to_code(state: CallState, second: Call, consult: Leg, call: Call, leg: Leg, given: TransferAsked) -> Refusal | None:
    """The far end waits at the code at which somebody has parked the transferor."""
    stage = second.stage
    assert isinstance(stage, Parked)
    if call is second or consult is not second.party:
        return TRANSFER_IMPOSSIBLE
    done(state, given)
    state.drop(second, EndReason.JOINED, leg.identity.number)
    state.release(call)
    call.party, call.other = call.facing(leg), None
    stage.stay.lot.hand_over(stage.stay.slot, call.id)
    for one in stage.retrieving.values():
        state.attach(one.leg, call)
    state.enter(call, stage, stage.expires_at)
    emit.parked(state, call, stage)
    state.end(leg, after_s=GRACE_S)
    state.end(consult, after_s=GRACE_S)
    return None


def _turn_to(call: Call, transferor: Leg) -> None:
    """The far end of ``transferor`` becomes the call's party."""
    call.party, call.other = call.facing(transferor), transferor


def done(state: CallState, given: TransferAsked, park_code: str | None = None) -> None:
    """A transfer was carried out at once."""
    _tell(state, given.transfer, Progress.ACCEPTED, park_code=park_code)
    _tell(state, given.transfer, Progress.DONE, park_code=park_code)


def _tell(
    state: CallState, transfer: str, progress: Progress, refusal: Refusal | None = None, park_code: str | None = None
) -> None:
    if transfer:
        state.out.append(TransferProgress(transfer, progress, refusal, park_code))

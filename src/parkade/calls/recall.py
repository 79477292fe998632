"""What becomes of a parked call that nobody picks up. It is not dropped without an announcement.

At its deadline the code becomes free and the policy of the stay says what follows (``ACTIONS``). Ringing somebody back, or
ringing the extension that the policy forwards to, is the same: the caller goes on hearing music, and if nobody answers it is
parked again under the next code. After ``ROUNDS`` rounds it is told so and hung up on. If no code is free it stays on music
and the next round comes after ``NO_SLOT_RETRY_S``.

Limits of this version: there is no voicemail, and nobody says yet who may send calls to numbers outside without dialling them;
so these two actions ring back.
"""

from __future__ import annotations

from collections.abc import Callable

from parkade.base.clock import Instant
from parkade.base.sound import Sound
from parkade.base.values import valueclass
from parkade.calls import emit, ring
from parkade.calls.audience import Audience
from parkade.calls.call import MUSIC, Call, Leg, Parked, Ringing, Stay, Talking, Waiting
from parkade.calls.commands import CallStage
from parkade.calls.directory import NotPickedUp
from parkade.calls.effects import Alert
from parkade.calls.identity import Identity
from parkade.calls.inputs import Failure, LegEnded
from parkade.calls.parking import enter_parked, parked_identity, stop_retrieving, take_another_slot, take_slot
from parkade.calls.refusals import NO_CALL_PARKED, Refusal
from parkade.calls.route import People, people
from parkade.calls.state import CallState

ROUNDS = 3
"""How often nobody may answer before the caller is told that nobody is there."""

NO_SLOT_RETRY_S = 15.0
"""How long a caller for whom no code is free hears music before the next round."""

GIVEN_BACK_S = 30.0
"""How long a caller who was given back waits at least: whoever it is for must be able to come."""


@valueclass(frozen=True, slots=True)
class RingBack:
    """The purpose of ringing somebody about a call that was parked.

    ``until`` is the deadline that it still had when somebody wanted its parker rung, None if it had passed.
    """

    stay: Stay
    until: Instant | None = None
    alert: Alert = Alert.PARK_RETURN
    meanwhile: Sound = MUSIC
    kind: CallStage = CallStage.RINGING_BACK

    @property
    def audience(self) -> Audience:
        """Whoever may have picked it up at its code."""
        return self.stay.audience

    def rang(self, state: CallState, call: Call) -> None:
        """The caller hears music all the same."""

    def answered(self, state: CallState, call: Call, transferor: Leg | None) -> None:
        """The caller has somebody to talk to again."""
        assert call.other is not None
        call.stage = Talking(picked_up=Parked(self.stay, state.now))
        emit.returned(state, call, self.stay, call.other.identity)

    def failed(self, state: CallState, call: Call, why: Failure) -> None:
        """The call is parked again: as it was if nobody has waited for its deadline, and then it counts for no round."""
        if self.until is None:
            park_again(state, call, self.stay)
        else:
            put_back(state, call, Parked(self.stay, self.until))

    def caller_gone(self, state: CallState, call: Call, party: Leg, given: LegEnded) -> None:
        """The caller has hung up meanwhile."""
        emit.abandoned(state, call, self.stay, given.cause)
        state.drop(call, emit.REASONS[given.cause], party.identity.number)


def expired(state: CallState, call: Call) -> None:
    """Nobody picked up in time: the code is free."""
    assert isinstance(call.stage, Parked)
    stay = call.stage.stay
    leave(state, call.stage)
    emit.timed_out(state, call, stay)
    ACTIONS[stay.policy.not_picked_up](state, call, stay)


def leave(state: CallState, parked: Parked) -> None:
    """The code is free; whoever was about to retrieve the call comes too late."""
    if parked.retrieving:
        stop_retrieving(state, parked, NO_CALL_PARKED.with_(code=parked.stay.code))
    parked.stay.lot.leave(parked.stay.slot)


def force_back(state: CallState, call: Call, by: str) -> None:
    """Before its deadline: whoever parked the call is rung, because the extension ``by`` wants it so (empty: an
    administrator).
    """
    parked = call.stage
    assert isinstance(parked, Parked)
    leave(state, parked)
    parker = state.owner_now(call.account, parked.stay.parker)
    if parker is None:
        put_back(state, call, parked)
    else:
        _ring(state, call, RingBack(parked.stay, parked.expires_at), People(parker.identity, (parker,)), by)


def give_back(state: CallState, call: Call, parked: Parked, by: str | None) -> Refusal | None:
    """Whoever picked the call up returns it to the code it had, or why that cannot be: then nothing has changed."""
    stay, retriever = parked.stay, call.other
    assert retriever is not None
    refusal = take_slot(state, call, stay.lot, stay.slot)
    if refusal is not None:
        return refusal
    call.other = None
    least_s = min(GIVEN_BACK_S, stay.policy.expiration_s)
    stage = enter_parked(state, call, stay, max(parked.expires_at, state.now + least_s))
    state.end(retriever)
    emit.given_back(state, call, stage, by)
    return None


def waited(state: CallState, call: Call) -> None:
    """No code was free a while ago: the parker is asked again, and there may be one now."""
    assert isinstance(call.stage, Waiting)
    stay = call.stage.stay
    ACTIONS[stay.policy.not_picked_up](state, call, stay)


def park_again(state: CallState, call: Call, stay: Stay) -> None:
    """Under the next code, which is another one than before, unless it was the last round."""
    stay.rounds += 1
    if stay.rounds >= ROUNDS:
        _give_up(state, call, stay)
        return
    old_code = stay.code
    if take_another_slot(state, call, stay):
        state.enter(call, Waiting(stay), state.now + NO_SLOT_RETRY_S)
    else:
        emit.reparked(state, call, enter_parked(state, call, stay), old_code)


def put_back(state: CallState, call: Call, parked: Parked) -> None:
    """Whoever picked it up was never really there: it waits where and as long as it would have, or at another free code.

    A deadline that has passed meanwhile is due at once.
    """
    call.other, stay = None, parked.stay
    old_code = stay.code
    may_return = not stay.lot.retired or stay.lot.reserved_for(stay.slot) == call.id
    if may_return and take_slot(state, call, stay.lot, stay.slot) is None:
        stage = enter_parked(state, call, stay, parked.expires_at)
    elif take_another_slot(state, call, stay) is None:
        stage = enter_parked(state, call, stay)
    else:
        state.enter(call, Waiting(stay), state.now + NO_SLOT_RETRY_S)
        return
    emit.reparked(state, call, stage, old_code)


def _give_up(state: CallState, call: Call, stay: Stay) -> None:
    emit.given_up(state, call, stay)
    state.say_farewell(call)


def _ring_back(state: CallState, call: Call, stay: Stay) -> None:
    parker = state.owner_now(call.account, stay.parker)
    if parker is None:
        park_again(state, call, stay)
    else:
        _ring(state, call, RingBack(stay), People(parker.identity, (parker,)))


def _forward(state: CallState, call: Call, stay: Stay) -> None:
    account, forward_to = state.directory.accounts.get(call.account), stay.policy.forward_to
    target = people(account, forward_to) if account and forward_to else None
    if target is None:
        _ring_back(state, call, stay)
    else:
        _ring(state, call, RingBack(stay), target)


def _ring(state: CallState, call: Call, purpose: RingBack, target: People, forced_by: str | None = None) -> None:
    stay, who = purpose.stay, call.party.identity
    shown = Identity(f"{parked_identity(stay.code).name} {who.name or who.number}", who.number)
    ring.start(state, call, target.plan(stay.policy.ring_back_s), purpose, target.shown, shown)
    if isinstance(call.stage, Ringing) and call.stage.purpose is purpose:
        emit.reminded(state, call, stay, target.shown, forced_by)


ACTIONS: dict[NotPickedUp, Callable[[CallState, Call, Stay], None]] = {
    NotPickedUp.RING_BACK: _ring_back,
    NotPickedUp.DISCONNECT: _give_up,
    NotPickedUp.EXTENSION: _forward,
    NotPickedUp.VOICEMAIL: _ring_back,
    NotPickedUp.OUTSIDE_NUMBER: _ring_back,
}

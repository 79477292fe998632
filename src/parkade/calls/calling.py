"""An ordinary call: somebody who is not answered yet waits for an extension or a number outside."""

from __future__ import annotations

from parkade.base.sound import Sound
from parkade.base.values import valueclass
from parkade.calls import emit, ring
from parkade.calls.audience import EVERYBODY, Audience
from parkade.calls.call import RINGBACK, Call, Leg, Ringing
from parkade.calls.commands import CallStage
from parkade.calls.effects import Alert, ShowRinging
from parkade.calls.events import EndReason
from parkade.calls.inputs import Failure, LegEnded
from parkade.calls.plan import OutsideNumber
from parkade.calls.route import People
from parkade.calls.state import CallState

RING_S = 120.0
"""How long the devices ring at most. Shorter limits belong to the routing of calls, which does not exist yet."""


@valueclass(frozen=True, slots=True)
class OrdinaryCall:
    """The purpose of ringing for a caller. The caller is refused if nobody answers."""

    alert: Alert = Alert.NORMAL
    meanwhile: Sound = RINGBACK
    kind: CallStage = CallStage.RINGING
    audience: Audience = EVERYBODY

    def rang(self, state: CallState, call: Call) -> None:
        """The caller hears it ring, unless a device already sends sound of its own."""
        assert isinstance(call.stage, Ringing)
        if call.stage.early is None:
            state.out.append(ShowRinging(call.party.id, call.stage.shown))

    def answered(self, state: CallState, call: Call, transferor: Leg | None) -> None:
        """They talk."""
        emit.answered(state, call)

    def failed(self, state: CallState, call: Call, why: Failure) -> None:
        """The caller is told why."""
        state.refuse(call.party, ring.REFUSALS[why])
        state.drop(call, EndReason.REFUSED)

    def caller_gone(self, state: CallState, call: Call, party: Leg, given: LegEnded) -> None:
        """Nothing is left of the call."""
        state.drop(call, emit.REASONS[given.cause], party.identity.number)


def call(state: CallState, caller: Leg, called: People | OutsideNumber) -> None:
    """``caller``, who has just arrived, calls somebody."""
    stage = Ringing(OrdinaryCall(), called.shown, called.plan(RING_S), caller.identity)
    new = state.new_call(caller, stage)
    emit.started(state, new, called.shown.number)
    ring.begin(state, new, stage)

"""An ordinary call: somebody who is not answered yet waits for an extension."""

from __future__ import annotations

from dataclasses import dataclass

from parkade.base.sound import Sound
from parkade.calls import emit, ring
from parkade.calls.call import RINGBACK, Call, Leg, Ringing
from parkade.calls.effects import Alert, ShowRinging
from parkade.calls.inputs import Failure
from parkade.calls.route import People
from parkade.calls.state import CallState

RING_S = 120.0
"""How long the devices ring at most. Shorter limits belong to the routing of calls, which does not exist yet."""


@dataclass(frozen=True, slots=True)
class OrdinaryCall:
    """The purpose of ringing for a caller. The caller is refused if nobody answers."""

    ring_s: float = RING_S
    alert: Alert = Alert.NORMAL
    meanwhile: Sound = RINGBACK

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
        state.drop(call)

    def caller_gone(self, state: CallState, call: Call) -> None:
        """Nothing is left of the call."""
        state.drop(call)


def call_people(state: CallState, caller: Leg, people: People) -> None:
    """``caller``, who has just arrived, calls ``people``."""
    stage = Ringing(OrdinaryCall(), people.shown, people.owners, caller.identity)
    call = state.new_call(caller, stage)
    emit.started(state, call, people.shown.number)
    ring.begin(state, call, stage)

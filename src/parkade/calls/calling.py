"""An ordinary call: somebody who is not answered yet waits for an extension."""

from __future__ import annotations

from dataclasses import dataclass

from parkade.base.sound import Sound
from parkade.calls import emit, ring
from parkade.calls.board import Board
from parkade.calls.call import RINGBACK, Call, Leg, Ringing
from parkade.calls.effects import Alert, ShowRinging
from parkade.calls.inputs import Failure
from parkade.calls.route import People

RING_S = 120.0
"""A caller who wants to wait may wait: shorter limits are for those who route calls, not for the telephone."""


@dataclass(frozen=True, slots=True)
class OrdinaryCall:
    """The purpose of ringing for a caller. The caller is refused if nobody answers."""

    ring_s: float = RING_S
    alert: Alert = Alert.NORMAL
    meanwhile: Sound = RINGBACK

    def rang(self, board: Board, call: Call) -> None:
        """The caller hears it ring, unless a device already sends sound of its own."""
        assert isinstance(call.stage, Ringing)
        if call.stage.early is None:
            board.out.append(ShowRinging(call.party.id, call.stage.shown))

    def answered(self, board: Board, call: Call, transferor: Leg | None) -> None:
        """They talk."""
        emit.answered(board, call)

    def failed(self, board: Board, call: Call, why: Failure) -> None:
        """The caller is told why."""
        board.refuse(call.party, ring.REFUSALS[why])
        board.drop(call)

    def caller_gone(self, board: Board, call: Call) -> None:
        """Nothing is left of the call."""
        board.drop(call)


def call_people(board: Board, caller: Leg, people: People) -> None:
    """``caller``, who has just arrived, calls ``people``."""
    stage = Ringing(OrdinaryCall(), people.shown, people.owners, caller.identity)
    call = board.new_call(caller, stage)
    emit.started(board, call, people.shown.number)
    ring.begin(board, call, stage)

"""The table of what a call does in each of its stages. The rules themselves stand beside what they are about."""

from __future__ import annotations

from collections.abc import Mapping

from parkade.calls import parking, recall, ring, talking, transfer
from parkade.calls.board import Board
from parkade.calls.call import Announcing, Call, Leaving, Leg, Parked, Ringing, Stage, StageRules, Talking, Waiting
from parkade.calls.inputs import LegEnded


def _said(board: Board, call: Call) -> None:
    """The farewell was heard."""
    board.drop(call)
    board.end(call.party)


def _left(board: Board, call: Call, _leg: Leg, _given: LegEnded) -> None:
    """The party did not hear the farewell to its end."""
    board.drop(call)


STAGES: Mapping[type[Stage], StageRules] = {
    Ringing: StageRules(ring.gave_up, ring.gone, ring.replaced, transfer.to_ringing),
    Talking: StageRules(talking.explained, talking.gone, talking.replaced, talking.consulted),
    Parked: StageRules(recall.expired, parking.parked_gone, parking.party_replaced, transfer.to_code),
    Waiting: StageRules(recall.waited, parking.waiting_gone, parking.party_replaced, transfer.impossible),
    Announcing: StageRules(parking.announced, parking.announcement_gone, parking.irreplaceable, transfer.to_announcement),
    Leaving: StageRules(_said, _left, parking.irreplaceable, transfer.impossible),
}

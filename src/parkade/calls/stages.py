"""The table of what a call does in each of its stages. The rules themselves stand beside what they are about."""

from __future__ import annotations

from collections.abc import Mapping

from parkade.calls import executing, feature, parking, recall, ring, talking, transfer
from parkade.calls.call import Announcing, Call, Leaving, Leg, Parked, Ringing, Stage, StageRules, Talking, Waiting
from parkade.calls.events import EndReason
from parkade.calls.inputs import LegEnded
from parkade.calls.state import CallState


def _farewell_over(state: CallState, call: Call) -> None:
    """The farewell was heard."""
    state.drop(call, EndReason.NOBODY)
    state.end(call.party)


def _gone_during_farewell(state: CallState, call: Call, _leg: Leg, _given: LegEnded) -> None:
    """The party did not hear the farewell to its end."""
    state.drop(call, EndReason.NOBODY)


STAGES: Mapping[type[Stage], StageRules] = {
    Ringing: StageRules(
        overdue=ring.gave_up,
        gone=ring.gone,
        replaced=ring.replaced,
        consulted=transfer.to_ringing,
        rang=ring.rang,
        answered=ring.answered,
        forwarded=ring.forwarded,
        failed=ring.failed,
        restored=ring.restored,
    ),
    Talking: StageRules(
        overdue=talking.prompt_over,
        gone=talking.gone,
        replaced=talking.replaced,
        consulted=talking.consulted,
        pressed=feature.pressed,
    ),
    Parked: StageRules(
        overdue=recall.expired,
        gone=parking.parked_gone,
        replaced=parking.party_replaced,
        consulted=transfer.to_code,
        answered=executing.answered,
        failed=executing.failed,
    ),
    Waiting: StageRules(
        overdue=recall.waited, gone=parking.waiting_gone, replaced=parking.party_replaced, consulted=transfer.impossible
    ),
    Announcing: StageRules(
        overdue=parking.announced,
        gone=parking.announcement_gone,
        replaced=parking.not_replaceable,
        consulted=transfer.to_announcement,
    ),
    Leaving: StageRules(
        overdue=_farewell_over, gone=_gone_during_farewell, replaced=parking.not_replaceable, consulted=transfer.impossible
    ),
}

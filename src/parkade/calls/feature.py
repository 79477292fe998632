"""Keys pressed in a conversation: the account's code that parks the far end.

Only a phone user's keys count. What comes from a gateway, an outside caller's leg above all, is never looked at.
"""

from __future__ import annotations

from parkade.calls import parking
from parkade.calls.call import Call, Leg, Talking
from parkade.calls.phrases import refusal
from parkade.calls.refusals import Refusal
from parkade.calls.state import PROMPT_S, CallState


def pressed(state: CallState, call: Call, leg: Leg, key: str) -> None:
    """``key`` was pressed on ``leg``, an end of a conversation."""
    account, stage = state.account(leg), call.stage
    assert isinstance(stage, Talking)
    if account is None or leg.owner is None or stage.aside:
        return
    if not leg.keypad.press(key, account.feature_codes.park_dtmf, state.now):
        return
    stay = parking.park_far_end(state, leg, None)
    if isinstance(stay, Refusal):
        spoken = state.spoken(refusal(stay), leg.language)
        state.enter(call, Talking((leg, spoken), stage.picked_up), state.now + PROMPT_S)
    else:
        parking.announce(state, leg, stay)

"""Keys pressed in a conversation: the account's code that parks the far end.

Only a phone user's keys count. What comes from a gateway, an outside caller's leg above all, is never looked at.
"""

from __future__ import annotations

from parkade.calls import parking
from parkade.calls.board import LAST_WORDS_S, Board
from parkade.calls.call import Call, Leg, Talking
from parkade.calls.phrases import refusal
from parkade.calls.refusals import Refusal


def pressed(board: Board, call: Call, leg: Leg, key: str) -> None:
    """``key`` was pressed on ``leg``, an end of a conversation."""
    account, stage = board.account(leg), call.stage
    assert isinstance(stage, Talking)
    if account is None or leg.owner is None or stage.aside:
        return
    if not leg.keypad.press(key, account.feature_codes.park_dtmf, board.now):
        return
    stay = parking.park_far_end(board, leg, None)
    if isinstance(stay, Refusal):
        spoken = board.spoken(refusal(stay), leg.language)
        board.enter(call, Talking((leg, spoken), stage.picked_up), board.now + LAST_WORDS_S)
    else:
        parking.announce(board, leg, stay)

"""Whose turn it is to speak SDP in one dialog: the offer/answer state of :rfc:`3264`, :rfc:`3311` and :rfc:`6337`.

Knows nothing of what the bodies say, nor of the message that carries them.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum


class Turn(IntEnum):
    """Who owes an answer."""

    NOBODY = 0
    THEM = 1
    """We have offered."""
    US = 2
    """They have offered."""


class Move(IntEnum):
    """What may happen to the turn."""

    WE_OFFER = 0
    THEY_ANSWER = 1
    THEY_OFFER = 2
    WE_ANSWER = 3
    DROPPED = 4
    """The offer was refused or lost: what was agreed before it holds."""


TURNS: Mapping[tuple[Turn, Move], Turn] = {
    (Turn.NOBODY, Move.WE_OFFER): Turn.THEM,
    (Turn.THEM, Move.THEY_ANSWER): Turn.NOBODY,
    (Turn.THEM, Move.DROPPED): Turn.NOBODY,
    (Turn.NOBODY, Move.THEY_OFFER): Turn.US,
    (Turn.US, Move.WE_ANSWER): Turn.NOBODY,
    (Turn.US, Move.DROPPED): Turn.NOBODY,
}
"""An absent entry is a move out of turn: it changes nothing, and ``OfferAnswer.move`` says so."""

CLASH: Mapping[Turn, int] = {Turn.THEM: 491, Turn.US: 500}
"""The status for an offer that comes while another is open (:rfc:`3261` section 14.2, :rfc:`3311` section 5.2)."""


class OfferAnswer:
    """The turn, and what each side said last. ``local`` and ``remote`` are SDP bodies, empty before there are any.

    ``agreed`` is the last pair of them that was offered and answered.
    """

    __slots__ = ("agreed", "local", "remote", "turn")

    def __init__(self) -> None:
        self.turn = Turn.NOBODY
        self.local = b""
        self.remote = b""
        self.agreed = (b"", b"")

    def move(self, move: Move, sdp: bytes = b"") -> bool:
        """Take ``move`` with the body ``sdp``; False if it is out of turn."""
        turn = TURNS.get((self.turn, move))
        if turn is None:
            return False
        self.turn = turn
        if move is Move.DROPPED:
            self.local, self.remote = self.agreed
            return True
        if move in (Move.WE_OFFER, Move.WE_ANSWER):
            self.local = sdp
        else:
            self.remote = sdp
        if turn is Turn.NOBODY:
            self.agreed = (self.local, self.remote)
        return True

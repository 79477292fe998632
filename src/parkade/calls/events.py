"""What is told of a stay in the lot, for history, boards and webhooks.

Every event carries ``call``, ``caller_name`` and ``caller_number``; those of a stay also ``code``, ``lot`` (its name) and
``parked_by`` (an extension, None if nobody parked it). Times within ``data`` are seconds since the epoch, durations seconds.
"""

from __future__ import annotations

from parkade.calls.board import Board
from parkade.calls.call import Call, Parked, Stay
from parkade.calls.directory import Owner
from parkade.calls.effects import EventType
from parkade.calls.identity import Identity
from parkade.calls.refusals import Refusal


def parked(board: Board, call: Call, stage: Parked) -> None:
    """A call was parked; somebody should pick it up before ``expires_at``."""
    _tell(EventType.PARKED, board, call, stage.stay, expires_at=stage.expires_at)


def reparked(board: Board, call: Call, stage: Parked, old_code: str) -> None:
    """Nobody had it, so it is parked again; ``old_code`` is no longer valid."""
    _tell(EventType.REPARKED, board, call, stage.stay, expires_at=stage.expires_at, old_code=old_code, round=stage.stay.rounds)


def timed_out(board: Board, call: Call, stay: Stay) -> None:
    """Nobody picked it up in time; the code is free."""
    _tell(EventType.TIMED_OUT, board, call, stay)


def returned(board: Board, call: Call, stay: Stay, to: Identity) -> None:
    """Whoever was rung after expiry has answered."""
    _tell(EventType.RETURNED, board, call, stay, returned_to=to.number)


def retrieved(board: Board, call: Call, stay: Stay, by: Identity) -> None:
    """Picked up."""
    _tell(EventType.RETRIEVED, board, call, stay, retrieved_by=by.number)


def abandoned(board: Board, call: Call, stay: Stay) -> None:
    """The caller hung up while it waited."""
    _tell(EventType.ABANDONED, board, call, stay)


def park_failed(board: Board, call: Call, why: Refusal, parker: Owner | None) -> None:
    """It stays with whoever wanted to park it; ``reason`` is the id of a refusal."""
    board.event(EventType.PARK_FAILED, call, reason=why.id, parked_by=parker.extension if parker else None)


def _tell(kind: EventType, board: Board, call: Call, stay: Stay, **data: str | float | None) -> None:
    board.event(
        kind,
        call,
        code=stay.code,
        lot=stay.lot.lot.name,
        parked_by=stay.parker.extension if stay.parker else None,
        waited_s=board.now - stay.since,
        **data,
    )

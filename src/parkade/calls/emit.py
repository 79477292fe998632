"""Makes the events of ``events.py`` from calls and stays, and puts them among the effects."""

from __future__ import annotations

from typing import TypeAlias

from parkade.base.clock import Instant
from parkade.calls import events
from parkade.calls.board import Board
from parkade.calls.call import Call, Parked, Stay
from parkade.calls.directory import Owner
from parkade.calls.identity import Identity
from parkade.calls.refusals import Refusal

_StayMembers: TypeAlias = tuple[str, Instant, str, str, str, str, str, str, str | None, float]


def started(board: Board, call: Call, dialled: str) -> None:
    """Somebody called ``dialled``."""
    board.out.append(events.CallStarted(*board.event_head(call), dialled))


def answered(board: Board, call: Call) -> None:
    """The other end has picked up."""
    assert call.other is not None
    board.out.append(events.CallAnswered(*board.event_head(call), call.other.identity.number))


def parked(board: Board, call: Call, stage: Parked) -> None:
    """A call was parked."""
    board.out.append(events.CallParked(*_stay(board, call, stage.stay), stage.expires_at))


def reparked(board: Board, call: Call, stage: Parked, old_code: str) -> None:
    """A call that was at ``old_code`` is parked again."""
    stay = stage.stay
    board.out.append(events.CallReparked(*_stay(board, call, stay), stage.expires_at, old_code, stay.rounds))


def timed_out(board: Board, call: Call, stay: Stay) -> None:
    """Nobody retrieved it in time."""
    board.out.append(events.CallTimedOut(*_stay(board, call, stay)))


def returned(board: Board, call: Call, stay: Stay, to: Identity) -> None:
    """Whoever was rung after expiry has answered."""
    board.out.append(events.CallReturned(*_stay(board, call, stay), to.number))


def retrieved(board: Board, call: Call, stay: Stay, by: Identity) -> None:
    """Somebody has picked up at the code."""
    board.out.append(events.CallRetrieved(*_stay(board, call, stay), by.number))


def abandoned(board: Board, call: Call, stay: Stay) -> None:
    """The caller hung up while it waited."""
    board.out.append(events.CallAbandoned(*_stay(board, call, stay)))


def park_failed(board: Board, call: Call, why: Refusal, parker: Owner | None) -> None:
    """It stays with whoever wanted to park it."""
    board.out.append(events.ParkFailed(*board.event_head(call), why.id, parker.extension if parker else None))


def _stay(board: Board, call: Call, stay: Stay) -> _StayMembers:
    parked_by = stay.parker.extension if stay.parker else None
    return *board.event_head(call), stay.code, stay.lot.lot.name, parked_by, board.now - stay.since

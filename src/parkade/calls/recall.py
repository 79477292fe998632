"""What becomes of a parked call that nobody picks up. It is never dropped without a word.

At its deadline the code becomes free and the policy of the stay says what follows (``ACTIONS``). Ringing somebody back, or
ringing the extension that the policy forwards to, is the same: the caller goes on hearing music, and if nobody answers it is
parked again under the next code. After ``ROUNDS`` rounds it is told so and hung up on. If no code is free it stays on music
and the next round comes after ``PATIENCE_S``.

Limits of this version: voicemail and outside numbers do not exist yet, so these two actions ring back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from parkade.base.sound import Sound
from parkade.calls import emit, ring
from parkade.calls.board import Board
from parkade.calls.call import MUSIC, Call, Leg, Parked, Stay, Waiting
from parkade.calls.directory import NotPickedUp
from parkade.calls.effects import Alert
from parkade.calls.identity import Identity
from parkade.calls.inputs import Failure
from parkade.calls.parking import parked_identity, put, put_somewhere, settle, stop_retrieving
from parkade.calls.refusals import NO_CALL_PARKED
from parkade.calls.route import People, people

ROUNDS = 3
"""How often nobody may answer before the caller is told that nobody is there."""

PATIENCE_S = 15.0
"""How long a caller for whom no code is free hears music before the next round."""


@dataclass(frozen=True, slots=True)
class RingBack:
    """The purpose of ringing somebody about a call that was parked."""

    stay: Stay
    ring_s: float
    alert: Alert = Alert.PARK_RETURN
    meanwhile: Sound = MUSIC

    def rang(self, board: Board, call: Call) -> None:
        """The caller hears music all the same."""

    def answered(self, board: Board, call: Call, transferor: Leg | None) -> None:
        """The caller is back."""
        assert call.other is not None
        emit.returned(board, call, self.stay, call.other.identity)

    def failed(self, board: Board, call: Call, why: Failure) -> None:
        """Into the lot again."""
        park_again(board, call, self.stay)

    def caller_gone(self, board: Board, call: Call) -> None:
        """Too late."""
        emit.abandoned(board, call, self.stay)
        board.drop(call)


def expired(board: Board, call: Call) -> None:
    """Nobody picked up in time: the code is free."""
    assert isinstance(call.stage, Parked)
    stay = call.stage.stay
    leave(board, call.stage)
    emit.timed_out(board, call, stay)
    ACTIONS[stay.policy.not_picked_up](board, call, stay)


def leave(board: Board, parked: Parked) -> None:
    """The code is free; whoever was about to retrieve the call comes too late."""
    if parked.retrieving:
        stop_retrieving(board, parked, NO_CALL_PARKED.with_(code=parked.stay.code))
    parked.stay.lot.leave(parked.stay.slot)


def give_back(board: Board, call: Call) -> None:
    """Before its deadline: whoever parked the call is rung."""
    assert isinstance(call.stage, Parked)
    stay = call.stage.stay
    leave(board, call.stage)
    _ring_back(board, call, stay)


def waited(board: Board, call: Call) -> None:
    """No code was free a while ago: the parker is asked again, and there may be one now."""
    assert isinstance(call.stage, Waiting)
    stay = call.stage.stay
    ACTIONS[stay.policy.not_picked_up](board, call, stay)


def park_again(board: Board, call: Call, stay: Stay) -> None:
    """Under the next code, which is another one than before, unless it was the last round."""
    stay.rounds += 1
    if stay.rounds >= ROUNDS:
        board.say_farewell(call)
        return
    old_code = stay.code
    if put_somewhere(board, call, stay):
        board.enter(call, Waiting(stay), board.now + PATIENCE_S)
    else:
        emit.reparked(board, call, settle(board, call, stay), old_code)


def put_back(board: Board, call: Call, parked: Parked) -> None:
    """Whoever picked it up was never really there: it waits where and as long as it would have, or at another free code.

    A deadline that has passed meanwhile is due at once.
    """
    call.other, stay = None, parked.stay
    old_code = stay.code
    may_return = not stay.lot.retired or stay.lot.reserved_for(stay.slot) == call.id
    if may_return and put(board, call, stay.lot, stay.slot) is None:
        stage = settle(board, call, stay, parked.expires_at)
    elif put_somewhere(board, call, stay) is None:
        stage = settle(board, call, stay)
    else:
        board.enter(call, Waiting(stay), board.now + PATIENCE_S)
        return
    emit.reparked(board, call, stage, old_code)


def _ring_back(board: Board, call: Call, stay: Stay) -> None:
    parker = board.owner_now(call.account, stay.parker)
    if parker is None:
        park_again(board, call, stay)
    else:
        _ring(board, call, stay, People(parker.identity, (parker,)))


def _forward(board: Board, call: Call, stay: Stay) -> None:
    account, forward_to = board.directory.accounts.get(call.account), stay.policy.forward_to
    target = people(account, forward_to) if account and forward_to else None
    if target is None:
        _ring_back(board, call, stay)
    else:
        _ring(board, call, stay, target)


def _ring(board: Board, call: Call, stay: Stay, target: People) -> None:
    who = call.party.identity
    shown = Identity(f"{parked_identity(stay.code).name} {who.name or who.number}", who.number)
    ring.start(board, call, target.owners, RingBack(stay, stay.policy.ring_back_s), target.shown, shown)


ACTIONS: dict[NotPickedUp, Callable[[Board, Call, Stay], None]] = {
    NotPickedUp.RING_BACK: _ring_back,
    NotPickedUp.DISCONNECT: lambda board, call, _: board.say_farewell(call),
    NotPickedUp.EXTENSION: _forward,
    NotPickedUp.VOICEMAIL: _ring_back,
    NotPickedUp.OUTSIDE_NUMBER: _ring_back,
}

"""Call control: the pure machine that is told what happens on legs and answers with what shall happen.

Read ``park.py`` first, then ``call.py`` (the stages of a call), ``stages.py`` (what a call does in each) and ``state.py`` (the
operations). Here is only which input goes where.

Everything due before an input is done before it, so a code that has expired can
no longer be dialled, however late the wake-up comes.

Inputs about legs that are gone are ignored: they have crossed the effect that ended the leg. The one exception is an answer:
it is ended once more, for nobody would be at the other end.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from parkade.base.clock import Instant
from parkade.base.ids import Ids
from parkade.base.journal import Json
from parkade.base.timers import Timers
from parkade.calls import arrive, executing, news, parking, transfer
from parkade.calls.call import Leg, Parked, Ringing
from parkade.calls.commands import CallDetail, Command
from parkade.calls.details import detail_of, is_shown
from parkade.calls.directory import Directory
from parkade.calls.effects import Effect, Elsewhere, EndLeg
from parkade.calls.inputs import (
    DirectoryChanged,
    Failure,
    Input,
    KeyPressed,
    LegAnswered,
    LegArrived,
    LegEnded,
    LegFailed,
    LegForwarded,
    LegHeld,
    LegRang,
    LegResumed,
    PromptEnded,
    TransferAsked,
)
from parkade.calls.keeping import changes
from parkade.calls.restoring import restore
from parkade.calls.slots import slot_changes
from parkade.calls.stages import STAGES
from parkade.calls.state import CallState, LotTimer, RetrieveTimer, TimerKey
from parkade.calls.transfer import Transferring


class Counts(NamedTuple):
    """How much there is of everything; all zero when nobody calls and a while has passed."""

    legs: int
    endpoints: int
    calls: int
    timers: int
    parked: int
    reserved: int
    pick_ups: int


class CallControl:
    """All calls of one installation."""

    def __init__(self, directory: Directory, ids: Ids) -> None:
        self._state = CallState(directory, ids, STAGES)
        self._holds = 0
        self._inputs: dict[type[Input], Callable[[Any], None]] = {
            LegArrived: self._arrived,
            LegRang: self._rang,
            LegAnswered: self._answered,
            LegForwarded: self._forwarded,
            LegFailed: self._failed,
            LegEnded: self._ended,
            LegHeld: self._held,
            LegResumed: self._resumed,
            KeyPressed: self._key_pressed,
            TransferAsked: self._transfer_asked,
            PromptEnded: self._prompt_ended,
            DirectoryChanged: self._directory_changed,
            Command: self._command,
        }

    # The verbs

    def restore(self, kept: Mapping[str, Json], now: Instant, lost: Collection[str] = ()) -> list[Effect]:
        """Go on with the calls that were kept (``Keep``) before the process died; told once, before anything else.

        ``kept`` may hold keys of others. ``lost`` are legs that the switch could not continue; they may also be told later as
        ``LegEnded`` with ``Cause.LOST``. What is due at ``now`` is done; a value that cannot be read is a ``NotRestored``.
        """
        self._state.now = now
        restore(self._state, kept, lost)
        self._holds = max((leg.held for leg in self._state.legs.values()), default=0)
        self._run_due(now)
        news.resume(self._state, self._state.out)
        return self._drain()

    def legs(self) -> Collection[str]:
        """Every leg that call control knows: after ``restore``, all others are to be ended."""
        return self._state.legs.keys()

    def call_of(self, leg: str) -> tuple[str, str] | None:
        """The account and the id of the call that a leg is part of."""
        known = self._state.legs.get(leg)
        return None if known is None else (known.call.account, known.call.id)

    def legs_of(self, account: str, call: str) -> list[str] | None:
        """The legs of a call of the account, the ringing ones included; None if there is no such call."""
        known = self._state.calls.get(call)
        return None if known is None or known.account != account else [leg.id for leg in known.legs()]

    def transfers(self) -> set[str]:
        """Every transfer that will be reported on: after ``restore``, all others have failed."""
        stages = [call.stage for call in self._state.calls.values()]
        purposes = [stage.purpose for stage in stages if isinstance(stage, Ringing)]
        return {purpose.transfer for purpose in purposes if isinstance(purpose, Transferring) and purpose.transfer}

    def tell(self, given: Input, now: Instant) -> list[Effect]:
        """Something happened at ``now``. Never raises, whatever the order in which things happen."""
        self._run_due(now)
        self._inputs[type(given)](given)
        return self._drain()

    def deadline(self) -> Instant | None:
        """When ``wake`` wants to be called next."""
        return self._state.timers.next

    @property
    def timers(self) -> Timers[TimerKey]:
        """What ``deadline`` is the next of."""
        return self._state.timers

    def wake(self, now: Instant) -> list[Effect]:
        """Do everything that is due at ``now``."""
        self._run_due(now)
        return self._drain()

    def details(self) -> list[CallDetail]:
        """Every call there is, as programs see it, whichever account it is of."""
        return [detail_of(self._state, call) for call in self._state.calls.values() if is_shown(call)]

    def counts(self) -> Counts:
        """What is alive."""
        state = self._state
        lots = [lot for lots in state.lots.values() for lot in lots.values()]
        return Counts(
            legs=len(state.legs),
            endpoints=len(state.by_endpoint),
            calls=len(state.calls),
            timers=len(state.timers),
            parked=sum(1 for lot in lots for _ in lot.parked()),
            reserved=sum(lot.reserved_count for lot in lots),
            pick_ups=sum(lot.pick_up_count for lot in lots),
        )

    def __len__(self) -> int:
        """How many calls there are."""
        return len(self._state.calls)

    @property
    def parked(self) -> int:
        """How many callers are parked."""
        return sum(isinstance(call.stage, Parked) for call in self._state.calls.values())

    def __bool__(self) -> bool:
        """Call control exists also when nobody calls."""
        return True

    def _run_due(self, now: Instant) -> None:
        state = self._state
        state.now = now
        due = state.timers.next
        if due is None or due > now:
            return
        for key in state.timers.pop_due(now):
            if isinstance(key, str):
                call = state.calls[key]
                state.rules(call).overdue(state, call)
                continue
            if isinstance(key, RetrieveTimer):
                executing.gave_up(state, key.leg)
                continue
            what, lot, slot = key
            if what is LotTimer.RELEASE:
                parking.release_over(state, lot, slot)
            else:
                # A call that goes on need not be written again: who reads it back sees that the time is over.
                if (last := lot.last_pick_up(slot)) and last.call not in state.calls:
                    state.touched[last.call] = None
                lot.forget(slot)

    def _drain(self) -> list[Effect]:
        state = self._state
        effects, state.out = state.out, []
        if state.slots_changed:
            effects += slot_changes(state)
        if state.touched or state.moments:
            news.complete(state, effects)
            effects += changes(state)
        return effects

    # One method an input

    def _arrived(self, given: LegArrived) -> None:
        arrive.arrived(self._state, given)

    def _rang(self, given: LegRang) -> None:
        if leg := self._rung(given.leg):
            self._state.rules(leg.call).rang(self._state, leg.call, leg, given.early_media)

    def _answered(self, given: LegAnswered) -> None:
        if leg := self._rung(given.leg):
            self._state.rules(leg.call).answered(self._state, leg.call, leg)
        elif given.leg not in self._state.legs:
            self._state.out.append(EndLeg(given.leg, elsewhere=Elsewhere.ANSWERED))

    def _forwarded(self, given: LegForwarded) -> None:
        if leg := self._rung(given.leg):
            self._state.rules(leg.call).forwarded(self._state, leg.call, leg, given.targets)

    def _failed(self, given: LegFailed) -> None:
        if leg := self._rung(given.leg):
            self._state.rules(leg.call).failed(self._state, leg.call, leg, given.why)

    def _ended(self, given: LegEnded) -> None:
        state = self._state
        leg = state.legs.get(given.leg)
        if leg is None:
            return
        call = leg.call
        if leg is call.party or leg is call.other:
            state.forget(leg)
            state.rules(call).gone(state, call, leg, given)
        else:
            state.rules(call).failed(state, call, leg, Failure.UNREACHABLE)

    def _held(self, given: LegHeld) -> None:
        if leg := self._state.legs.get(given.leg):
            if not leg.held:
                self._holds += 1
                self._state.hold(leg, self._holds)
                self._state.touched[leg.call.id] = None
            self._state.update_sound(leg.call)

    def _resumed(self, given: LegResumed) -> None:
        if leg := self._state.legs.get(given.leg):
            if leg.held:
                self._state.hold(leg, 0)
                self._state.touched[leg.call.id] = None
            self._state.update_sound(leg.call)

    def _key_pressed(self, given: KeyPressed) -> None:
        if leg := self._state.legs.get(given.leg):
            self._state.rules(leg.call).pressed(self._state, leg.call, leg, given.key)

    def _transfer_asked(self, given: TransferAsked) -> None:
        transfer.asked(self._state, given)

    def _prompt_ended(self, given: PromptEnded) -> None:
        state = self._state
        leg = state.legs.get(given.leg)
        spoken = leg.call.stage.spoken if leg else None
        if leg and spoken and spoken.prompt == given.prompt:
            state.rules(leg.call).overdue(state, leg.call)

    def _command(self, given: Command) -> None:
        executing.execute(self._state, given)

    def _directory_changed(self, given: DirectoryChanged) -> None:
        self._state.load(given.directory)

    def _rung(self, leg_id: str) -> Leg | None:
        """A leg that rings: known, and neither end of its call."""
        leg = self._state.legs.get(leg_id)
        return None if leg is None or leg is leg.call.party or leg is leg.call.other else leg

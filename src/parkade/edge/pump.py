"""The loop: inputs, all their effects, then the next; one timer armed for the earliest deadline.

Inputs that came together are performed together: one write to media, before any message leaves, one batch for the journal and
one look at the deadline. What an input has kept is in the journal before its messages and events leave, and whatever comes
later waits behind them; but nothing waits longer than ``LONGEST_WAIT_S``. Orders to media never wait.

A fault inside the switch (which would be ours) costs the one input that caused it, never the server.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from parkade.base.clock import Instant
from parkade.base.journal import Drop, Keep
from parkade.calls.commands import Reply
from parkade.calls.effects import SlotChanged
from parkade.calls.events import CallEvent, Event
from parkade.edge.clock import Clock
from parkade.rtp.orders import Order
from parkade.sip.message.flow import CloseFlow, Flow, Send
from parkade.switch.inputs import Note, SwitchEffect, SwitchInput

log = logging.getLogger("parkade.edge")

LONGEST_WAIT_S = 0.25
"""How long an answer waits for the journal: half of what a phone waits before it asks again."""
DROPS_WAIT_S = 0.01
"""How long what is only dropped waits for company: at a hundred calls a second that saves every second commit."""
LOOP_GRAIN_S = 0.0006
"""The loop rounds to whole milliseconds: a timer that fires too early would only be armed again and again until it is due."""
FAILED_TIMER_S = 0.1
"""How long after a fault on a timer the next is tried: one that stays due would take all of the processor."""


class Machine(Protocol):
    """The three verbs of a pure machine."""

    def tell(self, given: SwitchInput, now: Instant) -> list[SwitchEffect]: ...
    def deadline(self) -> Instant | None: ...
    def wake(self, now: Instant) -> list[SwitchEffect]: ...


class Transport(Protocol):
    """What can put a message on a flow."""

    def send(self, flow: Flow, data: bytes) -> None: ...
    def close(self, flow: Flow) -> None: ...


class Keeper(Protocol):
    """Where changes are kept. ``write`` gives the number of their batch, or 0 if nobody should wait for it; whoever made the
    keeper sees to it that ``Pump.committed`` is called on the loop with the number of the last batch that is kept.
    """

    def write(self, changes: list[Keep | Drop]) -> int: ...


Told: TypeAlias = Event | SlotChanged | Reply
"""What boards, history and programs are told."""

Outgoing: TypeAlias = Send | CloseFlow | Told
"""What the world sees, and what waits for a commit."""


@dataclass(slots=True)
class _Held:
    """What may leave once ``batch`` is kept, and in any case at ``until`` (loop time)."""

    batch: int
    until: float
    outgoing: list[Outgoing]


@dataclass(slots=True)
class _Decided:
    """What inputs that came together led to. ``outgoing`` up to ``free`` promises nothing that is not kept yet.

    A ``Drop`` promises nothing: what is forgotten a moment later is ended again after a crash.
    """

    orders: list[Order] = field(default_factory=list)
    outgoing: list[Outgoing] = field(default_factory=list)
    changes: list[Keep | Drop] = field(default_factory=list)
    free: int = 0
    promises: bool = False

    def add(self, effects: list[SwitchEffect]) -> None:
        """The effects of the next input."""
        before = len(self.outgoing)
        for effect in effects:
            match effect:
                case Send() | CloseFlow() | CallEvent() | SlotChanged() | Reply():
                    self.outgoing.append(effect)
                case Keep():
                    if not self.promises:
                        self.promises, self.free = True, before
                    self.changes.append(effect)
                case Drop():
                    self.changes.append(effect)
                case Note(text, None):
                    log.info("%s", text)
                case Note(text, error):
                    log.error("%s", text, exc_info=error)
                case _:
                    self.orders.append(effect)


class Pump:
    """Drives one machine. ``transports`` is filled by name (``UDP``, ``TCP``) and ``send_orders`` set before the first
    call can come. Without ``journal`` nothing is kept and nothing waits.
    """

    def __init__(
        self,
        machine: Machine,
        clock: Clock,
        publish: Callable[[Told], None],
        journal: Keeper | None = None,
    ) -> None:
        self.transports: dict[str, Transport] = {}
        self._machine = machine
        self._clock = clock
        self.send_orders: Callable[[Sequence[Order]], None] = _drop
        self._publish = publish
        self._journal = journal
        self._held: deque[_Held] = deque()
        self._drops: list[Keep | Drop] = []
        self._write_drops_at: asyncio.TimerHandle | None = None
        self._release_at: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._armed_for: Instant | None = None
        self._not_before = 0.0

    def feed(self, given: SwitchInput) -> None:
        """Tell the machine, perform what it decides, arm its next deadline."""
        self.feed_all((given,))

    def feed_all(self, inputs: Sequence[SwitchInput]) -> None:
        """The same for inputs that came together, in their order."""
        decided = _Decided()
        tell, now = self._machine.tell, self._clock.now
        for given in inputs:
            try:
                decided.add(tell(given, now()))
            except Exception:
                log.exception("the switch failed on %s", type(given).__name__)
        self._carry_out(decided)
        self._arm()

    def perform(self, effects: list[SwitchEffect]) -> None:
        """Effects that no input led to: those of a restored machine."""
        decided = _Decided()
        decided.add(effects)
        self._carry_out(decided)
        self._arm()

    def committed(self, batch: int) -> None:
        """Everything up to ``batch`` is kept: what waited for it leaves."""
        held = self._held
        while held and held[0].batch <= batch:
            self._send(held.popleft().outgoing)
        self._watch_held()

    def _wake(self) -> None:
        self._timer = self._armed_for = None
        decided = _Decided()
        try:
            decided.add(self._machine.wake(self._clock.now()))
        except Exception:
            log.exception("the switch failed on a timer")
            self._not_before = self._clock.now() + FAILED_TIMER_S
        self._carry_out(decided)
        self._arm()

    def _carry_out(self, decided: _Decided) -> None:
        # Media first, and at once: a phone must find its leg ready when the answer reaches it.
        if decided.orders:
            self.send_orders(decided.orders)
        outgoing, held = decided.outgoing, self._held
        batch = self._write(decided) if decided.changes and self._journal is not None else 0
        if held or batch:
            if not held:
                self._send(outgoing[: decided.free])
                outgoing = outgoing[decided.free :]
            if outgoing:
                held.append(_Held(batch or held[-1].batch, self._loop.time() + LONGEST_WAIT_S, outgoing))
                self._watch_held()
        else:
            self._send(outgoing)

    def _write(self, decided: _Decided) -> int:
        """The batch to wait for. What is only dropped goes with the next write, or after ``DROPS_WAIT_S``."""
        assert self._journal is not None
        self._drops += decided.changes
        if not decided.promises:
            if self._write_drops_at is None:
                self._write_drops_at = self._loop.call_later(DROPS_WAIT_S, self.write_drops)
            return 0
        changes, self._drops = self._drops, []
        return self._journal.write(changes)

    def write_drops(self) -> None:
        """Write what waits for the next write. To be called before the journal is closed."""
        if self._write_drops_at is not None:
            self._write_drops_at.cancel()
            self._write_drops_at = None
        if self._drops and self._journal is not None:
            changes, self._drops = self._drops, []
            self._journal.write(changes)

    def _watch_held(self) -> None:
        if self._held and self._release_at is None:
            self._release_at = self._loop.call_at(self._held[0].until, self._release)

    def _release(self) -> None:
        """The journal takes too long: whoever waits for an answer gets it."""
        self._release_at = None
        held, now = self._held, self._loop.time()
        while held and held[0].until <= now:
            self._send(held.popleft().outgoing)
        self._watch_held()

    def _send(self, outgoing: list[Outgoing]) -> None:
        transports = self.transports
        for effect in outgoing:
            try:
                match effect:
                    case Send(flow, data):
                        transports[flow.transport].send(flow, data)
                    case CloseFlow(flow):
                        transports[flow.transport].close(flow)
                    case CallEvent() | SlotChanged() | Reply():
                        self._publish(effect)
            except Exception:
                log.exception("%s could not be performed", type(effect).__name__)

    def _arm(self) -> None:
        deadline = self._machine.deadline()
        if deadline is not None and deadline < self._not_before:
            deadline = self._not_before
        # A timer that fires early only finds nothing due and arms the right one: cheaper than re-arming at each message.
        if deadline is None or (self._armed_for is not None and self._armed_for <= deadline):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._armed_for = deadline
        self._timer = self._loop.call_at(self._clock.at_loop(deadline) + LOOP_GRAIN_S, self._wake)


def _drop(orders: Sequence[Order]) -> None:
    """No media process yet, so no leg either."""

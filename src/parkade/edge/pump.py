"""The loop: inputs, all their effects, then the next; one timer armed for the earliest deadline.

Inputs that came together are performed together: one write to media, one to the journal, then boards, history and programs are
told, before any message leaves; and one look at the deadline.

A fault inside the switch (which would be ours) costs the one input that caused it, never the server.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from parkade.base.clock import Instant
from parkade.base.journal import Drop, Keep
from parkade.calls.commands import Reply
from parkade.calls.effects import SlotChanged
from parkade.calls.events import Event, Happening
from parkade.edge.clock import Clock
from parkade.rtp.orders import Order
from parkade.sip.message.flow import CloseFlow, Flow, Send
from parkade.switch.inputs import Note, SessionOfCall, SwitchEffect, SwitchInput

log = logging.getLogger("parkade.edge")

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
    """Where changes are kept. They are when ``write`` returns, unless the disk takes nothing: then nobody waits for it."""

    def write(self, changes: Sequence[Keep | Drop]) -> object: ...


Told: TypeAlias = Event | SlotChanged | Reply
"""What boards, history and programs are told."""

Outgoing: TypeAlias = Send | CloseFlow
"""What phones see."""


@dataclass(slots=True)
class _Decided:
    """What inputs that came together led to."""

    orders: list[Order] = field(default_factory=list)
    outgoing: list[Outgoing] = field(default_factory=list)
    changes: list[Keep | Drop] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    sessions: list[SessionOfCall] = field(default_factory=list)

    def add(self, effects: list[SwitchEffect]) -> None:
        """The effects of the next input."""
        for effect in effects:
            match effect:
                case Send() | CloseFlow():
                    self.outgoing.append(effect)
                case Keep() | Drop():
                    self.changes.append(effect)
                case Happening() | SlotChanged() | Reply():
                    self.told.append(effect)
                case Note(text, None, call):
                    log.info("%s", text, extra={"call": call})
                case Note(text, error, call):
                    log.error("%s", text, exc_info=error, extra={"call": call})
                case SessionOfCall():
                    self.sessions.append(effect)
                case _:
                    self.orders.append(effect)


class Tracer(Protocol):
    """Where messages are kept so that one call may be looked at afterwards."""

    def passed(self, inputs: Sequence[SwitchInput], outgoing: Sequence[Outgoing], now: Instant) -> None: ...
    def belongs(self, account: str, call: str, sessions: Iterable[str], now: Instant) -> None: ...


class Pump:
    """Drives one machine. ``transports`` is filled by name (``UDP``, ``TCP``) and ``send_orders`` set before the first
    call can come. Without ``journal`` nothing is kept, without ``tracer`` no message is.
    """

    def __init__(
        self,
        machine: Machine,
        clock: Clock,
        tell: Callable[[Sequence[Told]], None],
        journal: Keeper | None = None,
    ) -> None:
        self.transports: dict[str, Transport] = {}
        self._machine = machine
        self._clock = clock
        self.send_orders: Callable[[Sequence[Order]], None] = _drop
        self._tell = tell
        self._journal = journal
        self.tracer: Tracer | None = None
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
        at = 0.0
        for given in inputs:
            at = now()
            try:
                decided.add(tell(given, at))
            except Exception:
                log.exception("the switch failed on %s", type(given).__name__)
        self._carry_out(decided, inputs, at)
        self._arm()

    def perform(self, effects: list[SwitchEffect]) -> None:
        """Effects that no input led to: those of a restored machine."""
        decided = _Decided()
        decided.add(effects)
        self._carry_out(decided, (), self._clock.now())
        self._arm()

    def _wake(self) -> None:
        self._timer = self._armed_for = None
        decided, now = _Decided(), self._clock.now()
        try:
            decided.add(self._machine.wake(now))
        except Exception:
            log.exception("the switch failed on a timer")
            self._not_before = self._clock.now() + FAILED_TIMER_S
        self._carry_out(decided, (), now)
        self._arm()

    def _carry_out(self, decided: _Decided, inputs: Sequence[SwitchInput], now: Instant) -> None:
        # Media first, and at once: a phone must find its leg ready when the answer reaches it.
        if decided.orders:
            self.send_orders(decided.orders)
        if decided.changes and self._journal is not None:
            self._journal.write(decided.changes)
        if decided.told:
            try:
                self._tell(decided.told)
            except Exception:
                log.exception("what happened could not be told")
        if self.tracer is not None:
            self.tracer.passed(inputs, decided.outgoing, now)
            for began in decided.sessions:
                self.tracer.belongs(began.account, began.call, (began.call_id,), now)
        self._send(decided.outgoing)

    def _send(self, outgoing: list[Outgoing]) -> None:
        transports = self.transports
        for effect in outgoing:
            try:
                match effect:
                    case Send(flow, data):
                        transports[flow.transport].send(flow, data)
                    case CloseFlow(flow):
                        transports[flow.transport].close(flow)
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

"""The loop: inputs, all their effects, then the next; one timer armed for the earliest deadline.

Inputs that came together are performed together: one write to media, before any message leaves, and one look at the
deadline. A fault inside the switch (which would be ours) costs the one input that caused it, never the server.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from parkade.base.clock import Instant
from parkade.calls.effects import Event
from parkade.edge.clock import Clock
from parkade.rtp.orders import Order
from parkade.sip.message.flow import CloseFlow, Flow, Send
from parkade.switch.inputs import Note, SwitchEffect, SwitchInput

log = logging.getLogger("parkade.edge")

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


class Pump:
    """Drives one machine. ``transports`` is filled by name (``UDP``, ``TCP``) and ``send_orders`` set before the first
    call can come.
    """

    def __init__(
        self,
        machine: Machine,
        clock: Clock,
        publish: Callable[[Event], None],
    ) -> None:
        self.transports: dict[str, Transport] = {}
        self._machine = machine
        self._clock = clock
        self.send_orders: Callable[[Sequence[Order]], None] = _drop
        self._publish = publish
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._armed_for: Instant | None = None
        self._not_before = 0.0

    def feed(self, given: SwitchInput) -> None:
        """Tell the machine, perform what it decides, arm its next deadline."""
        self.feed_all((given,))

    def feed_all(self, inputs: Sequence[SwitchInput]) -> None:
        """The same for inputs that came together, in their order."""
        orders: list[Order] = []
        outgoing: list[Send | CloseFlow | Event] = []
        tell, now = self._machine.tell, self._clock.now
        for given in inputs:
            try:
                effects = tell(given, now())
            except Exception:
                log.exception("the switch failed on %s", type(given).__name__)
                continue
            _sort(effects, orders, outgoing)
        self._perform(orders, outgoing)
        self._arm()

    def _wake(self) -> None:
        self._timer = self._armed_for = None
        orders: list[Order] = []
        outgoing: list[Send | CloseFlow | Event] = []
        try:
            _sort(self._machine.wake(self._clock.now()), orders, outgoing)
        except Exception:
            log.exception("the switch failed on a timer")
            self._not_before = self._clock.now() + FAILED_TIMER_S
        self._perform(orders, outgoing)
        self._arm()

    def _perform(self, orders: list[Order], outgoing: list[Send | CloseFlow | Event]) -> None:
        # Media first: a phone must find its leg ready when the answer reaches it.
        if orders:
            self.send_orders(orders)
        transports = self.transports
        for effect in outgoing:
            try:
                match effect:
                    case Send(flow, data):
                        transports[flow.transport].send(flow, data)
                    case CloseFlow(flow):
                        transports[flow.transport].close(flow)
                    case Event():
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
        self._timer = self._loop.call_at(self._clock.at_loop(deadline), self._wake)


def _sort(effects: list[SwitchEffect], orders: list[Order], outgoing: list[Send | CloseFlow | Event]) -> None:
    for effect in effects:
        match effect:
            case Send() | CloseFlow() | Event():
                outgoing.append(effect)
            case Note(text):
                log.info("%s", text)
            case _:
                orders.append(effect)


def _drop(orders: Sequence[Order]) -> None:
    """No media process yet, so no leg either."""

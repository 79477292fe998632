"""The loop: one input, all its effects, then the next; one timer armed for the earliest deadline.

A fault inside the switch (which would be ours) costs the one input that caused it, never the server.
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

    def feed(self, given: SwitchInput) -> None:
        """Tell the machine, perform what it decides, arm its next deadline."""
        try:
            effects = self._machine.tell(given, self._clock.now())
        except Exception:
            log.exception("the switch failed on %s", type(given).__name__)
            effects = []
        self._perform(effects)
        self._arm()

    def _wake(self) -> None:
        self._timer = self._armed_for = None
        try:
            effects = self._machine.wake(self._clock.now())
        except Exception:
            log.exception("the switch failed on a timer")
            effects = []
        self._perform(effects)
        self._arm()

    def _perform(self, effects: list[SwitchEffect]) -> None:
        orders: list[Order] = []
        for effect in effects:
            match effect:
                case Send():
                    self.transports[effect.flow.transport].send(effect.flow, effect.data)
                case CloseFlow():
                    self.transports[effect.flow.transport].close(effect.flow)
                case Event():
                    self._publish(effect)
                case Note(text):
                    log.info("%s", text)
                case _:
                    orders.append(effect)
        if orders:
            self.send_orders(orders)

    def _arm(self) -> None:
        deadline = self._machine.deadline()
        # A timer that fires early only finds nothing due and arms the right one: cheaper than re-arming at each message.
        if deadline is None or (self._armed_for is not None and self._armed_for <= deadline):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._armed_for = deadline
        self._timer = self._loop.call_at(self._clock.at_loop(deadline), self._wake)


def _drop(orders: Sequence[Order]) -> None:
    """No media process yet, so no leg either."""

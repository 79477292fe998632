"""Simulated time: pure machines attached to a network, and a clock that jumps to whatever happens next.

Nothing sleeps. A day of ringing costs as much as the messages that are sent during it.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from random import Random
from typing import Protocol

from parkade.base.clock import Instant
from parkade.base.ids import Ids
from parkade.sip.message.flow import Flow, SipEffect
from parkade.testing.net import FAIR, Address, LossyNet, Weather

START: Instant = 1_750_000_000.0
"""When simulated worlds begin: a day in June 2025."""
_STUCK_AFTER = 10_000


class Node(Protocol):
    """A machine that can be attached. ``drain`` gives what it wants done since the last time."""

    def receive(self, flow: Flow, data: bytes, now: Instant) -> object: ...

    def flow_lost(self, flow: Flow, now: Instant) -> None: ...

    def deadline(self) -> Instant | None: ...

    def wake(self, now: Instant) -> None: ...

    def drain(self) -> list[SipEffect]: ...


class Simulation:
    """Machines, a network between them, and the time they share: ``now``."""

    def __init__(self, seed: int = 0, weather: Weather = FAIR, start: Instant = START) -> None:
        self.now = start
        self.net = LossyNet(seed, weather)
        self._random = Random(seed)  # noqa: S311 - a repeatable world, not a secret
        self._nodes: dict[Address, Node] = {}
        self._script: list[tuple[Instant, int, Callable[[], object]]] = []
        self._serial = 0

    def ids(self) -> Ids:
        """A source of identifiers of its own for one machine; the same every time the world is built the same way."""
        return Ids(Random(self._random.random()).randbytes)  # noqa: S311

    def attach(self, address: Address, node: Node) -> None:
        """Connect ``node`` to the network at ``address``."""
        self.net.attach(address)
        self._nodes[address] = node

    def detach(self, address: Address) -> None:
        """Switch the machine at ``address`` off without a word: power cut."""
        self.net.detach(address, self.now)
        self._nodes.pop(address, None)

    def after(self, seconds: float, action: Callable[[], object]) -> None:
        """Have ``action`` done ``seconds`` from now, in the course of a ``run``."""
        self._serial += 1
        heapq.heappush(self._script, (self.now + seconds, self._serial, action))

    def run(self, seconds: float) -> None:
        """Let ``seconds`` pass."""
        self._run(self.now + seconds, lambda: False)

    def run_until(self, condition: Callable[[], bool], within_s: float) -> None:
        """Let time pass until ``condition`` holds. Raises AssertionError if it does not ``within_s``."""
        if not self._run(self.now + within_s, condition):
            raise AssertionError(f"not within {within_s} s")

    def run_until_quiet(self, within_s: float) -> None:
        """Let time pass until nothing is on its way and no machine waits for anything.

        Raises AssertionError if that takes longer than ``within_s``.
        """
        self._settle()
        until = self.now + within_s
        while (at := self._next()) is not None:
            if at > until:
                raise AssertionError(f"still waiting for something at {at - self.now:.3f} s from now")
            self._step(at)

    def settled(self) -> None:
        """Called whenever something has happened and all that follows at that instant has happened too. For subclasses."""

    def _run(self, until: Instant, done: Callable[[], bool]) -> bool:
        self._settle()
        steps_at_once = 0
        while not done():
            at = self._next()
            if at is None or at > until:
                self.now = max(self.now, until)
                return done()
            steps_at_once = steps_at_once + 1 if at <= self.now else 0
            if steps_at_once > _STUCK_AFTER:
                raise AssertionError("time stands still: a machine is due again and again")
            self._step(at)
        return True

    def _next(self) -> Instant | None:
        due = [node.deadline() for node in self._nodes.values()]
        due += [self.net.deadline(), self._script[0][0] if self._script else None]
        return min((at for at in due if at is not None), default=None)

    def _step(self, at: Instant) -> None:
        now = self.now = max(self.now, at)
        while self._script and self._script[0][0] <= now:
            heapq.heappop(self._script)[2]()
        for address, node in [*self._nodes.items()]:
            deadline = node.deadline()
            if deadline is not None and deadline <= now:
                node.wake(now)
                self._perform(address, node)
        for arrival in self.net.arrivals(now):
            node = self._nodes[arrival.target]
            if arrival.data is None:
                node.flow_lost(arrival.flow, now)
            else:
                node.receive(arrival.flow, arrival.data, now)
            self._perform(arrival.target, node)
        self._settle()

    def _settle(self) -> None:
        """Send what machines were made to say from outside."""
        for address, node in self._nodes.items():
            self._perform(address, node)
        self.settled()

    def _perform(self, address: Address, node: Node) -> None:
        for effect in node.drain():
            self.net.perform(address, effect, self.now)

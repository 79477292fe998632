"""A network that is seeded and bad: datagrams are lost, doubled, late and out of order; streams are late only.

Pure: it is handed packets and the time, and gives back what arrives by when. The same seed and the same calls give the same
network every time. Whole messages travel; a stream never cuts or joins them.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple, TypeAlias

from parkade.base.clock import Instant
from parkade.sip.message.flow import CloseFlow, Flow, Send, SipEffect


class Address(NamedTuple):
    """Where a machine is attached: an IP literal and a port, the same for datagrams and streams."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Packet:
    """One message on its way between two machines."""

    source: Address
    target: Address
    transport: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Arrival:
    """``data`` reached the machine at ``target``, which sees it on ``flow``; None: the stream is gone."""

    target: Address
    flow: Flow
    data: bytes | None


@dataclass(frozen=True, slots=True)
class Weather:
    """How bad the network is. ``loss`` and ``duplication`` are probabilities for each datagram, 0 to 1.

    A datagram takes ``delay_s`` and up to ``jitter_s`` more, so jitter above the distance of two datagrams reorders them. A
    stream takes ``delay_s`` and keeps its order.
    """

    loss: float = 0.0
    duplication: float = 0.0
    delay_s: float = 0.002
    jitter_s: float = 0.0


FAIR = Weather()
"""Nothing is lost, two milliseconds one way."""
STORM = Weather(loss=0.3, duplication=0.2, delay_s=0.02, jitter_s=0.4)
"""Worse than any network a phone would work on for long."""

Match: TypeAlias = str | Callable[[Packet], bool]
"""Which packets a rule means: whose message begins with a text (``"ACK "``, ``"SIP/2.0 200"``), or for which a test holds."""


@dataclass(slots=True)
class Rule:
    """What is to happen to the next ``times`` packets that match: lost (``delay_s`` None) or late by ``delay_s``."""

    match: Match
    times: int
    delay_s: float | None
    seen: int = 0

    def applies(self, packet: Packet) -> bool:
        """True if the rule is not used up and means this packet; counts it."""
        if self.seen >= self.times:
            return False
        matches = packet.data.startswith(self.match.encode()) if isinstance(self.match, str) else self.match(packet)
        self.seen += matches
        return matches


@dataclass(slots=True)
class _End:
    """One end of a stream: who holds it, how it sees the other end, and the other end's number."""

    holder: Address
    flow: Flow
    other: int
    clear_at: Instant = field(default=0.0)


class LossyNet:
    """Carries messages between attached addresses.

    ``weather`` may be replaced at any time. ``log`` keeps every packet handed in, delivered or not, with its time.
    """

    def __init__(self, seed: int = 0, weather: Weather = FAIR) -> None:
        self.weather = weather
        self.log: list[tuple[Instant, Packet]] = []
        self._random = Random(seed)  # noqa: S311 - a repeatable network, not a secret
        self._attached: set[Address] = set()
        self._rules: list[Rule] = []
        self._cut: set[Address] = set()
        self._ends: dict[int, _End] = {}
        self._last_end = 0
        self._heap: list[tuple[Instant, int, Arrival]] = []
        self._stalled: list[tuple[Address, Arrival]] = []
        self._serial = 0

    def attach(self, address: Address) -> None:
        """Let ``address`` accept streams and datagrams."""
        self._attached.add(address)

    def detach(self, address: Address, now: Instant) -> None:
        """Switch the machine at ``address`` off: what is sent to it vanishes, its streams end at the other side."""
        self._attached.discard(address)
        for number in [number for number, end in self._ends.items() if end.holder == address]:
            self._close(number, now)

    def lose(self, match: Match, times: int = 1) -> Rule:
        """Lose the next ``times`` datagrams that match. The rule's ``seen`` tells how many were."""
        return self._add_rule(Rule(match, times, None))

    def delay(self, match: Match, by_s: float, times: int = 1) -> Rule:
        """Deliver the next ``times`` datagrams that match ``by_s`` seconds later than the weather would."""
        return self._add_rule(Rule(match, times, by_s))

    def cut(self, address: Address) -> None:
        """Partition ``address`` from everybody: its datagrams are lost both ways, its streams stall until ``mend``."""
        self._cut.add(address)

    def mend(self, address: Address, now: Instant) -> None:
        """End the partition; what stalled on streams arrives now."""
        self._cut.discard(address)
        stalled, self._stalled = self._stalled, []
        for source, arrival in stalled:
            if source in self._cut or arrival.target in self._cut:
                self._stalled.append((source, arrival))
            else:
                self._push(now + self.weather.delay_s, arrival)

    def streams(self, address: Address) -> list[Flow]:
        """The streams of the machine at ``address``, as it sees them, the newest last."""
        return [end.flow for end in self._ends.values() if end.holder == address]

    def break_stream(self, flow: Flow, now: Instant) -> None:
        """End the stream that one of its ends sees as ``flow``; both ends are told at once."""
        end = self._ends.pop(flow.connection)
        other = self._ends.pop(end.other)
        for lost in (end, other):
            self._push(now, Arrival(lost.holder, lost.flow, None))

    def perform(self, source: Address, effect: SipEffect, now: Instant) -> None:
        """Do what the machine at ``source`` wants done."""
        match effect:
            case Send(flow, data):
                self.log.append((now, Packet(source, Address(flow.host, flow.port), flow.transport, data)))
                if flow.reliable:
                    self._send_on_stream(source, flow, data, now)
                else:
                    self._send_datagram(source, flow, data, now)
            case CloseFlow(flow) if flow.connection in self._ends:
                self._close(flow.connection, now)
            case CloseFlow():
                pass

    def deadline(self) -> Instant | None:
        """When the next message arrives, or None if none is on its way."""
        return self._heap[0][0] if self._heap else None

    def arrivals(self, now: Instant) -> list[Arrival]:
        """What has arrived by ``now``, in order of arrival. What arrives at a detached address is lost."""
        arrived = []
        while self._heap and self._heap[0][0] <= now:
            arrival = heapq.heappop(self._heap)[2]
            if arrival.target in self._attached:
                arrived.append(arrival)
        return arrived

    def _add_rule(self, rule: Rule) -> Rule:
        self._rules.append(rule)
        return rule

    def _send_datagram(self, source: Address, flow: Flow, data: bytes, now: Instant) -> None:
        packet = Packet(source, Address(flow.host, flow.port), flow.transport, data)
        late_s = 0.0
        for rule in self._rules:
            if rule.applies(packet):
                if rule.delay_s is None:
                    return
                late_s += rule.delay_s
        if source in self._cut or packet.target in self._cut:
            return
        weather, chance = self.weather, self._random.random
        arrival = Arrival(packet.target, Flow(flow.transport, source.host, source.port), data)
        for _ in range(2 if chance() < weather.duplication else 1):
            if chance() >= weather.loss:
                self._push(now + late_s + weather.delay_s + chance() * weather.jitter_s, arrival)

    def _send_on_stream(self, source: Address, flow: Flow, data: bytes, now: Instant) -> None:
        number = flow.connection or self._open(source, flow)
        if number not in self._ends:
            self._push(now, Arrival(source, flow, None))
            return
        end = self._ends[number]
        there = self._ends[end.other]
        arrival = Arrival(there.holder, there.flow, data)
        if source in self._cut or there.holder in self._cut:
            self._stalled.append((source, arrival))
            return
        there.clear_at = max(there.clear_at, now + self.weather.delay_s)
        self._push(there.clear_at, arrival)

    def _open(self, source: Address, flow: Flow) -> int:
        target = Address(flow.host, flow.port)
        for number, end in self._ends.items():
            if end.holder == source and end.flow[:3] == flow[:3]:
                return number
        if target not in self._attached:
            return -1
        here, there = self._last_end + 1, self._last_end + 2
        self._last_end = there
        self._ends[here] = _End(source, flow._replace(connection=here), there)
        self._ends[there] = _End(target, Flow(flow.transport, source.host, 49152 + here % 16384, there), here)
        return here

    def _close(self, number: int, now: Instant) -> None:
        end = self._ends.pop(number)
        other = self._ends.pop(end.other)
        self._push(max(other.clear_at, now + self.weather.delay_s), Arrival(other.holder, other.flow, None))

    def _push(self, at: Instant, arrival: Arrival) -> None:
        self._serial += 1
        heapq.heappush(self._heap, (at, self._serial, arrival))

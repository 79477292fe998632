"""Where a leg's RTP comes from: symmetric RTP (:rfc:`4961`) that strangers cannot take over.

A phone behind NAT sends from an address that its description does not name, so the address must be learned from its packets,
which anybody can send. The rules:

1. The address of the description is believed at once and always: nobody but a spoofer sends from it.
2. Another address is believed only within ``WINDOW_S`` after a description, and only after ``PACKETS`` packets in a row
   from it which could be the phone's: an agreed payload type, one SSRC, numbers that go up.
3. Once an address is believed, no other is, except by rule 1. A description with another address starts again.

The window matters for parked callers: their phones may send nothing for an hour and must not be there for the taking.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import NamedTuple, TypeAlias

from parkade.base.clock import Instant
from parkade.rtp.packet import Packet, sequence_step

Address: TypeAlias = tuple[str, int]
"""An IP literal in the form that ``str(ip_address(…))`` gives it, and a port."""


class _Candidate(NamedTuple):
    source: Address
    ssrc: int
    sequence: int
    packets: int


class Latch:
    """The far address of one leg. Before ``describe`` everything is refused."""

    __slots__ = ("_believed", "_candidate", "_described", "_open_until", "_payload_types", "refused")

    WINDOW_S = 10.0
    PACKETS = 4
    MAX_SEQUENCE_STEP = 20

    def __init__(self) -> None:
        self.refused = 0
        """Packets of strangers, those included that were on probation and failed."""
        self._described: Address | None = None
        self._believed: Address | None = None
        self._candidate: _Candidate | None = None
        self._payload_types: AbstractSet[int] = frozenset()
        self._open_until: Instant = 0.0

    @property
    def target(self) -> Address | None:
        """Where to send: the believed address, else the described one, else nowhere yet."""
        return self._believed or self._described

    def describe(self, address: Address, payload_types: AbstractSet[int], now: Instant) -> None:
        """The far side's description, perhaps the same as before: then an address already believed stays so."""
        if address != self._described:
            self._described = address
            self._believed = None
        self._payload_types = payload_types
        self._candidate = None
        self._open_until = now + self.WINDOW_S

    def accept(self, packet: Packet, source: Address, now: Instant) -> bool:
        """Whether ``packet`` from ``source`` is the phone's."""
        if source == self._believed:
            return True
        if source == self._described:
            self._believed = source
            return True
        if self._believed is None and now <= self._open_until and self._proved(packet, source):
            self._believed = source
            return True
        self.refused += 1
        return False

    def believes(self, source: Address) -> bool:
        """Whether ``source`` needs no further proof: ``accept`` would take whatever comes from it."""
        return source == self._believed

    def is_far_host(self, host: str) -> bool:
        """Whether RTCP from ``host`` may be the far side's: reports come from the host of its RTP."""
        target = self.target
        return target is not None and target[0] == host

    def _proved(self, packet: Packet, source: Address) -> bool:
        if packet.payload_type not in self._payload_types:
            return False
        was = self._candidate
        follows = (
            was is not None
            and was.source == source
            and was.ssrc == packet.ssrc
            and 0 < sequence_step(was.sequence, packet.sequence) <= self.MAX_SEQUENCE_STEP
        )
        packets = was.packets + 1 if was is not None and follows else 1
        self._candidate = _Candidate(source, packet.ssrc, packet.sequence, packets)
        return packets >= self.PACKETS

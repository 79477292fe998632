"""Where a leg's RTP comes from: symmetric RTP (:rfc:`4961`) that strangers cannot take over.

A phone behind NAT sends from an address that its description does not name, so the address must be learned from its packets,
which anybody can send. The rules:

1. The address of the description is believed at once and always: nobody but a spoofer sends from it.
2. Another address is believed after ``PACKETS`` packets in a row from it which could be the phone's: an agreed payload
   type, one SSRC, numbers that go up.
3. While no address is believed, rule 2 holds without limit of time: a phone may send its first packet long after the answer.
4. Once an address is believed, rule 2 holds for ``WINDOW_S`` after each further description, because the phone's NAT may
   have moved it. The old address is believed until the new one has proved itself, and one packet from it ends the proof.
   Packets may be sent as fast as one likes, so the old address must also have been silent for a while: for ``MOVED_S`` since
   the description, or for ``SILENT_S`` if it was heard after that. So a phone that is heard cannot be displaced. A description
   with another address believes nobody any more.
5. What is only told again (after a restart) opens nothing.

Descriptions come from authenticated SIP. The window of rule 4 matters for parked callers: their phones may send nothing for
an hour and must not be there for the taking.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Final, NamedTuple, TypeAlias

from parkade.base.clock import Instant
from parkade.rtp.packet import Packet, sequence_step

Address: TypeAlias = tuple[str, int]
"""An IP literal in the form that ``str(ip_address(…))`` gives it, and a port."""


class _Candidate(NamedTuple):
    source: Address
    ssrc: int
    sequence: int
    packets: int
    since: Instant


class Latch:
    """The far address of one leg. Before ``describe`` everything is refused."""

    __slots__ = ("_believed", "_candidate", "_described", "_heard", "_open_until", "_payload_types", "refused")

    WINDOW_S: Final = 10.0
    PACKETS: Final = 4
    MAX_SEQUENCE_STEP: Final = 20
    MOVED_S: Final = 0.08
    SILENT_S: Final = 0.25

    def __init__(self) -> None:
        self.refused = 0
        """Packets of strangers, those included that were on probation and failed."""
        self._described: Address | None = None
        self._believed: Address | None = None
        self._candidate: _Candidate | None = None
        self._payload_types: AbstractSet[int] = frozenset()
        self._open_until: Instant = 0.0
        self._heard = False
        """Whether the believed address has been heard since the last description."""

    @property
    def target(self) -> Address | None:
        """Where to send: the believed address, else the described one, else nowhere yet."""
        return self._believed or self._described

    @property
    def believed(self) -> Address | None:
        """The address that packets are taken from, once there is one."""
        return self._believed

    def resume(self, believed: Address) -> None:
        """``believed`` had proved itself before this process began; the first description leaves it so."""
        self._believed = believed

    def describe(self, address: Address, payload_types: AbstractSet[int], now: Instant, *, again: bool = False) -> None:
        """The far side's description, perhaps the same as before: then an address already believed stays so.

        ``again``: the far side has said nothing new.
        """
        if address != self._described:
            if self._described is not None:
                self._believed = None
            self._described = address
        self._payload_types = payload_types
        self._candidate = None
        if not again:
            self._open_until = now + self.WINDOW_S
            self._heard = False

    def accept(self, packet: Packet, source: Address, now: Instant) -> bool:
        """Whether ``packet`` from ``source`` is the phone's."""
        if source == self._believed:
            self._candidate, self._heard = None, True
            return True
        if source == self._described:
            self._believe(source)
            return True
        is_open = self._described is not None and (self._believed is None or now <= self._open_until)
        if is_open and self._proved(packet, source, now):
            self._believe(source)
            return True
        self.refused += 1
        return False

    def believes(self, source: Address) -> bool:
        """Whether ``source`` needs no further proof: ``accept`` would take whatever comes from it."""
        if source != self._believed:
            return False
        self._candidate, self._heard = None, True
        return True

    def _believe(self, source: Address) -> None:
        self._believed = source
        self._candidate, self._heard = None, True
        self._open_until = 0.0

    def is_far_host(self, host: str) -> bool:
        """Whether RTCP from ``host`` may be the far side's: reports come from the host of its RTP."""
        target = self.target
        return target is not None and target[0] == host

    def _proved(self, packet: Packet, source: Address, now: Instant) -> bool:
        if packet.payload_type not in self._payload_types:
            return False
        was = self._candidate
        follows = (
            was is not None
            and was.source == source
            and was.ssrc == packet.ssrc
            and 0 < sequence_step(was.sequence, packet.sequence) <= self.MAX_SEQUENCE_STEP
        )
        packets, since = (was.packets + 1, was.since) if was is not None and follows else (1, now)
        self._candidate = _Candidate(source, packet.ssrc, packet.sequence, packets, since)
        return packets >= self.PACKETS and (self._believed is None or self._is_silent(since, now))

    def _is_silent(self, since: Instant, now: Instant) -> bool:
        """Whether nothing has come from the believed address for long enough; ``since`` nothing has for sure."""
        if self._heard:
            return now - since >= self.SILENT_S
        return now - (self._open_until - self.WINDOW_S) >= self.MOVED_S

"""RTCP (:rfc:`3550` section 6) and the bookkeeping behind its reports (appendix A).

``parse`` returns None for what is not a valid compound packet and never raises. Of source descriptions only the CNAME is
kept; application-defined packets, feedback and extended reports are passed over. A leg talks to one party, so a report has one
block at most when we write it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from struct import Struct
from typing import Final, TypeAlias

from parkade.base.clock import Instant
from parkade.rtp.packet import CLOCK_HZ, Packet

_NTP_EPOCH_S = 2_208_988_800
_SR, _RR, _SDES, _BYE = 200, 201, 202, 203
_KINDS = range(192, 224)
_CNAME = 1
_HEADER = Struct("!BBH")
_BLOCK = Struct("!IIIIII")
_SENDER = Struct("!IQIII")
_WORD = Struct("!I")
_SOURCE = Struct("!BBHI")
"""A header, and the SSRC that follows it."""


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """One report block: how ``ssrc`` is received (section 6.4.1).

    ``fraction_lost`` is in 1/256, ``jitter`` in timestamp units, ``last_report`` the middle 32 bits of an NTP time,
    ``delay`` in 1/65536 s.
    """

    ssrc: int
    fraction_lost: int
    lost: int
    highest_sequence: int
    jitter: int
    last_report: int = 0
    delay: int = 0


@dataclass(frozen=True, slots=True)
class SenderReport:
    """What ``ssrc`` has sent, at NTP time ``ntp`` (32.32 bits) and at ``timestamp`` on its own clock."""

    ssrc: int
    ntp: int
    timestamp: int
    packets: int
    octets: int
    blocks: tuple[ReportBlock, ...] = ()


@dataclass(frozen=True, slots=True)
class ReceiverReport:
    """From somebody who sends nothing."""

    ssrc: int
    blocks: tuple[ReportBlock, ...] = ()


@dataclass(frozen=True, slots=True)
class SourceDescription:
    """The canonical name of ``ssrc``; empty if there is none."""

    ssrc: int
    cname: str


@dataclass(frozen=True, slots=True)
class Goodbye:
    """These sources send no more."""

    ssrcs: tuple[int, ...]


Rtcp: TypeAlias = SenderReport | ReceiverReport | SourceDescription | Goodbye


def ntp(now: Instant) -> int:
    """``now`` as a 64-bit NTP time."""
    return int((now + _NTP_EPOCH_S) * 0x1_0000_0000) & 0xFFFF_FFFF_FFFF_FFFF


def interval_s(chance: float, *, first: bool = False) -> float:
    """How long to wait until the next report, with ``chance`` from [0, 1) (section 6.3.1 with two members)."""
    minimum_s = 2.5 if first else 5.0
    return minimum_s * (0.5 + chance) / 1.21828


def encode(packets: Iterable[Rtcp]) -> bytes:
    """A compound packet. It must begin with a report (section 6.1), which is the caller's duty."""
    return b"".join(map(_encode, packets))


def _encode(packet: Rtcp) -> bytes:
    match packet:
        case SenderReport(ssrc, ntp_time, timestamp, sent, octets, blocks):
            body = _SENDER.pack(ssrc, ntp_time, timestamp, sent & 0xFFFFFFFF, octets & 0xFFFFFFFF)
            return _framed(_SR, len(blocks), body + b"".join(map(_block, blocks)))
        case ReceiverReport(ssrc, blocks):
            return _framed(_RR, len(blocks), _WORD.pack(ssrc) + b"".join(map(_block, blocks)))
        case SourceDescription(ssrc, cname):
            return _framed(_SDES, 1, _WORD.pack(ssrc) + _name_item(cname))
        case Goodbye(ssrcs):
            return _framed(_BYE, len(ssrcs), b"".join(map(_WORD.pack, ssrcs)))


def own_report(
    ssrc: int, cname: str, sent: tuple[int, int, int, int] | None, block: ReportBlock | None, *, leaving: bool = False
) -> bytes:
    """What a party with one source sends: its report, its name and, with ``leaving``, BYE; as ``encode`` would write it.

    ``sent`` has the NTP time, timestamp, packets and octets of a sender report; without it the report is a receiver's.
    """
    if sent is None:
        kind, body = _RR, _WORD.pack(ssrc)
    else:
        ntp_time, timestamp, packets, octets = sent
        kind, body = _SR, _SENDER.pack(ssrc, ntp_time, timestamp, packets & 0xFFFFFFFF, octets & 0xFFFFFFFF)
    if block is not None:
        body += _block(block)
    name = _name_item(cname)
    head = _HEADER.pack(0x80 if block is None else 0x81, kind, len(body) // 4)
    compound = head + body + _SOURCE.pack(0x81, _SDES, 1 + len(name) // 4, ssrc) + name
    return compound + _SOURCE.pack(0x81, _BYE, 1, ssrc) if leaving else compound


@lru_cache(maxsize=4)
def _name_item(cname: str) -> bytes:
    """What follows the SSRC in a chunk; all legs of one process have the same."""
    name = cname.encode()[:255]
    item = bytes((_CNAME, len(name))) + name
    return item + bytes(4 - len(item) % 4)


def _framed(kind: int, count: int, body: bytes) -> bytes:
    return _HEADER.pack(0x80 | count, kind, len(body) // 4) + body


def _block(r: ReportBlock) -> bytes:
    lost = max(-0x800000, min(r.lost, 0x7FFFFF)) & 0xFFFFFF
    return _BLOCK.pack(r.ssrc, r.fraction_lost << 24 | lost, r.highest_sequence, r.jitter, r.last_report, r.delay)


def parse(data: bytes) -> tuple[Rtcp, ...] | None:
    """The packets of a compound, checked as in appendix A.2; None if it is not valid."""
    found: list[Rtcp] = []
    at = 0
    while at < len(data):
        if len(data) - at < 4:
            return None
        first, kind, words = _HEADER.unpack_from(data, at)
        end = at + 4 + 4 * words
        if first >> 6 != 2 or kind not in _KINDS or end > len(data):
            return None
        body = data[at + 4 : end]
        if first & 0x20:
            # Only the last packet may be padded, and some phones pad by whole words only.
            if end != len(data) or not body or not 0 < body[-1] <= len(body):
                return None
            body = body[: len(body) - body[-1]]
        packets = _decode(kind, first & 0x1F, body)
        if packets is None:
            return None
        found += packets
        at = end
    return tuple(found) if found else None


def _decode(kind: int, count: int, body: bytes) -> list[Rtcp] | None:
    match kind:
        case 200 if len(body) >= _SENDER.size + count * _BLOCK.size:
            ssrc, ntp_time, timestamp, sent, octets = _SENDER.unpack_from(body)
            return [SenderReport(ssrc, ntp_time, timestamp, sent, octets, _blocks(body, _SENDER.size, count))]
        case 201 if len(body) >= 4 + count * _BLOCK.size:
            return [ReceiverReport(_word(body, 0), _blocks(body, 4, count))]
        case 202:
            return _chunks(body, count)
        case 203 if len(body) >= 4 * count:
            return [Goodbye(tuple(_word(body, 4 * n) for n in range(count)))]
        case 200 | 201 | 203:
            return None
        case _:
            return []


def _word(body: bytes, at: int) -> int:
    return int.from_bytes(body[at : at + 4], "big")


def _blocks(body: bytes, at: int, count: int) -> tuple[ReportBlock, ...]:
    blocks = (_BLOCK.unpack_from(body, at + n * _BLOCK.size) for n in range(count))
    return tuple(
        ReportBlock(ssrc, loss >> 24, (loss & 0xFFFFFF ^ 0x800000) - 0x800000, highest, jitter, last, delay)
        for ssrc, loss, highest, jitter, last, delay in blocks
    )


def _chunks(body: bytes, count: int) -> list[Rtcp] | None:
    found: list[Rtcp] = []
    at = 0
    for _ in range(count):
        if at + 4 > len(body):
            return None
        ssrc, cname = _word(body, at), ""
        at += 4
        while at < len(body) and body[at]:
            if at + 2 > len(body) or at + 2 + body[at + 1] > len(body):
                return None
            if body[at] == _CNAME:
                cname = body[at + 2 : at + 2 + body[at + 1]].decode("utf-8", "replace")
            at += 2 + body[at + 1]
        at += 4 - at % 4
        found.append(SourceDescription(ssrc, cname))
    return found


class Receiver:
    """How one source is received: counted packets, loss and jitter (appendices A.1, A.3, A.8).

    A jump of more than ``MAX_DROPOUT`` counts only when a second packet follows it; then the source has restarted and so do
    the figures of the current source, not the totals.
    """

    __slots__ = (
        "_base",
        "_cycles",
        "_expected_before",
        "_heard_report",
        "_jitter",
        "_lost_before",
        "_max",
        "_received",
        "_received_before",
        "_suspect",
        "_transit",
        "ssrc",
        "total_received",
    )

    MAX_DROPOUT: Final = 3000
    MAX_MISORDER: Final = 100

    def __init__(self) -> None:
        self.ssrc: int | None = None
        self.total_received = 0
        self._lost_before = 0
        self._heard_report: tuple[int, Instant] | None = None
        self._base = self._max = self._cycles = 0
        self._suspect: int | None = None
        self._received = self._received_before = self._expected_before = 0
        self._jitter = 0
        """In sixteenths of a timestamp unit."""
        self._transit: int | None = None

    def receive(self, packet: Packet, now: Instant) -> None:
        """Count ``packet``, whose source has been checked elsewhere."""
        _, _, sequence, timestamp, ssrc, _ = packet
        self.total_received += 1
        if ssrc != self.ssrc:
            self._restart(sequence)
            self.ssrc = ssrc
            self._heard_report = None
        else:
            step = sequence - self._max & 0xFFFF
            if step < self.MAX_DROPOUT:
                if sequence < self._max:
                    self._cycles += 0x10000
                self._max = sequence
            elif step <= 0x10000 - self.MAX_MISORDER:
                if sequence != self._suspect:
                    self._suspect = sequence + 1 & 0xFFFF
                    return
                self._restart(sequence)
        self._received += 1
        transit = int(now * CLOCK_HZ) - timestamp
        if self._transit is not None:
            step = (transit - self._transit + 0x80000000 & 0xFFFFFFFF) - 0x80000000
            self._jitter += abs(step) - (self._jitter + 8 >> 4)
        self._transit = transit

    @property
    def lost(self) -> int:
        """Packets that never came, over all sources of this leg; duplicates make it smaller, never negative."""
        return self._lost_before + max(0, self._expected() - self._received)

    @property
    def jitter(self) -> int:
        """Of the current source, in timestamp units."""
        return self._jitter >> 4

    def sender_report(self, report: SenderReport, now: Instant) -> None:
        """A report of the source arrived: the next block says so, which lets the source measure the round trip."""
        if report.ssrc == self.ssrc:
            self._heard_report = (report.ntp >> 16 & 0xFFFFFFFF, now)

    def block(self, now: Instant) -> ReportBlock | None:
        """The report block of this interval, which ends with it; None if nothing was ever received."""
        if self.ssrc is None:
            return None
        expected = self._expected()
        expected_now, received_now = expected - self._expected_before, self._received - self._received_before
        self._expected_before, self._received_before = expected, self._received
        lost_now = expected_now - received_now
        fraction = (lost_now << 8) // expected_now if expected_now > 0 and lost_now > 0 else 0
        last_report, delay = 0, 0
        if self._heard_report is not None:
            last_report, heard_at = self._heard_report
            delay = min(int((now - heard_at) * 65536), 0xFFFFFFFF)
        return ReportBlock(
            ssrc=self.ssrc,
            fraction_lost=min(fraction, 255),
            lost=expected - self._received,
            highest_sequence=self._cycles + self._max & 0xFFFFFFFF,
            jitter=self.jitter,
            last_report=last_report,
            delay=delay,
        )

    def _expected(self) -> int:
        return self._cycles + self._max - self._base + 1 if self.ssrc is not None else 0

    def _restart(self, sequence: int) -> None:
        self._lost_before = self.lost
        self._base = self._max = sequence
        self._cycles = 0
        self._suspect = self._transit = None
        self._received = self._received_before = self._expected_before = 0
        self._jitter = 0

"""RTP packets (:rfc:`3550` section 5.1) and the arithmetic that makes one unbroken stream of changing sources.

``parse`` returns None for what is not RTP and never raises. Header extensions and contributing sources are passed over,
padding is removed. Nothing here knows codecs beyond the 8000 Hz clock.
"""

from __future__ import annotations

from struct import Struct
from typing import Final, NamedTuple

from parkade.base.clock import Instant

CLOCK_HZ = 8000
"""The timestamp clock of G.711 and of telephone-event beside it."""

_HEADER = Struct("!BBHII")
_unpack, pack_header = _HEADER.unpack_from, _HEADER.pack
"""``pack_header`` makes the fixed header: 0x80, payload type and marker, sequence, timestamp, SSRC."""
HEADER_BYTES = 12


class Packet(NamedTuple):
    """One packet. ``marker`` starts a talkspurt (:rfc:`3551` section 4.1)."""

    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes

    def encode(self) -> bytes:
        """The packet as it goes on the wire: version 2, no padding, extension or contributing sources."""
        kind = self.payload_type | 0x80 if self.marker else self.payload_type
        return pack_header(0x80, kind, self.sequence, self.timestamp, self.ssrc) + self.payload


def parse(data: bytes) -> Packet | None:
    """The packet in a datagram, or None if it is none. Does not tell RTP from RTCP: see ``is_rtcp``."""
    size = len(data)
    if size < HEADER_BYTES:
        return None
    first, kind, sequence, timestamp, ssrc = _unpack(data)
    start = HEADER_BYTES
    if first != 0x80:
        if first >> 6 != 2:
            return None
        start += 4 * (first & 0x0F)
        if first & 0x10:
            if size < start + 4:
                return None
            start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4], "big")
        if first & 0x20:
            padding = data[-1]
            if padding == 0:
                return None
            size -= padding
        if start > size:
            return None
    return Packet(kind & 0x7F, kind > 0x7F, sequence, timestamp, ssrc, data[start:size])


def parse_header(data: bytearray) -> Packet | None:
    """As ``parse``, but without the payload, and None also for packets that have more before it than the fixed header.

    Of what follows the packet in a buffer nothing is read; the caller knows that there are ``HEADER_BYTES`` at least.
    """
    first, kind, sequence, timestamp, ssrc = _unpack(data)
    return Packet(kind & 0x7F, kind > 0x7F, sequence, timestamp, ssrc, b"") if first == 0x80 else None


def is_rtcp(data: bytes) -> bool:
    """Tell RTCP from RTP where both share a port (:rfc:`5761` section 4)."""
    return len(data) > 1 and 192 <= data[1] <= 223


def sequence_step(earlier: int, later: int) -> int:
    """How far ``later`` is after ``earlier`` on the circle of 16-bit numbers: -32768 to 32767."""
    return (later - earlier + 0x8000 & 0xFFFF) - 0x8000


def timestamp_step(earlier: int, later: int) -> int:
    """How far ``later`` is after ``earlier`` on the circle of 32-bit numbers: -2**31 to 2**31 - 1."""
    return (later - earlier + 0x80000000 & 0xFFFFFFFF) - 0x80000000


class Stream:
    """What one leg is sent: one SSRC, one run of sequence numbers and one clock, whoever speaks.

    A source is either this side's own sound (``play``) or the packets of a peer (``relay``). When the source changes, the
    sequence goes on by one, the timestamp catches up with the time that has passed and the marker is set. Within a relayed
    source gaps and order are kept, so that the listener's phone counts and conceals what was really lost; a number that was
    sent already is never sent again.
    """

    __slots__ = (
        "_base_at",
        "_base_timestamp",
        "_last_at",
        "_missing",
        "_old",
        "_sequence_in",
        "_sequence_shift",
        "_source",
        "_timestamp_in",
        "_timestamp_shift",
        "octets",
        "packets",
        "sequence",
        "ssrc",
        "timestamp",
    )

    MAX_SEQUENCE_STEP: Final = 3000
    MAX_TIMESTAMP_STEP: Final = 60 * CLOCK_HZ
    """A relayed source that jumps further than these has started anew without saying so."""
    MAX_LATE: Final = 64
    """A relayed packet that is further behind has missed every jitter buffer."""

    _NOBODY: Final = -1
    _OURSELVES: Final = -2

    def __init__(self, ssrc: int, sequence: int, timestamp: int) -> None:
        """The first packet has exactly this ``sequence`` and ``timestamp``; all three should be random (section 5.1)."""
        self.ssrc = ssrc
        self.packets = 0
        self.octets = 0
        self._source = self._NOBODY
        self.sequence = sequence - 1 & 0xFFFF
        """The highest number sent."""
        self.timestamp = timestamp
        """The timestamp that follows everything sent."""
        self._sequence_shift = 0
        self._timestamp_shift = 0
        self._sequence_in = 0
        self._timestamp_in = 0
        self._missing: set[int] | None = None
        """Numbers of the relayed source that have not come, though higher ones have."""
        self._old = self._NOBODY
        """The number after a relayed packet that came too late; another packet may have it only if numbering began anew."""
        self._base_timestamp = timestamp
        self._base_at: Instant | None = None
        self._last_at: Instant = 0.0

    @classmethod
    def resumed(cls, ssrc: int, sequence: int, timestamp: int, at: Instant) -> Stream:
        """A stream that another process began: ``sequence`` is not below its last one, ``timestamp`` was its clock ``at``."""
        stream = cls(ssrc, sequence + 1 & 0xFFFF, timestamp)
        stream._base_at = at
        return stream

    def switch(self) -> None:
        """Whatever is sent next comes from another source."""
        self._source = self._NOBODY

    def play(self, payload_type: int, payload: bytes, now: Instant) -> bytes:
        """The next piece of our own G.711 sound, one octet a sample; follows the piece before it without a gap."""
        marker = self._source != self._OURSELVES
        if marker:
            self._begin(self._OURSELVES, now)
        samples = len(payload)
        self.sequence = sequence = self.sequence + 1 & 0xFFFF
        timestamp = self.timestamp
        self.timestamp = timestamp + samples & 0xFFFFFFFF
        self._last_at = now
        self.packets += 1
        self.octets += samples
        return pack_header(0x80, payload_type | 0x80 if marker else payload_type, sequence, timestamp, self.ssrc) + payload

    def played(self, count: int, samples: int, now: Instant) -> None:
        """Go on as if ``play`` had been called ``count`` times, with ``samples`` each and the last time ``now``."""
        self.sequence = self.sequence + count & 0xFFFF
        self.timestamp = self.timestamp + count * samples & 0xFFFFFFFF
        self.packets += count
        self.octets += count * samples
        self._last_at = now

    def relay(self, packet: Packet, payload_type: int, payload: bytes, now: Instant) -> bytes | None:
        """``packet`` of a peer, its ``payload`` as this leg needs it; None for one that comes too late or came before.

        Numbering that goes back under the same SSRC has begun anew; that shows in two such packets in a row, as in
        appendix A.1, and the first of them is lost.
        """
        _, marker, sequence_in, timestamp_in, ssrc_in, _ = packet
        # The two steps are written out because this is the busiest line of a relayed call.
        step = (sequence_in - self._sequence_in + 0x8000 & 0xFFFF) - 0x8000
        elapsed = (timestamp_in - self._timestamp_in + 0x80000000 & 0xFFFFFFFF) - 0x80000000
        known = ssrc_in == self._source
        if not (
            known and -self.MAX_SEQUENCE_STEP <= step <= self.MAX_SEQUENCE_STEP and abs(elapsed) <= self.MAX_TIMESTAMP_STEP
        ):
            step, marker = self._join(packet, now), True
        elif step != 1:
            if step > 1:
                self._miss(sequence_in, step)
            elif not self._fills_a_gap(sequence_in):
                if sequence_in != self._old:
                    self._old = sequence_in + 1 & 0xFFFF
                    return None
                step, marker = self._join(packet, now), True
        sequence = sequence_in + self._sequence_shift & 0xFFFF
        timestamp = timestamp_in + self._timestamp_shift & 0xFFFFFFFF
        if step > 0:
            self.sequence, self._sequence_in, self._timestamp_in = sequence, sequence_in, timestamp_in
            self._last_at = now
            self._old = self._NOBODY
        after = timestamp + len(payload) & 0xFFFFFFFF
        if after - self.timestamp & 0xFFFFFFFF < 0x80000000:
            self.timestamp = after
        self.packets += 1
        self.octets += len(payload)
        return pack_header(0x80, payload_type | 0x80 if marker else payload_type, sequence, timestamp, self.ssrc) + payload

    def timestamp_at(self, now: Instant) -> int:
        """The RTP time of ``now`` on this stream's clock, for sender reports (section 6.4.1)."""
        return self.timestamp + round((now - self._last_at) * CLOCK_HZ) & 0xFFFFFFFF

    def _join(self, packet: Packet, now: Instant) -> int:
        """Take a relayed source up at ``packet``, as the number after the one sent last."""
        self._begin(packet.ssrc, now)
        self._sequence_shift = self.sequence + 1 - packet.sequence
        self._timestamp_shift = self.timestamp - packet.timestamp
        self._missing = None
        self._old = self._NOBODY
        return 1

    def _miss(self, sequence_in: int, step: int) -> None:
        """Note the numbers left out by a step forward; those too far behind by now are given up."""
        fresh = {sequence_in - back & 0xFFFF for back in range(1, min(step, self.MAX_LATE))}
        kept = self._missing or ()
        self._missing = fresh.union(number for number in kept if -self.MAX_LATE < sequence_step(sequence_in, number) < 0)

    def _fills_a_gap(self, sequence_in: int) -> bool:
        missing = self._missing
        if not missing or sequence_in not in missing:
            return False
        missing.remove(sequence_in)
        return sequence_step(self._sequence_in, sequence_in) > -self.MAX_LATE

    def _begin(self, source: int, now: Instant) -> None:
        # Time is counted from the first packet, not from the last: a thousand changes add no drift.
        if self._base_at is None:
            self._base_at = now
        due = self._base_timestamp + round((now - self._base_at) * CLOCK_HZ) & 0xFFFFFFFF
        if timestamp_step(self.timestamp, due) > 0:
            self.timestamp = due
        self._source = source

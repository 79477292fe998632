"""The one way in and the one way out for the RTP of a leg. SRTP would be encrypted and decrypted here; this version has none.

``receive`` is given what came from the socket and gives a packet that may be believed; ``transmit`` sends a packet.
"""

from __future__ import annotations

from parkade.base.clock import Instant
from parkade.media.leg import NOTHING_YET, RtpLeg
from parkade.media.reports import take_report
from parkade.rtp.latch import Address
from parkade.rtp.packet import HEADER_BYTES, Packet, is_rtcp, parse, parse_header
from parkade.rtp.rtcp import Receiver

MAX_BYTES = 2048
"""Of one datagram; what is longer is no sound."""


def transmit(leg: RtpLeg, data: bytes) -> None:
    """Send one RTP packet. With a full buffer or an unreachable phone it is lost, as on any network."""
    try:
        leg.rtp.sendto(data, leg.target)  # type: ignore[arg-type]
    except OSError:
        return


def receive(leg: RtpLeg, buffer: bytearray, size: int, source: Address, now: Instant) -> Packet | None:
    """The packet of ``leg``'s phone in the first ``size`` bytes, counted; None if it is nobody's, or if nobody wants its sound.

    Reports on the same port (rtcp-mux) are taken here.
    """
    described = leg.described
    if described is None:
        return None
    receives = described.receives
    # Sound that nobody hears is the most frequent packet there is: every parked phone sends it. It is not copied.
    if receives and not (leg.listeners or leg.waiting or leg.attentive or leg.recording or size < HEADER_BYTES):
        packet = parse_header(buffer)
        if packet is not None and packet.payload_type in leg.codecs and leg.latch.believes(source):
            _count(leg, packet, now)
            return None
    data = bytes(memoryview(buffer)[:size])
    if is_rtcp(data) and described.rtcp_port == described.port:
        take_report(leg, data, source, now)
        return None
    packet = parse(data)
    if packet is None or not receives or not leg.latch.accept(packet, source, now):
        return None
    _count(leg, packet, now)
    return packet


def _count(leg: RtpLeg, packet: Packet, now: Instant) -> None:
    if leg.receiver is NOTHING_YET:
        leg.receiver = Receiver()
    leg.receiver.receive(packet, now)

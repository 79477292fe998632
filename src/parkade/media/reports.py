"""RTCP of one leg (:rfc:`3550` section 6): what is sent to the far side, and what is taken from it.

Of the reports that come only the time of sender reports is used, so that the far side can measure its round trip. Without
rtcp-mux (:rfc:`5761`) RTCP has a port of its own; the first report from the host of the far side's RTP shows where, behind
NAT, that port is.
"""

from __future__ import annotations

from parkade.base.clock import Instant
from parkade.media.leg import RtpLeg
from parkade.rtp.latch import Address
from parkade.rtp.rtcp import SenderReport, interval_s, ntp, own_report, parse


def first_report_s(chance: int) -> float:
    """How long a new leg waits for its first report, by the lowest 16 bits of ``chance``."""
    return interval_s((chance & 0xFFFF) / 0x10000, first=True)


def next_report_s(chance: int) -> float:
    """How long it waits for each further one."""
    return interval_s((chance & 0xFFFF) / 0x10000)


def report_on(leg: RtpLeg, cname: str, now: Instant, *, leaving: bool = False) -> None:
    """Send the report that is due for ``leg``; with ``leaving`` it ends with BYE."""
    if leg.described is None:
        return
    muxed = leg.described.rtcp_port == leg.described.port
    target = leg.latch.target if muxed else leg.rtcp_target
    if target is None or not target[0]:
        return
    leg.has_reported = True
    stream = leg.stream
    sent = (ntp(now), stream.timestamp_at(now), stream.packets, stream.octets) if stream.packets else None
    report = own_report(stream.ssrc, cname, sent, leg.receiver.block(now), leaving=leaving)
    try:
        (leg.rtp if muxed else leg.rtcp).sendto(report, target)
    except OSError:
        return


def take_report(leg: RtpLeg, data: bytes, source: Address, now: Instant) -> None:
    """Take what came from ``source``, unless that is no host of the far side."""
    if not leg.latch.is_far_host(source[0]):
        return
    packets = parse(data)
    if packets is None:
        return
    leg.rtcp_target = source
    leg.reports_heard += 1
    for packet in packets:
        if isinstance(packet, SenderReport):
            leg.receiver.sender_report(packet, now)

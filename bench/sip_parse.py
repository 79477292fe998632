"""How long reading and writing a SIP message takes: microseconds, the best of several runs, one core."""

from __future__ import annotations

import time
import timeit
from collections.abc import Callable

from parkade.sip.message.message import Request, make_response, parse_message

SDP = (
    b"v=0\r\no=- 20518 0 IN IP4 192.0.2.21\r\ns=-\r\nc=IN IP4 192.0.2.21\r\nt=0 0\r\nm=audio 11780 RTP/AVP 0 8 9 101\r\n"
    b"a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:9 G722/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
    b"a=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
)
INVITE = (
    b"INVITE sip:*801@192.0.2.5:5060 SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 192.0.2.21:5060;branch=z9hG4bK1750263711;rport\r\n"
    b'From: "An Nguyen" <sip:4021@192.0.2.5:5060>;tag=982610448\r\n'
    b"To: <sip:*801@192.0.2.5:5060>\r\n"
    b"Call-ID: 0_1438221702@192.0.2.21\r\n"
    b"CSeq: 1 INVITE\r\n"
    b"Contact: <sip:4021@192.0.2.21:5060>\r\n"
    b"Content-Type: application/sdp\r\n"
    b"Allow: INVITE, INFO, PRACK, ACK, BYE, CANCEL, OPTIONS, NOTIFY, REGISTER, SUBSCRIBE, REFER, PUBLISH, UPDATE, MESSAGE\r\n"
    b"Max-Forwards: 70\r\n"
    b"User-Agent: Deskphone T4 66.86.0.15\r\n"
    b"Supported: replaces, 100rel\r\n"
    b"Allow-Events: talk,hold,conference,refer,check-sync\r\n"
    b"Content-Length: " + str(len(SDP)).encode() + b"\r\n\r\n" + SDP
)


def micros(work: Callable[[], object], number: int = 50, repeat: int = 400) -> float:
    """Microseconds for one ``work()``, the best of ``repeat`` runs."""
    return min(timeit.repeat(work, timer=time.process_time, number=number, repeat=repeat)) / number * 1e6


def typed() -> None:
    """Read the INVITE and everything that every layer asks of it."""
    request = parse_message(INVITE)
    _ = request.top_via.branch, request.cseq.number, request.call_id, request.from_.tag, request.to.tag


def main() -> None:
    """Print the figures."""
    request = parse_message(INVITE)
    assert isinstance(request, Request)
    sdp_headers = [("Contact", "<sip:*801@192.0.2.5:5060>"), ("Content-Type", "application/sdp")]
    print(f"INVITE with SDP, {len(INVITE)} bytes")
    print(f"  read, checked                     {micros(lambda: parse_message(INVITE)):6.1f} µs")
    print(f"  read, checked, typed headers      {micros(typed):6.1f} µs")
    print(f"  write                             {micros(request.encode):6.1f} µs")
    ringing = micros(lambda: make_response(request, 180, to_tag="a1b2c3").encode())
    print(f"  make and write a 180              {ringing:6.1f} µs")
    accepted = micros(lambda: make_response(request, 200, to_tag="a1b2c3", headers=sdp_headers, body=SDP).encode())
    print(f"  make and write a 200 with SDP     {accepted:6.1f} µs")


if __name__ == "__main__":
    main()

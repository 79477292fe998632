"""What one call costs the SIP room: INVITE, 200, ACK, BYE, 200 through a ``UserAgent``, parsing and writing included.

Run ``python bench/sip_session.py``; prints microseconds of CPU a call, incoming and outgoing. The phone's side is prepared
bytes, so only ours is measured.
"""

from __future__ import annotations

import gc
import random
import time

from parkade.base.clock import Instant
from parkade.base.ids import Ids
from parkade.sip.message.flow import Flow, Send
from parkade.sip.message.headers import NameAddr
from parkade.sip.session.handler import Quiet
from parkade.sip.session.session import Session
from parkade.sip.session.ua import UserAgent
from parkade.sip.session.usage import Usage
from parkade.sip.transaction.layer import ServerTransaction

CALLS = 5000
PHONE = Flow("UDP", "192.0.2.99", 5060)
SDP = (
    b"v=0\r\no=- 3900000000 3900000000 IN IP4 192.0.2.99\r\ns=-\r\nc=IN IP4 192.0.2.99\r\nt=0 0\r\n"
    b"m=audio 40000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=sendrecv\r\n"
)
INVITE = (
    "INVITE sip:*801@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.99:5060;rport;branch=z9hG4bKi{n}\r\nMax-Forwards: 70\r\n"
    'From: "Alice" <sip:101@acme.test>;tag=p{n}\r\nTo: <sip:*801@acme.test>\r\nCall-ID: c{n}@192.0.2.99\r\nCSeq: 1 INVITE\r\n'
    "Contact: <sip:101@192.0.2.99:5060>\r\nAllow: INVITE, ACK, BYE, CANCEL, OPTIONS, NOTIFY, REFER, UPDATE\r\n"
    "Supported: replaces, timer\r\nUser-Agent: Phone/1.0\r\nContent-Type: application/sdp\r\nContent-Length: {size}\r\n\r\n"
)
IN_DIALOG = (
    "{method} sip:192.0.2.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.99:5060;rport;branch=z9hG4bK{method}{n}\r\n"
    'Max-Forwards: 70\r\nFrom: "Alice" <sip:101@acme.test>;tag=p{n}\r\nTo: <sip:*801@acme.test>;tag={tag}\r\n'
    "Call-ID: c{n}@192.0.2.99\r\nCSeq: {seq} {method}\r\nContent-Length: 0\r\n\r\n"
)


class Owner(Quiet):
    """Answers at once."""

    def on_invite(self, session: Session, now: Instant) -> None:
        session.handler = self
        session.accept(SDP, now)

    def on_request(self, tx: ServerTransaction, now: Instant) -> None:
        raise AssertionError

    def on_subscribe(self, tx: ServerTransaction, beside: Usage, now: Instant) -> None:
        raise AssertionError


def drain(agent: UserAgent) -> list[bytes]:
    sent = [effect.data for effect in agent.out if isinstance(effect, Send)]
    agent.out.clear()
    return sent


def header(message: bytes, name: bytes) -> bytes:
    start = message.index(b"\r\n" + name + b": ") + len(name) + 4
    return message[start : message.index(b"\r\n", start)]


def incoming(agent: UserAgent, calls: int, now: Instant) -> float:
    spent = 0.0
    clock = time.process_time
    for n in range(calls):
        invite = INVITE.format(n=f"{now:.0f}x{n}", size=len(SDP)).encode() + SDP
        start = clock()
        agent.receive(PHONE, invite, now)
        spent += clock() - start
        tag = header(drain(agent)[0], b"To").rpartition(b"tag=")[2].decode()
        ack = IN_DIALOG.format(method="ACK", n=f"{now:.0f}x{n}", tag=tag, seq=1).encode()
        bye = IN_DIALOG.format(method="BYE", n=f"{now:.0f}x{n}", tag=tag, seq=2).encode()
        start = clock()
        agent.receive(PHONE, ack, now)
        agent.receive(PHONE, bye, now)
        spent += clock() - start
        drain(agent)
    start = clock()
    agent.wake(now + 100)
    return (spent + clock() - start) / calls


def outgoing(agent: UserAgent, owner: Owner, calls: int, now: Instant) -> float:
    spent = 0.0
    clock = time.process_time
    us, them = NameAddr("Alice", "sip:101@acme.test"), NameAddr("", "sip:102@acme.test")
    for n in range(calls):
        start = clock()
        session = agent.invite(flow=PHONE, target="sip:102@192.0.2.99:5060", from_=us, to=them, sdp=SDP, handler=owner, now=now)
        spent += clock() - start
        (invite,) = drain(agent)
        ok = answer(invite, b"200 OK", f"p{n}".encode(), SDP)
        start = clock()
        agent.receive(PHONE, ok, now)
        session.end(now)
        spent += clock() - start
        bye = answer(drain(agent)[1], b"200 OK", b"", b"")
        start = clock()
        agent.receive(PHONE, bye, now)
        spent += clock() - start
    start = clock()
    agent.wake(now + 100)
    return (spent + clock() - start) / calls


def answer(request: bytes, status: bytes, tag: bytes, body: bytes) -> bytes:
    to = header(request, b"To") + (b";tag=" + tag if tag else b"")
    lines = [
        b"SIP/2.0 " + status,
        b"Via: " + header(request, b"Via"),
        b"From: " + header(request, b"From"),
        b"To: " + to,
        b"Call-ID: " + header(request, b"Call-ID"),
        b"CSeq: " + header(request, b"CSeq"),
        b"Contact: <sip:102@192.0.2.99:5060>",
        b"Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, NOTIFY, REFER, UPDATE",
        b"Content-Type: application/sdp",
        b"Content-Length: " + str(len(body)).encode(),
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def main() -> None:
    owner = Owner()
    agent = UserAgent(owner, Ids(random.Random(1).randbytes), lambda _: ("192.0.2.1", 5060))
    gc.freeze()
    now = 1000.0
    incoming(agent, 500, now)
    outgoing(agent, owner, 500, now + 200)
    print(f"incoming call: {1e6 * incoming(agent, CALLS, now + 400):.0f} us")
    print(f"outgoing call: {1e6 * outgoing(agent, owner, CALLS, now + 600):.0f} us")
    print(f"left alive: {len(agent)}")


if __name__ == "__main__":
    main()

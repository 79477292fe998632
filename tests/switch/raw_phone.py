"""A phone played by hand: it writes each message itself and does nothing of its own accord.

For what no user agent would do: say a thing twice, too late, with another's words, or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence

from parkade.base.clock import Instant
from parkade.sip.message.digest import answer_challenge
from parkade.sip.message.flow import Flow, Send, SipEffect
from parkade.sip.message.message import Headers, Message, Request, Response, make_response, parse_message
from parkade.testing.net import Address
from parkade.testing.world import SERVER, SimWorld, password_of

HeaderLines = Sequence[tuple[str, str]]


def sdp(host: str, port: int = 4000, formats: str = "0 8 101", attributes: str = "a=sendrecv") -> bytes:
    """A description of one audio stream."""
    lines = [
        "v=0",
        f"o=- 1 1 IN IP4 {host}",
        "s=-",
        f"c=IN IP4 {host}",
        "t=0 0",
        f"m=audio {port} RTP/AVP {formats}",
        "a=rtpmap:101 telephone-event/8000",
        *attributes.split("\n"),
    ]
    return "".join(f"{line}\r\n" for line in lines).encode()


class RawPhone:
    """Attached at ``host``; ``got`` is everything it was sent, ``sent`` everything it said.

    ``contact_host`` is where it believes to be.
    """

    def __init__(self, world: SimWorld, device: str, host: str, transport: str = "UDP") -> None:
        self.got: list[Message] = []
        self.sent: list[Message] = []
        self.device = device
        self.address = Address(host, 5060)
        self.contact_host = host
        self.password = password_of(device)
        self.world = world
        self._flow = Flow(transport, *SERVER)
        self._out: list[SipEffect] = []
        self._branches = 0
        world.attach(self.address, self)

    @property
    def sdp(self) -> bytes:
        """What it offers."""
        return sdp(self.address.host)

    # What it says

    def request(
        self,
        method: str,
        number: str,
        *,
        call_id: str = "one",
        seq: int = 1,
        to_tag: str = "",
        headers: HeaderLines = (),
        body: bytes = b"",
    ) -> Request:
        """A request as a phone would write it, with a branch of its own."""
        self._branches += 1
        host = self.address.host
        to = f"<sip:{number}@acme.example.com>" + (f";tag={to_tag}" if to_tag else "")
        lines = [
            ("Via", f"SIP/2.0/{self._flow.transport} {host};branch=z9hG4bK{call_id}-{method}-{self._branches};rport"),
            ("Max-Forwards", "70"),
            ("From", f"<sip:{self.device}@acme.example.com>;tag=raw-{call_id}"),
            ("To", to),
            ("Call-ID", call_id),
            ("CSeq", f"{seq} {method}"),
            ("Contact", f"<sip:{self.device}@{self.contact_host}>"),
            *headers,
        ]
        if body:
            lines.append(("Content-Type", "application/sdp"))
        return Request(method, f"sip:{number}@acme.example.com", Headers(lines), body)

    def in_dialog(self, method: str, invite: Request, seq: int) -> Request:
        """A request in the dialog that its answer to ``invite`` has made."""
        self._branches += 1
        target = invite.contact
        assert target is not None
        lines = [
            ("Via", f"SIP/2.0/{self._flow.transport} {self.address.host};branch=z9hG4bKdialog-{self._branches};rport"),
            ("Max-Forwards", "70"),
            ("From", f"{invite.headers.get('To')};tag=raw-tag"),
            ("To", str(invite.from_)),
            ("Call-ID", invite.call_id),
            ("CSeq", f"{seq} {method}"),
        ]
        return Request(method, target.uri, Headers(lines))

    def send(self, message: Message) -> None:
        """Say ``message``; it arrives when time passes."""
        self.sent.append(message)
        self.send_bytes(message.encode())

    def send_bytes(self, data: bytes) -> None:
        """Say whatever ``data`` is."""
        self._out.append(Send(self._flow, data))

    def authorization(self, request: Request, count: int = 1) -> tuple[str, str]:
        """The header that answers the last challenge for ``request``."""
        challenge = next(m for m in reversed(self.got) if isinstance(m, Response) and m.status == 401)
        offered = challenge.headers.all("WWW-Authenticate")
        proof = answer_challenge(offered, self.device, self.password, request.method, request.uri, "cnonce", count)
        assert proof is not None
        return "Authorization", proof

    def ask(self, method: str, number: str, *, headers: HeaderLines = (), body: bytes = b"", call_id: str = "one") -> Request:
        """A request outside of a dialog with its challenge answered; the one that carries the answer."""
        first = self.request(method, number, headers=headers, body=body, call_id=call_id)
        self.send(first)
        self.world.run(0.01)
        if method == "INVITE":
            self.acknowledge(first)
        again = self.request(method, number, headers=[*headers, self.authorization(first)], body=body, call_id=call_id, seq=2)
        self.send(again)
        self.world.run(0.01)
        return again

    def register(self, *, call_id: str = "register") -> None:
        """Register at its own address."""
        self.ask("REGISTER", self.device, call_id=call_id)
        assert self.statuses("REGISTER", call_id)[-1] == 200

    def acknowledge(self, invite: Request) -> None:
        """The ACK for the final response to ``invite`` that came last."""
        response = self.responses("INVITE", invite.call_id)[-1]
        tag = response.to.tag or ""
        ack = self.request("ACK", invite.address.user_text, call_id=invite.call_id, seq=invite.cseq.number, to_tag=tag)
        if response.status >= 300:
            ack.headers.replace_top("Via", str(invite.top_via))
        self.send(ack)
        self.world.run(0.01)

    def answer(self, request: Request, status: int, headers: HeaderLines = (), body: bytes = b"") -> Response:
        """Respond to what it was sent."""
        lines = [("Contact", f"<sip:{self.device}@{self.contact_host}>"), *headers]
        if body:
            lines.append(("Content-Type", "application/sdp"))
        response = make_response(request, status, to_tag="raw-tag", headers=lines, body=body)
        self.send(response)
        self.world.run(0.01)
        return response

    # What it was told

    def requests(self, method: str) -> list[Request]:
        """Requests of that method, repetitions included."""
        return [m for m in self.got if isinstance(m, Request) and m.method == method]

    def responses(self, method: str, call_id: str = "one") -> list[Response]:
        """Responses to requests of that method in one call, repetitions included."""
        answers = [m for m in self.got if isinstance(m, Response)]
        return [m for m in answers if m.cseq.method == method and m.call_id == call_id]

    def statuses(self, method: str, call_id: str = "one") -> list[int]:
        """The statuses of ``responses``."""
        return [m.status for m in self.responses(method, call_id)]

    # Node

    def receive(self, flow: Flow, data: bytes, now: Instant) -> None:
        self.got.append(parse_message(data))

    def flow_lost(self, flow: Flow, now: Instant) -> None:
        """Its stream is gone."""

    def deadline(self) -> Instant | None:
        return None

    def wake(self, now: Instant) -> None:
        """Never due."""

    def drain(self) -> list[SipEffect]:
        out, self._out = self._out, []
        return out

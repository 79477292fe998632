"""A phone played by the test from the text of the RFCs: it writes its messages by hand and knows nothing of our dialogs.

``Rig`` is one user agent of ours facing it, in simulated time.
"""

from __future__ import annotations

from parkade.sip.message.flow import Flow
from parkade.sip.message.headers import NameAddr
from parkade.sip.message.message import Request, Response
from parkade.sip.session.session import Session
from tests.sip.session_wire import Party, Wire, word_of

US, PHONE = "192.0.2.1", "192.0.2.99"
SDP = "v=0\r\no=phone 1 1 IN IP4 192.0.2.99\r\ns=-\r\n"
SDP_2 = "v=0\r\no=phone 1 2 IN IP4 192.0.2.99\r\ns=-\r\n"


class Rig:
    """``us`` is under test; ``take()`` gives what it has sent since the last time, as words, and keeps it in ``got``."""

    def __init__(self, transport: str = "UDP", host: str = PHONE) -> None:
        self.wire = Wire()
        self.us: Party = self.wire.party(US, transport)
        self.us.on_ring = lambda session, now: None
        self.flow = Flow(transport, host, 5060, 0 if transport == "UDP" else 7)
        self.host = host
        self.got: list[Request | Response] = []
        self._branch = 0

    @property
    def session(self) -> Session:
        return self.us.session

    @property
    def now(self) -> float:
        return self.wire.now

    def run(self, seconds: float) -> None:
        self.wire.run(seconds)

    def take(self) -> list[str]:
        """What we have sent since the last call."""
        self.wire.flush()
        self.got = [message for _, _, message in self.wire.log]
        self.wire.log.clear()
        return [word_of(message) for message in self.got]

    def sent(self, word: str) -> Request | Response:
        """The first message of that kind among those last taken."""
        return next(message for message in self.got if word_of(message) == word)

    def request_sent(self, word: str) -> Request:
        found = self.sent(word)
        assert isinstance(found, Request)
        return found

    def response_sent(self, word: str) -> Response:
        found = self.sent(word)
        assert isinstance(found, Response)
        return found

    def put(self, text: str, body: str = "", flow: Flow | None = None) -> None:
        """Give ``text``, a head without its empty line, to our side."""
        data = f"{text.strip()}\nContent-Length: {len(body)}\n\n".replace("\n", "\r\n") + body
        self.us.ua.receive(flow or self.flow, data.encode(), self.wire.now)
        self.wire.flush()

    # The phone as caller

    def ask(
        self,
        method: str,
        seq: int,
        *,
        to_tag: str = "",
        extra: str = "",
        body: str = "",
        branch: str = "",
        contact: str | None = None,
        via: str | None = None,
        content_type: str = "application/sdp",
        uri: str = f"sip:100@{US}",
        from_tag: str = "ph1",
        call_id: str = "call-1",
    ) -> str:
        """Send a request in the dialog ``call-1``; the branch used is returned."""
        self._branch += 1
        branch = branch or f"z9hG4bKphone{self._branch}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        where = f"Contact: <sip:phone@{host}:5060>" if contact is None else contact
        lines = [
            f"{method} {uri} SIP/2.0",
            via or f"Via: SIP/2.0/{self.flow.transport} {host}:5060;branch={branch}",
            "Max-Forwards: 70",
            f"From: Phone <sip:phone@example.com>;tag={from_tag}",
            f"To: <sip:100@example.com>{';tag=' + to_tag if to_tag else ''}",
            f"Call-ID: {call_id}",
            f"CSeq: {seq} {method}",
            where,
            extra,
            f"Content-Type: {content_type}" if body else "",
        ]
        self.put("\n".join(line for line in lines if line), body)
        return branch

    def invite(self, extra: str = "", body: str = SDP, **more: str) -> str:
        """The phone calls us; the branch is returned."""
        return self.ask("INVITE", 1, extra=extra, body=body, **more)

    def answered_call(self, extra: str = "", body: str = SDP) -> str:
        """The phone has called, we have answered, it has sent its ACK. Returns our tag."""
        self.invite(extra, body)
        self.session.accept(b"v=0 ours", self.now)
        self.take()
        tag = self.response_sent("200 INVITE").to.tag or ""
        self.ask("ACK", 1, to_tag=tag)
        self.us.heard.clear()
        return tag

    # The phone as callee

    def call(self, sdp: bytes | None = b"v=0 ours", **more: object) -> Session:
        """We call the phone."""
        session = self.us.ua.invite(
            flow=self.flow,
            target=f"sip:phone@{self.host}:5060",
            from_=NameAddr("Us", "sip:100@example.com"),
            to=NameAddr("", "sip:phone@example.com"),
            sdp=sdp,
            handler=self.us,
            now=self.now,
            **more,  # type: ignore[arg-type]
        )
        self.us.sessions.append(session)
        self.wire.flush()
        return session

    def reply(
        self,
        request: Request,
        status: int,
        *,
        tag: str = "ph1",
        extra: str = "",
        body: str = "",
        contact: str | None = None,
        reason: str = "Whatever",
        content_type: str = "application/sdp",
    ) -> None:
        """Answer ``request`` of ours."""
        to = request.headers.get("To") or ""
        if "tag=" not in to and status > 100 and tag:
            to += f";tag={tag}"
        where = f"Contact: <sip:{tag}@{self.host}:5060>" if contact is None else contact
        lines = [
            f"SIP/2.0 {status} {reason}",
            *(f"Via: {via}" for via in request.headers.all("Via")),
            f"From: {request.headers.get('From')}",
            f"To: {to}",
            f"Call-ID: {request.call_id}",
            f"CSeq: {request.headers.get('CSeq')}",
            where if status < 300 else "",
            extra,
            f"Content-Type: {content_type}" if body else "",
        ]
        self.put("\n".join(line for line in lines if line), body)

    def established_call(self, extra: str = "", sdp: bytes | None = b"v=0 ours") -> Request:
        """We have called, the phone has answered, we have sent the ACK. Returns our INVITE."""
        self.call(sdp)
        self.take()
        invite = self.request_sent("INVITE")
        self.reply(invite, 200, extra=extra, body=SDP)
        self.take()
        self.us.heard.clear()
        return invite

    def ask_back(self, invite: Request, method: str, seq: int, *, extra: str = "", body: str = "", tag: str = "ph1") -> str:
        """A request of the phone in the dialog that our ``invite`` has opened; the branch is returned."""
        self._branch += 1
        branch = f"z9hG4bKback{self._branch}"
        lines = [
            f"{method} sip:{US} SIP/2.0",
            f"Via: SIP/2.0/{self.flow.transport} {self.host}:5060;branch={branch}",
            "Max-Forwards: 70",
            f"From: <sip:phone@example.com>;tag={tag}",
            f"To: {invite.headers.get('From')}",
            f"Call-ID: {invite.call_id}",
            f"CSeq: {seq} {method}",
            f"Contact: <sip:phone@{self.host}:5060>",
            extra,
            "Content-Type: application/sdp" if body else "",
        ]
        self.put("\n".join(line for line in lines if line), body)
        return branch

"""Everything a phone saw and said, message by message, and questions one asks about it afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from parkade.base.clock import Instant
from parkade.calls.identity import Identity
from parkade.sip.message.errors import SipError
from parkade.sip.message.headers import parse_name_addr
from parkade.sip.message.message import Message, Request, Response, is_keepalive, parse_message


@dataclass(frozen=True, slots=True)
class Seen:
    """One message, when it passed, and whether we sent it."""

    at: Instant
    sent: bool
    message: Message

    @property
    def kind(self) -> str:
        """``INVITE`` for a request, ``200 INVITE`` for a response."""
        message = self.message
        return message.method if isinstance(message, Request) else f"{message.status} {message.cseq.method}"


@dataclass(slots=True)
class Recorder:
    """Messages in the order in which they passed, retransmissions too. ``garbage`` is what was received and is no SIP."""

    seen: list[Seen] = field(default_factory=list)
    garbage: list[bytes] = field(default_factory=list)

    def record(self, at: Instant, sent: bool, data: bytes) -> None:
        """Take note of one message; keepalives are left out."""
        if is_keepalive(data):
            return
        try:
            self.seen.append(Seen(at, sent, parse_message(data)))
        except SipError:
            if not sent:
                self.garbage.append(data)

    def received(self, kind: str | None = None, call_id: str | None = None) -> list[Message]:
        """What came in: all of it, or of one ``kind`` (``INVITE``, ``200 INVITE``), or of one call."""
        return [entry.message for entry in self._find(kind, call_id, sent=False)]

    def sent(self, kind: str | None = None, call_id: str | None = None) -> list[Message]:
        """What went out, chosen as in ``received``."""
        return [entry.message for entry in self._find(kind, call_id, sent=True)]

    def statuses(self, method: str, call_id: str | None = None) -> list[int]:
        """The statuses of the responses received to ``method`` requests, in order."""
        received = (entry.message for entry in self._find(None, call_id, sent=False))
        return [m.status for m in received if isinstance(m, Response) and m.cseq.method == method]

    def displays(self, call_id: str) -> list[Identity]:
        """What the display of the phone showed during one call: each change of the other party's name and number."""
        shown: list[Identity] = []
        for entry in self._find(None, call_id, sent=False):
            identity = identity_in(entry.message)
            if identity is not None and shown[-1:] != [identity]:
                shown.append(identity)
        return shown

    def sipfrags(self, call_id: str | None = None) -> list[str]:
        """The status lines that NOTIFY requests brought (``SIP/2.0 200 OK``), each once."""
        bodies = {(m.call_id, m.cseq.number): m.body for m in self.received("NOTIFY", call_id)}
        return [body.decode("utf-8", "replace").strip() for body in bodies.values()]

    def header(self, name: str, call_id: str | None = None) -> str | None:
        """The value of header ``name`` that was received last."""
        values = [m.headers.get(name) for m in self.received(None, call_id) if name in m.headers]
        return values[-1] if values else None

    def _find(self, kind: str | None, call_id: str | None, *, sent: bool) -> Iterator[Seen]:
        for entry in self.seen:
            if entry.sent is sent and kind in (None, entry.kind) and call_id in (None, entry.message.call_id):
                yield entry


def identity_in(message: Message) -> Identity | None:
    """The party that a message shows: P-Asserted-Identity, else Remote-Party-ID, else the From of a first INVITE."""
    value = message.headers.get("P-Asserted-Identity") or message.headers.get("Remote-Party-ID")
    if value is None and isinstance(message, Request) and message.method == "INVITE" and message.to.tag is None:
        value = message.headers.get("From")
    if value is None:
        return None
    try:
        address = parse_name_addr(value)
        return Identity(address.display, address.address.user_text)
    except SipError:
        return None

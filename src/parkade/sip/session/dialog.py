"""One dialog (:rfc:`3261` section 12): who speaks to whom, in which order, and by which way.

It makes requests and judges the order of those received; it sends nothing and has no timers. The way is a ``Flow`` that may be
replaced at any time, because a phone that registers again over a new connection is still the same party.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from parkade.sip.message.errors import SipError
from parkade.sip.message.flow import Flow
from parkade.sip.message.headers import NameAddr, parse_name_addr
from parkade.sip.message.message import Headers, Request, Response
from parkade.sip.message.names import spelling
from parkade.sip.message.uri import SipUri, parse_uri
from parkade.sip.session.offers import OfferAnswer
from parkade.sip.session.usage import Usage
from parkade.sip.transaction.layer import COOKIE

DialogId = tuple[str, str, str]
"""Call-ID, our tag, their tag."""

TARGET_REFRESH = frozenset({"INVITE", "UPDATE", "SUBSCRIBE", "NOTIFY", "REFER"})
"""Requests that carry a Contact and may move the remote target."""


class Dialog:
    """``call_id``, ``local_tag`` and ``remote_tag`` name it; ``local`` and ``remote`` are the From and To of our requests.

    ``target`` is the remote target URI, ``routes`` the route set in the order we use it, ``contact`` our own Contact value.
    ``local_seq`` is the CSeq of our last request, ``remote_seq`` of theirs (None before the first). ``offers`` is whose turn
    it is to speak SDP, ``usages`` what the dialog is used for, oldest first.
    """

    __slots__ = (
        "_flow",
        "_hop",
        "call_id",
        "contact",
        "local",
        "local_seq",
        "local_tag",
        "offers",
        "remote",
        "remote_seq",
        "remote_tag",
        "routes",
        "target",
        "usages",
    )

    def __init__(
        self,
        *,
        call_id: str,
        local: str,
        local_tag: str,
        remote: str,
        remote_tag: str,
        target: str,
        routes: tuple[str, ...],
        contact: str,
        flow: Flow,
        local_seq: int,
        remote_seq: int | None,
    ) -> None:
        self.call_id = call_id
        self.local = local
        self.local_tag = local_tag
        self.remote = remote
        self.remote_tag = remote_tag
        self.target = target
        self.routes = routes
        self.contact = contact
        self.local_seq = local_seq
        self.remote_seq = remote_seq
        self.offers = OfferAnswer()
        self.usages: tuple[Usage, ...] = ()
        self._flow = flow
        self._hop: Flow | None = None

    @classmethod
    def of_server(cls, request: Request, local_tag: str, contact: str, flow: Flow) -> Dialog:
        """The dialog that an incoming ``request`` opens (12.1.1); SipError(400) without a Contact, but for :rfc:`2543`."""
        where = _contact_of(request)
        if where is None and (request.top_via.branch or "").startswith(COOKIE):
            raise SipError(400, "Contact is missing", request)
        where = where or request.from_
        to = request.headers.get("To") or ""
        call_id, from_tag, _ = request.names
        return cls(
            call_id=call_id,
            local=f"{to};tag={local_tag}",
            local_tag=local_tag,
            remote=request.headers.get("From") or "",
            remote_tag=from_tag,
            target=where.uri,
            routes=tuple(request.headers.all("Record-Route")),
            contact=contact,
            flow=flow,
            local_seq=0,
            remote_seq=request.cseq.number,
        )

    @classmethod
    def of_client(cls, request: Request, response: Response, contact: str, flow: Flow) -> Dialog:
        """The dialog that a ``response`` to our ``request`` opens (12.1.2). Without a Contact the target is the request's."""
        where = _contact_of(response)
        return cls(
            call_id=request.call_id,
            local=request.headers.get("From") or "",
            local_tag=request.from_.tag or "",
            remote=response.headers.get("To") or "",
            remote_tag=response.to.tag or "",
            target=where.uri if where else request.uri,
            routes=tuple(reversed(response.headers.all("Record-Route"))),
            contact=contact,
            flow=flow,
            local_seq=request.cseq.number,
            remote_seq=None,
        )

    @property
    def id(self) -> DialogId:
        """What finds it again."""
        return (self.call_id, self.local_tag, self.remote_tag)

    @property
    def flow(self) -> Flow:
        """How the far side was last heard."""
        return self._flow

    @flow.setter
    def flow(self, flow: Flow) -> None:
        if flow != self._flow:
            self._flow = flow
            self._hop = None

    def move(self, flow: Flow) -> None:
        """The far side is reached over ``flow`` from now on, as nothing in the dialog has told: no number shows who knows."""
        self.flow = flow
        for usage in self.usages:
            usage.touch()

    def in_order(self, number: int) -> bool:
        """Take the CSeq number of a request received; False if a later one was taken before (12.2.2)."""
        if self.remote_seq is not None and number <= self.remote_seq:
            return False
        self.remote_seq = number
        return True

    def refresh_target(self, message: Request | Response) -> None:
        """Follow the Contact of a target refresh request or of its 2xx. One that cannot be read counts as missing: the far side
        is still where it was. Raises SipError(400) for a request whose Contact is ``*``.
        """
        try:
            where = _contact_of(message)
        except SipError:
            if (message.headers.get("Contact") or "").strip() == "*":
                raise
            return
        if where is not None and where.uri != self.target:
            self.target = where.uri
            self._hop = None

    def confirm(self, response: Response) -> None:
        """Take target and route set anew from the 2xx that confirms an early dialog of ours (13.2.2.4)."""
        self.routes = tuple(reversed(response.headers.all("Record-Route")))
        self._hop = None
        self.refresh_target(response)

    def request(
        self, method: str, headers: Iterable[tuple[str, str]] = (), body: bytes = b"", content_type: str = "application/sdp"
    ) -> Request:
        """The next request of ours in this dialog (12.2.1.1), without a Via."""
        self.local_seq += 1
        return self._request(method, self.local_seq, headers, body, content_type)

    def ack(self, number: int, headers: Iterable[tuple[str, str]] = (), body: bytes = b"") -> Request:
        """The ACK for the 2xx to our INVITE with CSeq ``number`` (13.2.2.4)."""
        return self._request("ACK", number, headers, body, "application/sdp")

    def next_hop(self) -> Flow:
        """Where our next request goes: back to where the far side was last heard (:rfc:`5626`), whatever its Contact says.

        Phones behind a NAT, and phones that have registered another port than they send from, are reached by nothing else. A
        first route leads elsewhere only if it is the very host that we hear over UDP: a proxy with several ports. A stream that
        has yet to be opened, as after a restart, is opened to the first route or the remote target, if that is the host we
        heard: the port we heard was that of the far side's own connection.
        """
        if self._hop is None:
            self._hop = self._find_hop()
        return self._hop

    def _find_hop(self) -> Flow:
        flow = self._flow
        opens = flow.reliable and not flow.connection
        if not opens and (flow.reliable or not self.routes):
            return flow
        try:
            uri = _uri_of(self.routes[0]) if self.routes else parse_uri(self.target)
        except SipError:
            return flow
        if uri.host != flow.host:
            return flow
        if opens:
            return flow._replace(port=uri.port or (5061 if flow.transport == "TLS" else 5060))
        if (uri.param("transport") or "udp").lower() == "tcp":
            return Flow("TCP", uri.host, uri.port or 5060)
        return flow._replace(port=uri.port or 5060)

    def _request(self, method: str, number: int, extra: Iterable[tuple[str, str]], body: bytes, content_type: str) -> Request:
        uri, routes = self.target, self.routes
        if routes and not _is_loose(routes[0]):
            # A strict router wants its own address in the request line and the target last (12.2.1.1).
            uri, routes = _bare(routes[0]), (*routes[1:], f"<{uri}>")
        lines = [("Route", route) for route in routes]
        lines += (
            ("Max-Forwards", "70"),
            ("From", self.local),
            ("To", self.remote),
            ("Call-ID", self.call_id),
            ("CSeq", f"{number} {method}"),
        )
        if method in TARGET_REFRESH:
            lines.append(("Contact", self.contact))
        if body:
            lines.append(("Content-Type", content_type))
        lines += [(spelling(name), value) for name, value in extra]
        return Request(method, uri, Headers.of_usual(lines), body)


_SOMEWHERE = re.compile(r":[^@;?]|(?:^|@)[^@:]*:[^@]*@[^@;?]")
"""A URI with something where the host should be, after the colon or after the ``@``. Whoever writes anything stranger gets it
back as it came. Written so that the time rises no faster than the length.
"""


def _contact_of(message: Request | Response) -> NameAddr | None:
    """The Contact. Raises SipError(400) if that of a request cannot be used; that of a response counts as missing then.

    Whoever has answered cannot be told to say it better, and wants to be spoken to all the same.
    """
    try:
        where = message.contact
        if where is None:
            return None
        if where.uri == "*":
            raise SipError(400, "A Contact that names nobody")
        if not _SOMEWHERE.search(where.uri):
            raise SipError(400, "A Contact that leads nowhere")
    except SipError as error:
        if isinstance(message, Request):
            raise SipError(400, error.reason, message) from None
        return None
    return where


def _uri_of(route: str) -> SipUri:
    return parse_name_addr(route).address


def _is_loose(route: str) -> bool:
    try:
        return _uri_of(route).has_param("lr")
    except SipError:
        return True


def _bare(route: str) -> str:
    """The URI of a route as a Request-URI: without what is not allowed there (19.1.1 table 1)."""
    uri = _uri_of(route)
    return str(uri.with_(headers=(), params=tuple(p for p in uri.params if p[0].lower() != "method")))

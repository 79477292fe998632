"""The transaction layer: bytes in, requests and responses out to their transactions, each told to the user once.

Between the parser and the transaction user (TU). It answers by itself only what must never reach a user: malformed requests
(400 and the like), those whose response would not fit into a datagram (513), retransmissions, CANCEL, the second copy of a
request that took two paths (482). It judges neither Max-Forwards nor methods nor credentials.

Limits, by design: ``maddr`` in a Via is ignored, because obeying it lets any sender aim our responses at a third party and no
phone asks for it. CANCEL of anything but INVITE, or from another host than its INVITE, finds nothing to cancel (481).

Departure from :rfc:`3261` section 18.2.2: without ``rport`` a response over UDP goes to the port of sent-by only if the host of
sent-by is the address that the request came from. Otherwise there is a NAT between, that port leads nowhere, and the response
goes to the very address and port that the request came from, as if ``rport`` had been asked for.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from parkade.base.clock import Instant
from parkade.base.ids import Ids
from parkade.base.timers import Timers
from parkade.sip.message.errors import SipError
from parkade.sip.message.flow import Flow, Send, SipEffect
from parkade.sip.message.grammar import param_of
from parkade.sip.message.headers import Via
from parkade.sip.message.message import Request, Response, is_keepalive, make_response, parse_message
from parkade.sip.transaction.tables import Happening, State
from parkade.sip.transaction.transaction import (
    ClientHandler,
    ClientTransaction,
    MergeKey,
    ServerKey,
    ServerTransaction,
    TransactionTable,
    TransactionUser,
)

__all__ = ["ClientHandler", "ClientTransaction", "ServerTransaction", "TransactionLayer", "TransactionUser"]

Refusal: TypeAlias = tuple[int, Sequence[tuple[str, str]]]
"""A status of 300 or more, and header lines for it."""
Admit: TypeAlias = Callable[[Request, Flow, Instant], Refusal | None]
"""Asked about a request, the flow it came from, and now: None lets it in, a refusal is sent without state."""

COOKIE = "z9hG4bK"
"""How every branch begins that is unique to its request (8.1.1.7)."""


MAX_ECHO_BYTES = 40_960
"""How much a request in a datagram may have of what its response must repeat, so that the response fits into a datagram."""
_ECHOED = frozenset({"Via", "From", "To", "Call-ID", "CSeq", "Record-Route", "Timestamp"})


class TransactionLayer:
    """All transactions of one SIP element.

    Effects are appended to ``out``, which the owner drains with ``clear`` after each call and keeps the same list. ``sent_by``
    gives the host and port to write into our Via for a flow. ``len(layer)`` counts live transactions.
    """

    __slots__ = ("_admit", "_ids", "_sent_by", "_table")

    def __init__(
        self,
        user: TransactionUser,
        out: list[SipEffect],
        ids: Ids,
        sent_by: Callable[[Flow], tuple[str, int]],
        admit: Admit | None = None,
    ) -> None:
        """``admit`` is asked about each new request but CANCEL and ACK, before anything is kept for it."""
        self._admit = admit
        self._table = TransactionTable(user, out, ids)
        self._ids = ids
        self._sent_by = sent_by

    def __len__(self) -> int:
        return len(self._table.clients) + len(self._table.servers)

    def flows(self) -> int:
        """On how many flows transactions live."""
        return len(self._table.by_flow)

    @property
    def timers(self) -> Timers[Any]:
        """The timers of all transactions."""
        return self._table.timers

    def deadline(self) -> Instant | None:
        """When ``wake`` is wanted next; None while no transaction lives."""
        return self._table.timers.deadline()

    def wake(self, now: Instant) -> None:
        """Fire every timer that is due."""
        for transaction, timer in self._table.timers.pop_due(now):
            transaction.take(timer, now)

    def receive(self, flow: Flow, data: bytes, now: Instant) -> SipError | None:
        """Take one whole message (a datagram, or what the framer cut from a stream). Never raises.

        What cannot be parsed is answered once and without state if it is recognisably a request other than ACK, else
        dropped; what was wrong is given back.
        """
        if is_keepalive(data):
            return None
        try:
            message = parse_message(data)
        except SipError as error:
            self._answer_malformed(error, flow)
            return error
        if isinstance(message, Response):
            self._receive_response(message, flow, now)
            return None
        if (
            len(data) > MAX_ECHO_BYTES
            and message.method != "ACK"
            and not flow.reliable
            and _echo_bytes(message) > MAX_ECHO_BYTES
        ):
            self._refuse_without_state(message, (513, ()), _stamp(message, message.top_via, flow))
            return None
        self._receive_request(message, flow, now)
        return None

    def request(self, request: Request, flow: Flow, handler: ClientHandler, now: Instant) -> ClientTransaction:
        """Send ``request`` in a transaction of its own. A Via is put on top of it, so each attempt wants a new Request."""
        branch = self._add_via(request, flow)
        return ClientTransaction(self._table, request, flow, handler, branch, now)

    def send(self, message: Request | Response, flow: Flow, token: str = "") -> None:
        """Send once, without a transaction: the ACK for a 2xx. A request without a Via gets one and keeps it for next time.

        ``token`` makes its branch; without one it is a fresh one.
        """
        if isinstance(message, Request) and "Via" not in message.headers:
            self._add_via(message, flow, token)
        self._table.out.append(Send(flow, message.encode()))

    def flow_lost(self, flow: Flow, now: Instant) -> None:
        """The connection is gone (or could not be opened): every transaction on it ends."""
        for transaction in tuple(self._table.by_flow.get(flow, ())):
            transaction.take(Happening.TRANSPORT_LOST, now)

    def _add_via(self, request: Request, flow: Flow, token: str = "") -> str:
        host, port = self._sent_by(flow)
        branch = COOKIE + (token or self._ids.token())
        rport = "" if flow.reliable else ";rport"
        sent_by = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        request.headers.prepend("Via", f"SIP/2.0/{flow.transport} {sent_by};branch={branch}{rport}")
        return branch

    def _receive_response(self, response: Response, flow: Flow, now: Instant) -> None:
        via, cseq = response.top_via, response.cseq
        vias = response.headers.all("Via")
        if vias.count(vias[0]) != len(vias):
            return  # It was on its way to somebody else (8.1.3.3).
        transaction = self._table.clients.get((via.branch or "", cseq.method))
        if transaction is not None:
            if response.status < 200:
                happening = Happening.PROVISIONAL
            elif response.status < 300:
                happening = Happening.SUCCESS
            else:
                happening = Happening.FAILURE
            transaction.take(happening, now, response)
        elif cseq.method == "INVITE" and 200 <= response.status < 300 and self._is_ours(via, flow):
            self._table.user.on_stray_2xx(response, flow, now)

    def _is_ours(self, via: Via, flow: Flow) -> bool:
        return (via.branch or "").startswith(COOKIE) and (via.host, via.port or _default_port(flow)) == self._sent_by(flow)

    def _receive_request(self, request: Request, flow: Flow, now: Instant) -> None:
        table = self._table
        via = request.top_via
        back = _stamp(request, via, flow)
        key = _server_key(request, via)
        known = table.servers.get(key)
        if request.method == "ACK":
            if known is None:
                table.user.on_ack(request, back, now)
            else:
                known.take(Happening.ACK, now, request)
            return
        if known is not None:
            known.take(Happening.REQUEST, now)
            return
        merge_key = _merge_key(request)
        merged = merge_key in table.merged
        if self._admit is not None and not merged and request.method != "CANCEL":
            refusal = self._admit(request, flow, now)
            if refusal is not None:
                self._refuse_without_state(request, refusal, back)
                return
        transaction = ServerTransaction(table, request, flow, back, key, None if merged else merge_key)
        if request.method == "CANCEL":
            self._receive_cancel(transaction, now)
        elif merged:
            transaction.respond(make_response(request, 482, to_tag=transaction.to_tag), now)
        else:
            table.user.on_request(transaction, now)
            if transaction.is_over:
                transaction.forget_request()
            else:
                transaction.expect_answer(now)

    def _receive_cancel(self, cancel: ServerTransaction, now: Instant) -> None:
        invite = self._table.servers.get((*cancel.key[:-1], "INVITE"))
        # Nobody can be asked for a password here: it has to come from where the INVITE came from (section 22.1).
        if invite is None or invite.source.host != cancel.source.host:
            cancel.respond(make_response(cancel.request, 481, to_tag=cancel.to_tag), now)
            return
        cancel.respond(make_response(cancel.request, 200, to_tag=invite.to_tag), now)
        invite.cancelled = True
        if invite.state is State.PROCEEDING:
            self._table.user.on_cancel(invite, cancel.request, now)

    def _refuse_without_state(self, request: Request, refusal: Refusal, flow: Flow) -> None:
        """One response and no memory of it (26.3.2.4); its ACK belongs to nothing and is passed over."""
        status, headers = refusal
        response = make_response(request, status, to_tag=_stateless_tag(request), headers=headers)
        self._table.out.append(Send(flow, response.encode()))

    def _answer_malformed(self, error: SipError, flow: Flow) -> None:
        request = error.request
        if not isinstance(request, Request) or request.method == "ACK":
            return
        try:
            back = _stamp(request, request.top_via, flow)
        except SipError:
            return
        response = make_response(request, error.status, error.reason, to_tag=_stateless_tag(request))
        self._table.out.append(Send(back, response.encode()))


def _echo_bytes(request: Request) -> int:
    return sum([len(value.encode("utf-8", "surrogateescape")) for name, value in request.headers if name in _ECHOED])


def _stamp(request: Request, via: Via, flow: Flow) -> Flow:
    """Write into the top Via, ``via``, where the request really came from (18.2.1, :rfc:`3581` section 4); where its responses
    go.
    """
    wants_rport = param_of(via.params, "rport") is not None
    if not wants_rport and via.host == flow.host:
        return flow if flow.reliable else flow._replace(port=via.port or _default_port(flow))
    top = request.headers.get("Via") or ""
    before, rport, after = top.partition(";rport")
    if wants_rport and rport and after[:1] in ("", ";") and _can_just_be_stamped(top):
        stamped = f"{before};received={flow.host};rport={flow.port}{after}"
    else:
        kept = tuple([param for param in via.params if param[0].lower() not in ("received", "rport")])
        source = f";received={flow.host};rport={flow.port}" if wants_rport else f";received={flow.host}"
        stamped = f"{Via(via.transport, via.host, via.port, kept)}{source}"
    request.headers.replace_top("Via", stamped)
    return flow


def _can_just_be_stamped(top: str) -> bool:
    """Whether the first ``;rport`` of a top Via can be filled in where it stands."""
    return "," not in top and '"' not in top and "received" not in top.lower()


def _default_port(flow: Flow) -> int:
    return 5061 if flow.transport == "TLS" else 5060


def _server_key(request: Request, via: Via) -> ServerKey:
    method = "INVITE" if request.method == "ACK" else request.method
    branch = param_of(via.params, "branch") or ""
    if branch.startswith(COOKIE) and len(branch) > len(COOKIE):
        return (branch, via.host, via.port, method)
    # RFC 2543: the To tag is left out, because that of an ACK or CANCEL differs from that of the INVITE; the top Via, which
    # holds the sender's address now, and Call-ID with CSeq are enough to tell requests apart.
    top = request.headers.get("Via") or ""
    return (top, request.uri, request.from_.tag or "", request.call_id, request.cseq.number, method)


def _merge_key(request: Request) -> MergeKey | None:
    call_id, from_tag, to_tag = request.names
    if to_tag or not from_tag or request.method == "CANCEL":
        return None
    return (from_tag, call_id, request.cseq.number, request.method)


def _stateless_tag(request: Request) -> str:
    """The same To tag for each copy of a request that is answered without state (8.2.7)."""
    seed = "\n".join(request.headers.get(name) or "" for name in ("Via", "From", "Call-ID", "CSeq"))
    return f"{zlib.crc32(seed.encode('utf-8', 'surrogateescape')):08x}"

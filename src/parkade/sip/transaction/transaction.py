"""One request and its responses: client and server transactions of :rfc:`3261` section 17.

A transaction hides retransmission from its user (the TU) and nothing else: it knows no dialogs, sends no ACK for a 2xx and
puts no limit on ringing. The machines are the tables of ``tables``; this module performs their actions. Transactions are made
by the ``TransactionLayer`` only.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, Protocol, TypeAlias

from parkade.base.clock import Instant
from parkade.base.ids import Ids
from parkade.base.timers import Timers
from parkade.sip.message.flow import Flow, Send, SipEffect
from parkade.sip.message.headers import CSeq
from parkade.sip.message.message import Headers, Request, Response, make_response
from parkade.sip.transaction import tables
from parkade.sip.transaction.tables import Action, Happening, Input, State, Step, Table
from parkade.sip.transaction.timers import WAITS, Timer

Why: TypeAlias = Literal["timeout", "transport"]
"""Why a transaction failed: nobody answered in time, or the transport is gone."""


class ClientHandler(Protocol):
    """Who hears of a client transaction."""

    def on_response(self, tx: ClientTransaction, response: Response, now: Instant) -> None:
        """Every provisional and the final response; for INVITE each further 2xx too, retransmitted or of another fork."""

    def on_failed(self, tx: ClientTransaction, why: Why, now: Instant) -> None:
        """No final response will come. Told at most once, never after a final response."""


class TransactionUser(Protocol):
    """The TU: who is told of requests that arrive. Every method may answer, or start transactions, at once."""

    def on_request(self, tx: ServerTransaction, now: Instant) -> None:
        """A new request other than ACK and CANCEL, told once; ``tx.respond`` it now or later."""

    def on_ack(self, request: Request, flow: Flow, now: Instant) -> None:
        """An ACK for a 2xx, or one that belongs to nothing. May repeat. ``flow`` is where its sender takes messages."""

    def on_cancel(self, tx: ServerTransaction, cancel: Request, now: Instant) -> None:
        """The INVITE ``tx`` has no final response and is not wanted any more; the CANCEL itself is answered already."""

    def on_server_failed(self, tx: ServerTransaction, why: Why, now: Instant) -> None:
        """The response was never acknowledged, or can no longer be sent."""

    def on_stray_2xx(self, response: Response, flow: Flow, now: Instant) -> None:
        """A 2xx to an INVITE of ours whose transaction is over. It still wants its ACK (13.2.2.4)."""


ClientKey: TypeAlias = tuple[str, str]
"""Branch and CSeq method (17.1.3)."""
ServerKey: TypeAlias = tuple[str | int | None, ...]
"""Branch, sent-by and method, or the longer list of :rfc:`2543` (17.2.3)."""
MergeKey: TypeAlias = tuple[str, str, int, str]
"""From tag, Call-ID, CSeq: what two copies of a request that took two paths share (8.2.2.2)."""


class TransactionTable:
    """The live transactions of one layer, and what they share. ``by_flow`` finds those that a lost connection ends."""

    __slots__ = ("by_flow", "clients", "ids", "merged", "out", "servers", "timers", "user")

    def __init__(self, user: TransactionUser, out: list[SipEffect], ids: Ids) -> None:
        self.user = user
        self.out = out
        self.ids = ids
        self.timers: Timers[tuple[Transaction, Timer]] = Timers()
        self.clients: dict[ClientKey, ClientTransaction] = {}
        self.servers: dict[ServerKey, ServerTransaction] = {}
        self.merged: dict[MergeKey, ServerTransaction] = {}
        self.by_flow: dict[Flow, dict[Transaction, None]] = {}

    def hang_on_flow(self, transaction: Transaction) -> None:
        """Remember on which flow ``transaction`` lives."""
        on_flow = self.by_flow.get(transaction.flow)
        if on_flow is None:
            on_flow = self.by_flow[transaction.flow] = {}
        on_flow[transaction] = None

    def leave_flow(self, transaction: Transaction) -> None:
        """``transaction`` is over."""
        on_flow = self.by_flow.get(transaction.flow)
        if on_flow is not None:
            on_flow.pop(transaction, None)
            if not on_flow:
                del self.by_flow[transaction.flow]


class Transaction:
    """What all four machines have in common: a table, a state, timers, and the bytes to send again.

    ``request`` is the request, ``flow`` where our own messages go, ``state`` the state of the figure.
    """

    __slots__ = ("_doubled_s", "_last", "_reliable", "_shared", "_table", "flow", "request", "state")

    def __init__(self, shared: TransactionTable, request: Request, flow: Flow, machine: tuple[Table, Table, State]) -> None:
        """``machine``: its tables for an unreliable and for a reliable transport, and the state it begins in."""
        self.request = request
        self.flow = flow
        unreliable, reliable, self.state = machine
        self._shared = shared
        self._reliable = flow.reliable
        self._table = reliable if self._reliable else unreliable
        self._last = b""
        self._doubled_s = 0.0

    def take(self, happening: Input, now: Instant, message: Request | Response | None = None) -> bool:
        """Take the step of the table; False if there is none. For the layer, not for the TU."""
        step = self._table.get((self.state, happening))
        if step is None:
            return False
        for timer in step.stops:
            self._shared.timers.cancel((self, timer))
        for timer in step.arms:
            self._arm(timer, now, again=timer is happening, wait_s=step.wait_s)
        if step.to is not self.state:
            self.state = step.to
            if step.to is State.TERMINATED:
                self._forget()
        self._perform(step, message, now)
        return True

    def _arm(self, timer: Timer, now: Instant, *, again: bool = False, wait_s: float | None = None) -> None:
        wait = WAITS[timer]
        seconds = wait.reliable_s if self._reliable else wait.unreliable_s
        if seconds is None:
            return
        if wait.longest_s is not None:
            seconds = wait_s or (min(2 * self._doubled_s, wait.longest_s) if again else seconds)
            self._doubled_s = seconds
        self._shared.timers.set((self, timer), now + seconds)

    def _send(self, data: bytes) -> None:
        self._shared.out.append(Send(self.flow, data))

    def _perform(self, step: Step, message: Request | Response | None, now: Instant) -> None:
        raise NotImplementedError

    def _forget(self) -> None:
        raise NotImplementedError


class ClientTransaction(Transaction):
    """A request of ours on its way (17.1). ``request`` carries our Via; ``cancelled`` tells that ``cancel`` was called."""

    __slots__ = ("_cancel_headers", "_handler", "cancelled", "key")

    def __init__(
        self, shared: TransactionTable, request: Request, flow: Flow, handler: ClientHandler, branch: str, now: Instant
    ) -> None:
        invite = request.method == "INVITE"
        super().__init__(shared, request, flow, _INVITE_CLIENT if invite else _CLIENT)
        self.key: ClientKey = (branch, request.method)
        self.cancelled = False
        self._cancel_headers: tuple[tuple[str, str], ...] | None = None
        self._handler = handler
        shared.clients[self.key] = self
        shared.hang_on_flow(self)
        self._last = request.encode()
        self._send(self._last)
        for timer in (Timer.A, Timer.B) if invite else (Timer.E, Timer.F):
            self._arm(timer, now)

    def cancel(self, now: Instant, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Ask the far side to give up an INVITE (9.1); ``headers`` (a Reason, say) go into the CANCEL.

        The CANCEL waits for the first provisional response. The answer to the INVITE still comes to the handler: usually 487,
        but it may be a 2xx that crossed; without any within 32 s of the CANCEL it is ``on_failed("timeout")``.
        Does nothing after a final response or a second time.
        """
        if self.cancelled or self.request.method != "INVITE" or self.state not in (State.CALLING, State.PROCEEDING):
            return
        self.cancelled = True
        self._cancel_headers = tuple(headers)
        if self.state is State.PROCEEDING:
            self._send_cancel(now)

    def _perform(self, step: Step, message: Request | Response | None, now: Instant) -> None:
        for action in step.actions:
            match action:
                case Action.SEND:
                    self._send(self._last)
                case Action.SEND_ACK if isinstance(message, Response):
                    to = message.headers.get("To") or ""
                    self._send(_beside(self.request, "ACK", to).encode())
                case Action.SEND_CANCEL_IF_ASKED if self.cancelled:
                    self._send_cancel(now)
                case Action.TELL if isinstance(message, Response):
                    self._handler.on_response(self, message, now)
                case Action.TELL_TIMEOUT:
                    self._handler.on_failed(self, "timeout", now)
                case Action.TELL_TRANSPORT_LOST:
                    self._handler.on_failed(self, "transport", now)
                case _:
                    pass

    def _send_cancel(self, now: Instant) -> None:
        request = _beside(self.request, "CANCEL", self.request.headers.get("To") or "")
        for name, value in self._cancel_headers or ():
            request.headers.add(name, value)
        ClientTransaction(self._shared, request, self.flow, _NOBODY, self.key[0], now)
        self._arm(Timer.CANCELLED, now)

    def _forget(self) -> None:
        self._shared.clients.pop(self.key, None)
        self._shared.leave_flow(self)


class ServerTransaction(Transaction):
    """A request that came to us (17.2). ``source`` is where it came from, ``flow`` where responses go (18.2.2, :rfc:`3581`).

    ``to_tag`` is a fresh tag for the To of our responses; whoever answers should use it, because the layer uses it too.
    ``cancelled`` tells that a CANCEL of it has come, also too late (9.2).
    """

    __slots__ = ("_merge_key", "cancelled", "key", "source", "to_tag")

    def __init__(
        self, shared: TransactionTable, request: Request, source: Flow, flow: Flow, key: ServerKey, merge_key: MergeKey | None
    ) -> None:
        invite = request.method == "INVITE"
        super().__init__(shared, request, flow, _INVITE_SERVER if invite else _SERVER)
        self.source = source
        self.key = key
        self.cancelled = False
        self.to_tag = request.names[2] or shared.ids.token()
        self._merge_key = merge_key
        shared.servers[key] = self
        shared.hang_on_flow(self)
        if merge_key is not None:
            shared.merged[merge_key] = self

    def expect_answer(self, now: Instant) -> None:
        """The TU has the request. If it has not answered an INVITE, a 100 is due soon; most are answered at once."""
        if self.state is State.PROCEEDING and not self._last and self.request.method == "INVITE":
            self._arm(Timer.TRYING, now)

    def forget_request(self) -> None:
        """Nobody asks for the request any more, nor wants to be told: keep only what a retransmission is answered with.

        A transaction outlives its call by half a minute, and ten thousands of them by as much memory as the calls take.
        """
        self.request = _FORGOTTEN

    @property
    def last_sent(self) -> bytes:
        """The response last sent, as bytes; empty before any."""
        return self._last

    @property
    def is_over(self) -> bool:
        """Whether a request other than INVITE has its final response."""
        return self.state is State.COMPLETED and self.request.method != "INVITE"

    def respond(self, response: Response, now: Instant) -> None:
        """Send a response; ignored where the machine has no place for it (a second final response, an ended transaction).

        A 2xx to INVITE is not retransmitted from here: give it again for each retransmission (13.3.1.4).
        """
        if response.status < 200:
            happening = Happening.SEND_PROVISIONAL
        elif response.status < 300:
            happening = Happening.SEND_SUCCESS
        else:
            happening = Happening.SEND_FAILURE
            # Careless phones answer a challenge with the CSeq they had; that is no second copy of the same request.
            self._unmerge()
        self.take(happening, now, response)

    def _perform(self, step: Step, message: Request | Response | None, now: Instant) -> None:
        for action in step.actions:
            match action:
                case Action.SEND:
                    if isinstance(message, Response):
                        self._last = message.encode()
                    if self._last:
                        self._send(self._last)
                case Action.SEND_TRYING if not self._last:
                    self._last = make_response(self.request, 100).encode()
                    self._send(self._last)
                case Action.TELL if isinstance(message, Request):
                    self._shared.user.on_ack(message, self.flow, now)
                case Action.TELL_TIMEOUT if self.request is not _FORGOTTEN:
                    self._shared.user.on_server_failed(self, "timeout", now)
                case Action.TELL_TRANSPORT_LOST if self.request is not _FORGOTTEN:
                    self._shared.user.on_server_failed(self, "transport", now)
                case _:
                    pass

    def _forget(self) -> None:
        self._shared.servers.pop(self.key, None)
        self._shared.leave_flow(self)
        self._unmerge()

    def _unmerge(self) -> None:
        if self._merge_key is not None and self._shared.merged.get(self._merge_key) is self:
            del self._shared.merged[self._merge_key]


_FORGOTTEN = Request("", "", Headers())


class _Nobody:
    """The handler of a CANCEL: what becomes of it shows in the INVITE."""

    def on_response(self, tx: ClientTransaction, response: Response, now: Instant) -> None:
        pass

    def on_failed(self, tx: ClientTransaction, why: Why, now: Instant) -> None:
        pass


_NOBODY = _Nobody()


_INVITE_CLIENT = (tables.INVITE_CLIENT, tables.INVITE_CLIENT_RELIABLE, State.CALLING)
_CLIENT = (tables.CLIENT, tables.CLIENT_RELIABLE, State.TRYING)
_INVITE_SERVER = (tables.INVITE_SERVER, tables.INVITE_SERVER_RELIABLE, State.PROCEEDING)
_SERVER = (tables.SERVER, tables.SERVER_RELIABLE, State.TRYING)
"""Each machine, and the state it begins in."""


def _beside(invite: Request, method: str, to: str) -> Request:
    """The ACK (17.1.1.3) or CANCEL (9.1) that travels beside ``invite``: same Via, URI, route, From, Call-ID, CSeq number."""
    headers = Headers()
    headers.add("Via", str(invite.top_via))
    for route in invite.headers.all("Route"):
        headers.add("Route", route)
    headers.add("Max-Forwards", "70")
    headers.add("From", invite.headers.get("From") or "")
    headers.add("To", to)
    headers.add("Call-ID", invite.call_id)
    headers.add("CSeq", str(CSeq(invite.cseq.number, method)))
    return Request(method, invite.uri, headers, b"")

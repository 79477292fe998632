"""The user agent: makes sessions of INVITEs, finds the session of every later request, and keeps their timers.

The top of this room. Its owner hears of new calls and of requests outside of dialogs; what is malformed, unknown or unsupported
is answered here (:rfc:`3261` section 8.2). A pure machine: ``receive``, ``flow_lost``, ``deadline``, ``wake``; what is to be
done is appended to ``out``, which the owner drains and clears.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from parkade.base.clock import Instant
from parkade.base.ids import Ids
from parkade.base.timers import Timers
from parkade.sip.message.errors import SipError
from parkade.sip.message.flow import Flow, SipEffect
from parkade.sip.message.headers import NameAddr
from parkade.sip.message.message import Headers, Request, Response, make_response
from parkade.sip.message.uri import host_port
from parkade.sip.session import indialog, session_timer
from parkade.sip.session.ask import Ask, Credentials, HeaderLines, Outcome
from parkade.sip.session.capabilities import ACCEPT_LINE, ALLOW, ALLOW_LINE, METHODS, OPTION_TAGS, SCHEMES
from parkade.sip.session.dialog import Dialog, DialogId
from parkade.sip.session.handler import Quiet, SessionHandler
from parkade.sip.session.lifecycle import Event, State
from parkade.sip.session.session import Session
from parkade.sip.session.uac import Outgoing
from parkade.sip.session.uas import Incoming
from parkade.sip.transaction.layer import TransactionLayer
from parkade.sip.transaction.transaction import ServerTransaction, Why

__all__ = ["ALLOW", "AgentOwner", "Outcome", "UserAgent"]

Alarm: TypeAlias = Callable[[Instant], None]
"""A bound method: what to call when its time has come, and the key that cancels it."""


class AgentOwner(Protocol):
    """Who is told of what begins."""

    def on_invite(self, session: Session, now: Instant) -> None:
        """A new call. Set ``session.handler``; accept or reject it now or later. A Replaces is for the owner to see to."""

    def on_request(self, tx: ServerTransaction, now: Instant) -> None:
        """Any other request outside of a dialog: ``tx.respond`` to it now or later."""


class UserAgent:
    """One user agent core. ``address`` gives the host and port under which the peer of a flow reaches us.

    ``user`` is the user part of our Contact, ``user_agent`` what User-Agent says. ``len()`` counts sessions, dialogs,
    transactions and timers: zero when nothing is alive.
    """

    def __init__(
        self,
        owner: AgentOwner,
        ids: Ids,
        address: Callable[[Flow], tuple[str, int]],
        user_agent: str = "Parkade",
        user: str | None = None,
    ) -> None:
        self.out: list[SipEffect] = []
        self.ids = ids
        self.name = user_agent
        self.timers: Timers[Alarm] = Timers()
        self.layer = TransactionLayer(self, self.out, ids, address)
        self._owner = owner
        self._address = address
        self._user = f"{user}@" if user else ""
        self._sessions: dict[str, Session] = {}
        self._dialogs: dict[DialogId, tuple[Session, Dialog]] = {}

    def __len__(self) -> int:
        return len(self._sessions) + len(self._dialogs) + len(self.layer) + len(self.timers)

    # The machine

    def receive(self, flow: Flow, data: bytes, now: Instant) -> SipError | None:
        """Take one message from ``flow``. Raises nothing, whatever it is; gives back what was wrong with one that is no SIP."""
        return self.layer.receive(flow, data, now)

    def flow_lost(self, flow: Flow, now: Instant) -> None:
        """A connection is gone. What was being asked over it has failed; confirmed sessions wait for a new flow."""
        self.layer.flow_lost(flow, now)

    def deadline(self) -> Instant | None:
        """When ``wake`` is wanted next."""
        ours, theirs = self.timers.deadline(), self.layer.deadline()
        return theirs if ours is None else ours if theirs is None else min(ours, theirs)

    def wake(self, now: Instant) -> None:
        """Do what is due."""
        self.layer.wake(now)
        for alarm in self.timers.pop_due(now):
            alarm(now)

    # What the owner begins

    def invite(
        self,
        *,
        flow: Flow,
        target: str,
        from_: NameAddr,
        to: NameAddr,
        sdp: bytes | None,
        handler: SessionHandler,
        now: Instant,
        headers: HeaderLines = (),
        credentials: Credentials | None = None,
    ) -> Session:
        """Call ``target``, a URI, over ``flow``. Without ``sdp`` the far side makes the offer."""
        session = Session(self, handler, credentials)
        session.ours = Outgoing(
            session,
            flow=flow,
            target=target,
            from_=from_,
            to=to,
            sdp=sdp or b"",
            headers=headers,
            call_id=self.ids.token(),
        )
        session.request = session.ours.invite
        self._sessions[session.id] = session
        session.ours.start(now)
        return session

    def request(
        self,
        method: str,
        *,
        flow: Flow,
        target: str,
        from_: NameAddr,
        to: NameAddr,
        done: Callable[[Outcome, Instant], None],
        now: Instant,
        headers: HeaderLines = (),
        body: bytes = b"",
        call_id: str | None = None,
        seq: int = 1,
        credentials: Credentials | None = None,
    ) -> None:
        """Send a request outside of any dialog: REGISTER, OPTIONS, MESSAGE. A Content-Type for ``body`` is among ``headers``.

        ``done`` gets the final response, or why there is none. ``seq`` is the first CSeq number; the answer to a challenge
        takes the next one, so the CSeq of the response says which was the last.
        """
        tagged = from_ if from_.tag else from_.with_param("tag", self.ids.token())
        call = call_id or self.ids.token()
        numbers = iter(range(seq, seq + 2))

        def make(more: HeaderLines) -> Request:
            lines = [
                ("Max-Forwards", "70"),
                ("From", str(tagged)),
                ("To", str(to)),
                ("Call-ID", call),
                ("CSeq", f"{next(numbers)} {method}"),
                ("User-Agent", self.name),
                *headers,
                *more,
            ]
            return Request(method, target, Headers(lines), body)

        Ask(self, make, lambda: flow, done, now, credentials)

    def session_by_dialog(self, call_id: str, to_tag: str, from_tag: str) -> Session | None:
        """The session of a dialog named by Replaces: ``to_tag`` is ours, ``from_tag`` theirs. None once it is over."""
        found = self._dialogs.get((call_id, to_tag, from_tag))
        return found[0] if found is not None and found[0].state < State.CLOSING else None

    def contact_on(self, flow: Flow) -> str:
        """Our Contact value for the peer of ``flow``."""
        where = f"sip:{self._user}{host_port(*self._address(flow))}"
        return f"<{where}>" if flow.transport == "UDP" else f"<{where};transport={flow.transport.lower()}>"

    # What the transaction layer hands up (TransactionUser)

    def on_request(self, tx: ServerTransaction, now: Instant) -> None:
        """Any request but ACK and CANCEL."""
        request = tx.request
        refusal = _refusal(request)
        if refusal is not None:
            status, headers = refusal
            tx.respond(make_response(request, status, to_tag=tx.to_tag, headers=headers), now)
            return
        try:
            if request.to.tag is not None and request.method != "REGISTER":
                self._in_dialog(tx, now)
            elif request.method == "INVITE":
                self._invited(tx, now)
            else:
                self._owner.on_request(tx, now)
        except SipError as error:
            tx.respond(make_response(request, error.status, error.reason, to_tag=tx.to_tag), now)

    def on_ack(self, request: Request, flow: Flow, now: Instant) -> None:
        """The ACK for a 2xx."""
        found = self._find(request)
        if found is None:
            return
        session, dialog = found
        unacked = session.unacked
        if unacked is not None and unacked.number == request.cseq.number:
            dialog.flow = flow
            session.acked(request.body, now)

    def on_cancel(self, tx: ServerTransaction, cancel: Request, now: Instant) -> None:
        """An INVITE is not wanted any more."""
        session = self._session_of(tx)
        if session is not None:
            session.cancelled(tx, now)

    def on_server_failed(self, tx: ServerTransaction, why: Why, now: Instant) -> None:
        """A final response was never acknowledged, or has no way back."""
        session = self._session_of(tx)
        if session is not None and why == "transport":
            session.disconnected(tx, now)

    def on_stray_2xx(self, response: Response, flow: Flow, now: Instant) -> None:
        """A 2xx that comes again after its transaction is over."""
        found = self._dialogs.get((response.call_id, response.from_.tag or "", response.to.tag or ""))
        if found is not None and found[0].ours is not None:
            found[0].ours.acknowledge_again(found[1])

    # For this room

    def bind(self, dialog: Dialog, session: Session) -> None:
        """Requests in ``dialog`` are for ``session``."""
        self._dialogs[dialog.id] = (session, dialog)

    def unbind(self, dialog: Dialog) -> None:
        """``dialog`` is over."""
        self._dialogs.pop(dialog.id, None)

    def forget(self, session: Session) -> None:
        """``session`` is over and nothing is left to be heard."""
        self._sessions.pop(session.id, None)
        if session.dialog is not None:
            self.unbind(session.dialog)

    def _find(self, request: Request) -> tuple[Session, Dialog] | None:
        return self._dialogs.get((request.call_id, request.to.tag or "", request.from_.tag or ""))

    def _session_of(self, tx: ServerTransaction) -> Session | None:
        """The session of a server transaction: by its dialog, whose tag the layer chose."""
        request = tx.request
        found = self._dialogs.get((request.call_id, tx.to_tag, request.from_.tag or ""))
        return found[0] if found is not None else None

    def _in_dialog(self, tx: ServerTransaction, now: Instant) -> None:
        request = tx.request
        found = self._find(request)
        if found is None:
            tx.respond(make_response(request, 481), now)
            return
        session, dialog = found
        if not dialog.in_order(request.cseq.number):
            session.respond(tx, 500, now)
            return
        dialog.flow = tx.source
        indialog.take(session, dialog, tx, now)

    def _invited(self, tx: ServerTransaction, now: Instant) -> None:
        request = tx.request
        refusal = _invite_refusal(request)
        if refusal is not None:
            status, headers = refusal
            tx.respond(make_response(request, status, to_tag=tx.to_tag, headers=headers), now)
            return
        dialog = Dialog.of_server(request, tx.to_tag, self.contact_on(tx.source), tx.source)
        session = Session(self, _QUIET)
        session.request = request
        session.dialog = dialog
        session.theirs = Incoming(session, tx, dialog)
        session.step(Event.RANG)
        self._sessions[session.id] = session
        self.bind(dialog, session)
        self._owner.on_invite(session, now)


_QUIET = Quiet()

Refusal: TypeAlias = tuple[int, Sequence[tuple[str, str]]]


def _refusal(request: Request) -> Refusal | None:
    """What section 8.2 refuses of any request: unknown methods (8.2.1), schemes (8.2.2.1) and extensions (8.2.2.3)."""
    if request.method not in METHODS:
        return 501, [ALLOW_LINE]
    if request.uri.partition(":")[0].lower() not in SCHEMES:
        return 416, ()
    if "Require" in request.headers:
        lacking = request.require - OPTION_TAGS
        if lacking:
            return 420, [("Unsupported", ", ".join(sorted(lacking)))]
    return None


def _invite_refusal(request: Request) -> Refusal | None:
    """What is refused of an INVITE: a body we cannot read (8.2.3), answers that are none of ours, too short a session."""
    if request.body and request.content_type != "application/sdp":
        return 415, [ACCEPT_LINE]
    if not _accepts_sdp(request):
        return 406, ()
    if session_timer.too_brief(request):
        return 422, [("Min-SE", str(session_timer.MIN_S))]
    return None


def _accepts_sdp(request: Request) -> bool:
    """Whether the sender reads SDP, as everybody does who does not say otherwise (20.1)."""
    accepted = {value.partition(";")[0].strip().lower() for value in request.headers.all("Accept")}
    return not accepted or not accepted.isdisjoint(("application/sdp", "application/*", "*/*"))

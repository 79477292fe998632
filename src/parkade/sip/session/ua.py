"""The user agent: makes sessions of INVITEs, finds the session of every later request, and keeps their timers.

The top of this room. Its owner hears of new calls and of requests outside of dialogs; what is malformed, unknown or unsupported
is answered here (:rfc:`3261` section 8.2). A pure machine: ``receive``, ``flow_lost``, ``deadline``, ``wake``; what is to be
done is appended to ``out``, which the owner drains and clears.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from parkade.base.clock import Instant
from parkade.base.ids import Ids
from parkade.base.journal import Json, KeptError
from parkade.base.timers import Timers
from parkade.sip.message.bodies import keep_sdp, reads_body
from parkade.sip.message.errors import SipError
from parkade.sip.message.flow import Flow, SipEffect
from parkade.sip.message.headers import NameAddr
from parkade.sip.message.message import Request, Response, make_response, parse_message
from parkade.sip.session import accepted, indialog, keeping, session_timer, uac, uas
from parkade.sip.session.agent import Agent
from parkade.sip.session.capabilities import (
    ALLOW,
    ALLOW_LINE,
    METHODS,
    ONLY_IN_DIALOGS,
    OPTION_TAGS,
    SCHEMES,
    readable_bodies,
)
from parkade.sip.session.credentials import Credentials, HeaderLines, Outcome
from parkade.sip.session.dialog import Dialog, DialogId
from parkade.sip.session.dismissal import Dismissal
from parkade.sip.session.finish import respond
from parkade.sip.session.handler import Quiet
from parkade.sip.session.inquiry import Inquiry
from parkade.sip.session.lifecycle import State
from parkade.sip.session.notifier import Notifier
from parkade.sip.session.package import Package
from parkade.sip.session.session import Session, SessionHandler
from parkade.sip.session.usage import Usage
from parkade.sip.transaction.layer import Admit, Refusal, TransactionLayer
from parkade.sip.transaction.transaction import ServerTransaction, Why

__all__ = ["ALLOW", "AgentOwner", "Outcome", "UserAgent"]


MAX_DISMISSALS = 64
"""How many answers to INVITEs that nobody remembers are seen to at a time: anybody can forge one, and each costs a BYE."""


class AgentOwner(Protocol):
    """Who is told of what begins."""

    def on_invite(self, session: Session, now: Instant) -> None:
        """A new call. Set ``session.handler``; accept or reject it now or later. A Replaces is for the owner to see to."""

    def on_request(self, tx: ServerTransaction, now: Instant) -> None:
        """Any other request outside of a dialog: ``tx.respond`` to it now or later. A SUBSCRIBE may go to the notifier."""

    def on_subscribe(self, tx: ServerTransaction, beside: Usage, now: Instant) -> None:
        """A subscription is asked for in the dialog that ``beside`` uses, to a package that is known: ``tx.respond`` to refuse
        it, or give it to the notifier, now or later.
        """


class UserAgent:
    """One user agent core. ``address`` gives the host and port under which the peer of a flow reaches us.

    ``notifier`` keeps subscriptions. ``user`` is the user part of our Contact, ``user_agent`` what User-Agent says. ``len()``
    counts usages, dialogs, transactions and timers: zero when nothing is alive.
    """

    def __init__(
        self,
        owner: AgentOwner,
        ids: Ids,
        address: Callable[[Flow], tuple[str, int]],
        user_agent: str = "Parkade",
        user: str | None = None,
        *,
        admit: Admit | None = None,
        keeps: bool = False,
        packages: Sequence[Package] = (),
    ) -> None:
        """``admit`` may refuse a request outside of dialogs before anything is kept for it. ``keeps`` fills ``touched``.

        ``packages`` are what can be subscribed to, besides transfers.
        """
        self.out: list[SipEffect] = []
        self.ids = ids
        layer = TransactionLayer(self, self.out, ids, address, self._let_in if admit is not None else None)
        self._admit = admit
        self._agent = Agent(layer, self.out, ids, address, user_agent, user, keeps=keeps)
        self._owner = owner
        self.notifier = Notifier(self._agent, packages)
        self._layer = layer
        self._usages = self._agent.usages
        self._dialogs = self._agent.dialogs
        self._timers = self._agent.timers
        self._dismissed: set[DialogId] = set()
        self._waiting: dict[tuple[str, str], Session] = {}
        """Sessions whose 2xx was sent before a restart and has no ACK yet."""

    def __len__(self) -> int:
        return len(self._usages) + len(self._dialogs) + len(self._layer) + len(self._timers)

    @property
    def touched(self) -> set[Usage]:
        """Usages whose snapshot may have changed since the owner cleared this set, ended ones (``is_done``) included."""
        return self._agent.touched

    # The machine

    def receive(self, flow: Flow, data: bytes, now: Instant) -> SipError | None:
        """Take one message from ``flow``. Raises nothing, whatever it is; gives back what was wrong with one that is no SIP."""
        return self._layer.receive(flow, data, now)

    def flow_lost(self, flow: Flow, now: Instant) -> None:
        """A connection is gone. What was being asked over it has failed; confirmed sessions wait for a new flow."""
        self._layer.flow_lost(flow, now)

    def deadline(self) -> Instant | None:
        """When ``wake`` is wanted next."""
        ours, theirs = self._timers.deadline(), self._layer.deadline()
        return theirs if ours is None else ours if theirs is None else min(ours, theirs)

    @property
    def timers(self) -> tuple[Timers[Any], Timers[Any]]:
        """What ``deadline`` is the next of: those of the sessions and those of the transactions."""
        return self._timers, self._layer.timers

    def wake(self, now: Instant) -> None:
        """Do what is due."""
        self._layer.wake(now)
        for usage_id, what in self._timers.pop_due(now):
            usage = self._usages.get(usage_id)
            if usage is not None:
                usage.due(what, now)

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
        session = Session(self._agent, handler, self.ids.token(), credentials, incoming=False)
        self._usages[session.id] = session
        uac.begin(
            session,
            flow=flow,
            target=target,
            from_=from_,
            to=to,
            sdp=sdp or b"",
            headers=headers,
            call_id=self.ids.token(),
            now=now,
        )
        return session

    def restore(self, value: Mapping[str, Json], handler: SessionHandler, now: Instant) -> Session:
        """The session that ``value``, a snapshot, is of: it goes on where it was, and does at once what has become due.

        Raises KeptError if the value cannot be read. One that is done is given back, but nothing is kept of it here.
        """
        session_id = value.get("id")
        if not isinstance(session_id, str) or session_id in self._usages:
            raise KeptError("a kept SIP session without an id of its own")
        session = Session(self._agent, handler, session_id, incoming=value.get("incoming") is True)
        keeping.restore(session, value, now)
        if session.accepted is not None and session.dialog is not None:
            self._waiting[session.dialog.call_id, session.dialog.remote_tag] = session
        session.settle(now)
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
        who = (("From", str(tagged)), ("To", str(to)), ("Call-ID", call))
        Inquiry(self._agent, flow, method, target, who, seq, headers, body, credentials, done).send(now)

    def session_by_dialog(self, call_id: str, to_tag: str, from_tag: str) -> Session | None:
        """The session of a dialog named by Replaces: ``to_tag`` is ours, ``from_tag`` theirs. None once it is over."""
        session = _session_in(self._dialogs.get((call_id, to_tag, from_tag)))
        return session if session is not None and session.state < State.CLOSING else None

    def contact_on(self, flow: Flow) -> str:
        """Our Contact value for the peer of ``flow``."""
        return self._agent.contact_on(flow)

    # What the transaction layer hands up (TransactionUser)

    def on_request(self, tx: ServerTransaction, now: Instant) -> None:
        """Any request but ACK and CANCEL."""
        request = tx.request
        # What ``_let_in`` has let in has been looked at.
        in_dialog = _names_a_dialog(request)
        refusal = _refusal(request) if self._admit is None or in_dialog else None
        if refusal is not None:
            status, headers = refusal
            tx.respond(make_response(request, status, to_tag=tx.to_tag, headers=headers), now)
            return
        try:
            if in_dialog:
                self._in_dialog(tx, now)
            elif request.method == "INVITE":
                self._invited(tx, now)
            elif request.method in ONLY_IN_DIALOGS:
                tx.respond(make_response(request, 481, to_tag=tx.to_tag), now)
            else:
                self._owner.on_request(tx, now)
        except SipError as error:
            tx.respond(make_response(request, error.status, error.reason, to_tag=tx.to_tag), now)

    def on_ack(self, request: Request, flow: Flow, now: Instant) -> None:
        """The ACK for a 2xx."""
        dialog = self._find(request)
        session = _session_in(dialog)
        if dialog is None or session is None:
            return
        waits = session.accepted
        if waits is not None and waits.number == request.cseq.number:
            dialog.flow = flow
            keep_sdp(request)
            accepted.acked(session, request.body, now)
            session.settle(now)

    def on_cancel(self, tx: ServerTransaction, cancel: Request, now: Instant) -> None:
        """An INVITE is not wanted any more."""
        session = self._session_of(tx)
        if session is not None:
            uas.cancelled(session, tx, now)
            session.settle(now)

    def on_server_failed(self, tx: ServerTransaction, why: Why, now: Instant) -> None:
        """A final response was never acknowledged, or has no way back."""
        session = self._session_of(tx)
        if session is not None and why == "transport":
            uas.disconnected(session, tx, now)
            session.settle(now)

    def on_stray_2xx(self, response: Response, flow: Flow, now: Instant) -> None:
        """A 2xx that comes again after its transaction is over, or whose INVITE nobody remembers: after a restart."""
        dialog_id = response.names
        dialog = self._dialogs.get(dialog_id)
        session = _session_in(dialog)
        if dialog is not None and session is not None:
            uac.acknowledge_again(session, dialog, response)
        elif dialog_id not in self._dismissed and response.to.tag and len(self._dismissed) < MAX_DISMISSALS:
            self._dismissed.add(dialog_id)
            Dismissal(self._agent, response, self._dismissed, dialog_id).send(flow, now)

    def _let_in(self, request: Request, flow: Flow, now: Instant) -> Refusal | None:
        """Asked before anything is kept for a request: what nobody could take is refused first, then whom the owner refuses.

        An INVITE that was let in and answered before a restart is the same when it comes again, whatever its nonce is worth.
        """
        if self._waiting and request.method == "INVITE" and self._accepted_before(request) is not None:
            return None
        if _names_a_dialog(request):
            # Within a dialog a refusal is for its session to give.
            return None if self._find(request) is not None else _refusal(request) or (481, ())
        refusal = _refusal(request)
        if refusal is None and request.method == "INVITE":
            refusal = _invite_refusal(request)
        elif refusal is None and request.method in ONLY_IN_DIALOGS:
            refusal = 481, ()
        if refusal is None and self._admit is not None:
            refusal = self._admit(request, flow, now)
        return refusal

    def _find(self, request: Request) -> Dialog | None:
        call_id, from_tag, to_tag = request.names
        return self._dialogs.get((call_id, to_tag, from_tag))

    def _session_of(self, tx: ServerTransaction) -> Session | None:
        """The session of a server transaction: by its dialog, whose tag the layer chose."""
        call_id, from_tag, _ = tx.request.names
        return _session_in(self._dialogs.get((call_id, tx.to_tag, from_tag)))

    def _in_dialog(self, tx: ServerTransaction, now: Instant) -> None:
        request = tx.request
        dialog = self._find(request)
        if dialog is None:
            tx.respond(make_response(request, 481), now)
            return
        session = _session_in(dialog)
        if session is not None and _is_waiting_for(session, request):
            _accept_again(session, tx, now)
            return
        if not dialog.in_order(request.cseq.number):
            respond(tx, 500, now)
            return
        dialog.flow = tx.flow
        if request.method == "SUBSCRIBE":
            if not self.notifier.take(dialog, tx, now):
                self._owner.on_subscribe(tx, dialog.usages[0], now)
        elif session is None:
            indialog.take_without_session(tx, now)
        else:
            indialog.take(session, dialog, tx, now)
        if session is not None:
            session.settle(now)

    def _invited(self, tx: ServerTransaction, now: Instant) -> None:
        request = tx.request
        restored = self._accepted_before(request) if self._waiting else None
        if restored is not None:
            _accept_again(restored, tx, now)
            return
        refusal = _invite_refusal(request) if self._admit is None else None
        if refusal is not None:
            status, headers = refusal
            respond(tx, status, now, headers)
            return
        if uas.expires_s(request) == 0:
            respond(tx, 487, now)  # It is over before anybody could be told of it (section 13.3.1).
            return
        keep_sdp(request)
        dialog = Dialog.of_server(request, tx.to_tag, self._agent.contact_on(tx.source), tx.flow)
        session = Session(self._agent, _QUIET, self.ids.token(), incoming=True)
        uas.begin(session, tx, dialog, now)
        self._usages[session.id] = session
        session.bind(dialog)
        self._owner.on_invite(session, now)

    def _accepted_before(self, request: Request) -> Session | None:
        """The session whose 2xx to this very INVITE was lost in a restart."""
        self._waiting = {names: session for names, session in self._waiting.items() if session.accepted is not None}
        session = self._waiting.get(request.names[:2])
        return session if session is not None and _is_waiting_for(session, request) else None


def _is_waiting_for(session: Session, request: Request) -> bool:
    """Whether ``request`` is the INVITE that got a 2xx before a restart, sent once more."""
    waits = session.accepted
    return waits is not None and waits.tx is None and request.method == "INVITE" and waits.number == request.cseq.number


def _accept_again(session: Session, tx: ServerTransaction, now: Instant) -> None:
    waits = session.accepted
    assert waits is not None
    response = parse_message(waits.data)
    assert isinstance(response, Response)
    tx.respond(response, now)
    waits.tx = tx


def _session_in(dialog: Dialog | None) -> Session | None:
    """The call that ``dialog`` is used for, if any."""
    if dialog is not None:
        for usage in dialog.usages:
            if isinstance(usage, Session):
                return usage
    return None


_QUIET = Quiet()


def _names_a_dialog(request: Request) -> bool:
    """Whether ``request`` claims to be within a dialog; a REGISTER never is, whatever its To says."""
    return request.names[2] != "" and request.method != "REGISTER"


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
    if not reads_body(request):
        return 415, readable_bodies(request)
    if not _accepts_sdp(request):
        return 406, ()
    if session_timer.too_brief(request):
        return 422, [("Min-SE", str(session_timer.MIN_S))]
    return None


def _accepts_sdp(request: Request) -> bool:
    """Whether the sender reads SDP, as everybody does who does not say otherwise (20.1)."""
    if "Accept" not in request.headers:
        return True
    accepted = {value.partition(";")[0].strip().lower() for value in request.headers.all("Accept")}
    return not accepted or not accepted.isdisjoint(("application/sdp", "application/*", "*/*"))

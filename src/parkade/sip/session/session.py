"""A call as one party of it sees it: the INVITE, the dialog it opens, what happens in there, and its one end.

``Session`` is what the owner holds: its verbs, its ``snapshot``, and the telling of news. All it knows is in ``Core``; the
work is done by functions of that: ``uas`` answers an INVITE, ``uac`` sends one, ``exchange`` negotiates later, ``indialog``
takes the other requests, ``refresh`` keeps the session timer, ``finish`` ends it. See ``docs/sip-session.md``.

Ending: exactly one of ``on_refused`` and ``on_ended`` is told to the handler, exactly once, and no event of the session after
it (only news of a REFER sent earlier). What is told comes after what was told before: a handler that calls a verb hears what
comes of it when it has returned, anybody else before the verb returns. A verb that comes too late or out of turn does nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from parkade.base.clock import Instant
from parkade.base.journal import Json
from parkade.sip.message.bodies import may_be_ignored
from parkade.sip.message.message import Request, Response
from parkade.sip.session import accepted, exchange, indialog, keeping, refresh, uac, uas
from parkade.sip.session.agent import Agent
from parkade.sip.session.ask import Ask, HeaderLines, Outcome, Purpose
from parkade.sip.session.capabilities import ACCEPT_INFO_LINE, INFO_TYPES
from parkade.sip.session.core import Core
from parkade.sip.session.credentials import Credentials
from parkade.sip.session.finish import finish, finish_by_outcome, gone, refuse_asked, respond
from parkade.sip.session.lifecycle import End, State
from parkade.sip.session.news import (
    Answered,
    AnswerTaken,
    Ended,
    Established,
    InfoReceived,
    News,
    Offered,
    OfferRefused,
    OfferWanted,
    Progress,
    Referred,
    ReferReport,
    Refused,
)
from parkade.sip.session.refer import Refer, Referral, refer_to, report_of_outcome, wants_no_reports
from parkade.sip.session.state import Change, Kind
from parkade.sip.session.usage import Deadline
from parkade.sip.transaction.transaction import ServerTransaction


class SessionHandler(Protocol):
    """Who is told what happens to a session. Every method may call the session's verbs at once."""

    def on_progress(self, session: Session, response: Response, now: Instant) -> None:
        """Ours: a provisional response above 100; its body, if any, is early media."""

    def on_answered(self, session: Session, response: Response, now: Instant) -> None:
        """Ours: the 2xx. Its body is the answer (empty if a provisional response brought it), or, if the INVITE had no offer,
        an offer that ``confirm`` has to answer.
        """

    def on_refused(self, session: Session, status: int, response: Response | None, now: Instant) -> None:
        """Ours: the end, without an answer. 408 and 503 without ``response``: nobody answered, or there is no way."""

    def on_ended(self, session: Session, why: End, now: Instant) -> None:
        """The end in every other case."""

    def on_established(self, session: Session, now: Instant) -> None:
        """The ACK has come, or is sent."""

    def on_offer(self, session: Session, sdp: bytes, now: Instant) -> None:
        """They offer ``sdp``: ``answer`` it or ``refuse_offer``, now or later."""

    def on_offer_wanted(self, session: Session, now: Instant) -> None:
        """They want an offer: ``answer`` with one or ``refuse_offer``, now or later."""

    def on_answer(self, session: Session, sdp: bytes, now: Instant) -> None:
        """Their answer to an offer of ours, other than that of our INVITE; also to a refresh, if it says something new."""

    def on_offer_refused(self, session: Session, status: int, now: Instant) -> None:
        """Our offer is refused or lost; what was agreed before goes on."""

    def on_refer(self, session: Session, refer: Refer, now: Instant) -> None:
        """They ask for a transfer: have the notifier accept it, or ``refer.refuse``, now or later."""

    def on_refer_progress(
        self, session: Session, status: int, reason: str, final: bool, headers: HeaderLines, now: Instant
    ) -> None:
        """News of a transfer we asked for, with the headers of the NOTIFY or of the response that refused it."""

    def on_info(self, session: Session, request: Request, now: Instant) -> int | None:
        """An INFO: the status of the answer. None: 200 if keys come in such bodies or if the sender says that who does not
        understand the body may ignore it, else 415; without a body always 200.
        """


class Session(Core):
    """One call leg. ``id`` is unique, ``request`` the INVITE, ``dialog`` None until an INVITE of ours has found one.

    ``handler`` may be replaced at any time, ``data`` is the owner's. ``credentials`` answer challenges in the dialog.
    """

    __slots__ = ("_telling", "data", "handler")

    def __init__(
        self,
        agent: Agent,
        handler: SessionHandler,
        session_id: str,
        credentials: Credentials | None = None,
        *,
        incoming: bool,
    ) -> None:
        super().__init__(agent, session_id, credentials, incoming=incoming)
        self.handler = handler
        self.data: object = None
        self._telling = False

    # What it is

    @property
    def remote_sdp(self) -> bytes:
        """What they said last in SDP; empty before anything."""
        return self.dialog.offers.remote if self.dialog is not None else b""

    @property
    def local_sdp(self) -> bytes:
        """What we said last in SDP; empty before anything."""
        return self.dialog.offers.local if self.dialog is not None else b""

    @property
    def is_early(self) -> bool:
        """Whether nobody has answered yet: what Replaces with ``early-only`` may take the place of (:rfc:`3891`)."""
        return self.state < State.ACCEPTED

    @property
    def is_silent(self) -> bool:
        """Whether nothing has come back for an INVITE of ours, not even a 100."""
        return uac.is_silent(self)

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to be done on the wire: it need not be kept any more."""
        return self.state is State.ENDED

    @property
    def expires_s(self) -> int | None:
        """How long their INVITE is valid, in seconds, by its Expires. It is seen to here; the owner may want to know."""
        return uas.expires_s(self.request)

    def snapshot(self) -> dict[str, Json]:
        """What ``UserAgent.restore`` needs to go on with it. For sessions that have been answered."""
        return keeping.snapshot(self)

    # Verbs for a call of theirs

    def progress(
        self, status: int, now: Instant, reason: str | None = None, sdp: bytes | None = None, headers: HeaderLines = ()
    ) -> None:
        """Answer provisionally; ``sdp`` opens early media. Repeated every minute until the final answer."""
        uas.progress(self, status, reason, sdp or b"", headers, now)
        self.settle(now)

    def accept(self, sdp: bytes, now: Instant, headers: HeaderLines = ()) -> None:
        """Answer with 200 and ``sdp``: the answer to their offer, or an offer that the ACK will answer."""
        uas.accept(self, sdp, headers, now)
        self.settle(now)

    def reject(self, status: int, now: Instant, reason: str | None = None, headers: HeaderLines = ()) -> None:
        """Answer with 300 or more, and end."""
        if self.is_unanswered:
            finish(self, "rejected", now, headers, status, reason)
            self.settle(now)

    # Verbs for a call of ours

    def confirm(self, sdp: bytes, now: Instant) -> None:
        """Answer the offer that the 2xx brought."""
        uac.confirm(self, sdp)
        self.settle(now)

    # Verbs for both

    def end(self, now: Instant, headers: HeaderLines = ()) -> None:
        """End it, whatever it is: CANCEL, 480 or BYE with ``headers``."""
        finish(self, "ended", now, headers)
        self.settle(now)

    def offer(self, sdp: bytes, now: Instant, headers: HeaderLines = (), *, prefer_update: bool = False) -> None:
        """Offer ``sdp`` by re-INVITE, or by UPDATE if that is preferred and allowed, as soon as the dialog is free.

        The outcome is ``on_answer`` or ``on_offer_refused``, unless a later offer has taken its place first.
        """
        exchange.want(self, Change(Kind.OFFER, sdp, headers, prefer_update))
        self.settle(now)

    def tell_identity(self, headers: HeaderLines, now: Instant) -> None:
        """Show them another party: an UPDATE, or a re-INVITE with the same SDP, that changes nothing but ``headers``."""
        exchange.want(self, Change(Kind.IDENTITY, headers=headers, by_update=True))
        self.settle(now)

    def answer(self, sdp: bytes, now: Instant, headers: HeaderLines = ()) -> None:
        """Answer what ``on_offer`` brought, or give the offer that ``on_offer_wanted`` asked for."""
        if exchange.answer(self, sdp, headers, now):
            uas.resume(self, now)
        else:
            uac.answer_early(self, sdp, now)
        self.settle(now)

    def refuse_offer(self, now: Instant, status: int = 488, headers: HeaderLines = ()) -> None:
        """Refuse what ``on_offer`` or ``on_offer_wanted`` brought. An early offer to our INVITE is refused by ``end``."""
        if refuse_asked(self, status, headers, now):
            uas.resume(self, now)
        self.settle(now)

    def info(self, content_type: str, body: bytes, now: Instant) -> None:
        """Send an INFO."""
        if self.dialog is not None and self.state in (State.EARLY, State.CONFIRMED):
            Ask(self, self.dialog, "INFO", Purpose.INFO, (), body, content_type).send(now)
            self.touch()

    def probe(self, now: Instant) -> None:
        """Ask whether they are still there (OPTIONS): if not, because of 408, 481 or no answer at all, the session ends."""
        if self.dialog is not None and self.state is State.CONFIRMED:
            Ask(self, self.dialog, "OPTIONS", Purpose.PROBE).send(now)
            self.touch()

    def refer(self, target: str, now: Instant, replaces: Session | None = None, headers: HeaderLines = ()) -> None:
        """Ask the far side to call ``target`` instead of us; with ``replaces``, in place of us in that session."""
        if self.dialog is not None and self.state is State.CONFIRMED:
            to = refer_to(target, replaces.dialog if replaces is not None else None)
            ask = Ask(self, self.dialog, "REFER", Purpose.REFER, (("Refer-To", to), *headers))
            self.referrals.append(Referral(ask))
            ask.send(now)
            self.touch()

    # For this room

    def due(self, what: Deadline, now: Instant) -> None:
        """A timer of the session has fired."""
        self.armed &= ~(1 << what)
        DUE[what](self, now)
        self.settle(now)

    def outcome(self, ask: Ask, outcome: Outcome, now: Instant) -> None:
        """What became of a request of ours."""
        OUTCOMES[ask.purpose](self, ask, outcome, now)
        self.settle(now)

    def settle(self, now: Instant) -> None:
        """Tell the news, one after the other; then send what waits for the dialog to be free."""
        if self._telling:
            return
        news = self.news
        if news:
            self._telling = True
            try:
                while news:
                    self._tell(news.pop(0), now)
            finally:
                self._telling = False
        if self.changes:
            exchange.send_next(self, now)
        self.touch()

    def _tell(self, news: News, now: Instant) -> None:
        handler = self.handler
        if self.state >= State.CLOSING and not isinstance(news, Ended | Refused | ReferReport):
            if isinstance(news, InfoReceived):
                respond(news.tx, 481, now)
            return
        match news:
            case Progress(response):
                handler.on_progress(self, response, now)
            case Answered(response):
                handler.on_answered(self, response, now)
            case Established():
                handler.on_established(self, now)
            case Ended(why):
                handler.on_ended(self, why, now)
            case Refused(status, refusal):
                handler.on_refused(self, status, refusal, now)
            case Offered(sdp):
                handler.on_offer(self, sdp, now)
            case OfferWanted():
                handler.on_offer_wanted(self, now)
            case AnswerTaken(sdp):
                handler.on_answer(self, sdp, now)
            case OfferRefused(status):
                handler.on_offer_refused(self, status, now)
            case Referred(refer):
                handler.on_refer(self, refer, now)
            case ReferReport(report):
                handler.on_refer_progress(self, report.status, report.reason, report.final, report.headers, now)
            case InfoReceived(tx):
                self._tell_info(tx, now)

    def _tell_info(self, tx: ServerTransaction, now: Instant) -> None:
        request = tx.request
        status = self.handler.on_info(self, request, now)
        if not request.body:
            status = 200
        elif status is None:
            status = 200 if request.content_type in INFO_TYPES or may_be_ignored(request) else 415
        if status == 415 and "Info-Package" in request.headers:
            respond(tx, 469, now, [("Recv-Info", "")])
        else:
            respond(tx, status, now, [ACCEPT_INFO_LINE] if status == 415 else ())


DUE: Mapping[Deadline, Callable[[Core, Instant], None]] = {
    Deadline.REMINDER: uas.remind,
    Deadline.PROVISIONAL: uas.provisional_due,
    Deadline.EXPIRES: uas.expired,
    Deadline.ACK: accepted.due,
    Deadline.REFRESH: refresh.due,
    Deadline.RETRY: exchange.rested,
    Deadline.PATIENCE: exchange.lose_patience,
    Deadline.REPORTS: indialog.reports_lapsed,
}
"""What is done when a timer fires."""


def _gone(core: Core, ask: Ask, outcome: Outcome, now: Instant) -> None:  # noqa: ARG001 - as the others
    gone(core, now)


def _over_if_they_have_none(core: Core, ask: Ask, outcome: Outcome, now: Instant) -> None:  # noqa: ARG001 - as the others
    finish_by_outcome(core, outcome, now)


def _nothing(core: Core, ask: Ask, outcome: Outcome, now: Instant) -> None:
    """What becomes of a PRACK shows in the INVITE; of a BYE in another dialog there is nobody to tell."""


def _referred(core: Core, ask: Ask, outcome: Outcome, now: Instant) -> None:
    referral = next((referral for referral in core.referrals if referral.ask is ask), None)
    if referral is None:
        return
    referral.answered, referral.ask = ask.number, None
    report = report_of_outcome(outcome)
    if report is not None:
        indialog.referral_over(core, referral)
        core.say(ReferReport(report))
        finish_by_outcome(core, outcome, now)
    elif wants_no_reports(outcome):
        indialog.referral_over(core, referral)


OUTCOMES: Mapping[Purpose, Callable[[Core, Ask, Outcome, Instant], None]] = {
    Purpose.BYE: _gone,
    Purpose.DISMISSAL: _nothing,
    Purpose.PRACK: _nothing,
    Purpose.INFO: _over_if_they_have_none,
    Purpose.PROBE: _over_if_they_have_none,
    Purpose.REFER: _referred,
}
"""What the outcome of a request of ours means."""

"""Offers and answers after the first: re-INVITE and UPDATE (:rfc:`3261` section 14, :rfc:`3311`), theirs and ours.

Theirs wait for the owner in ``asked``. Ours wait as ``changes`` until the dialog is free, because only one INVITE and one offer
may be open at a time; a change that meets one of theirs (491) is tried again after the wait the RFC draws by lot.
"""

from __future__ import annotations

from parkade.base.clock import Instant
from parkade.sip.message.bodies import keep_sdp
from parkade.sip.message.message import Request, Response
from parkade.sip.session import refresh, session_timer
from parkade.sip.session.accepted import accept, acked
from parkade.sip.session.ask import retry_after_s
from parkade.sip.session.capabilities import ALLOW_LINE, SDP_LINE, SUPPORTED_LINE, readable_bodies
from parkade.sip.session.core import Core
from parkade.sip.session.credentials import HeaderLines, Outcome, Proofs, retry_lines
from parkade.sip.session.dialog import Dialog
from parkade.sip.session.finish import ack_of, finish_by_outcome, respond, send_ack
from parkade.sip.session.lifecycle import State
from parkade.sip.session.news import AnswerTaken, Offered, OfferRefused, OfferWanted
from parkade.sip.session.offers import CLASH, Move, Turn
from parkade.sip.session.state import Change, Kind, SentChange
from parkade.sip.session.usage import Deadline
from parkade.sip.transaction.transaction import ClientTransaction, ServerTransaction, Why

PATIENCE_S = 60.0
"""How long a re-INVITE may stay without a final response, in seconds; the phone has no person to ask."""

MAX_TRIES = 8
"""How often one change is sent while the phone says that it cannot just now."""


# Ours


def want(core: Core, change: Change) -> None:
    """Send ``change`` as soon as the dialog is free; an earlier one of its kind that still waits is forgotten."""
    if core.state < State.CLOSING:
        core.changes[change.kind] = change


def send_next(core: Core, now: Instant) -> None:
    """Send the most pressing change if nothing is in the way."""
    dialog = core.dialog
    if not core.changes or core.resting or core.sent_change is not None or core.asked is not None:
        return
    if dialog is None or dialog.offers.turn is not Turn.NOBODY:
        return
    change = core.changes[min(core.changes)]
    if core.state is State.EARLY:
        # Before the answer only an UPDATE can, and only once both sides have spoken.
        if not (core.peer_allows("UPDATE") and dialog.offers.remote and dialog.offers.local) or core.waits_for_prack:
            return
        by_update = True
    elif core.state is State.CONFIRMED and core.accepted is None:
        by_update = change.by_update and core.peer_allows("UPDATE")
    else:
        return
    del core.changes[change.kind]
    if not (change.sdp or by_update or dialog.offers.local):
        return  # A re-INVITE without SDP would ask for an offer.
    change.tries += 1
    sdp = change.sdp if change.sdp or by_update else dialog.offers.local
    sent = core.sent_change = SentChange(change, dialog, sdp, not by_update, dialog.offers.remote)
    if sdp:
        dialog.offers.move(Move.WE_OFFER, sdp)
    _Sender(core, sent).send((), now)


def rested(core: Core, now: Instant) -> None:  # noqa: ARG001 - a timer
    """The wait before another try is over."""
    core.resting = False


def lose_patience(core: Core, now: Instant) -> None:
    """Wait no longer: CANCEL a re-INVITE. Its last response, or nothing for 32 s, is the end of it."""
    sent = core.sent_change
    if sent is not None and sent.is_invite and sent.tx is not None:
        sent.tx.cancel(now)


# Theirs


def take_invite(core: Core, dialog: Dialog, tx: ServerTransaction, now: Instant) -> None:
    """A re-INVITE: an offer, or the wish to get one."""
    sent = core.sent_change
    if (core.asked is not None and core.asked.request.method == "INVITE") or core.is_unanswered:
        _later(core, tx, now)
    elif core.accepted is None and (core.state is not State.CONFIRMED or (sent is not None and sent.is_invite)):
        respond(tx, 491, now)
    elif _is_acceptable(tx, now):
        _take(core, dialog, tx, now)


def take_update(core: Core, dialog: Dialog, tx: ServerTransaction, now: Instant) -> None:
    """An UPDATE: an offer, or just news (a refresh, another Contact)."""
    if not _is_acceptable(tx, now):
        return
    if tx.request.body:
        if core.asked is not None:
            _later(core, tx, now)
        else:
            _take(core, dialog, tx, now)
        return
    dialog.refresh_target(tx.request)
    _answer_update(core, dialog, tx, b"", (), now)


def take_prack(core: Core, dialog: Dialog, tx: ServerTransaction, now: Instant) -> None:
    """The SDP in a PRACK that acknowledges: the answer to our early offer, or an offer of its own."""
    body = tx.request.body
    if body and dialog.offers.move(Move.THEY_ANSWER, body):
        respond(tx, 200, now)
        core.say(AnswerTaken(body))
    elif body:
        _take(core, dialog, tx, now)
    else:
        respond(tx, 200, now)


def answer(core: Core, sdp: bytes, headers: HeaderLines, now: Instant) -> bool:
    """Answer what was asked with ``sdp``: an answer, or an offer where none came. False if nothing was asked."""
    tx, dialog = core.asked, core.asked_in
    if tx is None or dialog is None:
        return False
    core.asked = core.asked_in = None
    if tx.request.method == "INVITE":
        accept(core, tx, sdp, headers, now)
    elif tx.request.method == "UPDATE":
        dialog.offers.move(Move.WE_ANSWER, sdp)
        _answer_update(core, dialog, tx, sdp, headers, now)
    else:
        dialog.offers.move(Move.WE_ANSWER, sdp)
        respond(tx, 200, now, (*headers, SDP_LINE), sdp)
    return True


def _take(core: Core, dialog: Dialog, tx: ServerTransaction, now: Instant) -> None:
    offers, body = dialog.offers, tx.request.body
    clash = CLASH.get(offers.turn)
    if clash == 500:
        _later(core, tx, now)
        return
    if clash is not None:
        respond(tx, clash, now)
        return
    dialog.refresh_target(tx.request)
    core.asked, core.asked_in = tx, dialog
    if core.accepted is not None and tx.request.method == "INVITE":
        # They have moved on, so they have our 2xx: its ACK was lost or is late.
        acked(core, b"", now)
        if core.asked is not tx:
            return
    if body:
        offers.move(Move.THEY_OFFER, body)
        core.say(Offered(body))
    else:
        core.say(OfferWanted())


def _is_acceptable(tx: ServerTransaction, now: Instant) -> bool:
    request = tx.request
    if not keep_sdp(request):
        respond(tx, 415, now, readable_bodies(request))
    elif session_timer.too_brief(request):
        respond(tx, 422, now, [("Min-SE", str(session_timer.MIN_S))])
    else:
        return True
    return False


def _later(core: Core, tx: ServerTransaction, now: Instant) -> None:
    respond(tx, 500, now, [("Retry-After", str(core.agent.ids.below(11)))])


def _answer_update(core: Core, dialog: Dialog, tx: ServerTransaction, sdp: bytes, headers: HeaderLines, now: Instant) -> None:
    lines = [("Contact", dialog.contact), *headers]
    if core.state is State.CONFIRMED:
        lines += refresh.grant(core, tx.request, now)
    if sdp:
        lines.append(SDP_LINE)
    respond(tx, 200, now, lines, sdp)


class _Sender:
    """Who hears of one change of ours: its second try after a challenge or 422, and the ACK for each 2xx."""

    __slots__ = ("_core", "_sent")

    def __init__(self, core: Core, sent: SentChange) -> None:
        self._core = core
        self._sent = sent

    def send(self, more: HeaderLines, now: Instant) -> None:
        """Send it, with ``more`` headers in this attempt."""
        core, sent = self._core, self._sent
        lines = [ALLOW_LINE, SUPPORTED_LINE, *sent.change.headers, *more]
        if core.state is State.CONFIRMED:
            lines += refresh.propose(core)
        request = sent.dialog.request("INVITE" if sent.is_invite else "UPDATE", lines, sent.sdp)
        sent.tx = core.agent.layer.request(request, sent.dialog.next_hop(), self, now)
        if sent.is_invite:
            core.set_timer(Deadline.PATIENCE, now + PATIENCE_S)

    def on_response(self, tx: ClientTransaction, response: Response, now: Instant) -> None:
        """From the transaction."""
        if response.status < 200:
            return
        core, sent = self._core, self._sent
        if core.sent_change is sent:
            core.cancel_timer(Deadline.PATIENCE)
        if response.status < 300:
            self._success(tx.request, response, now)
        else:
            self._failure(tx.request, response, now)
        core.settle(now)

    def on_failed(self, tx: ClientTransaction, why: Why, now: Instant) -> None:
        """From the transaction."""
        self._core.cancel_timer(Deadline.PATIENCE)
        self._give_up(408 if why == "timeout" else 503, why, now)
        self._core.settle(now)

    def _success(self, request: Request, response: Response, now: Instant) -> None:
        core, sent = self._core, self._sent
        dialog, offers = sent.dialog, sent.dialog.offers
        if sent.ack is not None:
            send_ack(core, dialog, sent.ack)
            return
        dialog.refresh_target(response)
        if sent.is_invite:
            sent.ack = core.ack = ack_of(core, request)
            send_ack(core, dialog, sent.ack)
        core.sent_change = sent.tx = None
        if core.state >= State.CLOSING:
            return
        keep_sdp(response)
        core.learn(response)
        if core.state is State.CONFIRMED:
            refresh.take(core, response, now)
        body, is_offer = response.body, sent.change.kind is Kind.OFFER
        if body and offers.move(Move.THEY_ANSWER, body):
            if is_offer or body != sent.remote:
                core.say(AnswerTaken(body))
        elif offers.turn is Turn.THEM and offers.move(Move.DROPPED) and is_offer:
            core.say(OfferRefused(488))

    def _failure(self, request: Request, response: Response, now: Instant) -> None:
        core, sent, status = self._core, self._sent, response.status
        if core.state >= State.CLOSING:
            return
        sent.proofs = sent.proofs or Proofs()
        more = retry_lines(sent.proofs, request, response, core.credentials, core.agent.ids)
        longer = status == 422 and not sent.raised and refresh.raise_interval(core, response)
        if more or longer:
            sent.raised = sent.raised or longer
            self.send(more, now)
            return
        delay_s = self._delay_s(response)
        if delay_s is not None:
            self._try_again(delay_s, now)
        elif not sent.is_invite and status in (405, 501):
            if core.allowed is not None:
                core.allowed -= {"UPDATE"}
            self._try_again(0.0, now)
        else:
            self._give_up(status, response, now)

    def _try_again(self, delay_s: float, now: Instant) -> None:
        """After ``delay_s``, unless a newer change of its kind has come."""
        core, sent = self._core, self._sent
        sent.dialog.offers.move(Move.DROPPED)
        core.sent_change = sent.tx = None
        core.changes.setdefault(sent.change.kind, sent.change)
        core.resting = True
        core.set_timer(Deadline.RETRY, now + delay_s)

    def _delay_s(self, response: Response) -> float | None:
        """How long to wait before trying again what was refused for the moment (14.1); None if it is refused for good."""
        core = self._core
        if self._sent.change.tries >= MAX_TRIES:
            return None
        if response.status == 491:
            ids = core.agent.ids
            return ids.below(201) / 100 if core.incoming else 2.1 + ids.below(191) / 100
        wait_s = retry_after_s(response) if response.status == 500 else None
        return max(wait_s, 1) if wait_s is not None and wait_s < 100 else None

    def _give_up(self, status: int, outcome: Outcome, now: Instant) -> None:
        core, sent = self._core, self._sent
        core.sent_change = sent.tx = None
        if core.state >= State.CLOSING or finish_by_outcome(core, outcome, now):
            return
        sent.dialog.offers.move(Move.DROPPED)
        if sent.change.kind is Kind.OFFER:
            core.say(OfferRefused(status))

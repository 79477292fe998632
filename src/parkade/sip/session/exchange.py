"""Offers and answers after the first: re-INVITE and UPDATE (:rfc:`3261` section 14, :rfc:`3311`), theirs and ours.

Theirs wait for the owner in ``asked``. Ours wait here as wishes until the dialog is free, because only one INVITE and one offer
may be open at a time; a wish that meets one of theirs (491) is tried again after the wait the RFC draws by lot.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from parkade.base.clock import Instant
from parkade.sip.message.message import Request, Response
from parkade.sip.session import session_timer
from parkade.sip.session.ask import HeaderLines, Outcome, authorization
from parkade.sip.session.capabilities import ACCEPT_LINE, ALLOW_LINE, SDP_LINE, SUPPORTED_LINE
from parkade.sip.session.dialog import Dialog
from parkade.sip.session.lifecycle import State
from parkade.sip.session.offers import CLASH, Move, Turn
from parkade.sip.session.unacked import Unacked
from parkade.sip.transaction.transaction import ClientTransaction, ServerTransaction, Why

if TYPE_CHECKING:
    from parkade.sip.session.session import Session

PATIENCE_S = 60.0
"""How long a re-INVITE may stay without a final response, in seconds; the phone has no person to ask."""

MAX_TRIES = 8
"""How often one wish is sent while the phone says that it cannot just now."""


class Kind(IntEnum):
    """What a request of ours is for, the most pressing first."""

    OFFER = 0
    IDENTITY = 1
    REFRESH = 2


@dataclass(slots=True)
class Wish:
    """A re-INVITE or UPDATE to be sent. Without ``sdp`` it changes no media, and repeats our last SDP where one is needed."""

    kind: Kind
    sdp: bytes = b""
    headers: HeaderLines = ()
    by_update: bool = False
    tries: int = 0


class Exchange:
    """Of one session. ``asked`` is their INVITE, UPDATE or PRACK that the owner has yet to answer."""

    __slots__ = ("_asked_in", "_ours", "_owner", "_resting", "_wishes", "asked")

    def __init__(self, session: Session) -> None:
        self._owner = weakref.ref(session)
        self._wishes: dict[Kind, Wish] = {}
        self._ours: OurOffer | None = None
        self._resting = False
        self.asked: ServerTransaction | None = None
        self._asked_in: Dialog | None = None

    @property
    def _session(self) -> Session:
        session = self._owner()
        assert session is not None
        return session

    # Ours

    def offer(self, sdp: bytes, headers: HeaderLines, *, by_update: bool, now: Instant) -> None:
        """Offer ``sdp`` as soon as the dialog is free; an earlier offer that still waits is forgotten."""
        self._wish(Wish(Kind.OFFER, sdp, headers, by_update), now)

    def tell(self, headers: HeaderLines, now: Instant) -> None:
        """Send ``headers`` in a request that changes nothing else."""
        self._wish(Wish(Kind.IDENTITY, headers=headers, by_update=True), now)

    def refresh(self, now: Instant) -> None:
        """Send a session refresh."""
        self._wish(Wish(Kind.REFRESH, by_update=True), now)

    def pursue(self, now: Instant) -> None:
        """Send the next wish if nothing is in the way."""
        session, dialog = self._session, self._session.dialog
        if not self._wishes or self._resting or self._ours is not None or self.asked is not None:
            return
        if dialog is None or dialog.offers.turn is not Turn.NOBODY:
            return
        wish = self._wishes[min(self._wishes)]
        if session.state is State.EARLY:
            # Before the answer only an UPDATE can, and only once both sides have spoken.
            if not (session.peer_allows("UPDATE") and dialog.offers.remote and dialog.offers.local):
                return
            by_update = True
        elif session.state is State.CONFIRMED and session.unacked is None:
            by_update = wish.by_update and session.peer_allows("UPDATE")
        else:
            return
        del self._wishes[wish.kind]
        if not (wish.sdp or by_update or dialog.offers.local):
            return  # A re-INVITE without SDP would ask for an offer.
        wish.tries += 1
        self._ours = OurOffer(self, session, dialog, wish, by_update=by_update, now=now)

    def done(self, now: Instant) -> None:
        """Our request has found its end."""
        self._ours = None
        self.pursue(now)

    def postpone(self, wish: Wish, delay_s: float, now: Instant) -> None:
        """Try ``wish`` again after ``delay_s``, unless a newer one of its kind has come."""
        self._wishes.setdefault(wish.kind, wish)
        self._ours = None
        self._resting = True
        self._session.ua.timers.set(self._rested, now + delay_s)

    @property
    def _is_inviting(self) -> bool:
        return self._ours is not None and self._ours.is_invite

    def _wish(self, wish: Wish, now: Instant) -> None:
        if self._session.state < State.CLOSING:
            self._wishes[wish.kind] = wish
            self.pursue(now)

    def _rested(self, now: Instant) -> None:
        self._resting = False
        self.pursue(now)

    # Theirs

    def take_invite(self, dialog: Dialog, tx: ServerTransaction, now: Instant) -> None:
        """A re-INVITE: an offer, or the wish to get one."""
        session = self._session
        if (self.asked is not None and self.asked.request.method == "INVITE") or session.is_unanswered:
            self._later(tx, now)
        elif session.unacked is None and (session.state is not State.CONFIRMED or self._is_inviting):
            session.respond(tx, 491, now)
        elif self._is_acceptable(tx, now):
            self._take(dialog, tx, now)

    def take_update(self, dialog: Dialog, tx: ServerTransaction, now: Instant) -> None:
        """An UPDATE: an offer, or just news (a refresh, another Contact)."""
        if not self._is_acceptable(tx, now):
            return
        if tx.request.body:
            if self.asked is not None:
                self._later(tx, now)
            else:
                self._take(dialog, tx, now)
            return
        dialog.refresh_target(tx.request)
        self._answer_update(dialog, tx, b"", (), now)

    def take_prack(self, dialog: Dialog, tx: ServerTransaction, now: Instant) -> None:
        """The SDP in a PRACK that acknowledges: the answer to our early offer, or an offer of its own."""
        body = tx.request.body
        if body and dialog.offers.move(Move.THEY_ANSWER, body):
            self._session.respond(tx, 200, now)
            self._session.handler.on_answer(self._session, body, now)
        elif body:
            self._take(dialog, tx, now)
        else:
            self._session.respond(tx, 200, now)
        self.pursue(now)

    def answer(self, sdp: bytes, headers: HeaderLines, now: Instant) -> bool:
        """Answer what was asked with ``sdp``: an answer, or an offer where none came. False if nothing was asked."""
        tx, dialog, session = self.asked, self._asked_in, self._session
        if tx is None or dialog is None:
            return False
        self.asked = self._asked_in = None
        if tx.request.method == "INVITE":
            session.unacked = Unacked(session, tx, sdp, headers, now)
        elif tx.request.method == "UPDATE":
            dialog.offers.move(Move.WE_ANSWER, sdp)
            self._answer_update(dialog, tx, sdp, headers, now)
        else:
            dialog.offers.move(Move.WE_ANSWER, sdp)
            session.respond(tx, 200, now, (*headers, SDP_LINE), sdp)
        session.resume(now)
        self.pursue(now)
        return True

    def refuse(self, status: int, headers: HeaderLines, now: Instant) -> bool:
        """Refuse what was asked: what was agreed before holds. False if nothing was asked."""
        tx, dialog = self.asked, self._asked_in
        if tx is None or dialog is None:
            return False
        self.asked = self._asked_in = None
        dialog.offers.move(Move.DROPPED)
        self._session.respond(tx, status, now, headers)
        self._session.resume(now)
        self.pursue(now)
        return True

    def close(self, now: Instant) -> None:
        """The session is over: what is asked gets 487 (15.1.2), what was wished is forgotten."""
        self._wishes.clear()
        self._session.ua.timers.cancel(self._rested)
        if self._ours is not None:
            self._ours.cancel(now)
        self.refuse(487, (), now)

    def _take(self, dialog: Dialog, tx: ServerTransaction, now: Instant) -> None:
        session, offers, body = self._session, dialog.offers, tx.request.body
        clash = CLASH.get(offers.turn)
        if clash == 500:
            self._later(tx, now)
            return
        if clash is not None:
            session.respond(tx, clash, now)
            return
        dialog.refresh_target(tx.request)
        self.asked, self._asked_in = tx, dialog
        if session.unacked is not None and tx.request.method == "INVITE":
            # They have moved on, so they have our 2xx: its ACK was lost or is late.
            session.acked(b"", now)
            if self.asked is not tx:
                return
        if body:
            offers.move(Move.THEY_OFFER, body)
            session.handler.on_offer(session, body, now)
        else:
            session.handler.on_offer_wanted(session, now)

    def _is_acceptable(self, tx: ServerTransaction, now: Instant) -> bool:
        request = tx.request
        if request.body and request.content_type != "application/sdp":
            self._session.respond(tx, 415, now, [ACCEPT_LINE])
        elif session_timer.too_brief(request):
            self._session.respond(tx, 422, now, [("Min-SE", str(session_timer.MIN_S))])
        else:
            return True
        return False

    def _later(self, tx: ServerTransaction, now: Instant) -> None:
        self._session.respond(tx, 500, now, [("Retry-After", str(self._session.ua.ids.below(11)))])

    def _answer_update(
        self, dialog: Dialog, tx: ServerTransaction, sdp: bytes, headers: Iterable[tuple[str, str]], now: Instant
    ) -> None:
        session = self._session
        lines = [("Contact", dialog.contact), *headers]
        if session.state is State.CONFIRMED:
            lines += session.refresh.grant(tx.request, now)
        if sdp:
            lines.append(SDP_LINE)
        session.respond(tx, 200, now, lines, sdp)


class OurOffer:
    """One re-INVITE or UPDATE of ours, with its second try after a challenge or 422, and the ACK for each 2xx."""

    __slots__ = ("_ack", "_dialog", "_exchange", "_flow", "_retried", "_sdp", "_session", "_tx", "is_invite", "wish")

    def __init__(
        self, exchange: Exchange, session: Session, dialog: Dialog, wish: Wish, *, by_update: bool, now: Instant
    ) -> None:
        self._exchange = exchange
        self._session = session
        self._dialog = dialog
        self._ack: Request | None = None
        self._flow = dialog.flow
        self._retried = False
        self._tx: ClientTransaction | None = None
        self._sdp = wish.sdp if wish.sdp or by_update else dialog.offers.local
        self.is_invite = not by_update
        self.wish = wish
        if self._sdp:
            dialog.offers.move(Move.WE_OFFER, self._sdp)
        self._send((), now)

    def on_response(self, tx: ClientTransaction, response: Response, now: Instant) -> None:
        """From the transaction."""
        if response.status < 200:
            return
        self._session.ua.timers.cancel(self.cancel)
        if response.status < 300:
            self._success(tx, response, now)
        else:
            self._failure(tx, response, now)

    def on_failed(self, tx: ClientTransaction, why: Why, now: Instant) -> None:
        """From the transaction."""
        self._session.ua.timers.cancel(self.cancel)
        self._give_up(408 if why == "timeout" else 503, why, now)

    def cancel(self, now: Instant) -> None:
        """Wait no longer: CANCEL an INVITE. Its last response, or nothing for 32 s, is the end of this."""
        self._session.ua.timers.cancel(self.cancel)
        if self.is_invite and self._tx is not None:
            self._tx.cancel(now)

    def _send(self, more: HeaderLines, now: Instant) -> None:
        session = self._session
        lines = [ALLOW_LINE, SUPPORTED_LINE, *self.wish.headers, *more]
        if session.state is State.CONFIRMED:
            lines += session.refresh.propose()
        request = self._dialog.request("INVITE" if self.is_invite else "UPDATE", lines, self._sdp)
        self._flow = self._dialog.next_hop()
        self._tx = session.ua.layer.request(request, self._flow, self, now)
        if self.is_invite:
            session.ua.timers.set(self.cancel, now + PATIENCE_S)

    def _success(self, tx: ClientTransaction, response: Response, now: Instant) -> None:
        session, offers = self._session, self._dialog.offers
        if self._ack is not None:
            session.ua.layer.send(self._ack, self._flow)
            return
        if self.is_invite:
            self._dialog.refresh_target(response)
            self._ack = self._dialog.ack(tx.request.cseq.number)
            self._flow = self._dialog.next_hop()
            session.ua.layer.send(self._ack, self._flow)
        if session.state >= State.CLOSING:
            return
        session.learn(response)
        self._dialog.refresh_target(response)
        if session.state is State.CONFIRMED:
            session.refresh.accept(response, now)
        answered = bool(response.body) and offers.move(Move.THEY_ANSWER, response.body)
        dropped = offers.turn is Turn.THEM and offers.move(Move.DROPPED)
        if self.wish.kind is Kind.OFFER and answered:
            session.handler.on_answer(session, response.body, now)
        elif self.wish.kind is Kind.OFFER and dropped:
            session.handler.on_offer_refused(session, 488, now)
        self._exchange.done(now)

    def _failure(self, tx: ClientTransaction, response: Response, now: Instant) -> None:
        session, status = self._session, response.status
        if session.state >= State.CLOSING:
            return
        if not self._retried:
            proof = authorization(tx.request, response, session.credentials, session.ua.ids)
            longer = status == 422 and session.refresh.raise_interval(response)
            if proof or longer:
                self._retried = True
                self._send((proof,) if proof else (), now)
                return
        delay_s = self._delay_s(response)
        if delay_s is not None:
            self._dialog.offers.move(Move.DROPPED)
            self._exchange.postpone(self.wish, delay_s, now)
            return
        if not self.is_invite and status in (405, 501):
            session.forget("UPDATE")
            self._dialog.offers.move(Move.DROPPED)
            self._exchange.postpone(self.wish, 0.0, now)
            return
        self._give_up(status, response, now)

    def _delay_s(self, response: Response) -> float | None:
        """How long to wait before trying again what was refused for the moment (14.1); None if it is refused for good."""
        if self.wish.tries >= MAX_TRIES:
            return None
        ids = self._session.ua.ids
        if response.status == 491:
            ours = not self._session.incoming
            return 2.1 + ids.below(191) / 100 if ours else ids.below(201) / 100
        digits = (response.headers.get("Retry-After") or "").partition(";")[0].partition("(")[0].strip()
        if response.status == 500 and digits.isascii() and digits.isdigit() and len(digits) < 3:
            return max(int(digits), 1)
        return None

    def _give_up(self, status: int, outcome: Outcome, now: Instant) -> None:
        session = self._session
        if session.state >= State.CLOSING or session.judge(outcome, now):
            return
        self._dialog.offers.move(Move.DROPPED)
        if self.wish.kind is Kind.OFFER:
            session.handler.on_offer_refused(session, status, now)
        self._exchange.done(now)

"""An INVITE that came to us, from its arrival to our final response (:rfc:`3261` section 13.3)."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from parkade.base.clock import Instant
from parkade.sip.message.errors import SipError
from parkade.sip.message.headers import parse_rack
from parkade.sip.message.message import Response, make_response
from parkade.sip.session.ask import HeaderLines
from parkade.sip.session.capabilities import ALLOW_LINE, SDP_LINE, SUPPORTED_LINE
from parkade.sip.session.dialog import Dialog
from parkade.sip.session.lifecycle import Event, State
from parkade.sip.session.offers import Move, Turn
from parkade.sip.session.reliable import ReliableProvisionals
from parkade.sip.session.unacked import Unacked
from parkade.sip.transaction.transaction import ServerTransaction

if TYPE_CHECKING:
    from parkade.sip.session.session import Session

REMINDER_S = 60.0
"""How often a provisional response is repeated so that no proxy gives the call up (13.3.1.1), in seconds."""


class Incoming:
    """``tx`` is the transaction of the INVITE; ``dialog`` is its dialog, early from the start."""

    __slots__ = ("_accept", "_owner", "_provisional", "_reliable", "dialog", "tx")

    def __init__(self, session: Session, tx: ServerTransaction, dialog: Dialog) -> None:
        self._owner = weakref.ref(session)
        self._provisional: tuple[int, str | None, HeaderLines] = (180, None, ())
        self._reliable: ReliableProvisionals | None = None
        self._accept: tuple[bytes, HeaderLines] | None = None
        self.tx = tx
        self.dialog = dialog
        if tx.request.body:
            dialog.offers.move(Move.THEY_OFFER, tx.request.body)

    @property
    def _session(self) -> Session:
        session = self._owner()
        assert session is not None
        return session

    def progress(self, status: int, reason: str | None, sdp: bytes, headers: HeaderLines, now: Instant) -> None:
        """Send a provisional response: reliably where the caller demands it, or can and there is SDP in it."""
        if self._session.state is not State.EARLY or self._accept is not None:
            return
        request, offers = self.tx.request, self.dialog.offers
        reliable = status > 100 and ("100rel" in request.require or (bool(sdp) and "100rel" in request.supported))
        if reliable:
            if sdp and not offers.move(Move.WE_ANSWER, sdp) and not (offers.local == b"" and offers.move(Move.WE_OFFER, sdp)):
                sdp = b""
        elif offers.turn is not Turn.US:
            sdp = b""
        response = self._build(status, reason, sdp, headers)
        if reliable:
            if self._reliable is None:
                self._reliable = ReliableProvisionals(self._session.ua, self.tx, self._unheard)
            self._reliable.send(response, now)
        else:
            self.tx.respond(response, now)
        self._provisional = (status, reason, headers)
        self._session.ua.timers.set(self._remind, now + REMINDER_S)

    def accept(self, sdp: bytes, headers: HeaderLines, now: Instant) -> None:
        """Answer with 200; not before SDP sent early has its PRACK (:rfc:`3262` section 3) and an early offer its answer."""
        session = self._session
        if session.state is not State.EARLY:
            return
        if session.exchange.asked is not None or (self._reliable is not None and self._reliable.holds_sdp):
            self._accept = (sdp, headers)
            return
        spoken = self.dialog.offers.turn is Turn.NOBODY and self.dialog.offers.local
        self._stop()
        session.step(Event.ANSWERED)
        session.unacked = Unacked(session, self.tx, b"" if spoken else sdp, headers, now)

    def refuse(self, status: int, reason: str | None, headers: HeaderLines, now: Instant) -> None:
        """Send a final response of 300 or more. The transaction sees to its ACK."""
        self._stop()
        self.tx.respond(make_response(self.tx.request, status, reason, to_tag=self.dialog.local_tag, headers=headers), now)

    def take_prack(self, tx: ServerTransaction, now: Instant) -> None:
        """A PRACK: 481 unless it names the provisional response that waits (:rfc:`3262` section 3)."""
        session = self._session
        try:
            rack = parse_rack(tx.request.headers.get("RAck") or "")
        except SipError as error:
            session.respond(tx, error.status, now)
            return
        if self._reliable is None or not self._reliable.acknowledge(rack, now):
            session.respond(tx, 481, now)
            return
        session.exchange.take_prack(self.dialog, tx, now)
        self.resume(now)

    def resume(self, now: Instant) -> None:
        """Go on with an ``accept`` that had to wait, if it need not any more."""
        if self._accept is not None:
            (sdp, headers), self._accept = self._accept, None
            self.accept(sdp, headers, now)

    def _build(self, status: int, reason: str | None, sdp: bytes, headers: HeaderLines) -> Response:
        lines = [*headers]
        if status > 100:
            lines += (("Contact", self.dialog.contact), ALLOW_LINE, SUPPORTED_LINE)
        if sdp:
            lines.append(SDP_LINE)
        return make_response(self.tx.request, status, reason, to_tag=self.dialog.local_tag, headers=lines, body=sdp)

    def _remind(self, now: Instant) -> None:
        status, reason, headers = self._provisional
        self.progress(status, reason, b"", headers, now)

    def _unheard(self, now: Instant) -> None:
        """No PRACK came: the caller does not hear us (:rfc:`3262` section 3)."""
        session = self._session
        if session.close(now):
            self.refuse(504, None, (), now)
            session.handler.on_ended(session, "timeout", now)
            session.gone(now)

    def _stop(self) -> None:
        self._session.ua.timers.cancel(self._remind)
        if self._reliable is not None:
            self._reliable.stop()

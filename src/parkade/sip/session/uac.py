"""An INVITE of ours, from its sending to its last response (:rfc:`3261` sections 13.2 and 9.1): forks, CANCEL, challenge, 422.

It outlives the session: the transaction tells it of every further 2xx for 32 s, and each wants its ACK, and a BYE too if it is
of another fork or came after our CANCEL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from parkade.base.clock import Instant
from parkade.sip.message.errors import SipError
from parkade.sip.message.flow import Flow
from parkade.sip.message.grammar import number
from parkade.sip.message.headers import NameAddr
from parkade.sip.message.message import Headers, Request, Response
from parkade.sip.session.ask import Ask, HeaderLines, Outcome, authorization
from parkade.sip.session.capabilities import ALLOW_LINE, SDP_LINE, SUPPORTED_LINE
from parkade.sip.session.dialog import Dialog
from parkade.sip.session.lifecycle import Event, State
from parkade.sip.session.offers import Move, Turn
from parkade.sip.transaction.tables import State as Step
from parkade.sip.transaction.transaction import ClientTransaction, Why

if TYPE_CHECKING:
    from parkade.sip.session.session import Session

MAX_TRIES = 4
"""How often one INVITE is sent, challenges (401, 407) and demands for a longer session interval (422) included."""


class Fork:
    """One early or confirmed dialog of the INVITE. ``prack_due`` is a reliable offer whose PRACK waits for our answer."""

    __slots__ = ("ack", "dialog", "prack_due", "rseq")

    def __init__(self, dialog: Dialog) -> None:
        self.dialog = dialog
        self.rseq: int | None = None
        self.prack_due: Response | None = None
        self.ack: Request | None = None


class Outgoing:
    """``invite`` is the request as it was last sent, ``flow`` the way it went."""

    __slots__ = ("_forks", "_headers", "_sdp", "_session", "_tries", "_tx", "_winner", "flow", "invite")

    def __init__(
        self,
        session: Session,
        *,
        flow: Flow,
        target: str,
        from_: NameAddr,
        to: NameAddr,
        sdp: bytes,
        headers: HeaderLines,
        call_id: str,
    ) -> None:
        tagged = from_ if from_.tag else from_.with_param("tag", session.ua.ids.token())
        self._session = session
        self._sdp = sdp
        self._headers = (("From", str(tagged)), ("To", str(to)), ("Call-ID", call_id)), tuple(headers)
        self._forks: dict[str, Fork] = {}
        self._winner: Fork | None = None
        self._tries = 1
        self.flow = flow
        self.invite = self._build(target, 1, ())
        self._tx: ClientTransaction | None = None

    @property
    def is_silent(self) -> bool:
        """Whether the INVITE still waits for its first response."""
        return self._tx is not None and self._tx.state is Step.CALLING

    def start(self, now: Instant) -> None:
        """Send the INVITE."""
        session = self._session
        self._tx = session.ua.layer.request(self.invite, self.flow, self, now)

    def cancel(self, headers: HeaderLines, now: Instant) -> None:
        """Send a CANCEL as soon as that is allowed. The last response still ends the session."""
        if self._tx is not None:
            self._tx.cancel(now, headers)

    def confirm(self, sdp: bytes, now: Instant) -> None:
        """Send the ACK that carries our answer to the offer in the 2xx; nothing happens unless one waits for it."""
        fork, session = self._winner, self._session
        if fork is None or fork.ack is not None:
            return
        if sdp:
            fork.dialog.offers.move(Move.WE_ANSWER, sdp)
        self._acknowledge(fork, sdp)
        if session.step(Event.ACKED):
            session.handler.on_established(session, now)
            session.exchange.pursue(now)

    def answer_early(self, sdp: bytes, now: Instant) -> bool:
        """Send the PRACK that carries our answer to an early offer; False if none waits for it."""
        for fork in self._forks.values():
            if fork.prack_due is not None:
                due, fork.prack_due = fork.prack_due, None
                fork.dialog.offers.move(Move.WE_ANSWER, sdp)
                self._prack(fork, due, sdp, now)
                return True
        return False

    def acknowledge_again(self, dialog: Dialog) -> None:
        """A 2xx has come again after the transaction was over."""
        for fork in self._forks.values():
            if fork.dialog is dialog and fork.ack is not None:
                self._session.ua.layer.send(fork.ack, dialog.next_hop())

    def leave_others(self) -> None:
        """Requests in any dialog but that of the session are for nobody any more."""
        for fork in self._forks.values():
            if fork.dialog is not self._session.dialog:
                self._session.ua.unbind(fork.dialog)

    # From the transaction

    def on_response(self, tx: ClientTransaction, response: Response, now: Instant) -> None:
        """Every response but retransmitted failures."""
        try:
            if response.status < 200:
                self._provisional(response, now)
            elif response.status < 300:
                self._success(response, now)
            elif tx is self._tx:
                self._failure(response, now)
        except SipError:
            # An answer that cannot be read opens no dialog, and there will be no other.
            if response.status >= 200 and self._winner is None:
                self._over(500, None, now)

    def on_failed(self, tx: ClientTransaction, why: Why, now: Instant) -> None:
        """There will be no final response."""
        if tx is self._tx:
            self._over(408 if why == "timeout" else 503, None, now)

    def _provisional(self, response: Response, now: Instant) -> None:
        session = self._session
        if response.status == 100 or session.state not in (State.CALLING, State.EARLY):
            return
        fork = self._fork(response) if response.to.tag else None
        early_offer = False
        if fork is not None:
            if "100rel" in response.require:
                rseq = number(response.headers.get("RSeq") or "")
                if rseq is None or (fork.rseq is not None and rseq != fork.rseq + 1):
                    return
                fork.rseq = rseq
                early_offer = self._reliable(fork, response, now)
            session.dialog = fork.dialog
        session.learn(response)
        session.step(Event.RANG)
        session.handler.on_progress(session, response, now)
        if early_offer and session.state is State.EARLY:
            session.handler.on_offer(session, response.body, now)

    def _reliable(self, fork: Fork, response: Response, now: Instant) -> bool:
        """Acknowledge a reliable provisional response; True if it brings an offer, whose answer goes into the PRACK."""
        offers = fork.dialog.offers
        if response.body and not offers.move(Move.THEY_ANSWER, response.body) and offers.move(Move.THEY_OFFER, response.body):
            fork.prack_due = response
            return True
        self._prack(fork, response, b"", now)
        return False

    def _prack(self, fork: Fork, response: Response, sdp: bytes, now: Instant) -> None:
        session, dialog = self._session, fork.dialog
        rack = ("RAck", f"{response.headers.get('RSeq')} {response.cseq}")

        def make(more: HeaderLines) -> Request:
            return dialog.request("PRACK", (rack, *more), sdp)

        Ask(session.ua, make, dialog.next_hop, self._pracked, now, session.credentials)

    def _pracked(self, outcome: Outcome, now: Instant) -> None:
        """Whatever became of the PRACK shows in the INVITE."""

    def _success(self, response: Response, now: Instant) -> None:
        session = self._session
        fork = self._fork(response)
        if fork.ack is not None:
            session.ua.layer.send(fork.ack, fork.dialog.next_hop())
        elif self._winner is None and session.state < State.CLOSING:
            self._win(fork, response, now)
        elif fork is not self._winner:
            self._send_away(fork, response, now)

    def _win(self, fork: Fork, response: Response, now: Instant) -> None:
        session, dialog = self._session, fork.dialog
        # Whatever in the response cannot be read raises here, before it has won.
        dialog.confirm(response)
        session.learn(response)
        session.refresh.accept(response, now)
        self._winner = fork
        session.dialog = dialog
        self.leave_others()
        offers, body = dialog.offers, response.body
        if not self._sdp and body and offers.turn is Turn.NOBODY and not offers.local:
            offers.move(Move.THEY_OFFER, body)
            session.step(Event.ANSWERED)
            session.handler.on_answered(session, response, now)
            return
        if not (body and offers.move(Move.THEY_ANSWER, body)):
            offers.move(Move.DROPPED)
        self._acknowledge(fork, b"")
        session.step(Event.ANSWERED)
        session.step(Event.ACKED)
        session.handler.on_answered(session, response, now)
        if session.state is State.CONFIRMED:
            session.handler.on_established(session, now)
            session.exchange.pursue(now)

    def _send_away(self, fork: Fork, response: Response, now: Instant) -> None:
        """ACK and BYE: another fork, or it crossed our CANCEL (13.2.2.4)."""
        session, dialog = self._session, fork.dialog
        dialog.confirm(response)
        self._acknowledge(fork, b"")
        first = self._winner is None
        if first:
            self._winner = fork
            session.dialog = dialog
            session.say_bye((), now)
        else:
            Ask(
                session.ua, lambda more: dialog.request("BYE", more), dialog.next_hop, self._sent_away, now, session.credentials
            )

    def _sent_away(self, outcome: Outcome, now: Instant) -> None:
        """There is nobody to tell."""

    def _failure(self, response: Response, now: Instant) -> None:
        session = self._session
        if session.state < State.CLOSING and self._tries < MAX_TRIES:
            proof = authorization(self.invite, response, session.credentials, session.ua.ids)
            longer = response.status == 422 and session.refresh.raise_interval(response)
            if longer or proof is not None:
                self._tries += 1
                self._drop_forks()
                self.invite = self._build(self.invite.uri, self.invite.cseq.number + 1, (proof,) if proof else ())
                session.request = self.invite
                self.start(now)
                return
        self._over(response.status, response, now)

    def _over(self, status: int, response: Response | None, now: Instant) -> None:
        session = self._session
        if session.close(now):
            session.handler.on_refused(session, status, response, now)
        session.gone(now)
        self._drop_forks()

    def _drop_forks(self) -> None:
        for fork in self._forks.values():
            self._session.ua.unbind(fork.dialog)
        self._forks.clear()

    def _fork(self, response: Response) -> Fork:
        tag = response.to.tag or ""
        fork = self._forks.get(tag)
        if fork is None:
            session = self._session
            dialog = Dialog.of_client(self.invite, response, session.ua.contact_on(self.flow), self.flow)
            if self._sdp:
                dialog.offers.move(Move.WE_OFFER, self._sdp)
            fork = self._forks[tag] = Fork(dialog)
            if session.state < State.ACCEPTED:
                session.ua.bind(dialog, session)
        return fork

    def _acknowledge(self, fork: Fork, sdp: bytes) -> None:
        proof = [(n, v) for n, v in self.invite.headers if n in ("Authorization", "Proxy-Authorization")]
        fork.ack = fork.dialog.ack(self.invite.cseq.number, proof, sdp)
        self._session.ua.layer.send(fork.ack, fork.dialog.next_hop())

    def _build(self, target: str, seq: int, more: HeaderLines) -> Request:
        session, (who, headers) = self._session, self._headers
        lines = [
            ("Max-Forwards", "70"),
            *who,
            ("CSeq", f"{seq} INVITE"),
            ("Contact", session.ua.contact_on(self.flow)),
            ("User-Agent", session.ua.name),
            ALLOW_LINE,
            SUPPORTED_LINE,
            *session.refresh.propose(),
            *headers,
            *more,
        ]
        if self._sdp:
            lines.append(SDP_LINE)
        return Request("INVITE", target, Headers(lines), self._sdp)

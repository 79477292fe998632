"""A call as one party of it sees it: the INVITE, the dialog it opens, what happens in there, and its one end.

``Session`` is what the owner holds. It keeps the state and hands the work on: ``uas`` answers an INVITE, ``uac`` sends one,
``exchange`` negotiates later, ``indialog`` takes the other requests, ``refresh`` keeps the session timer.

Ending: exactly one of ``on_refused`` and ``on_ended`` is told to the handler, exactly once, and no event of the session after
it (only news of a REFER sent earlier). ``end`` and ``reject`` tell it before they return; what is still to be done on the wire,
a CANCEL or BYE and their answers, is done unseen. A verb that comes too late or out of turn does nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from parkade.base.clock import Instant
from parkade.sip.message.flow import Flow
from parkade.sip.message.message import Request, Response, make_response
from parkade.sip.session.ask import Ask, Credentials, HeaderLines, Outcome
from parkade.sip.session.dialog import Dialog
from parkade.sip.session.exchange import Exchange
from parkade.sip.session.handler import End, SessionHandler
from parkade.sip.session.lifecycle import STEPS, Event, State
from parkade.sip.session.offers import Move, Turn
from parkade.sip.session.refer import ANSWERABLE_S, Refer, Referral, refer_to
from parkade.sip.session.refresh import Refresh
from parkade.sip.transaction.transaction import ServerTransaction

if TYPE_CHECKING:
    from parkade.sip.session.ua import UserAgent
    from parkade.sip.session.uac import Outgoing
    from parkade.sip.session.uas import Incoming
    from parkade.sip.session.unacked import Unacked

UNASSUMED = frozenset({"UPDATE", "REFER", "NOTIFY", "SUBSCRIBE", "MESSAGE", "PRACK"})
"""Methods that are not sent to a peer that has never said what it allows."""


class Session:
    """One call leg. ``id`` is unique, ``request`` the INVITE, ``dialog`` None until an INVITE of ours has found one.

    ``handler`` may be replaced at any time, ``data`` is the owner's. ``credentials`` answer challenges in the dialog.
    The methods below *For this room* are not for the owner.
    """

    __slots__ = (
        "__weakref__",
        "_allowed",
        "_bye_waits",
        "_referrals",
        "credentials",
        "data",
        "dialog",
        "exchange",
        "handler",
        "id",
        "ours",
        "referred",
        "refresh",
        "request",
        "state",
        "theirs",
        "ua",
        "unacked",
        "undecided",
    )

    def __init__(self, ua: UserAgent, handler: SessionHandler, credentials: Credentials | None = None) -> None:
        self.id = ua.ids.token()
        self.ua = ua
        self.handler = handler
        self.credentials = credentials
        self.data: object = None
        self.state = State.CALLING
        self.request: Request
        self.dialog: Dialog | None = None
        self.theirs: Incoming | None = None
        self.ours: Outgoing | None = None
        self.unacked: Unacked | None = None
        self.refresh = Refresh(self)
        self.exchange = Exchange(self)
        self.undecided: list[Refer] = []
        self.referred = False
        self._referrals: list[Referral] = []
        self._allowed: frozenset[str] | None = None
        self._bye_waits: HeaderLines | None = None

    # What it is

    @property
    def incoming(self) -> bool:
        """Whether they called us."""
        return self.theirs is not None

    @property
    def flow(self) -> Flow:
        """How the far side is reached. Set it when it has registered anew over another connection."""
        if self.dialog is not None:
            return self.dialog.flow
        assert self.ours is not None
        return self.ours.flow

    @flow.setter
    def flow(self, flow: Flow) -> None:
        if self.dialog is not None:
            self.dialog.flow = flow

    @property
    def is_silent(self) -> bool:
        """Whether nothing has come back for an INVITE of ours, not even a 100."""
        return self.ours is not None and self.ours.is_silent

    @property
    def remote_sdp(self) -> bytes:
        """What they said last in SDP; empty before anything."""
        return self.dialog.offers.remote if self.dialog is not None else b""

    @property
    def local_sdp(self) -> bytes:
        """What we said last in SDP; empty before anything."""
        return self.dialog.offers.local if self.dialog is not None else b""

    def peer_allows(self, method: str) -> bool:
        """Whether the far side takes ``method``, by its last Allow; without one, whether every phone does."""
        if self._allowed is None and self.incoming:
            self.learn(self.request)
        return method not in UNASSUMED if self._allowed is None else method in self._allowed

    # Verbs for a call of theirs

    def progress(
        self, status: int, now: Instant, reason: str | None = None, sdp: bytes | None = None, headers: HeaderLines = ()
    ) -> None:
        """Answer provisionally; ``sdp`` opens early media. Repeated every minute until the final answer."""
        if self.theirs is not None:
            self.theirs.progress(status, reason, sdp or b"", headers, now)

    def accept(self, sdp: bytes, now: Instant, headers: HeaderLines = ()) -> None:
        """Answer with 200 and ``sdp``: the answer to their offer, or an offer that the ACK will answer."""
        if self.theirs is not None:
            self.theirs.accept(sdp, headers, now)

    def reject(self, status: int, now: Instant, reason: str | None = None, headers: HeaderLines = ()) -> None:
        """Answer with 300 or more, and end."""
        if self.theirs is not None and self.is_unanswered and self.close(now):
            self.theirs.refuse(status, reason, headers, now)
            self.handler.on_ended(self, "rejected", now)
            self.gone(now)

    # Verbs for a call of ours

    def confirm(self, sdp: bytes, now: Instant) -> None:
        """Answer the offer that the 2xx brought."""
        if self.ours is not None and self.state is State.ACCEPTED:
            self.ours.confirm(sdp, now)

    # Verbs for both

    def end(self, now: Instant, headers: HeaderLines = ()) -> None:
        """End it, whatever it is: CANCEL, 480 or BYE with ``headers``."""
        self._finish("ended", headers, now)

    def offer(self, sdp: bytes, now: Instant, headers: HeaderLines = (), *, prefer_update: bool = False) -> None:
        """Offer ``sdp`` by re-INVITE, or by UPDATE if that is preferred and allowed, as soon as the dialog is free.

        The outcome is ``on_answer`` or ``on_offer_refused``, unless a later offer has taken its place first.
        """
        self.exchange.offer(sdp, headers, by_update=prefer_update, now=now)

    def tell_identity(self, headers: HeaderLines, now: Instant) -> None:
        """Show them another party: an UPDATE, or a re-INVITE with the same SDP, that changes nothing but ``headers``."""
        self.exchange.tell(headers, now)

    def answer(self, sdp: bytes, now: Instant, headers: HeaderLines = ()) -> None:
        """Answer what ``on_offer`` brought, or give the offer that ``on_offer_wanted`` asked for."""
        if not self.exchange.answer(sdp, headers, now) and self.ours is not None:
            self.ours.answer_early(sdp, now)

    def refuse_offer(self, now: Instant, status: int = 488, headers: HeaderLines = ()) -> None:
        """Refuse what ``on_offer`` or ``on_offer_wanted`` brought. An early offer to our INVITE is refused by ``end``."""
        self.exchange.refuse(status, headers, now)

    def info(self, content_type: str, body: bytes, now: Instant) -> None:
        """Send an INFO."""
        dialog = self.dialog
        if dialog is not None and self.state in (State.EARLY, State.CONFIRMED):

            def make(more: HeaderLines) -> Request:
                return dialog.request("INFO", more, body, content_type)

            Ask(self.ua, make, dialog.next_hop, self._informed, now, self.credentials)

    def refer(self, target: str, now: Instant, replaces: Session | None = None, headers: HeaderLines = ()) -> None:
        """Ask the far side to call ``target`` instead of us; with ``replaces``, in place of us in that session."""
        if self.dialog is not None and self.state is State.CONFIRMED:
            to = refer_to(target, replaces.dialog if replaces is not None else None)
            self._referrals.append(Referral(self, to, headers, now))

    # For this room: the life of it

    @property
    def is_unanswered(self) -> bool:
        """Whether their INVITE still waits for our final answer."""
        return self.theirs is not None and self.state is State.EARLY

    def step(self, event: Event) -> bool:
        """Move on as the table says; False if it says nothing."""
        state = STEPS.get((self.state, event))
        if state is None:
            return False
        self.state = state
        return True

    def close(self, now: Instant) -> bool:
        """It is over for the owner, who is to be told next; False if that was so before."""
        if not self.step(Event.OVER):
            return False
        self.refresh.stop()
        self.exchange.close(now)
        for refer in tuple(self.undecided):
            refer.refuse(487, (), now)
        return True

    def gone(self, now: Instant) -> None:
        """Nothing is left to be done but to hear the outcome of a REFER of ours."""
        if not self.step(Event.GONE):
            return
        if self.unacked is not None:
            self.unacked.stop()
            self.unacked = None
        if self.ours is not None:
            self.ours.leave_others()
        if self.theirs is not None:
            self.theirs.tx.forget_request()
        if self._referrals:
            self.ua.timers.set(self._lapse, now + ANSWERABLE_S)
        else:
            self.ua.forget(self)

    def lost(self, why: End, now: Instant) -> None:
        """End it, for a reason found in this room."""
        self._finish(why, (), now)

    def hung_up(self, now: Instant) -> None:
        """They have said BYE."""
        state = self.state
        if state is State.CLOSING:
            if self._bye_waits is not None:
                self.gone(now)
            return
        if not self.close(now):
            return
        if self.ours is not None and state <= State.EARLY:
            self.ours.cancel((), now)
        elif self.theirs is not None and state is State.EARLY:
            self.theirs.refuse(487, None, (), now)
        self.handler.on_ended(self, "bye", now)
        if self.ours is None or state > State.EARLY:
            self.gone(now)

    def cancelled(self, tx: ServerTransaction, now: Instant) -> None:
        """They have cancelled the INVITE ``tx``: the first one, or a later one."""
        if self.theirs is None or tx is not self.theirs.tx:
            if self.exchange.asked is tx:
                self.exchange.refuse(487, (), now)
        elif self.is_unanswered and self.close(now):
            self.theirs.refuse(487, None, (), now)
            self.handler.on_ended(self, "cancelled", now)
            self.gone(now)

    def disconnected(self, tx: ServerTransaction, now: Instant) -> None:
        """No response to the INVITE ``tx`` can reach them."""
        if self.is_unanswered and self.theirs is not None and tx is self.theirs.tx and self.close(now):
            self.theirs.refuse(503, None, (), now)
            self.handler.on_ended(self, "transport", now)
            self.gone(now)
        elif self.exchange.asked is tx:
            self.exchange.refuse(503, (), now)

    def acked(self, sdp: bytes, now: Instant) -> None:
        """The 2xx that waited has its ACK, which brought ``sdp``."""
        unacked, dialog = self.unacked, self.dialog
        if unacked is None or dialog is None:
            return
        unacked.stop()
        self.unacked = None
        if self.state is State.CLOSING:
            if self._bye_waits is not None:
                self._say_waiting_bye(now)
            return
        first = self.step(Event.ACKED)
        if unacked.offers:
            if sdp and dialog.offers.move(Move.THEY_ANSWER, sdp):
                self.handler.on_answer(self, sdp, now)
            elif dialog.offers.turn is Turn.THEM:
                dialog.offers.move(Move.DROPPED)
                if first:
                    self.lost("no answer", now)
                else:
                    self.handler.on_offer_refused(self, 488, now)
        if first and self.state is State.CONFIRMED:
            self.handler.on_established(self, now)
        self.exchange.pursue(now)

    def ack_lost(self, now: Instant) -> None:
        """The 2xx has waited long enough for its ACK (13.3.1.4)."""
        self.unacked = None
        self.step(Event.ACKED)
        if self.state is not State.CLOSING:
            self.lost("ack lost", now)
        elif self._bye_waits is not None:
            self._say_waiting_bye(now)

    def judge(self, outcome: Outcome, now: Instant) -> bool:
        """End the session if the outcome of a request in it says that the far side has none (12.2.1.2). Whether it is over."""
        if self.state is State.CONFIRMED:
            if outcome == "timeout":
                self.lost("timeout", now)
            elif isinstance(outcome, Response) and outcome.status in (408, 481):
                self.lost("gone", now)
        return self.state >= State.CLOSING

    def say_bye(self, headers: HeaderLines, now: Instant) -> None:
        """Send BYE; whatever comes of it, or nothing for 32 s, is the end."""
        dialog = self.dialog
        assert dialog is not None

        def make(more: HeaderLines) -> Request:
            return dialog.request("BYE", (*headers, *more))

        Ask(self.ua, make, dialog.next_hop, self._bye_answered, now, self.credentials)

    def bye_after_ack(self, headers: HeaderLines, now: Instant) -> None:
        """BYE has to wait for the ACK to our 2xx, or for the time in which it may come (section 15)."""
        self._bye_waits = headers

    def _finish(self, why: End, headers: HeaderLines, now: Instant) -> None:
        finish = FINISH.get((self.incoming, self.state))
        if finish is not None and self.close(now):
            finish(self, headers, now)
            self.handler.on_ended(self, why, now)

    def _say_waiting_bye(self, now: Instant) -> None:
        headers, self._bye_waits = self._bye_waits or (), None
        self.say_bye(headers, now)

    def _bye_answered(self, outcome: Outcome, now: Instant) -> None:
        self.gone(now)

    def _lapse(self, now: Instant) -> None:
        for referral in tuple(self._referrals):
            referral.lapse(now)

    # For this room: small things

    def resume(self, now: Instant) -> None:
        """Go on with an ``accept`` that waited for an early negotiation."""
        if self.theirs is not None:
            self.theirs.resume(now)

    def respond(
        self, tx: ServerTransaction, status: int, now: Instant, headers: Iterable[tuple[str, str]] = (), body: bytes = b""
    ) -> None:
        """Answer a request in the dialog."""
        tx.respond(make_response(tx.request, status, to_tag=tx.to_tag, headers=tuple(headers), body=body), now)

    def learn(self, message: Request | Response) -> None:
        """Note what the far side says it allows."""
        allowed = message.allow
        if allowed is not None:
            self._allowed = allowed

    def forget(self, method: str) -> None:
        """They have refused ``method`` as such."""
        if self._allowed is not None:
            self._allowed -= {method}

    def referral(self, seq: str | None) -> Referral | None:
        """The REFER of ours with this CSeq number, or the first one where none is named."""
        for referral in self._referrals:
            if seq is None or seq == str(referral.seq):
                return referral
        return None

    def referral_over(self, now: Instant) -> None:
        """A REFER of ours needs no hearing any more."""
        self._referrals = [referral for referral in self._referrals if not referral.over]
        if not self._referrals and self.state is State.ENDED:
            self.ua.timers.cancel(self._lapse)
            self.ua.forget(self)

    def _informed(self, outcome: Outcome, now: Instant) -> None:
        self.judge(outcome, now)


def _refuse(session: Session, headers: HeaderLines, now: Instant) -> None:
    assert session.theirs is not None
    session.theirs.refuse(480, None, headers, now)
    session.gone(now)


def _cancel(session: Session, headers: HeaderLines, now: Instant) -> None:
    assert session.ours is not None
    session.ours.cancel(headers, now)


def _leave_unanswered(session: Session, headers: HeaderLines, now: Instant) -> None:
    """Their late offer gets no answer, but the 2xx its ACK."""
    assert session.ours is not None
    session.ours.confirm(b"", now)
    session.say_bye(headers, now)


FINISH: Mapping[tuple[bool, State], Callable[[Session, HeaderLines, Instant], None]] = {
    (True, State.EARLY): _refuse,
    (True, State.ACCEPTED): Session.bye_after_ack,
    (True, State.CONFIRMED): Session.say_bye,
    (False, State.CALLING): _cancel,
    (False, State.EARLY): _cancel,
    (False, State.ACCEPTED): _leave_unanswered,
    (False, State.CONFIRMED): Session.say_bye,
}
"""How ``end`` ends: (theirs, state). Absent: it is over already."""

"""A 2xx to an INVITE until its ACK comes (:rfc:`3261` section 13.3.1.4): sent again and again, for 64*T1 at most."""

from __future__ import annotations

from parkade.base.clock import Instant
from parkade.sip.message.flow import Send
from parkade.sip.message.message import make_response
from parkade.sip.session import refresh
from parkade.sip.session.capabilities import ALLOW_LINE, SDP_LINE, SUPPORTED_LINE
from parkade.sip.session.core import Core
from parkade.sip.session.credentials import HeaderLines
from parkade.sip.session.finish import finish, say_waiting_bye
from parkade.sip.session.lifecycle import Event, State
from parkade.sip.session.news import AnswerTaken, Established, OfferRefused
from parkade.sip.session.offers import Move, Turn
from parkade.sip.session.state import Accepted
from parkade.sip.session.usage import Deadline
from parkade.sip.transaction.tables import State as TransactionState
from parkade.sip.transaction.timers import T1, T2
from parkade.sip.transaction.transaction import ServerTransaction


def accept(core: Core, tx: ServerTransaction, sdp: bytes, headers: HeaderLines, now: Instant) -> None:
    """Build and send the 2xx to ``tx``, first or later INVITE of the session, with ``sdp`` as answer or offer, if any."""
    dialog, request = core.dialog, tx.request
    assert dialog is not None
    answers = dialog.offers.move(Move.WE_ANSWER, sdp) if sdp else False
    offers = bool(sdp) and not answers and dialog.offers.move(Move.WE_OFFER, sdp)
    lines = [("Contact", dialog.contact), ALLOW_LINE, SUPPORTED_LINE, *refresh.grant(core, request, now), *headers]
    if sdp:
        lines.append(SDP_LINE)
    response = make_response(request, 200, to_tag=dialog.local_tag, headers=lines, body=sdp)
    tx.respond(response, now)
    core.accepted = Accepted(request.cseq.number, offers, tx.last_sent, tx.flow, now + 64 * T1, T1, tx)
    core.set_timer(Deadline.ACK, now + T1)


def send_again(core: Core) -> None:
    """Send the 2xx once more."""
    waits = core.accepted
    if waits is not None and (waits.tx is None or waits.tx.state is not TransactionState.TERMINATED):
        core.agent.out.append(Send(waits.flow, waits.data))


def due(core: Core, now: Instant) -> None:
    """No ACK so far."""
    waits = core.accepted
    if waits is None:
        return
    if now >= waits.give_up_at:
        core.accepted = None
        core.step(Event.ACKED)
        if core.state is State.CLOSING:
            say_waiting_bye(core, now)
        else:
            finish(core, "ack lost", now)
        return
    send_again(core)
    waits.wait_s = min(2 * waits.wait_s, T2)
    core.set_timer(Deadline.ACK, min(now + waits.wait_s, waits.give_up_at))


def acked(core: Core, sdp: bytes, now: Instant) -> None:
    """The 2xx that waited has its ACK, which brought ``sdp``."""
    waits, dialog = core.accepted, core.dialog
    if waits is None or dialog is None:
        return
    core.cancel_timer(Deadline.ACK)
    core.cancelled = core.cancelled or (core.state is State.ACCEPTED and waits.tx is not None and waits.tx.cancelled)
    core.accepted = None
    if core.state is State.CLOSING:
        say_waiting_bye(core, now)
        return
    first = core.step(Event.ACKED)
    if first and core.server is not None:
        # From here on the INVITE is only what its retransmissions are matched with.
        core.server.tx.forget_request()
        core.server = None
        core.forget_request()
    if waits.offers:
        if sdp and dialog.offers.move(Move.THEY_ANSWER, sdp):
            core.say(AnswerTaken(sdp))
        elif dialog.offers.turn is Turn.THEM:
            dialog.offers.move(Move.DROPPED)
            if first:
                finish(core, "no answer", now)
            else:
                core.say(OfferRefused(488))
    if first and core.state is State.CONFIRMED:
        core.say(Established())

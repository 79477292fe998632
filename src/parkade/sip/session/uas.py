"""An INVITE that came to us, from its arrival to our final response (:rfc:`3261` section 13.3), and its reliable provisional
responses (:rfc:`3262`): sent again until the PRACK, one at a time.
"""

from __future__ import annotations

from parkade.base.clock import Instant
from parkade.sip.message.errors import SipError
from parkade.sip.message.grammar import number
from parkade.sip.message.headers import RAck, parse_rack
from parkade.sip.message.message import Request, Response, make_response
from parkade.sip.session import accepted, exchange
from parkade.sip.session.capabilities import ALLOW_LINE, SDP_LINE, SUPPORTED_LINE
from parkade.sip.session.core import Core
from parkade.sip.session.credentials import HeaderLines
from parkade.sip.session.dialog import Dialog
from parkade.sip.session.finish import finish, refuse_asked, respond, stop_provisionals
from parkade.sip.session.lifecycle import Event, State
from parkade.sip.session.offers import Move, Turn
from parkade.sip.session.state import Incoming, Reliable
from parkade.sip.session.usage import Deadline
from parkade.sip.transaction.timers import T1
from parkade.sip.transaction.transaction import ServerTransaction

REMINDER_S = 60.0
"""How often a provisional response is repeated so that no proxy gives the call up (13.3.1.1), in seconds."""


def begin(core: Core, tx: ServerTransaction, dialog: Dialog, now: Instant) -> None:
    """``tx`` is the INVITE, ``dialog`` its dialog, early from the start."""
    core.request = tx.request
    core.dialog = dialog
    core.server = Incoming(tx)
    core.step(Event.RANG)
    if tx.request.body:
        dialog.offers.move(Move.THEY_OFFER, tx.request.body)
    valid_s = expires_s(tx.request)
    if valid_s:
        core.set_timer(Deadline.EXPIRES, now + valid_s)


def expires_s(request: Request) -> int | None:
    """How long an INVITE is valid, in seconds (13.3.1 step 1); None if it does not say so, or not readably."""
    text = request.headers.get("Expires")
    return number(text.strip()) if text is not None else None


def progress(core: Core, status: int, reason: str | None, sdp: bytes, headers: HeaderLines, now: Instant) -> None:
    """Send a provisional response: reliably where the caller demands it, or can and there is SDP in it."""
    server, dialog = core.server, core.dialog
    if core.state is not State.EARLY or server is None or dialog is None or server.accept is not None:
        return
    request, offers = server.tx.request, dialog.offers
    reliable = status > 100 and ("100rel" in request.require or (bool(sdp) and "100rel" in request.supported))
    if reliable:
        if sdp and not offers.move(Move.WE_ANSWER, sdp) and not (offers.local == b"" and offers.move(Move.WE_OFFER, sdp)):
            sdp = b""
    elif offers.turn is not Turn.US:
        sdp = b""
    response = _build(dialog, request, status, reason, sdp, headers)
    if reliable:
        _send_reliably(core, server, response, now)
    else:
        server.tx.respond(response, now)
    server.provisional = (status, reason, headers)
    core.set_timer(Deadline.REMINDER, now + REMINDER_S)


def accept(core: Core, sdp: bytes, headers: HeaderLines, now: Instant) -> None:
    """Answer with 200; not before SDP sent early has its PRACK (:rfc:`3262` section 3) and an early offer its answer."""
    server, dialog = core.server, core.dialog
    if core.state is not State.EARLY or server is None or dialog is None:
        return
    if core.asked is not None or core.waits_for_prack:
        server.accept = (sdp, headers)
        return
    spoken = dialog.offers.turn is Turn.NOBODY and dialog.offers.local
    stop_provisionals(core)
    core.step(Event.ANSWERED)
    accepted.accept(core, server.tx, b"" if spoken else sdp, headers, now)


def resume(core: Core, now: Instant) -> None:
    """Go on with an ``accept`` that had to wait, if it need not any more."""
    if core.server is not None and core.server.accept is not None:
        (sdp, headers), core.server.accept = core.server.accept, None
        accept(core, sdp, headers, now)


def take_prack(core: Core, tx: ServerTransaction, now: Instant) -> None:
    """A PRACK: 481 unless it names the provisional response that waits (:rfc:`3262` section 3)."""
    try:
        rack = parse_rack(tx.request.headers.get("RAck") or "")
    except SipError as error:
        respond(tx, error.status, now)
        return
    if core.dialog is None or not _acknowledge(core, rack, now):
        respond(tx, 481, now)
        return
    exchange.take_prack(core, core.dialog, tx, now)
    resume(core, now)


def cancelled(core: Core, tx: ServerTransaction, now: Instant) -> None:
    """They have cancelled the INVITE ``tx``: the first one, or a later one."""
    if core.server is not None and core.server.tx is tx:
        if core.is_unanswered:
            finish(core, "cancelled", now)
    elif core.asked is tx:
        refuse_asked(core, 487, (), now)


def disconnected(core: Core, tx: ServerTransaction, now: Instant) -> None:
    """No response to the INVITE ``tx`` can reach them."""
    if core.is_unanswered and core.server is not None and core.server.tx is tx:
        finish(core, "transport", now)
    elif core.asked is tx:
        refuse_asked(core, 503, (), now)


def remind(core: Core, now: Instant) -> None:
    """Repeat the last provisional response."""
    if core.server is not None:
        status, reason, headers = core.server.provisional
        progress(core, status, reason, b"", headers, now)


def expired(core: Core, now: Instant) -> None:
    """The INVITE has not been answered while it was valid: as if it were cancelled (13.3.1)."""
    if core.is_unanswered:
        finish(core, "cancelled", now)


def provisional_due(core: Core, now: Instant) -> None:
    """No PRACK so far. The caller does not hear us if none comes at all (:rfc:`3262` section 3)."""
    reliable = core.server.reliable if core.server is not None else None
    if core.server is None or reliable is None or not reliable.queue:
        return
    if now >= reliable.give_up_at:
        if core.is_unanswered:
            finish(core, "timeout", now)
        return
    core.server.tx.respond(reliable.queue[0], now)
    reliable.wait_s *= 2
    core.set_timer(Deadline.PROVISIONAL, min(now + reliable.wait_s, reliable.give_up_at))


def _send_reliably(core: Core, server: Incoming, response: Response, now: Instant) -> None:
    """Send ``response``, or queue it behind the one that waits for its PRACK."""
    if server.reliable is None:
        server.reliable = Reliable(1 + core.agent.ids.below(2**31 - 1))
    server.reliable.queue.append(response)
    if len(server.reliable.queue) == 1:
        _start(core, server.tx, server.reliable, now)


def _start(core: Core, tx: ServerTransaction, reliable: Reliable, now: Instant) -> None:
    response = reliable.queue[0]
    response.headers.add("Require", "100rel")
    response.headers.add("RSeq", str(reliable.rseq))
    reliable.wait_s = T1
    reliable.give_up_at = now + 64 * T1
    tx.respond(response, now)
    core.set_timer(Deadline.PROVISIONAL, now + T1)


def _acknowledge(core: Core, rack: RAck, now: Instant) -> bool:
    """Whether ``rack`` names the response that waits; then the next one goes out."""
    server = core.server
    reliable = server.reliable if server is not None else None
    if server is None or reliable is None or not reliable.queue:
        return False
    if rack.rseq != reliable.rseq or rack.method != "INVITE" or rack.cseq != core.request.cseq.number:
        return False
    reliable.queue.popleft()
    core.cancel_timer(Deadline.PROVISIONAL)
    reliable.rseq += 1
    if reliable.queue:
        _start(core, server.tx, reliable, now)
    return True


def _build(dialog: Dialog, request: Request, status: int, reason: str | None, sdp: bytes, headers: HeaderLines) -> Response:
    lines = [*headers]
    if status > 100:
        lines += (("Contact", dialog.contact), ALLOW_LINE, SUPPORTED_LINE)
    if sdp:
        lines.append(SDP_LINE)
    return make_response(request, status, reason, to_tag=dialog.local_tag, headers=lines, body=sdp)

"""The end of a session: one way to finish it, for any cause in any state, and what is left to be done on the wire after that.

The owner is told exactly once. What is still to be done then, a CANCEL or BYE and its answer, is done unseen.
"""

from __future__ import annotations

from parkade.base.clock import Instant
from parkade.sip.message.message import Request, Response, make_response
from parkade.sip.session.ask import Ask, HeaderLines, Outcome, Purpose
from parkade.sip.session.core import Core
from parkade.sip.session.dialog import Dialog
from parkade.sip.session.lifecycle import FAREWELLS, FAREWELLS_TO_BYE, REFUSALS, End, Event, Farewell, State
from parkade.sip.session.news import Ended, News, Refused
from parkade.sip.session.offers import Move
from parkade.sip.session.refer import ANSWERABLE_S
from parkade.sip.session.state import Ack, Bye
from parkade.sip.session.usage import Deadline
from parkade.sip.transaction.transaction import ServerTransaction


def finish(core: Core, why: End, now: Instant, headers: HeaderLines = (), status: int = 0, reason: str | None = None) -> None:
    """End the session because of ``why``; nothing happens if it is over already.

    ``headers`` go into the last message, ``status`` and ``reason`` refuse an INVITE that has no answer yet.
    """
    if why == "bye":
        farewell = FAREWELLS_TO_BYE.get((core.incoming, core.state), Farewell.NOTHING)
    else:
        farewell = FAREWELLS.get((core.incoming, core.state), Farewell.NOTHING)
    if not close(core, Ended(why), now):
        return
    match farewell:
        case Farewell.REFUSE:
            refuse_invite(core, status or REFUSALS.get(why, 480), reason, headers, now)
            gone(core, now)
        case Farewell.CANCEL:
            cancel_invite(core, headers, now)
        case Farewell.BYE:
            say_bye(core, headers, now)
        case Farewell.BYE_AFTER_ACK:
            core.bye, core.bye_headers = Bye.WAITS, headers
        case Farewell.ACK_AND_BYE:
            acknowledge(core, b"")
            say_bye(core, headers, now)
        case Farewell.NOTHING:
            gone(core, now)


def not_answered(core: Core, status: int, response: Response | None, now: Instant) -> None:
    """An INVITE of ours has found its end without a 2xx; that also ends what is left of a session that was cancelled."""
    close(core, Refused(status, response), now)
    gone(core, now)


def close(core: Core, last_news: News, now: Instant) -> bool:
    """It is over for the owner, who is told ``last_news``; False if that was so before."""
    if not core.step(Event.OVER):
        return False
    if core.timer is not None:
        core.cancel_timer(Deadline.REFRESH)
        core.timer = None
    if core.resting:
        core.cancel_timer(Deadline.RETRY)
    core.changes.clear()
    if core.sent_change is not None:
        core.cancel_timer(Deadline.PATIENCE)
        if core.sent_change.is_invite and core.sent_change.tx is not None:
            core.sent_change.tx.cancel(now)
    if core.asked is not None:
        refuse_asked(core, 487, (), now)
    for refer in core.refers[:]:
        refer.refuse(487, (), now)
    core.say(last_news)
    return True


def gone(core: Core, now: Instant) -> None:
    """Nothing is left to be done but to hear the outcome of a REFER of ours."""
    if not core.step(Event.GONE):
        return
    core.cancel_timer(Deadline.ACK)
    core.accepted = None
    core.bye = Bye.NONE
    if core.client is not None:
        core.client.tx = None
    leave_other_forks(core)
    if core.server is not None:
        core.server.tx.forget_request()
    if core.referrals:
        core.set_timer(Deadline.REPORTS, now + ANSWERABLE_S)
    else:
        forget(core)


def forget(core: Core) -> None:
    """Nothing is left to be heard."""
    core.cancel_timer(Deadline.REPORTS)
    core.agent.usages.pop(core.id, None)
    if core.dialog is not None:
        core.unbind(core.dialog)


def hung_up(core: Core, now: Instant) -> None:
    """They have said BYE."""
    if core.state is State.CLOSING:
        if core.bye is Bye.WAITS:
            gone(core, now)
    else:
        finish(core, "bye", now)


def finish_by_outcome(core: Core, outcome: Outcome, now: Instant) -> bool:
    """End the session if the outcome of a request in it says that the far side has none (12.2.1.2). Whether it is over."""
    if core.state is State.CONFIRMED:
        if outcome == "timeout":
            finish(core, "timeout", now)
        elif isinstance(outcome, Response) and outcome.status in (408, 481):
            finish(core, "gone", now)
    return core.state >= State.CLOSING


def say_bye(core: Core, headers: HeaderLines, now: Instant) -> None:
    """Send BYE; whatever comes of it, or nothing for 32 s, is the end."""
    assert core.dialog is not None
    core.bye, core.bye_headers = Bye.SENT, headers
    Ask(core, core.dialog, "BYE", Purpose.BYE, headers).send(now)


def say_waiting_bye(core: Core, now: Instant) -> None:
    """The ACK has come, or will not come any more."""
    if core.bye is Bye.WAITS:
        say_bye(core, core.bye_headers, now)


def cancel_invite(core: Core, headers: HeaderLines, now: Instant) -> None:
    """Send a CANCEL as soon as that is allowed. The last response still ends the session."""
    if core.client is not None and core.client.tx is not None:
        core.client.tx.cancel(now, headers)


def refuse_invite(core: Core, status: int, reason: str | None, headers: HeaderLines, now: Instant) -> None:
    """Give their INVITE its final response of 300 or more. The transaction sees to its ACK."""
    stop_provisionals(core)
    if core.server is not None:
        respond(core.server.tx, status, now, headers, reason=reason)


def stop_provisionals(core: Core) -> None:
    """A final response goes out: nothing is sent again, but the PRACK for the last provisional response may still come."""
    core.cancel_timer(Deadline.REMINDER)
    core.cancel_timer(Deadline.EXPIRES)
    if core.server is not None and core.server.reliable is not None:
        core.cancel_timer(Deadline.PROVISIONAL)
        while len(core.server.reliable.queue) > 1:
            core.server.reliable.queue.pop()


def refuse_asked(core: Core, status: int, headers: HeaderLines, now: Instant) -> bool:
    """Refuse the offer, or the wish for one, that waits for the owner: what was agreed before holds. False if none waits."""
    tx, dialog = core.asked, core.asked_in
    if tx is None or dialog is None:
        return False
    core.asked = core.asked_in = None
    dialog.offers.move(Move.DROPPED)
    respond(tx, status, now, headers)
    return True


def acknowledge(core: Core, sdp: bytes) -> None:
    """Send the ACK that ``core.ack`` is made of, with our answer ``sdp`` to a late offer, if any."""
    assert core.ack is not None
    assert core.dialog is not None
    core.ack = core.ack._replace(sdp=sdp)
    if core.client is not None and core.client.winner is not None:
        core.client.winner.ack = core.ack
    send_ack(core, core.dialog, core.ack)


def ack_of(core: Core, invite: Request) -> Ack:
    """The ACK for a 2xx to ``invite``. It carries the credentials of the INVITE (22.1)."""
    proofs = [(name, value) for name, value in invite.headers if name in ("Authorization", "Proxy-Authorization")]
    return Ack(invite.cseq.number, proofs, b"", core.agent.ids.token())


def send_ack(core: Core, dialog: Dialog, ack: Ack) -> None:
    """Send ``ack``, for the first time or again."""
    core.agent.layer.send(dialog.ack(ack.number, ack.headers, ack.sdp), dialog.next_hop(), ack.branch)


def leave_other_forks(core: Core) -> None:
    """Requests in any dialog but that of the session are for nobody any more."""
    if core.client is not None:
        for fork in core.client.forks.values():
            if fork.dialog is not core.dialog:
                core.unbind(fork.dialog)


def respond(
    tx: ServerTransaction, status: int, now: Instant, headers: HeaderLines = (), body: bytes = b"", reason: str | None = None
) -> None:
    """Answer a request of theirs."""
    tx.respond(make_response(tx.request, status, reason, to_tag=tx.to_tag, headers=headers, body=body), now)

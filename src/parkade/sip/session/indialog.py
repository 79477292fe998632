"""Requests that arrive in the dialog of a session: one table of who takes which method in which states.

CSeq order, Require and the dialog itself have been looked at before (``ua``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from parkade.base.clock import Instant
from parkade.sip.message.bodies import keep_sdp, unwrap
from parkade.sip.message.errors import SipError
from parkade.sip.session import exchange, uas
from parkade.sip.session.capabilities import ACCEPT_LINE, ALLOW_LINE, INFO_TYPES, SUPPORTED_LINE, readable_bodies
from parkade.sip.session.core import Core
from parkade.sip.session.dialog import Dialog
from parkade.sip.session.finish import forget, hung_up, respond
from parkade.sip.session.lifecycle import State
from parkade.sip.session.news import InfoReceived, Referred, ReferReport
from parkade.sip.session.refer import Refer, Referral, report_of_notify
from parkade.sip.transaction.transaction import ServerTransaction

Taker: TypeAlias = Callable[[Core, Dialog, ServerTransaction, Instant], None]

LIVE = frozenset({State.EARLY, State.ACCEPTED, State.CONFIRMED})
EVER = frozenset(State)
CAPABILITIES = (ALLOW_LINE, SUPPORTED_LINE, ACCEPT_LINE)


def take(core: Core, dialog: Dialog, tx: ServerTransaction, now: Instant) -> None:
    """Give ``tx`` to whoever takes it: 405 for a method that has no place in a dialog, 481 where the session is over."""
    entry = TAKERS.get(tx.request.method)
    if entry is None:
        respond(tx, 405, now, [ALLOW_LINE])
        return
    states, taker = entry
    if core.state not in states:
        respond(tx, 481, now)
        return
    if taker is not _bye:
        core.learn(tx.request)
    taker(core, dialog, tx, now)


def take_without_session(tx: ServerTransaction, now: Instant) -> None:
    """Answer ``tx``, in a dialog that has outlived its session or never had one."""
    method = tx.request.method
    if method == "OPTIONS":
        respond(tx, 200, now, CAPABILITIES)
    elif method in TAKERS:
        respond(tx, 481, now)
    else:
        respond(tx, 405, now, [ALLOW_LINE])


def referral_over(core: Core, referral: Referral) -> None:
    """A REFER of ours needs no hearing any more."""
    core.referrals.remove(referral)
    if not core.referrals and core.state is State.ENDED:
        forget(core)


def reports_lapsed(core: Core, now: Instant) -> None:  # noqa: ARG001 - a timer
    """Nobody waits for the outcome of a REFER any longer."""
    core.referrals.clear()
    if core.state is State.ENDED:
        forget(core)


def _bye(core: Core, dialog: Dialog, tx: ServerTransaction, now: Instant) -> None:
    respond(tx, 200, now)
    if dialog is core.dialog:
        hung_up(core, now)


def _invite(core: Core, dialog: Dialog, tx: ServerTransaction, now: Instant) -> None:
    exchange.take_invite(core, dialog, tx, now)


def _update(core: Core, dialog: Dialog, tx: ServerTransaction, now: Instant) -> None:
    exchange.take_update(core, dialog, tx, now)


def _prack(core: Core, dialog: Dialog, tx: ServerTransaction, now: Instant) -> None:  # noqa: ARG001 - as the others
    if not keep_sdp(tx.request):
        respond(tx, 415, now, readable_bodies(tx.request))
    else:
        uas.take_prack(core, tx, now)


def _info(core: Core, dialog: Dialog, tx: ServerTransaction, now: Instant) -> None:  # noqa: ARG001 - as the others
    unwrap(tx.request, INFO_TYPES)
    core.say(InfoReceived(tx))


def _options(core: Core, dialog: Dialog, tx: ServerTransaction, now: Instant) -> None:  # noqa: ARG001 - as the others
    respond(tx, 200, now, CAPABILITIES)


def _refer(core: Core, dialog: Dialog, tx: ServerTransaction, now: Instant) -> None:
    try:
        refer = Refer(core, dialog, tx, first=not core.referred)
        dialog.refresh_target(tx.request)
    except SipError as error:
        respond(tx, error.status, now)
        return
    core.referred = True
    core.refers.append(refer)
    core.say(Referred(refer))


def _notify(core: Core, dialog: Dialog, tx: ServerTransaction, now: Instant) -> None:
    package, _, params = (tx.request.headers.get("Event") or "").partition(";")
    if package.strip().lower() != "refer":
        respond(tx, 489, now)
        return
    referral = _referral(core, params)
    if referral is None:
        respond(tx, 481, now)
        return
    dialog.refresh_target(tx.request)
    respond(tx, 200, now)
    report = report_of_notify(tx.request)
    if report is not None:
        if report.final:
            referral_over(core, referral)
        core.say(ReferReport(report))


def _referral(core: Core, params: str) -> Referral | None:
    """The REFER of ours that a NOTIFY names by its CSeq number, or the first one where none is named."""
    name, _, seq = params.strip().partition("=")
    named = seq.strip() if name.strip().lower() == "id" else None
    return next((referral for referral in core.referrals if named in (None, str(referral.number))), None)


TAKERS: Mapping[str, tuple[frozenset[State], Taker]] = {
    "BYE": (EVER, _bye),
    "INVITE": (LIVE, _invite),
    "UPDATE": (LIVE, _update),
    "PRACK": (EVER, _prack),
    "INFO": (LIVE, _info),
    "OPTIONS": (LIVE, _options),
    "REFER": (frozenset({State.ACCEPTED, State.CONFIRMED}), _refer),
    "NOTIFY": (EVER, _notify),
}

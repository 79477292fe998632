"""Requests that arrive in the dialog of a session: one table of who takes which method in which states.

CSeq order, Require and the dialog itself have been looked at before (``ua``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

from parkade.base.clock import Instant
from parkade.sip.message.errors import SipError
from parkade.sip.session.capabilities import ACCEPT_LINE, ALLOW_LINE, SUPPORTED_LINE
from parkade.sip.session.dialog import Dialog
from parkade.sip.session.lifecycle import State
from parkade.sip.session.refer import Refer
from parkade.sip.transaction.transaction import ServerTransaction

if TYPE_CHECKING:
    from parkade.sip.session.session import Session

Taker: TypeAlias = "Callable[[Session, Dialog, ServerTransaction, Instant], None]"

LIVE = frozenset({State.EARLY, State.ACCEPTED, State.CONFIRMED})
EVER = frozenset(State)


def take(session: Session, dialog: Dialog, tx: ServerTransaction, now: Instant) -> None:
    """Give ``tx`` to whoever takes it: 405 for a method that has no place in a dialog, 481 where the session is over."""
    entry = TAKERS.get(tx.request.method)
    if entry is None:
        session.respond(tx, 405, now, [ALLOW_LINE])
        return
    states, taker = entry
    if session.state not in states:
        session.respond(tx, 481, now)
        return
    if taker is not _bye:
        session.learn(tx.request)
    taker(session, dialog, tx, now)


def _bye(session: Session, dialog: Dialog, tx: ServerTransaction, now: Instant) -> None:
    session.respond(tx, 200, now)
    if dialog is session.dialog:
        session.hung_up(now)


def _invite(session: Session, dialog: Dialog, tx: ServerTransaction, now: Instant) -> None:
    session.exchange.take_invite(dialog, tx, now)


def _update(session: Session, dialog: Dialog, tx: ServerTransaction, now: Instant) -> None:
    session.exchange.take_update(dialog, tx, now)


def _prack(session: Session, dialog: Dialog, tx: ServerTransaction, now: Instant) -> None:  # noqa: ARG001 - as the others
    if session.theirs is None:
        session.respond(tx, 481, now)
    else:
        session.theirs.take_prack(tx, now)


def _info(session: Session, dialog: Dialog, tx: ServerTransaction, now: Instant) -> None:  # noqa: ARG001 - as the others
    session.respond(tx, 200, now)
    session.handler.on_info(session, tx.request, now)


def _options(session: Session, dialog: Dialog, tx: ServerTransaction, now: Instant) -> None:  # noqa: ARG001 - as the others
    session.respond(tx, 200, now, [ALLOW_LINE, SUPPORTED_LINE, ACCEPT_LINE])


def _refer(session: Session, dialog: Dialog, tx: ServerTransaction, now: Instant) -> None:
    try:
        refer = Refer(session, dialog, tx, first=not session.referred)
        dialog.refresh_target(tx.request)
    except SipError as error:
        session.respond(tx, error.status, now)
        return
    session.referred = True
    session.undecided.append(refer)
    session.handler.on_refer(session, refer, now)


def _notify(session: Session, dialog: Dialog, tx: ServerTransaction, now: Instant) -> None:
    package, _, params = (tx.request.headers.get("Event") or "").partition(";")
    if package.strip().lower() != "refer":
        session.respond(tx, 489, now)
        return
    name, _, seq = params.strip().partition("=")
    referral = session.referral(seq.strip() if name.strip().lower() == "id" else None)
    if referral is None:
        session.respond(tx, 481, now)
        return
    dialog.refresh_target(tx.request)
    session.respond(tx, 200, now)
    referral.report(tx.request, now)


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

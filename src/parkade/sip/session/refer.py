"""REFER in a dialog (:rfc:`3515`), both sides: a transfer that is asked of us, and one that we ask for.

A REFER opens a subscription that lives beside the session: it may be reported on after the BYE, in the same dialog.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import IntEnum
from typing import TYPE_CHECKING

from parkade.base.clock import Instant
from parkade.sip.message.errors import SipError
from parkade.sip.message.grammar import escape
from parkade.sip.message.headers import NameAddr, Replaces, parse_name_addr, parse_replaces
from parkade.sip.message.message import Request, Response, make_response
from parkade.sip.session.ask import Ask, HeaderLines, Outcome
from parkade.sip.session.dialog import Dialog
from parkade.sip.transaction.timers import T1
from parkade.sip.transaction.transaction import ServerTransaction

if TYPE_CHECKING:
    from parkade.sip.session.session import Session

LASTS_S = 180
"""How long a subscription is announced to live, in seconds."""
ANSWERABLE_S = 64 * T1
"""How long we listen for the outcome of a REFER of ours after the session has ended."""
_STATUS_LINE = re.compile(rb"\s*SIP/2\.0[ \t]+([1-6][0-9][0-9])[ \t]*([^\r\n]*)")


class _Stage(IntEnum):
    ASKED = 0
    REPORTING = 1
    SILENT = 2
    """Accepted, but no reports are wanted."""
    OVER = 3


class Refer:
    """A transfer asked of us. ``accept`` it and ``notify`` until ``final``, or ``refuse`` it; what is out of turn is ignored.

    ``id`` is unique among all sessions. ``replaces`` is what the Replaces of the Refer-To URI says: an attended transfer.
    """

    __slots__ = ("_dialog", "_event", "_stage", "_tx", "id", "refer_to", "referred_by", "replaces", "request", "session")

    def __init__(self, session: Session, dialog: Dialog, tx: ServerTransaction, *, first: bool) -> None:
        """Raises SipError(400) if ``tx`` says not, or not clearly, to whom."""
        request = tx.request
        targets = [value for name, value in request.headers if name == "Refer-To"]
        if len(targets) != 1:
            raise SipError(400, "One Refer-To is needed")
        by = request.headers.get("Referred-By")
        self.refer_to: NameAddr = parse_name_addr(targets[0])
        self.replaces: Replaces | None = _replaces_of(self.refer_to)
        self.referred_by: NameAddr | None = parse_name_addr(by) if by else None
        self.id = f"{session.id}.{request.cseq.number}"
        self.request = request
        self.session = session
        self._dialog = dialog
        self._tx = tx
        # Only the first REFER of a dialog may be reported on without its number (section 2.4.6).
        self._event = "refer" if first else f"refer;id={request.cseq.number}"
        self._stage = _Stage.ASKED

    def accept(self, headers: HeaderLines, now: Instant) -> None:
        """Say 202, and 100 Trying in a first NOTIFY unless the phone wants none (:rfc:`4488`)."""
        if self._stage is not _Stage.ASKED:
            return
        self.session.undecided.remove(self)
        lines = [("Contact", self._dialog.contact), *headers]
        if (self.request.headers.get("Refer-Sub") or "").strip().lower() == "false":
            lines.append(("Refer-Sub", "false"))
            self._stage = _Stage.SILENT
        else:
            self._stage = _Stage.REPORTING
        self._tx.respond(make_response(self.request, 202, to_tag=self._dialog.local_tag, headers=lines), now)
        self.notify(100, "Trying", (), now)

    def refuse(self, status: int, headers: HeaderLines, now: Instant) -> None:
        """Answer with a final ``status`` of 300 or more: nothing happens."""
        if self._stage is _Stage.ASKED:
            self._stage = _Stage.OVER
            self.session.undecided.remove(self)
            self._tx.respond(make_response(self.request, status, to_tag=self._dialog.local_tag, headers=headers), now)

    def notify(self, status: int, reason: str, headers: HeaderLines, now: Instant, *, final: bool = False) -> None:
        """Report how far the transfer has come; ``final`` ends the subscription."""
        if self._stage is not _Stage.REPORTING:
            return
        state = "terminated;reason=noresource" if final else f"active;expires={LASTS_S}"
        if final:
            self._stage = _Stage.OVER
        lines = (("Event", self._event), ("Subscription-State", state), *headers)
        body = f"SIP/2.0 {status} {reason}\r\n".encode()
        dialog = self._dialog
        Ask(
            self.session.ua,
            lambda more: dialog.request("NOTIFY", (*lines, *more), body, "message/sipfrag;version=2.0"),
            dialog.next_hop,
            self._notified,
            now,
            self.session.credentials,
        )

    def _notified(self, outcome: Outcome, now: Instant) -> None:
        # Whoever refuses a report wants no more of them; the session goes on (RFC 5057 section 5.1).
        if not isinstance(outcome, Response) or outcome.status >= 300:
            self._stage = _Stage.OVER


class Referral:
    """A transfer that we ask for. Its news go to ``on_refer_progress``: each report, or the refusal of the REFER."""

    __slots__ = ("_session", "over", "seq")

    def __init__(self, session: Session, refer_to: str, headers: Sequence[tuple[str, str]], now: Instant) -> None:
        self._session = session
        self.over = False
        self.seq = 0
        dialog = session.dialog
        assert dialog is not None
        lines = (("Refer-To", refer_to), *headers)

        def make(more: HeaderLines) -> Request:
            request = dialog.request("REFER", (*lines, *more))
            self.seq = request.cseq.number
            return request

        Ask(session.ua, make, dialog.next_hop, self._answered, now, session.credentials)

    def report(self, request: Request, now: Instant) -> bool:
        """Take a NOTIFY; False if it is none of ours, or none at all."""
        match = _STATUS_LINE.match(request.body)
        if self.over or match is None:
            return False
        state = (request.headers.get("Subscription-State") or "").partition(";")[0].strip().lower()
        final = state == "terminated"
        if final:
            self._end(now)
        reason = match[2].decode("utf-8", "replace")
        self._session.handler.on_refer_progress(self._session, int(match[1]), reason, final, tuple(request.headers), now)
        return True

    def lapse(self, now: Instant) -> None:
        """Nobody waits for the outcome any longer."""
        self._end(now)

    def _answered(self, outcome: Outcome, now: Instant) -> None:
        if isinstance(outcome, Response) and outcome.status < 300:
            if (outcome.headers.get("Refer-Sub") or "").strip().lower() == "false":
                self._end(now)
            return
        if self.over:
            return
        self._end(now)
        session = self._session
        if isinstance(outcome, Response):
            status, reason, headers = outcome.status, outcome.reason, tuple(outcome.headers)
        else:
            status, reason, headers = (408, "Request Timeout", ()) if outcome == "timeout" else (503, "Service Unavailable", ())
        session.handler.on_refer_progress(session, status, reason, True, headers, now)
        session.judge(outcome, now)

    def _end(self, now: Instant) -> None:
        self.over = True
        self._session.referral_over(now)


def refer_to(target: str, replaced: Dialog | None) -> str:
    """The Refer-To value for a URI ``target``; ``replaced`` is our dialog with it, which the transferred call is to replace."""
    if replaced is None:
        return f"<{target}>"
    # As the target sees that dialog: its own tag is the one we call remote.
    which = Replaces(replaced.call_id, replaced.remote_tag, replaced.local_tag)
    mark = "&" if "?" in target else "?"
    return f"<{target}{mark}Replaces={escape(str(which), '')}>"


def _replaces_of(where: NameAddr) -> Replaces | None:
    try:
        text = where.address.header("Replaces")
    except SipError as error:
        if error.status == 416:
            return None
        raise
    return parse_replaces(text) if text else None

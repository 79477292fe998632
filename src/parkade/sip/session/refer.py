"""REFER in a dialog (:rfc:`3515`), both sides: a transfer that is asked of us, and one that we ask for.

A REFER opens a subscription that lives beside the session: it may be reported on after the BYE, in the same dialog.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from parkade.base.clock import Instant
from parkade.sip.message.errors import SipError
from parkade.sip.message.grammar import escape
from parkade.sip.message.headers import NameAddr, Replaces, parse_name_addr, parse_replaces
from parkade.sip.message.message import Request, Response, make_response
from parkade.sip.session.ask import Ask, Asker, HeaderLines, Outcome, Purpose
from parkade.sip.session.dialog import Dialog
from parkade.sip.transaction.timers import T1
from parkade.sip.transaction.transaction import ServerTransaction

LASTS_S = 180
"""How long a subscription is announced to live, in seconds."""
ANSWERABLE_S = 64 * T1
"""How long we listen for the outcome of a REFER of ours after the session has ended."""
_STATUS_LINE = re.compile(rb"\s*SIP/2\.0[ \t]+([1-6][0-9][0-9])[ \t]*([^\r\n]*)")


class Stage(IntEnum):
    """How far a transfer asked of us has come."""

    ASKED = 0
    REPORTING = 1
    SILENT = 2
    """Accepted, but no reports are wanted."""
    OVER = 3


class Referee(Asker, Protocol):
    """Of whom a transfer is asked: a session."""

    id: str
    refers: list[Refer]

    def touch(self) -> None:
        """The value of the session has changed."""


class Refer:
    """A transfer asked of us. ``accept`` it and ``notify`` until ``final``, or ``refuse`` it; what is out of turn is ignored.

    ``id`` is unique among all sessions. ``replaces`` is what the Replaces of the Refer-To URI says: an attended transfer.
    ``event`` is the Event of the reports. ``tx`` is None once it is answered.
    """

    __slots__ = ("dialog", "event", "id", "refer_to", "referred_by", "replaces", "request", "session", "stage", "tx")

    def __init__(self, session: Referee, dialog: Dialog, refer_id: str, event: str, stage: Stage) -> None:
        self.id = refer_id
        self.session = session
        self.dialog = dialog
        self.event = event
        self.stage = stage
        self.refer_to = NameAddr("", "")
        self.referred_by: NameAddr | None = None
        self.replaces: Replaces | None = None
        self.request: Request | None = None
        self.tx: ServerTransaction | None = None

    @classmethod
    def of_request(cls, session: Referee, dialog: Dialog, tx: ServerTransaction, *, first: bool) -> Refer:
        """What ``tx`` asks for. Raises SipError(400) if it says not, or not clearly, to whom."""
        request = tx.request
        targets = [value for name, value in request.headers if name == "Refer-To"]
        if len(targets) != 1:
            raise SipError(400, "One Refer-To is needed")
        number = request.cseq.number
        # Only the first REFER of a dialog may be reported on without its number (section 2.4.6).
        event = "refer" if first else f"refer;id={number}"
        refer = cls(session, dialog, f"{session.id}.{number}", event, Stage.ASKED)
        refer.refer_to = parse_name_addr(targets[0])
        refer.replaces = _replaces_of(refer.refer_to)
        refer.referred_by = _readable(request.headers.get("Referred-By"))
        refer.request = request
        refer.tx = tx
        return refer

    def accept(self, headers: HeaderLines, now: Instant) -> None:
        """Say 202, and 100 Trying in a first NOTIFY unless the phone wants none (:rfc:`4488`)."""
        if self.stage is not Stage.ASKED or self.request is None:
            return
        lines = [("Contact", self.dialog.contact), *headers]
        if (self.request.headers.get("Refer-Sub") or "").strip().lower() == "false":
            lines.append(("Refer-Sub", "false"))
            self._answer(Stage.SILENT, 202, lines, now)
        else:
            self._answer(Stage.REPORTING, 202, lines, now)
        self.notify(100, "Trying", (), now)

    def refuse(self, status: int, headers: HeaderLines, now: Instant) -> None:
        """Answer with a final ``status`` of 300 or more: nothing happens."""
        if self.stage is Stage.ASKED:
            self._answer(Stage.OVER, status, headers, now)

    def notify(self, status: int, reason: str, headers: HeaderLines, now: Instant, *, final: bool = False) -> None:
        """Report how far the transfer has come; ``final`` ends the subscription."""
        if self.stage is not Stage.REPORTING:
            return
        state = "terminated;reason=noresource" if final else f"active;expires={LASTS_S}"
        if final:
            self._reach(Stage.OVER)
        lines = (("Event", self.event), ("Subscription-State", state), *headers)
        body = f"SIP/2.0 {status} {reason}\r\n".encode("utf-8", "surrogateescape")
        ask = Ask(self.session, self.dialog, "NOTIFY", Purpose.NOTIFY, lines, body, "message/sipfrag;version=2.0", self.id)
        ask.send(now)
        self.session.touch()

    def reported(self, outcome: Outcome) -> None:
        """What became of a report. Whoever refuses one wants no more; the session goes on (:rfc:`5057` section 5.1)."""
        if not isinstance(outcome, Response) or outcome.status >= 300:
            self._reach(Stage.OVER)

    def _answer(self, stage: Stage, status: int, headers: HeaderLines, now: Instant) -> None:
        tx, self.tx = self.tx, None
        self._reach(stage)
        if tx is not None:
            tx.respond(make_response(tx.request, status, to_tag=self.dialog.local_tag, headers=headers), now)

    def _reach(self, stage: Stage) -> None:
        self.stage = stage
        if stage is not Stage.REPORTING and self in self.session.refers:
            self.session.refers.remove(self)
        self.session.touch()


@dataclass(slots=True, eq=False)
class Referral:
    """A transfer that we ask for. ``ask`` is its REFER until that is answered, ``answered`` the CSeq number it had then."""

    ask: Ask | None = None
    answered: int = 0

    @property
    def number(self) -> int:
        """The CSeq number of the REFER, by which reports may name it."""
        return self.answered if self.ask is None else self.ask.number


@dataclass(frozen=True, slots=True)
class Report:
    """News of a transfer that we asked for."""

    status: int
    reason: str
    final: bool
    headers: HeaderLines


def report_of_notify(request: Request) -> Report | None:
    """What a NOTIFY says; None if it says nothing of a transfer."""
    match = _STATUS_LINE.match(request.body)
    if match is None:
        return None
    state = (request.headers.get("Subscription-State") or "").partition(";")[0].strip().lower()
    return Report(int(match[1]), match[2].decode("utf-8", "replace"), state == "terminated", tuple(request.headers))


def report_of_outcome(outcome: Outcome) -> Report | None:
    """What the outcome of the REFER itself says: its failure, or that no report will come; None if reports will."""
    if isinstance(outcome, Response):
        if outcome.status >= 300:
            return Report(outcome.status, outcome.reason, True, tuple(outcome.headers))
        return None
    return _UNANSWERED[outcome]


def wants_no_reports(outcome: Outcome) -> bool:
    """Whether the far side takes the REFER but will not report on it (:rfc:`4488`)."""
    return isinstance(outcome, Response) and (outcome.headers.get("Refer-Sub") or "").strip().lower() == "false"


_UNANSWERED: Mapping[str, Report] = {
    "timeout": Report(408, "Request Timeout", True, ()),
    "transport": Report(503, "Service Unavailable", True, ()),
}


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


def _readable(text: str | None) -> NameAddr | None:
    """Who refers is for display only: what cannot be read counts as not said."""
    try:
        return parse_name_addr(text) if text and text.strip() != "*" else None
    except SipError:
        return None

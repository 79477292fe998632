"""REFER in a dialog (:rfc:`3515`), both sides: a transfer that is asked of us, and one that we ask for.

A REFER of theirs that is accepted opens a subscription beside the session (``notifier``): it may be reported on after the BYE,
in the same dialog.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from parkade.base.clock import Instant
from parkade.sip.message.errors import SipError
from parkade.sip.message.grammar import escape
from parkade.sip.message.headers import NameAddr, Replaces, parse_name_addr, parse_replaces
from parkade.sip.message.message import Request, Response, make_response
from parkade.sip.session.ask import Ask, Credentials, HeaderLines, Outcome
from parkade.sip.session.dialog import Dialog
from parkade.sip.session.package import Package
from parkade.sip.transaction.timers import T1
from parkade.sip.transaction.transaction import ServerTransaction

ANSWERABLE_S = 64 * T1
"""How long we listen for the outcome of a REFER of ours after the session has ended."""
_STATUS_LINE = re.compile(rb"\s*SIP/2\.0[ \t]+([1-6][0-9][0-9])[ \t]*([^\r\n]*)")


class Referee(Protocol):
    """Of whom a transfer is asked: a session."""

    id: str
    refers: list[Refer]
    credentials: Credentials | None

    def touch(self) -> None:
        """The value of the session has changed."""


class Refer:
    """A transfer asked of us that waits for an answer: ``refuse`` it, or ``accept_refer`` it at the notifier.

    ``id`` is unique among all usages. ``replaces`` is what the Replaces of the Refer-To URI says: an attended transfer.
    ``event`` is the Event of the reports, ``names`` the ids by which a SUBSCRIBE may mean them. ``tx`` is None once it is
    answered.
    """

    __slots__ = ("dialog", "event", "id", "names", "refer_to", "referred_by", "replaces", "session", "tx")

    def __init__(self, session: Referee, dialog: Dialog, tx: ServerTransaction, *, first: bool) -> None:
        """What ``tx`` asks for. Raises SipError(400) if it says not, or not clearly, to whom."""
        request = tx.request
        targets = [value for name, value in request.headers if name == "Refer-To"]
        if len(targets) != 1:
            raise SipError(400, "One Refer-To is needed")
        number = str(request.cseq.number)
        self.id = f"{session.id}.{number}"
        self.session = session
        self.dialog = dialog
        # Only the first REFER of a dialog may be reported on without its number (section 2.4.6).
        self.event = "refer" if first else f"refer;id={number}"
        self.names = ("", number) if first else (number,)
        self.refer_to = parse_name_addr(targets[0])
        self.replaces = _replaces_of(self.refer_to)
        self.referred_by = _readable(request.headers.get("Referred-By"))
        self.tx: ServerTransaction | None = tx

    def refuse(self, status: int, headers: HeaderLines, now: Instant) -> None:
        """Answer with a final ``status`` of 300 or more: nothing happens. Ignored once it is answered."""
        self.answer(status, headers, now)

    def answer(self, status: int, headers: HeaderLines, now: Instant) -> None:
        """Give the REFER its final response, unless it has one."""
        tx, self.tx = self.tx, None
        if tx is not None:
            tx.respond(make_response(tx.request, status, to_tag=self.dialog.local_tag, headers=headers), now)
            self.session.refers.remove(self)
            self.session.touch()


class ReferPackage(Package):
    """What the notifier says of transfers (:rfc:`3515`): ``state`` is status and reason of the transferred call.

    Told for an hour: longer than anybody is rung, one after the other, for a call that is transferred.
    """

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__("refer", ("message/sipfrag;version=2.0",), by_subscribe=False)

    def document(self, resource: str, state: str, version: int, content_type: str) -> bytes:
        """One status line."""
        return f"SIP/2.0 {state}\r\n".encode("utf-8", "surrogateescape")


def unreported_by(request: Request) -> bool:
    """Whether a REFER wants no reports: by Refer-Sub (:rfc:`4488`), or because it requires that (:rfc:`7614`)."""
    return _refer_sub_of(request) == "false" or "nosub" in request.require


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
    return isinstance(outcome, Response) and _refer_sub_of(outcome) == "false"


def _refer_sub_of(message: Request | Response) -> str:
    return (message.headers.get("Refer-Sub") or "").partition(";")[0].strip().lower()


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

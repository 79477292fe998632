"""One request of ours in a dialog, other than INVITE and UPDATE, until its outcome; challenges are answered on the way."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from parkade.base.clock import Instant
from parkade.sip.message.grammar import number
from parkade.sip.message.message import Response
from parkade.sip.session.agent import Agent
from parkade.sip.session.credentials import Credentials, HeaderLines, Outcome, Proofs, retry_lines
from parkade.sip.session.dialog import Dialog
from parkade.sip.transaction.transaction import ClientTransaction, Why

__all__ = ["Ask", "Asker", "Credentials", "HeaderLines", "Outcome", "Purpose"]


class Purpose(IntEnum):
    """What a request is for: decides what its outcome means."""

    BYE = 0
    """The end of the session."""
    DISMISSAL = 1
    """The end of a dialog that is not the session's: another fork."""
    PRACK = 2
    INFO = 3
    NOTIFY = 4
    """What a subscriber is told."""
    REFER = 5
    PROBE = 6
    """OPTIONS: are they still there?"""


def retry_after_s(response: Response) -> int | None:
    """How long Retry-After asks us to wait, in seconds; None if it does not, or nobody can read it."""
    return number((response.headers.get("Retry-After") or "").partition(";")[0].partition("(")[0].strip())


class Asker(Protocol):
    """Whose request it is: a usage."""

    agent: Agent
    credentials: Credentials | None

    def outcome(self, ask: Ask, outcome: Outcome, now: Instant) -> None:
        """What became of ``ask``. Told once."""

    def touch(self) -> None:
        """What must be kept of it may have changed: the number of its last request."""


@dataclass(slots=True, eq=False)
class Ask:
    """``about`` is why a NOTIFY is the last, empty for any other. ``number`` is the CSeq number of the last attempt."""

    asker: Asker
    dialog: Dialog
    method: str
    purpose: Purpose
    headers: HeaderLines = ()
    body: bytes = b""
    content_type: str = "application/sdp"
    about: str = ""
    number: int = 0
    proofs: Proofs | None = None

    def send(self, now: Instant, more: HeaderLines = ()) -> None:
        """Send it, with ``more`` headers in this attempt."""
        request = self.dialog.request(self.method, (*self.headers, *more), self.body, self.content_type)
        self.number = self.dialog.local_seq
        self.asker.agent.layer.request(request, self.dialog.next_hop(), self, now)

    def on_response(self, tx: ClientTransaction, response: Response, now: Instant) -> None:
        """From the transaction."""
        if response.status < 200:
            return
        if response.status in (401, 407):
            self.proofs = self.proofs or Proofs()
            asker = self.asker
            more = retry_lines(self.proofs, tx.request, response, asker.credentials, asker.agent.ids)
            if more:
                self.send(now, more)
                asker.touch()
                return
        self.asker.outcome(self, response, now)

    def on_failed(self, tx: ClientTransaction, why: Why, now: Instant) -> None:
        """From the transaction."""
        self.asker.outcome(self, why, now)

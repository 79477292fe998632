"""One request of ours outside of any dialog, until its outcome: REGISTER, OPTIONS, MESSAGE. Challenges are answered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from parkade.base.clock import Instant
from parkade.sip.message.flow import Flow
from parkade.sip.message.message import Headers, Request, Response
from parkade.sip.session.agent import Agent
from parkade.sip.session.credentials import Credentials, HeaderLines, Outcome, Proofs, retry_lines
from parkade.sip.transaction.transaction import ClientTransaction, Why


@dataclass(slots=True, eq=False)
class Inquiry:
    """``seq`` is the next CSeq number, ``who`` From, To and Call-ID. ``done`` gets the final response, or why there is none."""

    agent: Agent
    flow: Flow
    method: str
    target: str
    who: HeaderLines
    seq: int
    headers: HeaderLines
    body: bytes
    credentials: Credentials | None
    done: Callable[[Outcome, Instant], None]
    proofs: Proofs = field(default_factory=Proofs)

    def send(self, now: Instant, more: HeaderLines = ()) -> None:
        """Send it, with ``more`` headers in this attempt."""
        lines = [
            ("Max-Forwards", "70"),
            *self.who,
            ("CSeq", f"{self.seq} {self.method}"),
            ("User-Agent", self.agent.name),
            *self.headers,
            *more,
        ]
        self.seq += 1
        self.agent.layer.request(Request(self.method, self.target, Headers(lines), self.body), self.flow, self, now)

    def on_response(self, tx: ClientTransaction, response: Response, now: Instant) -> None:
        """From the transaction."""
        if response.status < 200:
            return
        more = retry_lines(self.proofs, tx.request, response, self.credentials, self.agent.ids)
        if more:
            self.send(now, more)
        else:
            self.done(response, now)

    def on_failed(self, tx: ClientTransaction, why: Why, now: Instant) -> None:
        """From the transaction."""
        self.done(why, now)

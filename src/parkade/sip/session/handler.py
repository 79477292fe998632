"""What the owner of a session is told, in the protocol ``SessionHandler``; and a handler that wants to know nothing."""

from __future__ import annotations

from mypy_extensions import mypyc_attr

from parkade.base.clock import Instant
from parkade.sip.message.message import Request, Response
from parkade.sip.session.ask import HeaderLines
from parkade.sip.session.lifecycle import End
from parkade.sip.session.refer import Refer
from parkade.sip.session.session import Session, SessionHandler

__all__ = ["End", "Quiet", "SessionHandler"]


@mypyc_attr(allow_interpreted_subclasses=True)
class Quiet:
    """A handler that refuses what it is asked and ignores what it is told. Subclass it to hear only what matters."""

    def on_progress(self, session: Session, response: Response, now: Instant) -> None:
        """Ignored."""

    def on_answered(self, session: Session, response: Response, now: Instant) -> None:
        """Ignored."""

    def on_refused(self, session: Session, status: int, response: Response | None, now: Instant) -> None:
        """Ignored."""

    def on_ended(self, session: Session, why: End, now: Instant) -> None:
        """Ignored."""

    def on_established(self, session: Session, now: Instant) -> None:
        """Ignored."""

    def on_offer(self, session: Session, sdp: bytes, now: Instant) -> None:
        """Refused."""
        session.refuse_offer(now)

    def on_offer_wanted(self, session: Session, now: Instant) -> None:
        """Refused."""
        session.refuse_offer(now)

    def on_answer(self, session: Session, sdp: bytes, now: Instant) -> None:
        """Ignored."""

    def on_offer_refused(self, session: Session, status: int, now: Instant) -> None:
        """Ignored."""

    def on_refer(self, session: Session, refer: Refer, now: Instant) -> None:
        """Refused."""
        refer.refuse(603, (), now)

    def on_refer_progress(
        self, session: Session, status: int, reason: str, final: bool, headers: HeaderLines, now: Instant
    ) -> None:
        """Ignored."""

    def on_info(self, session: Session, request: Request, now: Instant) -> int | None:
        """Ignored."""
        return None

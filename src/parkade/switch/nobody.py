"""Who looks after a session that its leg has let go: nobody. It still ends properly, and whatever it asks is refused."""

from __future__ import annotations

from collections.abc import Sequence

from parkade.base.clock import Instant
from parkade.sip.message import Request, Response
from parkade.sip.refer import Refer
from parkade.sip.session import Session


class Nobody:
    """A ``SessionHandler`` for the time between our BYE or CANCEL and the end of the session."""

    def on_progress(self, session: Session, response: Response, now: Instant) -> None:
        """Rings on for a moment."""

    def on_answered(self, session: Session, response: Response, now: Instant) -> None:
        """Crossed our CANCEL: the session hangs up by itself."""

    def on_refused(self, session: Session, status: int, response: Response | None, now: Instant) -> None:
        """Over."""

    def on_ended(self, session: Session, why: str, now: Instant) -> None:
        """Over."""

    def on_established(self, session: Session, now: Instant) -> None:
        """Too late."""

    def on_offer(self, session: Session, sdp: bytes, now: Instant) -> None:
        """No media any more."""
        session.refuse_offer(now)

    def on_offer_wanted(self, session: Session, now: Instant) -> None:
        """No media any more."""
        session.refuse_offer(now)

    def on_answer(self, session: Session, sdp: bytes, now: Instant) -> None:
        """Too late."""

    def on_offer_refused(self, session: Session, status: int, now: Instant) -> None:
        """Too late."""

    def on_refer(self, session: Session, refer: Refer, now: Instant) -> None:
        """Nobody left to transfer."""
        refer.refuse(481, (), now)

    def on_refer_progress(
        self, session: Session, status: int, reason: str, final: bool, headers: Sequence[tuple[str, str]], now: Instant
    ) -> None:
        """We send no REFER."""

    def on_info(self, session: Session, request: Request, now: Instant) -> None:
        """Too late."""


NOBODY = Nobody()

"""The session timer of one session at work: sends the refreshes that are ours, ends a session that nobody refreshes."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from parkade.base.clock import Instant
from parkade.sip.message.message import Request, Response
from parkade.sip.session import session_timer
from parkade.sip.session.session_timer import SessionTimer

if TYPE_CHECKING:
    from parkade.sip.session.session import Session


class Refresh:
    """``timer`` is what holds now; None while nobody watches the session."""

    __slots__ = ("_expires_at", "_owner", "min_s", "timer")

    def __init__(self, session: Session) -> None:
        self._owner = weakref.ref(session)
        self._expires_at = 0.0
        self.timer: SessionTimer | None = None
        self.min_s = session_timer.MIN_S

    @property
    def _session(self) -> Session:
        session = self._owner()
        assert session is not None
        return session

    def grant(self, request: Request, now: Instant) -> list[tuple[str, str]]:
        """Settle what an INVITE or UPDATE asks for; the headers of its 2xx."""
        knows = "timer" in request.supported
        timer = session_timer.of_server(request, knows=knows)
        self._settle(timer, now)
        return session_timer.grant(timer, peer_knows=knows) if timer else []

    def propose(self) -> list[tuple[str, str]]:
        """The headers of our INVITE or UPDATE."""
        return session_timer.propose(self.timer, self.min_s)

    def accept(self, response: Response, now: Instant) -> None:
        """Settle what the 2xx to our INVITE or UPDATE grants."""
        self._settle(session_timer.of_client(response), now)

    def raise_interval(self, response: Response) -> bool:
        """Take the longer interval that a 422 asks for; False if it asks for none, and trying again is vain."""
        min_s = session_timer.min_s_of(response)
        if min_s is None or min_s <= self.min_s:
            return False
        self.min_s = min_s
        return True

    def stop(self) -> None:
        """The session is over."""
        self.timer = None
        self._session.ua.timers.cancel(self._due)

    def _settle(self, timer: SessionTimer | None, now: Instant) -> None:
        if timer is None:
            self.stop()
            return
        self.timer = timer
        self._expires_at = timer.expire_at(now)
        self._session.ua.timers.set(self._due, timer.refresh_at(now) if timer.we_refresh else self._expires_at)

    def _due(self, now: Instant) -> None:
        if now >= self._expires_at:
            self._session.lost("expired", now)
            return
        self._session.ua.timers.set(self._due, self._expires_at)
        self._session.exchange.refresh(now)

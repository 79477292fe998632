"""The session timer of one session at work: asks for the refreshes that are ours, ends a session that nobody refreshes."""

from __future__ import annotations

from parkade.base.clock import Instant
from parkade.sip.message.message import Request, Response
from parkade.sip.session import session_timer
from parkade.sip.session.core import Core
from parkade.sip.session.finish import finish
from parkade.sip.session.lifecycle import State
from parkade.sip.session.session_timer import SessionTimer
from parkade.sip.session.state import Change, Kind
from parkade.sip.session.usage import Deadline


def grant(core: Core, request: Request, now: Instant) -> list[tuple[str, str]]:
    """Settle what an INVITE or UPDATE asks for; the headers of its 2xx."""
    knows = "timer" in request.supported
    timer = session_timer.of_server(request, knows=knows)
    _settle(core, timer, now)
    return session_timer.grant(timer, peer_knows=knows) if timer else []


def propose(core: Core) -> list[tuple[str, str]]:
    """The headers of our INVITE or UPDATE."""
    return session_timer.propose(core.timer, core.min_s)


def take(core: Core, response: Response, now: Instant) -> None:
    """Settle what the 2xx to our INVITE or UPDATE grants."""
    _settle(core, session_timer.of_client(response), now)


def raise_interval(core: Core, response: Response) -> bool:
    """Take the longer interval that a 422 asks for; False if it asks for none, and trying again is vain."""
    min_s = session_timer.min_s_of(response)
    if min_s is None or min_s <= core.min_s:
        return False
    core.min_s = min_s
    return True


def due(core: Core, now: Instant) -> None:
    """A refresh of ours is due, or one of theirs has not come."""
    if core.timer is None or core.state >= State.CLOSING:
        return
    if now >= core.expires_at:
        finish(core, "expired", now)
        return
    core.set_timer(Deadline.REFRESH, core.expires_at)
    core.changes[Kind.REFRESH] = Change(Kind.REFRESH, by_update=True)


def _settle(core: Core, timer: SessionTimer | None, now: Instant) -> None:
    core.timer = timer
    if timer is None:
        core.cancel_timer(Deadline.REFRESH)
        return
    core.expires_at = timer.expire_at(now)
    core.set_timer(Deadline.REFRESH, timer.refresh_at(now) if timer.we_refresh else core.expires_at)

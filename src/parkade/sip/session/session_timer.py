"""Session timers (:rfc:`4028`): arithmetic and headers only. When to refresh, when to give up, who does it.

We propose half an hour, accept anything from 90 s, and refresh ourselves unless the far side wants to: a phone that forgets
its refreshes then loses no call. A far side that knows no timers gets none.
"""

from __future__ import annotations

from parkade.base.clock import Instant
from parkade.base.values import valueclass
from parkade.sip.message.errors import SipError
from parkade.sip.message.headers import parse_session_expires
from parkade.sip.message.message import Request, Response

WISHED_S = 1800
"""The interval we propose."""
MIN_S = 90
"""The shortest interval anybody may ask for (section 4)."""


@valueclass(frozen=True, slots=True)
class SessionTimer:
    """What was agreed: the interval in seconds and whether the refreshes are ours to send."""

    interval_s: int
    we_refresh: bool

    def refresh_at(self, since: Instant) -> Instant:
        """When our refresh is due (section 10: half of the interval)."""
        return since + self.interval_s / 2

    def expire_at(self, since: Instant) -> Instant:
        """When the side that got no refresh says BYE (section 10)."""
        return since + self.interval_s - min(32.0, self.interval_s / 3)


def too_brief(request: Request) -> bool:
    """Whether ``request`` must be answered 422: it asks for less than ``MIN_S`` and its sender understands the answer."""
    asked = _asked(request)
    return asked is not None and asked[0] < MIN_S and "timer" in request.supported


def of_server(request: Request, *, knows: bool) -> SessionTimer | None:
    """What we grant the sender of an INVITE or UPDATE (table 2), who ``knows`` timers or not; None where nobody asks."""
    asked = _asked(request)
    if asked is None:
        return SessionTimer(WISHED_S, we_refresh=True) if knows else None
    seconds, refresher = asked
    return SessionTimer(max(seconds, MIN_S), we_refresh=not (knows and refresher == "uac"))


def of_client(response: Response) -> SessionTimer | None:
    """What the far side granted in its 2xx."""
    asked = _asked(response)
    if asked is None:
        return None
    seconds, refresher = asked
    return SessionTimer(max(seconds, MIN_S), we_refresh=refresher != "uas")


def grant(timer: SessionTimer, *, peer_knows: bool) -> list[tuple[str, str]]:
    """The headers of our 2xx that say so (section 9)."""
    headers = [("Session-Expires", f"{timer.interval_s};refresher={'uas' if timer.we_refresh else 'uac'}")]
    if peer_knows:
        headers.append(("Require", "timer"))
    return headers


def propose(current: SessionTimer | None, min_s: int = MIN_S) -> list[tuple[str, str]]:
    """The headers of our INVITE or UPDATE: a wish at first, later what holds already. ``min_s`` is what a 422 asked for."""
    if current is None:
        headers = [("Session-Expires", str(max(WISHED_S, min_s)))]
    else:
        who = "uac" if current.we_refresh else "uas"
        headers = [("Session-Expires", f"{max(current.interval_s, min_s)};refresher={who}")]
    if min_s > MIN_S:
        headers.append(("Min-SE", str(min_s)))
    return headers


def min_s_of(response: Response) -> int | None:
    """The Min-SE of a 422, or None if it has none that can be read."""
    digits = (response.headers.get("Min-SE") or "").partition(";")[0].strip()
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 10 else None


def _asked(message: Request | Response) -> tuple[int, str | None] | None:
    text = message.headers.get("Session-Expires")
    if text is None:
        return None
    try:
        asked = parse_session_expires(text)
    except SipError:
        return None
    return asked.seconds, asked.refresher

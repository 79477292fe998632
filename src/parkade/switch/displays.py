"""What a phone's display is told about the other party.

Polycom phones keep the first identity they see and ignore later ones, so it goes into the first response; both the standard
header (:rfc:`3325`) and the older Remote-Party-ID are sent, because each is the only one some phones read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from parkade.calls.effects import Alert, Elsewhere
from parkade.calls.identity import Identity
from parkade.sip.message.grammar import escape, readable
from parkade.sip.message.headers import NameAddr
from parkade.sip.message.uri import host_port

_USER_SAFE = "-_.!~*'()&=+$,;?/"
"""Characters of a SIP user part that need no escape (:rfc:`3261` section 25.1)."""

_ALERT_INFO = {Alert.PARK_RETURN: "<http://127.0.0.1/Bellcore-dr3>;info=park-return"}

_AUTO_ANSWER = (
    ("Call-Info", "<sip:127.0.0.1>;answer-after=0"),
    ("Alert-Info", "<http://127.0.0.1/auto-answer>;info=alert-autoanswer;delay=0"),
    ("Answer-Mode", "Auto"),
)
"""What has a phone answer by itself: the first for Snom, Yealink, Grandstream and Cisco; the second for others of Grandstream
and Yealink and, by the words that its configuration maps to ``autoAnswer``, for Polycom; the last is :rfc:`5373`. A phone that
knows none of them rings.
"""

ELSEWHERE: Mapping[Elsewhere, Sequence[tuple[str, str]]] = {
    Elsewhere.NOTHING: (),
    Elsewhere.ANSWERED: (("Reason", 'SIP;cause=200;text="Call completed elsewhere"'),),
    Elsewhere.DECLINED: (("Reason", 'SIP;cause=603;text="Decline"'),),
}
"""What a CANCEL says of why it comes (:rfc:`3326`), by what has become of the call at another phone."""


def address_of(identity: Identity, host: str) -> NameAddr:
    """``"Name" <sip:number@host>``; a nameless number shows itself, a numberless name is anonymous.

    Any text may stand in an identity: what cannot be written in UTF-8 is replaced.
    """
    name, number = writable(identity.name), writable(identity.number)
    user = escape(number, _USER_SAFE) or "anonymous"
    return NameAddr(name or number, f"sip:{user}@{host_port(host, None)}", ())


def writable(text: str) -> str:
    """``text`` as people read it and as UTF-8 can write it: no control characters, no half of a surrogate pair."""
    return text if text.isascii() and text.isprintable() else readable(text).encode("utf-8", "replace").decode()


@lru_cache(maxsize=512)
def identity_headers(identity: Identity, host: str, party: str) -> tuple[tuple[str, str], ...]:
    """Both identity headers; ``party`` is ``calling`` in requests and ``called`` in responses.

    Remembered: the same people and codes are shown all day.
    """
    address = str(address_of(identity, host))
    return (
        ("P-Asserted-Identity", address),
        ("Remote-Party-ID", f"{address};party={party};privacy=off;screen=yes"),
    )


def alert_headers(alert: Alert, auto_answer: bool = False) -> Sequence[tuple[str, str]]:
    """How the phone should ring, for phones that know Alert-Info; or that it should answer by itself."""
    if auto_answer:
        return _AUTO_ANSWER
    info = _ALERT_INFO.get(alert)
    return [("Alert-Info", info)] if info else []

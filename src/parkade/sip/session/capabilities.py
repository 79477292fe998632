"""What we can do, as the headers that say so."""

from __future__ import annotations

from parkade.sip.message.bodies import is_encoded
from parkade.sip.message.message import Request

METHODS = frozenset(
    {
        "INVITE",
        "ACK",
        "CANCEL",
        "BYE",
        "OPTIONS",
        "INFO",
        "UPDATE",
        "PRACK",
        "REFER",
        "NOTIFY",
        "REGISTER",
        "SUBSCRIBE",
        "MESSAGE",
        "PUBLISH",
    }
)
"""The methods of the SIP registry. Any other gets 501; one of these that has no place gets 405."""

ONLY_IN_DIALOGS = frozenset({"BYE", "INFO", "PRACK", "UPDATE"})
"""Methods that mean nothing without a dialog: whoever names none gets 481 (:rfc:`3261` section 15.1.2, :rfc:`3311`,
:rfc:`3262`, :rfc:`6086`), and is not asked who it is before."""

SCHEMES = frozenset({"sip", "sips", "tel"})
"""The schemes of a Request-URI. A phone may dial ``tel:`` (:rfc:`3966`) and be understood."""

OPTION_TAGS = frozenset({"100rel", "replaces", "timer", "norefersub", "nosub"})
"""Extensions that a Require may name."""

ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, REFER, SUBSCRIBE, NOTIFY, REGISTER"
ALLOW_LINE = ("Allow", ALLOW)
SUPPORTED_LINE = ("Supported", "100rel, replaces, timer, norefersub, nosub")
ACCEPT_LINE = ("Accept", "application/sdp")
ACCEPT_ENCODING_LINE = ("Accept-Encoding", "identity")
SDP_LINE = ("Content-Type", "application/sdp")
INFO_TYPES = frozenset(
    {"application/dtmf-relay", "application/dtmf", "audio/telephone-event", "application/vnd.nortelnetworks.digits"}
)
"""Bodies of INFO that carry a key."""
ACCEPT_INFO_LINE = ("Accept", "application/dtmf-relay, application/dtmf, audio/telephone-event")


def readable_bodies(request: Request) -> list[tuple[str, str]]:
    """The headers of a 415 to ``request`` that carries no key (:rfc:`3261` section 21.4.13)."""
    return [ACCEPT_LINE, ACCEPT_ENCODING_LINE] if is_encoded(request) else [ACCEPT_LINE]

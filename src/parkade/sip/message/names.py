"""The names of header fields: compact forms, the usual spelling, and which fields are comma-separated lists."""

from __future__ import annotations

from typing import Final

from parkade.sip.message.grammar import WHITESPACE, is_token

_COMPACT: Final = {
    "a": "Accept-Contact",
    "b": "Referred-By",
    "c": "Content-Type",
    "d": "Request-Disposition",
    "e": "Content-Encoding",
    "f": "From",
    "i": "Call-ID",
    "j": "Reject-Contact",
    "k": "Supported",
    "l": "Content-Length",
    "m": "Contact",
    "n": "Identity-Info",
    "o": "Event",
    "r": "Refer-To",
    "s": "Subject",
    "t": "To",
    "u": "Allow-Events",
    "v": "Via",
    "x": "Session-Expires",
    "y": "Identity",
}

_LIST_NAMES: Final = """
    Accept Accept-Contact Accept-Encoding Accept-Language Alert-Info Allow Allow-Events Call-Info Contact
    Content-Encoding Content-Language Diversion Error-Info History-Info In-Reply-To P-Asserted-Identity P-Associated-URI
    P-Preferred-Identity Path Proxy-Require Reason Record-Route Recv-Info Reject-Contact Remote-Party-ID Require Route
    Security-Client Security-Server Security-Verify Service-Route Supported Unsupported Via Warning
"""

LISTS: Final = frozenset(_LIST_NAMES.split())
"""Fields of which one line may hold several values."""

_OTHER_NAMES: Final = """
    Answer-Mode Authentication-Info Authorization Call-ID Content-Disposition Content-Length Content-Type CSeq Date
    Event Expires Flow-Timer From Identity Info-Package Join Max-Breadth Max-Forwards MIME-Version Min-Expires Min-SE
    Organization P-Access-Network-Info P-Charging-Vector P-Early-Media Priority Privacy Proxy-Authenticate
    Proxy-Authentication-Info Proxy-Authorization RAck Refer-Sub Refer-To Referred-By Replaces Reply-To
    Request-Disposition Retry-After RSeq Server Session-Expires SIP-ETag SIP-If-Match Subject Subscription-State
    Target-Dialog Timestamp To User-Agent User-to-User WWW-Authenticate
"""

_USUAL: Final = {name.lower(): name for name in (*LISTS, *_OTHER_NAMES.split())} | _COMPACT

USUAL: Final = frozenset(_USUAL.values())
"""Names in their usual spelling: what :func:`spelling` gives back as it is."""

SPELLINGS: Final = _USUAL | {name: name for name in _USUAL.values()} | {short.upper(): n for short, n in _COMPACT.items()}
"""What phones write most often and how it is kept; :func:`spelling` knows the rest."""


def spelling(name: str) -> str:
    """The spelling under which a field is kept: the usual one where there is one (``Call-ID`` for ``i`` and ``CALL-ID``), else
    each word capitalised (``X-Serial`` for ``x-serial``); empty for what is no header name.
    """
    known = SPELLINGS.get(name)
    if known is not None:
        return known
    name = name.strip(WHITESPACE)
    known = _USUAL.get(name.lower())
    if known is not None:
        return known
    return "-".join([word.capitalize() for word in name.split("-")]) if is_token(name) else ""

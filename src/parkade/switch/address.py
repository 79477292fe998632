"""What a person dialled, out of the URIs that phones make of it.

* ``sip:*801@any.host`` and its escaped form ``sip:%2A801@…``: the host is not looked at, since the account follows from the
  credentials.
* Orbit style (Linksys/Cisco): ``sip:pickup@host`` or ``sip:callpark@host`` with ``orbit=805`` in the Request-URI or the To.
* Snom style: ``sip:park+805@host``.
* ``tel:+84-28-1234`` with its visual separators (:rfc:`3966` section 5.1.1). In a SIP URI they count as separators where
  ``user=phone`` says that it is a number, and where nothing but digits and separators is there: ``sip:1-02@host``.

What is not UTF-8 is read as Latin-1, and control characters are left out.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from parkade.sip.message.errors import SipError
from parkade.sip.message.grammar import readable, unescape
from parkade.sip.message.headers import NameAddr, parse_name_addr
from parkade.sip.message.message import Request, Response
from parkade.sip.message.uri import parse_uri

MAX_NAME = 128
MAX_NUMBER = 64

_ORBIT_USERS = frozenset({"callpark", "pickup", "park"})
_SEPARATORS = str.maketrans("", "", "-.() ")
_QUALITY = re.compile(r"[01](?:\.[0-9]{0,3})?")
_NUMBER = re.compile(r"[+*#]?[-.() ]*[0-9][0-9\-.() ]*")


def dialled_of(request: Request) -> str:
    """What the caller of an INVITE dialled; empty if nothing can be made of it."""
    return readable(_dialled(request.uri, request.to))


def number_of(party: NameAddr) -> str:
    """The number that a From names, as it can be called back; empty if it names none. Cut at ``MAX_NUMBER`` characters."""
    scheme, _, rest = party.uri.partition(":")
    if scheme.lower() == "tel":
        return readable(unquote(rest.partition(";")[0]).translate(_SEPARATORS))[:MAX_NUMBER]
    try:
        return readable(unescape((party.address.user or "").partition(";")[0]))[:MAX_NUMBER]
    except SipError:
        return ""


def name_of(party: NameAddr) -> str:
    """The display name of a From. Cut at ``MAX_NAME`` characters: a name stands several times in what a phone is sent."""
    return party.display[:MAX_NAME]


def target_of(refer_to: NameAddr) -> str:
    """What a Refer-To names, as if it had been dialled; empty if nothing can be made of it."""
    return readable(_dialled(refer_to.uri, refer_to))


def redirect_targets(response: Response) -> list[str]:
    """Where a 3xx sends the call, as if it had been dialled, in the order to be tried (:rfc:`3261` section 8.1.3.4)."""
    offered: list[tuple[float, str]] = []
    for value in response.headers.all("Contact"):
        try:
            contact = parse_name_addr(value)
        except SipError:
            continue
        if target := target_of(contact):
            offered.append((_quality(contact), target))
    offered.sort(key=lambda offer: -offer[0])
    return [target for _, target in offered]


def _quality(contact: NameAddr) -> float:
    text = contact.param("q") or ""
    return float(text) if _QUALITY.fullmatch(text) else 1.0


def _dialled(uri_text: str, name_addr: NameAddr) -> str:
    scheme, _, rest = uri_text.partition(":")
    if scheme.lower() == "tel":
        return unquote(rest.partition(";")[0]).translate(_SEPARATORS)
    try:
        uri = parse_uri(uri_text)
    except SipError:
        return ""
    user = uri.user_text.partition(";")[0] if uri.user else ""
    if user.lower() in _ORBIT_USERS:
        return _code(uri.param("orbit") or _orbit_of(name_addr)) or user
    if user.lower().startswith("park+"):
        return _code(user[len("park+") :])
    if user.startswith("+") or _NUMBER.fullmatch(user) or (uri.param("user") or "").lower() == "phone":
        return user.translate(_SEPARATORS)
    return user


def _orbit_of(name_addr: NameAddr) -> str | None:
    try:
        inside = name_addr.address.param("orbit")
    except SipError:
        inside = None
    return inside or name_addr.param("orbit")


def _code(orbit: str | None) -> str:
    if not orbit:
        return ""
    return orbit if orbit.startswith("*") else f"*{orbit}"

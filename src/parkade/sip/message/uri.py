"""SIP URIs (:rfc:`3261` section 19.1). Other schemes (``tel:``, ``urn:``) stay text; this is no general URI parser.

Lenient where phones are careless and nothing is ambiguous (underscores in host names, any printable character in the user
part), strict where leniency would let one host be taken for another.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache
from typing import Any

from parkade.base.values import valueclass
from parkade.sip.message.errors import SipError
from parkade.sip.message.grammar import Params, escape, number, unescape

_PARAM_SAFE = "!*'()[]/:&+$"
_HEADER_SAFE = "!*'()[]/?:+$"
_SCHEMES = frozenset({"sip", "sips"})
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9._\-]*[a-z0-9._])?")
_IPV6 = re.compile(r"[0-9a-f:.]*:[0-9a-f:.]*")
_HOST_PORT_MAX = 260
_NEVER = re.compile(r'[\x00-\x20\x7f<>"]')

_COMPARED_IF_IN_EITHER = ("user", "ttl", "method", "maddr", "transport")


@valueclass(frozen=True, slots=True)
class SipUri:
    """``scheme:user:password@host:port;params?headers``.

    ``user`` and ``password`` are as written, escapes kept; ``host`` is lower-case, an IPv6 address without its brackets. Names
    and values of ``params`` (None for a flag) and ``headers`` are unescaped. ``str()`` writes it with the escapes it needs.
    """

    scheme: str
    user: str | None
    host: str
    port: int | None = None
    params: Params = ()
    headers: tuple[tuple[str, str], ...] = ()
    password: str | None = None

    @property
    def user_text(self) -> str:
        """The user part unescaped: ``*801`` for ``%2A801``; empty if there is none."""
        return unescape(self.user) if self.user else ""

    @property
    def host_port(self) -> str:
        """``host`` or ``host:port`` with the brackets IPv6 needs."""
        return host_port(self.host, self.port)

    def param(self, name: str) -> str | None:
        """The value of parameter ``name`` (lower-case): empty for a flag, None if absent."""
        for key, value in self.params:
            if key.lower() == name:
                return value or ""
        return None

    def has_param(self, name: str) -> bool:
        """Whether parameter ``name`` (lower-case) is there."""
        return self.param(name) is not None

    def header(self, name: str) -> str | None:
        """The unescaped value of the header ``name`` after the ``?``, in any case; None if absent."""
        for key, value in self.headers:
            if key.lower() == name.lower():
                return value
        return None

    def with_(self, **changes: Any) -> SipUri:
        """A copy with some fields changed."""
        return replace(self, **changes)

    def __str__(self) -> str:
        user = ""
        if self.user is not None:
            user = f"{self.user}@" if self.password is None else f"{self.user}:{self.password}@"
        text = f"{self.scheme}:{user}{host_port(self.host, self.port)}"
        for name, value in self.params:
            text += f";{escape(name, _PARAM_SAFE)}"
            if value is not None:
                text += f"={escape(value, _PARAM_SAFE)}"
        mark = "?"
        for name, value in self.headers:
            text += f"{mark}{escape(name, _HEADER_SAFE)}={escape(value, _HEADER_SAFE)}"
            mark = "&"
        return text


def parse_uri(text: str) -> SipUri:
    """Read a ``sip:`` or ``sips:`` URI. Raises SipError: 416 for any other scheme, 400 for what is no URI."""
    # The same few URIs come again and again, several times in each call; long ones are nobody's address.
    return _parse_known(text) if len(text) <= 200 else _parse(text)


def _parse(text: str) -> SipUri:
    scheme, colon, rest = text.partition(":")
    scheme = scheme.lower()
    if scheme not in _SCHEMES:
        if colon and scheme.isascii() and scheme[:1].isalpha():
            raise SipError(416, f"URI scheme {scheme[:40]} is not supported")
        raise SipError(400, "Not a URI")
    if _NEVER.search(rest):
        raise SipError(400, "A URI with a character that must be escaped")
    userinfo, at, hostpart = rest.partition("@")
    user = password = None
    if at:
        user, has_password, secret = userinfo.partition(":")
        if has_password:
            password = secret
        if not user:
            raise SipError(400, "A URI with an empty user part")
    else:
        hostpart = rest
    hostpart, _, headers_text = hostpart.partition("?")
    address, semicolon, params_text = hostpart.partition(";")
    host, port = parse_host_port(address)
    params = _parse_params(params_text) if semicolon else ()
    headers = _parse_headers(headers_text) if headers_text else ()
    return SipUri(scheme, user, host, port, params, headers, password)


_parse_known = lru_cache(maxsize=4096)(_parse)


@lru_cache(maxsize=1024)
def parse_host_port(text: str) -> tuple[str, int | None]:
    """``host``, ``host:port``, ``[IPv6]`` or ``[IPv6]:port`` taken apart, host in lower case. Raises SipError(400)."""
    if len(text) > _HOST_PORT_MAX:
        raise SipError(400, "A host name too long")
    if text[:1] == "[":
        host, closed, rest = text[1:].lower().partition("]")
        # Three colons are a slip of the original grammar that receivers must bear (RFC 5118 section 4.10).
        host = host.replace(":::", "::")
        if not closed or not _IPV6.fullmatch(host) or rest[:1] not in {"", ":"}:
            raise SipError(400, "A broken IPv6 reference")
        colon, digits = rest[:1], rest[1:]
    else:
        host, colon, digits = text.lower().partition(":")
        if not _HOST.fullmatch(host):
            raise SipError(400, "A broken host name")
    if not colon:
        return host, None
    port = number(digits, 65535)
    if not port:
        raise SipError(400, "A broken port number")
    return host, port


def host_port(host: str, port: int | None) -> str:
    """The inverse of :func:`parse_host_port`: an IPv6 address gets its brackets."""
    if ":" in host:
        host = f"[{host}]"
    return host if port is None else f"{host}:{port}"


def same_uri(a: SipUri, b: SipUri) -> bool:
    """Whether both name the same resource by the rules of :rfc:`3261` section 19.1.4."""
    if (a.scheme, a.host, a.port) != (b.scheme, b.host, b.port):
        return False
    if (a.user is None) != (b.user is None) or a.user_text != b.user_text:
        return False
    if unescape(a.password or "") != unescape(b.password or ""):
        return False
    of_a, of_b = _folded(a.params), _folded(b.params)
    if any(of_a[name] != of_b[name] for name in of_a.keys() & of_b.keys()):
        return False
    if any((name in of_a) != (name in of_b) for name in _COMPARED_IF_IN_EITHER):
        return False
    return sorted((n.lower(), v) for n, v in a.headers) == sorted((n.lower(), v) for n, v in b.headers)


def _folded(params: Params) -> dict[str, str]:
    return {name.lower(): (value or "").lower() for name, value in params}


def _parse_params(text: str) -> Params:
    params: list[tuple[str, str | None]] = []
    for piece in text.split(";"):
        name, equals, value = piece.partition("=")
        if name:
            params.append((unescape(name), unescape(value) if equals else None))
        elif equals:
            raise SipError(400, "A URI parameter without a name")
    return tuple(params)


def _parse_headers(text: str) -> tuple[tuple[str, str], ...]:
    headers: list[tuple[str, str]] = []
    for piece in text.split("&"):
        name, _, value = piece.partition("=")
        if name:
            headers.append((unescape(name), unescape(value)))
        elif piece:
            raise SipError(400, "A URI header without a name")
    return tuple(headers)

"""Header values with a structure of their own: one frozen class each, one ``parse_…`` function each, ``str()`` writes it again.

Values the product only passes on have no class. Adding one is described in ``docs/how-to/add-a-header.md``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from parkade.base.values import valueclass
from parkade.sip.message.errors import SipError
from parkade.sip.message.grammar import (
    WHITESPACE,
    Params,
    format_params,
    is_token,
    number,
    param_of,
    params_with,
    parse_params,
    quote,
    readable,
    split_list,
    unquote,
)
from parkade.sip.message.uri import SipUri, host_port, parse_host_port, parse_uri

_NAME_ADDR = re.compile(r'(?:("(?:[^"\\]|\\.)*")[ \t]*|([^<"]*))<([^>]*)>[ \t]*(.*)', re.DOTALL)
_NOT_IN_TAG = re.compile(r'[;"\s<>]')
_NOT_IN_URI = re.compile(r'[\x00-\x20\x7f<>"]')
_VIA = re.compile(
    r"[^ \t/]+[ \t]*/[ \t]*[^ \t/]+[ \t]*/[ \t]*([A-Za-z0-9\-.!%*_+`'~]+)[ \t]+"
    r"(\[[^\]]*\]|[^ \t;:,\[\]]+)[ \t]*(?::[ \t]*([0-9]+)[ \t]*)?"
)
_CSEQ = re.compile(r"([0-9]+)[ \t]+([A-Za-z0-9\-.!%*_+`'~]+)")

_REMEMBERED_LENGTH = 200
"""A value that is longer is nobody's ordinary one, and is read each time rather than kept."""


class NameAddr(NamedTuple):
    """``"display" <uri>;params``: From, To, Contact, Route, Refer-To, P-Asserted-Identity, Diversion, Remote-Party-ID.

    ``display`` is readable text without its quotes. ``uri`` is text of any scheme (``tel:`` too), or ``*`` in a Contact.
    ``params`` are the header's own, as written; those of the URI are in :attr:`address`.
    """

    display: str
    uri: str
    params: Params = ()

    @property
    def address(self) -> SipUri:
        """The URI taken apart. Raises SipError where it is no SIP URI (416 for another scheme, 400 for a broken one)."""
        return parse_uri(self.uri)

    @property
    def tag(self) -> str | None:
        """The dialog tag; None if there is none, or an empty one."""
        return (param_of(self.params, "tag") or None) if self.params else None

    def param(self, name: str) -> str | None:
        """The value of header parameter ``name`` (lower-case), unquoted: empty for a flag, None if absent."""
        return param_of(self.params, name)

    def has_param(self, name: str) -> bool:
        """Whether header parameter ``name`` (lower-case) is there."""
        return param_of(self.params, name) is not None

    def with_param(self, name: str, value: str | None) -> NameAddr:
        """A copy in which header parameter ``name`` is ``value`` (None for a flag), quoted if it must be."""
        return self._replace(params=params_with(self.params, name, value))

    def __str__(self) -> str:
        if self.uri == "*":
            return "*"
        display = f"{quote(self.display)} " if self.display else ""
        return f"{display}<{self.uri}>{format_params(self.params)}"


def parse_name_addr(text: str) -> NameAddr:
    """Read one ``name-addr`` or ``addr-spec`` with parameters (:rfc:`3261` section 20.10). Raises SipError(400).

    Without ``<>`` everything from the first ``;`` on belongs to the header, and a ``?`` is an error.
    """
    if len(text) > _REMEMBERED_LENGTH:
        return _read_name_addr(text)
    # The same few parties call and are called again and again, each time under another tag.
    start, mark, tag = text.rpartition(">;tag=")
    if mark and not _NOT_IN_TAG.search(tag):
        party = _known_name_addr(f"{start}>")
        if not party.params:
            return NameAddr(party.display, party.uri, (("tag", tag),))
    return _known_name_addr(text)


def _read_name_addr(text: str) -> NameAddr:
    text = text.strip(WHITESPACE)
    if (match := _NAME_ADDR.fullmatch(text)) is not None:
        quoted, bare, uri, params = match.groups()
        display = unquote(quoted) if quoted else bare.strip(WHITESPACE)
        if display:
            display = readable(display)
        uri = uri.strip(WHITESPACE)
    else:
        display = ""
        uri, semicolon, rest = text.partition(";")
        uri, params = uri.strip(WHITESPACE), semicolon + rest
        if uri == "*" and not params:
            return NameAddr("", "*")
        if "?" in uri:
            raise SipError(400, "A URI with headers needs angle brackets")
    if ":" not in uri or _NOT_IN_URI.search(uri):
        raise SipError(400, "Not an address")
    return NameAddr(display, uri, parse_params(params))


_known_name_addr = lru_cache(maxsize=4096)(_read_name_addr)


def parse_name_addrs(lines: Iterable[str]) -> list[NameAddr]:
    """Read all addresses of a list header, several a line or one. Raises SipError(400)."""
    return [parse_name_addr(value) for line in lines for value in split_list(line)]


class Via(NamedTuple):
    """One hop (:rfc:`3261` section 20.42). ``transport`` is upper-case, ``host`` lower-case and without brackets."""

    transport: str
    host: str
    port: int | None = None
    params: Params = ()

    @property
    def sent_by(self) -> str:
        """``host`` or ``host:port`` as it stands in the header."""
        return host_port(self.host, self.port)

    @property
    def branch(self) -> str | None:
        """The branch; None where a :rfc:`2543` implementation gives none."""
        return param_of(self.params, "branch") or None

    @property
    def received(self) -> str | None:
        """The address the request really came from, without brackets (:rfc:`5118` section 4.5)."""
        value = param_of(self.params, "received")
        return value.strip("[]") if value else None

    @property
    def rport(self) -> int | None:
        """The port the request really came from; None if absent or not filled in yet (see :attr:`wants_rport`)."""
        return number(param_of(self.params, "rport") or "", 65535) or None

    @property
    def wants_rport(self) -> bool:
        """Whether there is an ``rport``, filled in or not (:rfc:`3581`)."""
        return param_of(self.params, "rport") is not None

    def param(self, name: str) -> str | None:
        """The value of parameter ``name`` (lower-case): empty for a flag, None if absent."""
        return param_of(self.params, name)

    def has_param(self, name: str) -> bool:
        """Whether parameter ``name`` (lower-case) is there."""
        return param_of(self.params, name) is not None

    def with_param(self, name: str, value: str | None) -> Via:
        """A copy in which parameter ``name`` is ``value`` (None for a flag)."""
        return self._replace(params=params_with(self.params, name, value))

    def __str__(self) -> str:
        return f"SIP/2.0/{self.transport} {self.sent_by}{format_params(self.params)}"


def parse_via(text: str) -> Via:
    """Read one Via value. Raises SipError(400)."""
    hop, semicolon, params = text.strip(WHITESPACE).partition(";")
    transport, host, port = (_known_hop if len(hop) <= _REMEMBERED_LENGTH else _read_hop)(hop)
    return Via(transport, host, port, parse_params(semicolon + params))


def _read_hop(text: str) -> tuple[str, str, int | None]:
    match = _VIA.fullmatch(text)
    if match is None:
        raise SipError(400, "Broken Via")
    transport, host, port = match.groups()
    return transport.upper(), *parse_host_port(host if port is None else f"{host}:{port}")


_known_hop = lru_cache(maxsize=1024)(_read_hop)


class CSeq(NamedTuple):
    """Command sequence (:rfc:`3261` section 20.16)."""

    number: int
    method: str

    def __str__(self) -> str:
        return f"{self.number} {self.method}"


def parse_cseq(text: str) -> CSeq:
    """Read a CSeq, whose number is below 2**32. Raises SipError(400)."""
    return _known_cseq(text) if len(text) <= _REMEMBERED_LENGTH else _read_cseq(text)


def _read_cseq(text: str) -> CSeq:
    match = _CSEQ.fullmatch(text.strip(WHITESPACE))
    value = number(match[1]) if match else None
    if match is None or value is None:
        raise SipError(400, "Broken CSeq")
    return CSeq(value, match[2])


_known_cseq = lru_cache(maxsize=1024)(_read_cseq)


@valueclass(frozen=True, slots=True)
class RAck:
    """Which reliable provisional response a PRACK acknowledges (:rfc:`3262` section 7.2)."""

    rseq: int
    cseq: int
    method: str

    def __str__(self) -> str:
        return f"{self.rseq} {self.cseq} {self.method}"


def parse_rack(text: str) -> RAck:
    """Read a RAck. Raises SipError(400)."""
    words = text.split()
    if len(words) == 3 and is_token(words[2]):
        rseq, cseq = number(words[0]), number(words[1])
        if rseq is not None and cseq is not None:
            return RAck(rseq, cseq, words[2])
    raise SipError(400, "Broken RAck")


@valueclass(frozen=True, slots=True)
class Replaces:
    """Which dialog an INVITE takes over (:rfc:`3891`). The tags are as seen by whoever receives it: ``to_tag`` is its own."""

    call_id: str
    to_tag: str
    from_tag: str
    early_only: bool = False

    def __str__(self) -> str:
        early = ";early-only" if self.early_only else ""
        return f"{self.call_id};to-tag={self.to_tag};from-tag={self.from_tag}{early}"


def parse_replaces(text: str) -> Replaces:
    """Read a Replaces value, not percent-escaped. Raises SipError(400)."""
    call_id, semicolon, rest = text.strip(WHITESPACE).partition(";")
    params = parse_params(semicolon + rest)
    to_tag, from_tag = param_of(params, "to-tag"), param_of(params, "from-tag")
    call_id = call_id.strip(WHITESPACE)
    if not call_id or " " in call_id or to_tag is None or from_tag is None:
        raise SipError(400, "Broken Replaces")
    return Replaces(call_id, to_tag, from_tag, param_of(params, "early-only") is not None)


@valueclass(frozen=True, slots=True)
class SessionExpires:
    """How long a session lives without refresh (:rfc:`4028`). ``refresher`` is ``uac``, ``uas`` or None."""

    seconds: int
    refresher: str | None = None

    def __str__(self) -> str:
        return f"{self.seconds};refresher={self.refresher}" if self.refresher else str(self.seconds)


def parse_session_expires(text: str) -> SessionExpires:
    """Read a Session-Expires or Min-SE. An unknown refresher counts as none. Raises SipError(400)."""
    seconds_text, semicolon, rest = text.strip(WHITESPACE).partition(";")
    seconds = number(seconds_text.strip(WHITESPACE))
    if seconds is None:
        raise SipError(400, "Broken Session-Expires")
    refresher = (param_of(parse_params(semicolon + rest), "refresher") or "").lower()
    return SessionExpires(seconds, refresher if refresher in {"uac", "uas"} else None)

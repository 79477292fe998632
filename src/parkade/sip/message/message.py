"""Requests and responses: a start line, headers kept as text, a body kept as bytes.

Reading a message checks what every layer above relies on: the start line, Content-Length, and that Via, From, To, Call-ID and
CSeq are there and can be read, in a request only once. All else is looked at when somebody asks for it. Headers are written as
they came, except that folded lines become one, names get their usual spelling, and Content-Length is always made anew.
Malformed header lines are dropped (:rfc:`3261` section 8.2.2), and a value that is written never starts a new line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final, TypeAlias

from parkade.sip.message.errors import SipError
from parkade.sip.message.fields import Headers
from parkade.sip.message.grammar import WHITESPACE, body_start, is_token, media_type, number, param_of, split_list
from parkade.sip.message.headers import CSeq, NameAddr, Via, parse_cseq, parse_name_addr, parse_via
from parkade.sip.message.names import SPELLINGS, spelling
from parkade.sip.message.reasons import REASONS
from parkade.sip.message.uri import SipUri, parse_uri

__all__ = ["REASONS", "Headers", "Message", "Request", "Response", "is_keepalive", "make_response", "parse_message"]

_LINE_BREAKS = re.compile(r"[\r\n]+")
_STATUS_LINE = re.compile(r"(SIP/[^ ]*) +([0-9]+)(?: +(.*)|)", re.IGNORECASE | re.DOTALL)
_NOT_IN_URI = re.compile(r'[\x00-\x20\x7f<>"]')

_BLANK: Final = b"\r\n\0 \t"
_REMEMBERED_LENGTH: Final = 200
_LENGTH: Final = ("Content-Length",)
_ONCE: Final = ("From", "To", "Call-ID", "CSeq", "Max-Forwards")
_DIALOG_MAKERS: Final = frozenset({"INVITE", "SUBSCRIBE", "REFER"})


Names: TypeAlias = tuple[str, str, str]
"""Call-ID, From tag and To tag; empty where there is no tag."""


class _Message:
    """What requests and responses have in common.

    The properties of the headers that every message carries cannot fail on a message from :func:`parse_message`; on one that
    was put together by hand they raise SipError(400) for what is missing.
    """

    __slots__ = ("_names", "body", "headers")

    headers: Headers
    body: bytes
    _names: Names | None

    @property
    def names(self) -> Names:
        """What finds the dialog of the message. Read once: whoever changes From, To or Call-ID does so before that."""
        names = self._names
        return self.name(self.call_id, self.from_, self.to) if names is None else names

    def name(self, call_id: str, from_: NameAddr, to: NameAddr) -> Names:
        """Note what ``names`` is made of."""
        names = self._names = (call_id, param_of(from_.params, "tag") or "", param_of(to.params, "tag") or "")
        return names

    @property
    def call_id(self) -> str:
        """The Call-ID."""
        known: str | None = self.headers.read.get("Call-ID")
        return self.headers.needed("Call-ID", _parse_call_id) if known is None else known

    @property
    def cseq(self) -> CSeq:
        """The CSeq."""
        known: CSeq | None = self.headers.read.get("CSeq")
        return self.headers.needed("CSeq", parse_cseq) if known is None else known

    @property
    def from_(self) -> NameAddr:
        """The From."""
        known: NameAddr | None = self.headers.read.get("From")
        return self.headers.needed("From", parse_name_addr) if known is None else known

    @property
    def to(self) -> NameAddr:
        """The To."""
        known: NameAddr | None = self.headers.read.get("To")
        return self.headers.needed("To", parse_name_addr) if known is None else known

    @property
    def top_via(self) -> Via:
        """The topmost Via."""
        known: Via | None = self.headers.read.get("Via")
        return self.headers.needed("Via", _parse_top_via) if known is None else known

    @property
    def vias(self) -> list[Via]:
        """Every Via, topmost first. Raises SipError(400) if one below the top is broken."""
        return [parse_via(value) for value in self.headers.all("Via")]

    @property
    def contact(self) -> NameAddr | None:
        """The first Contact; its ``uri`` is ``*`` where a REGISTER removes all. Raises SipError(400) if it is broken."""
        return self.headers.typed("Contact", _parse_first_name_addr)

    @property
    def contacts(self) -> list[NameAddr]:
        """Every Contact. Raises SipError(400) if one is broken."""
        return [parse_name_addr(value) for value in self.headers.all("Contact")]

    @property
    def require(self) -> frozenset[str]:
        """Option tags that must be understood, in lower case."""
        return self._option_tags("Require")

    @property
    def supported(self) -> frozenset[str]:
        """Option tags that the sender understands, in lower case."""
        return self._option_tags("Supported")

    @property
    def allow(self) -> frozenset[str] | None:
        """The methods the sender takes, or None if it does not say."""
        return self.headers.tokens("Allow") if "Allow" in self.headers else None

    @property
    def content_type(self) -> str:
        """``type/subtype`` of the body in lower case without parameters; empty if not said."""
        return self.headers.typed("Content-Type", media_type) or ""

    def _option_tags(self, name: str) -> frozenset[str]:
        tags = self.headers.tokens(name)
        return frozenset([tag.lower() for tag in tags]) if tags else tags


class Request(_Message):
    """A request. ``uri`` is the Request-URI as text of any scheme."""

    __slots__ = ("method", "uri")

    def __init__(self, method: str, uri: str, headers: Headers, body: bytes = b"") -> None:
        self.headers = headers
        self.body = body
        self._names = None
        self.method = method
        self.uri = uri

    def encode(self) -> bytes:
        """The bytes to send, with a correct Content-Length as the last header."""
        return _encode(f"{self.method} {self.uri} SIP/2.0", self.headers, self.body)

    @property
    def address(self) -> SipUri:
        """The Request-URI taken apart. Raises SipError(416) where its scheme is not SIP."""
        return parse_uri(self.uri)

    @property
    def max_forwards(self) -> int | None:
        """Hops left, at most 255; None if not said or unreadable."""
        hops = number((self.headers.get("Max-Forwards") or "").strip(WHITESPACE))
        return None if hops is None else min(hops, 255)

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.uri}>"


class Response(_Message):
    """A response. ``status`` is 100 to 699."""

    __slots__ = ("reason", "status")

    def __init__(self, status: int, reason: str, headers: Headers, body: bytes = b"") -> None:
        self.headers = headers
        self.body = body
        self._names = None
        self.status = status
        self.reason = reason

    def encode(self) -> bytes:
        """The bytes to send, with a correct Content-Length as the last header."""
        return _encode(f"SIP/2.0 {self.status} {self.reason}", self.headers, self.body)

    def __repr__(self) -> str:
        return f"<Response {self.status} to {self.headers.get('CSeq')}>"


Message: TypeAlias = Request | Response


def parse_message(data: bytes) -> Message:
    """Read one datagram, or one message from the framer of a stream. Octets beyond Content-Length are ignored.

    Raises SipError; its ``request`` is set where there is somebody to answer. Nobody can be told what is wrong with a response:
    of what it says twice the first counts, and a Content-Length that cannot be read counts as missing.
    """
    head, empty_line, body = data.partition(b"\r\n\r\n")
    text = head.decode("utf-8", "surrogateescape")
    lines = text.split("\r\n")
    start_line = lines[0]
    if not empty_line or not start_line[:1].isalpha() or not text.count("\n") == text.count("\r") == len(lines) - 1:
        lines, body = _split_careless(data)
        start_line = lines[0]
    headers = _read_headers(lines)
    if start_line[:4].upper() == "SIP/":
        response = _read_status_line(start_line, headers)
        response.body = _cut_body(body, headers, lenient=True)
        _read_needed(response)
        return response
    request, version = _read_request_line(start_line, headers)
    try:
        if version != "SIP/2.0" and version.upper() != "SIP/2.0":
            raise SipError(505, f"Version {version[:20]} is not supported")
        (_check_known_uri if len(request.uri) <= _REMEMBERED_LENGTH else _check_uri)(request.uri)
        request.body = _cut_body(body, headers)
        _check(request)
    except SipError as error:
        error.request = request
        raise
    return request


def is_keepalive(data: bytes) -> bool:
    """Whether a datagram only keeps a NAT binding alive: line ends, NULs, nothing, or STUN (:rfc:`5626` section 3.5)."""
    return not data[:1].isalpha() and (not data.lstrip(_BLANK) or data[0] < 4)


def make_response(
    request: Request,
    status: int,
    reason: str | None = None,
    *,
    to_tag: str | None = None,
    headers: Sequence[tuple[str, str]] = (),
    body: bytes = b"",
) -> Response:
    """A response to ``request`` (:rfc:`3261` section 8.2.6) that works for broken requests too: what cannot be read is copied.

    ``to_tag`` is added to a To that has none, except in a 100. Record-Route is copied where the response may make a dialog.
    """
    if status == 100:
        copied = _COPIED_BY_100
    elif status < 300 and request.method in _DIALOG_MAKERS:
        copied = _COPIED_IN_DIALOG
    else:
        copied = _COPIED
    lines = [line for line in request.headers if line[0] in copied]
    if to_tag and status != 100 and not _has_tag(request):
        lines = [(name, f"{value};tag={to_tag}" if name == "To" else value) for name, value in lines]
    lines += [(SPELLINGS.get(name) or spelling(name), value) for name, value in headers]
    phrase = REASONS.get(status, "Unknown") if reason is None else reason
    return Response(status, phrase, Headers.of_usual(lines), body)


_COPIED: Final = frozenset({"Via", "From", "To", "Call-ID", "CSeq"})
_COPIED_BY_100: Final = _COPIED | {"Timestamp"}
_COPIED_IN_DIALOG: Final = _COPIED | {"Record-Route"}


def _has_tag(request: Request) -> bool:
    try:
        return request.to.tag is not None
    except SipError:
        # Nothing can be said about it, so nothing may be added to it.
        return True


def _encode(start_line: str, headers: Headers, body: bytes) -> bytes:
    lines = [start_line]
    lines += [f"{name}: {value}" for name, value in headers if name != "Content-Length"]
    text = "\r\n".join(lines)
    if text.count("\n") != len(lines) - 1 or text.count("\r") != len(lines) - 1:
        text = "\r\n".join([_LINE_BREAKS.sub(" ", line) for line in lines])
    return f"{text}\r\nContent-Length: {len(body)}\r\n\r\n".encode("utf-8", "surrogateescape") + body


def _read_headers(lines: list[str]) -> Headers:
    """Every readable line after the first; folded lines are joined by a space."""
    parts = [line.partition(":") for line in lines[1:]]
    try:
        return Headers.of_usual([(SPELLINGS[name], value.strip(WHITESPACE)) for name, colon, value in parts if colon])
    except KeyError:
        return _read_unusual_headers(lines)


def _read_unusual_headers(lines: list[str]) -> Headers:
    """The same where a line is folded or a name is not one of the usual spellings."""
    read: list[tuple[str, str]] = []
    whole = False
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        known = SPELLINGS.get(name)
        if known is None:
            if line[:1] in WHITESPACE:
                if whole:
                    name, value = read[-1]
                    read[-1] = (name, f"{value} {line.strip(WHITESPACE)}".strip(WHITESPACE))
                continue
            known = spelling(name)
        whole = bool(known and colon)
        if whole:
            read.append((known, value.strip(WHITESPACE)))
    return Headers.of_usual(read)


def _split_careless(data: bytes) -> tuple[list[str], bytes]:
    """Start line and header lines, and the body, of what begins with blanks or does not end its lines in CRLF."""
    data = data.lstrip(_BLANK)
    start = body_start(data)
    head, body = (data, b"") if start < 0 else (data[:start], data[start:])
    text = head.decode("utf-8", "surrogateescape").rstrip("\r\n")
    return text.replace("\r\n", "\n").replace("\r", " ").split("\n"), body


def _read_request_line(line: str, headers: Headers) -> tuple[Request, str]:
    method, _, rest = line.rstrip(WHITESPACE).partition(" ")
    uri, space, version = rest.rpartition(" ")
    if not space or not is_token(method) or version[:4].upper() != "SIP/":
        raise SipError(400, "Not a SIP message")
    return Request(method, uri, headers), version


def _read_status_line(line: str, headers: Headers) -> Response:
    match = _STATUS_LINE.fullmatch(line)
    if match is None or match[1].upper() != "SIP/2.0":
        raise SipError(400, "Broken status line")
    status = number(match[2], 699)
    if status is None or status < 100:
        raise SipError(400, "A status out of range")
    return Response(status, match[3] or "", headers)


def _cut_body(body: bytes, headers: Headers, *, lenient: bool = False) -> bytes:
    length_text = headers.index().get("Content-Length")
    if length_text is None or (length_text == str(len(body)) and not headers.repeats):
        return body
    length = number(length_text)
    if length is None or (headers.repeated(_LENGTH) and len(set(headers.all("Content-Length"))) > 1):
        if lenient:
            return body
        raise SipError(400, "Broken Content-Length")
    if length > len(body):
        raise SipError(400, "The body is shorter than Content-Length")
    return body[:length] if length < len(body) else body


def _check(request: Request) -> None:
    """Raise SipError(400) unless the headers that every layer needs are there, once, and readable."""
    headers = request.headers
    repeated = headers.repeated(_ONCE) if headers.repeats else None
    if repeated:
        raise SipError(400, f"More than one {repeated}")
    _read_needed(request)
    if "," in headers.index()["Via"]:
        _ = request.vias
    if headers.read["CSeq"].method != request.method:
        raise SipError(400, "The method of CSeq is not that of the request")


def _read_needed(message: Message) -> None:
    read = message.headers.need(_NEEDED)
    message.name(read["Call-ID"], read["From"], read["To"])


def _check_uri(uri: str) -> None:
    if _NOT_IN_URI.search(uri):
        raise SipError(400, "A Request-URI with a character that must be escaped")
    if uri[:4].lower() in {"sip:", "sips"} and parse_uri(uri).headers:
        raise SipError(400, "A Request-URI with headers")


_check_known_uri = lru_cache(maxsize=4096)(_check_uri)


def _parse_call_id(text: str) -> str:
    if not text or " " in text or "\t" in text:
        raise SipError(400, "Broken Call-ID")
    return text


def _parse_top_via(text: str) -> Via:
    if "," not in text:
        return parse_via(text)
    values = split_list(text)
    if not values:
        raise SipError(400, "Broken Via")
    return parse_via(values[0])


_NEEDED: Final[tuple[tuple[str, Callable[[str], object]], ...]] = (
    ("Via", _parse_top_via),
    ("From", parse_name_addr),
    ("To", parse_name_addr),
    ("Call-ID", _parse_call_id),
    ("CSeq", parse_cseq),
)
"""The headers without which a message is none (:rfc:`3261` section 8.1.1), but for Max-Forwards, which old ones lack."""


def _parse_first_name_addr(text: str) -> NameAddr | None:
    values = split_list(text)
    return parse_name_addr(values[0]) if values else None

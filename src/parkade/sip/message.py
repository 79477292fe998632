"""Requests and responses: a start line, headers kept as text, a body kept as bytes.

Reading a message checks what every layer above relies on: the start line, Content-Length, and that Via, From, To, Call-ID and
CSeq are there once and can be read. All else is looked at when somebody asks for it. Headers are written as they came, except
that folded lines become one, names get their usual spelling, and Content-Length is always made anew. Malformed header lines
are dropped (:rfc:`3261` section 8.2.2), and a value that is written never starts a new line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, TypeAlias, TypeVar, cast

from parkade.sip.errors import SipError
from parkade.sip.grammar import WHITESPACE, body_start, is_token, number, split_list
from parkade.sip.headers import CSeq, NameAddr, Via, parse_cseq, parse_name_addr, parse_via
from parkade.sip.names import LISTS, SPELLINGS, spelling
from parkade.sip.uri import SipUri, parse_uri

T = TypeVar("T")

_LINE_BREAKS = re.compile(r"[\r\n]+")
_STATUS_LINE = re.compile(r"(SIP/[^ ]*) +([0-9]+)(?: +(.*)|)", re.IGNORECASE | re.DOTALL)
_NOT_IN_URI = re.compile(r'[\x00-\x20\x7f<>"]')

_ONCE: Final = ("From", "To", "Call-ID", "CSeq", "Max-Forwards")
_DIALOG_MAKERS: Final = frozenset({"INVITE", "SUBSCRIBE", "REFER"})

REASONS: Final[dict[int, str]] = {
    100: "Trying",
    180: "Ringing",
    181: "Call Is Being Forwarded",
    182: "Queued",
    183: "Session Progress",
    199: "Early Dialog Terminated",
    200: "OK",
    202: "Accepted",
    204: "No Notification",
    300: "Multiple Choices",
    301: "Moved Permanently",
    302: "Moved Temporarily",
    305: "Use Proxy",
    380: "Alternative Service",
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    410: "Gone",
    412: "Conditional Request Failed",
    413: "Request Entity Too Large",
    414: "Request-URI Too Long",
    415: "Unsupported Media Type",
    416: "Unsupported URI Scheme",
    417: "Unknown Resource-Priority",
    420: "Bad Extension",
    421: "Extension Required",
    422: "Session Interval Too Small",
    423: "Interval Too Brief",
    428: "Use Identity Header",
    429: "Provide Referrer Identity",
    430: "Flow Failed",
    433: "Anonymity Disallowed",
    436: "Bad Identity-Info",
    437: "Unsupported Certificate",
    438: "Invalid Identity Header",
    439: "First Hop Lacks Outbound Support",
    440: "Max-Breadth Exceeded",
    469: "Bad Info Package",
    470: "Consent Needed",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    483: "Too Many Hops",
    484: "Address Incomplete",
    485: "Ambiguous",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    489: "Bad Event",
    491: "Request Pending",
    493: "Undecipherable",
    494: "Security Agreement Required",
    500: "Server Internal Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Server Time-out",
    505: "Version Not Supported",
    513: "Message Too Large",
    580: "Precondition Failure",
    600: "Busy Everywhere",
    603: "Decline",
    604: "Does Not Exist Anywhere",
    606: "Not Acceptable",
    607: "Unwanted",
    608: "Rejected",
}
"""The usual phrase of each registered status."""


class Headers:
    """Header lines in order, names in any case and in compact form alike, values as text.

    A name may stand on several lines, and a line of a list header (``names.LISTS``) may hold several values: :meth:`get` gives
    a whole line, :meth:`all` the single values.
    """

    __slots__ = ("_first", "_lines", "_typed")

    def __init__(self, lines: Iterable[tuple[str, str]] = ()) -> None:
        self._lines = [(spelling(name), value) for name, value in lines]
        self._first: dict[str, str] | None = None
        self._typed: dict[str, object] = {}

    def get(self, name: str) -> str | None:
        """The value of the first line called ``name``, or None."""
        first = self._index()
        value = first.get(name)
        return first.get(spelling(name)) if value is None else value

    def all(self, name: str) -> list[str]:
        """Every value of ``name`` in order; the lines of list headers are split at their commas, empty values left out."""
        name = spelling(name)
        values = [value for key, value in self._lines if key == name]
        return [value for line in values for value in split_list(line)] if name in LISTS else values

    def add(self, name: str, value: str) -> None:
        """Add a line at the end."""
        name = spelling(name)
        self._lines.append((name, value))
        self._changed(name)

    def prepend(self, name: str, value: str) -> None:
        """Add a line before all others."""
        name = spelling(name)
        self._lines.insert(0, (name, value))
        self._changed(name)

    def set(self, name: str, value: str) -> None:
        """Make ``value`` the only line called ``name``, where the first one stood or else at the end."""
        name = spelling(name)
        at = next((i for i, (key, _) in enumerate(self._lines) if key == name), len(self._lines))
        self._lines = [line for line in self._lines if line[0] != name]
        self._lines.insert(at, (name, value))
        self._changed(name)

    def replace_top(self, name: str, value: str) -> None:
        """Put ``value`` in place of the first value of list header ``name``, leaving its other values alone."""
        name = spelling(name)
        for at, (key, line) in enumerate(self._lines):
            if key == name:
                self._lines[at] = (name, ", ".join([value, *split_list(line)[1:]]))
                break
        self._changed(name)

    def remove(self, name: str) -> None:
        """Remove every line called ``name``."""
        name = spelling(name)
        self._lines = [line for line in self._lines if line[0] != name]
        self._changed(name)

    def typed(self, name: str, parse: Callable[[str], T]) -> T | None:
        """``parse`` of the first line of ``name`` (in its common spelling), remembered until it changes; None if absent.

        Raises what ``parse`` raises. A name must always come with the same ``parse``.
        """
        known = self._typed.get(name)
        if known is not None:
            return cast(T, known)
        text = self.get(name)
        if text is None:
            return None
        value = self._typed[name] = parse(text)
        return value

    def repeated(self, names: Iterable[str]) -> str | None:
        """The first of ``names`` (in their common spelling) that stands on more than one line, or None."""
        if len(self._index()) == len(self._lines):
            return None
        present = [name for name, _ in self._lines]
        return next((name for name in names if present.count(name) > 1), None)

    def copy(self) -> Headers:
        """An independent copy."""
        copy = Headers.__new__(Headers)
        copy._lines = self._lines.copy()
        copy._first = self._first
        copy._typed = self._typed.copy()
        return copy

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name) is not None

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._lines)

    def __len__(self) -> int:
        return len(self._lines)

    def __repr__(self) -> str:
        return f"Headers({self._lines!r})"

    def _index(self) -> dict[str, str]:
        first = self._first
        if first is None:
            first = self._first = dict(reversed(self._lines))
        return first

    def _changed(self, name: str) -> None:
        self._first = None
        if self._typed:
            self._typed.pop(name, None)

    @classmethod
    def _of(cls, lines: list[tuple[str, str]]) -> Headers:
        self = cls.__new__(cls)
        self._lines = lines
        self._first = None
        self._typed = {}
        return self


class _Message:
    """What requests and responses have in common.

    The properties of the headers that every message carries cannot fail on a message from :func:`parse_message`; on one that
    was put together by hand they raise SipError(400) for what is missing.
    """

    __slots__ = ("body", "headers")

    def __init__(self, headers: Headers, body: bytes) -> None:
        self.headers = headers
        self.body = body

    @property
    def call_id(self) -> str:
        """The Call-ID."""
        return _needed(self.headers.typed("Call-ID", _parse_call_id), "Call-ID")

    @property
    def cseq(self) -> CSeq:
        """The CSeq."""
        return _needed(self.headers.typed("CSeq", parse_cseq), "CSeq")

    @property
    def from_(self) -> NameAddr:
        """The From."""
        return _needed(self.headers.typed("From", parse_name_addr), "From")

    @property
    def to(self) -> NameAddr:
        """The To."""
        return _needed(self.headers.typed("To", parse_name_addr), "To")

    @property
    def top_via(self) -> Via:
        """The topmost Via."""
        return _needed(self.headers.typed("Via", _parse_top_via), "Via")

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
        return frozenset(self.headers.all("Allow")) if "Allow" in self.headers else None

    @property
    def content_type(self) -> str:
        """``type/subtype`` of the body in lower case without parameters; empty if not said."""
        return (self.headers.get("Content-Type") or "").partition(";")[0].strip(WHITESPACE).lower()

    def _option_tags(self, name: str) -> frozenset[str]:
        return frozenset([tag.lower() for tag in self.headers.all(name)])


class Request(_Message):
    """A request. ``uri`` is the Request-URI as text of any scheme."""

    __slots__ = ("method", "uri")

    def __init__(self, method: str, uri: str, headers: Headers, body: bytes = b"") -> None:
        super().__init__(headers, body)
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
        super().__init__(headers, body)
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

    Raises SipError; its ``request`` is set where there is somebody to answer.
    """
    data = data.lstrip(b"\r\n")
    start = body_start(data)
    head, body = (data, b"") if start < 0 else (data[:start], data[start:])
    text = head.decode("utf-8", "surrogateescape").rstrip("\r\n")
    lines = text.split("\r\n")
    if not text.count("\n") == text.count("\r") == len(lines) - 1:
        lines = text.replace("\r\n", "\n").replace("\r", " ").split("\n")
    start_line = lines[0]
    headers = _read_headers(lines)
    if start_line[:4].upper() == "SIP/":
        response = _read_status_line(start_line, headers)
        response.body = _cut_body(body, headers)
        _check(response)
        return response
    request, version = _read_request_line(start_line, headers)
    try:
        if version != "SIP/2.0" and version.upper() != "SIP/2.0":
            raise SipError(505, f"Version {version[:20]} is not supported")
        _check_request_line(request)
        request.body = _cut_body(body, headers)
        _check(request)
        _check_method(request)
    except SipError as error:
        error.request = request
        raise
    return request


def is_keepalive(data: bytes) -> bool:
    """Whether a datagram only keeps a NAT binding alive: line ends, NULs, nothing, or STUN (:rfc:`5626` section 3.5)."""
    rest = data.lstrip(b"\r\n\0 \t")
    return not rest or data[0] < 4


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
    lines: list[tuple[str, str]] = []
    dialog = 100 < status < 300 and request.method in _DIALOG_MAKERS
    for name, value in request.headers:
        if name in _COPIED or (dialog and name == "Record-Route") or (status == 100 and name == "Timestamp"):
            if name == "To" and to_tag and status != 100 and not _has_tag(request):
                value = f"{value};tag={to_tag}"
            lines.append((name, value))
    lines.extend(headers)
    return Response(status, REASONS.get(status, "Unknown") if reason is None else reason, Headers(lines), body)


_COPIED: Final = frozenset({"Via", "From", "To", "Call-ID", "CSeq"})


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
    return Headers._of(read)


def _read_request_line(line: str, headers: Headers) -> tuple[Request, str]:
    words = line.rstrip(WHITESPACE).split(" ")
    method, version = words[0], words[-1]
    if len(words) < 3 or not is_token(method) or version[:4].upper() != "SIP/":
        raise SipError(400, "Not a SIP message")
    return Request(method, " ".join(words[1:-1]), headers), version


def _read_status_line(line: str, headers: Headers) -> Response:
    match = _STATUS_LINE.fullmatch(line)
    if match is None or match[1].upper() != "SIP/2.0":
        raise SipError(400, "Broken status line")
    status = number(match[2], 699)
    if status is None or status < 100:
        raise SipError(400, "A status out of range")
    return Response(status, match[3] or "", headers)


def _cut_body(body: bytes, headers: Headers) -> bytes:
    length_text = headers.get("Content-Length")
    if length_text is None:
        return body
    length = number(length_text)
    if length is None or (headers.repeated(("Content-Length",)) and len(set(headers.all("Content-Length"))) > 1):
        raise SipError(400, "Broken Content-Length")
    if length > len(body):
        raise SipError(400, "The body is shorter than Content-Length")
    return body[:length] if length < len(body) else body


def _check(message: Message) -> None:
    """Raise SipError(400) unless the headers that every layer needs are there, once, and readable."""
    repeated = message.headers.repeated(_ONCE)
    if repeated:
        raise SipError(400, f"More than one {repeated}")
    _ = message.top_via, message.from_, message.to, message.call_id, message.cseq
    if "," in (message.headers.get("Via") or ""):
        _ = message.vias


def _check_request_line(request: Request) -> None:
    uri = request.uri
    if _NOT_IN_URI.search(uri):
        raise SipError(400, "A Request-URI with a character that must be escaped")
    if uri[:4].lower() in {"sip:", "sips"} and parse_uri(uri).headers:
        raise SipError(400, "A Request-URI with headers")


def _check_method(request: Request) -> None:
    if request.cseq.method != request.method:
        raise SipError(400, "The method of CSeq is not that of the request")


def _parse_call_id(text: str) -> str:
    if not text or " " in text or "\t" in text:
        raise SipError(400, "Broken Call-ID")
    return text


def _parse_top_via(text: str) -> Via:
    values = split_list(text)
    if not values:
        raise SipError(400, "Broken Via")
    return parse_via(values[0])


def _parse_first_name_addr(text: str) -> NameAddr | None:
    values = split_list(text)
    return parse_name_addr(values[0]) if values else None


def _needed(value: T | None, name: str) -> T:
    if value is None:
        raise SipError(400, f"No {name}")
    return value

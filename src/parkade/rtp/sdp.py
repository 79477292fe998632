"""Session descriptions (:rfc:`8866`) as values: read what phones send, write what they can read.

Reading is lenient. Bare LF, missing ``o=``, ``s=`` and ``t=``, unknown lines, blanks around values and malformed lines
of no consequence are passed over; only a missing ``v=0`` and an ``m=`` line that names no port are errors. Writing is strict
and printing what was read is a fixed point. What a description means for a call is the business of ``offer_answer``.

Limits: 64 KiB a description. Lines that nobody here asks for (``b=``, ``k=``, ``i=`` …) are dropped; text that is not UTF-8
is replaced.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from parkade.base.errors import ParkadeError
from parkade.rtp.codecs import CODECS

MAX_BYTES = 65536
_KNOWN_LENGTH = 600
_MAX_NUMBER_DIGITS = 40
_MEDIA_LINE = re.compile(r"\n[^\S\n]*m=")
"""Never over an empty line: among thousands of them each would be read to the last."""
_STATIC_RTPMAP = {str(facts.static_number): (codec.value, facts.clock_hz) for codec, facts in CODECS.items()}
"""What needs no ``a=rtpmap``."""


class SdpError(ParkadeError):
    """Not a session description, or one that nothing can be done with."""


class Direction(StrEnum):
    """Which way media flows, seen from whoever wrote the description."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"

    @property
    def sends(self) -> bool:
        """The writer wants to send."""
        return self in _SENDING

    @property
    def receives(self) -> bool:
        """The writer wants to receive."""
        return self in _RECEIVING

    @classmethod
    def of(cls, *, sends: bool, receives: bool) -> Direction:
        """The direction with these two halves."""
        return _BY_HALVES[sends, receives]


_SENDING = frozenset({Direction.SENDRECV, Direction.SENDONLY})
_RECEIVING = frozenset({Direction.SENDRECV, Direction.RECVONLY})
_BY_HALVES = {(d.sends, d.receives): d for d in Direction}
_DIRECTIONS = {d.value: d for d in Direction}


class Origin(NamedTuple):
    """``o=``: who wrote the description, and the number of its version."""

    user: str = "-"
    session_id: int = 0
    version: int = 0
    address: str = "0.0.0.0"


_NOBODY = Origin()


class Attribute(NamedTuple):
    """``a=name:value``; a flag has an empty value. Names are lower case."""

    name: str
    value: str = ""


class Media(NamedTuple):
    """An ``m=`` line with the lines under it. ``connection`` is the address of its own ``c=``, if it has one."""

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    connection: str | None = None
    attributes: tuple[Attribute, ...] = ()

    def value(self, name: str) -> str | None:
        """The value of the first attribute ``name`` (empty for a flag), or None."""
        return _value(self.attributes, name)

    def rtpmap(self) -> dict[int, tuple[str, int]]:
        """Encoding name in upper case and clock rate in Hz by payload type, in the order of the ``m=`` line."""
        mapped = dict(_STATIC_RTPMAP)
        for attribute in self.attributes:
            if attribute.name == "rtpmap":
                number, _, encoding = attribute.value.partition(" ")
                name, _, rest = encoding.strip().partition("/")
                clock_hz = _number(rest.partition("/")[0])
                if clock_hz is not None:
                    mapped[number] = (name.strip().upper(), clock_hz)
        numbers = ((_number(f), f) for f in self.formats)
        return {number: mapped[f] for number, f in numbers if number is not None and number < 128 and f in mapped}


class SessionDescription(NamedTuple):
    """A whole description. ``connection`` is the address that holds where a ``Media`` has none of its own."""

    origin: Origin
    connection: str | None
    media: tuple[Media, ...]
    name: str = "-"
    timing: str = "0 0"
    attributes: tuple[Attribute, ...] = ()

    def address_of(self, media: Media) -> str | None:
        """Where ``media`` is to be sent, or None if nobody said."""
        return media.connection or self.connection

    def direction_of(self, media: Media) -> Direction:
        """The direction of ``media``: its own, else that of the session, else both ways."""
        for attribute in (*media.attributes, *self.attributes):
            if attribute.name in _DIRECTIONS:
                return _DIRECTIONS[attribute.name]
        return Direction.SENDRECV

    def encode(self) -> bytes:
        """The description as it goes into a message body."""
        o = self.origin
        text = f"v=0\r\no={o.user} {o.session_id} {o.version} IN {_family(o.address)} {o.address}\r\ns={self.name}"
        text += f"{_connection_line(self.connection)}\r\nt={self.timing}{_attribute_lines(self.attributes)}"
        for media in self.media:
            text += f"\r\nm={media.kind} {media.port} {' '.join((media.protocol, *media.formats))}"
            text += f"{_connection_line(media.connection)}{_attribute_lines(media.attributes)}"
        return f"{text}\r\n".encode()


def parse_sdp(body: bytes) -> SessionDescription:
    """Read a description. Raises ``SdpError`` and nothing else."""
    if len(body) > MAX_BYTES:
        raise SdpError(f"session description of {len(body)} bytes; at most {MAX_BYTES} are read")
    text = body.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    session, *sections = _MEDIA_LINE.split(text)
    lines = [line for raw in session.split("\n") if (line := raw.strip())]
    if not lines or lines[0].replace(" ", "") != "v=0":
        raise SdpError("not a session description: it does not begin with v=0")
    origin, name, timing = _NOBODY, "-", "0 0"
    for line in lines[1:]:
        kind, value = line[:2], line[2:].strip()
        if kind == "o=":
            origin = _origin(value) or origin
        elif kind == "s=":
            name = value or name
        elif kind == "t=":
            timing = value or timing
    connection, attributes = _described(lines)
    return SessionDescription(origin, connection, tuple([_media(section) for section in sections]), name, timing, attributes)


def _media(section: str) -> Media:
    """What is said after ``m=``, to the end or the next ``m=``."""
    line, _, under = section.partition("\n")
    fields = line.split()
    port = _number(fields[1].partition("/")[0]) if len(fields) >= 3 else None
    if port is None or port > 65535:
        raise SdpError(f"media line without kind, port and protocol: m={line.strip()[:80]}")
    # Each phone says the same under it in every call; what is longer (keys, candidates) is new each time.
    connection, attributes = (_known_lines if len(under) <= _KNOWN_LENGTH else _read_lines)(under)
    return Media(fields[0], port, fields[2], tuple(fields[3:]), connection, attributes)


_Described: TypeAlias = tuple[str | None, tuple[Attribute, ...]]


def _read_lines(text: str) -> _Described:
    return _described([raw.strip() for raw in text.split("\n")])


_known_lines = lru_cache(maxsize=512)(_read_lines)


def _described(lines: Sequence[str]) -> _Described:
    """The first connection and all attributes among ``lines``."""
    connection: str | None = None
    attributes: list[Attribute] = []
    for line in lines:
        kind = line[:2]
        if kind == "a=":
            if attribute := _attribute(line[2:]):
                attributes.append(attribute)
        elif kind == "c=":
            connection = connection or _connection(line[2:].strip())
    return connection, tuple(attributes)


def _attribute(value: str) -> Attribute | None:
    name, _, rest = value.partition(":")
    return Attribute(name.strip().lower(), rest.strip()) if name.strip() else None


def _connection(value: str) -> str | None:
    """``IN IP4 192.0.2.1/127`` without its TTL; None if it is not of this form."""
    words = value.split()
    return words[2].partition("/")[0] or None if len(words) == 3 else None


def _origin(value: str) -> Origin | None:
    words = value.split()
    if len(words) != 6:
        return None
    user, session_id, version, _, _, address = words
    return Origin(user, _number(session_id) or 0, _number(version) or 0, address)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MAX_NUMBER_DIGITS else None


def _value(attributes: tuple[Attribute, ...], name: str) -> str | None:
    return next((a.value for a in attributes if a.name == name), None)


@lru_cache(maxsize=256)
def _attribute_lines(attributes: tuple[Attribute, ...]) -> str:
    """With a line end before each of them. What we say of ourselves is nearly always the same."""
    return "".join([f"\r\na={a.name}:{a.value}" if a.value else f"\r\na={a.name}" for a in attributes])


def _connection_line(address: str | None) -> str:
    return f"\r\nc=IN {_family(address)} {address}" if address else ""


def _family(address: str) -> str:
    return "IP6" if ":" in address else "IP4"

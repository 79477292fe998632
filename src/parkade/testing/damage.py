"""Ways in which a message is damaged between a phone and the switch: one table, a small function each.

A damage changes something in a message that is taken apart into lines and body. ``damager`` says whose messages are damaged.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import TypeAlias

from parkade.testing.oddities import (
    BAD_CONTACTS,
    ODD_ADDRESSES,
    ODD_LENGTHS,
    ODD_LINES,
    ODD_MEDIA,
    ODD_PORTS,
    ODD_TYPES,
    ODD_VIAS,
    SCHEMES,
    STATUSES,
    STRANGE,
)

LARGEST_DATAGRAM = 65_507
"""65,535 less the headers of IPv4 and UDP."""
ENDS = b"\r\n"

_TAG = re.compile(rb";tag=[^;\r\n]*")
_BRANCH = re.compile(rb"branch=[^;,\r\n]*")


@dataclass(slots=True)
class Wire:
    """A message taken apart: the start line and the header lines without their ends, and the body."""

    lines: list[bytes]
    body: bytes
    end: bytes = ENDS

    @classmethod
    def parse(cls, data: bytes) -> Wire:
        """Take ``data`` apart; anything may be in it."""
        head, _, body = data.partition(ENDS + ENDS)
        return cls(head.split(ENDS), body)

    def encode(self) -> bytes:
        """Put together what there is."""
        return self.end.join([*self.lines, b"", b""]) + self.body

    def find(self, *names: bytes) -> list[int]:
        """Where the header lines with one of these names are; without names, all header lines."""
        wanted = {name.lower() for name in names}
        return [at for at, line in enumerate(self.lines) if at and (not wanted or line.partition(b":")[0].lower() in wanted)]

    def value(self, at: int) -> bytes:
        """The value of the header line at ``at``."""
        return self.lines[at].partition(b":")[2].strip()

    def put(self, at: int, value: bytes) -> None:
        """Replace the value of the header line at ``at``."""
        self.lines[at] = self.lines[at].partition(b":")[0] + b": " + value

    def set_body(self, body: bytes, dice: Random) -> None:
        """Replace the body; four times in five its length is told right."""
        self.body = body
        if dice.random() < 0.8:
            for at in self.find(b"Content-Length"):
                self.put(at, b"%d" % len(body))


Damage: TypeAlias = Callable[[Wire, Random], None]
"""Changes a message in place. One that finds nothing to change leaves it as it is."""


def _some(wire: Wire, dice: Random, *names: bytes) -> int | None:
    places = wire.find(*names)
    return dice.choice(places) if places else None


def _change(wire: Wire, dice: Random, names: tuple[bytes, ...], change: Callable[[bytes], bytes]) -> None:
    at = _some(wire, dice, *names)
    if at is not None:
        wire.put(at, change(wire.value(at)))


def _insert(text: bytes, what: bytes, dice: Random) -> bytes:
    at = dice.randrange(len(text) + 1)
    return text[:at] + what + text[at:]


# Values


def cut_value(wire: Wire, dice: Random) -> None:
    """A header value ends too early."""
    _change(wire, dice, (), lambda value: value[: dice.randrange(len(value) + 1)])


def double_value(wire: Wire, dice: Random) -> None:
    """A header value twice, with a comma or without."""
    _change(wire, dice, (), lambda value: value + dice.choice((b"", b",", b", ", b";")) + value)


def empty_value(wire: Wire, dice: Random) -> None:
    """A header without a value."""
    _change(wire, dice, (), lambda _: b"")


def swap_values(wire: Wire, dice: Random) -> None:
    """Two headers have each other's values."""
    one, other = _some(wire, dice), _some(wire, dice)
    if one is not None and other is not None:
        first, second = wire.value(one), wire.value(other)
        wire.put(one, second)
        wire.put(other, first)


def strange_bytes(wire: Wire, dice: Random) -> None:
    """Bytes that have no place there, in a header value: NUL, what is no UTF-8, %FF, separators."""
    _change(wire, dice, (), lambda value: _insert(value, dice.choice(STRANGE), dice))


def strange_user(wire: Wire, dice: Random) -> None:
    """Such bytes in the user part of a URI."""
    strange = dice.choice(STRANGE)
    with_user = [at for at, line in enumerate(wire.lines) if b"sip:" in line and b"@" in line]
    if not with_user:
        return
    at = dice.choice(with_user)
    wire.lines[at] = re.sub(rb"(sips?:)([^@\s;>]*)@", lambda m: m[1] + _insert(m[2], strange, dice) + b"@", wire.lines[at])


def other_scheme(wire: Wire, dice: Random) -> None:
    """Another scheme in a URI, that of the start line included."""
    with_uri = [at for at, line in enumerate(wire.lines) if b"sip:" in line]
    if with_uri:
        at = dice.choice(with_uri)
        wire.lines[at] = wire.lines[at].replace(b"sip:", dice.choice(SCHEMES))


def long_value(wire: Wire, dice: Random) -> None:
    """A value of up to 60,000 bytes."""
    filler = dice.choice((b"x", b"%20", b";a=b", b",", b'"', b"<", b" ", b"1")) * dice.choice((300, 5_000, 20_000))
    _change(wire, dice, (), lambda value: _insert(value, filler, dice)[:60_000])


def bad_contact(wire: Wire, dice: Random) -> None:
    """A Contact that is none."""
    _change(wire, dice, (b"Contact", b"m"), lambda _: dice.choice(BAD_CONTACTS))


def no_contact(wire: Wire, dice: Random) -> None:
    """A Contact is missing."""
    at = _some(wire, dice, b"Contact", b"m")
    if at is not None:
        del wire.lines[at]


def tag_gone(wire: Wire, dice: Random) -> None:
    """A From or To without its tag."""
    _change(wire, dice, (b"From", b"To"), lambda value: _TAG.sub(b"", value))


def tag_changed(wire: Wire, dice: Random) -> None:
    """A From or To with another tag, or an odd one."""
    tag = b";tag=" + dice.choice((b"other", b"", b"\xff", b'"a b"', b"x" * 3000))
    _change(wire, dice, (b"From", b"To"), lambda value: _TAG.sub(lambda _: tag, value) if b";tag=" in value else value + tag)


def cseq_changed(wire: Wire, dice: Random) -> None:
    """Another CSeq: lower, higher, huge, with another method, none."""
    method = dice.choice((b"INVITE", b"BYE", b"ACK", b"CANCEL", b"REGISTER", b"x", b""))
    number = dice.choice((b"0", b"1", b"2", b"500", b"2147483647", b"4294967296", b"9" * 400, b"-3", b"x"))
    own = dice.random() < 0.5
    _change(wire, dice, (b"CSeq",), lambda value: number + b" " + (value.split(b" ")[-1] if own else method))


def call_id_changed(wire: Wire, dice: Random) -> None:
    """A Call-ID that belongs nowhere."""
    _change(wire, dice, (b"Call-ID", b"i"), lambda value: _insert(value, dice.choice((b"x", b"@", b"\xff", b" ")), dice))


def via_damaged(wire: Wire, dice: Random) -> None:
    """A Via that names no place, or another."""
    _change(wire, dice, (b"Via", b"v"), lambda _: dice.choice(ODD_VIAS))


def branch_changed(wire: Wire, dice: Random) -> None:
    """A branch without the cookie of RFC 3261, another one, or none."""
    branch = dice.choice((b"branch=old", b"branch=", b"x=y", b"branch=z9hG4bK", b"branch=z9hG4bKother", b"branch=\xff"))
    _change(wire, dice, (b"Via", b"v"), lambda value: _BRANCH.sub(lambda _: branch, value))


# Lines


def line_gone(wire: Wire, dice: Random) -> None:
    """A header line is missing."""
    at = _some(wire, dice)
    if at is not None:
        del wire.lines[at]


def line_doubled(wire: Wire, dice: Random) -> None:
    """A header line comes twice."""
    at = _some(wire, dice)
    if at is not None:
        wire.lines.insert(dice.randint(1, len(wire.lines)), wire.lines[at])


def lines_reordered(wire: Wire, dice: Random) -> None:
    """The header lines in another order."""
    rest = wire.lines[1:]
    dice.shuffle(rest)
    wire.lines[1:] = rest


def line_folded(wire: Wire, dice: Random) -> None:
    """A value goes on in the next line (RFC 3261 7.3.1), or the name does."""
    at = _some(wire, dice)
    if at is not None:
        wire.lines[at] = _insert(wire.lines[at], b"\r\n" + dice.choice((b" ", b"\t", b"   ", b" \r\n ")), dice)


def odd_line(wire: Wire, dice: Random) -> None:
    """One more header line that asks for something odd."""
    wire.lines.insert(dice.randint(1, len(wire.lines)), dice.choice(ODD_LINES))


def many_lines(wire: Wire, dice: Random) -> None:
    """A thousand more header lines."""
    wire.lines[1:1] = [dice.choice(ODD_LINES)] * 1000


def other_line_ends(wire: Wire, dice: Random) -> None:
    """Lines that end in LF, in CR, or not at all."""
    wire.end = dice.choice((b"\n", b"\r", b"\r\r\n", b" "))


def names_changed(wire: Wire, dice: Random) -> None:
    """Names in capitals, in small letters, with a space before the colon."""
    change = dice.choice((bytes.upper, bytes.lower, lambda name: name + b" ", lambda name: name + b"\t "))
    for at in wire.find():
        name, colon, value = wire.lines[at].partition(b":")
        wire.lines[at] = change(name) + colon + value


# The start line


def status_changed(wire: Wire, dice: Random) -> None:
    """A response with another status."""
    if wire.lines[0].startswith(b"SIP/2.0 "):
        status = dice.choice(
            (b"%d" % dice.choice(STATUSES), b"%d" % dice.choice(STATUSES), b"099", b"700", b"1000", b"2x0", b"")
        )
        wire.lines[0] = b"SIP/2.0 " + status + wire.lines[0][11:]


def start_damaged(wire: Wire, dice: Random) -> None:
    """A start line with a reason that is no ASCII, another version, another method, another target."""
    strange = dice.choice(STRANGE)
    words = wire.lines[0].split(b" ")
    at = dice.randrange(len(words))
    words[at] = dice.choice((_insert(words[at], strange, dice), b"", strange, words[at] + b" " + words[at], words[at].lower()))
    wire.lines[0] = b" ".join(words)


def reason_changed(wire: Wire, dice: Random) -> None:
    """A reason phrase in another alphabet, in Latin-1, with control characters, none."""
    if wire.lines[0].startswith(b"SIP/2.0 "):
        reason = dice.choice((b" B\xe9tr\xfcger", " đang bận".encode(), b" \x00\x07", b"", b" ", b" " + b"x" * 5000))
        wire.lines[0] = wire.lines[0][:11] + reason


# The body


def body_flipped(wire: Wire, dice: Random) -> None:
    """Some bytes of the body are others."""
    if wire.body:
        body = bytearray(wire.body)
        for _ in range(dice.randint(1, 8)):
            body[dice.randrange(len(body))] = dice.randrange(256)
        wire.body = bytes(body)


def body_truncated(wire: Wire, dice: Random) -> None:
    """The body ends too early."""
    wire.set_body(wire.body[: dice.randrange(len(wire.body) + 1)], dice)


def body_put(wire: Wire, dice: Random) -> None:
    """A body where none belongs, or another one."""
    wire.set_body(
        dice.choice((b"v=0", b"Signal=*\r\nDuration=x", b"d=*", b"\x00" * 50, b"\r\n\r\n", b"SIP/2.0 200 OK", b"x" * 60_000)),
        dice,
    )


def length_wrong(wire: Wire, dice: Random) -> None:
    """A Content-Length that is wrong."""
    _change(wire, dice, (b"Content-Length", b"l"), lambda _: dice.choice(ODD_LENGTHS))


def type_changed(wire: Wire, dice: Random) -> None:
    """Another Content-Type."""
    _change(wire, dice, (b"Content-Type", b"c"), lambda _: dice.choice(ODD_TYPES))


def multipart(wire: Wire, dice: Random) -> None:
    """The body as one part of several (RFC 5621), or of a multipart body that never ends."""
    places = wire.find(b"Content-Type", b"c")
    if places and wire.body:
        part = b"--b\r\nContent-Type: " + wire.value(places[0]) + b"\r\n\r\n" + wire.body
        other = b"\r\n--b\r\nContent-Type: text/plain\r\nContent-Disposition: render;handling=optional\r\n\r\nhello"
        wire.put(places[0], b"multipart/mixed;boundary=b")
        wire.set_body(part + other + dice.choice((b"\r\n--b--\r\n", b"", b"\r\n--b")), dice)


def _change_sdp(wire: Wire, dice: Random, change: Callable[[list[bytes]], None]) -> None:
    if wire.body.startswith(b"v=0"):
        lines = wire.body.split(ENDS)
        change(lines)
        wire.set_body(ENDS.join(lines), dice)


def sdp_line_gone(wire: Wire, dice: Random) -> None:
    """A line of the SDP is missing."""
    _change_sdp(wire, dice, lambda lines: lines.__delitem__(dice.randrange(len(lines))))


def sdp_line_doubled(wire: Wire, dice: Random) -> None:
    """A line of the SDP comes twice, perhaps elsewhere: a second ``m=`` or ``c=`` too."""
    _change_sdp(wire, dice, lambda lines: lines.insert(dice.randint(0, len(lines)), dice.choice(lines)))


def sdp_other_port(wire: Wire, dice: Random) -> None:
    """A port that is 0, odd or none."""
    wire_body = re.sub(rb"m=audio \S+", b"m=audio " + dice.choice(ODD_PORTS), wire.body)
    wire.set_body(wire_body, dice)


def sdp_other_address(wire: Wire, dice: Random) -> None:
    """An address to which nothing can be sent."""
    wire.set_body(re.sub(rb"c=[^\r\n]*", lambda _: b"c=" + dice.choice(ODD_ADDRESSES), wire.body), dice)


def sdp_other_codecs(wire: Wire, dice: Random) -> None:
    """Payload types that we do not know, a fax, video, a profile of SRTP, or the numbers of others."""
    wire.set_body(re.sub(rb"m=[^\r\n]*", lambda _: dice.choice(ODD_MEDIA), wire.body), dice)


def sdp_strange(wire: Wire, dice: Random) -> None:
    """Bytes in the SDP that have no place there, or very many lines."""
    if dice.random() < 0.2:
        _change_sdp(wire, dice, lambda lines: lines.__setitem__(slice(-1, -1), [b"a=rtpmap:0 PCMU/8000"] * 2000))
    else:
        wire.set_body(_insert(wire.body, dice.choice(STRANGE), dice), dice)


# All of it


def bytes_flipped(wire: Wire, dice: Random) -> None:
    """Bytes anywhere are others."""
    data = bytearray(wire.encode())
    for _ in range(dice.randint(1, 5)):
        data[dice.randrange(len(data))] = dice.randrange(256)
    wire.lines, wire.body, wire.end = [*bytes(data).split(ENDS)], b"", ENDS


def cut_off(wire: Wire, dice: Random) -> None:
    """Only the beginning arrives."""
    data = wire.encode()
    wire.lines, wire.body = Wire.parse(data[: dice.randrange(len(data))]).lines, b""


def padded(wire: Wire, dice: Random) -> None:
    """A datagram as large as one can be: what follows the body does not belong to it."""
    wire.body += dice.choice((b"\x00", b"\r\n", b"x")) * LARGEST_DATAGRAM


DAMAGES: tuple[Damage, ...] = (
    cut_value, double_value, empty_value, swap_values, strange_bytes, strange_user, other_scheme, long_value, bad_contact,
    no_contact, tag_gone, tag_changed, cseq_changed, call_id_changed, via_damaged, branch_changed, line_gone, line_doubled,
    lines_reordered, line_folded, odd_line, many_lines, other_line_ends, names_changed, status_changed, start_damaged,
    reason_changed, body_flipped, body_truncated, body_put, length_wrong, type_changed, multipart, sdp_line_gone,
    sdp_line_doubled, sdp_other_port, sdp_other_address, sdp_other_codecs, sdp_strange, bytes_flipped, cut_off, padded,
)  # fmt: skip
"""All there are. Which one, is drawn by lot."""

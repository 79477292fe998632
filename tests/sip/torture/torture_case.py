"""One message of a torture test: its bytes and what should become of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Outcome: TypeAlias = int | Literal["ordinary", "dropped"]
"""What a whole server does: answer with this status, treat it as it treats every message of its kind, or keep silent."""

SDP_BODY = (
    b"v=0\r\no=an 3871 3871 IN IP4 192.0.2.31\r\ns=-\r\nc=IN IP4 192.0.2.31\r\nt=0 0\r\n"
    b"m=audio 30102 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n"
)


@dataclass(frozen=True, slots=True)
class Case:
    """``name`` and ``section`` are those of :rfc:`4475`.

    ``rejected`` is the status with which the message parser rejects it, or None if it reads it. ``answered`` tells whether
    such a rejection can be answered. ``outcome`` is what the whole server makes of it. ``departs`` says why, where the RFC
    would prefer something else.
    """

    name: str
    section: str
    data: bytes
    rejected: int | None = None
    answered: bool = True
    outcome: Outcome = "ordinary"
    departs: str = ""


def message(text: str, body: bytes = b"") -> bytes:
    """The bytes of a message from its headers: lines end in CRLF, ``@LENGTH`` is the length of ``body``, ``@BLANK`` a blank."""
    head = text.strip("\n").replace("\n", "\r\n").replace("@LENGTH", str(len(body))).replace("@BLANK", " ")
    return f"{head}\r\n\r\n".encode("utf-8", "surrogateescape") + body

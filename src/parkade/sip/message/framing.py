"""Cuts a stream (TCP, TLS) into messages (:rfc:`3261` section 18.3) and keepalives (:rfc:`5626` section 4.4.1).

WebSocket needs none of this: its frames are messages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from parkade.sip.message.errors import SipError
from parkade.sip.message.grammar import body_start, number

_LENGTH: Final = re.compile(rb"\n(?:content-length|l)[ \t]*:((?:[^\n]|\n[ \t])*)", re.IGNORECASE)
_PING: Final = b"\r\n\r\n"
_RUBBISH: Final = re.compile(rb"(?:[^A-Za-z0-9\-.!%*_+`'~\r\n]|jaK(?=[\r\n\0]))+")
"""What no message begins with: NULs and the like, and the ``jaK`` of some mobile phones. Passed over between messages."""


@dataclass(frozen=True, slots=True)
class Keepalive:
    """Line ends between messages. A ping (two of them) wants one CRLF back; all else between messages is passed over."""

    answer_wanted: bool


class StreamFramer:
    """The bytes of one connection, cut. No message may be longer than ``max_bytes``, headers and body together."""

    __slots__ = ("_buffer", "_max_bytes", "_message_bytes", "_searched")

    def __init__(self, max_bytes: int = 65536) -> None:
        self._buffer = bytearray()
        self._max_bytes = max_bytes
        self._message_bytes = 0
        self._searched = 0

    def feed(self, data: bytes) -> Iterator[bytes | Keepalive]:
        """Take what was received; go through the result to the end to get what is whole by now.

        Raises SipError, after the messages before it, where the framing is lost: Content-Length missing or broken, or a message
        too long. The connection is of no use then. A message whose Content-Length cannot be read is still handed out without
        its body, so that it gets its 400.
        """
        self._buffer += data
        return self._messages()

    def _messages(self) -> Iterator[bytes | Keepalive]:
        buffer = self._buffer
        while buffer:
            if self._message_bytes:
                if len(buffer) < self._message_bytes:
                    return
                yield self._take(self._message_bytes)
            elif buffer[0] in b"\r\n":
                if len(buffer) < len(_PING) and _PING.startswith(buffer):
                    return
                yield from self._line_ends()
            elif (rubbish := _RUBBISH.match(buffer)) is not None:
                del buffer[: rubbish.end()]
            else:
                start = body_start(buffer, self._searched)
                if start > self._max_bytes or (start < 0 and len(buffer) > self._max_bytes):
                    raise SipError(400, "Headers without end")
                if start < 0:
                    self._searched = max(0, len(buffer) - 2)
                    return
                length = _content_length(buffer[:start])
                if length is None:
                    yield self._take(start)
                    raise SipError(400, "Broken Content-Length")
                if start + length > self._max_bytes:
                    raise SipError(413, "A message too long")
                self._message_bytes = start + length

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        self._message_bytes = self._searched = 0
        return taken

    def _line_ends(self) -> Iterator[Keepalive]:
        if self._buffer.startswith(_PING):
            del self._buffer[:4]
            yield Keepalive(answer_wanted=True)
        elif self._buffer.startswith(b"\r\n"):
            del self._buffer[:2]
            yield Keepalive(answer_wanted=False)
        else:
            del self._buffer[:1]


def _content_length(head: bytearray) -> int | None:
    """The Content-Length, or None if it is no number or said twice differently. Raises SipError(400) if there is none."""
    values = {match[1].strip(b" \t\r\n") for match in _LENGTH.finditer(head)}
    if not values:
        raise SipError(400, "A message without Content-Length on a stream")
    return number(values.pop().decode("latin-1")) if len(values) == 1 else None

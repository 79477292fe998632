"""Keypad keys as they come from phones: telephone events (:rfc:`4733`) and the bodies of SIP INFO.

Keys in the audio itself are found by ``keytones``. Events other than keys (flash, modem tones) are not heard.
"""

from __future__ import annotations

import re
from struct import Struct
from typing import Final

from parkade.rtp.packet import CLOCK_HZ, Packet, sequence_step, timestamp_step

KEYS = "0123456789*#ABCD"
"""Every key, at the index of its event number (:rfc:`4733` section 3.2)."""

_EVENT = Struct("!BBH")
_END = 0x80
_ENDS = 3
_VOLUME = 10
_STEP_MS = 20


INFO_TYPES = frozenset(
    {"application/dtmf-relay", "application/dtmf", "audio/telephone-event", "application/vnd.nortelnetworks.digits"}
)
"""Types of INFO bodies that carry a key."""
_NOT_TEXT = re.compile(rb"[^\t\r\n -~]")
_KEY_NAMES = frozenset({"signal", "d", "event"})


def key_of_info(content_type: str, body: bytes) -> str | None:
    """The key in the body of a SIP INFO, or None.

    A line ``Signal=5`` (some write ``Signal= 10`` for the star) or ``d=5``, or nothing but the key or its event number; or, in
    ``audio/telephone-event``, the four bytes of :rfc:`4733` section 2.3. None of it was ever standardised, so each way of
    writing is read under each of the ``INFO_TYPES``.
    """
    if content_type.partition(";")[0].strip().lower() not in INFO_TYPES:
        return None
    if len(body) == _EVENT.size and _NOT_TEXT.search(body):
        return KEYS[body[0]] if body[0] < len(KEYS) else None
    text = body.decode("ascii", "replace")
    lines = [line.partition("=") for line in text.splitlines()]
    named = [value for name, equals, value in lines if equals and name.strip().lower() in _KEY_NAMES]
    return _key(named[0] if named else text)


def _key(text: str) -> str | None:
    word = text.strip().upper()
    if len(word) == 1 and word in KEYS:
        return word
    if word.isascii() and word.isdigit() and len(word) == 2 and int(word) < len(KEYS):
        return KEYS[int(word)]
    return None


def press(key: str, duration_ms: int) -> list[bytes]:
    """The payloads of one press, one every 20 ms, the last one three times as section 2.5.1.4 has it.

    All are sent with the timestamp of the first; the first carries the marker.
    """
    event = KEYS.index(key)
    steps = max(1, duration_ms // _STEP_MS)
    samples = _STEP_MS * CLOCK_HZ // 1000
    going = [_EVENT.pack(event, _VOLUME, min(n * samples, 0xFFFF)) for n in range(1, steps + 1)]
    end = _EVENT.pack(event, _END | _VOLUME, min(steps * samples, 0xFFFF))
    return going + [end] * _ENDS


class _Press:
    """One press, by what its packets have in common: the key, and the numbers and timestamps they lie between."""

    __slots__ = ("duration", "ended", "first", "key", "last", "start", "timestamp")

    def __init__(self, key: str, packet: Packet, duration: int, *, ended: bool) -> None:
        self.key = key
        self.first = self.last = packet.sequence
        self.start = self.timestamp = packet.timestamp
        self.duration = duration
        self.ended = ended


class EventListener:
    """Turns the telephone-event packets of one leg into keys: one a press, told at the first packet of it that arrives.

    Packets of one press have its timestamp, so start and end may be lost, repeated or out of order. Also the same press is
    a long one that goes on in a further segment (section 2.5.1.3), and one of a phone that moves the timestamp with each
    packet: the same key again, unmarked, no later than a pause would take. Two presses are told apart although they share
    a timestamp, if the key is another, or if the first had ended and the packet after that has not. Numbering may begin anew,
    forwards or backwards: what belongs to none of the last ``KNOWN`` presses is a new one.
    """

    __slots__ = ("_presses", "_ssrc")

    SLACK: Final = 240
    """Timestamp units (30 ms): a pause between two presses is at least 40 ms."""
    KNOWN: Final = 6
    LATE: Final = 50
    """Packets of a press are that close together in numbering; what is further off is of another press."""

    def __init__(self) -> None:
        self._ssrc: int | None = None
        self._presses: list[_Press] = []

    def hear(self, packet: Packet) -> str | None:
        """The key that is newly pressed in ``packet``, or None."""
        if len(packet.payload) < _EVENT.size:
            return None
        event, flags, duration = _EVENT.unpack_from(packet.payload)
        if event >= len(KEYS):
            return None
        key, ended = KEYS[event], bool(flags & _END)
        if packet.ssrc != self._ssrc:
            self._ssrc = packet.ssrc
            self._presses.clear()
        presses = self._presses
        if presses and self._goes_on(presses[-1], key, packet, duration, ended=ended):
            return None
        if any(self._is_of(press, key, packet, ended=ended) for press in presses[:-1]):
            return None
        presses.append(_Press(key, packet, duration, ended=ended))
        del presses[: -self.KNOWN]
        return key

    def _goes_on(self, press: _Press, key: str, packet: Packet, duration: int, *, ended: bool) -> bool:
        """Whether ``packet`` is of ``press``, the latest one, which then knows of it."""
        if self._is_of(press, key, packet, ended=ended):
            if packet.timestamp == press.timestamp:
                press.duration = max(press.duration, duration)
        elif (
            key == press.key
            and not packet.marker
            and 0 < timestamp_step(press.timestamp, packet.timestamp) <= press.duration + self.SLACK
        ):
            press.timestamp, press.duration, press.ended = packet.timestamp, duration, False
        else:
            return False
        if sequence_step(press.last, packet.sequence) > 0:
            press.last = packet.sequence
        press.ended = press.ended or ended
        return True

    def _is_of(self, press: _Press, key: str, packet: Packet, *, ended: bool) -> bool:
        if key != press.key or timestamp_step(press.start, packet.timestamp) < 0:
            return False
        if timestamp_step(packet.timestamp, press.timestamp) < 0:
            return False
        beyond = sequence_step(press.last, packet.sequence)
        before = sequence_step(packet.sequence, press.first)
        if beyond > self.LATE or before > self.LATE:
            return False
        return ended or not press.ended or beyond <= 0

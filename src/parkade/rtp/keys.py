"""All keys of one phone, however it sends them, each press once.

A phone may send telephone events, tones in its sound, SIP INFO, or two of these for one press. A phone that offers telephone
events may send none; so tones are listened for until the first event has come, and no longer.
"""

from __future__ import annotations

import numpy as np

from parkade.base.clock import Instant
from parkade.rtp.codecs import CODECS
from parkade.rtp.coders import CODERS
from parkade.rtp.dtmf import EventListener
from parkade.rtp.keys_once import KeysOnce
from parkade.rtp.keytones import KeyToneListener, may_hold_a_key, quiet_octets
from parkade.rtp.packet import Packet

_QUIET = {codec: quiet_octets(CODERS[codec].decode) for codec in CODECS}
_LEVELS = {codec: CODERS[codec].decode(bytes(range(256))).astype(np.float32) for codec in CODECS}
_WINDOW = 160
_STRIDE = 480
_EVERY = 3
"""Windows of 20 ms are looked at once in 60 ms: a key of 80 ms, which is shorter than people press, fills one."""
_AWAKE_PACKETS = 8
"""So many packets are looked at closely after one that may hold a key."""


def is_loud(payload: bytes, codec: str, share: float) -> bool:
    """Whether at least ``share`` of the samples are as loud as the faintest key."""
    return len(payload.translate(None, _QUIET[codec])) >= share * len(payload)  # type: ignore[index]


class KeyListener:
    """Events by ``event``, sound by ``sound``; both give the key newly pressed, or the empty text.

    ``tones`` asks to listen to the sound at all. ``sparing`` is for phones that have promised events: it looks at 20 ms in
    60, which finds keys of 80 ms and more, and closely only where a key may be.
    """

    __slots__ = ("_awake", "_before", "_events", "_once", "_sparing", "_tones", "_turn")

    def __init__(self, *, tones: bool, sparing: bool) -> None:
        self._events: EventListener | None = None
        self._tones = KeyToneListener() if tones else None
        self._sparing = sparing
        self._once = KeysOnce()
        self._before = b""
        self._turn = 0
        self._awake = 0

    @property
    def listens_for_tones(self) -> bool:
        """Whether ``sound`` may give a key."""
        return self._tones is not None

    @property
    def is_sparing(self) -> bool:
        """Whether it was made for a phone that has promised events."""
        return self._sparing

    def event(self, packet: Packet, now: Instant) -> str:
        """The key that is newly pressed in a telephone-event packet."""
        if self._events is None:
            self._events = EventListener()
        self._tones = None
        key = self._events.hear(packet)
        return key if key is not None and self._once.counts(key, "event", now) else ""

    def sound(self, payload: bytes, codec: str, now: Instant) -> str:
        """The keys newly pressed in a packet of sound."""
        tones = self._tones
        if tones is None or (self._sparing and not self._is_worth_it(tones, payload, codec)):
            return ""
        keys = tones.hear(CODERS[codec].decode(payload))
        return "".join(key for key in keys if self._once.counts(key, "tone", now)) if keys else ""

    def _is_worth_it(self, tones: KeyToneListener, payload: bytes, codec: str) -> bool:
        before, self._before = self._before, payload
        if self._awake or tones.is_busy:
            self._awake = max(0, self._awake - 1)
            self._before = b""
            return True
        size = len(payload)
        self._turn = (self._turn + 1) % _EVERY if size <= _WINDOW else 0
        if self._turn or not is_loud(payload, codec, 0.5 if size <= _WINDOW else _WINDOW / 2 / size):
            return False
        recent = payload if size == _WINDOW else before[-_WINDOW:] + payload
        ends = range(len(recent), _WINDOW - 1, -_STRIDE)[: max(1, size // _STRIDE)]
        levels = _LEVELS[codec]  # type: ignore[index]
        if not any(may_hold_a_key(levels[np.frombuffer(recent[end - _WINDOW : end], np.uint8)]) for end in ends):
            return False
        self._awake = _AWAKE_PACKETS
        self._before = b""
        tones.begin(CODERS[codec].decode(before))
        return True

"""All keys of one phone, however it sends them, each press once.

A phone may send telephone events, tones in its sound, SIP INFO, or two of these for one press. A phone that offers telephone
events may send none; so tones are listened for until the first event has come, and no longer.
"""

from __future__ import annotations

from parkade.base.clock import Instant
from parkade.rtp.codecs import CODECS
from parkade.rtp.coders import CODERS
from parkade.rtp.dtmf import EventListener
from parkade.rtp.keys_once import KeysOnce
from parkade.rtp.keytones import KeyToneListener, may_hold_a_key, quiet_octets
from parkade.rtp.packet import Packet

_QUIET = {codec: quiet_octets(CODERS[codec].decode) for codec in CODECS}
_WINDOW = 160
_STRIDE = 240
"""Of windows in a long packet: a key of 60 ms fills one."""
_AWAKE_PACKETS = 8
"""So many packets are looked at closely after one that may hold a key."""


def is_loud(payload: bytes, codec: str, share: float) -> bool:
    """Whether at least ``share`` of the samples are as loud as the faintest key."""
    return len(payload.translate(None, _QUIET[codec])) >= share * len(payload)  # type: ignore[index]


class KeyListener:
    """Events by ``event``, sound by ``sound``; both give the key newly pressed, or the empty text.

    ``tones`` asks to listen to the sound at all. ``sparing`` is for phones that have promised events: it looks at one packet in
    two, or at 20 ms in 30 of long packets, which finds keys of 70 ms and more, and closely only where a key may be.
    """

    __slots__ = ("_awake", "_before", "_events", "_looks", "_once", "_sparing", "_tones")

    def __init__(self, *, tones: bool, sparing: bool) -> None:
        self._events: EventListener | None = None
        self._tones = KeyToneListener() if tones else None
        self._sparing = sparing
        self._once = KeysOnce()
        self._before = b""
        self._looks = False
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
        if tones is None or (self._sparing and not self._is_worth_it(payload, codec)):
            return ""
        keys = tones.hear(CODERS[codec].decode(payload))
        return "".join(key for key in keys if self._once.counts(key, "tone", now)) if keys else ""

    def _is_worth_it(self, payload: bytes, codec: str) -> bool:
        tones = self._tones
        assert tones is not None
        before, self._before = self._before, payload
        if self._awake or tones.is_busy:
            self._awake = max(0, self._awake - 1)
            self._before = b""
            return True
        self._looks = not self._looks or len(payload) > _WINDOW
        if not self._looks or not is_loud(payload, codec, min(0.5, _WINDOW / 2 / (len(payload) or 1))):
            return False
        decode = CODERS[codec].decode
        recent = before[-_WINDOW:] + payload
        ends = range(len(recent), _WINDOW - 1, -_STRIDE)[: max(1, len(payload) // _STRIDE)]
        if not any(may_hold_a_key(decode(recent[end - _WINDOW : end])) for end in ends):
            return False
        self._awake = _AWAKE_PACKETS
        self._before = b""
        tones.begin(decode(before))
        return True

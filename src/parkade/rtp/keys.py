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
_AWAKE_PACKETS = 8
"""So many packets are looked at closely after one that may hold a key."""


def is_loud(payload: bytes, codec: str, share: float = 0.5) -> bool:
    """Whether at least ``share`` of the samples are as loud as the faintest key."""
    return len(payload.translate(None, _QUIET[codec])) >= share * len(payload)  # type: ignore[index]


class KeyListener:
    """Events by ``event``, sound by ``sound``; both give the key newly pressed, or the empty text.

    ``tones`` asks to listen to the sound at all. ``sparing`` is for phones that have promised events: it looks at one packet
    in two, which finds keys of 60 ms and more, and closely only where a key may be.
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
        if self._awake:
            self._awake -= 1
            return True
        before, self._before = self._before, payload
        self._looks = not self._looks
        if not self._looks or not is_loud(payload, codec):
            return False
        assert self._tones is not None
        decode = CODERS[codec].decode
        if not may_hold_a_key(decode((before + payload)[-160:])):
            return False
        self._awake = _AWAKE_PACKETS
        self._tones.hear(decode(before))
        return True

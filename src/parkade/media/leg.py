"""One leg: the RTP session with one far side, as plain state. ``plane`` moves it."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from functools import lru_cache
from typing import TypeAlias

from parkade.base.clock import Instant
from parkade.base.sound import Silence, Sound
from parkade.media.ports import PortPair
from parkade.media.sounds import Frames
from parkade.rtp.dtmf import EventListener
from parkade.rtp.keytones import KeyToneListener
from parkade.rtp.latch import Address, Latch
from parkade.rtp.orders import Describe
from parkade.rtp.packet import Stream
from parkade.rtp.rtcp import Receiver


def destination(address: str, port: int, *, ipv6: bool) -> Address | None:
    """Where to send to; None if ``address`` is no usable literal, so that no packet ever waits for a name to be resolved."""
    host = _usable(address, ipv6)
    return (host, port) if host is not None and 0 < port < 65536 else None


@lru_cache(maxsize=4096)
def _usable(address: str, ipv6: bool) -> str | None:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    return None if parsed.is_unspecified or (parsed.version == 6) != ipv6 else str(parsed)


NOTHING_YET = Receiver()
"""What legs have received that never received anything, as most that are parked."""
STATIC_CODECS = {0: "PCMU", 8: "PCMA"}
"""Understood whichever was agreed: some phones change the law without asking."""


class RtpLeg:
    """Who listens to whom: ``relayed`` and ``awaited`` are what this leg hears and will hear; the peer's ``listeners`` and
    ``waiting`` are the same two facts seen from the other side.
    """

    __slots__ = (
        "awaited",
        "codec",
        "codecs",
        "described",
        "events",
        "frames",
        "has_reported",
        "id",
        "latch",
        "listeners",
        "loops",
        "payload_type",
        "playing",
        "ports",
        "position",
        "prompt",
        "ptime_ms",
        "receiver",
        "relayed",
        "rtcp",
        "rtcp_target",
        "rtp",
        "sent_at",
        "slot",
        "sound",
        "stream",
        "target",
        "tones",
        "waiting",
    )

    def __init__(self, leg_id: str, ports: PortPair, stream: Stream) -> None:
        self.id = leg_id
        self.ports = ports
        self.rtp = ports.rtp
        self.rtcp = ports.rtcp
        self.stream = stream
        self.sent_at: Instant | None = None
        self.has_reported = False
        # What was agreed, and where packets go: nowhere while the far side is not to be sent to.
        self.described: Describe | None = None
        self.codec = "PCMU"
        self.codecs: Mapping[int, str] = STATIC_CODECS
        self.payload_type = 0
        self.ptime_ms = 20
        self.latch = Latch()
        self.target: Address | None = None
        self.rtcp_target: Address | None = None
        # What was ordered, and what sounds on our own clock: not the same while a peer is awaited.
        self.sound: Sound = Silence()
        self.playing: Sound = Silence()
        self.frames: Frames = ()
        self.position = 0
        self.loops = False
        self.prompt: str | None = None
        self.slot: Slot | None = None
        # Who is heard, and by whom.
        self.relayed: RtpLeg | None = None
        self.awaited: RtpLeg | None = None
        self.listeners: list[RtpLeg] = []
        self.waiting: list[RtpLeg] = []
        # What comes from it.
        self.receiver = NOTHING_YET
        self.events: EventListener | None = None
        self.tones: KeyToneListener | None = None


Slot: TypeAlias = dict[RtpLeg, None]
"""Legs in the order in which they came."""

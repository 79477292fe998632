"""One leg: the RTP session with one far side, as plain state. ``plane`` and its parts move it."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TypeAlias

from parkade.base.clock import Instant
from parkade.base.sound import Music, Silence, Sound, Spoken, Tone
from parkade.media.ports import PortPair
from parkade.media.recording import Recording
from parkade.media.sounds import Frames
from parkade.media.state import StreamState
from parkade.rtp.codecs import BY_STATIC_NUMBER
from parkade.rtp.keys import KeyListener
from parkade.rtp.latch import Address, Latch
from parkade.rtp.orders import Describe
from parkade.rtp.packet import Stream
from parkade.rtp.rtcp import Receiver


@lru_cache(maxsize=4096)
def usable(address: str, ipv6: bool) -> str | None:
    """The host at ``address``; None if that is no usable literal, so that no packet ever waits for a name to be resolved."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    return None if parsed.is_unspecified or (parsed.version == 6) != ipv6 else str(parsed)


Part: TypeAlias = Music | Tone | Spoken
"""What can be played by itself."""

SILENCE = Silence()
"""What legs hear that were not told to hear anything."""
NOTHING_YET = Receiver()
"""What legs have received that never received anything, as most that are parked."""


class RtpLeg:
    """Who listens to whom: ``relayed`` and ``awaited`` are what this leg hears and will hear; the peer's ``listeners`` and
    ``waiting`` are the same two facts seen from the other side.
    """

    __slots__ = (
        "attentive",
        "awaited",
        "codec",
        "codecs",
        "described",
        "ended",
        "events",
        "frames",
        "has_reported",
        "heard",
        "heard_at",
        "hears_tones",
        "id",
        "is_reordered",
        "keys",
        "latch",
        "listeners",
        "loops",
        "mark",
        "music_at",
        "parts",
        "payload_type",
        "playing",
        "ports",
        "position",
        "ptime_ms",
        "receiver",
        "record",
        "recording",
        "relayed",
        "reports_heard",
        "resumed",
        "rtcp",
        "rtcp_target",
        "rtp",
        "sent_at",
        "silent_from",
        "slot",
        "sound",
        "stream",
        "target",
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
        self.codecs: Mapping[int, str] = BY_STATIC_NUMBER
        self.events: frozenset[int] = frozenset()
        self.payload_type = 0
        self.ptime_ms = 20
        self.latch = Latch()
        self.target: Address | None = None
        self.rtcp_target: Address | None = None
        # What was ordered.
        self.sound: Sound = SILENCE
        self.is_reordered = False
        """What was ordered has changed since it was kept."""
        # What sounds on our own clock: not the same while a peer is awaited. ``parts`` follow ``playing``.
        self.playing: Part | None = None
        self.parts: tuple[Part, ...] = ()
        self.frames: Frames = ()
        self.position = 0
        self.loops = False
        self.ended: str | None = None
        """The prompt that was played to its end last."""
        self.mark = 0
        """Of ``playing``, for the state file."""
        self.music_at: tuple[int, int] = (0, 0)
        """The mark of the music heard last, and the millisecond it had come to."""
        self.slot: Slot | None = None
        # Who is heard, and by whom.
        self.relayed: RtpLeg | None = None
        self.awaited: RtpLeg | None = None
        self.listeners: list[RtpLeg] = []
        self.waiting: list[RtpLeg] = []
        # What comes from it.
        self.receiver = NOTHING_YET
        self.keys: KeyListener | None = None
        """Made when there is something to listen to."""
        self.hears_tones = False
        """Keys are looked for in its sound."""
        self.attentive = False
        """They are although no leg hears it."""
        self.recording: Recording | None = None
        # Since when nothing has come: ``heard`` packets and reports by ``heard_at``; told up to ``silent_from``.
        self.reports_heard = 0
        self.heard = 0
        self.heard_at: Instant = 0.0
        self.silent_from: Instant = 0.0
        # Its record in the state file, and what an earlier process wrote there.
        self.record = 0
        self.resumed: StreamState | None = None

    @property
    def position_ms(self) -> int:
        """The place in ``playing``."""
        return self.position * self.ptime_ms


Run: TypeAlias = tuple[Callable[[bytes, Address], int], Address, int, int, int, int, Frames, int, int]
"""What a leg sends with each turn of its slot as long as nothing about it changes: how and where to, payload type, sequence
number, timestamp, SSRC, frames, place in them, all of which but the place and the numbers stay; these are for the turn 0 of the
slot, and the last member is the turn that the leg itself knows of."""


class Slot:
    """Legs that are due together. Those ``going`` have sent a packet of the sound they play and go on with the next one; what
    they have sent since is known only here, until ``Player.settle``. For those in ``fresh`` the next packet needs thought.
    """

    __slots__ = ("fresh", "going", "samples", "turned_at", "turns")

    def __init__(self, samples: int) -> None:
        """``samples`` in one packet."""
        self.fresh: dict[RtpLeg, None] = {}
        self.going: dict[RtpLeg, Run] = {}
        self.samples = samples
        self.turns = 0
        self.turned_at: Instant = 0.0

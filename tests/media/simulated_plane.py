"""A plane in simulated time: sockets that only remember, a clock that jumps from one deadline to the next."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field
from typing import cast

from parkade.base.ids import Ids
from parkade.base.sound import Music, Spoken, Tone
from parkade.media.leg import RtpLeg
from parkade.media.plane import Plane
from parkade.media.ports import PortPair, PortReserve
from parkade.media.sounds import Frames, Sounds
from parkade.media.state import StateFile
from parkade.rtp.orders import Describe, OpenLeg, Order, Report
from parkade.rtp.packet import Packet, parse
from parkade.rtp.rtcp import Rtcp
from parkade.rtp.rtcp import parse as parse_rtcp

SOUNDS = Sounds()


def frames_of(sound: Music | Tone | Spoken, codec: str = "PCMU", ptime_ms: int = 20) -> Frames:
    """What is played for ``sound``."""
    frames = SOUNDS.frames(sound, codec, ptime_ms)
    assert frames is not None
    return frames


ULAW_SILENCE = b"\xff" * 160


class MemorySocket:
    """As much of a UDP socket as a plane uses. ``broken`` makes every sending fail."""

    def __init__(self, world: SimulatedPlane) -> None:
        self._world = world
        self.inbox: deque[tuple[bytes, tuple[str, int]]] = deque()
        self.sent: list[tuple[float, bytes, tuple[str, int]]] = []
        self.broken = False
        self.closed = False

    def recvfrom_into(self, buffer: bytearray) -> tuple[int, tuple[str, int]]:
        if not self.inbox:
            raise BlockingIOError
        data, source = self.inbox.popleft()
        buffer[: len(data)] = data
        return len(data), source

    def recv_into(self, buffer: bytearray) -> int:
        return self.recvfrom_into(buffer)[0]

    def sendto(self, data: bytes, target: tuple[str, int]) -> int:
        if self.broken:
            raise ConnectionRefusedError
        self.sent.append((self._world.now, data, target))
        return len(data)

    def close(self) -> None:
        self.closed = True


class MemoryReserve:
    """Any even port is free."""

    ipv6 = False

    def __init__(self, world: SimulatedPlane) -> None:
        self._world = world
        self.given_back: list[int] = []

    def take(self, port: int) -> PortPair | None:
        if port % 2:
            return None
        pair = (MemorySocket(self._world), MemorySocket(self._world))
        self._world.sockets[port] = pair
        return cast(PortPair, _MemoryPair(port, *pair))

    def give_back(self, pair: PortPair, now: float) -> None:
        pair.rtp.close()
        pair.rtcp.close()
        self.given_back.append(pair.port)


@dataclass(frozen=True)
class _MemoryPair:
    port: int
    rtp: MemorySocket
    rtcp: MemorySocket
    watched: bool = False


@dataclass
class FarSide:
    """The phone of one leg: what it says, where from, and what it was sent."""

    world: SimulatedPlane
    leg: str
    port: int
    address: tuple[str, int]
    sequence: int = 100
    timestamp: int = 5000
    ssrc: int = field(default_factory=lambda: 0xABC)

    def says(self, payload: bytes = ULAW_SILENCE, payload_type: int = 0, source: tuple[str, int] | None = None) -> None:
        """One packet of 20 ms arrives from the phone, or from ``source`` with the phone's numbers."""
        self.sends_raw(Packet(payload_type, False, self.sequence, self.timestamp, self.ssrc, payload).encode(), source)
        self.sequence = (self.sequence + 1) & 0xFFFF
        self.timestamp = (self.timestamp + 160) & 0xFFFFFFFF

    def sends_raw(self, data: bytes, source: tuple[str, int] | None = None, *, rtcp: bool = False) -> None:
        """Any bytes arrive."""
        world = self.world
        sockets = world.sockets[self.port]
        sockets[rtcp].inbox.append((data, source or self.address))
        leg = world.plane.legs[self.leg]
        (world.plane.read_rtcp if rtcp else world.plane.read_rtp)(leg, world.now)

    @property
    def raw(self) -> list[tuple[float, bytes, tuple[str, int]]]:
        """Everything sent from the RTP port of the leg: time, bytes, target."""
        return self.world.sockets[self.port][0].sent

    @property
    def packets(self) -> list[tuple[float, Packet]]:
        """RTP sent to the phone, each with its time."""
        parsed = [(at, parse(data)) for at, data, _ in self.raw if not 192 <= data[1] <= 223]
        return [(at, packet) for at, packet in parsed if packet is not None]

    @property
    def reports(self) -> list[tuple[float, tuple[Rtcp, ...]]]:
        """RTCP sent to the phone, each compound with its time."""
        found = [(at, parse_rtcp(data)) for at, data, _ in self.world.sockets[self.port][1].sent]
        return [(at, compound) for at, compound in found if compound is not None]


class SimulatedPlane:
    """One plane. ``now`` moves only by ``run``."""

    def __init__(self, now: float = 1_700_000_000.0, *, state: StateFile | None = None, sounds: Sounds = SOUNDS) -> None:
        self.now = now
        self.sockets: dict[int, tuple[MemorySocket, MemorySocket]] = {}
        self.reports: list[Report] = []
        self.watched: set[str] = set()
        self.reserve = MemoryReserve(self)
        self._next_port = 20000
        self.plane = Plane(
            reserve=cast(PortReserve, self.reserve),
            sounds=sounds,
            state=state,
            ids=Ids(random.Random(1).randbytes),
            now=now,
            report=self.reports.append,
            watch=self._watch,
            unwatch=self._unwatch,
        )

    def _watch(self, leg: RtpLeg) -> None:
        self.watched.add(leg.id)

    def _unwatch(self, leg: RtpLeg) -> None:
        self.watched.discard(leg.id)

    def order(self, *orders: Order) -> None:
        """Perform orders at this instant."""
        for order in orders:
            self.plane.perform(order, self.now)

    def run(self, seconds: float) -> None:
        """Let time pass, waking the plane exactly when it wants to be woken."""
        until = self.now + seconds
        while (due := self.plane.deadline()) is not None and due <= until:
            # A float may fall a hair short of the millisecond it names, as a clock may.
            self.now = max(self.now, due + 1e-6)
            self.plane.wake(self.now)
        self.now = until

    def talk(self, seconds: float, *phones: FarSide) -> None:
        """All ``phones`` say 20 ms of silence every 20 ms."""
        for _ in range(round(seconds / 0.02)):
            for phone in phones:
                phone.says()
            self.run(0.02)

    def phone(self, leg: str, **described: object) -> FarSide:
        """Open and describe a leg; the words of ``described`` replace those of the usual description."""
        port = self._next_port
        self._next_port += 2
        far = FarSide(self, leg, port, ("192.0.2.7", port + 10000))
        self.order(OpenLeg(leg, port), self.describe(far, **described))
        return far

    @staticmethod
    def describe(far: FarSide, **described: object) -> Describe:
        """The usual description of a phone, changed as told."""
        usual: dict[str, object] = {
            "address": far.address[0],
            "port": far.address[1],
            "rtcp_port": far.address[1] + 1,
            "codec": "PCMU",
            "payload_type": 0,
            "dtmf_payload_type": 101,
            "ptime_ms": 20,
            "sends": True,
            "receives": True,
        }
        return Describe(far.leg, **{**usual, **described})  # type: ignore[arg-type]

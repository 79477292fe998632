"""Legs, what each of them hears, and the packets that make it so. One thread, no waiting, no clock of its own.

Music, tones and prompts are sent on a wheel: time is cut into milliseconds, a leg that plays frames of 20 ms has its place in
one slot of twenty, so that thousands of legs are spread evenly and each keeps its own 20 ms. A relayed packet is passed on in
the moment it is read. ``process`` calls ``tick`` each millisecond that ``next_tick`` asks for and ``read_rtp`` when a socket
is readable.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterable
from typing import assert_never

from parkade.base.ids import Ids
from parkade.base.sound import Music, Peer, Silence, Sound, Spoken, Tone
from parkade.media.leg import Leg, destination
from parkade.media.ports import PortReserve
from parkade.media.sounds import Frames, Sounds
from parkade.rtp.g711 import ALAW_TO_ULAW, ULAW_TO_ALAW
from parkade.rtp.latch import Address
from parkade.rtp.orders import CloseLeg, Describe, Hear, LegClosed, OpenLeg, Order, PromptEnded, Report
from parkade.rtp.packet import Packet, Stream, parse

log = logging.getLogger(__name__)

PTIMES_MS = (10, 20, 30, 40, 60)
DEFAULT_PTIME_MS = 20
STATIC = {0: "PCMU", 8: "PCMA"}
INTO = {"PCMU": ALAW_TO_ULAW, "PCMA": ULAW_TO_ALAW}
"""What turns a payload of the other law into this one."""
NOWHERE: Address = ("", 0)
"""The far side's address when its description names none that can be used; its packets may still prove where it is."""
CATCH_UP_MS = 200
"""After a longer stop of the machine the missed packets are not sent: nobody would hear them."""

Slot = dict[Leg, None]


class Plane:
    """All legs of one media process.

    Its only ways out besides the sockets of the legs: ``watch(leg)`` asks to have ``read_rtp`` called, ``unwatch(leg)`` ends
    that, ``report`` tells signalling.
    """

    def __init__(
        self,
        *,
        reserve: PortReserve,
        sounds: Sounds,
        ids: Ids,
        now: float,
        report: Callable[[Report], None],
        watch: Callable[[Leg], None],
        unwatch: Callable[[Leg], None],
    ) -> None:
        self.legs: dict[str, Leg] = {}
        self._reserve = reserve
        self._sounds = sounds
        self._ids = ids
        self._report = report
        self._watch = watch
        self._unwatch = unwatch
        self._now = now
        self._ms = int(now * 1000)
        self._wheels: dict[int, list[Slot]] = {}
        self._buffer = bytearray(2048)
        self._view = memoryview(self._buffer)

    # Orders

    def perform(self, order: Order, now: float) -> None:
        """Do what signalling asks; an order for an unknown leg is one log line."""
        # The wheel stands still while nothing plays.
        self.tick(now)
        if isinstance(order, OpenLeg):
            self._open(order)
            return
        leg = self.legs.get(order.leg)
        if leg is None:
            log.warning("no leg %r for %s", order.leg, type(order).__name__)
            return
        match order:
            case Describe():
                self._describe(leg, order)
            case Hear():
                self._hear(leg, order.sound)
            case CloseLeg():
                self._close(leg)
            case _:
                assert_never(order)

    def _open(self, order: OpenLeg) -> None:
        if order.leg in self.legs:
            log.warning("leg %r is open already", order.leg)
            return
        ports = self._reserve.take(order.port)
        if ports is None:
            log.warning("leg %r: port %d is not in reserve", order.leg, order.port)
            return
        drain(ports.rtp, self._buffer)
        ids = self._ids
        stream = Stream(int(ids.token(4), 16), ids.below(0x8000), int(ids.token(4), 16))
        leg = self.legs[order.leg] = Leg(order.leg, ports, stream)
        self._watch(leg)

    def _describe(self, leg: Leg, described: Describe) -> None:
        before = leg.described
        leg.described = described
        address = destination(described.address, described.port, ipv6=self._reserve.ipv6)
        leg.latch.describe(address or NOWHERE, payload_types(described), self._now)
        leg.codec, leg.payload_type = described.codec, described.payload_type
        leg.ptime_ms = described.ptime_ms if described.ptime_ms in PTIMES_MS else DEFAULT_PTIME_MS
        self._aim(leg)
        if before is None:
            self._play(leg, leg.sound)
        elif leg.frames and (before.codec, before.ptime_ms) != (described.codec, described.ptime_ms):
            self._cut_anew(leg, before.ptime_ms)

    def _aim(self, leg: Leg) -> None:
        """Send to where the far side is known to be, or to nobody while it is not to be sent to."""
        before = leg.target
        known = leg.latch.target if leg.described is not None and leg.described.sends else None
        leg.target = None if known == NOWHERE else known
        if before is None:
            leg.stream.switch()

    def _close(self, leg: Leg) -> None:
        self._stop(leg)
        self._unhear(leg)
        for listener in leg.listeners:
            listener.relayed = None
        for listener in leg.waiting:
            listener.awaited = None
        del self.legs[leg.id]
        self._unwatch(leg)
        self._reserve.give_back(leg.ports)
        self._report(LegClosed(leg.id, leg.stream.packets, leg.received, 0, leg.latch.refused))

    def close(self) -> None:
        """Close all legs."""
        for leg in tuple(self.legs.values()):
            self._close(leg)

    # What a leg hears

    def _hear(self, leg: Leg, sound: Sound) -> None:
        if sound == leg.sound and not isinstance(sound, Spoken):
            return
        leg.sound = sound
        if isinstance(sound, Peer):
            self._await(leg, sound.leg)
            return
        self._unhear(leg)
        self._stop(leg)
        # Until the first Describe nobody could hear it: it begins then.
        if leg.described is not None:
            self._play(leg, sound)

    def _frames_of(self, leg: Leg, sound: Sound) -> Frames:
        match sound:
            case Silence() | Peer():
                return ()
            case Music(name):
                return self._sounds.music(name, leg.codec, leg.ptime_ms)
            case Tone(name):
                return self._sounds.tone(name, leg.codec, leg.ptime_ms)
            case Spoken(_, language, phrases):
                return self._sounds.spoken(language, phrases, leg.codec, leg.ptime_ms)
        assert_never(sound)

    def _await(self, leg: Leg, peer_id: str) -> None:
        """Let ``leg`` hear ``peer_id`` from its first packet on; what it hears now goes on until then."""
        # A prompt is cut off by this order, whoever may still hear the rest of it.
        leg.prompt = None
        if leg.awaited is not None:
            leg.awaited.waiting.remove(leg)
            leg.awaited = None
        peer = self.legs.get(peer_id)
        if peer is None:
            log.warning("leg %r should hear leg %r, which is not open", leg.id, peer_id)
        elif leg.relayed is not peer:
            leg.awaited = peer
            peer.waiting.append(leg)

    def _connect_waiting(self, peer: Leg) -> None:
        for leg in peer.waiting:
            if leg.relayed is not None:
                leg.relayed.listeners.remove(leg)
            self._stop(leg)
            leg.stream.switch()
            leg.awaited, leg.relayed = None, peer
            peer.listeners.append(leg)
        peer.waiting.clear()

    def _unhear(self, leg: Leg) -> None:
        if leg.awaited is not None:
            leg.awaited.waiting.remove(leg)
            leg.awaited = None
        if leg.relayed is not None:
            leg.relayed.listeners.remove(leg)
            leg.relayed = None

    # Playing

    def _play(self, leg: Leg, sound: Sound) -> None:
        """Play ``sound`` from its beginning; the first frame leaves when the packet before it has run out."""
        leg.stream.switch()
        leg.playing = sound
        leg.prompt = sound.prompt if isinstance(sound, Spoken) else None
        leg.loops = leg.prompt is None
        leg.frames, leg.position = self._frames_of(leg, sound), 0
        if not leg.frames and leg.loops:
            return
        due_ms = int(leg.sent_at * 1000) + leg.ptime_ms if leg.sent_at is not None else 0
        self._place(leg, max(due_ms, self._ms))
        if due_ms <= self._ms:
            self._send_frames((leg,))

    def _place(self, leg: Leg, due_ms: int) -> None:
        wheel = self._wheels.get(leg.ptime_ms)
        if wheel is None:
            wheel = self._wheels[leg.ptime_ms] = [{} for _ in range(leg.ptime_ms)]
        leg.slot = wheel[due_ms % leg.ptime_ms]
        leg.slot[leg] = None

    def _stop(self, leg: Leg) -> None:
        if leg.slot is not None:
            del leg.slot[leg]
            leg.slot = None
        leg.frames, leg.prompt = (), None

    def _cut_anew(self, leg: Leg, ptime_ms_before: int) -> None:
        """Go on at the same place in the sound after codec or packet time have changed."""
        at_ms = leg.position * ptime_ms_before
        if leg.slot is not None:
            del leg.slot[leg]
        leg.frames = self._frames_of(leg, leg.playing)
        leg.position = min(at_ms // leg.ptime_ms, len(leg.frames))
        due_ms = int(leg.sent_at * 1000) + leg.ptime_ms if leg.sent_at is not None else 0
        self._place(leg, max(due_ms, self._ms + 1))

    def next_tick(self) -> float | None:
        """The monotonic second of the next slot with somebody in it, or None when nothing plays."""
        if not self._wheels:
            return None
        for ms in range(self._ms + 1, self._ms + 61):
            for ptime_ms, wheel in self._wheels.items():
                if wheel[ms % ptime_ms]:
                    return ms / 1000
        return None

    def tick(self, now: float) -> None:
        """Play every slot that is due by ``now``."""
        self._now = now
        due_ms = int(now * 1000)
        if due_ms - self._ms > CATCH_UP_MS:
            self._ms = due_ms - CATCH_UP_MS
        while self._ms < due_ms:
            self._ms += 1
            for ptime_ms, wheel in self._wheels.items():
                slot = wheel[self._ms % ptime_ms]
                if slot:
                    self._send_frames(slot)

    def _send_frames(self, slot: Iterable[Leg]) -> None:
        """Send the next frame to each leg of ``slot``. The hottest loop there is: once per leg and packet time."""
        now = self._now
        ended: list[Leg] = []
        for leg in slot:
            frames = leg.frames
            position = leg.position
            if position == len(frames):
                if not leg.loops:
                    ended.append(leg)
                    continue
                position = 0
            leg.position = position + 1
            target = leg.target
            if target is None:
                continue
            leg.sent_at = now
            try:
                leg.rtp.sendto(leg.stream.play(leg.payload_type, frames[position], now), target)
            except OSError:
                # A full buffer or an unreachable phone: this packet is lost, as on any network.
                continue
        for leg in ended:
            prompt = leg.prompt
            self._stop(leg)
            if prompt is not None:
                self._report(PromptEnded(leg.id, prompt))

    # Relay

    def read_rtp(self, leg: Leg, now: float) -> None:
        """Take one packet from the socket of ``leg`` and pass it on to whoever hears it. Anything else is dropped."""
        try:
            size, source = leg.rtp.recvfrom_into(self._buffer)
        except OSError:
            return
        self._now = now
        described = leg.described
        packet = parse(bytes(self._view[:size]))
        if packet is None or described is None or not described.receives:
            return
        if not leg.latch.accept(packet, source[:2], now):
            return
        if leg.target != leg.latch.target and described.sends:
            self._aim(leg)
        leg.received += 1
        # Either law is understood, whichever was agreed: some phones change without asking.
        kind = packet.payload_type
        codec = leg.codec if kind == leg.payload_type else STATIC.get(kind)
        if codec is not None:
            if leg.waiting:
                self._connect_waiting(leg)
            for listener in leg.listeners:
                payload = packet.payload if codec == listener.codec else packet.payload.translate(INTO[listener.codec])
                self._pass_on(listener, packet, listener.payload_type, payload)
        elif kind == described.dtmf_payload_type:
            for listener in leg.listeners:
                if listener.described is not None and listener.described.dtmf_payload_type is not None:
                    self._pass_on(listener, packet, listener.described.dtmf_payload_type, packet.payload)

    def _pass_on(self, leg: Leg, packet: Packet, payload_type: int, payload: bytes) -> None:
        if leg.target is None:
            return
        data = leg.stream.relay(packet, payload_type, payload, self._now)
        if data is None:
            return
        leg.sent_at = self._now
        try:
            leg.rtp.sendto(data, leg.target)
        except OSError:
            return


def payload_types(described: Describe) -> frozenset[int]:
    """The payload types that the far side may send: those agreed, and both laws."""
    if described.dtmf_payload_type is None:
        return frozenset((described.payload_type, *STATIC))
    return frozenset((described.payload_type, described.dtmf_payload_type, *STATIC))


def drain(sock: socket.socket, buffer: bytearray) -> None:
    """Throw away what came before there was a leg."""
    try:
        while True:
            sock.recv_into(buffer)
    except OSError:
        return

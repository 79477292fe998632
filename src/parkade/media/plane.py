"""Legs, what each of them hears, and the packets that make it so. One thread, no waiting, no clock of its own.

Music, tones and prompts leave on the beat of a ``Wheel``; a relayed packet is passed on in the moment it is read. A listener
keeps what it hears until its new peer has said something, so nobody meets silence between two sounds.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import assert_never

from parkade.base.clock import Instant
from parkade.base.ids import Ids
from parkade.base.sound import Music, Peer, Silence, Sound, Spoken, Tone
from parkade.base.timers import Timers
from parkade.media.leg import NOTHING_YET, STATIC_CODECS, RtpLeg, destination
from parkade.media.ports import PortReserve
from parkade.media.reports import first_report_s, next_report_s, report_on, take_report
from parkade.media.sounds import Frames, Sounds
from parkade.media.wheel import Wheel
from parkade.rtp.dtmf import EventListener
from parkade.rtp.g711 import ALAW_TO_ULAW, ULAW_TO_ALAW, from_alaw, from_ulaw
from parkade.rtp.keytones import KeyToneListener
from parkade.rtp.latch import Address
from parkade.rtp.orders import CloseLeg, Describe, Hear, KeyHeard, LegClosed, OpenLeg, Order, PromptEnded, Report
from parkade.rtp.packet import HEADER_BYTES, Packet, Stream, is_rtcp, parse, parse_header
from parkade.rtp.rtcp import Receiver

log = logging.getLogger(__name__)

PTIMES_MS = (10, 20, 30, 40, 60)
DEFAULT_PTIME_MS = 20
INTO = {"PCMU": ALAW_TO_ULAW, "PCMA": ULAW_TO_ALAW}
"""What turns a payload of the other law into this one."""
NOWHERE: Address = ("", 0)
"""The far side's address when its description names none that can be used; its packets may still prove where it is."""


class Plane:
    """All legs of one media process.

    Its only ways out besides the sockets of the legs: ``watch(leg)`` asks to have ``read_rtp`` and ``read_rtcp`` called,
    ``unwatch(leg)`` ends that, ``report`` tells signalling.
    """

    def __init__(
        self,
        *,
        reserve: PortReserve,
        sounds: Sounds,
        ids: Ids,
        now: Instant,
        report: Callable[[Report], None],
        watch: Callable[[RtpLeg], None],
        unwatch: Callable[[RtpLeg], None],
    ) -> None:
        self.legs: dict[str, RtpLeg] = {}
        self._reserve = reserve
        self._sounds = sounds
        self._ids = ids
        self._cname = ids.token()
        self._report = report
        self._watch = watch
        self._unwatch = unwatch
        self._now = now
        self._wheel = Wheel(now)
        self._reports_due: Timers[str] = Timers()
        self._buffer = bytearray(2048)
        self._view = memoryview(self._buffer)

    # Orders

    def perform(self, order: Order, now: Instant) -> None:
        """Do what signalling asks; an order that makes no sense is one log line."""
        self._now = now
        if self._wheel.is_behind(now):
            # It stands still while nothing plays.
            self.wake(now)
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

    def close(self) -> None:
        """Close all legs."""
        for leg in tuple(self.legs.values()):
            self._close(leg)

    def _open(self, order: OpenLeg) -> None:
        if order.leg in self.legs:
            log.warning("leg %r is open already", order.leg)
            return
        ports = self._reserve.take(order.port)
        if ports is None:
            log.warning("leg %r: port %d is not in reserve", order.leg, order.port)
            return
        if not ports.watched:
            drain(ports.rtp, self._buffer)
        chance = int(self._ids.token(10), 16)
        stream = Stream(chance >> 48, chance >> 32 & 0xFFFF, chance & 0xFFFFFFFF)
        leg = self.legs[order.leg] = RtpLeg(order.leg, ports, stream)
        self._watch(leg)

    def _describe(self, leg: RtpLeg, described: Describe) -> None:
        before, codec_before, ptime_ms_before = leg.described, leg.codec, leg.ptime_ms
        leg.described = described
        leg.codec, leg.payload_type = described.codec, described.payload_type
        leg.codecs, expected = _understood(described.payload_type, described.codec, described.dtmf_payload_type)
        leg.ptime_ms = described.ptime_ms if described.ptime_ms in PTIMES_MS else DEFAULT_PTIME_MS
        if described.listen_for_tones != (leg.tones is not None):
            leg.tones = KeyToneListener() if described.listen_for_tones else None
        address = destination(described.address, described.port, ipv6=self._reserve.ipv6)
        leg.latch.describe(address or NOWHERE, expected, self._now)
        leg.rtcp_target = destination(described.address, described.rtcp_port, ipv6=self._reserve.ipv6)
        self._aim(leg)
        if before is None:
            self._reports_due.set(leg.id, self._now + first_report_s(self._ids))
            self._play(leg, leg.sound)
        elif leg.slot is not None and (codec_before, ptime_ms_before) != (leg.codec, leg.ptime_ms):
            self._cut_anew(leg, ptime_ms_before)

    def _aim(self, leg: RtpLeg) -> None:
        """Send to where the far side is known to be, or to nobody while it is not to be sent to."""
        before = leg.target
        known = leg.latch.target if leg.described is not None and leg.described.sends else None
        leg.target = None if known == NOWHERE else known
        if before is None:
            leg.stream.switch()

    def _close(self, leg: RtpLeg) -> None:
        if leg.has_reported or leg.stream.packets:
            # Who never sent anything says no goodbye (:rfc:`3550` section 6.3.7).
            report_on(leg, self._cname, self._now, leaving=True)
        self._reports_due.cancel(leg.id)
        self._unhear(leg)
        self._stop(leg)
        for listener in leg.listeners:
            listener.relayed = None
        for listener in leg.waiting:
            listener.awaited = None
        del self.legs[leg.id]
        self._unwatch(leg)
        self._reserve.give_back(leg.ports, self._now)
        received = leg.receiver
        self._report(LegClosed(leg.id, leg.stream.packets, received.total_received, received.lost, leg.latch.refused))

    # What a leg hears

    def _hear(self, leg: RtpLeg, sound: Sound) -> None:
        before, leg.sound = leg.sound, sound
        if isinstance(sound, Peer):
            self._await(leg, sound.leg)
            return
        if sound == before and not isinstance(sound, Spoken):
            return
        self._unhear(leg)
        self._stop(leg)
        # Until the first Describe nobody could hear it: it begins then.
        if leg.described is not None:
            self._play(leg, sound)

    def _frames_of(self, leg: RtpLeg, sound: Sound) -> Frames:
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

    def _await(self, leg: RtpLeg, peer_id: str) -> None:
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

    def _connect_waiting(self, peer: RtpLeg) -> None:
        for leg in peer.waiting:
            if leg.relayed is not None:
                leg.relayed.listeners.remove(leg)
            self._stop(leg)
            leg.stream.switch()
            leg.awaited, leg.relayed = None, peer
            peer.listeners.append(leg)
        peer.waiting.clear()

    def _unhear(self, leg: RtpLeg) -> None:
        if leg.awaited is not None:
            leg.awaited.waiting.remove(leg)
            leg.awaited = None
        if leg.relayed is not None:
            leg.relayed.listeners.remove(leg)
            leg.relayed = None

    # Playing

    def _play(self, leg: RtpLeg, sound: Sound) -> None:
        """Play ``sound`` from its beginning; the first frame leaves when the packet before it has run out."""
        leg.stream.switch()
        leg.playing = sound
        leg.prompt = sound.prompt if isinstance(sound, Spoken) else None
        leg.loops = leg.prompt is None
        leg.frames, leg.position = self._frames_of(leg, sound), 0
        if not leg.frames and leg.loops:
            return
        due = self._due(leg)
        self._wheel.place(leg, max(due, self._wheel.at))
        if due <= self._wheel.at:
            self._send_frames((leg,))

    def _cut_anew(self, leg: RtpLeg, ptime_ms_before: int) -> None:
        """Go on at the same place in the sound after codec or packet time have changed."""
        at_ms = leg.position * ptime_ms_before
        self._wheel.remove(leg)
        leg.frames = self._frames_of(leg, leg.playing)
        leg.position = min(at_ms // leg.ptime_ms, len(leg.frames))
        self._wheel.place(leg, max(self._due(leg), self._wheel.at + 1))

    def _due(self, leg: RtpLeg) -> int:
        """The slot in which the packet sent last has run out: the past, if none was."""
        return 0 if leg.sent_at is None else self._wheel.slot_of(leg.sent_at + leg.ptime_ms / 1000)

    def _stop(self, leg: RtpLeg) -> None:
        self._wheel.remove(leg)
        leg.frames, leg.prompt = (), None

    def deadline(self) -> Instant | None:
        """When ``wake`` is wanted next; None while there is nothing to play or to report."""
        slot_at, report_at = self._wheel.deadline(), self._reports_due.deadline()
        if slot_at is None or report_at is None:
            return report_at if slot_at is None else slot_at
        return min(slot_at, report_at)

    def wake(self, now: Instant) -> None:
        """Play every slot and send every RTCP report that is due by ``now``."""
        self._now = now
        for slot in self._wheel.turn(now):
            self._send_frames(slot)
        for leg_id in self._reports_due.pop_due(now):
            report_on(self.legs[leg_id], self._cname, now)
            self._reports_due.set(leg_id, now + next_report_s(self._ids))

    def _send_frames(self, slot: Iterable[RtpLeg]) -> None:
        """Send the next frame to each leg of ``slot``. The hottest loop there is: once per leg and packet time."""
        now = self._now
        ended: list[RtpLeg] = []
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

    # Packets

    def read_rtp(self, leg: RtpLeg, now: Instant) -> None:
        """Take one packet from the RTP socket of ``leg`` and pass it on to whoever hears it; anything else is dropped."""
        try:
            size, source = leg.rtp.recvfrom_into(self._buffer)
        except OSError:
            return
        described = leg.described
        if described is None or self._is_only_counted(leg, described, size, source[:2], now):
            return
        data = bytes(self._view[:size])
        if is_rtcp(data) and described.rtcp_port == described.port:
            take_report(leg, data, source[:2], now)
            return
        packet = parse(data)
        if packet is None or not described.receives or not leg.latch.accept(packet, source[:2], now):
            return
        self._now = now
        if leg.target != leg.latch.target and described.sends:
            self._aim(leg)
        _count(leg, packet, now)
        codec = leg.codecs.get(packet.payload_type)
        if codec is not None:
            self._take_sound(leg, packet, codec)
        elif packet.payload_type == described.dtmf_payload_type:
            self._take_key(leg, packet)

    def _is_only_counted(self, leg: RtpLeg, described: Describe, size: int, source: Address, now: Instant) -> bool:
        """Count sound that nobody hears, the most frequent packet there is: every parked phone sends it; False for others."""
        if leg.listeners or leg.waiting or leg.tones is not None or size < HEADER_BYTES or not described.receives:
            return False
        packet = parse_header(self._buffer)
        if packet is None or packet.payload_type not in leg.codecs or not leg.latch.believes(source):
            return False
        _count(leg, packet, now)
        return True

    def read_rtcp(self, leg: RtpLeg, now: Instant) -> None:
        """Take one packet from the RTCP socket of ``leg``."""
        try:
            size, source = leg.rtcp.recvfrom_into(self._buffer)
        except OSError:
            return
        take_report(leg, bytes(self._view[:size]), source[:2], now)

    def _take_sound(self, leg: RtpLeg, packet: Packet, codec: str) -> None:
        if leg.waiting:
            self._connect_waiting(leg)
        for listener in leg.listeners:
            payload = packet.payload if codec == listener.codec else packet.payload.translate(INTO[listener.codec])
            self._pass_on(listener, packet, listener.payload_type, payload)
        if leg.tones is not None:
            samples = from_alaw(packet.payload) if codec == "PCMA" else from_ulaw(packet.payload)
            for key in leg.tones.hear(samples):
                self._report(KeyHeard(leg.id, key))

    def _take_key(self, leg: RtpLeg, packet: Packet) -> None:
        for listener in leg.listeners:
            if listener.described is not None and listener.described.dtmf_payload_type is not None:
                self._pass_on(listener, packet, listener.described.dtmf_payload_type, packet.payload)
        if leg.events is None:
            leg.events = EventListener()
        key = leg.events.hear(packet)
        if key is not None:
            self._report(KeyHeard(leg.id, key))

    def _pass_on(self, leg: RtpLeg, packet: Packet, payload_type: int, payload: bytes) -> None:
        target = leg.target
        if target is None:
            return
        data = leg.stream.relay(packet, payload_type, payload, self._now)
        if data is None:
            return
        leg.sent_at = self._now
        try:
            leg.rtp.sendto(data, target)
        except OSError:
            return


def _count(leg: RtpLeg, packet: Packet, now: Instant) -> None:
    if leg.receiver is NOTHING_YET:
        leg.receiver = Receiver()
    leg.receiver.receive(packet, now)


@lru_cache(maxsize=256)
def _understood(payload_type: int, codec: str, dtmf_payload_type: int | None) -> tuple[Mapping[int, str], frozenset[int]]:
    """The codec of each payload type that is taken for sound, and all payload types that a phone may send."""
    codecs = STATIC_CODECS | {payload_type: codec}
    return codecs, frozenset(codecs if dtmf_payload_type is None else (*codecs, dtmf_payload_type))


def drain(sock: socket.socket, buffer: bytearray) -> None:
    """Throw away what came before there was a leg."""
    try:
        while True:
            sock.recv_into(buffer)
    except OSError:
        return

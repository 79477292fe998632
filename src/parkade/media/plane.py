"""Legs, what each of them hears, and the packets that make it so. One thread, no waiting, no clock of its own.

Music, tones and prompts leave on the beat of a ``Player``; a relayed packet is passed on in the moment it is read. A listener
keeps what it hears until its new peer has said something, so nobody meets silence between two sounds.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import assert_never

from parkade.base.clock import Instant
from parkade.base.ids import Ids
from parkade.base.sound import Music, Peer, Playlist, Silence, Sound, Spoken
from parkade.base.timers import Timers
from parkade.media import links
from parkade.media.keeper import Keeper
from parkade.media.kept_orders import KeptOrders
from parkade.media.leg import RtpLeg, usable
from parkade.media.paths import MAX_BYTES, receive, transmit
from parkade.media.player import Player
from parkade.media.ports import PortReserve
from parkade.media.recorder import Recorder
from parkade.media.reports import first_report_s, next_report_s, report_on, take_report
from parkade.media.sounds import Sounds
from parkade.media.state import StateFile
from parkade.media.worker import Run, at_once
from parkade.rtp.codecs import BY_STATIC_NUMBER
from parkade.rtp.coders import INTO
from parkade.rtp.keys import KeyListener
from parkade.rtp.latch import Address
from parkade.rtp.orders import (
    CloseLeg,
    Describe,
    Hear,
    KeyHeard,
    LegClosed,
    LegFailed,
    LegSilent,
    LegState,
    OpenLeg,
    Order,
    PromptEnded,
    Record,
    Report,
    StopRecording,
)
from parkade.rtp.packet import Packet, Stream

log = logging.getLogger(__name__)

PTIMES_MS = (10, 20, 30, 40, 60)
DEFAULT_PTIME_MS = 20
SILENCE_S = 60.0
NOWHERE: Address = ("", 0)
"""The far side's address when its description names none that can be used; its packets may still prove where it is."""


class Plane:
    """All legs of one media process.

    Its only ways out besides the sockets of the legs: ``watch(leg)`` asks to have ``read_rtp`` and ``read_rtcp`` called,
    ``unwatch(leg)`` ends that, ``report`` tells signalling, ``run`` does what waits for the disk and ``on_done`` is called by
    it when ``collect`` is worth calling.
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
        state: StateFile | None = None,
        kept_orders: KeptOrders | None = None,
        silence_s: float = SILENCE_S,
        run: Run = at_once,
        on_done: Callable[[], None] = lambda: None,
    ) -> None:
        self.legs: dict[str, RtpLeg] = {}
        self._reserve = reserve
        self._sounds = sounds
        self._ids = ids
        self._cname = ids.token()
        self._report = report
        self._watch = watch
        self._unwatch = unwatch
        self._silence_s = silence_s
        self._recorder = Recorder(run, on_done, report)
        self._now = now
        self._player = Player(sounds, now, self._prompt_ended)
        self._keeper = Keeper(self._player.settle, state, kept_orders)
        self._reports_due: Timers[str] = Timers()
        self._buffer = bytearray(MAX_BYTES)

    # Orders

    def perform(self, order: Order, now: Instant) -> None:
        """Do what signalling asks; an order that makes no sense is one log line."""
        self._now = self._player.now = now
        if self._player.is_behind(now):
            # It stands still while nothing plays.
            self._player.turn(now)
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
            case Record():
                self._recorder.start(leg, order, now)
            case StopRecording():
                self._recorder.stop(leg, "stopped")
            case CloseLeg():
                self._close(leg)
            case _:
                assert_never(order)

    def take_up(self, now: Instant) -> None:
        """Go on with what an earlier process was ordered, unasked. Legs first: some hear others."""
        made, heard = self._keeper.left_orders(now)
        for order in (*made, *heard):
            if isinstance(order, OpenLeg) or order.leg in self.legs:
                self.perform(order, now)

    def inventory(self) -> list[LegState]:
        """All legs, as they are told to signalling that comes back."""
        for leg in self.legs.values():
            self._player.settle(leg)
        return [
            LegState(
                leg.id,
                leg.ports.port,
                leg.stream.ssrc,
                leg.stream.sequence,
                leg.stream.timestamp,
                None if leg.latch.target == NOWHERE else leg.latch.target,
                leg.sound,
            )
            for leg in self.legs.values()
        ]

    def close(self) -> None:
        """Close all legs."""
        for leg in tuple(self.legs.values()):
            self._close(leg)

    def _open(self, order: OpenLeg) -> None:
        known = self.legs.get(order.leg)
        if known is not None:
            if known.ports.port != order.port:
                log.warning("leg %r is open already, on port %d", order.leg, known.ports.port)
            return
        ports = self._reserve.take(order.port)
        if ports is None:
            log.warning("leg %r: port %d cannot be had", order.leg, order.port)
            self._report(LegFailed(order.leg, order.port))
            return
        if not ports.watched:
            drain(ports.rtp, self._buffer)
        left = self._keeper.adopt(order.leg, order.port)
        if left is None:
            chance = int(self._ids.token(10), 16)
            leg = RtpLeg(order.leg, ports, Stream(chance >> 48, chance >> 32 & 0xFFFF, chance & 0xFFFFFFFF))
        else:
            sequence = left.sequence_now(self._now)
            leg = RtpLeg(order.leg, ports, Stream.resumed(left.ssrc, sequence, left.timestamp, left.written_at))
            leg.resumed = left
            if left.source is not None:
                leg.latch.resume(left.source)
        self.legs[order.leg] = leg
        self._keeper.open(leg, self._now)
        self._watch(leg)

    def _describe(self, leg: RtpLeg, described: Describe) -> None:
        leg.is_reordered = True
        self._player.settle(leg)
        before, codec_before, ptime_ms_before = leg.described, leg.codec, leg.ptime_ms
        leg.described = described
        leg.codec, leg.payload_type = described.codec, described.payload_type
        leg.codecs, leg.events, payload_types = _understood(
            described.payload_type, described.codec, described.dtmf_payload_type, described.dtmf_also
        )
        leg.ptime_ms = described.ptime_ms if described.ptime_ms in PTIMES_MS else DEFAULT_PTIME_MS
        _listen_for_keys(leg, described)
        host = usable(described.address, self._reserve.ipv6)
        leg.latch.describe(_at(host, described.port) or NOWHERE, payload_types, self._now, again=described.again)
        if before is None or (before.address, before.rtcp_port) != (described.address, described.rtcp_port):
            leg.rtcp_target = _at(host, described.rtcp_port)
        self._aim(leg)
        leg.heard_at = leg.silent_from = self._now
        if before is None:
            self._reports_due.set(leg.id, self._now + first_report_s(leg.stream.ssrc))
            self._play(leg, leg.sound)
        elif (codec_before, ptime_ms_before) != (leg.codec, leg.ptime_ms):
            self._player.recut(leg, ptime_ms_before)
        self._keeper.write(leg, self._now)

    def _aim(self, leg: RtpLeg) -> None:
        """Send to where the far side is known to be, or to nobody while it is not to be sent to."""
        self._player.settle(leg)
        before = leg.target
        known = leg.latch.target if leg.described is not None and leg.described.sends else None
        leg.target = None if known == NOWHERE else known
        if before is None:
            leg.stream.switch()

    def _close(self, leg: RtpLeg) -> None:
        if leg.playing is not None:
            self._player.stop(leg)
        if leg.has_reported or leg.stream.packets:
            # Who never sent anything says no goodbye (:rfc:`3550` section 6.3.7).
            report_on(leg, self._cname, self._now, leaving=True)
        self._reports_due.cancel(leg.id)
        if leg.recording is not None:
            self._recorder.stop(leg, "closed")
        if leg.relayed is not None or leg.awaited is not None:
            links.unhear(leg)
        links.unheard(leg)
        self._keeper.close(leg)
        del self.legs[leg.id]
        self._unwatch(leg)
        self._reserve.give_back(leg.ports, self._now)
        received = leg.receiver
        counts = (leg.stream.packets, received.total_received, received.lost, leg.latch.refused)
        self._report(LegClosed(leg.id, *counts, received.jitter))

    # What a leg hears

    def _hear(self, leg: RtpLeg, sound: Sound) -> None:
        leg.is_reordered = True
        before, leg.sound = leg.sound, sound
        if isinstance(sound, Peer):
            peer = self.legs.get(sound.leg)
            if peer is None:
                log.warning("leg %r should hear leg %r, which is not open", leg.id, sound.leg)
            links.await_peer(leg, peer)
            return
        if leg.ended is not None and leg.ended in _prompts(sound):
            # Said again by signalling that may not have heard it.
            self._report(PromptEnded(leg.id, leg.ended))
            if sound == before or isinstance(sound, Spoken):
                return
        if sound == before:
            return
        if leg.relayed is None and isinstance(sound, Music) and sound == leg.playing and not leg.parts:
            links.await_peer(leg, None)
            return
        if leg.relayed is not None or leg.awaited is not None:
            links.unhear(leg)
        if leg.playing is not None:
            self._player.stop(leg)
        # Until the first Describe nobody could hear it: it begins then.
        if leg.described is not None:
            self._play(leg, sound)

    def _play(self, leg: RtpLeg, sound: Sound) -> None:
        if isinstance(sound, Silence | Peer):
            leg.stream.switch()
        else:
            self._player.play(leg, sound)

    def _prompt_ended(self, leg: RtpLeg, prompt: str) -> None:
        # One that was cut off by a peer who has not spoken yet is not told.
        if prompt in _prompts(leg.sound):
            self._report(PromptEnded(leg.id, prompt))

    def collect(self, now: Instant) -> None:
        """Take over what ``run`` has done: sounds that are ready, recordings that are complete."""
        self._now = now
        self._recorder.collect()
        if self._sounds.collect():
            self._player.sounds_are_ready(now)

    # Time

    def deadline(self) -> Instant | None:
        """When ``wake`` is wanted next; None while there is nothing to play, to report or to keep.

        While anything plays, all else waits for its next frame: nobody notices, and each waking up costs.
        """
        best = self._player.deadline()
        if best is None:
            for due in (self._reports_due.deadline(), self._keeper.deadline(), self._recorder.deadline()):
                if due is not None and (best is None or due < best):
                    best = due
        return best

    def wake(self, now: Instant) -> None:
        """Play every slot, send every RTCP report and keep every place that is due by ``now``."""
        self._now = now
        self._player.turn(now)
        for leg_id in self._reports_due.pop_due(now):
            leg = self.legs[leg_id]
            self._player.settle(leg)
            report_on(leg, self._cname, now)
            self._note_silence(leg)
            self._reports_due.set(leg_id, now + next_report_s(self._ids.below(1 << 16)))
        self._recorder.turn(now)
        self._keeper.turn(now)

    def _note_silence(self, leg: RtpLeg) -> None:
        """Whether anything has come is looked at as often as a report is due, so that no packet costs more for it."""
        now, heard = self._now, leg.receiver.total_received + leg.reports_heard
        if heard != leg.heard:
            leg.heard, leg.heard_at, leg.silent_from = heard, now, now
        elif now - leg.silent_from >= self._silence_s:
            leg.silent_from = now
            self._report(LegSilent(leg.id, round(now - leg.heard_at, 1)))

    # Packets

    def read_rtp(self, leg: RtpLeg, now: Instant) -> None:
        """Take one packet from the RTP socket of ``leg`` and pass it on to whoever hears it; anything else is dropped."""
        try:
            size, source = leg.rtp.recvfrom_into(self._buffer)
        except OSError:
            return
        packet = receive(leg, self._buffer, size, source[:2], now)
        if packet is None:
            return
        self._now = now
        if leg.target != leg.latch.target and leg.described is not None and leg.described.sends:
            self._aim(leg)
        codec = leg.codecs.get(packet.payload_type)
        if codec is not None:
            self._take_sound(leg, packet, codec)
        elif packet.payload_type in leg.events:
            self._take_event(leg, packet)

    def read_rtcp(self, leg: RtpLeg, now: Instant) -> None:
        """Take one packet from the RTCP socket of ``leg``."""
        try:
            size, source = leg.rtcp.recvfrom_into(self._buffer)
        except OSError:
            return
        take_report(leg, bytes(self._buffer[:size]), source[:2], now)

    def _take_sound(self, leg: RtpLeg, packet: Packet, codec: str) -> None:
        if leg.waiting:
            links.connect_waiting(leg, self._player.stop)
        for listener in leg.listeners:
            payload = packet.payload if codec == listener.codec else packet.payload.translate(INTO[codec, listener.codec])
            self._pass_on(listener, packet, listener.payload_type, payload)
        if leg.recording is not None:
            leg.recording.take(packet, codec, self._now)
        if leg.hears_tones:
            for key in _key_listener(leg).sound(packet.payload, codec, self._now):
                self._report(KeyHeard(leg.id, key))

    def _take_event(self, leg: RtpLeg, packet: Packet) -> None:
        for listener in leg.listeners:
            if listener.described is not None and listener.described.dtmf_payload_type is not None:
                self._pass_on(listener, packet, listener.described.dtmf_payload_type, packet.payload)
        keys = _key_listener(leg)
        if key := keys.event(packet, self._now):
            self._report(KeyHeard(leg.id, key))
        leg.hears_tones = keys.listens_for_tones
        leg.attentive = leg.attentive and leg.hears_tones

    def _pass_on(self, leg: RtpLeg, packet: Packet, payload_type: int, payload: bytes) -> None:
        if leg.target is None:
            return
        data = leg.stream.relay(packet, payload_type, payload, self._now)
        if data is not None:
            leg.sent_at = self._now
            transmit(leg, data)


def _at(host: str | None, port: int) -> Address | None:
    return (host, port) if host is not None and 0 < port < 65536 else None


def _listen_for_keys(leg: RtpLeg, described: Describe) -> None:
    sparing = bool(leg.events)
    if leg.keys is None or leg.keys.is_sparing != sparing:
        leg.keys, leg.hears_tones = None, described.listen_for_tones
    # A phone that has promised events is listened to only while somebody hears it: it is not worth more.
    leg.attentive = leg.hears_tones and not sparing


def _key_listener(leg: RtpLeg) -> KeyListener:
    if leg.keys is None:
        leg.keys = KeyListener(tones=leg.hears_tones, sparing=bool(leg.events))
    return leg.keys


def _prompts(sound: Sound) -> tuple[str, ...]:
    """The prompts in ``sound``."""
    match sound:
        case Spoken(prompt):
            return (prompt,)
        case Playlist(parts):
            return tuple(part.prompt for part in parts if isinstance(part, Spoken))
        case _:
            return ()


@lru_cache(maxsize=256)
def _understood(
    payload_type: int, codec: str, dtmf: int | None, dtmf_also: int | None
) -> tuple[Mapping[int, str], frozenset[int], frozenset[int]]:
    """The codec of each payload type that is taken for sound, the payload types that are key events, and all of them.

    The static numbers are understood whichever was agreed: some phones change the codec without asking.
    """
    codecs: dict[int, str] = {**BY_STATIC_NUMBER, payload_type: codec}
    events = frozenset(number for number in (dtmf, dtmf_also) if number is not None and number not in codecs)
    return codecs, events, events.union(codecs)


def drain(sock: socket.socket, buffer: bytearray) -> None:
    """Throw away what came before there was a leg."""
    try:
        while True:
            sock.recv_into(buffer)
    except OSError:
        return

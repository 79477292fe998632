"""Plays music, tones and prompts to legs, each at its own times. Relaying between legs is done elsewhere (``plane.py``)."""

from __future__ import annotations

from collections.abc import Callable

from parkade.base.clock import Instant
from parkade.base.sound import Music, Playlist, Spoken
from parkade.media.leg import Part, RtpLeg, Slot
from parkade.media.paths import transmit
from parkade.media.sounds import Frames, Sounds
from parkade.media.state import mark_of
from parkade.media.wheel import SLOTS_PER_S, Wheel
from parkade.rtp.packet import pack_header


class Player:
    """``ended`` is called when a prompt was played to its end. Times are told by ``now`` before anything else."""

    def __init__(self, sounds: Sounds, now: Instant, ended: Callable[[RtpLeg, str], None]) -> None:
        self.now = now
        self._sounds = sounds
        self._ended = ended
        self._wheel = Wheel(now)
        self._expecting: dict[RtpLeg, int] = {}
        """Legs whose sound is being read or encoded, with the millisecond at which it shall begin."""

    def deadline(self) -> Instant | None:
        """When the next frame of anybody is due."""
        return self._wheel.deadline()

    def is_behind(self, now: Instant) -> bool:
        """Whether ``turn`` has something to do."""
        return self._wheel.at < int(now * SLOTS_PER_S)

    def turn(self, now: Instant) -> None:
        """Send every frame that is due by ``now``."""
        self.now = now
        for slot in self._wheel.turn(now):
            self._turn_slot(slot)

    def play(self, leg: RtpLeg, sound: Part | Playlist) -> None:
        """Play ``sound`` from its beginning, or from where an earlier process or an interruption left it."""
        parts = sound.parts if isinstance(sound, Playlist) else (sound,)
        resumed, leg.resumed = leg.resumed, None
        at_ms = None
        if resumed is not None:
            for index, part in enumerate(parts):
                if mark_of(part) == resumed.mark:
                    parts, at_ms = parts[index:], resumed.position_ms
                    if isinstance(part, Music):
                        at_ms += round((self.now - resumed.written_at) * 1000)
                    break
        leg.parts = parts
        self._next_part(leg, at_ms, resumes=isinstance(sound, Playlist))

    def settle(self, leg: RtpLeg) -> None:
        """Let ``leg`` know what it has sent. Before anybody looks at its stream, or changes what or where to it sends."""
        slot = leg.slot
        if slot is not None and leg in slot.going:
            self._settle(leg, slot, slot.turns)

    def stop(self, leg: RtpLeg) -> None:
        """Nothing sounds any more; where the music was is remembered."""
        self.settle(leg)
        self._wheel.remove(leg)
        self._expecting.pop(leg, None)
        if leg.frames and isinstance(leg.playing, Music):
            leg.music_at = leg.mark, leg.position_ms
        leg.frames, leg.playing, leg.parts, leg.mark, leg.position = (), None, (), 0, 0

    def recut(self, leg: RtpLeg, ptime_ms_before: int) -> None:
        """Go on at the same place in the sound after codec or packet time have changed. The leg is settled."""
        if leg.playing is None:
            return
        at_ms = self._expecting.pop(leg, leg.position * ptime_ms_before)
        self._wheel.remove(leg)
        self._begin(leg, at_ms, at_once=False)

    def sounds_are_ready(self, now: Instant) -> None:
        """Start what was waiting for its sound."""
        self.now = now
        for leg, at_ms in tuple(self._expecting.items()):
            del self._expecting[leg]
            self._begin(leg, at_ms, at_once=True)

    def _next_part(self, leg: RtpLeg, at_ms: int | None = None, *, resumes: bool = True) -> None:
        leg.playing, leg.parts = leg.parts[0], leg.parts[1:]
        leg.mark = mark_of(leg.playing)
        leg.stream.switch()
        leg.loops = not isinstance(leg.playing, Spoken)
        if at_ms is None:
            mark, music_ms = leg.music_at
            at_ms = music_ms if resumes and mark == leg.mark else 0
        self._begin(leg, at_ms, at_once=True)

    def _begin(self, leg: RtpLeg, at_ms: int, *, at_once: bool) -> None:
        """Put ``leg`` on the wheel; ``at_once`` the first frame leaves as soon as the packet before it has run out."""
        assert leg.playing is not None
        frames = self._sounds.frames(leg.playing, leg.codec, leg.ptime_ms)
        if frames is None:
            leg.frames = ()
            self._expecting[leg] = at_ms
            return
        self._start(leg, frames, at_ms // leg.ptime_ms, at_once=at_once)

    def _start(self, leg: RtpLeg, frames: Frames, position: int, *, at_once: bool) -> None:
        leg.frames = frames
        if not frames and leg.loops:
            return
        leg.position = position % len(frames) if leg.loops else min(position, len(frames))
        due = self._due(leg)
        wheel = self._wheel
        wheel.place(leg, max(due, wheel.at if at_once else wheel.at + 1))
        if at_once and due <= wheel.at:
            self._send_next(leg)

    def _due(self, leg: RtpLeg) -> int:
        """The slot in which the packet sent last has run out: the past, if none was."""
        return 0 if leg.sent_at is None else int((leg.sent_at + leg.ptime_ms / 1000) * SLOTS_PER_S)

    def _turn_slot(self, slot: Slot) -> None:
        """Send the next frame to each leg of ``slot``. The hottest loop there is: once per leg and packet time.

        It looks at nothing but what it sends: each further object it would touch has left the processor's cache meanwhile.
        """
        slot.turns = turn = slot.turns + 1
        elapsed = turn * slot.samples
        some_are_over = False
        for send, target, kind, sequence, timestamp, ssrc, frames, position, _ in slot.going.values():
            try:
                header = pack_header(0x80, kind, sequence + turn & 0xFFFF, timestamp + elapsed & 0xFFFFFFFF, ssrc)
                send(header + frames[position + turn], target)
            except OSError:
                pass  # as in ``transmit``
            except IndexError:
                some_are_over = True
        if some_are_over:
            over = [leg for leg, (*_, frames, position, _) in slot.going.items() if position + turn >= len(frames)]
            for leg in over:
                self._settle(leg, slot, turn - 1)
        slot.turned_at = self.now
        for leg in tuple(slot.fresh):
            self._send_next(leg)

    def _settle(self, leg: RtpLeg, slot: Slot, turn: int) -> None:
        count = turn - slot.going.pop(leg)[-1]
        slot.fresh[leg] = None
        if count:
            leg.position += count
            leg.sent_at = slot.turned_at
            leg.stream.played(count, slot.samples, slot.turned_at)

    def _send_next(self, leg: RtpLeg) -> None:
        """Send the next frame to ``leg``, which is in ``fresh``; with the one after that it may go on by itself."""
        frames, position, slot = leg.frames, leg.position, leg.slot
        if slot is None:
            return
        if position == len(frames):
            if not leg.loops:
                self._end_part(leg)
                return
            position = 0
        leg.position = position = position + 1
        target = leg.target
        if target is None:
            return
        leg.sent_at = self.now
        stream, kind = leg.stream, leg.payload_type
        transmit(leg, stream.play(kind, frames[position - 1], self.now))
        turn, next_sequence = slot.turns, stream.sequence + 1
        del slot.fresh[leg]
        slot.going[leg] = (
            leg.rtp.sendto,
            target,
            kind,
            next_sequence - turn - 1,
            stream.timestamp - (turn + 1) * slot.samples,
            stream.ssrc,
            frames,
            position - turn - 1,
            turn,
        )

    def _end_part(self, leg: RtpLeg) -> None:
        spoken = leg.playing
        assert isinstance(spoken, Spoken)
        leg.ended = spoken.prompt
        if leg.parts:
            self._wheel.remove(leg)
            self._next_part(leg)
        else:
            self.stop(leg)
        self._ended(leg, spoken.prompt)

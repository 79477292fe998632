"""Plays music, tones and prompts to legs, each at its own times. Relaying between legs is done elsewhere (``plane.py``)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from parkade.base.clock import Instant
from parkade.base.sound import Music, Playlist, Spoken
from parkade.media.leg import Part, RtpLeg
from parkade.media.paths import transmit
from parkade.media.sounds import Frames, Sounds
from parkade.media.state import mark_of
from parkade.media.wheel import Wheel


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
        return self._wheel.is_behind(now)

    def turn(self, now: Instant) -> None:
        """Send every frame that is due by ``now``."""
        self.now = now
        for slot in self._wheel.turn(now):
            self._send_frames(slot)

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

    def stop(self, leg: RtpLeg) -> None:
        """Nothing sounds any more; where the music was is remembered."""
        self._wheel.remove(leg)
        self._expecting.pop(leg, None)
        if leg.frames and isinstance(leg.playing, Music):
            leg.music_at = leg.mark, leg.position_ms
        leg.frames, leg.playing, leg.parts, leg.mark, leg.position = (), None, (), 0, 0

    def recut(self, leg: RtpLeg, ptime_ms_before: int) -> None:
        """Go on at the same place in the sound after codec or packet time have changed."""
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
        leg.playing, *rest = leg.parts
        leg.parts = tuple(rest)
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
            self._send_frames((leg,))

    def _due(self, leg: RtpLeg) -> int:
        """The slot in which the packet sent last has run out: the past, if none was."""
        return 0 if leg.sent_at is None else self._wheel.slot_of(leg.sent_at + leg.ptime_ms / 1000)

    def _send_frames(self, slot: Iterable[RtpLeg]) -> None:
        """Send the next frame to each leg of ``slot``. The hottest loop there is: once per leg and packet time."""
        now = self.now
        over: list[RtpLeg] = []
        for leg in slot:
            frames = leg.frames
            position = leg.position
            if position == len(frames):
                if not leg.loops:
                    over.append(leg)
                    continue
                position = 0
            leg.position = position + 1
            if leg.target is not None:
                leg.sent_at = now
                transmit(leg, leg.stream.play(leg.payload_type, frames[position], now))
        for leg in over:
            self._end_part(leg)

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

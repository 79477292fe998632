"""What the media process plays: WAV files and call-progress tones, encoded once per codec and cut into shared frames.

Files are 8 kHz, 16 bit, mono: ``music/NAME.wav`` and ``prompts/LANGUAGE/PHRASE.wav``. Whatever is missing or unreadable is said
in one log line and left out: a caller never loses a call to a file. This is not a decoder for other formats or rates.

Files are read and encoded by ``run``, in a media process on another thread: what is not ready yet is None, and ``collect``
says when there is news. At most ``limit_bytes`` are remembered; what was used longest ago goes first.
"""

from __future__ import annotations

import logging
import re
import wave
from collections import OrderedDict, deque
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np

from parkade.base.errors import ParkadeError
from parkade.base.sound import Music, Spoken, Tone
from parkade.media.worker import Run, at_once
from parkade.rtp.codecs import CODECS, Codec
from parkade.rtp.coders import CODERS
from parkade.rtp.g711 import Samples
from parkade.rtp.tones import RATE_HZ, progress_tone

log = logging.getLogger(__name__)

Frames: TypeAlias = tuple[bytes, ...]
"""RTP payloads of equal length, one each packet time."""

BUILT_IN = Path(__file__).parent / "sounds"
SAMPLES_PER_MS = RATE_HZ // 1000
LOOP_GRAIN_MS = 120
"""Loops are cut to a multiple of this, so that each packet time of 10, 20, 30, 40 or 60 ms fills its last frame."""
LIMIT_BYTES = 64 << 20
"""Two hours of music in one codec and packet time."""
_FRAME_OVERHEAD = 41
"""What Python adds to each frame, and the place in its tuple."""
_PIECE = RATE_HZ
"""Encoded at a time: the thread that plays gets its turn in between."""

_STEM = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class SoundError(ParkadeError):
    """A sound that is not there or not 8 kHz 16-bit mono."""


class _Loop(NamedTuple):
    """An endless sound: ``kind`` is ``music`` or ``tone``."""

    kind: str
    name: str
    codec: str
    ptime_ms: int


class _Phrase(NamedTuple):
    language: str
    name: str
    codec: str


_Key: TypeAlias = _Loop | _Phrase
_Value: TypeAlias = Frames | bytes


def read_wav(path: Path) -> Samples:
    """The samples of an 8 kHz 16-bit mono file; ``SoundError`` says what is wrong with any other."""
    try:
        with wave.open(str(path), "rb") as source:
            shape = (source.getframerate(), source.getsampwidth() * 8, source.getnchannels())
            data = source.readframes(source.getnframes())
    except (OSError, EOFError, wave.Error) as error:
        reason = error.strerror.lower() if isinstance(error, OSError) and error.strerror else str(error) or "it is cut short"
        raise SoundError(f"{path}: {reason}") from None
    if shape != (RATE_HZ, 16, 1):
        raise SoundError(f"{path}: should be 8000 Hz, 16 bit, mono, is {shape[0]} Hz, {shape[1]} bit, {shape[2]} channels")
    return np.frombuffer(data[: len(data) // 2 * 2], dtype="<i2").astype(np.int16)


def encode(samples: Samples, codec: str) -> bytes:
    """The payload of ``samples`` in ``PCMU`` or ``PCMA``."""
    encoder = CODERS[codec].encode
    return b"".join(encoder(samples[at : at + _PIECE]) for at in range(0, len(samples), _PIECE))


def cut(encoded: bytes, size: int) -> Frames:
    """Whole frames of ``size`` bytes; what is left over at the end is dropped."""
    return tuple(encoded[start : start + size] for start in range(0, len(encoded) - size + 1, size))


def frame_bytes(codec: str, ptime_ms: int) -> int:
    """The size of a payload."""
    return CODECS[Codec(codec)].bytes_per_ms * ptime_ms


class Sounds:
    """All sounds of one folder, remembered in the form in which they were asked for.

    ``run`` does the slow part, ``on_ready`` is called (by whoever does it) when ``collect`` is worth calling.
    """

    def __init__(
        self,
        folder: Path = BUILT_IN,
        *,
        run: Run = at_once,
        on_ready: Callable[[], None] = lambda: None,
        limit_bytes: int = LIMIT_BYTES,
    ) -> None:
        self._folder = folder
        self._run = run
        self._on_ready = on_ready
        self._limit_bytes = limit_bytes
        self._known: OrderedDict[_Key, _Value] = OrderedDict()
        self._asked: set[_Key] = set()
        self._done: deque[tuple[_Key, _Value]] = deque()
        self.bytes_known = 0

    def warm(self) -> None:
        """Read ahead what most calls want, the music first."""
        for kind, name in (("music", "default"), ("tone", "ringback")):
            for codec in CODECS:
                self._find(_Loop(kind, name, codec, 20))
        for path in sorted(self._folder.glob("prompts/*/*.wav")):
            for codec in CODECS:
                self._find(_Phrase(path.parent.name, path.stem, codec))

    def frames(self, sound: Music | Tone | Spoken, codec: str, ptime_ms: int) -> Frames | None:
        """The frames of ``sound``, None while they are being made.

        Music that cannot be played is replaced by ``default``, that by silence, an unknown tone by silence; of a prompt the
        phrases without a file are skipped and the last frame is filled with silence.
        """
        match sound:
            case Music(name):
                return self._loop(_Loop("music", name, codec, ptime_ms))
            case Tone(name):
                return self._loop(_Loop("tone", name, codec, ptime_ms))
            case Spoken(_, language, phrases):
                return self._spoken(language, phrases, codec, ptime_ms)

    def collect(self) -> bool:
        """Take over what has been made; whether there was anything."""
        found = bool(self._done)
        while self._done:
            key, value = self._done.popleft()
            self._asked.discard(key)
            self._remember(key, value)
        return found

    def _loop(self, key: _Loop) -> Frames | None:
        value = self._find(key)
        return value if isinstance(value, tuple) else None

    def _spoken(self, language: str, phrases: tuple[str, ...], codec: str, ptime_ms: int) -> Frames | None:
        found = [self._find(_Phrase(language, phrase, codec)) for phrase in phrases]
        spoken = [value for value in found if isinstance(value, bytes)]
        if len(spoken) < len(found):
            return None
        size = frame_bytes(codec, ptime_ms)
        encoded = b"".join(spoken)
        return cut(encoded + CODECS[Codec(codec)].silence * (-len(encoded) % size), size)

    def _find(self, key: _Key) -> _Value | None:
        value = self._known.get(key)
        if value is not None:
            self._known.move_to_end(key)
            return value
        if key not in self._asked:
            self._asked.add(key)
            self._run(lambda: self._finish(key))
            if self._run is at_once:
                self.collect()
        return self._known.get(key)

    def _finish(self, key: _Key) -> None:
        value: _Value = () if isinstance(key, _Loop) else b""
        try:
            value = self._make(key)
        finally:
            self._done.append((key, value))
            self._on_ready()

    def _remember(self, key: _Key, value: _Value) -> None:
        self._known[key] = value
        self.bytes_known += _size(value)
        while self.bytes_known > self._limit_bytes and len(self._known) > 1:
            _, oldest = self._known.popitem(last=False)
            self.bytes_known -= _size(oldest)

    # What ``run`` does: nothing below changes this object.

    def _make(self, key: _Key) -> _Value:
        if isinstance(key, _Phrase):
            return self._make_phrase(key)
        samples = self._samples_of(key)
        grain = LOOP_GRAIN_MS * SAMPLES_PER_MS
        whole = samples[: len(samples) // grain * grain]
        return cut(encode(whole, key.codec), frame_bytes(key.codec, key.ptime_ms))

    def _samples_of(self, key: _Loop) -> Samples:
        grain = LOOP_GRAIN_MS * SAMPLES_PER_MS
        try:
            samples = self._read_music(key.name) if key.kind == "music" else self._make_tone(key.name)
            if len(samples) < grain:
                raise SoundError(f"{key.name}: shorter than {LOOP_GRAIN_MS} ms")
        except SoundError as error:
            log.warning("%s %r cannot be played: %s", key.kind, key.name, error)
            if key.kind == "music" and key.name != "default":
                return self._samples_of(key._replace(name="default"))
            return np.zeros(grain, dtype=np.int16)
        return samples

    def _read_music(self, name: str) -> Samples:
        if _STEM.fullmatch(name) is None:
            raise SoundError("not a file name")
        return read_wav(self._folder / "music" / f"{name}.wav")

    @staticmethod
    def _make_tone(name: str) -> Samples:
        try:
            return progress_tone(name)
        except KeyError:
            raise SoundError("there is no such tone") from None

    def _make_phrase(self, key: _Phrase) -> bytes:
        try:
            if _STEM.fullmatch(key.language) is None or _STEM.fullmatch(key.name) is None:
                raise SoundError("not a file name")
            return encode(read_wav(self._folder / "prompts" / key.language / f"{key.name}.wav"), key.codec)
        except SoundError as error:
            log.warning("phrase %r in %r is skipped: %s", key.name, key.language, error)
            return b""


def _size(value: _Value) -> int:
    if isinstance(value, bytes):
        return len(value)
    return len(value) * (_FRAME_OVERHEAD + len(value[0])) if value else 0

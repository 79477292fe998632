"""What the media process plays: WAV files and call-progress tones, encoded once per codec and cut into shared frames.

Files are 8 kHz, 16 bit, mono: ``music/NAME.wav`` and ``prompts/LANGUAGE/PHRASE.wav``. Whatever is missing or unreadable is said
in one log line and left out: a caller never loses a call to a file. This is not a decoder for other formats or rates.
"""

from __future__ import annotations

import logging
import re
import wave
from pathlib import Path
from typing import TypeAlias

import numpy as np

from parkade.base.errors import ParkadeError
from parkade.rtp.g711 import Samples, to_alaw, to_ulaw
from parkade.rtp.tones import RATE_HZ, progress_tone

log = logging.getLogger(__name__)

Frames: TypeAlias = tuple[bytes, ...]
"""RTP payloads of equal length, one each packet time."""

BUILT_IN = Path(__file__).parent / "sounds"
SAMPLES_PER_MS = RATE_HZ // 1000
LOOP_GRAIN_MS = 120
"""Loops are cut to a multiple of this, so that each packet time of 10, 20, 30, 40 or 60 ms fills its last frame."""

_STEM = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class SoundError(ParkadeError):
    """A sound that is not there or not 8 kHz 16-bit mono."""


def read_wav(path: Path) -> Samples:
    """The samples of an 8 kHz 16-bit mono file; ``SoundError`` says what is wrong with any other."""
    try:
        with wave.open(str(path), "rb") as source:
            shape = (source.getframerate(), source.getsampwidth() * 8, source.getnchannels())
            data = source.readframes(source.getnframes())
    except (OSError, EOFError, wave.Error) as error:
        raise SoundError(f"{path.name}: {error}") from None
    if shape != (RATE_HZ, 16, 1):
        raise SoundError(f"{path.name}: should be 8000 Hz, 16 bit, mono, is {shape[0]} Hz, {shape[1]} bit, {shape[2]} channels")
    return np.frombuffer(data, dtype="<i2").astype(np.int16)


def encode(samples: Samples, codec: str) -> bytes:
    """The payload of ``samples`` in ``PCMU`` or ``PCMA``."""
    return to_alaw(samples) if codec == "PCMA" else to_ulaw(samples)


def cut(encoded: bytes, ptime_ms: int) -> Frames:
    """Whole frames of ``ptime_ms``; what is left over at the end is dropped."""
    size = ptime_ms * SAMPLES_PER_MS
    return tuple(encoded[start : start + size] for start in range(0, len(encoded) - size + 1, size))


class Sounds:
    """All sounds of one folder, remembered in the form in which they were asked for."""

    def __init__(self, folder: Path = BUILT_IN) -> None:
        self._folder = folder
        self._loops: dict[tuple[str, str, str, int], Frames] = {}
        self._phrases: dict[tuple[str, str, str], bytes] = {}

    def warm(self) -> None:
        """Read ahead what most calls want, so that the first of them does not wait for the disk."""
        for codec in ("PCMU", "PCMA"):
            self.music("default", codec, 20)
            self.tone("ringback", codec, 20)
            for path in sorted(self._folder.glob("prompts/*/*.wav")):
                self._phrase(path.parent.name, path.stem, codec)

    def music(self, name: str, codec: str, ptime_ms: int) -> Frames:
        """The frames of an endless piece. One that cannot be played is replaced by ``default``, that one by silence."""
        return self._loop("music", name, codec, ptime_ms)

    def tone(self, name: str, codec: str, ptime_ms: int) -> Frames:
        """The frames of an endless tone, ``ringback`` or ``busy``; silence for any other name."""
        return self._loop("tone", name, codec, ptime_ms)

    def spoken(self, language: str, phrases: tuple[str, ...], codec: str, ptime_ms: int) -> Frames:
        """The frames of phrases one after the other, the last frame filled with silence; phrases without a file are skipped."""
        encoded = b"".join(self._phrase(language, phrase, codec) for phrase in phrases)
        size = ptime_ms * SAMPLES_PER_MS
        return cut(encoded + encode(np.zeros(-len(encoded) % size, dtype=np.int16), codec), ptime_ms)

    def _loop(self, kind: str, name: str, codec: str, ptime_ms: int) -> Frames:
        key = (kind, name, codec, ptime_ms)
        frames = self._loops.get(key)
        if frames is None:
            frames = self._loops[key] = self._make_loop(kind, name, codec, ptime_ms)
        return frames

    def _make_loop(self, kind: str, name: str, codec: str, ptime_ms: int) -> Frames:
        grain = LOOP_GRAIN_MS * SAMPLES_PER_MS
        try:
            samples = self._read_music(name) if kind == "music" else self._make_tone(name)
            if len(samples) < grain:
                raise SoundError(f"{name}: shorter than {LOOP_GRAIN_MS} ms")
        except SoundError as error:
            log.warning("%s %r cannot be played: %s", kind, name, error)
            if kind == "music" and name != "default":
                return self.music("default", codec, ptime_ms)
            samples = np.zeros(grain, dtype=np.int16)
        return cut(encode(samples[: len(samples) // grain * grain], codec), ptime_ms)

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

    def _phrase(self, language: str, phrase: str, codec: str) -> bytes:
        key = (language, phrase, codec)
        encoded = self._phrases.get(key)
        if encoded is None:
            try:
                if _STEM.fullmatch(language) is None or _STEM.fullmatch(phrase) is None:
                    raise SoundError("not a file name")
                encoded = encode(read_wav(self._folder / "prompts" / language / f"{phrase}.wav"), codec)
            except SoundError as error:
                log.warning("phrase %r in %r is skipped: %s", phrase, language, error)
                encoded = b""
            self._phrases[key] = encoded
        return encoded

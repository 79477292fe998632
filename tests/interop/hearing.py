"""What a phone heard, read while it is being recorded.

An ``Ear`` grows with the call. Every check looks at sound that arrived after the check began, so that the answer is about now
and not about what was heard a moment before.
"""

from __future__ import annotations

import time
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tests.interop.waiting import PATIENCE_S, eventually

RATE_HZ = 8000
SAMPLE_BYTES = 2
LOUD_ENOUGH = 150.0
"""Root mean square of 16-bit samples below which nothing is heard."""

Samples = npt.NDArray[np.int16]


def level(sound: Samples) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(sound.astype(np.float64) ** 2))) if sound.size else 0.0


def share_of(sound: Samples, hz: float) -> float:
    """The part of the sound's power, 0 to 1, that lies within 20 Hz of ``hz``."""
    power = np.abs(np.fft.rfft(sound.astype(np.float64) * np.hanning(sound.size))) ** 2
    total = float(power[1:].sum())
    if not total:
        return 0.0
    frequencies = np.fft.rfftfreq(sound.size, 1 / RATE_HZ)
    return float(power[np.abs(frequencies - hz) <= 20].sum()) / total


def is_tone(sound: Samples, hz: float) -> bool:
    """Whether ``hz`` is there and almost nothing else."""
    return level(sound) > LOUD_ENOUGH and share_of(sound, hz) > 0.8


def is_other_sound(sound: Samples, tones_hz: tuple[float, ...]) -> bool:
    """Whether there is sound, such as music or speech, that is none of the phones' tones."""
    return level(sound) > LOUD_ENOUGH and all(share_of(sound, hz) < 0.3 for hz in tones_hz)


def write_tone(path: Path, hz: float, seconds: float) -> None:
    """A WAV file with one tone, 8000 Hz mono."""
    at = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(SAMPLE_BYTES)
        file.setframerate(RATE_HZ)
        file.writeframes((6000 * np.sin(2 * np.pi * hz * at)).astype("<i2").tobytes())


class Ear:
    """The growing recording of one call: the file that ``find`` gives once there is one, after ``header_bytes``."""

    def __init__(self, find: Callable[[], Path | None], header_bytes: int = 0) -> None:
        self._find = find
        self._header_bytes = header_bytes

    def all(self) -> Samples:
        """Everything heard up to now."""
        path = self._find()
        data = path.read_bytes()[self._header_bytes :] if path else b""
        return np.frombuffer(data[: len(data) // SAMPLE_BYTES * SAMPLE_BYTES], dtype="<i2")

    def position(self) -> int:
        """How many samples have been heard."""
        path = self._find()
        return max(path.stat().st_size - self._header_bytes, 0) // SAMPLE_BYTES if path else 0

    def since(self, position: int) -> Samples:
        """What came after ``position``."""
        return self.all()[position:]

    def next(self, seconds: float, within_s: float = PATIENCE_S) -> Samples:
        """The next ``seconds`` of sound from now."""
        start, count = self.position(), int(seconds * RATE_HZ)
        eventually(lambda: self.position() >= start + count, f"{seconds} s more of sound", within_s + seconds)
        return self.since(start)[:count]

    def hears_tone(self, hz: float, within_s: float = PATIENCE_S) -> None:
        """Waits until 0.4 s in a row are that tone alone."""
        self._until(lambda sound: is_tone(sound, hz), f"a tone of {hz:g} Hz", 0.4, within_s)

    def hears_music(self, *tones_hz: float, within_s: float = PATIENCE_S) -> None:
        """Waits until a whole second is sound that is none of ``tones_hz``."""
        self._until(lambda sound: is_other_sound(sound, tones_hz), f"sound other than {tones_hz} Hz", 1.0, within_s)

    def hears_nothing(self, within_s: float = PATIENCE_S) -> None:
        """Waits until 0.5 s in a row are silent, or no sound at all has come for a second."""
        deadline = time.monotonic() + within_s
        start, grew_at = self.position(), time.monotonic()
        while True:
            heard = self.since(start)
            if heard.size >= RATE_HZ // 2 and level(heard[-RATE_HZ // 2 :]) < LOUD_ENOUGH:
                return
            size, now = heard.size, time.monotonic()
            time.sleep(0.05)
            if self.position() - start != size:
                grew_at = now
            if now - grew_at > 1.0:
                return
            if now > deadline:
                raise AssertionError(f"it was never silent within {within_s:g} s; {describe(heard)}")

    def _until(self, wanted: Callable[[Samples], bool], what: str, seconds: float, within_s: float) -> None:
        count = int(seconds * RATE_HZ)
        start = self.position()
        deadline = time.monotonic() + within_s
        while True:
            heard = self.since(start)
            if heard.size >= count and wanted(heard[-count:]):
                return
            if time.monotonic() > deadline:
                raise AssertionError(f"never heard {what} within {within_s:g} s; {describe(heard)}")
            time.sleep(0.05)


def describe(sound: Samples) -> str:
    """In words, for a failed assertion: per half second the level and the strongest frequency."""
    if not sound.size:
        return "heard not one sample"
    parts = []
    step = RATE_HZ // 2
    for start in range(0, sound.size - step + 1, step)[-24:]:
        piece = sound[start : start + step].astype(np.float64)
        power = np.abs(np.fft.rfft(piece * np.hanning(step)))
        strongest = int(np.argmax(power[1:]) + 1) * RATE_HZ // step
        parts.append(f"{level(sound[start : start + step]):.0f}@{strongest}Hz")
    return "heard, level and strongest frequency per half second: " + " ".join(parts)

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

from parkade.testing.listening import heard_music, heard_prompt, heard_tone, is_silent, level_dbfs
from tests.interop.waiting import PATIENCE_S

RATE_HZ = 8000
SAMPLE_BYTES = 2
Samples = npt.NDArray[np.int16]


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

    def hears_tone(self, hz: float, within_s: float = PATIENCE_S, since: int | None = None) -> None:
        """Waits until 0.4 s in a row are that tone alone, after the position ``since`` or from now on."""
        self._until(lambda heard: heard_tone(heard[-int(0.5 * RATE_HZ) :], hz, 400), f"a tone of {hz:g} Hz", within_s, since)

    def hears_music(self, within_s: float = PATIENCE_S) -> None:
        """Waits until the hold music has sounded without a break for 0.75 s."""
        self._until(lambda heard: heard_music(heard[-RATE_HZ:], at_least_ms=750), "the hold music", within_s)

    def hears_phrase(self, phrase: str, language: str = "en", within_s: float = PATIENCE_S) -> None:
        """Waits until a recorded phrase has been said in this call: it is said once, and may have begun before the wait."""
        self._until(lambda heard: heard_prompt(heard, language, phrase), f"the phrase {phrase}", within_s, since=0)

    def hears_nothing(self, within_s: float = PATIENCE_S) -> None:
        """Waits until 0.5 s in a row are silent, or no sound at all has come for a second."""
        grew_at, size = time.monotonic(), 0

        def silent(heard: Samples) -> bool:
            nonlocal grew_at, size
            now = time.monotonic()
            if heard.size != size:
                grew_at, size = now, heard.size
            half = RATE_HZ // 2
            return now - grew_at > 1.0 or (heard.size >= half and is_silent(heard[-half:]))

        self._until(silent, "silence", within_s)

    def _until(self, wanted: Callable[[Samples], bool], what: str, within_s: float, since: int | None = None) -> None:
        """Waits until what was heard after ``since``, else since the beginning of the wait, is as ``wanted``."""
        start = self.position() if since is None else since
        deadline = time.monotonic() + within_s
        while not wanted(heard := self.since(start)):
            if time.monotonic() > deadline:
                raise AssertionError(f"never heard {what} within {within_s:g} s; {describe(heard)}")
            time.sleep(0.1)


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
        parts.append(f"{level_dbfs(sound[start : start + step]):.0f}dB@{strongest}Hz")
    return "heard, level and strongest frequency per half second: " + " ".join(parts)

"""Ears for tests and the demo: tells music, prompts, tones and silence apart in what was really received.

Samples are 8 kHz, 16 bit, as one array. Everything is compared by shape, not by loudness, and nothing is taken for heard
because it is loud: music and prompts are found by correlation with the file that should sound, piece by piece, and the
pieces must follow each other as they do in the file. So the start may be unknown, either G.711 law may lie between, a packet
may be lost; but noise, speech, tones and other music are refused. Limits: a recording at another speed or rate is not
recognised.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from parkade.media.sounds import BUILT_IN, read_wav
from parkade.rtp.g711 import Samples

RATE_HZ = 8000
SILENCE_DBFS = -50.0

_Signal: TypeAlias = NDArray[np.float64]
_T = TypeVar("_T", bound=np.generic)

_TONE_WINDOW = RATE_HZ // 10
_TONE_SHARE = 0.8
_PIECE = RATE_HZ // 4
_LONGEST_PIECE = 3 * _PIECE
_MARGIN = RATE_HZ // 20
"""Phrases fade in and out for so long."""
_ALIKE = 0.85
_DRIFT = RATE_HZ // 50
"""How far a piece may be from where the piece before it says it should be: a jitter buffer stretches a little."""


def level_dbfs(samples: Samples | _Signal) -> float:
    """Root mean square in dB of full scale; -inf for digital silence. ``ValueError`` if nothing was recorded at all."""
    if len(samples) == 0:
        raise ValueError("nothing was recorded")
    rms = float(np.sqrt(np.mean((samples / 32768.0) ** 2)))
    return 20.0 * float(np.log10(rms)) if rms > 0.0 else float("-inf")


def is_silent(samples: Samples) -> bool:
    """Whether every 20 ms of ``samples`` is below ``SILENCE_DBFS``. ``ValueError`` if nothing was recorded at all."""
    size = RATE_HZ // 50
    if len(samples) < size:
        return level_dbfs(samples) < SILENCE_DBFS
    return all(level_dbfs(window) < SILENCE_DBFS for window in _windows(samples, size))


def tone_dbfs(samples: Samples, hz: float) -> float:
    """Level in dB of full scale of the sine of ``hz`` in ``samples`` (one Goertzel bin as wide as the recording is short)."""
    if len(samples) == 0:
        raise ValueError("nothing was recorded")
    power = _tone_power(samples / 32768.0, hz)
    return 10.0 * float(np.log10(power)) if power > 0.0 else float("-inf")


def heard_tone(samples: Samples, hz: float, at_least_ms: int = 300) -> bool:
    """Whether a clean tone of ``hz`` (within about 4 Hz) sounds for ``at_least_ms`` on end, with little else beside it."""
    longest = run = 0
    for window in _windows(samples, _TONE_WINDOW):
        signal = window / 32768.0
        total = float(np.mean(signal**2))
        loud = total > 10 ** (SILENCE_DBFS / 10)
        run = run + 1 if loud and _tone_power(signal, hz) > _TONE_SHARE * total else 0
        longest = max(longest, run)
    return longest * _TONE_WINDOW * 1000 >= at_least_ms * RATE_HZ and longest > 0


def heard_music(samples: Samples, name: str = "default", at_least_ms: int = 1000) -> bool:
    """Whether ``at_least_ms`` on end of the hold music ``name`` sound in ``samples``, from any place in the piece."""
    return music_ms(samples, name) >= at_least_ms


def music_ms(samples: Samples, name: str = "default") -> int:
    """How many milliseconds on end of the hold music ``name`` are the most that sound in ``samples``."""
    piece_of_music = _music(name)
    longest = run = 0
    expected: int | None = None
    for piece in _windows(samples.astype(np.float64), _PIECE):
        at = None if expected is None else piece_of_music.find(piece, near=expected)
        if at is None:
            run = 0
            at = piece_of_music.find(piece)
        run = run + 1 if at is not None else 0
        expected = None if at is None else (at + _PIECE) % (piece_of_music.length - _PIECE)
        longest = max(longest, run)
    # One piece alone may be a chord that stands still: where it is in the music says nothing yet.
    return longest * _PIECE * 1000 // RATE_HZ if longest > 1 else 0


def heard_prompt(samples: Samples, language: str, phrase: str) -> bool:
    """Whether the phrase is spoken in ``samples``: at least four of five of its pieces, each where it belongs."""
    reference = _brighten(read_wav(BUILT_IN / "prompts" / language / f"{phrase}.wav")[_MARGIN:-_MARGIN])
    size = _PIECE if len(reference) >= 3 * _PIECE else len(reference)
    pieces = [
        (start * size, piece) for start, piece in enumerate(_windows(reference, size)) if level_dbfs(piece) > SILENCE_DBFS + 15
    ]
    recording = _Recording(_brighten(samples))
    best = 0
    for anchor, piece in pieces[:3]:
        at = recording.find(piece)
        if at is not None:
            origin = at - anchor
            best = max(best, sum(recording.find(other, near=origin + offset) is not None for offset, other in pieces))
    return best > 0 and best * 5 >= len(pieces) * 4


def longest_gap_ms(arrivals: Sequence[float]) -> float:
    """The longest time between two packets next to each other, from their arrival times in seconds.

    ``ValueError`` if there are fewer than two packets, because then there was nothing but gap.
    """
    if len(arrivals) < 2:
        raise ValueError("fewer than two packets arrived")
    return float(np.max(np.diff(np.asarray(arrivals)))) * 1000.0


def _windows(samples: NDArray[_T], size: int) -> list[NDArray[_T]]:
    return [samples[start : start + size] for start in range(0, len(samples) - size + 1, size)]


def _brighten(samples: Samples) -> _Signal:
    """Lift the high frequencies: words of one voice differ there, while their vowels share a pitch."""
    return np.diff(samples.astype(np.float64), prepend=0.0)


def _tone_power(signal: _Signal, hz: float) -> float:
    """Mean square of the part of ``signal`` that is a sine of ``hz``."""
    turns = np.exp(-2j * np.pi * hz / RATE_HZ * np.arange(len(signal)))
    return float(2.0 * np.abs(np.mean(signal * turns)) ** 2)


class _Recording:
    """Samples in which pieces are looked for."""

    def __init__(self, samples: _Signal) -> None:
        self.length = len(samples)
        self._samples = samples
        self._energy = np.concatenate([[0.0], np.cumsum(samples**2)])
        self._spectrum: NDArray[np.complex128] | None = None

    def find(self, piece: _Signal, near: int | None = None) -> int | None:
        """Where it sounds like ``piece``, only around ``near`` if that is given; None if nowhere."""
        if level_dbfs(piece) < SILENCE_DBFS:
            return None
        first, last = (0, self.length) if near is None else (max(0, near - _DRIFT), near + _DRIFT)
        last = min(last, self.length - len(piece))
        if last < first:
            return None
        if near is None:
            correlation = self._correlate_all(piece)[: last + 1]
        else:
            correlation = np.correlate(self._samples[first : last + len(piece)], piece, "valid")
        energy = self._energy[first + len(piece) : last + len(piece) + 1] - self._energy[first : last + 1]
        # Windows of silence would divide nothing by nothing.
        floor = len(piece) * (32768.0 * 10 ** (SILENCE_DBFS / 20)) ** 2
        likeness = correlation / np.sqrt(np.maximum(energy, floor) * np.sum(piece**2))
        best = int(np.argmax(likeness))
        return first + best if likeness[best] >= _ALIKE else None

    def _correlate_all(self, piece: _Signal) -> _Signal:
        size = 1 << (self.length + _LONGEST_PIECE).bit_length()
        if self._spectrum is None:
            self._spectrum = np.fft.rfft(self._samples, size)
        return np.fft.irfft(self._spectrum * np.conj(np.fft.rfft(piece, size)), size)


@lru_cache(maxsize=4)
def _music(name: str) -> _Recording:
    """The piece with its beginning once more at the end, as it sounds when it comes round."""
    samples = read_wav(BUILT_IN / "music" / f"{name}.wav").astype(np.float64)
    return _Recording(np.concatenate([samples, samples[:_PIECE]]))

"""Finds keypad keys in the sound itself (ITU-T Q.23, Q.24), for phones that speak no telephone events.

The sound is looked at through windows of 20 ms, one every 10 ms. A window shows a key when nearly all of its energy is in one
row tone and one column tone of about equal strength; a key is told when two windows in a row show it, and not again before
four windows in a row do not. Speech and music seldom put nearly everything into two such frequencies for 30 ms, which is the
whole protection against keys that nobody pressed. No row and column are in the ratio of small whole numbers, so two overtones
of one voice that come near a key mostly miss one of its tones by about 2 %.

Accepts tones of 40 ms and more, pauses of 40 ms and more, levels from about -33 dBm0, frequencies within 1.5 %, noise 12 dB
below the tones. Frequencies that are off by 2 % are no key's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from parkade.rtp.g711 import Samples
from parkade.rtp.tones import COLUMNS_HZ, KEYPAD, RATE_HZ, ROWS_HZ

_WINDOW = 160
_HOP = 80
_DETUNED = (-0.026, -0.011, 0.0, 0.011, 0.026)
"""Each tone is looked for at its frequency and beside it, because a window of 20 ms is 50 Hz narrow. Where the outermost hear
more than those between, the sound is about 1.9 % off or more, and no tone of a key."""


def _correlators(detuned: tuple[float, ...] = _DETUNED) -> NDArray[np.float32]:
    """Cosines, then sines, of every tone at every detuning: tone by tone, scaled so that a pure tone gives its power."""
    nominal = np.array(ROWS_HZ + COLUMNS_HZ, np.float64)
    frequencies_hz = (nominal[:, None] * (1 + np.array(detuned))).ravel()
    phase = 2 * np.pi * frequencies_hz[:, None] * np.arange(_WINDOW) / RATE_HZ
    return np.concatenate([np.cos(phase), np.sin(phase)]).astype(np.float32) * np.float32(np.sqrt(2) / _WINDOW)


_NOMINAL = _correlators((0.0,))
_TONES = len(ROWS_HZ) + len(COLUMNS_HZ)
_SUSPICIOUS = 0.35
"""The share of the energy that the strongest row and column have where a key may be: a tone 1.5 % off has 0.42."""
_FAINT = 150
"""Most samples of the faintest key are louder."""


def may_hold_a_key(samples: NDArray[np.float32]) -> bool:
    """Whether 20 ms of sound are worth a closer look: a tenth of the price, true for every key and seldom else."""
    if len(samples) != _WINDOW:
        return True
    power = float(samples.dot(samples)) / _WINDOW
    if power < KeyToneListener.MIN_POWER:
        return False
    # Sixteen numbers are added and compared sooner without numpy.
    found = _NOMINAL.dot(samples).tolist()
    tones = [cosine * cosine + sine * sine for cosine, sine in zip(found[:_TONES], found[_TONES:], strict=True)]
    return bool(max(tones[: len(ROWS_HZ)]) + max(tones[len(ROWS_HZ) :]) >= _SUSPICIOUS * power)


def quiet_octets(decode: Callable[[bytes], Samples]) -> bytes:
    """The octets of a codec that are too faint for a key, to be left out by ``payload.translate(None, …)``."""
    return bytes(code for code, level in enumerate(decode(bytes(range(256)))) if abs(int(level)) < _FAINT)


class KeyToneListener:
    """Listens to one leg."""

    __slots__ = ("_down", "_hits", "_misses", "_rest", "_shown")

    MIN_POWER: Final = 1.2e5
    """Mean square of a window, 16-bit full scale: about -33 dBm0."""
    PURITY: Final = 0.84
    NORMAL_TWIST: Final = 10 ** (8 / 10)
    REVERSE_TWIST: Final = 10 ** (4 / 10)
    """How much stronger the column may be than the row, and the row than the column (Q.24)."""
    HITS: Final = 2
    MISSES: Final = 4
    """Windows that show a key before it is told, and that do not before it is let go."""

    _CORRELATORS: Final = _correlators()
    _SIZE: Final = len(_DETUNED) * (len(ROWS_HZ) + len(COLUMNS_HZ))

    def __init__(self) -> None:
        self._rest: Samples = np.zeros(_WINDOW - _HOP, np.int16)
        self._down = ""
        self._shown = ""
        self._hits = 0
        self._misses = 0

    @property
    def is_busy(self) -> bool:
        """Whether a key is down, or may be."""
        return bool(self._shown or self._down)

    def begin(self, before: Samples) -> None:
        """What comes next does not follow what was heard, but ``before``."""
        self._rest = before[-(_WINDOW - _HOP) :]

    def hear(self, samples: Samples) -> str:
        """The keys newly pressed in the next piece of sound (of any length), in order; mostly none."""
        sound = np.concatenate([self._rest, samples])
        count = max(0, (len(sound) - _WINDOW) // _HOP + 1)
        self._rest = sound[count * _HOP :]
        if not count:
            return ""
        windows = np.lib.stride_tricks.sliding_window_view(sound, _WINDOW)[::_HOP].astype(np.float32)
        power = np.einsum("ij,ij->i", windows, windows) / _WINDOW
        if not self._shown and not self._down and power.max() < self.MIN_POWER:
            return ""
        correlated = windows @ self._CORRELATORS.T
        squared = correlated[:, : self._SIZE] ** 2 + correlated[:, self._SIZE :] ** 2
        beside = squared.reshape(count, -1, len(_DETUNED))
        within = beside[:, :, 1:-1].max(axis=2)
        tones = np.where(np.maximum(beside[:, :, 0], beside[:, :, -1]) > within, np.float32(0), within)
        return "".join(self._window(float(p), t) for p, t in zip(power, tones, strict=True))

    def _window(self, power: float, tones: NDArray[np.float32]) -> str:
        shown = self._key(power, tones)
        self._hits = self._hits + 1 if shown and shown == self._shown else int(bool(shown))
        self._shown = shown
        self._misses = 0 if shown and shown == self._down else self._misses + 1
        if self._misses >= self.MISSES:
            self._down = ""
        if self._hits >= self.HITS and shown != self._down:
            self._down, self._misses = shown, 0
            return shown
        return ""

    def _key(self, power: float, tones: NDArray[np.float32]) -> str:
        if power < self.MIN_POWER:
            return ""
        rows = len(ROWS_HZ)
        row, column = int(tones[:rows].argmax()), int(tones[rows:].argmax())
        low, high = float(tones[row]), float(tones[rows + column])
        if low + high < self.PURITY * power or high > low * self.NORMAL_TWIST or low > high * self.REVERSE_TWIST:
            return ""
        return KEYPAD[row][column]

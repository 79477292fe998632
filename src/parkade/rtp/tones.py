"""Call-progress tones and key tones as samples.

The cadences are those of ITU-T E.180 supplement 2 for most of Europe and Asia, Vietnam among them: 425 Hz, one second in five
while it rings, half seconds when busy.
"""

from __future__ import annotations

import numpy as np

from parkade.rtp.g711 import Samples

RATE_HZ = 8000
_TONE_HZ = 425
_AMPLITUDE = 5000.0
_FADE_MS = 5

_CADENCES_MS: dict[str, tuple[int, int]] = {"ringback": (1000, 4000), "busy": (500, 500)}
"""On and off, by the names that ``Tone`` has."""

ROWS_HZ = (697, 770, 852, 941)
COLUMNS_HZ = (1209, 1336, 1477, 1633)
KEYPAD = ("123A", "456B", "789C", "*0#D")
"""ITU-T Q.23: a key is the sum of the tone of its row and the tone of its column."""

KEY_HZ = {
    key: (row_hz, column_hz)
    for row_hz, row in zip(ROWS_HZ, KEYPAD, strict=True)
    for column_hz, key in zip(COLUMNS_HZ, row, strict=True)
}


def progress_tone(name: str) -> Samples:
    """One period of ``ringback`` or ``busy``, to be repeated without end."""
    on_ms, off_ms = _CADENCES_MS[name]
    return np.concatenate([_sines((_TONE_HZ,), on_ms, _AMPLITUDE), np.zeros(off_ms * RATE_HZ // 1000, np.int16)])


def key_tone(key: str, duration_ms: int, amplitude: float = _AMPLITUDE) -> Samples:
    """The two tones of ``key``, each with the peak ``amplitude`` of 32767."""
    return _sines(KEY_HZ[key], duration_ms, amplitude)


def _sines(frequencies_hz: tuple[int, ...], duration_ms: int, amplitude: float) -> Samples:
    at_s = np.arange(duration_ms * RATE_HZ // 1000) / RATE_HZ
    # A tone that starts or stops at once clicks.
    fade_s = _FADE_MS / 1000
    envelope = np.clip(np.minimum(at_s, at_s[::-1]) / fade_s, 0, 1)
    sound = sum(np.sin(2 * np.pi * hz * at_s) for hz in frequencies_hz) * envelope * amplitude
    return np.asarray(np.rint(sound), np.int16)

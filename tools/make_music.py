"""Makes the hold music that Parkade ships: ``python -m tools.make_music`` writes ``media/sounds/music/default.wav``.

The piece is the project's own: sixteen bars in D major, played by three voices that are sums of sines, so that it costs no
licence and comes out the same everywhere. It is written onto a ring: what rings on after the last bar sounds in
the first one, so the end runs into the beginning without a click. It is made for telephones (8 kHz, 300 to 3400 Hz, no
dependence on the bass) and stays clear of the keypad: no voice has a fundamental above 660 Hz, where the DTMF rows begin, and
overtones are too weak for a second tone.
"""

from __future__ import annotations

import sys
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float64]

RATE_HZ = 8000
BEAT_S = 0.75
BEATS_IN_BAR = 4
LEVEL_DBFS = -20.0
SOUNDS = Path(__file__).resolve().parent.parent / "src" / "parkade" / "media" / "sounds" / "music"

NOTES = {name: step for step, name in enumerate(("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"))}


@dataclass(frozen=True, slots=True)
class Voice:
    """How an instrument sounds: strength of each overtone, how fast it speaks and how long it rings."""

    overtones: tuple[float, ...]
    attack_s: float
    decay_s: float
    gain: float


KEYS = Voice(overtones=(1.0, 0.28, 0.12, 0.05), attack_s=0.012, decay_s=1.1, gain=0.30)
PAD = Voice(overtones=(1.0, 0.20, 0.08), attack_s=0.60, decay_s=4.0, gain=0.16)
SONG = Voice(overtones=(1.0, 0.18, 0.06), attack_s=0.05, decay_s=1.6, gain=0.34)

# One chord a bar. The keys break it upwards, the pad holds it.
CHORDS = (
    "D3 A3 D4 F#4", "B2 F#3 B3 D4", "G2 D3 B3 D4", "A2 E3 A3 C#4",
    "D3 A3 D4 F#4", "F#2 C#3 A3 C#4", "G2 D3 G3 B3", "A2 E3 G3 C#4",
    "B2 F#3 B3 D4", "G2 D3 B3 D4", "D3 A3 D4 F#4", "A2 E3 A3 C#4",
    "G2 D3 G3 B3", "E3 B3 E4 G4", "A2 E3 A3 D4", "A2 E3 A3 C#4",
)  # fmt: skip

# The tune: bar, beat, note, length in beats. It rests where somebody on hold would like to breathe.
TUNE = (
    (0, 1.0, "F#4", 1.0), (0, 2.0, "A4", 2.0), (1, 1.0, "B4", 1.0), (1, 2.0, "A4", 2.0),
    (2, 1.0, "D5", 1.5), (2, 2.5, "B4", 1.5), (3, 0.0, "C#5", 3.0),
    (4, 1.0, "F#4", 1.0), (4, 2.0, "A4", 2.0), (5, 1.0, "C#5", 1.0), (5, 2.0, "A4", 2.0),
    (6, 0.0, "B4", 1.5), (6, 1.5, "D5", 2.5), (7, 0.0, "C#5", 1.5), (7, 1.5, "E4", 1.5),
    (8, 1.0, "D5", 1.0), (8, 2.0, "F#4", 2.0), (9, 1.0, "B4", 1.0), (9, 2.0, "D5", 2.0),
    (10, 0.5, "A4", 1.5), (10, 2.0, "F#4", 2.0), (11, 0.0, "E4", 1.0), (11, 1.0, "A4", 2.5),
    (12, 0.0, "B4", 1.0), (12, 1.0, "D5", 1.0), (12, 2.0, "E5", 2.0), (13, 1.0, "B4", 1.0), (13, 2.0, "G4", 2.0),
    (14, 0.0, "A4", 3.0), (15, 0.0, "E4", 1.0), (15, 1.0, "C#5", 2.0),
)  # fmt: skip


def frequency_hz(note: str) -> float:
    """Equal temperament, A4 = 440 Hz: ``C#5`` is 554.37."""
    semitones_from_a4 = NOTES[note[:-1]] - NOTES["A"] + 12 * (int(note[-1]) - 4)
    return float(440.0 * 2.0 ** (semitones_from_a4 / 12.0))


class Ring:
    """A loop of samples; what is laid on beyond its end sounds at its beginning."""

    def __init__(self, duration_s: float) -> None:
        self.samples: Samples = np.zeros(round(duration_s * RATE_HZ))

    def play(self, voice: Voice, note: str, at_s: float, length_s: float, loudness: float = 1.0) -> None:
        """Lay ``note`` on the ring from ``at_s`` for ``length_s``, then let it ring out."""
        release_s = 0.35
        time_s = np.arange(round((length_s + 4 * release_s) * RATE_HZ)) / RATE_HZ
        rising = 1.0 - np.exp(-time_s / voice.attack_s)
        fading = np.exp(-time_s / voice.decay_s) * np.exp(-np.maximum(0.0, time_s - length_s) / (release_s / 2))
        closing = np.clip((time_s[-1] - time_s) / 0.05, 0.0, 1.0)
        tone = np.zeros_like(time_s)
        for number, strength in enumerate(voice.overtones, start=1):
            # Two strings a hair apart: the slow beating keeps pure sines from sounding like a test tone.
            for detune in (0.9985, 1.0015):
                tone += 0.5 * strength * np.sin(2 * np.pi * frequency_hz(note) * number * detune * time_s)
        start = round(at_s * RATE_HZ)
        where = (start + np.arange(len(time_s))) % len(self.samples)
        self.samples[where] += voice.gain * loudness * tone * rising * fading * closing


def compose() -> Samples:
    """The whole piece, between -1 and 1, at the level asked for."""
    bar_s = BEATS_IN_BAR * BEAT_S
    ring = Ring(len(CHORDS) * bar_s)
    for bar, chord in enumerate(CHORDS):
        notes = chord.split()
        for note in notes[1:]:
            ring.play(PAD, note, bar * bar_s, bar_s)
        for eighth, place in enumerate((0, 1, 2, 3, 2, 3, 2, 1)):
            # A telephone has no bass to give: the low note is only touched, the last two step back for the tune.
            loudness = (0.7, 0.7, 0.8, 0.8, 0.75, 0.7, 0.6, 0.55)[eighth]
            ring.play(KEYS, notes[place], bar * bar_s + eighth * BEAT_S / 2, BEAT_S, loudness)
    for bar, beat, note, beats in TUNE:
        ring.play(SONG, note, bar * bar_s + beat * BEAT_S, beats * BEAT_S)
    rms = float(np.sqrt(np.mean(ring.samples**2)))
    return ring.samples * (10 ** (LEVEL_DBFS / 20.0) / rms)


def write_wav(path: Path, samples: Samples) -> None:
    """Write 8 kHz, 16 bit, mono."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE_HZ)
        out.writeframes(np.round(np.clip(samples, -1.0, 1.0) * 32767).astype("<i2").tobytes())


def main() -> None:
    """Write the piece to the folder given, or to its place in the tree."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else SOUNDS
    samples = compose()
    path = folder / "default.wav"
    write_wav(path, samples)
    print(f"{path}: {len(samples) / RATE_HZ:.1f} s, peak {np.max(np.abs(samples)):.2f}")


if __name__ == "__main__":
    main()

"""Keys in the sound itself (ITU-T Q.23, Q.24): all that are pressed, and none that are not."""

import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from parkade.rtp import g711
from parkade.rtp.dtmf import KEYS
from parkade.rtp.g711 import Samples
from parkade.rtp.keytones import KeyToneListener
from parkade.rtp.tones import KEY_HZ, RATE_HZ, key_tone

SOUNDS = Path(g711.__file__).parents[1] / "media" / "sounds"


def silence(duration_ms: float) -> Samples:
    return np.zeros(round(duration_ms * RATE_HZ / 1000), np.int16)


def heard(*sound: Samples, frame: int = 160) -> str:
    listener = KeyToneListener()
    whole = np.concatenate([*sound, silence(60)])
    return "".join(listener.hear(whole[at : at + frame]) for at in range(0, len(whole), frame))


def pair(row: tuple[float, float], column: tuple[float, float], duration_ms: int = 50) -> Samples:
    at_s = np.arange(duration_ms * RATE_HZ // 1000) / RATE_HZ
    return np.asarray(sum(peak * np.sin(2 * np.pi * hz * at_s) for hz, peak in (row, column)), np.int16)


@pytest.mark.parametrize("law", [(g711.to_ulaw, g711.from_ulaw), (g711.to_alaw, g711.from_alaw)], ids=["u-law", "A-law"])
@pytest.mark.parametrize("offset_ms", [0, 3.5, 9, 16])
def test_every_key_of_40_ms_with_pauses_of_40_ms_is_heard_once(law: tuple[object, object], offset_ms: float) -> None:
    encode, decode = law
    assert callable(encode)
    assert callable(decode)
    keys = KEYS + "5500"
    sound = np.concatenate([silence(offset_ms), *(part for key in keys for part in (key_tone(key, 40), silence(40)))])
    assert heard(decode(encode(sound))) == keys


@given(
    st.text(KEYS, max_size=6),
    st.integers(40, 120),
    st.integers(40, 120),
    st.integers(450, 12000),
    st.sampled_from([80, 160, 240]),
)
@settings(max_examples=30)
def test_keys_are_heard_at_any_level_length_and_packet_time(
    keys: str, on_ms: int, off_ms: int, amplitude: int, frame: int
) -> None:
    sound = [part for key in keys for part in (key_tone(key, on_ms, amplitude), silence(off_ms))]
    assert heard(silence(7), *sound, frame=frame) == keys


def test_a_key_held_for_long_is_one_press_and_a_click_in_it_does_no_harm() -> None:
    tone = key_tone("8", 2000)
    tone[8000:8040] = 0
    assert heard(tone) == "8"


@pytest.mark.parametrize(("off_by", "found"), [(0.0, True), (0.015, True), (-0.015, True), (0.035, False), (-0.035, False)])
def test_frequencies_may_be_off_by_what_the_standard_allows(off_by: float, found: bool) -> None:
    for key, (row_hz, column_hz) in KEY_HZ.items():
        sound = pair((row_hz * (1 + off_by), 5000), (column_hz * (1 + off_by), 5000))
        assert heard(silence(5), sound) == (key if found else "")


@pytest.mark.parametrize(("column_db", "found"), [(7, True), (-3, True), (10, False), (-6, False)])
def test_the_two_tones_must_be_about_equally_strong(column_db: float, found: bool) -> None:
    for key, (row_hz, column_hz) in KEY_HZ.items():
        assert heard(pair((row_hz, 3000), (column_hz, 3000 * 10 ** (column_db / 20)))) == (key if found else "")


def test_a_tone_of_20_ms_is_no_press() -> None:
    assert "".join(heard(silence(offset), key_tone(key, 20)) for key in KEYS for offset in (0, 4, 8)) == ""


def test_one_tone_alone_is_no_press() -> None:
    assert heard(*(pair((hz, 8000), (hz, 0), 100) for tones in KEY_HZ.values() for hz in tones)) == ""


@pytest.mark.parametrize("below_db", [15, 12])
def test_keys_are_heard_through_noise(below_db: int) -> None:
    noise = np.random.default_rng(7)
    tone = np.concatenate([part for key in KEYS for part in (key_tone(key, 60), silence(60))]).astype(np.float64)
    noisy = tone + noise.normal(0, 5000 / 10 ** (below_db / 20), len(tone))
    assert heard(np.clip(noisy, -32768, 32767).astype(np.int16)) == KEYS


# Talk-off: none of this is a press


def test_recorded_speech_and_music_press_no_key() -> None:
    recordings = sorted(SOUNDS.rglob("*.wav"))
    assert recordings
    for recording in recordings:
        with wave.open(str(recording)) as file:
            assert (file.getframerate(), file.getsampwidth(), file.getnchannels()) == (RATE_HZ, 2, 1)
            assert heard(np.frombuffer(file.readframes(file.getnframes()), np.int16)) == "", recording.name


def voice(seed: int, pitch_hz: float, strengths: NDArray[np.float64]) -> Samples:
    """Half a second of a pitch that glides by a fifth up and down, with its overtones and a little noise."""
    chance = np.random.default_rng(seed)
    at_s = np.arange(RATE_HZ // 2) / RATE_HZ
    glide = np.cumsum(pitch_hz * (1 + 0.2 * np.sin(2 * np.pi * chance.uniform(1, 6) * at_s))) / RATE_HZ
    tones = sum(s * np.sin(2 * np.pi * (n + 1) * glide) for n, s in enumerate(strengths))
    sound = tones / max(1e-9, float(np.abs(tones).max())) + chance.normal(0, 0.02, len(at_s))
    return np.asarray(sound * 12000, np.int16)


def strengths_of(seed: int, overtones: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).exponential(1.0, overtones) / np.arange(1, overtones + 1)


def is_a_key_for_a_moment(strengths: NDArray[np.float64]) -> bool:
    """Whether nearly all is in two overtones that glide through a key, both within 1.5 %: nothing tells them from one."""
    first, second = sorted(np.argsort(strengths)[-2:] + 1) if len(strengths) > 1 else (1, 1)
    share = float(np.sort(strengths**2)[-2:].sum() / (strengths**2).sum())
    return share > 0.8 and any(abs(second / first * row_hz / column_hz - 1) < 0.031 for row_hz, column_hz in KEY_HZ.values())


@given(st.integers(0, 2**32 - 1), st.floats(80, 400), st.integers(1, 25))
@settings(max_examples=25)
def test_voices_chords_and_noise_press_no_key(seed: int, pitch_hz: float, overtones: int) -> None:
    strengths = strengths_of(seed, overtones)
    assume(not is_a_key_for_a_moment(strengths))
    assert heard(voice(seed, pitch_hz, strengths)) == ""


def test_noise_alone_presses_no_key() -> None:
    assert heard(np.random.default_rng(3).normal(0, 6000, 5 * RATE_HZ).clip(-32768, 32767).astype(np.int16)) == ""

"""The ears of the tests hear what is there, and nothing that is not."""

from __future__ import annotations

import numpy as np
import pytest

from parkade.media.sounds import BUILT_IN, encode, read_wav
from parkade.rtp.g711 import Samples, from_alaw, from_ulaw
from parkade.rtp.tones import key_tone, progress_tone
from parkade.testing.listening import (
    heard_music,
    heard_prompt,
    heard_tone,
    is_silent,
    level_dbfs,
    longest_gap_ms,
    music_ms,
    tone_dbfs,
)

MUSIC = read_wav(BUILT_IN / "music" / "default.wav")
PHRASES = sorted(path.stem for path in (BUILT_IN / "prompts" / "en").glob("*.wav"))


def prompt(language: str, phrase: str) -> Samples:
    return read_wav(BUILT_IN / "prompts" / language / f"{phrase}.wav")


def sine(hz: float, duration_s: float = 2.0, amplitude: float = 4000.0) -> Samples:
    return np.round(amplitude * np.sin(2 * np.pi * hz * np.arange(round(duration_s * 8000)) / 8000)).astype(np.int16)


def noise(duration_s: float = 2.0, amplitude: float = 3000.0) -> Samples:
    return np.random.default_rng(7).normal(0.0, amplitude, round(duration_s * 8000)).clip(-32767, 32767).astype(np.int16)


def quiet(duration_s: float) -> Samples:
    return np.zeros(round(duration_s * 8000), np.int16)


def through(samples: Samples, codec: str) -> Samples:
    payload = encode(samples, codec)
    return from_alaw(payload) if codec == "PCMA" else from_ulaw(payload)


NOT_MUSIC = {
    "noise": noise(),
    "speech": np.concatenate([prompt("en", phrase) for phrase in ("parked-at", "please-wait")]),
    "vietnamese speech": prompt("vi", "no-call-parked-at"),
    "a note of the piece": sine(293.66),
    "a chord of the piece": sine(293.66, 2.0, 2000) + sine(220.0, 2.0, 2000) + sine(369.99, 2.0, 2000),
    "ringback": progress_tone("ringback"),
    "busy": np.tile(progress_tone("busy"), 2),
    "keys": np.concatenate([key_tone(key, 400) for key in "159#"]),
    "the piece backwards": MUSIC[:20000][::-1],
    "the piece a little faster": np.interp(np.arange(0, 20000, 1.03), np.arange(20000), MUSIC[:20000]).astype(np.int16),
    "silence": quiet(4.0),
    "half a second of it": MUSIC[40000:44000],
    "nothing": quiet(0.0),
}


@pytest.mark.parametrize("codec", ["PCMU", "PCMA"])
@pytest.mark.parametrize("offset", [0, 12345, len(MUSIC) - 5000])
def test_music_is_heard_from_any_place_through_either_law(codec: str, offset: int) -> None:
    assert heard_music(through(np.roll(MUSIC, -offset)[:20000], codec))


@pytest.mark.parametrize("gain", [0.1, 0.5, 2.0])
def test_music_is_heard_loud_or_soft(gain: float) -> None:
    assert heard_music((MUSIC[8000:32000] * gain).astype(np.int16))


def test_music_is_heard_after_something_else_and_its_length_is_known() -> None:
    recording = np.concatenate([quiet(0.7), sine(440.0, 1.3), MUSIC[:24000], noise(1.0)])
    assert heard_music(recording)
    assert 2500 <= music_ms(recording) <= 3000


def test_music_is_heard_although_packets_were_lost() -> None:
    recording = MUSIC[16000:48000].copy()
    for start in range(0, len(recording), 8000):
        recording[start : start + 160] = 0
    assert heard_music(recording)


@pytest.mark.parametrize("what", NOT_MUSIC)
def test_nothing_else_is_taken_for_music(what: str) -> None:
    assert not heard_music(NOT_MUSIC[what])


@pytest.mark.parametrize("codec", ["PCMU", "PCMA"])
@pytest.mark.parametrize("language", ["en", "vi"])
def test_each_phrase_is_heard_in_a_recording_and_only_where_it_is_spoken(language: str, codec: str) -> None:
    said = ["parked-at", "star", "8", "0", "1"]
    recording = through(np.concatenate([quiet(0.31), *[prompt(language, phrase) for phrase in said], quiet(0.2)]), codec)
    assert [phrase for phrase in PHRASES if heard_prompt(recording, language, phrase)] == sorted(said)


@pytest.mark.parametrize("language", ["en", "vi"])
@pytest.mark.parametrize("phrase", PHRASES)
def test_each_phrase_is_told_from_all_others(language: str, phrase: str) -> None:
    recording = prompt(language, phrase)
    heard = {other for other in PHRASES if heard_prompt(recording, language, other)}
    # In Vietnamese "không" is zero and also the "no" of most of these sentences.
    assert heard - ({"0"} if language == "vi" else set()) == {phrase} - ({"0"} if language == "vi" else set())


@pytest.mark.parametrize("what", ["noise", "a note of the piece", "ringback", "keys", "silence", "nothing"])
def test_nothing_else_is_taken_for_a_phrase(what: str) -> None:
    assert not any(heard_prompt(NOT_MUSIC[what], "en", phrase) for phrase in PHRASES)


def test_music_is_not_taken_for_a_phrase_nor_the_phrase_in_another_language() -> None:
    assert not any(heard_prompt(MUSIC[:64000], "en", phrase) for phrase in PHRASES)
    assert not heard_prompt(prompt("vi", "lot-full"), "en", "lot-full")


@pytest.mark.parametrize("codec", ["PCMU", "PCMA"])
def test_a_tone_is_heard_at_its_frequency_only(codec: str) -> None:
    recording = through(np.concatenate([noise(0.5), sine(1004.0), quiet(0.5)]), codec)
    assert heard_tone(recording, 1004.0)
    assert not any(heard_tone(recording, hz) for hz in (425.0, 980.0, 1030.0, 2008.0))


@pytest.mark.parametrize("hz", [425.0, 440.0, 1004.0])
@pytest.mark.parametrize("what", sorted(set(NOT_MUSIC) - {"ringback", "busy"}))
def test_nothing_else_is_taken_for_a_tone(what: str, hz: float) -> None:
    assert not heard_tone(NOT_MUSIC[what], hz)


def test_no_tone_is_heard_in_music() -> None:
    assert not any(heard_tone(MUSIC, hz) for hz in range(300, 1700, 25))


def test_a_tone_that_is_too_short_or_drowned_is_not_heard() -> None:
    assert not heard_tone(np.concatenate([quiet(0.5), sine(1004.0, 0.2), quiet(0.5)]), 1004.0)
    assert not heard_tone((sine(1004.0) * 0.5 + noise()).astype(np.int16), 1004.0)


def test_the_level_of_a_tone_is_measured() -> None:
    recording = sine(1000.0, amplitude=3276.7)
    assert tone_dbfs(recording, 1000.0) == pytest.approx(-23.0, abs=0.1)
    assert level_dbfs(recording) == pytest.approx(-23.0, abs=0.1)
    assert tone_dbfs(recording, 2000.0) < -80.0


@pytest.mark.parametrize("codec", ["PCMU", "PCMA"])
def test_silence_is_silent_through_either_law_and_a_short_sound_in_it_is_not(codec: str) -> None:
    assert is_silent(through(quiet(1.0), codec))
    assert not is_silent(through(np.concatenate([quiet(1.0), sine(440.0, 0.05, 500.0), quiet(1.0)]), codec))


def test_an_empty_recording_is_not_silence_but_a_mistake() -> None:
    with pytest.raises(ValueError, match="nothing was recorded"):
        is_silent(quiet(0.0))


def test_the_longest_gap_is_found() -> None:
    assert longest_gap_ms([0.0, 0.02, 0.04, 0.1, 0.12]) == pytest.approx(60.0)
    with pytest.raises(ValueError, match="fewer than two"):
        longest_gap_ms([1.0])

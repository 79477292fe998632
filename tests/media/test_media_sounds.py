"""What is in the sound folder can be played, and what is not does no harm."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from parkade.base.sound import Music, Spoken, Tone
from parkade.media.sounds import BUILT_IN, Frames, SoundError, Sounds, cut, encode, read_wav
from parkade.rtp.g711 import from_alaw, from_ulaw
from parkade.rtp.keytones import KeyToneListener
from parkade.testing.listening import heard_music, heard_prompt, heard_tone, is_silent, level_dbfs
from tools.make_music import compose
from tools.make_prompts import PHRASES

LANGUAGES = ("en", "vi")


def made(sounds: Sounds, sound: Music | Tone | Spoken, codec: str, ptime_ms: int) -> Frames:
    frames = sounds.frames(sound, codec, ptime_ms)
    assert frames is not None
    return frames


def write(path: Path, rate_hz: int = 8000, channels: int = 1, width: int = 2, data: bytes = bytes(16000)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as out:
        out.setframerate(rate_hz)
        out.setnchannels(channels)
        out.setsampwidth(width)
        out.writeframes(data)
    return path


def test_the_music_in_the_tree_is_the_one_the_script_makes() -> None:
    made = np.round(np.clip(compose(), -1.0, 1.0) * 32767)
    shipped = read_wav(BUILT_IN / "music" / "default.wav")
    # Sines may differ in the last bit from one processor to the next.
    assert np.max(np.abs(made - shipped)) <= 1


def test_the_music_is_level_and_has_no_seam() -> None:
    music = read_wav(BUILT_IN / "music" / "default.wav")
    assert level_dbfs(music) == pytest.approx(-20.0, abs=0.5)
    steps = np.abs(np.diff(np.concatenate([music[-4000:], music[:4000]]).astype(np.int32)))
    assert steps[3999] <= np.percentile(steps, 99)
    assert len(music) % 960 == 0


@pytest.mark.parametrize("codec", ["PCMU", "PCMA"])
def test_the_music_presses_no_key_in_either_law(codec: str) -> None:
    encoded = encode(read_wav(BUILT_IN / "music" / "default.wav"), codec)
    assert KeyToneListener().hear(from_alaw(encoded) if codec == "PCMA" else from_ulaw(encoded)) == ""


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_phrase_of_the_table_is_recorded_in_every_language_and_nothing_else_is(language: str) -> None:
    assert {path.stem for path in (BUILT_IN / "prompts" / language).iterdir()} == set(PHRASES)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("phrase", sorted(PHRASES))
def test_a_phrase_is_level_trimmed_and_presses_no_key(language: str, phrase: str) -> None:
    samples = read_wav(BUILT_IN / "prompts" / language / f"{phrase}.wav")
    assert -26.0 < level_dbfs(samples) < -17.0
    assert 0.2 < len(samples) / 8000 < 8.0
    assert is_silent(samples[:160])
    assert is_silent(samples[-160:])
    assert KeyToneListener().hear(samples) == ""


@pytest.mark.parametrize("codec", ["PCMU", "PCMA"])
def test_phrases_are_strung_together_in_order(codec: str) -> None:
    frames = made(Sounds(), Spoken("", "en", ("parked-at", "star", "8")), codec, 20)
    payload = b"".join(frames)
    heard = from_alaw(payload) if codec == "PCMA" else from_ulaw(payload)
    assert {len(frame) for frame in frames} == {160}
    third = len(read_wav(BUILT_IN / "prompts" / "en" / "8.wav"))
    assert heard_prompt(heard, "en", "parked-at")
    assert heard_prompt(heard, "en", "star")
    assert heard_prompt(heard[-third - 160 :], "en", "8")
    assert not heard_prompt(heard[: -third - 160], "en", "8")


@pytest.mark.parametrize("ptime_ms", [10, 20, 30, 40, 60])
def test_a_loop_fills_its_last_frame_in_every_packet_time(ptime_ms: int) -> None:
    sounds = Sounds()
    for frames in (made(sounds, Music("default"), "PCMU", ptime_ms), made(sounds, Tone("busy"), "PCMU", ptime_ms)):
        assert {len(frame) for frame in frames} == {8 * ptime_ms}
    assert heard_music(from_ulaw(b"".join(made(sounds, Music("default"), "PCMU", ptime_ms)))[:16000])


def test_tones_have_their_frequency() -> None:
    heard = from_ulaw(b"".join(made(Sounds(), Tone("ringback"), "PCMU", 20)))
    assert heard_tone(heard, 425.0, at_least_ms=800)


def test_other_formats_are_refused_with_what_is_wrong(tmp_path: Path) -> None:
    for path in (
        write(tmp_path / "rate.wav", rate_hz=16000),
        write(tmp_path / "stereo.wav", channels=2),
        write(tmp_path / "bytes.wav", width=1),
    ):
        with pytest.raises(SoundError, match="should be 8000 Hz, 16 bit, mono"):
            read_wav(path)
    (tmp_path / "text.wav").write_text("not a sound")
    (tmp_path / "empty.wav").touch()
    for name in ("text.wav", "empty.wav", "missing.wav"):
        with pytest.raises(SoundError, match=name):
            read_wav(tmp_path / name)


def test_own_music_is_played_from_its_folder_and_what_cannot_be_played_gives_way(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ramp = np.tile(np.arange(-4000, 4000, dtype="<i2"), 4)
    write(tmp_path / "music" / "default.wav", data=ramp.tobytes())
    write(tmp_path / "music" / "broken.wav", rate_hz=44100)
    write(tmp_path / "music" / "short.wav", data=bytes(100))
    sounds = Sounds(tmp_path)
    default = made(sounds, Music("default"), "PCMU", 20)
    assert default == cut(encode(ramp[: len(ramp) // 960 * 960], "PCMU"), 160)
    for name in ("broken", "short", "missing", "../music/default", ""):
        assert made(sounds, Music(name), "PCMU", 20) == default
        assert made(sounds, Music(name), "PCMU", 20) == default
    assert len(caplog.messages) == 5
    assert caplog.messages[2].endswith(f"cannot be played: {tmp_path / 'music' / 'missing.wav'}: no such file or directory")


def test_with_no_music_at_all_there_is_silence(tmp_path: Path) -> None:
    frames = made(Sounds(tmp_path), Music(), "PCMU", 20)
    assert set(b"".join(frames)) == {0xFF}
    assert made(Sounds(tmp_path), Tone("no-such-tone"), "PCMA", 20) != ()

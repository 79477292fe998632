"""Call-progress tones."""

import numpy as np
import pytest

from parkade.rtp.dtmf import KEYS
from parkade.rtp.tones import KEY_HZ, RATE_HZ, progress_tone


@pytest.mark.parametrize(("name", "on_ms", "off_ms"), [("ringback", 1000, 4000), ("busy", 500, 500)])
def test_a_period_is_425_hz_and_then_silence(name: str, on_ms: int, off_ms: int) -> None:
    tone = progress_tone(name)
    on = on_ms * RATE_HZ // 1000
    assert len(tone) == (on_ms + off_ms) * RATE_HZ // 1000
    assert not tone[on:].any()
    spectrum = np.abs(np.fft.rfft(tone[:on].astype(np.float64)))
    assert spectrum.argmax() * RATE_HZ / on == pytest.approx(425, abs=1)


def test_a_tone_begins_and_ends_without_a_click() -> None:
    steps = np.abs(np.diff(progress_tone("busy").astype(np.int32), append=0))
    assert steps[:5].max() < 500
    assert steps[3990:].max() < 500


def test_every_key_has_two_tones_of_its_own() -> None:
    assert sorted(KEY_HZ) == sorted(KEYS)
    assert len(set(KEY_HZ.values())) == len(KEYS)
    assert KEY_HZ["*"] == (941, 1209)
    assert KEY_HZ["6"] == (770, 1477)

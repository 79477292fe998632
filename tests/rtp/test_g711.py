"""G.711 tables against the standard's landmarks."""

import numpy as np
import pytest

from parkade.rtp.g711 import (
    ALAW_SILENCE,
    ALAW_TO_ULAW,
    ULAW_SILENCE,
    ULAW_TO_ALAW,
    from_alaw,
    from_ulaw,
    to_alaw,
    to_ulaw,
)

EVERY_CODE = bytes(range(256))


@pytest.mark.parametrize(("code", "sample"), [(0x00, -32124), (0x80, 32124), (0xFF, 0), (0x7F, 0), (0xEF, 132), (0x0F, -16764)])
def test_ulaw_landmarks(code: int, sample: int) -> None:
    assert from_ulaw(bytes([code])).tolist() == [sample]


@pytest.mark.parametrize(("code", "sample"), [(0x2A, -32256), (0xAA, 32256), (0xD5, 8), (0x55, -8), (0xC5, 264)])
def test_alaw_landmarks(code: int, sample: int) -> None:
    assert from_alaw(bytes([code])).tolist() == [sample]


def test_every_code_survives_the_way_to_linear_and_back() -> None:
    assert to_alaw(from_alaw(EVERY_CODE)) == EVERY_CODE
    # u-law has two zeros; the positive one is kept.
    assert to_ulaw(from_ulaw(EVERY_CODE)) == EVERY_CODE.replace(b"\x7f", b"\xff")


def test_the_nearest_code_is_chosen_for_every_sample() -> None:
    samples = np.arange(-32768, 32768, 7).astype(np.int16)
    for encode, decode in ((to_ulaw, from_ulaw), (to_alaw, from_alaw)):
        levels = np.unique(decode(EVERY_CODE).astype(np.int32))
        error = np.abs(decode(encode(samples)).astype(np.int32) - samples)
        at = np.clip(np.searchsorted(levels, samples), 1, len(levels) - 1)
        best = np.minimum(np.abs(levels[at] - samples), np.abs(levels[at - 1] - samples))
        assert np.array_equal(error, best)


def test_conversion_between_the_laws_stays_within_a_step_and_settles() -> None:
    for there, back, decode_there, decode_here in (
        (ULAW_TO_ALAW, ALAW_TO_ULAW, from_alaw, from_ulaw),
        (ALAW_TO_ULAW, ULAW_TO_ALAW, from_ulaw, from_alaw),
    ):
        here = decode_here(EVERY_CODE).astype(np.int32)
        converted = EVERY_CODE.translate(there)
        error = np.abs(decode_there(converted).astype(np.int32) - here)
        assert np.all(error <= np.maximum(16, np.abs(here) / 32))
        twice = converted.translate(back)
        assert twice.translate(there).translate(back) == twice


def test_silence_stays_silent() -> None:
    nothing = np.zeros(3, np.int16)
    assert to_ulaw(nothing) == bytes([ULAW_SILENCE] * 3)
    assert to_alaw(nothing) == bytes([ALAW_SILENCE] * 3)
    assert bytes([ULAW_SILENCE]).translate(ULAW_TO_ALAW) == bytes([ALAW_SILENCE])
    assert bytes([ALAW_SILENCE]).translate(ALAW_TO_ULAW)[0] in {0xFE, 0xFF}

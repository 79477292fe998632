"""What is said aloud."""

from __future__ import annotations

from pathlib import Path

import pytest

import parkade
from parkade.calls import phrases
from parkade.calls.refusals import BUSY, LOT_FULL, NO_CALL_PARKED

RECORDINGS = Path(parkade.__file__).parent / "media" / "sounds" / "prompts"


def test_a_code_is_said_digit_by_digit_with_its_star() -> None:
    assert phrases.parked_at("*801") == ("parked-at", "star", "8", "0", "1")


def test_a_refusal_is_said_with_the_number_it_is_about() -> None:
    assert phrases.refusal(LOT_FULL) == ("lot-full",)
    assert phrases.refusal(NO_CALL_PARKED, "*10001") == ("no-call-parked-at", "star", "1", "0", "0", "0", "1")


def test_a_busy_tone_needs_no_words() -> None:
    assert phrases.refusal(BUSY) == ()


@pytest.mark.parametrize("language", ["en", "vi"])
def test_everything_that_can_be_said_has_been_recorded(language: str) -> None:
    recorded = {path.stem for path in (RECORDINGS / language).glob("*.wav")}
    assert set(phrases.PHRASES) <= recorded

"""Feature codes among pressed keys."""

from __future__ import annotations

from parkade.calls.keys import Keypad


def completed(keys: str, code: str = "*5", pause_s: float = 0.2) -> list[int]:
    """At which keys the code was complete."""
    keypad = Keypad()
    return [n for n, key in enumerate(keys) if keypad.press(key, code, 100 + n * pause_s)]


def test_a_code_is_complete_with_its_last_key() -> None:
    assert completed("*5") == [1]


def test_keys_before_the_code_do_not_matter() -> None:
    assert completed("12**5") == [4]


def test_ordinary_keys_are_no_code() -> None:
    assert completed("5*15#5*") == []


def test_a_pause_of_three_seconds_still_belongs_together_and_a_longer_one_does_not() -> None:
    assert completed("*5", pause_s=3.0) == [1]
    assert completed("*5", pause_s=3.1) == []


def test_the_keys_of_one_code_do_not_count_for_the_next() -> None:
    assert completed("555", code="55") == [1]
    assert completed("5555", code="55") == [1, 3]


def test_no_code_is_never_complete() -> None:
    assert completed("123", code="") == []

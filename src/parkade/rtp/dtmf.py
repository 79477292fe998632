"""Keypad keys as they come from phones."""

from __future__ import annotations

KEYS = "0123456789*#ABCD"
"""Every key, at the index of its event number (:rfc:`4733` section 3.2)."""


def key_of_info(content_type: str, body: bytes) -> str | None:
    """The key in the body of a SIP INFO, or None.

    ``application/dtmf-relay`` has a line ``Signal=5`` (some write ``Signal= 10`` for the star), ``application/dtmf`` nothing
    but the key or its event number. Neither was ever standardised.
    """
    text = body.decode("ascii", "replace")
    match content_type.partition(";")[0].strip().lower():
        case "application/dtmf-relay":
            lines = (line.partition("=") for line in text.splitlines())
            return next((_key(value) for name, _, value in lines if name.strip().lower() == "signal"), None)
        case "application/dtmf":
            return _key(text)
        case _:
            return None


def _key(text: str) -> str | None:
    word = text.strip().upper()
    if len(word) == 1 and word in KEYS:
        return word
    if word.isascii() and word.isdigit() and len(word) == 2 and int(word) < len(KEYS):
        return KEYS[int(word)]
    return None

"""What is said aloud: the stems of recorded phrases for a code, a refusal and a farewell.

A number is said digit by digit, the star included, so that the code that is heard is the code to dial.
"""

from __future__ import annotations

from parkade.calls.refusals import (
    ALREADY_PICKED_UP,
    LOT_FULL,
    NO_CALL_PARKED,
    NO_SUCH_NUMBER,
    NO_SUCH_SLOT,
    NOT_LICENSED,
    NOTHING_TO_PARK,
    PARKING_DISABLED,
    SLOT_RESERVED,
    SLOT_TAKEN,
    Refusal,
)

FAREWELL = ("sorry-nobody-goodbye",)
"""For a caller whom nobody could be found for."""

_REFUSALS: dict[str, str] = {
    NO_CALL_PARKED.id: "no-call-parked-at",
    ALREADY_PICKED_UP.id: "already-picked-up-by-extension",
    LOT_FULL.id: "lot-full",
    SLOT_TAKEN.id: "slot-taken",
    SLOT_RESERVED.id: "slot-reserved",
    NO_SUCH_SLOT.id: "no-such-slot",
    NOTHING_TO_PARK.id: "nothing-to-park",
    PARKING_DISABLED.id: "parking-disabled",
    NOT_LICENSED.id: "not-licensed",
    NO_SUCH_NUMBER.id: "no-such-number",
}

PHRASES = ("parked-at", "star", *"0123456789", *FAREWELL, "already-picked-up", *_REFUSALS.values())
"""Every stem that call control can ask for."""


def digits(number: str) -> tuple[str, ...]:
    """``*801`` as ``star 8 0 1``; other signs are not said."""
    return tuple("star" if sign == "*" else sign for sign in number if sign in "*0123456789")


def parked_at(code: str) -> tuple[str, ...]:
    """What the parker hears."""
    return ("parked-at", *digits(code))


def refusal(why: Refusal, number: str = "") -> tuple[str, ...]:
    """What somebody hears who cannot have it; nothing where the tones of the phone say enough (busy, no answer)."""
    stem = _REFUSALS.get(why.id)
    if stem is None:
        return ()
    if why.id == ALREADY_PICKED_UP.id and not number:
        return ("already-picked-up",)
    return (stem, *digits(number))

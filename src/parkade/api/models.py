"""What answers and bodies of several nouns have in common."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, PlainSerializer

from parkade.edge.event_json import iso


def _line(text: str) -> str:
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in text):
        raise ValueError("a line of text without control characters is wanted")
    return text


Line = Annotated[str, AfterValidator(_line)]
"""Text of one line; it may be empty."""

Time = Annotated[datetime, PlainSerializer(lambda at: iso(at.timestamp()), return_type=str, when_used="json")]
"""ISO 8601, UTC, with milliseconds: ``2026-11-26T12:52:00.125Z``."""

GivenTime = AwareDatetime
"""A time that somebody sends: with a time zone."""


class Body(BaseModel):
    """What somebody sends: no unknown key, no silent conversion."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


def time(seconds: float) -> datetime:
    """An instant of the database or of call control."""
    return datetime.fromtimestamp(seconds, UTC)


def time_or_none(seconds: float | None) -> datetime | None:
    """The same, where there may be none."""
    return None if seconds is None else time(seconds)

"""What must outlive this process: effects that every pure machine may give, and the plain values they carry.

A value is plain JSON: text, numbers, truth values, None, lists, and mappings from text. Bytes are written as Latin-1
text. Whoever reads a value back accepts what the last release wrote: unknown members are passed over, missing ones have
a default.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from parkade.base.errors import ParkadeError
from parkade.base.values import valueclass

Json: TypeAlias = "str | int | float | bool | Sequence[Json] | Mapping[str, Json] | None"
"""A plain value."""


@valueclass(frozen=True, slots=True)
class Keep:
    """From now on ``key`` has ``value``, also after this process has died. ``key`` is a kind and an id: ``call/5f3a``."""

    key: str
    value: Json


@valueclass(frozen=True, slots=True)
class Drop:
    """``key`` is not needed any more; nothing happens if it is not kept."""

    key: str


class KeptError(ParkadeError):
    """A kept value that cannot be read: it is noted and left out, and never stops a start."""

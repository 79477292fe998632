"""Waiting for conditions, with limits generous enough for a slow and shared machine; never for a time as such."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE_S = 20.0
"""How long something that should happen at once may take on a busy machine."""


def eventually(look: Callable[[], T | None], what: str, within_s: float = PATIENCE_S, every_s: float = 0.02) -> T:
    """What ``look`` finds, as soon as it is neither None nor False; AssertionError naming ``what`` after ``within_s``."""
    deadline = time.monotonic() + within_s
    while True:
        found = look()
        if found is not None and found is not False:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {within_s:g} s in vain for {what}")
        time.sleep(every_s)

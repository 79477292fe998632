"""The garbage collector of a process that answers calls."""

from __future__ import annotations

import gc

YOUNG_OBJECTS = 20_000
"""How many new containers make the collector look at the young ones: some tens of calls' worth instead of one call's."""


def settle_collector() -> None:
    """Look for cycles less often, and never among what was there before the first call.

    Nearly everything of a call is freed by its reference count. As it comes, the collector looks through the young objects
    once or twice a call, and every so often through all modules and all calls there are: a tenth to a quarter of
    signalling's time, and a pause of tens of milliseconds with a thousand parked calls.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 20, 100)

"""The garbage collector of a process that answers calls."""

from __future__ import annotations

import gc

YOUNG_OBJECTS = 10_000
"""How many more containers than before make the collector look at the young ones: what a hundred parked calls are made of."""
YOUNG_ROUNDS, MIDDLE_ROUNDS = 5, 100
"""How often that happens before it looks at the middle-aged, and how often that before it looks at all: a pause in which
nobody is answered, 30 ms and more with thousands of calls."""


def settle_collector() -> None:
    """Look for cycles less often, and never among what was there before the first call.

    A call is freed by its reference counts when it is over (``bench/switch_calls.py`` can tell), so there is little to be
    found. Left as it comes, the collector looks at the young objects several times a call and at everything again and again
    while calls come faster than they end: 5 to 10 % of signalling's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, YOUNG_ROUNDS, MIDDLE_ROUNDS)


def keep_what_was_loaded() -> None:
    """Count what was just loaded among what was there before the first call.

    The collector would look at all of it once more, at a moment of its own choice: 5 to 10 ms after some accounts of 200 users.
    Loading leaves no cycles behind. A cycle that something else has left within the last moments is never found then.
    """
    gc.freeze()

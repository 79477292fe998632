"""Which core does what: the server has one for itself, the load and the listening share the other."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CORES = sorted(os.sched_getaffinity(0))
SERVER = _CORES[0]
LOAD = set(_CORES[1:2]) or {SERVER}


@contextmanager
def confined() -> Iterator[None]:
    """Keep this process on the load's core."""
    if SERVER in LOAD:
        print("only one core here: the load takes its share of it from the server")
    os.sched_setaffinity(0, set(_CORES))
    try:
        os.sched_setaffinity(0, LOAD)
        yield
    finally:
        os.sched_setaffinity(0, set(_CORES))


def robbed_s() -> float:
    """Processor time of this machine that its host gave to others since it was started."""
    total = Path("/proc/stat").read_text().splitlines()[0].split()
    return int(total[8]) / os.sysconf("SC_CLK_TCK")

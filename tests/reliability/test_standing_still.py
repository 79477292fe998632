"""Under load a process stands still for a second, as when its machine does something else: nobody is refused or lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.pause import PROCESSES, measure
from bench.server import Server, running

CALLS_PER_S = 80
SECONDS = 3.0
RTP_PORTS = "61000-63999"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running(0, RTP_PORTS) as started:
        yield started


@pytest.mark.interop
@pytest.mark.parametrize("which", PROCESSES)
def test_a_process_that_stands_still_for_a_second_costs_no_call(server: Server, which: str) -> None:
    outcome = measure(server, which, CALLS_PER_S, SECONDS, 1.0)
    assert outcome.succeeded == outcome.calls

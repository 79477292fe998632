"""Bursts of calls, and a process that stands still for a second under load: nobody is refused or lost."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from bench.cores import LOAD
from bench.listen import Deaf
from bench.load import Plan, calling
from bench.pause import PROCESSES, measure
from bench.server import Server, free_rtp_ports, running

CALLS_PER_S = 80
SECONDS = 3.0


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running(0, free_rtp_ports(3000)) as started:
        yield started


@pytest.mark.interop
@pytest.mark.parametrize("which", PROCESSES)
def test_a_process_that_stands_still_for_a_second_costs_no_call(server: Server, which: str) -> None:
    outcome = measure(server, which, CALLS_PER_S, SECONDS, 1.0)
    assert outcome.succeeded == outcome.calls


@pytest.mark.interop
def test_four_hundred_calls_within_a_second_are_all_answered(server: Server) -> None:
    deaf = Deaf()
    plan = Plan(calls_per_s=400, calls=400, parked_ms=1500, talk_ms=800)
    with calling(server, plan, LOAD, [deaf.port], deaf.port) as load:
        while load.going:
            time.sleep(0.05)
        outcome = load.outcome()
    deaf.close()
    assert outcome.succeeded == outcome.calls

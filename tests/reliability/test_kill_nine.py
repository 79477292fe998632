"""``kill -9`` of signalling, media, both and everything, once each, with thirty callers: the small ``make reliability``."""

from __future__ import annotations

import asyncio

import pytest

from bench.reliability import SMALL, Row, run
from bench.reliability_server import CRASHES

pytestmark = pytest.mark.interop

BUSY_MACHINE_S = 3.0
"""How much longer than promised the music may be silent here, on whatever machine this is: nearly all of the silence is the
start of a process. The promise itself is measured by ``make reliability``."""


@pytest.fixture(scope="module")
def rows() -> dict[str, Row]:
    return {row.kind: row for row in asyncio.run(run(SMALL))}


@pytest.mark.parametrize("kind", CRASHES)
def test_nobody_is_lost_late_or_served_twice(rows: dict[str, Row], kind: str) -> None:
    row = rows[kind]
    assert len(row.rounds) == 1, "it was not tried: the server did not come back before"
    assert row.faults(BUSY_MACHINE_S) == []


def test_everybody_can_be_retrieved_at_the_end(rows: dict[str, Row]) -> None:
    assert rows[CRASHES[-1]].retrieved_at_the_end == SMALL.callers

"""Somebody has the file of SQLite for himself when it is opened: whoever opens it waits, and the loop goes on."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from parkade.store.engines import sqlite_engine

LOCKED_S = 0.5


@pytest.mark.asyncio
async def test_opening_waits_and_the_loop_does_not(tmp_path: Path) -> None:
    path, beats = tmp_path / "new.db", 0

    async def beat() -> None:
        nonlocal beats
        while True:
            await asyncio.sleep(0.01)
            beats += 1

    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("CREATE TABLE a (b)")
        other.execute("BEGIN EXCLUSIVE")
        asyncio.get_running_loop().call_later(LOCKED_S, other.execute, "COMMIT")
        beating, began = asyncio.create_task(beat()), time.monotonic()
        engine = sqlite_engine(path, foreign_keys=True)
        async with engine.connect():
            assert time.monotonic() - began >= LOCKED_S - 0.01
        beating.cancel()
        await engine.dispose()
    assert beats > 10

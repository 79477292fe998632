"""Takes the event log into the database: events, history of parks and webhooks to be sent, each event exactly once.

All that follows from some events is one transaction, and so is the position in the log: whatever is killed, and when, the next
process goes on behind the last event that is there. While the database takes nothing it is tried again; the log waits. An event
that the database refuses for what it is would hold up all that come after it, so it is written down without history and
webhooks and, where even that fails, left out; the log of the process says which.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final, TypeAlias

from sqlalchemy.ext.asyncio import AsyncConnection

from parkade.edge.event_log import EventReader, Line
from parkade.store import events
from parkade.store.errors import StoreError
from parkade.store.store import Store

log = logging.getLogger("parkade.api.ingest")

BATCH: Final = 500
POLL_S: Final = 1.0
PAUSE_S: Final = 0.05
"""How long others are waited for when the log has been read to its end: a transaction costs some milliseconds, an event in it a
fraction of one."""
RETRY_S: Final = 0.5
TRIES: Final = 3
"""How often an event that the database refuses is tried before it is written down alone."""

Follows: TypeAlias = Callable[[AsyncConnection, Sequence[Line]], Awaitable[object]]
"""Writes down what follows from events, in the transaction that writes them."""


class Ingest:
    """``run`` it; ``news`` wakes it. ``follows`` writes down what follows from events: history, webhooks. ``happened`` is told
    those that have been taken, in order.
    """

    def __init__(
        self, store: Store, folder: Path, follows: Sequence[Follows], happened: Callable[[Sequence[Line]], None]
    ) -> None:
        self.position = 0
        """The last event that is in the database."""
        self.newest = 0
        """The last event of the log, as far as it is known."""
        self._store = store
        self._folder = folder
        self._follows = follows
        self._happened = happened
        self._reader: EventReader | None = None
        self._lines: list[Line] = []
        """Read and not yet taken."""
        self._most = BATCH
        self._failures = 0
        self._wake = asyncio.Event()

    def news(self, number: int) -> None:
        """The log has events up to ``number``."""
        self.newest = max(self.newest, number)
        self._wake.set()

    async def run(self) -> None:
        """Take what there is, then wait for more; for ever."""
        said = ""
        while True:
            try:
                took = await self.take_some()
            except asyncio.CancelledError:
                raise
            except Exception as error:
                if (reason := str(error)) != said:
                    trace = None if isinstance(error, StoreError | OSError) else error
                    log.error("events cannot be taken into the database: %s; trying again", reason, exc_info=trace)
                said = reason
                await asyncio.sleep(RETRY_S)
                continue
            if said:
                log.warning("events are taken into the database again")
                said = ""
            if took and not self._lines:
                await asyncio.sleep(PAUSE_S)
            elif not took:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(POLL_S):
                        await self._wake.wait()
                self._wake.clear()

    async def take_all(self) -> None:
        """Take all that the log has now. Raises what the database or the disk raises; then nothing is lost."""
        while await self.take_some():
            pass

    async def take_some(self) -> bool:
        """Take the next ones, at most ``BATCH``; whether there were any. Raises as ``take_all``."""
        reader = await self._at_position()
        if not self._lines:
            self._lines = await asyncio.to_thread(reader.read)
        if not self._lines:
            return False
        await self._take(self._lines[: self._most])
        if not self._lines and reader.has_left_files:
            await asyncio.to_thread(reader.remove_read, self.position)
        return True

    async def _at_position(self) -> EventReader:
        if self._reader is None:
            async with self._store.reading() as connection:
                self.position = await events.position(connection)
            self._reader = EventReader(self._folder, self.position)
            self._lines = []
        return self._reader

    async def _take(self, lines: Sequence[Line]) -> None:
        last = int(lines[-1]["number"])
        alone = len(lines) == 1 and self._failures >= TRIES
        try:
            async with self._store.writing() as connection:
                if not await events.advance(connection, self.position, last):
                    self._start_over()  # another process has taken them, and ends soon
                    return
                if not alone:
                    await self._write(connection, lines)
                elif self._failures == TRIES:
                    await events.add(connection, lines)
        except asyncio.CancelledError:
            self._start_over()
            raise
        except Exception as error:
            # The transaction may have come to its end all the same, so ask where we are.
            self._start_over()
            self._most = 1
            if not _may_pass(error) and len(lines) == 1:
                self._failures += 1
            raise
        if alone:
            what = "has neither history nor webhooks" if self._failures == TRIES else "is left out"
            log.error("event %s (%d) cannot be taken into the database and %s", lines[0]["id"], last, what)
        self._failures = 0
        self._most = min(BATCH, 2 * self._most)
        self.position, self.newest = last, max(self.newest, last)
        del self._lines[: len(lines)]
        self._happened(lines)

    async def _write(self, connection: AsyncConnection, lines: Sequence[Line]) -> None:
        await events.add(connection, lines)
        for follow in self._follows:
            await follow(connection, lines)

    def _start_over(self) -> None:
        if self._reader is not None:
            self._reader.close()
        self._reader = None


def _may_pass(error: Exception) -> bool:
    """Whether it is the state of the database, and not what was to be written."""
    return error.may_pass if isinstance(error, StoreError) else isinstance(error, OSError)

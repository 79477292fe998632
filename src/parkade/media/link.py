"""Signalling's connection to a media process that somebody else starts: comes back by itself whenever it is lost.

What is sent while there is no connection is dropped. The media process says what it has when a connection is made, and
signalling then says what it should have, so nothing is missed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import cast

from parkade.media.wire import LINE_LIMIT, WireError, order_to_line, report_from_line
from parkade.rtp.orders import Order, Report

log = logging.getLogger("parkade.media.link")

RETRY_S = 0.02
UNREAD_LIMIT = 64 << 20
"""A media process that leaves more of its orders unread hangs; the connection is given up and made again."""


class MediaLink:
    """One connection at a time to the media process at ``socket_path``. ``connect`` begins, ``close`` ends."""

    def __init__(self, socket_path: Path, on_reports: Callable[[Sequence[Report]], None]) -> None:
        self._path = socket_path
        self._on_reports = on_reports
        self._transport: asyncio.Transport | None = None
        self._keeping: asyncio.Task[None] | None = None

    def connect(self) -> None:
        """Connect as soon as there is somebody, and again after each loss."""
        self._keeping = asyncio.get_running_loop().create_task(self._keep(), name="media link")

    def send(self, orders: Iterable[Order]) -> None:
        """Send ``orders`` in one write."""
        transport = self._transport
        if transport is not None:
            transport.write(b"".join(map(order_to_line, orders)))
            if transport.get_write_buffer_size() > UNREAD_LIMIT:
                log.error("the media process does not read its orders: connecting anew")
                transport.abort()

    async def close(self) -> None:
        """Give the connection up. The media process goes on."""
        if self._keeping is not None:
            self._keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeping
        if self._transport is not None:
            self._transport.close()

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            lost = asyncio.Event()
            try:
                await loop.create_unix_connection(partial(_Reports, self._made, self._on_reports, lost), str(self._path))
            except OSError:
                await asyncio.sleep(RETRY_S)
                continue
            await lost.wait()
            self._transport = None
            log.warning("the connection to the media process is lost")

    def _made(self, transport: asyncio.Transport) -> None:
        """The first report may come before whoever waits for the connection hears of it, and is answered with orders."""
        self._transport = transport


class _Reports(asyncio.Protocol):
    """Cuts what comes into reports, and hands on together what came together."""

    def __init__(
        self,
        made: Callable[[asyncio.Transport], None],
        on_reports: Callable[[Sequence[Report]], None],
        lost: asyncio.Event,
    ) -> None:
        self._made = made
        self._on_reports = on_reports
        self._lost = lost
        self._cut = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._made(self._transport)

    def data_received(self, data: bytes) -> None:
        *lines, self._cut = (self._cut + data).split(b"\n")
        reports: list[Report] = []
        for line in lines:
            try:
                reports.append(report_from_line(line))
            except WireError as error:
                log.warning("not a report: %s", error)
        if reports:
            self._on_reports(reports)
        if len(self._cut) > LINE_LIMIT and self._transport is not None:
            log.error("a report without end: connecting anew")
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost.set()

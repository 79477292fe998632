"""Signalling's connection to media: what the first report leads to is not lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from parkade.media.link import MediaLink
from parkade.media.wire import order_to_line, report_to_line
from parkade.rtp.orders import Inventory, OpenLeg, Report


class Wire:
    """A transport that notes what is written."""

    def __init__(self) -> None:
        self.written = b""

    def write(self, data: bytes) -> None:
        self.written += data

    def get_write_buffer_size(self) -> int:
        return 0

    def close(self) -> None:
        """Nothing is open."""


@pytest.mark.asyncio
async def test_orders_that_the_first_report_leads_to_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The report may come before whoever waits for the connection hears that it is made."""
    wire = Wire()

    async def connected(make: Callable[[], asyncio.Protocol], _path: str) -> tuple[Any, asyncio.Protocol]:
        protocol = make()
        protocol.connection_made(cast(asyncio.BaseTransport, wire))
        protocol.data_received(report_to_line(Inventory((), True)))
        return wire, protocol

    monkeypatch.setattr(asyncio.get_running_loop(), "create_unix_connection", connected)
    heard: list[Report] = []
    order = OpenLeg("a1", 20000)

    def reports(given: Sequence[Report]) -> None:
        heard.extend(given)
        link.send([order])

    link = MediaLink(Path("media.sock"), reports)
    link.connect()
    await asyncio.sleep(0.01)
    await link.close()
    assert heard == [Inventory((), True)]
    assert wire.written == order_to_line(order)

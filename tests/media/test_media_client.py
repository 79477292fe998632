"""Signalling's end of the unix socket, with the real process at the other."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from parkade.base.sound import Music
from parkade.media.client import MediaClient, MediaError
from parkade.rtp.orders import CloseLeg, Describe, Hear, Inventory, LegClosed, OpenLeg, PortsReady, Report

PATIENCE_S = 10.0

pytestmark = pytest.mark.asyncio


class Ears:
    """What the client has told."""

    def __init__(self) -> None:
        self.reports: asyncio.Queue[Report] = asyncio.Queue()
        self.died = asyncio.Event()


@asynccontextmanager
async def started(folder: Path) -> AsyncIterator[tuple[MediaClient, Ears]]:
    ears = Ears()
    client = await MediaClient.start(
        socket_path=folder / "media",
        host="127.0.0.1",
        rtp_ports=(0, 0),
        on_report=ears.reports.put_nowait,
        on_death=ears.died.set,
    )
    try:
        yield client, ears
    finally:
        await client.close()


async def test_orders_are_performed_and_reports_come_back(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
        phone.bind(("127.0.0.1", 0))
        phone.setblocking(False)
        async with asyncio.timeout(PATIENCE_S), started(tmp_path) as (client, ears):
            assert await ears.reports.get() == Inventory(())
            ready = await ears.reports.get()
            assert isinstance(ready, PortsReady)
            port = phone.getsockname()[1]
            described = Describe("a", "127.0.0.1", port, port, "PCMU", 0, None, 20, sends=True, receives=True)
            client.send([OpenLeg("a", ready.ports[0]), described, Hear("a", Music())])
            data = await asyncio.get_running_loop().sock_recv(phone, 2048)
            assert len(data) == 172
            client.send([CloseLeg("a")])
            while not isinstance(report := await ears.reports.get(), LegClosed):
                pass
            assert (report.leg, report.refused) == ("a", 0)
            assert not ears.died.is_set()


async def test_the_death_of_the_process_is_noticed_and_later_orders_are_dropped(tmp_path: Path) -> None:
    async with asyncio.timeout(PATIENCE_S), started(tmp_path) as (client, ears):
        os.kill(client.pid, signal.SIGKILL)
        await ears.died.wait()
        client.send([CloseLeg("a")])


async def test_closing_is_no_death_and_leaves_no_process(tmp_path: Path) -> None:
    async with asyncio.timeout(PATIENCE_S):
        async with started(tmp_path) as (client, ears):
            pid = client.pid
        assert not ears.died.is_set()
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        assert not (tmp_path / "media").exists()


async def test_a_second_process_can_follow_a_dead_one_on_the_same_path(tmp_path: Path) -> None:
    async with asyncio.timeout(2 * PATIENCE_S):
        async with started(tmp_path) as (client, ears):
            os.kill(client.pid, signal.SIGKILL)
            await ears.died.wait()
        assert (tmp_path / "media").exists()
        async with started(tmp_path) as (_, ears):
            assert await ears.reports.get() == Inventory(())
            assert isinstance(await ears.reports.get(), PortsReady)


async def test_a_process_that_cannot_start_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="ended with status 1 before it was ready"):
        await MediaClient.start(
            socket_path=tmp_path / "missing" / "media",
            host="127.0.0.1",
            rtp_ports=(0, 0),
            on_report=lambda _: None,
            on_death=lambda: None,
        )

"""The composition root: the only place where every room meets.

``serve`` opens the store, starts a media process, binds the SIP ports and pumps the switch until it is told to stop.
SIGTERM and SIGINT drain: no new calls, then up to ``drain_seconds`` for conversations to end.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

from parkade.base.errors import ParkadeError
from parkade.base.ids import Ids
from parkade.calls.effects import Event
from parkade.config import Settings
from parkade.edge.advertise import Advertise
from parkade.edge.clock import Clock
from parkade.edge.collector import settle_collector
from parkade.edge.pump import Pump
from parkade.edge.tcp import TcpTransport
from parkade.edge.udp import UdpTransport
from parkade.media.client import MediaClient
from parkade.rtp.orders import PortsReady, Report
from parkade.store.store import Store
from parkade.switch.inputs import DirectoryLoaded, Drain, HangUp, MediaReport
from parkade.switch.switch import Switch

log = logging.getLogger("parkade")
events = logging.getLogger("parkade.events")

DIRECTORY_POLL_S = 1.0
DRAIN_POLL_S = 0.2
PORTS_S = 10.0
BIND_TRIES = 20


def serve(settings: Settings) -> int:
    """Run the server until it is told to stop; gives the exit status. Raises ``ParkadeError`` if it cannot start."""
    logging.basicConfig(
        level=settings.log_level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("alembic").setLevel(logging.WARNING)
    return asyncio.run(_Server(settings).run())


class CannotListenError(ParkadeError):
    """A port that is taken, or an address that is not ours."""


class _Server:
    """One run of the server."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stop = asyncio.Event()
        self._media_gone = False
        self._revision = 0

    async def run(self) -> int:
        settings = self._settings
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        async with AsyncExitStack() as cleanup:
            store = await cleanup.enter_async_context(await Store.open(settings.data))
            self._revision = await store.revision()
            ports: dict[str, int] = {}
            switch = Switch(*await store.directory(), Ids(os.urandom), Advertise(settings.advertise, settings.host, ports))
            pump = Pump(switch, Clock(), _publish)
            udp, tcp, port = await _bind(settings.host, settings.sip_port, pump)
            cleanup.callback(udp.stop)
            cleanup.callback(tcp.stop)
            pump.transports.update(UDP=udp, TCP=tcp)
            ports.update(UDP=port, TCP=port)
            media = await self._start_media(pump, cleanup)
            cleanup.push_async_callback(media.close)
            watcher = asyncio.create_task(self._watch_directory(store, pump))
            cleanup.callback(watcher.cancel)
            settle_collector()
            print(json.dumps({"ready": True, "sip": port, "rtp": str(settings.rtp_ports)}), flush=True)  # noqa: T201
            await self._until_stopped()
            await self._drain(switch, pump)
        return 0

    async def _start_media(self, pump: Pump, cleanup: AsyncExitStack) -> MediaClient:
        """A media process with its first ports bound, so that the first call finds one."""
        settings, ready = self._settings, asyncio.Event()

        def report(given: Report) -> None:
            pump.feed(MediaReport(given))
            if isinstance(given, PortsReady):
                ready.set()

        # Not in the data directory: the path of a unix socket may have 107 bytes and no more.
        folder = cleanup.enter_context(tempfile.TemporaryDirectory(prefix="parkade-"))
        media = await MediaClient.start(
            socket_path=Path(folder) / "media.sock",
            host=settings.host,
            rtp_ports=settings.rtp_ports,
            on_report=report,
            on_death=self._media_died,
            sounds=settings.sounds,
        )
        pump.send_orders = media.send
        try:
            async with asyncio.timeout(PORTS_S):
                await ready.wait()
        except TimeoutError:
            await media.close()
            if self._media_gone:
                raise MediaGoneError("the media process ended before it was ready; its last words are above") from None
            raise CannotListenError(f"no free UDP port for sound within {settings.rtp_ports}") from None
        return media

    async def _watch_directory(self, store: Store, pump: Pump) -> None:
        """An import into a running server takes effect within a second."""
        while True:
            await asyncio.sleep(DIRECTORY_POLL_S)
            try:
                revision = await store.revision()
                if revision != self._revision:
                    pump.feed(DirectoryLoaded(*await store.directory()))
                    self._revision = revision
                    log.info("directory revision %s loaded", revision)
            except ParkadeError as error:
                log.error("the directory could not be read again: %s", error)

    def _media_died(self) -> None:
        self._media_gone = True
        self._stop.set()

    async def _until_stopped(self) -> None:
        """Until a signal, or until the media process is gone: without it there is no call to serve."""
        await self._stop.wait()
        if self._media_gone:
            raise MediaGoneError("the media process ended unexpectedly; its last words are above")

    async def _drain(self, switch: Switch, pump: Pump) -> None:
        pump.feed(Drain())
        for _ in range(int(self._settings.drain_seconds / DRAIN_POLL_S)):
            if not switch.counts()["legs"]:
                return
            await asyncio.sleep(DRAIN_POLL_S)
        # Whoever is left hears it from us, and not from the silence.
        pump.feed(HangUp())


class MediaGoneError(ParkadeError):
    """The media process has ended by itself."""


async def _bind(host: str, port: int, pump: Pump) -> tuple[UdpTransport, TcpTransport, int]:
    """UDP and TCP on one port; for port 0 on one that is free for both."""
    for attempt in range(BIND_TRIES):
        try:
            udp, chosen = UdpTransport.bind(host, port, pump.feed_all)
        except OSError as error:
            raise CannotListenError(f"cannot listen on {host} port {port} (UDP): {_reason(error)}") from None
        try:
            return udp, await TcpTransport.bind(host, chosen, pump.feed_all), chosen
        except OSError as error:
            udp.stop()
            if port or attempt == BIND_TRIES - 1:
                raise CannotListenError(f"cannot listen on {host} port {chosen} (TCP): {_reason(error)}") from None
    raise AssertionError("unreachable")


def _reason(error: OSError) -> str:
    return os.strerror(error.errno).lower() if error.errno else str(error)


def _publish(event: Event) -> None:
    if events.isEnabledFor(logging.INFO):
        events.info("%s %s %s", event.type.value, event.account, json.dumps(event.data, ensure_ascii=False))

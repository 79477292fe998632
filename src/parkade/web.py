"""The web process: ``python -m parkade.web --http FD --settings FD --life FD --ready FD``, started by ``serve``.

It serves HTTP on a socket that the supervisor has bound, takes the event log into the database, and asks signalling what needs
asking. It has less weight than who answers phones (``give_way``), so that a busy one delays no call. Whoever connects while it
is started again waits in the kernel. It ends by SIGTERM, after requests under way and the last events, and at once when its
supervisor is gone.

The settings come through a pipe, because a command line can be read by everybody. Its working directory is ``DATA/run``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import logging
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import uvicorn
import uvloop
from sqlalchemy.ext.asyncio import AsyncConnection

from parkade import logs
from parkade.api.app import make_app
from parkade.api.connections import KEEP_ALIVE_S, MAX_MESSAGE_BYTES, PING_S, Http, WebSocket
from parkade.api.ingest import Ingest
from parkade.api.link import SignallingLink
from parkade.api.live import LiveEvents
from parkade.api.login_guard import Guard
from parkade.api.outside import Outside, networks
from parkade.api.services import ApiSettings, Services
from parkade.base.errors import ParkadeError
from parkade.config import Settings, resolve
from parkade.edge.event_log import EVENTS_FOLDER, Line
from parkade.edge.sockets import BACKLOG
from parkade.store import events, history
from parkade.store.retention import Retention, keep_removing
from parkade.store.store import Store
from parkade.store.webhooks import enqueue

log = logging.getLogger("parkade.web")

NICE = 10
GRACE_S = 3
"""How long requests under way may take after SIGTERM."""
LAST_EVENTS_S = 1.0
COMMAND_SOCKET = Path("signalling.sock")


def main() -> int:
    """Serve until told to end; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m parkade.web", description="Parkade's web process; serve starts it")
    for name, what in (
        ("http", "the socket to accept on"),
        ("settings", "where to read the settings"),
        ("life", "what ends with the supervisor"),
        ("ready", "where to say that it serves"),
    ):
        parser.add_argument(f"--{name}", type=int, required=True, metavar="FD", help=what)
    given = parser.parse_args()
    end_with(given.life)
    give_way()
    with os.fdopen(given.settings, "rb") as pipe:
        settings = resolve(json.load(pipe), {})
    logs.set_up(settings.log_level, settings.log_format)
    if settings.log_level != "debug":
        logging.getLogger("uvicorn").setLevel(logging.ERROR)  # strangers can make it say a lot
    try:
        return uvloop.run(_Web(settings, socket.socket(fileno=given.http), given.ready).run())
    except ParkadeError as error:
        log.error("%s", error)
        return 1


def end_with(life: int) -> None:
    """End at once, whatever else goes on, when the pipe ``life`` does."""

    def watch() -> None:
        ends = select.poll()  # signalling has the same pipe and reads it without waiting, so reading would not wait here
        ends.register(life, select.POLLIN)
        ends.poll()
        os._exit(0)

    threading.Thread(target=watch, name="life", daemon=True).start()


def give_way() -> None:
    """Let whoever answers phones go first: a tenth of their weight, and no call is interrupted because there is work here."""
    with contextlib.suppress(OSError):
        os.nice(NICE)
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


class _Web:
    """One run."""

    def __init__(self, settings: Settings, http: socket.socket, ready: int) -> None:
        self._settings = settings
        self._http = http
        self._ready = ready

    async def run(self) -> int:
        settings = self._settings
        async with AsyncExitStack() as cleanup:
            store = await cleanup.enter_async_context(await Store.open(settings.data, settings.database))
            live = LiveEvents()
            async with store.reading() as connection:
                live.began_at(await events.position(connection))

            def happened(lines: Sequence[Line]) -> None:
                live.happened(lines)
                services.sender.wake()

            ingest = Ingest(store, settings.data / EVENTS_FOLDER, (history.apply, _queue_webhooks), happened)
            link = SignallingLink(COMMAND_SOCKET, ingest.news)
            link.connect()
            cleanup.push_async_callback(link.close)
            outside = Outside(networks(settings.webhook_private_targets), [settings.advertise] if settings.advertise else [])
            api_settings = ApiSettings(
                minimum_app_version=settings.app_minimum_version,
                requests_per_s=settings.api_rate,
                request_burst=2 * settings.api_rate,
            )
            services = Services(store, link, time.time, live, Guard(), outside=outside, settings=api_settings)
            server = _Server(self._config(services), self._say_ready)
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, server.end)
            sending = asyncio.create_task(services.sender.run(), name="webhooks")
            cleanup.push_async_callback(_cancelled, sending)
            kept = Retention(history_days=settings.history_days, event_days=settings.event_days)
            removing = asyncio.create_task(keep_removing(store, kept, time.time), name="retention")
            cleanup.push_async_callback(_cancelled, removing)
            ingesting = asyncio.create_task(ingest.run(), name="ingest")
            cleanup.push_async_callback(_finish, ingesting, ingest)
            gc.collect()
            gc.freeze()
            await server.serve([self._http])
        return 0

    def _config(self, services: Services) -> uvicorn.Config:
        return uvicorn.Config(
            make_app(services),
            http=Http,
            ws=WebSocket,
            loop="none",
            lifespan="off",
            log_config=None,
            access_log=self._settings.log_level == "debug",
            server_header=False,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=GRACE_S,
            ws_max_size=MAX_MESSAGE_BYTES,
            ws_ping_interval=PING_S,
            ws_ping_timeout=PING_S,
            ws_per_message_deflate=False,
        )

    def _say_ready(self) -> None:
        with contextlib.suppress(OSError):  # the supervisor may have lost its patience
            os.write(self._ready, b"!")
            os.close(self._ready)


async def _finish(ingesting: asyncio.Task[None], ingest: Ingest) -> None:
    """What signalling has written by now goes into the database."""
    await _cancelled(ingesting)
    try:
        async with asyncio.timeout(LAST_EVENTS_S):
            await ingest.take_all()
    except (ParkadeError, OSError) as error:
        log.warning("the last events wait for the next start: %s", error)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _queue_webhooks(connection: AsyncConnection, lines: Sequence[Line]) -> None:
    await enqueue(connection, lines, time.time())


class _Server(uvicorn.Server):
    """Says when it serves, and leaves signals to us."""

    def __init__(self, config: uvicorn.Config, say_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._say_ready = say_ready

    def end(self) -> None:
        """Take no more requests, finish those under way."""
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn does it, then say so."""
        await super().startup(sockets)
        self._say_ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """None."""
        yield


if __name__ == "__main__":
    sys.exit(main())

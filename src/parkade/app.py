"""The signalling process: the only place where every room meets.

It is started by ``serve`` and again whenever it ends. What was kept is restored before the first message is read; it is ready
when it is connected to a media process. SIGTERM drains: no new calls, then up to ``drain_seconds`` for conversations to end;
whoever is parked stays in the journal. A second SIGTERM does not wait. It ends at once when its supervisor is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import uvloop

from parkade.base.clock import Instant
from parkade.base.errors import ParkadeError
from parkade.base.ids import Ids
from parkade.base.journal import Json
from parkade.config import Settings
from parkade.edge.advertise import Advertise
from parkade.edge.clock import Clock
from parkade.edge.collector import keep_what_was_loaded, settle_collector
from parkade.edge.command_socket import CommandSocket
from parkade.edge.event_log import EVENTS_FOLDER, EventLog
from parkade.edge.figures import Figures
from parkade.edge.publisher import Publisher
from parkade.edge.pump import Pump
from parkade.edge.tcp import TcpTransport
from parkade.edge.trace import Trace, Tracing
from parkade.edge.udp import UdpTransport
from parkade.media.link import MediaLink
from parkade.rtp.orders import PortsReady, Report
from parkade.store import events as stored_events
from parkade.store.journal import JOURNAL_FILE, Journal, set_aside
from parkade.store.store import Store
from parkade.switch.guesses import GuessLimits
from parkade.switch.inputs import AccountLoaded, Drain, HangUp, MediaReport, SwitchEffect
from parkade.switch.switch import Switch

log = logging.getLogger("parkade")

DIRECTORY_POLL_S = 1.0
MAX_ASKING = 1000
DRAIN_POLL_S = 0.2
PORTS_S = 10.0


@dataclass(frozen=True, slots=True)
class Given:
    """What the supervisor hands on: bound sockets, where media listens and where the web process will ask, a pipe that ends
    with the supervisor, and whom to tell that phones may call.
    """

    udp: socket.socket
    tcp: socket.socket
    media_socket: Path
    command_socket: Path
    life: int
    say_ready: Callable[[], None]


def run_signalling(settings: Settings, given: Given) -> int:
    """Serve until told to end; gives the exit status. Raises ``ParkadeError`` if it cannot start."""
    return uvloop.run(_Signalling(settings, given).run())


class NoPortsError(ParkadeError):
    """The media process has no port to give."""


class _Signalling:
    """One run."""

    def __init__(self, settings: Settings, given: Given) -> None:
        self._settings = settings
        self._given = given
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()

    async def run(self) -> int:
        settings, given = self._settings, self._given
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._told_to_stop)
        loop.add_reader(given.life, self._supervisor_gone)
        async with AsyncExitStack() as cleanup:
            store = await cleanup.enter_async_context(await Store.open(settings.data, settings.database))
            revision = await store.revision()
            directory = await store.directory()
            async with store.reading() as connection:
                position = await stored_events.position(connection)
            events = EventLog.open(settings.data / EVENTS_FOLDER, position)
            cleanup.callback(events.close)
            journal = Journal.open(settings.data / JOURNAL_FILE) if settings.journal == "on" else None
            port = int(given.udp.getsockname()[1])
            advertise = Advertise(settings.advertise, settings.host, {"UDP": port, "TCP": port})

            def new_switch() -> Switch:
                keeps, traces = journal is not None, settings.trace_minutes > 0
                limits = GuessLimits(tries_of_source=settings.ban_after, ban_s=settings.ban_seconds)
                return Switch(*directory, Ids(os.urandom), advertise, keeps=keeps, traces=traces, limits=limits)

            clock = Clock()
            switch, effects = new_switch(), list[SwitchEffect]()
            if journal is not None:
                cleanup.callback(journal.close)
                kept = journal.load()
                try:
                    effects = _restored(switch, kept, clock.now())
                except Exception as error:
                    # A mistake of ours. To serve nobody would be worse than to lose those who were there.
                    log.exception("what was kept could not be taken up")
                    journal.close()
                    set_aside(journal.path, "unusable", error, tails=True)
                    journal = Journal.open(settings.data / JOURNAL_FILE)
                    cleanup.callback(journal.close)
                    switch = new_switch()
            publisher = Publisher(events)
            pump = Pump(switch, clock, publisher, journal)
            tracing = self._trace(switch, pump, publisher, advertise, clock) if settings.trace_minutes else None
            if journal is not None:
                journal.start()
            udp, tcp = UdpTransport(given.udp, pump.feed_all), TcpTransport(pump.feed_all)
            cleanup.callback(udp.stop)
            cleanup.callback(tcp.stop)
            pump.transports.update(UDP=udp, TCP=tcp)
            pump.perform(effects)
            figures = Figures(switch.counts, lambda: journal.waiting if journal is not None else 0, events)
            await self._connect_media(pump, figures, cleanup)
            follower = DirectoryFollower(store, pump.feed, revision)
            commands = CommandSocket(pump.feed, figures.now, follower.look_now)
            if tracing is not None:
                cleanup.callback(tracing.stop)
                commands.trace = tracing.ask
            await self._listen_for_commands(commands, publisher, cleanup)
            settle_collector()
            udp.listen()
            await tcp.listen(given.tcp)
            following = asyncio.create_task(follower.run())
            cleanup.callback(following.cancel)
            given.say_ready()
            await self._stop.wait()
            await self._drain(switch, pump, keep=journal is not None)
        return 0

    def _told_to_stop(self) -> None:
        if self._stop.is_set():
            self._hurry.set()
        self._stop.set()

    def _supervisor_gone(self) -> None:
        asyncio.get_running_loop().remove_reader(self._given.life)
        log.error("the supervisor is gone: signalling ends, media goes on and waits for the next")
        os._exit(0)  # at once: the next server waits for our place

    def _trace(self, switch: Switch, pump: Pump, publisher: Publisher, advertise: Advertise, clock: Clock) -> Tracing:
        """Have messages kept, and what happens to calls watched."""
        trace = Trace(60.0 * self._settings.trace_minutes, self._settings.trace_megabytes << 20, advertise)
        tracing = Tracing(trace, switch.sip_call_ids, clock.now)
        pump.tracer, publisher.seen = trace, tracing.happened
        return tracing

    async def _listen_for_commands(self, commands: CommandSocket, publisher: Publisher, cleanup: AsyncExitStack) -> None:
        """Calls go on without it."""
        cleanup.callback(commands.stop)
        publisher.answer, publisher.news = commands.answer, commands.events_up_to
        try:
            await commands.listen(self._given.command_socket)
        except OSError as error:
            log.error("the API cannot ask signalling anything: %s", error.strerror)

    async def _connect_media(self, pump: Pump, figures: Figures, cleanup: AsyncExitStack) -> None:
        """A media process with its first ports bound, so that the first call finds one."""
        ready = asyncio.Event()

        def reports(given: Sequence[Report]) -> None:
            figures.heard(given)
            pump.feed_all([MediaReport(report) for report in given])
            if not ready.is_set() and any(isinstance(report, PortsReady) for report in given):
                ready.set()

        media = MediaLink(self._given.media_socket, reports)
        media.connect()
        cleanup.push_async_callback(media.close)
        pump.send_orders = media.send
        stopped = asyncio.ensure_future(self._stop.wait())
        waiting = asyncio.ensure_future(ready.wait())
        try:
            done, _ = await asyncio.wait({waiting, stopped}, timeout=PORTS_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
            stopped.cancel()
        if not done:
            raise NoPortsError(f"no free UDP port for sound within {self._settings.rtp_ports}")

    async def _drain(self, switch: Switch, pump: Pump, *, keep: bool) -> None:
        """Wait for conversations. With ``keep`` the rest goes on in the next process; else they hear that it is over."""
        pump.feed(Drain())
        for _ in range(int(self._settings.drain_seconds / DRAIN_POLL_S)):
            counts = switch.counts()
            if counts["legs"] <= (counts["parked"] if keep else 0):
                break
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DRAIN_POLL_S):
                    await self._hurry.wait()
                break
        if not keep:
            # Whoever is left hears it from us, and not from the silence.
            pump.feed(HangUp())


class DirectoryFollower:
    """Loads what has changed in the database: at once when told, else within a second or two."""

    def __init__(self, store: Store, feed: Callable[[AccountLoaded], None], revision: int) -> None:
        self._store = store
        self._feed = feed
        self._revision = revision
        self._told = asyncio.Event()
        self._asking: list[Callable[[], None]] = []

    def look_now(self, done: Callable[[], None]) -> None:
        """Look at once; ``done`` is called when the switch holds what is in the database now."""
        self._asking.append(done)
        del self._asking[:-MAX_ASKING]
        self._told.set()

    async def run(self) -> None:
        """Follow. What prevents it is said once; whoever asks is answered when it is over."""
        said = ""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DIRECTORY_POLL_S):
                    await self._told.wait()
            self._told.clear()
            asking, self._asking = self._asking, []
            try:
                await self._follow()
            except Exception as error:
                if (reason := str(error) or repr(error)) != said:
                    trace = None if isinstance(error, ParkadeError) else error
                    log.error("the directory could not be read again: %s", reason, exc_info=trace)
                said = reason
                self._asking[:0] = asking
            else:
                said = ""
                for done in asking:
                    done()

    async def _follow(self) -> None:
        revision, slugs = await self._store.changed_accounts(self._revision)
        for slug in slugs:
            loaded = await self._store.account(slug)
            if loaded is None:
                self._feed(AccountLoaded(slug, None, {}, {}))
            else:
                self._feed(AccountLoaded(slug, loaded.account, loaded.devices, loaded.secrets))
                keep_what_was_loaded()
            log.info("account %s of directory revision %s loaded", slug, revision)
        self._revision = revision


def _restored(switch: Switch, kept: Mapping[str, Json], now: Instant) -> list[SwitchEffect]:
    effects = switch.restore(kept, now)
    if kept:
        counts = switch.counts()
        log.info(
            "taken up again: calls %d, parked %d, phones in them %d; registrations %d",
            counts["calls"],
            counts["parked"],
            counts["legs"],
            counts["bindings"],
        )
    return effects

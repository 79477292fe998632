"""Signalling's end: starts a media process or finds one that lives, sends it orders, hears its reports, notices its death.

Lives in asyncio. Whether a dead process is started again, and its legs with it, is for the caller to decide: a ``MediaClient``
is one process. Two ways to part: ``close`` ends the process, ``leave`` lets it play on for whoever attaches next.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from struct import Struct

from parkade.base.errors import ParkadeError
from parkade.media.wire import LINE_LIMIT, WireError, order_to_line, report_from_line
from parkade.rtp.orders import Order, Report

log = logging.getLogger(__name__)

START_S = 10.0
ATTACH_S = 2.0
END_S = 5.0
_CREDENTIALS = Struct("3i")


class MediaError(ParkadeError):
    """The media process could not be started, or there is none to attach to."""


class MediaClient:
    """One running media process. Make it with ``start`` or ``attach``; part with ``close`` or ``leave``.

    ``on_report`` gets the reports in order, first of all ``Inventory`` and ``PortsReady``. ``on_death`` is called once if the
    process or the connection ends unasked.
    """

    def __init__(
        self,
        pid: int,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        on_report: Callable[[Report], None],
        on_death: Callable[[], None],
        process: asyncio.subprocess.Process | None = None,
    ) -> None:
        self.pid = pid
        """The process id of the media process."""
        self._process = process
        self._handle = _handle_of(pid)
        self._reader = reader
        self._writer = writer
        self._on_report = on_report
        self._on_death = on_death
        self._closing = False
        self._heard_something = asyncio.Event()
        self._reading = asyncio.create_task(self._read(), name="media reports")

    @classmethod
    async def start(
        cls,
        *,
        socket_path: Path,
        host: str,
        rtp_ports: tuple[int, int],
        on_report: Callable[[Report], None],
        on_death: Callable[[], None],
        sounds: Path | None = None,
        state: Path | None = None,
        linger_s: float | None = None,
        silence_s: float | None = None,
    ) -> MediaClient:
        """Start a media process and connect to it; ``MediaError`` says why it did not come up.

        It ends with this process, or with ``linger_s`` so long after nobody is connected any more. ``state`` is its state
        file: with it the legs of a process that died can go on. ``silence_s`` is when a silent leg is reported.
        """
        command = [sys.executable, "-m", "parkade.media", "--socket", str(socket_path), "--host", host]
        command += ["--rtp-ports", "{}-{}".format(*rtp_ports)]
        command += ["--with-parent"] if linger_s is None else ["--linger", str(linger_s)]
        for option, value in (("--sounds", sounds), ("--state", state), ("--silence", silence_s)):
            if value is not None:
                command += [option, str(value)]
        # In a process group of its own: Ctrl-C in a terminal is for us, and we say goodbye to the callers first.
        stdin = asyncio.subprocess.PIPE if linger_s is None else asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(*command, stdin=stdin, env=_environment(), process_group=0)
        try:
            async with asyncio.timeout(START_S):
                reader, writer = await _connect(process, socket_path)
        except BaseException as error:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            if isinstance(error, TimeoutError):
                raise MediaError(f"the media process did not come up within {START_S:.0f} s") from None
            raise
        return cls(process.pid, reader, writer, on_report, on_death, process)

    @classmethod
    async def attach(
        cls, socket_path: Path, *, on_report: Callable[[Report], None], on_death: Callable[[], None]
    ) -> MediaClient:
        """Connect to a media process that lives already; ``MediaError`` if there is none.

        One that lives but says nothing within ``ATTACH_S`` is of no use to anybody and is killed.
        """
        try:
            reader, writer = await asyncio.open_unix_connection(str(socket_path), limit=LINE_LIMIT)
        except OSError as error:
            raise MediaError(f"no media process at {socket_path}: {error.strerror}") from None
        client = cls(_peer_of(writer), reader, writer, on_report, on_death)
        # Its end is an error of this call until it has shown that it works.
        client._closing = True
        try:
            async with asyncio.timeout(ATTACH_S):
                await client._heard_something.wait()
        except TimeoutError:
            await client._end(signal.SIGKILL)
            raise MediaError(f"the media process at {socket_path} does not answer") from None
        if client._writer.is_closing():
            await client._end(signal.SIGKILL)
            raise MediaError(f"the media process at {socket_path} ended")
        client._closing = False
        return client

    def send(self, orders: Iterable[Order]) -> None:
        """Send ``orders`` in one write. After the death of the process they are dropped."""
        if not self._writer.is_closing():
            self._writer.write(b"".join(map(order_to_line, orders)))

    async def close(self) -> None:
        """End the media process; its legs get their RTCP BYE."""
        await self._end(signal.SIGTERM)

    async def leave(self) -> None:
        """Part from the media process, which keeps its legs; what was sent is still performed."""
        self._closing = True
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(END_S):
                await self._writer.drain()
        self._reading.cancel()
        await self._let_go()

    async def _end(self, number: signal.Signals) -> None:
        self._closing = True
        self._signal(number)
        try:
            async with asyncio.timeout(END_S):
                await self._gone()
        except TimeoutError:
            self._signal(signal.SIGKILL)
            await self._gone()
        await self._let_go()

    async def _gone(self) -> None:
        if self._process is not None:
            await self._process.wait()
        elif self._handle is not None:
            ended, loop = asyncio.Event(), asyncio.get_running_loop()
            loop.add_reader(self._handle, ended.set)
            try:
                await ended.wait()
            finally:
                loop.remove_reader(self._handle)
        await asyncio.shield(self._reading)

    async def _let_go(self) -> None:
        self._writer.close()
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await self._reading
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _signal(self, number: signal.Signals) -> None:
        """By a handle, because the number of a process that is gone may be another's."""
        with contextlib.suppress(ProcessLookupError):
            if self._handle is not None:
                signal.pidfd_send_signal(self._handle, number)

    async def _read(self) -> None:
        try:
            while line := await self._reader.readline():
                self._heard_something.set()
                try:
                    report = report_from_line(line)
                except WireError as error:
                    log.warning("not a report: %s", error)
                    continue
                try:
                    self._on_report(report)
                except Exception:
                    log.exception("%s was not understood", type(report).__name__)
        except (OSError, ValueError) as error:
            log.warning("the connection to the media process broke: %s", error)
        self._writer.close()
        self._heard_something.set()
        if not self._closing:
            self._on_death()


def _handle_of(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None


def _peer_of(writer: asyncio.StreamWriter) -> int:
    """The process id at the other end of a unix socket."""
    connection: socket.socket = writer.get_extra_info("socket")
    pid, _, _ = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return int(pid)


def _environment() -> dict[str, str]:
    """Ours, with the place of this very package, so that the child runs the same code, installed or not."""
    here = str(Path(__file__).resolve().parents[2])
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))}


async def _connect(process: asyncio.subprocess.Process, path: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    while process.returncode is None:
        with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
            reader, writer = await asyncio.open_unix_connection(str(path), limit=LINE_LIMIT)
            if _peer_of(writer) == process.pid:
                return reader, writer
            # Another one that is still there.
            writer.close()
        await asyncio.sleep(0.01)
    raise MediaError(f"the media process ended with status {process.returncode} before it was ready")

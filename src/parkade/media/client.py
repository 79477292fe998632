"""Signalling's end: starts a media process, sends it orders, hears its reports, notices its death. Lives in asyncio.

Whether a dead process is started again, and its legs with it, is for the caller to decide: a ``MediaClient`` is one process.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from parkade.base.errors import ParkadeError
from parkade.media.wire import LINE_LIMIT, WireError, order_to_line, report_from_line
from parkade.rtp.orders import Order, Report

log = logging.getLogger(__name__)

START_S = 10.0
END_S = 2.0


class MediaError(ParkadeError):
    """The media process could not be started."""


class MediaClient:
    """One running media process. Make it with ``start``; end it with ``close``."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        on_report: Callable[[Report], None],
        on_death: Callable[[], None],
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self._on_report = on_report
        self._on_death = on_death
        self._closing = False
        self._reading = asyncio.create_task(self._read(), name="media reports")

    @property
    def pid(self) -> int:
        """The process id of the media process."""
        return self._process.pid

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
    ) -> MediaClient:
        """Start a media process that ends with this one, and connect to it; ``MediaError`` says why it did not come up.

        The first report is ``PortsReady``. ``on_death`` is called once if the process or the connection ends unasked.
        """
        command = [sys.executable, "-m", "parkade.media", "--with-parent", "--socket", str(socket_path), "--host", host]
        command += ["--rtp-ports", "{}-{}".format(*rtp_ports)]
        if sounds is not None:
            command += ["--sounds", str(sounds)]
        # In a process group of its own: Ctrl-C in a terminal is for us, and we say goodbye to the callers first.
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, env=_environment(), process_group=0
        )
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
        return cls(process, reader, writer, on_report, on_death)

    def send(self, orders: Iterable[Order]) -> None:
        """Send ``orders`` in one write. After the death of the process they are dropped."""
        if not self._writer.is_closing():
            self._writer.write(b"".join(map(order_to_line, orders)))

    async def close(self) -> None:
        """End the media process; its legs get their RTCP BYE."""
        self._closing = True
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(END_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._reading
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()
        if self._process.stdin is not None:
            self._process.stdin.close()

    async def _read(self) -> None:
        try:
            while line := await self._reader.readline():
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
        if not self._closing:
            self._writer.close()
            self._on_death()


def _environment() -> dict[str, str]:
    """Ours, with the place of this very package, so that the child runs the same code, installed or not."""
    here = str(Path(__file__).resolve().parents[2])
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))}


async def _connect(process: asyncio.subprocess.Process, path: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    while process.returncode is None:
        try:
            return await asyncio.open_unix_connection(str(path), limit=LINE_LIMIT)
        except (FileNotFoundError, ConnectionRefusedError):
            await asyncio.sleep(0.01)
    raise MediaError(f"the media process ended with status {process.returncode} before it was ready")

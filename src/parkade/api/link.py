"""The signalling process over its unix socket (``edge/command_socket.py``): one connection, made again whenever it is lost.

While there is none, whoever asks waits for it as long as they want to wait for an answer: a restart takes some tenths of a
second. What was asked before the connection was lost may have been done or not; who asked is told that nobody answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, TypeAlias, cast

from parkade.api.signalling import RefusedError, SignallingAwayError
from parkade.calls.commands import Result, Wanted
from parkade.edge.link_wire import (
    Answer,
    AskFigures,
    AskTrace,
    DirectoryChanged,
    Down,
    EventsUpTo,
    Figures,
    Framer,
    LinkError,
    Refused,
    Traced,
    asking,
    down_from,
    framed,
)
from parkade.edge.trace import Message

log = logging.getLogger("parkade.api.link")

RETRY_S: Final = 0.05
FIGURES_S: Final = 2.0
TRACE_S: Final = 10.0
DIRECTORY_S: Final = 5.0
_Asking: TypeAlias = "asyncio.Future[Down]"


class SignallingLink:
    """``connect`` begins, ``close`` ends. ``news`` hears the number of the last event in the log."""

    def __init__(self, path: Path, news: Callable[[int], None] = lambda _: None) -> None:
        self._path = path
        self._news = news
        self._numbers = itertools.count(1)
        self._asking: dict[int, _Asking] = {}
        self._transport: asyncio.Transport | None = None
        self._connected = asyncio.Event()
        self._keeping: asyncio.Task[None] | None = None

    @property
    def is_connected(self) -> bool:
        """Whether signalling is there."""
        return self._connected.is_set()

    @property
    def asking(self) -> int:
        """How many wait for an answer."""
        return len(self._asking)

    def connect(self) -> None:
        """Connect as soon as signalling is there, and again after each loss."""
        self._keeping = asyncio.get_running_loop().create_task(self._keep(), name="signalling link")

    async def close(self) -> None:
        """Part; whoever still waits is told that nobody answers."""
        if self._keeping is not None:
            self._keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeping
        if self._transport is not None:
            self._transport.abort()
        self._lost()

    async def ask(self, account: str, wanted: Wanted, *, timeout_s: float = 5.0) -> Result:
        """As ``Signalling.ask``."""
        answer = await self._ask(lambda number: asking(number, account, wanted), timeout_s)
        match answer:
            case Answer():
                try:
                    return answer.result
                except LinkError as error:
                    log.error("an answer of signalling cannot be read: %s", error)
            case Refused(refusal=refusal):
                raise RefusedError(refusal)
            case _:
                log.error("signalling has answered a command with %s", type(answer).__name__)
        raise SignallingAwayError("signalling has given no answer that can be understood")

    async def directory_changed(self) -> None:
        """As ``Signalling.directory_changed``."""
        await self._ask(lambda number: framed(DirectoryChanged(number)), DIRECTORY_S)

    async def figures(self) -> Mapping[str, float]:
        """As ``Signalling.figures``."""
        answer = await self._ask(lambda number: framed(AskFigures(number)), FIGURES_S)
        if not isinstance(answer, Figures):
            raise SignallingAwayError("signalling has given no answer that can be understood")
        return answer.figures

    async def trace(self, account: str, call: str) -> list[Message] | None:
        """As ``Signalling.trace``."""
        answer = await self._ask(lambda number: framed(AskTrace(number, account, call)), TRACE_S)
        if not isinstance(answer, Traced):
            raise SignallingAwayError("signalling has given no answer that can be understood")
        return answer.messages

    async def _ask(self, frame: Callable[[int], bytes], timeout_s: float) -> Down:
        number = next(self._numbers)
        try:
            async with asyncio.timeout(timeout_s):
                while self._transport is None:
                    await self._connected.wait()
                future: _Asking = asyncio.get_running_loop().create_future()
                self._asking[number] = future
                self._transport.write(frame(number))
                return await future
        except TimeoutError:
            raise SignallingAwayError(f"signalling has not answered within {timeout_s:g} s") from None
        finally:
            self._asking.pop(number, None)

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            lost = asyncio.Event()
            try:
                transport, _ = await loop.create_unix_connection(lambda lost=lost: _Answers(self._heard, lost), str(self._path))  # type: ignore[misc]
            except OSError:
                await asyncio.sleep(RETRY_S)
                continue
            self._transport = transport
            self._connected.set()
            await lost.wait()
            self._lost()
            log.warning("the connection to signalling is lost")

    def _lost(self) -> None:
        self._transport = None
        self._connected.clear()
        asking, self._asking = self._asking, {}
        for future in asking.values():
            if not future.done():
                future.set_exception(SignallingAwayError("signalling has ended before it answered"))

    def _heard(self, message: Down) -> None:
        if isinstance(message, EventsUpTo):
            self._news(message.number)
            return
        future = self._asking.get(message.number)
        if future is not None and not future.done():
            future.set_result(message)


class _Answers(asyncio.Protocol):
    """Cuts what comes into messages."""

    def __init__(self, heard: Callable[[Down], None], lost: asyncio.Event) -> None:
        self._heard = heard
        self._lost = lost
        self._framer = Framer()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            for body in self._framer.feed(data):
                self._heard(down_from(body))
        except LinkError as error:
            log.error("signalling says what is no message: %s", error)
            assert self._transport is not None
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost.set()

"""Signalling's end of the socket to the web process: commands in, replies out, and word of new events.

Calls never wait for it. At most ``BATCH`` commands are taken between two looks at the phones; while more wait nothing is read.
Whoever does not read its answers is cut off. A connection that says what is no command is closed; nothing here raises into the
loop. Word of events is given at most every ``NEWS_S``, and not at all while nobody is connected.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, cast

from parkade.calls.commands import Command, Reply
from parkade.edge.link_wire import (
    COMMAND_LIMIT,
    Ask,
    AskFigures,
    AskTrace,
    DirectoryHeld,
    EventsUpTo,
    Figures,
    Framer,
    LinkError,
    Traced,
    answering,
    framed,
    refusing,
    up_from,
)
from parkade.edge.trace import Message

log = logging.getLogger("parkade.edge.commands")

BATCH: Final = 8
"""A command costs the switch some 50 us, so phones wait half a millisecond at most."""
MAX_WAITING: Final = 256
"""Bodies that were read and are not looked at yet; beyond, nothing is read."""
MAX_UNREAD_BYTES: Final = 32 << 20
MAX_CONNECTIONS: Final = 8
NEWS_S: Final = 0.01


class CommandSocket:
    """All connections of web processes, usually one.

    ``feed`` gives a command to the switch, whose ``Reply`` comes to ``answer``. ``figures`` says how it is going;
    ``directory_changed`` is handed what to call when the switch holds the directory as it is now.
    """

    def __init__(
        self,
        feed: Callable[[Command], None],
        figures: Callable[[], Mapping[str, float]],
        directory_changed: Callable[[Callable[[], None]], None],
    ) -> None:
        self.feed = feed
        self.figures = figures
        self.directory_changed = directory_changed
        self.trace: Callable[[str, str, Callable[[list[Message] | None], None]], None] = _no_trace
        """Asked for the messages of a call of an account; hands them to the third, soon."""
        self._loop = asyncio.get_running_loop()
        self._server: asyncio.Server | None = None
        self._connections: dict[int, _Connection] = {}
        # A number never comes again, also not in the next process: a command may outlive both.
        self._last_number = time.time_ns() // 1000
        self._news = 0
        self._news_due: asyncio.TimerHandle | None = None

    async def listen(self, path: Path) -> None:
        """Make the socket ``path``, for this user alone, and accept. Raises ``OSError``."""
        with contextlib.suppress(FileNotFoundError):
            path.unlink()  # noqa: ASYNC240 - at the start
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            sock.bind(str(path))
        except BaseException:
            sock.close()
            raise
        finally:
            os.umask(before)
        sock.setblocking(False)
        self._server = await self._loop.create_unix_server(lambda: _Connection(self), sock=sock)

    def answer(self, reply: Reply) -> None:
        """Tell whoever asked, if it is still there."""
        connection, _, number = reply.id.partition("-")
        if connection.isdigit() and (asker := self._connections.get(int(connection))) is not None:
            if reply.refusal is not None:
                asker.write(refusing(int(number), reply.refusal))
            else:
                asker.write(answering(int(number), reply.result))

    def events_up_to(self, number: int) -> None:
        """Let everybody know soon that the log has events up to ``number``."""
        self._news = number
        if self._connections and self._news_due is None:
            self._news_due = self._loop.call_later(NEWS_S, self._tell_news)

    def stop(self) -> None:
        """Accept nobody any more and part with everybody."""
        if self._news_due is not None:
            self._news_due.cancel()
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections.values()):
            connection.close()

    def opened(self, connection: _Connection) -> int | None:
        """The number of a new connection, or None if there are too many."""
        if len(self._connections) >= MAX_CONNECTIONS:
            return None
        self._last_number += 1
        self._connections[self._last_number] = connection
        if self._news:
            connection.write(framed(EventsUpTo(self._news)))
        return self._last_number

    def closed(self, number: int) -> None:
        """A connection is gone. What it asked is done; nobody hears the answer."""
        self._connections.pop(number, None)

    def _tell_news(self) -> None:
        self._news_due = None
        frame = framed(EventsUpTo(self._news))
        for connection in list(self._connections.values()):
            connection.write(frame)


def _no_trace(_account: str, _call: str, found: Callable[[list[Message] | None], None]) -> None:
    found(None)


class _Connection(asyncio.Protocol):
    """One web process."""

    def __init__(self, owner: CommandSocket) -> None:
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._framer = Framer(COMMAND_LIMIT)
        self._waiting: deque[bytes] = deque()
        self._working = False
        self._paused = False
        self._transport: asyncio.Transport | None = None
        self._number: int | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._number = self._owner.opened(self)
        if self._number is None:
            log.error("more than %d connections of web processes: one is refused", MAX_CONNECTIONS)
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._waiting.clear()
        if self._number is not None:
            self._owner.closed(self._number)

    def data_received(self, data: bytes) -> None:
        try:
            self._waiting += self._framer.feed(data)
        except LinkError as error:
            self._cut_off(str(error))
            return
        if not self._working and self._waiting:
            self._work()
        if len(self._waiting) > MAX_WAITING and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def _work(self) -> None:
        waiting = self._waiting
        for _ in range(BATCH):
            if not waiting:
                break
            try:
                self._take(waiting.popleft())
            except LinkError as error:
                self._cut_off(str(error))
            except Exception:
                log.exception("a command could not be carried out")
                self._cut_off("it led to a fault")
        self._working = bool(waiting)
        if waiting:
            self._loop.call_soon(self._work)
        elif self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()

    def _take(self, body: bytes) -> None:
        message = up_from(body)
        number = message.number
        match message:
            case Ask(account=account):
                self._owner.feed(Command(f"{self._number}-{number}", account, message.wanted))
            case AskTrace(account=account, call=call):
                self._owner.trace(account, call, lambda found: self.write(framed(Traced(number, found))))
            case AskFigures():
                self.write(framed(Figures(number, dict(self._owner.figures()))))
            case _:
                self._owner.directory_changed(lambda: self.write(framed(DirectoryHeld(number))))

    def write(self, frame: bytes) -> None:
        """Send ``frame``, or give up somebody who has left too much unread."""
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.write(frame)
        if self._transport.get_write_buffer_size() > MAX_UNREAD_BYTES:
            self._cut_off("it does not read its answers")

    def close(self) -> None:
        """Part after what was written has gone."""
        if self._transport is not None:
            self._transport.close()

    def _cut_off(self, why: str) -> None:
        self._waiting.clear()
        if self._transport is not None and not self._transport.is_closing():
            log.error("the connection to a web process is closed: %s", why)
            self._transport.abort()

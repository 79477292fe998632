"""The media end of the unix socket: accepts signalling, cuts its bytes into orders, keeps reports until they are taken.

One connection at a time; a new one replaces the old, because a signalling process that comes back is the one to obey. What
the old one had sent is still done, and only then the new one is greeted, so that what it is told is how things are.
Reports made while nobody is connected are kept, up to ``KEPT_REPORTS``; the oldest are dropped first. What a process that was
killed had not read is lost.
"""

from __future__ import annotations

import contextlib
import logging
import select
import socket
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

from parkade.media.wire import LINE_LIMIT, WireError, order_from_line, report_to_line
from parkade.rtp.orders import Order, Report

log = logging.getLogger(__name__)

LAST_WORDS_S = 1.0
UNREAD_LIMIT = 4 * 1024 * 1024
"""Signalling that leaves more reports than this unread is cut off."""


KEPT_REPORTS = 10_000
DRAIN_READS = 64
"""How much of what a replaced connection had sent is read: so many times ``LINE_LIMIT``."""


class Signalling:
    """``orders`` gives what has come in; ``report`` and ``flush`` send. Nothing here ever waits.

    ``on_connect`` reports to a new connection what it must know first.
    """

    def __init__(self, path: Path, epoll: select.epoll, on_connect: Callable[[], None]) -> None:
        self._epoll = epoll
        self._on_connect = on_connect
        self._path = path
        path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        self._listener.bind(str(path))
        path.chmod(0o600)
        self._listener.listen(4)
        epoll.register(self._listener, select.EPOLLIN)
        self._listens_at = self._listener.fileno()
        self._connection: socket.socket | None = None
        self._connected_at = -1
        self._cut = b""
        self._lines: deque[bytes] = deque()
        self._greets = False
        self._deaf = False
        """It has closed its end, but what it had sent before is still to be read."""
        self._kept: deque[bytes] = deque(maxlen=KEPT_REPORTS)
        self._unread = bytearray()
        self._stuck = False

    def owns(self, fd: int) -> bool:
        """Whether an event of ``fd`` is for ``handle``."""
        return fd in (self._connected_at, self._listens_at)

    def handle(self, fd: int) -> None:
        """Accept, read or write, whatever ``fd`` is ready for."""
        if fd == self._listens_at:
            self._accept()
        else:
            self._read()

    def orders(self, limit: int) -> Iterator[Order]:
        """At most ``limit`` of the orders that have come; what is no order is one log line."""
        while self._lines and limit > 0:
            limit -= 1
            try:
                yield order_from_line(self._lines.popleft())
            except WireError as error:
                log.warning("not an order: %s", error)

    @property
    def is_connected(self) -> bool:
        """Whether signalling is there."""
        return self._connection is not None

    @property
    def is_greeted(self) -> bool:
        """Whether it has been told how things are, so that changes are worth telling."""
        return self._connection is not None and not self._greets and not self._deaf

    @property
    def has_orders(self) -> bool:
        """Whether ``orders`` would give some at once."""
        return bool(self._lines)

    def report(self, report: Report) -> None:
        """Tell signalling with the next ``flush``, or when it is there again."""
        line = report_to_line(report)
        if not self.is_greeted:
            self._kept.append(line)
        else:
            self._unread += line

    def flush(self) -> None:
        """Send what has been reported, as far as it is taken; a new connection is greeted when no order is left to do."""
        if self._connection is None or self._deaf:
            return
        if self._greets and not self._lines:
            self._greets = False
            self._on_connect()
            self._unread += b"".join(self._kept)
            self._kept.clear()
        if not self._unread:
            return
        try:
            sent = self._connection.send(self._unread)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._deaf = True
            self._unread.clear()
            return
        del self._unread[:sent]
        if len(self._unread) > UNREAD_LIMIT:
            self._drop("does not read its reports")
        elif bool(self._unread) != self._stuck:
            self._stuck = bool(self._unread)
            events = select.EPOLLIN | (select.EPOLLOUT if self._stuck else 0)
            self._epoll.modify(self._connection, events)

    def close(self) -> None:
        """Hand over the last reports, end the connection and remove the socket's file."""
        if self._connection is not None:
            self._connection.settimeout(LAST_WORDS_S)
            with contextlib.suppress(OSError):
                self._connection.sendall(self._unread)
        self._drop(None)
        self._listener.close()
        self._path.unlink(missing_ok=True)

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        for _ in range(DRAIN_READS):
            if self._connection is None or not self._read():
                break
        if self._connection is not None:
            self._drop("another one came")
        connection.setblocking(False)
        self._connection = connection
        self._connected_at = connection.fileno()
        self._greets = True
        self._epoll.register(connection, select.EPOLLIN)

    def _read(self) -> bool:
        """Take what has come; whether there was anything."""
        connection = self._connection
        if connection is None:
            return False
        try:
            data = connection.recv(LINE_LIMIT)
        except BlockingIOError:
            self.flush()
            return False
        except OSError as error:
            self._drop(str(error))
            return False
        if not data:
            log.info("signalling has closed its connection; legs go on")
            self._drop(None)
            return False
        *lines, self._cut = (self._cut + data).split(b"\n")
        self._lines.extend(line for line in lines if line)
        if len(self._cut) > LINE_LIMIT:
            self._drop("a line without end")
            self._lines.clear()
        return True

    def _drop(self, why: str | None) -> None:
        if self._connection is None:
            return
        if why is not None:
            log.warning("the connection to signalling broke (%s); legs go on", why)
        with contextlib.suppress(OSError):
            self._epoll.unregister(self._connection)
        self._connection.close()
        self._connection = None
        self._connected_at = -1
        self._cut = b""
        self._stuck = self._greets = self._deaf = False
        self._unread.clear()

"""How much patience there is with those who connect: uvicorn's protocols with limits.

A request (its head and its body) must be there ``RECEIVE_S`` after it began, or go on faster than ``LEAST_BYTES`` in that time;
a head has at most ``HEAD_BYTES``; whoever takes nothing of what is sent for ``STUCK_S`` is cut off, and so is everybody beyond
``MAX_CONNECTIONS``. How long a body may be is the application's business.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

RECEIVE_S: Final = 20.0
LEAST_BYTES: Final = 256 << 10
STUCK_S: Final = 20.0
HEAD_BYTES: Final = 32 << 10
MAX_CONNECTIONS: Final = 2000
MAX_MESSAGE_BYTES: Final = 64 << 10
"""Of a WebSocket."""
KEEP_ALIVE_S: Final = 75
PING_S: Final = 20.0


class _Alarm:
    """One timer that ends a connection."""

    def __init__(self) -> None:
        self._timer: asyncio.TimerHandle | None = None

    def set(self, after_s: float, then: Any) -> None:
        """Call ``then`` after so many seconds, unless it is cleared or set again before."""
        self.clear()
        self._timer = asyncio.get_running_loop().call_later(after_s, then)

    def clear(self) -> None:
        """It is well."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Http(HttpToolsProtocol):
    """One connection that speaks HTTP."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._slow, self._stuck = _Alarm(), _Alarm()
        self._head_bytes = self._body_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            transport.abort()
        else:
            self._slow.set(RECEIVE_S, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        self._slow.clear()
        self._stuck.clear()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        self._slow.clear()
        self._stuck.clear()
        super().handle_websocket_upgrade()

    def on_message_begin(self) -> None:
        self._head_bytes = 0
        self._slow.set(RECEIVE_S, self._too_slow)
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._slow.clear()
        super().on_message_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stuck.set(STUCK_S, self.transport.abort)

    def resume_writing(self) -> None:
        self._stuck.clear()
        super().resume_writing()

    def _count(self, more: int) -> None:
        self._head_bytes += more
        if self._head_bytes > HEAD_BYTES:
            raise ValueError("a head without end")  # the parser makes of it what it makes of any nonsense: 400

    def _too_slow(self) -> None:
        came, self._body_bytes = self._body_bytes, 0
        if came > LEAST_BYTES or self.flow.read_paused:  # or it is we who do not read
            self._slow.set(RECEIVE_S, self._too_slow)
        elif not self.transport.is_closing():
            self.transport.abort()


class WebSocket(WebSocketsSansIOProtocol):
    """One connection that has become a WebSocket."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._stuck = _Alarm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stuck.clear()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stuck.set(STUCK_S, self.transport.abort)

    def resume_writing(self) -> None:
        self._stuck.clear()
        super().resume_writing()

"""SIP over TCP: connections that phones open, and those that we open to reach one.

A connection that sends nothing for ``IDLE_S`` is closed, as is one whose framing is lost: on a stream there is no way
to find the next message again. Pings count, and a registration over a connection never lives longer than that.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable, Sequence
from typing import cast

from parkade.edge.sockets import BACKLOG, bound
from parkade.sip.message.errors import SipError
from parkade.sip.message.flow import Flow
from parkade.sip.message.framing import Keepalive, StreamFramer
from parkade.switch.inputs import FlowLost, Received, SwitchInput
from parkade.switch.registrar import MAX_EXPIRES_S

log = logging.getLogger("parkade.edge.tcp")

IDLE_S = MAX_EXPIRES_S + 300.0
CONNECT_S = 10.0
MAX_CONNECTIONS = 10_000
MAX_UNSENT_BYTES = 1 << 20


class TcpTransport:
    """All SIP streams of the process, by connection number and by peer. ``feed`` is handed what one read brought.

    A number never comes again, also not in the next process: a flow that was kept cannot mean somebody else's connection.
    """

    def __init__(self, feed: Callable[[Sequence[SwitchInput]], None]) -> None:
        self.feed = feed
        self._server: asyncio.Server | None = None
        self._streams: dict[int, _Stream] = {}
        self._by_peer: dict[tuple[str, int], int] = {}
        self._waiting: dict[tuple[str, int], list[tuple[Flow, bytes]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._last_number = time.time_ns() // 1000

    @classmethod
    async def bind(cls, host: str, port: int, feed: Callable[[Sequence[SwitchInput]], None]) -> TcpTransport:
        """Bind and start to accept; ``::`` accepts IPv4 too. Raises ``OSError`` if the port is taken."""
        self = cls(feed)
        await self.listen(bound(socket.SOCK_STREAM, host, port))
        return self

    async def listen(self, sock: socket.socket) -> None:
        """Begin to accept on ``sock``."""
        self._server = await asyncio.get_running_loop().create_server(lambda: _Stream(self), sock=sock, backlog=BACKLOG)

    def send(self, flow: Flow, data: bytes) -> None:
        """Send on the flow's connection; a flow without one goes on a connection that its peer has, else one is opened."""
        number = flow.connection or self._by_peer.get((flow.host, flow.port), 0)
        stream = self._streams.get(number)
        if stream is not None:
            stream.write(data)
        elif flow.connection:
            asyncio.get_running_loop().call_soon(self.feed, (FlowLost(flow),))
        else:
            self._connect(flow, data)

    def close(self, flow: Flow) -> None:
        """Close the flow's connection once what is queued on it has gone."""
        stream = self._streams.get(flow.connection)
        if stream is not None:
            stream.close()

    def stop(self) -> None:
        """Stop accepting and close every connection."""
        if self._server is not None:
            self._server.close()
        for stream in list(self._streams.values()):
            stream.close()
        for task in self._tasks:
            task.cancel()

    def opened(self, stream: _Stream, host: str, port: int) -> Flow | None:
        """The flow of a new connection, or None if there are too many."""
        if len(self._streams) >= MAX_CONNECTIONS:
            return None
        self._last_number += 1
        self._streams[self._last_number] = stream
        self._by_peer[host, port] = self._last_number
        return Flow("TCP", host, port, self._last_number)

    def closed(self, flow: Flow) -> None:
        """A connection is gone."""
        self._streams.pop(flow.connection, None)
        if self._by_peer.get((flow.host, flow.port)) == flow.connection:
            del self._by_peer[flow.host, flow.port]
        self.feed((FlowLost(flow),))

    def _connect(self, flow: Flow, data: bytes) -> None:
        peer = (flow.host, flow.port)
        queue = self._waiting.setdefault(peer, [])
        queue.append((flow, data))
        if len(queue) == 1:
            task = asyncio.get_running_loop().create_task(self._open(peer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _open(self, peer: tuple[str, int]) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_S):
                _, stream = await loop.create_connection(lambda: _Stream(self), *peer)
        except (OSError, TimeoutError) as error:
            log.debug("cannot connect to %s:%s: %s", *peer, error)
            self.feed([FlowLost(flow) for flow in {flow for flow, _ in self._waiting.pop(peer, [])}])
            return
        for _, data in self._waiting.pop(peer, []):
            stream.write(data)


class _Stream(asyncio.Protocol):
    """One connection."""

    def __init__(self, owner: TcpTransport) -> None:
        self.flow = Flow("TCP", "", 0)
        self._owner = owner
        self._framer = StreamFramer()
        self._transport: asyncio.Transport | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._heard = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        host, port = (transport.get_extra_info("peername") or ("", 0))[:2]
        flow = self._owner.opened(self, host.removeprefix("::ffff:"), port) if host else None
        if flow is None:
            self._transport.abort()
            return
        self.flow = flow
        self._watch()

    def data_received(self, data: bytes) -> None:
        self._heard = True
        inputs: list[SwitchInput] = []
        try:
            for item in self._framer.feed(data):
                if isinstance(item, Keepalive):
                    if item.answer_wanted:
                        self.write(b"\r\n")
                else:
                    inputs.append(Received(self.flow, item))
        except SipError as error:
            log.debug("framing lost with %s:%s: %s", self.flow.host, self.flow.port, error)
            self._owner.feed(inputs)
            self.close()
        else:
            if inputs:
                self._owner.feed(inputs)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._idle is not None:
            self._idle.cancel()
        if self.flow.connection:
            self._owner.closed(self.flow)

    def write(self, data: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if self._transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            # The peer has stopped reading; what we queue would only grow.
            self._transport.abort()
            return
        self._transport.write(data)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _watch(self) -> None:
        self._idle = asyncio.get_running_loop().call_later(IDLE_S, self._check)

    def _check(self) -> None:
        if self._heard:
            self._heard = False
            self._watch()
        else:
            self.close()

"""SIP over UDP: one socket, one message a datagram, read and written on the loop without asyncio's datagram protocol.

Limits: at most ``BATCH`` datagrams are taken a wake-up, so that timers and streams get their turn; what cannot be sent at
once waits in a queue of ``MAX_UNSENT`` datagrams, which gives up the oldest. ICMP errors end nothing: transactions find out
by their own timers.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeAlias

from parkade.edge.sockets import bound
from parkade.sip.message.flow import Flow
from parkade.switch.inputs import FlowLost, Received, SwitchInput

log = logging.getLogger("parkade.edge.udp")

DATAGRAM_BYTES = 1 << 16
BATCH = 32
MAX_UNSENT = 4096
_KNOWN_HOSTS = 16_384
_MAPPED = "::ffff:"

SocketAddress: TypeAlias = "tuple[str, int] | tuple[str, int, int, int]"


class UdpTransport:
    """The socket phones send to and are answered from. ``feed`` is handed all that one wake-up brought.

    It sends from the beginning and reads from ``listen`` on.
    """

    def __init__(self, sock: socket.socket, feed: Callable[[Sequence[SwitchInput]], None]) -> None:
        self._socket = sock
        self._feed = feed
        self._loop = asyncio.get_running_loop()
        self._buffer = bytearray(DATAGRAM_BYTES)
        self._view = memoryview(self._buffer)
        self._wide = sock.family == socket.AF_INET6
        self._hosts: dict[str, str | None] = {}
        self._scopes: dict[str, int] = {}
        self._unsent: deque[tuple[bytes, SocketAddress]] = deque()

    def listen(self) -> None:
        """Begin to read."""
        self._loop.add_reader(self._socket.fileno(), self._readable)

    @classmethod
    def bind(cls, host: str, port: int, feed: Callable[[Sequence[SwitchInput]], None]) -> tuple[UdpTransport, int]:
        """Bind and start to listen; gives the port in use. ``::`` listens on IPv4 too. Raises ``OSError`` if it is taken."""
        self = cls(bound(socket.SOCK_DGRAM, host, port), feed)
        self.listen()
        return self, int(self._socket.getsockname()[1])

    def send(self, flow: Flow, data: bytes) -> None:
        """Send one message. A flow whose address is none is lost; any other error only costs this datagram."""
        host, port = flow[1], flow[2]
        try:
            known = self._hosts[host]
        except KeyError:
            known = self._learn(host)
        if known is None or not 0 < port < 65536:
            log.debug("no address to send to: %s:%s", host, port)
            self._loop.call_soon(self._feed, (FlowLost(flow),))
            return
        address: SocketAddress = (known, port, 0, self._scopes[host]) if host in self._scopes else (known, port)
        if self._unsent:
            self._queue(data, address)
            return
        try:
            self._socket.sendto(data, address)
        except OSError as error:
            self._failed(error, data, address)

    def close(self, flow: Flow) -> None:
        """A datagram flow has nothing to close."""

    def stop(self) -> None:
        """Stop listening. What is queued is lost."""
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket.fileno())
            self._loop.remove_writer(self._socket.fileno())
            self._socket.close()

    def _readable(self) -> None:
        receive, buffer, view = self._socket.recvfrom_into, self._buffer, self._view
        inputs: list[SwitchInput] = []
        for _ in range(BATCH):
            try:
                size, address = receive(buffer)
            except (BlockingIOError, InterruptedError):
                break
            except OSError as error:
                # The ICMP error of an earlier datagram; which one is not said.
                log.debug("datagram refused: %s", error)
                continue
            if size:
                host = self._heard_from(address) if self._wide else address[0]
                inputs.append(Received(Flow("UDP", host, address[1]), bytes(view[:size])))
        if inputs:
            self._feed(inputs)

    def _heard_from(self, address: tuple[str, int, int, int]) -> str:
        host, _, _, scope = address
        if host.startswith(_MAPPED):
            return host[len(_MAPPED) :]
        if scope:
            # A link-local address is only one together with its interface, which a SIP address cannot name.
            if len(self._scopes) >= _KNOWN_HOSTS:
                self._scopes.clear()
            self._scopes[host] = scope
        return host

    def _learn(self, host: str) -> str | None:
        """``host`` as this socket's family spells it, or None for a name: ``sendto`` would ask the DNS and wait for it."""
        if len(self._hosts) >= _KNOWN_HOSTS:
            self._hosts.clear()
        known: str | None = host
        try:
            socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
            if self._wide and ":" not in host:
                known = _MAPPED + host
            elif ":" in host and not self._wide:
                known = None
        except (OSError, ValueError):
            known = None
        self._hosts[host] = known
        return known

    def _failed(self, error: OSError, data: bytes, address: SocketAddress) -> None:
        if error.errno in {errno.EAGAIN, errno.ENOBUFS}:
            self._queue(data, address)
        elif error.errno == errno.ECONNREFUSED:
            # That was the ICMP error of an earlier datagram: this one has not been tried yet.
            try:
                self._socket.sendto(data, address)
            except OSError as again:
                log.debug("cannot send to %s: %s", address[0], again)
        else:
            log.debug("cannot send %d bytes to %s: %s", len(data), address[0], error)

    def _queue(self, data: bytes, address: SocketAddress) -> None:
        if not self._unsent:
            self._loop.add_writer(self._socket.fileno(), self._writable)
        elif len(self._unsent) >= MAX_UNSENT:
            self._unsent.popleft()
        self._unsent.append((data, address))

    def _writable(self) -> None:
        unsent = self._unsent
        for _ in range(BATCH):
            if not unsent:
                break
            data, address = unsent[0]
            try:
                self._socket.sendto(data, address)
            except OSError as error:
                if error.errno in {errno.EAGAIN, errno.ENOBUFS}:
                    return
                log.debug("cannot send %d bytes to %s: %s", len(data), address[0], error)
            unsent.popleft()
        if not unsent:
            self._loop.remove_writer(self._socket.fileno())

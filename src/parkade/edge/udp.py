"""SIP over UDP: one socket, one message a datagram."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import cast

from parkade.sip.message.flow import Flow
from parkade.switch.inputs import FlowLost, Received, SwitchInput

log = logging.getLogger("parkade.edge.udp")

QUEUE_BYTES = 4 << 20
"""What the kernel may hold for us while we are busy: the default fills up in a burst of some hundred calls."""
READ_BUFFER_BYTES = 8_192
"""asyncio allocates its read buffer anew for each datagram: 256 KiB by default, which costs half the CPU."""


class UdpTransport(asyncio.DatagramProtocol):
    """The socket phones send to and are answered from."""

    def __init__(self, feed: Callable[[SwitchInput], None]) -> None:
        self._feed = feed
        self._transport: asyncio.DatagramTransport | None = None

    @classmethod
    async def bind(cls, host: str, port: int, feed: Callable[[SwitchInput], None]) -> tuple[UdpTransport, int]:
        """Bind and start to listen; gives the port in use. Raises ``OSError`` if it is taken."""
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.create_datagram_endpoint(lambda: cls(feed), local_addr=(host, port))
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, QUEUE_BYTES)
        return protocol, int(transport.get_extra_info("sockname")[1])

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)
        if hasattr(transport, "max_size"):
            transport.max_size = READ_BUFFER_BYTES

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._feed(Received(Flow("UDP", addr[0], addr[1]), data))

    def error_received(self, exc: Exception) -> None:
        # An ICMP error of an earlier packet; which one is not said. Transactions find out by their own timers.
        log.debug("datagram refused: %s", exc)

    def send(self, flow: Flow, data: bytes) -> None:
        """Send one message; a message that cannot be sent loses its flow."""
        if self._transport is None or self._transport.is_closing():
            return
        try:
            self._transport.sendto(data, (flow.host, flow.port))
        except (OSError, ValueError) as error:
            log.debug("cannot send to %s:%s: %s", flow.host, flow.port, error)
            asyncio.get_running_loop().call_soon(self._feed, FlowLost(flow))

    def close(self, flow: Flow) -> None:
        """A datagram flow has nothing to close."""

    def stop(self) -> None:
        """Stop listening."""
        if self._transport is not None:
            self._transport.close()

"""Datagrams in and out over real sockets: whole at any size, whatever the family, and after any error."""

from __future__ import annotations

import asyncio
import errno
import socket
import time
from collections.abc import AsyncIterator
from functools import partial

import pytest
import pytest_asyncio

from parkade.edge.udp import BATCH, UdpTransport
from parkade.sip.message.flow import Flow
from tests.edge.heard import Heard, until

pytestmark = pytest.mark.asyncio

LARGEST_IPV4 = 65_507
"""65,535 less the headers of IPv4 and UDP."""


@pytest_asyncio.fixture
async def heard() -> Heard:
    return Heard()


@pytest_asyncio.fixture
async def udp(heard: Heard) -> AsyncIterator[tuple[UdpTransport, int]]:
    transport, port = UdpTransport.bind("127.0.0.1", 0, heard)
    yield transport, port
    transport.stop()


def phone(host: str = "127.0.0.1") -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(5)
    sock.bind((host, 0))
    return sock


@pytest.mark.parametrize("size", [1, 1500, 8192, 8193, 40_000, LARGEST_IPV4])
async def test_a_datagram_is_taken_and_sent_whole_at_any_size(udp: tuple[UdpTransport, int], heard: Heard, size: int) -> None:
    transport, port = udp
    data = bytes(n % 251 for n in range(size))
    with phone() as sender:
        sender.sendto(data, ("127.0.0.1", port))
        await until(lambda: heard.data)
        assert heard.data == [data]
        assert heard.flows == [Flow("UDP", "127.0.0.1", sender.getsockname()[1])]
        transport.send(heard.flows[0], data)
        assert sender.recv(65_536) == data


async def test_a_message_longer_than_any_datagram_costs_only_itself(udp: tuple[UdpTransport, int], heard: Heard) -> None:
    transport, _ = udp
    with phone() as receiver:
        flow = Flow("UDP", "127.0.0.1", receiver.getsockname()[1])
        transport.send(flow, bytes(LARGEST_IPV4 + 1))
        transport.send(flow, b"next")
        assert receiver.recv(65_536) == b"next"
    assert heard.lost == []


async def test_an_empty_datagram_is_a_keepalive_of_some_router_and_nothing_else(
    udp: tuple[UdpTransport, int], heard: Heard
) -> None:
    _, port = udp
    with phone() as sender:
        sender.sendto(b"", ("127.0.0.1", port))
        sender.sendto(b"x", ("127.0.0.1", port))
        await until(lambda: heard.data)
    assert heard.data == [b"x"]


async def test_many_datagrams_come_in_few_batches_which_leave_timers_their_turn(
    udp: tuple[UdpTransport, int], heard: Heard
) -> None:
    _, port = udp
    with phone() as sender:
        for n in range(5 * BATCH):
            sender.sendto(b"%d" % n, ("127.0.0.1", port))
    turns = 0
    while len(heard.data) < 5 * BATCH:
        await asyncio.sleep(0)
        turns += 1
        assert turns < 1000
    assert heard.data == [b"%d" % n for n in range(5 * BATCH)]
    assert [len(batch) for batch in heard.batches] == [BATCH] * 5


async def test_the_port_unreachable_of_a_phone_that_left_ends_nothing(udp: tuple[UdpTransport, int], heard: Heard) -> None:
    transport, port = udp
    with phone() as gone:
        nobody = Flow("UDP", "127.0.0.1", gone.getsockname()[1])
    with phone() as here:
        for n in range(20):
            transport.send(nobody, b"are you there")
            transport.send(Flow("UDP", "127.0.0.1", here.getsockname()[1]), b"%d" % n)
            assert here.recv(100) == b"%d" % n
        here.sendto(b"still heard", ("127.0.0.1", port))
        await until(lambda: heard.data)
    assert heard.data == [b"still heard"]
    assert heard.lost == []


class ErrorsFirst:
    """A socket whose calls fail with ``errors`` before they work."""

    def __init__(self, real: socket.socket, *errors: int) -> None:
        self.real = real
        self.errors = list(errors)

    def sendto(self, data: bytes, address: tuple[str, int]) -> int:
        if self.errors:
            raise OSError(self.errors.pop(0), "simulated")
        return self.real.sendto(data, address)

    def recvfrom_into(self, buffer: bytearray) -> tuple[int, tuple[str, int]]:
        if self.errors:
            raise OSError(self.errors.pop(0), "simulated")
        size, address = self.real.recvfrom_into(buffer)
        return size, address

    def fileno(self) -> int:
        return self.real.fileno()

    def close(self) -> None:
        self.real.close()


def fail(transport: UdpTransport, *errors: int) -> None:
    real = transport._socket
    transport._socket = ErrorsFirst(real, *errors)  # type: ignore[assignment]


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.ENOBUFS])
async def test_what_the_kernel_cannot_take_now_is_sent_later_and_in_order(udp: tuple[UdpTransport, int], number: int) -> None:
    transport, _ = udp
    fail(transport, number, number)
    with phone() as receiver:
        for n in range(100):
            transport.send(Flow("UDP", "127.0.0.1", receiver.getsockname()[1]), b"%d" % n)
        receiver.setblocking(False)
        loop = asyncio.get_running_loop()
        got = [await asyncio.wait_for(loop.sock_recv(receiver, 100), 5) for _ in range(100)]
    assert got == [b"%d" % n for n in range(100)]


async def test_a_datagram_is_tried_again_when_the_error_was_an_earlier_ones(udp: tuple[UdpTransport, int]) -> None:
    transport, _ = udp
    fail(transport, errno.ECONNREFUSED)
    with phone() as receiver:
        transport.send(Flow("UDP", "127.0.0.1", receiver.getsockname()[1]), b"x")
        assert receiver.recv(100) == b"x"


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EMSGSIZE])
async def test_an_error_of_the_network_loses_no_registration(udp: tuple[UdpTransport, int], heard: Heard, number: int) -> None:
    transport, _ = udp
    fail(transport, number)
    with phone() as receiver:
        flow = Flow("UDP", "127.0.0.1", receiver.getsockname()[1])
        transport.send(flow, b"lost")
        transport.send(flow, b"next")
        assert receiver.recv(100) == b"next"
    await asyncio.sleep(0)
    assert heard.lost == []


async def test_an_error_at_reading_does_not_stop_the_reading(udp: tuple[UdpTransport, int], heard: Heard) -> None:
    transport, port = udp
    fail(transport, errno.ECONNREFUSED, errno.EHOSTUNREACH)
    with phone() as sender:
        sender.sendto(b"x", ("127.0.0.1", port))
        await until(lambda: heard.data)


@pytest.mark.parametrize(
    "flow",
    [
        Flow("UDP", "phone.example", 5060),
        Flow("UDP", "", 5060),
        Flow("UDP", "127.0.0.1\0", 5060),
        Flow("UDP", "::1", 5060),
        Flow("UDP", "999.1.1.1", 5060),
        Flow("UDP", "127.0.0.1", 0),
        Flow("UDP", "127.0.0.1", 65_536),
        Flow("UDP", "127.0.0.1", -1),
    ],
)
async def test_a_flow_that_is_no_address_is_lost_without_asking_the_dns(
    udp: tuple[UdpTransport, int], heard: Heard, flow: Flow
) -> None:
    transport, _ = udp
    transport.send(flow, b"x")
    await asyncio.sleep(0)
    assert heard.lost == [flow]


async def test_one_socket_speaks_ipv6_and_ipv4(heard: Heard) -> None:
    transport, port = UdpTransport.bind("::", 0, heard)
    try:
        for count, host in enumerate(("::1", "127.0.0.1"), start=1):
            with phone(host) as sender:
                sender.sendto(b"x", (host, port))
                await until(partial(heard.has, count))
                assert heard.flows[-1] == Flow("UDP", host, sender.getsockname()[1])
                transport.send(heard.flows[-1], b"answer")
                assert sender.recv(100) == b"answer"
    finally:
        transport.stop()


async def test_a_taken_port_is_an_os_error_and_nothing_stays_open(heard: Heard) -> None:
    with phone() as holder, pytest.raises(OSError, match="in use"):
        UdpTransport.bind("127.0.0.1", holder.getsockname()[1], heard)


async def test_a_burst_of_a_second_waits_in_the_kernel_while_the_process_is_stopped(
    udp: tuple[UdpTransport, int], heard: Heard
) -> None:
    """3,000 datagrams are more than 300 calls send in a second; nobody reads meanwhile."""
    _, port = udp
    with phone() as sender:
        for n in range(3000):
            sender.sendto(b"%d" % n + bytes(900), ("127.0.0.1", port))
            if n % 100 == 0:
                time.sleep(0.002)  # noqa: ASYNC251 - loopback itself drops what comes all at once
    await until(lambda: len(heard.data) == 3000)

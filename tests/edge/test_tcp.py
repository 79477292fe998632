"""Streams over real sockets: pings of any spelling, connections that are used again, and how long one may idle."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import pytest
import pytest_asyncio

from parkade.edge import tcp as tcp_module
from parkade.edge.tcp import IDLE_S, TcpTransport
from parkade.sip.message.flow import Flow
from parkade.switch.registrar import MAX_EXPIRES_S
from tests.edge.heard import Heard, until

pytestmark = pytest.mark.asyncio


def message(n: int, body: bytes = b"") -> bytes:
    return b"OPTIONS sip:x SIP/2.0\r\nCSeq: %d OPTIONS\r\nContent-Length: %d\r\n\r\n%s" % (n, len(body), body)


@pytest_asyncio.fixture
async def heard() -> Heard:
    return Heard()


@pytest_asyncio.fixture
async def tcp(heard: Heard) -> AsyncIterator[tuple[TcpTransport, int]]:
    transport = await TcpTransport.bind("127.0.0.1", 0, heard)
    assert transport._server is not None
    yield transport, transport._server.sockets[0].getsockname()[1]
    transport.stop()
    await asyncio.sleep(0)


@pytest_asyncio.fixture(autouse=True)
async def closed_at_the_end() -> AsyncIterator[None]:
    """Let asyncio close what a test has ended."""
    yield
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    "between",
    [
        b"\r\n\r\n",
        b"\r\n",
        b"\n",
        b"\r\n\r\n\r\n",
        b"\r\n\0",
        b"\0",
        b"\0\0\0\0",
        b"\r\n\r\n\0",
        b"\0\r\n\r\n",
        b"\r\n\0\r\n\0",
    ],
)
@pytest.mark.parametrize("piece", [1, 7, 10_000])
async def test_a_keepalive_between_messages_does_no_harm(
    tcp: tuple[TcpTransport, int], heard: Heard, between: bytes, piece: int
) -> None:
    _, port = tcp
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    whole = between + message(1) + between + between + message(2, b"body") + between + message(3) + between
    for start in range(0, len(whole), piece):
        writer.write(whole[start : start + piece])
        await writer.drain()
        await asyncio.sleep(0)
    await until(lambda: len(heard.data) == 3)
    assert heard.data == [message(1), message(2, b"body"), message(3)]
    assert heard.lost == []
    writer.close()


async def test_a_ping_gets_its_pong(tcp: tuple[TcpTransport, int]) -> None:
    _, port = tcp
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"\r\n\r\n")
    assert await asyncio.wait_for(reader.readexactly(2), 5) == b"\r\n"
    writer.close()


async def test_an_answer_goes_back_on_its_connection_and_so_does_a_request_to_the_same_peer(
    tcp: tuple[TcpTransport, int], heard: Heard
) -> None:
    transport, port = tcp
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(message(1))
    await until(lambda: heard.flows)
    (flow,) = heard.flows
    assert flow.connection
    transport.send(flow, b"answer")
    transport.send(flow._replace(connection=0), b"request")
    assert await asyncio.wait_for(reader.readexactly(13), 5) == b"answerrequest"
    writer.close()
    await until(lambda: heard.lost)
    assert heard.lost == [flow]


async def test_a_dialled_connection_is_used_again(tcp: tuple[TcpTransport, int], heard: Heard) -> None:
    transport, _ = tcp
    accepted: list[asyncio.StreamReader] = []
    writers: list[asyncio.StreamWriter] = []

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.append(reader)
        writers.append(writer)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    flow = Flow("TCP", "127.0.0.1", server.sockets[0].getsockname()[1])
    transport.send(flow, b"one")
    transport.send(flow, b"two")
    await until(lambda: accepted)
    assert await asyncio.wait_for(accepted[0].readexactly(6), 5) == b"onetwo"
    transport.send(flow, b"three")
    assert await asyncio.wait_for(accepted[0].readexactly(5), 5) == b"three"
    assert len(accepted) == 1
    writers[0].close()
    server.close()
    await server.wait_closed()


async def test_a_peer_that_cannot_be_reached_loses_its_flow_once(tcp: tuple[TcpTransport, int], heard: Heard) -> None:
    transport, _ = tcp
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    flow = Flow("TCP", "127.0.0.1", server.sockets[0].getsockname()[1])
    server.close()
    await server.wait_closed()
    transport.send(flow, b"one")
    transport.send(flow, b"two")
    await until(lambda: heard.lost)
    assert heard.lost == [flow]


async def test_a_connection_of_a_former_process_is_lost_and_is_nobody_elses(
    tcp: tuple[TcpTransport, int], heard: Heard
) -> None:
    transport, port = tcp
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(message(1))
    await until(lambda: heard.flows)
    former = Flow("TCP", "127.0.0.1", 40_000, 1)
    assert heard.flows[0].connection > 1_000_000
    transport.send(former, b"for another")
    await until(lambda: heard.lost)
    assert heard.lost == [former]
    writer.close()


async def test_an_idle_connection_outlives_every_registration_over_it() -> None:
    assert IDLE_S > MAX_EXPIRES_S


async def test_a_keepalive_counts_and_silence_ends_a_connection(
    tcp: tuple[TcpTransport, int], heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tcp_module, "IDLE_S", 0.2)
    _, port = tcp
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(6):
        await asyncio.sleep(0.1)
        writer.write(b"\r\n")
    assert heard.lost == []
    assert await asyncio.wait_for(reader.read(), 2) == b"\r\n" * 3
    await until(lambda: heard.lost)
    writer.close()


async def test_a_lost_frame_closes_the_connection_after_the_messages_before_it(
    tcp: tuple[TcpTransport, int], heard: Heard
) -> None:
    _, port = tcp
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(message(1) + b"OPTIONS sip:x SIP/2.0\r\nCSeq: 2 OPTIONS\r\n\r\n")
    assert await asyncio.wait_for(reader.read(), 5) == b""
    await until(lambda: heard.lost)
    assert heard.data == [message(1)]
    writer.close()


async def test_one_listener_takes_ipv6_and_ipv4(heard: Heard) -> None:
    transport = await TcpTransport.bind("::", 0, heard)
    assert transport._server is not None
    port = transport._server.sockets[0].getsockname()[1]
    for count, host in enumerate(("::1", "127.0.0.1"), start=1):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(message(1))
        await until(partial(heard.has, count))
        assert heard.flows[-1].host == host
        transport.send(heard.flows[-1], b"answer")
        assert await asyncio.wait_for(reader.readexactly(6), 5) == b"answer"
        writer.close()
    transport.stop()
    await asyncio.sleep(0)

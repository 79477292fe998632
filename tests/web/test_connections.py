"""Who takes too long, says too much or does not read is parted with; the others do not notice."""

from __future__ import annotations

import asyncio

import pytest

from parkade.api import connections
from tests.web.conftest import Web

pytestmark = pytest.mark.asyncio


async def joined(web: Web) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", web.port)


async def answered(web: Web, data: bytes, patience_s: float = 5.0) -> bytes:
    """What comes until the connection is closed; it may be cut."""
    reader, writer = await joined(web)
    writer.write(data)
    found = b""
    try:
        async with asyncio.timeout(patience_s):
            while more := await reader.read(65536):
                found += more
    except ConnectionError:
        pass
    writer.close()
    return found


LIVES = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


async def is_well(web: Web) -> bool:
    return (await answered(web, LIVES)).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "beginning",
    [
        b"",
        b"GET /healthz HTT",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ",
        b"POST /api/v1/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
    ],
)
async def test_a_request_that_does_not_come_to_its_end_is_not_waited_for(
    web: Web, monkeypatch: pytest.MonkeyPatch, beginning: bytes
) -> None:
    monkeypatch.setattr(connections, "RECEIVE_S", 0.2)
    assert await answered(web, beginning) == b""
    assert await is_well(web)


async def test_a_head_that_trickles_in_gets_no_more_time_for_it(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "RECEIVE_S", 0.3)
    reader, writer = await joined(web)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")
    ended = asyncio.create_task(reader.read())
    for _ in range(200):
        if ended.done():
            break
        writer.write(b"X-More: 1\r\n")
        await asyncio.sleep(0.02)
    assert ended.done()
    await asyncio.gather(ended, return_exceptions=True)
    writer.close()


async def test_a_connection_that_is_kept_open_may_ask_again(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "RECEIVE_S", 0.3)
    reader, writer = await joined(web)
    for _ in range(4):
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.readuntil(b'{"alive":true}')).startswith(b"HTTP/1.1 200")
        await asyncio.sleep(0.2)
    writer.close()


async def test_a_head_without_end_is_refused(web: Web) -> None:
    endless = b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"X-More: 0123456789\r\n" * 5000
    assert (await answered(web, endless)).startswith(b"HTTP/1.1 400")
    assert (await answered(web, b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 400")
    assert await is_well(web)


async def test_a_body_that_is_too_large_is_refused(web: Web) -> None:
    head = b"POST /api/v1/login HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
    assert (await answered(web, head + b"Content-Length: 99999999\r\n\r\n")).startswith(b"HTTP/1.1 413")
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    assert b"413" in (await answered(web, head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 20))[:40]
    assert await is_well(web)


@pytest.mark.parametrize("nonsense", [b"\0" * 100, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"SIP/2.0 200 OK\r\n\r\n"])
async def test_nonsense_is_refused(web: Web, nonsense: bytes) -> None:
    assert (await answered(web, nonsense)).startswith(b"HTTP/1.1 400")
    assert await is_well(web)


async def test_beyond_a_number_of_connections_nobody_is_let_in(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 10)
    idle = [await joined(web) for _ in range(10)]
    await asyncio.sleep(0.1)
    assert await answered(web, LIVES) == b""
    for _, writer in idle:
        writer.close()
    await asyncio.sleep(0.1)
    assert await is_well(web)


async def test_who_does_not_read_an_answer_is_cut_off(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "STUCK_S", 0.2)
    _reader, writer = await asyncio.open_connection("127.0.0.1", web.port, limit=1024)
    ask = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
    try:
        async with asyncio.timeout(20):
            while True:
                writer.write(ask * 20)
                await asyncio.sleep(0.01)
                await writer.drain()
    except ConnectionError:
        pass
    writer.close()
    assert await is_well(web)

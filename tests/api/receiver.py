"""A receiver of webhooks on loopback that behaves as badly as a test wants."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass(frozen=True)
class Got:
    """One request."""

    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def event(self) -> str:
        return self.headers["x-parkade-event-id"]

    @property
    def delivery(self) -> str:
        return self.headers["x-parkade-delivery-id"]


Answer = Callable[[Got, asyncio.StreamWriter], Awaitable[None]]


async def well(got: Got, writer: asyncio.StreamWriter) -> None:
    writer.write(OK)


def says(status: int, *lines: str) -> Answer:
    async def answer(got: Got, writer: asyncio.StreamWriter) -> None:
        writer.write("\r\n".join([f"HTTP/1.1 {status} Because", "Content-Length: 0", *lines, "", ""]).encode())

    return answer


async def hangs(got: Got, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(3600)


async def hangs_up(got: Got, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def dies_in_the_middle(got: Got, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Le")
    await writer.drain()
    writer.transport.abort()


async def talks_nonsense(got: Got, writer: asyncio.StreamWriter) -> None:
    writer.write(b"\x00\xff SSH-2.0-nonsense\r\n\r\n")
    writer.close()


async def never_stops_talking(got: Got, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    with contextlib.suppress(ConnectionError):
        while True:
            writer.write(b"2000\r\n" + b"x" * 0x2000 + b"\r\n")
            await writer.drain()


async def drips(got: Got, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    with contextlib.suppress(ConnectionError):
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)


@dataclass
class Receiver:
    """``answer`` may be replaced at any time. ``got`` is what came, in order."""

    answer: Answer = well
    got: list[Got] = field(default_factory=list)
    port: int = 0
    connections: int = 0
    _came: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def wait_for(self, count: int, seconds: float = 10.0) -> list[Got]:
        async with asyncio.timeout(seconds):
            while len(self.got) < count:
                self._came.clear()
                await self._came.wait()
        return self.got

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                got = await read_request(reader)
                self.got.append(got)
                self._came.set()
                await self.answer(got, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()


async def read_request(reader: asyncio.StreamReader) -> Got:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines) if name}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Got(first.split()[1], headers, body)


@asynccontextmanager
async def receiving(answer: Answer = well) -> AsyncIterator[Receiver]:
    receiver = Receiver(answer)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        await receiver.serve(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    receiver.port = int(server.sockets[0].getsockname()[1])
    try:
        yield receiver
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

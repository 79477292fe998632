"""An office's API on a real port, for those who come by HTTP: the server has a thread and a loop of its own."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

import uvicorn

from parkade.api.services import ApiSettings
from tests.api.conftest import Office, open_office

T = TypeVar("T")


class Served:
    """``url`` is where; ``within`` does something in the server's own loop, while no request is under way there."""

    def __init__(self, url: str, office: Office, loop: asyncio.AbstractEventLoop) -> None:
        self.url = url
        self.office = office
        self._loop = loop

    def within(self, work: Callable[[Office], Awaitable[T]]) -> T:
        async def run() -> T:
            return await work(self.office)

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result()


@contextmanager
def served(data: Path, settings: ApiSettings | None = None) -> Iterator[Served]:
    """The office over the database in ``data``, until the end of the block."""
    ready = threading.Event()
    found: list[Served] = []
    failed: list[BaseException] = []
    stop: list[uvicorn.Server] = []

    async def run() -> None:
        async with AsyncExitStack() as stack:
            office = await open_office(data, stack, settings or ApiSettings(requests_per_s=1e6, request_burst=1e6))
            server = uvicorn.Server(uvicorn.Config(office.app, log_level="critical", lifespan="off"))
            stop.append(server)
            # Who comes before the server accepts waits in the kernel.
            listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            url = f"http://127.0.0.1:{listening.getsockname()[1]}"
            found.append(Served(url, office, asyncio.get_running_loop()))
            ready.set()
            await server.serve([listening])

    def thread() -> None:
        try:
            asyncio.run(run())
        except BaseException as error:
            failed.append(error)
            raise
        finally:
            ready.set()

    runner = threading.Thread(target=thread, name="served")
    runner.start()
    ready.wait()
    try:
        assert found, failed
        yield found[0]
    finally:
        if stop:
            stop[0].should_exit = True
        runner.join()

"""What the tests of the web process share: the API's office behind a real HTTP server, and a log of events to be taken."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest_asyncio
import uvicorn

from parkade.api.connections import Http, WebSocket
from parkade.api.ingest import Follows, Ingest
from parkade.api.live import LiveEvents
from parkade.calls.audience import EVERYBODY, Audience
from parkade.calls.events import CallEnded, CallParked, CallRetrieved, EndReason, Event
from parkade.edge.event_log import EventLog
from tests.api.conftest import Office, furnished, office, office_data
from tests.edge.heard import until

__all__ = ["furnished", "office", "office_data"]


def ended(n: int, account: str = "acme", caller: str = "102") -> CallEnded:
    """The end of the ``n``-th call."""
    return CallEnded(f"e{n}", 1_790_000_000.0 + n, account, f"c{n}", "Lan", caller, 1.5, EndReason.HUNG_UP, "")


def parked(n: int, account: str = "acme", audience: Audience = EVERYBODY) -> CallParked:
    """The ``n``-th call is parked."""
    at = 1_790_000_000.0 + n
    stay = stay_of(at, 0.0, audience)
    return CallParked(f"e{n}", at, account, f"c{n}", "Lan", "0912", *stay, at + 600)


def retrieved(n: int, waited_s: float) -> CallRetrieved:
    """Somebody has picked it up."""
    at = 1_790_000_000.0 + n
    return CallRetrieved(f"r{n}", at, "acme", f"c{n}", "Lan", "0912", *stay_of(at, waited_s), "102", "Bob", None)


def stay_of(
    at: float, waited_s: float, audience: Audience = EVERYBODY
) -> tuple[str, str, str, str | None, str | None, str, str, float, float, int, Audience]:
    """What every event of a parked call says of it."""
    return "*801", "Main", "l1", None, "101", "Alice", "", at - waited_s, waited_s, 0, audience


@dataclass
class Happening:
    """``events`` happen: they are in the log, then in the database, then told to listeners."""

    folder: Path
    log: EventLog
    live: LiveEvents
    ingest: Ingest

    async def __call__(self, *events: Event) -> None:
        self.log.write(events)
        await self.ingest.take_all()


@dataclass
class Web:
    """The office's API on a port of 127.0.0.1."""

    office: Office
    port: int
    happen: Happening

    @property
    def url(self) -> str:
        """Of the events as they happen."""
        return f"ws://127.0.0.1:{self.port}/api/v1/events"


def ingest_of(office: Office, folder: Path, live: LiveEvents, follows: Sequence[Follows] = ()) -> Ingest:
    """What takes the log in ``folder`` into the office's database."""
    return Ingest(office.store, folder, follows, live.happened)


@pytest_asyncio.fixture
async def happen(office: Office, tmp_path: Path) -> AsyncIterator[Happening]:
    """Things to happen in the office."""
    live = LiveEvents()
    office.services.events = live
    folder = tmp_path / "events"
    log = EventLog.open(folder)
    yield Happening(folder, log, live, ingest_of(office, folder, live))
    log.close()


@pytest_asyncio.fixture
async def web(office: Office, happen: Happening) -> AsyncIterator[Web]:
    """The API, served."""
    async with serving(office) as port:
        yield Web(office, port, happen)


@contextlib.asynccontextmanager
async def serving(office: Office, configure: Callable[[uvicorn.Config], None] = lambda _: None) -> AsyncIterator[int]:
    """uvicorn with our protocols; the port."""
    config = uvicorn.Config(
        office.app,
        http=Http,
        ws=WebSocket,
        lifespan="off",
        log_config=None,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=1,
    )
    configure(config)
    server = _Server(config)
    sock = socket.create_server(("127.0.0.1", 0))
    running = asyncio.create_task(server.serve([sock]))
    await until(lambda: server.started)
    try:
        yield sock.getsockname()[1]
    finally:
        server.should_exit = True
        await running


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]
        yield

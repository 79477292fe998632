"""What the endpoints stand on, and how they get it: ``use: Annotated[Services, Depends(services)]`` or ``use: Use``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Protocol

from fastapi import Depends
from starlette.requests import HTTPConnection

from parkade.api.limits import Limiter
from parkade.api.login_guard import Ban
from parkade.api.outside import Outside
from parkade.api.signalling import Signalling
from parkade.api.webhook_sender import WebhookSender
from parkade.store.store import Store


class LoginGuard(Protocol):
    """Slows those who guess passwords. ``address`` is where a request comes from, ``now`` in seconds since the epoch."""

    async def wait_s(self, login: str, address: str, now: float) -> float:
        """The seconds until somebody at ``address`` may try ``login`` again; 0: now. Known and unknown names are alike."""

    async def failed(self, login: str, address: str, now: float) -> None:
        """Login or password was wrong."""

    async def succeeded(self, login: str, address: str, now: float) -> None:
        """It was the right one."""

    def bans(self, now: float) -> Sequence[Ban]:
        """Who is kept out now."""

    def lift(self, ban_id: str, now: float) -> Ban | None:
        """Let somebody in again; who it was, None if there is no such ban."""


class NoGuard:
    """Lets everybody guess; for tests of other things."""

    async def wait_s(self, login: str, address: str, now: float) -> float:
        """Never."""
        return 0.0

    async def failed(self, login: str, address: str, now: float) -> None:
        """Is forgotten."""

    async def succeeded(self, login: str, address: str, now: float) -> None:
        """Is forgotten."""

    def bans(self, now: float) -> Sequence[Ban]:
        """None."""
        return ()

    def lift(self, ban_id: str, now: float) -> Ban | None:
        """There is none."""
        return None


class LiveEvents(Protocol):
    """Where what happens is told to whoever listens."""


class NoEvents:
    """Nothing ever happens; for tests of other things."""


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """What an operator may choose. Versions are numbers with dots."""

    minimum_app_version: str = "5.1.3"
    session_s: float = 12 * 3600.0
    requests_per_s: float = 300.0
    """Of each who asks, in the long run; at once after a rest: ``request_burst``."""
    request_burst: float = 600.0
    most_bytes: int = 1 << 20
    """Of a request, but for a whole directory: that may have ``most_directory_bytes``."""
    most_directory_bytes: int = 64 << 20


@dataclass(slots=True)
class Services:
    """Everything that lives as long as the web process. ``now`` gives seconds since the epoch."""

    store: Store
    signalling: Signalling
    now: Callable[[], float]
    events: LiveEvents = field(default_factory=NoEvents)
    guard: LoginGuard = field(default_factory=NoGuard)
    settings: ApiSettings = ApiSettings()
    outside: Outside = field(default_factory=Outside)
    """Where webhooks may be sent."""
    sender: WebhookSender = field(init=False)
    """Whoever serves runs it, and wakes it when events have come."""
    limiter: Limiter = field(init=False)
    checking_passwords: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))
    """Each check needs 19 MiB and a processor."""

    def __post_init__(self) -> None:
        self.sender = WebhookSender(self.store, self.outside, self.now)
        self.limiter = Limiter(self.settings.requests_per_s, self.settings.request_burst)


async def services(connection: HTTPConnection) -> Services:
    """Those that ``make_app`` was given. (What is not ``async`` would be done in a thread.)"""
    found = connection.app.state.services
    assert isinstance(found, Services)
    return found


Use = Annotated[Services, Depends(services)]

"""Two accounts with their phones in a simulated world, a database, and the API over both: Alice and Bob at ``acme``, Charlie at
``other``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from argon2 import PasswordHasher
from fastapi import FastAPI

from parkade.api.app import make_app
from parkade.api.auth import made_token, token_hash
from parkade.api.principal import Role
from parkade.api.services import ApiSettings, Services
from parkade.store import tokens
from parkade.store.directory_file import read_directory_file
from parkade.store.directory_model import DirectoryFile
from parkade.store.store import Store
from parkade.testing.phone import FakePhone
from parkade.testing.world import SimWorld
from tests.api.sim_signalling import SimSignalling
from tests.databases import copy, on_postgres, url_of

DIRECTORY = """
accounts:
  - slug: acme
    name: Acme Logistics
    multi_site: true
    admins: [{login: admin@acme.test, password_hash: HASH}]
    sites:
      - {id: main, name: Main, park: {codes: "801-899"}}
      - {id: danang, name: Đà Nẵng, park: {codes: "701-709"}}
    users:
      - {id: alice, extension: "101", name: Alice, login: alice@acme.test, password_hash: HASH, site: Main,
         devices: [{username: acme-101, password: x}]}
      - {id: bob, extension: "102", name: Bob, login: bob@acme.test, password_hash: HASH, site: Main, language: vi,
         devices: [{username: acme-102, password: x}]}
      - {id: dung, extension: "103", name: Dũng, site: Đà Nẵng, devices: [{username: acme-103, password: x}]}
    common_areas:
      - {id: wall, extension: "110", name: Warehouse wall, site: Main, devices: [{username: acme-110, password: x}]}
  - slug: other
    name: Other
    admins: [{login: admin@other.test, password_hash: HASH}]
    sites: [{id: othersite, name: Main}]
    users:
      - {id: charlie, extension: "101", name: Charlie, login: charlie@other.test, password_hash: HASH, site: Main,
         devices: [{username: other-101, password: x}]}
      - {id: dora, extension: "102", name: Dora, site: Main, devices: [{username: other-102, password: x}]}
"""
PASSWORD = "correct horse battery"
"""That of everybody who can log in."""

ROLES = {
    "installation": Role.INSTALLATION_ADMIN,
    "admin@acme.test": Role.ACCOUNT_ADMIN,
    "admin@other.test": Role.ACCOUNT_ADMIN,
    "alice@acme.test": Role.USER,
    "bob@acme.test": Role.USER,
    "charlie@other.test": Role.USER,
}


@cache
def cheap_hash() -> str:
    """A hash of ``PASSWORD`` that is checked in a millisecond."""
    return PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)


@dataclass
class Office:
    """``phones`` are by username and registered; ``as_("alice@acme.test")`` is a client of one who is signed in."""

    app: FastAPI
    services: Services
    store: Store
    world: SimWorld
    signalling: SimSignalling
    phones: Mapping[str, FakePhone]
    anybody: httpx.AsyncClient
    _stack: AsyncExitStack
    _clients: dict[str, httpx.AsyncClient] = field(default_factory=dict)

    async def as_(self, login: str) -> httpx.AsyncClient:
        """A client of ``login``, ``installation`` for the administrator of it all."""
        if login not in self._clients:
            name = "admin" if login == "installation" else login
            self._clients[login] = await self.with_token(await self.token_of(name, ROLES[login]))
        return self._clients[login]

    async def with_token(self, token: str) -> httpx.AsyncClient:
        """A client that shows ``token``."""
        return await self._stack.enter_async_context(client_of(self.app, {"Authorization": f"Bearer {token}"}))

    async def token_of(
        self,
        login: str | None,
        role: Role,
        *,
        scopes: Sequence[str] = (),
        account: str | None = None,
        site: str | None = None,
        kind: str = "token",
        expires_at: float | None = None,
    ) -> str:
        """A token as ``POST /tokens`` or a log-in makes it; ``account`` is that of the log-in unless given."""
        token = made_token()
        async with self.store.writing() as connection:
            known = await tokens.find_login(connection, login) if login else None
            await tokens.new_token(
                connection,
                kind=kind,
                role=role,
                name="test",
                scopes=scopes,
                token_hash=token_hash(token),
                now=self.world.now,
                expires_at=expires_at,
                account=account or (known.person.account if known else None),
                login_id=known.id if known else None,
                site=site,
            )
        return token

    def parked(self, caller: str = "acme-102", parker: str = "acme-101", target: str = "*800") -> None:
        """``caller`` calls ``parker``, who parks the call."""
        self.talking(caller, parker)
        self.phones[parker].refer(target)
        self.world.run(2)

    def talking(self, caller: str = "acme-102", called: str = "acme-101") -> None:
        """``caller`` calls ``called``, who answers."""
        extension = called.partition("-")[2]
        self.phones[caller].call(extension)
        self.world.run(1)
        self.phones[called].answer()
        self.world.run(1)


def client_of(app: FastAPI, headers: Mapping[str, str]) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://parkade.test", headers=headers)


async def open_office(data: Path, stack: AsyncExitStack, settings: ApiSettings = ApiSettings()) -> Office:  # noqa: B008 - frozen
    """An office of its own over the database in ``data``, closed with ``stack``."""
    store = await stack.enter_async_context(await Store.open(data, url_of(data)))
    world = SimWorld()
    world.load((await store.directory())[0])
    phones = {device: world.phone(device) for device in world.directory.devices}
    signalling = SimSignalling(world, store)
    services = Services(store, signalling, lambda: world.now, settings=settings)
    app = make_app(services)
    anybody = await stack.enter_async_context(client_of(app, {}))
    return Office(app, services, store, world, signalling, phones, anybody, stack)


def directory() -> DirectoryFile:
    """Who and what is there."""
    return read_directory_file(DIRECTORY.replace("HASH", f'"{cheap_hash()}"').encode(), "office")


async def furnish(data: Path) -> None:
    """Make the database of an office."""
    async with await Store.open(data, url_of(data)) as store:
        await store.first_start()
        await store.import_directory(directory())


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[bool], Path]]:
    """A data directory to be copied, on PostgreSQL or not: furnishing takes half a second."""
    folder = tmp_path_factory.mktemp("office")

    @cache
    def made(in_postgres: bool) -> Path:
        data = folder / ("postgres" if in_postgres else "sqlite")
        with ThreadPoolExecutor(1) as thread:  # a test of coroutines has a loop of its own
            thread.submit(asyncio.run, furnish(data)).result()
        return data

    with on_postgres(folder / "postgres"):
        yield made


@pytest.fixture
def office_data(furnished: Callable[[bool], Path], data: Path) -> Path:
    """The data directory of an office, on each kind of database."""
    copy(furnished(url_of(data) is not None), data)
    return data


@pytest_asyncio.fixture
async def office(office_data: Path) -> AsyncIterator[Office]:
    async with AsyncExitStack() as stack:
        yield await open_office(office_data, stack)


def error_id(response: httpx.Response) -> Any:
    """What kind of error an answer is; fails if it is none of the one form."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    body = response.json()
    assert {"error_id", "message", "what_to_do", "type", "title", "status"} <= body.keys(), body
    assert body["status"] == response.status_code
    return body["error_id"]

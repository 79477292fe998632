"""An installation as commands use it: open, do one thing, close."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from parkade.calls.directory import Account
from parkade.store.directory_file import write_directory_file
from parkade.store.store import Store
from tests.databases import url_of
from tests.store.directory_text import read

T = TypeVar("T")


def within(data: Path, work: Callable[[Store], Awaitable[T]]) -> T:
    """What ``work`` gives with the store of ``data``."""

    async def run() -> T:
        async with await Store.open(data, url_of(data)) as store:
            return await work(store)

    return asyncio.run(run())


def imported(data: Path, text: str) -> list[str]:
    return [str(change) for change in within(data, lambda store: store.import_directory(read(text)))]


def exported(data: Path) -> str:
    return within(data, _export)


async def _export(store: Store) -> str:
    return write_directory_file(await store.export_directory())


def account(data: Path, slug: str = "acme") -> Account:
    directory, _ = within(data, lambda store: store.directory())
    return directory.accounts[slug]


def site_id(account: Account, name: str) -> str:
    return next(site.id for site in account.sites.values() if site.name == name)

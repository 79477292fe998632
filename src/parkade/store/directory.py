"""The directory as call control wants it, with every default filled in, and the digests of its devices beside it.

Reading is asynchronous and its result the database's own rows; making the directory of them is plain computing, done in a
thread. Only one thread of a process computes at a time, so for one account, while a server runs, that thread pauses after every
few rows: one of 200 users among 10,000 is 9 ms of processor time, of which the loop waits for 1 ms at a time
(``bench/many_accounts.py``). All 10,000 users: 0.5 s, and the loop waits up to 0.2 s, so that is for the start.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

from parkade.calls.directory import (
    DEFAULT_CODES,
    Account,
    Device,
    Directory,
    FeatureCodes,
    Lot,
    Owner,
    OwnerKind,
    ParkPolicy,
    RingGroup,
    Site,
)
from parkade.calls.park_settings import ParkSettings, resolve
from parkade.store import tables as t
from parkade.store.park_settings import account_says, person_says, says_by_level
from parkade.store.rows import FOR_CALLS, Raw, Row, Rows, fetch
from parkade.switch.secrets import DeviceSecret

DEFAULT_LANGUAGE = "en"
ROWS_AT_A_TIME, PAUSE_S = 20, 0.0002
T = TypeVar("T")


class LoadedAccount(NamedTuple):
    """One account, with its devices by id and the secrets of those that have a password, by username."""

    account: Account
    devices: Mapping[str, Device]
    secrets: Mapping[str, DeviceSecret]


async def load_directory(connection: AsyncConnection) -> tuple[Directory, dict[str, DeviceSecret]]:
    """Everything as of the moment that ``connection`` sees. Secrets are by username; a device known by address has none."""
    loaded = await asyncio.to_thread(_accounts, await fetch(connection, FOR_CALLS))
    devices = {id_: device for one in loaded for id_, device in one.devices.items()}
    secrets = {username: secret for one in loaded for username, secret in one.secrets.items()}
    return Directory({one.account.slug: one.account for one in loaded}, devices), secrets


async def load_account(connection: AsyncConnection, slug: str) -> LoadedAccount | None:
    """One account as of the moment that ``connection`` sees, by queries of its rows alone; None if there is none."""
    account_id = (await connection.execute(select(t.account.c.id).where(t.account.c.slug == slug))).scalar()
    if account_id is None:
        return None
    with _no_collection():
        (loaded,) = await asyncio.to_thread(_accounts, await fetch(connection, FOR_CALLS, account_id), ROWS_AT_A_TIME)
    return loaded


@contextmanager
def _no_collection() -> Iterator[None]:
    """Without the garbage collector: while all threads wait it would look at thousands of rows that are gone in a moment."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


def _accounts(raw: Raw, rows_at_a_time: int | None = None) -> list[LoadedAccount]:
    rows = Rows(raw)
    return [_AccountReader(rows, row, rows_at_a_time).read() for row in rows.all(t.account)]


def _with_pauses(rows: Iterable[T], at_a_time: int | None) -> Iterator[T]:
    """``rows``, with a pause after every few, in which another thread can go on. None: without."""
    for number, row in enumerate(rows):
        if at_a_time is not None and number % at_a_time == 0:
            time.sleep(PAUSE_S)
        yield row


class _AccountReader:
    """The rows of one account into values."""

    def __init__(self, rows: Rows, row: Row, rows_at_a_time: int | None) -> None:
        self._row = row
        self._at_a_time = rows_at_a_time
        self._rows = rows
        self._sites = self._of_account(t.site)
        self._lots = {lot["site_id"]: lot for lot in self._of_account(t.lot)}
        self._owners = self._of_account(t.owner)
        self._site_uids = {site["id"]: site["uid"] for site in self._sites}
        self._main_site = self._sites[0] if self._sites else None
        self._main_lot = self._lots[self._main_site["id"] if self._main_site else None]
        groups = self._of_account(t.user_group)
        self._group_uids = {group["id"]: group["uid"] for group in groups}
        self._levels = says_by_level(self._of_account(t.park_setting))
        self._says = account_says(row, self._sites, self._lots, groups, self._levels)
        self._around: dict[tuple[Any, Any], tuple[ParkSettings, ParkPolicy]] = {}

    def read(self) -> LoadedAccount:
        row, devices = self._row, self._of_account(t.device)
        owners = [self._owner(owner) for owner in _with_pauses(self._owners, self._at_a_time)]
        codes = self._of_account(t.feature_codes)
        said = {name: codes[0][name] for name in ("park", "park_dtmf", "pickup_prefix") if codes[0][name]} if codes else {}
        account = Account(
            slug=row["slug"],
            name=row["name"],
            language=row["language"] or DEFAULT_LANGUAGE,
            multi_site=bool(row["multi_site"]),
            owners={owner.extension: owner for owner in owners},
            ring_groups={group.extension: group for group in self._ring_groups()},
            sites={site["uid"]: Site(site["uid"], site["name"], self._lots[site["id"]]["uid"]) for site in self._sites},
            lots={lot.id: lot for lot in self._all_lots()},
            main_lot=self._main_lot["uid"],
            feature_codes=FeatureCodes(**said),
        )
        secrets = {
            device["username"]: DeviceSecret(device["ha1_md5"], device["ha1_sha256"])
            for device in devices
            if device["ha1_md5"] is not None and device["ha1_sha256"] is not None
        }
        return LoadedAccount(account, {device.id: device for device in self._devices(devices)}, secrets)

    def _of_account(self, table: Table) -> list[Row]:
        return list(self._rows.of(table, "account_id", self._row["id"]))

    def _settings_around(self, site_id: Any, group_id: Any) -> tuple[ParkSettings, ParkPolicy]:
        """What holds for people at a site and in a group who say nothing themselves: the very same value for all of them."""
        place = site_id, group_id
        if place not in self._around:
            settings = resolve(self._says.around(site_id, group_id))
            self._around[place] = settings, settings.policy()
        return self._around[place]

    def _all_lots(self) -> Iterator[Lot]:
        """In the order of their sites: the main one is first."""
        places: list[Row | None] = [*self._sites]
        for site in places or [None]:
            site_id = site["id"] if site else None
            lot = self._lots[site_id]
            first, _, last = (lot["codes"] or DEFAULT_CODES).partition("-")
            yield Lot(site["name"] if site else "", int(first), int(last), self._settings_around(site_id, None)[1], lot["uid"])

    def _owner(self, row: Row) -> Owner:
        site_id = row["site_id"] or (self._main_site["id"] if self._main_site else None)
        return Owner(
            extension=row["extension"],
            name=row["name"],
            kind=OwnerKind(row["kind"]),
            language=row["language"] or self._row["language"] or DEFAULT_LANGUAGE,
            licensed=row["licensed"] is not False,
            site=self._site_uids.get(site_id),
            devices=tuple(device["username"] for device in self._rows.of(t.device, "owner_id", row["id"])),
            id=row["uid"],
            policy=self._policy(row, site_id),
            group=self._group_uids.get(row["user_group_id"]),
        )

    def _policy(self, owner: Row, site_id: object) -> ParkPolicy:
        inherited, policy = self._settings_around(site_id, owner["user_group_id"])
        own = inherited.below(person_says(owner, self._levels))
        return policy if own is inherited else own.policy()

    def _ring_groups(self) -> Iterator[RingGroup]:
        extensions = {owner["id"]: owner["extension"] for owner in self._owners}
        for group in self._of_account(t.extension_group):
            if group["kind"] == "ring":
                members = self._rows.of(t.group_member, "extension_group_id", group["id"])
                named = tuple(extensions[member["owner_id"]] for member in members)
                yield RingGroup(group["extension"], group["name"], named, group["uid"])

    def _devices(self, rows: list[Row]) -> Iterator[Device]:
        extensions = {owner["id"]: owner["extension"] for owner in self._owners}
        for row in _with_pauses(rows, self._at_a_time):
            extension = extensions.get(row["owner_id"], "")
            yield Device(
                row["username"], self._row["slug"], extension, row["model"] or "generic", row["address"], row["destination"]
            )

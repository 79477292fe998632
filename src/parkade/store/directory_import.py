"""A checked directory file into the tables, in one transaction, saying what changed.

The file is declarative for the accounts it names: what it no longer has is removed from them. Accounts it does not name
stay as they are. Rows are found again by id or by natural key (``directory_match``), so ids outlive an import and
importing the same file twice changes nothing. A password that is not said stays what it was.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

from sqlalchemy import ColumnElement, Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

from parkade.calls.directory import DEFAULT_CODES
from parkade.store import directory_changes as words
from parkade.store import tables as t
from parkade.store.account_tables import AccountTables, ImportRefusedError, Kind
from parkade.store.directory_changes import Change
from parkade.store.directory_match import Matches, Row, match_renamed
from parkade.store.directory_model import Account, Admin, Device, DirectoryFile, LevelSettings, Person, User
from parkade.store.park_settings import as_ids
from parkade.store.passwords import device_secret, hash_password, password_fits
from parkade.store.revisions import mark_changed

__all__ = ["Change", "ImportRefusedError", "import_directory", "password_hashes"]

Hashes: TypeAlias = Mapping[str, str]
"""argon2id hashes by login."""

_SITE = Kind(t.site, ("name",), words.site, words.identity, frozenset({"position"}))
_USER_GROUP = Kind(t.user_group, ("name",), words.user_group, words.identity, frozenset({"position"}))
_GROUP = Kind(t.extension_group, ("extension",), words.group, words.identity)
_LOGIN = Kind(t.login, ("name",), lambda row: f"login {row['name']}")
_DEVICE = Kind(t.device, ("username",), lambda row: f"device {row['username']}")
_TRUNK = Kind(t.trunk, ("name",), lambda row: f"trunk {row['name']}")
_INBOUND = Kind(t.inbound_number, ("trunk_id", "number"), lambda row: f"inbound number {row['number']}")
_FEATURE_CODES = Kind(t.feature_codes, ("account_id",), lambda _: "feature codes")


async def password_hashes(connection: AsyncConnection, file: DirectoryFile) -> Hashes:
    """The hash of every password in ``file``: the one that is kept already if it fits, else a new one.

    A hash is a hundredth of a second of processor time on purpose, so this uses every core, and it is done before the import
    holds up other writers.
    """
    said = {str(p.login): p.password for account in file.accounts for p in _with_logins(account) if p.password is not None}
    kept: dict[str, str | None] = {}
    for row in await AccountTables(connection, "").taken(t.login.c.name, t.login, list(said)):
        kept[str(row["name"])] = row["password_hash"]  # type: ignore[assignment]

    def hashed(login: str) -> str:
        old = kept.get(login)
        return old if old is not None and password_fits(old, said[login]) else hash_password(said[login])

    def all_hashed() -> Hashes:
        with ThreadPoolExecutor(os.cpu_count()) as cores:
            return dict(zip(said, cores.map(hashed, said), strict=True))

    return await asyncio.to_thread(all_hashed)


def _with_logins(account: Account) -> Iterator[User | Admin]:
    yield from account.admins or ()
    yield from (user for user in account.users or () if user.login is not None)


async def import_directory(connection: AsyncConnection, file: DirectoryFile, hashes: Hashes | None = None) -> list[Change]:
    """Make the accounts of ``file`` what it says; nothing is written if nothing changes.

    ``hashes`` are those of ``password_hashes``, which are made here unless they are given.

    :raises ImportRefusedError: an id, a device's username or address, or a login belongs to another account already, or the
        slug was that of an account that is gone.
    """
    if hashes is None:
        hashes = await password_hashes(connection, file)
    changes: dict[str, list[Change]] = {}
    for account in file.accounts:
        changes[account.slug] = await _AccountImport(connection, account, hashes).run()
    if changed := [slug for slug, of_account in changes.items() if of_account]:
        await mark_changed(connection, changed)
    return [change for of_account in changes.values() for change in of_account]


class _AccountImport:
    """One account: parents before children when writing, children before parents when removing."""

    def __init__(self, connection: AsyncConnection, account: Account, hashes: Hashes) -> None:
        self._account = account
        self._hashes = hashes
        self._tables = AccountTables(connection, account.slug)
        self._put = self._tables.put

    async def run(self) -> list[Change]:
        account = self._account
        await self._refuse_former()
        row = {"slug": account.slug, "name": account.name, "language": account.language, "multi_site": account.multi_site}
        (self._id,) = await self._put(Kind(t.account, ("slug",), lambda _: "account"), t.account.c.slug == account.slug, [row])
        sites = await self._sites()
        user_groups = await self._user_groups()
        owners = await self._owners(sites, user_groups)
        await self._logins(owners, sites)
        await self._devices(owners)
        await self._groups(owners)
        await self._trunks()
        await self._feature_codes()
        await self._settings(sites, user_groups, owners)
        await self._tables.remove_stale()
        return self._tables.changes

    async def _refuse_former(self) -> None:
        """Calls, events, history and audit trail of an account that was removed are still found by its slug."""
        there = select(t.account.c.id).where(t.account.c.slug == t.account_revision.c.slug).exists()
        if await self._tables.has(
            select(t.account_revision.c.id).where(t.account_revision.c.slug == self._account.slug, ~there)
        ):
            raise ImportRefusedError(
                f"account {self._account.slug} was removed and its history is still here; choose another slug"
            )

    async def _sites(self) -> dict[str, int]:
        sites, of_account = self._account.sites or [], t.site.c.account_id == self._id
        entries: list[Row] = [
            {"account_id": self._id, "name": site.name, "uid": site.id, "position": position}
            for position, site in enumerate(sites)
        ]
        await self._refuse_strangers(_SITE, [site.id for site in sites if site.id])
        before = await self._tables.rows(t.site, of_account)
        lots = {row["site_id"]: row for row in await self._tables.rows(t.lot, t.lot.c.account_id == self._id)}
        codes = {row["id"]: lots[row["id"]]["codes"] or DEFAULT_CODES for row in before}

        def renamed(matches: Matches) -> Matches:
            return match_renamed(matches, entries, [site.codes for site in sites], lambda row: codes[row["id"]])

        ids = await self._put(_SITE, of_account, entries, renamed)
        self._say_order([row["id"] for row in before], {row_id: site.name for row_id, site in zip(ids, sites, strict=True)})
        await self._lots(ids, lots, before[0]["id"] if before else None)
        return {site.name: row_id for row_id, site in zip(ids, sites, strict=True)}

    def _say_order(self, before: Sequence[object], now: Mapping[int, str]) -> None:
        """``before`` has the ids of the sites in their old order, ``now`` the ids and names in the new one."""
        stayed = [row_id for row_id in before if row_id in now]
        main = next(iter(now), None)
        another = before and main is not None and main != before[0]
        line = words.site_order(
            [now[row_id] for row_id in stayed],  # type: ignore[index]
            [name for row_id, name in now.items() if row_id in stayed],
            now[main] if another and main is not None else None,
        )
        if line:
            self._tables.say("updated", line)

    async def _lots(self, ids: Sequence[int], lots: dict[object, Row], main_before: object) -> None:
        """One lot a site. An account's own lot becomes that of its first site, and that of the main site the account's."""
        wanted: list[tuple[int | None, str | None, float | None, str]] = [
            (row_id, site.park.codes if site.park else None, site.park.expiration_seconds if site.park else None, site.name)
            for row_id, site in zip(ids, self._account.sites or (), strict=True)
        ]
        wanted = wanted or [(None, None, None, "")]
        first, inherited = wanted[0][0], None if ids else main_before
        if first not in lots and inherited in lots:
            lots[first] = lots.pop(inherited)
            await self._tables.update(t.lot, lots[first]["id"], site_id=first)
        for site_id, codes, seconds, name in wanted:
            old = lots.pop(site_id, None)
            row = {"account_id": self._id, "site_id": site_id, "codes": codes, "expiration_seconds": seconds}
            if old is None:
                await self._tables.insert(t.lot, row)
            elif (old["codes"], old["expiration_seconds"]) != (codes, seconds):
                await self._tables.update(t.lot, old["id"], codes=codes, expiration_seconds=seconds)
            for change in words.lot(old, row, name):
                self._tables.say(*change)
        for old in lots.values():
            self._tables.remove_later(t.lot, old["id"], f"codes {old['codes']}" if old["codes"] else "")

    def _people(self) -> Iterator[Person]:
        yield from self._account.users or ()
        yield from self._account.common_areas or ()

    async def _user_groups(self) -> dict[str, int]:
        groups, of_account = self._account.user_groups or [], t.user_group.c.account_id == self._id
        entries: list[Row] = [
            {"account_id": self._id, "name": group.name, "uid": group.id, "position": position}
            for position, group in enumerate(groups)
        ]
        await self._refuse_strangers(_USER_GROUP, [group.id for group in groups if group.id])
        now = {group.name: frozenset(who.extension for who in self._people() if who.group == group.name) for group in groups}
        before: dict[object, set[object]] = {}
        for row in await self._tables.rows(t.owner, t.owner.c.account_id == self._id):
            before.setdefault(row["user_group_id"], set()).add(row["extension"])

        def renamed(matches: Matches) -> Matches:
            marks = [now[group.name] for group in groups]
            return match_renamed(matches, entries, marks, lambda row: frozenset(before.get(row["id"], ())))

        ids = await self._put(_USER_GROUP, of_account, entries, renamed)
        return {group.name: row_id for row_id, group in zip(ids, groups, strict=True)}

    async def _owners(self, sites: Mapping[str, int], user_groups: Mapping[str, int]) -> dict[str, int]:
        people = list(self._people())
        entries: list[Row] = [
            {
                "account_id": self._id,
                "uid": person.id,
                "kind": "user" if isinstance(person, User) else "common_area",
                "extension": person.extension,
                "name": person.name,
                "language": person.language,
                "licensed": person.licensed,
                "voicemail": person.voicemail if isinstance(person, User) else None,
                "site_id": sites[person.site] if person.site is not None else None,
                "user_group_id": user_groups[person.group] if person.group is not None else None,
            }
            for person in people
        ]
        of_account = t.owner.c.account_id == self._id
        site_names: dict[object, str] = {row_id: name for name, row_id in sites.items()}
        group_names: dict[object, str] = {row_id: name for name, row_id in user_groups.items()}

        def identity(old: Row, new: Row) -> str:
            return words.identity(old, new, site_names, group_names)

        kind = Kind(t.owner, ("extension",), words.person, identity)
        await self._refuse_strangers(kind, [person.id for person in people if person.id])
        ids = await self._put(kind, of_account, entries)
        return {person.extension: row_id for row_id, person in zip(ids, people, strict=True)}

    async def _logins(self, owners: Mapping[str, int], sites: Mapping[str, int]) -> None:
        persons: list[tuple[int | None, User | Admin]] = [(None, admin) for admin in self._account.admins or ()]
        persons += [(owners[user.extension], user) for user in self._account.users or () if user.login is not None]
        found = await self._strangers(t.login, t.login.c.name, [str(person.login) for _, person in persons], "login")
        rows: list[Row] = [
            {
                "account_id": self._id,
                "owner_id": owner_id,
                "site_id": sites[person.site] if isinstance(person, Admin) and person.site is not None else None,
                "name": person.login,
                "password_hash": person.password_hash
                or self._hashes.get(str(person.login))
                or found.get(str(person.login), {}).get("password_hash"),
            }
            for owner_id, person in persons
        ]
        await self._put(_LOGIN, t.login.c.account_id == self._id, rows)

    async def _devices(self, owners: Mapping[str, int]) -> None:
        devices: list[tuple[int | None, Device]] = [(None, device) for device in self._account.devices or ()]
        devices += [(owners[person.extension], device) for person in self._people() for device in person.devices or ()]
        await self._strangers(t.device, t.device.c.username, [device.username for _, device in devices], "device")
        await self._refuse_addresses([device.address for _, device in devices if device.address is not None])
        rows: list[Row] = [
            {"account_id": self._id, "owner_id": owner_id, **_device_row(device)} for owner_id, device in devices
        ]
        ids = await self._put(_DEVICE, t.device.c.account_id == self._id, rows)
        keys: list[Row] = [
            {"device_id": device_id, "position": position, **key.model_dump()}
            for device_id, (_, device) in zip(ids, devices, strict=True)
            for position, key in enumerate(device.keys or ())
        ]
        names: dict[object, str] = {row_id: device.username for row_id, (_, device) in zip(ids, devices, strict=True)}

        def label(row: Row) -> str:
            return f"key {row['value']} of device {names.get(row['device_id'], 'that is gone')}"

        of_account = t.device_key.c.device_id.in_(select(t.device.c.id).where(t.device.c.account_id == self._id))
        await self._put(Kind(t.device_key, ("device_id", "position"), label), of_account, keys)

    async def _strangers(self, table: Table, column: ColumnElement[str], names: list[str], what: str) -> dict[str, Row]:
        """Rows that already carry one of ``names``, which are unique over all accounts."""
        found: dict[str, Row] = {}
        for row in await self._tables.taken(column, table, names):
            name = str(row["name" if table is t.login else "username"])
            if row["account_id"] != self._id:
                raise ImportRefusedError(f"{what} {name} belongs to another account; remove it there first")
            found[name] = row
        return found

    async def _refuse_addresses(self, addresses: list[str]) -> None:
        """Whoever calls from an address is one account's: another that names it would take over what calls from there."""
        for row in await self._tables.taken(t.device.c.address, t.device, addresses):
            if row["account_id"] != self._id:
                raise ImportRefusedError(
                    f"address {row['address']} belongs to a device of another account; remove it there first"
                )

    async def _refuse_strangers(self, kind: Kind, ids: list[str]) -> None:
        for row in await self._tables.taken(kind.table.c.uid, kind.table, ids):
            if row["account_id"] != self._id:
                whose = f"that of {kind.label(row)} of another account"
                raise ImportRefusedError(f"{self._account.slug}: the id {row['uid']} is {whose}; leave it out for a new one")

    async def _groups(self, owners: Mapping[str, int]) -> None:
        groups = [("ring", group.strategy, group) for group in self._account.ring_groups or ()]
        pagings = [("paging", None, group) for group in self._account.paging_groups or ()]
        rows: list[Row] = [
            {
                "account_id": self._id,
                "uid": group.id,
                "kind": kind,
                "extension": group.extension,
                "name": group.name,
                "strategy": strategy,
            }
            for kind, strategy, group in (*groups, *pagings)
        ]
        await self._refuse_strangers(_GROUP, [group.id for _, _, group in (*groups, *pagings) if group.id])
        ids = await self._put(_GROUP, t.extension_group.c.account_id == self._id, rows)
        members: list[Row] = [
            {"extension_group_id": group_id, "owner_id": owners[member], "position": position}
            for group_id, (_, _, group) in zip(ids, (*groups, *pagings), strict=True)
            for position, member in enumerate(group.members)
        ]
        names: dict[object, object] = {row_id: row["extension"] for row_id, row in zip(ids, rows, strict=True)}
        people = {row["id"]: row["extension"] for row in await self._tables.rows(t.owner, t.owner.c.account_id == self._id)}

        def label(row: Row) -> str:
            return f"member {people[row['owner_id']]} of group {names.get(row['extension_group_id'], 'that is gone')}"

        of_account = t.group_member.c.extension_group_id.in_(
            select(t.extension_group.c.id).where(t.extension_group.c.account_id == self._id)
        )
        await self._put(Kind(t.group_member, ("extension_group_id", "owner_id"), label), of_account, members)

    async def _trunks(self) -> None:
        trunks = self._account.trunks or []
        rows: list[Row] = [{"account_id": self._id, "name": trunk.name, "address": trunk.address} for trunk in trunks]
        ids = await self._put(_TRUNK, t.trunk.c.account_id == self._id, rows)
        numbers: list[Row] = [
            {"trunk_id": trunk_id, "number": inbound.number, "destination": inbound.to}
            for trunk_id, trunk in zip(ids, trunks, strict=True)
            for inbound in trunk.inbound or ()
        ]
        of_account = t.inbound_number.c.trunk_id.in_(select(t.trunk.c.id).where(t.trunk.c.account_id == self._id))
        await self._put(_INBOUND, of_account, numbers)

    async def _feature_codes(self) -> None:
        codes = self._account.feature_codes
        rows: list[Row] = [{"account_id": self._id, **codes.model_dump()}] if codes else []
        await self._put(_FEATURE_CODES, t.feature_codes.c.account_id == self._id, rows)

    async def _settings(self, sites: Mapping[str, int], user_groups: Mapping[str, int], owners: Mapping[str, int]) -> None:
        levels: list[tuple[int | None, int | None, int | None, LevelSettings | None]] = [
            (None, None, None, self._account.settings)
        ]
        levels += [(sites[site.name], None, None, site.settings) for site in self._account.sites or ()]
        levels += [(None, user_groups[group.name], None, group.settings) for group in self._account.user_groups or ()]
        levels += [(None, None, owners[person.extension], person.settings) for person in self._people()]
        of_account = t.park_setting.c.account_id == self._id
        uids = {
            str(row["extension"]): str(row["uid"]) for row in await self._tables.rows(t.owner, t.owner.c.account_id == self._id)
        }
        rows: list[Row] = [
            {
                "account_id": self._id,
                "site_id": site_id,
                "user_group_id": group_id,
                "owner_id": owner_id,
                "key": key,
                "value": as_ids(value, uids) if key == "visibility" else value,
            }
            for site_id, group_id, owner_id, settings in levels
            if settings and settings.call_park
            for key, value in settings.call_park.model_dump(exclude_none=True).items()
        ]
        whose: dict[tuple[object, object, object], str] = {(None, None, None): ""}
        whose |= {(row_id, None, None): f" of site {name}" for name, row_id in sites.items()}
        whose |= {(None, row_id, None): f" of user group {name}" for name, row_id in user_groups.items()}
        whose |= {(None, None, row_id): f" of {extension}" for extension, row_id in owners.items()}

        def label(row: Row) -> str:
            level = row["site_id"], row["user_group_id"], row["owner_id"]
            return f"setting call_park.{row['key']}{whose.get(level, ' of one that is gone')}"

        await self._put(Kind(t.park_setting, ("site_id", "user_group_id", "owner_id", "key"), label), of_account, rows)


def _device_row(device: Device) -> dict[str, object]:
    row = device.model_dump(include={"username", "ha1_md5", "ha1_sha256", "address", "model", "mac"})
    row["destination"] = device.to
    if device.password is not None:
        secret = device_secret(device.username, device.password)
        row |= {"ha1_md5": secret.ha1_md5, "ha1_sha256": secret.ha1_sha256}
    return row

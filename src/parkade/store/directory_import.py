"""A checked directory file into the tables, in one transaction, saying what changed.

The file is declarative for the accounts it names: what it no longer has is removed from them. Accounts it does not name
stay as they are. Every row is found again by its natural key, so ids outlive an import and importing the same file twice
changes nothing. A password that is not said stays what it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, TypeAlias

from sqlalchemy import ColumnElement, Table, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from parkade.base.errors import ParkadeError
from parkade.store import tables as t
from parkade.store.directory_model import Account, Admin, Device, DirectoryFile, LevelSettings, Person, User
from parkade.store.passwords import device_secret, hash_password, password_fits

Row: TypeAlias = Mapping[str, object]
Key: TypeAlias = tuple[object, ...]


class ImportRefusedError(ParkadeError):
    """The file is right in itself but clashes with an account that it does not name."""


class Change(NamedTuple):
    """``verb`` is created, updated or removed."""

    account: str
    verb: str
    what: str

    def __str__(self) -> str:
        return f"{self.account}: {self.verb} {self.what}"


async def import_directory(connection: AsyncConnection, file: DirectoryFile) -> list[Change]:
    """Make the accounts of ``file`` what it says; nothing is written if nothing changes.

    :raises ImportRefusedError: a device username or a login belongs to another account already.
    """
    changes: list[Change] = []
    for account in file.accounts:
        await _AccountImport(connection, account, changes).run()
    if changes:
        await bump_revision(connection)
    return changes


async def bump_revision(connection: AsyncConnection) -> None:
    """Let running servers notice that the directory has changed."""
    await connection.execute(update(t.directory).values(revision=t.directory.c.revision + 1))


class _AccountImport:
    """One account: parents before children when writing, children before parents when removing."""

    def __init__(self, connection: AsyncConnection, account: Account, changes: list[Change]) -> None:
        self._connection = connection
        self._account = account
        self._changes = changes
        self._stale: list[tuple[Table, object, str]] = []

    async def run(self) -> None:
        account, of_slug = self._account, t.account.c.slug == self._account.slug
        row = {"slug": account.slug, "name": account.name, "language": account.language, "multi_site": account.multi_site}
        self._id = (await self._put(t.account, of_slug, ("slug",), [row], lambda _: "account"))[(account.slug,)]
        sites = await self._sites()
        owners = await self._owners(sites)
        await self._logins(owners)
        await self._devices(owners)
        await self._groups(owners)
        await self._trunks()
        await self._feature_codes()
        await self._settings(sites, owners)
        for table, row_id, what in reversed(self._stale):
            await self._connection.execute(delete(table).where(table.c.id == row_id))
            self._changes.append(Change(account.slug, "removed", what))

    async def _put(
        self, table: Table, scope: ColumnElement[bool], key: tuple[str, ...], rows: list[Row], what: Callable[[Row], str]
    ) -> dict[Key, int]:
        """Insert and update ``rows`` of ``table``; rows in ``scope`` with another key are noted for removal."""
        found = (await self._connection.execute(select(table).where(scope).order_by(table.c.id))).mappings().all()
        existing = {tuple(row[name] for name in key): row for row in found}
        ids: dict[Key, int] = {}
        for row in rows:
            at = tuple(row[name] for name in key)
            old = existing.pop(at, None)
            if old is None:
                result = await self._connection.execute(insert(table).values(**row))
                ids[at] = result.inserted_primary_key[0]  # type: ignore[index]
                self._changes.append(Change(self._account.slug, "created", what(row)))
                continue
            ids[at] = old["id"]
            if any(old[name] != value for name, value in row.items()):
                await self._connection.execute(update(table).where(table.c.id == old["id"]).values(**row))
                self._changes.append(Change(self._account.slug, "updated", what(row)))
        self._stale += [(table, old["id"], what(dict(old))) for old in existing.values()]
        return ids

    async def _sites(self) -> dict[str, int]:
        sites = self._account.sites or []
        rows: list[Row] = [{"account_id": self._id, "name": site.name} for site in sites]
        keys = await self._put(t.site, t.site.c.account_id == self._id, ("name",), rows, lambda row: f"site {row['name']}")
        ids = {site.name: keys[(site.name,)] for site in sites}
        lots: list[Row] = [{"site_id": ids[site.name], "codes": site.park.codes} for site in sites if site.park]
        of_account = t.lot.c.site_id.in_(select(t.site.c.id).where(t.site.c.account_id == self._id))
        await self._put(t.lot, of_account, ("site_id",), lots, lambda row: f"codes {row['codes']}")
        return ids

    def _people(self) -> Iterator[Person]:
        yield from self._account.users or ()
        yield from self._account.common_areas or ()

    async def _owners(self, sites: Mapping[str, int]) -> dict[str, int]:
        rows: list[Row] = [
            {
                "account_id": self._id,
                "kind": "user" if isinstance(person, User) else "common_area",
                "extension": person.extension,
                "name": person.name,
                "language": person.language,
                "licensed": person.licensed,
                "voicemail": person.voicemail if isinstance(person, User) else None,
                "site_id": sites[person.site] if person.site is not None else None,
            }
            for person in self._people()
        ]
        keys = await self._put(
            t.owner,
            t.owner.c.account_id == self._id,
            ("extension",),
            rows,
            lambda row: f"{str(row['kind']).replace('_', ' ')} {row['extension']} {row['name']}",
        )
        return {str(extension): row_id for (extension,), row_id in keys.items()}

    async def _logins(self, owners: Mapping[str, int]) -> None:
        persons: list[tuple[int | None, User | Admin]] = [(None, admin) for admin in self._account.admins or ()]
        persons += [(owners[user.extension], user) for user in self._account.users or () if user.login is not None]
        found = await self._strangers(t.login, t.login.c.name, [str(person.login) for _, person in persons], "login")
        rows: list[Row] = [
            {
                "account_id": self._id,
                "owner_id": owner_id,
                "name": person.login,
                "password_hash": _password_hash(person, found.get(str(person.login), {}).get("password_hash")),
            }
            for owner_id, person in persons
        ]
        await self._put(t.login, t.login.c.account_id == self._id, ("name",), rows, lambda row: f"login {row['name']}")

    async def _devices(self, owners: Mapping[str, int]) -> None:
        devices: list[tuple[int | None, Device]] = [(None, device) for device in self._account.devices or ()]
        devices += [(owners[person.extension], device) for person in self._people() for device in person.devices or ()]
        await self._strangers(t.device, t.device.c.username, [device.username for _, device in devices], "device")
        rows = [{"account_id": self._id, "owner_id": owner_id, **_device_row(device)} for owner_id, device in devices]
        of_account = t.device.c.account_id == self._id
        await self._put(t.device, of_account, ("username",), [*rows], lambda row: f"device {row['username']}")

    async def _strangers(self, table: Table, column: ColumnElement[str], names: list[str], what: str) -> dict[str, Row]:
        """Rows that already carry one of ``names``, which are unique over all accounts."""
        found: dict[str, Row] = {}
        for start in range(0, len(names), 500):
            query = select(table).where(column.in_(names[start : start + 500]))
            for row in (await self._connection.execute(query)).mappings():
                name = str(row["name" if table is t.login else "username"])
                if row["account_id"] != self._id:
                    raise ImportRefusedError(f"{what} {name} belongs to another account; remove it there first")
                found[name] = dict(row)
        return found

    async def _groups(self, owners: Mapping[str, int]) -> None:
        groups = [("ring", group.strategy, group) for group in self._account.ring_groups or ()]
        pagings = [("paging", None, group) for group in self._account.paging_groups or ()]
        rows: list[Row] = [
            {
                "account_id": self._id,
                "kind": kind,
                "extension": group.extension,
                "name": group.name,
                "strategy": strategy,
            }
            for kind, strategy, group in (*groups, *pagings)
        ]
        ids = await self._put(
            t.extension_group,
            t.extension_group.c.account_id == self._id,
            ("extension",),
            rows,
            lambda row: f"{row['kind']} group {row['extension']} {row['name']}",
        )
        members: list[Row] = [
            {"extension_group_id": ids[(group.extension,)], "owner_id": owners[member], "position": position}
            for _, _, group in (*groups, *pagings)
            for position, member in enumerate(group.members)
        ]
        names = {row_id: extension for (extension,), row_id in ids.items()}
        of_account = t.group_member.c.extension_group_id.in_(
            select(t.extension_group.c.id).where(t.extension_group.c.account_id == self._id)
        )
        await self._put(
            t.group_member,
            of_account,
            ("extension_group_id", "owner_id"),
            members,
            lambda row: f"member of group {names.get(row['extension_group_id'], 'that is gone')}",  # type: ignore[call-overload]
        )

    async def _trunks(self) -> None:
        trunks = self._account.trunks or []
        rows: list[Row] = [{"account_id": self._id, "name": trunk.name, "address": trunk.address} for trunk in trunks]
        ids = await self._put(t.trunk, t.trunk.c.account_id == self._id, ("name",), rows, lambda row: f"trunk {row['name']}")
        numbers: list[Row] = [
            {"trunk_id": ids[(trunk.name,)], "number": inbound.number, "destination": inbound.to}
            for trunk in trunks
            for inbound in trunk.inbound or ()
        ]
        of_account = t.inbound_number.c.trunk_id.in_(select(t.trunk.c.id).where(t.trunk.c.account_id == self._id))
        await self._put(
            t.inbound_number, of_account, ("trunk_id", "number"), numbers, lambda row: f"inbound number {row['number']}"
        )

    async def _feature_codes(self) -> None:
        codes = self._account.feature_codes
        rows: list[Row] = [{"account_id": self._id, **codes.model_dump()}] if codes else []
        of_account = t.feature_codes.c.account_id == self._id
        await self._put(t.feature_codes, of_account, ("account_id",), rows, lambda _: "feature codes")

    async def _settings(self, sites: Mapping[str, int], owners: Mapping[str, int]) -> None:
        levels: list[tuple[int | None, int | None, LevelSettings | None]] = [(None, None, self._account.settings)]
        levels += [(sites[site.name], None, site.settings) for site in self._account.sites or ()]
        levels += [(None, owners[person.extension], person.settings) for person in self._people()]
        rows: list[Row] = [
            {"account_id": self._id, "site_id": site_id, "owner_id": owner_id, "key": key, "value": value}
            for site_id, owner_id, settings in levels
            if settings and settings.call_park
            for key, value in settings.call_park.model_dump(exclude_none=True).items()
        ]
        of_account = t.park_setting.c.account_id == self._id
        key = ("site_id", "owner_id", "key")
        await self._put(t.park_setting, of_account, key, rows, lambda row: f"setting call_park.{row['key']}")


def _password_hash(person: User | Admin, old: object) -> str | None:
    old_hash = old if isinstance(old, str) else None
    if person.password_hash is not None:
        return person.password_hash
    if person.password is None or password_fits(old_hash, person.password):
        return old_hash
    return hash_password(person.password)


def _device_row(device: Device) -> dict[str, object]:
    row = device.model_dump(include={"username", "ha1_md5", "ha1_sha256", "address", "model", "mac"})
    row["destination"] = device.to
    if device.password is not None:
        secret = device_secret(device.username, device.password)
        row |= {"ha1_md5": secret.ha1_md5, "ha1_sha256": secret.ha1_sha256}
    return row

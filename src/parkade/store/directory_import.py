"""A checked directory file into the tables, in one transaction, saying what changed.

The file is declarative for the accounts it names: what it no longer has is removed from them. Accounts it does not name
stay as they are. Rows are found again by id or by natural key (``directory_match``), so ids outlive an import and
importing the same file twice changes nothing. A password that is not said stays what it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy import ColumnElement, Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

from parkade.store import directory_changes as words
from parkade.store import tables as t
from parkade.store.account_tables import AccountTables, ImportRefusedError, Kind
from parkade.store.directory_changes import Change
from parkade.store.directory_match import Matches, Row, match_renamed
from parkade.store.directory_model import Account, Admin, Device, DirectoryFile, LevelSettings, Person, User
from parkade.store.park_settings import DEFAULT_CODES
from parkade.store.passwords import device_secret, hash_password, password_fits
from parkade.store.revisions import mark_changed

__all__ = ["Change", "ImportRefusedError", "import_directory"]

_SITE = Kind(t.site, ("name",), words.site, words.identity, frozenset({"position"}))
_GROUP = Kind(t.extension_group, ("extension",), words.group, words.identity)
_LOGIN = Kind(t.login, ("name",), lambda row: f"login {row['name']}")
_DEVICE = Kind(t.device, ("username",), lambda row: f"device {row['username']}")
_TRUNK = Kind(t.trunk, ("name",), lambda row: f"trunk {row['name']}")
_INBOUND = Kind(t.inbound_number, ("trunk_id", "number"), lambda row: f"inbound number {row['number']}")
_FEATURE_CODES = Kind(t.feature_codes, ("account_id",), lambda _: "feature codes")


async def import_directory(connection: AsyncConnection, file: DirectoryFile) -> list[Change]:
    """Make the accounts of ``file`` what it says; nothing is written if nothing changes.

    :raises ImportRefusedError: an id, a device username or a login belongs to another account already.
    """
    changes: dict[str, list[Change]] = {}
    for account in file.accounts:
        changes[account.slug] = await _AccountImport(connection, account).run()
    if changed := [slug for slug, of_account in changes.items() if of_account]:
        await mark_changed(connection, changed)
    return [change for of_account in changes.values() for change in of_account]


class _AccountImport:
    """One account: parents before children when writing, children before parents when removing."""

    def __init__(self, connection: AsyncConnection, account: Account) -> None:
        self._account = account
        self._tables = AccountTables(connection, account.slug)
        self._put = self._tables.put

    async def run(self) -> list[Change]:
        account = self._account
        row = {"slug": account.slug, "name": account.name, "language": account.language, "multi_site": account.multi_site}
        (self._id,) = await self._put(Kind(t.account, ("slug",), lambda _: "account"), t.account.c.slug == account.slug, [row])
        sites = await self._sites()
        owners = await self._owners(sites)
        await self._logins(owners)
        await self._devices(owners)
        await self._groups(owners)
        await self._trunks()
        await self._feature_codes()
        await self._settings(sites, owners)
        await self._tables.remove_stale()
        return self._tables.changes

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

    async def _owners(self, sites: Mapping[str, int]) -> dict[str, int]:
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
            }
            for person in people
        ]
        of_account = t.owner.c.account_id == self._id
        site_names: dict[object, str] = {row_id: name for name, row_id in sites.items()}

        def identity(old: Row, new: Row) -> str:
            return words.identity(old, new, site_names)

        kind = Kind(t.owner, ("extension",), words.person, identity)
        await self._refuse_strangers(kind, [person.id for person in people if person.id])
        ids = await self._put(kind, of_account, entries)
        return {person.extension: row_id for row_id, person in zip(ids, people, strict=True)}

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
        await self._put(_LOGIN, t.login.c.account_id == self._id, rows)

    async def _devices(self, owners: Mapping[str, int]) -> None:
        devices: list[tuple[int | None, Device]] = [(None, device) for device in self._account.devices or ()]
        devices += [(owners[person.extension], device) for person in self._people() for device in person.devices or ()]
        await self._strangers(t.device, t.device.c.username, [device.username for _, device in devices], "device")
        rows: list[Row] = [
            {"account_id": self._id, "owner_id": owner_id, **_device_row(device)} for owner_id, device in devices
        ]
        await self._put(_DEVICE, t.device.c.account_id == self._id, rows)

    async def _strangers(self, table: Table, column: ColumnElement[str], names: list[str], what: str) -> dict[str, Row]:
        """Rows that already carry one of ``names``, which are unique over all accounts."""
        found: dict[str, Row] = {}
        for row in await self._tables.taken(column, table, names):
            name = str(row["name" if table is t.login else "username"])
            if row["account_id"] != self._id:
                raise ImportRefusedError(f"{what} {name} belongs to another account; remove it there first")
            found[name] = row
        return found

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
        whose: dict[tuple[object, object], str] = {(None, None): ""}
        whose |= {(row_id, None): f" of site {name}" for name, row_id in sites.items()}
        whose |= {(None, row_id): f" of {extension}" for extension, row_id in owners.items()}

        def label(row: Row) -> str:
            return f"setting call_park.{row['key']}{whose.get((row['site_id'], row['owner_id']), ' of one that is gone')}"

        await self._put(Kind(t.park_setting, ("site_id", "owner_id", "key"), label), of_account, rows)


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

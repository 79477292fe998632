"""The tables as a directory file: what was imported, with digests and hashes in place of passwords."""

from __future__ import annotations

from typing import TypeAlias

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from parkade.store import tables as t
from parkade.store.directory_model import DirectoryFile
from parkade.store.park_settings import Key, Says, as_extensions, says_by_level
from parkade.store.rows import FOR_FILES, Row, Rows, fetch

Tree: TypeAlias = dict[str, object]


async def read_directory(connection: AsyncConnection) -> DirectoryFile:
    """Every account, in the order they were made."""
    reader = _Reader(Rows(await fetch(connection, FOR_FILES)))
    return DirectoryFile.model_validate({"accounts": reader.accounts()})


async def read_account(connection: AsyncConnection, slug: str) -> DirectoryFile | None:
    """One account, read by queries of its rows alone; None if there is none."""
    account_id = (await connection.execute(select(t.account.c.id).where(t.account.c.slug == slug))).scalar()
    if account_id is None:
        return None
    reader = _Reader(Rows(await fetch(connection, FOR_FILES, account_id)))
    return DirectoryFile.model_validate({"accounts": reader.accounts()})


class _Reader:
    """Rows into the tree of a directory file."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._of = rows.of
        self._site_names = {row["id"]: row["name"] for row in rows.all(t.site)}
        self._group_names = {row["id"]: row["name"] for row in rows.all(t.user_group)}
        self._extensions = {row["id"]: row["extension"] for row in rows.all(t.owner)}
        self._extensions_by_uid = {row["uid"]: row["extension"] for row in rows.all(t.owner)}
        self._says: dict[Key, Says] = {}

    def accounts(self) -> list[Tree]:
        return [self._account(row) for row in self._rows.all(t.account)]

    def _account(self, row: Row) -> Tree:
        row_id = row["id"]
        owners, groups = self._of(t.owner, "account_id", row_id), self._of(t.extension_group, "account_id", row_id)
        logins, devices = self._of(t.login, "account_id", row_id), self._of(t.device, "account_id", row_id)
        codes = self._of(t.feature_codes, "account_id", row_id)
        self._says = says_by_level(self._of(t.park_setting, "account_id", row_id))
        return _said(
            _some(row, "slug", "name", "language", "multi_site"),
            admins=[self._admin(login) for login in logins if login["owner_id"] is None],
            sites=[self._site(site) for site in self._of(t.site, "account_id", row_id)],
            settings=self._settings(),
            user_groups=[self._user_group(group) for group in self._of(t.user_group, "account_id", row_id)],
            users=[self._owner(owner) for owner in owners if owner["kind"] == "user"],
            common_areas=[self._owner(owner) for owner in owners if owner["kind"] == "common_area"],
            devices=[self._device(device) for device in devices if device["owner_id"] is None],
            ring_groups=[self._group(group) for group in groups if group["kind"] == "ring"],
            paging_groups=[self._group(group) for group in groups if group["kind"] == "paging"],
            trunks=[self._trunk(trunk) for trunk in self._of(t.trunk, "account_id", row_id)],
            feature_codes=_some(codes[0], "park", "park_dtmf", "pickup_prefix") if codes else None,
        )

    def _admin(self, row: Row) -> Tree:
        return _said(_login(row), site=self._site_names.get(row["site_id"]))

    def _site(self, row: Row) -> Tree:
        (lot,) = self._of(t.lot, "site_id", row["id"])
        return _said(
            _some(row, "name") | {"id": row["uid"]},
            park=_some(lot, "codes") | _seconds(lot["expiration_seconds"]),
            settings=self._settings(site=row["id"]),
        )

    def _owner(self, row: Row) -> Tree:
        logins = self._of(t.login, "owner_id", row["id"])
        return _said(
            _some(row, "extension", "name", "language", "licensed", "voicemail") | {"id": row["uid"]},
            **(_login(logins[0]) if logins else {}),
            site=self._site_names.get(row["site_id"]),
            group=self._group_names.get(row["user_group_id"]),
            devices=[self._device(device) for device in self._of(t.device, "owner_id", row["id"])],
            settings=self._settings(owner=row["id"]),
        )

    def _user_group(self, row: Row) -> Tree:
        return _said(_some(row, "name") | {"id": row["uid"]}, settings=self._settings(group=row["id"]))

    def _device(self, row: Row) -> Tree:
        keys = [_some(key, "type", "value", "label") for key in self._of(t.device_key, "device_id", row["id"])]
        tree = _some(row, "username", "ha1_md5", "ha1_sha256", "address", "model", "mac")
        return _said(tree, to=row["destination"], keys=keys)

    def _settings(self, site: int | None = None, group: int | None = None, owner: int | None = None) -> Tree | None:
        says = dict(self._says.get((site, group, owner), {}))
        if "visibility" in says:
            says["visibility"] = as_extensions(says["visibility"], self._extensions_by_uid)
        return {"call_park": says} if says else None

    def _group(self, row: Row) -> Tree:
        members = [self._extensions[member["owner_id"]] for member in self._of(t.group_member, "extension_group_id", row["id"])]
        return _some(row, "extension", "name", "strategy") | {"id": row["uid"], "members": members}

    def _trunk(self, row: Row) -> Tree:
        inbound = [{"number": i["number"], "to": i["destination"]} for i in self._of(t.inbound_number, "trunk_id", row["id"])]
        return _said(_some(row, "name", "address"), inbound=inbound)


def _some(row: Row, *names: str) -> Tree:
    return {name: row[name] for name in names if row[name] is not None}


def _said(tree: Tree, **values: object) -> Tree:
    """``tree`` and those of ``values`` that say anything."""
    return tree | {name: value for name, value in values.items() if value}


def _seconds(seconds: float | None) -> Tree:
    """As a whole number where it is one, as people write it."""
    if seconds is None:
        return {}
    return {"expiration_seconds": int(seconds) if seconds.is_integer() else seconds}


def _login(row: Row) -> Tree:
    return _said({"login": row["name"]}, password_hash=row["password_hash"])

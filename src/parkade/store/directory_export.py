"""The tables as a directory file: what was imported, with digests and hashes in place of passwords."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from sqlalchemy.ext.asyncio import AsyncConnection

from parkade.store import tables as t
from parkade.store.directory_model import DirectoryFile
from parkade.store.rows import FOR_CALLS, Row, Rows, fetch

Tree: TypeAlias = dict[str, object]


async def read_directory(connection: AsyncConnection) -> DirectoryFile:
    """Every account, in the order they were made."""
    reader = _Reader(Rows(await fetch(connection, (*FOR_CALLS, t.login, t.trunk, t.inbound_number))))
    return DirectoryFile.model_validate({"accounts": reader.accounts()})


class _Reader:
    """Rows into the tree of a directory file."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._of = rows.of
        self._site_names = {row["id"]: row["name"] for row in rows.all(t.site)}
        self._extensions = {row["id"]: row["extension"] for row in rows.all(t.owner)}

    def accounts(self) -> list[Tree]:
        return [self._account(row) for row in self._rows.all(t.account)]

    def _account(self, row: Row) -> Tree:
        row_id = row["id"]
        owners, groups = self._of(t.owner, "account_id", row_id), self._of(t.extension_group, "account_id", row_id)
        logins, devices = self._of(t.login, "account_id", row_id), self._of(t.device, "account_id", row_id)
        codes = self._of(t.feature_codes, "account_id", row_id)
        at_top = [s for s in self._of(t.park_setting, "account_id", row_id) if s["site_id"] is None and s["owner_id"] is None]
        return _said(
            _some(row, "slug", "name", "language", "multi_site"),
            admins=[_login(login) for login in logins if login["owner_id"] is None],
            sites=[self._site(site) for site in self._of(t.site, "account_id", row_id)],
            settings=_settings(at_top),
            users=[self._owner(owner) for owner in owners if owner["kind"] == "user"],
            common_areas=[self._owner(owner) for owner in owners if owner["kind"] == "common_area"],
            devices=[_device(device) for device in devices if device["owner_id"] is None],
            ring_groups=[self._group(group) for group in groups if group["kind"] == "ring"],
            paging_groups=[self._group(group) for group in groups if group["kind"] == "paging"],
            trunks=[self._trunk(trunk) for trunk in self._of(t.trunk, "account_id", row_id)],
            feature_codes=_some(codes[0], "park", "park_dtmf", "pickup_prefix") if codes else None,
        )

    def _site(self, row: Row) -> Tree:
        (lot,) = self._of(t.lot, "site_id", row["id"])
        return _said(
            _some(row, "name") | {"id": row["uid"]},
            park=_some(lot, "codes") | _seconds(lot["expiration_seconds"]),
            settings=_settings(self._of(t.park_setting, "site_id", row["id"])),
        )

    def _owner(self, row: Row) -> Tree:
        logins = self._of(t.login, "owner_id", row["id"])
        return _said(
            _some(row, "extension", "name", "language", "licensed", "voicemail") | {"id": row["uid"]},
            **(_login(logins[0]) if logins else {}),
            site=self._site_names.get(row["site_id"]),
            devices=[_device(device) for device in self._of(t.device, "owner_id", row["id"])],
            settings=_settings(self._of(t.park_setting, "owner_id", row["id"])),
        )

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


def _device(row: Row) -> Tree:
    return _said(_some(row, "username", "ha1_md5", "ha1_sha256", "address", "model", "mac"), to=row["destination"])


def _settings(rows: Sequence[Row]) -> Tree | None:
    return {"call_park": {str(row["key"]): row["value"] for row in rows}} if rows else None

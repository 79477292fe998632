"""The tables as a directory file: what was imported, with digests and hashes in place of passwords."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import TypeAlias

from sqlalchemy import Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

from parkade.store import tables as t
from parkade.store.directory_model import DirectoryFile

Row: TypeAlias = Mapping[str, object]
Tree: TypeAlias = dict[str, object]


async def read_directory(connection: AsyncConnection) -> DirectoryFile:
    """Every account, in the order they were made."""
    reader = _Reader({table: await _rows(connection, table) for table in t.metadata.sorted_tables})
    return DirectoryFile.model_validate({"accounts": reader.accounts()})


async def _rows(connection: AsyncConnection, table: Table) -> list[Row]:
    order = table.c.position if "position" in table.c else table.c.id
    return [dict(row) for row in (await connection.execute(select(table).order_by(order))).mappings()]


class _Reader:
    """All rows, found by their parents."""

    def __init__(self, rows: Mapping[Table, list[Row]]) -> None:
        self._rows = rows
        self._children: dict[tuple[Table, str], dict[object, list[Row]]] = {}
        self._site_names = {row["id"]: row["name"] for row in rows[t.site]}
        self._extensions = {row["id"]: row["extension"] for row in rows[t.owner]}

    def accounts(self) -> list[Tree]:
        return [self._account(row) for row in self._rows[t.account]]

    def _of(self, table: Table, parent: str, parent_id: object) -> list[Row]:
        """The rows of ``table`` whose column ``parent`` is ``parent_id``."""
        if (table, parent) not in self._children:
            index = self._children[(table, parent)] = defaultdict(list)
            for row in self._rows[table]:
                index[row[parent]].append(row)
        return self._children[(table, parent)].get(parent_id, [])

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
        lots = self._of(t.lot, "site_id", row["id"])
        return _said(
            _some(row, "name"),
            park={"codes": lots[0]["codes"]} if lots else None,
            settings=_settings(self._of(t.park_setting, "site_id", row["id"])),
        )

    def _owner(self, row: Row) -> Tree:
        logins = self._of(t.login, "owner_id", row["id"])
        return _said(
            _some(row, "extension", "name", "language", "licensed", "voicemail"),
            **(_login(logins[0]) if logins else {}),
            site=self._site_names.get(row["site_id"]),
            devices=[_device(device) for device in self._of(t.device, "owner_id", row["id"])],
            settings=_settings(self._of(t.park_setting, "owner_id", row["id"])),
        )

    def _group(self, row: Row) -> Tree:
        members = [self._extensions[member["owner_id"]] for member in self._of(t.group_member, "extension_group_id", row["id"])]
        return _some(row, "extension", "name", "strategy") | {"members": members}

    def _trunk(self, row: Row) -> Tree:
        inbound = [{"number": i["number"], "to": i["destination"]} for i in self._of(t.inbound_number, "trunk_id", row["id"])]
        return _said(_some(row, "name", "address"), inbound=inbound)


def _some(row: Row, *names: str) -> Tree:
    return {name: row[name] for name in names if row[name] is not None}


def _said(tree: Tree, **values: object) -> Tree:
    """``tree`` and those of ``values`` that say anything."""
    return tree | {name: value for name, value in values.items() if value}


def _login(row: Row) -> Tree:
    return _said({"login": row["name"]}, password_hash=row["password_hash"])


def _device(row: Row) -> Tree:
    return _said(_some(row, "username", "ha1_md5", "ha1_sha256", "address", "model", "mac"), to=row["destination"])


def _settings(rows: list[Row]) -> Tree | None:
    return {"call_park": {str(row["key"]): row["value"] for row in rows}} if rows else None

"""Call Park settings of one level as an administrator meets them: what holds and why, and changing it.

Everything is looked for within one account: what belongs to another is not found. Rights are the asker's business.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from pydantic import ValidationError
from sqlalchemy import ColumnElement, Table, delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from parkade.base.errors import ParkadeError
from parkade.calls.park_settings import (
    DEFAULTS,
    AccountSays,
    Effective,
    Level,
    Source,
    Step,
    above,
    effective,
    explain,
    locker,
)
from parkade.calls.refusals import INVALID_SETTING, RESET_AT_ACCOUNT, SETTINGS_LOCKED, UNKNOWN_SETTING, Refusal
from parkade.store import tables as t
from parkade.store.directory_model import CallPark
from parkade.store.park_rules import Fault, ParkKey, PersonSays, faults
from parkade.store.park_settings import ACCOUNT, Key, Says, account_says, as_extensions, as_ids, person_says, says_by_level
from parkade.store.revisions import mark_changed
from parkade.store.rows import Row

PEOPLE = (Source.USER, Source.COMMON_AREA)

WANTED: Mapping[str, tuple[str, str]] = {
    "enable": ("true or false", "true hoặc false"),
    "expiration_period": (
        "one of 1-10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60 (minutes)",
        "một trong các số 1-10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60 (phút)",
    ),
    "expiration_seconds": ("a number above 0, at most 86400 (seconds)", "một số lớn hơn 0 và không quá 86400 (giây)"),
    "call_not_picked_up_action": (
        "100 (ring back), 0 (voicemail), 50 (an extension), 51 (an outside number) or 9 (disconnect)",
        "100 (đổ chuông lại), 0 (hộp thư thoại), 50 (máy nhánh khác), 51 (số bên ngoài) hoặc 9 (ngắt cuộc gọi)",
    ),
    "forward_to": ("an extension or a telephone number, as a text", "một máy nhánh hoặc số điện thoại, ở dạng chuỗi"),
    "sequence": ("0 (Random) or 1 (Sequential)", "0 (Ngẫu nhiên) hoặc 1 (Tuần tự)"),
    "reserve_seconds": ("a whole number from 0 to 600 (seconds)", "một số nguyên từ 0 đến 600 (giây)"),
    "ring_back_seconds": ("a whole number from 1 to 600 (seconds)", "một số nguyên từ 1 đến 600 (giây)"),
    "announce": ("true, false or the extension of a paging group", "true, false hoặc số máy nhánh của một nhóm phát loa"),
    "chain": (
        "a list of steps, each with action, seconds (1 to 600) and, where it needs one, to",
        "một danh sách các bước, mỗi bước có action, seconds (1 đến 600) và to nếu cần",
    ),
    "music": ("the name of a piece of music", "tên của một bản nhạc"),
    "visibility": ("account, site, group or a list of extensions", "account, site, group hoặc một danh sách máy nhánh"),
    "locked": ("true or false", "true hoặc false"),
    "reset": ("true or false", "true hoặc false"),
}
"""What the value of each key must be, in English and Vietnamese."""


class NoSuchLevelError(ParkadeError):
    """The account has no such site, group or person."""


class SettingsRefusedError(ParkadeError):
    """Nothing was changed. ``refusals`` has at least one, each with the key it is about (empty: all of them)."""

    def __init__(self, refusals: Sequence[tuple[str, Refusal]]) -> None:
        self.refusals = list(refusals)
        super().__init__(self.refusal.en)

    @property
    def refusal(self) -> Refusal:
        """The first."""
        return self.refusals[0][1]


class ChangedMeanwhileError(ParkadeError):
    """The level is not what it was when its ``version`` was read. Nothing was changed."""


class LevelRef(NamedTuple):
    """A level of an account. ``id`` is that of the site, user group or person; empty for the account."""

    source: Source
    id: str = ""


@dataclass(frozen=True, slots=True)
class Changer:
    """Who changes something: a name and a role for the audit trail, and the network address asked from."""

    name: str
    role: str
    address: str | None = None


@dataclass(frozen=True, slots=True)
class LevelSettings:
    """Settings at one level. ``values`` has every key as it holds there, ``says`` what the level says itself.

    ``version`` changes whenever any of that does. People in ``visibility`` are extensions, as in ``why``.
    """

    ref: LevelRef
    name: str
    values: Mapping[str, Effective]
    levels: Sequence[Level]
    version: str

    @property
    def own(self) -> Level:
        """The level itself."""
        return self.levels[len(above(self.levels))]

    @property
    def says(self) -> Mapping[str, Any]:
        """What it says itself; the seconds of a site's lot are not among it."""
        return self.own.says

    @property
    def locked_by(self) -> Source | None:
        """The level above whose lock prevents any change here."""
        return self.values["enable"].locked_by

    def why(self, key: str) -> list[Step]:
        """How ``key`` came to its value: what each level says of it, and which one decides.

        :raises KeyError: there is no such key.
        """
        if key not in DEFAULTS:
            raise KeyError(key)
        return explain(self.levels, key)


async def read_level(connection: AsyncConnection, account: str, ref: LevelRef) -> LevelSettings:
    """The settings at one level of the account with the slug ``account``.

    :raises NoSuchLevelError: there is none.
    """
    return (await _read(connection, account, ref)).settings(ref)


async def read_levels(connection: AsyncConnection, account: str, source: Source) -> list[LevelSettings]:
    """The settings of every site, user group, user or common area of an account, in its order.

    :raises NoSuchLevelError: there is no such account.
    """
    whole = await _read(connection, account)
    return [whole.settings(ref) for ref in whole.refs(source)]


async def patch_level(
    connection: AsyncConnection,
    account: str,
    ref: LevelRef,
    patch: Mapping[str, Any],
    *,
    by: Changer,
    now: float,
    version: str | None = None,
) -> LevelSettings:
    """Change what one level says; the settings there afterwards. ``connection`` is in a write transaction, which there is
    one of at a time: each change is judged together with all that the account says.

    ``patch`` has values by key; None stops the level from saying it. With ``reset`` the level first forgets all that it has
    said. ``now`` is in seconds since the epoch. With a ``version`` nothing is changed unless the level still has it.
    What differs is written to the audit trail, and running servers notice; a patch that changes nothing leaves no trace.

    :raises NoSuchLevelError: there is no such level.
    :raises ChangedMeanwhileError: it has another version.
    :raises SettingsRefusedError: it is locked from above, or a value cannot be.
    """
    whole = await _read(connection, account)
    settings = whole.settings(ref)
    if version is not None and version != settings.version:
        raise ChangedMeanwhileError("the settings were changed meanwhile")
    if (lock := locker(settings.levels)) is not None:
        english, vietnamese = lock.words()
        raise SettingsRefusedError([("", SETTINGS_LOCKED.with_(level_en=english, level_vi=vietnamese))])
    said = whole.shown(_checked(patch))
    if ref.source is Source.ACCOUNT and said.get("reset"):
        raise SettingsRefusedError([("reset", RESET_AT_ACCOUNT)])
    key, before = whole.key(ref), dict(settings.says)
    after = _patched(before, said)
    if after == before:
        return settings
    already = set(whole.faults())
    whole.say(key, after)
    if found := [(fault.key, fault.refusal) for fault in whole.faults() if fault not in already]:
        raise SettingsRefusedError(found)
    await _write(connection, whole.id, key, before, whole.kept(after))
    differs = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    await connection.execute(
        insert(t.audit).values(
            uid=secrets.token_hex(8),
            account=account,
            at=now,
            by=by.name,
            role=by.role,
            address=by.address,
            action="change",
            object=f"{_PATHS[ref.source].format(ref.id)}settings/call-park",
            before={name: before.get(name) for name in differs},
            after={name: after.get(name) for name in differs},
        )
    )
    await mark_changed(connection, [account])
    return whole.settings(ref)


_PATHS: Mapping[Source, str] = {
    Source.ACCOUNT: "",
    Source.SITE: "sites/{}/",
    Source.GROUP: "groups/{}/",
    Source.USER: "users/{}/",
    Source.COMMON_AREA: "common-areas/{}/",
}


def _checked(patch: Mapping[str, Any]) -> Says:
    """Each value as it is kept in the database.

    :raises SettingsRefusedError: a key or a value is none of ours.
    """
    try:
        valid = CallPark.model_validate(dict(patch)).model_dump(exclude_none=True)
    except ValidationError as error:
        refused: dict[str, Refusal] = {}
        for details in error.errors(include_url=False):
            key = str(details["loc"][0])
            english, vietnamese = WANTED.get(key, ("", ""))
            unknown = key not in WANTED
            refused[key] = (UNKNOWN_SETTING if unknown else INVALID_SETTING).with_(
                key=key, wanted_en=english, wanted_vi=vietnamese
            )
        raise SettingsRefusedError(list(refused.items())) from None
    return {key: valid.get(key) for key in patch}


def _patched(before: Says, said: Mapping[str, Any]) -> Says:
    """What a level says after a patch.

    A level that a file has reset says nothing, so it begins anew with the first thing that it is to say. ``reset`` itself is
    never kept: once all is forgotten there is nothing left that it could silence.
    """
    forgets = said.get("reset") or ("reset" not in said and before.get("reset") and any(v is not None for v in said.values()))
    after = {} if forgets else dict(before)
    after.update(said)
    if "reset" in said:
        del after["reset"]
    return {key: value for key, value in after.items() if value is not None}


async def _write(connection: AsyncConnection, account_id: int, key: Key, before: Says, after: Says) -> None:
    """``before`` and ``after`` are what the level has said and is to say."""
    rows, columns = t.park_setting, ("site_id", "user_group_id", "owner_id")
    level = dict(zip(columns, key, strict=True))
    at_level = [rows.c.account_id == account_id, *(rows.c[name].is_not_distinct_from(id_) for name, id_ in level.items())]
    for name in before.keys() | after.keys():
        if name not in after:
            await connection.execute(delete(rows).where(*at_level, rows.c.key == name))
        elif name not in before:
            await connection.execute(insert(rows).values(account_id=account_id, **level, key=name, value=after[name]))
        else:
            await connection.execute(update(rows).where(*at_level, rows.c.key == name).values(value=after[name]))


async def _read(connection: AsyncConnection, slug: str, only: LevelRef | None = None) -> _Account:
    """What an account says at all levels; with ``only`` what is needed to read that one.

    :raises NoSuchLevelError: there is no such account, or no such person.
    """

    async def rows(table: Table, *where: ColumnElement[bool]) -> list[Row]:
        query = select(table).where(*where).order_by(table.c.position if "position" in table.c else table.c.id)
        return [dict(row) for row in (await connection.execute(query)).mappings()]

    found = await rows(t.account, t.account.c.slug == slug)
    if not found:
        raise NoSuchLevelError(f"there is no account {slug}")
    account_id = found[0]["id"]

    def its(table: Table) -> ColumnElement[bool]:
        return table.c.account_id.in_([account_id])

    sites, lots, groups = [await rows(table, its(table)) for table in (t.site, t.lot, t.user_group)]
    if only is None:
        owners, settings = await rows(t.owner, its(t.owner)), await rows(t.park_setting, its(t.park_setting))
        extensions = [group["extension"] for group in await rows(t.extension_group, its(t.extension_group))]
        devices = {device["id"]: device for device in await rows(t.device, its(t.device))}
        of_account = t.device_key.c.device_id.in_(select(t.device.c.id).where(its(t.device)))
        keys = await rows(t.device_key, of_account, t.device_key.c.type == "park")
        park_keys = [(devices[key["device_id"]]["owner_id"], _park_key(key, devices[key["device_id"]])) for key in keys]
        return _Account(found[0], sites, lots, groups, owners, settings, extensions, park_keys)
    owners = await rows(t.owner, its(t.owner), t.owner.c.uid == only.id) if only.source in PEOPLE else []
    whose = or_(t.park_setting.c.owner_id.is_(None), t.park_setting.c.owner_id.in_([owner["id"] for owner in owners]))
    settings = await rows(t.park_setting, its(t.park_setting), whose)
    named = [row["value"] for row in settings if row["key"] == "visibility" and not isinstance(row["value"], str)]
    if named:
        owners += await rows(t.owner, its(t.owner), t.owner.c.uid.in_({id_ for ids in named for id_ in ids} - {only.id}))
    return _Account(found[0], sites, lots, groups, owners, settings)


def _park_key(key: Row, device: Row) -> ParkKey:
    return ParkKey(key["id"], device["username"], key["value"])


class _Account:
    """What the levels of one account say, with people by extension wherever ``visibility`` names them."""

    def __init__(
        self,
        account: Row,
        sites: Sequence[Row],
        lots: Sequence[Row],
        groups: Sequence[Row],
        owners: Sequence[Row],
        settings: Sequence[Row],
        extensions: Sequence[str] = (),
        park_keys: Sequence[tuple[int | None, ParkKey]] = (),
    ) -> None:
        self.id: int = account["id"]
        self._account, self._owners = account, owners
        self._sites, self._groups = sites, groups
        self._rows = {LevelRef(Source.SITE, row["uid"]): row for row in sites}
        self._rows |= {LevelRef(Source.GROUP, row["uid"]): row for row in groups}
        self._rows |= {LevelRef(Source(row["kind"]), row["uid"]): row for row in owners}
        self._lots = {lot["site_id"]: lot for lot in lots}
        self._extensions = extensions
        self._ids = {owner["extension"]: owner["uid"] for owner in owners}
        self._by_id = {owner["uid"]: owner["extension"] for owner in owners}
        self._park_keys: dict[int | None, list[ParkKey]] = {}
        for owner_id, park_key in park_keys:
            self._park_keys.setdefault(owner_id, []).append(park_key)
        self.says = says_by_level(settings)
        for said in self.says.values():
            if "visibility" in said:
                said["visibility"] = as_extensions(said["visibility"], self._by_id)
        self._levels_above = self._account_says()

    def say(self, key: Key, says: Says) -> None:
        """A level says something else now."""
        self.says[key] = says
        self._levels_above = self._account_says()

    def shown(self, said: Says) -> Says:
        """``said`` with people by extension; a name that is nobody's stays."""
        value = said.get("visibility")
        if value is None or isinstance(value, str):
            return said
        names = [name if name in self._ids else self._by_id.get(name, name) for name in value]
        return said | {"visibility": list(dict.fromkeys(names))}

    def kept(self, said: Says) -> Says:
        """``said`` as it is kept."""
        return said | {"visibility": as_ids(said["visibility"], self._ids)} if "visibility" in said else said

    def refs(self, source: Source) -> list[LevelRef]:
        """Every level of a kind."""
        return [LevelRef(source)] if source is Source.ACCOUNT else [ref for ref in self._rows if ref.source is source]

    def key(self, ref: LevelRef) -> Key:
        """Which rows say what ``ref`` says.

        :raises NoSuchLevelError: there is no such level.
        """
        if ref.source is Source.ACCOUNT:
            return ACCOUNT
        row_id: int = self._row(ref)["id"]
        if ref.source is Source.SITE:
            return (row_id, None, None)
        return (None, row_id, None) if ref.source is Source.GROUP else (None, None, row_id)

    def settings(self, ref: LevelRef) -> LevelSettings:
        """As somebody sees it.

        :raises NoSuchLevelError: there is no such level.
        """
        levels, name = self._levels(ref)
        values = effective(levels)
        seen = [levels[len(above(levels))].says, {key: [one.value, one.source, one.locked_by] for key, one in values.items()}]
        version = hashlib.sha256(json.dumps(seen, sort_keys=True).encode()).hexdigest()[:16]
        return LevelSettings(ref, name, values, levels, version)

    def faults(self) -> list[Fault]:
        """All that is wrong between what is said."""
        people = [
            PersonSays(
                owner["uid"],
                person_says(owner, self.says),
                owner["site_id"],
                owner["user_group_id"],
                self._park_keys.get(owner["id"], ()),
            )
            for owner in self._owners
        ]
        if None in self._park_keys:
            people.append(PersonSays(None, Level(Source.USER, {}), park_keys=self._park_keys[None]))
        return list(faults(self._levels_above, people, {*self._ids, *self._extensions}, {*self._ids, *self._by_id}))

    def _levels(self, ref: LevelRef) -> tuple[Sequence[Level], str]:
        says = self._levels_above
        if ref.source is Source.ACCOUNT:
            return says.at_account(), self._account["name"]
        row = self._row(ref)
        if ref.source is Source.SITE:
            return says.at_site(row["id"]), row["name"]
        if ref.source is Source.GROUP:
            return says.at_group(row["id"]), row["name"]
        return [*says.around(row["site_id"], row["user_group_id"]), person_says(row, self.says)], row["name"]

    def _account_says(self) -> AccountSays:
        return account_says(self._account, self._sites, self._lots, self._groups, self.says)

    def _row(self, ref: LevelRef) -> Row:
        if ref not in self._rows:
            raise NoSuchLevelError(f"there is no {ref.source} {ref.id}")
        return self._rows[ref]

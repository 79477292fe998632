"""The Call Park calls of another service's public API, so that scripts written for it run here with another address and token.

An adapter over the same settings as ``rest/settings.py``: names, numbers, shapes and errors are that service's, and what it
does not know (seconds, a chain of steps, who may see a parked call) is not shown here. Users are found by id, by log-in, or as
``me``; extensions have the ids of whose they are. In a change what is not known is passed over, as it is there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Depends, Path, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, WithJsonSchema
from sqlalchemy import RowMapping, Select, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import HTTPConnection
from starlette.responses import Response

from parkade.api import levels, refusals
from parkade.api.auth import (
    AccountSlug,
    allowed,
    may_change_settings,
    may_change_settings_of_account,
    may_change_settings_of_places,
    may_see_directory,
    may_see_settings,
    may_see_settings_of_all,
)
from parkade.api.changing import felt
from parkade.api.paging import Wanted, fetch_page
from parkade.api.principal import Principal
from parkade.api.problems import Fault, Problem, language_of, problem_body
from parkade.api.services import Use
from parkade.calls.park_settings import EXPIRATION_MINUTES, Source
from parkade.store import directory_queries as queries
from parkade.store import tables as t
from parkade.store.park_levels import LevelRef, LevelSettings

router = APIRouter(tags=["scripts of another service"])

UserReader = Annotated[Principal, Depends(allowed(may_see_settings))]
UserChanger = Annotated[Principal, Depends(allowed(may_change_settings))]
Reader = Annotated[Principal, Depends(allowed(may_see_settings_of_all))]
PlaceChanger = Annotated[Principal, Depends(allowed(may_change_settings_of_places))]
Changer = Annotated[Principal, Depends(allowed(may_change_settings_of_account))]
Viewer = Annotated[Principal, Depends(allowed(may_see_directory))]
Id = Annotated[str, Path(alias="id", max_length=200)]

LOCKED_BY: Final[Mapping[Source, str]] = {Source.ACCOUNT: "account", Source.SITE: "site", Source.GROUP: "user_group"}
UNLOCKED: Final = "invalid"
TYPES: Final = {"user": "user", "common_area": "commonArea", "ring": "callQueue"}
"""What ``forward_to.extension_type`` says of whose an extension is."""
PLAIN: Final = ("enable", "expiration_period", "call_not_picked_up_action", "sequence", "locked", "reset")
"""Keys of a change that have the same name and meaning here."""


# Errors


class ErrorBody(BaseModel):
    code: int
    message: str
    errors: list[dict[str, str]] | None = None


_CODES: Final = {400: 300, 401: 124, 403: 200}
"""By the status; where none is said it is the status itself."""


def status_of(problem: Problem) -> int:
    """What is not as it must be is 400 there."""
    return 400 if problem.status in (409, 412, 422) else problem.status


def answered(request: HTTPConnection, problem: Problem) -> Response:
    """A problem in the form of that service: ``{"code", "message"}``, with ``errors`` where places are wrong."""
    body = problem_body(problem, language_of(request))
    status = status_of(problem)
    content: dict[str, Any] = {"code": _CODES.get(status, status), "message": body["message"]}
    if problem.errors:
        content["errors"] = [{"field": fault["where"], "message": fault["reason"]} for fault in body["errors"]]
    return JSONResponse(content, status, problem.headers)


# Settings


class ForwardTo(BaseModel):
    display_name: str
    extension_id: str
    extension_number: int
    extension_type: str
    id: str


class CallPark(BaseModel):
    enable: bool
    locked: bool
    locked_by: str
    expiration_period: int
    call_not_picked_up_action: int
    forward_to: ForwardTo | None = None
    sequence: int


class LevelCallPark(CallPark):
    """``modified``: whether the level says anything of its own."""

    modified: bool


class MusicOnPark(BaseModel):
    audio_id: str
    audio_name: str


class GroupCallPark(LevelCallPark):
    music_on_park: MusicOnPark


class AccountSettings(BaseModel):
    call_park: CallPark


class GroupSettings(BaseModel):
    call_park: GroupCallPark


class Policy(BaseModel):
    call_park: LevelCallPark


class OwnPolicy(BaseModel):
    call_park: CallPark


class SiteRef(BaseModel):
    id: str
    name: str


class SiteDetail(SiteRef):
    policy: Policy


class UserShown(BaseModel):
    id: str
    phone_user_id: str
    extension_id: str
    extension_number: int
    name: str
    email: str
    status: str


class UserDetail(UserShown):
    site_id: str
    policy: OwnPolicy


class ListedUser(UserShown):
    site: SiteRef | None


class AreaShown(BaseModel):
    id: str
    extension_id: str
    extension_number: int
    display_name: str
    site: SiteRef | None


class AreaDetail(AreaShown):
    policy: OwnPolicy


_FIELDS: dict[str, Any] = {
    "enable": {"type": "boolean"},
    "expiration_period": {"type": "integer", "enum": sorted(EXPIRATION_MINUTES)},
    "call_not_picked_up_action": {"type": "integer", "enum": [0, 9, 50, 51, 100]},
    "forward_to_extension_id": {"type": "string"},
    "sequence": {"type": "integer", "enum": [0, 1]},
    "locked": {"type": "boolean"},
    "reset": {"type": "boolean"},
}
_CALL_PARK = {"type": "object", "properties": {"call_park": {"type": "object", "properties": _FIELDS}}}
SettingsBody = Annotated[dict[str, Any], Body(), WithJsonSchema(_CALL_PARK)]
PolicyBody = Annotated[dict[str, Any], Body(), WithJsonSchema({"type": "object", "properties": {"policy": _CALL_PARK}})]


async def _call_park(connection: AsyncConnection, account: str, settings: LevelSettings) -> dict[str, Any]:
    """What every level shows."""
    value = {key: one.value for key, one in settings.values.items()}
    locked_by = settings.locked_by or (settings.ref.source if settings.says.get("locked") else None)
    return {
        "enable": value["enable"],
        "locked": locked_by is not None,
        "locked_by": LOCKED_BY.get(locked_by, UNLOCKED) if locked_by else UNLOCKED,
        "expiration_period": _minutes(value["expiration_period"], value["expiration_seconds"]),
        "call_not_picked_up_action": value["call_not_picked_up_action"],
        "forward_to": await _forward_to(connection, account, value["forward_to"]),
        "sequence": value["sequence"],
        "modified": settings.own.is_modified,
        "music_on_park": {"audio_id": value["music"] or "", "audio_name": value["music"] or "Default"},
    }


def _minutes(minutes: int, seconds: float | None) -> int:
    """Seconds are shown as the next number of minutes that there is."""
    if seconds is None:
        return minutes
    listed: list[int] = sorted(EXPIRATION_MINUTES)
    return next((one for one in listed if 60 * one >= seconds), listed[-1])


def _extensions(account: str) -> tuple[Select[Any], Select[Any]]:
    """Who can be forwarded to: people and places, and groups."""
    owner, group = t.owner.c, t.extension_group.c
    return (
        select(owner.uid, owner.extension, owner.name, owner.kind).where(owner.account_id == queries.account_id(account)),
        select(group.uid, group.extension, group.name, group.kind).where(
            group.account_id == queries.account_id(account), group.kind == "ring"
        ),
    )


async def _forward_to(connection: AsyncConnection, account: str, target: str | None) -> dict[str, Any] | None:
    """None for an outside number, which is not known there."""
    for query in _extensions(account):
        column = query.selected_columns["extension"]
        row = (await connection.execute(query.where(column == target))).mappings().first()
        if row is not None:
            return {
                "display_name": row["name"],
                "extension_id": row["uid"],
                "extension_number": int(row["extension"]),
                "extension_type": TYPES[row["kind"]],
                "id": row["uid"],
            }
    return None


async def _patch_of(connection: AsyncConnection, account: str, given: Any) -> dict[str, Any]:
    """A change in the words of our own settings."""
    if not isinstance(given, dict):
        raise Problem(refusals.INVALID_REQUEST, errors=[Fault("call_park", "an object is wanted")])
    patch = {key: given[key] for key in PLAIN if key in given}
    if "forward_to_extension_id" in given:
        patch["forward_to"] = await _extension_of(connection, account, given["forward_to_extension_id"])
    return patch


async def _extension_of(connection: AsyncConnection, account: str, id_: Any) -> str | None:
    if id_ in (None, ""):
        return None
    for query in _extensions(account) if isinstance(id_, str) and "\0" not in id_ else ():
        found: str | None = (
            await connection.execute(
                query.with_only_columns(query.selected_columns["extension"]).where(query.selected_columns["uid"] == id_)
            )
        ).scalar()
        if found is not None:
            return found
    raise Problem(refusals.INVALID_REQUEST, errors=[Fault("forward_to_extension_id", "there is no such extension")])


async def _change(
    use: Use, request: Request, who: Principal, account: str, find: Callable[[AsyncConnection], Any], given: Any
) -> Response:
    address = request.client.host if request.client else None
    async with use.store.writing() as connection:
        ref = await find(connection)
        patch = {} if given is None else await _patch_of(connection, account, given)
        await levels.change(connection, who, account, ref, patch, now=use.now(), address=address)
    await felt(use)
    return Response(status_code=204)


def _policy(given: dict[str, Any]) -> Any:
    policy = given.get("policy", {})
    if not isinstance(policy, dict):
        raise Problem(refusals.INVALID_REQUEST, errors=[Fault("policy", "an object is wanted")])
    return policy.get("call_park")


def _at(ref: LevelRef) -> Callable[[AsyncConnection], Any]:
    async def find(_: AsyncConnection) -> LevelRef:
        return ref

    return find


_CHANGED: dict[int | str, dict[str, Any]] = {204: {"description": "It is changed."}}


@router.get("/phone/account_settings", response_model_exclude_none=True)
async def get_account_settings(who: Reader, account: AccountSlug, use: Use) -> AccountSettings:
    """The settings of the account."""
    async with use.store.reading() as connection:
        settings = await levels.read(connection, who, account, LevelRef(Source.ACCOUNT))
        return AccountSettings(call_park=CallPark(**await _call_park(connection, account, settings)))


@router.patch("/phone/account_settings", status_code=204, responses=_CHANGED, response_class=Response)
async def change_account_settings(
    who: Changer, account: AccountSlug, use: Use, request: Request, given: SettingsBody
) -> Response:
    """Change them."""
    return await _change(use, request, who, account, _at(LevelRef(Source.ACCOUNT)), given.get("call_park"))


@router.get("/phone/groups/{id}/settings", response_model_exclude_none=True)
async def get_group_settings(who: Reader, account: AccountSlug, use: Use, id_: Id) -> GroupSettings:
    """The settings of a user group."""
    async with use.store.reading() as connection:
        settings = await levels.read(connection, who, account, LevelRef(Source.GROUP, id_))
        return GroupSettings(call_park=GroupCallPark(**await _call_park(connection, account, settings)))


@router.patch("/phone/groups/{id}/settings", status_code=204, responses=_CHANGED, response_class=Response)
async def change_group_settings(
    who: Changer, account: AccountSlug, use: Use, request: Request, id_: Id, given: SettingsBody
) -> Response:
    """Change them."""
    return await _change(use, request, who, account, _at(LevelRef(Source.GROUP, id_)), given.get("call_park"))


@router.get("/phone/sites/{id}", response_model_exclude_none=True)
async def get_site(who: Reader, account: AccountSlug, use: Use, id_: Id) -> SiteDetail:
    """A site and its policy."""
    async with use.store.reading() as connection:
        settings = await levels.read(connection, who, account, LevelRef(Source.SITE, id_))
        policy = Policy(call_park=LevelCallPark(**await _call_park(connection, account, settings)))
        return SiteDetail(id=id_, name=settings.name, policy=policy)


@router.patch("/phone/sites/{id}", status_code=204, responses=_CHANGED, response_class=Response)
async def change_site(
    who: PlaceChanger, account: AccountSlug, use: Use, request: Request, id_: Id, given: PolicyBody
) -> Response:
    """Change its policy."""
    return await _change(use, request, who, account, _at(LevelRef(Source.SITE, id_)), _policy(given))


async def _person(connection: AsyncConnection, who: Principal, account: str, kind: str, id_: str) -> RowMapping:
    which = t.owner.c.uid == id_
    if kind == "user":
        which = t.owner.c.uid == who.owner if id_ == "me" else or_(which, t.login.c.name == id_)
    row = await queries.one(connection, queries.people(account, kind), which)
    if row is None:
        raise Problem(refusals.NOT_FOUND)
    return row


def _found(who: Principal, account: str, kind: str, id_: str) -> Callable[[AsyncConnection], Any]:
    async def find(connection: AsyncConnection) -> LevelRef:
        return LevelRef(Source(kind), (await _person(connection, who, account, kind, id_))["id"])

    return find


async def _sites(connection: AsyncConnection, account: str) -> tuple[dict[str, str], str | None]:
    """The names of the sites by id, and the main one."""
    rows = await queries.all_of(connection, queries.sites(account).order_by(t.site.c.position))
    return {row["id"]: row["name"] for row in rows}, rows[0]["id"] if rows else None


def _user(row: RowMapping, who: Principal) -> dict[str, Any]:
    mine = who.owner in (None, row["id"])
    return {
        "id": row["id"],
        "phone_user_id": row["id"],
        "extension_id": row["id"],
        "extension_number": int(row["extension"]),
        "name": row["name"],
        "email": (row["login"] or "") if mine else "",
        "status": "activate" if row["licensed"] else "deactivate",
    }


def _area(row: RowMapping) -> dict[str, Any]:
    return {
        "id": row["id"],
        "extension_id": row["id"],
        "extension_number": int(row["extension"]),
        "display_name": row["name"],
    }


@router.get("/phone/users/{id}", response_model_exclude_none=True)
async def get_user(who: UserReader, account: AccountSlug, use: Use, id_: Id) -> UserDetail:
    """A user and the user's policy."""
    async with use.store.reading() as connection:
        row = await _person(connection, who, account, "user", id_)
        settings = await levels.read(connection, who, account, LevelRef(Source.USER, row["id"]))
        policy = OwnPolicy(call_park=CallPark(**await _call_park(connection, account, settings)))
        _, main = await _sites(connection, account)
        return UserDetail(**_user(row, who), site_id=row["site"] or main or "", policy=policy)


@router.patch("/phone/users/{id}", status_code=204, responses=_CHANGED, response_class=Response)
async def change_user(
    who: UserChanger, account: AccountSlug, use: Use, request: Request, id_: Id, given: PolicyBody
) -> Response:
    """Change the user's policy."""
    return await _change(use, request, who, account, _found(who, account, "user", id_), _policy(given))


@router.get("/phone/common_areas/{id}", response_model_exclude_none=True)
async def get_common_area(who: Reader, account: AccountSlug, use: Use, id_: Id) -> AreaDetail:
    """A common area and its policy."""
    async with use.store.reading() as connection:
        row = await _person(connection, who, account, "common_area", id_)
        settings = await levels.read(connection, who, account, LevelRef(Source.COMMON_AREA, row["id"]))
        policy = OwnPolicy(call_park=CallPark(**await _call_park(connection, account, settings)))
        return AreaDetail(**_area(row), site=_site_ref(row, *await _sites(connection, account)), policy=policy)


@router.patch("/phone/common_areas/{id}", status_code=204, responses=_CHANGED, response_class=Response)
async def change_common_area(
    who: PlaceChanger, account: AccountSlug, use: Use, request: Request, id_: Id, given: PolicyBody
) -> Response:
    """Change its policy."""
    return await _change(use, request, who, account, _found(who, account, "common_area", id_), _policy(given))


def _site_ref(row: RowMapping, names: Mapping[str, str], main: str | None) -> SiteRef | None:
    id_ = row["site"] or main
    return SiteRef(id=id_, name=names[id_]) if id_ is not None else None


# Lists


class Listed(BaseModel):
    next_page_token: str
    page_size: int
    total_records: int


class Sites(Listed):
    sites: list[SiteRef]


class Users(Listed):
    users: list[ListedUser]


class Areas(Listed):
    common_areas: list[AreaShown]


class Group(BaseModel):
    id: str
    name: str
    total_members: int


class Groups(Listed):
    groups: list[Group]


class Paging:
    """``page_size`` and ``next_page_token``, which is ours with another name."""

    def __init__(self, page_size: int, next_page_token: str) -> None:
        self.page_size = page_size
        self.wanted = Wanted(page_size, next_page_token or None)

    async def page(
        self, connection: AsyncConnection, query: Select[Any], order: Any
    ) -> tuple[list[RowMapping], dict[str, Any]]:
        """The rows, and what is said beside them."""
        total = (await connection.execute(select(func.count()).select_from(query.subquery()))).scalar_one()
        rows, following = await fetch_page(connection, query, order, self.wanted)
        return rows, {"next_page_token": following or "", "page_size": self.page_size, "total_records": total}


async def _paging(
    page_size: Annotated[int, Query(ge=1, le=300)] = 30, next_page_token: Annotated[str, Query(max_length=1000)] = ""
) -> Paging:
    return Paging(page_size, next_page_token)


Paged = Annotated[Paging, Depends(_paging)]


@router.get("/phone/sites")
async def list_sites(who: Viewer, account: AccountSlug, use: Use, paged: Paged) -> Sites:
    """The sites of the account."""
    order = [(t.site.c.position, int), (t.site.c.id, int)]
    async with use.store.reading() as connection:
        rows, said = await paged.page(connection, queries.sites(account), order)
    return Sites(**said, sites=[SiteRef(id=row["id"], name=row["name"]) for row in rows])


@router.get("/phone/users")
async def list_users(
    who: Viewer,
    account: AccountSlug,
    use: Use,
    paged: Paged,
    site_id: Annotated[str | None, Query(max_length=64)] = None,
) -> Users:
    """The users of the account."""
    query = queries.people(account, "user")
    if site_id is not None:
        query = query.where(t.site.c.uid == site_id)
    async with use.store.reading() as connection:
        rows, said = await paged.page(connection, query, queries.BY_EXTENSION)
        sites = await _sites(connection, account)
    return Users(**said, users=[ListedUser(**_user(row, who), site=_site_ref(row, *sites)) for row in rows])


@router.get("/phone/common_areas")
async def list_common_areas(who: Viewer, account: AccountSlug, use: Use, paged: Paged) -> Areas:
    """The common areas of the account."""
    async with use.store.reading() as connection:
        rows, said = await paged.page(connection, queries.people(account, "common_area"), queries.BY_EXTENSION)
        sites = await _sites(connection, account)
    return Areas(**said, common_areas=[AreaShown(**_area(row), site=_site_ref(row, *sites)) for row in rows])


@router.get("/groups")
async def list_groups(who: Viewer, account: AccountSlug, use: Use, paged: Paged) -> Groups:
    """The user groups of the account."""
    order = [(t.user_group.c.position, int), (t.user_group.c.id, int)]
    async with use.store.reading() as connection:
        rows, said = await paged.page(connection, queries.groups(account), order)
    return Groups(**said, groups=[Group(id=row["id"], name=row["name"], total_members=row["members"]) for row in rows])

"""Devices: phones, apps and gateways with the username they register by. Passwords go in and never come out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, Field
from sqlalchemy import RowMapping, or_
from sqlalchemy.ext.asyncio import AsyncConnection

from parkade.api import refusals
from parkade.api.auth import AccountSlug, Reach, allowed, may_change_directory, may_see_directory
from parkade.api.changing import Changing, Show, put_values
from parkade.api.describe import answers
from parkade.api.etags import NOT_MODIFIED, IfMatch, IfNoneMatch, etag, tagged, version_of
from parkade.api.models import Body, Time, time
from parkade.api.paging import Page, Paged, fetch_page
from parkade.api.principal import Principal, Role
from parkade.api.problems import Fault, Problem
from parkade.api.services import Services, Use
from parkade.api.signalling import SignallingAwayError
from parkade.calls.commands import ListRegistered, Registered
from parkade.store import directory_queries as queries
from parkade.store import tables as t
from parkade.store.directory_edit import Tree
from parkade.store.directory_model import Address, Destination, KeyLabel, Mac, Secret, Text, Username

router = APIRouter(tags=["people"])

Viewer = Annotated[Principal, Depends(allowed(may_see_directory))]
Changer = Annotated[Principal, Depends(allowed(may_change_directory))]
DeviceId = Annotated[str, Path(alias="id", max_length=64)]


class Key(BaseModel):
    """A programmable key: ``park`` (``value`` is a code like ``*801``), ``extension`` or ``speed_dial``."""

    type: str
    value: str
    label: str | None


class Device(BaseModel):
    """``owner`` is the id of a user or common area, null for a gateway. ``id`` is not the username, but either finds it."""

    id: str
    username: str
    owner: str | None
    extension: str | None
    address: str | None
    to: str | None
    model: str | None
    mac: str | None
    keys: list[Key]

    @classmethod
    def of(cls, row: RowMapping, keys: list[RowMapping]) -> Device:
        """From a row of ``queries.devices`` and those of its keys."""
        said = {name: row[name] for name in cls.model_fields if name != "keys"}
        return cls(**said, keys=[Key(type=key["type"], value=key["value"], label=key["label"]) for key in keys])


class Registration(BaseModel):
    """Whether a device can be called: how many phones are registered as it, and the one that came last."""

    phones: int
    transport: str
    address: str
    user_agent: str
    expires_at: Time

    @classmethod
    def of(cls, at: Registered) -> Registration:
        """As call control says it."""
        return cls(
            phones=at.phones,
            transport=at.transport,
            address=at.address,
            user_agent=at.user_agent,
            expires_at=time(at.expires_at),
        )


class ListedDevice(Device):
    """``registered`` is null for a phone that is not registered, and for all while signalling does not answer."""

    registered: Registration | None


class NewKey(Body):
    type: str
    value: Annotated[str, Field(max_length=64)]
    label: KeyLabel | None = None


class DeviceBody(Body):
    """Known by a password or by an address."""

    owner: Annotated[str, Field(max_length=64)] | None = None
    password: Secret | None = None
    address: Address | None = None
    to: Destination | None = None
    model: Text | None = None
    mac: Mac | None = None
    keys: Annotated[list[NewKey], Field(max_length=200)] | None = None


class NewDevice(DeviceBody):
    username: Username


class DevicePatch(DeviceBody):
    """The username stays what it is: the password is made with it."""


def _show(account: str, id_: str) -> Show[Device]:
    async def show(connection: AsyncConnection) -> Device | None:
        which = or_(t.device.c.uid == id_, t.device.c.username == id_)
        row = await queries.one(connection, queries.devices(account), which)
        return None if row is None else Device.of(row, await queries.keys_of(connection, row["id"]))

    return show


def _lists(tree: Tree) -> Iterator[tuple[str | None, list[Tree]]]:
    """Each list of devices in an account, with the id of whose it is."""
    yield None, tree.setdefault("devices", [])
    for person in (*tree.get("users", ()), *tree.get("common_areas", ())):
        yield person["id"], person.setdefault("devices", [])


def _taken(tree: Tree, username: str) -> tuple[str | None, Tree]:
    """The entry of a device, taken out of its list, and whose it was."""
    for owner, devices in _lists(tree):
        for device in devices:
            if device["username"] == username:
                devices.remove(device)
                return owner, device
    raise Problem(refusals.NOT_FOUND)


def _put(tree: Tree, device: Tree, values: dict[str, Any], owner: str | None) -> None:
    owner = values.get("owner", owner)
    if values.keys() & {"password", "address"}:
        for name in ("password", "ha1_md5", "ha1_sha256", "address"):
            device.pop(name, None)
    put_values(device, {name: value for name, value in values.items() if name != "owner"})
    for id_, devices in _lists(tree):
        if id_ == owner:
            devices.append(device)
            return
    raise Problem(refusals.DIRECTORY_REFUSED, errors=[Fault("body.owner", f"there is nobody with the id {owner}")])


async def _within_reach(connection: AsyncConnection, who: Principal, account: str) -> Callable[[Device], None]:
    if may_change_directory(who) is not Reach.SITE:
        return lambda _: None
    there = await queries.extensions_at(connection, account, who.site)

    def allow(device: Device) -> None:
        if device.extension not in there:
            raise Problem(refusals.NOT_ALLOWED)

    return allow


async def _registered(use: Services, account: str) -> dict[str, Registered]:
    try:
        given = await use.signalling.ask(account, ListRegistered())
    except SignallingAwayError:
        return {}
    assert isinstance(given, tuple)
    return {one.device: one for one in given if isinstance(one, Registered)}


@router.get("/devices", responses=answers(refusals.BAD_CURSOR))
async def list_devices(
    who: Viewer,
    account: AccountSlug,
    use: Use,
    paged: Paged,
    owner: Annotated[str | None, Query(max_length=64, description="Those of one user or common area, by id.")] = None,
) -> Page[ListedDevice]:
    """The devices of the account, and whether they are registered. A user sees the own ones."""
    query = queries.devices(account)
    if who.role is Role.USER:
        query = query.where(t.owner.c.uid == who.owner)
    if owner is not None:
        query = query.where(t.owner.c.uid == owner)
    async with use.store.reading() as connection:
        rows, following = await fetch_page(connection, query, [(t.device.c.username, str)], paged)
        keys = await queries.keys_of_account(connection, account)
    registered = await _registered(use, account)
    items = []
    for row in rows:
        device, at = Device.of(row, keys.get(row["id"], [])), registered.get(row["username"])
        items.append(ListedDevice(**device.model_dump(), registered=Registration.of(at) if at else None))
    return Page(items=items, next=following)


@router.post("/devices", status_code=201, responses=answers(refusals.DIRECTORY_REFUSED))
async def make_device(who: Changer, account: AccountSlug, use: Use, request: Request, given: NewDevice) -> Device:
    """Make a device for somebody, or a gateway."""
    values = given.model_dump(exclude_unset=True)

    def edit(tree: Tree) -> None:
        _put(tree, {"username": given.username}, values, None)

    async with use.store.reading() as connection:
        allow = await _within_reach(connection, who, account)
    work = Changing(use, who, request, account, f"devices/{given.username}")
    return await work.make(edit, _show(account, given.username), allow)


@router.get("/devices/{id}", response_model=Device, responses=NOT_MODIFIED)
async def get_device(
    who: Viewer, account: AccountSlug, use: Use, response: Response, id_: DeviceId, if_none_match: IfNoneMatch = None
) -> Device | Response:
    """One device, by id or username."""
    async with use.store.reading() as connection:
        found = await _show(account, id_)(connection)
    if found is not None and who.role is Role.USER and found.owner != who.owner:
        found = None
    return tagged(found, response, if_none_match)


@router.patch("/devices/{id}", responses=answers(refusals.DIRECTORY_REFUSED, refusals.CHANGED_MEANWHILE))
async def change_device(
    who: Changer,
    account: AccountSlug,
    use: Use,
    request: Request,
    response: Response,
    id_: DeviceId,
    given: DevicePatch,
    if_match: IfMatch = None,
) -> Device:
    """Change a device, or give it to somebody else."""
    values = given.model_dump(exclude_unset=True)
    async with use.store.reading() as connection:
        allow, found = await _within_reach(connection, who, account), await _show(account, id_)(connection)
    if found is None:
        raise Problem(refusals.NOT_FOUND)

    def edit(tree: Tree) -> None:
        owner, device = _taken(tree, found.username)
        _put(tree, device, values, owner)

    secret = ("password",) if "password" in values else ()
    work = Changing(use, who, request, account, f"devices/{found.username}", secret)
    changed = await work.change(edit, _show(account, found.username), allow, if_match)
    response.headers["ETag"] = etag(version_of(changed))
    return changed


@router.delete("/devices/{id}", status_code=204, responses=answers(refusals.DIRECTORY_REFUSED, refusals.CHANGED_MEANWHILE))
async def remove_device(
    who: Changer, account: AccountSlug, use: Use, request: Request, id_: DeviceId, if_match: IfMatch = None
) -> None:
    """Remove a device. A call that it is in goes on."""
    async with use.store.reading() as connection:
        allow, found = await _within_reach(connection, who, account), await _show(account, id_)(connection)
    if found is None:
        raise Problem(refusals.NOT_FOUND)
    work = Changing(use, who, request, account, f"devices/{found.username}")
    await work.remove(lambda tree: _gone(tree, found.username), _show(account, found.username), allow, if_match)


def _gone(tree: Tree, username: str) -> None:
    _taken(tree, username)

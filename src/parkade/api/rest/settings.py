"""Call Park settings at the five levels: what holds and where it comes from, why, and changing what a level says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Path, Query, Request, Response
from pydantic import BaseModel, WithJsonSchema

from parkade.api import levels, refusals
from parkade.api.auth import (
    AccountSlug,
    Right,
    allowed,
    may_change_settings,
    may_change_settings_of_account,
    may_change_settings_of_places,
    may_see_settings,
    may_see_settings_of_all,
)
from parkade.api.changing import felt
from parkade.api.describe import answers, inlined
from parkade.api.etags import NOT_MODIFIED, IfMatch, IfNoneMatch, etag, names
from parkade.api.principal import Principal
from parkade.api.problems import Fault, Problem
from parkade.api.services import Use
from parkade.calls import refusals as of_calls
from parkade.calls.park_settings import DEFAULTS, Source, Unheard
from parkade.store.directory_model import CallPark
from parkade.store.park_levels import LevelRef, LevelSettings

router = APIRouter(tags=["settings"])


class Value(BaseModel):
    """What holds for one key, which level says so, and which one's lock prevents a change here."""

    value: Any
    source: Source
    locked_by: Source | None


class Level(BaseModel):
    """``lot``: the seconds that a site's lot says, which come after the site itself."""

    source: Source
    id: str | None
    name: str
    lot: bool


class Step(BaseModel):
    """What one level says of a value. ``unheard`` is why that does not count: a lock of ``locked_by``, or multi-site being off.

    ``wins`` marks the one level that decides.
    """

    level: Level
    says: dict[str, Any]
    unheard: Unheard | None
    locked_by: Source | None
    wins: bool


Patch = Annotated[dict[str, Any], Body(), WithJsonSchema(inlined(CallPark))]

REFUSED = answers(
    refusals.CHANGED_MEANWHILE,
    refusals.NOT_ALLOWED,
    of_calls.SETTINGS_LOCKED,
    of_calls.UNKNOWN_SETTING,
    of_calls.INVALID_SETTING,
    of_calls.FORWARD_TO_MISSING,
    of_calls.NO_SUCH_EXTENSION,
    of_calls.RESET_AT_ACCOUNT,
    of_calls.PARK_KEYS_NEED_SEQUENTIAL,
)


def _values(settings: LevelSettings) -> dict[str, Value]:
    return {key: Value(value=one.value, source=one.source, locked_by=one.locked_by) for key, one in settings.values.items()}


def _add(path: str, what: str, ref: Callable[..., Awaitable[LevelRef]], may_see: Right, may_change: Right) -> None:
    """The endpoints of one kind of level."""
    name = what.replace(" ", "_")
    reader, changer = Depends(allowed(may_see)), Depends(allowed(may_change))

    async def get(
        account: AccountSlug,
        use: Use,
        response: Response,
        who: Principal = reader,
        level: LevelRef = Depends(ref),  # noqa: B008 - as an annotation it would not be found
        if_none_match: IfNoneMatch = None,
    ) -> Any:
        async with use.store.reading() as connection:
            settings = await levels.read(connection, who, account, level)
        tag = {"ETag": etag(settings.version)}
        if if_none_match is not None and names(if_none_match, settings.version):
            return Response(status_code=304, headers=tag)
        response.headers.update(tag)
        return _values(settings)

    async def patch(
        account: AccountSlug,
        use: Use,
        request: Request,
        response: Response,
        given: Patch,
        who: Principal = changer,
        level: LevelRef = Depends(ref),  # noqa: B008
        if_match: IfMatch = None,
    ) -> Any:
        address = request.client.host if request.client else None
        async with use.store.writing() as connection:
            settings = await levels.change(
                connection, who, account, level, given, now=use.now(), address=address, if_match=if_match
            )
        await felt(use)
        response.headers["ETag"] = etag(settings.version)
        return _values(settings)

    async def why(
        account: AccountSlug,
        use: Use,
        who: Principal = reader,
        level: LevelRef = Depends(ref),  # noqa: B008
        key: Annotated[str | None, Query(max_length=100, description="One setting; all of them if it is not said.")] = None,
    ) -> Any:
        if key is not None and key not in DEFAULTS:
            raise Problem(
                of_calls.UNKNOWN_SETTING.with_(key=key), errors=[Fault("query.key", of_calls.UNKNOWN_SETTING.with_(key=key))]
            )
        async with use.store.reading() as connection:
            settings = await levels.read(connection, who, account, level)
        return {one: _steps(settings, one) for one in (DEFAULTS if key is None else (key,))}

    router.add_api_route(
        path,
        get,
        name=f"get_settings_of_{name}",
        description=f"The Call Park settings of {what}: what holds, where it comes from, and which lock is above it.",
        response_model=dict[str, Value],
        responses=NOT_MODIFIED,
    )
    router.add_api_route(
        path,
        patch,
        methods=["PATCH"],
        name=f"change_settings_of_{name}",
        description=(
            f"Change what {what} says. `null`: it says nothing of that key any more. `reset`: it forgets all that it has said. "
            "Calls go by it from their next step on."
        ),
        response_model=dict[str, Value],
        responses=REFUSED,
    )
    router.add_api_route(
        f"{path}/why",
        why,
        name=f"why_settings_of_{name}",
        description=f"How each setting of {what} came to its value: what every level says, widest first, and which decides.",
        response_model=dict[str, list[Step]],
        responses=answers(of_calls.UNKNOWN_SETTING),
    )


def _steps(settings: LevelSettings, key: str) -> list[Step]:
    return [
        Step(
            level=Level(source=step.level.source, id=step.level.id or None, name=step.level.name, lot=step.level.lot),
            says=dict(step.says),
            unheard=step.unheard,
            locked_by=step.locked_by,
            wins=step.wins,
        )
        for step in settings.why(key)
    ]


async def _of_account() -> LevelRef:
    return LevelRef(Source.ACCOUNT)


def _by_id(source: Source) -> Callable[..., Awaitable[LevelRef]]:
    async def ref(id_: Annotated[str, Path(alias="id", max_length=64)]) -> LevelRef:
        return LevelRef(source, id_)

    return ref


_add("/settings/call-park", "the account", _of_account, may_see_settings_of_all, may_change_settings_of_account)
for _path, _what, _source, _may_see, _may_change in (
    ("sites", "a site", Source.SITE, may_see_settings_of_all, may_change_settings_of_places),
    ("groups", "a user group", Source.GROUP, may_see_settings_of_all, may_change_settings_of_account),
    ("users", "a user", Source.USER, may_see_settings, may_change_settings),
    ("common-areas", "a common area", Source.COMMON_AREA, may_see_settings_of_all, may_change_settings_of_places),
):
    _add(f"/{_path}/{{id}}/settings/call-park", _what, _by_id(_source), _may_see, _may_change)

"""Settings of one level, for the two faces that show them: who may look and change, and what a refusal is answered with."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from parkade.api import refusals
from parkade.api.auth import Reach, may_change_settings, may_see_settings
from parkade.api.etags import must_match
from parkade.api.principal import Principal
from parkade.api.problems import Fault, Problem
from parkade.calls.park_settings import Source
from parkade.store import directory_queries as queries
from parkade.store import tables as t
from parkade.store.park_levels import (
    Changer,
    LevelRef,
    LevelSettings,
    NoSuchLevelError,
    SettingsRefusedError,
    patch_level,
    read_level,
)

OF_ADMINISTRATORS = ("locked",)
"""What a person may not say of his or her own level."""


@contextlib.contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except NoSuchLevelError:
        raise Problem(refusals.NOT_FOUND) from None
    except SettingsRefusedError as error:
        faults = [Fault(key, refusal) for key, refusal in error.refusals if key]
        raise Problem(error.refusal, errors=faults) from None


async def read(connection: AsyncConnection, who: Principal, account: str, ref: LevelRef) -> LevelSettings:
    """The settings of a level, for who may see them: a person only the own ones."""
    if may_see_settings(who) is Reach.OWN and not _own(who, ref):
        raise Problem(refusals.NOT_FOUND)
    with _answering():
        return await read_level(connection, account, ref)


async def change(
    connection: AsyncConnection,
    who: Principal,
    account: str,
    ref: LevelRef,
    patch: Mapping[str, Any],
    *,
    now: float,
    address: str | None,
    if_match: str | None = None,
) -> LevelSettings:
    """Change what a level says, for who may; what holds then. ``connection`` is in a write transaction."""
    before = await read(connection, who, account, ref)
    reach = may_change_settings(who)
    if reach is Reach.OWN and any(key in patch for key in OF_ADMINISTRATORS):
        raise Problem(refusals.NOT_ALLOWED)
    if reach is Reach.SITE and not await _at_site(connection, who, account, ref):
        raise Problem(refusals.NOT_ALLOWED)
    must_match(if_match, before.version)
    with _answering():
        return await patch_level(connection, account, ref, patch, by=Changer(who.by, who.role, address), now=now)


def _own(who: Principal, ref: LevelRef) -> bool:
    return ref.source is Source.USER and ref.id == who.owner


async def _at_site(connection: AsyncConnection, who: Principal, account: str, ref: LevelRef) -> bool:
    """Whether a level belongs to the site of a site's administrator."""
    if ref.source is Source.SITE:
        return ref.id == who.site
    if ref.source in (Source.USER, Source.COMMON_AREA):
        person = await queries.one(connection, queries.people(account), t.owner.c.uid == ref.id)
        return person is not None and person["extension"] in await queries.extensions_at(connection, account, who.site)
    return False

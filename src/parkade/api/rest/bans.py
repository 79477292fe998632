"""Who is not listened to for a while, for having guessed passwords: at the log-in of this API, or from a phone."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel

from parkade.api import refusals
from parkade.api.auth import allowed, may_see_bans
from parkade.api.login_guard import Ban
from parkade.api.models import Time, time, time_or_none
from parkade.api.paging import Page
from parkade.api.principal import Principal
from parkade.api.problems import Problem
from parkade.api.services import Services, Use
from parkade.api.signalling import RefusedError, SignallingAwayError
from parkade.calls.commands import Banned, LiftBan, ListBanned
from parkade.store import audit
from parkade.store.audit import AuditEntry

router = APIRouter(tags=["bans"])
Administrator = Annotated[Principal, Depends(allowed(may_see_bans))]
SIP = "sip-"


class BanBody(BaseModel):
    """`kind`: `login` keeps out of this API, `sip` is about phones. `source` is an IPv4 address or an IPv6 network.

    With a `login` only that one is kept out from there.
    """

    id: str
    kind: Literal["login", "sip"]
    source: str
    login: str | None
    since: Time | None
    until: Time


@router.get("/bans")
async def list_bans(who: Administrator, use: Use) -> Page[BanBody]:
    """Every ban in force. There are none of before the last restart."""
    return Page(items=[*map(_login, use.guard.bans(use.now())), *map(_sip, await _of_phones(use))])


@router.delete("/bans/{ban}", status_code=204)
async def lift_ban(ban: str, who: Administrator, use: Use, request: Request) -> None:
    """Listen to that source again."""
    if ban.startswith(SIP):
        lifted = next((_sip(banned) for banned in await _of_phones(use) if _id(banned) == ban), None)
        if lifted is not None:
            await use.signalling.ask("", LiftBan(lifted.source))
    else:
        found = use.guard.lift(ban, use.now())
        lifted = _login(found) if found is not None else None
    if lifted is None:
        raise Problem(refusals.NOT_FOUND)
    address = request.client.host if request.client else None
    was = lifted.model_dump(mode="json")
    async with use.store.writing() as connection:
        await audit.add(connection, AuditEntry(None, use.now(), who.by, who.role, "lift", f"bans/{ban}", was, None, address))


async def _of_phones(use: Services) -> list[Banned]:
    try:
        found = await use.signalling.ask("", ListBanned())
    except (SignallingAwayError, RefusedError):
        return []  # the bans of the log-in are there all the same
    return [one for one in found if isinstance(one, Banned)] if isinstance(found, tuple) else []


def _id(banned: Banned) -> str:
    return SIP + banned.source.encode().hex()


def _login(ban: Ban) -> BanBody:
    return BanBody(id=ban.id, kind="login", source=ban.source, login=ban.name, since=time(ban.since), until=time(ban.until))


def _sip(banned: Banned) -> BanBody:
    return BanBody(
        id=_id(banned), kind="sip", source=banned.source, login=None, since=time_or_none(None), until=time(banned.until)
    )

"""Calls: those that one may see, and what can be done with a call that one is in. Administrators see those of others."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from pydantic import Field
from starlette.responses import Response

from parkade.api import refusals
from parkade.api.auth import AccountSlug, Reach, allowed, may_act_on_calls, may_see_calls
from parkade.api.call_models import Call, Parked
from parkade.api.describe import answers
from parkade.api.models import Body, Line
from parkade.api.once import REFUSALS as ONCE_REFUSALS
from parkade.api.once import IdempotencyKey, once
from parkade.api.paging import Page, Paged, Values
from parkade.api.principal import Principal
from parkade.api.problems import Problem
from parkade.api.services import Services, Use
from parkade.calls import refusals as of_calls
from parkade.calls.commands import CallDetail, CallStage, GetCall, HangUpCall, ListCalls, ParkCall, ParkedCall, TransferCall
from parkade.store import directory_queries as queries

router = APIRouter(tags=["calls"])

Viewer = Annotated[Principal, Depends(allowed(may_see_calls))]
Actor = Annotated[Principal, Depends(allowed(may_act_on_calls))]
CallId = Annotated[str, Path(max_length=200)]
By = Annotated[
    str | None, Field(max_length=20, description="Who of the call is meant, by extension; only administrators say it.")
]


@router.get("/calls", responses=answers(refusals.SIGNALLING_AWAY, refusals.BAD_CURSOR))
async def list_calls(who: Viewer, account: AccountSlug, use: Use, paged: Paged, stage: CallStage | None = None) -> Page[Call]:
    """The calls that I may see, oldest first: those I am in and parked ones, as an administrator all of them."""
    after = paged.after(float, str)
    given = await use.signalling.ask(account, ListCalls(seen_by(who)))
    assert isinstance(given, tuple)
    calls = [one for one in given if isinstance(one, CallDetail)]
    if may_see_calls(who) is Reach.SITE:
        there = await extensions_at(use, account, who.site)
        calls = [call for call in calls if touches(call, there)]
    calls = sorted((call for call in calls if stage in (None, call.stage)), key=_order)
    page, following = paged.page([call for call in calls if after is None or _order(call) > after], _order)
    return Page(items=[Call.of(call) for call in page], next=following)


def _order(call: CallDetail) -> Values:
    return [call.started_at, call.id]


@router.get("/calls/{call}", responses=answers(refusals.SIGNALLING_AWAY, of_calls.NO_SUCH_CALL))
async def get_call(who: Viewer, account: AccountSlug, use: Use, call: CallId) -> Call:
    """One call."""
    return Call.of(await the_call(use, who, account, call))


class Park(Body):
    """``slot``: a code or number; the next free one if it is not said. ``note``: what is seen beside the parked call."""

    slot: Annotated[str | None, Field(max_length=20)] = None
    note: Annotated[Line, Field(max_length=200)] = ""
    by: By = None


@router.post(
    "/calls/{call}/park",
    response_model=Parked,
    responses=answers(
        refusals.SIGNALLING_AWAY,
        refusals.NEEDS_PARTY,
        *ONCE_REFUSALS,
        of_calls.NO_SUCH_CALL,
        of_calls.NOTHING_TO_PARK,
        of_calls.LOT_FULL,
        of_calls.SLOT_TAKEN,
        of_calls.SLOT_RESERVED,
        of_calls.NO_SUCH_SLOT,
        of_calls.PARKING_DISABLED,
        of_calls.NOT_LICENSED,
    ),
)
async def park_call(
    who: Actor, account: AccountSlug, use: Use, call: CallId, request: Request, given: Park, key: IdempotencyKey = None
) -> Response:
    """Park the other party of a call that I am in; my phone is hung up."""

    async def work() -> Parked:
        by = await acting(use, who, account, call, given.by)
        parked = await use.signalling.ask(account, ParkCall(call, by, given.slot, given.note))
        assert isinstance(parked, ParkedCall)
        return Parked.of(parked)

    return await once(request, use, who, key, work)


class Transfer(Body):
    """``to``: an extension, or an outside number."""

    to: Annotated[str, Field(pattern=r"^\+?[0-9*#]{1,32}$")]
    by: By = None


@router.post(
    "/calls/{call}/transfer",
    responses=answers(
        refusals.SIGNALLING_AWAY,
        refusals.NEEDS_PARTY,
        of_calls.NO_SUCH_CALL,
        of_calls.NO_SUCH_NUMBER,
        of_calls.TRANSFER_IMPOSSIBLE,
        of_calls.NOT_LICENSED,
        of_calls.NOT_REGISTERED,
        of_calls.NO_CAPACITY,
    ),
)
async def transfer_call(who: Actor, account: AccountSlug, use: Use, call: CallId, given: Transfer) -> Call:
    """Send the other party of a call that I am in elsewhere. If nobody answers there we talk again."""
    by = await acting(use, who, account, call, given.by)
    detail = await use.signalling.ask(account, TransferCall(call, by, given.to))
    assert isinstance(detail, CallDetail)
    return Call.of(detail)


@router.post("/calls/{call}/hang-up", status_code=204, responses=answers(refusals.SIGNALLING_AWAY, of_calls.NO_SUCH_CALL))
async def hang_up_call(who: Actor, account: AccountSlug, use: Use, call: CallId) -> None:
    """End a call that I am in, or decline one that rings here. An administrator ends any."""
    await the_call(use, who, account, call)
    await use.signalling.ask(account, HangUpCall(call, who.extension))


# Who may touch what; parked calls use it too.


def seen_by(who: Principal) -> str | None:
    """Whose eyes: a person's, or everybody's for those who may see all."""
    return who.extension


async def extensions_at(use: Services, account: str, site: str | None) -> frozenset[str]:
    """The extensions of a site."""
    async with use.store.reading() as connection:
        return await queries.extensions_at(connection, account, site)


def touches(call: CallDetail, extensions: frozenset[str]) -> bool:
    """Whether one of these is in the call, or has parked it."""
    return any(party.extension in extensions for party in call.parties) or bool(
        call.parked and call.parked.parked_by in extensions
    )


async def the_call(use: Services, who: Principal, account: str, call: str) -> CallDetail:
    """A call, if it may be seen."""
    detail = await use.signalling.ask(account, GetCall(call, seen_by(who)))
    assert isinstance(detail, CallDetail)
    if may_see_calls(who) is Reach.SITE and not touches(detail, await extensions_at(use, account, who.site)):
        raise Problem(of_calls.NO_SUCH_CALL)
    return detail


async def acting(use: Services, who: Principal, account: str, call: str, by: str | None) -> str:
    """On whose behalf something is done: one's own, as an administrator somebody's who is named."""
    if who.extension is not None:
        if by not in (None, who.extension):
            raise Problem(refusals.NOT_ALLOWED)
        return who.extension
    if by is None:
        raise Problem(refusals.NEEDS_PARTY)
    if may_act_on_calls(who) is Reach.SITE:
        await the_call(use, who, account, call)
        if by not in await extensions_at(use, account, who.site):
            raise Problem(refusals.NOT_ALLOWED)
    return by

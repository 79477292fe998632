"""Parked calls: who waits where, and picking them up, giving them back, forcing them back, writing beside them.

A call that I may not see (its visibility, another account) is one that is not there.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import Field
from starlette.responses import Response

from parkade.api import refusals
from parkade.api.auth import AccountSlug, Reach, allowed, may_force_back, may_retrieve, may_see_parked
from parkade.api.call_models import Parked
from parkade.api.describe import answers
from parkade.api.models import Body, Line
from parkade.api.once import REFUSALS as ONCE_REFUSALS
from parkade.api.once import IdempotencyKey, once
from parkade.api.paging import Page, Paged, Values
from parkade.api.principal import Principal, Role
from parkade.api.problems import Problem
from parkade.api.services import Services, Use
from parkade.api.signalling import RefusedError
from parkade.calls import refusals as of_calls
from parkade.calls.commands import ForceBackCall, GiveBackCall, ListParked, NoteCall, ParkedCall, ParkState, RetrieveCall
from parkade.store import directory_queries as queries
from parkade.store import tables as t

router = APIRouter(tags=["parked calls"])

RETRIEVE_S = 45.0
"""A phone rings for 30 seconds; then it is known that nothing comes of it."""

Viewer = Annotated[Principal, Depends(allowed(may_see_parked))]
Retriever = Annotated[Principal, Depends(allowed(may_retrieve))]
Forcer = Annotated[Principal, Depends(allowed(may_force_back))]
Code = Annotated[str, Path(max_length=20, description="Like `*801` or `801`.")]
Site = Annotated[
    str | None,
    Query(max_length=64, description="The id of the site whose lot is meant, where several have this code."),
]


@router.get("/parked-calls", responses=answers(refusals.SIGNALLING_AWAY, refusals.BAD_CURSOR))
async def list_parked_calls(
    who: Viewer,
    account: AccountSlug,
    use: Use,
    paged: Paged,
    site: Site = None,
    lot: Annotated[str | None, Query(max_length=64, description="The id of a lot.")] = None,
    state: ParkState | None = None,
    reserved: Annotated[bool, Query(description="Those too that were just picked up and can be given back.")] = False,
) -> Page[Parked]:
    """Who waits in the lots, by lot and code."""
    after = paged.after(str, int, str)
    given = await use.signalling.ask(account, ListParked(who.extension, site_of(who, site), reserved))
    assert isinstance(given, tuple)
    calls = [one for one in given if isinstance(one, ParkedCall) and _shown(who, one)]
    calls = [one for one in calls if lot in (None, one.lot_id) and state in (None, one.state)]
    calls.sort(key=_order)
    page, following = paged.page([one for one in calls if after is None or _order(one) > after], _order)
    return Page(items=[Parked.of(one) for one in page], next=following)


def _order(call: ParkedCall) -> Values:
    return [call.lot, call.slot, call.call]


def _shown(who: Principal, call: ParkedCall) -> bool:
    """On a wall nothing is shown that is for named people, or for another site."""
    return who.role is not Role.WALL_BOARD or call.audience.has(None, who.site, None)


@router.get("/parked-calls/{code}", responses=answers(refusals.SIGNALLING_AWAY, of_calls.NO_CALL_PARKED))
async def get_parked_call(who: Viewer, account: AccountSlug, use: Use, code: Code, site: Site = None) -> Parked:
    """The call that is parked at a code, or kept for whoever has just picked it up."""
    given = await use.signalling.ask(account, ListParked(who.extension, site_of(who, site), True))
    assert isinstance(given, tuple)
    digits = code.removeprefix("*")
    found = [one for one in given if isinstance(one, ParkedCall) and str(one.slot) == digits and _shown(who, one)]
    if not found:
        raise Problem(of_calls.NO_CALL_PARKED.with_(code=f"*{digits}"))
    return Parked.of(found[0])


class Retrieve(Body):
    """``device``: the username of the phone that is to ring, one of my own unless I am an administrator; my first one that is
    registered if it is not said. ``answer``: the phone answers by itself if it knows how.
    """

    device: Annotated[str | None, Field(max_length=64)] = None
    answer: bool = False


@router.post(
    "/parked-calls/{code}/retrieve",
    response_model=Parked,
    responses=answers(
        refusals.SIGNALLING_AWAY,
        refusals.NEEDS_DEVICE,
        *ONCE_REFUSALS,
        of_calls.NO_CALL_PARKED,
        of_calls.ALREADY_PICKED_UP,
        of_calls.NO_SUCH_DEVICE,
        of_calls.NOT_LICENSED,
        of_calls.NOT_REGISTERED,
        of_calls.NO_ANSWER,
        of_calls.BUSY,
        of_calls.DECLINED,
        of_calls.UNREACHABLE,
        of_calls.PHONE_ERROR,
        of_calls.FORBIDDEN,
        of_calls.UNKNOWN_TO_PHONE,
        of_calls.INCOMPATIBLE,
        of_calls.NO_CAPACITY,
    ),
)
async def retrieve_parked_call(
    who: Retriever,
    account: AccountSlug,
    use: Use,
    code: Code,
    request: Request,
    given: Retrieve | None = None,
    site: Site = None,
    key: IdempotencyKey = None,
) -> Response:
    """Ring my phone and connect it with the parked caller; answered when the phone was picked up, or will not be."""

    async def work() -> Parked:
        wanted = given or Retrieve()
        at = site_of(who, site)
        devices = await _devices(use, who, account, wanted.device)
        for left, device in reversed([*enumerate(reversed(devices))]):
            try:
                call = await use.signalling.ask(
                    account, RetrieveCall(code, device, who.extension, wanted.answer, at), timeout_s=RETRIEVE_S
                )
            except RefusedError as error:
                if left and error.refusal.id == of_calls.NOT_REGISTERED.id:
                    continue
                raise
            assert isinstance(call, ParkedCall)
            return Parked.of(call)
        raise Problem(of_calls.NOT_REGISTERED)

    return await once(request, use, who, key, work)


async def _devices(use: Services, who: Principal, account: str, device: str | None) -> list[str]:
    """The phones that may ring, by username: the one that is named if it may be used, else all of one's own."""
    if device is None and who.owner is None:
        raise Problem(refusals.NEEDS_DEVICE)
    query = queries.devices(account).order_by(t.device.c.id)
    if who.owner is not None:
        query = query.where(t.owner.c.uid == who.owner)
    if device is not None:
        query = query.where(t.device.c.username == device)
    async with use.store.reading() as connection:
        rows = await queries.all_of(connection, query)
        if may_retrieve(who) is Reach.SITE:
            there = await queries.extensions_at(connection, account, who.site)
            rows = [row for row in rows if row["extension"] in there]
    if not rows:
        raise Problem(of_calls.NO_SUCH_DEVICE)
    return [row["username"] for row in rows]


@router.post(
    "/parked-calls/{code}/give-back",
    responses=answers(refusals.SIGNALLING_AWAY, of_calls.NO_CALL_PARKED, of_calls.NOTHING_TO_GIVE_BACK, of_calls.SLOT_TAKEN),
)
async def give_back_call(who: Retriever, account: AccountSlug, use: Use, code: Code, site: Site = None) -> Parked:
    """I picked up by mistake: the caller goes back to the same code, with the same deadline. An administrator: whoever did."""
    call = await use.signalling.ask(account, GiveBackCall(code, who.extension, site_of(who, site)))
    assert isinstance(call, ParkedCall)
    return Parked.of(call)


@router.post(
    "/parked-calls/{code}/force-back",
    status_code=204,
    responses=answers(refusals.SIGNALLING_AWAY, of_calls.NO_CALL_PARKED, of_calls.NOBODY_PARKED_IT),
)
async def force_back_call(who: Forcer, account: AccountSlug, use: Use, code: Code, site: Site = None) -> None:
    """Ring whoever parked the call, as at its deadline but now."""
    await use.signalling.ask(account, ForceBackCall(code, who.extension, site_of(who, site)))


class Note(Body):
    note: Annotated[Line, Field(max_length=200)]


@router.patch("/parked-calls/{code}", responses=answers(refusals.SIGNALLING_AWAY, of_calls.NO_CALL_PARKED))
async def note_parked_call(
    who: Retriever, account: AccountSlug, use: Use, code: Code, given: Note, site: Site = None
) -> Parked:
    """Write beside a parked call; everybody who sees it sees the note."""
    call = await use.signalling.ask(account, NoteCall(code, given.note, who.extension, site_of(who, site)))
    assert isinstance(call, ParkedCall)
    return Parked.of(call)


def site_of(who: Principal, site: str | None) -> str | None:
    """The site that is meant: one's own, where one may look at no other."""
    if who.role in (Role.SITE_ADMIN, Role.WALL_BOARD) and who.site is not None:
        if site not in (None, who.site):
            raise Problem(refusals.NOT_FOUND)
        return who.site
    return site

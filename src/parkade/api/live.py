"""Events as they happen: ``GET /api/v1/events`` as a WebSocket, and as pages for those who would rather ask.

Nothing is queued for a listener. What happened lately is in memory once for all of them, the rest in the database; a listener
is a number, that of the last event it was sent, and goes on from there at its own pace. So one that comes back with the id of
the last event it had misses nothing and gets nothing twice, and one that reads slowly costs nobody anything. One that does not
read at all is cut off (``connections.STUCK_S``).

What a listener may hear is decided for each event by ``Hearer``. Rights are looked up again every ``AGAIN_S``: a token that was
revoked, a person who was moved.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, WebSocket
from pydantic import BaseModel
from starlette.websockets import WebSocketDisconnect

from parkade.api import refusals
from parkade.api.auth import COOKIE, Reach, allowed, authenticate_token, may_hear_events, same_origin
from parkade.api.counting import Counting
from parkade.api.describe import answers
from parkade.api.principal import Principal, Role
from parkade.api.problems import Problem, answer, problem_body
from parkade.api.services import Services, Use
from parkade.store import events as stored
from parkade.store.errors import StoreError
from parkade.store.people import extensions_at, places_of

log = logging.getLogger("parkade.api.live")
router = APIRouter(tags=["events"])

RECENT: Final = 2000
"""Events in memory."""
PAGE: Final = 200
SCANNED: Final = 50
"""Pages that one request looks through for those that may be heard."""
MAX_LISTENERS: Final = 500
TOKEN_S: Final = 10.0
"""How long the first message, with the token, may take."""
HEARTBEAT_S: Final = 15.0
AGAIN_S: Final = 60.0
CLOSE_BASE: Final = 4000
"""A WebSocket is closed with this and the HTTP status of the refusal, after the refusal was sent as a message."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One event, written down once for all who hear it."""

    number: int
    json: Mapping[str, Any]
    text: str


def heard(number: int, event: Mapping[str, Any]) -> Heard:
    """An event as the contract writes it; a ``number`` that it holds is left out."""
    plain = {key: value for key, value in event.items() if key != "number"}
    return Heard(number, plain, json.dumps(plain, ensure_ascii=False, separators=(",", ":")))


class LiveEvents:
    """What happened lately, and who waits for more. ``newest`` is the number of the last event that is in the database."""

    def __init__(self) -> None:
        self.newest = 0
        self.counting = Counting()
        self._recent: list[Heard] = []
        self._waiting: set[asyncio.Event] = set()

    @property
    def listeners(self) -> int:
        """How many listen."""
        return len(self._waiting)

    def happened(self, events: Sequence[Mapping[str, Any]]) -> None:
        """These are in the database now."""
        self.counting.add(events)
        self._recent += [heard(int(event["number"]), event) for event in events]
        if len(self._recent) > 2 * RECENT:
            del self._recent[:-RECENT]
        self.newest = self._recent[-1].number
        for waiting in self._waiting:
            waiting.set()

    def began_at(self, newest: int) -> None:
        """Those up to ``newest`` are in the database, and not here."""
        self.newest = max(self.newest, newest)

    def since(self, number: int) -> Sequence[Heard] | None:
        """What came after ``number``; None if that is not in memory."""
        if number >= self.newest:
            return ()
        if not self._recent or number < self._recent[0].number - 1:
            return None
        at = bisect_right(self._recent, number, key=lambda one: one.number)
        return self._recent[at : at + PAGE]

    @contextlib.contextmanager
    def listening(self) -> Iterator[asyncio.Event]:
        """An event that is set whenever something happens."""
        waiting = asyncio.Event()
        self._waiting.add(waiting)
        try:
            yield waiting
        finally:
            self._waiting.discard(waiting)


# Who may hear what

_NUMBERS: Final = (
    "caller_number",
    "dialled",
    "answered_by",
    "parked_by",
    "retrieved_by",
    "returned_to",
    "transferred_by",
    "transferred_to",
    "given_back_by",
    "noted_by",
    "forced_by",
    "reminded",
    "ended_by",
    "extension",
)
"""Members of an event that are numbers of people."""
_FOR_ALL: Final = {"calls.resumed"}
"""What everybody needs who keeps a picture of what there is: it holds nothing but ids."""


@dataclass(frozen=True, slots=True)
class Hearer:
    """Somebody who listens, and what is needed to know what may be heard.

    ``site`` and ``group`` are ids of where a person or a wall board belongs; ``extensions`` those whose calls are one's own, or
    those of one's site. ``account`` None: events of all.
    """

    account: str | None
    role: Role
    reach: Reach
    person: str | None = None
    site: str | None = None
    group: str | None = None
    extensions: frozenset[str] = frozenset()

    def may_hear(self, event: Mapping[str, Any]) -> bool:
        """An administrator hears all of the account, others of parked calls that they may see and of calls of their own."""
        if self.account is not None and event["account"] != self.account:
            return False
        if self.reach is Reach.INSTALLATION or self.role is Role.ACCOUNT_ADMIN or event["type"] in _FOR_ALL:
            return True
        data = event["data"]
        parked = data if "audience" in data else (data.get("state") or {}).get("parked")
        if parked is not None and self._may_see_parked(parked):
            return True
        return self.role is not Role.WALL_BOARD and self._is_mine(data)

    def _may_see_parked(self, data: Mapping[str, Any]) -> bool:
        place = data.get("site")
        if self.role in (Role.SITE_ADMIN, Role.WALL_BOARD) and None not in (self.site, place) and place != self.site:
            return False
        audience = data["audience"]
        if audience["kind"] == "account" or self.role is Role.SITE_ADMIN:
            return True
        if self.person is not None and self.person in audience["people"]:
            return True
        mine = {"site": self.site, "group": self.group}.get(audience["kind"])
        return mine is not None and mine == audience["place"]

    def _is_mine(self, data: Mapping[str, Any]) -> bool:
        if not self.extensions:
            return False
        if any(data.get(name) in self.extensions for name in _NUMBERS):
            return True
        state = data.get("state")
        return state is not None and any(party["extension"] in self.extensions for party in state["parties"])


async def hearer_of(use: Services, principal: Principal, account: str | None) -> Hearer:
    """Answers 403 to who may hear nothing, 404 for an account that is another's."""
    if not may_hear_events.of_role(principal.role):
        raise Problem(refusals.NOT_ALLOWED)
    if not may_hear_events.in_scope(principal):
        raise Problem(refusals.SCOPE_MISSING.with_(scope=may_hear_events.scope))
    if principal.account is not None and account not in (None, principal.account):
        raise Problem(refusals.NOT_FOUND)
    role, reach = principal.role, may_hear_events(principal)
    if role is Role.INSTALLATION_ADMIN:
        return Hearer(account, role, reach)
    slug, site, group, extensions = principal.account, principal.site, None, frozenset[str]()
    if principal.owner is not None:
        async with use.store.reading() as connection:
            site, group = await places_of(connection, principal.owner)
    if principal.extension is not None:
        extensions = frozenset((principal.extension,))
    elif role is Role.SITE_ADMIN and slug is not None and site is not None:
        async with use.store.reading() as connection:
            extensions = await extensions_at(connection, slug, site)
    return Hearer(slug, role, reach, principal.owner, site, group, extensions)


# Reading


async def read_after(use: Services, live: LiveEvents, number: int, account: str | None) -> tuple[Sequence[Heard], int]:
    """Events after ``number``, and the number up to which these are all there are."""
    recent = live.since(number)
    if recent is not None:
        return recent, recent[-1].number if recent else max(number, live.newest)
    newest = live.newest
    async with use.store.reading() as connection:
        page = await stored.after(connection, number, account, PAGE)
    found = [heard(one.number, one.json) for one in page]
    if len(page) == PAGE:
        return found, found[-1].number
    return found, max(newest, found[-1].number if found else 0)


async def number_after(use: Services, id_: str, account: str | None) -> int:
    """The number of the event ``id_``; answers 410 if there is none (any more)."""
    async with use.store.reading() as connection:
        number = await stored.number_of(connection, id_, account) if "\0" not in id_ else None
    if number is None:
        raise Problem(refusals.EVENT_GONE)
    return number


class EventBody(BaseModel):
    """Something that happened. What `data` holds depends on `type`."""

    id: str
    type: str
    at: str
    account: str
    data: dict[str, Any]


class EventPage(BaseModel):
    """`next` is what to send as `after` for what follows; it is null if there is nothing now: then repeat with the last id."""

    items: list[EventBody]
    next: str | None


@router.get("/events", summary="Events after one that is known", responses=answers(refusals.EVENT_GONE))
async def events_after(
    who: Annotated[Principal, Depends(allowed(may_hear_events))],
    use: Use,
    after: Annotated[
        str | None, Query(max_length=200, description="The id of an event; without, from the oldest kept.")
    ] = None,
    account: Annotated[str | None, Query(max_length=200)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> EventPage:
    """For programs that ask now and then. The same path is a WebSocket, which hears of events as they happen."""
    live = live_of(use)
    hearer = await hearer_of(use, who, account)
    number = await number_after(use, after, hearer.account) if after is not None else 0
    items: list[EventBody] = []
    last: str | None = None
    for _ in range(SCANNED):
        found, up_to = await read_after(use, live, number, hearer.account)
        if up_to <= number:
            return EventPage(items=items, next=None)
        for one in found:
            if hearer.account in (None, one.json["account"]):
                last = one.json["id"]
            if hearer.may_hear(one.json):
                items.append(EventBody(**one.json))
                if len(items) == limit:
                    return EventPage(items=items, next=last)
        number = up_to
    return EventPage(items=items, next=last)


@router.websocket("/events")
async def events_live(websocket: WebSocket) -> None:
    """Send the token in the ``Authorization`` header, or as the first message: ``{"token": …, "after": id}``."""
    use: Services = websocket.app.state.services
    live = live_of(use)
    with live.listening() as something:
        try:
            if live.listeners > MAX_LISTENERS:
                raise Problem(refusals.TOO_MANY_REQUESTS)
            start = live.newest  # what happens while somebody shows a token is heard too
            principal, token, wanted = await _let_in(websocket, use)
            listener = _Listener(websocket, use, live, something, token, wanted)
            await listener.run(principal, start)
        except Problem as problem:
            await _refuse(websocket, problem)
        except StoreError as error:
            log.warning("a listener is sent away: %s", error)
            await _refuse(websocket, Problem(refusals.DATABASE_AWAY))
        except (WebSocketDisconnect, RuntimeError):
            pass  # it has gone


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a listener asks for."""

    after: str | None
    account: str | None


async def _let_in(websocket: WebSocket, use: Services) -> tuple[Principal, str, _Wanted]:
    """Who it is, by header, cookie or first message."""
    query = websocket.query_params
    wanted = _Wanted(query.get("after"), query.get("account"))
    scheme, _, token = websocket.headers.get("authorization", "").partition(" ")
    if not (scheme.lower() == "bearer" and token) and same_origin(websocket):
        token = websocket.cookies.get(COOKIE, "")
    token = token.strip()
    if token:
        principal = await authenticate_token(use, token)
        if principal is None:
            raise Problem(refusals.NOT_SIGNED_IN)
        await websocket.accept()
        return principal, token, wanted
    await websocket.accept()
    try:
        async with asyncio.timeout(TOKEN_S):
            first = json.loads(await websocket.receive_text())
        token, after, account = first["token"], first.get("after", wanted.after), first.get("account", wanted.account)
    except (TimeoutError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise Problem(refusals.NOT_SIGNED_IN) from None
    if not isinstance(token, str) or not isinstance(after, str | None) or not isinstance(account, str | None):
        raise Problem(refusals.BAD_REQUEST)
    principal = await authenticate_token(use, token)
    if principal is None:
        raise Problem(refusals.NOT_SIGNED_IN)
    return principal, token, _Wanted(after, account)


class _Listener:
    """One WebSocket that was let in."""

    def __init__(
        self, websocket: WebSocket, use: Services, live: LiveEvents, something: asyncio.Event, token: str, wanted: _Wanted
    ) -> None:
        self._websocket = websocket
        self._use = use
        self._live = live
        self._something = something
        self._token = token
        self._wanted = wanted
        self._gone = False

    async def run(self, principal: Principal, start: int) -> None:
        """Send what may be heard, until it is gone."""
        hearer = await hearer_of(self._use, principal, self._wanted.account)
        number = start
        if self._wanted.after is not None:
            number = await number_after(self._use, self._wanted.after, hearer.account)
        loop = asyncio.get_running_loop()
        again_at, heartbeat_at = loop.time() + AGAIN_S, loop.time() + HEARTBEAT_S
        reading = asyncio.create_task(self._read())
        try:
            while not self._gone:
                self._something.clear()
                found, up_to = await read_after(self._use, self._live, number, hearer.account)
                for one in found:
                    if hearer.may_hear(one.json):
                        await self._websocket.send_text(one.text)
                        heartbeat_at = loop.time() + HEARTBEAT_S
                now = loop.time()
                if now >= again_at:
                    hearer, again_at = await self._look_again(), now + AGAIN_S
                if now >= heartbeat_at:
                    await self._websocket.send_json({"type": "heartbeat", "at": _iso(self._use.now())})
                    heartbeat_at = now + HEARTBEAT_S
                if up_to > number:
                    number = up_to
                    continue
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(min(again_at, heartbeat_at)):
                        await self._something.wait()
        finally:
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reading

    async def _look_again(self) -> Hearer:
        principal = await authenticate_token(self._use, self._token)
        if principal is None:
            raise Problem(refusals.NOT_SIGNED_IN)
        return await hearer_of(self._use, principal, self._wanted.account)

    async def _read(self) -> None:
        """Whatever it says is passed over; that it says no more is what matters."""
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            while (await self._websocket.receive())["type"] != "websocket.disconnect":
                pass
        self._gone = True
        self._something.set()


async def _refuse(websocket: WebSocket, problem: Problem) -> None:
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        if websocket.application_state.name == "CONNECTING":
            await websocket.send_denial_response(answer(websocket, problem))
            return
        language = "vi" if websocket.headers.get("accept-language", "").lower().startswith("vi") else "en"
        await websocket.send_json(problem_body(problem, language))
        await websocket.close(CLOSE_BASE + problem.status)


def live_of(use: Services) -> LiveEvents:
    """Those of the services; tests of other things have none."""
    return use.events if isinstance(use.events, LiveEvents) else LiveEvents()


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

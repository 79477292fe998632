"""Events as they happen: complete, in order, once, and only what one may hear; whoever does not listen harms nobody."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from parkade.api import connections, live
from parkade.api.auth import Reach
from parkade.api.live import Hearer, LiveEvents
from parkade.api.principal import Role
from parkade.calls.events import CallEnded, EndReason
from tests.edge.heard import until
from tests.web.conftest import Web, ended, parked

pytestmark = pytest.mark.asyncio


@asynccontextmanager
async def listening(web: Web, who: str, *, after: str | None = None, first: bool = False) -> AsyncIterator[ClientConnection]:
    """Somebody listens; ``first``: the token is the first message."""
    token = await token_of(web, who)
    query = f"?after={after}" if after is not None and not first else ""
    headers = {} if first else {"Authorization": f"Bearer {token}"}
    before = web.happen.live.listeners
    async with connect(web.url + query, additional_headers=headers) as client:
        if first:
            await client.send(json.dumps({"token": token, **({"after": after} if after else {})}))
        await until(lambda: web.happen.live.listeners > before)
        yield client


async def token_of(web: Web, who: str) -> str:
    client = await web.office.as_(who)
    return str(client.headers["Authorization"].partition(" ")[2])


async def ids(client: ClientConnection, count: int) -> list[str]:
    async with asyncio.timeout(5):
        return [json.loads(await client.recv())["id"] for _ in range(count)]


async def closed(client: ClientConnection) -> tuple[int, list[dict[str, Any]]]:
    """How it was closed, and what was said before."""
    said: list[dict[str, Any]] = []
    try:
        async with asyncio.timeout(5):
            while True:
                said.append(json.loads(await client.recv()))
    except ConnectionClosed:
        assert client.close_code is not None
        return client.close_code, said


@pytest.mark.parametrize("first", [False, True])
async def test_what_happens_is_heard_as_the_contract_has_it(web: Web, first: bool) -> None:
    async with listening(web, "admin@acme.test", first=first) as client:
        await web.happen(parked(1))
        event = json.loads(await client.recv())
    assert list(event) == ["id", "type", "at", "account", "data"]
    assert (event["type"], event["account"], event["data"]["code"]) == ("call.parked", "acme", "*801")


async def test_what_happens_before_the_token_was_shown_is_heard_too(web: Web) -> None:
    async with connect(web.url) as client:
        await until(lambda: web.happen.live.listeners)
        await web.happen(parked(1))
        await client.send(json.dumps({"token": await token_of(web, "alice@acme.test")}))
        assert await ids(client, 1) == ["e1"]


async def test_nothing_of_another_account_is_heard(web: Web) -> None:
    async with listening(web, "charlie@other.test") as charlie, listening(web, "admin@other.test") as admin:
        await web.happen(parked(1), ended(2), parked(3, "other"), ended(4))
        await web.happen(parked(5, "other"))
        assert await ids(charlie, 2) == ["e3", "e5"]
        assert await ids(admin, 2) == ["e3", "e5"]


async def test_the_installation_hears_all_or_one_account(web: Web) -> None:
    token = await token_of(web, "installation")
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        listening(web, "installation") as all_of_it,
        connect(web.url + "?account=other", additional_headers=headers) as one,
    ):
        await until(lambda: web.happen.live.listeners == 2)
        await web.happen(parked(1), parked(2, "other"))
        assert await ids(all_of_it, 2) == ["e1", "e2"]
        assert await ids(one, 1) == ["e2"]


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize("first", [False, True])
async def test_whoever_comes_back_misses_nothing_and_gets_nothing_twice(
    web: Web, monkeypatch: pytest.MonkeyPatch, in_memory: bool, first: bool
) -> None:
    monkeypatch.setattr(live, "PAGE", 7)
    if not in_memory:
        monkeypatch.setattr(live, "RECENT", 5)
    for n in range(1, 41):
        await web.happen(parked(n, "acme" if n % 2 else "other"))
    async with listening(web, "admin@acme.test", after="e5", first=first) as client:
        for n in range(41, 61):
            await web.happen(parked(n, "acme" if n % 2 else "other"))
        assert await ids(client, 27) == [f"e{n}" for n in range(7, 60, 2)]


async def test_after_a_restart_of_the_web_process_memory_is_empty_and_nothing_is_missing(web: Web) -> None:
    await web.happen(*(parked(n) for n in range(1, 11)))
    web.office.services.events = fresh = LiveEvents()
    fresh.began_at(10)
    web.happen.ingest._happened = fresh.happened
    web.happen.live = fresh
    async with listening(web, "admin@acme.test", after="e8") as client:
        await web.happen(parked(11))
        assert await ids(client, 3) == ["e9", "e10", "e11"]


async def test_an_event_that_there_is_not_or_that_is_anothers_is_refused(web: Web) -> None:
    await web.happen(parked(1, "other"))
    for after in ("nonsense", "e1", "%00"):
        token = await token_of(web, "alice@acme.test")
        async with connect(f"{web.url}?after={after}", additional_headers={"Authorization": f"Bearer {token}"}) as client:
            code, said = await closed(client)
            assert (code, said[0]["error_id"]) == (4410, "event_gone")


async def test_nobody_hears_anything_without_a_valid_token(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "TOKEN_S", 0.2)
    with pytest.raises(InvalidStatus) as refused:
        async with connect(web.url, additional_headers={"Authorization": "Bearer nonsense"}):
            pass
    assert refused.value.response.status_code == 401
    for first in ("nonsense", "[]", "{}", '{"token": 5}', '{"token": "pk_nonsense"}', "[" * 1000, None):
        async with connect(web.url) as client:
            if first is not None:
                await client.send(first)
            code, said = await closed(client)
            assert code in (4401, 4400)
            assert said[0]["error_id"] in ("not_signed_in", "bad_request")
    assert web.happen.live.listeners == 0


async def test_a_token_that_may_not_hear_is_refused_in_words(web: Web) -> None:
    token = await web.office.token_of("alice@acme.test", Role.USER, scopes=("settings:read",))
    async with connect(web.url, additional_headers={"Authorization": f"Bearer {token}"}) as client:
        code, said = await closed(client)
    assert (code, said[0]["error_id"]) == (4403, "scope_missing")


async def test_a_token_that_is_revoked_is_noticed(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "AGAIN_S", 0.1)
    token = await web.office.token_of("alice@acme.test", Role.USER, expires_at=web.office.services.now() + 0.0001)
    web.office.services.now = lambda: 0.0
    async with connect(web.url, additional_headers={"Authorization": f"Bearer {token}"}) as client:
        await until(lambda: web.happen.live.listeners)
        web.office.services.now = lambda: 1e11
        code, said = await closed(client)
    assert (code, said[-1]["error_id"]) == (4401, "not_signed_in")


async def test_there_is_a_heartbeat_where_nothing_happens(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "HEARTBEAT_S", 0.05)
    async with listening(web, "alice@acme.test") as client:
        beats = [json.loads(await client.recv()) for _ in range(3)]
    assert {beat["type"] for beat in beats} == {"heartbeat"}


async def test_who_says_things_is_passed_over_and_who_goes_is_forgotten(web: Web) -> None:
    async with listening(web, "alice@acme.test") as client:
        for text in ("hello", "[" * 1000, '{"token": "another"}'):
            await client.send(text)
        await client.send(b"\0\1")
        await web.happen(parked(1))
        assert await ids(client, 1) == ["e1"]
    await until(lambda: web.happen.live.listeners == 0)


async def test_one_that_never_reads_is_cut_off_and_harms_nobody(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "STUCK_S", 0.3)
    token = await token_of(web, "admin@acme.test")
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(deaf, ("127.0.0.1", web.port))
    hello = (
        f"GET /api/v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    await loop.sock_sendall(deaf, hello.encode())
    await until(lambda: web.happen.live.listeners == 1)
    big = "x" * 30_000
    async with listening(web, "admin@acme.test") as client:
        heard = 0
        for n in range(1, 601):
            await web.happen(CallEnded(f"e{n}", 1.79e9, "acme", "c", big, "102", 1.0, EndReason.HUNG_UP, ""))
            assert await ids(client, 1) == [f"e{n}"]
            heard += 1
            if web.happen.live.listeners == 1:
                break
        await until(lambda: web.happen.live.listeners == 1)
        assert heard > 3
    deaf.close()


async def test_too_many_listeners_are_refused(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MAX_LISTENERS", 1)
    async with listening(web, "alice@acme.test"):
        with pytest.raises(InvalidStatus) as refused:
            async with connect(web.url):
                pass
        assert refused.value.response.status_code == 429


async def test_pages_for_those_who_would_rather_ask(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "RECENT", 5)
    for n in range(1, 31):
        await web.happen(parked(n, "acme" if n % 3 else "other"))
    alice = await web.office.as_("admin@acme.test")
    found: list[str] = []
    after = None
    while True:
        page = (await alice.get("/api/v1/events", params={"limit": 6, **({"after": after} if after else {})})).json()
        found += [item["id"] for item in page["items"]]
        after = page["next"]
        if after is None:
            break
    assert found == [f"e{n}" for n in range(1, 31) if n % 3]
    answer = await alice.get("/api/v1/events", params={"after": "e3"})
    assert (answer.status_code, answer.json()["error_id"]) == (410, "event_gone")


async def test_a_search_through_what_one_may_not_hear_comes_to_an_end(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "PAGE", 5)
    monkeypatch.setattr(live, "SCANNED", 2)
    for n in range(1, 31):
        await web.happen(ended(n, caller="103") if n < 30 else parked(n))
    alice = await web.office.as_("alice@acme.test")
    found, asked, after = list[str](), 0, None
    while True:
        page = (await alice.get("/api/v1/events", params={"after": after} if after else {})).json()
        asked += 1
        found += [item["id"] for item in page["items"]]
        after = page["next"]
        if after is None:
            break
    assert found == ["e30"]
    assert asked == 4


ME, SITE, GROUP = "alice", "main", "sales"


def event(**data: Any) -> dict[str, Any]:
    return {"type": "call.changed", "account": "acme", "data": {"call": "c1", "caller_number": "0912", **data}}


def at(site: str | None, kind: str = "account", place: str | None = None, *people: str) -> dict[str, Any]:
    return {"site": site, "audience": {"kind": kind, "place": place, "people": [*people]}}


def audience(kind: str, place: str | None = None, *people: str) -> dict[str, Any]:
    return event(**at(SITE, kind, place, *people))


def state(*extensions: str, parked: dict[str, Any] | None = None) -> dict[str, Any]:
    return event(state={"parties": [{"extension": extension} for extension in extensions], "parked": parked})


WHO = {
    "installation": Hearer(None, Role.INSTALLATION_ADMIN, Reach.INSTALLATION),
    "admin": Hearer("acme", Role.ACCOUNT_ADMIN, Reach.ACCOUNT),
    "site admin": Hearer("acme", Role.SITE_ADMIN, Reach.SITE, site=SITE, extensions=frozenset({"101", "102"})),
    "other site's": Hearer("acme", Role.SITE_ADMIN, Reach.SITE, site="danang", extensions=frozenset({"103"})),
    "alice": Hearer("acme", Role.USER, Reach.ACCOUNT, ME, SITE, GROUP, frozenset({"101"})),
    "bob": Hearer("acme", Role.USER, Reach.ACCOUNT, "bob", "danang", None, frozenset({"102"})),
    "wall": Hearer("acme", Role.WALL_BOARD, Reach.ACCOUNT, site=SITE),
    "other wall": Hearer("acme", Role.WALL_BOARD, Reach.ACCOUNT, site="danang"),
    "wall of all": Hearer("acme", Role.WALL_BOARD, Reach.ACCOUNT),
}
ADMINS = {"installation", "admin"}


@pytest.mark.parametrize(
    ("what", "hear"),
    [
        (audience("account"), {*WHO} - {"other site's", "other wall"}),
        (audience("site", SITE), ADMINS | {"site admin", "alice", "wall"}),
        (audience("site", "danang", "alice"), ADMINS | {"site admin", "alice", "bob"}),
        (audience("group", GROUP), ADMINS | {"site admin", "alice"}),
        (audience("people", None, "bob"), ADMINS | {"site admin", "bob"}),
        (event(**at(None)), {*WHO}),
        (state(parked=at(SITE, "site", SITE)), ADMINS | {"site admin", "alice", "wall"}),
        (state("101", "103"), ADMINS | {"site admin", "alice", "other site's"}),
        (state("102", parked=at("danang", "people", None, "nobody")), ADMINS | {"site admin", "bob", "other site's"}),
        ({"type": "calls.resumed", "account": "acme", "data": {"calls": ["c1"]}}, {*WHO}),
        ({"type": "security.banned", "account": "", "data": {"source": "192.0.2.1"}}, {"installation"}),
        (event(dialled="101"), ADMINS | {"site admin", "alice"}),
        (event(dialled="103"), ADMINS | {"other site's"}),
        (event(answered_by="102"), ADMINS | {"site admin", "bob"}),
        (event(), ADMINS),
        ({"type": "call.started", "account": "other", "data": {"dialled": "101", **at(None)}}, {"installation"}),
    ],
)
async def test_who_hears_what(what: dict[str, Any], hear: set[str]) -> None:
    assert {name for name, hearer in WHO.items() if hearer.may_hear(what)} == hear

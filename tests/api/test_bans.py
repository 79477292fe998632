"""Who guesses passwords is kept out for a while; the installation's administrator sees it and may end it."""

from __future__ import annotations

import time

import pytest

from parkade.api.login_guard import FREE, Guard
from parkade.calls.commands import Banned, LiftBan, ListBanned, Result, Wanted
from parkade.store import audit
from tests.api.conftest import PASSWORD, Office, client_of, error_id

pytestmark = pytest.mark.asyncio

LOGIN = "/api/v1/login"


async def test_a_thousand_guesses_get_nowhere_and_the_owner_comes_in_from_elsewhere(office: Office) -> None:
    office.services.guard = Guard()
    statuses = []
    for i in range(1000):
        answer = await office.anybody.post(LOGIN, json={"login": "alice@acme.test", "password": f"guess {i}"})
        statuses.append(answer.status_code)
    assert statuses.count(401) == FREE
    assert set(statuses[10:]) == {429}
    assert int(answer.headers["Retry-After"]) > 100
    assert error_id(answer) == "too_many_requests"
    right = {"login": "alice@acme.test", "password": PASSWORD}
    assert (await office.anybody.post(LOGIN, json=right)).status_code == 429
    async with client_of(office.app, {}) as elsewhere:
        elsewhere._transport.client = ("198.51.100.7", 1234)  # type: ignore[attr-defined]
        assert (await elsewhere.post(LOGIN, json=right)).status_code == 200


async def test_an_unknown_name_is_answered_like_a_known_one_and_takes_as_long(office: Office) -> None:
    took: dict[str, float] = {}
    for name in ("alice@acme.test", "nobody@acme.test"):
        best = 10.0
        for _ in range(5):
            began = time.perf_counter()
            answer = await office.anybody.post(LOGIN, json={"login": name, "password": "wrong"})
            best = min(best, time.perf_counter() - began)
            assert (answer.status_code, error_id(answer)) == (401, "bad_login")
        took[name] = best
    # The hashes of this test are cheap ones, that of nobody is dear: only the order of things can be compared here.
    assert took["nobody@acme.test"] > took["alice@acme.test"] / 2


async def test_bans_are_seen_and_lifted_by_the_installations_administrator_alone(office: Office) -> None:
    office.services.guard = Guard()
    for i in range(100):
        await office.anybody.post(LOGIN, json={"login": "alice@acme.test", "password": f"guess {i}"})
    for who in ("admin@acme.test", "alice@acme.test"):
        client = await office.as_(who)
        assert error_id(await client.get("/api/v1/bans")) == "not_allowed"
        assert error_id(await client.delete("/api/v1/bans/x")) == "not_allowed"
    client = await office.as_("installation")
    (ban,) = (await client.get("/api/v1/bans")).json()["items"]
    assert (ban["kind"], ban["source"], ban["login"]) == ("login", "127.0.0.1", None)
    assert error_id(await client.delete("/api/v1/bans/nonsense")) == "not_found"
    assert (await client.delete(f"/api/v1/bans/{ban['id']}")).status_code == 204
    assert (await client.get("/api/v1/bans")).json()["items"] == []
    right = {"login": "alice@acme.test", "password": PASSWORD}
    assert (await office.anybody.post(LOGIN, json=right)).status_code == 200
    async with office.store.reading() as connection:
        (entry,) = await audit.page(connection, audit.AuditFilter(None, action="lift"), 10)
    assert (entry["object"], entry["before"]["source"]) == (f"bans/{ban['id']}", "127.0.0.1")


async def test_sources_that_guess_sip_passwords_are_there_too(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Wanted] = []
    banned = Banned("2001:db8::/64", office.world.now + 60, 12)

    async def ask(account: str, wanted: Wanted, *, timeout_s: float = 5.0) -> Result:
        asked.append(wanted)
        return (banned,) if isinstance(wanted, ListBanned) else None

    monkeypatch.setattr(office.signalling, "ask", ask)
    client = await office.as_("installation")
    (ban,) = (await client.get("/api/v1/bans")).json()["items"]
    assert (ban["kind"], ban["source"]) == ("sip", "2001:db8::/64")
    assert error_id(await client.delete("/api/v1/bans/sip-00")) == "not_found"
    assert (await client.delete(f"/api/v1/bans/{ban['id']}")).status_code == 204
    assert asked[-1] == LiftBan("2001:db8::/64")


async def test_the_bans_of_the_log_in_are_there_without_signalling(office: Office) -> None:
    office.signalling.away = True
    client = await office.as_("installation")
    assert (await client.get("/api/v1/bans")).json() == {"items": [], "next": None}


async def test_the_real_switch_lifts_a_ban(office: Office) -> None:
    phone = office.phones["acme-101"]
    assert await office.signalling.ask("", ListBanned()) == ()
    await office.signalling.ask("", LiftBan(phone.address.host))

"""Logging in and out, tokens, what one is told when one is nobody."""

from __future__ import annotations

import pytest

from parkade.api import auth
from parkade.api.principal import Role
from parkade.store.passwords import password_fits
from tests.api.conftest import PASSWORD, Office, error_id

pytestmark = pytest.mark.asyncio


async def test_a_login_gives_a_token_that_says_who_one_is(office: Office) -> None:
    answer = await office.anybody.post("/api/v1/login", json={"login": "alice@acme.test", "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    assert answer.json()["token"].startswith("pk_")
    assert "set-cookie" not in answer.headers
    alice = await office.with_token(answer.json()["token"])
    me = (await alice.get("/api/v1/me")).json()
    assert (me["id"], me["extension"], me["role"], me["site"]) == ("alice", "101", "user", "main")
    assert me["account"] == {"slug": "acme", "name": "Acme Logistics", "multi_site": True}
    assert me["devices"] == ["acme-101"]
    assert [lot["codes"] for lot in me["lots"]] == ["801-899"]
    assert me["rights"]["see_calls"] == "own"


@pytest.mark.parametrize(
    ("login", "role"),
    [("admin@acme.test", "account_admin"), ("bob@acme.test", "user"), ("admin", "installation_admin")],
)
async def test_the_role_follows_from_the_login(office: Office, login: str, role: str) -> None:
    if login == "admin":
        await office.store.set_password("admin", PASSWORD)
    answer = await office.anybody.post("/api/v1/login", json={"login": login, "password": PASSWORD})
    assert answer.json()["role"] == role


@pytest.mark.parametrize(
    ("login", "password"), [("alice@acme.test", "wrong"), ("nobody@acme.test", PASSWORD), ("", ""), ("a\0b", "c")]
)
async def test_a_wrong_password_and_an_unknown_login_look_the_same(office: Office, login: str, password: str) -> None:
    answer = await office.anybody.post("/api/v1/login", json={"login": login, "password": password})
    assert (answer.status_code, error_id(answer)) == (401, "bad_login")


async def test_an_unknown_login_costs_as_much_as_a_wrong_password(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who measures learns nothing: one hash of the same costs is checked either way."""
    await office.store.set_password("alice@acme.test", PASSWORD)
    costs: list[str] = []

    def checked(password_hash: str | None, password: str) -> bool:
        costs.append(str(password_hash).rpartition("$")[0].rpartition("$")[0])
        return password_fits(password_hash, password)

    monkeypatch.setattr(auth, "password_fits", checked)
    for login in ("alice@acme.test", "nobody@acme.test", ""):
        answer = await office.anybody.post("/api/v1/login", json={"login": login, "password": "wrong"})
        assert error_id(answer) == "bad_login"
    assert len(costs) == 3
    assert len(set(costs)) == 1


async def test_a_new_password_from_an_administrator_ends_sessions(office: Office) -> None:
    alice = await office.with_token(await office.token_of("alice@acme.test", Role.USER, kind="session"))
    script = await office.with_token(await office.token_of("alice@acme.test", Role.USER))
    admin = await office.as_("admin@acme.test")
    assert (await admin.patch("/api/v1/users/alice", json={"password": "a new secret"})).status_code == 200
    assert (await alice.get("/api/v1/me")).status_code == 401
    assert (await script.get("/api/v1/me")).status_code == 200


async def test_after_logging_out_the_token_is_worth_nothing(office: Office) -> None:
    answer = await office.anybody.post("/api/v1/login", json={"login": "alice@acme.test", "password": PASSWORD})
    alice = await office.with_token(answer.json()["token"])
    assert (await alice.post("/api/v1/logout")).status_code == 204
    answer = await alice.get("/api/v1/me")
    assert (answer.status_code, error_id(answer)) == (401, "not_signed_in")
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_session_ends_by_itself(office: Office) -> None:
    token = await office.token_of("alice@acme.test", Role.USER, kind="session", expires_at=office.world.now + 60)
    alice = await office.with_token(token)
    assert (await alice.get("/api/v1/me")).status_code == 200
    office.world.run(61)
    assert (await alice.get("/api/v1/me")).status_code == 401


async def test_a_browser_may_keep_the_token_as_a_cookie(office: Office) -> None:
    given = {"login": "alice@acme.test", "password": PASSWORD, "cookie": True}
    answer = await office.anybody.post("/api/v1/login", json=given)
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert "SameSite=strict" in answer.headers["set-cookie"]
    assert (await office.anybody.get("/api/v1/me")).json()["id"] == "alice"
    for headers in ({"Origin": "https://evil.test"}, {"Sec-Fetch-Site": "cross-site"}):
        answer = await office.anybody.post("/api/v1/logout", headers=headers)
        assert (answer.status_code, error_id(answer)) == (403, "cross_site")
    assert (await office.anybody.post("/api/v1/logout", headers={"Origin": "http://parkade.test"})).status_code == 204


async def test_nobody_is_told_so_in_the_language_asked_for(office: Office) -> None:
    answer = await office.anybody.get("/api/v1/me", headers={"Accept-Language": "fr, vi;q=0.9, en;q=0.5"})
    assert answer.json()["message"] == "Bạn chưa đăng nhập hoặc phiên đã hết hạn."
    answer = await office.anybody.get("/api/v1/me")
    assert answer.json() == {
        "error_id": "not_signed_in",
        "message": "You are not signed in, or no longer.",
        "what_to_do": "Log in, or send a token that is valid in the Authorization header.",
        "type": "urn:parkade:error:not_signed_in",
        "title": "Not signed in",
        "status": 401,
    }


async def test_a_password_is_changed_and_other_sessions_end(office: Office) -> None:
    both = [await office.token_of("alice@acme.test", Role.USER, kind="session") for _ in range(2)]
    here, there = [await office.with_token(token) for token in both]
    answer = await here.put("/api/v1/me/password", json={"old": "wrong", "new": "a new secret"})
    assert (answer.status_code, error_id(answer)) == (403, "wrong_password")
    assert (await here.put("/api/v1/me/password", json={"old": PASSWORD, "new": "a new secret"})).status_code == 204
    assert (await here.get("/api/v1/me")).status_code == 200
    assert (await there.get("/api/v1/me")).status_code == 401
    answer = await office.anybody.post("/api/v1/login", json={"login": "alice@acme.test", "password": "a new secret"})
    assert answer.status_code == 200


async def test_an_app_that_is_too_old_is_asked_to_update(office: Office) -> None:
    alice = await office.as_("alice@acme.test")
    for client, status in {
        "app/5.1.2": 426,
        "app/5.1.3": 200,
        "app/5.1": 426,
        "app/6": 200,
        "board/1": 200,
        "app/x": 200,
    }.items():
        answer = await alice.get("/api/v1/me", headers={"X-Parkade-Client": client})
        assert answer.status_code == status, client
        if status == 426:
            assert error_id(answer) == "update_needed"
            assert "please update to 5.1.3" in answer.json()["message"]
    answer = await office.anybody.post("/api/v1/login", json={}, headers={"X-Parkade-Client": "app/1.0"})
    assert answer.status_code == 426

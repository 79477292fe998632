"""Tokens for programs and boards: what they may do, how they end, who may make which."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from parkade.api.principal import Role
from tests.api.conftest import Office, error_id

pytestmark = pytest.mark.asyncio


async def made(office: Office, login: str, **given: Any) -> dict[str, Any]:
    answer = await (await office.as_(login)).post("/api/v1/tokens", json={"name": "script", **given})
    assert answer.status_code == 201, answer.text
    token: dict[str, Any] = answer.json()
    return token


async def test_a_token_is_shown_once_and_lets_in_until_it_is_revoked(office: Office) -> None:
    token = await made(office, "alice@acme.test")
    assert (token["role"], token["made_by"], token["account"]) == ("user", "alice@acme.test", "acme")
    script = await office.with_token(token["token"])
    assert (await script.get("/api/v1/me")).json()["id"] == "alice"
    alice = await office.as_("alice@acme.test")
    listed = await alice.get("/api/v1/tokens")
    assert token["id"] in [item["id"] for item in listed.json()["items"]]
    assert "pk_" not in listed.text
    assert (await alice.delete(f"/api/v1/tokens/{token['id']}")).status_code == 204
    assert (await script.get("/api/v1/me")).status_code == 401
    assert (await alice.delete(f"/api/v1/tokens/{token['id']}")).status_code == 404


async def test_a_token_does_what_its_scopes_say(office: Office) -> None:
    token = await made(office, "admin@acme.test", scopes=["settings:read", "calls:write"])
    script = await office.with_token(token["token"])
    assert (await script.get("/api/v1/settings/call-park")).status_code == 200
    assert (await script.get("/api/v1/parked-calls")).status_code == 200
    for asking in (
        script.patch("/api/v1/settings/call-park", json={}),
        script.get("/api/v1/users"),
        script.get("/api/v1/tokens"),
    ):
        answer = await asking
        assert (answer.status_code, error_id(answer)) == (403, "scope_missing"), answer.url
    answer = await script.get("/api/v1/users")
    assert "directory:read" in answer.json()["message"]


async def test_a_token_ends_when_it_was_said_to(office: Office) -> None:
    at = datetime.fromtimestamp(office.world.now, UTC) + timedelta(minutes=1)
    token = await made(office, "alice@acme.test", expires_at=at.isoformat())
    script = await office.with_token(token["token"])
    assert (await script.get("/api/v1/me")).status_code == 200
    office.world.run(61)
    assert (await script.get("/api/v1/me")).status_code == 401


@pytest.mark.parametrize(
    ("login", "given", "status"),
    [
        ("alice@acme.test", {"role": "account_admin"}, 403),
        ("alice@acme.test", {"role": "wall_board"}, 403),
        ("admin@acme.test", {"role": "installation_admin"}, 403),
        ("admin@acme.test", {"role": "user"}, 403),
        ("admin@acme.test", {"account": "other"}, 404),
        ("admin@acme.test", {"role": "wall_board", "site": "othersite"}, 404),
        ("admin@acme.test", {"scopes": ["everything"]}, 422),
        ("admin@acme.test", {"expires_at": "2020-01-01T00:00:00Z"}, 422),
        ("admin@acme.test", {"expires_at": "2030-01-01T00:00:00"}, 422),
        ("admin@acme.test", {"role": "king"}, 422),
        ("installation", {"role": "account_admin"}, 400),
        ("installation", {"role": "account_admin", "account": "nowhere"}, 404),
        ("installation", {"account": "acme"}, 422),
    ],
)
async def test_nobody_gives_what_is_not_his(office: Office, login: str, given: dict[str, Any], status: int) -> None:
    answer = await (await office.as_(login)).post("/api/v1/tokens", json={"name": "x", **given})
    assert answer.status_code == status, answer.text
    error_id(answer)


async def test_a_limited_token_makes_no_less_limited_one(office: Office) -> None:
    token = await made(office, "admin@acme.test", scopes=["tokens:write", "calls:write"])
    script = await office.with_token(token["token"])
    for scopes, status in (([], 403), (["settings:read"], 403), (["calls:read"], 201), (["calls:write"], 201)):
        assert (await script.post("/api/v1/tokens", json={"name": "x", "scopes": scopes})).status_code == status, scopes


async def test_a_board_for_a_wall(office: Office) -> None:
    token = await made(office, "admin@acme.test", role="wall_board", site="danang")
    assert (token["made_by"], token["site"]) == (None, "danang")
    board = await office.with_token(token["token"])
    me = (await board.get("/api/v1/me")).json()
    assert (me["role"], [lot["codes"] for lot in me["lots"]]) == ("wall_board", ["701-709"])
    assert (await board.get("/api/v1/tokens")).status_code == 403


async def test_the_operator_makes_a_token_for_an_account(office: Office) -> None:
    token = await made(office, "installation", role="account_admin", account="acme")
    script = await office.with_token(token["token"])
    assert [user["id"] for user in (await script.get("/api/v1/users")).json()["items"]] == ["alice", "bob", "dung"]
    other = await office.as_("admin@other.test")
    assert (await other.delete(f"/api/v1/tokens/{token['id']}")).status_code == 404
    assert (await (await office.as_("admin@acme.test")).delete(f"/api/v1/tokens/{token['id']}")).status_code == 204


async def test_a_token_is_never_more_than_its_maker_is_now(office: Office) -> None:
    token = await office.with_token(await office.token_of("alice@acme.test", Role.ACCOUNT_ADMIN))
    assert (await token.get("/api/v1/me")).status_code == 401
    session = await office.with_token(await office.token_of("alice@acme.test", Role.ACCOUNT_ADMIN, kind="session"))
    assert (await session.get("/api/v1/me")).json()["role"] == "user"


async def test_tokens_of_others_are_not_there(office: Office) -> None:
    token = await made(office, "alice@acme.test")
    for login in ("bob@acme.test", "charlie@other.test", "admin@other.test"):
        client = await office.as_(login)
        assert token["id"] not in [item["id"] for item in (await client.get("/api/v1/tokens")).json()["items"]]
        assert (await client.delete(f"/api/v1/tokens/{token['id']}")).status_code == 404

"""What one account could do to another, or leave to the one after it: proved once, and mended."""

from __future__ import annotations

import pytest

from parkade.api.principal import Role
from tests.api.conftest import PASSWORD, Office, error_id

pytestmark = pytest.mark.asyncio


async def test_the_slug_of_an_account_that_was_removed_is_nobody_elses(office: Office) -> None:
    operator = await office.as_("installation")
    new = {"slug": "zeta", "name": "Zeta"}
    assert (await operator.post("/api/v1/accounts", json=new)).status_code == 201
    assert (await operator.delete("/api/v1/accounts/zeta")).status_code == 204
    answer = await operator.post("/api/v1/accounts", json=new)
    assert (answer.status_code, error_id(answer)) == (422, "directory_refused")
    assert "was removed" in answer.text


async def test_an_address_is_one_accounts(office: Office) -> None:
    mine, theirs = await office.as_("admin@acme.test"), await office.as_("admin@other.test")
    gateway = {"username": "gw-9", "address": "192.0.2.9", "to": "101"}
    assert (await mine.post("/api/v1/devices", json=gateway)).status_code == 201
    for address in ("192.0.2.9", "::ffff:192.0.2.9"):
        answer = await theirs.post("/api/v1/devices", json={**gateway, "username": "gw-evil", "address": address})
        assert answer.status_code in (409, 422), answer.text
        assert "acme" not in answer.text
    again = await mine.post("/api/v1/devices", json={**gateway, "username": "gw-10"})
    assert again.status_code == 422, again.text
    assert office.world.directory.devices["gw-9"].account == "acme"


@pytest.mark.parametrize("body", [rb'{"music":"\udfff"}', rb'{"\ud800":1}', rb'{"music":"\ud83d"}'])
async def test_half_a_character_is_refused_and_nothing_is_written(office: Office, body: bytes) -> None:
    admin = await office.as_("admin@acme.test")
    for path in ("/api/v1/settings/call-park", "/api/v1/users/alice/settings/call-park"):
        answer = await admin.patch(path, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400, answer.text
        assert (await admin.get(path)).status_code == 200
    assert (await admin.get("/api/v1/audit")).status_code == 200


@pytest.mark.parametrize("path", ["devices", "groups", "admins"])
async def test_a_cursor_of_half_a_character_is_no_cursor(office: Office, path: str) -> None:
    admin = await office.as_("admin@acme.test")
    for cursor in ("WyJcdWQ4MDAiXQ", "WzEsICJcdWQ4MDAiXQ"):  # ["\ud800"] and [1, "\ud800"]
        answer = await admin.get(f"/api/v1/{path}", params={"cursor": cursor})
        assert (answer.status_code, error_id(answer)) == (400, "bad_cursor")


async def test_a_sites_administrator_acts_for_the_people_of_the_site_alone(office: Office) -> None:
    admin = await office.as_("admin@acme.test")
    await admin.post("/api/v1/admins", json={"login": "chief@acme.test", "password": PASSWORD, "site": "danang"})
    chief = await office.with_token(await office.token_of("chief@acme.test", Role.SITE_ADMIN))
    office.talking("acme-102", "acme-103")
    (call,) = (await chief.get("/api/v1/calls")).json()["items"]
    for what, given in (("park", {}), ("transfer", {"to": "110"})):
        answer = await chief.post(f"/api/v1/calls/{call['id']}/{what}", json={"by": "102", **given})
        assert (answer.status_code, error_id(answer)) == (403, "not_allowed"), answer.text
    assert (await chief.post(f"/api/v1/calls/{call['id']}/park", json={"by": "103"})).status_code == 200


async def test_a_token_is_worth_nothing_when_its_limits_are_gone(office: Office) -> None:
    admin = await office.as_("admin@acme.test")
    await admin.post("/api/v1/admins", json={"login": "chief@acme.test", "password": PASSWORD, "site": "danang"})
    chief = await office.with_token(await office.token_of("chief@acme.test", Role.SITE_ADMIN))
    alice = await office.as_("alice@acme.test")
    for client in (chief, alice):
        assert (await client.get("/api/v1/parked-calls")).status_code == 200
    assert (await admin.patch("/api/v1/admins/chief@acme.test", json={"site": None})).status_code == 200
    assert (await admin.patch("/api/v1/users/alice", json={"login": None})).status_code == 200
    made = await admin.post("/api/v1/admins", json={"login": "alice@acme.test", "password": PASSWORD})
    assert made.status_code == 201, made.text
    for client in (chief, alice):
        assert (await client.get("/api/v1/parked-calls")).status_code == 401

"""Call Park settings through the API: what holds and why, changing it at each level, locks, rights, versions."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import pytest_asyncio

from parkade.api.principal import Role
from tests.api.conftest import PASSWORD, Office, error_id

pytestmark = pytest.mark.asyncio

LEVELS = ("", "sites/main/", "groups/day/", "users/alice/", "common-areas/wall/")


def path(level: str, rest: str = "") -> str:
    return f"/api/v1/{level}settings/call-park{rest}"


@pytest_asyncio.fixture
async def admin(office: Office) -> httpx.AsyncClient:
    client = await office.as_("admin@acme.test")
    await client.post("/api/v1/groups", json={"id": "day", "name": "Day"})
    await client.patch("/api/v1/users/alice", json={"group": "day"})
    return client


async def test_each_level_says_and_the_nearest_wins(office: Office, admin: httpx.AsyncClient) -> None:
    for level, minutes, source in zip(LEVELS[:4], (20, 15, 5, 3), ("account", "site", "group", "user"), strict=True):
        answer = await admin.patch(path(level), json={"expiration_period": minutes})
        assert answer.status_code == 200, answer.text
        assert answer.json()["expiration_period"] == {"value": minutes, "source": source, "locked_by": None}
        seen = (await admin.get(path("users/alice/"))).json()["expiration_period"]
        assert (seen["value"], seen["source"]) == (minutes, source)
        policy = office.world.directory.accounts["acme"].owners["101"].policy
        assert policy is not None
        assert policy.expiration_s == 60 * minutes
    wall = (await admin.get(path("common-areas/wall/"))).json()["expiration_period"]
    assert (wall["value"], wall["source"]) == (15, "site")


async def test_the_api_says_why(office: Office, admin: httpx.AsyncClient) -> None:
    await admin.patch(path(""), json={"expiration_period": 20})
    await admin.patch(path("sites/main/"), json={"expiration_period": 5, "locked": True})
    steps = (await admin.get(path("users/alice/", "/why?key=expiration_period"))).json()["expiration_period"]
    assert [(step["level"]["source"], step["says"], step["wins"]) for step in steps][:3] == [
        ("default", {"expiration_period": 10, "expiration_seconds": None}, False),
        ("account", {"expiration_period": 20}, False),
        ("site", {"expiration_period": 5}, True),
    ]
    assert [(step["level"]["id"], step["unheard"], step["locked_by"]) for step in steps][3:] == [
        ("day", "locked", "site"),
        ("alice", "locked", "site"),
    ]
    every = (await admin.get(path("users/alice/", "/why"))).json()
    assert every["expiration_period"] == steps
    assert every.keys() == (await admin.get(path("users/alice/"))).json().keys()
    answer = await admin.get(path("", "/why?key=nonsense"))
    assert (answer.status_code, error_id(answer)) == (422, "unknown_setting")


async def test_a_lock_holds_below_and_a_reset_forgets(office: Office, admin: httpx.AsyncClient) -> None:
    await admin.patch(path("users/alice/"), json={"reserve_seconds": 60})
    await admin.patch(path(""), json={"locked": True})
    answer = await admin.patch(path("users/alice/"), json={"reserve_seconds": 90})
    assert (answer.status_code, error_id(answer)) == (403, "settings_locked")
    seen = (await admin.get(path("users/alice/"))).json()["reserve_seconds"]
    assert seen == {"value": 30, "source": "default", "locked_by": "account"}
    await admin.patch(path(""), json={"locked": False})
    assert (await admin.get(path("users/alice/"))).json()["reserve_seconds"]["value"] == 60
    assert (await admin.patch(path("users/alice/"), json={"reset": True})).json()["reserve_seconds"]["value"] == 30


@pytest.mark.parametrize(
    ("patch", "refused", "status", "where"),
    [
        ({"expiration_period": 11}, "invalid_setting", 422, "expiration_period"),
        ({"nonsense": 1}, "unknown_setting", 422, "nonsense"),
        ({"call_not_picked_up_action": 50}, "forward_to_missing", 422, "call_not_picked_up_action"),
        ({"call_not_picked_up_action": 50, "forward_to": "999"}, "no_such_extension", 422, "forward_to"),
        ({"reset": True}, "reset_at_account", 422, "reset"),
    ],
)
async def test_what_cannot_be_is_refused_in_words(
    office: Office, patch: dict[str, Any], refused: str, status: int, where: str
) -> None:
    admin = await office.as_("admin@acme.test")
    answer = await admin.patch(path(""), json=patch)
    assert (answer.status_code, error_id(answer)) == (status, refused), answer.text
    assert answer.json()["errors"][0]["where"] == where


async def test_park_keys_need_sequential_in_both_orders(office: Office, admin: httpx.AsyncClient) -> None:
    keys = {"keys": [{"type": "park", "value": "*801"}]}
    assert (await admin.patch("/api/v1/devices/acme-101", json=keys)).status_code == 200
    answer = await admin.patch(path(""), json={"sequence": 0})
    assert (answer.status_code, error_id(answer)) == (409, "park_keys_need_sequential")
    assert (await admin.patch("/api/v1/devices/acme-101", json={"keys": []})).status_code == 200
    assert (await admin.patch(path(""), json={"sequence": 0})).status_code == 200
    answer = await admin.patch("/api/v1/devices/acme-101", json=keys)
    assert (answer.status_code, error_id(answer)) == (422, "directory_refused")
    assert "Sequential" in answer.text


async def test_nobody_overwrites_a_change_of_somebody_else(office: Office, admin: httpx.AsyncClient) -> None:
    before = (await admin.get(path(""))).headers["etag"]
    assert (await admin.get(path(""), headers={"If-None-Match": before})).status_code == 304
    first = await admin.patch(path(""), json={"reserve_seconds": 40}, headers={"If-Match": before})
    assert first.status_code == 200
    assert first.headers["etag"] != before
    answer = await admin.patch(path(""), json={"reserve_seconds": 50}, headers={"If-Match": before})
    assert (answer.status_code, error_id(answer)) == (412, "changed_meanwhile")
    for tag in (first.headers["etag"], "*", f'"x", {first.headers["etag"]}'):
        same = await admin.patch(path(""), json={"reserve_seconds": 40}, headers={"If-Match": tag})
        assert (same.status_code, same.headers["etag"]) == (200, first.headers["etag"])


async def test_a_person_sees_and_changes_the_own_settings_only(office: Office, admin: httpx.AsyncClient) -> None:
    alice = await office.as_("alice@acme.test")
    assert (await alice.patch(path("users/alice/"), json={"reserve_seconds": 60})).status_code == 200
    answer = await alice.patch(path("users/alice/"), json={"locked": True})
    assert (answer.status_code, error_id(answer)) == (403, "not_allowed")
    for level in ("", "sites/main/", "groups/day/", "users/bob/", "common-areas/wall/"):
        status = 404 if level == "users/bob/" else 403
        assert (await alice.get(path(level))).status_code == status
        assert (await alice.get(path(level, "/why"))).status_code == status
        assert (await alice.patch(path(level), json={})).status_code == status


async def test_a_sites_administrator_changes_what_is_there(office: Office, admin: httpx.AsyncClient) -> None:
    await admin.post("/api/v1/admins", json={"login": "chief@acme.test", "password": PASSWORD, "site": "danang"})
    chief = await office.with_token(await office.token_of("chief@acme.test", Role.SITE_ADMIN))
    for level, status in (
        ("", 403),
        ("sites/main/", 403),
        ("groups/day/", 403),
        ("users/alice/", 403),
        ("common-areas/wall/", 403),
        ("sites/danang/", 200),
        ("users/dung/", 200),
    ):
        assert (await chief.get(path(level))).status_code == 200
        assert (await chief.patch(path(level), json={"reserve_seconds": 60})).status_code == status, level


async def test_settings_of_another_account_are_not_there(office: Office, admin: httpx.AsyncClient) -> None:
    charlie = await office.as_("charlie@other.test")
    for asking in (charlie.get(path("users/alice/")), charlie.patch(path("users/alice/"), json={"enable": False})):
        assert (await asking).status_code == 404
    other = await office.as_("admin@other.test")
    for level in LEVELS[1:]:
        for asking in (
            other.get(path(level)),
            other.get(path(level, "/why")),
            other.patch(path(level), json={"enable": False}),
        ):
            answer = await asking
            assert (answer.status_code, error_id(answer)) == (404, "not_found"), answer.url
    assert (await other.patch(path(""), json={"enable": False})).status_code == 200
    assert (await admin.get(path(""))).json()["enable"]["value"] is True


async def test_a_change_is_in_the_audit_trail(office: Office, admin: httpx.AsyncClient) -> None:
    await admin.patch(path("users/alice/"), json={"reserve_seconds": 60})
    (row,) = (await admin.get("/api/v1/audit?object=users/alice/settings")).json()["items"]
    assert (row["before"], row["after"]) == ({"reserve_seconds": None}, {"reserve_seconds": 60})
    alice = await office.as_("alice@acme.test")
    await alice.patch(path("users/alice/"), json={"reserve_seconds": 90})
    (row, _) = (await admin.get("/api/v1/audit?object=users/alice/settings")).json()["items"]
    assert (row["by"], row["role"]) == ("alice@acme.test", "user")


async def test_what_is_not_built_yet_is_kept_and_answered(office: Office, admin: httpx.AsyncClient) -> None:
    chain = [{"action": 100, "to": None, "seconds": 30}, {"action": 0, "to": None, "seconds": 20}]
    patch = {"chain": chain, "music": "jazz", "announce": True, "visibility": ["101", "110"]}
    answer = (await admin.patch(path(""), json=patch)).json()
    assert answer["music"]["value"] == "jazz"
    assert answer["announce"]["value"] is True
    assert answer["visibility"]["value"] == ["101", "110"]
    assert [step["action"] for step in answer["chain"]["value"]] == [100, 0]

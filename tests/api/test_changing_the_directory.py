"""People, places, phones and accounts made, changed and removed through the API, by the rules of the directory file."""

from __future__ import annotations

from typing import Any

import pytest

from parkade.api.changing import TAKEN
from parkade.api.principal import Role
from tests.api.conftest import PASSWORD, Office, error_id

pytestmark = pytest.mark.asyncio


async def test_a_user_is_made_changed_and_removed(office: Office) -> None:
    admin = await office.as_("admin@acme.test")
    given = {"extension": "150", "name": "Eve", "login": "eve@acme.test", "password": "eve's secret", "site": "danang"}
    made = await admin.post("/api/v1/users", json=given)
    assert made.status_code == 201, made.text
    eve = made.json()
    assert "password" not in made.text
    assert eve == {
        "id": eve["id"],
        "extension": "150",
        "name": "Eve",
        "language": None,
        "licensed": True,
        "site": "danang",
        "group": None,
        "voicemail": None,
        "login": "eve@acme.test",
    }
    path = f"/api/v1/users/{eve['id']}"
    answer = await office.anybody.post("/api/v1/login", json={"login": "eve@acme.test", "password": "eve's secret"})
    assert answer.status_code == 200
    changed = await admin.patch(path, json={"name": "Eva", "extension": "151", "site": None, "licensed": False})
    assert changed.status_code == 200, changed.text
    assert (changed.json()["name"], changed.json()["extension"], changed.json()["site"]) == ("Eva", "151", None)
    assert (await admin.get(path)).json() == changed.json()
    assert office.world.directory.accounts["acme"].owners["151"].name == "Eva"
    assert (await admin.delete(path)).status_code == 204
    assert (await admin.get(path)).status_code == 404
    assert "151" not in office.world.directory.accounts["acme"].owners


async def test_calls_go_by_a_change_before_it_is_answered(office: Office) -> None:
    admin = await office.as_("admin@acme.test")
    loaded = office.signalling.loaded
    await admin.patch("/api/v1/users/alice", json={"name": "Alicia"})
    assert office.signalling.loaded == loaded + 1
    assert office.world.directory.accounts["acme"].owners["101"].name == "Alicia"
    office.signalling.away = True
    answer = await admin.patch("/api/v1/users/alice", json={"name": "Alice again"})
    assert (answer.status_code, answer.json()["name"]) == (200, "Alice again")


@pytest.mark.parametrize(
    ("path", "given", "where", "reason"),
    [
        ("users", {"extension": "101", "name": "X"}, "users[3].extension", "extension 101 is there twice"),
        ("users", {"extension": "150", "name": "X", "site": "othersite"}, "body.site", "there is none with the id othersite"),
        (
            "users",
            {"extension": "150", "name": "X", "login": "charlie@other.test", "password": "secret"},
            "body",
            TAKEN,
        ),
        ("users", {"id": "charlie", "extension": "150", "name": "X"}, "body", TAKEN),
        (
            "devices",
            {"username": "other-101", "password": "x"},
            "body",
            TAKEN,
        ),
        (
            "devices",
            {"username": "x", "password": "x", "owner": "charlie"},
            "body.owner",
            "there is nobody with the id charlie",
        ),
        ("sites", {"name": "Main"}, "sites[2].name", "site Main is there twice"),
    ],
)
async def test_the_rules_of_the_file_hold(office: Office, path: str, given: dict[str, Any], where: str, reason: str) -> None:
    admin = await office.as_("admin@acme.test")
    answer = await admin.post(f"/api/v1/{path}", json=given)
    assert (answer.status_code, error_id(answer)) == (422, "directory_refused"), answer.text
    assert answer.json()["errors"] == [{"where": where, "reason": reason}]


async def test_what_cannot_be_is_named_at_once(office: Office) -> None:
    admin = await office.as_("admin@acme.test")
    answer = await admin.post("/api/v1/users", json={"extension": 150, "name": "", "more": 1})
    assert (answer.status_code, error_id(answer)) == (422, "invalid_request")
    assert [fault["where"] for fault in answer.json()["errors"]] == ["body.extension", "body.name", "body.more"]


async def test_sites_groups_devices_and_areas(office: Office) -> None:
    admin = await office.as_("admin@acme.test")
    hue = (await admin.post("/api/v1/sites", json={"name": "Huế", "codes": "501-509"})).json()
    assert (hue["main"], hue["codes"]) == (False, "501-509")
    hue = (await admin.patch(f"/api/v1/sites/{hue['id']}", json={"name": "Huế 2", "expiration_seconds": 90})).json()
    assert (hue["name"], hue["codes"], hue["expiration_seconds"]) == ("Huế 2", "501-509", 90)
    day = (await admin.post("/api/v1/groups", json={"name": "Day shift"})).json()
    await admin.patch("/api/v1/users/bob", json={"group": day["id"], "site": hue["id"]})
    renamed = await admin.patch(f"/api/v1/groups/{day['id']}", json={"name": "Early shift"})
    assert renamed.json() == {"id": day["id"], "name": "Early shift", "members": 1}
    await admin.patch(f"/api/v1/sites/{hue['id']}", json={"name": "Huế 3"})
    bob = (await admin.get("/api/v1/users/bob")).json()
    assert (bob["group"], bob["site"]) == (day["id"], hue["id"])
    area = (await admin.post("/api/v1/common-areas", json={"extension": "111", "name": "Gate", "site": hue["id"]})).json()
    phone = await admin.post("/api/v1/devices", json={"username": "gate-1", "password": "secret", "owner": area["id"]})
    assert phone.status_code == 201, phone.text
    assert "secret" not in phone.text
    moved = await admin.patch("/api/v1/devices/gate-1", json={"owner": "bob", "model": "yealink-t46u"})
    assert (moved.json()["owner"], moved.json()["model"]) == ("bob", "yealink-t46u")
    assert (await admin.delete(f"/api/v1/devices/{phone.json()['id']}")).status_code == 204
    assert (await admin.delete(f"/api/v1/common-areas/{area['id']}")).status_code == 204
    assert (await admin.delete(f"/api/v1/groups/{day['id']}")).status_code == 204
    assert (await admin.delete(f"/api/v1/sites/{hue['id']}")).status_code == 204
    bob = (await admin.get("/api/v1/users/bob")).json()
    assert (bob["group"], bob["site"]) == (None, None)


async def test_nobody_overwrites_what_somebody_else_has_changed(office: Office) -> None:
    admin = await office.as_("admin@acme.test")
    before = (await admin.get("/api/v1/users/alice")).headers["etag"]
    first = await admin.patch("/api/v1/users/alice", json={"name": "A"}, headers={"If-Match": before})
    assert first.status_code == 200
    second = await admin.patch("/api/v1/users/alice", json={"name": "B"}, headers={"If-Match": before})
    assert (second.status_code, error_id(second)) == (412, "changed_meanwhile")
    third = await admin.patch("/api/v1/users/alice", json={"name": "B"}, headers={"If-Match": first.headers["etag"]})
    assert third.status_code == 200


async def test_a_sites_administrator_changes_the_people_there(office: Office) -> None:
    admin = await office.as_("admin@acme.test")
    made = await admin.post("/api/v1/admins", json={"login": "chief@acme.test", "password": PASSWORD, "site": "danang"})
    assert made.json() == {"login": "chief@acme.test", "site": "danang"}
    chief = await office.with_token(await office.token_of("chief@acme.test", Role.SITE_ADMIN))
    assert (await chief.patch("/api/v1/users/dung", json={"name": "Dũng 2"})).status_code == 200
    for asking in (
        chief.patch("/api/v1/users/alice", json={"name": "X"}),
        chief.patch("/api/v1/users/dung", json={"site": "main"}),
        chief.post("/api/v1/users", json={"extension": "150", "name": "X"}),
        chief.delete("/api/v1/common-areas/wall"),
        chief.patch("/api/v1/devices/acme-101", json={"model": "x"}),
        chief.post("/api/v1/devices", json={"username": "gw", "password": "x"}),
        chief.patch("/api/v1/sites/danang", json={"name": "X"}),
    ):
        answer = await asking
        assert (answer.status_code, error_id(answer)) == (403, "not_allowed"), answer.url
    assert (await chief.post("/api/v1/users", json={"extension": "150", "name": "X", "site": "danang"})).status_code == 201
    assert (await admin.get("/api/v1/users/alice")).json()["name"] == "Alice"


async def test_an_account_lives_and_goes(office: Office) -> None:
    operator = await office.as_("installation")
    made = await operator.post("/api/v1/accounts", json={"slug": "new", "name": "New"})
    assert (made.status_code, made.json()["slug"]) == (201, "new"), made.text
    again = await operator.post("/api/v1/accounts", json={"slug": "acme", "name": "New"})
    assert (again.status_code, error_id(again)) == (409, "already_there")
    admin = {"login": "boss@new.test", "password": PASSWORD}
    assert (await operator.post("/api/v1/admins?account=new", json=admin)).status_code == 201
    token = (await office.anybody.post("/api/v1/login", json=admin)).json()["token"]
    boss = await office.with_token(token)
    assert (await boss.patch("/api/v1/accounts/new", json={"name": "Newer", "language": "vi"})).json()["language"] == "vi"
    assert (await boss.patch("/api/v1/accounts/acme", json={"name": "X"})).status_code == 404
    assert (await operator.get("/api/v1/lots?account=new")).json()["items"][0]["codes"] == "801-899"
    assert (await operator.delete("/api/v1/accounts/new")).status_code == 204
    assert "new" not in office.world.directory.accounts
    assert (await boss.get("/api/v1/me")).status_code == 401
    assert (await operator.delete("/api/v1/accounts/new")).status_code == 404


async def test_the_whole_directory_goes_out_and_in(office: Office) -> None:
    operator = await office.as_("installation")
    whole = (await operator.get("/api/v1/directory")).json()
    assert (await operator.put("/api/v1/directory", json=whole)).json() == {"changes": []}
    whole["accounts"][0]["users"][0]["name"] = "Alicia"
    answer = await operator.put("/api/v1/directory", json=whole)
    assert answer.json() == {"changes": ["acme: updated user 101 Alice renamed to Alicia"]}
    whole["accounts"][0]["users"][0]["extension"] = 7
    answer = await operator.put("/api/v1/directory", json=whole)
    assert (answer.status_code, error_id(answer)) == (422, "directory_refused")
    fault = {"where": "users[0].extension", "reason": "a text is wanted (write it in quotes)"}
    assert answer.json()["errors"] == [fault]
    assert (await (await office.as_("admin@acme.test")).get("/api/v1/directory")).status_code == 403


async def test_changes_are_in_the_audit_trail_without_secrets(office: Office) -> None:
    admin = await office.as_("admin@acme.test")
    await admin.patch("/api/v1/users/alice", json={"name": "Alicia", "password": "new secret"})
    await admin.post("/api/v1/users", json={"extension": "150", "name": "Eve", "id": "eve"})
    await admin.delete("/api/v1/users/eve")
    trail = (await admin.get("/api/v1/audit")).json()["items"]
    assert [(row["action"], row["object"]) for row in trail] == [
        ("delete", "users/eve"),
        ("create", "users/eve"),
        ("change", "users/alice"),
    ]
    assert trail[2]["before"] == {"name": "Alice"}
    assert trail[2]["after"] == {"name": "Alicia", "password": "…"}
    assert (trail[2]["by"], trail[2]["role"]) == ("admin@acme.test", "account_admin")
    one = (await admin.get("/api/v1/audit?limit=1&object=users/eve")).json()
    assert one["items"] == trail[:1]
    assert (await admin.get(f"/api/v1/audit?limit=1&object=users/eve&cursor={one['next']}")).json()["items"] == trail[1:2]
    other = await office.as_("admin@other.test")
    assert (await other.get("/api/v1/audit")).json()["items"] == []

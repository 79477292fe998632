"""Scripts written for another service's API run here; what they are told is in that API's words."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from parkade.api.principal import Role
from tests.api.conftest import Office
from tests.api.served import served

SCRIPT = Path(__file__).with_name("call_park_script.py")
FIELDS = {"enable", "locked", "locked_by", "expiration_period", "call_not_picked_up_action", "sequence"}


def test_a_script_runs_with_another_address_and_token(office_data: Path) -> None:
    with served(office_data) as server:
        token = server.within(lambda office: office.token_of("admin@acme.test", Role.ACCOUNT_ADMIN))
        run = subprocess.run(
            [sys.executable, "-I", SCRIPT, server.url, token], capture_output=True, text=True, check=False, timeout=60
        )
        assert run.returncode == 0, run.stderr
        assert run.stdout.splitlines() == [
            "account: 10 min, then ring back to parker, sequence 1",
            "account: 15 min, then ring back to parker, sequence 1",
            "site: 5 min, then another extension to 110 (Warehouse wall), sequence 1",
            "user: 5 min, then another extension to 110 (Warehouse wall), sequence 1",
            "user: 20 min, then disconnect to 110 (Warehouse wall), sequence 1",
            "common area: 5 min, then another extension to 110 (Warehouse wall), sequence 1",
            "user: 5 min, then another extension to 110 (Warehouse wall), sequence 1, locked by site",
            "user: 403 These settings are locked by site Main.",
            "site: 15 min, then ring back to parker, sequence 1",
        ]


@pytest.mark.asyncio
async def test_every_level_has_its_fields(office: Office) -> None:
    admin = await office.as_("admin@acme.test")
    group = (await admin.post("/api/v1/groups", json={"name": "Day"})).json()["id"]

    async def park(path: str) -> Any:
        body = (await admin.get(f"/v2/phone/{path}")).json()
        return body.get("policy", body)["call_park"]

    assert (await park("account_settings")).keys() == FIELDS
    assert (await park("sites/main")).keys() == FIELDS | {"modified"}
    assert (await park("users/alice")).keys() == FIELDS
    assert (await park("common_areas/wall")).keys() == FIELDS
    of_group = await park(f"groups/{group}/settings")
    assert of_group.keys() == FIELDS | {"modified", "music_on_park"}
    assert of_group["music_on_park"] == {"audio_id": "", "audio_name": "Default"}
    await admin.patch(f"/v2/phone/groups/{group}/settings", json={"call_park": {"locked": True}})
    assert (await park(f"groups/{group}/settings"))["locked_by"] == "user_group"
    answer = await admin.patch(
        "/v2/phone/account_settings", json={"call_park": {"forward_to_extension_id": "bob", "call_not_picked_up_action": 50}}
    )
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await park("account_settings"))["forward_to"] == {
        "display_name": "Bob",
        "extension_id": "bob",
        "extension_number": 102,
        "extension_type": "user",
        "id": "bob",
    }
    assert (await admin.get("/v2/groups")).json()["groups"] == [{"id": group, "name": "Day", "total_members": 0}]


@pytest.mark.asyncio
async def test_users_are_found_by_login_and_as_me(office: Office) -> None:
    alice = await office.as_("alice@acme.test")
    for name in ("alice", "alice@acme.test", "me"):
        assert (await alice.get(f"/v2/phone/users/{name}")).json()["extension_number"] == 101, name
    assert (await alice.get("/v2/phone/users/bob")).status_code == 404


@pytest.mark.asyncio
async def test_errors_are_in_the_form_of_that_service(office: Office) -> None:
    admin, charlie = await office.as_("admin@acme.test"), await office.as_("charlie@other.test")
    other = await office.as_("admin@other.test")
    board = await office.with_token(await office.token_of(None, Role.WALL_BOARD, account="acme"))
    for asking, status, code in (
        (office.anybody.get("/v2/phone/account_settings"), 401, 124),
        (board.get("/v2/phone/account_settings"), 403, 200),
        (admin.get("/v2/phone/users/nobody"), 404, 404),
        (admin.get("/v2/phone/nothing"), 404, 404),
        (charlie.get("/v2/phone/users/alice"), 404, 404),
        (charlie.get("/v2/phone/sites/main"), 403, 200),
        (other.get("/v2/phone/sites/main"), 404, 404),
        (other.get("/v2/phone/common_areas/wall"), 404, 404),
        (other.patch("/v2/phone/sites/main", json={"policy": {"call_park": {"enable": False}}}), 404, 404),
        (charlie.patch("/v2/phone/users/alice", json={"policy": {"call_park": {"enable": False}}}), 404, 404),
        (admin.patch("/v2/phone/account_settings", json={"call_park": {"expiration_period": 11}}), 400, 300),
        (admin.patch("/v2/phone/account_settings", json={"call_park": {"reset": True}}), 400, 300),
        (admin.patch("/v2/phone/account_settings", json={"call_park": {"forward_to_extension_id": "charlie"}}), 400, 300),
        (admin.patch("/v2/phone/users/alice", json={"policy": 1}), 400, 300),
        (admin.patch("/v2/phone/users/alice", json=[]), 400, 300),
    ):
        answer = await asking
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
        assert answer.json()["message"]
    unknown = {"policy": {"call_park": {"unheard_of": 1}, "voicemail": {}}}
    assert (await admin.patch("/v2/phone/users/alice", json=unknown)).status_code == 204

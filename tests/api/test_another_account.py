"""Charlie, of the other account: every endpoint that is about one thing answers 404 for those of Alice's account.

The endpoints come from the application itself, so a new one is asked too, and needs a line in ``THINGS`` if it has a new noun.
"""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from sqlalchemy import insert

from parkade.api.principal import Role
from parkade.store import tables as t
from tests.api.conftest import Office, error_id
from tools.make_api_pages import Endpoint, endpoints

pytestmark = pytest.mark.asyncio

BODIES: dict[str, dict[str, Any]] = {
    "/park": {"by": "101"},
    "/transfer": {"to": "102", "by": "101"},
    "/retrieve": {"device": "other-101"},
    "/webhooks/{webhook}/replay": {"after": "e1"},
    "/parked-calls/{code}": {"note": "x"},
}
"""By the end of the path: bodies that are right in themselves. Elsewhere an empty one will do."""


async def things(office: Office) -> dict[str, str]:
    """Something of Alice's account for every noun."""
    admin = await office.as_("admin@acme.test")
    office.parked()
    office.talking("acme-110", "acme-103")
    group = (await admin.post("/api/v1/groups", json={"name": "Day"})).json()["id"]
    token = (await admin.post("/api/v1/tokens", json={"name": "x"})).json()["id"]
    webhook = await admin.post("/api/v1/webhooks", json={"url": "https://8.8.8.8/x", "events": ["*"]})
    park = {"uid": "p1", "account": "acme", "call": "c1", "lot": "Main", "code": "*801", "reparks": 0}
    park |= {"caller_name": "Lan", "caller_number": "1", "note": "", "parked_at": office.world.now}
    async with office.store.writing() as connection:
        await connection.execute(insert(t.park_history).values(**park))
    assert webhook.status_code == 201, webhook.text
    calls = (await admin.get("/api/v1/calls")).json()["items"]
    return {
        "calls": next(call["id"] for call in calls if call["stage"] == "talking"),
        "parked-calls": "801",
        "sites": "main",
        "groups": group,
        "users": "alice",
        "common-areas": "wall",
        "common_areas": "wall",
        "devices": "acme-101",
        "licences": "alice",
        "lots": (await admin.get("/api/v1/lots")).json()["items"][0]["id"],
        "accounts": "acme",
        "admins": "admin@acme.test",
        "tokens": token,
        "webhooks": webhook.json()["id"],
        "deliveries": "nothing",
        "parks": "p1",
    }


async def about(client: httpx.AsyncClient, endpoint: Endpoint, known: dict[str, str]) -> httpx.Response:
    """Ask about the thing of the account."""
    parts = endpoint.path.split("/")
    for i, part in enumerate(parts):
        if part.startswith("{"):
            parts[i] = known[parts[i - 1]]
    body = next((body for end, body in BODIES.items() if endpoint.path.endswith(end)), {})
    json = body if endpoint.method in ("POST", "PUT", "PATCH") else None
    return await client.request(endpoint.method, "/".join(parts), json=json)


@pytest.mark.parametrize("asker", ["admin@other.test", "charlie@other.test"])
async def test_what_is_of_another_account_is_not_there(office: Office, asker: str) -> None:
    known = await things(office)
    stranger = await office.as_(asker)
    role = Role.ACCOUNT_ADMIN if asker.startswith("admin") else Role.USER
    asked = 0
    for endpoint in endpoints(office.app):
        if "{" not in endpoint.path or "–" in endpoint.reach(role) or "/bans/" in endpoint.path:
            continue
        answer = await about(stranger, endpoint, known)
        if answer.status_code == 403 and role is Role.USER:
            assert error_id(answer) == "not_allowed"  # to speak for somebody else is refused before it is looked who
            own = {"to": "102"} if endpoint.path.endswith("/transfer") else {}
            answer = await stranger.request(endpoint.method, answer.url.path, json=own)
        assert answer.status_code == 404, (endpoint, answer.status_code, answer.text)
        assert "Alice" not in answer.text
        assert "Acme" not in answer.text
        asked += 1
    assert asked > (40 if role is Role.ACCOUNT_ADMIN else 15)
    assert office.phones["acme-102"].current.hears("music")
    assert office.phones["acme-103"].current.hears(office.phones["acme-110"])


@pytest.mark.parametrize("asker", ["admin@other.test", "charlie@other.test"])
async def test_lists_have_nothing_of_another_account(office: Office, asker: str) -> None:
    await things(office)
    stranger = await office.as_(asker)
    role = Role.ACCOUNT_ADMIN if asker.startswith("admin") else Role.USER
    for endpoint in endpoints(office.app):
        if endpoint.method != "GET" or "{" in endpoint.path or "–" in endpoint.reach(role):
            continue
        if endpoint.path.startswith(("/api/v1/errors", "/metrics", "/healthz", "/readyz")):
            continue
        answer = await stranger.get(endpoint.path)
        for word in ("Alice", "Acme", "acme", "danang", "Đà Nẵng", "Warehouse"):
            assert word not in answer.text, (endpoint, answer.text)
        answer = await stranger.get(endpoint.path, params={"account": "acme"})
        assert answer.status_code in (200, 404, 422), endpoint
        assert "Alice" not in answer.text

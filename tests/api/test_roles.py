"""The table of endpoints and roles, by real requests: whom it keeps out is answered 403, nobody else is."""

from __future__ import annotations

import httpx
import pytest

from parkade.api.auth import Reach
from parkade.api.principal import Role
from tests.api.conftest import PASSWORD, Office, error_id
from tools.make_api_pages import WORDS, Endpoint, endpoints

pytestmark = pytest.mark.asyncio


async def client_as(office: Office, role: Role) -> httpx.AsyncClient:
    match role:
        case Role.INSTALLATION_ADMIN:
            return await office.as_("installation")
        case Role.ACCOUNT_ADMIN:
            return await office.as_("admin@acme.test")
        case Role.SITE_ADMIN:
            admin = await office.as_("admin@acme.test")
            await admin.post("/api/v1/admins", json={"login": "chief@acme.test", "password": PASSWORD, "site": "danang"})
            return await office.with_token(await office.token_of("chief@acme.test", Role.SITE_ADMIN))
        case Role.USER:
            return await office.as_("alice@acme.test")
        case _:
            return await office.with_token(await office.token_of(None, Role.WALL_BOARD, account="acme"))


async def ask(client: httpx.AsyncClient, endpoint: Endpoint, account: str) -> httpx.Response:
    """Something that is nowhere, with a body that says nothing: only the door is tried."""
    path = endpoint.path
    while "{" in path:
        before, _, rest = path.partition("{")
        path = f"{before}nowhere{rest.partition('}')[2]}"
    json: dict[str, str] | None = {} if endpoint.method in ("POST", "PUT", "PATCH") else None
    return await client.request(endpoint.method, f"{path}{account}", json=json)


@pytest.mark.parametrize("role", Role)
async def test_the_door_of_every_endpoint(office: Office, role: Role) -> None:
    client = await client_as(office, role)
    account = "?account=acme" if role is Role.INSTALLATION_ADMIN else ""
    for endpoint in endpoints(office.app):
        answer = await ask(client, endpoint, account)
        assert answer.status_code < 500, (endpoint, answer.text)
        kept_out = answer.status_code == 403 and _is_the_door(endpoint, answer)
        assert kept_out == (endpoint.reach(role) == WORDS[Reach.NONE]), (endpoint, answer.status_code, answer.text)


def _is_the_door(endpoint: Endpoint, answer: httpx.Response) -> bool:
    return endpoint.path.startswith("/v2/") or error_id(answer) == "not_allowed"


async def test_nobody_gets_in_anywhere_without_a_token(office: Office) -> None:
    wrong = await office.with_token("pk_wrong")
    for endpoint in endpoints(office.app):
        for client in (office.anybody, wrong):
            answer = await ask(client, endpoint, "")
            assert (answer.status_code == 401) == endpoint.signed_in, (endpoint, answer.status_code)

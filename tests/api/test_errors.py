"""Whatever goes wrong is said in one form, and says nothing of how the server is made."""

from __future__ import annotations

import httpx
import pytest

from parkade.api.limits import Limiter
from tests.api.conftest import Office, error_id

pytestmark = pytest.mark.asyncio


async def test_every_kind_of_error_has_the_one_form(office: Office) -> None:
    alice = await office.as_("alice@acme.test")
    login = "/api/v1/login"
    said = {
        await _said(alice.get("/api/v1/nothing")),
        await _said(alice.get("/elsewhere")),
        await _said(alice.delete("/api/v1/me")),
        await _said(alice.post(login, content=b"{", headers={"Content-Type": "application/json"})),
        await _said(alice.post(login, content=b"[" * 100_000, headers={"Content-Type": "application/json"})),
        await _said(alice.post(login, json={"login": 1})),
        await _said(alice.post(login, json={"login": "a" * (1 << 20), "password": ""})),
        await _said(alice.get("/api/v1/me%00")),
        await _said(alice.get("/api/v1/errors?cursor=%00")),
        await _said(alice.get("/api/v1/errors?cursor=abc")),
        await _said(alice.get("/api/v1/errors?limit=0")),
    }
    assert said == {
        (404, "not_found"),
        (405, "method_not_allowed"),
        (422, "invalid_request"),
        (400, "bad_request"),
        (413, "too_large"),
        (400, "bad_cursor"),
    }


async def _said(asking: object) -> tuple[int, str]:
    answer = await asking  # type: ignore[misc]
    return answer.status_code, error_id(answer)


async def test_the_places_that_are_wrong_are_named(office: Office) -> None:
    answer = await office.anybody.post("/api/v1/login", json={"login": 1, "password": "x", "more": True})
    assert {(fault["where"], fault["reason"]) for fault in answer.json()["errors"]} == {
        ("body.login", "Input should be a valid string"),
        ("body.more", "Extra inputs are not permitted"),
    }


async def test_a_mistake_of_ours_lets_nothing_out(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    alice = await office.as_("alice@acme.test")

    def broken() -> float:
        raise ValueError("secret things at line 5")

    monkeypatch.setattr(office.services, "now", broken)
    answer = await alice.get("/api/v1/me")
    assert (answer.status_code, error_id(answer)) == (500, "internal_error")
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text


async def test_the_catalogue_is_for_everybody_and_comes_in_pages(office: Office) -> None:
    first = (await office.anybody.get("/api/v1/errors?limit=10")).json()
    ids = [item["error_id"] for item in first["items"]]
    assert len(ids) == 10
    while first["next"]:
        first = (await office.anybody.get(f"/api/v1/errors?limit=10&cursor={first['next']}")).json()
        ids += [item["error_id"] for item in first["items"]]
    assert ids == sorted(set(ids))
    assert {"lot_full", "not_signed_in", "draining"} <= set(ids)


async def test_requests_are_limited(office: Office) -> None:
    alice, bob = await office.as_("alice@acme.test"), await office.as_("bob@acme.test")
    office.services.limiter = Limiter(rate_per_s=1, burst=5)
    answers = list[httpx.Response]()
    while not answers or answers[-1].status_code == 200:
        answers.append(await alice.get("/api/v1/me"))
    assert len(answers) == 6
    assert error_id(answers[-1]) == "too_many_requests"
    assert answers[-1].headers["retry-after"] == "1"
    assert (await bob.get("/api/v1/me")).status_code == 200
    office.world.run(2)
    assert (await alice.get("/api/v1/me")).status_code == 200

"""Calls through the API: seeing, parking, retrieving, giving back, forcing back, transferring, ending; who may and who sees."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from parkade.api.principal import Role
from tests.api.conftest import PASSWORD, Office, error_id

pytestmark = pytest.mark.asyncio


async def call_of(client: httpx.AsyncClient) -> dict[str, Any]:
    (call,) = (await client.get("/api/v1/calls")).json()["items"]
    found: dict[str, Any] = call
    return found


async def test_a_call_is_seen_by_who_is_in_it(office: Office) -> None:
    office.talking()
    alice, admin = await office.as_("alice@acme.test"), await office.as_("admin@acme.test")
    call = await call_of(alice)
    assert call["stage"] == "talking"
    assert [(party["name"], party["state"]) for party in call["parties"]] == [("Bob", "talking"), ("Alice", "talking")]
    assert (await alice.get(f"/api/v1/calls/{call['id']}")).json() == call == await call_of(admin)
    for login in ("charlie@other.test", "admin@other.test"):
        stranger = await office.as_(login)
        assert (await stranger.get("/api/v1/calls")).json()["items"] == []
        for asking in (
            stranger.get(f"/api/v1/calls/{call['id']}"),
            stranger.post(f"/api/v1/calls/{call['id']}/hang-up"),
            stranger.post(f"/api/v1/calls/{call['id']}/park", json={} if login.startswith("c") else {"by": "101"}),
            stranger.post(f"/api/v1/calls/{call['id']}/transfer", json={"to": "102", "by": "101"}),
        ):
            answer = await asking
            assert (answer.status_code, error_id(answer)) == (404, "no_such_call"), answer.url
    assert office.phones["acme-101"].current.hears(office.phones["acme-102"])


async def test_parking_and_retrieving(office: Office) -> None:
    office.talking()
    alice, bob = await office.as_("alice@acme.test"), await office.as_("bob@acme.test")
    call = await call_of(alice)
    answer = await alice.post(f"/api/v1/calls/{call['id']}/park", json={"slot": "805", "note": "for Dũng, order 5512"})
    assert answer.status_code == 200, answer.text
    parked = answer.json()
    assert (parked["code"], parked["lot"], parked["slot"], parked["state"]) == ("*805", "Main", 805, "parked")
    assert (parked["caller"], parked["parked_by"], parked["note"]) == (
        {"name": "Bob", "number": "102"},
        "101",
        "for Dũng, order 5512",
    )
    assert parked["parked_at"].endswith("Z")
    assert (await bob.get("/api/v1/parked-calls")).json() == {"items": [parked], "next": None}
    for code in ("*805", "805", "%2A805"):
        assert (await bob.get(f"/api/v1/parked-calls/{code}")).json() == parked
    noted = await bob.patch("/api/v1/parked-calls/805", json={"note": "đã báo"})
    assert noted.json()["note"] == "đã báo"
    office.world.run(2)
    office.phones["acme-101"].auto_answer_s = 1
    taken = await alice.post("/api/v1/parked-calls/*805/retrieve")
    assert (taken.status_code, taken.json()["call_id"]) == (200, call["id"]), taken.text
    office.world.run(1)
    assert office.phones["acme-102"].current.hears(office.phones["acme-101"])
    again = await bob.post("/api/v1/parked-calls/*805/retrieve")
    assert (again.status_code, error_id(again)) == (409, "already_picked_up")
    assert "Alice" in again.json()["message"]


async def test_giving_back_keeps_code_and_deadline(office: Office) -> None:
    office.parked()
    alice, admin = await office.as_("alice@acme.test"), await office.as_("admin@acme.test")
    (before,) = (await alice.get("/api/v1/parked-calls")).json()["items"]
    office.phones["acme-103"].auto_answer_s = 1
    assert (await admin.post("/api/v1/parked-calls/801/retrieve", json={"device": "acme-103"})).status_code == 200
    (kept,) = (await admin.get("/api/v1/parked-calls?reserved=true")).json()["items"]
    assert (kept["state"], kept["retrieved_by"]["number"]) == ("reserved", "103")
    not_hers = await alice.post("/api/v1/parked-calls/801/give-back")
    assert (not_hers.status_code, error_id(not_hers)) == (404, "nothing_to_give_back")
    given = await admin.post("/api/v1/parked-calls/801/give-back")
    assert given.status_code == 200, given.text
    assert (given.json()["code"], given.json()["expires_at"]) == ("*801", before["expires_at"])


async def test_forcing_back_rings_who_parked(office: Office) -> None:
    office.parked()
    alice, admin = await office.as_("alice@acme.test"), await office.as_("admin@acme.test")
    answer = await alice.post("/api/v1/parked-calls/801/force-back")
    assert (answer.status_code, error_id(answer)) == (403, "not_allowed")
    assert (await admin.post("/api/v1/parked-calls/801/force-back")).status_code == 204
    office.world.run(1)
    assert office.phones["acme-101"].ringing
    states = [call["state"] for call in (await admin.get("/api/v1/parked-calls")).json()["items"]]
    assert states == ["ringing_back"]


async def test_transferring_and_hanging_up(office: Office) -> None:
    office.talking()
    alice, bob = await office.as_("alice@acme.test"), await office.as_("bob@acme.test")
    call = await call_of(alice)
    answer = await alice.post(f"/api/v1/calls/{call['id']}/transfer", json={"to": "999"})
    assert (answer.status_code, error_id(answer)) == (422, "no_such_number")
    answer = await alice.post(f"/api/v1/calls/{call['id']}/transfer", json={"to": "110"})
    assert (answer.status_code, answer.json()["stage"]) == (200, "transferring"), answer.text
    office.world.run(1)
    office.phones["acme-110"].answer()
    office.world.run(1)
    assert (await alice.get(f"/api/v1/calls/{call['id']}")).status_code == 404
    assert (await alice.post(f"/api/v1/calls/{call['id']}/hang-up")).status_code == 404
    assert (await bob.post(f"/api/v1/calls/{call['id']}/hang-up")).status_code == 204
    office.world.run(1)
    assert not office.phones["acme-110"].live


async def test_an_administrator_says_whose_and_which_phone(office: Office) -> None:
    office.talking()
    admin = await office.as_("admin@acme.test")
    call = await call_of(admin)
    answer = await admin.post(f"/api/v1/calls/{call['id']}/park", json={})
    assert (answer.status_code, error_id(answer)) == (422, "needs_party")
    assert (await admin.post(f"/api/v1/calls/{call['id']}/park", json={"by": "101"})).json()["parked_by"] == "101"
    answer = await admin.post("/api/v1/parked-calls/801/retrieve", json={})
    assert (answer.status_code, error_id(answer)) == (422, "needs_device")
    answer = await admin.post("/api/v1/parked-calls/801/retrieve", json={"device": "other-101"})
    assert (answer.status_code, error_id(answer)) == (404, "no_such_device")
    alice = await office.as_("alice@acme.test")
    answer = await alice.post("/api/v1/parked-calls/801/retrieve", json={"device": "acme-102"})
    assert (answer.status_code, error_id(answer)) == (404, "no_such_device")
    answer = await alice.post(f"/api/v1/calls/{call['id']}/park", json={"by": "102"})
    assert (answer.status_code, error_id(answer)) == (403, "not_allowed")


async def test_a_phone_that_is_not_there_is_passed_over(office: Office) -> None:
    office.parked()
    admin, alice = await office.as_("admin@acme.test"), await office.as_("alice@acme.test")
    device = {"password": "x", "owner": "alice"}
    assert (await admin.post("/api/v1/devices", json={"username": "app-1", **device})).status_code == 201
    assert (await admin.delete("/api/v1/devices/acme-101")).status_code == 204
    assert (await admin.post("/api/v1/devices", json={"username": "acme-101", **device})).status_code == 201
    assert (await alice.get("/api/v1/me")).json()["devices"] == ["app-1", "acme-101"]
    answer = await alice.post("/api/v1/parked-calls/801/retrieve", json={"device": "app-1"})
    assert (answer.status_code, error_id(answer)) == (409, "not_registered")
    office.phones["acme-101"].register()
    office.world.run(1)
    office.phones["acme-101"].auto_answer_s = 1
    assert (await alice.post("/api/v1/parked-calls/801/retrieve", json={})).status_code == 200


async def test_of_another_account_nothing_is_parked(office: Office) -> None:
    office.parked()
    for login in ("charlie@other.test", "admin@other.test"):
        stranger = await office.as_(login)
        assert (await stranger.get("/api/v1/parked-calls?reserved=true")).json()["items"] == []
        device = {"device": "other-101"}
        for asking in (
            stranger.get("/api/v1/parked-calls/801"),
            stranger.patch("/api/v1/parked-calls/801", json={"note": "x"}),
            stranger.post("/api/v1/parked-calls/801/give-back"),
            stranger.post("/api/v1/parked-calls/801/retrieve", json=device),
        ):
            answer = await asking
            assert answer.status_code == 404, (answer.url, answer.text)
            assert error_id(answer) in ("no_call_parked", "nothing_to_give_back")
    answer = await (await office.as_("admin@other.test")).post("/api/v1/parked-calls/801/force-back")
    assert (answer.status_code, error_id(answer)) == (404, "no_call_parked")
    assert office.phones["acme-102"].current.hears("music")


async def test_who_may_not_see_a_parked_call_does_not(office: Office) -> None:
    admin, bob = await office.as_("admin@acme.test"), await office.as_("bob@acme.test")
    private = {"visibility": ["110"]}
    assert (await admin.patch("/api/v1/users/alice/settings/call-park", json=private)).status_code == 200
    office.parked("acme-103", "acme-101")
    board = await office.with_token(await office.token_of(None, Role.WALL_BOARD, account="acme"))
    assert len((await admin.get("/api/v1/parked-calls")).json()["items"]) == 1
    assert len((await (await office.as_("alice@acme.test")).get("/api/v1/parked-calls")).json()["items"]) == 1
    for client in (bob, board):
        assert (await client.get("/api/v1/parked-calls")).json()["items"] == []
        assert (await client.get("/api/v1/parked-calls/801")).status_code == 404
    answer = await bob.post("/api/v1/parked-calls/801/retrieve")
    assert (answer.status_code, error_id(answer)) == (404, "no_call_parked")


async def test_a_sites_administrator_and_a_board_see_their_site(office: Office) -> None:
    admin = await office.as_("admin@acme.test")
    await admin.post("/api/v1/admins", json={"login": "chief@acme.test", "password": PASSWORD, "site": "danang"})
    chief = await office.with_token(await office.token_of("chief@acme.test", Role.SITE_ADMIN))
    board = await office.with_token(await office.token_of(None, Role.WALL_BOARD, account="acme", site="danang"))
    office.parked()
    (call,) = (await admin.get("/api/v1/calls")).json()["items"]
    for client in (chief, board):
        assert (await client.get("/api/v1/parked-calls")).json()["items"] == []
        assert (await client.get("/api/v1/parked-calls?site=main")).status_code == 404
    assert (await chief.get("/api/v1/calls")).json()["items"] == []
    assert (await chief.get(f"/api/v1/calls/{call['id']}")).status_code == 404
    assert (await chief.post(f"/api/v1/calls/{call['id']}/hang-up")).status_code == 404
    assert (await chief.post("/api/v1/parked-calls/801/force-back")).status_code == 404
    office.parked("acme-110", "acme-103")
    (there,) = (await chief.get("/api/v1/parked-calls")).json()["items"]
    assert there["code"] == "*701"
    assert [one["code"] for one in (await board.get("/api/v1/parked-calls")).json()["items"]] == ["*701"]
    assert [one["id"] for one in (await chief.get("/api/v1/calls")).json()["items"]] == [there["call_id"]]


async def test_lists_of_calls_come_in_pages_and_are_filtered(office: Office) -> None:
    office.parked("acme-102", "acme-101")
    office.parked("acme-103", "acme-110")
    admin = await office.as_("admin@acme.test")
    for noun in ("calls", "parked-calls"):
        whole = (await admin.get(f"/api/v1/{noun}")).json()["items"]
        assert len(whole) == 2
        first = (await admin.get(f"/api/v1/{noun}?limit=1")).json()
        second = (await admin.get(f"/api/v1/{noun}?limit=1&cursor={first['next']}")).json()
        assert first["items"] + second["items"] == whole
        assert second["next"] is None
    assert (await admin.get("/api/v1/calls?stage=talking")).json()["items"] == []
    assert len((await admin.get("/api/v1/calls?stage=parked")).json()["items"]) == 2
    assert len((await admin.get("/api/v1/parked-calls?site=main")).json()["items"]) == 2
    assert (await admin.get("/api/v1/parked-calls?site=danang")).json()["items"] == []
    assert (await admin.get("/api/v1/parked-calls?state=waiting")).json()["items"] == []


async def test_the_same_key_parks_once(office: Office) -> None:
    office.talking()
    alice, bob = await office.as_("alice@acme.test"), await office.as_("bob@acme.test")
    path = f"/api/v1/calls/{(await call_of(alice))['id']}/park"
    key = {"Idempotency-Key": "5512"}
    first = await alice.post(path, json={"note": "x"}, headers=key)
    again = await alice.post(path, content=b'{ "note":"x" }', headers={**key, "Content-Type": "application/json"})
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.json() == first.json()
    assert again.headers["idempotent-replayed"] == "true"
    other = await alice.post(path, json={"note": "y"}, headers=key)
    assert (other.status_code, error_id(other)) == (422, "idempotency_key_reused")
    office.phones["acme-101"].auto_answer_s = 1
    key = {"Idempotency-Key": "5513"}
    taken = await alice.post("/api/v1/parked-calls/801/retrieve", headers=key)
    assert taken.status_code == 200
    assert (await alice.post("/api/v1/parked-calls/801/retrieve", headers=key)).json() == taken.json()
    lost = [await bob.post("/api/v1/parked-calls/801/retrieve", headers=key) for _ in range(2)]
    assert [(answer.status_code, error_id(answer)) for answer in lost] == [(409, "already_picked_up")] * 2
    assert lost[1].headers["idempotent-replayed"] == "true"


async def test_what_could_not_be_done_is_done_when_it_is_asked_again(office: Office) -> None:
    office.talking()
    alice = await office.as_("alice@acme.test")
    path = f"/api/v1/calls/{(await call_of(alice))['id']}/park"
    key = {"Idempotency-Key": "k"}
    office.signalling.away = True
    answer = await alice.post(path, json={}, headers=key)
    assert (answer.status_code, error_id(answer), answer.headers["retry-after"]) == (503, "signalling_away", "2")
    office.signalling.away = False
    assert (await alice.post(path, json={}, headers=key)).status_code == 200


async def test_a_request_that_is_under_way_is_not_begun_again(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    office.talking()
    alice = await office.as_("alice@acme.test")
    path = f"/api/v1/calls/{(await call_of(alice))['id']}/park"
    key = {"Idempotency-Key": "k"}
    ask, inner = office.signalling.ask, list[httpx.Response]()

    async def asked_meanwhile(*given: Any, **more: Any) -> Any:
        monkeypatch.setattr(office.signalling, "ask", ask)
        inner.append(await alice.post(path, json={}, headers=key))
        return await ask(*given, **more)

    monkeypatch.setattr(office.signalling, "ask", asked_meanwhile)
    assert (await alice.post(path, json={}, headers=key)).status_code == 200
    assert (inner[0].status_code, error_id(inner[0])) == (409, "idempotency_under_way")

"""Webhooks over the API: made, seen, changed, tried out, sent again; by administrators of the account and by nobody else."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest

from parkade.api.outside import Outside, networks
from parkade.api.refusals import EVENT_GONE
from parkade.api.rest.webhooks import MOST
from parkade.api.webhook_forms import body_of
from parkade.api.webhook_sender import WebhookSender
from parkade.edge.event_json import TYPES, event_json
from parkade.store import events as stored
from parkade.store import tables, webhooks
from tests.api.conftest import Office, error_id
from tests.api.receiver import receiving, says, well

pytestmark = pytest.mark.asyncio

HOOKS = "/api/v1/webhooks"
ADMIN = "admin@acme.test"


def allow_loopback(office: Office) -> None:
    use = office.services
    use.outside = Outside(networks("127.0.0.1"))
    use.sender = WebhookSender(use.store, use.outside, use.now)


async def made(office: Office, url: str, **more: Any) -> dict[str, Any]:
    allow_loopback(office)
    client = await office.as_(ADMIN)
    answer = await client.post(HOOKS, json={"url": url, **more})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def happen(office: Office) -> list[str]:
    """What the world has said so far goes into the database, as the ingest does it; the ids."""
    events = [{"number": i + 1, **event_json(event)} for i, event in enumerate(office.world.events)]
    async with office.store.writing() as connection:
        await stored.add(connection, events)
        await webhooks.enqueue(connection, events, office.services.now())
    return [str(event["id"]) for event in events]


async def run_until(office: Office, done: Callable[[], Awaitable[bool]]) -> None:
    task = asyncio.create_task(office.services.sender.run())
    try:
        async with asyncio.timeout(20):
            while not await done():  # noqa: ASYNC110 - it is a database that is looked at
                await asyncio.sleep(0.02)
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_the_secret_is_shown_once_and_again_after_a_rotation(office: Office) -> None:
    hook = await made(office, "http://127.0.0.1:9/hook")
    client = await office.as_(ADMIN)
    assert hook["secret"].startswith("whs_")
    assert len(hook["secret"]) > 40
    assert (hook["events"], hook["form"], hook["active"], hook["failing_since"]) == (["*"], "parkade", True, None)
    seen = (await client.get(f"{HOOKS}/{hook['id']}")).json()
    assert "secret" not in seen
    assert "secret" not in (await client.get(HOOKS)).text
    rotated = (await client.post(f"{HOOKS}/{hook['id']}/rotate-secret")).json()
    assert rotated["secret"] != hook["secret"]
    assert {key: rotated[key] for key in seen} == seen
    async with office.store.reading() as connection:
        audited = [dict(row) for row in (await connection.execute(tables.audit.select())).mappings()]
    assert [(entry["action"], entry["object"]) for entry in audited] == [
        ("create", f"webhooks/{hook['id']}"),
        ("rotate_secret", f"webhooks/{hook['id']}"),
    ]
    assert "whs_" not in str(audited)


@pytest.mark.parametrize("who", ["alice@acme.test", "charlie@other.test", "admin@other.test"])
async def test_nobody_else_sees_or_touches_it(office: Office, who: str) -> None:
    hook = await made(office, "http://127.0.0.1:9/hook")
    client = await office.as_(who)
    is_admin = who.startswith("admin")
    expected = (404, "not_found") if is_admin else (403, "not_allowed")
    path = f"{HOOKS}/{hook['id']}"
    for answer in (
        await client.get(path),
        await client.patch(path, json={"active": False}),
        await client.delete(path),
        await client.post(f"{path}/rotate-secret"),
        await client.post(f"{path}/test"),
        await client.get(f"{path}/deliveries"),
        await client.post(f"{path}/deliveries/x/replay"),
        await client.post(f"{path}/replay", json={"after": "x"}),
    ):
        assert (answer.status_code, error_id(answer)) == expected, answer.request.url
    listed = await client.get(HOOKS)
    assert listed.json() == {"items": [], "next": None} if is_admin else listed.status_code == 403
    async with office.store.reading() as connection:
        assert await webhooks.count(connection, "acme") == 1


async def test_it_is_listed_changed_and_removed(office: Office) -> None:
    first = await made(office, "http://127.0.0.1:9/first", events=["call.parked"])
    second = await made(office, "http://127.0.0.1:9/second")
    client = await office.as_(ADMIN)
    page = (await client.get(HOOKS, params={"limit": 1})).json()
    assert [hook["id"] for hook in page["items"]] == [first["id"]]
    page = (await client.get(HOOKS, params={"limit": 1, "cursor": page["next"]})).json()
    assert ([hook["id"] for hook in page["items"]], page["next"]) == ([second["id"]], None)
    changed = await client.patch(f"{HOOKS}/{first['id']}", json={"events": ["call.retrieved", "call.parked"], "active": False})
    assert (changed.json()["events"], changed.json()["active"]) == (["call.retrieved", "call.parked"], False)
    assert (await client.patch(f"{HOOKS}/{first['id']}", json={})).json() == changed.json()
    assert (await client.delete(f"{HOOKS}/{first['id']}")).status_code == 204
    assert (await client.get(f"{HOOKS}/{first['id']}")).status_code == 404
    installation = await office.as_("installation")
    assert error_id(await installation.get(HOOKS)) == "account_needed"
    assert len((await installation.get(HOOKS, params={"account": "acme"})).json()["items"]) == 1


BAD: list[dict[str, Any]] = [
    {},
    {"url": "ftp://example.com/"},
    {"url": "https://"},
    {"url": "https://user:password@example.com/"},
    {"url": "https://example.com/#here"},
    {"url": "https://example.com/\u0000"},
    {"url": "https://đồ.example/"},
    {"url": "https://example.com:99999/"},
    {"url": "https://example.com/" + "x" * 2000},
    {"url": "http://127.0.0.1:9/", "events": []},
    {"url": "http://127.0.0.1:9/", "events": ["call.nonsense"]},
    {"url": "http://127.0.0.1:9/", "form": "nonsense"},
    {"url": "http://127.0.0.1:9/", "secret": "mine"},
]


@pytest.mark.parametrize("body", BAD, ids=str)
async def test_what_is_no_webhook(office: Office, body: dict[str, Any]) -> None:
    allow_loopback(office)
    client = await office.as_(ADMIN)
    assert error_id(await client.post(HOOKS, json=body)) == "invalid_request"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/", "http://169.254.169.254/latest/", "http://[::1]:8080/", "http://10.1.2.3/"]
)
async def test_a_target_inside_is_refused_when_it_is_typed_in(office: Office, url: str) -> None:
    client = await office.as_(ADMIN)
    answer = await client.post(HOOKS, json={"url": url})
    assert (answer.status_code, error_id(answer)) == (422, "target_refused")
    assert answer.json()["errors"][0]["where"] == "body.url"
    hook = await made(office, "http://127.0.0.1:9/")
    assert error_id(await client.patch(f"{HOOKS}/{hook['id']}", json={"url": "http://10.1.2.3/"})) == "target_refused"


async def test_an_account_has_so_many_at_most(office: Office) -> None:
    for _ in range(MOST):
        await made(office, "http://127.0.0.1:9/")
    client = await office.as_(ADMIN)
    answer = await client.post(HOOKS, json={"url": "http://127.0.0.1:9/"})
    assert (answer.status_code, error_id(answer)) == (409, "too_many_webhooks")


async def test_it_can_be_tried_out(office: Office) -> None:
    async with receiving() as receiver:
        hook = await made(office, receiver.url, active=False)
        client = await office.as_(ADMIN)
        tried = (await client.post(f"{HOOKS}/{hook['id']}/test")).json()
        assert (tried["delivered"], tried["status"], tried["error"]) == (True, 200, None)
        (got,) = receiver.got
        assert got.json["type"] == "webhook.test"
        at, signed = got.headers["x-parkade-signature"].split(",")
        message = at.removeprefix("t=").encode() + b"." + got.body
        assert signed == "v1=" + hmac.new(hook["secret"].encode(), message, hashlib.sha256).hexdigest()
        receiver.answer = says(301, "Location: http://169.254.169.254/")
        tried = (await client.post(f"{HOOKS}/{hook['id']}/test")).json()
        assert (tried["delivered"], tried["status"]) == (False, 301)
    tried = (await client.post(f"{HOOKS}/{hook['id']}/test")).json()
    assert (tried["delivered"], tried["status"]) == (False, None)


async def test_what_was_sent_is_listed_and_sent_again(office: Office) -> None:
    async with receiving() as receiver:
        hook = await made(office, receiver.url, events=["call.parked", "call.started"])
        path = f"{HOOKS}/{hook['id']}"
        client = await office.as_(ADMIN)
        office.parked()
        await happen(office)

        async def all_over() -> bool:
            return not (await client.get(f"{path}/deliveries", params={"state": "waiting"})).json()["items"]

        await run_until(office, all_over)
        listed = (await client.get(f"{path}/deliveries")).json()["items"]
        assert [each["event_type"] for each in listed] == ["call.parked", "call.started"]
        assert {(each["state"], each["attempts"], each["last_status"], each["next_at"]) for each in listed} == {
            ("delivered", 1, 200, None)
        }
        assert {each["call_id"] for each in listed} == {office.world.events[-1].call}  # type: ignore[union-attr]
        page = (await client.get(f"{path}/deliveries", params={"limit": 1})).json()
        after = (await client.get(f"{path}/deliveries", params={"limit": 1, "cursor": page["next"]})).json()
        assert page["items"] + after["items"] == listed
        again = await client.post(f"{path}/deliveries/{listed[0]['id']}/replay")
        assert again.status_code == 201
        assert (again.json()["event_id"], again.json()["state"]) == (listed[0]["event_id"], "waiting")
        replayed = await client.post(f"{path}/replay", json={"after": listed[1]["event_id"]})
        assert replayed.json() == {"queued": 1, "next": None}
        await run_until(office, all_over)
        assert [got.json["type"] for got in receiver.got] == ["call.started", *["call.parked"] * 3]
        assert len({got.delivery for got in receiver.got}) == 4


async def test_what_cannot_be_sent_again(office: Office) -> None:
    hook = await made(office, "http://127.0.0.1:9/")
    path = f"{HOOKS}/{hook['id']}"
    client = await office.as_(ADMIN)
    office.parked()
    first, *_ = await happen(office)
    (delivery, *_) = (await client.get(f"{path}/deliveries")).json()["items"]
    for after in ("no such event", "\u0000"):
        gone = await client.post(f"{path}/replay", json={"after": after})
        assert (gone.status_code, error_id(gone)) == (410, EVENT_GONE.id)
    assert error_id(await client.post(f"{path}/deliveries/nonsense/replay")) == "not_found"
    await client.patch(path, json={"active": False})
    for answer in (
        await client.post(f"{path}/deliveries/{delivery['id']}/replay"),
        await client.post(f"{path}/replay", json={"after": first}),
    ):
        assert (answer.status_code, error_id(answer)) == (409, "webhook_off")
    await client.patch(path, json={"active": True})
    async with office.store.writing() as connection:
        await connection.execute(tables.event.delete())
    gone = await client.post(f"{path}/deliveries/{delivery['id']}/replay")
    assert (gone.status_code, error_id(gone)) == (410, "event_gone")
    listed = (await client.get(f"{path}/deliveries")).json()["items"]
    assert {(each["state"], each["event_id"]) for each in listed} == {("failed", None)}


async def test_the_form_of_another_service(office: Office) -> None:
    """``phone.callee_parked``: names, envelope and signature as a script written for it expects them."""
    async with receiving(well) as receiver:
        hook = await made(office, receiver.url, form="callee_parked")
        client = await office.as_(ADMIN)
        office.parked(caller="acme-102", parker="acme-101")
        await happen(office)

        async def all_over() -> bool:
            listed = (await client.get(f"{HOOKS}/{hook['id']}/deliveries")).json()["items"]
            return bool(listed) and all(each["state"] == "delivered" for each in listed)

        await run_until(office, all_over)
    (got,) = receiver.got
    at = got.headers["x-zm-request-timestamp"]
    right = hmac.new(hook["secret"].encode(), f"v0:{at}:".encode() + got.body, hashlib.sha256).hexdigest()
    assert got.headers["x-zm-signature"] == f"v0={right}"
    assert got.json["event"] == "phone.callee_parked"
    event = next(event for event in office.world.events if TYPES[type(event)] == "call.parked")
    assert got.json["event_ts"] == pytest.approx(event.at * 1000, abs=1)
    assert got.json["payload"]["account_id"] == "acme"
    parked = got.json["payload"]["object"]
    assert parked["call_id"] == event.call  # type: ignore[union-attr]
    assert (parked["park_code"], parked["park_failure_reason"]) == ("*801", "Park successfully.")
    assert parked["caller"] == {
        "phone_number": "102",
        "name": "Bob",
        "extension_type": "user",
        "extension_number": 102,
        "connection_type": "voip",
    }
    assert parked["callee"]["extension_number"] == 101
    at_second = datetime.strptime(parked["date_time"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
    assert 0 <= event.at - at_second < 1


async def test_a_park_that_failed_and_an_outside_caller_in_that_form() -> None:
    import json

    data = {"call": "c", "caller_number": "+84281234567", "caller_name": "", "parked_by": "101", "reason": "lot_full"}
    event = {"id": "e", "type": "call.park_failed", "at": "2026-11-26T12:00:00.500Z", "account": "acme", "data": data}
    parked = json.loads(body_of("callee_parked", event))["payload"]["object"]
    assert parked["park_failure_reason"] == "Every parking code is in use."
    assert parked["park_code"] == ""
    assert parked["date_time"] == "2026-11-26T12:00:00Z"
    assert parked["caller"] == {
        "phone_number": "+84281234567",
        "extension_type": "pstn",
        "connection_type": "pstn_off_net",
    }

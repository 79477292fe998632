"""Events reach the receivers of webhooks: signed, in order for each call, at least once; and no receiver harms another."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import ssl
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from parkade.api.outside import Outside, networks
from parkade.api.webhook_sender import PER_WEBHOOK, Patience, WebhookSender
from parkade.store import tables, webhooks
from parkade.store.directory_file import read_directory_file
from parkade.store.store import Store
from parkade.store.webhooks import Delivery, Webhook
from tests.api.receiver import (
    OK,
    Answer,
    Got,
    dies_in_the_middle,
    drips,
    hangs,
    hangs_up,
    never_stops_talking,
    receiving,
    says,
    talks_nonsense,
    well,
)
from tests.databases import url_of

pytestmark = pytest.mark.asyncio

LOOPBACK = networks("127.0.0.1")
QUICK = Patience(attempt_s=0.3, connect_s=0.3, first_retry_s=0.05, longest_retry_s=0.2)


class House:
    """A database with two accounts, and what a test does to it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.number = 0
        self.senders: list[WebhookSender] = []

    async def hook(self, url: str, events: Sequence[str] = ("*",), form: str = "parkade", *, active: bool = True) -> Webhook:
        async with self.store.writing() as connection:
            return await webhooks.add(
                connection, "acme", url=url, secret="s3cret", events=events, form=form, active=active, now=time.time()
            )

    async def happen(self, *calls: str | None, account: str = "acme", type_: str = "call.parked") -> list[str]:
        """Events, one after the other, as the ingest writes them; their ids."""
        events = []
        for call in calls:
            self.number += 1
            at = f"2026-11-26T12:00:00.{self.number % 1000:03}Z"
            data = {"call": call, "caller_number": "+84281234567", "caller_name": "Đỗ Bình", "code": "*801", "parked_by": "101"}
            uid = f"event{self.number}"
            events.append({"number": self.number, "id": uid, "type": type_, "at": at, "account": account, "data": data})
        async with self.store.writing() as connection:
            rows = [
                {
                    "number": event["number"],
                    "uid": event["id"],
                    "account": event["account"],
                    "at": time.time(),
                    "type": event["type"],
                    "call": event["data"]["call"],  # type: ignore[index]
                    "data": event["data"],
                }
                for event in events
            ]
            await connection.execute(tables.event.insert(), rows)
            await webhooks.enqueue(connection, events, time.time())
        self.wake()
        return [str(event["id"]) for event in events]

    def wake(self) -> None:
        for sender in self.senders:
            sender.wake()

    async def deliveries(self, hook: Webhook) -> list[Delivery]:
        """Oldest first."""
        async with self.store.reading() as connection:
            return (await webhooks.deliveries(connection, hook, limit=100_000))[::-1]

    async def now(self, hook: Webhook) -> Webhook:
        async with self.store.reading() as connection:
            found = await webhooks.webhook(connection, hook.account, hook.uid)
        assert found is not None
        return found

    async def until_over(self, hook: Webhook, seconds: float = 20.0) -> list[Delivery]:
        """The deliveries, when none waits any more."""
        return await self.until(hook, lambda found: all(each.state != "waiting" for each in found), seconds)

    async def until(self, hook: Webhook, holds: Callable[[list[Delivery]], bool], seconds: float = 10.0) -> list[Delivery]:
        """The deliveries, when that holds of them."""
        for _ in range(int(seconds / 0.02)):
            if holds(found := await self.deliveries(hook)):
                return found
            await asyncio.sleep(0.02)
        raise TimeoutError

    async def tried(self, hook: Webhook, times: int = 1) -> Delivery:
        """The only delivery, after so many attempts."""
        return (await self.until(hook, lambda found: found[0].attempts >= times))[0]

    @asynccontextmanager
    async def sender(self, patience: Patience = QUICK, outside: Outside | None = None) -> AsyncIterator[WebhookSender]:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        sender = WebhookSender(self.store, outside or Outside(LOOPBACK), time.time, patience, tls)
        self.senders.append(sender)
        task = asyncio.create_task(sender.run())
        try:
            yield sender
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


DIRECTORY = """
accounts:
  - {slug: acme, name: Acme, users: [{extension: "101", name: Alice}]}
  - {slug: other, name: Other, users: [{extension: "101", name: Charlie}]}
"""


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """For what has nothing to do with the kind of database."""
    async with _built(tmp_path / "house") as house:
        yield house


@pytest_asyncio.fixture
async def any_house(data: Path) -> AsyncIterator[House]:
    """Once for each kind of database."""
    async with _built(data) as house:
        yield house


@asynccontextmanager
async def _built(data: Path) -> AsyncIterator[House]:
    async with await Store.open(data, url_of(data)) as store:
        await store.import_directory(read_directory_file(DIRECTORY.encode(), "test.yaml"))
        yield House(store)


def ids(got: Sequence[Got]) -> list[str]:
    return [each.event for each in got]


async def test_what_is_sent(any_house: House) -> None:
    async with receiving() as receiver, any_house.sender():
        hook = await any_house.hook(receiver.url)
        (event,) = await any_house.happen("call1")
        (delivery,) = await any_house.until_over(hook)
        (got,) = receiver.got
    assert got.path == "/hook"
    assert got.headers["content-type"] == "application/json"
    assert got.headers["x-parkade-event"] == "call.parked"
    assert got.headers["x-parkade-attempt"] == "1"
    assert got.event == event == got.json["id"]
    assert got.delivery == delivery.uid
    assert set(got.json) == {"id", "type", "at", "account", "data"}
    assert got.json["data"]["caller_name"] == "Đỗ Bình"
    assert (delivery.state, delivery.attempts, delivery.last_status, delivery.last_error) == ("delivered", 1, 200, None)
    at, signed = got.headers["x-parkade-signature"].split(",")
    assert abs(int(at.removeprefix("t=")) - time.time()) < 10
    right = hmac.new(b"s3cret", at.removeprefix("t=").encode() + b"." + got.body, hashlib.sha256).hexdigest()
    assert signed == f"v1={right}"


async def test_only_what_is_wanted_and_only_of_the_account(any_house: House) -> None:
    async with receiving() as receiver, any_house.sender():
        hook = await any_house.hook(receiver.url, events=["call.retrieved"])
        idle = await any_house.hook(receiver.url, active=False)
        await any_house.happen("call1", "call2")
        await any_house.happen("call3", account="other", type_="call.retrieved")
        (wanted,) = await any_house.happen("call1", type_="call.retrieved")
        await any_house.until_over(hook)
        assert ids(receiver.got) == [wanted]
        assert await any_house.deliveries(idle) == []


async def test_events_of_a_call_come_in_order_though_attempts_fail(any_house: House) -> None:
    failures = 0

    async def sometimes(got: Got, writer: asyncio.StreamWriter) -> None:
        nonlocal failures
        failures += 1
        await (says(503) if failures % 3 else well)(got, writer)

    async with receiving(sometimes) as receiver, any_house.sender():
        hook = await any_house.hook(receiver.url)
        sent = [await any_house.happen("call1") for _ in range(3)] + [
            await any_house.happen("call2", "call1", "call2", "call1")
        ]
        found = await any_house.until_over(hook)
        accepted = [each for i, each in enumerate(receiver.got) if not (i + 1) % 3]
    assert {each.state for each in found} == {"delivered"}
    for call in ("call1", "call2"):
        mine = [each.event for each in accepted if each.json["data"]["call"] == call]
        assert mine == sorted(mine, key=lambda id_: int(id_.removeprefix("event")))
    assert len(accepted) == sum(len(each) for each in sent)


async def test_a_later_event_of_a_call_waits_one_of_another_does_not(any_house: House) -> None:
    async def refuses_first_call(got: Got, writer: asyncio.StreamWriter) -> None:
        await (says(500) if got.json["data"]["call"] == "call1" else well)(got, writer)

    async with receiving(refuses_first_call) as receiver, any_house.sender():
        hook = await any_house.hook(receiver.url)
        first, second, third = await any_house.happen("call1", "call1", "call2")
        await receiver.wait_for(4)
        found = {each.event: each for each in await any_house.deliveries(hook)}
        assert second not in ids(receiver.got)
        assert found[second].next_at is None
        assert found[third].state == "delivered"
        receiver.answer = well
        await any_house.until_over(hook)
        assert ids(receiver.got)[-2:] == [first, second]


async def test_who_fails_for_good_lets_the_next_of_its_call_go(any_house: House) -> None:
    async def refuses_first(got: Got, writer: asyncio.StreamWriter) -> None:
        await (says(500) if got.event == "event1" else well)(got, writer)

    async with receiving(refuses_first) as receiver, any_house.sender(Patience(first_retry_s=0.05, give_up_s=0.4)):
        hook = await any_house.hook(receiver.url)
        await any_house.happen("call1", "call1")
        first, second = await any_house.until_over(hook)
    assert (first.state, first.last_error) == ("failed", "the receiver answered 500")
    assert first.attempts >= 3
    assert second.state == "delivered"


async def test_the_wait_between_attempts_grows(house: House) -> None:
    times: list[float] = []

    async def notes(got: Got, writer: asyncio.StreamWriter) -> None:
        times.append(time.monotonic())
        await says(500)(got, writer)

    async with receiving(notes) as receiver, house.sender(Patience(first_retry_s=0.1, longest_retry_s=0.4)):
        await house.hook(receiver.url)
        await house.happen("call1")
        await receiver.wait_for(6)
    waits = [later - earlier for earlier, later in pairwise(times)]
    assert all(low * 0.75 < wait < low * 1.25 + 0.15 for low, wait in zip((0.1, 0.2, 0.4, 0.4, 0.4), waits, strict=True)), waits


async def test_who_asks_for_patience_gets_it(house: House) -> None:
    async with receiving(says(429, "Retry-After: 3600")) as receiver, house.sender(Patience(longest_retry_s=7200)):
        hook = await house.hook(receiver.url)
        await house.happen("call1")
        delivery = await house.tried(hook)
    assert delivery.next_at is not None
    assert 3500 < delivery.next_at - time.time() < 3700


BAD: list[tuple[Answer, str | None]] = [
    (says(500), "the receiver answered 500"),
    (says(404), "the receiver answered 404"),
    (says(301, "Location: http://169.254.169.254/latest/meta-data/"), "the receiver answered 301"),
    (says(307, "Location: /elsewhere"), "the receiver answered 307"),
    (hangs, "no answer within 0.3 s"),
    (hangs_up, None),
    (dies_in_the_middle, None),
    (talks_nonsense, None),
]


@pytest.mark.parametrize(("answer", "error"), BAD)
async def test_a_bad_answer_is_a_failed_attempt_and_is_tried_again(house: House, answer: Answer, error: str | None) -> None:
    async with receiving(answer) as receiver, house.sender() as sender:
        hook = await house.hook(receiver.url)
        await house.happen("call1")
        await receiver.wait_for(3)
        delivery = await house.tried(hook, 2)
        assert delivery.state == "waiting"
        assert delivery.last_error
        assert error in (None, delivery.last_error)
        assert {each.path for each in receiver.got} == {"/hook"}, "nobody follows"
        assert len({each.delivery for each in receiver.got}) == 1, "the same delivery"
        assert len({each.body for each in receiver.got}) == 1, "the same body"
        assert [each.headers["x-parkade-attempt"] for each in receiver.got[:3]] == ["1", "2", "3"]
        receiver.answer = well
        (delivery,) = await house.until_over(hook)
        assert delivery.state == "delivered"
        assert sender.counts["delivered"] == 1


@pytest.mark.parametrize("answer", [never_stops_talking, drips])
async def test_an_endless_body_is_not_read(house: House, answer: Answer) -> None:
    """The status has said that it has arrived."""
    async with receiving(answer) as receiver, house.sender(Patience(attempt_s=5)):
        hook = await house.hook(receiver.url)
        began = time.monotonic()
        await house.happen("call1")
        (delivery,) = await house.until_over(hook)
    assert delivery.state == "delivered"
    assert time.monotonic() - began < 3


async def test_nobody_there(house: House) -> None:
    async with receiving() as receiver:
        url = receiver.url
    async with house.sender():
        hook = await house.hook(url)
        await house.happen("call1")
        delivery = await house.tried(hook)
    assert delivery.last_error
    assert delivery.last_status is None


async def test_a_target_inside_is_never_connected_to(house: House) -> None:
    async with receiving() as receiver, house.sender(outside=Outside()):
        hook = await house.hook(receiver.url)
        await house.happen("call1")
        delivery = await house.tried(hook)
        assert receiver.connections == 0
    assert delivery.last_error == "127.0.0.1: it is a loopback address"


async def test_connections_are_used_again(house: House) -> None:
    async with receiving() as receiver, house.sender():
        hook = await house.hook(receiver.url)
        for i in range(20):
            await house.happen(f"call{i}")
            await house.until_over(hook)
    assert len(receiver.got) == 20
    assert receiver.connections <= 2


async def test_a_slow_receiver_delays_nobody_else(house: House) -> None:
    """More receivers hang than there are places for those that do; the good one has each event at once."""
    patience = Patience(attempt_s=3.0, first_retry_s=0.05, longest_retry_s=0.1)
    async with receiving(hangs) as bad, receiving() as good, house.sender(patience) as sender:
        for _ in range(30):
            await house.hook(bad.url)
        hook = await house.hook(good.url)
        for i in range(40):
            await house.happen(f"call{i}")
            house.wake()
        await bad.wait_for(30)
        await house.until_over(hook)
        began = time.monotonic()
        await house.happen("last")
        sender.wake()
        await good.wait_for(41)
        took = time.monotonic() - began
        busiest = max(len(mine) for mine in sender._under_way.values())
    assert took < 1.5
    assert busiest <= PER_WEBHOOK


async def test_a_webhook_that_only_fails_is_switched_off(any_house: House) -> None:
    async with receiving(says(500)) as receiver, any_house.sender(Patience(first_retry_s=0.05, switch_off_s=0.3)) as sender:
        hook = await any_house.hook(receiver.url)
        await any_house.happen("call1", "call1", "call2")
        async with asyncio.timeout(10):
            while (await any_house.now(hook)).active:
                sender._housekeeping_at = 0.0
                sender.wake()
                await asyncio.sleep(0.05)
        after = len(receiver.got)
        await any_house.happen("call3")
        found = await any_house.deliveries(hook)
        await asyncio.sleep(0.3)
        assert len(receiver.got) <= after + PER_WEBHOOK
    off = await any_house.now(hook)
    assert off.switched_off_at is not None
    assert len(found) == 3, "nothing is queued for it any more"
    assert {each.state for each in await any_house.deliveries(hook)} == {"failed"}
    async with any_house.store.reading() as connection:
        (entry,) = (await connection.execute(tables.audit.select())).mappings()
    assert (entry["object"], entry["action"], entry["by"]) == (f"webhooks/{hook.uid}", "switch_off", "parkade")
    assert entry["after"]["active"] is False


async def test_one_success_ends_a_time_of_failures(any_house: House) -> None:
    async with receiving(says(500)) as receiver, any_house.sender():
        hook = await any_house.hook(receiver.url)
        await any_house.happen("call1")
        await receiver.wait_for(2)
        assert (await any_house.now(hook)).failing_since is not None
        receiver.answer = well
        await any_house.until_over(hook)
        assert (await any_house.now(hook)).failing_since is None


async def test_switching_off_fails_what_waits_and_a_replay_brings_it_back(any_house: House) -> None:
    async with receiving(says(500)) as receiver, any_house.sender():
        hook = await any_house.hook(receiver.url)
        before = await any_house.happen("call0")
        missed = await any_house.happen("call1", "call1", "call2")
        await receiver.wait_for(3)
        async with any_house.store.writing() as connection:
            await webhooks.change(connection, hook, {"active": False}, time.time())
        missed += await any_house.happen("call1")
        await asyncio.sleep(0.2)
        receiver.answer = well
        receiver.got.clear()
        async with any_house.store.writing() as connection:
            await webhooks.change(connection, hook, {"active": True}, time.time())
            again = await webhooks.replay_since(connection, hook, before[0], time.time())
        any_house.wake()
        assert again == (4, None)
        await any_house.until_over(hook)
        assert sorted(ids(receiver.got)) == sorted(missed)
        assert [each for each in ids(receiver.got) if each != missed[2]] == [missed[0], missed[1], missed[3]]


async def test_a_replay_is_a_new_delivery_of_the_same_event(any_house: House) -> None:
    async with receiving() as receiver, any_house.sender() as sender:
        hook = await any_house.hook(receiver.url)
        await any_house.happen("call1")
        (delivery,) = await any_house.until_over(hook)
        async with any_house.store.writing() as connection:
            again = await webhooks.replay(connection, hook, delivery, time.time())
        assert again is not None
        sender.wake()
        await any_house.until_over(hook)
        first, second = receiver.got
    assert first.event == second.event
    assert first.delivery != second.delivery == again.uid
    assert first.body == second.body


async def test_replays_go_on_where_they_stopped(any_house: House) -> None:
    hook = await any_house.hook("http://127.0.0.1:1/")
    first, *rest = await any_house.happen(*[f"call{i}" for i in range(10)])
    async with any_house.store.writing() as connection:
        assert await webhooks.replay_since(connection, hook, first, 0.0, limit=4) == (4, rest[3])
        assert await webhooks.replay_since(connection, hook, rest[3], 0.0, limit=10) == (5, None)
        assert await webhooks.replay_since(connection, hook, "no such event", 0.0) is None


async def test_both_secrets_sign_for_a_day(any_house: House) -> None:
    async with receiving() as receiver, any_house.sender():
        hook = await any_house.hook(receiver.url)
        async with any_house.store.writing() as connection:
            await webhooks.rotate_secret(connection, hook, "new", time.time())
        await any_house.happen("call1")
        await any_house.until_over(hook)
        (got,) = receiver.got
        at, *signed = got.headers["x-parkade-signature"].split(",")
        message = at.removeprefix("t=").encode() + b"." + got.body
        assert signed == [f"v1={hmac.new(key, message, hashlib.sha256).hexdigest()}" for key in (b"new", b"s3cret")]
        rotated = await any_house.now(hook)
    assert rotated.secrets_at(time.time() + webhooks.FORMER_SECRET_S + 1) == ["new"]


async def test_an_event_that_was_removed_fails(any_house: House) -> None:
    hook = await any_house.hook("http://127.0.0.1:1/")
    await any_house.happen("call1")
    async with any_house.store.writing() as connection:
        await connection.execute(tables.event.delete())
    async with any_house.sender():
        (delivery,) = await any_house.until_over(hook)
    assert delivery.last_error == "the event is so old that it has been removed"


async def test_a_locked_database_loses_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    from parkade.store.errors import StoreError

    monkeypatch.setattr("parkade.api.webhook_sender.FAULT_S", 0.05)
    really, failures = webhooks.settle, 3

    async def settle(*given: Any) -> None:
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise StoreError("the disk is full")
        await really(*given)

    monkeypatch.setattr("parkade.store.webhooks.settle", settle)
    async with receiving() as receiver, house.sender():
        hook = await house.hook(receiver.url)
        await house.happen("call1", "call1")
        await house.until_over(hook)
        assert ids(receiver.got) == ["event1", "event2"], "what could not be written down is not sent again meanwhile"


async def test_kill_9_of_the_sender_loses_nothing_and_sends_the_same_delivery_again(any_house: House, data: Path) -> None:
    """It is killed at every fourth request, before the receiver answers; another takes its place."""
    process: asyncio.subprocess.Process | None = None
    url = [known.text] if (known := url_of(data)) is not None else []
    kills = 0

    async def kills_it(got: Got, writer: asyncio.StreamWriter) -> None:
        nonlocal kills
        if len(receiver.got) % 4 == 0 and kills < 4 and process is not None and process.returncode is None:
            kills += 1
            process.kill()
        else:
            writer.write(OK)

    async with receiving(kills_it) as receiver:
        hook = await any_house.hook(receiver.url)
        sent = await any_house.happen(*["call1", "call2", "call3"] * 8)
        async with asyncio.timeout(60):
            while any(each.state == "waiting" for each in await any_house.deliveries(hook)):
                if process is None or process.returncode is not None:
                    process = await asyncio.create_subprocess_exec(
                        sys.executable,
                        "-m",
                        "tests.api.sender_program",
                        str(data),
                        *url,
                        env=dict(os.environ, PYTHONPATH="src:."),
                    )
                await asyncio.sleep(0.05)
        assert process is not None
        process.terminate()
        await process.wait()
        found = await any_house.deliveries(hook)
    assert kills == 4
    assert {each.state for each in found} == {"delivered"}
    assert {each.event for each in receiver.got} == set(sent), "nothing is lost"
    assert len({(each.event, each.delivery) for each in receiver.got}) == len(sent), "what comes twice has the same id"
    assert len(receiver.got) > len(sent)
    for call in ("call1", "call2", "call3"):
        firsts = list(dict.fromkeys(each.event for each in receiver.got if each.json["data"]["call"] == call))
        assert firsts == sorted(firsts, key=lambda id_: int(id_.removeprefix("event")))


async def test_a_dead_receiver_with_many_events_keeps_the_sender_quick(house: House) -> None:
    async with receiving(says(500)) as dead, receiving() as good, house.sender(Patience(first_retry_s=60)) as sender:
        hook = await house.hook(dead.url)
        calls = [f"call{i % 1000}" for i in range(10_000)]
        for start in range(0, 10_000, 500):
            await house.happen(*calls[start : start + 500])
        sender.wake()
        await dead.wait_for(1000, 60)
        other = await house.hook(good.url)
        began = time.monotonic()
        await house.happen("a call")
        sender.wake()
        await good.wait_for(1)
        assert time.monotonic() - began < 1.0
        await house.until_over(other)
        assert len(dead.got) <= 1001
        assert sum(each.state == "waiting" for each in await house.deliveries(hook)) == 10_001


async def test_a_test_tells_what_the_receiver_says(house: House) -> None:
    async with receiving(says(418)) as receiver, house.sender() as sender:
        hook = await house.hook(receiver.url)
        event = {"id": "e", "type": "webhook.test", "at": "2026-11-26T12:00:00.000Z", "account": "acme", "data": {}}
        answer = await sender.test(hook, event, "d")
        assert (answer.status, answer.error) == (418, "the receiver answered 418")
        assert await house.deliveries(hook) == []

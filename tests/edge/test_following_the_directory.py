"""A running server follows imports, whatever went wrong with the one before."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import cast

import pytest

import parkade.app
from parkade.app import DirectoryFollower
from parkade.store.directory import LoadedAccount
from parkade.store.errors import StoreError
from parkade.store.store import Store
from parkade.switch.inputs import AccountLoaded, SwitchInput

LOCKED = StoreError("database parkade.db: database is locked")


class FailingStore:
    """One account that changes once, and a failure each time it is asked until there are none left."""

    def __init__(self, failures: list[Exception]) -> None:
        self._failures = failures

    async def changed_accounts(self, since: int) -> tuple[int, list[str]]:
        if self._failures:
            raise self._failures.pop(0)
        return 2, ["acme"] if since < 2 else []

    async def account(self, slug: str) -> LoadedAccount | None:
        assert slug == "acme"
        return None


class Heard:
    """In place of the pump."""

    def __init__(self) -> None:
        self.inputs: list[SwitchInput] = []
        self.first = asyncio.Event()

    def feed(self, given: SwitchInput) -> None:
        self.inputs.append(given)
        self.first.set()


async def followed(store: FailingStore) -> Heard:
    """What the switch was told until its first input."""
    pump = Heard()
    watcher = asyncio.create_task(DirectoryFollower(cast(Store, store), pump.feed, 0).run())
    try:
        await asyncio.wait_for(pump.first.wait(), 10)
    finally:
        watcher.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watcher
    return pump


@pytest.mark.parametrize(
    ("failures", "said"),
    [
        ([], 0),
        ([LOCKED], 1),
        ([LOCKED] * 20, 1),
        ([KeyError("lot")], 1),
        ([OSError(28, "No space left on device"), LOCKED, LOCKED], 2),
    ],
)
def test_an_import_takes_effect_after_any_failure_and_each_is_said_once(
    failures: list[Exception], said: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(parkade.app, "DIRECTORY_POLL_S", 0.001)
    pump = asyncio.run(followed(FailingStore([*failures])))
    assert pump.inputs == [AccountLoaded("acme", None, {}, {})]
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(errors) == said


async def answered(store: FailingStore) -> list[SwitchInput]:
    """What the switch had been told by when somebody who could not wait was answered."""
    pump, told, done = Heard(), list[SwitchInput](), asyncio.Event()

    def heard() -> None:
        told.extend(pump.inputs)
        done.set()

    follower = DirectoryFollower(cast(Store, store), pump.feed, 0)
    following = asyncio.create_task(follower.run())
    await asyncio.sleep(0)
    follower.look_now(heard)
    await asyncio.wait_for(done.wait(), 10)
    following.cancel()
    return told


@pytest.mark.parametrize("failures", [[], [LOCKED], [LOCKED] * 5])
def test_whoever_cannot_wait_is_answered_when_the_switch_knows(
    failures: list[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parkade.app, "DIRECTORY_POLL_S", 0.05 if failures else 60.0)
    assert asyncio.run(answered(FailingStore([*failures]))) == [AccountLoaded("acme", None, {}, {})]

"""The receiver of the documentation, as a process of its own: it believes what is signed, and keeps each event once."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from parkade.api.webhook_forms import body_of, headers_of

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "webhook_receiver.py"
EVENT = {"id": "e1", "type": "call.parked", "at": "2026-11-26T12:00:00.000Z", "account": "acme", "data": {"call": "Đỗ"}}


class Example:
    def __init__(self, folder: Path) -> None:
        self.database = folder / "events.db"
        self.process = subprocess.Popen(
            [sys.executable, str(EXAMPLE), "0", str(self.database)],
            env={**os.environ, "SECRET": "new,old"},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout is not None
        self.url = f"http://127.0.0.1:{self.process.stdout.readline().strip()}/"

    def send(self, secrets: list[str], now: float | None = None, body: bytes | None = None, event: object = None) -> int:
        told = {**EVENT, **(event if isinstance(event, dict) else {})}
        made = body_of("parkade", told)
        headers = headers_of("parkade", told, "d1", 1, made, secrets, now or time.time())
        return httpx.post(self.url, content=body or made, headers=headers, trust_env=False).status_code

    def events(self) -> list[tuple[str, str, str]]:
        with closing(sqlite3.connect(self.database)) as connection:
            return connection.execute("SELECT id, type, body FROM event ORDER BY number").fetchall()


@pytest.fixture
def example(tmp_path: Path) -> Iterator[Example]:
    it = Example(tmp_path)
    try:
        yield it
    finally:
        it.process.kill()
        it.process.wait()
        assert it.process.stdout is not None
        it.process.stdout.close()


def test_each_event_once_whatever_secret_has_signed(example: Example) -> None:
    assert [example.send(secrets) for secrets in (["new"], ["new", "old"], ["old"], ["other", "old"])] == [204] * 4
    assert example.send(["new"], event={"id": "e2"}) == 204
    ((id_, kind, body), second) = example.events()
    assert (id_, kind, json.loads(body)) == ("e1", "call.parked", EVENT)
    assert second[0] == "e2"


def test_what_is_not_signed_recorded_earlier_or_changed_is_refused(example: Example) -> None:
    assert example.send(["new"]) == 204
    assert example.send(["stolen"], event={"id": "e2"}) == 401
    assert example.send(["new"], now=time.time() - 400, event={"id": "e2"}) == 401
    assert example.send(["new"], body=b'{"id": "e2"}', event={"id": "e2"}) == 401
    for header in ("", "t=1", "v1=00", "t=x,v1=y", "t=1,t=2,v1=é".encode().decode("latin-1")):
        refused = httpx.post(
            example.url, content=b"{}", headers=[(b"X-Parkade-Signature", header.encode("latin-1"))], trust_env=False
        )
        assert refused.status_code == 401
    assert httpx.post(example.url, content=b"x" * (2 << 20), trust_env=False).status_code == 413
    assert [event[0] for event in example.events()] == ["e1"]


def test_a_test_is_answered_and_not_kept(example: Example) -> None:
    assert example.send(["new"]) == 204
    assert example.send(["new"], event={"id": "t", "type": "webhook.test"}) == 204
    assert len(example.events()) == 1


def test_the_page_shows_what_the_example_does() -> None:
    page = (ROOT / "docs" / "how-to" / "receive-webhooks.md").read_text("utf-8")
    assert EXAMPLE.name in page
    for header in ("X-Parkade-Signature", "X-Parkade-Event-Id", "X-Parkade-Delivery-Id", "X-Parkade-Attempt"):
        assert header in page

"""A real server keeps the messages of a call between real sockets, and the web process may ask for them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from parkade.api.link import SignallingLink
from parkade.edge.trace import Message
from parkade.testing.softphone import SoftPhone
from tests.edge.served import PATIENCE_S, served
from tests.store.installation import imported

DIRECTORY = """
accounts:
  - slug: acme
    name: Acme
    users:
      - {extension: "101", name: Alice, devices: [{username: acme-101, password: one}]}
      - {extension: "102", name: Bob, devices: [{username: acme-102, password: two}]}
      - {extension: "103", name: Carol, devices: [{username: acme-103, password: three}]}
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    data = tmp_path / "data"
    imported(data, DIRECTORY)
    return data


async def until(condition: Callable[[], object], what: str) -> None:
    for _ in range(int(PATIENCE_S / 0.02)):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(what)


def call_in(log: str) -> str:
    """The first call of the events in a log of the process."""
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    return next(str(line["call"]) for line in lines if line["logger"] == "parkade.events" and "call" in line)


async def park_and_retrieve(port: int) -> None:
    server = ("127.0.0.1", port)
    alice, bob, carol = (
        SoftPhone(f"acme-{extension}", password, 440, server)
        for extension, password in (("101", "one"), ("102", "two"), ("103", "three"))
    )
    try:
        for each in (alice, bob, carol):
            each.do(lambda p: p.register())
        await until(lambda: all(each.phone.registered for each in (alice, bob, carol)), "nobody registers")
        alice.do(lambda p: p.call("102"))
        await until(lambda: bob.phone.ringing is not None, "no ringing")
        bob.do(lambda p: p.answer())
        await until(lambda: alice.phone.calls[0].is_up and bob.phone.calls[0].is_up, "no answer")
        bob.do(lambda p: p.refer("*800"))
        await until(lambda: not bob.phone.live, "not parked")
        carol.do(lambda p: p.call("*801"))
        await until(lambda: carol.phone.live and carol.phone.calls[0].is_up, "not retrieved")
        await asyncio.sleep(0.3)  # whoever hangs up at once has not taken the call
        carol.do(lambda p: p.hang_up())
        await until(lambda: not alice.phone.live, "not over")
    finally:
        for each in (alice, bob, carol):
            each.close()


async def asked(data: Path, account: str, call: str) -> list[Message] | None:
    link = SignallingLink(data / "run" / "signalling.sock")
    link.connect()
    try:
        return await link.trace(account, call)
    finally:
        await link.close()


def first_lines(messages: list[Message]) -> list[str]:
    return [f"{'in ' if each.came else 'out'} {each.data.partition(chr(13).encode())[0].decode()}" for each in messages]


def test_the_messages_of_every_phone_of_a_call_after_its_end(data: Path) -> None:
    with served(data, "--log-format", "json") as server:
        asyncio.run(park_and_retrieve(server.port))
        call = call_in(server.log.read_text())
        found = asyncio.run(asked(data, "acme", call))
        assert asyncio.run(asked(data, "other", call)) is None
        assert asyncio.run(asked(data, "acme", "no such call")) is None
    assert found is not None
    lines = first_lines(found)
    assert len({each.remote for each in found}) == 3, "Alice, Bob and Carol"
    assert {each.local for each in found} == {("127.0.0.1", server.port)}
    assert [each.at for each in found] == sorted(each.at for each in found)
    for wanted in ("in  INVITE sip:102@", "in  INVITE sip:*801@", "out INVITE sip:", "in  REFER ", "out BYE ", "in  BYE "):
        assert any(line.startswith(wanted) for line in lines), (wanted, lines)
    assert not any("REGISTER" in line for line in lines)
    digests = [line for each in found for line in each.data.split(b"\r\n") if b"uthorization: Digest" in line]
    assert digests
    assert all(b'response="xxxxxxxx' in line or b"response=xxxxxxxx" in line for line in digests)


def test_no_minutes_no_trace(data: Path) -> None:
    with served(data, "--trace-minutes", "0", "--log-format", "json") as server:
        asyncio.run(park_and_retrieve(server.port))
        call = call_in(server.log.read_text())
        assert asyncio.run(asked(data, "acme", call)) is None


def test_every_line_of_every_process_is_json(data: Path) -> None:
    with served(data, "--log-format", "json", "--log-level", "debug") as server:
        asyncio.run(park_and_retrieve(server.port))
        assert server.stop() == 0
        lines = [json.loads(line) for line in server.log.read_text().splitlines() if not line.startswith("First start in ")]
    assert all({"time", "level", "logger", "message"} <= set(line) for line in lines)
    parked = next(line for line in lines if line["message"] == "call.parked")
    assert parked["event"]["data"]["code"] == "*801"
    assert parked["call"] == parked["event"]["data"]["call"]
    assert "one" not in {word for line in lines for word in line["message"].split()}

"""An operator restarts the server: SIGTERM, then ``serve`` again. Whoever was parked or talked hears what was heard before."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from parkade.testing.listening import heard_tone, music_ms
from parkade.testing.softphone import SoftPhone
from tests.edge.served import Served, served, served_on

pytestmark = pytest.mark.asyncio
DIRECTORY = """
accounts:
  - slug: acme
    name: Acme
    users:
      - {extension: "101", name: Alice, devices: [{username: acme-101, password: "secret-101"}]}
      - {extension: "102", name: Bob, devices: [{username: acme-102, password: "secret-102"}]}
      - {extension: "103", name: Carol, devices: [{username: acme-103, password: "secret-103"}]}
"""
TONES = {"101": 440, "102": 620, "103": 1000}
LISTEN_S = 2.0


async def until(condition: Callable[[], bool], what: str, patience_s: float = 15.0) -> None:
    """Wait for ``condition``."""
    try:
        async with asyncio.timeout(patience_s):
            while not condition():  # noqa: ASYNC110 - it is what a phone knows
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(what) from None


async def listen(*phones: SoftPhone) -> None:
    """What comes from now on."""
    for phone in phones:
        phone.ear.clear()
    await asyncio.sleep(LISTEN_S)


def hears(phone: SoftPhone, extension: str) -> bool:
    """Whether ``phone`` has heard the tone of ``extension``."""
    return bool(phone.ear.payloads) and heard_tone(phone.ear.samples, TONES[extension], at_least_ms=1000)


async def again(data: Path, server: Served) -> Served:
    """The server after a restart, on the same port."""
    assert await asyncio.to_thread(server.stop) == 0
    new = await asyncio.to_thread(Served, data)
    assert new.port == server.port
    return new


async def test_who_is_parked_and_who_talks_hear_what_they_heard_before(tmp_path: Path) -> None:
    data, file = tmp_path / "data", tmp_path / "acme.yaml"
    file.write_text(DIRECTORY)
    importing = [sys.executable, "-m", "parkade", "import", "--data", f"{data}", f"{file}"]
    await asyncio.to_thread(subprocess.run, importing, check=True, capture_output=True)
    with served(data) as server:
        alice, bob, carol = phones = [
            SoftPhone(f"acme-{extension}", f"secret-{extension}", hz, ("127.0.0.1", server.port), extension)
            for extension, hz in TONES.items()
        ]
        try:
            for phone in phones:
                phone.do(lambda p: p.register())
            await until(lambda: all(phone.phone.registered for phone in phones), "the phones could not register")
            alice.do(lambda p: p.call("102"))
            await until(lambda: bob.phone.ringing is not None, "102 does not ring")
            bob.do(lambda p: p.answer())
            await listen(alice, bob)
            assert hears(alice, "102")
            server = await again(data, server)
            with served_on(server):
                await listen(alice, bob)
                assert hears(alice, "102"), "the conversation is silent for 101"
                assert hears(bob, "101"), "the conversation is silent for 102"
                bob.do(lambda p: p.refer("*800"))
                await until(lambda: not bob.phone.calls[-1].is_up, "102 could not park")
                await listen(alice)
                assert music_ms(alice.ear.samples) > 1500
                server = await again(data, server)
                with served_on(server):
                    await listen(alice)
                    assert alice.ear.payloads, "the parked caller hears nothing"
                    assert music_ms(alice.ear.samples) > 1500
                    carol.do(lambda p: p.call("*801"))
                    await until(lambda: carol.phone.calls[-1].is_up, "nobody is parked")
                    await listen(alice, carol)
                    assert hears(alice, "103")
                    assert hears(carol, "101")
                assert "no leg" not in server.log.read_text()
        finally:
            for phone in phones:
                phone.close()

"""``parkade demo``: a whole installation on this machine, and three phones that show what it is for.

The server is the real one, in its own process. The phones speak real SIP and RTP over loopback, each with a tone of its
own for a voice, so that every claim below is checked by listening. Nothing is believed that was not heard.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from parkade.base.errors import ParkadeError
from parkade.calls.identity import Identity
from parkade.config import Settings
from parkade.store.directory_file import read_directory_file
from parkade.store.store import Store
from parkade.switch.transfers import PARK_CODE_HEADER
from parkade.testing.fake_call import FakeCall
from parkade.testing.listening import heard_tone, longest_gap_ms, music_ms
from parkade.testing.softphone import SoftPhone

LISTEN_S = 2.0
PATIENCE_S = 10.0
START_S = 30.0
LONGEST_GAP_MS = 60.0
"""The promise is 40 ms, and holds where the machine has time; here three phones and a server share it with whatever
else runs.
"""

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Addresses that mean all of ours, and one of them."""

_DIRECTORY = """\
accounts:
  - slug: demo
    name: Demo Logistics
    language: en
    admins: [{login: admin@demo.test, password: "demo-admin-secret"}]
    users:
      - {extension: "101", name: Alice, licensed: true, devices: [{username: demo-101, password: "demo-secret-101"}]}
      - {extension: "102", name: Bob, licensed: true, devices: [{username: demo-102, password: "demo-secret-102"}]}
      - {extension: "103", name: Carol, licensed: true, devices: [{username: demo-103, password: "demo-secret-103"}]}
      - {extension: "104", name: You, licensed: true, devices: [{username: demo-104, password: "demo-secret-104"}]}
      - {extension: "105", name: You too, licensed: true, devices: [{username: demo-105, password: "demo-secret-105"}]}
"""


class DemoError(ParkadeError):
    """A step of the demo did not do what it should."""


def run(settings: Settings, once: bool) -> int:
    """Play the call; stay up afterwards unless ``once``. 0 if every step worked."""
    return asyncio.run(_Demo(settings, Console(highlight=False)).run(once=once))


@dataclass(slots=True)
class _Cast:
    """Who plays."""

    alice: SoftPhone
    bob: SoftPhone
    carol: SoftPhone


class _Demo:
    """One run."""

    def __init__(self, settings: Settings, console: Console) -> None:
        self._settings = settings
        self._console = console
        self._failed = 0

    async def run(self, *, once: bool) -> int:
        await self._import()
        async with self._server() as ports:
            port, host = int(ports["sip"]), self._settings.host
            self._console.print(f"Server is up: SIP on {host} port {port} (UDP and TCP), the API on port {ports['http']}.\n")
            await self._play(port)
            if self._failed:
                self._console.print(f"\n[red]{self._failed} of the steps did not work.[/red]")
                return 1
            self._console.print("\n[green]Every step worked.[/green]")
            if not once:
                await self._stay(port, int(ports["http"]))
        return 0

    async def _import(self) -> None:
        async with await Store.open(self._settings.data, self._settings.database) as store:
            await store.import_directory(read_directory_file(_DIRECTORY.encode(), "the demo's directory"))
            if password := await store.first_start():
                said = f"The installation's administrator is admin, password {password} (shown only now)."
                self._console.print(said, soft_wrap=True)

    # The call

    async def _play(self, port: int) -> None:
        server = (_reachable(self._settings.host), port)
        cast = _Cast(
            SoftPhone("demo-101", "demo-secret-101", 440, server, "Alice"),
            SoftPhone("demo-102", "demo-secret-102", 620, server, "Bob"),
            SoftPhone("demo-103", "demo-secret-103", 1000, server, "Carol"),
        )
        try:
            await self._scenes(cast)
        except DemoError as error:
            self._tell(False, str(error))
        finally:
            for phone in (cast.alice, cast.bob, cast.carol):
                phone.close()

    async def _scenes(self, cast: _Cast) -> None:
        alice, bob, carol = cast.alice, cast.bob, cast.carol
        for phone in (alice, bob, carol):
            phone.do(lambda p: p.register())
        await _until(lambda: all(p.phone.registered for p in (alice, bob, carol)), "the phones could not register")
        self._tell(True, "Alice (101), Bob (102) and Carol (103) have registered.")

        alice.do(lambda p: p.call("102"))
        await _until(lambda: bob.phone.ringing is not None, "Bob's phone did not ring")
        bob.do(lambda p: p.answer())
        calling, called = alice.phone.calls[0], bob.phone.calls[0]
        await _until(lambda: calling.is_up and called.is_up, "Bob's answer did not reach Alice")
        self._tell(called.display == Identity("Alice", "101"), f"Alice called Bob; Bob's phone showed {called.display}.")
        await self._listen(alice, bob)
        self._tell_voices(("Alice", alice), ("Bob", bob))

        alice.ear.clear()
        bob.do(lambda p: p.refer("*800"))
        code = await self._parked(bob, called)
        self._tell(code == "*801", f"Bob pressed Park; his phone was told the code {code or '(none)'}.")
        await _until(lambda: not bob.phone.live, "Bob's phone was not released")
        await asyncio.sleep(LISTEN_S)
        heard = music_ms(alice.ear.samples) if alice.ear.payloads else 0
        self._tell(heard >= 1000, f"Alice heard hold music (recognised for {heard} ms without a break).")
        carol.do(lambda p: p.call(code or "*801"))
        retrieving = carol.phone.calls[0]
        await _until(lambda: retrieving.is_up, f"Carol could not retrieve the call (status {retrieving.refused})")
        self._tell(
            retrieving.display == Identity("Alice", "101"), f"Carol dialled {code}; her phone showed {retrieving.display}."
        )
        carol.ear.clear()
        await asyncio.sleep(LISTEN_S)
        gap = longest_gap_ms(alice.ear.arrivals)
        self._tell(gap <= LONGEST_GAP_MS, f"From park to retrieve Alice's packets were at most {gap:.0f} ms apart.")
        alice.ear.clear()
        await asyncio.sleep(LISTEN_S)
        self._tell_voices(("Alice", alice), ("Carol", carol))

        carol.do(lambda p: p.hang_up())
        await _until(lambda: not calling.is_up, "Carol's hanging up did not reach Alice")
        self._tell(True, "Carol hung up; Alice's call ended with hers.")

    async def _parked(self, bob: SoftPhone, call: FakeCall) -> str | None:
        await _until(lambda: any(final for _, _, final in call.transfer), "Bob's phone heard no outcome of the parking")
        return bob.phone.recorder.header(PARK_CODE_HEADER, call.call_id)

    async def _listen(self, *phones: SoftPhone) -> None:
        for phone in phones:
            phone.ear.clear()
        await asyncio.sleep(LISTEN_S)

    def _tell_voices(self, one: tuple[str, SoftPhone], other: tuple[str, SoftPhone]) -> None:
        for (listener, ear), (speaker, voice) in ((one, other), (other, one)):
            heard = bool(ear.ear.payloads) and heard_tone(ear.ear.samples, voice.hz, at_least_ms=1000)
            self._tell(heard, f"{listener} heard {speaker} (a tone of {voice.hz} Hz).")

    def _tell(self, worked: bool, what: str) -> None:
        self._failed += not worked
        self._console.print(f"  [green]✓[/green] {what}" if worked else f"  [red]✗ {what}[/red]")

    # Before and after

    @contextlib.asynccontextmanager
    async def _server(self) -> AsyncIterator[dict[str, Any]]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "parkade", "serve", *self._flags(), stdout=asyncio.subprocess.PIPE
        )
        try:
            assert process.stdout is not None
            try:
                async with asyncio.timeout(START_S):
                    line = await process.stdout.readline()
            except TimeoutError:
                line = b""
            if not line:
                raise DemoError("the server did not start; why is said above")
            yield json.loads(line)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            await process.wait()

    def _flags(self) -> list[str]:
        settings = self._settings
        flags = {
            "data": settings.data,
            "host": settings.host,
            "sip-port": settings.sip_port,
            "http-port": settings.http_port,
            "rtp-ports": settings.rtp_ports,
            "advertise": settings.advertise,
            "sounds": settings.sounds,
            "drain-seconds": 0,
            "log-level": "warning",
        }
        return [part for name, value in flags.items() if value is not None for part in (f"--{name}", str(value))]

    async def _stay(self, port: int, http_port: int) -> None:
        host = self._settings.host if self._settings.host not in _EVERYWHERE else "this machine's address"
        self._console.print(
            f"""
Now you. Register two phones at [bold]{host}[/bold], port [bold]{port}[/bold] (UDP or TCP):
    user demo-104   password demo-secret-104   extension 104
    user demo-105   password demo-secret-105   extension 105
Call the one from the other, transfer the call blind to [bold]*800[/bold] (or hold it and dial *800, or press *5),
then dial the code you are told.
Programs: [bold]http://{host}:{http_port}/openapi.json[/bold] describes the API; POST /api/v1/login takes
    login admin@demo.test   password demo-admin-secret
Phones elsewhere in your network: start again with --host 0.0.0.0. The portal is not part of this version yet.
Ctrl-C ends the demo.""",
            soft_wrap=True,
        )
        stopped = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        await stopped.wait()


async def _until(condition: Callable[[], bool], otherwise: str) -> None:
    for _ in range(int(PATIENCE_S / 0.02)):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise DemoError(f"{otherwise} within {PATIENCE_S:.0f} s.")


def _reachable(host: str) -> str:
    return _EVERYWHERE.get(host, host)

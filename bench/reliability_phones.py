"""Phones that register once: those who pick callers up and listen, and the one to whom callers are given back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from bench.reliability_counter import Counter
from bench.reliability_server import FIRST_PHONE, LOT, PHONES, TIMED, device
from bench.reliability_sipp import Noted
from parkade.testing.fake_call import FakeCall
from parkade.testing.listening import heard_tone
from parkade.testing.softphone import SoftPhone

PATIENCE_S = 8.0
_LISTEN_S = 0.5
_CALLER_HZ = 1000
_TALK_S = 0.2
_STAY_S = 0.8
"""How long a phone stays at least: one that hangs up at once has given up, and the caller is put back."""
_AT_ONCE = 6
"""How many calls a phone has at the same time, of which one may be listened to."""
_VOICES_HZ = (440, 520, 620, 740, 1200, 1400, 1700, 2000)


async def until(condition: Callable[[], bool], within_s: float = PATIENCE_S) -> bool:
    """Whether it came true in time."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.02)
    return True


class Phones:
    """The registered phones of the account whose callers stay."""

    def __init__(self, server: tuple[str, int], counter: Counter) -> None:
        self._counter = counter
        self.phones = [SoftPhone(*device(LOT, FIRST_PHONE + n), _VOICES_HZ[n], server) for n in range(PHONES)]

    async def register(self) -> None:
        """Once, before anything is killed."""
        await _register(self.phones)

    @property
    def registrations(self) -> int:
        """How many REGISTERs they have sent in all."""
        return sum(len(phone.phone.recorder.sent("REGISTER")) for phone in self.phones)

    async def retrieve(self, callers: list[Noted], listen_every: int) -> list[str]:
        """Pick up each of them at its code, check who it is, each so-manieth by listening both ways, and hang up.

        Gives what went wrong, a line a caller.
        """
        problems: list[str] = []
        heard = [caller for number, caller in enumerate(callers) if number % listen_every == 0]
        others = [caller for number, caller in enumerate(callers) if number % listen_every]

        async def work(phone: SoftPhone, waiting: list[Noted], *, listen: bool) -> None:
            while waiting:
                caller = waiting.pop()
                problem = await self._retrieve_one(phone, caller, listen=listen)
                if problem:
                    problems.append(f"{caller.code}: {problem}")

        for waiting, at_once in ((heard, 1), (others, _AT_ONCE)):
            await asyncio.gather(*(work(phone, waiting, listen=at_once == 1) for phone in self.phones for _ in range(at_once)))
        return problems

    async def _retrieve_one(self, phone: SoftPhone, caller: Noted, *, listen: bool) -> str | None:
        phone.do(lambda p: p.call(caller.code))
        call = phone.phone.calls[-1]
        if not listen:
            # The next call of the list would be given a port of its own for its sound, which is nobody's.
            phone.phone.calls.clear()
        try:
            await until(lambda: call.state != "calling")
            if not call.is_up:
                return f"not answered within {PATIENCE_S:.0f} s" if call.refused is None else f"refused {call.refused}"
            if call.display is None or call.display.number != str(caller.number):
                return f"somebody else: {call.display}"
            since = time.monotonic()
            problem = await self._listen(phone, caller) if listen else None
            await asyncio.sleep(max(0.0, since + _STAY_S - time.monotonic()))
            return problem
        finally:
            if call.state != "ended":
                phone.do(lambda _: call.hang_up())
                await until(lambda: call.state == "ended", 2)
            if listen:
                # What is kept of a call is searched at each display.
                seen = phone.phone.recorder.seen
                seen[:] = [entry for entry in seen if entry.kind == "REGISTER"]
                phone.phone.calls.clear()

    async def _listen(self, phone: SoftPhone, caller: Noted) -> str | None:
        counter, port = self._counter, caller.rtp_port
        counter.listen([port])
        counter.speak([port], _CALLER_HZ)
        phone.ear.clear()
        by_phone = by_caller = False
        deadline = time.monotonic() + PATIENCE_S
        while not (by_phone and by_caller) and time.monotonic() < deadline:
            await asyncio.sleep(_LISTEN_S)
            by_phone = by_phone or (bool(phone.ear.payloads) and heard_tone(phone.ear.samples, _CALLER_HZ, 300))
            sound = counter.heard(port)
            by_caller = by_caller or (len(sound) > 0 and heard_tone(sound, phone.hz, 300))
        counter.hush([port])
        if not by_phone:
            return "the phone did not hear the caller"
        return None if by_caller else "the caller did not hear the phone"

    def close(self) -> None:
        """Give their sockets back."""
        for phone in self.phones:
            phone.close()


@dataclass(slots=True)
class Ring:
    """Somebody was given back: when the phone began to ring, and what its display showed."""

    at: float
    shown: str
    call: FakeCall
    ended_at: float | None = None


@dataclass(slots=True)
class Watcher:
    """Extension 101 of the account whose callers are given back: takes every call at once and ends it a moment later."""

    server: tuple[str, int]
    rings: list[Ring] = field(default_factory=list)
    _phone: SoftPhone | None = None
    _watching: asyncio.Task[None] | None = None

    async def register(self) -> None:
        """Once; then watch."""
        self._phone = SoftPhone(*device(TIMED, FIRST_PHONE), 900, self.server)
        await _register([self._phone])
        self._watching = asyncio.create_task(self._watch(self._phone))

    async def _watch(self, phone: SoftPhone) -> None:
        while True:
            now = time.time()
            for call in phone.phone.calls:
                if call.incoming:
                    shown = call.display
                    self.rings.append(Ring(now, shown.name if shown else "", call))
                    if call.state == "ringing":
                        phone.do(lambda _, call=call: call.answer())  # type: ignore[misc]
            # Each further call of the list would be given a port of its own for its sound, which is nobody's.
            phone.phone.calls.clear()
            for ring in self.rings:
                if ring.ended_at is None and (ring.call.state == "ended" or now > ring.at + _TALK_S):
                    ring.ended_at = now
                    if ring.call.state == "up":
                        phone.do(lambda _, call=ring.call: call.hang_up())  # type: ignore[misc]
            await asyncio.sleep(0.01)

    def close(self) -> None:
        """Stop watching."""
        if self._watching is not None:
            self._watching.cancel()
        if self._phone is not None:
            self._phone.close()


async def _register(phones: list[SoftPhone]) -> None:
    for phone in phones:
        phone.do(lambda p: p.register())
    if not await until(lambda: all(phone.phone.registered for phone in phones)):
        raise SystemExit("the phones could not register")

"""Crashes amid calls: ``python -m bench.reliability_storm --kind signalling``.

Callers are parked, retrieved and hung up at a steady rate while the processes of ``kind`` get ``kill -9`` again and again,
so that the crash meets calls in every half-done step: an INVITE not answered, a 200 not acknowledged, a BYE not answered.
Phones ask again, so every call should go through whole. Afterwards all slots must be free.

Limits: which step a crash meets is chance; the simulated world crashes between any two effects.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench.cores import LOAD
from bench.listen import Deaf
from bench.load import Outcome, Plan, calling
from bench.reliability_phones import until
from bench.reliability_server import CRASHES, PARKED_GATEWAY, Victim
from bench.reliability_sipp import Calling
from bench.server import HERE, Server, free_rtp_ports

PARKED_MS, TALK_MS = 500, 5000
"""Whoever hangs up within 4 s of an answer that a crash followed has given up, and the caller is put back."""
_REST_S = 4.0


@dataclass(frozen=True, slots=True)
class Storm:
    """How it went. ``left_over`` is how many slots were taken although nobody was there any more.

    ``put_back`` are callers whose retriever hung up before the server, crashed meanwhile, had seen its ACK: they wait at their
    code again, and SIPp's callers wait with them.
    """

    outcome: Outcome
    crashes: int
    back: bool
    left_over: int
    put_back: int

    @property
    def lost(self) -> int:
        """Calls that neither went through whole nor wait at their code."""
        return max(0, self.outcome.calls - self.outcome.succeeded - self.put_back)

    def __str__(self) -> str:
        return (
            f"{self.crashes} crashes, {self.outcome.calls} calls, {self.lost} of them lost, {self.put_back} put back, "
            f"{self.left_over} slots left over, "
            f"{self.outcome.retransmissions} retransmissions{'' if self.back else '; the server did not come back'}"
        )


async def storm(victim: Victim, kind: str, calls_per_s: float, seconds: float, every_s: float) -> Storm:
    """Call for ``seconds`` and crash every ``every_s``. The server is running."""
    deaf, crashes, back = Deaf(), 0, True
    plan = Plan(calls_per_s, round(calls_per_s * seconds), PARKED_MS, TALK_MS)
    assert victim.process is not None
    server = Server(victim.process.pid, victim.sip_port)
    try:
        with calling(server, plan, LOAD, [deaf.port], deaf.port) as load:
            ends_at = time.monotonic() + seconds
            while time.monotonic() + every_s < ends_at and back:
                await asyncio.sleep(every_s)
                killed = victim.kill(kind)
                crashes += 1
                if kind == "everything":
                    await asyncio.to_thread(victim.start)
                back = await until(lambda killed=killed: victim.back(killed), 10)  # type: ignore[misc]
            if back:
                await until(lambda: not load.going, 2 * seconds + 30)
            outcome = load.outcome()
        await asyncio.sleep(_REST_S)
        put_back = victim.events()["call.reparked"]
        left_over = max(0, _taken(victim, plan.calls) - put_back) if back else plan.calls
        return Storm(outcome, crashes, back, left_over, put_back)
    finally:
        deaf.close()


def _taken(victim: Victim, at_most: int) -> int:
    """How many slots are taken: codes are given lowest first, so parked callers fill the free ones from below."""
    with tempfile.TemporaryDirectory(prefix="parkade-reliability-") as folder, socket.socket(type=socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        calling = Calling(Path(folder), ("127.0.0.1", victim.sip_port), deaf.getsockname()[1], 60)
        group = calling.parked("probes", PARKED_GATEWAY, _PROBES, 50)
        deadline = time.monotonic() + 10
        while len(group.calls) < _PROBES and time.monotonic() < deadline:
            time.sleep(0.05)
            group.read()
        group.stop()
    codes = sorted(int(call.code.lstrip("*")) for call in group.calls.values())
    if len(codes) < _PROBES:
        return at_most
    return codes[-1] - victim.first_code + 1 - _PROBES


_PROBES = 10
"""Enough to step over a few slots that are taken; beyond the last of them a slot that is taken is not seen."""


async def run(kind: str, calls_per_s: float, seconds: float, every_s: float, tree: Path = HERE) -> Storm:
    """With a server of its own."""
    with tempfile.TemporaryDirectory(prefix="parkade-reliability-") as folder:
        victim = Victim(Path(folder), tree, free_rtp_ports(6000), 60)
        victim.prepare()
        victim.start()
        try:
            return await storm(victim, kind, calls_per_s, seconds, every_s)
        finally:
            victim.end()


def main() -> None:
    """Try the kinds that are asked for and print what became of the calls."""
    parser = argparse.ArgumentParser(prog="python -m bench.reliability_storm", description=__doc__)
    parser.add_argument("--kinds", nargs="+", choices=("nothing", *CRASHES), default=CRASHES)
    parser.add_argument("--rate", type=float, default=60)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--tree", type=Path, default=HERE, help="source tree to run the server from (default: this one)")
    parser.add_argument("--every", type=float, default=3.0, help="seconds between two crashes")
    given = parser.parse_args()
    for kind in given.kinds:
        print(f"{kind:10} {asyncio.run(run(kind, given.rate, given.seconds, given.every, given.tree))}", flush=True)


if __name__ == "__main__":
    main()

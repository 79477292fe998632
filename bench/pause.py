"""A process that stands still for a second under load, as when its machine is busy or its disk is slow.

``python -m bench.pause --rate 300``: callers are parked, retrieved and hung up; in the middle of it the signalling or the media
process is stopped with SIGSTOP, for a second. No call may be refused or lost: phones ask again, and ports are there.
"""

from __future__ import annotations

import argparse
import os
import signal
import time

from bench.cores import LOAD, SERVER, confined
from bench.listen import Deaf
from bench.load import Outcome, Plan, calling
from bench.server import Server, cpu_s, running

RTP_PORTS = "20000-31999"
PARKED_MS, TALK_MS = 1000, 800
PROCESSES = ("signalling", "media")


def measure(server: Server, which: str, calls_per_s: float, seconds: float, pause_s: float) -> Outcome:
    """Call for ``seconds`` and stop the process ``which`` after a third of them."""
    deaf = Deaf()
    plan = Plan(calls_per_s, round(calls_per_s * seconds), PARKED_MS, TALK_MS)
    media, others = server.processes()
    # A supervisor that stands still stops nobody; signalling is what used most.
    pid = media[0] if which == "media" else max(others, key=cpu_s)
    try:
        with calling(server, plan, LOAD, [deaf.port], deaf.port) as load:
            time.sleep(seconds / 3)
            os.kill(pid, signal.SIGSTOP)
            time.sleep(pause_s)
            os.kill(pid, signal.SIGCONT)
            while load.going:
                time.sleep(0.05)
            return load.outcome()
    finally:
        os.kill(pid, signal.SIGCONT)
        deaf.close()


def main() -> None:
    """Stop each of the processes once and say how many calls went through whole."""
    parser = argparse.ArgumentParser(prog="python -m bench.pause", description=__doc__)
    parser.add_argument("--rate", type=float, default=300)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--pause", type=float, default=1.0)
    given = parser.parse_args()
    with confined():
        for which in PROCESSES:
            with running(SERVER, RTP_PORTS) as server:
                outcome = measure(server, which, given.rate, given.seconds, given.pause)
            print(
                f"{which:10} stopped for {given.pause:g} s under {given.rate:g} calls/s: "
                f"{outcome.succeeded} of {outcome.calls} calls whole, {outcome.retransmissions} retransmissions, "
                f"answered after at most {max(outcome.park_ms, default=0):.0f} ms"
            )


if __name__ == "__main__":
    main()

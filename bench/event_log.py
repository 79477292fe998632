"""What recording events costs a call: ``python -m bench.event_log``; us of CPU, beside what the call costs the switch.

The events are those of real calls, parked, retrieved and hung up, grouped as the pump gets them. They are written as in the
server: one ``write`` for each group, in a temporary directory (or in ``--folder``, to see another file system).
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from bench.switch_calls import PORTS, Office
from parkade.calls.events import Event, Happening
from parkade.edge.collector import settle_collector
from parkade.edge.event_log import EventLog, event_line
from parkade.rtp.orders import PortsReady
from parkade.switch.inputs import MediaReport, SwitchEffect, SwitchInput


@dataclass
class _Listening(Office):
    """Notes the events of each input."""

    groups: list[list[Event]] = field(default_factory=list)

    def tell(self, given: SwitchInput) -> list[SwitchEffect]:
        effects = super().tell(given)
        events: list[Event] = [effect for effect in effects if isinstance(effect, Happening)]
        if events:
            self.groups.append(events)
        return effects


def happened(calls: int) -> tuple[list[list[Event]], float]:
    """The events of so many calls, as they came, and the seconds of CPU that the switch took for them."""
    office = _Listening()
    office.tell(MediaReport(PortsReady(PORTS)))
    for n in range(calls):
        office.retrieve(office.park())
        office.now += 0.001
        if n % 1000 == 0:
            office.tell(MediaReport(PortsReady(PORTS[:2000])))
    office.rest()
    return office.groups, office.spent_s


async def written_s(groups: list[list[Event]], folder: Path) -> float:
    """Seconds of CPU for writing them down."""
    log = EventLog.open(folder)
    start = time.process_time()
    for group in groups:
        log.write(group)
    spent = time.process_time() - start
    log.close()
    return spent


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="python -m bench.event_log", description=__doc__)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where to write (default: a temporary directory)")
    given = parser.parse_args()
    settle_collector()
    groups, switch_s = happened(given.calls)
    events = [event for group in groups for event in group]
    times: list[float] = []
    for _ in range(given.rounds):
        with tempfile.TemporaryDirectory(dir=given.folder) as folder:
            times.append(asyncio.run(written_s(groups, Path(folder))))
    start = time.process_time()
    lines = [event_line(event, n) for n, event in enumerate(events)]
    encoding_s = time.process_time() - start
    a_call = 1e6 / given.calls
    print(
        f"{len(events) / given.calls:.1f} events of {sum(map(len, lines)) / len(lines):.0f} bytes in "
        f"{len(groups) / given.calls:.1f} writes a call: {statistics.median(times) * a_call:.0f} us of CPU a call, of them "
        f"{encoding_s * a_call:.0f} for making the lines; the pure switch takes {switch_s * a_call:.0f} us for the same call"
    )


if __name__ == "__main__":
    main()

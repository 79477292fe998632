"""``make reliability``: what becomes of parked callers and conversations when processes of the server get ``kill -9``.

A real ``parkade serve``; SIPp's callers, parked or picked up and talking; a packet counter for their sound; phones that
register once and never again. Then, so many times each: signalling, media, both, or everything at once is killed (after
``everything`` we start it again, else the server must do that itself), and all of these are looked at:

* each caller: sound in the last second, its in-dialog requests answered (OPTIONS and re-INVITE in turn), not hung up on;
* each stream: the longest gap, whether SSRC and numbering went on. No gap means: never more than 40 ms late;
* some callers with a short deadline, parked before and around the crash: given back to extension 101, each once, in time;
* a sample is retrieved in each round, all of them at the end, at the codes they were told: the display shows who it is,
  and some are judged by listening both ways.

Limits: loopback, one machine, callers that are silent while parked. The table goes to standard output; exit 1 if anything
is not as it should be.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections import Counter as Tally
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.reliability_round import Office, Round, play
from bench.reliability_server import CRASHES, KINDS
from bench.server import free_rtp_ports

_HERE = Path(__file__).resolve().parents[1]
GAP_LIMIT_S = {"nothing": 0.06, "signalling": 0.06, "media": 1.0, "both": 2.0, "everything": 2.0}
"""How long the music may be silent; after ``everything`` counted from the moment the server was started again."""
_MEDIA_LIVES = ("nothing", "signalling")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is tried. ``offices`` has a tuple of kinds for each fresh server."""

    callers: int = 1000
    conversations: int = 200
    rounds: int = 10
    offices: tuple[tuple[str, ...], ...] = tuple((kind,) for kind in CRASHES)
    sample: int = 5
    timed: int = 20
    expiration_s: float = 6.0
    settle_s: float = 7.0
    ask_s: float = 6.0
    calls_per_s: float = 100
    rtp_width: int = 10_000
    listen_every: int = 20
    tree: Path = _HERE


SMALL = Plan(
    callers=30,
    conversations=4,
    rounds=1,
    offices=(CRASHES,),
    sample=2,
    timed=4,
    expiration_s=2.0,
    settle_s=2.0,
    ask_s=1.5,
    rtp_width=1000,
    listen_every=5,
)


@dataclass(slots=True)
class Row:
    """What was seen of one kind."""

    kind: str
    rounds: list[Round] = field(default_factory=list)
    at_the_end: list[str] = field(default_factory=list)
    retrieved_at_the_end: int = 0
    twice: Tally[str] = field(default_factory=Tally)
    note: str = ""

    def faults(self, slack_s: float = 0.0) -> list[str]:
        """What is not as it should be; of conversations only what signalling's death may not do. ``slack_s`` more of silence
        is allowed, for a machine that is busy with other things.
        """
        found = [f"{self.kind}: {self.note}"] if self.note else []
        for number, seen in enumerate(self.rounds, 1):
            where = f"{self.kind}, round {number}"
            if not seen.back:
                found.append(f"{where}: not back")
            if seen.lost:
                found.append(f"{where}: {len(seen.lost)} of {seen.callers} callers lost, such as {seen.lost[0]}")
            if seen.gap_s > GAP_LIMIT_S[self.kind] + slack_s:
                found.append(
                    f"{where}: {seen.gap_s * 1000:.0f} ms without music (without a crash {seen.usual_gap_s * 1000:.0f})"
                )
            if seen.renamed or seen.backwards:
                found.append(f"{where}: {seen.renamed} streams got another SSRC, {seen.backwards} numbers that had been")
            if self.kind in _MEDIA_LIVES and seen.skipped:
                found.append(f"{where}: {seen.skipped} streams missed a packet")
            if self.kind in _MEDIA_LIVES and seen.conversations_lost:
                found.append(f"{where}: {len(seen.conversations_lost)} of {seen.conversations} conversations lost")
            found += [f"{where}: retrieving {problem}" for problem in seen.retrieve_problems]
            found += [f"{where}: {problem}" for problem in seen.deadline_problems]
        found += [f"{self.kind}, at the end: retrieving {problem}" for problem in self.at_the_end]
        found += [f"{self.kind}: {count} x {event} twice for one call" for event, count in self.twice.items()]
        return found


async def run(plan: Plan) -> list[Row]:
    """Everything that ``plan`` says; a row for each kind."""
    rows: list[Row] = []
    for kinds in plan.offices:
        with tempfile.TemporaryDirectory(prefix="parkade-reliability-") as folder:
            rows += await _run_office(plan, kinds, Path(folder))
    return rows


async def _run_office(plan: Plan, kinds: Sequence[str], folder: Path) -> list[Row]:
    rows = [Row(kind) for kind in kinds]
    total = plan.callers + plan.sample * plan.rounds * len(kinds)
    office = Office(folder, plan.tree, free_rtp_ports(plan.rtp_width), plan.expiration_s, plan.ask_s)
    try:
        missing = await office.open(total, plan.conversations, plan.calls_per_s)
        if missing:
            rows[0].note = missing
        for row in rows:
            for number in range(1, plan.rounds + 1):
                seen = await play(office, row.kind, sample=plan.sample, timed=plan.timed, settle_s=plan.settle_s)
                row.rounds.append(seen)
                print(f"{row.kind:10} {number:2}: {seen}", file=sys.stderr, flush=True)
                for lost in (*seen.lost[:3], *seen.conversations_lost[:3]):
                    print(f"    {lost}", file=sys.stderr, flush=True)
                if not seen.back:
                    break
            if not all(seen.back for seen in row.rounds):
                break
        rest = office.parked_still()
        rows[-1].at_the_end = await office.phones.retrieve(rest, plan.listen_every)
        rows[-1].retrieved_at_the_end = len(rest) - len(rows[-1].at_the_end)
        if office.phones.registrations != office.registrations:
            rows[-1].note += " phones registered again"
        rows[-1].twice = office.victim.events_twice()
        if office.victim.events()["call.parked"] < total:
            rows[-1].note += " the log does not tell of every parked call"
    finally:
        office.close()
    return rows


_COLUMNS = (
    "killed",
    "times",
    "callers",
    "lost",
    "music gap, median / worst",
    "streams that went on with SSRC and numbers",
    "SIP answered again after, median / worst",
    "conversations lost",
    "their gap, worst",
    "retrieved in between / at the end",
    "deadlines kept",
    "twice",
)


def table(rows: Sequence[Row]) -> str:
    """The rows as Markdown."""
    lines = ["| " + " | ".join(_COLUMNS) + " |", "|---" * len(_COLUMNS) + "|"]
    lines += [_line(row) for row in rows if row.rounds]
    return "\n".join(lines)


def _line(row: Row) -> str:
    rounds = row.rounds
    callers, lost = sum(r.callers for r in rounds), sum(len(r.lost) for r in rounds)
    streams = sum(r.callers - max(r.renamed, r.backwards, len(r.lost)) for r in rounds)
    timed, kept = sum(r.timed for r in rounds), sum(r.deadlines_kept for r in rounds)
    asked, failed = sum(r.retrieved for r in rounds), sum(len(r.retrieve_problems) for r in rounds)
    end = row.retrieved_at_the_end + len(row.at_the_end)
    twice = sum(row.twice.values()) + sum("again" in problem for r in rounds for problem in r.deadline_problems)
    cells = [
        row.kind,
        str(len(rounds)),
        str(callers // len(rounds)),
        str(lost),
        _spread([r.gap_s for r in rounds]),
        f"{streams / max(1, callers):.2%}",
        _spread([r.answered_after_s for r in rounds]),
        f"{sum(len(r.conversations_lost) for r in rounds)} of {sum(r.conversations for r in rounds)}",
        _ms(max(r.conversation_gap_s for r in rounds)),
        f"{asked - failed} of {asked} / {row.retrieved_at_the_end} of {end}",
        f"{kept} of {timed}, latest {max(r.latest_s for r in rounds):.2f} s",
        str(twice),
    ]
    return "| " + " | ".join(cells) + " |"


def _spread(seconds: list[float]) -> str:
    return f"{_ms(statistics.median(seconds))} / {_ms(max(seconds))}"


def _ms(seconds: float) -> str:
    return "for ever" if seconds == float("inf") else f"{seconds * 1000:.0f} ms"


def main() -> None:
    """Run, print the table and what is wrong."""
    parser = argparse.ArgumentParser(prog="python -m bench.reliability", description=__doc__)
    parser.add_argument("--small", action="store_true", help="30 callers, each kind once, one server for all: under 40 s")
    parser.add_argument("--callers", type=int)
    parser.add_argument("--conversations", type=int)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--kinds", nargs="+", choices=tuple(KINDS), help="only these, each with a fresh server")
    parser.add_argument("--tree", type=Path, help="source tree to run the server from (default: this one)")
    given = vars(parser.parse_args())
    base = SMALL if given.pop("small") else Plan()
    kinds = given.pop("kinds")
    changes = {name: value for name, value in given.items() if value is not None}
    if kinds:
        changes["offices"] = tuple((kind,) for kind in kinds)
    began = time.monotonic()
    rows = asyncio.run(run(replace(base, **changes)))
    print(table(rows))
    faults = [fault for row in rows for fault in row.faults()]
    print(f"\n{time.monotonic() - began:.0f} s; " + (f"{len(faults)} faults:" if faults else "everything as it should be"))
    for fault in faults[:40]:
        print(f"  {fault}")
    raise SystemExit(bool(faults))


if __name__ == "__main__":
    main()

"""One crash with everything that is watched around it."""

from __future__ import annotations

import asyncio
import socket
import time
from collections import Counter as Tally
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from bench.reliability_counter import Counter, Stream
from bench.reliability_phones import Phones, Watcher, until
from bench.reliability_server import PARKED_GATEWAY, RETRIEVER, TIMED_GATEWAY, Victim
from bench.reliability_sipp import Callers, Calling, Noted

BACK_S = 15.0
"""How long a process may take to come back before the harness gives up."""
MUSIC_PER_S, TALK_PER_S = 50, 25
_ENOUGH = 0.25
"""Of the packets due in the last second: fewer is no sound. What was late is told by the gap."""
_USUAL_S = 1.5
EARLY_S, LATE_S = 0.1, 1.0
"""How far from its deadline a caller may be given back, or after the server is back if it was due while it was dead."""
RINGING_S = 0.3
"""A ring-back that began so shortly before a crash may begin once more after it: its answer died with the process."""


@dataclass(slots=True)
class Round:
    """What was seen of one crash. Times in seconds; ``inf`` where it never came."""

    callers: int = 0
    conversations: int = 0
    timed: int = 0
    back: bool = False
    answered_after_s: float = float("inf")
    usual_gap_s: float = 0.0
    usual_conversation_gap_s: float = 0.0
    gap_s: float = float("inf")
    renamed: int = 0
    backwards: int = 0
    skipped: int = 0
    lost: list[str] = field(default_factory=list)
    conversations_lost: list[str] = field(default_factory=list)
    conversation_gap_s: float = 0.0
    retrieved: int = 0
    retrieve_problems: list[str] = field(default_factory=list)
    deadlines_kept: int = 0
    latest_s: float = 0.0
    deadline_problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{len(self.lost)} of {self.callers} lost, gap {1000 * self.gap_s:.0f} ms (usually {1000 * self.usual_gap_s:.0f}), "
            f"{self.renamed} streams with another SSRC, {self.backwards} with numbers again, "
            f"{self.skipped} with numbers missing, SIP after {1000 * self.answered_after_s:.0f} ms, "
            f"{len(self.conversations_lost)} of {self.conversations} conversations lost "
            f"(gap {1000 * self.conversation_gap_s:.0f} ms, usually {1000 * self.usual_conversation_gap_s:.0f}), "
            f"{self.retrieved - len(self.retrieve_problems)} of {self.retrieved} retrieved, "
            f"{self.deadlines_kept} of {self.timed} deadlines kept (latest {self.latest_s:.2f} s)"
        )


class Office:
    """Server, callers, phones, counter."""

    def __init__(self, folder: Path, tree: Path, rtp_ports: str, expiration_s: float, ask_s: float) -> None:
        self.folder = folder
        self.ask_s = ask_s
        self.victim = Victim(folder, tree, rtp_ports, expiration_s)
        self.counter = Counter()
        self.calling: Calling
        self.parked: Callers
        self.ends: tuple[Callers, ...] = ()
        self.phones: Phones
        self.watcher: Watcher
        self.registrations = 0
        self.timed = 0
        self.ours: set[int] = set()
        """Numbers of the parked callers that we have retrieved and hung up on."""
        self.gone: set[int] = set()
        self.talk_gone: set[str] = set()
        self._others: list[Callers] = []
        self._opened: list[Phones | Watcher] = []

    async def open(self, callers: int, conversations: int, calls_per_s: float) -> str:
        """Start everything and wait until all are parked or talking; what is missing, in words."""
        await asyncio.to_thread(self.victim.prepare)
        await asyncio.to_thread(self.victim.start)
        server = ("127.0.0.1", self.victim.sip_port)
        self.phones, self.watcher = Phones(server, self.counter), Watcher(server)
        self._opened = [self.phones, self.watcher]
        await self.phones.register()
        await self.watcher.register()
        self.registrations = self.phones.registrations
        self.calling = Calling(self.folder, server, self.counter.port, self.ask_s)
        if conversations:
            self.ends = self.calling.conversations(PARKED_GATEWAY, RETRIEVER, conversations, calls_per_s / 2)
            self._others += self.ends
        self.parked = self.calling.parked("parked", PARKED_GATEWAY, callers, calls_per_s)
        self._others.append(self.parked)

        def all_up() -> bool:
            self.read()
            return len(self.parked.calls) == callers and all(len(end.calls) == conversations for end in self.ends)

        complete = await until(all_up, 2 * (callers + 2 * conversations) / calls_per_s + 10)
        for end, hz in zip(self.ends, (440, 620), strict=False):
            self.counter.speak([call.rtp_port for call in end.calls.values()], hz)
        if complete:
            return ""
        up = "/".join(str(len(end.calls)) for end in self.ends)
        return f"only {len(self.parked.calls)} of {callers} were parked and {up} of {conversations} talk"

    def read(self) -> None:
        """What SIPp has noted since."""
        for group in self._others:
            group.read()

    def parked_still(self) -> list[Noted]:
        """Callers that should still be parked."""
        return [call for number, call in self.parked.calls.items() if number not in self.ours | self.gone]

    def timed_callers(self, calls: int, over_s: float) -> Callers:
        """Further callers with a deadline, parked one after the other."""
        self.timed += 1
        group = self.calling.parked(f"timed{self.timed}", TIMED_GATEWAY, calls, round(calls / over_s, 3))
        self._others.append(group)
        return group

    def forget(self, group: Callers) -> None:
        """They have been counted."""
        group.stop()
        self._others.remove(group)

    def close(self) -> None:
        """End everything."""
        for opened in self._opened:
            opened.close()
        for group in self._others:
            group.stop()
        self.victim.end()
        self.counter.close()


async def play(office: Office, kind: str, *, sample: int, timed: int, settle_s: float) -> Round:
    """Kill what ``kind`` names and see what becomes of everybody."""
    seen, expiration_s = Round(), office.victim.expiration_s
    # Parked over nearly the time to their deadlines, so that some expire before, some during and most after the outage.
    group = office.timed_callers(timed, 0.8 * expiration_s)
    await asyncio.sleep(max(0.0, expiration_s - _USUAL_S))
    office.counter.open_window()
    await asyncio.sleep(_USUAL_S)
    parked, talks = office.parked_still(), _talks(office)
    usual = office.counter.streams()
    seen.usual_gap_s = _gap(usual, parked)
    seen.usual_conversation_gap_s = _gap(usual, [leg for pair in talks.values() for leg in pair])
    seen.callers, seen.conversations, seen.timed = len(parked), len(talks), timed
    office.counter.open_window()
    await asyncio.sleep(0.1)
    killed_at = time.time()
    killed = office.victim.kill(kind)
    answered = asyncio.create_task(_answered(office.victim.sip_port))
    since = killed_at
    if kind == "everything":
        with suppress(SystemExit):
            await asyncio.to_thread(office.victim.start)
        since = office.victim.started_at
    seen.back = await until(lambda: office.victim.back(killed), BACK_S)
    back_at = time.time()
    if seen.back:
        await asyncio.sleep(settle_s)
    streams = office.counter.streams()
    if answered.done():
        seen.answered_after_s = answered.result() - since
    answered.cancel()
    _judge_sound(seen, streams, parked, since)
    if seen.back:
        await until(lambda: _all_alive(office, parked, talks, back_at), office.ask_s + 4)
    office.read()
    for call in parked:
        if why := _why_lost(call, streams.get(call.rtp_port), back_at, MUSIC_PER_S):
            office.gone.add(call.number)
            seen.lost.append(f"{call.code}: {why}")
    for name, legs in talks.items():
        reasons = [_why_lost(leg, streams.get(leg.rtp_port), back_at, TALK_PER_S) for leg in legs]
        if any(reasons):
            office.talk_gone.add(name)
            seen.conversations_lost.append(f"{name}: {reasons[0] or 'well'}, other end {reasons[1] or 'well'}")
    legs = [leg for name, pair in talks.items() if name not in office.talk_gone for leg in pair]
    seen.conversation_gap_s = _gap(streams, legs)
    if seen.back:
        await _retrieve(office, seen, sample)
        await _judge_deadlines(office, seen, group, killed_at, max(back_at, killed_at + seen.answered_after_s))
    office.forget(group)
    return seen


def _talks(office: Office) -> dict[str, list[Noted]]:
    """Both legs of each conversation, by its code and how many had that code before."""
    legs: dict[str, list[Noted]] = {}
    for end in office.ends:
        before: Tally[str] = Tally()
        for call in sorted(end.calls.values(), key=lambda call: call.up_at):
            legs.setdefault(f"{call.code} {before[call.code]}", []).append(call)
            before[call.code] += 1
    return {name: pair for name, pair in legs.items() if len(pair) == 2 and name not in office.talk_gone}


def _gap(streams: dict[int, Stream], calls: list[Noted]) -> float:
    return max((streams[call.rtp_port].gap_s for call in calls if call.rtp_port in streams), default=0.0)


def _judge_sound(seen: Round, streams: dict[int, Stream], parked: list[Noted], since: float) -> None:
    """``since``: a gap counts from there on."""
    longest = 0.0
    for call in parked:
        stream = streams.get(call.rtp_port)
        if stream is None or not stream.recent:
            longest = float("inf")
            continue
        longest = max(longest, min(stream.gap_s, stream.resumed_at - since if stream.resumed_at > since else stream.gap_s))
        seen.renamed += bool(stream.sources)
        seen.backwards += bool(stream.backwards)
        seen.skipped += bool(stream.missing)
    seen.gap_s = longest


def _all_alive(office: Office, parked: list[Noted], talks: dict[str, list[Noted]], back_at: float) -> bool:
    office.read()
    legs = [*parked, *(leg for pair in talks.values() for leg in pair)]
    return all(call.over or (call.alive_at and call.alive_at[-1] > back_at) for call in legs)


def _why_lost(call: Noted, stream: Stream | None, back_at: float, per_s: int) -> str | None:
    if call.byes_at:
        return "hung up on"
    if call.troubles["gone"]:
        return "its dialog is unknown"
    if stream is None or stream.recent < _ENOUGH * per_s:
        return f"{stream.recent if stream else 0} packets in a second"
    if not call.alive_at or call.alive_at[-1] < back_at:
        return "its requests are not answered"
    return None


async def _answered(port: int) -> float:
    """When the server answered a request outside of any dialog again."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.setblocking(False)
        probe.bind(("127.0.0.1", 0))
        own = f"127.0.0.1:{probe.getsockname()[1]}"
        for number in range(100_000):
            request = (
                f"OPTIONS sip:127.0.0.1:{port} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bKprobe{own[10:]}-{number}\r\n"
                f"From: <sip:probe@{own}>;tag=p\r\nTo: <sip:127.0.0.1:{port}>\r\nCall-ID: probe-{own[10:]}-{number}\r\n"
                f"CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
            )
            with suppress(OSError):
                probe.sendto(request.encode(), ("127.0.0.1", port))
            await asyncio.sleep(0.02)
            with suppress(OSError):
                if probe.recv(65535).startswith(b"SIP/2.0 "):
                    return time.time()
    raise AssertionError("unreachable: whoever waits for this gives up earlier")


async def _retrieve(office: Office, seen: Round, sample: int) -> None:
    """Some callers, spread over all of them, listened to both ways."""
    still = office.parked_still()
    chosen = still[:: max(1, len(still) // max(1, sample))][:sample]
    office.ours.update(call.number for call in chosen)
    seen.retrieved = len(chosen)
    seen.retrieve_problems = await office.phones.retrieve(chosen, 1)

    def all_hung_up() -> bool:
        office.read()
        return all(call.byes_at for call in chosen)

    if not seen.retrieve_problems and not await until(all_hung_up, 3):
        seen.retrieve_problems.append("whoever was retrieved was not hung up on with the phone")


async def _judge_deadlines(office: Office, seen: Round, group: Callers, killed_at: float, back_at: float) -> None:
    """Each of ``group`` is given back once, in time."""
    expiration_s = office.victim.expiration_s
    last_due = max((call.up_at for call in group.calls.values()), default=0.0) + expiration_s
    await asyncio.sleep(max(0.0, max(last_due, back_at) + LATE_S + 0.5 - time.time()))
    group.read()
    suffix = f" timed{office.timed} "
    for call in group.calls.values():
        rings = [ring for ring in office.watcher.rings if ring.shown.endswith(f"{suffix}{call.number}")]
        due = call.up_at + expiration_s
        late_s = rings[0].at - (due if due < killed_at or due > back_at else back_at) if rings else float("inf")
        if not rings:
            seen.deadline_problems.append(f"{call.code} was never given back; due {due - killed_at:+.2f} s from the crash")
        elif rings[0].at < call.called_at + expiration_s - EARLY_S or late_s > LATE_S:
            seen.deadline_problems.append(
                f"{call.code} was due {due - killed_at:+.2f} s from the crash, given back {rings[0].at - killed_at:+.2f} s"
            )
        elif len(rings) > 1 and not (len(rings) == 2 and killed_at - RINGING_S < rings[0].at < back_at):
            seen.deadline_problems.append(f"{call.code} was given back again, {len(rings)} times in all")
        else:
            seen.deadlines_kept += 1
        if rings:
            seen.latest_s = max(seen.latest_s, late_s)
    if missing := seen.timed - len(group.calls):
        # Those who called while the server was dead and gave up are not lost: they were never parked.
        seen.timed -= missing

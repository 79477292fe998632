"""Random calls, and a board that only hears the events: at every instant it must have exactly the calls that there are.

::

    python -m parkade.testing.boards --calls 10000 --jobs 2
    make boards ARGS="--calls 10000 --jobs 2"

People do what they like, programs ask for anything, an administrator changes the directory, and in every other office
signalling dies now and then between any two effects. Whatever is wrong is printed with its seed; then the exit status is 1.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from random import Random

from parkade.calls.board import Board
from parkade.calls.commands import (
    CallDetail,
    ForceBackCall,
    GetCall,
    GiveBackCall,
    HangUpCall,
    ListCalls,
    ListParked,
    ListRegistered,
    NoteCall,
    ParkCall,
    ParkedCall,
    Registered,
    RetrieveCall,
    TransferCall,
    Wanted,
)
from parkade.calls.directory import Directory, NotPickedUp, ParkPolicy, Visibility, VisibilityKind
from parkade.calls.events import CallStarted
from parkade.testing.changes import CHANGES
from parkade.testing.net import Address, Weather
from parkade.testing.whims import GATEWAY, Numbers, Whims
from parkade.testing.world import SimWorld

PEOPLE = ("101", "102", "103", "104", "105")
OUTSIDE = "+84901234567"
CODES = ("*801", "*802", "*803")
NUMBERS = Numbers((*PEOPLE, OUTSIDE), CODES)
CARRIER = Address("203.0.113.50", 5090)
PAUSES_S = (0.0, 0.005, 0.05, 0.5, 0.5, 3.0, 11.0)
CALLS_OF_AN_OFFICE = 40
LONG_DOWN_S = 3000.0
"""So long nobody starts signalling again: registrations and deadlines pass meanwhile."""
BAD = Weather(loss=0.1, duplication=0.1, delay_s=0.02, jitter_s=0.1)


class MirroredWorld(SimWorld):
    """A world with a board for all of it and one for each account, which are compared with the switch at every instant."""

    def __init__(self, seed: int = 0, weather: Weather = Weather()) -> None:  # noqa: B008 - frozen
        self.board = Board()
        self.boards: dict[str, Board] = {}
        self.looks = 0
        self._read = 0
        super().__init__(seed, weather)

    def settled(self) -> None:
        """Read the events, and look."""
        super().settled()
        for event in self.events[self._read :]:
            self.board.tell(event)
            if event.account not in self.boards:
                self.boards[event.account] = Board()
            self.boards[event.account].tell(event)
        self._read = len(self.events)
        if not self.is_down:
            self._compare()

    def _compare(self) -> None:
        self.looks += 1
        there = {detail.id: detail for detail in self.switch.details()}
        assert self.board.calls == there, difference(self.board.calls, there)
        assert self.board.devices == self.switch.registered(self.now), self.board.devices ^ self.switch.registered(self.now)

    def compare_with_commands(self) -> None:
        """The same with what programs are answered. Nobody dies meanwhile."""
        self.crash_signalling_after(None)
        for slug, board in self.boards.items():
            if slug not in self.directory.accounts:
                continue
            calls = self.answer_to(slug, ListCalls())
            self.settled()
            assert isinstance(calls, tuple)
            listed = {one.id: one for one in calls if isinstance(one, CallDetail)}
            assert board.calls == listed, difference(board.calls, listed)
            assert board.parked() == self._listed(slug, ListParked())
            assert board.parked(reserved=True) == self._listed(slug, ListParked(reserved=True))
            registered = self.answer_to(slug, ListRegistered())
            assert isinstance(registered, tuple)
            assert board.devices == {one.device for one in registered if isinstance(one, Registered)}

    def _listed(self, slug: str, wanted: ListParked) -> list[ParkedCall]:
        parked = self.answer_to(slug, wanted)
        assert isinstance(parked, tuple)
        return [one for one in parked if isinstance(one, ParkedCall)]


def difference(told: dict[str, CallDetail], there: dict[str, CallDetail]) -> str:
    """In which calls the two differ."""
    calls = sorted(call for call in told.keys() | there.keys() if told.get(call) != there.get(call))
    return "\n".join(f"told:  {told.get(call)}\nthere: {there.get(call)}" for call in calls)


class Office:
    """One run: ``calls`` are started, then everybody goes home."""

    def __init__(self, seed: int, calls: int = CALLS_OF_AN_OFFICE) -> None:
        self.seed = seed
        self.wanted = calls
        self.dice = dice = Random(f"{seed}/boards")  # noqa: S311 - repeatable, not a secret
        self.deadly = dice.random() < 0.5
        self.world = world = MirroredWorld(seed, BAD if dice.random() < 0.2 else Weather())
        policy = ParkPolicy(
            expiration_s=dice.choice((5.0, 60.0)),
            reserve_s=dice.choice((0.0, 5.0, 30.0)),
            ring_back_s=10.0,
            not_picked_up=dice.choice((NotPickedUp.RING_BACK, NotPickedUp.RING_BACK, NotPickedUp.DISCONNECT)),
            visibility=dice.choice((Visibility(), Visibility(), Visibility(VisibilityKind.PEOPLE, ("101",)))),
        )
        world.account("acme", {n: f"Person {n}" for n in PEOPLE}, lot=(801, dice.choice((803, 899))), policy=policy)
        world.account("zeta", {"101": "Zoe", "102": "Zack"}, policy=policy)
        world.device("line", "acme", "", address="203.0.113.9")
        trunk = world.trunk("carrier", "acme", CARRIER, {number: number for number in PEOPLE})
        self.furnished = world.directory
        self.phones = [world.phone(f"acme-{n}", transport=dice.choice(("UDP", "UDP", "TCP"))) for n in PEOPLE]
        self.phones += [world.phone(f"zeta-{n}") for n in ("101", "102")]
        self.lines = [world.phone("line", register=False), world.phone(trunk.id, register=False)]
        for phone in (*self.phones, *self.lines):
            phone.forgiving = True

    def run(self) -> int:
        """All of it. Gives the number of calls. Raises AssertionError where the board is wrong."""
        world, dice = self.world, self.dice
        for step in range(100 * self.wanted):
            if self._calls() >= self.wanted:
                break
            if world.is_down and dice.random() < 0.1:
                world.run_until(lambda: world.is_up, within_s=2 * LONG_DOWN_S)
            what = dice.choices((self._act, self._ask, self._administrate, self._die), (70, 25, 3, 4 * self.deadly))[0]
            what()
            world.run(dice.choice(PAUSES_S))
            if step % 10 == 0 and not world.is_down:
                world.compare_with_commands()
        world.crash_signalling_after(None)
        world.run_until(lambda: world.is_up, within_s=2 * LONG_DOWN_S)
        world.run(40.0)
        for _ in range(3):
            for phone in (*self.phones, *self.lines):
                phone.hang_up()
            world.run(120.0)
        world.compare_with_commands()
        return self._calls()

    def _calls(self) -> int:
        return sum(isinstance(event, CallStarted) for event in self.world.events)

    def _act(self) -> None:
        phone = self.dice.choice([*self.phones, *self.lines])
        ringing = [p for p in self.phones if p.ringing is not None]
        if ringing and self.dice.random() < 0.4:
            phone = self.dice.choice(ringing)
        deeds = GATEWAY if phone in self.lines and phone.ringing is None else ()
        Whims(self.dice, NUMBERS).act(phone, deeds)

    def _ask(self) -> None:
        if not self.world.is_down:
            self.world.ask(self.dice.choice(("acme", "acme", "zeta")), self.dice.choice(COMMANDS)(self))

    def _administrate(self) -> None:
        accounts, devices = dict(self.world.directory.accounts), dict(self.furnished.devices)
        if self.dice.random() < 0.4:
            accounts = dict(self.furnished.accounts)
        else:
            accounts["acme"] = self.dice.choice(CHANGES)(accounts["acme"], self.dice)
        there = accounts["acme"].owners
        devices = {id_: d for id_, d in devices.items() if d.account != "acme" or not d.extension or d.extension in there}
        self.world.load(Directory(accounts, devices))

    def _die(self) -> None:
        if self.world.is_down:
            return
        if self.dice.random() < 0.3:
            self.world.crash_signalling(self.dice.choice((0.0, 0.0, 2.0, LONG_DOWN_S)))
        else:
            self.world.crash_signalling_after(self.dice.randrange(25), self.dice.choice((0.0, 0.2, 3.0)))

    # What commands are about

    def call(self) -> str:
        """Some call, most often."""
        return self.dice.choice([*self.world.board.calls, "none"])

    def code(self) -> str:
        """Some code at which somebody is, most often."""
        return self.dice.choice([*(one.code for one in self.world.board.parked(reserved=True)), "*801"])

    def by(self) -> str | None:
        """Somebody, or an administrator."""
        return self.dice.choice((*PEOPLE, None, None))

    def person(self) -> str:
        """Somebody, mostly of those who are in a call."""
        inside = [party.extension for call in self.world.board.calls.values() for party in call.parties if party.extension]
        return self.dice.choice([*inside, "101"])


COMMANDS: tuple[Callable[[Office], Wanted], ...] = (
    lambda o: ParkCall(o.call(), o.person(), o.dice.choice((None, "802"))),
    lambda o: ParkCall(o.call(), o.person(), None, "for Minh"),
    lambda o: RetrieveCall(o.code(), f"acme-{o.person()}", o.by(), o.dice.random() < 0.5),
    lambda o: RetrieveCall(o.code(), f"acme-{o.person()}"),
    lambda o: ForceBackCall(o.code(), o.by()),
    lambda o: GiveBackCall(o.code(), o.by()),
    lambda o: GiveBackCall(o.code()),
    lambda o: TransferCall(o.call(), o.person(), o.dice.choice((*PEOPLE, OUTSIDE, "*800", "999"))),
    lambda o: HangUpCall(o.call(), o.dice.choice((o.person(), None))),
    lambda o: NoteCall(o.code(), f"note {o.dice.randrange(100)}", o.by()),
    lambda o: GetCall(o.call(), o.by()),
    lambda o: ListParked(o.by()),
)
"""Anything that programs ask."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one office. ``violation`` is None if the board was right at each of ``looks``."""

    calls: int
    looks: int
    events: int
    violation: str | None


def outcome_of(seed: int) -> Outcome:
    """Run one office."""
    office, violation = Office(seed), None
    try:
        office.run()
    except Exception as error:  # noqa: BLE001 - whatever it is, is what we look for
        frames = traceback.format_list(traceback.extract_tb(error.__traceback__)[-4:])
        violation = "\n".join([f"seed {seed}: {type(error).__name__}: {error}", *frames])
    return Outcome(office._calls(), office.world.looks, len(office.world.events), violation)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Gives the exit status."""
    parser = argparse.ArgumentParser(prog="python -m parkade.testing.boards", description=__doc__.partition("\n")[0])
    parser.add_argument("--calls", type=int, default=1000, help="how many calls")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    given = parser.parse_args(arguments)
    seeds = range(given.first, given.first + -(-given.calls // CALLS_OF_AN_OFFICE))
    began = time.perf_counter()
    with ProcessPoolExecutor(given.jobs) as pool:
        outcomes = list(pool.map(outcome_of, seeds))
    wrong = [outcome.violation for outcome in outcomes if outcome.violation is not None]
    for violation in wrong:
        sys.stdout.write(f"{violation}\n")
    calls, looks, events = (sum(getattr(o, name) for o in outcomes) for name in ("calls", "looks", "events"))
    took_s = time.perf_counter() - began
    sys.stdout.write(f"{calls} calls, {events} events, {looks} comparisons, {len(wrong)} offices wrong, {took_s:.0f} s\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

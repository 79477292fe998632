"""A random office: some phones work, the messages of some are damaged, some just talk; and everything that must hold.

A run is a ``Plan``: the seed and what is left out of it. The same plan gives the same run. ``Office(plan).run()`` raises
whatever goes wrong: an AssertionError of a broken promise, or any exception that the switch or a phone let out.

Who is there, in account *acme*: ``101`` to ``104`` do what they like and are healthy (over UDP, TCP, and from behind NAT),
``105`` to ``107`` do what they like while their messages are damaged, ``108`` and ``109`` talk all the time, ``110`` is a group
that rings healthy phones, at once or in order, and a gateway known by its address brings callers from outside, as does a trunk,
over which numbers outside are called too. Account *zeta* has the same
extensions: ``101`` and ``102`` talk all the time, ``103`` is parked all the time, and ``104`` picks that call up at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

from parkade.calls.directory import Directory, NotPickedUp, ParkPolicy, RingGroup, Strategy
from parkade.sip.session.session_timer import WISHED_S
from parkade.testing.changes import CHANGES
from parkade.testing.damager import Damaged, Damager
from parkade.testing.fake_call import FakeCall
from parkade.testing.net import Address, Weather
from parkade.testing.phone import FakePhone
from parkade.testing.watch import WatchedWorld
from parkade.testing.whims import GATEWAY, Numbers, Whims

WEATHERS = (Weather(), Weather(), Weather(loss=0.1, duplication=0.1, delay_s=0.02, jitter_s=0.1))
PAUSES_S = (0.0, 0.001, 0.003, 0.01, 0.1, 0.1, 0.5, 1.0, 1.0, 5.0)
LONG_S = (40.0, 100.0, 400.0)
ROUND = 25
"""Steps between two looks at everybody."""
MOST_S = 3.0 * WISHED_S
"""How long a session may be kept by a phone that does not say BYE: its refreshes are refused or find nobody."""
HEALTHY, DAMAGED = ("101", "102", "103", "104"), ("105", "106", "107")
OUTSIDE = "+84901234567"
NUMBERS = Numbers(
    people=(*HEALTHY, *DAMAGED, "110", "101", "102", OUTSIDE),
    codes=("*801", "*802", "*803", "*804"),
    orbits=("sip:callpark@acme.example.com;orbit=802", "sip:park@acme.example.com;orbit=804", "tel:*803"),
)
GATEWAY_HOST = "203.0.113.9"
CARRIER = Address("203.0.113.50", 5090)


@dataclass(frozen=True, slots=True)
class Plan:
    """``steps`` are the numbers of the steps that are taken, ``damages`` the keys of the messages that may be damaged.

    None: all of ``length`` steps, any message.
    """

    seed: int
    length: int = 150
    share: float = 0.15
    steps: frozenset[int] | None = None
    damages: frozenset[str] | None = None


class Office:
    """One run. ``story`` is what people did, ``damages`` what was done to their messages."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.story: list[str] = []
        self.damages: list[Damaged] = []
        self._dice = Random(f"{plan.seed}/office")  # noqa: S311 - repeatable, not a secret
        self.world = WatchedWorld(plan.seed, self._dice.choice(WEATHERS))
        self._build()

    def run(self) -> None:
        """All of it, to the end, when everybody has gone and nothing is left."""
        self._steady_calls()
        self._start_damage()
        for number in range(self.plan.length):
            if self.plan.steps is None or number in self.plan.steps:
                self._step(number)
            if number % ROUND == ROUND - 1:
                self._look()
        self._finish()

    # Building it

    def _build(self) -> None:
        world, dice = self.world, self._dice
        policy = ParkPolicy(
            expiration_s=dice.choice((5.0, 60.0)),
            reserve_s=dice.choice((0.0, 5.0, 30.0)),
            ring_back_s=10.0,
            not_picked_up=dice.choice(
                (NotPickedUp.RING_BACK, NotPickedUp.RING_BACK, NotPickedUp.DISCONNECT, NotPickedUp.EXTENSION)
            ),
            forward_to="110",
        )
        people = {extension: f"Person {extension}" for extension in (*HEALTHY, *DAMAGED, "108", "109")}
        group = RingGroup(
            "110", "Everybody", ("101", "102"), strategy=dice.choice([*Strategy]), each_s=dice.choice((2.0, 20.0))
        )
        world.account("acme", people, lot=(801, dice.choice((803, 899))), policy=policy, ring_groups=[group])
        world.account("zeta", {n: f"Zeta {n}" for n in ("101", "102", "103", "104")}, policy=ParkPolicy(expiration_s=1e6))
        world.device("line", "acme", "", address=GATEWAY_HOST)
        trunk = world.trunk("carrier", "acme", CARRIER, {number: number for number in NUMBERS.people if number != OUTSIDE})
        self._furnished = world.directory
        # In half of the offices the directory stays as it is: there more can be promised.
        self.changing = dice.random() < 0.5
        self.steady = [self._phone(f"acme-{n}", healthy=True) for n in ("108", "109")]
        self.zeta = [self._phone(f"zeta-{n}", healthy=True) for n in ("101", "102", "103", "104")]
        self.healthy = [self._phone(f"acme-{n}", healthy=True) for n in HEALTHY]
        self.damaged = [self._phone(f"acme-{n}", healthy=False) for n in DAMAGED]
        self.line = world.phone("line", register=False)
        self.carrier = world.phone(trunk.id, register=False)
        self.lines = (self.line, self.carrier)
        for line in self.lines:
            line.forgiving = True
            if dice.random() < 0.5:
                self.damaged.append(line)

    def _phone(self, device: str, *, healthy: bool) -> FakePhone:
        transport, nat = self._dice.choice((("UDP", False), ("UDP", False), ("TCP", False), ("UDP", True), ("TCP", True)))
        phone = self.world.phone(device, transport=transport, nat=nat)
        phone.forgiving = True
        phone.hangs_up_after_transfer = self._dice.random() < 0.7
        phone.rings_with_sound = self._dice.random() < 0.2
        if healthy:
            self.world.healthy.append(phone)
        return phone

    def _steady_calls(self) -> None:
        self.pairs = [self._talk(self.steady[0], self.steady[1]), self._talk(self.zeta[0], self.zeta[1])]
        self.parked, parking = self._talk(self.zeta[2], self.zeta[3])
        self.world.run(5.0)
        parking.refer("*800")
        self.world.run_until(lambda: self.parked.hears("music"), within_s=60.0)
        self.world.run(5.0)
        self.zeta[3].hang_up()
        for phone in self.steady:
            phone.rejects = 486

    def _talk(self, caller: FakePhone, called: FakePhone) -> tuple[FakeCall, FakeCall]:
        call = caller.call(called.name.rpartition("-")[2])
        self.world.run_until(lambda: called.ringing is not None, within_s=60.0)
        answered = called.answer()
        self.world.run_until(lambda: call.hears(called) and answered.hears(caller), within_s=60.0)
        return call, answered

    def _start_damage(self) -> None:
        for phone in self.damaged:
            out, back = (
                Damager(self.plan.seed, f"{phone.name}{way}", self.damages, share, self.plan.damages)
                for way, share in (("", self.plan.share), ("<", self.plan.share / 5))
            )
            phone.misbehave(out)
            phone.mishear(back)

    # What happens

    def _step(self, number: int) -> None:
        dice = Random(f"{self.plan.seed}/step/{number}")  # noqa: S311 - repeatable, not a secret
        happens = dice.choices((self._somebody_acts, self._network_fails, self._administrator), (90, 5, 5 * self.changing))[0]
        did = happens(dice)
        pause_s = dice.choice(LONG_S if dice.random() < 0.02 else PAUSES_S)
        self.story.append(f"{number}: {did}, {pause_s} s")
        self.world.run(pause_s)

    def _somebody_acts(self, dice: Random) -> str:
        phone = dice.choice([*self.healthy, *self.damaged, *self.lines])
        ringing = [p for p in (*self.healthy, *self.damaged, self.carrier) if p.ringing is not None]
        if ringing and dice.random() < 0.4:
            phone = dice.choice(ringing)
        # People see on their keys where somebody is parked.
        taken = [stay.place[2] for stay in self.world.book.stays.values() if stay.place[0] == "acme"]
        numbers = replace(NUMBERS, codes=[*NUMBERS.codes, *taken, *taken, *taken])
        return Whims(dice, numbers).act(phone, GATEWAY if phone in self.lines and phone.ringing is None else ())

    def _network_fails(self, dice: Random) -> str:
        """A stream breaks, of a healthy phone too, and its phone registers again; or a damaged phone is cut off for a while."""
        world = self.world
        phone = dice.choice([*self.healthy, *self.damaged])
        streams = world.net.streams(phone.address)
        if streams:
            world.net.break_stream(dice.choice(streams), world.now)
            world.after(dice.choice((0.1, 1.0, 20.0)), phone.register)
            return f"{phone.name}'s connection breaks"
        phone = dice.choice(self.damaged)
        world.net.cut(phone.address)
        world.after(dice.choice((0.5, 5.0, 50.0)), lambda: world.net.mend(phone.address, world.now))
        return f"{phone.name} is cut off"

    def _administrator(self, dice: Random) -> str:
        """The directory changes, or is what it was."""
        change = dice.choice(CHANGES)
        accounts, devices = dict(self.world.directory.accounts), dict(self._furnished.devices)
        if dice.random() < 0.3:
            accounts = dict(self._furnished.accounts)
            did = "as it was"
        else:
            accounts["acme"] = change(accounts["acme"], dice)
            did = change.__name__
        there = accounts["acme"].owners
        # Devices of people who are gone are gone with them.
        devices = {id_: d for id_, d in devices.items() if d.account != "acme" or not d.extension or d.extension in there}
        self.world.load(Directory(accounts, devices))
        return f"directory: {did}"

    def _look(self) -> None:
        """Whoever is not damaged talks on."""
        for call, answered in self.pairs:
            assert call.hears(answered), f"{call} does not hear {answered}: {call.heard[-3:]}"
            assert answered.hears(call), f"{answered} does not hear {call}: {answered.heard[-3:]}"
        assert self.parked.hears("music"), f"{self.parked} is lost: {self.parked.heard[-3:]}, {self.parked.ended}"
        self.world.assert_accounts_are_apart()
        self.world.assert_no_parked_caller_is_lost()

    def _finish(self) -> None:
        """Some damaged phones lose power, the others behave; then everybody goes home."""
        here = [*self.healthy, *self.steady, *self.zeta, *self.lines]
        for phone in self.damaged:
            phone.misbehave()
            phone.mishear(None)
            self.world.net.mend(phone.address, self.world.now)
            if phone not in self.lines and self._dice.random() < 0.3:
                self.world.unplug(phone)
            else:
                here.append(phone)
        self._look()
        self._everybody_is_looked_after()
        picked_up = self.zeta[3].call("*801")
        self.world.run_until(lambda: picked_up.hears(self.parked) and self.parked.hears(picked_up), within_s=60.0)
        for _ in range(4):
            for phone in here:
                phone.hang_up()
            self.world.run(80.0)
        self.world.assert_no_parked_caller_is_lost()
        self._wait(self._nothing_is_left, MOST_S)
        self.world.assert_nothing_leaks(within_s=MOST_S)
        assert not self.world.book.stays, f"parked for ever: {self.world.book.stays}"

    def _everybody_is_looked_after(self) -> None:
        """When nothing rings any more, no healthy phone is left in silence."""
        self.world.run(40.0)
        for phone in self.healthy:
            for call in phone.live:
                talks = call.is_up and call.direction.value == "sendrecv"
                assert not talks or not call.hears("silence") or self._is_alone(call), f"{call} is forgotten: {call.heard[-3:]}"

    def _is_alone(self, call: FakeCall) -> bool:
        """Whether its far end is a damaged phone that sends nothing."""
        return any(
            what.startswith(("acme-105", "acme-106", "acme-107", "line", "acme/")) or what == "silence"
            for _, what in call.heard[-2:]
        )

    def _nothing_is_left(self) -> bool:
        counts = self.world.switch.counts()
        return not any(count for kind, count in counts.items() if kind not in ("bindings", "ports"))

    def _wait(self, condition: Callable[[], bool], within_s: float) -> None:
        try:
            self.world.run_until(condition, within_s=within_s)
        except AssertionError:
            raise AssertionError(
                f"the switch still has {self.world.switch.counts()}, media {[*self.world.media.legs]}"
            ) from None

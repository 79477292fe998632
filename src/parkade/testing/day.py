"""A day in an office whose server dies: callers come, are parked and picked up, and everybody keeps score.

A *call-day* is 24 h of simulated time in an office of six people, a line to the outside and one lot. ``CALLERS`` callers come
at random times; each is answered, parked in one of the five styles, and then picked up, perhaps parked again, or rung back
for, or hangs up. During the calls of ``deaths`` of them signalling, media or both die in the middle of what is done, between
any two effects, and are started again after a while. ``Day(plan).run()`` raises AssertionError with whatever was promised and
not kept.

What is promised to each caller: from the moment it is parked until it hangs up, somebody has it, or it was told that nobody is
there, it is never hung up on; it hears music again soon after signalling is back; it can be picked up at its code. What the
events say is checked by ``MortalWorld``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from parkade.base.clock import Instant
from parkade.calls.directory import ParkPolicy
from parkade.sip.message.headers import NameAddr
from parkade.testing.fake_call import FakeCall
from parkade.testing.mortal import MortalWorld, Process
from parkade.testing.phone import FakePhone

DAY_S = 86_400.0
CALLERS = 30
PEOPLE = ("101", "102", "103", "104", "105", "106")
POLICIES = (
    ParkPolicy(expiration_s=60.0, reserve_s=30.0, ring_back_s=20.0),
    ParkPolicy(expiration_s=600.0, reserve_s=0.0, ring_back_s=30.0),
    ParkPolicy(expiration_s=3600.0, reserve_s=600.0, ring_back_s=15.0),
)
STYLES = ("refer", "refer to a code", "orbit", "over a held call", "keys", "keys by INFO", "attended")
PROCESSES: tuple[Process, ...] = ("signalling", "signalling", "signalling", "media", "both")
"""What dies, the frequent more than once."""
REGISTER_AGAIN_S = 1700.0
GATEWAY_HOST = "203.0.113.9"
LONGEST_S = 2.0 * 3600.0
"""After so long the most patient caller hangs up."""
SETTLED_S = 5.0
"""After so long without a death everything that was begun is done."""
FAREWELL = "sorry-nobody-goodbye"


@dataclass(frozen=True, slots=True)
class DayPlan:
    """The same plan gives the same day."""

    seed: int
    deaths: int = 8
    callers: int = CALLERS


@dataclass(slots=True)
class Guest:
    """A caller from outside. ``parked`` is set from the park until somebody has picked it up."""

    number: str
    call: FakeCall
    parked: bool = False
    done: bool = False


class Day:
    """One call-day. ``story`` is what happened, with the time since midnight."""

    def __init__(self, plan: DayPlan) -> None:
        self.plan = plan
        self.story: list[str] = []
        self.guests: list[Guest] = []
        self._dice = Random(f"{plan.seed}/day")  # noqa: S311 - repeatable, not a secret
        world = self.world = MortalWorld(plan.seed)
        world.account("acme", {n: f"Person {n}" for n in PEOPLE}, policy=self._dice.choice(POLICIES))
        world.device("line", "acme", "", address=GATEWAY_HOST)
        self._line = world.phone("line", register=False)
        self._people = [self._person(n) for n in PEOPLE]
        self._midnight = world.now

    def run(self) -> None:
        """All of it; then everybody goes home and nothing may be left, in the journal either."""
        world, dice = self.world, self._dice
        for number in range(self.plan.callers):
            self._after(dice.uniform(0.0, DAY_S - 3 * 3600.0), lambda number=number: self._come(number))  # type: ignore[misc]
        victims = set(dice.sample(range(self.plan.callers), min(self.plan.callers, self.plan.deaths)))
        self._victims = victims
        for phone in self._people:
            self._register(phone)
        for _ in range(24 * 12):
            world.run(DAY_S / (24 * 12))
            self.world.report_silence()
            self._look()
            self._forget()
        self._go_home()

    # People

    def _person(self, extension: str) -> FakePhone:
        transport, nat = self._dice.choice((("UDP", False), ("UDP", False), ("TCP", False), ("UDP", True)))
        phone = self.world.phone(f"acme-{extension}", transport=transport, nat=nat)
        phone.forgiving = True
        phone.auto_answer_s = self._dice.uniform(1.0, 8.0)
        phone.hangs_up_after_transfer = self._dice.random() < 0.7
        self.world.healthy.append(phone)
        return phone

    def _register(self, phone: FakePhone) -> None:
        phone.register()
        self._after(REGISTER_AGAIN_S + self._dice.uniform(0.0, 60.0), lambda: self._register(phone))

    # A caller, step by step

    def _come(self, number: int) -> None:
        person = self._dice.choice(self._people)
        caller = f"09{number:04}"
        call = self._line.call(person.name[-3:], caller=NameAddr("", f"sip:{caller}@line.example.net"))
        guest = Guest(caller, call)
        self.guests.append(guest)
        self._tell(guest, f"calls {person.name}")
        mortal = number in self._victims
        self._after(LONGEST_S, lambda: self._leave(guest))
        self._after(self._dice.uniform(15.0, 60.0), lambda: self._park(guest, mortal))

    def _park(self, guest: Guest, mortal: bool) -> None:
        holder = self.world.facing(guest.call)
        if guest.done or holder is None or not holder.is_up:
            self._leave(guest)
            return
        style = self._dice.choice(STYLES)
        self._tell(guest, f"is parked by {holder.phone.name}: {style}")
        if mortal and self._dice.random() < 0.5:
            self._die(guest)
        self._do_park(holder, style)
        self._after(self._dice.uniform(25.0, 40.0), lambda: self._is_parked(guest, holder, mortal))

    def _do_park(self, holder: FakeCall, style: str) -> None:
        phone, free = holder.phone, f"*{self._dice.randint(850, 899)}"
        match style:
            case "refer":
                holder.refer("*800")
            case "refer to a code":
                holder.refer(free)
            case "orbit":
                holder.refer(f"sip:callpark@acme.example.com;orbit={free[1:]}")
            case "over a held call":
                holder.hold()
                self._after(1.0, lambda: phone.call("*800"))
            case "keys" | "keys by INFO":
                holder.press("*5", "rtp" if style == "keys" else "info")
            case _:
                holder.hold()
                self._after(1.0, lambda: self._consult(holder, phone.call("*800")))

    def _consult(self, holder: FakeCall, consultation: FakeCall) -> None:
        def join() -> None:
            if holder.is_up and consultation.is_up:
                holder.transfer_to(consultation)

        self._after(2.0, join)

    def _is_parked(self, guest: Guest, holder: FakeCall, mortal: bool) -> None:
        """Parked or still with whoever wanted to park it."""
        if guest.done:
            return
        if not guest.call.is_up:
            # A phone whose REFER found no server gives its call up (RFC 3261 12.2.1.2) and hangs up on whoever is there.
            gave_up = holder.ended in ("timeout", "gone", "transport")
            assert gave_up, f"{self._where(guest)} was lost while it was being parked"
            guest.done = True
            return
        if not self._waits(guest):
            assert self.world.facing(guest.call) is not None or self.world.is_down, (
                f"{self._where(guest)} is neither parked nor with anybody"
            )
            self._leave(guest)
            return
        guest.parked = True
        if mortal:
            self._die(guest)
        fate = self._dice.choices((self._pick_up, self._give_up, self._stay), (60, 10, 30))[0]
        self._after(self._dice.choice((0.5, 5.0, 20.0, 200.0)), lambda: fate(guest))

    def _pick_up(self, guest: Guest, tries: int = 5) -> None:
        """Somebody dials the code that people see on their keys."""
        if guest.done or not guest.parked or not guest.call.is_up:
            return
        code = self.world.code_of(guest.number)
        if code is None or self.world.is_down:
            if tries:
                self._after(30.0, lambda: self._pick_up(guest, tries - 1))
            return
        person = self._dice.choice(self._people)
        self._tell(guest, f"is picked up at {code} by {person.name}")
        picking = person.call(code)
        deaths = self.world.deaths
        self._after(8.0, lambda: self._has_it(guest, picking, deaths, tries))

    def _has_it(self, guest: Guest, picking: FakeCall, deaths: int, tries: int) -> None:
        if guest.done or not guest.call.is_up:
            return
        if self.world.facing(guest.call) is picking and picking.is_up:
            if self.world.quiet_for(SETTLED_S):
                assert picking.hears(guest.call), f"{picking} does not hear {self._where(guest)}"
                assert guest.call.hears(picking), f"{self._where(guest)} does not hear {picking}"
            guest.parked = False
            again = self._dice.random() < 0.3
            self._after(self._dice.uniform(5.0, 300.0), lambda: self._park(guest, False) if again else self._leave(guest))
            return
        if self._waits(guest):
            # Only the death of signalling, or the deadline, may come between a code and whoever dials it.
            picking.hang_up()
            if tries:
                self._after(15.0, lambda: self._pick_up(guest, tries - 1))
            return
        assert self.world.deaths > deaths or self.world.facing(guest.call) is not None, (
            f"{self._where(guest)} is not with {picking}, which hears {picking.hearing}"
        )

    def _give_up(self, guest: Guest) -> None:
        self._leave(guest)

    def _stay(self, guest: Guest) -> None:
        """Nobody picks up: the parker is rung, who has gone to lunch or not."""
        if self._dice.random() < 0.5:
            for phone in self._people:
                phone.auto_answer_s = None
            self._after(1800.0, self._lunch_is_over)

    def _lunch_is_over(self) -> None:
        for phone in self._people:
            phone.auto_answer_s = self._dice.uniform(1.0, 8.0)

    def _leave(self, guest: Guest) -> None:
        """The caller hangs up."""
        if not guest.done:
            guest.done = True
            guest.parked = False
            self._tell(guest, "hangs up")
            guest.call.hang_up()

    def _die(self, guest: Guest) -> None:
        """Death comes somewhere in what is done next."""
        which: Process = self._dice.choice(PROCESSES)
        effects = self._dice.choice((0, 1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30))
        down_s = self._dice.choice((0.05, 0.5, 2.0, 2.0, 20.0, 300.0))
        self._tell(guest, f"{which} dies after {effects} effects, for {down_s} s")
        self.world.die(which, effects, down_s)

    # Looking

    def _look(self) -> None:
        """Nobody who was parked has been hung up on; whoever waits hears music."""
        for guest in self.guests:
            call = guest.call
            if guest.done:
                continue
            if call.state == "ended":
                guest.done = True
                heard = [what for _, what in call.heard[-3:]]
                lost = guest.parked and FAREWELL not in heard and self._nobody_hung_up(call)
                assert not lost, f"{self._where(guest)} is lost, it heard {heard}"
            elif guest.parked and self.world.quiet_for(SETTLED_S):
                before, now = [what for _, what in call.heard[-2:]]
                in_lot = self.world.code_of(guest.number) is not None
                # A phone whose refresh found no server has hung up unheard; that is found when nothing more comes from it.
                abandoned = now == "silence" and before.startswith("acme-") and not in_lot
                with_somebody = self.world.facing(call) is not None or abandoned
                assert with_somebody or now in ("music", FAREWELL), f"{self._where(guest)} hears {now}"
                assert not in_lot or now == "music", f"{self._where(guest)} is parked and hears {now}"

    def _nobody_hung_up(self, call: FakeCall) -> bool:
        """Whether no person had the caller last: then only the server can have hung up."""
        return not any(what.startswith("acme-") for _, what in call.heard[-2:])

    def _waits(self, guest: Guest) -> bool:
        return guest.call.hears("music") and self.world.code_of(guest.number) is not None

    def _forget(self) -> None:
        """What is over and looked at is not kept: a day is long."""
        self.guests = [guest for guest in self.guests if not guest.done or guest.call.state != "ended"]
        for phone in (self._line, *self._people):
            phone.recorder.seen.clear()
        self.world.net.log.clear()

    def _go_home(self) -> None:
        world = self.world
        for _ in range(4):
            for phone in (self._line, *self._people):
                phone.hang_up()
            world.run(80.0)
        world.assert_nothing_leaks(within_s=6000.0)
        world.assert_nothing_is_kept()

    # Small things

    def _after(self, seconds: float, action: Callable[[], object]) -> None:
        self.world.after(seconds, lambda: action() if not self._is_over() else None)

    def _is_over(self) -> bool:
        return self.world.now >= self._midnight + DAY_S

    def _tell(self, guest: Guest, what: str) -> None:
        at: Instant = self.world.now - self._midnight
        self.story.append(f"{at:.3f} {guest.number} {what}")

    def _where(self, guest: Guest) -> str:
        return f"{guest.number} at {self.world.now - self._midnight:.3f} ({guest.call})"

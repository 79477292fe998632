"""People with phones who do whatever comes to their minds: one table of deeds, drawn by lot.

A deed that is not possible just now (nothing rings, nobody talks) does nothing. What a phone can do is all in here, so a new
ability of ``FakePhone`` belongs into a table here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeAlias

from parkade.sip.message.headers import NameAddr
from parkade.testing.fake_call import FakeCall
from parkade.testing.phone import FakePhone

MOST_CALLS = 3
"""Somebody with so many calls dials no more."""
OUTSIDE_CALLERS = (
    NameAddr("", "sip:+442079460000@line.example.net"),
    NameAddr("Nguyễn Văn Minh", "sip:0912345678@line.example.net"),
    NameAddr('"Quoted" \\ Inc.', "sip:anonymous@anonymous.invalid"),
    NameAddr("Percent", "sip:1%2B2@line.example.net;user=phone"),
    NameAddr("", "tel:+442079460001"),
)
"""How callers from outside come: names and numbers as gateways send them."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """What can be dialled: ``people`` (groups too), ``codes`` of the lot, ``park``, and the ``orbits`` of the same lot."""

    people: Sequence[str]
    codes: Sequence[str]
    park: str = "*800"
    orbits: Sequence[str] = ()


class Whims:
    """Draws deeds from ``random`` for phones that can dial ``numbers``."""

    def __init__(self, random: Random, numbers: Numbers) -> None:
        self.random = random
        self.numbers = numbers

    def act(self, phone: FakePhone, deeds: Sequence[Deed] = ()) -> str:
        """Let the person at ``phone`` do one of ``deeds``, or what fits the moment, mostly; what it was, in words."""
        deed = self.random.choice(deeds or (ANYTHING if self.random.random() < 0.1 else deeds_for(phone)))
        deed(self, phone)
        return f"{phone.name} {deed.__name__}"

    # Calling

    def dial_somebody(self, phone: FakePhone) -> None:
        """Call a person, perhaps without an offer, perhaps with a short session timer."""
        headers = [("Session-Expires", self.random.choice(["90", "120;refresher=uas", "1800;refresher=uac"]))]
        self.dial(phone, self.numbers.people, headers if self.random.random() < 0.2 else [])

    def dial_a_code(self, phone: FakePhone) -> None:
        """Pick up at a code, or park a held call there."""
        self.dial(phone, self.numbers.codes)

    def dial_park(self, phone: FakePhone) -> None:
        """Park a held call."""
        self.dial(phone, [self.numbers.park])

    def dial(self, phone: FakePhone, numbers: Sequence[str], headers: Sequence[tuple[str, str]] = ()) -> None:
        """Call one of ``numbers``."""
        if len(phone.live) < MOST_CALLS:
            late = self.random.random() < 0.15
            phone.call(self.random.choice(numbers), late_offer=late, headers=headers)

    def call_from_outside(self, phone: FakePhone) -> None:
        """A gateway puts a caller through."""
        if len(phone.live) < 2 * MOST_CALLS:
            phone.call(self.random.choice(self.numbers.people), caller=self.random.choice(OUTSIDE_CALLERS))

    # Being called

    def answer(self, phone: FakePhone) -> None:
        """Pick up."""
        if phone.ringing is not None:
            phone.answer()

    def reject(self, phone: FakePhone) -> None:
        """Refuse."""
        if phone.ringing is not None:
            phone.reject(self.random.choice([302, 404, 480, 486, 488, 503, 603]))

    def ring_with_sound(self, phone: FakePhone) -> None:
        """Say once more that it rings, with sound of its own."""
        if phone.ringing is not None:
            phone.ringing.ring(self.random.choice([180, 183]), early_media=True)

    # In a call

    def hold(self, phone: FakePhone) -> None:
        """Hold, in any spelling, by re-INVITE or UPDATE."""
        for call in self.some_call(phone):
            call.hold(self.random.choice(["sendonly", "inactive", "zero"]), by_update=self.random.random() < 0.3)

    def resume(self, phone: FakePhone) -> None:
        """Resume, by re-INVITE or UPDATE."""
        for call in self.some_call(phone):
            call.resume(by_update=self.random.random() < 0.3)

    def transfer(self, phone: FakePhone) -> None:
        """Send the far end to somebody, unasked."""
        for call in self.some_call(phone):
            call.refer(self.random.choice(self.numbers.people))

    def park(self, phone: FakePhone) -> None:
        """Send the far end to the lot."""
        for call in self.some_call(phone):
            call.refer(self.numbers.park)

    def park_there(self, phone: FakePhone) -> None:
        """Send the far end to one code, or to an orbit."""
        for call in self.some_call(phone):
            call.refer(self.random.choice([*self.numbers.codes, *self.numbers.orbits]))

    def park_over_a_held_call(self, phone: FakePhone) -> None:
        """Hold, and dial the park code or a code beside it."""
        for call in self.some_call(phone):
            call.hold()
            self.dial(phone, [self.numbers.park, self.random.choice(self.numbers.codes)])

    def attended_transfer(self, phone: FakePhone) -> None:
        """Join two far ends: also what was parked and what is said at the park code."""
        up = [call for call in phone.live if call.is_up]
        if len(up) > 1:
            one, other = self.random.sample(up, 2)
            one.transfer_to(other)

    def press(self, phone: FakePhone) -> None:
        """Park by keys, or press any."""
        for call in self.some_call(phone):
            call.press(self.random.choice(["*5", "*5", "1", "*", "#0A"]), self.random.choice(["info", "rtp"]))

    # Ending and so on

    def hang_up(self, phone: FakePhone) -> None:
        """End one call."""
        if phone.live:
            self.random.choice(phone.live).hang_up()

    def hang_up_everything(self, phone: FakePhone) -> None:
        """End all calls."""
        phone.hang_up()

    def register(self, phone: FakePhone) -> None:
        """Register again."""
        phone.register()

    def some_call(self, phone: FakePhone) -> list[FakeCall]:
        """One call that is up, if there is one."""
        up = [call for call in phone.live if call.is_up]
        return [self.random.choice(up)] if up else []


Deed: TypeAlias = Callable[[Whims, FakePhone], None]

IDLE: tuple[Deed, ...] = (*[Whims.dial_somebody] * 4, *[Whims.dial_a_code] * 2, Whims.dial_park, Whims.register)
RINGING: tuple[Deed, ...] = (*[Whims.answer] * 6, Whims.reject, Whims.ring_with_sound)
TALKING: tuple[Deed, ...] = (
    *[Whims.park] * 3,
    *(Whims.park_there, Whims.park_over_a_held_call, Whims.press, Whims.hold, Whims.hold, Whims.resume, Whims.resume),
    *(Whims.transfer, Whims.attended_transfer, Whims.attended_transfer, Whims.dial_somebody, Whims.dial_a_code),
    *(Whims.hang_up, Whims.hang_up, Whims.register),
)
"""What people do by what their phone is doing, the frequent more than once."""
GATEWAY: tuple[Deed, ...] = (*[Whims.call_from_outside] * 4, Whims.hang_up, Whims.hold, Whims.resume, Whims.press)
"""What a line to the outside does."""
ANYTHING: tuple[Deed, ...] = (*IDLE, *RINGING, *TALKING, Whims.hang_up_everything)


def deeds_for(phone: FakePhone) -> Sequence[Deed]:
    """What one does with a phone that is in that state."""
    if phone.ringing is not None:
        return RINGING
    return TALKING if any(call.is_up for call in phone.live) else IDLE

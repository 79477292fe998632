"""What must hold in every world at every instant, whatever phones do: a world that looks after each of its instants.

``ParkBook`` follows the events and knows who is parked. ``assert_sound_is_right`` looks at who hears whom. ``WatchedWorld``
applies both whenever something has happened. Violations are AssertionError.

The rules are those that need no knowledge of what people wanted: codes are not taken twice, a stay ends once and in time, a
parked caller is gone only if its phone hung up, if it was told that nobody is there, or if somebody has it; sound goes from one
leg to one other and never from one account to another.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from parkade.base.clock import Instant
from parkade.base.sound import Peer
from parkade.calls.directory import Directory
from parkade.calls.events import (
    CallAbandoned,
    CallEnded,
    CallEvent,
    CallGivenBack,
    CallGivenUp,
    CallParked,
    CallReminded,
    CallReparked,
    CallRetrieved,
    CallReturned,
    CallStarted,
    CallTimedOut,
    Event,
)
from parkade.testing.net import FAIR, Weather
from parkade.testing.phone import FakePhone
from parkade.testing.world import SERVER, SimWorld

LATE_S = 0.5
"""How late a deadline may be kept."""


@dataclass(slots=True)
class Stay:
    """A call in the lot, as the events tell it. ``expires_at`` is None while somebody is rung for it, or no code is free."""

    call: str
    caller: str
    place: tuple[str, str, str]
    expires_at: Instant | None


@dataclass(slots=True)
class ParkBook:
    """Who is parked where. ``parked`` are those at a code or being rung for, by call; ``ended`` the calls that are over."""

    stays: dict[str, Stay] = field(default_factory=dict)
    calls: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    abandoned: list[CallAbandoned] = field(default_factory=list)
    moved: dict[tuple[str, str], Stay] = field(default_factory=dict)
    """Stays whose call is over, by account and code (a lot may have another name by now): somebody else must take the place at
    once, in an attended transfer by who was parked.
    """
    told: int = 0
    back_at: Instant = 0.0
    """When the server was started again last: what was due before that is due then."""

    def read(self, events: list[Event]) -> None:
        """Go on reading ``events`` where the last reading ended."""
        for event in events[self.told :]:
            self._read(event)
        self.told = len(events)
        assert not self.moved, f"{self.moved} are lost"

    def assert_in_time(self, now: Instant) -> None:
        """Nobody waits at a code longer than was said."""
        for stay in self.stays.values():
            due_at = None if stay.expires_at is None else max(stay.expires_at, self.back_at)
            assert due_at is None or now <= due_at + LATE_S, f"{stay} is overdue at {now}"

    def _read(self, event: Event) -> None:
        if not isinstance(event, CallEvent):
            return
        call = event.call
        assert call not in self.ended, f"{event} after the end of its call"
        match event:
            case CallParked() | CallReparked() | CallGivenBack():
                self._parked(call, event)
            case CallReminded():
                # Also before its time, if somebody has forced it back.
                self._in_lot(call, event).expires_at = None
            case CallGivenUp():
                assert self._in_lot(call, event).expires_at is None, f"{event} before its time"
            case CallTimedOut():
                timed_out = self._at_code(call, event)
                assert timed_out.expires_at is not None
                due_at = max(timed_out.expires_at, self.back_at)
                assert abs(event.at - due_at) <= LATE_S, f"{event} though it was to be at {due_at}"
                timed_out.expires_at = None
            case CallRetrieved():
                self._at_code(call, event)
                del self.stays[call]
            case CallReturned():
                assert self._in_lot(call, event).expires_at is None, f"{event} before its time"
                del self.stays[call]
            case CallAbandoned():
                self._in_lot(call, event)
                del self.stays[call]
                self.abandoned.append(event)
            case CallEnded():
                stay = self.stays.pop(call, None)
                # A caller for whom nobody was found is told so, and hung up on: then nothing waits for a deadline any more.
                if stay is not None and stay.expires_at is not None:
                    self.moved[stay.place[0], stay.place[2]] = stay
                self.ended.add(call)
                self.calls.discard(call)
            case CallStarted():
                assert call not in self.calls, f"{event} twice"
                self.calls.add(call)
            case _:
                pass

    def _parked(self, call: str, event: CallParked | CallReparked | CallGivenBack) -> None:
        place = (event.account, event.lot, event.code)
        at_code = [stay for stay in self.stays.values() if stay.expires_at is not None and stay.place == place]
        assert not at_code or at_code[0].call == call, f"{event} where {at_code[0]} is"
        was = self.stays.get(call)
        assert was is None or was.expires_at is None or isinstance(event, CallReparked), f"{event} though it is parked: {was}"
        # Whoever picked it up was never there: then its time may be over, and that is told at once.
        assert event.expires_at > event.at or isinstance(event, CallReparked), f"{event} is due before it begins"
        expires_at = max(event.expires_at, event.at)
        moved = self.moved.pop((event.account, event.code), None)
        assert moved is None or moved.expires_at == expires_at, f"{event} in the place of {moved}, with another deadline"
        self.stays[call] = Stay(call, event.caller_number, place, expires_at)

    def _in_lot(self, call: str, event: Event) -> Stay:
        assert call in self.stays, f"{event}, but it is not in the lot"
        return self.stays[call]

    def _at_code(self, call: str, event: Event) -> Stay:
        stay = self._in_lot(call, event)
        assert stay.expires_at is not None, f"{event}, but its time is over"
        return stay


def assert_sound_is_right(world: SimWorld) -> None:
    """Sound goes from one leg to one other, both ways or one, and stays within its account."""
    heard_by: dict[str, str] = {}
    legs = world.media.legs
    for leg in legs.values():
        if not isinstance(leg.sound, Peer):
            continue
        source = leg.sound.leg
        assert source in legs, f"{leg.id} hears {source}, which is closed"
        assert source not in heard_by, f"{leg.id} and {heard_by[source]} both hear {source}"
        heard_by[source] = leg.id
        back = legs[source].sound
        assert not isinstance(back, Peer) or back.leg == leg.id, f"{leg.id} hears {source}, which hears {back.leg}"


class WatchedWorld(SimWorld):
    """A world that looks after itself. ``healthy`` are phones that do nothing wrong: more is promised to them.

    ``book`` is what the events say.
    """

    def __init__(self, seed: int = 0, weather: Weather = FAIR) -> None:
        self.book = ParkBook()
        self.healthy: list[FakePhone] = []
        self._account_of: dict[str, str] = {}
        super().__init__(seed, weather)

    def load(self, directory: Directory) -> None:
        """Devices that are gone are remembered: what they said may still be heard."""
        self._account_of |= {name: device.account for name, device in directory.devices.items()}
        self._account_of |= {id_: account.slug for account in directory.accounts.values() for id_ in account.trunks}
        super().load(directory)

    def settled(self) -> None:
        """Look at everything."""
        super().settled()
        if not self.is_down:
            self.book.read(self.events)
            self.book.assert_in_time(self.now)
        assert_sound_is_right(self)

    def assert_accounts_are_apart(self) -> None:
        """Nobody has heard anybody of another account."""
        account_of = self._account_of
        for phone in self.healthy:
            for call in phone.calls:
                others = {what for _, what in call.heard if what in account_of}
                strangers = {other for other in others if account_of[other] != account_of[phone.name]}
                assert not strangers, f"{call} heard {strangers} of another account"

    def assert_no_parked_caller_is_lost(self) -> None:
        """Whoever abandoned the lot had hung up: a healthy phone that was hung up on did not."""
        abandoned: dict[str, int] = defaultdict(int)
        for event in self.book.abandoned:
            abandoned[f"{event.account}-{event.caller_number}"] += 1
        for phone in self.healthy:
            left = [call for call in phone.calls if call.state == "ended" and call.ended != "bye"]
            gone = abandoned[phone.name]
            assert gone <= len(left), f"{phone.name} is said to have abandoned {gone} calls, but hung up only {left}"

    def report_silence(self) -> None:
        """Have the media process say from which phones nothing comes: those that have no call there any more."""
        calls = [call for phone in self._phones for call in phone.live]
        heard = {agreed.port for call in calls if (agreed := call.negotiator.agreed) and agreed.address == SERVER.host}
        for leg in self.media.legs.values():
            if leg.described is not None and leg.port not in heard:
                self.media.fall_silent(leg.id)
        self._server.listen_to_media()

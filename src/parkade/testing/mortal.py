"""A world whose server dies: signalling, media or both, between any two effects, and what must be so afterwards.

Of the effects of one input the orders to media come first, then what is to be kept, then messages and events; so a death may
come before the journal knows (nothing has happened for anybody outside) or after it (some of the messages are lost).

Beyond what ``WatchedWorld`` looks at: whatever an event has told is in the journal when signalling dies, with the same code and
deadline; deadlines are kept over a death, and those that have passed are due when signalling is back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from parkade.base.clock import Instant
from parkade.base.journal import Json
from parkade.base.sound import Peer
from parkade.testing.fake_call import FakeCall
from parkade.testing.watch import Stay, WatchedWorld

Process: TypeAlias = Literal["signalling", "media", "both"]
CALL = "call/"


def stays_in(journal: Mapping[str, Json]) -> dict[str, Stay]:
    """Who is parked according to the journal, as ``ParkBook`` has it."""
    found = {key.removeprefix(CALL): value for key, value in journal.items() if key.startswith(CALL)}
    return {call: stay for call, value in found.items() if (stay := _stay_in(call, value)) is not None}


def _stay_in(call: str, value: Any) -> Stay | None:
    if "party" not in value:
        return None
    stage, now = value["stage"], value["is"]
    match stage:
        case "parked":
            stay, expires_at = now["stay"], now["expires_at"]
        case "waiting":
            stay, expires_at = now["stay"], None
        case "ringing" if now["purpose"]["name"] == "ring_back":
            stay, expires_at = now["purpose"]["stay"], None
        case _:
            return None
    place = (value["account"], stay["lot"]["name"], f"*{stay['slot']}")
    return Stay(call, value["party"]["identity"][1], place, expires_at)


class Journal(dict[str, Json]):
    """A journal that remembers what was changed last, and when."""

    def __init__(self, world: MortalWorld) -> None:
        super().__init__()
        self._world = world
        self.changed_at: dict[str, Instant] = {}

    def __setitem__(self, key: str, value: Json) -> None:
        self.changed_at[key] = self._world.now
        super().__setitem__(key, value)

    def pop(self, key: str, *default: Any) -> Any:
        self.changed_at[key] = self._world.now
        return super().pop(key, *default)


class MortalWorld(WatchedWorld):
    """``deaths`` counts those of signalling and of media."""

    journal_type = Journal

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self.deaths = 0
        self.journal = self._changes = self.journal_type(self)
        self._back_at: Instant = 0.0
        self._awaited: int | None = None

    # Dying

    def die(self, which: Process, effects: int, down_s: float) -> None:
        """``which`` dies: signalling after that many effects, or in 5 s at the latest; it is started again ``down_s`` later."""
        if self.is_down or self._awaited is not None:
            return
        if which != "signalling":
            self.deaths += 1
            self._back_at = self.now
            self.crash_media()
        if which != "media":
            self._awaited = self.deaths
            self.crash_signalling_after(effects, down_s)
            self.after(5.0, lambda: self.crash_signalling(down_s) if self._awaited is not None else None)

    def signalling_died(self) -> None:
        """What was told is kept; what was kept and could not be told is believed from now on."""
        self._awaited = None
        self.deaths += 1
        self.book.read(self.events)
        kept = stays_in(self.journal)
        # Who hears that nobody is there is not in the lot any more.
        leaving = {key.removeprefix(CALL) for key, value in self.journal.items() if _is_leaving(value)}
        told = {call: stay for call, stay in self.book.stays.items() if call not in leaving}
        for call in sorted(told.keys() | kept.keys()):
            if self._changes.changed_at.get(CALL + call) != self.now:
                assert told.get(call) == kept.get(call), f"told: {told.get(call)}, kept: {kept.get(call)}"
        self.book.stays = kept

    def signalling_is_back(self) -> None:
        """What was due meanwhile is due now."""
        self._back_at = self.book.back_at = self.now

    # What the day asks

    def quiet_for(self, seconds: float) -> bool:
        """Whether the server has been there for so long."""
        return not self.is_down and self._awaited is None and self.now - self._back_at >= seconds

    def code_of(self, caller: str) -> str | None:
        """The code at which ``caller`` is parked, as people see it on their keys."""
        return next((s.place[2] for s in self.book.stays.values() if s.caller == caller and s.expires_at is not None), None)

    def facing(self, call: FakeCall) -> FakeCall | None:
        """The call at the other end of ``call``, whichever of the two holds the other."""
        legs = self.media.legs
        leg = self.media.toward(call.phone.host, call.rtp_port)
        if leg is None:
            return None
        far = legs.get(leg.sound.leg) if isinstance(leg.sound, Peer) else None
        far = far or next((other for other in legs.values() if other.sound == Peer(leg.id)), None)
        end = far.described if far is not None else None
        calls = (other for phone in self._phones for other in phone.live)
        return next((c for c in calls if end is not None and (c.phone.host, c.rtp_port) == (end.address, end.port)), None)

    def assert_nothing_is_kept(self) -> None:
        """When everybody has gone home the journal knows registrations and nothing else."""
        left = [key for key in self.journal if not key.startswith("binding/")]
        assert not left, f"the journal still has {left}"


def _is_leaving(value: Any) -> bool:
    return isinstance(value, dict) and value.get("stage") == "leaving"

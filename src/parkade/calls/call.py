"""A call, its legs and the stages it goes through.

A call has a ``party`` (who is parked, transferred, or waits for an answer), perhaps an ``other`` leg, and a stage that says
what is happening and what each leg hears meanwhile::

    stage       party                    other                     ends at its deadline with
    Ringing     waits for an answer      who transfers, if still   the next step of its plan, or giving up:
                                         there                     the purpose knows what then
    Talking     one end                  the other end             (only while something is said to one of the two)
    Parked      hears music at a code    nobody                    expiry
    Waiting     hears music, no code     nobody                    another round
    Announcing  who has just parked      its leg that was held     hanging up
    Leaving     hears a farewell         nobody                    hanging up

Every stage but Talking has a deadline, so nobody is ever without a next step. Legs that ring belong to the stage, not to
the ends. Stages are values; what a call does in each of them stands in one table (``StageRules``, filled in ``stages.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

from parkade.base.clock import Instant
from parkade.base.sound import Music, Peer, Silence, Sound, Spoken, Tone
from parkade.base.values import valueclass
from parkade.calls.audience import EVERYBODY, Audience
from parkade.calls.commands import CallStage
from parkade.calls.directory import Endpoint, Owner, ParkPolicy
from parkade.calls.effects import Alert
from parkade.calls.identity import Identity
from parkade.calls.inputs import Failure, LegEnded, TransferAsked
from parkade.calls.keys import Keypad
from parkade.calls.park import ParkLot
from parkade.calls.plan import RingPlan
from parkade.calls.refusals import Refusal

if TYPE_CHECKING:
    from parkade.calls.state import CallState

SILENCE = Silence()
MUSIC = Music()
RINGBACK = Tone("ringback")


@dataclass(slots=True, eq=False)
class Leg:
    """One device or trunk in one call."""

    id: str
    endpoint: Endpoint
    owner: Owner | None
    """The person as of when the leg came to be: kept for when the directory no longer knows it. None at gateways and trunks."""
    identity: Identity
    """Who is there, as others see it."""
    language: str
    up: bool = False
    held: int = 0
    """0, or the rank of the hold among all holds: the higher, the more recent."""
    hears: Sound | None = SILENCE
    """None after a restart, until it is told."""
    sees: Identity | None = None
    keypad: Keypad = field(default_factory=Keypad)
    forwarded_by: tuple[str, ...] = ()
    """The extensions whose phones have sent the call here, one after the other."""
    number: str = ""
    """What is dialled at a trunk."""
    _call: Call | None = field(default=None, init=False, repr=False)

    @property
    def call(self) -> Call:
        """The call it is part of, until it is gone."""
        assert self._call is not None
        return self._call

    def is_of(self, person: Owner | None) -> bool:
        """Whether it is a phone of ``person``."""
        return self.owner is not None and person is not None and self.owner.id == person.id

    def is_of_same_person(self, other: Leg) -> bool:
        """Whether both are phones of one person or place."""
        return self.is_of(other.owner)

    def join(self, call: Call) -> None:
        """It is part of ``call`` from now on."""
        self._call = call

    def part(self) -> None:
        """It is gone. The call may still know it: were it so the other way round too, only the collector could free them."""
        self._call = None


@dataclass(slots=True, eq=False)
class Call:
    """See the module's table. ``since`` is when what programs see of the stage (``kind``) began, ``reserved`` the code kept for
    this call after it was picked up there, ``told`` the hash of the ``CallDetail`` that events told last.
    """

    id: str
    account: str
    party: Leg
    stage: Stage
    started_at: Instant
    since: Instant
    other: Leg | None = None
    reserved: tuple[ParkLot, int] | None = None
    told: int = 0

    def legs(self) -> Iterator[Leg]:
        """Every leg, the ringing ones included."""
        yield self.party
        if self.other:
            yield self.other
        yield from self.stage.ringing()

    @property
    def talking(self) -> bool:
        """True while its ends are in conversation: only then can one of them be parked or transferred by the other."""
        return isinstance(self.stage, Talking)

    def facing(self, leg: Leg) -> Leg:
        """The far end of a conversation, seen from ``leg``."""
        assert self.other is not None
        return self.other if leg is self.party else self.party


class Purpose(Protocol):
    """Why devices ring, and what follows. ``state.connect`` has joined the two before ``answered``."""

    @property
    def alert(self) -> Alert:
        """How the phones should ring."""

    @property
    def kind(self) -> CallStage:
        """What programs see of it."""

    @property
    def audience(self) -> Audience:
        """Who may pick up for the phones that ring."""

    @property
    def meanwhile(self) -> Sound:
        """What a party hears whose leg is up."""

    def rang(self, state: CallState, call: Call) -> None:
        """The first device rings."""

    def answered(self, state: CallState, call: Call, transferor: Leg | None) -> None:
        """``call.other`` has picked up; ``transferor`` was waiting aside."""

    def failed(self, state: CallState, call: Call, why: Failure) -> None:
        """Nothing rings any more and nobody has answered."""

    def caller_gone(self, state: CallState, call: Call, party: Leg, given: LegEnded) -> None:
        """The party has hung up; nothing rings any more."""


@dataclass(slots=True, eq=False)
class Ringing:
    """The step at index ``step`` of ``plan`` is being rung for ``purpose``, until the deadline of the call.

    ``shown`` is whom the party believes to be calling, ``caller`` what the ringing phones show. The party's own device is not
    rung, nor ``except_endpoint``. ``rung`` is what was rung in this step: endpoints, with the number at a trunk. ``declined``
    are the ids of people who do not want the call.
    """

    purpose: Purpose
    shown: Identity
    plan: RingPlan
    caller: Identity
    except_endpoint: str | None = None
    step: int = 0
    rung: set[tuple[str, str]] = field(default_factory=set)
    declined: set[str] = field(default_factory=set)
    branches: dict[str, Leg] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    alerted: bool = False
    early: str | None = None
    early_was_open: bool = False

    @property
    def kind(self) -> CallStage:
        """What programs see of it."""
        return self.purpose.kind

    @property
    def spoken(self) -> Spoken | None:
        """Nothing is said."""
        return None

    def ringing(self) -> Iterable[Leg]:
        """The devices that have neither answered nor failed."""
        return self.branches.values()

    def sound(self, call: Call, leg: Leg) -> Sound:
        """The party hears the tone or music of the purpose, or what a ringing device sends ahead."""
        if leg is not call.party:
            return SILENCE
        if leg.up:
            return self.purpose.meanwhile
        if self.early:
            return Peer(self.early)
        return RINGBACK if self.early_was_open else SILENCE


@dataclass(slots=True, eq=False)
class Talking:
    """Two hear each other, or music while the far end holds.

    ``aside``: something is said to one of them meanwhile. ``picked_up``: where the party was parked until ``other`` retrieved
    it.
    """

    aside: tuple[Leg, Spoken] | None = None
    picked_up: Parked | None = None

    @property
    def kind(self) -> CallStage:
        """What programs see of it."""
        return CallStage.TALKING

    @property
    def spoken(self) -> Spoken | None:
        """What is said aside."""
        return self.aside[1] if self.aside else None

    def ringing(self) -> Iterable[Leg]:
        """Nothing rings."""
        return ()

    def sound(self, call: Call, leg: Leg) -> Sound:
        """The far end or music."""
        if self.aside:
            return self.aside[1] if leg is self.aside[0] else MUSIC
        facing = call.facing(leg)
        return MUSIC if facing.held else Peer(facing.id)


@dataclass(slots=True, eq=False)
class Stay:
    """The time a call spends parked, over all codes, until somebody has it.

    ``policy`` is that of the parker as of when the call was parked; later changes of settings do not touch the stay.
    """

    lot: ParkLot
    slot: int
    """The present or last slot."""
    parker: Owner | None
    policy: ParkPolicy
    since: Instant
    rounds: int = 0
    """How often nobody picked up."""
    note: str = ""
    """What somebody has written beside the call."""
    audience: Audience = EVERYBODY
    """Who may see it and pick it up."""

    @property
    def code(self) -> str:
        """What one dials, or had to dial."""
        return self.lot.lot.code(self.slot)


@valueclass(frozen=True, slots=True)
class Retrieving:
    """A phone that rings by the command ``command`` so as to retrieve a parked call."""

    leg: Leg
    command: str


@dataclass(slots=True, eq=False)
class Parked:
    """At ``stay.code`` until ``expires_at``. ``retrieving`` are phones that ring so as to retrieve it, by leg."""

    stay: Stay
    expires_at: Instant
    retrieving: dict[str, Retrieving] = field(default_factory=dict)

    @property
    def kind(self) -> CallStage:
        """What programs see of it."""
        return CallStage.PARKED

    @property
    def spoken(self) -> Spoken | None:
        """Nothing is said."""
        return None

    def ringing(self) -> Iterable[Leg]:
        """The phones that are to retrieve it."""
        return [one.leg for one in self.retrieving.values()]

    def sound(self, call: Call, leg: Leg) -> Sound:
        """Hold music."""
        return MUSIC


@dataclass(slots=True, eq=False)
class Waiting:
    """No code was free; soon there is another round."""

    stay: Stay

    @property
    def kind(self) -> CallStage:
        """What programs see of it."""
        return CallStage.WAITING

    @property
    def spoken(self) -> Spoken | None:
        """Nothing is said."""
        return None

    def ringing(self) -> Iterable[Leg]:
        """Nothing rings."""
        return ()

    def sound(self, call: Call, leg: Leg) -> Sound:
        """Hold music."""
        return MUSIC


@dataclass(slots=True, eq=False)
class Announcing:
    """The parker hears the code; then its legs are ended."""

    spoken: Spoken
    code: str

    @property
    def kind(self) -> CallStage:
        """Programs do not see it."""
        return CallStage.TALKING

    def ringing(self) -> Iterable[Leg]:
        """Nothing rings."""
        return ()

    def sound(self, call: Call, leg: Leg) -> Sound:
        """The code, on the newer leg."""
        return self.spoken if leg is call.party else SILENCE


@dataclass(slots=True, eq=False)
class Leaving:
    """Nobody could be found: the party is told so, then hung up on."""

    spoken: Spoken

    @property
    def kind(self) -> CallStage:
        """What programs see of it."""
        return CallStage.LEAVING

    def ringing(self) -> Iterable[Leg]:
        """Nothing rings."""
        return ()

    def sound(self, call: Call, leg: Leg) -> Sound:
        """The farewell."""
        return self.spoken


Stage: TypeAlias = Ringing | Talking | Parked | Waiting | Announcing | Leaving


def ignored(*_: object) -> None:
    """The rule of a stage in which something means nothing."""


class StageRules(NamedTuple):
    """What a call does in one stage. Every rule is given the state and a call that is in the stage.

    ``overdue(state, call)``: the deadline has come, or what is being said has been heard.
    ``gone(state, call, leg, given)``: ``leg``, an end of the call, has ended as ``given`` says and is forgotten already.
    ``replaced(state, call, old, new)``: ``new``, just arrived, takes the place of ``old``, which is ended; or why not.
    ``consulted(state, call, consult, first, leg, given)``: the party of ``leg`` facing it in the call ``first`` takes the place
    of ``consult``, a leg of this call (an attended transfer, ``given``); or why not.
    ``pressed(state, call, leg, key)``: a key was pressed on ``leg``.
    ``rang(state, call, leg, early_media)``, ``forwarded(state, call, leg, targets)``, ``answered(state, call, leg)``,
    ``failed(state, call, leg, why)``: of a device that the stage rings (``ringing``).
    ``restored(state, call)``: the call was read back after the process had died, and its ends hear what they heard.
    """

    overdue: Callable[[CallState, Call], None]
    gone: Callable[[CallState, Call, Leg, LegEnded], None]
    replaced: Callable[[CallState, Call, Leg, Leg], Refusal | None]
    consulted: Callable[[CallState, Call, Leg, Call, Leg, TransferAsked], Refusal | None]
    pressed: Callable[[CallState, Call, Leg, str], None] = ignored
    rang: Callable[[CallState, Call, Leg, bool], None] = ignored
    answered: Callable[[CallState, Call, Leg], None] = ignored
    forwarded: Callable[[CallState, Call, Leg, Sequence[str]], None] = ignored
    failed: Callable[[CallState, Call, Leg, Failure], None] = ignored
    restored: Callable[[CallState, Call], None] = ignored

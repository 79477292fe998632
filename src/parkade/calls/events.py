"""What happened, for history, boards, webhooks and whatever else follows along.

Values only: who makes them is ``emit.py`` and ``news.py``; their JSON is made at the edge (``edge/event_json.py``). The members
of a class are what the contract puts into ``data``, under the same names. Instants are seconds since the epoch, UTC; durations
are seconds.

The events of an account, in order, say at any time which calls there are and what each is doing: every event of a call has the
``CallDetail`` that holds when all that happened at once has happened, and what no other event is about is a ``CallChanged``
(``board.py`` puts them together). After a restart each call that goes on is told anew, then ``CallsResumed`` says which those
are: what was told of before and is not among them is over.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from parkade.base.clock import Instant
from parkade.base.values import valueclass
from parkade.calls.audience import Audience
from parkade.calls.commands import CallDetail


@valueclass(frozen=True, slots=True)
class Happening:
    """What every event says. ``id`` is unique, ``account`` a slug, or empty for what is about the installation."""

    id: str
    at: Instant
    account: str


@dataclass(slots=True, eq=False)
class Moment:
    """What a call is at the end of the input that its events belong to. Known only then; None if it is over by then."""

    detail: CallDetail | None = None


@valueclass(frozen=True, slots=True)
class CallEvent(Happening):
    """What every event of a call says: ``call`` is its id, the caller is as displays show it."""

    call: str
    caller_name: str
    caller_number: str
    moment: Moment = field(default_factory=Moment, kw_only=True, compare=False, repr=False)


@valueclass(frozen=True, slots=True)
class CallStarted(CallEvent):
    """Somebody called ``dialled``."""

    dialled: str


@valueclass(frozen=True, slots=True)
class CallAnswered(CallEvent):
    """The number ``answered_by`` has picked up."""

    answered_by: str


@valueclass(frozen=True, slots=True)
class CallChanged(CallEvent):
    """Something else about the call has changed: who is in it, who holds, who is rung, a name, how long its code is kept."""


@valueclass(frozen=True, slots=True)
class CallTransferred(CallEvent):
    """The extension ``transferred_by`` (None for a gateway) has sent the call to the number ``transferred_to``, which has
    it.
    """

    transferred_by: str | None
    transferred_to: str


@valueclass(frozen=True, slots=True)
class TransferFailed(CallEvent):
    """Nobody was there; ``reason`` is the id of a refusal. The call is with ``transferred_by`` again, or the person is rung."""

    transferred_by: str | None
    reason: str


class EndReason(StrEnum):
    """How a call ended."""

    HUNG_UP = "hung_up"
    CANCELLED = "cancelled"
    """Whoever called gave up before it was answered."""
    REFUSED = "refused"
    """Whoever was called could not or did not want to answer."""
    LOST = "lost"
    """A phone was found to be dead."""
    COMMAND = "command"
    """A program has ended it."""
    NOBODY = "nobody"
    """Nobody was found for the caller, who was told so."""
    JOINED = "joined"
    """Its ends go on in another call."""


@valueclass(frozen=True, slots=True)
class CallEnded(CallEvent):
    """The call is over. ``ended_by`` is the number of whoever ended it, empty if nobody did."""

    duration_s: float
    reason: EndReason
    ended_by: str


@valueclass(frozen=True, slots=True)
class ParkFailed(CallEvent):
    """The call stays with whoever wanted to park it; ``reason`` is the id of a refusal, ``parked_by`` an extension."""

    reason: str
    parked_by: str | None


@valueclass(frozen=True, slots=True)
class StayEvent(CallEvent):
    """What every event of a parked call says.

    ``lot`` is a name, ``lot_id`` and ``site`` are ids, ``parked_by`` an extension (None if nobody parked the call),
    ``parked_at`` when it was, ``waited_s`` the time since then. ``round`` counts how often nobody answered. ``audience`` is who
    may know of it.
    """

    code: str
    lot: str
    lot_id: str
    site: str | None
    parked_by: str | None
    parked_by_name: str
    note: str
    parked_at: Instant
    waited_s: float
    round: int
    audience: Audience


@valueclass(frozen=True, slots=True)
class CallParked(StayEvent):
    """The call was parked; somebody should retrieve it before ``expires_at``."""

    expires_at: Instant


@valueclass(frozen=True, slots=True)
class CallReparked(StayEvent):
    """Nobody had the call, so it is parked again; ``old_code`` is no longer valid, unless it is the same."""

    expires_at: Instant
    old_code: str


@valueclass(frozen=True, slots=True)
class CallGivenBack(StayEvent):
    """Whoever had picked it up by mistake has given it back to its code, or somebody else has: ``given_back_by`` is an
    extension, None for an administrator.
    """

    expires_at: Instant
    given_back_by: str | None


@valueclass(frozen=True, slots=True)
class NoteChanged(StayEvent):
    """Somebody has written ``note``: ``noted_by`` is an extension, None for an administrator."""

    noted_by: str | None


@valueclass(frozen=True, slots=True)
class CallReminded(StayEvent):
    """The number ``reminded`` is rung about the call. ``forced_by`` has asked for it (empty: an administrator); None at its
    deadline.
    """

    reminded: str
    forced_by: str | None


@valueclass(frozen=True, slots=True)
class CallTimedOut(StayEvent):
    """Nobody retrieved it in time; the code is free."""


@valueclass(frozen=True, slots=True)
class CallReturned(StayEvent):
    """The number ``returned_to``, which was rung after expiry, has answered."""

    returned_to: str
    returned_to_name: str


@valueclass(frozen=True, slots=True)
class CallRetrieved(StayEvent):
    """The number ``retrieved_by`` has picked up at the code, which is kept for the call until ``kept_until`` (None: it is
    free).
    """

    retrieved_by: str
    retrieved_by_name: str
    kept_until: Instant | None


@valueclass(frozen=True, slots=True)
class CallAbandoned(StayEvent):
    """The caller is gone while it waited: it hung up, was lost, or a program has ended the call."""

    reason: EndReason


@valueclass(frozen=True, slots=True)
class CallGivenUp(StayEvent):
    """Nobody was found for the caller; it is told so, then hung up on."""


@valueclass(frozen=True, slots=True)
class CallsResumed(Happening):
    """After a restart: ``calls`` are all that go on. Others that were told of are over; nobody knows more about them."""

    calls: tuple[str, ...]


@valueclass(frozen=True, slots=True)
class Restarted(Happening):
    """Signalling has been started again. ``accounts`` are all that there are, and whatever was told of others is over."""

    accounts: tuple[str, ...]


@valueclass(frozen=True, slots=True)
class DeviceRegistered(Happening):
    """A device can be called: its first phone has registered. ``extension`` is empty for one without a person."""

    device: str
    extension: str
    transport: str
    address: str
    user_agent: str


class Gone(StrEnum):
    """Why a device is not registered any more."""

    ASKED = "asked"
    EXPIRED = "expired"
    CONNECTION = "connection"
    """The connection of its phone broke."""
    REMOVED = "removed"
    """It is not in the directory any more, or its owner has no licence."""


@valueclass(frozen=True, slots=True)
class DeviceUnregistered(Happening):
    """A device cannot be called any more: its last phone is gone."""

    device: str
    extension: str
    reason: Gone


@valueclass(frozen=True, slots=True)
class DevicesResumed(Happening):
    """After a restart: ``devices`` are all that are registered."""

    devices: tuple[str, ...]


@valueclass(frozen=True, slots=True)
class SourceBanned(Happening):
    """Whoever is at ``source`` has guessed at passwords ``guesses`` times and is not listened to until ``until_at``.

    Phones there that have shown the right password are. The event is about the installation; ``name`` is the last that was
    tried.
    """

    source: str
    guesses: int
    until_at: Instant
    name: str


Event: TypeAlias = (
    CallParked
    | CallRetrieved
    | CallReparked
    | CallReminded
    | CallTimedOut
    | CallReturned
    | CallAbandoned
    | CallGivenBack
    | CallGivenUp
    | NoteChanged
    | ParkFailed
    | CallStarted
    | CallAnswered
    | CallChanged
    | CallTransferred
    | TransferFailed
    | CallEnded
    | CallsResumed
    | Restarted
    | DeviceRegistered
    | DeviceUnregistered
    | DevicesResumed
    | SourceBanned
)

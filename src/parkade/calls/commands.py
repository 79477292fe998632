"""What programs ask of call control (the API, and whatever comes after it), and what they are answered.

A ``Command`` is answered by one ``Reply`` with its id. Most are answered at once; ``RetrieveCall`` when the phone was picked
up, or when it is known that nothing comes of it. Call control sees to it that nothing of another account is touched, and
nothing that the person who asks may not see: such a call or code and one that does not exist look the same. Further rights are
the business of who asks.

Who asks is an extension (``by``, ``seen_by``); None stands for an administrator or a program that sees everything. ``site`` is
the id of the site at whose lot a code is meant. Without it the lot of whoever asks or retrieves comes first, then the others of
the account if exactly one of them has something there.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

from parkade.base.clock import Instant
from parkade.base.values import valueclass
from parkade.calls.audience import EVERYBODY, Audience
from parkade.calls.identity import Identity
from parkade.calls.refusals import Refusal


@valueclass(frozen=True, slots=True)
class ParkCall:
    """Park whoever talks with the person at the extension ``by`` in ``call``; that person's phone is hung up.

    ``slot`` is a code or slot number, None for the next free one. The result is a ``ParkedCall``.
    """

    call: str
    by: str
    slot: str | None = None
    note: str = ""


@valueclass(frozen=True, slots=True)
class RetrieveCall:
    """Ring ``device`` and connect it with the call parked at ``code``, which stays parked until the phone is picked up.

    With ``answer`` the phone is asked to answer by itself; one that does not know how rings. The result is the ``ParkedCall``
    that it was. If somebody else is first the phone stops ringing. Without ``site`` that of the device's owner comes first.
    """

    code: str
    device: str
    by: str | None = None
    answer: bool = False
    site: str | None = None


@valueclass(frozen=True, slots=True)
class ForceBackCall:
    """Ring whoever parked the call at ``code``, as at its deadline but now. No result."""

    code: str
    by: str | None = None
    site: str | None = None


@valueclass(frozen=True, slots=True)
class GiveBackCall:
    """Whoever has picked up the call that was at ``code`` (the person ``by``; anybody's, if that is None) did so by mistake:
    the caller goes back to the same code, and the phone is hung up. The result is the ``ParkedCall``.

    It is possible as long as the two talk and it is remembered who picked up: while the code is kept for the call, and for
    ``LOST_RACE_S`` at least. The deadline is the one it had. Should that be over, or less than ``GIVEN_BACK_S`` ahead, there
    are ``GIVEN_BACK_S`` (never more than the whole time that the policy gives): whoever the call is for must be able to come.
    """

    code: str
    by: str | None = None
    site: str | None = None


@valueclass(frozen=True, slots=True)
class TransferCall:
    """Send whoever talks with the person at the extension ``by`` in ``call`` to ``to``: an extension, or an outside number
    where there is a line to the outside. As when a phone asks for a blind transfer: if nobody answers the two talk again.

    The result is the ``CallDetail`` while it rings there; how it went, events tell (``CallTransferred``, ``TransferFailed``).
    """

    call: str
    by: str
    to: str


@valueclass(frozen=True, slots=True)
class HangUpCall:
    """End ``call``, in whatever stage it is; with ``by`` only as if that person had hung up, or declined what rings. No
    result.
    """

    call: str
    by: str | None = None


@valueclass(frozen=True, slots=True)
class NoteCall:
    """Write ``note`` beside the call at ``code``. The result is the ``ParkedCall``."""

    code: str
    note: str
    by: str | None = None
    site: str | None = None


@valueclass(frozen=True, slots=True)
class ListParked:
    """Every caller of the account who waits in a lot, by lot and slot; only those at ``site``, if that is given.

    With ``reserved`` also those who were picked up and whose code is kept for them. The result is a tuple of ``ParkedCall``.
    """

    seen_by: str | None = None
    site: str | None = None
    reserved: bool = False


@valueclass(frozen=True, slots=True)
class ListCalls:
    """Every call of the account, oldest first; for a person, those that the person is in and the parked ones that it may see.

    A leg that hears a code spoken is no call. The result is a tuple of ``CallDetail``.
    """

    seen_by: str | None = None


@valueclass(frozen=True, slots=True)
class GetCall:
    """One call of ``ListCalls``. The result is a ``CallDetail``."""

    call: str
    seen_by: str | None = None


@valueclass(frozen=True, slots=True)
class ListRegistered:
    """Every device of the account that is registered now, by id. The result is a tuple of ``Registered``."""


@valueclass(frozen=True, slots=True)
class ListBanned:
    """Every source that guesses at passwords and is not listened to for a while, of the whole installation.

    The result is a tuple of ``Banned``.
    """


@valueclass(frozen=True, slots=True)
class LiftBan:
    """Listen to ``source`` again, as ``Banned`` names it. No result, also if it was not banned."""

    source: str


Wanted: TypeAlias = (
    ParkCall
    | RetrieveCall
    | ForceBackCall
    | GiveBackCall
    | TransferCall
    | HangUpCall
    | NoteCall
    | ListParked
    | ListCalls
    | GetCall
    | ListRegistered
    | ListBanned
    | LiftBan
)


@valueclass(frozen=True, slots=True)
class Command:
    """Input: ``command`` is wanted in ``account`` (a slug). ``id`` is unique among the commands under way."""

    id: str
    account: str
    command: Wanted


class ParkState(StrEnum):
    """What a parked call waits for."""

    PARKED = "parked"
    """Somebody may dial its code."""
    RINGING_BACK = "ringing_back"
    """Nobody did in time, or somebody forced it back: phones ring for it. Its code is not valid any more."""
    WAITING = "waiting"
    """The same, and nobody answered, and no code is free: it is tried again."""
    RESERVED = "reserved"
    """Somebody has picked it up; the code is kept for it, so it may be given back."""


@valueclass(frozen=True, slots=True)
class ParkedCall:
    """A parked call as programs see it. ``lot`` is a name, ``parked_by`` an extension, None for a caller nobody parked.

    ``code`` and ``slot`` are the last ones it had. ``expires_at`` is when ``state`` is over by itself; of a reserved one, the
    deadline that it would have again. ``site`` and ``lot_id`` are ids; a lot of no site has none. ``round`` counts how often
    nobody answered. ``retrieved_by`` is who has a reserved one, and ``kept_until`` how long its code is kept for it, None if it
    is not.
    """

    code: str
    lot: str
    slot: int
    call: str
    caller: Identity
    parked_by: str | None
    note: str
    parked_at: Instant
    expires_at: Instant
    state: ParkState = ParkState.PARKED
    site: str | None = None
    lot_id: str = ""
    parked_by_name: str = ""
    round: int = 0
    audience: Audience = EVERYBODY
    retrieved_by: Identity | None = None
    kept_until: Instant | None = None


class CallStage(StrEnum):
    """What is happening in a call."""

    RINGING = "ringing"
    """Somebody calls and is not answered yet."""
    TALKING = "talking"
    PARKED = "parked"
    RINGING_BACK = "ringing_back"
    """Phones ring for somebody whom nobody picked up at the code."""
    WAITING = "waiting"
    """The same, without a free code."""
    TRANSFERRING = "transferring"
    """Phones ring for somebody who was sent there."""
    RETURNING = "returning"
    """A transfer has failed, or a phone was lost with somebody on hold: the person is rung."""
    LEAVING = "leaving"
    """Nobody was found; the party is told so."""


class PartyState(StrEnum):
    """What somebody in a call does."""

    CALLING = "calling"
    """Has called and is not answered yet."""
    RINGING = "ringing"
    """Phones of this person ring."""
    TALKING = "talking"
    HOLDING = "holding"
    """Has put the other one on hold."""
    HELD = "held"
    PARKED = "parked"
    WAITING = "waiting"
    """Waits until somebody is found."""
    TRANSFERRING = "transferring"
    """Has sent the other one elsewhere, and waits whether it is answered there."""
    LEAVING = "leaving"


@valueclass(frozen=True, slots=True)
class Party:
    """Somebody in a call. ``extension`` is None for a gateway and the outside."""

    name: str
    number: str
    extension: str | None
    state: PartyState


@valueclass(frozen=True, slots=True)
class CallDetail:
    """A call as programs see it. ``started_at`` is when it began, ``since`` when its stage did.

    ``parties``: first the one who called or is parked, then the other end, then who is rung. Several phones of one person are
    one party. ``parked`` is what ``ListParked`` says of it, also while it is reserved.
    """

    id: str
    account: str
    stage: CallStage
    started_at: Instant
    since: Instant
    parties: tuple[Party, ...]
    parked: ParkedCall | None = None


@valueclass(frozen=True, slots=True)
class Registered:
    """A device that can be called. ``phones`` says how many are registered as it; the rest is of the one that came last."""

    device: str
    phones: int
    transport: str
    address: str
    user_agent: str
    expires_at: Instant


@valueclass(frozen=True, slots=True)
class Banned:
    """A source of wrong passwords. ``source`` is an IP address, of IPv6 the network (``2001:db8:0:1::/64``)."""

    source: str
    until: Instant
    guesses: int


Result: TypeAlias = (
    ParkedCall
    | tuple[ParkedCall, ...]
    | CallDetail
    | tuple[CallDetail, ...]
    | tuple[Registered, ...]
    | tuple[Banned, ...]
    | None
)
"""What comes of a command; which of them is said at each command."""


@valueclass(frozen=True, slots=True)
class Reply:
    """Effect: the answer to the command ``id``. With a ``refusal`` nothing was done."""

    id: str
    result: Result = None
    refusal: Refusal | None = None

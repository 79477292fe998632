"""What call control decides. The switch performs effects in the order given."""

from __future__ import annotations

from enum import Enum
from typing import TypeAlias

from parkade.base.clock import Instant
from parkade.base.journal import Drop, Keep
from parkade.base.sound import Sound
from parkade.base.values import valueclass
from parkade.calls.commands import Reply
from parkade.calls.events import Event
from parkade.calls.identity import Identity
from parkade.calls.refusals import Refusal


class Alert(Enum):
    """How a phone should ring."""

    NORMAL = "normal"
    PARK_RETURN = "park-return"


@valueclass(frozen=True, slots=True)
class RingEndpoint:
    """Call ``endpoint`` on the new outgoing leg ``leg``. The answer is ``LegRang``, ``LegForwarded``, ``LegAnswered`` or
    ``LegFailed``.

    ``beside`` is the leg whose codec should be preferred, so that the two need no conversion. ``number`` is dialled at a trunk.
    With ``auto_answer`` the phone is asked to answer by itself.
    """

    leg: str
    endpoint: str
    caller: Identity
    alert: Alert = Alert.NORMAL
    beside: str | None = None
    number: str = ""
    auto_answer: bool = False


@valueclass(frozen=True, slots=True)
class ShowRinging:
    """Tell an incoming leg that ``shown`` is being alerted."""

    leg: str
    shown: Identity


@valueclass(frozen=True, slots=True)
class OpenEarlyMedia:
    """Let an unanswered incoming leg hear what ``Hear`` gives it."""

    leg: str
    shown: Identity


@valueclass(frozen=True, slots=True)
class AnswerLeg:
    """Answer an incoming leg; its display shows ``shown``. ``park_code`` is set when the answer parks a call."""

    leg: str
    shown: Identity
    park_code: str | None = None


@valueclass(frozen=True, slots=True)
class RefuseLeg:
    """Refuse an incoming, unanswered leg; the phrases of the refusal are heard first where that is possible.

    Call control forgets the leg at once. ``call`` is the call that it was part of, if it came so far.
    """

    leg: str
    refusal: Refusal
    phrases: tuple[str, ...] = ()
    language: str = "en"
    call: str | None = None


@valueclass(frozen=True, slots=True)
class GiveUpSilent:
    """Another phone has refused the call that ``leg`` rings for: if nothing at all has come from the phone of ``leg``, let the
    leg fail as soon as the phone has had time to say something. One that rings, rings on.
    """

    leg: str


class Elsewhere(Enum):
    """What somebody has done with the call at another phone, so that one which stops ringing lists no missed call."""

    NOTHING = "nothing"
    ANSWERED = "answered"
    DECLINED = "declined"


@valueclass(frozen=True, slots=True)
class EndLeg:
    """Hang up, or stop ringing; an incoming leg that still waits is refused without a word. Call control forgets it at once.

    ``elsewhere`` is told to a phone that stops ringing. ``after_s``: leave the leg up for so long first (silent), so that a
    phone that hangs up by itself may do so.
    """

    leg: str
    elsewhere: Elsewhere = Elsewhere.NOTHING
    after_s: float = 0.0


@valueclass(frozen=True, slots=True)
class Hear:
    """``leg`` hears ``sound`` from now on."""

    leg: str
    sound: Sound


@valueclass(frozen=True, slots=True)
class ShowParty:
    """The other party of a leg that is up has changed: its display should show ``shown`` (no new media)."""

    leg: str
    shown: Identity


class Progress(Enum):
    """How far a transfer has come. ``REFUSED`` before anything was accepted, ``FAILED`` after."""

    ACCEPTED = "accepted"
    RINGING = "ringing"
    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"


@valueclass(frozen=True, slots=True)
class TransferProgress:
    """Answer to ``TransferAsked``: first ``ACCEPTED`` or ``REFUSED``, then any ``RINGING``, then ``DONE`` or ``FAILED``.

    ``park_code`` is the code of a transfer that parked.
    """

    transfer: str
    progress: Progress
    refusal: Refusal | None = None
    park_code: str | None = None


@valueclass(frozen=True, slots=True)
class NotRestored:
    """What was kept under ``key`` could not be read after a restart, and is dropped. ``why`` is a line for the log."""

    key: str
    why: str


class SlotState(Enum):
    """What a slot is, for boards and lamps."""

    FREE = "free"
    TAKEN = "taken"
    RESERVED = "reserved"


@valueclass(frozen=True, slots=True)
class SlotChanged:
    """A slot is free, taken or reserved from now on.

    ``lot`` is the id of a lot. ``call`` and ``caller`` are of the call that is parked there or that the code is kept for,
    ``parked_by`` is an extension, ``since`` and ``expires_at`` are instants: of the parking, or of a reservation its end only.
    """

    account: str
    lot: str
    slot: int
    code: str
    state: SlotState
    call: str | None = None
    caller: Identity | None = None
    parked_by: str | None = None
    since: Instant | None = None
    expires_at: Instant | None = None


Effect: TypeAlias = (
    RingEndpoint
    | ShowRinging
    | OpenEarlyMedia
    | AnswerLeg
    | RefuseLeg
    | GiveUpSilent
    | EndLeg
    | Hear
    | ShowParty
    | TransferProgress
    | Event
    | Keep
    | Drop
    | NotRestored
    | SlotChanged
    | Reply
)

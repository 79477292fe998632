"""What call control is told. Legs are named by the switch (incoming) or by call control itself (outgoing)."""

from __future__ import annotations

from enum import Enum
from typing import TypeAlias

from parkade.base.values import valueclass
from parkade.calls.commands import Command
from parkade.calls.directory import Directory
from parkade.calls.identity import Identity


class Failure(Enum):
    """Why an outgoing leg never came up. The earlier in this list, the more it says about the person who was called."""

    DECLINED = "declined"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    FORWARDED_OUTSIDE = "forwarded_outside"
    """It forwards to a number that is not of the account (made by call control from ``LegForwarded``)."""
    FORWARDED_IN_VAIN = "forwarded_in_vain"
    """It forwards in a circle, too often, to a code, or to nothing that could be dialled (made by call control from
    ``LegForwarded``)."""
    FORBIDDEN = "forbidden"
    """The phone does not allow the call: 403."""
    UNKNOWN_TO_PHONE = "unknown_to_phone"
    """The phone says that it has no such number: 404 and its relatives."""
    INCOMPATIBLE = "incompatible"
    PHONE_ERROR = "phone_error"
    """The phone answered with a status that says nothing about the person."""
    NO_CAPACITY = "no_capacity"
    UNREACHABLE = "unreachable"
    """A phone is registered, and nothing comes from its address."""
    NOT_REGISTERED = "not_registered"
    """There is no phone to call."""
    REDIRECTED = "redirected"
    """The phone forwards the call (3xx), as ``LegForwarded`` has told already."""


class Cause(Enum):
    """How a leg ended."""

    HUNG_UP = "hung_up"
    CANCELLED = "cancelled"
    """The caller gave up before it was answered."""
    LOST = "lost"
    """The phone is dead, its transport is, it never confirmed an answer, or its session expired."""
    COMMAND = "command"
    """A program has ended it (made by call control)."""


@valueclass(frozen=True, slots=True)
class LegArrived:
    """An authenticated device or a trunk calls ``dialled`` (an extension, a code, a number; no scheme, no host).

    ``replaces`` is the leg this one takes the place of (:rfc:`3891`), with ``early_only`` only if that one is not answered.
    ``caller`` overrides the identity of the device's owner:
    what a gateway or trunk says of an outside caller.
    """

    leg: str
    endpoint: str
    dialled: str
    replaces: str | None = None
    caller: Identity | None = None
    early_only: bool = False


@valueclass(frozen=True, slots=True)
class LegRang:
    """An outgoing leg rings; ``early_media`` when it already sends sound of its own. May repeat."""

    leg: str
    early_media: bool = False


@valueclass(frozen=True, slots=True)
class LegAnswered:
    """An outgoing leg was picked up."""

    leg: str


@valueclass(frozen=True, slots=True)
class LegForwarded:
    """One phone that an outgoing leg rings forwards the call. Others of the same device may ring on; ``LegFailed`` follows if
    none does.

    ``targets`` are what one would dial to get to the places it names, best first: one of them is to be tried. None at all if
    nobody here can dial any.
    """

    leg: str
    targets: tuple[str, ...] = ()


@valueclass(frozen=True, slots=True)
class LegFailed:
    """An outgoing leg ended before it was answered."""

    leg: str
    why: Failure


@valueclass(frozen=True, slots=True)
class LegEnded:
    """The far side hung up or cancelled, or the leg died. Never told of a leg that call control ended or refused.

    ``established`` is False for an incoming leg whose phone never confirmed the answer: nobody has talked on it.
    ``cancelled`` is True if the phone had given up when the answer reached it: its CANCEL crossed the answer and ends nothing
    by itself (:rfc:`3261` section 9.2), or it could send none, and ACK and BYE come one upon the other.
    """

    leg: str
    established: bool = True
    cause: Cause = Cause.HUNG_UP
    cancelled: bool = False


@valueclass(frozen=True, slots=True)
class LegHeld:
    """The device put the leg on hold (any spelling of it). May repeat."""

    leg: str


@valueclass(frozen=True, slots=True)
class LegResumed:
    """The device took the leg off hold. May come without a hold before it."""

    leg: str


@valueclass(frozen=True, slots=True)
class KeyPressed:
    """One key of ``0-9*#A-D``, whichever way it came."""

    leg: str
    key: str


@valueclass(frozen=True, slots=True)
class TransferAsked:
    """The device of ``leg`` asks that the other party of that leg be sent to ``target``.

    Blind: ``target`` is what one would dial. Attended: ``consult`` is the leg of the same account to be replaced by the
    other party, and ``target`` is what that leg had dialled. ``transfer`` names the request in ``TransferProgress``.
    """

    leg: str
    transfer: str
    target: str
    consult: str | None = None


@valueclass(frozen=True, slots=True)
class PromptEnded:
    """A ``Spoken`` was heard to its end."""

    leg: str
    prompt: str


@valueclass(frozen=True, slots=True)
class DirectoryChanged:
    """From now on this directory holds. Calls and parked calls go on, also of accounts that are gone."""

    directory: Directory


Input: TypeAlias = (
    LegArrived
    | LegRang
    | LegAnswered
    | LegForwarded
    | LegFailed
    | LegEnded
    | LegHeld
    | LegResumed
    | KeyPressed
    | TransferAsked
    | PromptEnded
    | DirectoryChanged
    | Command
)

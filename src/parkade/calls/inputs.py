"""What call control is told. Legs are named by the switch (incoming) or by call control itself (outgoing)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from parkade.calls.directory import Directory
from parkade.calls.identity import Identity


class Failure(Enum):
    """Why an outgoing leg never came up."""

    BUSY = "busy"
    DECLINED = "declined"
    NO_ANSWER = "no_answer"
    UNREACHABLE = "unreachable"
    INCOMPATIBLE = "incompatible"
    NO_CAPACITY = "no_capacity"


@dataclass(frozen=True, slots=True)
class LegArrived:
    """An authenticated device calls ``dialled`` (an extension, a code, a feature code; no scheme, no host).

    ``replaces`` is the leg this one takes the place of (:rfc:`3891`). ``caller`` overrides the identity of the device's owner:
    what a gateway or trunk says of an outside caller.
    """

    leg: str
    device: str
    dialled: str
    replaces: str | None = None
    caller: Identity | None = None


@dataclass(frozen=True, slots=True)
class LegRang:
    """An outgoing leg rings; ``early_media`` when it already sends sound of its own. May repeat."""

    leg: str
    early_media: bool = False


@dataclass(frozen=True, slots=True)
class LegAnswered:
    """An outgoing leg was picked up."""

    leg: str


@dataclass(frozen=True, slots=True)
class LegFailed:
    """An outgoing leg ended before it was answered."""

    leg: str
    why: Failure


@dataclass(frozen=True, slots=True)
class LegEnded:
    """The far side hung up or cancelled, or the leg died. Never told of a leg that call control ended or refused.

    ``established`` is False for an incoming leg whose phone never confirmed the answer: nobody has talked on it.
    """

    leg: str
    established: bool = True


@dataclass(frozen=True, slots=True)
class LegHeld:
    """The device put the leg on hold (any spelling of it). May repeat."""

    leg: str


@dataclass(frozen=True, slots=True)
class LegResumed:
    """The device took the leg off hold. May come without a hold before it."""

    leg: str


@dataclass(frozen=True, slots=True)
class KeyPressed:
    """One key of ``0-9*#A-D``, whichever way it came."""

    leg: str
    key: str


@dataclass(frozen=True, slots=True)
class TransferAsked:
    """The device of ``leg`` asks that the other party of that leg be sent to ``target``.

    Blind: ``target`` is what one would dial. Attended: ``consult`` is the leg of the same account to be replaced by the
    other party, and ``target`` is what that leg had dialled. ``transfer`` names the request in ``TransferProgress``.
    """

    leg: str
    transfer: str
    target: str
    consult: str | None = None


@dataclass(frozen=True, slots=True)
class PromptEnded:
    """A ``Spoken`` was heard to its end."""

    leg: str
    prompt: str


@dataclass(frozen=True, slots=True)
class DirectoryChanged:
    """From now on this directory holds. Calls and parked calls go on, also of accounts that are gone."""

    directory: Directory


Input: TypeAlias = (
    LegArrived
    | LegRang
    | LegAnswered
    | LegFailed
    | LegEnded
    | LegHeld
    | LegResumed
    | KeyPressed
    | TransferAsked
    | PromptEnded
    | DirectoryChanged
)

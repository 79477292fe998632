"""What programs ask of call control (the API, and whatever comes after it), and what they are answered.

A ``Command`` is answered by one ``Reply`` with its id. Most are answered at once; ``RetrieveCall`` when the phone was picked
up, or when it is known that nothing comes of it. Rights are the business of who asks; call control sees to it that nothing of
another account is touched: a call or a code of another account and one that does not exist look the same.
"""

from __future__ import annotations

from typing import TypeAlias

from parkade.base.clock import Instant
from parkade.base.values import valueclass
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

    The result is the ``ParkedCall`` that it was. If somebody else is first the phone stops ringing.
    """

    code: str
    device: str


@valueclass(frozen=True, slots=True)
class GiveBackCall:
    """Ring whoever parked the call at ``code``, as at its deadline but now. No result."""

    code: str


@valueclass(frozen=True, slots=True)
class HangUpCall:
    """End ``call``, in whatever stage it is. No result."""

    call: str


@valueclass(frozen=True, slots=True)
class NoteCall:
    """Write ``note`` beside the call at ``code``. The result is the ``ParkedCall``."""

    code: str
    note: str


@valueclass(frozen=True, slots=True)
class ListParked:
    """Every parked call of the account, by lot and slot. The result is a tuple of ``ParkedCall``."""


Wanted: TypeAlias = ParkCall | RetrieveCall | GiveBackCall | HangUpCall | NoteCall | ListParked


@valueclass(frozen=True, slots=True)
class Command:
    """Input: ``command`` is wanted in ``account`` (a slug). ``id`` is unique among the commands under way."""

    id: str
    account: str
    command: Wanted


@valueclass(frozen=True, slots=True)
class ParkedCall:
    """A parked call as programs see it. ``lot`` is a name, ``parked_by`` an extension, None for a caller nobody parked."""

    code: str
    lot: str
    slot: int
    call: str
    caller: Identity
    parked_by: str | None
    note: str
    parked_at: Instant
    expires_at: Instant


Result: TypeAlias = ParkedCall | tuple[ParkedCall, ...] | None
"""What comes of a command; which of them is said at each command."""


@valueclass(frozen=True, slots=True)
class Reply:
    """Effect: the answer to the command ``id``. With a ``refusal`` nothing was done."""

    id: str
    result: Result = None
    refusal: Refusal | None = None

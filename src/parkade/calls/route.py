"""What a dialled string means in one account.

In this order: ``park`` and ``park:805`` (the caller parks itself: what a device's destination or an inbound number says),
the account's park code, its pick-up prefix before a slot (``**801``, ``***801``), a slot code (``*801``), an extension.
Anything of the shape of a slot code is one, whether or not such a lot exists: from the answer nobody can tell a code of
another account from a free one. Numbers of other accounts mean nothing here.

What means nothing may still be a number outside (``outside``): who may dial there is for others to say.
"""

from __future__ import annotations

import re
from typing import TypeAlias

from parkade.base.values import valueclass
from parkade.calls.directory import Account, Owner, Strategy
from parkade.calls.identity import Identity
from parkade.calls.plan import OutsideNumber, RingPlan, at_once, in_order

SLOT_DIGITS = range(3, 7)
"""How many digits a slot may have."""

_OUTSIDE_NUMBER = re.compile(r"\+?[0-9]{3,15}")


@valueclass(frozen=True, slots=True)
class People:
    """An extension: whoever is there is rung. ``shown`` is what the caller sees meanwhile.

    ``each_s`` is None where all are rung at once, else how long each one is, one after the other.
    """

    shown: Identity
    owners: tuple[Owner, ...]
    each_s: float | None = None

    def plan(self, ring_s: float) -> RingPlan:
        """How they are rung: for ``ring_s`` if all at once."""
        return at_once(self.owners, ring_s) if self.each_s is None else in_order(self.owners, self.each_s)


@valueclass(frozen=True, slots=True)
class ParkCode:
    """The feature code that parks at the next free slot."""


@valueclass(frozen=True, slots=True)
class SlotCode:
    """A slot by number: park there or pick up there, as the situation has it; after the prefix, only pick up."""

    slot: int
    only_pick_up: bool = False


@valueclass(frozen=True, slots=True)
class ParkSelf:
    """The caller itself is parked, at ``slot`` or at the next free one."""

    slot: str | None = None


Route: TypeAlias = People | ParkCode | SlotCode | ParkSelf


def route(account: Account, dialled: str) -> Route | None:
    """What ``dialled`` means; None if nothing."""
    word, _, rest = dialled.partition(":")
    if word == "park":
        return ParkSelf(rest or None)
    codes = account.feature_codes
    if codes.park and dialled == codes.park:
        return ParkCode()
    prefix = codes.pickup_prefix
    if prefix and dialled.startswith(prefix) and (slot := _slot(dialled[len(prefix) :].removeprefix("*"))):
        return SlotCode(slot, only_pick_up=True)
    if dialled.startswith("*") and (slot := _slot(dialled[1:])):
        return SlotCode(slot)
    return people(account, dialled)


def people(account: Account, extension: str) -> People | None:
    """Who is at ``extension``: a user, a common-area phone, or all members of a ring group."""
    if owner := account.owners.get(extension):
        return People(owner.identity, (owner,))
    if group := account.ring_groups.get(extension):
        members = tuple(owner for member in group.members if (owner := account.owners.get(member)))
        return People(
            Identity(group.name, group.extension), members, group.each_s if group.strategy is Strategy.IN_ORDER else None
        )
    return None


def outside(account: Account, dialled: str) -> OutsideNumber | None:
    """The number outside that ``dialled``, which means nothing else, may be: over the first trunk, if there is any."""
    trunk = next(iter(account.trunks.values()), None)
    return OutsideNumber(trunk, dialled) if trunk is not None and _OUTSIDE_NUMBER.fullmatch(dialled) else None


def _slot(digits: str) -> int | None:
    shaped = len(digits) in SLOT_DIGITS and digits.isascii() and digits.isdigit() and digits[0] != "0"
    return int(digits) if shaped else None

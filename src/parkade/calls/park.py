"""The park lot: which call is at which code, which code is being kept for which call, and who picked up last.

A small machine without a clock: whoever owns it (``parking.py``) sets the timers and says when a reservation is over.
It knows calls by id only.

Each slot of the range is in exactly one of three states::

    free ──take──▶ taken ──pick_up──▶ reserved (for the call that left) ──release──▶ free
      ▲              │                    │
      └────leave─────┘◀──take by its call─┘

Invariants: no slot holds two calls; no call is at two slots; a slot that is taken or reserved is never given to another
call; the code of a call that expired is not its next code while another is free. Beside the states the lot remembers for a
while who picked up at a slot, so that whoever dials a moment later learns who was first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from parkade.base.clock import Instant
from parkade.base.ids import Ids
from parkade.base.values import valueclass
from parkade.calls.audience import EVERYBODY, Audience
from parkade.calls.directory import Assignment, Lot
from parkade.calls.refusals import LOT_FULL, NO_SUCH_SLOT, SLOT_RESERVED, SLOT_TAKEN, Refusal

LOST_RACE_S = 10.0
"""How long after a pick-up the next who dials the code has lost a race rather than found nothing."""


@valueclass(frozen=True, slots=True)
class PickUp:
    """Who took ``call`` out of a slot, and when; ``extension`` is empty if it was nobody's phone. ``audience`` may know of
    it.
    """

    call: str
    name: str
    extension: str
    at: Instant
    audience: Audience = EVERYBODY


class ParkLot:
    """The state of one ``Lot``. ``change`` puts a changed ``Lot`` value in at any time; calls stay where they are. ``site`` is
    the id of the site it belongs to, if it does.

    ``retired`` is True while the directory does not name the lot, or multi-site is off and it is not the main one: then
    calls leave it, and none is parked there but by its own reservation.
    """

    __slots__ = ("_changed", "_free", "_picked_up", "_reserved", "_taken", "account", "lot", "retired", "site")

    TRIES_AT_RANDOM: Final = 8

    def __init__(
        self, lot: Lot, account: str = "", changed: dict[tuple[ParkLot, int], None] | None = None, site: str | None = None
    ) -> None:
        """``changed`` collects, in order, every slot whose state has changed, until its owner clears it."""
        self.account = account
        self._changed = {} if changed is None else changed
        self._taken: dict[int, str] = {}
        self._reserved: dict[int, str] = {}
        self._picked_up: dict[int, PickUp] = {}
        self.retired = False
        self.site = site
        self._free = 0
        """Bit ``n`` is set while slot ``first + n`` is free: the lowest free slot of thousands is one operation away."""
        self.lot = lot
        self.change(lot)

    def change(self, lot: Lot) -> None:
        """Another range or policy. Calls beyond a range that shrank can still be picked up; nothing is parked there again."""
        self.lot = lot
        self._free = (1 << lot.last - lot.first + 1) - 1
        for slot in (*self._taken, *self._reserved):
            self._set_free(slot, False)

    def call_at(self, slot: int) -> str | None:
        """The call parked at ``slot``."""
        return self._taken.get(slot)

    def last_pick_up(self, slot: int) -> PickUp | None:
        """Who took the last call from ``slot``, as long as it is remembered and no other call is parked there."""
        return self._picked_up.get(slot)

    def reserved_for(self, slot: int) -> str | None:
        """The call that ``slot`` is kept for."""
        return self._reserved.get(slot)

    def parked(self) -> Iterator[tuple[int, str]]:
        """Every parked call as (slot, call)."""
        return iter(self._taken.items())

    def occupied(self) -> Iterator[int]:
        """Every slot that is taken or reserved."""
        yield from self._taken
        yield from self._reserved

    @property
    def is_idle(self) -> bool:
        """True when nothing is parked, reserved or remembered here."""
        return not (self._taken or self._reserved or self._picked_up)

    @property
    def reserved_count(self) -> int:
        """How many codes are being kept."""
        return len(self._reserved)

    @property
    def pick_up_count(self) -> int:
        """How many pick-ups are remembered."""
        return len(self._picked_up)

    def take(self, call: str, slot: int) -> Refusal | None:
        """Park ``call`` at ``slot``; the refusal if that cannot be, and then nothing has changed."""
        if not self.lot.first <= slot <= self.lot.last and self._reserved.get(slot) != call:
            return NO_SUCH_SLOT.with_(code=self.lot.code(slot))
        if slot in self._taken:
            return SLOT_TAKEN.with_(code=self.lot.code(slot))
        if self._reserved.get(slot, call) != call:
            return SLOT_RESERVED.with_(code=self.lot.code(slot))
        self._changed[self, slot] = None
        self._reserved.pop(slot, None)
        self._picked_up.pop(slot, None)
        self._taken[slot] = call
        self._set_free(slot, False)
        return None

    def next_free(
        self, ids: Ids, avoid: int | None = None, assignment: Assignment | None = None, never: Iterable[int] = ()
    ) -> int | Refusal:
        """A free slot, the lowest or any with equal chance: by ``assignment``, that of the lot unless given.

        ``avoid`` is given only if it is the last one, ``never`` not at all.
        """
        free, first = self._free, self.lot.first
        for slot in never:
            if first <= slot <= self.lot.last:
                free &= ~(1 << slot - first)
        if avoid is not None and first <= avoid <= self.lot.last and free != (bit := 1 << avoid - first):
            free &= ~bit
        if not free:
            return LOT_FULL
        if (assignment or self.lot.policy.assignment) is Assignment.SEQUENTIAL:
            return first + (free & -free).bit_length() - 1
        size = self.lot.last - first + 1
        for _ in range(self.TRIES_AT_RANDOM):
            if free >> (n := ids.below(size)) & 1:
                return first + n
        choices = [n for n in range(size) if free >> n & 1]
        return first + choices[ids.below(len(choices))]

    def leave(self, slot: int) -> str:
        """The call at ``slot`` is gone (it expired or hung up): the slot is free. Returns the call."""
        call = self._taken.pop(slot)
        self._changed[self, slot] = None
        self._set_free(slot, True)
        return call

    def pick_up(self, slot: int, pick_up: PickUp, reserve: bool) -> None:
        """The call at ``slot`` was retrieved; with ``reserve`` the code is kept for it until ``release``."""
        call = self._taken.pop(slot)
        self._changed[self, slot] = None
        self._picked_up[slot] = pick_up
        if reserve:
            self._reserved[slot] = call
        else:
            self._set_free(slot, True)

    def release(self, slot: int) -> None:
        """The code is no longer kept for anybody."""
        if self._reserved.pop(slot, None) is not None:
            self._changed[self, slot] = None
            self._set_free(slot, True)

    def forget(self, slot: int) -> None:
        """Whoever dials now is too late to be told who picked up."""
        self._picked_up.pop(slot, None)

    def hand_over(self, slot: int, call: str) -> None:
        """The place at ``slot`` now belongs to ``call`` (another caller stepped into it)."""
        self._changed[self, slot] = None
        self._taken[slot] = call

    def restore(self, slot: int, call: str, *, reserved: bool = False) -> bool:
        """After a restart: ``slot`` is taken by ``call``, or kept for it, whatever the range is now. False if it is in use."""
        if slot in self._taken or self._reserved.get(slot, call) != call:
            return False
        if reserved:
            self._reserved[slot] = call
        else:
            self._reserved.pop(slot, None)
            self._picked_up.pop(slot, None)
            self._taken[slot] = call
        self._changed[self, slot] = None
        self._set_free(slot, False)
        return True

    def remember(self, slot: int, pick_up: PickUp) -> None:
        """After a restart: who took the last call from ``slot``."""
        self._picked_up[slot] = pick_up

    def _set_free(self, slot: int, free: bool) -> None:
        if self.lot.first <= slot <= self.lot.last:
            bit = 1 << slot - self.lot.first
            self._free = self._free | bit if free else self._free & ~bit

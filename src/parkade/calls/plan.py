"""Who is rung, and in what order: a value that a call walks while it rings (``ring.py``).

A plan has steps, one after the other. In a step everybody named is rung at once, for ``ring_s`` at most; when nobody is left
who rings it is over. What follows after the last step is not part of the plan: that is what it rings for (``Purpose``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from parkade.calls.directory import Owner, Trunk
from parkade.calls.identity import Identity


@dataclass(frozen=True, slots=True)
class OutsideNumber:
    """A telephone number that is reached over ``trunk``."""

    trunk: Trunk
    number: str

    @property
    def shown(self) -> Identity:
        """What the caller sees."""
        return Identity("", self.number)

    def plan(self, ring_s: float) -> RingPlan:
        """Dial it, and wait for ``ring_s``."""
        return at_once((self,), ring_s)


Target: TypeAlias = Owner | OutsideNumber
"""Somebody who can be rung: a person or place with all devices, or a number outside."""


@dataclass(frozen=True, slots=True)
class Step:
    """``targets`` are rung at once, for ``ring_s`` seconds at most.

    ``forwarded_by`` are the extensions whose phones have sent the call here, one after the other.
    """

    targets: tuple[Target, ...]
    ring_s: float
    forwarded_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RingPlan:
    """Steps in their order, at least one."""

    steps: tuple[Step, ...]

    def names(self, targets: Sequence[Target]) -> bool:
        """Whether any of ``targets`` is rung in any step."""
        return any(target in step.targets for step in self.steps for target in targets)

    def after(self, step: int, more: Sequence[Step]) -> RingPlan:
        """The plan with ``more`` steps behind the one at index ``step``."""
        return RingPlan((*self.steps[: step + 1], *more, *self.steps[step + 1 :]))


def at_once(targets: Sequence[Target], ring_s: float) -> RingPlan:
    """Everybody at the same time."""
    return RingPlan((Step(tuple(targets), ring_s),))


def in_order(targets: Sequence[Target], ring_s: float) -> RingPlan:
    """One after the other, each for ``ring_s``."""
    return RingPlan(tuple(Step((target,), ring_s) for target in targets) or (Step((), ring_s),))

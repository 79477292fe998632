"""Damages a share of the messages of one phone, by the table in ``damage``.

What happens to the n-th message of a phone follows from the seed, the phone and n alone, so a run can be repeated with some of
the damages left out.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from random import Random

from parkade.testing.damage import DAMAGES, ENDS, LARGEST_DATAGRAM, Wire


@dataclass(frozen=True, slots=True)
class Damaged:
    """What was done to one message: ``key`` names the message, ``what`` the damages, ``start`` is its first line before."""

    key: str
    what: tuple[str, ...]
    start: str


class Damager:
    """A misbehaviour of one phone: a ``share`` of its messages is damaged.

    ``only``: nothing but the messages with these keys. ``log`` is told what was done, in order.
    """

    def __init__(
        self, seed: int, name: str, log: list[Damaged], share: float = 0.15, only: Collection[str] | None = None
    ) -> None:
        self._seed = seed
        self._name = name
        self._log = log
        self._share = share
        self._only = only
        self._count = 0

    def __call__(self, data: bytes) -> bytes:
        """What arrives of ``data``."""
        self._count += 1
        key = f"{self._name}#{self._count}"
        dice = Random(f"{self._seed}/{key}")  # noqa: S311 - repeatable, not a secret
        if dice.random() >= self._share or (self._only is not None and key not in self._only):
            return data
        chosen = dice.sample(DAMAGES, dice.choice((1, 1, 1, 2)))
        wire = Wire.parse(data)
        for damage in chosen:
            damage(wire, dice)
        start = data.partition(ENDS)[0].decode("utf-8", "replace")
        self._log.append(Damaged(key, tuple(damage.__name__ for damage in chosen), start))
        return wire.encode()[:LARGEST_DATAGRAM]

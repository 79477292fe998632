"""Damages a share of the messages of one phone, by the table in ``damage``.

A phone is mostly wrong in the same way again and again, so each has a habit besides: one kind of its messages is damaged
``HABIT_SHARE`` of the time, by the same damage in the same place.

What happens to the n-th message of a phone follows from the seed, the phone and n alone, so a run can be repeated with some of
the damages left out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from random import Random

from parkade.testing.damage import DAMAGES, ENDS, LARGEST_DATAGRAM, Wire

METHODS = (b"INVITE ", b"INVITE ", b"ACK ", b"BYE ", b"REGISTER ", b"REFER ", b"PRACK ", b"UPDATE ", b"INFO ", b"CANCEL ")


@dataclass(frozen=True, slots=True)
class Damaged:
    """What was done to one message: ``key`` names the message, ``what`` the damages, ``start`` is its first line before."""

    key: str
    what: tuple[str, ...]
    start: str


HABIT_SHARE = 0.7
KINDS: tuple[Callable[[bytes], bool], ...] = (
    *[lambda data, method=method: data.startswith(method) for method in METHODS],
    lambda data: data.startswith(b"SIP/2.0 18"),
    lambda data: data.startswith(b"SIP/2.0 200") and b" INVITE\r\n" in data,
    lambda data: data.startswith(b"SIP/2.0 200") and b" INVITE\r\n" not in data,
    lambda data: data.startswith((b"SIP/2.0 4", b"SIP/2.0 6")),
)
"""Kinds of messages that a habit may be about."""


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
        dice = Random(f"{seed}/{name}")  # noqa: S311 - repeatable, not a secret
        self._is_usual = dice.choice(KINDS)
        self._habit = dice.choice(DAMAGES)

    def __call__(self, data: bytes) -> bytes:
        """What arrives of ``data``."""
        self._count += 1
        key = f"{self._name}#{self._count}"
        dice = Random(f"{self._seed}/{key}")  # noqa: S311 - repeatable, not a secret
        usual = self._is_usual(data)
        damaged = dice.random() < (HABIT_SHARE if usual else self._share)
        if not damaged or (self._only is not None and key not in self._only):
            return data
        chosen = [self._habit] if usual else dice.sample(DAMAGES, dice.choice((1, 1, 1, 2)))
        if usual:
            dice = self._habitual()
        wire = Wire.parse(data)
        for damage in chosen:
            damage(wire, dice)
        start = data.partition(ENDS)[0].decode("utf-8", "replace")
        self._log.append(Damaged(key, tuple(damage.__name__ for damage in chosen), start))
        return wire.encode()[:LARGEST_DATAGRAM]

    def _habitual(self) -> Random:
        return Random(f"{self._seed}/{self._name}/habit")  # noqa: S311 - the same draws each time

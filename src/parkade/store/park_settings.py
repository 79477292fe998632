"""Call Park settings of the levels account, site, user or common area, merged into the policy that holds. Pure.

* The nearest level that says a key wins, key by key.
* ``expiration_seconds`` overrides ``expiration_period`` of its own level; minutes of a nearer level win over both.
* A level that says ``reset`` says nothing else.
* Below a level that says ``locked`` nothing is heard.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from parkade.calls.directory import Assignment, NotPickedUp, ParkPolicy

DEFAULT = ParkPolicy()
DEFAULT_CODES = "801-899"


@dataclass(frozen=True, slots=True)
class ParkSettings:
    """What the levels down to one say together; keys and values are those of the directory file."""

    values: Mapping[str, Any] = field(default_factory=dict)

    def below(self, level: Mapping[str, Any]) -> ParkSettings:
        """With a nearer level added; ``self`` if that changes nothing."""
        if not level or level.get("reset") or self.values.get("locked"):
            return self
        values = dict(self.values)
        if "expiration_period" in level:
            values.pop("expiration_seconds", None)
        return ParkSettings({**values, **level})

    def policy(self) -> ParkPolicy:
        """With every default filled in."""
        say = self.values.get
        minutes, seconds = say("expiration_period"), say("expiration_seconds")
        if seconds is None:
            seconds = DEFAULT.expiration_s if minutes is None else 60.0 * minutes
        return ParkPolicy(
            enable=say("enable", DEFAULT.enable),
            expiration_s=float(seconds),
            not_picked_up=NotPickedUp(say("call_not_picked_up_action", DEFAULT.not_picked_up)),
            forward_to=say("forward_to"),
            assignment=Assignment(say("sequence", DEFAULT.assignment)),
            reserve_s=float(say("reserve_seconds", DEFAULT.reserve_s)),
            ring_back_s=float(say("ring_back_seconds", DEFAULT.ring_back_s)),
        )

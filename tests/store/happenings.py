"""Events as the log has them, for tests of what is made of them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from parkade.edge.event_json import iso

START = 1_800_000_000.0
"""2027-01-15T08:00:00Z."""


STAYS = ("parked", "reparked", "given_back", "note_changed", "retrieved", "returned", "abandoned", "timed_out", "given_up")


class Happenings:
    """Makes events of one account, numbered and in order; ``now`` moves by hand."""

    def __init__(self, account: str = "acme", start: float = START) -> None:
        self.account = account
        self.now = start
        self.events: list[dict[str, Any]] = []
        self._numbers = itertools.count(1)
        self._parked_at: dict[str, float] = {}

    def __call__(self, kind: str, call: str, **data: Any) -> Mapping[str, Any]:
        """``kind`` happens to ``call`` now."""
        number = next(self._numbers)
        said: dict[str, Any] = {"call": call, "caller_name": "Lan", "caller_number": "+84281234567"} if call else {}
        if kind == "parked":
            self._parked_at[call] = self.now
        if kind in STAYS:
            began = self._parked_at.get(call, self.now)
            said |= {"code": "*801", "lot": "Main", "site": None, "parked_by": "101", "note": ""}
            said |= {"parked_at": iso(began), "waited_s": self.now - began}
        event = {
            "number": number,
            "id": f"{self.account}-{number}",
            "type": kind if "." in kind else f"call.{kind}",
            "at": iso(self.now),
            "account": self.account,
            "data": said | data,
        }
        self.events.append(event)
        return event

    def park(self, call: str, wait_s: float, end: str, **data: Any) -> None:
        """A whole park that ends so after ``wait_s``. The time goes on by nothing else."""
        parked = {name: data.pop(name) for name in ("code", "lot", "parked_by", "caller_name", "note", "site") if name in data}
        self("parked", call, **parked)
        began, self.now = self.now, self.now + wait_s
        self(end, call, **{name: value for name, value in parked.items() if name != "note"}, **data)
        self.now = began

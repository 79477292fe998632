"""How the web process asks the signalling process: a command there, its reply back.

The one over a unix socket is ``api/link.py``. Tests use one over a simulated world.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from parkade.base.errors import ParkadeError
from parkade.calls.commands import Result, Wanted
from parkade.calls.refusals import Refusal
from parkade.edge.trace import Message


class RefusedError(ParkadeError):
    """Call control has refused the command; nothing was done."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.en)
        self.refusal = refusal


class SignallingAwayError(ParkadeError):
    """The signalling process is not there, or has not answered in time. What was asked may have been done."""


class Signalling(Protocol):
    """The signalling process."""

    async def ask(self, account: str, wanted: Wanted, *, timeout_s: float = 5.0) -> Result:
        """Have ``wanted`` done in ``account`` (a slug); what came of it.

        :raises RefusedError: it was refused.
        :raises SignallingAwayError: nobody has answered.
        """

    async def directory_changed(self) -> None:
        """Tell it that accounts have changed in the database; returns when it holds what is there now.

        :raises SignallingAwayError: nobody has answered; it will notice by itself.
        """

    async def trace(self, account: str, call: str) -> list[Message] | None:
        """The SIP messages of a call of the account, without secrets, oldest first; None if no such call is known (any more).

        :raises SignallingAwayError: nobody has answered.
        """

    async def figures(self) -> Mapping[str, float]:
        """Its counters and gauges, by the name of the metric.

        :raises SignallingAwayError: nobody has answered.
        """

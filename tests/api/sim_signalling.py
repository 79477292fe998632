"""The signalling process as the API sees it, over a simulated world: a command is a thing of that world's time."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from parkade.api.signalling import RefusedError, SignallingAwayError
from parkade.calls.commands import Command, Result, Wanted
from parkade.edge.trace import Message
from parkade.store.store import Store
from parkade.testing.world import SimWorld


class SimSignalling:
    """``away``: nobody answers. ``asked`` has every command so far, ``loaded`` how often the directory was."""

    def __init__(self, world: SimWorld, store: Store) -> None:
        self.away = False
        self.asked: list[tuple[str, Wanted]] = []
        self.loaded = 0
        self.traces: dict[tuple[str, str], list[Message]] = {}
        self._world = world
        self._store = store
        self._numbers = itertools.count(1)

    async def ask(self, account: str, wanted: Wanted, *, timeout_s: float = 5.0) -> Result:
        """Time passes in the world until there is an answer."""
        self._must_be_there()
        self.asked.append((account, wanted))
        command = f"c{next(self._numbers)}"
        self._world.tell(Command(command, account, wanted))
        try:
            self._world.run_until(lambda: command in self._world.replies, timeout_s)
        except AssertionError:
            raise SignallingAwayError("no answer") from None
        reply = self._world.replies.pop(command)
        if reply.refusal is not None:
            raise RefusedError(reply.refusal)
        return reply.result

    async def directory_changed(self) -> None:
        """The world has what is in the database."""
        self._must_be_there()
        directory, _ = await self._store.directory()
        self._world.load(directory)
        self.loaded += 1

    async def trace(self, account: str, call: str) -> list[Message] | None:
        """What a test has put into ``traces``."""
        self._must_be_there()
        return self.traces.get((account, call))

    async def figures(self) -> Mapping[str, float]:
        """None."""
        self._must_be_there()
        return {}

    def _must_be_there(self) -> None:
        if self.away:
            raise SignallingAwayError("the signalling process is not there")

"""What all sessions of one user agent share: transactions, timers, ids, the index of dialogs. It decides nothing."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Generic, TypeAlias, TypeVar

from parkade.base.ids import Ids
from parkade.base.timers import Timers
from parkade.sip.message.flow import Flow, SipEffect
from parkade.sip.message.uri import host_port
from parkade.sip.session.dialog import Dialog, DialogId
from parkade.sip.transaction.layer import TransactionLayer

S = TypeVar("S")


class Deadline(IntEnum):
    """What a session may have to do later. One of each kind a session at most."""

    REMINDER = 0
    """Repeat the provisional response to an INVITE of theirs."""
    PROVISIONAL = 1
    """Send a reliable provisional response again, or give up waiting for its PRACK."""
    EXPIRES = 2
    """An INVITE of theirs was valid until now (its Expires)."""
    ACK = 3
    """Send a 2xx again, or give up waiting for its ACK."""
    REFRESH = 4
    """Refresh the session, or end it because nobody has."""
    RETRY = 5
    """Try again a change that the far side refused for the moment."""
    PATIENCE = 6
    """Cancel a re-INVITE that finds no answer."""
    REPORTS = 7
    """Wait no longer for the outcome of a REFER of ours."""


TimerKey: TypeAlias = tuple[str, Deadline]
"""The id of a session, and what is due."""


class Agent(Generic[S]):
    """``sessions`` by id; ``dialogs`` gives session and dialog of a request or response. ``out`` is what is to be sent.

    ``touched`` holds the sessions that have changed since its owner cleared it, if ``keeps`` is set.
    """

    __slots__ = ("_address", "_user", "dialogs", "ids", "keeps", "layer", "name", "out", "sessions", "timers", "touched")

    def __init__(
        self,
        layer: TransactionLayer,
        out: list[SipEffect],
        ids: Ids,
        address: Callable[[Flow], tuple[str, int]],
        name: str,
        user: str | None,
        *,
        keeps: bool,
    ) -> None:
        self.layer = layer
        self.out = out
        self.ids = ids
        self.name = name
        self.keeps = keeps
        self.timers: Timers[TimerKey] = Timers()
        self.sessions: dict[str, S] = {}
        self.dialogs: dict[DialogId, tuple[S, Dialog]] = {}
        self.touched: set[S] = set()
        self._address = address
        self._user = f"{user}@" if user else ""

    def contact_on(self, flow: Flow) -> str:
        """Our Contact value for the peer of ``flow``."""
        where = f"sip:{self._user}{host_port(*self._address(flow))}"
        return f"<{where}>" if flow.transport == "UDP" else f"<{where};transport={flow.transport.lower()}>"

"""What a dialog is used for (:rfc:`5057`): a call, a subscription, or several at once. It ends with the last of its usages.

A usage is a value with an id. What it has to do later is a timer under that id and a ``Deadline``; what must outlive the
process is its ``snapshot``. The kinds are ``Session`` (INVITE) and ``Subscription`` (SUBSCRIBE, REFER).
"""

from __future__ import annotations

from enum import IntEnum

from parkade.base.clock import Instant
from parkade.base.journal import Json


class Deadline(IntEnum):
    """What a usage may have to do later. One of each kind a usage at most."""

    REMINDER = 0
    """Repeat the provisional response to an INVITE of theirs."""
    PROVISIONAL = 1
    """Send a reliable provisional response again, or give up waiting for its PRACK."""
    EXPIRES = 2
    """An INVITE of theirs, or a subscription, was valid until now (its Expires)."""
    ACK = 3
    """Send a 2xx again, or give up waiting for its ACK."""
    REFRESH = 4
    """Refresh the session, or end it because nobody has."""
    RETRY = 5
    """Try again a change, or a NOTIFY, that the far side refused for the moment."""
    PATIENCE = 6
    """Cancel a re-INVITE that finds no answer."""
    REPORTS = 7
    """Wait no longer for the outcome of a REFER of ours."""


class Usage:
    """One use of a dialog. ``id`` is unique among all usages of a user agent."""

    __slots__ = ("id",)

    def __init__(self, usage_id: str) -> None:
        self.id = usage_id

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to be done on the wire: it need not be kept any more."""
        raise NotImplementedError

    def snapshot(self) -> dict[str, Json]:
        """What is needed to go on with it after a restart."""
        raise NotImplementedError

    def touch(self) -> None:
        """What must be kept of it may have changed."""
        raise NotImplementedError

    def due(self, what: Deadline, now: Instant) -> None:
        """A timer of the usage has fired."""
        raise NotImplementedError

"""Where a message came from and where the next one goes: a transport and the far address.

A flow is a value. For UDP it is the pair of addresses; for a stream it also names the connection, so that a
response goes back on the connection its request came from (:rfc:`3261` section 18.2.2, :rfc:`5626`).
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from parkade.base.values import valueclass


class Flow(NamedTuple):
    """``transport`` is ``UDP``, ``TCP``, ``TLS`` or ``WS``; ``host`` an IP literal without brackets.

    ``connection`` is 0 for UDP and for a stream that has yet to be opened to ``host:port``.
    """

    transport: str
    host: str
    port: int
    connection: int = 0

    @property
    def reliable(self) -> bool:
        """True where the transport retransmits by itself."""
        return self.transport != "UDP"


@valueclass(frozen=True, slots=True)
class Send:
    """Effect: put ``data`` (one whole message) on ``flow``; opens the stream if it has no connection yet."""

    flow: Flow
    data: bytes


@valueclass(frozen=True, slots=True)
class CloseFlow:
    """Effect: close a stream after what is queued on it (framing lost, or idle)."""

    flow: Flow


SipEffect: TypeAlias = Send | CloseFlow

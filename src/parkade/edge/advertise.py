"""Which of our addresses a peer should be told.

With ``--advertise`` it is that one for everybody. Else it is the address our packets to that peer leave from, which the
kernel's routing table knows: connecting a datagram socket asks it without sending anything.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping

from parkade.sip.message.flow import Flow

_CACHE_LIMIT = 4096


class Advertise:
    """``advertise(flow)`` gives the host (no brackets) and port under which the peer of ``flow`` reaches us."""

    def __init__(self, fixed: str | None, bound: str, ports: Mapping[str, int]) -> None:
        self._fixed = fixed or (None if bound in {"0.0.0.0", "::", ""} else bound)
        self._ports = ports
        self._cache: dict[str, str] = {}

    def __call__(self, flow: Flow) -> tuple[str, int]:
        return self._fixed or self._routed(flow.host), self._ports[flow.transport]

    def _routed(self, peer: str) -> str:
        known = self._cache.get(peer)
        if known is None:
            if len(self._cache) >= _CACHE_LIMIT:
                self._cache.clear()
            known = self._cache[peer] = _source_address(peer)
        return known


def _source_address(peer: str) -> str:
    family = socket.AF_INET6 if ":" in peer else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((peer, 9))
        except OSError:
            return "127.0.0.1" if family == socket.AF_INET else "::1"
        return str(probe.getsockname()[0])

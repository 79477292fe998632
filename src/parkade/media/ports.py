"""The reserve of bound UDP port pairs: RTP on an even port, RTCP on the next odd one (:rfc:`3550` section 11).

Binding ahead lets signalling write an SDP body without asking. Ports come in random order, which makes them hard to
guess, and a port just given up comes last, so that packets still on their way to the old leg do not meet a new one. A
port held by another program is silently passed over. With the range ``0-0`` the kernel chooses (tests, demo).
"""

from __future__ import annotations

import ipaddress
import random
import socket
from collections import deque
from dataclasses import dataclass

EXPEDITED = 46 << 2
"""DSCP EF, as :rfc:`4594` section 4.1 asks for telephony."""


@dataclass(frozen=True, slots=True)
class PortPair:
    """Two bound, non-blocking sockets. ``port`` is the even one, that of RTP."""

    port: int
    rtp: socket.socket
    rtcp: socket.socket

    def close(self) -> None:
        """Give both ports back to the system."""
        self.rtp.close()
        self.rtcp.close()


class PortReserve:
    """Up to ``wanted`` bound pairs that no leg uses yet."""

    def __init__(self, host: str, low: int, high: int, wanted: int = 256) -> None:
        self._host = host
        self.ipv6 = ipaddress.ip_address(host).version == 6
        self._family = socket.AF_INET6 if self.ipv6 else socket.AF_INET
        evens = list(range(low + low % 2, high, 2))
        random.SystemRandom().shuffle(evens)
        self._free = deque(evens)
        self._kernel_chooses = low == high == 0
        self._wanted = wanted
        self._bound: dict[int, PortPair] = {}

    def __len__(self) -> int:
        return len(self._bound)

    def ports(self) -> tuple[int, ...]:
        """All ports bound and unused."""
        return tuple(self._bound)

    @property
    def short_of(self) -> int:
        """How many pairs are missing."""
        return self._wanted - len(self._bound)

    def top_up(self, tries: int = 8) -> tuple[int, ...]:
        """Try to bind at most ``tries`` pairs (some 15 µs each); the ports that are new."""
        new: list[int] = []
        for _ in range(tries):
            if self.short_of <= 0 or not (self._free or self._kernel_chooses):
                break
            wished = 0 if self._kernel_chooses else self._free.popleft()
            pair = self._bind_pair(wished)
            if pair is not None:
                self._bound[pair.port] = pair
                new.append(pair.port)
            elif wished:
                self._free.append(wished)
        return tuple(new)

    def take(self, port: int) -> PortPair | None:
        """The pair bound on ``port``, now the caller's; None if the reserve holds none."""
        return self._bound.pop(port, None)

    def give_back(self, pair: PortPair) -> None:
        """Close ``pair``; its ports are bound again when their turn comes."""
        pair.close()
        if not self._kernel_chooses:
            self._free.append(pair.port)

    def close(self) -> None:
        """Close everything in reserve."""
        for pair in self._bound.values():
            pair.close()
        self._bound.clear()

    def _bind_pair(self, wished: int) -> PortPair | None:
        rtp = self._bind(wished)
        if rtp is None:
            return None
        port: int = rtp.getsockname()[1]
        # The kernel may have chosen an odd one: then this try is lost, and the next has another number.
        rtcp = self._bind(port + 1) if port % 2 == 0 else None
        if rtcp is None:
            rtp.close()
            return None
        return PortPair(port, rtp, rtcp)

    def _bind(self, port: int) -> socket.socket | None:
        try:
            bound = socket.socket(self._family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        except OSError:
            return None
        try:
            bound.bind((self._host, port))
            if self._family == socket.AF_INET:
                bound.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, EXPEDITED)
            else:
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, EXPEDITED)
        except OSError:
            bound.close()
            return None
        return bound

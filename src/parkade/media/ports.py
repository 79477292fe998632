"""The reserve of bound UDP port pairs: RTP on an even port, RTCP on the next odd one (:rfc:`3550` section 11).

Binding ahead lets signalling write an SDP body without asking. Ports come in random order, which makes them hard to
guess, and a port just given up comes last, so that packets still on their way to the old leg do not meet a new one. A
port held by another program is silently passed over. With the range ``0-0`` the kernel chooses (tests, demo).
"""

from __future__ import annotations

import errno
import ipaddress
import os
import random
import socket
from collections import deque
from dataclasses import dataclass

KERNEL_TRIES = 64
"""So many failures in a row mean that the kernel has no pairs left to choose from."""
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
    """Up to ``wanted`` bound pairs that no leg uses yet. File descriptors from ``files`` up are left to others."""

    def __init__(self, host: str, low: int, high: int, wanted: int = 256, files: int = 1 << 20) -> None:
        self._host = host
        self.ipv6 = ipaddress.ip_address(host).version == 6
        self._family = socket.AF_INET6 if self.ipv6 else socket.AF_INET
        evens = list(range(low + low % 2, high, 2))
        random.SystemRandom().shuffle(evens)
        self._free = deque(evens)
        self._kernel_chooses = low == high == 0
        self._wanted = wanted
        self._files = files
        self._bound: dict[int, PortPair] = {}
        self._failures = 0

    def __len__(self) -> int:
        return len(self._bound)

    def ports(self) -> tuple[int, ...]:
        """All ports bound and unused."""
        return tuple(self._bound)

    @property
    def short_of(self) -> int:
        """How many pairs are missing."""
        return self._wanted - len(self._bound)

    @property
    def exhausted(self) -> bool:
        """Whether every port of the range has just been tried in vain; trying again later is worth while."""
        return self._failures >= max(len(self._free), KERNEL_TRIES if self._kernel_chooses else 0)

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
                self._failures = 0
                new.append(pair.port)
            else:
                self._failures += 1
                if wished:
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
        first = self._bind(wished)
        if first is None:
            return None
        # Where the kernel chose, it may have chosen the odd one of two.
        port: int = first.getsockname()[1]
        second = self._bind(port ^ 1)
        if second is None:
            first.close()
            return None
        rtp, rtcp = (second, first) if port % 2 else (first, second)
        return PortPair(port & ~1, rtp, rtcp)

    def _bind(self, port: int) -> socket.socket | None:
        try:
            bound = socket.socket(self._family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        except OSError:
            return None
        try:
            if bound.fileno() >= self._files:
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            bound.bind((self._host, port))
            if self._family == socket.AF_INET:
                bound.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, EXPEDITED)
            else:
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, EXPEDITED)
        except OSError:
            bound.close()
            return None
        return bound

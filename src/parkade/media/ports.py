"""The reserve of bound UDP port pairs: RTP on an even port, RTCP on the next odd one (:rfc:`3550` section 11).

Binding ahead lets signalling write an SDP body without asking. Ports come in random order, which makes them hard to
guess. A pair once bound stays so, because making one costs more than all the orders of a call: given back it rests for
``REST_S``, and as long again whenever a packet has come meanwhile, so that what an old phone still sends does not meet a new
leg; then it is in reserve again. A port held by another program is silently passed over. With the range ``0-0`` the kernel
chooses (tests, demo).

A process that follows one that died holds the ports of its legs, bound but not in reserve, until their legs come back.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import random
import socket
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from parkade.base.clock import Instant

REST_S = 0.5
KERNEL_TRIES = 64
"""So many failures in a row mean that the kernel has no pairs left to choose from."""
FIRST_PORT = 1024
"""Lower ones are not for media, whoever asks for them."""
EXPEDITED = 46 << 2
"""DSCP EF, as :rfc:`4594` section 4.1 asks for telephony."""


@dataclass(slots=True, eq=False)
class PortPair:
    """Two bound, non-blocking sockets. ``port`` is the even one, that of RTP.

    ``watched`` is for whoever waits for packets; ``disturbed`` says that one came while no leg had the pair.
    """

    port: int
    rtp: socket.socket
    rtcp: socket.socket
    watched: bool = False
    disturbed: bool = False
    rests_until: Instant = 0.0

    def close(self) -> None:
        """Give both ports back to the system."""
        self.rtp.close()
        self.rtcp.close()


RESERVE = 2048
"""Pairs kept in reserve: what three seconds of 300 calls a second take. All of them are bound in some 60 ms."""
KERNEL_RESERVE = 64
"""As many where the kernel chooses, since these are taken from what every program on the machine shares."""


class PortReserve:
    """Up to ``wanted`` bound pairs that no leg uses yet. File descriptors from ``files`` up are left to others."""

    def __init__(self, host: str, low: int, high: int, wanted: int | None = None, files: int = 1 << 20) -> None:
        self._host = host
        self.ipv6 = ipaddress.ip_address(host).version == 6
        self._family = socket.AF_INET6 if self.ipv6 else socket.AF_INET
        self._range = range(low + low % 2, high, 2)
        evens = list(self._range)
        random.SystemRandom().shuffle(evens)
        self._free = deque(evens)
        self._kernel_chooses = low == high == 0
        self._wanted = (KERNEL_RESERVE if self._kernel_chooses else RESERVE) if wanted is None else wanted
        self._files = files
        self._bound: dict[int, PortPair] = {}
        self._held: dict[int, PortPair] = {}
        self._resting: deque[PortPair] = deque()
        self._failures = 0

    def __len__(self) -> int:
        return len(self._bound)

    def ports(self) -> tuple[int, ...]:
        """All ports bound and unused."""
        return tuple(self._bound)

    def pair(self, port: int) -> PortPair:
        """The pair on ``port``, which is in reserve and stays there."""
        return self._bound[port]

    @property
    def short_of(self) -> int:
        """How many pairs are missing."""
        return self._wanted - len(self._bound)

    @property
    def wants_more(self) -> bool:
        """Whether so many are missing that a report is worth while: each one wakes signalling."""
        return self.short_of >= max(1, self._wanted // 16)

    @property
    def is_low(self) -> bool:
        """Whether filling up comes before all else: more than half is gone."""
        return self.short_of > self._wanted // 2

    @property
    def exhausted(self) -> bool:
        """Whether every port of the range has just been tried in vain; trying again later is worth while."""
        return self._failures >= max(len(self._free), KERNEL_TRIES if self._kernel_chooses else 0)

    @property
    def rests_until(self) -> Instant | None:
        """When the next pair given back may be used again, if any rests."""
        return self._resting[0].rests_until if self._resting else None

    def top_up(self, now: Instant, tries: int = 8) -> tuple[int, ...]:
        """Add at most ``tries`` pairs, rested ones first, then newly bound ones (some 15 µs each); the ports that are new."""
        new: list[int] = []
        for _ in range(tries):
            if self.short_of <= 0:
                break
            pair = self._rested(now)
            if pair is None:
                if not (self._free or self._kernel_chooses):
                    break
                pair = self._bind_next()
            if pair is not None:
                self._bound[pair.port] = pair
                new.append(pair.port)
        return tuple(new)

    def hold(self, ports: Iterable[int]) -> None:
        """Bind ``ports``, as far as they are free, and keep them for who asks for them by number."""
        for port in ports:
            if _is_for_media(port) and (pair := self._bind_pair(port)) is not None:
                self._held[port] = pair
        # One by one they would have to be looked for among thousands.
        self._free = deque(port for port in self._free if port not in self._held)

    def let_go(self, now: Instant) -> None:
        """Nobody will ask for the ports that are held any more."""
        for pair in self._held.values():
            self.give_back(pair, now)
        self._held.clear()

    def take(self, port: int) -> PortPair | None:
        """The pair on ``port``, now the caller's: from the reserve, or bound for it; None if it cannot be had."""
        pair = self._bound.pop(port, None) or self._held.pop(port, None)
        if pair is None:
            pair = next((resting for resting in self._resting if resting.port == port), None)
            if pair is not None:
                self._resting.remove(pair)
        return pair or self._bind_named(port)

    def give_back(self, pair: PortPair, now: Instant) -> None:
        """Let ``pair`` rest; it is in reserve again when its turn comes. One that is not of the range is closed."""
        if not self._kernel_chooses and pair.port not in self._range:
            pair.close()
            return
        pair.disturbed = False
        pair.rests_until = now + REST_S
        self._resting.append(pair)

    def close(self) -> None:
        """Close everything in reserve, held and at rest."""
        for pair in (*self._bound.values(), *self._held.values(), *self._resting):
            pair.close()
        self._bound.clear()
        self._held.clear()
        self._resting.clear()

    def _rested(self, now: Instant) -> PortPair | None:
        resting = self._resting
        while resting and resting[0].rests_until <= now:
            pair = resting.popleft()
            if not pair.disturbed:
                return pair
            self.give_back(pair, now)
        return None

    def _bind_named(self, port: int) -> PortPair | None:
        if not _is_for_media(port):
            return None
        pair = self._bind_pair(port)
        if pair is not None and port in self._range:
            with contextlib.suppress(ValueError):
                self._free.remove(port)
        return pair

    def _bind_next(self) -> PortPair | None:
        wished = 0 if self._kernel_chooses else self._free.popleft()
        pair = self._bind_pair(wished)
        if pair is None:
            self._failures += 1
            if wished:
                self._free.append(wished)
        else:
            self._failures = 0
        return pair

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


def _is_for_media(port: int) -> bool:
    return port % 2 == 0 and FIRST_PORT <= port < 65536

"""The loop of the media process: one thread that sleeps until a packet, an order or the next slot of music.

Each turn does one short thing of each kind, so that none of them waits long for another: the slots that are due, at most
``PACKETS`` packets, at most ``ORDERS`` orders, a few new ports. Nothing is logged per packet.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import resource
import select
import signal
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from parkade.base.clock import Instant
from parkade.base.ids import Ids
from parkade.media.leg import RtpLeg
from parkade.media.plane import Plane
from parkade.media.ports import PortPair, PortReserve
from parkade.media.signalling import Signalling
from parkade.media.sounds import BUILT_IN, Sounds
from parkade.rtp.orders import PortsExhausted, PortsReady

log = logging.getLogger(__name__)

PACKETS = 64
ORDERS = 32
PORTS, PORTS_IF_LOW = 8, 64
"""Binding a pair takes some 15 µs, taking one that has rested a tenth of that."""
PORTS_A_REPORT = 4096
"""Of at most five digits each, so that the line stays far below its limit."""
RETRY_PORTS_S = 1.0
BATCH_PORTS_S = 0.05
"""How long pairs that have rested wait for others, so that signalling is not woken for each by itself."""
FILES_BESIDE_LEGS = 64
ALL_PORTS = 65536


@dataclass(frozen=True, slots=True)
class MediaSettings:
    """How a media process is started. ``rtp_ports`` is the range, both ends included; ``(0, 0)`` lets the kernel choose."""

    socket_path: Path
    host: str
    rtp_ports: tuple[int, int]
    sounds: Path = BUILT_IN
    reserve: int | None = None
    with_parent: bool = False
    """End when standard input ends, so that no media process outlives the one that started it."""


def raise_file_limit(wanted: int) -> int:
    """Two files a leg: as many as the system allows, which is returned; one log line if that is fewer than ``wanted``."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = hard if hard != resource.RLIM_INFINITY else max(soft, ALL_PORTS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    if limit < wanted:
        log.warning("%d open files allowed, %d wanted: room for about %d legs", limit, wanted, limit // 2)
    return limit


class MediaProcess:
    """Everything of one media process. ``run`` returns when it was told to end."""

    def __init__(self, settings: MediaSettings) -> None:
        low, high = settings.rtp_ports
        files = raise_file_limit((high - low if high else 0) + FILES_BESIDE_LEGS) - FILES_BESIDE_LEGS
        sounds = Sounds(settings.sounds)
        sounds.warm()
        self._epoll = select.epoll()
        self._rtp: dict[int, RtpLeg] = {}
        self._rtcp: dict[int, RtpLeg] = {}
        self._pairs: dict[int, PortPair] = {}
        self._nowhere = bytearray(1)
        self._epoch = time.time() - time.monotonic()
        self._reserve = PortReserve(settings.host, low, high, settings.reserve, files)
        self._signalling = Signalling(settings.socket_path, self._epoll, self._announce_all)
        self._plane = Plane(
            reserve=self._reserve,
            sounds=sounds,
            ids=Ids(os.urandom),
            now=self._now(),
            report=self._signalling.report,
            watch=self._watch,
            unwatch=self._unwatch,
        )
        self._running = True
        self._full_until = 0.0
        self._said_exhausted = False
        self._alarm, alarm = socket.socketpair()
        self._wake = alarm
        self._alarm.setblocking(False)
        alarm.setblocking(False)
        self._epoll.register(self._alarm, select.EPOLLIN)
        self._parent = sys.stdin.fileno() if settings.with_parent else None
        if self._parent is not None:
            with contextlib.suppress(PermissionError):  # a file as standard input never ends
                self._epoll.register(self._parent, select.EPOLLIN)

    def run(self) -> None:
        """Serve until SIGTERM, SIGINT or, with ``with_parent``, the end of standard input."""
        signal.set_wakeup_fd(self._wake.fileno())
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        while self._reserve.short_of and not self._reserve.exhausted:
            self._top_up(64)
        # What has been read and made by now stays for good: no collection of garbage needs to look through it.
        gc.freeze()
        while self._running:
            try:
                self._turn()
            except Exception:
                # A mistake of ours may cost one order or packet, never all calls.
                log.exception("unexpected")
        self._plane.close()
        self._signalling.close()
        self._reserve.close()
        self._epoll.close()

    def _now(self) -> Instant:
        return self._epoch + time.monotonic()

    def _turn(self) -> None:
        now = self._now()
        plane, signalling = self._plane, self._signalling
        due = plane.deadline()
        if due is not None and due <= now:
            plane.wake(now)
            wait_s: float | None = 0.0
        else:
            wait_s = None if due is None else due - now
        short = self._reserve.wants_more
        if short and now < self._full_until:
            retry_s = self._full_until - now
            wait_s = retry_s if wait_s is None else min(wait_s, retry_s)
            short = False
        if short or signalling.has_orders:
            wait_s = 0.0
        for fd, _ in self._wait(wait_s):
            if (leg := self._rtp.get(fd)) is not None:
                plane.read_rtp(leg, self._now())
            elif (leg := self._rtcp.get(fd)) is not None:
                plane.read_rtcp(leg, self._now())
            elif signalling.owns(fd):
                signalling.handle(fd)
            elif (pair := self._pairs.get(fd)) is not None:
                self._throw_away(fd, pair)
            else:
                self._other(fd)
        if signalling.has_orders:
            now = self._now()
            for order in signalling.orders(ORDERS):
                plane.perform(order, now)
        if short:
            self._top_up(PORTS_IF_LOW if self._reserve.is_low else PORTS)
        signalling.flush()

    def _wait(self, wait_s: float | None) -> list[tuple[int, int]]:
        """Ready sockets. ``epoll`` counts whole milliseconds, ``select`` on its descriptor does not."""
        if wait_s is None:
            return self._epoll.poll(-1, PACKETS)
        events = self._epoll.poll(0, PACKETS)
        if events or wait_s == 0.0:
            return events
        if select.select((self._epoll,), (), (), wait_s)[0]:
            return self._epoll.poll(0, PACKETS)
        return []

    def _top_up(self, tries: int) -> None:
        now = self._now()
        reserve = self._reserve
        new = reserve.top_up(now, tries)
        if new:
            self._said_exhausted = False
            self._signalling.report(PortsReady(new))
        if not reserve.exhausted:
            return
        retry_at, rests_until = now + RETRY_PORTS_S, reserve.rests_until
        if rests_until is not None:
            retry_at = min(retry_at, max(rests_until, now + BATCH_PORTS_S) if len(reserve) else rests_until)
        self._full_until = retry_at
        if not len(reserve) and not self._said_exhausted:
            self._said_exhausted = True
            self._signalling.report(PortsExhausted())
            log.warning("no free RTP port pair: %d in use", len(self._plane.legs))

    def _announce_all(self) -> None:
        ports = self._reserve.ports()
        for start in range(0, len(ports), PORTS_A_REPORT):
            self._signalling.report(PortsReady(ports[start : start + PORTS_A_REPORT]))
        if not ports:
            self._signalling.report(PortsExhausted())

    def _watch(self, leg: RtpLeg) -> None:
        pair = leg.ports
        rtp, rtcp = pair.rtp.fileno(), pair.rtcp.fileno()
        self._rtp[rtp] = self._rtcp[rtcp] = leg
        if not pair.watched:
            # From now on and for all legs to come: what comes in between is thrown away.
            pair.watched = True
            for fd in (rtp, rtcp):
                self._pairs[fd] = pair
                self._epoll.register(fd, select.EPOLLIN)

    def _unwatch(self, leg: RtpLeg) -> None:
        del self._rtp[leg.rtp.fileno()], self._rtcp[leg.rtcp.fileno()]

    def _throw_away(self, fd: int, pair: PortPair) -> None:
        """A packet for a pair that no leg has: somebody does not know yet that a call is over."""
        pair.disturbed = True
        with contextlib.suppress(OSError):
            (pair.rtp if fd == pair.rtp.fileno() else pair.rtcp).recv_into(self._nowhere)

    def _other(self, fd: int) -> None:
        if fd == self._parent:
            self._running = bool(os.read(fd, 4096)) and self._running
        elif fd == self._alarm.fileno():
            self._alarm.recv(64)

    def _end(self, *_: object) -> None:
        self._running = False

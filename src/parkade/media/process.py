"""The loop of the media process: one thread that sleeps until a packet, an order or the next slot of music.

Each turn does one short thing of each kind, so that none of them waits long for another: the slots that are due, at most
``PACKETS`` packets, at most ``ORDERS`` orders, a few new ports. Nothing is logged per packet. What waits for the disk is done
by a second thread.

It outlives its signalling by ``linger_s``: legs play and relay on. If it dies itself, the state file tells its successor
where each stream was and what it was ordered, and it goes on with them; the ports of those legs are held for ``HOLD_S``.
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
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from parkade.base.clock import Instant
from parkade.base.ids import Ids
from parkade.media.kept_orders import KeptOrders
from parkade.media.leg import RtpLeg
from parkade.media.plane import SILENCE_S, Plane
from parkade.media.ports import PortPair, PortReserve
from parkade.media.signalling import Signalling
from parkade.media.sounds import BUILT_IN, Sounds
from parkade.media.state import StateFile
from parkade.media.worker import Worker
from parkade.rtp.orders import Inventory, PortsExhausted, PortsReady

log = logging.getLogger(__name__)
_Kept = TypeVar("_Kept", StateFile, KeptOrders)

PACKETS = 256
ORDERS = 32
PORTS, PORTS_IF_LOW = 8, 64
"""Binding a pair takes some 15 µs, taking one that has rested a tenth of that."""
FIRST_PORTS = 256
"""Bound before the first order is taken: legs that come back after a death have no time to lose."""
PORTS_A_REPORT = 4096
"""Of at most five digits each, so that the line stays far below its limit."""
RETRY_PORTS_S = 1.0
BATCH_PORTS_S = 0.05
"""How long pairs that have rested wait for others, so that signalling is not woken for each by itself."""
FILES_BESIDE_LEGS = 64
HOLD_S = 30.0
"""How long ports are held for the legs of a process that died."""
LEGS_A_REPORT = 200
SWITCH_INTERVAL_S = 0.0005
"""The longest that the second thread keeps the first from running."""
STATE_RECORDS = 4096
"""Where the kernel chooses the ports and thus their number."""
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
    linger_s: float | None = None
    """End when no signalling has been connected for so long; None: never."""
    state: Path | None = None
    """The state file, None for none."""
    silence_s: float = SILENCE_S
    """A leg from which nothing came for so long is reported."""
    spare: int | None = None
    """Do nothing that others could notice before ``wait_for_turn`` has heard at this descriptor that it is time."""


def raise_file_limit(wanted: int) -> int:
    """Two files a leg: as many as the system allows, which is returned; one log line if that is fewer than ``wanted``."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = hard if hard != resource.RLIM_INFINITY else max(soft, ALL_PORTS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    if limit < wanted:
        log.warning("%d open files allowed, %d wanted: room for about %d legs", limit, wanted, limit // 2)
    return limit


def wait_for_turn(descriptor: int) -> int:
    """Wait at a unix socket for a byte and the descriptor of a lock, which is held as long as the process lives.

    The process ends if whoever should send them has closed the other end.
    """
    with socket.socket(fileno=descriptor) as turn:
        turn.setblocking(True)
        _, given, _, _ = socket.recv_fds(turn, 1, 1)
    if not given:
        sys.exit(0)
    return given[0]


def _kept(make: Callable[[Path, int], _Kept], path: Path, records: int) -> _Kept | None:
    """The file, or None where the disk has no room for it or cannot be written: calls matter more."""
    try:
        return make(path, records)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        log.error("%s: %s; a media process that is started again begins with new streams (SSRC)", path, reason)
        return None


class MediaProcess:
    """Everything of one media process. ``run`` returns when it was told to end."""

    def __init__(self, settings: MediaSettings) -> None:
        low, high = settings.rtp_ports
        files = raise_file_limit((high - low if high else 0) + FILES_BESIDE_LEGS) - FILES_BESIDE_LEGS
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        self._worker = Worker()
        self._alarm, self._wake = socket.socketpair()
        self._alarm.setblocking(False)
        self._wake.setblocking(False)
        sounds = Sounds(settings.sounds, run=self._worker.run, on_ready=self._ring)
        sounds.warm()
        self._lock = None if settings.spare is None else wait_for_turn(settings.spare)
        self._epoll = select.epoll()
        self._epoll.register(self._alarm, select.EPOLLIN)
        self._rtp: dict[int, RtpLeg] = {}
        self._rtcp: dict[int, RtpLeg] = {}
        self._pairs: dict[int, PortPair] = {}
        self._nowhere = bytearray(1)
        self._epoch = time.time() - time.monotonic()
        self._reserve = PortReserve(settings.host, low, high, settings.reserve, files)
        self._state = self._kept_orders = None
        if settings.state is not None:
            records = (high - low) // 2 + 1 if high else STATE_RECORDS
            self._state = _kept(StateFile, settings.state, records)
            self._kept_orders = _kept(KeptOrders, settings.state.with_name(f"{settings.state.name}.orders"), records)
        if self._state is not None:
            self._reserve.hold(left.port for left in self._state.left(self._now()))
        self._hold_until: Instant | None = self._now() + HOLD_S if self._state is not None else None
        self._signalling = Signalling(settings.socket_path, self._epoll, self._greet)
        self._plane = Plane(
            reserve=self._reserve,
            sounds=sounds,
            ids=Ids(os.urandom),
            now=self._now(),
            report=self._signalling.report,
            watch=self._watch,
            unwatch=self._unwatch,
            state=self._state,
            kept_orders=self._kept_orders,
            silence_s=settings.silence_s,
            run=self._worker.run,
            on_done=self._ring,
        )
        self._linger_s = settings.linger_s
        self._alone_since: Instant | None = self._now()
        self._running = True
        self._full_until = 0.0
        self._said_exhausted = False
        self._parent = sys.stdin.fileno() if settings.with_parent else None
        if self._parent is not None:
            with contextlib.suppress(PermissionError):  # a file as standard input never ends
                self._epoll.register(self._parent, select.EPOLLIN)

    def run(self) -> None:
        """Serve until SIGTERM, SIGINT, the end of standard input (``with_parent``) or of ``linger_s`` without signalling."""
        signal.set_wakeup_fd(self._wake.fileno())
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        self._plane.take_up(self._now())
        # The rest of the reserve is bound between the first packets and orders.
        while len(self._reserve) < FIRST_PORTS and self._reserve.short_of and not self._reserve.exhausted:
            self._top_up(PORTS_IF_LOW)
        # What has been read and made by now stays for good: no collection of garbage needs to look through it.
        gc.freeze()
        while self._running:
            try:
                self._turn()
            except Exception:
                # A mistake of ours may cost one order or packet, never all calls.
                log.exception("unexpected")
        self._plane.close()
        self._worker.close()
        self._plane.collect(self._now())
        self._signalling.close()
        if self._state is not None:
            self._state.close()
        if self._kept_orders is not None:
            self._kept_orders.close()
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
        reserve = self._reserve
        short = reserve.wants_more
        if short and now < self._full_until:
            retry_s = self._full_until - now
            wait_s = retry_s if wait_s is None else min(wait_s, retry_s)
            short = False
        if not signalling.is_connected or self._hold_until is not None:
            wait_s = self._keep_house(now, wait_s)
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
            self._top_up(PORTS_IF_LOW if reserve.is_low else PORTS)
        signalling.flush()

    def _keep_house(self, now: Instant, wait_s: float | None) -> float | None:
        """End when alone for too long, give up the ports that were held; how long to wait at most until one is due."""
        due: list[Instant] = []
        if self._hold_until is not None and self._state is not None:
            if now >= self._hold_until:
                self._hold_until = None
                self._state.forget_left()
                self._reserve.let_go(now)
            else:
                due.append(self._hold_until)
        if self._signalling.is_connected:
            self._alone_since = None
        elif self._linger_s is not None:
            if self._alone_since is None:
                self._alone_since = now
            alone_until = self._alone_since + self._linger_s
            if now >= alone_until:
                log.warning("no signalling for %.0f s: ending", self._linger_s)
                self._running = False
            due.append(alone_until)
        if not due:
            return wait_s
        left_s = max(0.0, min(due) - now)
        return left_s if wait_s is None else min(wait_s, left_s)

    def _wait(self, wait_s: float | None) -> list[tuple[int, int]]:
        """Ready sockets. ``epoll`` counts whole milliseconds, ``select`` on its descriptor does not."""
        if wait_s is None:
            return self._epoll.poll(-1, PACKETS)
        if wait_s and not select.select((self._epoll,), (), (), wait_s)[0]:
            return []
        return self._epoll.poll(0, PACKETS)

    def _top_up(self, tries: int) -> None:
        now = self._now()
        reserve = self._reserve
        new = reserve.top_up(now, tries)
        if new:
            for port in new:
                self._watch_pair(reserve.pair(port))
            self._said_exhausted = False
            self._tell_ports(PortsReady(new))
        if not reserve.exhausted:
            return
        retry_at, rests_until = now + RETRY_PORTS_S, reserve.rests_until
        if rests_until is not None:
            retry_at = min(retry_at, max(rests_until, now + BATCH_PORTS_S) if len(reserve) else rests_until)
        self._full_until = retry_at
        if not len(reserve) and not self._said_exhausted:
            self._said_exhausted = True
            self._tell_ports(PortsExhausted())
            log.warning(
                "no free RTP port pair: %d in use here; other programs have the rest, or too few files may be open",
                len(self._plane.legs),
            )

    def _tell_ports(self, report: PortsReady | PortsExhausted) -> None:
        """Not to be kept for later: who connects is told all ports."""
        if self._signalling.is_greeted:
            self._signalling.report(report)

    def _greet(self) -> None:
        """Tell a new connection which legs and ports there are."""
        self._alone_since = None
        legs = self._plane.inventory()
        for start in range(0, max(1, len(legs)), LEGS_A_REPORT):
            end = start + LEGS_A_REPORT
            self._signalling.report(Inventory(tuple(legs[start:end]), end >= len(legs)))
        ports = self._reserve.ports()
        for start in range(0, len(ports), PORTS_A_REPORT):
            self._signalling.report(PortsReady(ports[start : start + PORTS_A_REPORT]))
        if not ports:
            self._signalling.report(PortsExhausted())

    def _watch(self, leg: RtpLeg) -> None:
        self._watch_pair(leg.ports)
        self._rtp[leg.rtp.fileno()] = self._rtcp[leg.rtcp.fileno()] = leg

    def _watch_pair(self, pair: PortPair) -> None:
        """From now on and for all legs to come: what comes while none has it is thrown away."""
        if not pair.watched:
            pair.watched = True
            for fd in (pair.rtp.fileno(), pair.rtcp.fileno()):
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
            self._alarm.recv(4096)
            self._plane.collect(self._now())

    def _ring(self) -> None:
        """Wake the loop; from any thread."""
        with contextlib.suppress(OSError):
            self._wake.send(b"\0")

    def _end(self, *_: object) -> None:
        self._running = False

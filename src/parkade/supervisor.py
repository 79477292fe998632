"""Starts child processes, watches them, starts again whichever ends. Knows nothing of what they do; imports nothing heavy.

The first two restarts come at once; a child that then does not live ``STEADY_S`` is started again ever later, at most
``LATEST_S``.
A vital child that ends before all of them have been ready once ends the whole: a bad setting is said, not repeated. The others
are started when every vital one is ready, so that they take no time from those; one that fails is only tried again, and all is
called ready without it when it has failed three times or takes longer than ``PATIENCE_S``.

A child may be one that a former supervisor left behind; it is watched all the same.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

log = logging.getLogger("parkade.supervisor")

STEADY_S: Final = 2.0
LATEST_S: Final = 5.0
_AT_ONCE: Final = 2
_FIRST_DELAY_S: Final = 0.1
PATIENCE_S: Final = 20.0
"""How long everything waits to be called ready for a child that is not vital."""


@dataclass(frozen=True, slots=True)
class Started:
    """A child that runs. ``ready`` becomes readable (a byte, or its end) when it is ready; None: it is already."""

    pid: int
    ready: int | None = None
    ours: bool = True


@dataclass(slots=True)
class Child:
    """One place for a process. ``start`` starts it; ``patience_s`` is how long it may take to end when told."""

    name: str
    start: Callable[[], Started]
    patience_s: float
    vital: bool = True
    pid: int = 0
    watch: int = -1
    ready_fd: int = -1
    ours: bool = True
    is_ready: bool = False
    since: float = 0.0
    failures: int = 0
    again_at: float | None = None
    kill_at: float | None = None

    @property
    def runs(self) -> bool:
        """Whether there is a process now."""
        return self.watch >= 0


class Supervisor:
    """``children`` in the order of their start, the vital ones first; they are told to end in the reverse order of
    ``children``, one after the other.

    ``changed`` is called when a child has been started, ``all_ready`` once, when every child is, and ``steady`` whenever
    all vital ones have run for ``STEADY_S``: time for what they should not have to share the processor with.
    """

    def __init__(
        self,
        children: list[Child],
        changed: Callable[[], None],
        all_ready: Callable[[], None],
        steady: Callable[[], None] = lambda: None,
    ) -> None:
        self._children = children
        self._changed = changed
        self._all_ready = all_ready
        self._steady = steady
        self._steady_at: float | None = None
        self._ready_at: float | None = None
        """When everything is called ready without those that are not vital."""
        self._poll = select.poll()
        self._said_ready = False
        self._stopping = False
        self._status = 0
        self._signals: list[int] = []
        self._wake, self._alarm = socket.socketpair()
        self._wake.setblocking(False)
        self._alarm.setblocking(False)

    def run(self) -> int:
        """Until SIGTERM or SIGINT, or until a child could not be started at all; the exit status."""
        old = signal.set_wakeup_fd(self._alarm.fileno())
        before = {number: signal.signal(number, self._note) for number in (signal.SIGTERM, signal.SIGINT)}
        self._poll.register(self._wake, select.POLLIN)
        try:
            for child in self._children:
                if child.vital and not child.runs:
                    self.start(child)
            self._see_who_is_ready()
            while not self._stopping or any(child.runs for child in self._children):
                self._turn()
        finally:
            signal.set_wakeup_fd(old)
            for number, handler in before.items():
                signal.signal(number, handler)
            self._wake.close()
            self._alarm.close()
        return self._status

    def start(self, child: Child) -> None:
        """Start ``child`` now; may be called before ``run`` for those that take long."""
        child.again_at = None
        started = child.start()
        child.pid, child.ours, child.since = started.pid, started.ours, time.monotonic()
        child.watch = os.pidfd_open(started.pid)
        child.is_ready = started.ready is None
        self._poll.register(child.watch, select.POLLIN)
        if started.ready is not None:
            child.ready_fd = started.ready
            self._poll.register(child.ready_fd, select.POLLIN)
        if self._said_ready:
            self._steady_at = child.since + STEADY_S
        self._changed()

    def end_all(self) -> None:
        """Kill what has been started, where ``run`` is never reached."""
        for child in self._children:
            if child.runs:
                self._signal(child, signal.SIGKILL)
                self._reap(child)

    def _turn(self) -> None:
        for fd, _ in self._poll.poll(self._wait_ms()):
            if fd == self._wake.fileno():
                with contextlib.suppress(BlockingIOError):
                    self._wake.recv(64)
        while self._signals:
            self._told_to_end(self._signals.pop(0))
        # A child that is ready and has ended by now was ready: look at that first.
        for child in self._children:
            if child.ready_fd >= 0 and _readable(child.ready_fd):
                self._heard_ready(child)
        for child in self._children:
            if child.runs and _readable(child.watch):
                self._ended(child)
        if not self._said_ready and not self._stopping:
            self._see_who_is_ready()
        now = time.monotonic()
        if self._steady_at is not None and self._steady_at <= now:
            self._steady_at = None
            if not self._stopping and all(child.runs for child in self._children if child.vital):
                self._steady()
        for child in self._children:
            if child.again_at is not None and child.again_at <= now and not self._stopping:
                self._start_or_later(child)
            if child.kill_at is not None and child.kill_at <= now and child.runs:
                log.error("%s does not end when told: killed", child.name)
                child.kill_at = None
                self._signal(child, signal.SIGKILL)

    def _wait_ms(self) -> int | None:
        due = [at for child in self._children for at in (child.again_at, child.kill_at) if at is not None]
        due += [at for at in (self._steady_at, self._ready_at if self._vital_are_ready else None) if at is not None]
        return max(0, int(1000 * (min(due) - time.monotonic())) + 1) if due else None

    def _note(self, number: int, _frame: object) -> None:
        self._signals.append(number)

    def _told_to_end(self, number: int) -> None:
        name = signal.Signals(number).name
        if not self._stopping:
            log.info("%s: the server ends", name)
            self._stopping = True
            self._end_next()
            return
        log.info("%s again: the server ends without waiting for conversations", name)
        for child in self._children:
            if child.runs and child.kill_at is not None:
                self._signal(child, signal.SIGTERM)  # once more: do not wait for conversations

    def _end_next(self) -> None:
        """Tell the last child that runs to end."""
        for child in reversed(self._children):
            child.again_at = None
            if child.runs:
                child.kill_at = time.monotonic() + child.patience_s
                self._signal(child, signal.SIGTERM)
                return

    def _heard_ready(self, child: Child) -> None:
        said = os.read(child.ready_fd, 64)
        self._poll.unregister(child.ready_fd)
        os.close(child.ready_fd)
        child.ready_fd = -1
        child.is_ready = bool(said)

    @property
    def _vital_are_ready(self) -> bool:
        return all(child.is_ready for child in self._children if child.vital)

    def _see_who_is_ready(self) -> None:
        """Start those that are not vital when the others are ready, and say that all are when they are, or will not be soon."""
        if not self._vital_are_ready:
            return
        now = time.monotonic()
        if self._ready_at is None:
            self._ready_at = now + PATIENCE_S
            for child in self._children:
                if not child.vital:
                    self._start_or_later(child)
        missing = [child.name for child in self._children if not child.is_ready and child.failures < _AT_ONCE + 1]
        if missing and now < self._ready_at:
            return
        self._ready_at, self._said_ready = None, True
        self._steady_at = now + STEADY_S
        self._all_ready()

    def _start_or_later(self, child: Child) -> None:
        try:
            self.start(child)
        except OSError as error:  # no memory, no process, no descriptor left: that may pass
            log.error("%s cannot be started: %s", child.name, error.strerror or error)
            self._start_later(child, steady=False)

    def _ended(self, child: Child) -> None:
        status = self._reap(child)
        if self._stopping:
            if not any(other.runs and other.kill_at is not None for other in self._children):
                self._end_next()
        elif child.vital and not self._said_ready and self._ready_at is None:
            self._status = status if status > 0 else 1
            if status <= 0:
                log.error("%s ended (%s) before it was ready", child.name, _reason(status))
            self._stopping = True
            self._end_next()
        else:
            delay_s = self._start_later(child, steady=time.monotonic() - child.since > STEADY_S)
            when = f"in {delay_s:.1f} s" if delay_s else "at once"
            log.error("%s ended (%s): started again %s", child.name, _reason(status), when)

    def _start_later(self, child: Child, *, steady: bool) -> float:
        """Start ``child`` again after a while that grows with each failure; gives the seconds."""
        child.failures = 1 if steady else child.failures + 1
        late = child.failures - _AT_ONCE
        delay_s = min(LATEST_S, _FIRST_DELAY_S * 2 ** min(late, 10)) if late > 0 else 0.0
        child.again_at = time.monotonic() + delay_s
        return delay_s

    def _reap(self, child: Child) -> int:
        status = 0
        if child.ours:
            with contextlib.suppress(ChildProcessError):
                status = os.waitstatus_to_exitcode(os.waitpid(child.pid, 0)[1])
        for fd in (child.watch, child.ready_fd):
            if fd >= 0:
                with contextlib.suppress(KeyError):
                    self._poll.unregister(fd)
                os.close(fd)
        child.watch = child.ready_fd = -1
        child.kill_at = None
        child.is_ready = False
        return status

    def _signal(self, child: Child, number: int) -> None:
        # By its descriptor: the process cannot be another one with the same number.
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(child.watch, number)


def _readable(fd: int) -> bool:
    probe = select.poll()
    probe.register(fd, select.POLLIN)
    return bool(probe.poll(0))


def _reason(status: int) -> str:
    if status < 0:
        return signal.Signals(-status).name
    return f"status {status}"

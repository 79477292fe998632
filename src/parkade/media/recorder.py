"""All recordings of one media process: begins them, ends them when their time has come, tells when their files are complete."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from parkade.base.clock import Instant
from parkade.base.timers import Timers
from parkade.media.leg import RtpLeg
from parkade.media.recording import Recording
from parkade.media.worker import Run, at_once
from parkade.rtp.orders import Record, Recorded, Report


class Recorder:
    """``run`` writes the files, ``on_done`` is called by it when ``collect`` is worth calling."""

    def __init__(self, run: Run, on_done: Callable[[], None], report: Callable[[Report], None]) -> None:
        self._run = run
        self._on_done = on_done
        self._report = report
        self._done: deque[Recorded] = deque()
        self._due: Timers[RtpLeg] = Timers()

    def start(self, leg: RtpLeg, order: Record, now: Instant) -> None:
        """Record ``leg``; a recording under way is stopped."""
        self.stop(leg, "stopped")
        leg.recording = Recording(order, now, self._run, self._finished)
        self._due.set(leg, leg.recording.deadline())

    def stop(self, leg: RtpLeg, why: str) -> None:
        """End the recording of ``leg``, if there is one."""
        recording, leg.recording = leg.recording, None
        if recording is None:
            return
        self._due.cancel(leg)
        recording.end(why)
        if self._run is at_once:
            self.collect()

    def deadline(self) -> Instant | None:
        """When ``turn`` is wanted."""
        return self._due.deadline()

    def turn(self, now: Instant) -> None:
        """End what is long enough, or silent for long enough."""
        for leg in self._due.pop_due(now):
            recording = leg.recording
            if recording is None:
                continue
            due = recording.deadline()
            if due <= now:
                self.stop(leg, recording.why_ended(now))
            else:
                self._due.set(leg, due)

    def collect(self) -> None:
        """Report the recordings whose files are complete."""
        while self._done:
            self._report(self._done.popleft())

    def _finished(self, report: Recorded) -> None:
        """Perhaps from another thread."""
        self._done.append(report)
        self._on_done()

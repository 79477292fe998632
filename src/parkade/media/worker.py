"""A second thread for what waits for the disk or takes long: the loop of the media process must do neither.

Jobs are done one after the other in the order given. What a job throws is one log line.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import TypeAlias

log = logging.getLogger(__name__)

Job: TypeAlias = Callable[[], None]
Run: TypeAlias = Callable[[Job], None]
"""Does a job, at once or later."""

END_S = 2.0


class Worker:
    """One thread that ends with the process, or earlier with ``close``."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="media worker", daemon=True)
        self._thread.start()

    def run(self, job: Job) -> None:
        """Do ``job`` when those before it are done."""
        self._jobs.put(job)

    def close(self) -> None:
        """Do what has been given so far, then end; wait ``END_S`` at most."""
        self._jobs.put(None)
        self._thread.join(END_S)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except Exception:
                log.exception("a job failed")


def at_once(job: Job) -> None:
    """A ``Run`` without a thread."""
    job()

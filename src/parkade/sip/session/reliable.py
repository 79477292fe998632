"""Reliable provisional responses (:rfc:`3262`), the answering side: sent again until the PRACK, one at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from parkade.base.clock import Instant
from parkade.sip.message.headers import RAck
from parkade.sip.message.message import Response
from parkade.sip.transaction.timers import T1
from parkade.sip.transaction.transaction import ServerTransaction

if TYPE_CHECKING:
    from parkade.sip.session.ua import UserAgent


class ReliableProvisionals:
    """Those of one INVITE. ``lost`` is called if one finds no PRACK within 64*T1."""

    __slots__ = ("_give_up_at", "_lost", "_queue", "_rseq", "_tx", "_ua", "_wait_s")

    def __init__(self, ua: UserAgent, tx: ServerTransaction, lost: Callable[[Instant], None]) -> None:
        self._ua = ua
        self._tx = tx
        self._lost = lost
        self._queue: deque[Response] = deque()
        self._rseq = 1 + ua.ids.below(2**31 - 1)
        self._wait_s = T1
        self._give_up_at = 0.0

    @property
    def holds_sdp(self) -> bool:
        """Whether one with a body still wants its PRACK: a 2xx has to wait for it (section 3)."""
        return any(response.body for response in self._queue)

    def send(self, response: Response, now: Instant) -> None:
        """Send ``response``, or queue it behind the one that waits for its PRACK."""
        self._queue.append(response)
        if len(self._queue) == 1:
            self._start(now)

    def acknowledge(self, rack: RAck, now: Instant) -> bool:
        """Whether ``rack`` names the response that waits; then the next one goes out."""
        if not self._queue or rack.rseq != self._rseq or rack.method != "INVITE" or rack.cseq != self._tx.request.cseq.number:
            return False
        self._queue.popleft()
        self._ua.timers.cancel(self._again)
        self._rseq += 1
        if self._queue:
            self._start(now)
        return True

    def stop(self) -> None:
        """A final response has gone out: nothing is sent any more, the PRACK for the last one may still come."""
        self._ua.timers.cancel(self._again)
        while len(self._queue) > 1:
            self._queue.pop()

    def _start(self, now: Instant) -> None:
        response = self._queue[0]
        response.headers.add("Require", "100rel")
        response.headers.add("RSeq", str(self._rseq))
        self._wait_s = T1
        self._give_up_at = now + 64 * T1
        self._tx.respond(response, now)
        self._ua.timers.set(self._again, now + T1)

    def _again(self, now: Instant) -> None:
        if now >= self._give_up_at:
            self._lost(now)
            return
        self._tx.respond(self._queue[0], now)
        self._wait_s *= 2
        self._ua.timers.set(self._again, min(now + self._wait_s, self._give_up_at))

"""Takes events from the queue to the receivers of webhooks: one task in the web process.

At least once: what has been delivered is written down after the receiver has said so, and if the process dies between the two,
the same delivery is sent again under the same id. How a receiver sees that: ``docs/how-to/receive-webhooks.md``.

No receiver costs another anything. A webhook has at most ``PER_WEBHOOK`` attempts under way; those whose last attempt failed or
took long share ``SLOW_AT_ONCE`` places, all others ``QUICK_AT_ONCE``, and each attempt is over after ``ATTEMPT_S``. Only the
status of an answer counts; of its body so much is read that the connection can be used again, and a little more of a bad one.

A delivery that fails is tried again, ever later, until ``GIVE_UP_S`` after it was queued; then it has failed for good and the
next one of its call has its turn. A webhook that only fails for ``SWITCH_OFF_S`` is switched off, and the audit trail says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import httpcore

from parkade.api.outside import Outside, OutsideBackend, TargetRefusedError, TargetUnknownError
from parkade.api.webhook_forms import body_of, headers_of
from parkade.base.errors import ParkadeError
from parkade.store import webhooks
from parkade.store.errors import StoreError
from parkade.store.store import Store
from parkade.store.webhooks import Due, Outcome, Webhook

log = logging.getLogger("parkade.webhooks")

BODY_BYTES: Final = 64 << 10
BODY_S: Final = 1.0
SLOW_S: Final = 2.0
PER_WEBHOOK: Final = 8
QUICK_AT_ONCE: Final = 128
SLOW_AT_ONCE: Final = 64
IDLE_S: Final = 30.0
"""The longest sleep: a webhook that was changed by another process is noticed then."""
FAULT_S: Final = 1.0
HOUSEKEEPING_S: Final = 600.0
END_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How long for what, in seconds."""

    attempt_s: float = 10.0
    connect_s: float = 5.0
    first_retry_s: float = 5.0
    longest_retry_s: float = 3600.0
    give_up_s: float = 86400.0
    switch_off_s: float = 3 * 86400.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one request: ``status`` is None without an answer, ``error`` None if it was a 2xx."""

    status: int | None
    error: str | None
    took_s: float
    retry_after_s: float | None = None


class WebhookSender:
    """``run`` it as a task. ``wake`` says that there may be something to send; ``test`` sends one event at once."""

    def __init__(
        self,
        store: Store,
        outside: Outside,
        now: Callable[[], float],
        patience: Patience | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._store = store
        self._outside = outside
        self._now = now
        self._patience = patience or Patience()
        self._woken = asyncio.Event()
        self._tls = tls
        self._pool: httpcore.AsyncConnectionPool | None = None
        self._quick = asyncio.Semaphore(QUICK_AT_ONCE)
        self._slow = asyncio.Semaphore(SLOW_AT_ONCE)
        self._slow_ones: set[int] = set()
        self._under_way: dict[int, set[int]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended: list[Outcome] = []
        self._housekeeping_at = 0.0
        self.counts = {"delivered": 0, "retried": 0, "failed": 0}

    def wake(self) -> None:
        """Something was queued, or changed."""
        self._woken.set()

    async def run(self) -> None:
        """Until cancelled."""
        said = ""
        try:
            while True:
                self._woken.clear()
                try:
                    wait, said = await self._turn(), ""
                except Exception as error:
                    # Nothing is sent that cannot be written down; what was sent already waits to be.
                    if str(error) != said:
                        log.error("webhooks wait: %s", error, exc_info=None if isinstance(error, StoreError) else error)
                    said = str(error)
                    await asyncio.sleep(FAULT_S)
                    continue
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._woken.wait()
        finally:
            await self._end()

    async def test(self, hook: Webhook, event: dict[str, Any], delivery: str) -> Answer:
        """Send ``event`` once, now, whether or not the webhook is active."""
        return await self._send(hook, event, delivery, 1)

    async def _end(self) -> None:
        if self._tasks:
            # Who is about to answer may: a delivery that is cut off here comes again.
            await asyncio.wait(self._tasks, timeout=END_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._ended:
            with contextlib.suppress(StoreError):
                async with self._store.writing() as connection:
                    await webhooks.settle(connection, self._ended, self._now())
        if self._pool is not None:
            await self._pool.aclose()
        self._outside.close()

    async def _turn(self) -> float:
        """Write down what has ended, begin what is due; the seconds until the next look."""
        await self._settle()
        await self._keep_house()
        now = self._now()
        wait = IDLE_S
        async with self._store.reading() as connection:
            for hook_id, at in await webhooks.next_times(connection):
                mine = self._under_way.get(hook_id, set())
                room = PER_WEBHOOK - len(mine)
                if at > now:
                    wait = min(wait, at - now)
                elif room > 0:
                    found = await webhooks.due(connection, hook_id, now, mine, room + 1)
                    if found is not None:
                        hook, due = found
                        self._begin(hook, due[:room])
                        if len(due) <= room and (later := await webhooks.next_after(connection, hook_id, now)) is not None:
                            wait = min(wait, later - now)
        return max(wait, 0.001)

    async def _settle(self) -> None:
        ended = list(self._ended)
        if not ended:
            return
        async with self._store.writing() as connection:
            await webhooks.settle(connection, ended, self._now())
        del self._ended[: len(ended)]
        for outcome in ended:
            mine = self._under_way[outcome.webhook]
            mine.discard(outcome.delivery)
            if not mine:
                del self._under_way[outcome.webhook]

    async def _keep_house(self) -> None:
        now, patience = self._now(), self._patience
        if now < self._housekeeping_at:
            return
        self._housekeeping_at = now + min(HOUSEKEEPING_S, patience.switch_off_s)
        async with self._store.writing() as connection:
            for hook in await webhooks.switch_off_failing(connection, now - patience.switch_off_s, now):
                log.error("webhook %s of account %s has failed for too long: switched off", hook.uid, hook.account)

    def _begin(self, hook: Webhook, due: Sequence[Due]) -> None:
        for delivery in due:
            self._under_way.setdefault(hook.id, set()).add(delivery.id)
            task = asyncio.get_running_loop().create_task(self._deliver(hook, delivery))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _deliver(self, hook: Webhook, due: Due) -> None:
        outcome = Outcome(due.id, hook.id, due.call, delivered=False, error="the event is so old that it has been removed")
        if due.event:
            async with self._slow if hook.id in self._slow_ones else self._quick:
                answer = await self._send(hook, due.event, due.uid, due.attempts + 1)
            outcome = self._outcome(hook, due, answer)
        self.counts["delivered" if outcome.delivered else "failed" if outcome.retry_at is None else "retried"] += 1
        self._ended.append(outcome)
        self._woken.set()

    def _outcome(self, hook: Webhook, due: Due, answer: Answer) -> Outcome:
        if answer.error is None and answer.took_s < SLOW_S:
            self._slow_ones.discard(hook.id)
        else:
            self._slow_ones.add(hook.id)
        outcome = Outcome(due.id, hook.id, due.call, answer.error is None, None, answer.status, answer.error)
        now, patience = self._now(), self._patience
        if outcome.delivered or now >= due.created_at + patience.give_up_s:
            return outcome
        wait = min(patience.longest_retry_s, patience.first_retry_s * 2.0 ** min(due.attempts, 20))
        wait *= random.uniform(0.8, 1.2)  # noqa: S311 - so that all that failed together do not come again together
        wait = max(wait, min(answer.retry_after_s or 0.0, patience.longest_retry_s))
        return replace(outcome, retry_at=min(now + wait, due.created_at + patience.give_up_s))

    async def _send(self, hook: Webhook, event: Any, delivery: str, attempt: int) -> Answer:
        """One request. Raises nothing but its own cancellation."""
        pool = await self._connections()
        loop, patience = asyncio.get_running_loop(), self._patience
        began = loop.time()
        status: int | None = None
        retry_after: float | None = None
        error: str | None
        try:
            body = body_of(hook.form, event)
            now = self._now()
            headers = headers_of(hook.form, event, delivery, attempt, body, hook.secrets_at(now), now)
            async with asyncio.timeout(patience.attempt_s):
                limits = {"connect": patience.connect_s, "read": patience.attempt_s, "write": patience.attempt_s}
                async with pool.stream(
                    "POST", hook.url, headers=headers, content=body, extensions={"timeout": limits}
                ) as response:
                    status = response.status
                    retry_after = _seconds(response)
                    await _read_a_little(response)
            error = None
        except (TargetRefusedError, TargetUnknownError) as refused:
            error = str(refused)
        except (TimeoutError, httpcore.TimeoutException):
            error = f"no answer within {patience.attempt_s:g} s"
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as failed:
            error = str(failed) or _WORDS.get(type(failed), "the connection broke")
        except (httpcore.UnsupportedProtocol, UnicodeError, ValueError) as bad:
            error = f"the URL cannot be used: {bad}"
        except ParkadeError:
            raise
        except Exception as mistake:
            log.exception("webhook %s: a delivery failed", hook.uid)
            error = f"internal error: {type(mistake).__name__}"
        if status is not None:
            # What goes wrong after the status is the connection's business.
            error = None if 200 <= status < 300 else f"the receiver answered {status}"
        return Answer(status, error[:200] if error else None, loop.time() - began, retry_after)

    async def _connections(self) -> httpcore.AsyncConnectionPool:
        if self._tls is None:
            self._tls = await asyncio.to_thread(_tls)  # reads some hundred certificates
        if self._pool is None:
            self._pool = httpcore.AsyncConnectionPool(
                ssl_context=self._tls,
                network_backend=OutsideBackend(self._outside),
                max_connections=2 * (QUICK_AT_ONCE + SLOW_AT_ONCE),
                max_keepalive_connections=64,
                keepalive_expiry=5.0,
            )
        return self._pool


_WORDS: Final = {
    httpcore.ConnectError: "no connection",
    httpcore.ReadError: "the connection broke before an answer",
    httpcore.WriteError: "the connection broke before everything was sent",
    httpcore.RemoteProtocolError: "the receiver speaks no HTTP",
}


async def _read_a_little(response: httpcore.Response) -> None:
    """A body to its end if it is short and quick; of another, some. Where it goes wrong the connection is closed."""
    left = BODY_BYTES
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(BODY_S):
            async for some in response.aiter_stream():
                left -= len(some)
                if left < 0:
                    return


def _seconds(response: httpcore.Response) -> float | None:
    """``Retry-After`` of an answer that asks for patience, where it is a number."""
    if response.status not in {429, 503}:
        return None
    value = next((value for name, value in response.headers if name.lower() == b"retry-after"), b"")
    return float(value) if value.isdigit() and len(value) < 8 else None


def _tls() -> ssl.SSLContext:
    """The authorities that come with Python's packages, and those that this machine trusts."""
    context = httpcore.default_ssl_context()
    context.load_default_certs()
    return context

"""The SIP messages of the last while, so that somebody may look at one call afterwards.

Every message that comes or goes is kept as it is, by reference: an append a message. Which call it belongs to is found out
when somebody asks, by its Call-ID; the switch says of each session which call it is of (``SessionOfCall``). Messages are
forgotten after ``keep_s``, and the oldest before that where all together would be more than ``max_bytes``.

In memory only: a new signalling process knows nothing of earlier messages. What nobody should read is made unreadable before
it leaves here (``masked``), and a message keeps its length.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from parkade.base.clock import Instant
from parkade.calls.events import CallEvent, Event
from parkade.sip.message.flow import CloseFlow, Flow, Send
from parkade.switch.inputs import Received, SwitchInput

log = logging.getLogger("parkade.edge.trace")

OVERHEAD_BYTES: Final = 300
"""What a message costs beside its bytes."""
MAX_CALLS: Final = 100_000
MAX_SESSIONS: Final = 64
"""Of one call; a call with more is one that is rung in vain again and again."""
MAX_MESSAGES: Final = 2000
MAX_FOUND_BYTES: Final = 8 << 20
TIDY_S: Final = 10.0
"""How often what is too old is forgotten although no message comes."""
SLICE: Final = 400
"""How many messages are looked at before phones have their turn: some tenths of a millisecond."""

_CALL_ID: Final = re.compile(rb"\n(?:call-id|i)[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE)


class Message(NamedTuple):
    """One message: when, whether it came or went, over what, between whom (``host:port``), and its bytes without secrets."""

    at: Instant
    came: bool
    transport: str
    local: tuple[str, int]
    remote: tuple[str, int]
    data: bytes


@dataclass(slots=True)
class _Call:
    account: str
    at: Instant
    sessions: dict[str, None] = field(default_factory=dict)


class Trace:
    """``local`` says which host and port of ours a flow ends at."""

    def __init__(self, keep_s: float, max_bytes: int, local: Callable[[Flow], tuple[str, int]]) -> None:
        self._keep_s = keep_s
        self._max_bytes = max_bytes
        self._local = local
        # An instant, then what came or went then: pairs in tuples would be work for the garbage collector.
        self._ring: deque[Any] = deque()
        self._trim_at = max_bytes - max_bytes // 64
        self._size = 0
        self._calls: OrderedDict[str, _Call] = OrderedDict()
        self._searching = asyncio.Lock()

    @property
    def size(self) -> int:
        """How many bytes are kept, about."""
        return self._size

    def passed(self, inputs: Sequence[SwitchInput], outgoing: Sequence[Send | CloseFlow], now: Instant) -> None:
        """What came together at ``now``, and what goes for it."""
        ring, size = self._ring, self._size
        keep = ring.append
        keep(now)
        for given in inputs:
            if type(given) is Received:
                keep(given)
                size += len(given.data) + OVERHEAD_BYTES
        for effect in outgoing:
            if type(effect) is Send:
                keep(effect)
                size += len(effect.data) + OVERHEAD_BYTES
        if size == self._size:
            ring.pop()
            return
        self._size = size
        if size > self._trim_at or ring[0] < now - self._keep_s:
            self._trim(now)

    def belongs(self, account: str, call: str, sessions: Iterable[str], now: Instant) -> None:
        """These Call-IDs are of ``call``, beside those that are already."""
        known = self._calls.get(call)
        if known is None:
            known = self._calls[call] = _Call(account, now)
        else:
            self._calls.move_to_end(call)
            known.at = now
        for session in sessions:
            if len(known.sessions) < MAX_SESSIONS:
                known.sessions[session] = None
        self._forget_calls(now)

    def forget(self, now: Instant) -> None:
        """Forget what is too old; to be called now and then."""
        self._trim(now)
        self._forget_calls(now)

    async def of_call(self, account: str, call: str) -> list[Message] | None:
        """The messages of a call, oldest first, without secrets; None if no such call of that account is known.

        Phones have their turn while this looks.
        """
        known = self._calls.get(call)
        if known is None or known.account != account:
            return None
        wanted = [session.encode("utf-8", "surrogateescape") for session in known.sessions]
        found: list[Message] = []
        size = 0
        async with self._searching:
            kept = list(self._ring)
            at = 0.0
            for start in range(0, len(kept), SLICE):
                part = kept[start : start + SLICE]
                matching = self._matching(part, at, wanted)
                at = next((each for each in reversed(part) if isinstance(each, float)), at)
                for message in matching:
                    size += len(message.data)
                    if len(found) == MAX_MESSAGES or size > MAX_FOUND_BYTES:
                        return found
                    found.append(message)
                await asyncio.sleep(0)
        return found

    def _matching(self, part: Sequence[Any], at: Instant, wanted: Sequence[bytes]) -> Iterator[Message]:
        """Those of ``wanted`` Call-IDs. ``at`` is when the first of ``part`` came, if it does not say so."""
        for message in part:
            if isinstance(message, float):
                at = message
                continue
            data: bytes = message.data
            # The bytes first: to look for them costs a tenth of what it costs to find the header.
            if any(session in data for session in wanted) and call_id_of(data) in wanted:
                flow: Flow = message.flow
                host, port = self._local(flow)
                remote = (flow.host, flow.port)
                yield Message(at, isinstance(message, Received), flow.transport, (host, port), remote, masked(data))

    def _trim(self, now: Instant) -> None:
        """Some at a time, so that most messages do not have to; a little more than is needed goes."""
        ring, oldest, size = self._ring, now - self._keep_s, self._size
        most = self._trim_at - self._max_bytes // 64
        while ring and (size > most or ring[0] < oldest):
            ring.popleft()
            while ring and type(ring[0]) is not float:
                size -= len(ring.popleft().data) + OVERHEAD_BYTES
        self._size = size

    def _forget_calls(self, now: Instant) -> None:
        calls, oldest = self._calls, now - self._keep_s
        while calls:
            first = next(iter(calls))
            if len(calls) <= MAX_CALLS and calls[first].at >= oldest:
                break
            del calls[first]


class Tracing:
    """A trace beside a switch. ``sessions_of`` gives the Call-IDs that a call of an account has now, None for no such call."""

    def __init__(
        self, trace: Trace, sessions_of: Callable[[str, str], Iterable[str] | None], now: Callable[[], Instant]
    ) -> None:
        self._trace = trace
        self._sessions_of = sessions_of
        self._now = now
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer = self._loop.call_later(TIDY_S, self._tidy)

    def happened(self, events: Sequence[Event]) -> None:
        """A session may have come from another call (a transfer): whenever something happens to a call, look what it has."""
        for event in events:
            if isinstance(event, CallEvent):
                self._look(event.account, event.call)

    def ask(self, account: str, call: str, found: Callable[[list[Message] | None], None]) -> None:
        """Have ``found`` called with the messages of a call, soon."""
        task = self._loop.create_task(self._find(account, call, found))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def stop(self) -> None:
        """Answer nobody any more."""
        self._timer.cancel()
        for task in self._tasks:
            task.cancel()

    def _look(self, account: str, call: str) -> None:
        sessions = self._sessions_of(account, call)
        if sessions is not None:
            self._trace.belongs(account, call, sessions, self._now())

    async def _find(self, account: str, call: str, found: Callable[[list[Message] | None], None]) -> None:
        try:
            self._look(account, call)
            messages = await self._trace.of_call(account, call)
        except Exception:
            log.exception("a trace could not be found")
            messages = None
        found(messages)

    def _tidy(self) -> None:
        self._trace.forget(self._now())
        self._timer = self._loop.call_later(TIDY_S, self._tidy)


def call_id_of(data: bytes) -> bytes:
    """The Call-ID of a message; empty if it has none that can be found."""
    found = _CALL_ID.search(data)
    return found[1].strip() if found else b""


# What nobody should read

_SECRETS: Final = (
    # The digest of a password: whoever has it may guess passwords as fast as a machine can.
    re.compile(rb'\b(?:response|rspauth)[ \t]*=[ \t]*"?([0-9A-Za-z+/=]+)', re.IGNORECASE),
    re.compile(rb"\n(?:proxy-)?authorization[ \t]*:[ \t]*(?:basic|bearer)[ \t]+([^\r\n]+)", re.IGNORECASE),
    re.compile(rb"\binline:[ \t]*([0-9A-Za-z+/=]+)", re.IGNORECASE),
    re.compile(rb"\na=ice-pwd:([^\r\n]+)"),
    re.compile(rb"\nk=([^\r\n]+)"),
    re.compile(rb"\bsips?:[^\s:@;>]+:([^\s@>]+)@", re.IGNORECASE),
    # Keys pressed may be a PIN.
    re.compile(rb"\nsignal[ \t]*=[ \t]*([0-9A-Da-d*#]+)", re.IGNORECASE),
)
_KEYS_ALONE: Final = re.compile(rb"\ncontent-type[ \t]*:[ \t]*application/dtmf[ \t]*\r?\n", re.IGNORECASE)
_KEYS: Final = re.compile(rb"\r?\n\r?\n([0-9A-Da-d*#]+)\s*$")


def masked(data: bytes) -> bytes:
    """The message with an ``x`` for every letter of a digest, a key of SRTP, a password, a pressed key; as long as before."""
    for secret in _SECRETS:
        data = secret.sub(_crossed_out, data)
    return _KEYS.sub(_crossed_out, data) if _KEYS_ALONE.search(data) else data


def _crossed_out(found: re.Match[bytes]) -> bytes:
    whole, start = found[0], found.start()
    return whole[: found.start(1) - start] + b"x" * (found.end(1) - found.start(1)) + whole[found.end(1) - start :]

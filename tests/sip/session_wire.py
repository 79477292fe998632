"""Two or more user agents on a wire of the test's own, in simulated time: with delay, loss by seed, and a record of it all."""

from __future__ import annotations

import heapq
import random
import zlib
from collections.abc import Callable

from parkade.base.clock import Instant
from parkade.base.ids import Ids
from parkade.sip.message.flow import Flow, Send
from parkade.sip.message.headers import NameAddr
from parkade.sip.message.message import Request, Response, make_response, parse_message
from parkade.sip.session.ask import HeaderLines
from parkade.sip.session.handler import Quiet
from parkade.sip.session.refer import Refer
from parkade.sip.session.session import Session
from parkade.sip.session.ua import UserAgent
from parkade.sip.session.usage import Usage
from parkade.sip.transaction.layer import ServerTransaction

OFFER, ANSWER = b"v=0\r\no=- 1 1 offer\r\n", b"v=0\r\no=- 2 1 answer\r\n"


def ids_of(seed: int) -> Ids:
    """Ids that repeat themselves."""
    return Ids(random.Random(seed).randbytes)


def word_of(message: Request | Response) -> str:
    """``INVITE``, ``200 INVITE``."""
    return message.method if isinstance(message, Request) else f"{message.status} {message.cseq.method}"


class Party(Quiet):
    """A user agent with its owner and handler in one; notes each event as a word and answers as its fields say."""

    def __init__(self, wire: Wire, host: str, *, transport: str = "UDP", port: int = 5060) -> None:
        self.wire = wire
        self.host, self.port, self.transport = host, port, transport
        self.ua = UserAgent(self, ids_of(zlib.crc32(host.encode())), lambda _: (host, port))
        self.heard: list[str] = []
        self.bodies: list[bytes] = []
        self.sessions: list[Session] = []
        self.refers: list[Refer] = []
        self.requests: list[Request] = []
        self.resource_of: Callable[[Request], str] | None = None
        self.ends: dict[str, list[str]] = {}
        self.late: list[str] = []
        self.on_ring: Callable[[Session, Instant], None] = lambda session, now: session.accept(ANSWER, now)
        self.answers: bytes | None = ANSWER
        self.offers: bytes | None = OFFER
        self.confirms: bytes | None = ANSWER

    @property
    def session(self) -> Session:
        """The only, or the last, session."""
        return self.sessions[-1]

    def flow_to(self, other: Party) -> Flow:
        """How this party reaches ``other``."""
        return Flow(self.transport, other.host, other.port, 0 if self.transport == "UDP" else 1)

    def call(self, other: Party, sdp: bytes | None = OFFER, headers: HeaderLines = ()) -> Session:
        """Call ``other`` now."""
        session = self.ua.invite(
            flow=self.flow_to(other),
            target=f"sip:{other.host}:{other.port}",
            from_=NameAddr("", f"sip:{self.host}"),
            to=NameAddr("", f"sip:{other.host}"),
            sdp=sdp,
            headers=headers,
            handler=self,
            now=self.wire.now,
        )
        self.sessions.append(session)
        self.wire.flush()
        return session

    def note(self, session: Session, word: str, body: bytes = b"") -> None:
        """Remember ``word``; nothing but news of a transfer may come after the end of its session."""
        if session.id in self.ends and not word.startswith("transfer"):
            self.late.append(word)
        self.heard.append(word)
        if body:
            self.bodies.append(body)

    # AgentOwner

    def on_invite(self, session: Session, now: Instant) -> None:
        self.sessions.append(session)
        session.handler = self
        self.note(session, "invite", session.request.body)
        self.on_ring(session, now)

    def on_request(self, tx: ServerTransaction, now: Instant) -> None:
        if tx.request.method == "SUBSCRIBE" and self.resource_of is not None:
            self.ua.notifier.accept(tx, self.resource_of(tx.request), tx.request.from_.address.user_text, now)
            return
        self.requests.append(tx.request)
        tx.respond(make_response(tx.request, 200, to_tag=tx.to_tag), now)

    def on_subscribe(self, tx: ServerTransaction, beside: Usage, now: Instant) -> None:
        assert self.resource_of is not None
        self.ua.notifier.accept(tx, self.resource_of(tx.request), tx.request.from_.address.user_text, now)

    # SessionHandler

    def on_progress(self, session: Session, response: Response, now: Instant) -> None:
        self.note(session, f"progress {response.status}", response.body)

    def on_answered(self, session: Session, response: Response, now: Instant) -> None:
        self.note(session, "answered", response.body)
        if not session.request.body and self.confirms is not None:
            session.confirm(self.confirms, now)

    def on_refused(self, session: Session, status: int, response: Response | None, now: Instant) -> None:
        self.note(session, f"refused {status}")
        self.ends.setdefault(session.id, []).append(str(status))

    def on_ended(self, session: Session, why: str, now: Instant) -> None:
        self.note(session, f"ended {why}")
        self.ends.setdefault(session.id, []).append(why)

    def on_established(self, session: Session, now: Instant) -> None:
        self.note(session, "established")

    def on_offer(self, session: Session, sdp: bytes, now: Instant) -> None:
        self.note(session, "offer", sdp)
        if self.answers is not None:
            session.answer(self.answers, now)

    def on_offer_wanted(self, session: Session, now: Instant) -> None:
        self.note(session, "offer wanted")
        if self.offers is not None:
            session.answer(self.offers, now)

    def on_answer(self, session: Session, sdp: bytes, now: Instant) -> None:
        self.note(session, "answer", sdp)

    def on_offer_refused(self, session: Session, status: int, now: Instant) -> None:
        self.note(session, f"offer refused {status}")

    def on_refer(self, session: Session, refer: Refer, now: Instant) -> None:
        self.note(session, "refer")
        self.refers.append(refer)

    def on_refer_progress(
        self, session: Session, status: int, reason: str, final: bool, headers: HeaderLines, now: Instant
    ) -> None:
        self.note(session, f"transfer {status}{' final' if final else ''}")

    def on_info(self, session: Session, request: Request, now: Instant) -> None:
        self.note(session, "info", request.body)


class Wire:
    """Carries what the parties send. ``log`` holds ``(from, to, message)`` of everything put on it, lost or not."""

    def __init__(
        self, seed: int = 0, loss: float = 0.0, delay_s: tuple[float, float] = (0.01, 0.01), mercy: int | None = None
    ) -> None:
        """With ``mercy`` no more than so many messages of one kind (``INVITE``, ``200 INVITE``) are lost in a row."""
        self.now: Instant = 1000.0
        self.loss = loss
        self._mercy = mercy
        self._lost: dict[str, int] = {}
        self.log: list[tuple[str, str, Request | Response]] = []
        self.drop: Callable[[Request | Response], bool] = lambda message: False
        self._delay_s = delay_s
        self._random = random.Random(seed)
        self._parties: dict[str, Party] = {}
        self._flying: list[tuple[Instant, int, str, str, bytes]] = []
        self._serial = 0

    def party(self, host: str, transport: str = "UDP", port: int = 5060) -> Party:
        """A new party at ``host``."""
        party = self._parties[host] = Party(self, host, transport=transport, port=port)
        return party

    def flush(self) -> None:
        """Take what the parties want sent."""
        for party in self._parties.values():
            for effect in party.ua.out:
                if isinstance(effect, Send):
                    self._put(party.host, effect)
            party.ua.out.clear()

    def run(self, seconds: float) -> None:
        """Let ``seconds`` go by."""
        end = self.now + seconds
        self.flush()
        while (due := self._due()) is not None and due <= end:
            self.now = max(self.now, due)
            while self._flying and self._flying[0][0] <= self.now:
                _, _, source, target, data = heapq.heappop(self._flying)
                party, sender = self._parties[target], self._parties[source]
                flow = Flow(party.transport, source, sender.port, 0 if party.transport == "UDP" else 1)
                party.ua.receive(flow, data, self.now)
                self.flush()
            for party in self._parties.values():
                deadline = party.ua.deadline()
                if deadline is not None and deadline <= self.now:
                    party.ua.wake(self.now)
                    self.flush()
        self.now = end

    def words(self) -> list[str]:
        """What went over the wire: ``INVITE``, ``200 INVITE``."""
        return [word_of(message) for _, _, message in self.log]

    def alive(self) -> int:
        """Everything that any party still keeps."""
        return sum(len(party.ua) for party in self._parties.values())

    def _loses(self, word: str) -> bool:
        in_a_row = self._lost.get(word, 0)
        lost = self._random.random() < self.loss and (self._mercy is None or in_a_row < self._mercy)
        self._lost[word] = in_a_row + 1 if lost else 0
        return lost

    def _due(self) -> Instant | None:
        due = [d for party in self._parties.values() if (d := party.ua.deadline()) is not None]
        if self._flying:
            due.append(self._flying[0][0])
        return min(due, default=None)

    def _put(self, source: str, effect: Send) -> None:
        message = parse_message(effect.data)
        target = effect.flow.host
        self.log.append((source, target, message))
        if target not in self._parties or self.drop(message):
            return
        if not effect.flow.reliable and self._loses(word_of(message)):
            return
        self._serial += 1
        at = self.now + self._random.uniform(*self._delay_s)
        heapq.heappush(self._flying, (at, self._serial, source, target, effect.data))

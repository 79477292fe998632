"""The state of one session, and the few things that every part of it does: step on, say news, find itself by its dialogs.

Parts (``uas``, ``uac``, ``exchange``, ``accepted``, ``refresh``, ``indialog``, ``finish``) are functions of a ``Core``. They
change it, send, and add what the owner must hear to ``news``; they know neither the owner nor their callers. ``Session`` is
the ``Core`` that the owner sees.
"""

from __future__ import annotations

from parkade.base.clock import Instant
from parkade.sip.message.flow import Flow
from parkade.sip.message.message import Headers, Request, Response
from parkade.sip.session.agent import Agent
from parkade.sip.session.ask import Ask
from parkade.sip.session.credentials import Credentials, HeaderLines, Outcome
from parkade.sip.session.dialog import Dialog
from parkade.sip.session.lifecycle import STEPS, Event, State
from parkade.sip.session.news import News
from parkade.sip.session.refer import Refer, Referral
from parkade.sip.session.session_timer import MIN_S, SessionTimer
from parkade.sip.session.state import Accepted, Ack, Bye, Change, Incoming, Kind, Outgoing, SentChange
from parkade.sip.session.usage import Deadline, Usage
from parkade.sip.transaction.transaction import ServerTransaction

UNASSUMED = frozenset({"UPDATE", "REFER", "NOTIFY", "SUBSCRIBE", "MESSAGE", "PRACK"})
"""Methods that are not sent to a peer that has never said what it allows."""


class Core(Usage):
    """``incoming`` tells who called; ``server`` is their INVITE until the ACK, ``client`` ours.

    ``cancelled`` tells that their CANCEL crossed our 2xx.
    ``accepted`` is a 2xx of ours without its ACK, ``ack`` the last ACK of ours (while ACCEPTED: the one still to be sent).
    ``changes`` are re-INVITEs and UPDATEs that wait, ``sent_change`` the one on its way, ``asked`` theirs that the owner has
    yet to answer, in the dialog ``asked_in``. ``timer`` is the session timer that holds, over at ``expires_at``. ``refers`` are
    transfers asked of us that wait for an answer, ``referrals`` those we ask for. ``restored_seq`` is the number of our
    last request before a restart. Bit ``n`` of ``armed`` is set while ``Deadline(n)`` is to come.
    """

    __slots__ = (
        "_request",
        "accepted",
        "ack",
        "agent",
        "allowed",
        "armed",
        "asked",
        "asked_in",
        "bye",
        "bye_headers",
        "cancelled",
        "changes",
        "client",
        "credentials",
        "dialog",
        "expires_at",
        "incoming",
        "min_s",
        "news",
        "referrals",
        "referred",
        "refers",
        "resting",
        "restored_seq",
        "sent_change",
        "server",
        "state",
        "timer",
    )

    def __init__(self, agent: Agent, session_id: str, credentials: Credentials | None, *, incoming: bool) -> None:
        super().__init__(session_id)
        self.agent = agent
        self.credentials = credentials
        self.incoming = incoming
        self.state = State.CALLING
        self._request: Request | None = None
        self.dialog: Dialog | None = None
        self.allowed: frozenset[str] | None = None
        self.armed = 0
        self.news: list[News] = []
        self.server: Incoming | None = None
        self.client: Outgoing | None = None
        self.accepted: Accepted | None = None
        self.ack: Ack | None = None
        self.changes: dict[Kind, Change] = {}
        self.sent_change: SentChange | None = None
        self.resting = False
        self.asked: ServerTransaction | None = None
        self.asked_in: Dialog | None = None
        self.timer: SessionTimer | None = None
        self.min_s = MIN_S
        self.expires_at: Instant = 0.0
        self.bye = Bye.NONE
        self.bye_headers: HeaderLines = ()
        self.cancelled = False
        self.restored_seq = 0
        self.refers: list[Refer] = []
        self.referred = False
        self.referrals: list[Referral] = []

    @property
    def request(self) -> Request:
        """The INVITE that began it. From its ACK on it is only what is still known of it: who called whom."""
        return self._request if self._request is not None else _invite_of(self)

    @request.setter
    def request(self, request: Request) -> None:
        self._request = request

    def forget_request(self) -> None:
        """Nobody reads the INVITE any more: its lines take as much memory as the rest of a session."""
        if self.allowed is None and self.incoming:
            self.learn(self.request)
        self._request = None

    @property
    def is_unanswered(self) -> bool:
        """Whether their INVITE still waits for our final answer."""
        return self.incoming and self.state is State.EARLY

    @property
    def waits_for_prack(self) -> bool:
        """Whether SDP that we sent early may not have arrived yet (:rfc:`3262` section 3)."""
        reliable = self.server.reliable if self.server is not None else None
        return reliable is not None and any(response.body for response in reliable.queue)

    def peer_allows(self, method: str) -> bool:
        """Whether the far side takes ``method``, by its last Allow; without one, whether every phone does."""
        if self.allowed is None and self.incoming:
            self.learn(self.request)
        return method not in UNASSUMED if self.allowed is None else method in self.allowed

    def learn(self, message: Request | Response) -> None:
        """Note what the far side says it allows."""
        allowed = message.allow
        if allowed is not None:
            self.allowed = allowed

    def step(self, event: Event) -> bool:
        """Move on as the table says; False if it says nothing."""
        state = STEPS.get((self.state, event))
        if state is None:
            return False
        self.state = state
        return True

    def say(self, news: News) -> None:
        """The owner is to hear this, after what was said before."""
        self.news.append(news)

    def set_timer(self, what: Deadline, at: Instant) -> None:
        """``what`` is due at ``at`` and not before."""
        self.armed |= 1 << what
        self.agent.timers.set((self.id, what), at)

    def cancel_timer(self, what: Deadline) -> None:
        """``what`` is not due any more."""
        if self.armed >> what & 1:
            self.armed ^= 1 << what
            self.agent.timers.cancel((self.id, what))

    def bind(self, dialog: Dialog) -> None:
        """Requests in ``dialog`` are for this session."""
        self.agent.bind(dialog, self)

    def unbind(self, dialog: Dialog) -> None:
        """``dialog`` is not used by this session any more."""
        self.agent.unbind(dialog, self)

    def touch(self) -> None:
        """What must be kept of the session may have changed."""
        if self.agent.keeps and self.state >= State.ACCEPTED:
            self.agent.touched.add(self)

    def settle(self, now: Instant) -> None:
        """Whatever came from outside is dealt with: tell the owner the news."""
        raise NotImplementedError

    def outcome(self, ask: Ask, outcome: Outcome, now: Instant) -> None:
        """What became of a request of ours."""
        raise NotImplementedError

    @property
    def flow(self) -> Flow:
        """How the far side is reached. Set it when it has registered anew over another connection."""
        if self.dialog is not None:
            return self.dialog.flow
        assert self.client is not None
        return self.client.flow

    @flow.setter
    def flow(self, flow: Flow) -> None:
        if self.dialog is not None:
            self.dialog.move(flow)
        if self.accepted is not None and self.accepted.flow.reliable:
            self.accepted.flow = flow
        self.touch()


def _invite_of(core: Core) -> Request:
    """The INVITE as far as it is known from the dialog."""
    dialog = core.dialog
    assert dialog is not None
    from_, to = (dialog.remote, dialog.local) if core.incoming else (dialog.local, dialog.remote)
    lines = [("From", from_), ("To", to), ("Call-ID", dialog.call_id), ("CSeq", "1 INVITE")]
    return Request("INVITE", dialog.target, Headers(lines))

"""One leg: a SIP session on one side, a leg of the media process on the other.

A leg answers what SIP asks at once (offers, hold) and tells call control what it means for people. An outgoing leg may be
ringing in several places, one ``Attempt`` each; the first that answers becomes the leg's session.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from parkade.base.clock import Instant
from parkade.base.ids import Ids
from parkade.base.sound import Peer, Sound
from parkade.calls.effects import Elsewhere
from parkade.calls.inputs import (
    Cause,
    Failure,
    Input,
    KeyPressed,
    LegAnswered,
    LegEnded,
    LegFailed,
    LegForwarded,
    LegHeld,
    LegRang,
    LegResumed,
)
from parkade.rtp.codecs import Codec
from parkade.rtp.dtmf import key_of_info
from parkade.rtp.keys_once import KeysOnce
from parkade.rtp.offer_answer import Agreed, AudioNegotiator
from parkade.rtp.orders import CloseLeg, Describe, Hear, OpenLeg, Order
from parkade.rtp.sdp import SdpError
from parkade.sip.message.flow import Flow
from parkade.sip.message.message import Request, Response
from parkade.sip.session.handler import End, Quiet
from parkade.sip.session.refer import Refer
from parkade.sip.session.session import Session
from parkade.switch.address import redirect_targets
from parkade.switch.contact import Phone
from parkade.switch.displays import ELSEWHERE
from parkade.switch.flows import LostFlows
from parkade.switch.inputs import SwitchEffect
from parkade.switch.ports import AnnouncedPorts
from parkade.switch.registrar import Binding
from parkade.switch.statuses import failure_of

SIGN_OF_LIFE_S = 2.0
"""How long a phone may take for its first response: three INVITEs leave within it over UDP (:rfc:`3261` section 17.1.1.2)."""

GAVE_UP_S = 0.1
"""A phone that calls and says BYE within this time after its ACK had given up before it heard our answer. Without a
provisional response it may not send a CANCEL (:rfc:`3261` section 9.1), so it waits for the answer, then sends ACK and BYE."""
GAVE_UP_AFTER_RESTART_S = 4.0
"""The same after a restart: the BYE came while nobody was there, and is sent again at most so much later (T2)."""
CROSSED_S = 32.0
"""How long a phone whose CANCEL crossed our answer may take for its BYE (64*T1); one that stays longer has taken it."""

QUIET = Quiet()
"""Looks after a session that its leg has let go."""


@dataclass(slots=True)
class Wiring:
    """What every leg needs of the switch around it."""

    out: list[SwitchEffect]
    in_sync: bool = field(init=False, default=True)
    """Whether media has what we believe: not between a restart and its inventory. Then nothing is ordered, but all is known."""
    began: list[tuple[str, str]] = field(init=False, default_factory=list)
    """Legs and the Call-IDs of sessions that have begun for them; empty where nobody traces calls."""
    inputs: deque[Input]
    ids: Ids
    ports: AnnouncedPorts
    advertise: Callable[[Flow], tuple[str, int]]
    referred: Callable[[PhoneLeg, Refer, Instant], None]
    find: Callable[[str], PhoneLeg | None]
    gone: Callable[[PhoneLeg], None]
    remind: Callable[[PhoneLeg, Instant], None]
    """Have ``give_up_silent`` called at that time."""
    traces: bool = False

    def order(self, order: Order) -> None:
        """Have media do this, unless it will be told everything anyway."""
        if self.in_sync:
            self.out.append(order)

    def session_began(self, leg: str, session: Session) -> None:
        """Note it for whoever traces calls."""
        if self.traces:
            self.began.append((leg, _call_id(session)))


def _call_id(session: Session) -> str:
    return session.dialog.call_id if session.dialog is not None else session.request.call_id


@dataclass(slots=True, eq=False)
class PhoneLeg(Quiet):
    """A leg in any state, to or from a device or a trunk: ``endpoint`` is its id.

    ``session`` is None while an outgoing leg still rings, ``phone`` until it is known which it is.
    """

    id: str
    endpoint: str
    account: str
    wiring: Wiring
    dialled: str = ""
    session: Session | None = None
    is_a_person: bool = True
    phone: Phone | None = None
    negotiator: AudioNegotiator | None = None
    port: int | None = None
    hears: Sound | None = None
    held: bool = False
    rang: bool = False
    established: bool = False
    established_at: Instant | None = None
    restored_at: Instant | None = None
    attempts: list[Attempt] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    refusal_prompt: str | None = None
    on_let_go: Callable[[Instant], None] | None = None
    _answer: bytes | None = None
    _keys_once: KeysOnce = field(default_factory=KeysOnce)

    # Media

    @property
    def codec(self) -> Codec | None:
        """The codec in use, or the one that the phone would like; None while nothing is known."""
        return self.negotiator.codec if self.negotiator else None

    def open_media(self) -> bool:
        """Make sure that the media process knows the leg; False if no port is left."""
        if self.port is None:
            self.port = self.wiring.ports.take()
            if self.port is None:
                return False
            self.wiring.order(OpenLeg(self.id, self.port))
        return True

    def hear(self, sound: Sound) -> None:
        """The leg hears ``sound`` from now on."""
        if isinstance(sound, Peer):
            peer = self.wiring.find(sound.leg)
            if peer is None or not peer.open_media():
                return
        if self.open_media():
            self.hears = sound
            self.wiring.order(Hear(self.id, sound))

    def negotiate_on(self, flow: Flow) -> AudioNegotiator:
        """A fresh offer/answer state for a peer at the far end of ``flow``. The leg's media must be open."""
        assert self.port is not None
        host, _ = self.wiring.advertise(flow)
        return AudioNegotiator(host, self.port, int(self.wiring.ids.token(4), 16), 1)

    def describe(self) -> None:
        """Tell the media process what was agreed, and call control whether the phone is holding."""
        agreed = self.negotiator.agreed if self.negotiator else None
        if agreed is None:
            return
        self._describe(agreed)
        if agreed.remote_on_hold != self.held:
            self.held = agreed.remote_on_hold
            self.tell(LegHeld(self.id) if self.held else LegResumed(self.id))

    def _describe(self, agreed: Agreed, *, again: bool = False) -> None:
        self.wiring.order(
            Describe(
                leg=self.id,
                address=agreed.address,
                port=agreed.port,
                rtcp_port=agreed.rtcp_port,
                payload_type=agreed.payload_type,
                codec=str(agreed.codec),
                dtmf_payload_type=agreed.dtmf_payload_type,
                ptime_ms=agreed.ptime_ms,
                sends=agreed.sends,
                receives=agreed.receives,
                listen_for_tones=True,
                dtmf_also=agreed.dtmf_also,
                again=again,
            )
        )

    def order_again(self) -> None:
        """Tell the media process once more how the leg is described."""
        if self.negotiator is not None and self.negotiator.agreed is not None:
            self._describe(self.negotiator.agreed, again=True)

    def move(self, port: int, now: Instant) -> None:
        """The port of the leg is lost to it: go on at ``port``, and tell the phone by a re-INVITE."""
        if self.port is not None:
            self.wiring.ports.give_back(self.port)
        self.port = port
        self.wiring.order(OpenLeg(self.id, port))
        self.order_again()
        if self.hears is not None:
            self.wiring.order(Hear(self.id, self.hears))
        if self.negotiator is not None and self.session is not None:
            self.negotiator.move(port)
            self.session.offer(self.negotiator.offer(), now)

    def call_ids(self) -> list[str]:
        """The Call-IDs of its sessions: one, or one a place while it rings."""
        sessions = [self.session, *(attempt.session for attempt in self.attempts)]
        return [_call_id(session) for session in sessions if session is not None]

    def release(self) -> None:
        """Give the media leg back."""
        if self.port is not None:
            self.wiring.order(CloseLeg(self.id))
            self.wiring.ports.give_back(self.port)
            self.port = None

    # Towards the phone

    def consider_offer(self) -> None:
        """Open the media of an incoming leg; raises ``SdpError`` if the INVITE's offer is one that cannot be answered."""
        assert self.session is not None
        self.open_media()
        self.negotiator = self.negotiate_on(self.session.flow)
        if self.session.request.body:
            self.negotiator.consider(self.session.request.body)

    def local_description(self) -> bytes:
        """Our side for a provisional or final answer: the answer to the INVITE's offer, or our offer if it had none.

        Raises ``SdpError`` if the offer cannot be accepted.
        """
        assert self.session is not None
        assert self.negotiator is not None
        if self._answer is None:
            prefer = self._peer_codec()
            offer = self.session.request.body
            self._answer = self.negotiator.answer(offer, prefer) if offer else self.negotiator.offer(prefer=prefer)
        # Again with the answer to a call that had early media: a phone behind a NAT may send nothing before.
        self.describe()
        return self._answer

    def _peer_codec(self) -> Codec | None:
        peer = self.wiring.find(self.hears.leg) if isinstance(self.hears, Peer) else None
        return peer.codec if peer else None

    def reconnect(self, binding: Binding, lost: LostFlows) -> None:
        """A phone has registered: if it is that of this leg, and the flow of the leg leads nowhere, go on where it is now.

        A stream without a connection leads nowhere: its phone had opened it before a restart.
        """
        session = self.session
        if session is None or self.phone is None or session.flow == binding.flow:
            return
        flow = session.flow
        leads_nowhere = flow == binding.before or lost.has(flow) or (flow.reliable and not flow.connection)
        if leads_nowhere and self.phone.is_same(binding.phone):
            session.flow = binding.flow

    def give_up_silent(self, now: Instant) -> None:
        """One place has refused, or another phone. If nothing has come from any other, they are given up in due time.

        So a registration of a phone that is gone never makes a caller wait for what the live phone has said already.
        """
        attempts = self.attempts
        if not attempts or not all(attempt.is_silent for attempt in attempts):
            return
        dead = [attempt for attempt in attempts if attempt.began_at + SIGN_OF_LIFE_S <= now]
        self.attempts = [attempt for attempt in attempts if attempt not in dead]
        end_attempts(dead, now)
        if self.attempts:
            self.wiring.remind(self, min(attempt.began_at for attempt in self.attempts) + SIGN_OF_LIFE_S)
        else:
            self.tell(LegFailed(self.id, worst(self.failures or [Failure.UNREACHABLE])))
            self.wiring.gone(self)

    def tell(self, given: Input) -> None:
        """Queue something for call control."""
        self.wiring.inputs.append(given)

    # What the session tells

    def on_established(self, session: Session, now: Instant) -> None:
        """The phone has confirmed our answer."""
        self.established, self.established_at = True, now

    def on_ended(self, session: Session, why: End, now: Instant) -> None:
        """Hung up, cancelled, or dead."""
        established = not session.incoming or (self.established and not self._never_confirmed(why))
        self.tell(LegEnded(self.id, established, _CAUSES.get(why, Cause.LOST), self._gave_up(session, why, now)))
        self.wiring.gone(self)

    def _never_confirmed(self, why: End) -> bool:
        """Whether no ACK had been written down before a restart, and the phone turns out to know nothing of the call."""
        return self.restored_at is not None and self.established_at is None and why in ("gone", "timeout")

    def _gave_up(self, session: Session, why: End, now: Instant) -> bool:
        """Whether the phone no longer wanted the call when our answer reached it."""
        since, restored_at = self.established_at, self.restored_at
        if since is None:
            return session.cancelled
        if why != "bye":
            return False
        if session.cancelled:
            return now - since <= CROSSED_S
        if not session.incoming:
            return False  # We rang it, and it was picked up, for however short a time.
        if restored_at is None or restored_at - since > GAVE_UP_AFTER_RESTART_S:
            return now - since <= GAVE_UP_S
        return now - max(since, restored_at) <= GAVE_UP_AFTER_RESTART_S

    def on_offer(self, session: Session, sdp: bytes, now: Instant) -> None:
        """A re-INVITE or UPDATE with an offer: hold, resume, a new address."""
        assert self.negotiator is not None
        try:
            answer = self.negotiator.answer(sdp)
        except SdpError:
            session.refuse_offer(now)
            return
        session.answer(answer, now)
        self.describe()

    def on_offer_wanted(self, session: Session, now: Instant) -> None:
        """A re-INVITE without an offer: everything we can do."""
        assert self.negotiator is not None
        session.answer(self.negotiator.offer(), now)

    def on_answer(self, session: Session, sdp: bytes, now: Instant) -> None:
        """The answer to an offer of ours, in an ACK or a response.

        One that is of no use ends a call only if nothing was agreed before: else that goes on (:rfc:`3261` section 14.1).
        """
        assert self.negotiator is not None
        try:
            self.negotiator.receive_answer(sdp)
        except SdpError:
            if self.negotiator.agreed is None:
                session.end(now)
            return
        self.describe()

    def on_refer(self, session: Session, refer: Refer, now: Instant) -> None:
        """The phone transfers or parks."""
        self.wiring.referred(self, refer, now)

    def on_info(self, session: Session, request: Request, now: Instant) -> None:
        """A keypad key in an INFO body."""
        key = key_of_info(request.content_type, request.body)
        if key is not None:
            self.key_came(key, "info", now)

    def key_came(self, key: str, way: str, now: Instant) -> None:
        """A key by ``way``; one that another way has told already is the same press."""
        if self._keys_once.counts(key, way, now):
            self.tell(KeyPressed(self.id, key))


_CAUSES: Mapping[End, Cause] = {
    "ended": Cause.HUNG_UP,
    "rejected": Cause.HUNG_UP,
    "bye": Cause.HUNG_UP,
    "cancelled": Cause.CANCELLED,
}
"""What each end of a session means to call control; all others mean that the phone is lost."""


@dataclass(slots=True, eq=False)
class Attempt(Quiet):
    """One place where an outgoing leg rings."""

    leg: PhoneLeg
    negotiator: AudioNegotiator
    phone: Phone
    began_at: Instant
    session: Session | None = None
    rang: bool = False

    @property
    def is_silent(self) -> bool:
        """Whether nothing at all has come back: not even the 100 that a phone sends at once (:rfc:`3261` section 8.2.6.1)."""
        return self.session is not None and self.session.is_silent

    def on_progress(self, session: Session, response: Response, now: Instant) -> None:
        """Ringing, perhaps with sound."""
        leg = self.leg
        if response.status < 180:
            return
        early = False
        if response.body and response.status in {180, 183}:
            early = self._agree(response.body) and leg.negotiator in (None, self.negotiator)
        if early:
            leg.negotiator = self.negotiator
            leg.describe()
        leg.rang = self.rang = True
        leg.tell(LegRang(leg.id, early_media=early))

    def on_answered(self, session: Session, response: Response, now: Instant) -> None:
        """Somebody picked up: this session is the leg's now, the other places stop ringing."""
        leg = self.leg
        if (response.body and not self._agree(response.body)) or self.negotiator.agreed is None:
            session.handler = QUIET
            session.end(now)
            self._refused(Failure.INCOMPATIBLE, now)
            return
        leg.session, leg.negotiator, session.handler = session, self.negotiator, leg
        leg.phone, session.data = self.phone, leg.id
        others, leg.attempts = [a for a in leg.attempts if a is not self], []
        end_attempts(others, now, Elsewhere.ANSWERED)
        leg.tell(LegAnswered(leg.id))
        leg.describe()

    def on_refused(self, session: Session, status: int, response: Response | None, now: Instant) -> None:
        """This place says no."""
        why = failure_of(status, rang=self.leg.rang, answered=response is not None)
        if response is None:
            self._failed(why)
        else:
            if why is Failure.REDIRECTED and self in self.leg.attempts:
                self.leg.tell(LegForwarded(self.leg.id, tuple(redirect_targets(response))))
            self._refused(why, now, by_all=status >= 600)

    def on_ended(self, session: Session, why: End, now: Instant) -> None:
        """This place is gone."""
        self._failed(Failure.UNREACHABLE)

    def on_offer(self, session: Session, sdp: bytes, now: Instant) -> None:
        """An UPDATE in the early dialog."""
        try:
            session.answer(self.negotiator.answer(sdp), now)
        except SdpError:
            session.refuse_offer(now)

    def _agree(self, sdp: bytes) -> bool:
        try:
            self.negotiator.receive_answer(sdp)
        except SdpError:
            return False
        return True

    def _refused(self, why: Failure, now: Instant, *, by_all: bool = False) -> None:
        """The phone itself has said no. With ``by_all`` it speaks for the person wherever else it rings (section 21.6)."""
        leg = self.leg
        if self not in leg.attempts:
            return
        others = [attempt for attempt in leg.attempts if attempt is not self and (by_all or (self.rang and attempt.is_silent))]
        leg.attempts = [attempt for attempt in leg.attempts if attempt not in others]
        end_attempts(others, now, Elsewhere.DECLINED if why is Failure.DECLINED else Elsewhere.NOTHING)
        self._failed(why)
        leg.give_up_silent(now)

    def _failed(self, why: Failure) -> None:
        leg = self.leg
        if self not in leg.attempts:
            return
        leg.attempts.remove(self)
        leg.failures.append(why)
        if not leg.attempts:
            leg.tell(LegFailed(leg.id, worst(leg.failures)))
            leg.wiring.gone(leg)


_TELLING = tuple(Failure)


def worst(failures: Sequence[Failure]) -> Failure:
    """Of several places that failed, at least one, the failure that says most about the person."""
    return min(failures, key=_TELLING.index)


def end_attempts(attempts: Sequence[Attempt], now: Instant, elsewhere: Elsewhere = Elsewhere.NOTHING) -> None:
    """Stop ringing in these places, and say what has become of the call elsewhere."""
    for attempt in attempts:
        if attempt.session is not None:
            attempt.session.handler = QUIET
            attempt.session.end(now, ELSEWHERE[elsewhere])

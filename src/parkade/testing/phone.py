"""A phone that is no phone: the project's own user agent, driven by the test instead of a person.

It registers, calls, answers, holds, transfers and hangs up when told to, keeps all messages in ``recorder``, and misbehaves on
demand. It has no clock and no network of its own: ``SimWorld.phone`` makes one and attaches it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from parkade.base.clock import Instant
from parkade.base.ids import Ids
from parkade.sip.message.flow import Flow, Send, SipEffect
from parkade.sip.message.headers import NameAddr
from parkade.sip.message.message import Response, make_response
from parkade.sip.session.ask import HeaderLines, Outcome
from parkade.sip.session.session import Session
from parkade.sip.session.ua import UserAgent
from parkade.sip.session.usage import Usage
from parkade.sip.transaction.transaction import ServerTransaction
from parkade.testing.fake_call import FakeCall
from parkade.testing.misbehaviour import Misbehaviour
from parkade.testing.net import Address
from parkade.testing.recorder import Recorder


class Surroundings(Protocol):
    """What a phone needs of the world around it."""

    @property
    def now(self) -> Instant: ...

    def after(self, seconds: float, action: Callable[[], object]) -> None: ...

    def hearing(self, call: FakeCall) -> str: ...

    def press_in_rtp(self, call: FakeCall, keys: str) -> None: ...


class FakePhone:
    """``name`` is the SIP username. ``address`` is where it is attached, ``host`` the address it believes to have.

    ``auto_answer_s``: answers every call after so many seconds. ``rejects``: refuses every call with that status. ``rings``
    False: says nothing to an INVITE until it is answered. ``rings_with_sound``: sends sound of its own while it rings.
    ``hangs_up_after_transfer``: ends its call when a NOTIFY says that its transfer has worked. ``forgiving``: ends a call whose
    SDP it cannot use, where other phones raise ``SdpError``.
    """

    def __init__(
        self,
        name: str,
        password: str,
        address: Address,
        server: Flow,
        world: Surroundings,
        ids: Ids,
        *,
        domain: str,
        display: str = "",
        private_host: str | None = None,
    ) -> None:
        self.name = name
        self.address = address
        self.host = private_host or address.host
        self.recorder = Recorder()
        self.calls: list[FakeCall] = []
        self._live: list[FakeCall] = []
        self.registered = False
        self.auto_answer_s: float | None = None
        self.rejects: int | None = None
        self.rings = True
        self.rings_with_sound = False
        self.forgiving = False
        self.first_rtp_port = 4000
        self.hangs_up_after_transfer = True
        self._credentials = (name, password)
        self._server = server
        self._world = world
        self._domain = domain
        self._display = display
        self._call_id = ids.token()
        self._cseq = 0
        self._misbehaviours: list[Misbehaviour] = []
        self._mishear: Misbehaviour | None = None
        self._ua = UserAgent(self, ids, lambda _: (self.host, address.port), "FakePhone", name)

    def __repr__(self) -> str:
        return f"<FakePhone {self.name}>"

    @property
    def alive(self) -> int:
        """Sessions, dialogs, transactions and timers that it still has."""
        return len(self._ua)

    @property
    def now(self) -> Instant:
        """The time of the world."""
        return self._world.now

    # What one does with it

    def register(self, expires_s: int = 3600) -> None:
        """Register, or register again; ``registered`` tells the outcome."""
        contact = self._ua.contact_on(self._server)
        self._register([("Contact", contact), ("Expires", str(expires_s))])

    def unregister(self) -> None:
        """Remove every registration of this device."""
        self._register([("Contact", "*"), ("Expires", "0")])

    def call(
        self, number: str, *, late_offer: bool = False, headers: HeaderLines = (), caller: NameAddr | None = None
    ) -> FakeCall:
        """Dial ``number`` (or a whole URI); with ``late_offer`` the INVITE has no SDP. ``caller``: From is somebody else."""
        call = FakeCall(self, len(self.calls), incoming=False, late_offer=late_offer)
        self._add(call)
        call.session = self._ua.invite(
            flow=self._server,
            target=self.uri(number),
            from_=caller or NameAddr(self._display, self.uri(self.name)),
            to=NameAddr("", self.uri(number)),
            sdp=None if late_offer else call.negotiator.offer(),
            handler=call,
            now=self.now,
            headers=headers,
            credentials=self._credentials,
        )
        return call

    def answer(self) -> FakeCall:
        """Pick up the call that rings, and give it."""
        call = self.ringing
        assert call is not None, f"{self.name} does not ring"
        call.answer()
        return call

    def reject(self, status: int = 486) -> None:
        """Refuse the call that rings."""
        call = self.ringing
        assert call is not None, f"{self.name} does not ring"
        call.reject(status)

    def hold(self) -> None:
        """Put the only call on hold."""
        self.current.hold()

    def resume(self) -> None:
        """Take the only call off hold."""
        self.current.resume()

    def refer(self, target: str) -> None:
        """Send the other party of the only call to ``target``."""
        self.current.refer(target)

    def hang_up(self) -> None:
        """End every call."""
        for call in self.live:
            call.hang_up()

    def misbehave(self, *misbehaviours: Misbehaviour) -> None:
        """From now on change what is sent by these, one after the other; none: behave again."""
        self._misbehaviours = [*misbehaviours]

    def mishear(self, mishear: Misbehaviour | None) -> None:
        """From now on take ``mishear(data)`` for what arrives; None: what was sent."""
        self._mishear = mishear

    # What one sees

    @property
    def live(self) -> list[FakeCall]:
        """Calls that have not ended."""
        self._live = [call for call in self._live if call.state != "ended"]
        return [*self._live]

    @property
    def ringing(self) -> FakeCall | None:
        """The call that rings, if one does."""
        return next((call for call in self.live if call.state == "ringing"), None)

    @property
    def current(self) -> FakeCall:
        """The only call that is up. Raises AssertionError if there is none, or more than one."""
        up = [call for call in self.live if call.is_up]
        assert len(up) == 1, f"{self.name} has {len(up)} calls"
        return up[0]

    # For its calls

    def uri(self, number: str) -> str:
        """What the phone makes of a dialled number."""
        return number if number.startswith(("sip:", "sips:", "tel:")) else f"sip:{number}@{self._domain}"

    def hearing(self, call: FakeCall) -> str:
        """What ``call`` hears."""
        return self._world.hearing(call)

    def press_in_rtp(self, call: FakeCall, keys: str) -> None:
        """Let the media process hear keys."""
        self._world.press_in_rtp(call, keys)

    # Node

    def receive(self, flow: Flow, data: bytes, now: Instant) -> None:
        """A message has come, perhaps not as it was sent."""
        heard = data if self._mishear is None else self._mishear(data)
        if heard is None:
            return
        data = heard
        self.recorder.record(now, False, data)
        self._ua.receive(flow, data, now)

    def flow_lost(self, flow: Flow, now: Instant) -> None:
        """A stream has ended; whatever is said next opens another."""
        self.registered = False
        for call in self.live:
            call.session.flow = self._server
        self._ua.flow_lost(flow, now)

    def deadline(self) -> Instant | None:
        """When to wake next."""
        return self._ua.deadline()

    def wake(self, now: Instant) -> None:
        """Its time has come."""
        self._ua.wake(now)

    def drain(self) -> list[SipEffect]:
        """What it sends, misbehaviour included."""
        effects: list[SipEffect] = []
        for effect in self._ua.out:
            if not isinstance(effect, Send):
                effects.append(effect)
                continue
            data: bytes | None = effect.data
            for misbehave in self._misbehaviours:
                data = None if data is None else misbehave(data)
            if data is not None:
                self.recorder.record(self.now, True, data)
                effects.append(Send(effect.flow, data))
        self._ua.out.clear()
        return effects

    # AgentOwner

    def on_invite(self, session: Session, now: Instant) -> None:
        """Somebody calls."""
        call = FakeCall(self, len(self.calls), incoming=True)
        call.session = session
        session.handler = call
        self._add(call)
        if self.rejects is not None:
            call.reject(self.rejects)
            return
        if self.rings:
            call.ring(183 if self.rings_with_sound else 180, early_media=self.rings_with_sound)
        if self.auto_answer_s is not None:
            self._world.after(self.auto_answer_s, lambda: call.answer() if call.state == "ringing" else None)

    def on_request(self, tx: ServerTransaction, now: Instant) -> None:
        """OPTIONS and the like are answered 200."""
        tx.respond(make_response(tx.request, 200, to_tag=tx.to_tag), now)

    def on_subscribe(self, tx: ServerTransaction, beside: Usage, now: Instant) -> None:
        """It has nothing to tell."""
        tx.respond(make_response(tx.request, 403, to_tag=tx.to_tag), now)

    def _add(self, call: FakeCall) -> None:
        self.calls.append(call)
        self._live.append(call)

    def _register(self, headers: HeaderLines) -> None:
        self._cseq += 2
        me = NameAddr("", self.uri(self.name))
        self._ua.request(
            "REGISTER",
            flow=self._server,
            target=f"sip:{self._domain}",
            from_=me,
            to=me,
            done=self._on_registered,
            now=self.now,
            headers=headers,
            call_id=self._call_id,
            seq=self._cseq,
            credentials=self._credentials,
        )

    def _on_registered(self, outcome: Outcome, now: Instant) -> None:
        self.registered = isinstance(outcome, Response) and outcome.status == 200 and "Contact" in outcome.headers

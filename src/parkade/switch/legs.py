"""Performs what call control decides: each effect of ``calls`` as SIP and as media orders.

Owns the table of legs. It decides nothing about calls; what it decides is SIP: which contacts to ring, whether a refusal can be
spoken first, which headers carry an identity.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from parkade.base.clock import Instant
from parkade.base.sound import Peer, Silence, Spoken
from parkade.base.timers import Timers
from parkade.calls import effects
from parkade.calls.directory import Device, Endpoint
from parkade.calls.effects import Effect
from parkade.calls.identity import Identity
from parkade.calls.inputs import Failure, LegEnded, LegFailed, PromptEnded
from parkade.rtp.orders import CloseLeg, Hear, OpenLeg
from parkade.rtp.sdp import SdpError
from parkade.sip.session.handler import End, Quiet
from parkade.sip.session.session import Session
from parkade.sip.session.ua import UserAgent
from parkade.switch.displays import ELSEWHERE, address_of, identity_headers
from parkade.switch.inputs import Note
from parkade.switch.leg import QUIET, Attempt, PhoneLeg, Wiring, end_attempts
from parkade.switch.mishaps import mishap
from parkade.switch.places import Place, place_of_number, places_of_device
from parkade.switch.registrar import Registrar
from parkade.switch.statuses import refusal_headers, status_of
from parkade.switch.transfers import PARK_CODE_HEADER, Transfers

MAX_SPOKEN_REFUSAL_S = 12.0


class Legs:
    """All legs there are, by id, and the hands of call control."""

    def __init__(
        self,
        ua: UserAgent,
        registrar: Registrar,
        wiring: Wiring,
        transfers: Transfers,
        endpoint_of: Callable[[str], Endpoint | None],
    ) -> None:
        """``endpoint_of`` gives the device or trunk with an id."""
        self._ua = ua
        self._registrar = registrar
        self._wiring = wiring
        self._transfers = transfers
        self._endpoint_of = endpoint_of
        self._legs: dict[str, PhoneLeg] = {}
        self._of_endpoint: dict[str, dict[str, PhoneLeg]] = {}
        self._lingering: dict[str, PhoneLeg] = {}
        self.timers: Timers[str] = Timers()
        """When something has waited long enough: a lingering leg, or one that rings where nobody seems to be."""
        self._perform: dict[type[Effect], Callable[..., None]] = {
            effects.RingEndpoint: self._ring_endpoint,
            effects.ShowRinging: self._show_ringing,
            effects.OpenEarlyMedia: self._open_early_media,
            effects.AnswerLeg: self._answer_leg,
            effects.RefuseLeg: self._refuse_leg,
            effects.GiveUpSilent: self._give_up_silent,
            effects.EndLeg: self._end_leg,
            effects.Hear: self._hear,
            effects.ShowParty: self._show_party,
            effects.TransferProgress: self._transfer_progress,
            effects.NotRestored: self._not_restored,
        }
        """What is not here is for others: it is passed on as it is."""

    def __len__(self) -> int:
        return len(self._legs) + len(self._lingering)

    def perform(self, effect: Effect, now: Instant) -> None:
        """Do one thing that call control decided. Raises nothing: what cannot be done is noted, and its leg is ended."""
        perform = self._perform.get(type(effect))
        if perform is None:
            self._wiring.out.append(effect)  # type: ignore[arg-type]
            return
        try:
            perform(effect, now)
        except Exception as error:  # noqa: BLE001 - one effect must not keep those after it from being performed
            self._could_not(effect, error, now)

    def _could_not(self, effect: Effect, error: Exception, now: Instant) -> None:
        self._wiring.out.append(mishap(effect, error))
        if isinstance(effect, effects.RingEndpoint | effects.AnswerLeg | effects.RefuseLeg | effects.EndLeg):
            self._give_up(effect.leg, now)
        elif isinstance(effect, effects.TransferProgress):
            self._transfers.abandon(effect.transfer)

    def _give_up(self, leg_id: str, now: Instant) -> None:
        """End a leg that could not be rung, answered, refused or ended as it should have been; it leaves nothing behind."""
        leg = self._legs.get(leg_id) or self._lingering.get(leg_id)
        if leg is None or leg.session is None:
            self._wiring.inputs.append(LegFailed(leg_id, Failure.UNREACHABLE))
        else:
            self._wiring.inputs.append(LegEnded(leg_id, leg.established))
        if leg is None:
            return
        sessions = [leg.session, *(attempt.session for attempt in leg.attempts)]
        leg.attempts = []
        for session in sessions:
            if session is None:
                continue
            session.handler = QUIET
            try:
                session.end(now)
            except Exception as error:  # noqa: BLE001 - as above
                self._wiring.out.append(mishap(leg, error))
        self.gone(leg)

    def get(self, leg: str) -> PhoneLeg | None:
        """A leg that call control knows."""
        return self._legs.get(leg)

    def anywhere(self, leg: str) -> PhoneLeg | None:
        """A leg that call control knows, or one that lingers."""
        return self._legs.get(leg) or self._lingering.get(leg)

    def all(self) -> list[PhoneLeg]:
        """Every leg, lingering ones included."""
        return [*self._legs.values(), *self._lingering.values()]

    def of_endpoint(self, endpoint: str) -> list[PhoneLeg]:
        """Every leg of one device or trunk."""
        return [*self._of_endpoint.get(endpoint, {}).values()]

    def add(self, leg: PhoneLeg) -> None:
        """One more leg."""
        self._legs[leg.id] = leg
        self._of_endpoint.setdefault(leg.endpoint, {})[leg.id] = leg

    def gone(self, leg: PhoneLeg) -> None:
        """The far side is gone: give everything back."""
        self._legs.pop(leg.id, None)
        self._lingering.pop(leg.id, None)
        self._leave_device(leg)
        self.timers.cancel(leg.id)
        if leg.session is not None:
            # Nothing more will be told; without this the two would keep each other until the collector comes by.
            leg.session.handler = QUIET
        leg.release()

    def remind(self, leg: PhoneLeg, at: Instant) -> None:
        """Look at ``leg`` again at ``at``, whether it rings in vain."""
        self.timers.set(leg.id, at)

    def prompt_ended(self, leg_id: str, prompt: str, now: Instant) -> None:
        """A prompt was heard: a spoken refusal becomes a final one, anything else is call control's."""
        leg = self._lingering.get(leg_id)
        if leg is not None and leg.refusal_prompt == prompt:
            self._let_go(leg, now)
        elif leg_id in self._legs:
            self._wiring.inputs.append(PromptEnded(leg_id, prompt))

    # What media says

    def reconcile(self, there: Mapping[str, int]) -> None:
        """Media has these legs, with these ports: make it have ours, described as they are and hearing what they hear.

        What media has already is told again, which changes nothing there.
        """
        order, legs = self._wiring.order, [leg for leg in self.all() if leg.port is not None]
        self._wiring.in_sync = True
        ours = {leg.id: leg.port for leg in legs}
        for leg_id, port in there.items():
            if ours.get(leg_id) != port:
                order(CloseLeg(leg_id))
        for leg in legs:
            if leg.port is not None and there.get(leg.id) != leg.port:
                order(OpenLeg(leg.id, leg.port))
        for leg in legs:
            leg.order_again()
        for leg in legs:
            if leg.hears is not None and not (isinstance(leg.hears, Peer) and leg.hears.leg not in ours):
                order(Hear(leg.id, leg.hears))

    def port_lost(self, leg_id: str, port: int, now: Instant) -> None:
        """Media could not open a leg on its port: it goes on at another, or ends if it cannot."""
        leg = self.anywhere(leg_id)
        if leg is None or leg.port != port:
            return
        session, ports = leg.session, self._wiring.ports
        talks = session is not None and not session.is_early
        if talks and ports.are_coming:
            ports.wait(lambda at: self.port_lost(leg_id, port, at), now)
            return
        other = ports.take() if talks else None
        if other is not None:
            leg.move(other, now)
            for listener in self.all():
                if listener.hears == Peer(leg_id):
                    self._wiring.order(Hear(listener.id, listener.hears))
            return
        leg.port = None
        ports.give_back(port)
        if session is not None:
            session.end(now)
        else:
            end_attempts(leg.attempts, now)
            leg.tell(LegFailed(leg.id, Failure.NO_CAPACITY))
            self.gone(leg)

    def silent(self, leg_id: str, now: Instant) -> None:
        """Nothing has come from the phone of a leg for long: ask it. Without an answer the session ends as lost."""
        leg = self.anywhere(leg_id)
        if leg is not None and leg.session is not None:
            leg.session.probe(now)

    def hang_up(self, now: Instant) -> None:
        """End every leg; call control is told of each."""
        for leg in [*self._legs.values(), *self._lingering.values()]:
            if leg.session is not None:
                leg.session.end(now)
            else:
                end_attempts(leg.attempts, now)
                leg.tell(LegFailed(leg.id, Failure.NOT_REGISTERED))
                self.gone(leg)

    def wake(self, now: Instant) -> None:
        """Let go of legs that have lingered long enough, and give up places from which nothing has come."""
        for leg_id in self.timers.pop_due(now):
            if (leg := self._lingering.get(leg_id)) is not None:
                self._let_go(leg, now)
            elif (leg := self._legs.get(leg_id)) is not None:
                leg.give_up_silent(now)

    # One method an effect

    def _ring_endpoint(self, effect: effects.RingEndpoint, now: Instant) -> None:
        endpoint = self._endpoint_of(effect.endpoint)
        leg = PhoneLeg(effect.leg, effect.endpoint, endpoint.account if endpoint else "", self._wiring)
        places = self._places(endpoint, effect, now)
        if not places:
            self._wiring.inputs.append(LegFailed(leg.id, Failure.NOT_REGISTERED))
            return
        leg.is_a_person = isinstance(endpoint, Device)
        self.add(leg)
        ports = self._wiring.ports
        if ports.are_coming:
            ports.wait(lambda at: self._ring_late(leg, effect, at), now)
        else:
            self._ring(leg, effect, places, now)

    def _ring_late(self, leg: PhoneLeg, effect: effects.RingEndpoint, now: Instant) -> None:
        """Go on with a leg that has waited for a port, unless it is not wanted any more."""
        if self._legs.get(leg.id) is not leg:
            return
        try:
            self._ring(leg, effect, self._places(self._endpoint_of(effect.endpoint), effect, now), now)
        except Exception as error:  # noqa: BLE001 - as above
            self._could_not(effect, error, now)

    def _places(self, endpoint: Endpoint | None, effect: effects.RingEndpoint, now: Instant) -> list[Place]:
        """Where to send an INVITE: to every phone of a device, or to the far end of a trunk."""
        if isinstance(endpoint, Device):
            bindings = self._registrar.bindings(endpoint.id, now)
            return places_of_device(endpoint, bindings, effect.caller, effect.alert, effect.auto_answer)
        return [place_of_number(endpoint, effect.number, effect.caller)] if endpoint is not None else []

    def _ring(self, leg: PhoneLeg, effect: effects.RingEndpoint, places: list[Place], now: Instant) -> None:
        if not places or not leg.open_media():
            leg.tell(LegFailed(leg.id, Failure.NO_CAPACITY if places else Failure.NOT_REGISTERED))
            self.gone(leg)
            return
        beside = self._legs.get(effect.beside) if effect.beside else None
        # All attempts exist before the first INVITE leaves, because an INVITE may fail while the others are being made.
        leg.attempts = [Attempt(leg, leg.negotiate_on(place.flow), place.phone, now) for place in places]
        for attempt, place in zip(list(leg.attempts), places, strict=True):
            sdp = attempt.negotiator.offer(prefer=beside.codec if beside else None)
            attempt.session = self._invite(attempt, place, sdp, now)
            self._wiring.session_began(leg.id, attempt.session)

    def _invite(self, attempt: Attempt, place: Place, sdp: bytes, now: Instant) -> Session:
        host, _ = self._wiring.advertise(place.flow)
        return self._ua.invite(
            flow=place.flow,
            target=place.target,
            from_=address_of(place.caller, host),
            to=address_of(Identity("", place.number), place.host or host),
            sdp=sdp,
            headers=() if place.host else [*identity_headers(place.caller, host, "calling"), *place.headers],
            handler=attempt,
            now=now,
        )

    def _show_ringing(self, effect: effects.ShowRinging, now: Instant) -> None:
        leg, session = self._incoming(effect.leg)
        if session is not None:
            session.progress(180, headers=self._shown(leg, effect.shown), now=now)

    def _open_early_media(self, effect: effects.OpenEarlyMedia, now: Instant) -> None:
        leg, session = self._incoming(effect.leg)
        if session is None or leg is None:
            return
        sdp = self._early_description(leg)
        session.progress(183 if sdp else 180, sdp=sdp, headers=self._shown(leg, effect.shown), now=now)

    def _answer_leg(self, effect: effects.AnswerLeg, now: Instant) -> None:
        leg, session = self._incoming(effect.leg)
        if session is None or leg is None:
            return
        headers = self._shown(leg, effect.shown)
        if effect.park_code:
            headers.append((PARK_CODE_HEADER, effect.park_code))
        session.accept(leg.local_description(), headers=headers, now=now)

    def _refuse_leg(self, effect: effects.RefuseLeg, now: Instant) -> None:
        leg, session = self._incoming(effect.leg)
        if session is None or leg is None:
            return
        self._wiring.out.append(
            Note(f"{leg.endpoint} could not call {leg.dialled!r}: {effect.refusal.id}: {effect.refusal.en}", call=effect.call)
        )
        status, headers = status_of(effect.refusal), refusal_headers(effect.refusal, effect.language)
        leg.on_let_go = lambda at: session.reject(status, headers=headers, now=at)
        sdp = self._early_description(leg) if effect.phrases else None
        if sdp is None:
            self._let_go(leg, now)
            return
        session.handler = _Lingering(self, leg)
        leg.refusal_prompt = self._wiring.ids.token()
        leg.hear(Spoken(leg.refusal_prompt, effect.language, effect.phrases))
        session.progress(183, sdp=sdp, headers=headers, now=now)
        self._linger(leg, now + MAX_SPOKEN_REFUSAL_S)

    def _give_up_silent(self, effect: effects.GiveUpSilent, now: Instant) -> None:
        leg = self._legs.get(effect.leg)
        if leg is not None:
            leg.give_up_silent(now)

    def _end_leg(self, effect: effects.EndLeg, now: Instant) -> None:
        leg = self._legs.get(effect.leg)
        if leg is None:
            return
        session = leg.session
        if session is None:
            attempts, leg.attempts = leg.attempts, []
            end_attempts(attempts, now, effect.elsewhere)
            self.gone(leg)
            return
        headers = ELSEWHERE[effect.elsewhere]
        if effect.after_s <= 0:
            session.handler = QUIET
            session.end(now, headers)
            self.gone(leg)
            return
        leg.on_let_go = lambda at: session.end(at, headers)
        leg.hear(Silence())
        session.handler = _Lingering(self, leg)
        self._linger(leg, now + effect.after_s)

    def _hear(self, effect: effects.Hear, now: Instant) -> None:
        leg = self._legs.get(effect.leg)
        if leg is not None:
            leg.hear(effect.sound)

    def _show_party(self, effect: effects.ShowParty, now: Instant) -> None:
        leg = self._legs.get(effect.leg)
        # Only by UPDATE: a display is not worth a re-INVITE. And only people have displays: no gateway is told who answered.
        if leg is not None and leg.session is not None and leg.is_a_person and leg.session.peer_allows("UPDATE"):
            leg.session.tell_identity(self._shown(leg, effect.shown), now)

    def _transfer_progress(self, effect: effects.TransferProgress, now: Instant) -> None:
        self._transfers.progress(effect, now)

    def _not_restored(self, effect: effects.NotRestored, now: Instant) -> None:
        self._wiring.out.append(Note(effect.why))

    # Lingering: legs that call control has forgotten and that still have something to hear or to wait for

    def _linger(self, leg: PhoneLeg, until: Instant) -> None:
        self._legs.pop(leg.id, None)
        self._lingering[leg.id] = leg
        self.timers.set(leg.id, until)

    def _leave_device(self, leg: PhoneLeg) -> None:
        there = self._of_endpoint.get(leg.endpoint)
        if there is not None and there.pop(leg.id, None) is not None and not there:
            del self._of_endpoint[leg.endpoint]

    def _let_go(self, leg: PhoneLeg, now: Instant) -> None:
        if leg.session is not None:
            leg.session.handler = QUIET
        if leg.on_let_go is not None:
            leg.on_let_go(now)
        self.gone(leg)

    # Small things

    def _incoming(self, leg_id: str) -> tuple[PhoneLeg | None, Session | None]:
        leg = self._legs.get(leg_id)
        return leg, (leg.session if leg else None)

    def _shown(self, leg: PhoneLeg | None, shown: Identity) -> list[tuple[str, str]]:
        if leg is None or leg.session is None or not (shown.name or shown.number):
            return []
        if not isinstance(self._endpoint_of(leg.endpoint), Device):
            return []  # Names and extensions stay in the house (RFC 3325 section 7). What is gone by now may have been a trunk.
        host, _ = self._wiring.advertise(leg.session.flow)
        return [*identity_headers(shown, host, "called")]

    def _early_description(self, leg: PhoneLeg) -> bytes | None:
        """SDP for a 183, or None where the INVITE brought no offer to answer."""
        assert leg.session is not None
        if not leg.session.request.body:
            return None
        try:
            return leg.local_description()
        except SdpError:
            return None


class _Lingering(Quiet):
    """The far side of a lingering leg may go by itself."""

    def __init__(self, legs: Legs, leg: PhoneLeg) -> None:
        self._legs = legs
        self._leg = leg

    def on_ended(self, session: Session, why: End, now: Instant) -> None:
        """Hung up before we did, or cancelled while it heard a refusal."""
        self._legs.gone(self._leg)

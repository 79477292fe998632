"""Legs, registrations and subscriptions written down after each input, and read back when the process comes back.

A leg is kept from its answer on, with its SIP session and what was agreed about its sound, until the far side has answered the
BYE. It is written again only when something has changed that matters afterwards. The end does not (a leg that no call knows is
ended again), and an ACK can wait for ``ACKED_KEPT_S`` (until then the 2xx is sent again and acknowledged again). Streams do
not outlive the process: their phones are reached when they register again, or by a new connection.

A subscription is kept apart from the leg whose dialog it may share, until its last NOTIFY is answered.

Not kept: what rings (call control begins it anew), what a leg hears (call control says it), and the time that a leg lingers.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from parkade.base.clock import Instant
from parkade.base.journal import Drop, Json, Keep, KeptError
from parkade.rtp.offer_answer import AudioNegotiator
from parkade.sip.session.dialog import Dialog
from parkade.sip.session.lifecycle import State
from parkade.sip.session.session import Session
from parkade.sip.session.subscription import Subscription
from parkade.sip.session.ua import UserAgent
from parkade.sip.session.usage import Usage
from parkade.switch.contact import Phone
from parkade.switch.inputs import Note
from parkade.switch.leg import QUIET, PhoneLeg, Wiring
from parkade.switch.legs import Legs
from parkade.switch.registrar import PREFIX as BINDING
from parkade.switch.registrar import Registrar

LEG = "leg/"
"""What the keys of kept legs begin with."""

SUBSCRIPTION = "subscription/"
"""What the keys of kept subscriptions begin with."""

ACKED_KEPT_S = 2.0
"""How long after an ACK a leg is written again, unless it is over by then. Every phone expects a 2xx to come again 0.5, 1.5
and 3.5 s after the first; much later some do not."""

_UNREADABLE = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError)


class Keeping:
    """What of the switch outlives the process, calls apart. ``changes`` is asked after each input."""

    def __init__(self, ua: UserAgent, registrar: Registrar, legs: Legs, wiring: Wiring) -> None:
        self._ua = ua
        self._registrar = registrar
        self._legs = legs
        self._wiring = wiring
        self._touched = ua.touched
        self._kept: dict[str, tuple[object, ...] | None] = {}
        self._unacked: set[str] = set()
        """Legs whose kept value still waits for the ACK."""
        self._acked: OrderedDict[str, tuple[Instant, Session]] = OrderedDict()
        """Legs that are to be written again, and when: the next first. The first of a plain dict would be looked for among all
        that were deleted before it."""
        self._subscriptions: dict[str, tuple[object, ...]] = {}
        """The fingerprint of each subscription as it was written last."""

    def deadline(self) -> Instant | None:
        """When ``changes`` wants to be asked without an input."""
        return next(iter(self._acked.values()))[0] if self._acked else None

    def changes(self, now: Instant) -> list[Keep | Drop]:
        """What has become of the legs and registrations that have changed since this was last asked."""
        changes = self._registrar.changes()
        touched = self._touched
        if touched:
            for usage in touched if len(touched) == 1 else sorted(touched, key=_id):
                change: Keep | Drop | None = None
                if isinstance(usage, Session):
                    change = self._change(usage, now)
                elif isinstance(usage, Subscription):
                    change = self._change_subscription(usage)
                if change is not None:
                    changes.append(change)
            touched.clear()
        while self._acked:
            leg_id, (due, session) = next(iter(self._acked.items()))
            if due > now:
                break
            del self._acked[leg_id]
            leg = self._legs.anywhere(leg_id)
            if leg is not None and leg.session is session and leg_id in self._kept and session.state is State.CONFIRMED:
                changes.append(Keep(LEG + leg_id, _written(leg, session)))
        return changes

    def _change(self, session: Session, now: Instant) -> Keep | Drop | None:
        leg_id = session.data
        if not isinstance(leg_id, str) or session.dialog is None:
            return None
        if session.is_done:
            if leg_id not in self._kept:
                return None
            del self._kept[leg_id]
            self._unacked.discard(leg_id)
            self._acked.pop(leg_id, None)
            return Drop(LEG + leg_id)
        leg = self._legs.anywhere(leg_id)
        if leg is None or leg.session is not session or session.state not in (State.ACCEPTED, State.CONFIRMED):
            # It is being ended. If we die before the far side has answered, its call is gone and it is ended again.
            return None
        fingerprint = _fingerprint(leg, session, session.dialog)
        if self._kept.get(leg_id) == fingerprint:
            if session.state is State.CONFIRMED and leg_id in self._unacked:
                self._unacked.discard(leg_id)
                self._acked[leg_id] = now + ACKED_KEPT_S, session
            return None
        self._kept[leg_id] = fingerprint
        self._acked.pop(leg_id, None)
        (self._unacked.add if session.state is State.ACCEPTED else self._unacked.discard)(leg_id)
        return Keep(LEG + leg_id, _written(leg, session))

    def _change_subscription(self, subscription: Subscription) -> Keep | Drop | None:
        id_ = subscription.id
        if subscription.is_done:
            return Drop(SUBSCRIPTION + id_) if self._subscriptions.pop(id_, None) is not None else None
        fingerprint = subscription.fingerprint
        if self._subscriptions.get(id_) == fingerprint:
            return None
        self._subscriptions[id_] = fingerprint
        return Keep(SUBSCRIPTION + id_, subscription.snapshot())

    # Back

    def restore(self, kept: Mapping[str, Json], now: Instant) -> tuple[list[Keep | Drop], list[str]]:
        """Registrations and legs as they were. What cannot be read is noted and dropped; second, the legs of that kind."""
        drops: list[Keep | Drop] = []
        lost: list[str] = []
        # Subscriptions first: sessions begin to speak at once, perhaps in the same dialog.
        for key, value in sorted(kept.items(), key=_subscriptions_first):
            try:
                if key.startswith(BINDING):
                    self._registrar.restore(key.removeprefix(BINDING), value, now)
                elif key.startswith(SUBSCRIPTION):
                    self._restore_subscription(value, now)
                elif key.startswith(LEG):
                    self._restore_leg(key.removeprefix(LEG), value, now)
            except KeptError as error:
                self._wiring.out.append(Note(str(error)))
                drops.append(Drop(key))
                if key.startswith(LEG):
                    lost.append(key.removeprefix(LEG))
        return drops, lost

    def _restore_subscription(self, value: Json, now: Instant) -> None:
        if not isinstance(value, Mapping):
            raise KeptError("a kept subscription that is none")
        subscription = self._ua.notifier.restore(value, now)
        self._subscriptions[subscription.id] = ()

    def _restore_leg(self, leg_id: str, value: Any, now: Instant) -> None:
        try:
            kept_session = value["session"]
            if "device" in value:
                value = {"endpoint": value["device"], **value}  # As it was called before there were trunks.
            leg = _read(leg_id, value, self._wiring) if "endpoint" in value else None
            if not isinstance(kept_session, Mapping):
                raise TypeError("no session")
        except _UNREADABLE as error:
            raise KeptError(f"a kept leg that cannot be read: {leg_id}: {error!r}") from error
        if leg is not None and leg.port is not None and not self._wiring.ports.claim(leg.port):
            leg.port = None  # Only if the journal is damaged: the leg has no sound, and its call goes on.
        if leg is not None:
            self._legs.add(leg)
        try:
            session = self._ua.restore(kept_session, leg or QUIET, now)
        except KeptError:
            if leg is not None:
                self._legs.gone(leg)
            raise
        self._kept[leg_id] = None
        if session.state is State.ACCEPTED:
            self._unacked.add(leg_id)
        session.data = leg_id
        if leg is None:
            return
        leg.session, leg.restored_at = session, now
        if self._legs.get(leg_id) is not leg:
            return  # Its end was due.
        leg.established = session.state is State.CONFIRMED
        if leg.negotiator is not None and leg.negotiator.agreed is not None:
            leg.held = leg.negotiator.agreed.remote_on_hold


def _subscriptions_first(item: tuple[str, Json]) -> bool:
    return not item[0].startswith(SUBSCRIPTION)


def _id(usage: Usage) -> str:
    return usage.id


def _fingerprint(leg: PhoneLeg, session: Session, dialog: Dialog) -> tuple[object, ...]:
    """What of a leg makes it worth writing down again."""
    offers = dialog.offers
    return (
        dialog.local_seq,
        dialog.target,
        dialog.flow,
        offers.turn,
        offers.local,
        offers.remote,
        leg.port,
        session.cancelled,
        session.expires_at,
        tuple(session.changes),
        session.sent_change is None,
    )


def _written(leg: PhoneLeg, session: Session) -> dict[str, Json]:
    value: dict[str, Json] = {
        "endpoint": leg.endpoint,
        "account": leg.account,
        "dialled": leg.dialled,
        "is_a_person": leg.is_a_person,
        "port": leg.port,
        "session": session.snapshot(),
    }
    if leg.established_at is not None:
        value["established_at"] = leg.established_at
    if leg.phone is not None:
        value["phone"] = [*leg.phone]
    if leg.negotiator is not None:
        value["audio"] = leg.negotiator.snapshot()
    return value


def _read(leg_id: str, value: Any, wiring: Wiring) -> PhoneLeg:
    leg = PhoneLeg(leg_id, str(value["endpoint"]), str(value["account"]), wiring, str(value.get("dialled", "")))
    leg.is_a_person = value.get("is_a_person", True) is True
    port = value.get("port")
    leg.port = None if port is None else int(port)
    if leg.port is not None and not 0 < leg.port < 65536:
        raise ValueError(f"port {port!r}")
    if (established_at := value.get("established_at")) is not None:
        leg.established_at = float(established_at)
    if (phone := value.get("phone")) is not None:
        contact, instance, call_id, *_ = phone
        leg.phone = Phone(str(contact), None if instance is None else str(instance), None if call_id is None else str(call_id))
    if (audio := value.get("audio")) is not None:
        leg.negotiator = AudioNegotiator.restore(audio, str(value["session"]["local_sdp"]).encode("latin-1"))
    return leg

"""Calls read back after the process has died: the other half of ``keeping.py``.

Every call is made what it was: the same ends, stage, code and deadline. What rang is begun anew, with the time that was left.
Deadlines that have passed meanwhile are due at once, and once only. Legs that could not be continued are handled as lost.

A value that cannot be read is told of (``NotRestored``) and dropped; it takes no other call with it. Should a slot be claimed
twice, the second call is parked at another one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any

from parkade.base.clock import Instant
from parkade.base.journal import Json, KeptError
from parkade.base.sound import Spoken
from parkade.calls.audience import EVERYBODY, Audience
from parkade.calls.call import (
    MUSIC,
    RINGBACK,
    Announcing,
    Call,
    Leaving,
    Leg,
    Parked,
    Purpose,
    Ringing,
    Stage,
    Stay,
    Talking,
    Waiting,
)
from parkade.calls.directory import (
    Assignment,
    Device,
    Endpoint,
    Lot,
    NotPickedUp,
    Owner,
    OwnerKind,
    ParkPolicy,
    Trunk,
    VisibilityKind,
)
from parkade.calls.effects import NotRestored
from parkade.calls.identity import Identity
from parkade.calls.inputs import Cause, LegEnded
from parkade.calls.keeping import PREFIX, VERSION
from parkade.calls.park import ParkLot, PickUp
from parkade.calls.plan import OutsideNumber, RingPlan, Step, Target
from parkade.calls.recall import RingBack, put_back
from parkade.calls.state import CallState, LotTimer
from parkade.calls.transfer import Returning, Transferring

_UNREADABLE = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError)


def restore(state: CallState, kept: Mapping[str, Json], lost: Collection[str]) -> None:
    """Fill an empty state with what was kept, as of ``state.now``. ``lost`` are legs that could not be continued."""
    without_slot: list[tuple[Call, Parked]] = []
    missing = set(lost)
    for key, value in kept.items():
        if not key.startswith(PREFIX):
            continue
        call_id = key.removeprefix(PREFIX)
        state.kept.add(call_id)
        try:
            without_slot += _read_call(state, call_id, value)
        except KeptError as error:
            state.out.append(NotRestored(key, str(error)))
        if call_id not in state.calls:
            state.touched[call_id] = None
    calls = list(state.calls.values())
    for call, parked in without_slot:
        put_back(state, call, parked)
    for leg_id in missing:
        if leg := state.legs.get(leg_id):
            call = leg.call
            state.forget(leg)
            state.rules(call).gone(state, call, leg, LegEnded(leg_id, cause=Cause.LOST))
    # Two lost legs may have faced each other: what was decided for the one that was handled last reaches nobody.
    state.out = [effect for effect in state.out if getattr(effect, "leg", None) not in missing]
    for call in calls:
        if state.calls.get(call.id) is call:
            state.update_sound(call)
            state.rules(call).restored(state, call)


def _read_call(state: CallState, call_id: str, value: Json) -> list[tuple[Call, Parked]]:
    """Put one call into the state; returned with its stage if its slot is not free. Raises ``KeptError``."""
    try:
        return _Reader(state, value).call(call_id)
    except _UNREADABLE as error:
        raise KeptError(f"a kept call that cannot be read: {call_id}: {error!r}") from error


def _number(value: Any) -> float:
    """A finite number. Raises ``ValueError`` for anything else."""
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is no number")
    return number


class _Reader:
    """Reads one value. Nothing is changed in the state before all of it has been read."""

    def __init__(self, state: CallState, value: Any) -> None:
        self._state = state
        self._value = value
        self._account: str = ""

    def call(self, call_id: str) -> list[tuple[Call, Parked]]:
        """Read everything, then put it in place."""
        value, state = self._value, self._state
        if value["version"] != VERSION:
            raise ValueError(f"version {value['version']!r}")
        pick_ups = [self._pick_up(call_id, one) for one in value.get("picked_up") or ()]
        if "party" not in value:
            self._remember(pick_ups)
            return []
        self._account = str(value["account"])
        stage: Stage = _STAGES[value["stage"]](self, value["is"])
        started_at = _number(value["started_at"])
        since = _number(value.get("since", started_at))
        call = Call(call_id, self._account, self._leg(value["party"]), stage, started_at, since)
        call.other = self._leg(value["other"]) if value.get("other") else None
        reserved = value.get("reserved")
        code = (self._lot(reserved["lot"]), int(reserved["slot"]), _number(reserved["until"])) if reserved else None
        until = self._until(stage)
        self._check(call)
        # From here on nothing fails.
        state.calls[call_id] = call
        for leg in call.legs():
            state.attach(leg, call)
        if until is not None:
            state.timers.set(call_id, until)
        self._remember(pick_ups)
        if code is not None:
            self._reserve(call, *code)
        if isinstance(stage, Parked) and not stage.stay.lot.restore(stage.stay.slot, call_id):
            return [(call, stage)]
        return []

    def _check(self, call: Call) -> None:
        """Raises ``ValueError`` for ends that the stage does not have, or that another call has."""
        alone = isinstance(call.stage, Parked | Waiting | Leaving)
        if (isinstance(call.stage, Talking) and call.other is None) or (alone and call.other is not None):
            raise ValueError("ends that do not belong to the stage")
        ids = [leg.id for leg in call.legs()]
        if len(set(ids)) < len(ids) or any(id_ in self._state.legs for id_ in ids):
            raise ValueError("a leg that belongs to another call")

    def _until(self, stage: Stage) -> Instant | None:
        """The deadline of a stage."""
        match stage:
            case Talking():
                return None
            case Parked(expires_at=expires_at):
                return expires_at
            case _:
                return _number(self._value["until"])

    def _remember(self, pick_ups: list[tuple[ParkLot, int, PickUp, Instant]]) -> None:
        state = self._state
        for lot, slot, pick_up, until in pick_ups:
            last = lot.last_pick_up(slot)
            if lot.call_at(slot) is None and (last is None or last.at < pick_up.at):
                lot.remember(slot, pick_up)
                state.timers.set((LotTimer.FORGET, lot, slot), until)
                state.pick_ups.setdefault(pick_up.call, set()).add((lot, slot))

    def _reserve(self, call: Call, lot: ParkLot, slot: int, until: Instant) -> None:
        state = self._state
        if lot.restore(slot, call.id, reserved=True):
            call.reserved = lot, slot
            state.timers.set((LotTimer.RELEASE, lot, slot), until)

    # Stages

    def _ringing(self, value: Any) -> Ringing:
        purpose, except_endpoint, step = self._purpose(value["purpose"]), value.get("except_endpoint"), int(value["step"])
        plan = RingPlan(tuple(self._step(one) for one in value["plan"]))
        if not 0 <= step < len(plan.steps):
            raise ValueError(f"step {step} of {len(plan.steps)}")
        stage = Ringing(purpose, self._identity(value["shown"]), plan, self._identity(value["caller"]), except_endpoint, step)
        stage.declined.update(str(one) for one in value.get("declined", ()))
        return stage

    def _step(self, value: Any) -> Step:
        targets = tuple(target for one in value["targets"] if (target := self._target(one)))
        return Step(targets, _number(value["ring_s"]), tuple(str(one) for one in value.get("forwarded_by", ())))

    def _target(self, value: Any) -> Target | None:
        if "number" not in value:
            return self._owner(value["owner"])
        trunk = self._endpoint(value["trunk"])
        return OutsideNumber(trunk, str(value["number"])) if isinstance(trunk, Trunk) else None

    def _purpose(self, value: Any) -> Purpose:
        match value["name"]:
            case "transferring":
                return Transferring(str(value["transfer"]), self._owner(value["transferor"]))
            case "returning":
                return Returning(meanwhile=MUSIC if value["music"] else RINGBACK)
            case "ring_back":
                until = value.get("until")
                return RingBack(self._stay(value["stay"]), None if until is None else float(until))
            case name:
                raise ValueError(f"purpose {name!r}")

    def _talking(self, value: Any) -> Talking:
        parked = value.get("picked_up")
        return Talking(picked_up=self._parked(parked) if parked else None)

    def _parked(self, value: Any) -> Parked:
        return Parked(self._stay(value["stay"]), _number(value["expires_at"]))

    def _waiting(self, value: Any) -> Waiting:
        return Waiting(self._stay(value["stay"]))

    def _announcing(self, value: Any) -> Announcing:
        return Announcing(self._spoken(value["spoken"]), str(value["code"]))

    def _leaving(self, value: Any) -> Leaving:
        return Leaving(self._spoken(value["spoken"]))

    # Parts

    def _leg(self, value: Any) -> Leg:
        endpoint = self._endpoint(value["endpoint"])
        sees, keep = value.get("sees"), self._identity(value["identity"])
        leg = Leg(str(value["id"]), endpoint, self._owner(value.get("owner")), keep, str(value["language"]), up=True)
        leg.held, leg.sees, leg.hears = int(value.get("held", 0)), self._identity(sees) if sees else None, None
        return leg

    def _endpoint(self, value: Any) -> Endpoint:
        if "trunk" in value:
            return self._state.endpoint_now(Trunk(str(value["trunk"]), self._account, str(value["name"]), ""))
        return self._state.endpoint_now(Device(str(value["device"]), self._account, str(value["extension"])))

    def _owner(self, value: Any) -> Owner | None:
        if value is None:
            return None
        site = value.get("site")
        then = Owner(
            str(value["extension"]),
            str(value["name"]),
            OwnerKind(value.get("kind", "user")),
            str(value.get("language", "en")),
            site=None if site is None else str(site),
            id=str(value["id"]),
        )
        return self._state.owner_now(self._account, then)

    def _stay(self, value: Any) -> Stay:
        policy, parker = value["policy"], self._owner(value.get("parker"))
        lot, slot, since = self._lot(value["lot"]), int(value["slot"]), _number(value["since"])
        rounds, note, audience = int(value.get("rounds", 0)), str(value.get("note", "")), self._audience(value.get("audience"))
        return Stay(lot, slot, parker, self._policy(policy), since, rounds, note, audience)

    def _audience(self, value: Any) -> Audience:
        if value is None:
            return EVERYBODY
        kind, place, *people = value
        return Audience(VisibilityKind(kind), None if place is None else str(place), tuple([str(one) for one in people]))

    def _policy(self, value: Any) -> ParkPolicy:
        usual = ParkPolicy()
        forward_to = value.get("forward_to")
        return ParkPolicy(
            enable=bool(value.get("enable", usual.enable)),
            expiration_s=_number(value.get("expiration_s", usual.expiration_s)),
            not_picked_up=NotPickedUp(value.get("not_picked_up", usual.not_picked_up)),
            forward_to=None if forward_to is None else str(forward_to),
            assignment=Assignment(value.get("assignment", usual.assignment)),
            reserve_s=_number(value.get("reserve_s", usual.reserve_s)),
            ring_back_s=_number(value.get("ring_back_s", usual.ring_back_s)),
        )

    def _lot(self, value: Any) -> ParkLot:
        return self._lot_of(self._account, value)

    def _lot_of(self, account: str, value: Any) -> ParkLot:
        lot, site = Lot(str(value["name"]), int(value["first"]), int(value["last"]), id=str(value["id"])), value.get("site")
        return self._state.lot_kept(account, lot, None if site is None else str(site))

    def _pick_up(self, call_id: str, value: Any) -> tuple[ParkLot, int, PickUp, Instant]:
        audience = self._audience(value.get("audience"))
        who = PickUp(call_id, str(value["name"]), str(value["extension"]), _number(value["at"]), audience)
        slot, until = int(value["slot"]), _number(value["until"])
        return self._lot_of(str(value["account"]), value["lot"]), slot, who, until

    def _identity(self, value: Any) -> Identity:
        name, number = value
        return Identity(str(name), str(number))

    def _spoken(self, value: Any) -> Spoken:
        return Spoken(str(value["prompt"]), str(value["language"]), tuple(str(phrase) for phrase in value["phrases"]))


_STAGES: Mapping[str, Callable[[_Reader, Any], Stage]] = {
    "ringing": _Reader._ringing,
    "talking": _Reader._talking,
    "parked": _Reader._parked,
    "waiting": _Reader._waiting,
    "announcing": _Reader._announcing,
    "leaving": _Reader._leaving,
}
"""What reads the stage that is written down under a name."""

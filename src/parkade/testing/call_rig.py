"""Drives a ``CallControl`` without SIP: phones that call, park and pick up, and a clock that the test moves.

``CallRig`` tells it what the switch would, and records every leg from the effects. An effect
that a switch could not perform (about a leg that was ended, an answer to a leg that called nobody) is an ``AssertionError`` at
once, and after every step ``check_invariants`` examines the state of call control.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TypeVar, overload

from parkade.base.clock import Instant
from parkade.base.ids import Ids
from parkade.base.journal import Drop, Keep
from parkade.base.sound import Peer, Silence, Sound, Spoken, Tone
from parkade.calls.board import Board
from parkade.calls.call import Announcing, Leaving, Parked, Ringing, Talking, Waiting
from parkade.calls.commands import Command, Reply, Wanted
from parkade.calls.control import CallControl
from parkade.calls.directory import Directory
from parkade.calls.effects import (
    AnswerLeg,
    Effect,
    EndLeg,
    GiveUpSilent,
    Hear,
    NotRestored,
    OpenEarlyMedia,
    Progress,
    RefuseLeg,
    RingEndpoint,
    ShowParty,
    ShowRinging,
    SlotChanged,
    SlotState,
    TransferProgress,
)
from parkade.calls.events import CallEvent, Happening
from parkade.calls.identity import Identity
from parkade.calls.inputs import (
    Cause,
    DirectoryChanged,
    Failure,
    Input,
    KeyPressed,
    LegAnswered,
    LegArrived,
    LegEnded,
    LegFailed,
    LegForwarded,
    LegHeld,
    LegRang,
    LegResumed,
    PromptEnded,
    TransferAsked,
)
from parkade.calls.keeping import is_kept

Kind = TypeVar("Kind", bound=CallEvent)
FINAL = {Progress.DONE, Progress.FAILED, Progress.REFUSED}


@dataclass(slots=True)
class Phone:
    """What one leg looks like from its device."""

    leg: str
    device: str
    outgoing: bool
    """Seen from the server: this device is called."""
    up: bool = False
    hears: Sound = field(default_factory=Silence)
    display: Identity | None = None
    ring: RingEndpoint | None = None
    park_code: str | None = None
    refused: RefuseLeg | None = None
    ended: EndLeg | None = None
    gone: bool = False
    """Nothing more may be said of this leg."""


class CallRig:
    """Phones call, park and pick up by the methods named so; every method returns when all that follows is done."""

    def __init__(self, directory: Directory, seed: int = 1, now: Instant = 1_000_000.0) -> None:
        self._ids = Ids(Random(seed).randbytes)  # noqa: S311 - repeatable, not secret
        self._directory = directory
        self.control = CallControl(directory, self._ids)
        self.now = now
        self.kept: dict[str, str] = {}
        """What the journal would hold, as JSON text by key."""
        self.commands: set[str] = set()
        self.replies: dict[str, Reply] = {}
        """By command."""
        self.slots: dict[tuple[str, str, int], SlotChanged] = {}
        """What a board would show: by account, lot and slot."""
        self.board = Board()
        """What somebody knows who only hears the events."""
        self.not_restored: list[NotRestored] = []
        self.effects: list[Effect] = []
        """Everything that happened, in order."""
        self.phones: dict[str, Phone] = {}
        """By leg."""
        self.transfers: dict[str, list[TransferProgress]] = {}
        self._serial = 0

    # What phones do

    def call(
        self,
        device: str,
        dialled: str,
        *,
        replaces: Phone | None = None,
        early_only: bool = False,
        caller: Identity | None = None,
    ) -> Phone:
        """``device`` dials."""
        leg = self._name("leg")
        self.tell(LegArrived(leg, device, dialled, replaces.leg if replaces else None, caller, early_only))
        return self.phones[leg]

    def rings(self, device: str, early_media: bool = False) -> Phone:
        """``device`` says that it rings."""
        phone = self.ringing(device)
        self.tell(LegRang(phone.leg, early_media))
        return phone

    def answer(self, device: str) -> Phone:
        """Somebody picks up at ``device``."""
        phone = self.ringing(device)
        self.tell(LegAnswered(phone.leg))
        return phone

    def fail(self, device: str, why: Failure) -> Phone:
        """``device`` cannot or does not want to."""
        phone = self.ringing(device)
        self.tell(LegFailed(phone.leg, why))
        return phone

    def forward(self, device: str, *targets: str, rings_on: bool = False) -> Phone:
        """``device`` forwards to one of ``targets``; with ``rings_on`` that is one of several phones of it."""
        phone = self.ringing(device)
        self.tell(LegForwarded(phone.leg, targets))
        if not rings_on:
            self.tell(LegFailed(phone.leg, Failure.REDIRECTED))
        return phone

    def hang_up(self, phone: Phone, cause: Cause = Cause.HUNG_UP, *, established: bool = True, cancelled: bool = False) -> None:
        """The device hangs up or cancels, or is lost."""
        self.tell(LegEnded(phone.leg, established, cause, cancelled))

    def hold(self, phone: Phone) -> None:
        """The device holds."""
        self.tell(LegHeld(phone.leg))

    def resume(self, phone: Phone) -> None:
        """The device resumes."""
        self.tell(LegResumed(phone.leg))

    def press(self, phone: Phone, keys: str, pause_s: float = 0.2) -> None:
        """Keys one after the other."""
        for key in keys:
            self.tell(KeyPressed(phone.leg, key))
            self.advance(pause_s)

    def transfer(self, phone: Phone, target: str, consult: Phone | None = None) -> str:
        """A REFER. Returns the name under which ``progress`` tells of it."""
        name = self._name("transfer")
        self.transfers[name] = []
        self.tell(TransferAsked(phone.leg, name, target, consult.leg if consult else None))
        return name

    def command(self, account: str, wanted: Wanted) -> str:
        """A program asks. Returns the id of the command."""
        id_ = self._name("command")
        self.commands.add(id_)
        self.tell(Command(id_, account, wanted))
        return id_

    def listen(self, phone: Phone) -> None:
        """What is being said to the phone is heard to its end."""
        assert isinstance(phone.hears, Spoken), phone.hears
        self.tell(PromptEnded(phone.leg, phone.hears.prompt))

    def conversation(self, caller: str, dialled: str, callee: str | None = None) -> tuple[Phone, Phone]:
        """``caller`` dials, ``callee`` (the only device there unless named) answers."""
        one = self.call(caller, dialled)
        two = self.answer(callee or next(p.device for p in self.phones.values() if self._rings(p) and p.leg != one.leg))
        return one, two

    def advance(self, seconds: float) -> None:
        """Time passes; everything due on the way happens at its own moment."""
        until = self.now + seconds
        while (due := self.control.deadline()) is not None and due <= until:
            self.now = max(self.now, due)
            self._perform(self.control.wake(self.now))
        self.now = until

    def tell(self, given: Input) -> list[Effect]:
        """One input of any kind, after what is due."""
        self._perform(self.control.wake(self.now))
        match given:
            case DirectoryChanged(directory):
                self._directory = directory
            case LegArrived(leg, device):
                self.phones[leg] = Phone(leg, device, outgoing=False)
            case LegEnded(leg) | LegFailed(leg):
                self.phones[leg].gone = True
            case LegAnswered(leg) if not self.phones[leg].gone:
                self.phones[leg].up = True
        effects = self.control.tell(given, self.now)
        self._perform(effects)
        return effects

    def crash(self, lost: Collection[Phone] = ()) -> None:
        """The process dies, and a fresh call control is given what was kept.

        Legs that nothing was kept of are gone, as a switch would end them; so are ``lost`` ones.
        """
        self.control = CallControl(self._directory, self._ids)
        self.slots.clear()
        kept = {key: json.loads(value) for key, value in self.kept.items()}
        ends = [value.get(end) for value in kept.values() for end in ("party", "other")]
        known = {end["id"] for end in ends if end}
        for phone in self.phones.values():
            phone.gone = phone.gone or phone.leg not in known or phone in lost
            phone.hears = Tone("unknown")
        effects = self.control.restore(kept, self.now, {phone.leg for phone in lost})
        self._perform(effects)
        assert all(phone.hears != Tone("unknown") for phone in self.phones.values() if not phone.gone)

    # What one can see

    def ringing(self, device: str) -> Phone:
        """The leg that rings at ``device``; there must be one."""
        found = [phone for phone in self.phones.values() if phone.device == device and self._rings(phone)]
        assert found, f"{device} does not ring"
        return found[-1]

    def is_ringing(self, device: str) -> bool:
        """Whether anything rings at ``device``."""
        return any(phone.device == device and self._rings(phone) for phone in self.phones.values())

    def all_ringing(self) -> set[str]:
        """Every device that rings."""
        return {phone.device for phone in self.phones.values() if self._rings(phone)}

    def talking(self, one: Phone, two: Phone) -> bool:
        """Whether the two are up and hear each other."""
        return one.up and two.up and not one.gone and not two.gone and (one.hears, two.hears) == (Peer(two.leg), Peer(one.leg))

    def progress(self, transfer: str) -> list[Progress]:
        """How a transfer went."""
        return [step.progress for step in self.transfers[transfer]]

    @overload
    def events(self) -> list[CallEvent]: ...

    @overload
    def events(self, *kinds: type[Kind]) -> list[Kind]: ...

    def events(self, *kinds: type[CallEvent]) -> Sequence[CallEvent]:
        """Events of these classes, all if none is named."""
        return [effect for effect in self.effects if isinstance(effect, kinds or CallEvent)]

    # The record

    def _name(self, what: str) -> str:
        self._serial += 1
        return f"{what}-{self._serial}"

    @staticmethod
    def _rings(phone: Phone) -> bool:
        return phone.outgoing and not phone.up and not phone.gone

    def _perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            self._enter(effect)
        self.effects += effects
        check_invariants(self.control, self)

    def _enter(self, effect: Effect) -> None:
        match effect:
            case RingEndpoint(leg, device, caller):
                assert leg not in self.phones
                self.phones[leg] = Phone(leg, device, outgoing=True, display=caller, ring=effect)
            case ShowRinging(leg, shown) | OpenEarlyMedia(leg, shown):
                phone = self._waiting(leg)
                phone.display = shown
            case AnswerLeg(leg, shown, park_code):
                phone = self._waiting(leg)
                phone.up, phone.display, phone.park_code = True, shown, park_code
            case RefuseLeg(leg):
                phone = self._waiting(leg)
                phone.refused, phone.gone = effect, True
            case GiveUpSilent():
                pass
            case EndLeg(leg):
                if (known := self.phones.get(leg)) is None or known.gone:
                    return  # the answer that crossed
                known.ended, known.gone = effect, True
            case Hear(leg, sound):
                phone = self._present(leg)
                assert phone.hears != sound
                phone.hears = sound
            case ShowParty(leg, shown):
                phone = self._present(leg)
                assert phone.up
                phone.display = shown
            case TransferProgress(transfer):
                steps = self.transfers[transfer]
                if steps:
                    assert effect.progress not in {Progress.ACCEPTED, Progress.REFUSED}, (steps, effect)
                    assert steps[-1].progress not in FINAL, (steps, effect)
                else:
                    assert effect.progress in {Progress.ACCEPTED, Progress.REFUSED}, effect
                steps.append(effect)
            case Keep(key, value):
                self.kept[key] = json.dumps(value)
            case Drop(key):
                self.kept.pop(key, None)
            case Reply(id_):
                assert id_ in self.commands
                assert id_ not in self.replies
                self.replies[id_] = effect
            case SlotChanged(account, lot, slot):
                self.slots[account, lot, slot] = effect
            case NotRestored():
                self.not_restored.append(effect)
            case Happening():
                self.board.tell(effect)

    def _present(self, leg: str) -> Phone:
        phone = self.phones[leg]
        assert not phone.gone, f"{leg} is gone"
        return phone

    def _waiting(self, leg: str) -> Phone:
        phone = self._present(leg)
        assert not phone.outgoing, f"{leg} was called by us"
        assert not phone.up, f"{leg} is answered already"
        return phone


def check_invariants(control: CallControl, rig: CallRig | None = None) -> None:
    """Fail unless every invariant holds.

    No call in two slots and no slot with two calls; no code kept for a call that is gone; nobody without a next step; every
    leg in exactly one call, and heard by nobody outside of it; what is kept is what is there. With ``rig``, its record and
    the state agree on who is there.
    """
    state = control._state
    assert not state.touched
    assert not state.slots_changed
    assert state.kept >= {call.id for call in state.calls.values() if is_kept(call)}
    assert state.kept <= {*state.calls} | {*state.pick_ups}
    attached: Counter[str] = Counter()
    for call in state.calls.values():
        for leg in call.legs():
            attached[leg.id] += 1
            assert leg.call is call
            assert state.legs[leg.id] is leg
            assert state.by_endpoint[leg.endpoint.id][leg.id] is leg
            assert leg.endpoint.account == call.account
        until = state.timers.when(call.id)
        match call.stage:
            case Talking(aside):
                assert call.other
                assert call.party.up
                assert call.other.up
                assert (until is not None) == (aside is not None)
            case Parked(stay, expires_at):
                assert until == expires_at
                assert stay.lot.call_at(stay.slot) == call.id
                assert call.reserved is None
            case Ringing(plan=plan, step=step, branches=branches):
                assert branches
                assert 0 <= step < len(plan.steps)
                assert not any(leg.up for leg in branches.values())
                assert until is not None
            case Announcing():
                assert until is not None
                assert call.party.up
            case Waiting() | Leaving():
                assert until is not None
                assert call.party.up
                assert call.other is None
        if call.reserved:
            lot, slot = call.reserved
            assert lot.reserved_for(slot) == call.id
        for leg in call.legs():
            if isinstance(leg.hears, Peer):
                assert leg.hears.leg in {other.id for other in call.legs() if other is not leg}
    assert set(attached) == set(state.legs)
    assert all(count == 1 for count in attached.values())
    lots = [lot for lots in state.lots.values() for lot in lots.values()]
    parked = Counter(call for lot in lots for _, call in lot.parked())
    assert all(count == 1 for count in parked.values())
    assert set(parked) == {call.id for call in state.calls.values() if isinstance(call.stage, Parked)}
    assert sum(lot.reserved_count for lot in lots) == sum(1 for c in state.calls.values() if c.reserved)
    assert sum(len(legs) for legs in state.by_endpoint.values()) == len(state.legs)
    held = {leg.id for legs in state.holding.values() for leg in legs.values()}
    assert held == {leg.id for leg in state.legs.values() if leg.held}
    if rig is not None:
        present = {leg for leg, phone in rig.phones.items() if not phone.gone}
        assert present == set(state.legs), present ^ set(state.legs)
        shown = {
            SlotState.TAKEN: {(lot.account, lot.lot.id, slot) for lot in lots for slot, _ in lot.parked()},
            SlotState.RESERVED: {
                (lot.account, lot.lot.id, slot) for lot in lots for slot in lot.occupied() if lot.reserved_for(slot)
            },
        }
        for kind, where in shown.items():
            assert {at for at, slot in rig.slots.items() if slot.state is kind} == where
        assert set(rig.kept) == {f"call/{call}" for call in state.kept}
        assert rig.board.calls == {detail.id: detail for detail in control.details()}

"""Call control under a random but legal crowd: messages cross, time jumps, the directory changes, and every invariant holds.

``CallRig`` asks its check_invariants after every step; what a call is told to go through is checked against a table at the end.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TypeVar, get_args

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from parkade.base.sound import Peer, Spoken
from parkade.calls.call import Parked, Ringing, Talking
from parkade.calls.commands import (
    ForceBackCall,
    GiveBackCall,
    HangUpCall,
    ListParked,
    NoteCall,
    ParkCall,
    RetrieveCall,
    TransferCall,
    Wanted,
)
from parkade.calls.directory import Directory, NotPickedUp, ParkPolicy
from parkade.calls.effects import SlotState
from parkade.calls.events import (
    CallAbandoned,
    CallAnswered,
    CallChanged,
    CallEnded,
    CallEvent,
    CallGivenBack,
    CallGivenUp,
    CallParked,
    CallReminded,
    CallReparked,
    CallRetrieved,
    CallReturned,
    CallStarted,
    CallTimedOut,
    CallTransferred,
    Event,
    NoteChanged,
    ParkFailed,
    TransferFailed,
)
from parkade.calls.inputs import (
    Cause,
    DirectoryChanged,
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
    PromptEnded,
)
from parkade.calls.keeping import is_kept
from parkade.calls.park import ParkLot
from parkade.calls.state import LotTimer
from parkade.testing.call_rig import CallRig, Phone
from tests.calls.accounts import CARRIER, two_accounts, with_trunk

POLICY = ParkPolicy(expiration_s=60, ring_back_s=20, reserve_s=15)
FORWARDING = ParkPolicy(expiration_s=60, ring_back_s=20, reserve_s=0, not_picked_up=NotPickedUp.EXTENSION, forward_to="121")
ACME_DEVICES = ("alice", "alice-app", "bob", "carol", "wall", "gw")
DEVICES = (*ACME_DEVICES, "gina", "gus", "door", "dock", "dan", CARRIER.id)
DIALLED = (
    *CARRIER.inbound,
    "+84901234567",
    "101",
    "102",
    "103",
    "110",
    "120",
    "121",
    "105",
    "*800",
    "*801",
    "*802",
    "*803",
    "*805",
    "**801",
    "park:802",
    "999",
)
PAUSES = (0.0, 0.4, 1.0, 5.0, 12.0, 16.0, 31.0, 61.0, 125.0)

COMMANDS = ("park", "retrieve", "retrieve", "retrieve", "force back", "give back", "transfer", "hang up", "note", "list")

TRANSFERRED: set[type[CallEvent]] = {CallTransferred, TransferFailed}
AT_CODE: set[type[CallEvent]] = {
    *(CallRetrieved, CallTimedOut, CallReminded, CallReparked, CallAbandoned, CallGivenBack, NoteChanged, CallEnded),
}

LEGAL: dict[type[CallEvent] | None, set[type[CallEvent]]] = {
    None: {CallStarted},
    CallStarted: {CallAnswered, CallParked, *TRANSFERRED, CallEnded},
    CallAnswered: {CallParked, *TRANSFERRED, CallEnded},
    CallTransferred: {CallParked, *TRANSFERRED, CallEnded},
    TransferFailed: {CallParked, *TRANSFERRED, CallEnded},
    CallParked: AT_CODE,
    CallReparked: AT_CODE,
    CallGivenBack: AT_CODE,
    NoteChanged: AT_CODE,
    CallRetrieved: {CallParked, CallReparked, CallGivenBack, *TRANSFERRED, CallEnded},
    CallReturned: {CallParked, CallReparked, *TRANSFERRED, CallEnded},
    CallTimedOut: {CallReminded, CallReparked, CallAbandoned, CallGivenUp, CallEnded},
    CallReminded: {CallReturned, CallReparked, CallReminded, CallAbandoned, CallGivenUp, CallEnded},
    CallAbandoned: {CallEnded},
    CallGivenUp: {CallEnded},
    CallEnded: set(),
}
"""What may be told of a call after what: above all, each stay at a code ends once, by one winner."""

T = TypeVar("T")
Choose = Callable[[Sequence[T]], T]


class Crowd:
    """Phones that do whatever comes to mind, as far as their own state allows it. What they send may be under way for long."""

    def __init__(self, seed: int = 1, crashes: float = 0.0) -> None:
        self.crashes = crashes
        self.directories: list[Directory] = [with_trunk(two_accounts(POLICY, 801, 803)), two_accounts(FORWARDING, 801, 802)]
        full = self.directories[0]
        self.directories.append(
            Directory(
                {"globex": full.accounts["globex"]},
                {name: device for name, device in full.devices.items() if device.account == "globex"},
            )
        )
        self.rig = CallRig(self.directories[0], seed)
        self.under_way: list[Input] = []
        self.silent: set[str] = set()
        """Legs whose device has sent its last message."""
        self.picked_up: set[str] = set()
        self.lost_commands: set[str] = set()
        self.vanished: set[object] = set()
        """Calls that were not answered yet when the process died."""

    # Who can do something

    def able(self) -> list[Phone]:
        return [p for p in self.rig.phones.values() if not p.gone and p.leg not in self.silent]

    def alerted(self) -> list[Phone]:
        return [p for p in self.able() if p.outgoing and p.leg not in self.picked_up]

    def in_call(self) -> list[Phone]:
        return [p for p in self.able() if p.up or p.leg in self.picked_up]

    # What they do

    def send(self, given: Input, crossing: bool) -> None:
        self.under_way.append(given)
        if not crossing:
            while self.under_way:
                self.deliver(0)

    def deliver(self, which: int) -> None:
        """The oldest message of the same leg arrives: one device's messages keep their order."""
        leg = getattr(self.under_way[which], "leg", None)
        first = next(n for n, given in enumerate(self.under_way) if getattr(given, "leg", None) == leg)
        self.rig.tell(self.under_way.pop(first))

    def call(self, device: str, dialled: str) -> None:
        self.rig.call(device, dialled)

    def replace(self, device: str, replaced: Phone, early_only: bool = False) -> None:
        self.rig.call(device, "", replaces=replaced, early_only=early_only)

    def ring(self, phone: Phone, crossing: bool) -> None:
        self.send(LegRang(phone.leg, early_media=len(phone.leg) % 2 == 0), crossing)

    def answer(self, phone: Phone, crossing: bool) -> None:
        self.picked_up.add(phone.leg)
        self.send(LegAnswered(phone.leg), crossing)

    def fail(self, phone: Phone, why: Failure, crossing: bool, target: str) -> None:
        self.silent.add(phone.leg)
        if why is Failure.REDIRECTED:
            self.send(LegForwarded(phone.leg, (target,)), crossing)
        self.send(LegFailed(phone.leg, why), crossing)

    def forward(self, phone: Phone, crossing: bool, target: str) -> None:
        self.send(LegForwarded(phone.leg, (target,)), crossing)

    def hang_up(self, phone: Phone, crossing: bool, cause: Cause = Cause.HUNG_UP, gave_up: bool = False) -> None:
        self.silent.add(phone.leg)
        self.send(LegEnded(phone.leg, not gave_up, cause, gave_up), crossing)

    def hold(self, phone: Phone, crossing: bool) -> None:
        self.send(LegHeld(phone.leg), crossing)

    def resume(self, phone: Phone, crossing: bool) -> None:
        self.send(LegResumed(phone.leg), crossing)

    def press(self, phone: Phone, crossing: bool) -> None:
        for key in "*5":
            self.send(KeyPressed(phone.leg, key), crossing)

    def listen(self, phone: Phone, crossing: bool) -> None:
        if isinstance(phone.hears, Spoken):
            self.send(PromptEnded(phone.leg, phone.hears.prompt), crossing)

    def transfer(self, phone: Phone, target: str) -> None:
        self.rig.transfer(phone, target)

    def attended(self, phone: Phone, consult: Phone) -> None:
        self.rig.transfer(phone, "", consult)

    def command(self, what: str, code: str, device: str) -> None:
        """A program asks for something, of the right account or another."""
        state = self.rig.control._state
        call = next(iter(state.calls), "none")
        wanted: dict[str, Wanted] = {
            "park": ParkCall(call, "102", note="x"),
            "retrieve": RetrieveCall(code, device),
            "force back": ForceBackCall(code),
            "give back": GiveBackCall(code),
            "transfer": TransferCall(call, "101", "*802" if code == "*802" else "120"),
            "hang up": HangUpCall(call),
            "note": NoteCall(code, "for Ann"),
            "list": ListParked(),
        }
        self.rig.command("globex" if device.startswith("g") else "acme", wanted[what])

    def reload(self, directory: Directory) -> None:
        self.rig.tell(DirectoryChanged(directory))

    def crash(self, lost: Sequence[Phone] = ()) -> None:
        """What was kept comes back as it was: no deadline moves, no code changes hands, nothing happens twice."""
        before, known = facts(self.rig), {call for call, _ in calls(self.rig)}
        told = len(self.rig.effects)
        self.lost_commands |= self.rig.commands - set(self.rig.replies)
        self.rig.crash(lost)
        ended = {e.call for e in self.rig.effects[told:] if isinstance(e, CallEnded)}
        after = facts(self.rig)
        self.vanished |= known - ended - {call for call, _ in calls(self.rig)}
        if not lost:
            assert {call for call, is_kept_ in calls(self.rig) if is_kept_} >= set(before)
            for call, fact in before.items():
                assert after[call] == fact

    def anything(self, choose: Choose[object], chance: Callable[[], float]) -> None:
        """One move, for a crowd that is driven by plain chance."""
        crossing = chance() < 0.2
        alerted, in_call, able = self.alerted(), self.in_call(), self.able()
        moves: list[Callable[[], None]] = [
            lambda: self.call(str(choose(DEVICES)), str(choose(DIALLED))),
            lambda: self.rig.advance(float(str(choose(PAUSES)))),
            *[lambda: self.call(str(choose(ACME_DEVICES)), str(choose(("*801", "*802", "*803"))))] * 4,
        ]
        if self.crashes and chance() < 0.15:
            moves = [lambda: self.command(str(choose(COMMANDS)), str(choose(("*801", "*802", "*803"))), str(choose(DEVICES)))]
        if self.crashes and chance() < self.crashes:
            moves = [lambda: self.crash([phone for phone in self.able() if chance() < 0.1])]
        if self.under_way:
            moves.append(lambda: self.deliver(int(chance() * len(self.under_way))))
        if alerted:
            one = alerted[int(chance() * len(alerted))]
            moves += [
                lambda: self.answer(one, crossing),
                lambda: self.answer(one, crossing),
                lambda: self.ring(one, crossing),
                lambda: self.fail(one, list(Failure)[int(chance() * len(Failure))], crossing, str(choose(DIALLED))),
                lambda: self.forward(one, crossing, str(choose(DIALLED))),
            ]
        if in_call:
            phone, other = in_call[int(chance() * len(in_call))], in_call[int(chance() * len(in_call))]
            moves += [
                lambda: self.hold(phone, crossing),
                lambda: self.resume(phone, crossing),
                lambda: self.press(phone, crossing),
                lambda: self.listen(phone, crossing),
                lambda: self.transfer(phone, str(choose(DIALLED))),
                lambda: self.attended(phone, other),
                lambda: self.call(phone.device, "*800"),
            ]
        if able:
            anyone = able[int(chance() * len(able))]
            moves += [
                lambda: self.hang_up(anyone, crossing, list(Cause)[int(chance() * len(Cause))], chance() < 0.3),
                lambda: self.replace(str(choose(ACME_DEVICES)), anyone, chance() < 0.5),
            ]
        moves[int(chance() * len(moves))]()

    # The end

    def go_home(self) -> None:
        """Everybody hangs up; then nothing may be left, and what was told must have been a story."""
        while self.under_way:
            self.deliver(0)
        for phone in list(self.rig.phones.values()):
            if not phone.gone:
                self.rig.hang_up(phone)
        assert self.rig.control.counts()[:3] == (0, 0, 0)
        self.rig.advance(31)
        assert not any(self.rig.control.counts())
        assert self.rig.control.deadline() is None
        last: dict[str, type[CallEvent]] = {}
        for event in self.rig.events():
            if type(event) not in (ParkFailed, CallChanged):
                before = last.get(event.call)
                assert type(event) in LEGAL[before], (before, event)
                last[event.call] = type(event)
        assert {kind for call, kind in last.items() if call not in self.vanished} <= {CallEnded}
        assert {kind for call, kind in last.items() if call in self.vanished} <= {CallStarted}
        assert not self.rig.kept
        assert not [slot for slot in self.rig.slots.values() if slot.state is not SlotState.FREE]
        assert self.rig.commands - self.lost_commands == set(self.rig.replies)
        assert not self.rig.not_restored


def calls(rig: CallRig) -> list[tuple[object, bool]]:
    return [(call.id, is_kept(call)) for call in rig.control._state.calls.values()]


def facts(rig: CallRig) -> dict[object, tuple[object, ...]]:
    """What of each call must be the same after a crash, as far as nothing is due."""
    state = rig.control._state
    result: dict[object, tuple[object, ...]] = {}
    for call in state.calls.values():
        stage, until = call.stage, state.timers.when(call.id)
        if not is_kept(call) or isinstance(stage, Ringing) or (until is not None and until <= rig.now):
            continue
        parked = stage if isinstance(stage, Parked) else stage.picked_up if isinstance(stage, Talking) else None
        if isinstance(stage, Talking):
            until = None
        stay = parked.stay if parked else None
        reserved = call.reserved and (call.reserved[0].lot.id, call.reserved[1])
        release = call.reserved and state.timers.when((LotTimer.RELEASE, *call.reserved))
        if release is not None and release <= rig.now:
            continue
        result[call.id] = (
            type(stage),
            until,
            parked and parked.expires_at,
            stay and (stay.lot.lot.id, stay.slot, stay.rounds, stay.since, stay.policy, stay.parker and stay.parker.id),
            (reserved, release),
            [(leg.id, leg.up, bool(leg.held)) for leg in (call.party, call.other) if leg],
            sorted(
                (slot, lot.last_pick_up(slot), state.timers.when((LotTimer.FORGET, lot, slot)))
                for lots in state.lots.values()
                for lot in lots.values()
                for slot in range(801, 806)
                if (last := lot.last_pick_up(slot)) and last.call == call.id and not _is_due(rig, lot, slot)
            ),
        )
    return result


def _is_due(rig: CallRig, lot: ParkLot, slot: int) -> bool:
    until = rig.control._state.timers.when((LotTimer.FORGET, lot, slot))
    return until is not None and until <= rig.now


class CallMachine(RuleBasedStateMachine):
    """Hypothesis leads the crowd."""

    def __init__(self) -> None:
        super().__init__()
        self.crowd = Crowd()

    @rule(device=st.sampled_from(DEVICES), dialled=st.sampled_from(DIALLED))
    def call(self, device: str, dialled: str) -> None:
        self.crowd.call(device, dialled)

    @rule(caller=st.sampled_from(ACME_DEVICES), callee=st.sampled_from(("101", "102", "103", "110")))
    def converse(self, caller: str, callee: str) -> None:
        self.crowd.call(caller, callee)
        if alerted := self.crowd.alerted():
            self.crowd.answer(alerted[-1], crossing=False)

    @precondition(lambda self: self.crowd.alerted())
    @rule(data=st.data(), what=st.sampled_from(["ring", "answer", "answer", "fail"]), crossing=st.booleans())
    def ringing_phone(self, data: st.DataObject, what: str, crossing: bool) -> None:
        phone = data.draw(st.sampled_from(self.crowd.alerted()))
        if what == "fail":
            self.crowd.fail(phone, data.draw(st.sampled_from(Failure)), crossing, data.draw(st.sampled_from(DIALLED)))
        elif what == "forward":
            self.crowd.forward(phone, crossing, data.draw(st.sampled_from(DIALLED)))
        elif what == "ring":
            self.crowd.ring(phone, crossing)
        else:
            self.crowd.answer(phone, crossing)

    @precondition(lambda self: self.crowd.in_call())
    @rule(data=st.data(), what=st.sampled_from(["hold", "resume", "press", "listen", "hang_up"]), crossing=st.booleans())
    def phone_in_call(self, data: st.DataObject, what: str, crossing: bool) -> None:
        phone = data.draw(st.sampled_from(self.crowd.in_call()))
        getattr(self.crowd, what)(phone, crossing)

    @precondition(lambda self: self.crowd.in_call())
    @rule(data=st.data())
    def park_over_held_call(self, data: st.DataObject) -> None:
        phone = data.draw(st.sampled_from(self.crowd.in_call()))
        self.crowd.hold(phone, crossing=False)
        self.crowd.call(phone.device, data.draw(st.sampled_from(["*800", "*801", "*802"])))

    @precondition(lambda self: self.crowd.in_call())
    @rule(data=st.data(), to=st.sampled_from(DIALLED))
    def transfer(self, data: st.DataObject, to: str) -> None:
        self.crowd.transfer(data.draw(st.sampled_from(self.crowd.in_call())), to)

    @precondition(lambda self: self.crowd.in_call())
    @rule(data=st.data(), to=st.sampled_from(DIALLED), answered=st.booleans())
    def consult_and_transfer(self, data: st.DataObject, to: str, answered: bool) -> None:
        phone = data.draw(st.sampled_from(self.crowd.in_call()))
        consult = self.crowd.rig.call(phone.device, to)
        if answered and self.crowd.alerted():
            self.crowd.answer(self.crowd.alerted()[-1], crossing=False)
        self.crowd.attended(phone, consult)

    @precondition(lambda self: len(self.crowd.able()) > 1)
    @rule(data=st.data())
    def attended_transfer(self, data: st.DataObject) -> None:
        able = st.sampled_from(self.crowd.able())
        self.crowd.attended(data.draw(able), data.draw(able))

    @precondition(lambda self: self.crowd.able())
    @rule(data=st.data(), device=st.sampled_from(DEVICES), early_only=st.booleans())
    def replace(self, data: st.DataObject, device: str, early_only: bool) -> None:
        self.crowd.replace(device, data.draw(st.sampled_from(self.crowd.able())), early_only)

    @precondition(lambda self: self.crowd.able())
    @rule(data=st.data(), crossing=st.booleans(), cause=st.sampled_from(Cause), gave_up=st.booleans())
    def hang_up(self, data: st.DataObject, crossing: bool, cause: Cause, gave_up: bool) -> None:
        self.crowd.hang_up(data.draw(st.sampled_from(self.crowd.able())), crossing, cause, gave_up)

    @rule(code=st.sampled_from(["*801", "*802", "*803"]), devices=st.permutations(ACME_DEVICES))
    def race_for_a_code(self, code: str, devices: list[str]) -> None:
        """All dial at once: whatever is parked there goes to one of them at most."""
        since = len(self.crowd.rig.effects)
        for device in devices[:3]:
            self.crowd.call(device, code)
        events = [e for e in self.crowd.rig.effects[since:] if isinstance(e, CallRetrieved)]
        assert len(events) <= 1

    @precondition(lambda self: self.crowd.under_way)
    @rule(data=st.data())
    def message_arrives(self, data: st.DataObject) -> None:
        self.crowd.deliver(data.draw(st.integers(0, len(self.crowd.under_way) - 1)))

    @rule(seconds=st.sampled_from(PAUSES))
    def time_passes(self, seconds: float) -> None:
        self.crowd.rig.advance(seconds)

    @rule(seconds=st.sampled_from(PAUSES))
    def the_wake_up_is_late(self, seconds: float) -> None:
        self.crowd.rig.now += seconds

    @rule(data=st.data(), legs_lost=st.sampled_from([0, 0, 0, 1, 3]))
    def the_process_dies(self, data: st.DataObject, legs_lost: int) -> None:
        able = self.crowd.able()
        lost = [data.draw(st.sampled_from(able)) for _ in range(legs_lost)] if able else []
        self.crowd.crash(lost)

    @rule(
        what=st.sampled_from(COMMANDS),
        code=st.sampled_from(["*801", "*802", "*803"]),
        device=st.sampled_from(DEVICES),
    )
    def command(self, what: str, code: str, device: str) -> None:
        self.crowd.command(what, code, device)

    @rule(which=st.sampled_from([0, 0, 1, 2]))
    def directory_changes(self, which: int) -> None:
        self.crowd.reload(self.crowd.directories[which])

    def teardown(self) -> None:
        self.crowd.go_home()


CallMachine.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestCallMachine = CallMachine.TestCase


@pytest.mark.parametrize("seed", range(4))
def test_many_random_moves_leak_nothing(seed: int) -> None:
    crowd, chance = Crowd(seed), random.Random(seed)
    for _ in range(1500):
        crowd.anything(chance.choice, chance.random)
    kinds = {type(event) for event in crowd.rig.events()}
    of_calls = {kind for kind in get_args(Event) if issubclass(kind, CallEvent)}
    assert kinds >= of_calls - {CallReturned, CallGivenBack, CallGivenUp, NoteChanged}, "the crowd was not wild enough"
    crowd.go_home()


@pytest.mark.parametrize("seed", range(4, 8))
def test_a_thousand_random_moves_and_crashes_lose_nobody(seed: int) -> None:
    crowd, chance = Crowd(seed, crashes=0.1), random.Random(seed)
    for _ in range(1000):
        crowd.anything(chance.choice, chance.random)
    crowd.go_home()


def test_one_call_of_a_thousand_moves_leaks_nothing() -> None:
    crowd, chance = Crowd(7), random.Random(7)
    rig = crowd.rig
    outside, phone = rig.conversation("gw", "102")
    for _ in range(1000):
        what = chance.choice(["hold", "park", "keys", "transfer", "attended", "crash"])
        if what == "hold":
            rig.hold(phone)
            rig.resume(phone)
        elif what == "park":
            code = rig.transfers[rig.transfer(phone, "*800")][-1].park_code
            assert code
            phone = rig.call(chance.choice(ACME_DEVICES[:5]), code)
        elif what == "crash":
            rig.crash()
        elif what == "keys":
            rig.press(phone, "*5")
            assert isinstance(phone.hears, Spoken)
            code = "*" + "".join(phone.hears.phrases[2:])
            rig.listen(phone)
            phone = rig.call(chance.choice(ACME_DEVICES[:5]), code)
        else:
            device, extension = chance.choice([("bob", "102"), ("carol", "103"), ("wall", "110")])
            if device == phone.device:
                continue
            if what == "transfer":
                rig.transfer(phone, extension)
                phone = rig.answer(device)
            else:
                consult, target = rig.conversation(phone.device, extension)
                rig.transfer(phone, extension, consult)
                phone = target
        assert rig.talking(outside, phone)
        assert len(rig.control) == 1
        rig.phones = {leg: p for leg, p in rig.phones.items() if not p.gone}
    assert outside.hears == Peer(phone.leg)
    crowd.go_home()

"""A parked caller and changes of the directory: sites, lots, ranges, people, settings come and go, the caller stays.

Hypothesis crosses every change with calls that are parked, recalled, kept a code for and talking. At every step, each parked
call is retrieved by its present code, in a copy of the world, by a phone of its account.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from parkade.base.sound import Music
from parkade.calls.call import Parked
from parkade.calls.directory import Account, Device, Directory, Lot, NotPickedUp, Owner, ParkPolicy, Site
from parkade.calls.events import CallReparked, CallTimedOut
from parkade.calls.inputs import DirectoryChanged
from parkade.testing.call_rig import CallRig, Phone

POLICY = ParkPolicy(expiration_s=60, ring_back_s=20, reserve_s=15)
NORTH, SOUTH = Lot("North", 801, 803, POLICY, "lot-n"), Lot("South", 801, 803, POLICY, "lot-s")
SITES = {"n": Site("n", "North", "lot-n"), "s": Site("s", "South", "lot-s")}
OWNERS = {
    "101": Owner("101", "Alice", site="n", devices=("alice",), id="u1"),
    "102": Owner("102", "Bob", site="s", devices=("bob",), id="u2"),
    "103": Owner("103", "Carol", site="s", devices=("carol",), id="u3"),
}
ACME = Account(
    "acme",
    "Acme",
    multi_site=True,
    owners=OWNERS,
    sites=SITES,
    lots={"lot-n": NORTH, "lot-s": SOUTH},
    main_lot="lot-n",
)
GATEWAY = Device("gw", "acme", "", address="192.0.2.1")


def directory(acme: Account) -> Directory:
    phones = [Device(name, "acme", owner.extension) for owner in acme.owners.values() for name in owner.devices]
    return Directory({"acme": acme}, {device.id: device for device in [*phones, GATEWAY]})


def change(rig: CallRig, acme: Account) -> None:
    rig.tell(DirectoryChanged(directory(acme)))


def parked_by_alice(rig: CallRig, target: str = "*800") -> Phone:
    outside = rig.call("gw", "101")
    alice = rig.answer("alice")
    rig.transfer(alice, target)
    assert outside.hears == Music()
    return outside


def renamed(account: Account) -> Account:
    sites = {"n": Site("n", "Nord", "lot-n"), "s": SITES["s"]}
    return replace(account, sites=sites, lots={"lot-n": replace(NORTH, name="Nord"), "lot-s": SOUTH})


def without_north(account: Account) -> Account:
    owners = {ext: replace(owner, site="s") for ext, owner in account.owners.items()}
    return replace(account, owners=owners, sites={"s": SITES["s"]}, lots={"lot-s": SOUTH}, main_lot="lot-s")


def test_a_code_works_on_when_its_site_is_renamed() -> None:
    rig = CallRig(directory(ACME))
    caller = parked_by_alice(rig)
    change(rig, renamed(ACME))
    assert rig.talking(rig.call("alice", "*801"), caller)


def test_a_code_works_on_when_the_parker_moves_to_another_site() -> None:
    rig = CallRig(directory(ACME))
    caller = parked_by_alice(rig)
    change(rig, replace(ACME, owners={**OWNERS, "101": replace(OWNERS["101"], site="s")}))
    assert rig.talking(rig.call("alice", "*801"), caller)


def test_a_code_works_on_when_its_site_is_removed() -> None:
    rig = CallRig(directory(ACME))
    caller = parked_by_alice(rig, "*803")
    change(rig, without_north(ACME))
    assert rig.talking(rig.call("bob", "*803"), caller)


def test_a_code_works_on_when_multi_site_is_switched() -> None:
    for before, after in ((True, False), (False, True)):
        rig = CallRig(directory(replace(ACME, multi_site=before)))
        outside = rig.call("gw", "103")
        rig.transfer(rig.answer("carol"), "*802")
        change(rig, replace(ACME, multi_site=after))
        assert rig.talking(rig.call("alice", "*802"), outside)


def test_a_code_works_on_when_the_range_shrinks_or_the_order_of_sites_changes() -> None:
    rig = CallRig(directory(ACME))
    caller = parked_by_alice(rig, "*803")
    change(rig, replace(ACME, lots={"lot-s": SOUTH, "lot-n": replace(NORTH, last=801)}, main_lot="lot-s"))
    assert rig.talking(rig.call("alice", "*803"), caller)


def test_a_call_of_a_lot_that_is_gone_is_parked_again_in_the_lot_its_parker_has_now() -> None:
    rig = CallRig(directory(ACME))
    caller = parked_by_alice(rig)
    change(rig, without_north(ACME))
    rig.advance(60 + 20)
    (again,) = rig.events(CallReparked)
    assert again.lot == "South"
    assert rig.talking(rig.call("bob", again.code), caller)


def test_a_call_beyond_a_range_that_shrank_is_parked_again_within_it() -> None:
    rig = CallRig(directory(ACME))
    caller = parked_by_alice(rig, "*803")
    change(rig, replace(ACME, lots={"lot-n": replace(NORTH, last=801), "lot-s": SOUTH}))
    rig.advance(60 + 20)
    assert rig.talking(rig.call("alice", "*801"), caller)


def test_a_code_in_use_in_a_lot_that_is_gone_is_given_to_nobody_else() -> None:
    rig = CallRig(directory(ACME))
    caller = parked_by_alice(rig)
    change(rig, without_north(ACME))
    second = rig.call("gw", "102")
    bob = rig.answer("bob")
    steps = rig.transfers[rig.transfer(bob, "*801")]
    assert steps[-1].refusal
    assert steps[-1].refusal.id == "slot_taken"
    assert rig.transfers[rig.transfer(bob, "*800")][-1].park_code == "*802"
    assert rig.talking(rig.call("alice", "*801"), caller)
    assert rig.talking(rig.call("alice", "*802"), second)


def test_a_parker_with_another_number_by_then_is_rung_back_and_not_whoever_has_the_old_one() -> None:
    rig = CallRig(directory(ACME))
    parked_by_alice(rig)
    owners = {"109": replace(OWNERS["101"], extension="109"), "101": replace(OWNERS["102"], extension="101")}
    change(rig, replace(ACME, owners=owners))
    rig.advance(60)
    assert rig.all_ringing() == {"alice"}


def test_the_parkers_own_settings_count_and_not_those_of_the_lot() -> None:
    own = ParkPolicy(expiration_s=30, not_picked_up=NotPickedUp.DISCONNECT)
    rig = CallRig(directory(replace(ACME, owners={**OWNERS, "101": replace(OWNERS["101"], policy=own)})))
    caller = parked_by_alice(rig)
    rig.advance(30)
    assert rig.events(CallTimedOut)
    assert caller.hears != Music()


def test_a_person_who_may_not_park_may_where_the_lot_allows_others() -> None:
    off = ParkPolicy(enable=False)
    rig = CallRig(directory(replace(ACME, owners={**OWNERS, "101": replace(OWNERS["101"], policy=off)})))
    rig.call("gw", "101")
    steps = rig.transfers[rig.transfer(rig.answer("alice"), "*800")]
    assert steps[-1].refusal
    assert steps[-1].refusal.id == "parking_disabled"
    rig.call("gw", "102")
    assert rig.transfers[rig.transfer(rig.answer("bob"), "*800")][-1].park_code == "*801"


class DirectoryMachine(RuleBasedStateMachine):
    """Everything that an administrator can change, and calls in every state. No party but the callers here hangs up."""

    def __init__(self) -> None:
        super().__init__()
        self.acme = ACME
        self.rig = CallRig(directory(ACME))
        self.callers: dict[str, Phone] = {}

    def put(self, acme: Account) -> None:
        self.acme = acme
        change(self.rig, acme)

    def talkers(self) -> list[Phone]:
        there = [p for p in self.rig.phones.values() if p.up and not p.gone and p.device != "gw"]
        return [p for p in there if p.device in {name for owner in self.acme.owners.values() for name in owner.devices}]

    # Calls

    @rule(number=st.sampled_from(["101", "102", "103"]), then=st.sampled_from(["park", "hold and park", "talk", "ring"]))
    def call(self, number: str, then: str) -> None:
        caller = self.rig.call("gw", number)
        if caller.gone:
            return
        ringing = self.rig.all_ringing()
        if then == "ring" or not ringing:
            self.rig.hang_up(caller)
            return
        self.callers[caller.leg] = caller
        phone = self.rig.answer(max(ringing))
        if not caller.up:
            del self.callers[caller.leg]
            self.rig.hang_up(caller)
        elif then == "park":
            self.rig.transfer(phone, "*800")
        elif then == "hold and park":
            self.rig.hold(phone)
            self.rig.call(phone.device, "*800")

    @precondition(lambda self: self.talkers())
    @rule(data=st.data(), to=st.sampled_from(["*800", "*801", "*802", "*803", "101", "103"]))
    def transfer(self, data: st.DataObject, to: str) -> None:
        self.rig.transfer(data.draw(st.sampled_from(self.talkers())), to)

    @rule(device=st.sampled_from(["alice", "bob", "carol"]), code=st.sampled_from(["*801", "*802", "*803"]))
    def retrieve(self, device: str, code: str) -> None:
        self.rig.call(device, code)

    @precondition(lambda self: self.rig.all_ringing())
    @rule()
    def answer(self) -> None:
        self.rig.answer(min(self.rig.all_ringing()))

    @rule(seconds=st.sampled_from([1.0, 11.0, 16.0, 21.0, 61.0]))
    def time_passes(self, seconds: float) -> None:
        self.rig.advance(seconds)

    # Changes

    @rule(multi=st.booleans(), main=st.sampled_from(["lot-n", "lot-s"]))
    def switch_multi_site(self, multi: bool, main: str) -> None:
        self.put(replace(self.acme, multi_site=multi, main_lot=main if main in self.acme.lots else self.acme.main_lot))

    @rule(lot=st.sampled_from(["lot-n", "lot-s"]), last=st.sampled_from([801, 802, 803, 806]), name=st.text(max_size=3))
    def change_lot(self, lot: str, last: int, name: str) -> None:
        if lot in self.acme.lots:
            self.put(replace(self.acme, lots={**self.acme.lots, lot: replace(self.acme.lots[lot], last=last, name=name)}))

    @rule(site=st.sampled_from(["n", "s"]))
    def remove_site(self, site: str) -> None:
        sites = {id_: place for id_, place in self.acme.sites.items() if id_ != site}
        if not sites:
            return
        rest = next(iter(sites.values()))
        owners = {ext: replace(owner, site=rest.id) for ext, owner in self.acme.owners.items()}
        lots = {rest.lot: self.acme.lots[rest.lot]}
        self.put(replace(self.acme, sites=sites, lots=lots, owners=owners, main_lot=rest.lot))

    @rule()
    def add_sites_again(self) -> None:
        self.put(replace(self.acme, sites=SITES, lots={"lot-s": SOUTH, "lot-n": NORTH} | dict(self.acme.lots)))

    @rule(extension=st.sampled_from(["101", "102", "103"]), site=st.sampled_from(["n", "s"]))
    def move_person(self, extension: str, site: str) -> None:
        owner = self.acme.owners.get(extension)
        if owner and site in self.acme.sites:
            self.put(replace(self.acme, owners={**self.acme.owners, extension: replace(owner, site=site)}))

    @rule(extension=st.sampled_from(["101", "102"]))
    def remove_person(self, extension: str) -> None:
        self.put(replace(self.acme, owners={e: owner for e, owner in self.acme.owners.items() if e != extension}))

    @rule()
    def people_come_back(self) -> None:
        site = next(iter(self.acme.sites))
        back: Mapping[str, Owner] = {ext: replace(owner, site=site) for ext, owner in OWNERS.items()}
        self.put(replace(self.acme, owners={**back, **self.acme.owners}))

    @rule(expiration_s=st.sampled_from([30.0, 60.0]), enable=st.booleans(), reserve_s=st.sampled_from([0.0, 15.0]))
    def change_settings(self, expiration_s: float, enable: bool, reserve_s: float) -> None:
        policy = ParkPolicy(enable=enable, expiration_s=expiration_s, reserve_s=reserve_s, ring_back_s=20)
        lots = {id_: replace(lot, policy=policy) for id_, lot in self.acme.lots.items()}
        self.put(replace(self.acme, lots=lots))

    # What must hold

    @invariant()
    def nobody_is_gone_without_a_word(self) -> None:
        """A caller leaves by itself, or after three rounds with the farewell, which is what the policy says."""
        for leg, caller in list(self.callers.items()):
            if caller.gone:
                assert caller.ended, leg
                assert self.rig.events(CallTimedOut), leg
                del self.callers[leg]

    @invariant()
    def every_code_retrieves_its_call(self) -> None:
        state = self.rig.control._state
        codes: dict[int, int] = {}
        for lot in state.lots.get("acme", {}).values():
            for slot in {*lot.occupied()} | {*lot._picked_up}:
                codes[slot] = codes.get(slot, 0) + 1
        parked = [call for call in state.calls.values() if isinstance(call.stage, Parked)]
        for call in parked:
            assert isinstance(call.stage, Parked)
            stay = call.stage.stay
            if codes[stay.slot] > 1 and stay.lot is not self.own_lot_of_carol():
                continue
            world = copy.deepcopy(self.rig)
            phone = world.call("carol", stay.code)
            assert world.talking(phone, world.phones[call.party.id]), (stay.code, phone)

    def own_lot_of_carol(self) -> object:
        lot = self.acme.lot_of(self.acme.owners["103"].site)
        return self.rig.control._state.lots["acme"].get(lot.id) if lot else None


DirectoryMachine.TestCase.settings = settings(
    max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestDirectoryMachine = pytest.mark.interpreted(DirectoryMachine.TestCase)

"""A line to the telephone network: who may call out over it, and where calls from there go."""

from __future__ import annotations

from dataclasses import replace

import pytest

from parkade.base.sound import Music
from parkade.calls.directory import Device, Directory, Trunk
from parkade.calls.effects import Progress, RingEndpoint
from parkade.calls.identity import Identity
from parkade.calls.inputs import DirectoryChanged, Failure
from parkade.calls.route import outside
from parkade.testing.call_rig import CallRig, Phone
from tests.calls.accounts import ACME, CARRIER, rig_with, two_accounts, with_trunk

NUMBER = "+84901234567"
MOBILE = Identity("Minh", "0901234567")


def rig_with_trunk() -> CallRig:
    return CallRig(with_trunk(two_accounts()))


def refusal_of(phone: Phone) -> str | None:
    return phone.refused.refusal.id if phone.refused else None


# The value


def test_a_trunk_and_a_device_never_share_an_id() -> None:
    with pytest.raises(ValueError, match="a trunk of acme"):
        Trunk("carrier", "acme", "carrier", "203.0.113.1")
    with pytest.raises(ValueError, match="a trunk of acme"):
        Trunk("globex/carrier", "acme", "carrier", "203.0.113.1")


def test_a_directory_finds_both_by_id() -> None:
    directory = with_trunk(two_accounts())
    assert directory.endpoint("acme/1") is CARRIER
    assert isinstance(directory.endpoint("alice"), Device)
    assert [directory.endpoint(id_) for id_ in ("", "acme", "acme/2", "globex/1", "nobody", "no/where")] == [None] * 6
    assert directory.owner_of(CARRIER) is None


@pytest.mark.parametrize(
    ("dialled", "is_one"),
    [(NUMBER, True), ("0901234567", True), ("113", True), ("12", False), ("+12", False), ("1" * 16, False),
     ("*801", False), ("sip:x", False), ("", False), ("٣٣٣", False), ("+84 90", False)],
)  # fmt: skip
def test_what_may_be_a_number_outside(dialled: str, is_one: bool) -> None:
    assert outside(ACME, dialled) is None
    acme = replace(ACME, trunks={CARRIER.id: CARRIER})
    assert (outside(acme, dialled) is not None) is is_one


# Out


def test_a_number_outside_is_called_over_the_trunk() -> None:
    rig = rig_with_trunk()
    alice = rig.call("alice", NUMBER)
    ring = rig.ringing(CARRIER.id).ring
    assert isinstance(ring, RingEndpoint)
    assert (ring.number, ring.caller, ring.beside) == (NUMBER, Identity("Alice", "101"), alice.leg)
    carrier = rig.answer(CARRIER.id)
    assert rig.talking(alice, carrier)
    assert alice.display == Identity("", NUMBER)


def test_without_a_trunk_there_is_no_such_number() -> None:
    assert refusal_of(rig_with().call("alice", NUMBER)) == "no_such_number"


def test_the_account_next_door_has_no_part_in_it() -> None:
    assert refusal_of(rig_with_trunk().call("gina", NUMBER)) == "no_such_number"


@pytest.mark.parametrize("device", ["gw", "lobby", "acme/1"])
def test_what_comes_from_a_line_never_goes_out_again(device: str) -> None:
    rig = rig_with_trunk()
    phone = rig.call(device, NUMBER)
    assert device == "lobby" or refusal_of(phone) == "no_such_number"
    assert not rig.is_ringing(CARRIER.id)


def test_somebody_can_be_transferred_to_a_number_outside() -> None:
    rig = rig_with_trunk()
    alice, bob = rig.conversation("alice", "102")
    name = rig.transfer(alice, NUMBER)
    rig.rings(CARRIER.id)
    assert rig.talking(bob, rig.answer(CARRIER.id))
    assert rig.progress(name) == [Progress.ACCEPTED, Progress.RINGING, Progress.DONE]


def test_two_numbers_over_one_trunk_are_two_calls() -> None:
    rig = rig_with_trunk()
    alice, bob = rig.call("alice", NUMBER), rig.call("bob", "0281234567")
    second = rig.answer(CARRIER.id)
    assert rig.talking(bob, second)
    assert rig.talking(alice, rig.answer(CARRIER.id))


def test_a_phone_that_forwards_outside_is_not_followed_there() -> None:
    rig = rig_with_trunk()
    carol = rig.call("carol", "102")
    rig.forward("bob", NUMBER)
    assert refusal_of(carol) == "forwarded_outside"


def test_a_carrier_that_forwards_is_not_followed() -> None:
    rig = rig_with_trunk()
    alice = rig.call("alice", NUMBER)
    rig.forward(CARRIER.id, "103")
    assert refusal_of(alice) == "forwarded_outside"
    assert rig.all_ringing() == set()


@pytest.mark.parametrize("why", [Failure.BUSY, Failure.DECLINED, Failure.UNREACHABLE])
def test_what_the_carrier_says_is_told(why: Failure) -> None:
    rig = rig_with_trunk()
    alice = rig.call("alice", NUMBER)
    rig.fail(CARRIER.id, why)
    assert refusal_of(alice) == why.value


# In


def test_an_inbound_number_rings_its_extension() -> None:
    rig = rig_with_trunk()
    caller = rig.call(CARRIER.id, "+84281234567", caller=MOBILE)
    assert rig.all_ringing() == {"alice", "alice-app"}
    alice = rig.answer("alice")
    assert rig.talking(caller, alice)
    assert alice.display == MOBILE


def test_an_inbound_number_may_park_its_callers() -> None:
    rig = rig_with_trunk()
    caller = rig.call(CARRIER.id, "+84281234568", caller=MOBILE)
    assert caller.park_code == "*801"
    assert caller.hears == Music()
    assert rig.talking(rig.call("bob", "*801"), caller)


@pytest.mark.parametrize("dialled", ["", "101", "*800", "*801", "**801", "park", "park:805", "+84281234569", NUMBER])
def test_nothing_else_can_be_dialled_from_outside(dialled: str) -> None:
    """Above all no codes: a parked caller is for people of the house."""
    rig = rig_with_trunk()
    alice, bob = rig.conversation("alice", "102")
    rig.transfer(alice, "*800")
    assert refusal_of(rig.call(CARRIER.id, dialled, caller=MOBILE)) == "no_such_number"
    assert bob.hears == Music()


def test_an_inbound_number_that_leads_to_a_number_leads_nowhere() -> None:
    rig = rig_with_trunk()
    line = replace(CARRIER, inbound={"+84281234567": "0901234567"})
    everything = two_accounts()
    acme = replace(everything.accounts["acme"], trunks={line.id: line})
    rig.tell(DirectoryChanged(Directory({**everything.accounts, "acme": acme}, everything.devices)))
    assert refusal_of(rig.call(CARRIER.id, "+84281234567")) == "no_such_number"


def test_nobody_outside_takes_a_call_over_or_sends_anybody_anywhere() -> None:
    rig = rig_with_trunk()
    caller = rig.call(CARRIER.id, "+84281234567", caller=MOBILE)
    alice = rig.answer("alice")
    assert refusal_of(rig.call(CARRIER.id, "+84281234567", replaces=alice)) == "no_such_call"
    for target in ("102", "*800", NUMBER):
        assert rig.progress(rig.transfer(caller, target)) == [Progress.REFUSED]
    rig.press(caller, "*5")
    assert rig.talking(caller, alice)


def test_a_caller_from_outside_can_be_parked_and_rings_back() -> None:
    rig = rig_with_trunk()
    caller = rig.call(CARRIER.id, "+84281234567", caller=MOBILE)
    rig.transfer(rig.answer("alice"), "*800")
    rig.advance(600)
    ring = rig.ringing("alice").ring
    assert ring
    assert ring.caller == Identity("Park *801 Minh", "0901234567")
    assert rig.talking(rig.answer("alice-app"), caller)


# Kept


@pytest.mark.parametrize("trunk_is_gone", [False, True])
def test_a_call_over_a_trunk_goes_on_after_a_crash(trunk_is_gone: bool) -> None:
    rig = rig_with_trunk()
    alice = rig.call("alice", NUMBER)
    carrier = rig.answer(CARRIER.id)
    if trunk_is_gone:
        rig.tell(DirectoryChanged(two_accounts()))
    rig.crash()
    assert not rig.not_restored
    assert rig.talking(alice, carrier)
    rig.transfer(alice, "*800")
    assert rig.talking(rig.call("bob", "*801"), carrier)


@pytest.mark.parametrize("trunk_is_gone", [False, True])
def test_a_transfer_to_a_number_outside_is_rung_again_after_a_crash(trunk_is_gone: bool) -> None:
    rig = rig_with_trunk()
    alice, bob = rig.conversation("alice", "102")
    rig.transfer(alice, NUMBER)
    if trunk_is_gone:
        rig.tell(DirectoryChanged(two_accounts()))
    rig.crash()
    assert not rig.not_restored
    if trunk_is_gone:
        assert rig.talking(alice, bob)
    else:
        ring = rig.ringing(CARRIER.id).ring
        assert ring
        assert ring.number == NUMBER
        assert rig.talking(rig.answer(CARRIER.id), bob)

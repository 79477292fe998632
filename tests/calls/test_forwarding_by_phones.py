"""Phones that forward a call (3xx) are followed within the account; what cannot be followed is said as it is."""

from __future__ import annotations

import pytest

from parkade.calls.inputs import Failure
from parkade.calls.ring import REFUSALS
from parkade.testing.call_rig import Phone
from tests.calls.accounts import rig_with


def refusal_of(phone: Phone) -> str | None:
    return phone.refused.refusal.id if phone.refused else None


def test_the_extension_that_a_phone_forwards_to_is_rung_instead() -> None:
    rig = rig_with()
    gateway = rig.call("gw", "102")
    rig.forward("bob", "103")
    assert rig.all_ringing() == {"carol"}
    assert rig.talking(gateway, rig.answer("carol"))


def test_a_group_that_a_phone_forwards_to_is_rung_instead() -> None:
    rig = rig_with()
    rig.call("gw", "101")
    rig.forward("alice", "120")
    assert rig.all_ringing() == {"alice-app", "bob", "carol"}


def test_the_callers_own_extension_is_busy() -> None:
    rig = rig_with()
    carol = rig.call("carol", "102")
    rig.forward("bob", "103")
    assert refusal_of(carol) == "busy"


@pytest.mark.parametrize("target", ["+84901234567", "105", "sip:x"])
def test_a_number_that_is_not_of_the_account_is_called_that(target: str) -> None:
    rig = rig_with()
    carol = rig.call("carol", "102")
    rig.forward("bob", target)
    assert refusal_of(carol) == "forwarded_outside"


@pytest.mark.parametrize("targets", [(), ("102",), ("bob",), ("*801",), ("*800",), ("park",)])
def test_circles_codes_and_nothing_at_all_are_not_followed(targets: tuple[str, ...]) -> None:
    rig = rig_with()
    carol = rig.call("carol", "102")
    rig.forward("bob", *targets)
    assert refusal_of(carol) == "forwarded_in_vain"


def test_two_phones_that_forward_to_each_other_come_to_an_end() -> None:
    rig = rig_with()
    gateway = rig.call("gw", "102")
    rig.forward("bob", "103")
    rig.forward("carol", "102")
    assert refusal_of(gateway) == "forwarded_in_vain"
    assert not any(rig.control.counts())


def test_members_of_a_group_that_forward_to_each_other_come_to_an_end() -> None:
    rig = rig_with()
    gateway = rig.call("gw", "120")
    rig.forward("bob", "103")
    assert rig.all_ringing() == {"carol"}
    rig.forward("carol", "102")
    assert refusal_of(gateway) == "forwarded_in_vain"


def test_no_more_than_three_phones_forward_a_call() -> None:
    rig = rig_with()
    gateway = rig.call("gw", "102")
    rig.forward("bob", "103")
    rig.forward("carol", "110")
    rig.forward("wall", "104")
    assert rig.all_ringing() == {"dan"}
    rig.forward("dan", "101")
    assert refusal_of(gateway) == "forwarded_in_vain"


def test_a_phone_that_rings_already_is_not_rung_again() -> None:
    rig = rig_with()
    rig.call("gw", "120")
    carol = rig.ringing("carol")
    rig.forward("bob", "103")
    assert rig.all_ringing() == {"carol"}
    assert rig.ringing("carol") is carol


def test_a_ring_back_is_followed_too() -> None:
    rig = rig_with()
    alice, bob = rig.conversation("alice", "102")
    rig.transfer(alice, "*800")
    rig.advance(600)
    rig.forward("alice", "103")
    assert rig.talking(rig.answer("carol"), bob)


def test_every_way_to_fail_has_words_of_its_own() -> None:
    assert set(REFUSALS) == set(Failure)
    told = [REFUSALS[why].en for why in Failure if why is not Failure.REDIRECTED]
    assert len(set(told)) == len(told)


@pytest.mark.parametrize("why", [why for why in Failure if why is not Failure.REDIRECTED])
def test_the_caller_is_told_what_it_was(why: Failure) -> None:
    rig = rig_with()
    carol = rig.call("carol", "102")
    rig.fail("bob", why)
    assert refusal_of(carol) == REFUSALS[why].id


def test_an_extension_without_a_phone_has_none_registered() -> None:
    rig = rig_with()
    assert refusal_of(rig.call("carol", "102")) is None
    rig.fail("bob", Failure.NOT_REGISTERED)
    assert [p.refused.refusal.en for p in rig.phones.values() if p.refused] == ["No phone is registered there."]


def test_a_phone_may_be_named_by_what_it_registers_as() -> None:
    rig = rig_with()
    gateway = rig.call("gw", "102")
    rig.forward("bob", "carol")
    assert rig.all_ringing() == {"carol"}
    assert rig.talking(gateway, rig.answer("carol"))


def test_a_phone_of_another_account_is_outside() -> None:
    rig = rig_with()
    carol = rig.call("carol", "102")
    rig.forward("bob", "other-101")
    assert refusal_of(carol) == "forwarded_outside"

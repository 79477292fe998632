"""Phones that forward a call (3xx) are followed within the account; what cannot be followed is said as it is."""

from __future__ import annotations

import pytest

from parkade.calls.inputs import Failure
from parkade.calls.ring import REFUSALS
from parkade.testing.call_play import CallPlay, Phone
from tests.calls.cast import play_with


def forwards(play: CallPlay, device: str, target: str | None) -> Phone:
    return play.fail(device, Failure.REDIRECTED, target)


def refusal_of(phone: Phone) -> str | None:
    return phone.refused.refusal.id if phone.refused else None


def test_the_extension_that_a_phone_forwards_to_is_rung_instead() -> None:
    play = play_with()
    gateway = play.call("gw", "102")
    forwards(play, "bob", "103")
    assert play.all_ringing() == {"carol"}
    assert play.talking(gateway, play.answer("carol"))


def test_a_group_that_a_phone_forwards_to_is_rung_instead() -> None:
    play = play_with()
    play.call("gw", "101")
    forwards(play, "alice", "120")
    assert play.all_ringing() == {"alice-app", "bob", "carol"}


def test_the_callers_own_extension_is_busy() -> None:
    play = play_with()
    carol = play.call("carol", "102")
    forwards(play, "bob", "103")
    assert refusal_of(carol) == "busy"


@pytest.mark.parametrize("target", [None, "+84901234567", "105", "sip:x"])
def test_a_number_that_is_not_of_the_account_is_called_that(target: str | None) -> None:
    play = play_with()
    carol = play.call("carol", "102")
    forwards(play, "bob", target)
    assert refusal_of(carol) == "forwarded_outside"


@pytest.mark.parametrize("target", ["102", "*801", "*800", "park"])
def test_circles_and_codes_are_not_followed(target: str) -> None:
    play = play_with()
    carol = play.call("carol", "102")
    forwards(play, "bob", target)
    assert refusal_of(carol) == "forwarded_in_vain"


def test_two_phones_that_forward_to_each_other_come_to_an_end() -> None:
    play = play_with()
    gateway = play.call("gw", "102")
    forwards(play, "bob", "103")
    forwards(play, "carol", "102")
    assert refusal_of(gateway) == "forwarded_in_vain"
    assert not any(play.control.counts())


def test_members_of_a_group_that_forward_to_each_other_come_to_an_end() -> None:
    play = play_with()
    gateway = play.call("gw", "120")
    forwards(play, "bob", "103")
    assert play.all_ringing() == {"carol"}
    forwards(play, "carol", "102")
    assert refusal_of(gateway) == "forwarded_in_vain"


def test_no_more_than_three_phones_forward_a_call() -> None:
    play = play_with()
    gateway = play.call("gw", "102")
    forwards(play, "bob", "103")
    forwards(play, "carol", "110")
    forwards(play, "wall", "104")
    assert play.all_ringing() == {"dan"}
    forwards(play, "dan", "101")
    assert refusal_of(gateway) == "forwarded_in_vain"


def test_a_phone_that_rings_already_is_not_rung_again() -> None:
    play = play_with()
    play.call("gw", "120")
    carol = play.ringing("carol")
    forwards(play, "bob", "103")
    assert play.all_ringing() == {"carol"}
    assert play.ringing("carol") is carol


def test_a_ring_back_is_followed_too() -> None:
    play = play_with()
    alice, bob = play.conversation("alice", "102")
    play.transfer(alice, "*800")
    play.advance(600)
    forwards(play, "alice", "103")
    assert play.talking(play.answer("carol"), bob)


def test_every_way_to_fail_has_words_of_its_own() -> None:
    assert set(REFUSALS) == set(Failure)
    told = [REFUSALS[why].en for why in Failure if why is not Failure.REDIRECTED]
    assert len(set(told)) == len(told)


@pytest.mark.parametrize("why", [why for why in Failure if why is not Failure.REDIRECTED])
def test_the_caller_is_told_what_it_was(why: Failure) -> None:
    play = play_with()
    carol = play.call("carol", "102")
    play.fail("bob", why)
    assert refusal_of(carol) == REFUSALS[why].id


def test_an_extension_without_a_phone_has_none_registered() -> None:
    play = play_with()
    assert refusal_of(play.call("carol", "102")) is None
    play.fail("bob", Failure.NOT_REGISTERED)
    assert [p.refused.refusal.en for p in play.phones.values() if p.refused] == ["No phone is registered there."]

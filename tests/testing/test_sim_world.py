"""The simulated world: whole calls through the real switch, in no time, the same every time."""

from __future__ import annotations

import pytest

from parkade.calls.events import CallAnswered, CallParked, CallStarted
from parkade.calls.identity import Identity
from parkade.testing.fake_call import FakeCall
from parkade.testing.misbehaviour import answers_garbage, never, never_answers, several_contacts
from parkade.testing.net import Weather
from parkade.testing.phone import FakePhone
from parkade.testing.world import SimWorld

ALICE, BOB = Identity("Alice", "101"), Identity("Bob", "102")


@pytest.fixture
def world() -> SimWorld:
    return make_world()


def make_world(seed: int = 0, weather: Weather | None = None) -> SimWorld:
    world = SimWorld(seed, weather or Weather())
    world.account("acme", {"101": "Alice", "102": "Bob", "103": "Carol"})
    return world


def conversation(world: SimWorld, alice: FakePhone, bob: FakePhone) -> tuple[FakeCall, FakeCall]:
    """Alice calls Bob, and both hear each other."""
    calling = alice.call("102")
    world.run_until(lambda: bob.ringing is not None, within_s=30.0)
    world.run(0.2)
    answered = bob.answer()
    world.run_until(lambda: calling.is_up, within_s=30.0)
    world.run(0.2)
    return calling, answered


def test_two_phones_talk_and_see_each_other(world: SimWorld) -> None:
    alice, bob = world.phone("acme-101"), world.phone("acme-102")
    calling, answered = conversation(world, alice, bob)
    assert calling.hears(bob)
    assert calling.hears(answered)
    assert answered.hears(alice)
    assert (calling.display, answered.display) == (BOB, ALICE)
    assert calling.statuses == [401, 180, 200]
    assert world.event_types() == [CallStarted, CallAnswered]
    alice.hang_up()
    world.run(1)
    assert (calling.ended, answered.ended) == ("ended", "bye")
    world.assert_nothing_leaks()


def test_the_world_of_the_docstring_parks_a_call(world: SimWorld) -> None:
    alice, bob, carol = (world.phone(f"acme-{extension}") for extension in ("101", "102", "103"))
    calling, answered = conversation(world, alice, bob)
    bob.refer("*800")
    world.run(2)
    assert calling.hears("music")
    assert answered.ended is not None
    assert answered.sipfrags[-1].startswith("SIP/2.0 200")
    assert bob.recorder.header("X-Parkade-Park-Code") == "*801"
    retrieving = carol.call("*801")
    world.run(2)
    assert retrieving.hears(alice)
    assert retrieving.display == ALICE
    assert [what for _, what in calling.heard] == ["silence", "acme-102", "music", "acme-103"]
    carol.hang_up()
    world.run(1)
    world.assert_nothing_leaks()


@pytest.mark.parametrize("style", ["sendonly", "inactive", "zero"])
@pytest.mark.parametrize("by_update", [False, True])
def test_hold_in_every_spelling_is_heard_as_music_until_it_ends(world: SimWorld, style: str, by_update: bool) -> None:
    alice, bob = world.phone("acme-101"), world.phone("acme-102")
    calling, answered = conversation(world, alice, bob)
    answered.hold(style, by_update=by_update)  # type: ignore[arg-type]
    world.run(1)
    assert calling.hears("music")
    assert answered.hears("silence")
    answered.resume(by_update=by_update)
    world.run(1)
    assert calling.hears(bob)
    assert answered.hears(alice)


def test_an_attended_transfer_connects_the_two_others(world: SimWorld) -> None:
    alice, bob, carol = (world.phone(f"acme-{extension}") for extension in ("101", "102", "103"))
    calling, answered = conversation(world, alice, bob)
    bob.hold()
    world.run(1)
    consultation = bob.call("103")
    world.run(1)
    carols = carol.answer()
    world.run(1)
    answered.transfer_to(consultation)
    world.run(2)
    assert calling.hears(carol)
    assert carols.hears(alice)
    assert carols.display == ALICE
    assert not bob.live


@pytest.mark.parametrize("how", ["info", "rtp"])
def test_keys_reach_the_switch_either_way(world: SimWorld, how: str) -> None:
    alice, bob = world.phone("acme-101"), world.phone("acme-102")
    calling, answered = conversation(world, alice, bob)
    answered.press("*5", how)  # type: ignore[arg-type]
    world.run(5)
    assert calling.hears("music")
    assert CallParked in world.event_types()


def test_phones_over_tcp_behind_nat_and_without_an_offer_talk_like_others(world: SimWorld) -> None:
    alice, bob = world.phone("acme-101", transport="TCP"), world.phone("acme-102", nat=True)
    calling = alice.call("102", late_offer=True)
    world.run(1)
    answered = bob.answer()
    world.run(1)
    assert calling.hears(bob)
    assert answered.hears(alice)
    bob.hang_up()
    world.run(1)
    assert calling.ended == "bye"
    world.assert_nothing_leaks()


def test_a_call_survives_a_network_that_loses_a_third_of_everything() -> None:
    for seed in range(5):
        world = make_world(seed, Weather(loss=0.3, duplication=0.2, delay_s=0.02, jitter_s=0.3))
        alice, bob = world.phone("acme-101"), world.phone("acme-102")
        calling, answered = conversation(world, alice, bob)
        world.run_until(lambda call=calling, phone=bob: call.hears(phone), within_s=40.0)  # type: ignore[misc]
        alice.hang_up()
        world.run_until(lambda call=answered: not call.is_up, within_s=40.0)  # type: ignore[misc]
        world.assert_nothing_leaks()


def test_a_phone_that_answers_by_itself_after_forty_seconds_is_waited_for(world: SimWorld) -> None:
    alice, bob = world.phone("acme-101"), world.phone("acme-102")
    bob.auto_answer_s = 40.0
    calling = alice.call("102")
    world.run(39.0)
    assert calling.state == "calling"
    world.run(2.0)
    assert calling.hears(bob)


def test_a_phone_that_never_acknowledges_loses_its_call_after_32_seconds(world: SimWorld) -> None:
    alice, bob = world.phone("acme-101"), world.phone("acme-102")
    alice.misbehave(never("ACK"))
    calling, answered = conversation(world, alice, bob)
    world.run(40.0)
    assert calling.ended == answered.ended == "bye"
    assert alice.recorder.statuses("INVITE").count(200) == 11
    alice.misbehave()
    world.assert_nothing_leaks()


def test_a_phone_that_never_answers_a_bye_leaves_nothing_behind(world: SimWorld) -> None:
    alice, bob = world.phone("acme-101"), world.phone("acme-102")
    bob.misbehave(never_answers("BYE"))
    _, answered = conversation(world, alice, bob)
    alice.hang_up()
    world.run(1.0)
    assert answered.ended == "bye"
    world.assert_nothing_leaks()


def test_garbage_in_place_of_an_answer_is_as_if_there_were_none(world: SimWorld) -> None:
    alice, bob = world.phone("acme-101"), world.phone("acme-102")
    bob.misbehave(answers_garbage("INVITE"))
    calling = alice.call("102")
    world.run(40.0)
    assert calling.state == "ended"
    assert calling.refused is not None
    bob.misbehave()
    world.run(1)
    bob.hang_up()
    world.assert_nothing_leaks()


def test_further_contacts_in_an_answer_are_ignored(world: SimWorld) -> None:
    alice, bob = world.phone("acme-101"), world.phone("acme-102")
    bob.misbehave(several_contacts)
    calling, answered = conversation(world, alice, bob)
    assert calling.hears(bob)
    alice.hang_up()
    world.run(1)
    assert answered.ended == "bye"
    world.assert_nothing_leaks()


def test_a_phone_may_refuse_and_unregister(world: SimWorld) -> None:
    alice, bob = world.phone("acme-101"), world.phone("acme-102")
    bob.rejects = 486
    calling = alice.call("102")
    world.run(5)
    assert calling.refused == 486
    bob.unregister()
    world.run(1)
    assert not bob.registered
    calling = alice.call("102")
    world.run(5)
    assert calling.refused == 480


def test_a_wrong_password_registers_nothing(world: SimWorld) -> None:
    mallory = world.phone("acme-101", password="guess", register=False)
    mallory.register()
    world.run(2)
    assert not mallory.registered
    assert mallory.recorder.statuses("REGISTER") == [401, 401]


def test_two_worlds_with_one_seed_are_the_same_to_the_byte() -> None:
    def story(seed: int) -> list[tuple[float, bytes]]:
        world = make_world(seed, Weather(loss=0.2, jitter_s=0.1))
        alice, bob = world.phone("acme-101"), world.phone("acme-102")
        conversation(world, alice, bob)
        return [(at, packet.data) for at, packet in world.net.log]

    assert story(3) == story(3)
    assert story(3) != story(4)


def test_what_is_left_of_a_call_is_found(world: SimWorld) -> None:
    alice, bob = world.phone("acme-101"), world.phone("acme-102")
    conversation(world, alice, bob)
    with pytest.raises(AssertionError, match="acme-101 has calls"):
        world.assert_nothing_leaks()


def test_the_current_call_is_the_only_one(world: SimWorld) -> None:
    alice, bob = world.phone("acme-101"), world.phone("acme-102")
    with pytest.raises(AssertionError, match="acme-101 has 0 calls"):
        alice.hold()
    calling, _ = conversation(world, alice, bob)
    assert alice.current is calling
    with pytest.raises(AssertionError, match="does not ring"):
        bob.answer()


def test_accounts_devices_and_gateways_can_be_added_at_any_time(world: SimWorld) -> None:
    alice = world.phone("acme-101")
    world.account("other", {"101": "Zoe"})
    world.device("acme-102b", "acme", "102")
    zoe, second = world.phone("other-101"), world.phone("acme-102b")
    alice.call("102")
    world.run(1)
    assert second.ringing is not None
    assert zoe.ringing is None

"""Where things end: no port left, no new calls wanted, everybody sent home, a directory that changes under a call."""

from __future__ import annotations

from dataclasses import replace

import pytest

from parkade.calls.directory import Directory
from parkade.switch.inputs import Drain, HangUp
from parkade.testing.world import SimWorld
from tests.stories.office import Office, errors, response, responses


def small_world(ports: int) -> SimWorld:
    """A world whose media process has so many ports."""
    world = SimWorld(ports=range(20_000, 20_000 + 2 * ports, 2))
    world.account("acme", {"101": "Alice", "102": "Bob", "103": "Carol"})
    return world


@pytest.mark.parametrize("late_offer", [False, True])
def test_without_a_port_a_call_is_refused_with_503_and_nothing_is_left(late_offer: bool) -> None:
    """:rfc:`3261` section 21.5.4: temporarily unable."""
    world = small_world(0)
    alice = world.phone("acme-101")
    call = alice.call("102", late_offer=late_offer)
    world.run(1)
    assert call.statuses == [401, 503]
    assert errors(response(call, 503))[0] == "no_capacity"
    world.assert_nothing_leaks()


def test_without_a_port_for_the_callee_the_caller_is_told_and_gets_the_port_back() -> None:
    world = small_world(1)
    alice, bob = world.phone("acme-101"), world.phone("acme-102")
    for _ in range(3):
        call = alice.call("102")
        world.run(1)
        assert call.refused == 503
        assert errors(response(call, 503))[0] == "no_capacity"
    assert not bob.calls
    world.assert_nothing_leaks()
    assert world.switch.counts()["ports"] == 1


def test_when_ports_run_out_calls_that_have_theirs_go_on_and_a_parked_one_is_picked_up_when_there_is_one_again() -> None:
    world = small_world(3)
    alice, bob, carol = (world.phone(f"acme-{extension}") for extension in ("101", "102", "103"))
    call = alice.call("102")
    world.run(0.1)
    answered = bob.answer()
    world.run(0.1)
    third = carol.call("101")
    world.run(0.1)
    assert third.refused == 503
    assert call.hears(bob)
    answered.refer("*800")
    world.run(1)
    assert call.hears("music")
    retrieved = carol.call("*801")
    world.run(1)
    assert retrieved.hears(alice)
    carol.hang_up()
    world.run(1)
    world.assert_nothing_leaks()
    assert world.switch.counts()["ports"] == 3


def test_while_the_switch_drains_new_calls_are_refused_and_those_there_are_go_on(office: Office) -> None:
    caller, answered = office.talk(office.alice, office.bob)
    office.world.tell(Drain())
    late = office.carol.call("104")
    office.run(1)
    assert late.statuses == [401, 503]
    assert errors(response(late, 503))[0] == "draining"
    answered.hold()
    office.run(1)
    assert caller.hears("music")
    answered.resume()
    office.run(1)
    assert caller.hears(office.bob)
    office.park(answered)
    assert caller.hears("music")
    office.carol.register()
    office.run(1)
    assert office.carol.registered


def test_whoever_is_parked_can_be_retrieved_while_the_switch_drains(office: Office) -> None:
    caller, answered = office.talk(office.alice, office.bob)
    office.park(answered)
    office.world.tell(Drain())
    retrieved = office.carol.call("*801")
    office.run(1)
    assert retrieved.hears(office.alice)
    assert caller.hears(office.carol)


def test_everybody_can_be_sent_home_at_once(office: Office) -> None:
    parked = office.parked(office.alice, office.bob)
    caller, _ = office.talk(office.carol, office.dave)
    ringing = office.wall.call("102")
    office.run(0.1)
    refused = office.bob.call("*877")
    office.run(0.1)
    assert office.bob.ringing
    office.world.tell(HangUp())
    office.run(1)
    assert parked.ended == caller.ended == "bye"
    assert ringing.state == refused.state == "ended"
    assert not any(phone.live for phone in office.phones)
    assert not office.world.media.legs


def without(office: Office, *extensions: str) -> Directory:
    """The directory without these people and their devices."""
    directory = office.world.directory
    account = directory.accounts["acme"]
    owners = {extension: owner for extension, owner in account.owners.items() if extension not in extensions}
    devices = {id_: device for id_, device in directory.devices.items() if device.extension not in extensions}
    return Directory({"acme": replace(account, owners=owners)}, devices)


@pytest.mark.parametrize("gone", ["101", "102"])
def test_a_device_that_is_removed_in_a_call_finishes_it_and_starts_no_other(office: Office, gone: str) -> None:
    caller, answered = office.talk(office.alice, office.bob)
    removed = office.alice if gone == "101" else office.bob
    office.world.load(without(office, gone))
    office.run(1)
    assert caller.hears(office.bob)
    answered.hold()
    office.run(0.5)
    assert caller.hears("music")
    answered.resume()
    office.run(0.5)
    again = removed.call("103")
    office.run(1)
    assert again.refused == 401
    caller.hang_up()
    office.run(1)
    assert answered.ended == "bye"


def test_a_device_that_is_removed_while_it_rings_may_still_answer(office: Office) -> None:
    bob = office.bob
    call = office.alice.call("102")
    office.run(0.1)
    office.world.load(without(office, "102"))
    office.run(0.1)
    bob.answer()
    office.run(0.5)
    assert call.hears(bob)


def test_a_parker_who_is_removed_is_rung_back_in_vain_and_the_caller_is_parked_again(office: Office) -> None:
    caller = office.parked(office.alice, office.bob)
    office.world.load(without(office, "102"))
    office.run(601)
    assert caller.hears("music")
    retrieved = office.carol.call("*802")
    office.run(1)
    assert retrieved.hears(office.alice)


def test_a_number_that_is_removed_is_no_number_any_more(office: Office) -> None:
    _ = office.bob
    office.world.load(without(office, "102"))
    call = office.alice.call("102")
    office.run(6)
    assert [m.status for m in responses(call)] == [183, 404]

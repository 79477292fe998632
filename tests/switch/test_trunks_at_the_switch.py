"""A trunk on the wire: what the carrier is sent, how its calls are told from others, and what it is not told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from parkade.calls.directory import Directory
from parkade.calls.identity import Identity
from parkade.sip.message.headers import NameAddr
from parkade.sip.message.message import Request
from parkade.switch.inputs import AccountLoaded
from parkade.testing.net import Address
from parkade.testing.phone import FakePhone
from tests.stories.office import Office, invite, responses, shown_in
from tests.switch.raw_phone import RawPhone

AT = Address("203.0.113.50", 5090)
NUMBER = "+84901234567"
OURS = "+84281234567"
INBOUND = {OURS: "102", "+84281234568": "park"}
MINH = NameAddr("Minh", "sip:0901234567@carrier.example.net")


def carrier_of(office: Office, number: str = "") -> FakePhone:
    """The carrier's switch, which knows no password of ours."""
    trunk = office.world.trunk("1", "acme", AT, INBOUND, number)
    carrier = office.world.phone(trunk.id, register=False, password="")
    office.phones.append(carrier)
    return carrier


def test_a_number_outside_rings_the_carrier_and_they_talk(office: Office) -> None:
    carrier = carrier_of(office)
    call = office.alice.call(NUMBER)
    office.run(1)
    assert carrier.ringing
    assert 180 in call.statuses
    answered = carrier.answer()
    office.run(1)
    assert call.hears(carrier)
    assert answered.hears(office.alice)


@pytest.mark.parametrize(("number", "shown"), [("", "101"), ("+84281234560", "+84281234560")])
def test_the_carrier_is_asked_for_the_number_and_told_a_number_of_ours_and_no_name(
    office: Office, number: str, shown: str
) -> None:
    carrier = carrier_of(office, number)
    office.alice.call(NUMBER)
    office.run(1)
    assert carrier.ringing
    request = invite(carrier.ringing)
    assert request.uri == f"sip:{NUMBER}@203.0.113.50:5090"
    assert request.to.uri == f"sip:{NUMBER}@203.0.113.50"
    assert request.from_.uri.startswith(f"sip:{shown}@")
    assert "Alice" not in request.encode().decode()
    assert [name for name in ("P-Asserted-Identity", "Remote-Party-ID", "Alert-Info") if name in request.headers] == []


def test_of_an_inbound_call_the_extension_rings_and_sees_who_calls(office: Office) -> None:
    carrier, bob = carrier_of(office), office.bob
    carrier.call(OURS, caller=MINH)
    office.run(1)
    assert bob.ringing
    assert shown_in(invite(bob.ringing)) == Identity("Minh", "0901234567")
    assert office.world.switch.counts()["legs"] == 2
    answered = bob.answer()
    office.run(1)
    assert answered.hears(carrier)


def test_nobody_outside_is_told_who_is_there(office: Office) -> None:
    carrier, bob, _ = carrier_of(office), office.bob, office.carol
    call = carrier.call(OURS, caller=MINH)
    office.run(1)
    bob.answer()
    office.run(1)
    office.bob.current.refer("103")
    office.run(1)
    office.carol.answer()
    office.run(1)
    assert call.hears(office.carol)
    texts = [message.encode().decode() for message in responses(call)]
    assert not [name for name in ("Bob", "Carol") for text in texts if name in text]
    assert not carrier.recorder.received("UPDATE")


@pytest.mark.parametrize("crash", [False, True])
@pytest.mark.parametrize("while_it_rings", [False, True])
def test_nobody_outside_is_told_who_is_there_when_the_line_is_gone_either(
    office: Office, while_it_rings: bool, crash: bool
) -> None:
    carrier, bob, _ = carrier_of(office), office.bob, office.carol
    call = carrier.call(OURS, caller=MINH)
    office.run(1)
    if not while_it_rings:
        bob.answer()
        office.run(1)
    directory = office.world.directory
    acme = replace(directory.accounts["acme"], trunks={})
    office.world.load(Directory({**directory.accounts, "acme": acme}, directory.devices))
    if while_it_rings:
        bob.answer()
        office.run(1)
    if crash:
        office.world.crash_signalling()
        office.run(5)
    office.bob.current.refer("103")
    office.run(1)
    office.carol.answer()
    office.run(1)
    assert call.hears(office.carol)
    texts = [message.encode().decode() for message in responses(call)]
    texts += [message.encode().decode() for message in carrier.recorder.received("UPDATE")]
    assert not [name for name in ("Bob", "Carol") for text in texts if name in text]


def test_a_caller_from_outside_is_parked_by_its_number(office: Office) -> None:
    carrier = carrier_of(office)
    call = carrier.call("+84281234568", caller=MINH)
    office.run(1)
    assert call.hears("music")
    retrieved = office.carol.call("*801")
    office.run(1)
    assert retrieved.hears(carrier)


@pytest.mark.parametrize("dialled", ["101", "*801", "*800", NUMBER])
def test_nothing_but_its_numbers_can_be_dialled_from_there(office: Office, dialled: str) -> None:
    carrier = carrier_of(office)
    office.parked(office.alice, office.bob)
    call = carrier.call(dialled, caller=MINH)
    office.run(10)
    assert call.refused == 404


def test_the_line_is_known_by_its_port_too_and_only_for_calls(office: Office) -> None:
    """A stranger behind the same address, and anything but an INVITE, has to say who it is."""
    carrier = carrier_of(office)
    stranger = RawPhone(office.world, "acme-101", "203.0.113.50")
    stranger.send(stranger.request("INVITE", OURS, body=stranger.sdp))
    office.run(1)
    assert stranger.statuses("INVITE") == [401]
    carrier.register()
    office.run(1)
    assert not carrier.registered
    assert not office.bob.live


def test_a_caller_whose_number_spells_a_device_is_let_in(office: Office) -> None:
    carrier, bob = carrier_of(office), office.bob
    carrier.call(OURS, caller=NameAddr("", "sip:acme-103@carrier.example.net"))
    office.run(1)
    assert bob.ringing


def test_of_two_accounts_with_one_carrier_the_number_says_which_is_meant(office: Office) -> None:
    zoe, bob = office.zoe, office.bob
    office.world.trunk("1", "zeta", AT, {"+84281239999": "101"})
    carrier = carrier_of(office)
    carrier.call("+84281239999", caller=MINH)
    office.run(1)
    assert zoe.ringing
    assert not bob.live
    carrier.call(OURS, caller=MINH)
    office.run(1)
    assert bob.ringing


def test_a_busy_number_and_one_that_nobody_has_are_said(office: Office) -> None:
    carrier = carrier_of(office)
    for status, told in ((486, 486), (404, 404), (603, 603), (503, 480)):
        carrier.rejects = status
        call = office.alice.call(NUMBER)
        office.run(1)
        assert call.refused == told


def test_the_caller_gives_up_and_the_carrier_stops_ringing(office: Office) -> None:
    carrier = carrier_of(office)
    call = office.alice.call(NUMBER)
    office.run(1)
    call.hang_up()
    office.run(1)
    assert not carrier.live
    assert isinstance(carrier.recorder.received("CANCEL")[0], Request)


def test_a_transfer_outside_connects_the_two(office: Office) -> None:
    carrier = carrier_of(office)
    caller, answered = office.talk(office.alice, office.bob)
    answered.refer(NUMBER)
    office.run(1)
    carrier.answer()
    office.run(1)
    assert caller.hears(carrier)
    assert not office.bob.live


@pytest.mark.parametrize("outgoing", [True, False])
def test_a_call_over_the_line_outlives_the_process(office: Office, outgoing: bool) -> None:
    carrier, bob = carrier_of(office), office.bob
    if outgoing:
        office.alice.call(NUMBER)
        office.run(1)
        carrier.answer()
    else:
        carrier.call(OURS, caller=MINH)
        office.run(1)
        bob.answer()
    office.run(3)
    office.world.crash_signalling()
    office.run(3)
    ours = office.alice if outgoing else bob
    assert ours.current.hears(carrier)
    assert carrier.current.hears(ours)
    assert not office.world.notes
    carrier.hang_up()
    office.run(1)
    assert not ours.live


def test_a_line_that_is_taken_away_is_nobodys(office: Office) -> None:
    carrier = carrier_of(office)
    world, _ = office.world, office.bob
    acme = replace(world.directory.accounts["acme"], trunks={})
    devices = {id_: device for id_, device in world.directory.devices.items() if device.account == "acme"}
    secrets = {id_: secret for id_, secret in world._secrets.items() if id_ in devices}
    world.directory = Directory({**world.directory.accounts, "acme": acme}, world.directory.devices)
    world.tell(AccountLoaded("acme", acme, devices, secrets))
    call = carrier.call(OURS, caller=MINH)
    out = office.alice.call(NUMBER)
    office.run(1)
    assert call.refused == 401
    office.run(10)
    assert out.refused == 404


def test_an_account_that_is_loaded_alone_brings_its_line(office: Office) -> None:
    carrier = carrier_of(office)
    world = office.world
    acme, devices = world.directory.accounts["acme"], world.directory.devices
    world.tell(AccountLoaded("acme", acme, devices, dict(world._secrets)))
    world.tell(AccountLoaded("acme", acme, devices, dict(world._secrets)))
    carrier.call(OURS, caller=MINH)
    call = office.alice.call(NUMBER)
    office.run(1)
    assert carrier.ringing
    carrier.answer()
    office.run(1)
    assert call.hears(carrier)

"""People, places, phones: who may do what, and who is invisible to whom."""

from __future__ import annotations

from dataclasses import replace

import pytest

from parkade.calls.directory import Directory
from parkade.calls.events import CallEvent, CallParked
from parkade.calls.identity import Identity
from parkade.sip.message.message import Response
from tests.stories.office import (
    ALICE,
    BOB,
    CAROL,
    Office,
    errors,
    invite,
    requests_since,
    response,
    responses,
    shown_in,
    without_ids,
)


@pytest.mark.spec("S1")
def test_two_accounts_park_at_the_same_code_and_each_picks_up_its_own(office: Office) -> None:
    alice, bob, carol, zoe, zack = office.alice, office.bob, office.carol, office.zoe, office.zack
    here, there = office.parked(alice, bob), office.parked(zoe, zack)
    assert [event.code for event in office.events(CallParked)] == ["*801", "*801"]
    ours = carol.call("*801")
    office.run(1)
    assert ours.hears(alice)
    assert there.hears("music")
    theirs = zack.call("*801")
    office.run(1)
    assert theirs.hears(zoe)
    assert here.hears(carol)
    assert (ours.display, theirs.display) == (ALICE, Identity("Zoe", "101"))


@pytest.mark.spec("S1")
@pytest.mark.parametrize("number", ["*801", "**801"])
def test_a_call_parked_in_another_account_looks_like_none(office: Office, number: str) -> None:
    office.parked(office.alice, office.bob)
    stranger = office.zoe.call(number)
    office.run(8)
    free = office.zoe.call("*877" if number == "*801" else "**877")
    office.run(8)
    assert [m.status for m in responses(stranger)] == [m.status for m in responses(free)] == [183, 404]
    for foreign, empty in zip(responses(stranger), responses(free), strict=True):
        assert without_ids(foreign, ("*801", "CODE")) == without_ids(empty, ("*877", "CODE"))


@pytest.mark.spec("S1")
def test_an_extension_of_another_account_is_no_number(office: Office) -> None:
    zoe, carol = office.zoe, office.carol
    for number in ("103", "sip:103@acme.example.com"):
        call = zoe.call(number)
        office.run(5)
        assert call.refused == 404
        assert errors(response(call, 404))[0] == "no_such_number"
    assert not carol.calls


@pytest.mark.spec("S1")
def test_a_transfer_never_reaches_into_another_account(office: Office) -> None:
    caller, _ = office.talk(office.alice, office.bob)
    ours, theirs = office.talk(office.zoe, office.zack)
    theirs.transfer_to(caller)
    office.run(1)
    assert theirs.transfer[-1][0] == 603
    assert ours.hears(office.zack)
    assert caller.hears(office.bob)
    theirs.refer("103")
    office.run(1)
    assert theirs.transfer[-1][0] == 603
    assert ours.hears(office.zack)


@pytest.mark.spec("S1")
def test_a_call_of_another_account_cannot_be_replaced(office: Office) -> None:
    caller, _ = office.talk(office.alice, office.bob)
    dialog = caller.session.dialog
    assert dialog is not None
    real = f"{dialog.call_id};to-tag={dialog.remote_tag};from-tag={dialog.local_tag}"
    made_up = f"{dialog.call_id};to-tag=nobody;from-tag={dialog.local_tag}"
    foreign, unknown = (office.zoe.call("102", headers=[("Replaces", which)]) for which in (real, made_up))
    office.run(1)
    assert foreign.refused == unknown.refused == 481
    assert without_ids(response(foreign, 481)) == without_ids(response(unknown, 481))
    assert caller.hears(office.bob)


@pytest.mark.spec("S1")
def test_every_event_belongs_to_the_account_it_happened_in(office: Office) -> None:
    office.parked(office.alice, office.bob)
    office.parked(office.zoe, office.zack)
    at_acme, at_zeta = ({e.call for e in office.events(CallEvent) if e.account == slug} for slug in ("acme", "zeta"))
    assert len(at_acme) == len(at_zeta) == 1
    assert at_acme.isdisjoint(at_zeta)


@pytest.mark.spec("S3")
def test_without_a_licence_nobody_registers_parks_or_picks_up_and_is_told_why(office: Office) -> None:
    alice, bob = office.alice, office.bob
    caller, answered = office.talk(alice, bob)
    take_licence(office, "102")
    answered.refer("*800")
    office.run(1)
    assert answered.transfer[-1][0] == 403
    assert caller.hears(bob)
    assert answered.hears(alice)
    for number in ("*801", "103"):
        call = bob.call(number)
        office.run(8)
        assert call.refused == 403
        assert errors(response(call, 403))[0] == "not_licensed"
        assert "not-licensed" in [what for _, what in call.heard]
    bob.register()
    office.run(1)
    refusal = bob.recorder.received("403 REGISTER")[0]
    assert isinstance(refusal, Response)
    assert errors(refusal)[0] == "not_licensed"


@pytest.mark.spec("S3")
def test_a_phone_whose_licence_is_taken_rings_no_more(office: Office) -> None:
    alice, bob = office.alice, office.bob
    take_licence(office, "102")
    call = alice.call("102")
    office.run(8)
    assert call.refused == 480
    assert not bob.calls


def take_licence(office: Office, extension: str) -> None:
    account = office.world.directory.accounts["acme"]
    owners = {**account.owners, extension: replace(account.owners[extension], licensed=False)}
    office.world.load(Directory({"acme": replace(account, owners=owners)}, office.world.directory.devices))


@pytest.mark.spec("S4")
def test_a_phone_on_the_wall_calls_is_called_picks_up_and_parks(office: Office) -> None:
    alice, bob, wall = office.alice, office.bob, office.wall
    calling, answered = office.talk(wall, bob)
    assert answered.display is not None
    assert str(answered.display) == "Warehouse wall (110)"
    calling.hang_up()
    office.run(1)
    caller, _ = office.talk(alice, wall)
    assert caller.display == answered.display
    assert office.park(wall.current) == "*801"
    picked_up = wall.call("*801")
    office.run(1)
    assert picked_up.hears(alice)
    assert picked_up.display == ALICE
    assert office.park(picked_up) == "*801"


@pytest.mark.spec("S5")
def test_all_devices_of_a_person_ring_and_the_one_that_is_picked_up_has_the_call(office: Office) -> None:
    office.world.device("acme-102-app", "acme", "102")
    desk, app = office.bob, office.phone("acme-102-app", transport="TCP")
    call = office.alice.call("102")
    office.run(1)
    assert desk.ringing
    assert app.ringing
    answered = app.answer()
    office.run(1)
    assert call.hears(app)
    assert answered.hears(office.alice)
    assert not desk.live
    cancel = desk.recorder.received("CANCEL")[0]
    assert cancel.headers.get("Reason") == 'SIP;cause=200;text="Call completed elsewhere"'
    assert call.display == BOB


@pytest.mark.spec("S5")
def test_each_device_has_credentials_of_its_own(office: Office) -> None:
    office.world.device("acme-102-app", "acme", "102")
    for password in ("secret of acme-102", "secret of acme-101", ""):
        app = office.phone("acme-102-app", password=password, register=False)
        app.register()
        office.run(1)
        assert not app.registered
        call = app.call("*801")
        office.run(1)
        assert call.refused == 401


@pytest.mark.spec("S5")
def test_who_somebody_is_follows_from_credentials_and_from_no_header(office: Office) -> None:
    office.parked(office.alice, office.bob)
    claims = [
        ("P-Asserted-Identity", '"Boss" <sip:104@acme.example.com>'),
        ("P-Preferred-Identity", '"Boss" <sip:104@acme.example.com>'),
        ("Remote-Party-ID", '"Boss" <sip:104@acme.example.com>;party=calling'),
        ("X-Account", "acme"),
    ]
    stranger = office.zoe.call("sip:*801@acme.example.com", headers=claims)
    office.run(8)
    assert stranger.refused == 404
    dave = office.dave
    office.carol.call("104", headers=claims)
    office.run(1)
    assert dave.ringing
    assert shown_in(invite(dave.ringing)) == CAROL


@pytest.mark.spec("S5")
def test_a_device_that_answers_twice_the_same_call_gets_it_once(office: Office) -> None:
    office.world.device("acme-102-app", "acme", "102")
    desk, app = office.bob, office.phone("acme-102-app")
    call = office.alice.call("102")
    office.run(1)
    desk.answer()
    app.answer()
    office.run(1)
    assert [len(phone.live) for phone in (desk, app)] in ([1, 0], [0, 1])
    assert call.hears(desk) or call.hears(app)
    since = office.world.now
    office.run(1)
    assert requests_since(call, since) == []

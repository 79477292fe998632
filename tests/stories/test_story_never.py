"""What never happens, whatever goes wrong around a call."""

from __future__ import annotations

from dataclasses import replace

import pytest

from parkade.calls.directory import Directory, ParkPolicy
from parkade.calls.events import CallReparked, ParkFailed
from parkade.testing.fake_call import FakeCall
from parkade.testing.misbehaviour import answers_garbage, never, never_answers
from tests.stories.office import Furnish, Office, errors, heard, response, responses

FULL = (801, 801)


def ask_to_park(way: str, call: FakeCall, office: Office) -> FakeCall:
    """Ask for it; the call in which the refusal comes."""
    if way == "refer":
        call.refer("*800")
        return call
    if way == "keys":
        call.press("*5")
        return call
    call.hold()
    office.run(0.5)
    return call.phone.call("*800")


@pytest.mark.parametrize("way", ["refer", "keys", "feature code", "attended"])
def test_a_full_lot_is_refused_before_any_200_and_the_call_stays_with_the_parker(furnish: Furnish, way: str) -> None:
    office = furnish(lot=FULL)
    first = office.parked(office.carol, office.dave)
    caller, answered = office.talk(office.alice, office.bob)
    asked_in = ask_to_park(way, answered, office)
    office.run(8)
    match way:
        case "refer":
            assert answered.transfer == [(486, "Busy Here", True)]
            assert errors(office.bob.recorder.received("486 REFER")[0])[0] == "lot_full"
            assert "lot-full" not in heard(caller)
        case "keys":
            assert "lot-full" in heard(answered)
        case _:
            assert [m.status for m in responses(asked_in)] == [183, 486]
            assert errors(response(asked_in, 486))[0] == "lot_full"
            assert "lot-full" in heard(asked_in)
            answered.resume()
    office.run(1)
    assert caller.hears(office.bob)
    assert answered.hears(office.alice)
    assert first.hears("music")
    (failed,) = office.events(ParkFailed)
    assert failed.reason == "lot_full"


def test_where_parking_is_switched_off_the_call_stays_with_the_parker(furnish: Furnish) -> None:
    office = furnish(ParkPolicy(enable=False))
    caller, answered = office.talk(office.alice, office.bob)
    answered.refer("*800")
    office.run(1)
    assert answered.transfer[-1][0] == 403
    assert errors(office.bob.recorder.received("403 REFER")[0])[0] == "parking_disabled"
    assert caller.hears(office.bob)


def test_a_caller_for_whom_no_code_is_free_after_expiry_goes_on_hearing_music(furnish: Furnish) -> None:
    office = furnish(ParkPolicy(expiration_s=60.0, ring_back_s=10.0), lot=FULL)
    caller = office.parked(office.alice, office.bob)
    office.world.run_until(lambda: office.bob.ringing is not None, within_s=61)
    office.run(0.1)
    office.parked(office.carol, office.dave)
    office.run(15)
    assert caller.hears("music")
    assert caller.is_up
    office.world.run_until(lambda: not caller.hears("music"), within_s=200)
    assert heard(caller) == ["silence", "acme-102", "music", "sorry-nobody-goodbye"]


@pytest.mark.parametrize("nonsense", ["NOTIFY", "BYE", "UPDATE"])
@pytest.mark.parametrize("how", [never_answers, answers_garbage])
def test_a_parker_whose_phone_answers_nonsense_loses_nobody(office: Office, nonsense: str, how: object) -> None:
    misbehave = never_answers if how is never_answers else answers_garbage
    office.bob.misbehave(misbehave(nonsense))
    caller, answered = office.talk(office.alice, office.bob)
    answered.refer("*800")
    office.run(40)
    assert caller.hears("music")
    retrieved = office.carol.call("*801")
    office.run(1)
    assert retrieved.hears(office.alice)


@pytest.mark.parametrize("dies", [False, True])
def test_a_phone_that_picks_up_and_never_confirms_it_gives_the_caller_back_to_the_lot(office: Office, dies: bool) -> None:
    caller, carol = office.parked(office.alice, office.bob), office.carol
    carol.misbehave(never("ACK"))
    carol.call("*801")
    office.run(0.007)
    if dies:
        office.world.net.cut(carol.address)
    office.run(70)
    assert caller.hears("music")
    (again,) = office.events(CallReparked)
    office.dave.call(again.code)
    office.run(1)
    assert caller.hears(office.dave)
    office.world.net.mend(carol.address, office.world.now)


def test_a_parker_whose_phone_loses_its_power_while_parking_loses_nobody(office: Office) -> None:
    caller, answered = office.talk(office.alice, office.bob)
    answered.refer("*800")
    office.run(0.003)
    office.world.net.cut(office.bob.address)
    office.run(60)
    assert caller.hears("music")
    retrieved = office.carol.call("*801")
    office.run(1)
    assert retrieved.hears(office.alice)
    office.world.net.mend(office.bob.address, office.world.now)


def test_the_directory_may_lose_the_parker_the_lot_and_the_account_and_the_caller_still_hears_music(office: Office) -> None:
    caller = office.parked(office.alice, office.bob)
    account = office.world.directory.accounts["acme"]
    devices = {id_: device for id_, device in office.world.directory.devices.items() if id_ != "acme-102"}
    owners = {extension: owner for extension, owner in account.owners.items() if extension != "102"}
    office.world.load(Directory({"acme": replace(account, owners=owners)}, devices))
    office.run(1)
    assert caller.hears("music")
    retrieved = office.carol.call("*801")
    office.run(1)
    assert retrieved.hears(office.alice)
    office.park(retrieved)
    office.world.load(Directory())
    office.run(1)
    assert caller.hears("music")


def test_no_two_strangers_are_ever_connected_when_one_code_changes_hands(furnish: Furnish) -> None:
    """A code is free again and taken by another call before somebody dials it: who dials gets whom the code means now."""
    office = furnish(ParkPolicy(reserve_s=0.0), lot=FULL)
    first = office.parked(office.alice, office.bob)
    first.hang_up()
    office.run(0.01)
    office.parked(office.dave, office.bob)
    late = office.carol.call("*801")
    office.run(1)
    assert late.hears(office.dave)
    assert str(late.display) == "Dave (104)"
    assert first.state == "ended"


@pytest.mark.parametrize(
    ("how", "status", "error_id"),
    [
        ("busy", 486, "busy"),
        ("declined", 603, "declined"),
        ("does not answer", 480, "no_answer"),
        ("switched off", 480, "not_registered"),
        ("no such number", 404, "no_such_number"),
    ],
)
@pytest.mark.parametrize("transferred", [False, True])
def test_a_call_that_fails_says_why_by_status_id_and_words(
    office: Office, how: str, status: int, error_id: str, transferred: bool
) -> None:
    """A caller is refused; somebody who is transferred is given back to whoever transferred."""
    number = "104" if how != "no such number" else "199"
    office.dave.rejects = {"busy": 486, "declined": 603}.get(how)
    if how == "switched off":
        office.dave.unregister()
        office.run(1)
    if not transferred:
        call = office.carol.call(number)
        office.run(130)
        assert call.refused == status
        assert errors(response(call, status))[0] == error_id
        return
    caller, answered = office.talk(office.alice, office.bob)
    answered.refer(number)
    office.run(130)
    if how == "no such number":
        assert answered.transfer[-1][0] == 603
        assert errors(office.bob.recorder.received("603 REFER")[0])[0] == error_id
    else:
        assert answered.transfer[-1][0] == status
        assert errors(office.bob.recorder.received("NOTIFY")[-1])[0] == error_id
    assert caller.hears(office.bob)
    assert answered.hears(office.alice)

"""When nobody picks up: the parker's phones ring, the caller is never forgotten, the old code is worth nothing."""

from __future__ import annotations

import pytest

from parkade.calls.directory import NotPickedUp, ParkPolicy
from parkade.calls.events import CallAbandoned, CallEnded, CallParked, CallReparked, CallRetrieved, CallReturned, CallTimedOut
from parkade.calls.identity import Identity
from parkade.testing.phone import FakePhone
from tests.stories.office import ALICE, Furnish, Office, errors, heard, invite, requests_since, response, responses, shown_in

PARKED_S, RINGS_S = 60.0, 30.0
POLICY = ParkPolicy(expiration_s=PARKED_S, ring_back_s=RINGS_S)
SORRY = "sorry-nobody-goodbye"


@pytest.fixture
def office(furnish: Furnish) -> Office:
    return furnish(POLICY)


@pytest.fixture
def app(office: Office) -> FakePhone:
    office.world.device("acme-102-app", "acme", "102")
    return office.phone("acme-102-app")


def at_expiry(office: Office) -> None:
    """Bob's phones ring."""
    office.world.run_until(lambda: office.bob.ringing is not None, within_s=PARKED_S + 1)
    office.run(0.1)


@pytest.mark.spec("S41-100")
def test_all_devices_of_the_parker_ring_and_say_what_it_is_about(office: Office, app: FakePhone) -> None:
    caller = office.parked(office.alice, office.bob)
    at_expiry(office)
    for phone in (office.bob, app):
        assert phone.ringing
        offered = invite(phone.ringing)
        assert shown_in(offered) == Identity("Park *801 Alice", "101")
        assert offered.from_.display == "Park *801 Alice"
        assert offered.headers.get("Alert-Info") == "<http://127.0.0.1/Bellcore-dr3>;info=park-return"
    assert caller.hears("music")


@pytest.mark.spec("S41-100")
@pytest.mark.parametrize("picks_up", ["desk", "app"])
def test_whoever_of_them_answers_has_the_caller_back(office: Office, app: FakePhone, picks_up: str) -> None:
    caller = office.parked(office.alice, office.bob)
    before = office.world.now
    at_expiry(office)
    phone, other = (office.bob, app) if picks_up == "desk" else (app, office.bob)
    answered = phone.answer()
    office.run(1)
    assert answered.hears(office.alice)
    assert caller.hears(phone)
    assert not other.live
    assert heard(caller) == ["silence", "acme-102", "music", phone.name]
    assert set(requests_since(caller, before)) <= {"UPDATE"}
    (returned,) = office.events(CallReturned)
    assert returned.returned_to == "102"


@pytest.mark.spec("S41-100")
def test_a_parker_who_picks_up_and_hangs_up_at_once_is_not_rung_again(office: Office) -> None:
    caller = office.parked(office.alice, office.bob)
    at_expiry(office)
    office.bob.answer()
    office.world.run_until(lambda: bool(office.events(CallReturned)), within_s=1)
    office.bob.hang_up()
    office.run(PARKED_S)
    assert not caller.is_up
    assert office.bob.ringing is None
    assert len(office.events(CallTimedOut)) == len(office.events(CallReturned)) == 1


@pytest.mark.spec("S41-100")
@pytest.mark.parametrize("how", ["nobody answers", "busy", "declined", "switched off"])
def test_when_that_fails_too_the_caller_is_parked_again_under_another_code(office: Office, how: str) -> None:
    caller = office.parked(office.alice, office.bob)
    match how:
        case "busy":
            office.bob.rejects = 486
        case "declined":
            office.bob.rejects = 603
        case "switched off":
            office.bob.unregister()
        case _:
            assert how == "nobody answers"
    office.run(PARKED_S + RINGS_S + 1)
    (again,) = office.events(CallReparked)
    assert (again.old_code, again.code) == ("*801", "*802")
    assert heard(caller) == ["silence", "acme-102", "music"]
    assert not office.bob.live
    retrieved = office.carol.call("*802")
    office.run(1)
    assert retrieved.hears(office.alice)
    assert retrieved.display == ALICE


@pytest.mark.spec("S41-100")
def test_after_the_last_round_the_caller_is_told_so_and_only_then_hung_up_on(office: Office) -> None:
    caller = office.parked(office.alice, office.bob)
    office.world.run_until(lambda: caller.hears(SORRY), within_s=600)
    assert caller.is_up
    assert len(office.events(CallTimedOut)) == 3
    office.run(2)
    assert caller.ended == "bye"
    assert heard(caller)[:4] == ["silence", "acme-102", "music", SORRY]


@pytest.mark.spec("S41-100")
def test_a_caller_who_hangs_up_stops_the_ringing(office: Office, app: FakePhone) -> None:
    caller = office.parked(office.alice, office.bob)
    at_expiry(office)
    caller.hang_up()
    office.run(1)
    assert not office.bob.live
    assert not app.live
    assert [type(event) for event in office.world.events[-2:]] == [CallAbandoned, CallEnded]


@pytest.mark.spec("S41-100")
def test_the_second_round_shows_the_second_code(office: Office) -> None:
    office.parked(office.alice, office.bob)
    office.run(PARKED_S + RINGS_S + 1)
    at_expiry(office)
    assert office.bob.ringing
    assert shown_in(invite(office.bob.ringing)) == Identity("Park *802 Alice", "101")


@pytest.mark.spec("S41-9")
def test_disconnect_comes_after_a_spoken_apology_in_the_accounts_language(furnish: Furnish) -> None:
    office = furnish(ParkPolicy(expiration_s=PARKED_S, not_picked_up=NotPickedUp.DISCONNECT), language="vi")
    caller = office.parked(office.alice, office.bob)
    office.world.run_until(lambda: caller.hears(SORRY), within_s=PARKED_S)
    assert caller.is_up
    assert office.languages(caller) == ["vi"]
    office.run(2)
    assert caller.ended == "bye"
    assert not office.bob.calls[1:]


@pytest.mark.spec("S43")
def test_after_expiry_the_old_code_is_no_longer_valid(office: Office) -> None:
    office.parked(office.alice, office.bob)
    at_expiry(office)
    late = office.carol.call("*801")
    office.run(8)
    assert [m.status for m in responses(late)] == [183, 404]
    assert errors(response(late, 404))[0] == "no_call_parked"
    answered = office.bob.answer()
    office.run(1)
    assert answered.hears(office.alice)


@pytest.mark.spec("S43")
def test_in_the_lot_again_only_the_new_code_counts(office: Office) -> None:
    office.parked(office.alice, office.bob)
    office.run(PARKED_S + RINGS_S + 1)
    late = office.carol.call("*801")
    office.run(8)
    assert late.refused == 404
    right = office.carol.call("*802")
    office.run(1)
    assert right.hears(office.alice)


@pytest.mark.spec("S43")
@pytest.mark.parametrize("early_s", [0.1, 0.0101, 0.0099, 0.0, -0.1])
def test_at_the_deadline_a_call_is_picked_up_or_rung_back_and_never_both(office: Office, early_s: float) -> None:
    caller, carol = office.parked(office.alice, office.bob), office.carol
    (parked,) = office.events(CallParked)
    until = parked.expires_at
    assert isinstance(until, float)
    office.run(until - office.world.now - early_s)
    late = carol.call("*801")
    office.run(5)
    assert late.hears(office.alice) is (office.bob.ringing is None)
    assert len(office.events(CallRetrieved, CallTimedOut)) == 1
    assert caller.hears("acme-103" if late.is_up else "music")

"""The server is killed at any moment and comes back: nobody who was parked is lost, and whoever talks talks on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from parkade.base.sound import Music
from parkade.calls.events import CallParked, CallRetrieved, CallTimedOut
from parkade.testing.fake_call import FakeCall
from tests.stories.office import Office, told_code

EVERY_EFFECT = range(40)
"""More effects than any of these deeds has."""
DOWN_S = [0.0, 1.5]


def retrievable(office: Office, code: str = "*801") -> FakeCall:
    """Carol dials the code, with a phone that has not registered again, and has Alice."""
    retrieved = office.carol.call(code)
    office.run(2)
    assert retrieved.hears(office.alice), retrieved.statuses
    return retrieved


@pytest.mark.parametrize("down_s", DOWN_S)
@pytest.mark.parametrize("crashes", [1, 3])
def test_a_parked_caller_hears_music_without_a_gap_keeps_the_code_and_is_picked_up(
    office: Office, crashes: int, down_s: float
) -> None:
    _ = office.carol
    caller = office.parked(office.alice, office.bob)
    (leg,) = office.world.media.legs.values()
    heard = len(leg.heard)
    for _ in range(crashes):
        office.world.crash_signalling(down_s)
        office.run(down_s + 5)
    assert caller.hears("music")
    assert all(isinstance(sound, Music) for _, sound in leg.heard[heard:]), "the music is told again and goes on"
    assert [*office.world.media.legs.values()] == [leg]
    retrieved = retrievable(office)
    assert caller.hears(office.carol)
    retrieved.hang_up()
    office.run(1)
    assert caller.ended == "bye"


@pytest.mark.parametrize("down_s", [0.0, 30.0])
def test_the_deadline_of_a_parked_caller_holds_across_a_crash_and_is_kept_once(office: Office, down_s: float) -> None:
    bob = office.bob
    office.parked(office.alice, bob)
    office.run(300)
    office.world.crash_signalling(down_s)
    office.run(299)
    assert not bob.ringing
    office.run(3)
    assert bob.ringing
    assert len(office.events(CallTimedOut)) == 1
    bob.answer()
    office.run(1)
    assert bob.current.hears(office.alice)


def test_a_deadline_that_passed_while_the_server_was_down_is_due_at_once(office: Office) -> None:
    bob = office.bob
    office.parked(office.alice, bob)
    office.run(590)
    office.world.crash_signalling(20.0)
    office.run(21)
    assert bob.ringing
    assert len(office.events(CallTimedOut)) == 1


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
def test_a_conversation_goes_on_and_does_all_that_it_could_before(office: Office, transport: str) -> None:
    alice, bob = office.phone("acme-101", transport=transport), office.phone("acme-102", transport=transport)
    caller, answered = office.talk(alice, bob)
    office.world.crash_signalling(2.0)
    office.run(3)
    for phone in (alice, bob):
        if transport == "TCP":
            phone.register()
    office.run(1)
    assert caller.hears(bob)
    assert answered.hears(alice)
    answered.hold()
    office.run(1)
    assert caller.hears("music")
    answered.resume()
    office.run(1)
    assert caller.hears(bob)
    caller.hold()
    office.run(1)
    assert answered.hears("music")
    caller.resume()
    office.run(1)
    office.park(answered)
    assert caller.hears("music")
    office.world.crash_signalling()
    office.run(1)
    retrieved = office.carol.call("*801")
    office.run(1)
    assert retrieved.hears(alice)


@pytest.mark.parametrize("who", ["caller", "called"])
def test_whoever_hangs_up_after_a_crash_ends_it_for_both(office: Office, who: str) -> None:
    caller, answered = office.talk(office.alice, office.bob)
    office.world.crash_signalling()
    office.run(1)
    first, second = (caller, answered) if who == "caller" else (answered, caller)
    first.hang_up()
    office.run(1)
    assert second.ended == "bye"
    assert not any(key.startswith(("leg/", "call/")) for key in office.world.journal)


def test_a_phone_that_hangs_up_while_the_server_is_down_ends_the_call_when_it_is_back(office: Office) -> None:
    """The BYE is sent again for 32 s (:rfc:`3261` section 17.1.2.2)."""
    caller, answered = office.talk(office.alice, office.bob)
    office.world.crash_signalling(3.0)
    caller.hang_up()
    office.run(10)
    assert answered.ended == "bye"


def test_registrations_survive(office: Office) -> None:
    bob = office.bob
    office.world.crash_signalling()
    caller = office.alice.call("102")
    office.run(1)
    assert bob.ringing
    bob.answer()
    office.run(1)
    assert caller.hears(bob)


def crash_at(office: Office, effects: int, down_s: float, deed: Callable[[], object]) -> None:
    """Do something; the switch is killed so many effects later, and all has settled."""
    office.world.crash_signalling_after(effects, down_s)
    deed()
    office.run(down_s + 12)
    office.world.crash_signalling_after(None)


@pytest.mark.parametrize("down_s", DOWN_S)
@pytest.mark.parametrize("effects", EVERY_EFFECT)
def test_a_crash_at_any_moment_of_a_park_leaves_the_caller_parked_or_with_the_parker(
    office: Office, effects: int, down_s: float
) -> None:
    _ = office.carol
    caller, answered = office.talk(office.alice, office.bob)
    crash_at(office, effects, down_s, lambda: answered.refer("*800"))
    if caller.hears("music") and not answered.is_up:
        assert answered.transfer[-1][0] in (200, 500, 408, 481), answered.transfer
        assert told_code(answered) in ("*801", None)
        retrievable(office)
    else:
        assert caller.hears(office.bob)
        assert answered.hears(office.alice)
    assert len(office.events(CallParked)) <= 1


@pytest.mark.parametrize("down_s", DOWN_S)
@pytest.mark.parametrize("effects", EVERY_EFFECT)
def test_a_crash_at_any_moment_of_a_retrieve_leaves_the_caller_retrieved_or_parked(
    office: Office, effects: int, down_s: float
) -> None:
    _ = office.carol, office.dave
    caller = office.parked(office.alice, office.bob)
    crash_at(office, effects, down_s, lambda: office.carol.call("*801"))
    (call,) = office.carol.calls
    if call.is_up:
        assert caller.hears(office.carol)
        assert call.hears(office.alice)
    else:
        assert caller.hears("music")
        retrieved = office.dave.call("*801")
        office.run(2)
        assert retrieved.hears(office.alice)
    assert len(office.events(CallRetrieved)) <= 2


@pytest.mark.parametrize("down_s", DOWN_S)
@pytest.mark.parametrize("effects", range(30))
def test_a_crash_at_any_moment_of_a_ring_back_leaves_the_caller_parked_or_with_the_parker(
    office: Office, effects: int, down_s: float
) -> None:
    bob = office.bob
    _ = office.carol
    caller = office.parked(office.alice, bob)
    office.run(590)
    crash_at(office, effects, down_s, lambda: office.run(9.5))
    for _ in range(100):
        if caller.hears(bob):
            break
        if bob.ringing:
            bob.answer()
        office.run(1)
    assert caller.hears(bob)


@pytest.mark.parametrize("effects", range(0, 30, 2))
def test_a_crash_at_any_moment_of_a_call_that_is_not_answered_leaves_nothing(office: Office, effects: int) -> None:
    bob = office.bob
    crash_at(office, effects, 0.0, lambda: office.alice.call("102"))
    office.alice.hang_up()
    office.run(1)
    bob.hang_up()


def test_media_that_dies_gets_every_leg_again_on_its_port(office: Office) -> None:
    caller = office.parked(office.alice, office.bob)
    talking, answered = office.talk(office.carol, office.dave)
    ports = {leg.id: leg.port for leg in office.world.media.legs.values()}
    office.world.crash_media()
    office.run(1)
    assert {leg.id: leg.port for leg in office.world.media.legs.values()} == ports
    assert caller.hears("music")
    assert talking.hears(office.dave)
    assert answered.hears(office.carol)
    retrieved = office.bob.call("*801")
    office.run(1)
    assert retrieved.hears(office.alice)


def test_both_may_die_at_once_and_no_port_is_given_to_two(office: Office) -> None:
    caller = office.parked(office.alice, office.bob)
    office.world.media.restart()
    office.world.crash_signalling(2.0)
    office.run(3)
    assert caller.hears("music")
    calls = [phone.call("101") for phone in (office.bob, office.carol, office.dave)]
    office.run(1)
    ports = [leg.port for leg in office.world.media.legs.values()]
    assert len(ports) == len(set(ports))
    assert all(call.refused is None for call in calls)
    for call in calls:
        call.hang_up()
    office.run(1)
    retrievable(office)


@pytest.mark.parametrize("damage", [None, [], {}, "x", 7, {"session": {}}, {"endpoint": "acme-101", "session": {"id": "x"}}])
def test_a_row_that_cannot_be_read_is_told_of_and_stops_nobody_else(office: Office, damage: object) -> None:
    caller, answered = office.talk(office.carol, office.dave)
    keys = set(office.world.journal)
    parked = office.parked(office.alice, office.bob)
    ours = [key for key in office.world.journal if key not in keys]
    assert any(key.startswith("leg/") for key in ours)
    for key in ours:
        if key.startswith("leg/"):
            office.world.journal[key] = damage  # type: ignore[assignment]
    office.world.crash_signalling()
    office.run(1)
    assert caller.hears(office.dave)
    assert office.world.notes
    parked.hang_up()
    office.run(1)
    caller.hang_up()
    office.run(1)
    assert answered.ended == "bye"
    assert not any(key.startswith("leg/") for key in office.world.journal)


@pytest.mark.parametrize("down_s", DOWN_S)
@pytest.mark.parametrize("effects", range(0, 40, 2))
def test_a_crash_at_any_moment_of_a_transfer_leaves_the_caller_with_somebody(
    office: Office, effects: int, down_s: float
) -> None:
    """The target is rung anew; if the transfer was forgotten, the caller is still with whoever asked for it."""
    carol = office.carol
    caller, answered = office.talk(office.alice, office.bob)
    crash_at(office, effects, down_s, lambda: answered.refer("103"))
    if carol.ringing and not caller.hears(office.bob):
        for call in [call for call in carol.calls if call.state == "ringing"]:
            call.answer()
            office.run(2)
    assert caller.hears(carol) or caller.hears(office.bob) or caller.hears("music"), caller.hearing
    carol.hang_up()
    office.run(1)


@pytest.mark.parametrize("who", ["caller", "called"])
@pytest.mark.parametrize("effects", range(12))
def test_a_crash_at_any_moment_of_hanging_up_leaves_nothing(office: Office, effects: int, who: str) -> None:
    caller, answered = office.talk(office.alice, office.bob)
    crash_at(office, effects, 1.0, (caller if who == "caller" else answered).hang_up)
    assert caller.state == answered.state == "ended"
    assert not any(key.startswith(("leg/", "call/")) for key in office.world.journal)


def test_a_leg_whose_port_is_taken_by_somebody_else_moves_to_another(office: Office) -> None:
    """The phone is told by a re-INVITE, and the call goes on."""
    caller, answered = office.talk(office.alice, office.bob)
    leg = office.world.media.toward(office.alice.host, caller.rtp_port)
    assert leg is not None
    office.world.media.restart()
    office.world.media.steal(leg.port)
    office.world.crash_signalling()
    office.run(2)
    moved = office.world.media.toward(office.alice.host, caller.rtp_port)
    assert moved is not None
    assert moved.port != leg.port
    assert caller.hears(office.bob)
    assert answered.hears(office.alice)

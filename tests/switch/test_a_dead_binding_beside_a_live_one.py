"""A phone that is gone stays registered for an hour: it makes nobody wait for what the live phone beside it says."""

from __future__ import annotations

from itertools import product

import pytest

from parkade.testing.phone import FakePhone
from tests.stories.office import Office

AT_ONCE_S = 0.3
SIGN_OF_LIFE_S = 2.0
DECLINED = 'SIP;cause=603;text="Decline"'


def places(office: Office, dead: int, *, before: bool, transport: str = "UDP") -> FakePhone:
    """Bob's live phone, and so many dead ones, registered before or after it."""
    _ = office.alice
    phones = [office.phone("acme-102", transport=transport) for _ in range(dead)] if before else []
    live = office.bob
    if not before:
        phones = [office.phone("acme-102", transport=transport) for _ in range(dead)]
    for phone in phones:
        office.world.net.cut(phone.address)
    return live


@pytest.mark.parametrize(
    ("status", "dead", "before"), [*product([603, 600, 606, 486, 480, 404, 488, 500], [1, 3], [True, False])]
)
def test_what_the_live_phone_says_after_it_rang_reaches_the_caller_at_once(
    office: Office, status: int, dead: int, before: bool
) -> None:
    bob = places(office, dead, before=before)
    call = office.alice.call("102")
    office.run(1)
    assert bob.ringing
    bob.reject(status)
    office.run(AT_ONCE_S)
    assert call.refused is not None
    assert call.refused != 408


@pytest.mark.parametrize("status", [603, 600])
def test_a_decline_without_ringing_reaches_the_caller_at_once(office: Office, status: int) -> None:
    """A 6xx speaks for the person at every place (:rfc:`3261` section 21.6)."""
    bob = places(office, 2, before=True)
    bob.rings, bob.rejects = False, status
    call = office.alice.call("102")
    office.run(AT_ONCE_S)
    assert call.refused == (603 if status == 603 else 486)


@pytest.mark.parametrize("status", [486, 480, 404, 488])
def test_busy_without_ringing_reaches_the_caller_as_soon_as_the_other_has_had_time_to_say_something(
    office: Office, status: int
) -> None:
    bob = places(office, 2, before=True)
    bob.rings, bob.rejects = False, status
    call = office.alice.call("102")
    office.run(SIGN_OF_LIFE_S + AT_ONCE_S)
    assert call.refused is not None


@pytest.mark.parametrize(("devices", "status", "reason"), [(1, 603, DECLINED), (2, 603, DECLINED), (1, 600, None)])
def test_a_decline_ends_the_ringing_of_the_persons_other_phone(
    office: Office, devices: int, status: int, reason: str | None
) -> None:
    """Which lists no missed call then: the person has seen it. Busy everywhere is another matter."""
    if devices == 2:
        office.world.device("acme-102-app", "acme", "102")
    other = office.phone("acme-102-app" if devices == 2 else "acme-102")
    bob = office.bob
    office.alice.call("102")
    office.run(0.5)
    bob.reject(status)
    office.run(0.1)
    assert other.recorder.received("INVITE")
    assert other.ringing is None
    assert other.recorder.received("CANCEL")[0].headers.get("Reason") == reason


def test_a_decline_of_one_phone_is_told_to_the_caller_at_once(office: Office) -> None:
    other = office.phone("acme-102")
    office.bob.rings, office.bob.rejects = False, 603
    call = office.alice.call("102")
    office.run(0.5)
    assert other.ringing is None
    office.run(0.1)
    assert call.refused == 603


def test_a_slow_phone_beside_a_busy_one_still_rings(office: Office) -> None:
    """Half a second late with its first word, as over a bad line."""
    slow = office.phone("acme-102")
    office.bob.rings, office.bob.rejects = False, 486
    office.world.net.cut(slow.address)
    call = office.alice.call("102")
    office.run(0.8)
    office.world.net.mend(slow.address, office.world.now)
    office.run(3)
    slow.answer()
    office.run(1)
    assert call.hears(slow)


def test_a_phone_that_takes_its_time_to_ring_but_lives_is_waited_for(office: Office) -> None:
    slow = office.phone("acme-102")
    slow.rings = False
    office.bob.rings, office.bob.rejects = False, 486
    call = office.alice.call("102")
    office.run(15)
    slow.answer()
    office.run(1)
    assert call.hears(slow)


def test_the_dead_place_is_left_alone_as_long_as_the_live_one_rings(office: Office) -> None:
    bob = places(office, 1, before=True)
    call = office.alice.call("102")
    office.run(20)
    bob.answer()
    office.run(1)
    assert call.hears(bob)
    office.run(40)
    assert call.hears(bob)
    assert bob.current.hears(office.alice)


@pytest.mark.parametrize("rings", [True, False])
@pytest.mark.parametrize("status", [603, 600, 486, 404, 302])
def test_a_dead_phone_of_another_device_of_the_person_makes_nobody_wait(office: Office, status: int, rings: bool) -> None:
    """A desk phone says no, and the telephone in somebody's pocket is off but registered."""
    _ = office.alice, office.bob
    office.world.device("acme-102-mobile", "acme", "102")
    mobile = office.phone("acme-102-mobile")
    office.world.net.cut(mobile.address)
    office.bob.rings, office.bob.rejects = rings, status
    call = office.alice.call("102")
    office.run(SIGN_OF_LIFE_S + AT_ONCE_S)
    assert call.refused is not None
    assert call.refused != 408


def test_a_phone_that_has_not_registered_takes_nothing_from_the_time_of_the_other(office: Office) -> None:
    """Nobody has said no: the other phone may be slow, or its answers lost."""
    _ = office.alice, office.bob
    office.world.device("acme-102-mobile", "acme", "102")
    call = office.alice.call("102")
    office.world.net.lose(lambda packet: packet.data.startswith(b"INVITE sip:acme-102@"), times=3)
    office.run(10)
    assert office.bob.ringing
    call.hang_up()
    office.run(1)

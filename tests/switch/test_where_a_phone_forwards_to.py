"""3xx from a phone: followed to the first Contact that can be rung, else said as it is (:rfc:`3261` section 8.1.3.4)."""

from __future__ import annotations

import pytest

from parkade.sip.message.message import make_response
from parkade.testing.world import SimWorld
from tests.switch.raw_phone import RawPhone

FOLLOWED = [
    ["<sip:103@x>"],
    ["sip:103@x;q=0.3"],
    ["<tel:1-03>"],
    ["<sip:acme-103@198.51.100.1>"],
    ["<broken", "<sip:103@x>"],
    ["*", "<sip:103@x>"],
    ["<mailto:a@b>", "<sip:103@x?Replaces=a>"],
    ["<sip:999@x>;q=0.1, <sip:103@x>;q=0.9"],
    ["<sip:103@x>;q=0.5", "<sip:+84901234567@x>;q=0.9"],
    ["<sip:101@x>;q=1.0", "<sip:*801@x>", "<tel:+84901234567>", "<sip:103@x>;q=0.1"],
]
NOT_FOLLOWED = [
    ([], "forwarded_in_vain"),
    (["*"], "forwarded_in_vain"),
    (["<broken"], "forwarded_in_vain"),
    (["<mailto:a@b>"], "forwarded_in_vain"),
    (["<sip:101@x>"], "forwarded_in_vain"),
    (["<sip:acme-101@192.0.2.77>"], "forwarded_in_vain"),
    (["<sip:*801@x>"], "forwarded_in_vain"),
    (["<sip:+84901234567@x>"], "forwarded_outside"),
    (["<tel:+84-90-1234567>"], "forwarded_outside"),
    (["<sip:other-101@x>"], "forwarded_outside"),
]


def forwarded(status: int, contacts: list[str]) -> tuple[SimWorld, bool]:
    """Bob calls Alice, whose phone answers so; whether Carol's phone rings then."""
    world = SimWorld()
    world.account("other", {"101": "Zoe"})
    world.account("acme", {"101": "Alice", "102": "Bob", "103": "Carol"})
    bob, carol = world.phone("acme-102"), world.phone("acme-103")
    alice = RawPhone(world, "acme-101", "192.0.2.77")
    alice.register()
    bob.call("101")
    world.run(0.3)
    lines = [("Contact", contact) for contact in contacts]
    alice.send(make_response(alice.requests("INVITE")[-1], status, to_tag="raw", headers=lines))
    world.run(1)
    return world, carol.ringing is not None


@pytest.mark.parametrize("contacts", FOLLOWED, ids=str)
def test_the_first_place_that_can_be_rung_is_rung(contacts: list[str]) -> None:
    assert forwarded(302, contacts)[1]


@pytest.mark.parametrize("status", [300, 301, 305, 380, 399])
def test_every_3xx_forwards(status: int) -> None:
    assert forwarded(status, ["<sip:103@x>"])[1]


@pytest.mark.parametrize(("contacts", "said"), NOT_FOLLOWED, ids=str)
def test_what_cannot_be_followed_is_said_as_it_is(contacts: list[str], said: str) -> None:
    """A phone that does not say where to is not said to forward outside."""
    world, rings = forwarded(302, contacts)
    assert not rings
    assert [note.split(": ")[1] for note in world.notes if "could not call" in note] == [said]

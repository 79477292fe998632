"""A phone that has acknowledged our answer is not asked again after a restart, but for the first moments."""

from __future__ import annotations

import pytest

from parkade.base.journal import Json
from parkade.testing.world import SimWorld


def sessions(world: SimWorld) -> list[Json]:
    """What is kept of the SIP sessions."""
    legs = [value for key, value in world.journal.items() if key.startswith("leg/")]
    return [leg["session"] for leg in legs if isinstance(leg, dict)]


@pytest.mark.parametrize("after_s", [0.05, 1.0, 3.0, 20.0])
def test_a_2xx_is_sent_again_only_if_the_crash_came_within_moments_of_its_ack(after_s: float) -> None:
    world = SimWorld()
    world.account("acme", {"101": "Alice", "102": "Bob"})
    alice, bob = world.phone("acme-101"), world.phone("acme-102")
    call = alice.call("102")
    world.run(1)
    answered = bob.answer()
    world.run(after_s)
    waiting = [session for session in sessions(world) if isinstance(session, dict) and "accepted" in session]
    assert bool(waiting) == (after_s < 2.0)
    world.crash_signalling()
    world.run(40)
    assert call.hears(bob)
    assert answered.hears(alice)

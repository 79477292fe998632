"""A retrieve during which signalling dies, and whose phone has given up when it is back: the caller is where it was, or in
the lot, and never hung up on (RFC 3261 13.3.1.4: an answer without its ACK has connected nobody).
"""

from __future__ import annotations

import pytest

from parkade.calls.directory import ParkPolicy
from parkade.testing.fake_call import FakeCall
from parkade.testing.watch import WatchedWorld


def parked_caller(policy: ParkPolicy) -> tuple[WatchedWorld, FakeCall]:
    world = WatchedWorld()
    world.account("acme", {"101": "Alice", "102": "Bob", "103": "Carol"}, policy=policy)
    alice, bob = world.phone("acme-101"), world.phone("acme-102")
    call = alice.call("102")
    world.run(1)
    bob.answer()
    world.run(1)
    bob.refer("*800")
    world.run(5)
    assert call.hears("music")
    return world, call


@pytest.mark.parametrize("effects", range(16))
@pytest.mark.parametrize("reserve_s", [0.0, 30.0])
@pytest.mark.parametrize("down_s", [20.0, 100.0, 400.0])
def test_the_caller_is_in_the_lot_again(effects: int, reserve_s: float, down_s: float) -> None:
    world, call = parked_caller(ParkPolicy(expiration_s=3600.0, reserve_s=reserve_s))
    carol = world.phone("acme-103")
    world.crash_signalling_after(effects, down_s)
    picking = carol.call("*801")
    world.run(max(down_s, 32.0) + 8.0)
    if picking.is_up:
        # The phone still waited, or had its answer before.
        assert call.hears(carol)
        return
    # What is left of the call at a phone that has given up is noticed when nothing comes from it.
    world.crash_signalling_after(None)
    world.report_silence()
    world.run(60.0)
    assert call.is_up
    assert call.hears("music")
    again = carol.call("*801")
    world.run(5.0)
    assert call.hears(again)

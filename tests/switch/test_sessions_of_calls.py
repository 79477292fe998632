"""The switch says which SIP sessions a call has and had, so that its messages can be found among all others."""

from __future__ import annotations

from parkade.testing.phone import FakePhone
from parkade.testing.world import SimWorld


def office() -> tuple[SimWorld, FakePhone, FakePhone, FakePhone]:
    world = SimWorld()
    world.account("acme", {"101": "Alice", "102": "Bob", "103": "Carol"})
    alice, bob, carol = (world.phone(f"acme-{extension}") for extension in ("101", "102", "103"))
    return world, alice, bob, carol


def test_each_session_of_a_call_is_said_the_ringing_ones_included() -> None:
    world, alice, bob, _ = office()
    alice.call("102")
    world.run(1)
    ((call, sessions),) = world.sessions.items()
    assert call == world.call_events()[0].call
    assert len(sessions) == 2
    assert sorted(world.switch.sip_call_ids("acme", call) or ()) == sorted(sessions)
    bob.answer()
    world.run(1)
    bob.hang_up()
    world.run(5)
    assert world.sessions == {call: sessions}
    assert world.switch.sip_call_ids("acme", call) is None


def test_whoever_retrieves_is_of_the_parked_call() -> None:
    world, alice, bob, carol = office()
    alice.call("102")
    world.run(1)
    bob.answer()
    world.run(1)
    bob.refer("*800")
    world.run(2)
    call = world.call_events()[0].call
    before = set(world.sessions[call])
    carol.call("*801")
    world.run(2)
    assert len(set(world.sessions[call]) - before) == 1
    live = world.switch.sip_call_ids("acme", call)
    assert live is not None
    assert set(live) <= set(world.sessions[call])
    assert len(live) == 2


def test_another_accounts_call_is_not_there() -> None:
    world, alice, _, _ = office()
    alice.call("102")
    world.run(1)
    (call,) = world.sessions
    assert world.switch.sip_call_ids("other", call) is None
    assert world.switch.sip_call_ids("acme", "no such call") is None

"""Whole calls between two user agents over the wire of ``session_wire``."""

from __future__ import annotations

from parkade.sip.session.lifecycle import State
from tests.sip.session_wire import ANSWER, OFFER, Wire


def test_a_call_is_set_up_and_hung_up_by_the_caller() -> None:
    wire = Wire()
    ann, bob = wire.party("192.0.2.1"), wire.party("192.0.2.2")
    call = ann.call(bob)
    wire.run(1)
    assert call.state is State.CONFIRMED
    assert bob.session.state is State.CONFIRMED
    call.end(wire.now)
    wire.run(60)
    assert wire.words() == ["INVITE", "200 INVITE", "ACK", "BYE", "200 BYE"]
    assert ann.heard == ["answered", "established", "ended ended"]
    assert bob.heard == ["invite", "established", "ended bye"]
    assert (ann.bodies, bob.bodies) == ([ANSWER], [OFFER])
    assert wire.alive() == 0

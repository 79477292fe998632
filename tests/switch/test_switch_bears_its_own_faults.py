"""A fault inside the switch costs what it is about and nothing else: the effects after it are performed, and no leg stays."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parkade.calls import effects, inputs
from parkade.testing.world import SimWorld

EFFECTS = [
    effects.RingEndpoint,
    effects.ShowRinging,
    effects.OpenEarlyMedia,
    effects.AnswerLeg,
    effects.RefuseLeg,
    effects.EndLeg,
    effects.Hear,
    effects.ShowParty,
    effects.TransferProgress,
]


class BrokenError(Exception):
    """A fault of ours."""


def break_effect(world: SimWorld, kind: type, breaks: Callable[[], bool]) -> None:
    """From now on performing this kind of effect fails whenever ``breaks`` says so."""
    table: dict[type, Callable[..., None]] = world.switch._legs._perform
    proper = table[kind]

    def perform(effect: Any, now: float) -> None:
        if breaks():
            raise BrokenError(kind.__name__)
        proper(effect, now)

    table[kind] = perform


def make_world(seed: int = 0) -> SimWorld:
    world = SimWorld(seed)
    world.strict = False
    world.account("acme", {"101": "Alice", "102": "Bob", "103": "Carol"})
    return world


@pytest.mark.parametrize("kind", EFFECTS, ids=lambda kind: kind.__name__)
def test_an_effect_that_cannot_be_performed_leaves_no_leg_and_stops_no_later_call(kind: type) -> None:
    world = make_world()
    alice, bob, carol = (world.phone(f"acme-{n}") for n in (101, 102, 103))
    broken = True
    break_effect(world, kind, lambda: broken)
    call = alice.call("102")
    world.run(1)
    if bob.ringing:
        bob.answer()
    world.run(1)
    if bob.live and call.is_up:
        bob.refer("*800")
    world.run(1)
    carol.call("*801")
    world.run(15)
    for phone in (alice, bob, carol):
        phone.hang_up()
    world.assert_nothing_leaks(within_s=2000)
    broken = False
    call = alice.call("102")
    world.run(1)
    bob.answer()
    world.run(1)
    assert call.hears(bob)


def test_the_effects_after_one_that_failed_are_performed() -> None:
    """The caller is told, although the called phone could not be rung."""
    world = make_world()
    alice, _ = world.phone("acme-101"), world.phone("acme-102")
    break_effect(world, effects.RingEndpoint, lambda: True)
    call = alice.call("102")
    world.run(1)
    assert call.refused == 480
    assert any("internal error in RingEndpoint" in note and "BrokenError" in note for note in world.notes)
    world.assert_nothing_leaks()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(EFFECTS), st.floats(0.05, 0.9))
def test_faults_at_any_time_leave_nothing(seed: int, kind: type, share: float) -> None:
    dice = Random(seed)
    world = make_world(seed)
    phones = [world.phone(f"acme-{n}") for n in (101, 102, 103)]
    break_effect(world, kind, lambda: dice.random() < share)
    deeds = (
        lambda p: p.call(dice.choice(("101", "102", "103", "*801", "*800", "nobody"))),
        lambda p: p.answer() if p.ringing else None,
        lambda p: p.live[0].refer(dice.choice(("*800", "103"))) if p.live and p.live[0].is_up else None,
        lambda p: p.live[0].hold() if p.live and p.live[0].is_up else None,
        lambda p: p.hang_up() if dice.random() < 0.3 else None,
    )
    for _ in range(20):
        dice.choice(deeds)(dice.choice(phones))
        world.run(dice.choice((0.01, 0.3, 2.0)))
    for phone in phones:
        phone.hang_up()
    world.assert_nothing_leaks(within_s=6000)


@pytest.mark.parametrize("kind", [inputs.LegArrived, inputs.LegAnswered, inputs.KeyPressed, inputs.LegEnded])
def test_a_fault_in_call_control_is_noted_and_the_switch_goes_on(kind: type) -> None:
    world = make_world()
    alice, bob = world.phone("acme-101"), world.phone("acme-102")
    control = world.switch._control
    proper = control._inputs[kind]

    def fail(given: Any) -> None:
        raise BrokenError(kind.__name__)

    control._inputs[kind] = fail
    call = alice.call("102")
    world.run(1)
    if bob.ringing:
        bob.answer().press("1") if kind is inputs.KeyPressed else bob.answer()
    world.run(1)
    alice.hang_up()
    bob.hang_up()
    world.run(1)
    control._inputs[kind] = proper
    assert any("BrokenError" in note for note in world.notes) or kind is inputs.KeyPressed
    assert call.state == "ended"
    again = alice.call("103")
    world.run(1)
    assert again.refused == 480


@pytest.mark.interpreted
@pytest.mark.parametrize("verb", ["receive", "wake"])
def test_a_fault_in_sip_is_noted_and_never_raised(verb: str) -> None:
    world = make_world()
    alice, _ = world.phone("acme-101"), world.phone("acme-102")
    proper = getattr(world.switch._ua, verb)

    def fail(*given: Any) -> None:
        raise BrokenError(verb)

    setattr(world.switch._ua, verb, fail)
    call = alice.call("102")
    world.run(0.3)
    setattr(world.switch._ua, verb, proper)
    world.run(1)
    assert call.state == "ringing" or call.statuses

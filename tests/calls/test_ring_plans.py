"""Who is rung, in what order, and what is told when the plan is at its end."""

from __future__ import annotations

import pytest

from parkade.calls.directory import NotPickedUp, ParkPolicy
from parkade.calls.effects import Elsewhere, GiveUpSilent, RefuseLeg, RingEndpoint, ShowRinging
from parkade.calls.inputs import DirectoryChanged, Failure
from parkade.calls.plan import RingPlan, Step, at_once, in_order
from parkade.testing.call_rig import CallRig, Phone
from tests.calls.accounts import ACME, rig_with, two_accounts

ALICE, BOB, CAROL = (ACME.owners[extension] for extension in ("101", "102", "103"))


def refusal_of(phone: Phone) -> str | None:
    return phone.refused.refusal.id if phone.refused else None


def rung(rig: CallRig) -> list[str]:
    return [effect.endpoint for effect in rig.effects if isinstance(effect, RingEndpoint)]


# The value


def test_at_once_is_one_step_and_in_order_is_one_step_for_each() -> None:
    assert at_once((ALICE, BOB), 30.0) == RingPlan((Step((ALICE, BOB), 30.0),))
    assert in_order((ALICE, BOB), 20.0) == RingPlan((Step((ALICE,), 20.0), Step((BOB,), 20.0)))


def test_a_plan_for_nobody_has_a_step_all_the_same() -> None:
    assert at_once((), 30.0).steps == in_order((), 30.0).steps == (Step((), 30.0),)


def test_steps_can_be_put_behind_the_one_that_rings() -> None:
    plan, more = in_order((ALICE, BOB), 20.0), Step((CAROL,), 5.0, ("101",))
    assert plan.names((CAROL, BOB))
    assert not plan.names((CAROL,))
    assert plan.after(0, [more]).steps == (plan.steps[0], more, plan.steps[1])
    assert plan.after(1, [more]).steps == (*plan.steps, more)


# A group in order: Bob, Carol, Alice, fifteen seconds each


def test_members_are_rung_one_after_the_other() -> None:
    rig = rig_with()
    gateway = rig.call("gw", "121")
    assert rig.all_ringing() == {"bob"}
    rig.advance(15)
    assert rig.all_ringing() == {"carol"}
    rig.advance(15)
    assert rig.all_ringing() == {"alice", "alice-app"}
    assert rig.talking(gateway, rig.answer("alice-app"))
    assert rig.all_ringing() == set()


def test_whoever_rang_in_vain_has_missed_a_call_and_whoever_was_spared_it_has_not() -> None:
    rig = rig_with()
    rig.call("gw", "121")
    bob = rig.ringing("bob")
    rig.advance(30)
    desk = rig.ringing("alice")
    rig.answer("alice-app")
    assert bob.ended
    assert bob.ended.elsewhere is Elsewhere.NOTHING
    assert desk.ended
    assert desk.ended.elsewhere is Elsewhere.ANSWERED


@pytest.mark.parametrize("why", [why for why in Failure if why is not Failure.REDIRECTED])
def test_a_step_that_fails_is_over_at_once(why: Failure) -> None:
    rig = rig_with()
    gateway = rig.call("gw", "121")
    rig.fail("bob", why)
    assert rig.all_ringing() == {"carol"}
    rig.advance(14.9)
    assert rig.all_ringing() == {"carol"}
    assert rig.talking(gateway, rig.answer("carol"))


def test_the_last_step_ends_the_call() -> None:
    rig = rig_with()
    gateway = rig.call("gw", "121")
    rig.advance(44.9)
    assert gateway.refused is None
    rig.advance(0.1)
    assert refusal_of(gateway) == "no_answer"
    assert rung(rig) == ["bob", "carol", "alice", "alice-app"]
    assert not any(rig.control.counts())


def test_the_caller_hears_of_the_first_that_rings_only() -> None:
    rig = rig_with()
    rig.call("gw", "121")
    for device in ("bob", "carol", "alice"):
        rig.rings(device)
        rig.advance(15)
    assert sum(isinstance(effect, ShowRinging) for effect in rig.effects) == 1


def test_early_media_ends_with_its_step() -> None:
    rig = rig_with()
    gateway = rig.call("gw", "121")
    rig.rings("bob", early_media=True)
    rig.advance(15)
    rig.rings("carol", early_media=True)
    assert rig.talking(gateway, rig.answer("carol"))


@pytest.mark.parametrize(
    ("one", "two", "three", "told"),
    [
        (Failure.BUSY, Failure.BUSY, Failure.BUSY, "busy"),
        (Failure.NOT_REGISTERED, Failure.UNREACHABLE, Failure.NOT_REGISTERED, "unreachable"),
        (Failure.DECLINED, Failure.BUSY, Failure.NO_ANSWER, "declined"),
        (Failure.UNREACHABLE, Failure.BUSY, Failure.NOT_REGISTERED, "busy"),
        (Failure.PHONE_ERROR, Failure.INCOMPATIBLE, Failure.UNREACHABLE, "incompatible"),
    ],
)
def test_of_all_steps_the_failure_that_says_most_is_told(one: Failure, two: Failure, three: Failure, told: str) -> None:
    """RFC 3261 section 16.7 step 6: a 6xx before all others."""
    rig = rig_with()
    gateway = rig.call("gw", "121")
    rig.fail("bob", one)
    rig.fail("carol", two)
    rig.fail("alice", three)
    if three is not Failure.DECLINED:
        rig.fail("alice-app", three)
    assert refusal_of(gateway) == told


def test_who_is_not_there_is_passed_over() -> None:
    rig = rig_with()
    everything = two_accounts()
    devices = {name: device for name, device in everything.devices.items() if name not in ("bob", "carol")}
    rig.tell(DirectoryChanged(type(everything)(everything.accounts, devices)))
    rig.call("gw", "121")
    assert rung(rig) == ["alice", "alice-app"]


def test_a_transfer_walks_the_plan_and_comes_back_at_its_end() -> None:
    rig = rig_with()
    alice, wall = rig.conversation("alice", "110")
    rig.transfer(alice, "121")
    assert rig.all_ringing() == {"bob"}
    rig.advance(30)
    # Alice's own phone has transferred the call and is not rung; her app is.
    assert rig.all_ringing() == {"alice-app"}
    rig.advance(15)
    assert rig.talking(alice, wall)


def test_a_call_that_nobody_picked_up_walks_the_plan_before_it_is_parked_again() -> None:
    rig = rig_with(ParkPolicy(not_picked_up=NotPickedUp.EXTENSION, forward_to="121"))
    _, bob = rig.conversation("alice", "102")
    rig.transfer(rig.phones[next(iter(rig.phones))], "*800")
    rig.advance(600)
    assert rig.all_ringing() == {"carol"}, "the parked phone itself is not rung"
    rig.advance(15)
    assert rig.all_ringing() == {"alice", "alice-app"}
    rig.advance(15)
    assert rig.talking(rig.call("carol", "*802"), bob)


@pytest.mark.parametrize("down_s", [0.0, 5.0, 20.0])
def test_after_a_crash_the_plan_goes_on_where_it_was(down_s: float) -> None:
    rig = rig_with(ParkPolicy(not_picked_up=NotPickedUp.EXTENSION, forward_to="121"))
    alice, wall = rig.conversation("alice", "110")
    rig.transfer(alice, "*800")
    rig.advance(600 + 20)
    assert rig.all_ringing() == {"carol"}
    rig.now += down_s
    rig.crash()
    assert not rig.not_restored
    if down_s < 10:
        assert rig.all_ringing() == {"carol"}
        rig.advance(10 - down_s)
    assert rig.all_ringing() == {"alice", "alice-app"}
    rig.advance(14.9)
    assert rig.talking(rig.answer("alice"), wall)


def test_who_declined_is_not_rung_again_after_a_crash_either() -> None:
    rig = rig_with()
    alice, wall = rig.conversation("alice", "110")
    rig.transfer(alice, "121")
    rig.fail("bob", Failure.DECLINED)
    rig.crash()
    assert rig.all_ringing() == {"carol"}
    rig.forward("carol", "102")
    assert rig.all_ringing() == {"alice-app"}
    assert rig.talking(rig.answer("alice-app"), wall)


# Forwarding


def test_two_phones_that_forward_to_different_places_are_both_followed() -> None:
    """Two phones registered as one device, and two devices of one person."""
    rig = rig_with()
    gateway = rig.call("gw", "101")
    rig.forward("alice", "103", rings_on=True)
    rig.forward("alice", "110")
    assert rig.all_ringing() == {"alice-app", "carol", "wall"}
    rig.forward("alice-app", "102")
    assert rig.all_ringing() == {"bob", "carol", "wall"}
    assert rig.talking(gateway, rig.answer("wall"))


def test_a_phone_that_forwards_is_followed_while_its_twin_rings_on() -> None:
    rig = rig_with()
    gateway = rig.call("gw", "102")
    rig.forward("bob", "103", rings_on=True)
    assert rig.all_ringing() == {"bob", "carol"}
    assert rig.talking(gateway, rig.answer("bob"))
    assert rig.all_ringing() == set()


def test_of_several_places_that_one_phone_names_the_first_that_can_be_rung_counts() -> None:
    rig = rig_with()
    rig.call("gw", "102")
    rig.forward("bob", "+84901234567", "*801", "103", "110")
    assert rig.all_ringing() == {"carol"}


def test_a_phone_that_forwards_has_spoken_for_silent_ones() -> None:
    rig = rig_with()
    rig.call("gw", "101")
    app = rig.ringing("alice-app")
    rig.forward("alice", "103", rings_on=True)
    assert GiveUpSilent(app.leg) in rig.effects


def test_a_group_in_order_that_a_phone_forwards_to_is_walked_before_the_plan_goes_on() -> None:
    rig = rig_with()
    gateway = rig.call("gw", "110")
    rig.forward("wall", "121")
    assert rig.all_ringing() == {"bob"}
    rig.advance(120)
    assert rig.all_ringing() == {"carol"}
    rig.advance(15)
    assert rig.all_ringing() == {"alice", "alice-app"}
    rig.advance(15)
    assert refusal_of(gateway) == "no_answer"


def test_forwarding_round_and_round_through_a_group_in_order_comes_to_an_end() -> None:
    rig = rig_with()
    gateway = rig.call("gw", "121")
    for _ in range(100):
        if not rig.all_ringing():
            break
        rig.forward(min(rig.all_ringing()), "121")
    assert refusal_of(gateway) == "forwarded_in_vain"
    assert not any(rig.control.counts())


def test_members_that_forward_to_each_other_in_order_are_each_rung_in_their_step() -> None:
    rig = rig_with()
    gateway = rig.call("gw", "121")
    rig.forward("bob", "103")
    assert rig.all_ringing() == {"carol"}
    rig.advance(15)
    assert rig.all_ringing() == {"carol"}, "her own step"
    rig.fail("carol", Failure.BUSY)
    assert rig.talking(gateway, rig.answer("alice"))


def test_nothing_is_refused_twice() -> None:
    rig = rig_with()
    rig.call("gw", "121")
    rig.advance(100)
    assert sum(isinstance(effect, RefuseLeg) for effect in rig.effects) == 1

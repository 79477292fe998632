"""Picking up: S1, S2, S30–S33, B34, B35."""

from __future__ import annotations

import pytest

from parkade.base.sound import Music, Spoken
from parkade.calls.directory import Lot, ParkPolicy
from parkade.calls.effects import AnswerLeg, Hear, Progress
from parkade.calls.events import CallParked, CallRetrieved
from parkade.calls.identity import Identity
from parkade.testing.call_rig import CallRig, Phone
from tests.calls.accounts import rig_with, two_sites


def parked(rig: CallRig, target: str = "*800") -> Phone:
    """Bob, parked by Alice."""
    alice, bob = rig.conversation("alice", "102")
    rig.transfer(alice, target)
    assert bob.hears == Music()
    return bob


def refusal_of(phone: Phone) -> str | None:
    return phone.refused.refusal.id if phone.refused else None


def last_code(rig: CallRig) -> object:
    return rig.events(CallParked)[-1].code


@pytest.mark.parametrize("dialled", ["*801", "**801", "***801"])
@pytest.mark.parametrize("who", ["carol", "alice-app", "alice", "wall", "gw"])
def test_any_phone_of_the_account_picks_up_by_the_code(dialled: str, who: str) -> None:
    rig = rig_with()
    bob = parked(rig)
    rig.advance(20)
    phone = rig.call(who, dialled)
    assert rig.talking(phone, bob)
    assert phone.display == Identity("Bob", "102")
    (event,) = rig.events(CallRetrieved)
    assert event.waited_s == 20
    assert (event.code, event.parked_by) == ("*801", "101")


def test_both_hear_each_other_before_the_answer_and_it_carries_the_callers_name() -> None:
    rig = rig_with()
    parked(rig)
    since = len(rig.effects)
    carol = rig.call("carol", "*801")
    kinds = [type(e) for e in rig.effects[since:]]
    assert kinds[:3] == [Hear, Hear, AnswerLeg]
    assert AnswerLeg(carol.leg, Identity("Bob", "102")) in rig.effects


def test_the_parked_party_learns_who_picked_up() -> None:
    rig = rig_with()
    bob = parked(rig)
    rig.call("carol", "*801")
    assert bob.display == Identity("Carol", "103")


def test_whoever_holds_while_parked_is_picked_up_on_hold() -> None:
    rig = rig_with()
    bob = parked(rig)
    rig.hold(bob)
    carol = rig.call("carol", "*801")
    assert carol.hears == Music()
    rig.resume(bob)
    assert rig.talking(carol, bob)


def test_of_two_who_dial_at_once_exactly_one_gets_the_call() -> None:
    rig = rig_with()
    bob = parked(rig)
    carol, wall = rig.call("carol", "*801"), rig.call("wall", "*801")
    assert rig.talking(carol, bob)
    assert wall.refused
    assert wall.refused.refusal.id == "already_picked_up"
    assert "Carol" in wall.refused.refusal.en
    assert wall.refused.phrases == ("already-picked-up-by-extension", "1", "0", "3")


def test_a_race_lost_to_a_phone_of_nobody_is_told_without_an_extension() -> None:
    rig = rig_with()
    parked(rig)
    rig.call("gw", "*801", caller=Identity("Ramp", "7"))
    carol = rig.call("carol", "*801")
    assert carol.refused
    assert "Ramp" in carol.refused.refusal.en
    assert carol.refused.phrases == ("already-picked-up",)


def test_a_lost_race_never_parks_the_call_on_hold() -> None:
    rig = rig_with()
    bob = parked(rig)
    wall, gateway = rig.conversation("gw", "110")[::-1]
    rig.hold(wall)
    carol = rig.call("carol", "*801")
    for seconds in (0.0, 9.9):
        rig.advance(seconds)
        assert refusal_of(rig.call("wall", "*801")) == "already_picked_up"
    rig.resume(wall)
    assert rig.talking(wall, gateway)
    assert rig.talking(carol, bob)


def test_a_lost_race_is_told_for_ten_seconds_even_without_a_reserve_time() -> None:
    rig = rig_with(ParkPolicy(reserve_s=0))
    parked(rig)
    carol = rig.call("carol", "*801")
    rig.hang_up(carol)
    rig.advance(9.9)
    assert refusal_of(rig.call("wall", "*801")) == "already_picked_up"
    rig.advance(0.2)
    assert refusal_of(rig.call("wall", "*801")) == "no_call_parked"


def test_an_empty_code_is_refused_aloud_in_the_language_of_the_person() -> None:
    rig = rig_with()
    for who, language in (("carol", "en"), ("bob", "vi"), ("gw", "vi")):
        phone = rig.call(who, "*807")
        assert phone.refused
        assert phone.refused.refusal.id == "no_call_parked"
        assert phone.refused.phrases == ("no-call-parked-at", "star", "8", "0", "7")
        assert phone.refused.language == language


def test_a_code_of_another_account_looks_like_a_free_one() -> None:
    rig = rig_with()
    bob = parked(rig)
    gus = rig.call("gus", "*801")
    free = rig.call("gus", "*802")
    beyond = rig.call("gus", "*999")
    assert gus.refused
    assert free.refused
    assert beyond.refused
    assert refusal_of(gus) == refusal_of(free) == refusal_of(beyond) == "no_call_parked"
    assert gus.refused.refusal.en.replace("*801", "") == free.refused.refusal.en.replace("*802", "")
    assert gus.refused.phrases[:-1] == free.refused.phrases[:-1]
    rig.call("carol", "*801")
    assert refusal_of(rig.call("gus", "*801")) == "no_call_parked"
    assert not bob.gone


def test_two_accounts_use_the_same_codes_side_by_side() -> None:
    rig = rig_with()
    bob = parked(rig)
    gina, gus = rig.conversation("gina", "105")
    rig.transfer(gina, "*800")
    assert rig.talking(rig.call("gina", "*801"), gus)
    assert rig.talking(rig.call("carol", "*801"), bob)


def test_a_device_with_a_destination_does_not_pick_up() -> None:
    rig = rig_with()
    bob = parked(rig, "*805")
    assert refusal_of(rig.call("dock", "*805")) == "slot_taken"
    assert bob.hears == Music()


# Reserve time


def test_parked_again_within_the_reserve_time_the_call_has_the_same_code() -> None:
    rig = rig_with()
    bob = parked(rig, "*805")
    carol = rig.call("carol", "*805")
    rig.advance(29)
    rig.transfer(carol, "*800")
    assert last_code(rig) == "*805"
    assert rig.talking(rig.call("wall", "*805"), bob)


def test_after_the_reserve_time_the_code_is_released() -> None:
    rig = rig_with()
    parked(rig, "*805")
    carol = rig.call("carol", "*805")
    rig.advance(30)
    rig.transfer(carol, "*800")
    assert last_code(rig) == "*801"


@pytest.mark.parametrize("style", ["held", "keys"])
def test_the_code_is_kept_however_the_call_is_parked_again(style: str) -> None:
    rig = rig_with()
    parked(rig, "*805")
    carol = rig.call("carol", "*805")
    if style == "held":
        rig.hold(carol)
        assert rig.call("carol", "*800").park_code == "*805"
    else:
        rig.press(carol, "*5")
        assert isinstance(carol.hears, Spoken)
        assert carol.hears.phrases[-1] == "5"
    assert last_code(rig) == "*805"


def test_the_code_is_kept_for_whoever_holds_the_call() -> None:
    rig = rig_with()
    bob = parked(rig, "*805")
    carol = rig.call("carol", "*805")
    rig.transfer(carol, "110")
    wall = rig.answer("wall")
    assert rig.talking(bob, wall)
    rig.transfer(wall, "*800")
    assert last_code(rig) == "*805"


def test_the_code_is_kept_through_an_attended_transfer() -> None:
    rig = rig_with()
    bob = parked(rig, "*805")
    carol = rig.call("carol", "*805")
    rig.hold(carol)
    consult, wall = rig.conversation("carol", "110")
    assert rig.progress(rig.transfer(carol, "110", consult)) == [Progress.ACCEPTED, Progress.DONE]
    assert rig.talking(bob, wall)
    rig.transfer(wall, "*800")
    assert last_code(rig) == "*805"


def test_a_reserved_code_is_taken_by_nobody_else() -> None:
    rig = rig_with(first=801, last=802)
    parked(rig)
    carol = rig.call("carol", "*801")
    wall, _ = rig.conversation("gw", "110")[::-1]
    steps = rig.transfers[rig.transfer(wall, "*801")]
    assert steps[-1].refusal
    assert steps[-1].refusal.id == "slot_reserved"
    rig.transfer(wall, "*800")
    assert last_code(rig) == "*802"
    rig.transfer(carol, "*800")
    assert last_code(rig) == "*801"


def test_while_a_code_is_kept_whoever_dials_it_is_told_who_has_the_call() -> None:
    rig = rig_with()
    parked(rig)
    rig.call("carol", "*801")
    rig.advance(29)
    assert refusal_of(rig.call("wall", "*801")) == "already_picked_up"
    rig.advance(1)
    assert refusal_of(rig.call("wall", "*801")) == "no_call_parked"


def test_the_reservation_ends_with_the_call() -> None:
    rig = rig_with()
    bob = parked(rig)
    rig.call("carol", "*801")
    rig.hang_up(bob)
    wall, _ = rig.conversation("gw", "110")[::-1]
    assert rig.progress(rig.transfer(wall, "*801"))[-1] is Progress.DONE


def test_a_kept_code_may_be_named_by_its_holder() -> None:
    rig = rig_with()
    bob = parked(rig)
    carol = rig.call("carol", "*801")
    rig.advance(15)
    rig.hold(carol)
    assert rig.call("carol", "*801").park_code == "*801"
    assert rig.talking(rig.call("wall", "*801"), bob)


def test_parked_elsewhere_by_name_the_old_code_is_free_again() -> None:
    rig = rig_with()
    parked(rig)
    carol = rig.call("carol", "*801")
    rig.transfer(carol, "*809")
    wall, _ = rig.conversation("gw", "110")[::-1]
    rig.transfer(wall, "*800")
    assert last_code(rig) == "*801"


def test_parked_and_picked_up_many_times() -> None:
    rig = rig_with()
    bob = parked(rig)
    for who in ("carol", "wall", "alice-app", "carol"):
        phone = rig.call(who, "*801")
        assert rig.talking(phone, bob)
        rig.transfer(phone, "*800")
        assert bob.hears == Music()
    rig.hang_up(bob)
    rig.advance(31)
    assert not any(rig.control.counts())


def test_another_device_may_take_the_place_of_the_parked_party() -> None:
    rig = rig_with()
    bob = parked(rig)
    carol = rig.call("carol", "", replaces=bob)
    assert carol.up
    assert carol.hears == Music()
    assert bob.ended
    assert rig.talking(rig.call("wall", "*801"), carol)


# Sites

NORTH, SOUTH = Lot("North", 801, 899), Lot("South", 801, 899)


def test_one_parks_in_the_lot_of_the_own_site() -> None:
    rig = CallRig(two_sites({"North": NORTH, "South": SOUTH}))
    parked(rig)
    assert rig.events(CallParked)[0].lot == "North"


def test_a_code_of_another_site_is_found_if_only_one_has_it() -> None:
    rig = CallRig(two_sites({"North": NORTH, "South": SOUTH}))
    bob = parked(rig)
    assert rig.talking(rig.call("carol", "*801"), bob)


def test_the_own_site_comes_first() -> None:
    rig = CallRig(two_sites({"North": NORTH, "South": SOUTH}))
    parked(rig)
    carol, wall = rig.conversation("carol", "110")
    rig.transfer(carol, "*801")
    assert [e.lot for e in rig.events(CallParked)] == ["North", "South"]
    assert rig.talking(rig.call("carol", "*801"), wall)
    assert refusal_of(rig.call("bob", "*801")) == "already_picked_up"


def test_a_code_at_two_other_sites_is_nobodys() -> None:
    rig = CallRig(two_sites({"North": NORTH, "South": SOUTH}))
    parked(rig)
    carol, _ = rig.conversation("carol", "110")
    rig.transfer(carol, "*801")
    assert refusal_of(rig.call("gw", "*801")) == "no_call_parked"


def test_a_device_that_is_nowhere_parks_in_the_lot_that_has_the_slot() -> None:
    rig = CallRig(two_sites({"North": Lot("North", 901, 999), "South": SOUTH}))
    assert rig.call("dock", "").park_code == "*805"
    assert rig.call("door", "").park_code == "*901"


def test_a_slot_of_another_site_is_not_ones_own() -> None:
    rig = CallRig(two_sites({"North": Lot("North", 901, 999), "South": SOUTH}))
    alice, _ = rig.conversation("alice", "102")
    steps = rig.transfers[rig.transfer(alice, "*805")]
    assert steps[-1].refusal
    assert steps[-1].refusal.id == "no_such_slot"


def test_a_site_without_a_lot_cannot_park() -> None:
    rig = CallRig(two_sites({"South": SOUTH}))
    alice, _ = rig.conversation("alice", "102")
    steps = rig.transfers[rig.transfer(alice, "*800")]
    assert steps[-1].refusal
    assert steps[-1].refusal.id == "parking_disabled"

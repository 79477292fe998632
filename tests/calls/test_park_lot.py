"""The lot itself: slots, assignment, reservations."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from parkade.base.ids import Ids
from parkade.calls.directory import Assignment, Lot, ParkPolicy
from parkade.calls.park import ParkLot, PickUp
from parkade.calls.refusals import LOT_FULL, Refusal

RANDOM = ParkPolicy(assignment=Assignment.RANDOM)
WHO = PickUp("x", "Bob", "102", 0.0)


def test_a_code_is_a_slot_of_the_lot_or_nothing() -> None:
    main = Lot("Main", 801, 899)
    assert [main.slot(code) for code in ("*801", "899", "*900", "0801", "*", "8²1", "8" * 5000)] == [801, 899, *[None] * 5]


def ids() -> Ids:
    return Ids(random.Random(5).randbytes)


def lot(first: int = 801, last: int = 803, policy: ParkPolicy = ParkPolicy()) -> ParkLot:  # noqa: B008
    return ParkLot(Lot("Main", first, last, policy))


def park(where: ParkLot, call: str) -> int:
    slot = where.next_free(ids())
    assert isinstance(slot, int)
    assert where.take(call, slot) is None
    return slot


def test_sequential_is_the_lowest_free_code() -> None:
    where = lot()
    assert [park(where, call) for call in "abc"] == [801, 802, 803]
    where.leave(802)
    where.leave(801)
    assert park(where, "d") == 801


def test_a_full_lot_has_no_next_code() -> None:
    where = lot()
    for call in "abc":
        park(where, call)
    assert where.next_free(ids()) is LOT_FULL


def test_random_codes_are_free_ones_and_all_of_them_come_up() -> None:
    where, source = lot(801, 804, RANDOM), ids()
    where.take("a", 802)
    assert {where.next_free(source) for _ in range(200)} == {801, 803, 804}


def test_random_is_uniform_enough() -> None:
    where, source = lot(801, 804, RANDOM), ids()
    picks = [where.next_free(source) for _ in range(4000)]
    assert all(850 < picks.count(slot) < 1150 for slot in range(801, 805))


def test_random_is_as_even_where_few_codes_are_free() -> None:
    """Most draws miss then, and one of the free ones is chosen in another way: that must favour none either."""
    where, source = lot(801, 899, RANDOM), ids()
    free = (803, 804, 850, 899)
    for slot in range(801, 900):
        if slot not in free:
            where.take(str(slot), slot)
    picks = [where.next_free(source) for _ in range(4000)]
    assert {*picks} == {*free}
    assert all(850 < picks.count(slot) < 1150 for slot in free)


def test_sequential_is_the_lowest_free_code_whatever_was_taken_and_left() -> None:
    dice, where = random.Random(7), lot(801, 899)
    taken: dict[int, str] = {}
    for number in range(2000):
        if taken and dice.random() < 0.45:
            slot = dice.choice([*taken])
            where.leave(slot)
            del taken[slot]
        elif len(taken) < 99:
            slot = park(where, str(number))
            assert slot == min({*range(801, 900)} - taken.keys())
            taken[slot] = str(number)


def test_random_finds_the_last_free_code_of_many() -> None:
    where = lot(10001, 12000, RANDOM)
    for slot in range(10001, 12001):
        if slot != 11234:
            where.take(f"call {slot}", slot)
    assert where.next_free(ids()) == 11234


def test_an_occupied_code_is_refused_and_nothing_changes() -> None:
    where = lot()
    where.take("a", 802)
    refusal = where.take("b", 802)
    assert refusal
    assert refusal.id == "slot_taken"
    assert "*802" in refusal.en
    assert where.call_at(802) == "a"


def test_a_code_beyond_the_range_is_none() -> None:
    refusal = lot().take("a", 804)
    assert refusal
    assert refusal.id == "no_such_slot"


def test_a_reserved_code_is_given_to_its_call_only() -> None:
    where = lot()
    where.take("x", 801)
    where.pick_up(801, WHO, reserve=True)
    assert where.next_free(ids()) == 802
    refused = where.take("y", 801)
    assert refused
    assert refused.id == "slot_reserved"
    assert where.take("x", 801) is None
    assert where.reserved_for(801) is None
    assert where.last_pick_up(801) is None


def test_a_released_code_is_free_but_the_pick_up_is_remembered() -> None:
    where = lot()
    where.take("x", 801)
    where.pick_up(801, WHO, reserve=True)
    where.release(801)
    assert where.next_free(ids()) == 801
    assert where.last_pick_up(801) == WHO
    where.forget(801)
    assert where.last_pick_up(801) is None


def test_the_code_to_avoid_comes_last() -> None:
    where = lot(801, 802)
    assert where.next_free(ids(), avoid=801) == 802
    where.take("a", 802)
    assert where.next_free(ids(), avoid=801) == 801


def test_calls_stay_when_the_range_moves() -> None:
    where = lot(801, 803)
    where.take("a", 803)
    where.take("b", 801)
    where.change(Lot("Main", 801, 802))
    assert where.next_free(ids()) == 802
    assert where.leave(803) == "a"
    assert where.take("c", 802) is None
    assert where.next_free(ids()) is LOT_FULL


@given(st.lists(st.tuples(st.sampled_from(["park", "leave", "pick up", "keep", "release"]), st.integers(801, 806))))
@settings(max_examples=60, deadline=None)
def test_every_slot_is_free_taken_or_reserved(steps: list[tuple[str, int]]) -> None:
    where, calls = lot(801, 805), iter(range(10_000))
    taken: dict[int, str] = {}
    reserved: dict[int, str] = {}
    for what, slot in steps:
        if what == "park":
            call = str(next(calls))
            refusal = where.take(call, slot)
            assert (refusal is None) == (slot <= 805 and slot not in taken and slot not in reserved)
            if refusal is None:
                taken[slot] = call
        elif what == "leave" and slot in taken:
            assert where.leave(slot) == taken.pop(slot)
        elif what in {"pick up", "keep"} and slot in taken:
            where.pick_up(slot, WHO, reserve=what == "keep")
            call = taken.pop(slot)
            if what == "keep":
                reserved[slot] = call
        elif what == "release":
            where.release(slot)
            reserved.pop(slot, None)
        free = set(range(801, 806)) - set(taken) - set(reserved)
        following = where.next_free(ids())
        assert following == min(free) if free else isinstance(following, Refusal)
        assert dict(where.parked()) == taken

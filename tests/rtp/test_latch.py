"""Whose packets a leg believes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parkade.rtp.latch import Latch
from parkade.rtp.packet import Packet

TOLD = ("192.0.2.7", 4000)
NAT = ("198.51.100.1", 61000)
STRANGER = ("203.0.113.66", 5555)
TYPES = frozenset({0, 8, 101})


def voice(sequence: int, payload_type: int = 0, ssrc: int = 1) -> Packet:
    return Packet(payload_type, False, sequence & 0xFFFF, 160 * sequence, ssrc, bytes(160))


def described(now: float = 0.0) -> Latch:
    latch = Latch()
    latch.describe(TOLD, TYPES, now)
    return latch


def test_nothing_is_believed_before_a_description() -> None:
    latch = Latch()
    assert latch.target is None
    assert not latch.accept(voice(1), STRANGER, 0.0)
    assert latch.refused == 1


def test_the_described_address_is_believed_at_once_and_sent_to_before() -> None:
    latch = described()
    assert latch.target == TOLD
    assert latch.accept(voice(1), TOLD, 100.0)
    assert not latch.accept(voice(2), NAT, 0.1)


def test_an_address_behind_nat_is_believed_after_a_few_packets_in_a_row() -> None:
    latch = described()
    assert [latch.accept(voice(n), NAT, n * 0.02) for n in range(5)] == [False, False, False, True, True]
    assert latch.target == NAT
    assert latch.refused == 3


def test_once_believed_nobody_else_is() -> None:
    latch = described()
    for n in range(4):
        latch.accept(voice(n), NAT, 0.0)
    assert not any(latch.accept(voice(n, ssrc=2), STRANGER, 1.0) for n in range(50))
    assert latch.target == NAT


def test_a_stranger_who_was_first_loses_to_the_described_address() -> None:
    latch = described()
    for n in range(4):
        latch.accept(voice(n), STRANGER, 0.0)
    assert latch.accept(voice(9), TOLD, 1.0)
    assert latch.target == TOLD
    assert not latch.accept(voice(5), STRANGER, 1.0)


@pytest.mark.parametrize("late_s", [0.1, Latch.WINDOW_S + 2.0, 3600.0])
def test_a_first_packet_counts_however_late_it_comes(late_s: float) -> None:
    latch = described()
    assert [latch.accept(voice(n), NAT, late_s) for n in range(5)] == [False, False, False, True, True]
    assert latch.target == NAT


def heard_from(source: tuple[str, int], now: float = 0.0) -> Latch:
    """A latch that believes ``source``."""
    latch = described(now)
    for n in range(4):
        latch.accept(voice(n), source, now)
    assert latch.target == source
    return latch


@pytest.mark.parametrize("old", [NAT, TOLD])
def test_a_phone_whose_nat_has_moved_it_is_heard_again_after_the_same_description(old: tuple[str, int]) -> None:
    latch, moved = heard_from(old), (NAT[0], 61999)
    assert not any(latch.accept(voice(n), moved, 100.0) for n in range(50))
    latch.describe(TOLD, TYPES, 101.0)
    assert latch.target == old
    assert [latch.accept(voice(n), moved, 101.1) for n in range(5)] == [False, False, False, True, True]
    assert latch.target == moved
    assert not any(latch.accept(voice(n), STRANGER, 101.2) for n in range(50))


def test_a_phone_that_is_heard_is_not_displaced_in_the_window_after_a_description() -> None:
    latch = heard_from(NAT)
    latch.describe(TOLD, TYPES, 60.0)
    for n in range(50):
        assert not latch.accept(voice(n, ssrc=2), STRANGER, 60.0 + 0.02 * n)
        if n % 3 == 0:
            assert latch.believes(NAT) if n % 2 else latch.accept(voice(n), NAT, 60.0 + 0.02 * n)
    assert latch.target == NAT


def test_a_leg_that_was_heard_once_is_there_for_nobody_when_the_window_is_over() -> None:
    latch = heard_from(NAT)
    latch.describe(TOLD, TYPES, 60.0)
    late = 60.0 + Latch.WINDOW_S + 0.1
    assert not any(latch.accept(voice(n), STRANGER, late) for n in range(50))
    assert latch.target == NAT


def test_what_was_believed_by_an_earlier_process_is_believed_at_once_until_a_description_says_otherwise() -> None:
    latch = Latch()
    latch.resume(NAT)
    latch.describe(TOLD, TYPES, 0.0)
    assert latch.target == NAT
    assert latch.accept(voice(7), NAT, 0.0)
    latch.describe(("192.0.2.8", 4000), TYPES, 1.0)
    assert not latch.accept(voice(8), NAT, 1.0)


@pytest.mark.parametrize(
    "packets",
    [
        [voice(n, payload_type=18) for n in range(30)],
        [voice(n, ssrc=n) for n in range(30)],
        [voice(7) for _ in range(30)],
        [voice(1000 * n) for n in range(30)],
        [voice(-n) for n in range(30)],
    ],
    ids=["wrong codec", "changing source", "one number", "jumps", "backwards"],
)
def test_packets_that_could_not_be_the_phones_prove_nothing(packets: list[Packet]) -> None:
    latch = described()
    assert not any(latch.accept(packet, STRANGER, 0.1) for packet in packets)
    assert latch.refused == len(packets)


def test_two_who_talk_at_once_do_not_count_together() -> None:
    latch = described()
    assert not any(latch.accept(voice(n), NAT if n % 2 else STRANGER, 0.1) for n in range(30))


def test_the_same_description_again_keeps_the_address_and_another_starts_anew() -> None:
    latch = described()
    for n in range(4):
        latch.accept(voice(n), NAT, 0.0)
    latch.describe(TOLD, TYPES, 30.0)
    assert latch.target == NAT
    moved = ("192.0.2.8", 4000)
    latch.describe(moved, TYPES, 31.0)
    assert latch.target == moved
    assert not latch.accept(voice(9), NAT, 31.0)
    assert latch.accept(voice(10), moved, 31.0)


def test_reports_are_the_far_sides_if_they_come_from_its_host() -> None:
    latch = described()
    assert latch.is_far_host(TOLD[0])
    assert not latch.is_far_host(STRANGER[0])


@given(
    st.lists(st.tuples(st.sampled_from([NAT, STRANGER]), st.integers(0, 20), st.integers(0, 3), st.floats(0, 20)), max_size=60)
)
def test_without_the_phones_own_word_at_most_one_address_is_ever_believed(
    packets: list[tuple[tuple[str, int], int, int, float]],
) -> None:
    latch = described()
    accepted = [source for source, n, ssrc, now in packets if latch.accept(voice(n, ssrc=ssrc), source, now)]
    assert len(set(accepted)) <= 1
    assert latch.refused == len(packets) - len(accepted)


@pytest.mark.parametrize("packets", [3, 4, 5, 30])
@pytest.mark.parametrize("ptime_s", [0.02, 0.06])
@given(begins_s=st.floats(0, Latch.WINDOW_S), every_s=st.sampled_from([0.0, 0.001, 0.005, 0.02]))
def test_nobody_takes_over_a_phone_that_is_heard_however_fast_and_whenever_they_send(
    packets: int, ptime_s: float, begins_s: float, every_s: float
) -> None:
    """Packets need no time of their own: a burst falls between two of the phone's."""
    latch = heard_from(NAT)
    latch.describe(TOLD, TYPES, 60.0)
    voices = [(60.0 + ptime_s * (n + 0.99), NAT, voice(n)) for n in range(int(Latch.WINDOW_S / ptime_s) + 60)]
    theirs = [(60.0 + begins_s + every_s * n, STRANGER, voice(n, ssrc=2)) for n in range(packets)]
    for at, source, packet in sorted([*voices, *theirs], key=lambda one: one[0]):
        assert latch.accept(packet, source, at) is (source == NAT)
    assert latch.target == NAT


@pytest.mark.parametrize("heard_since", [False, True])
def test_a_phone_whose_nat_moves_it_after_the_description_is_heard_within_a_moment(heard_since: bool) -> None:
    latch, moved = heard_from(NAT), (NAT[0], 61999)
    latch.describe(TOLD, TYPES, 60.0)
    if heard_since:
        assert latch.believes(NAT)
    taken = [latch.accept(voice(n), moved, 60.02 + 0.02 * n) for n in range(50)]
    assert taken.index(True) <= (14 if heard_since else 4)
    assert all(taken[taken.index(True) :])


@pytest.mark.parametrize("source", [NAT, TOLD])
def test_a_description_that_is_only_told_again_opens_nothing(source: tuple[str, int]) -> None:
    """After a restart each leg is told again: callers whose phones are silent are there for nobody."""
    latch = heard_from(source)
    latch.describe(TOLD, TYPES, 60.0, again=True)
    assert not any(latch.accept(voice(n, ssrc=2), STRANGER, 60.5 + 0.02 * n) for n in range(50))
    resumed = Latch()
    resumed.resume(NAT)
    resumed.describe(TOLD, TYPES, 60.0, again=True)
    assert not any(resumed.accept(voice(n, ssrc=2), STRANGER, 60.5 + 0.02 * n) for n in range(50))
    assert resumed.target == NAT
    assert resumed.accept(voice(1), NAT, 62.0)


def test_a_leg_that_nobody_was_heard_on_is_open_also_when_it_is_told_again() -> None:
    latch = Latch()
    latch.describe(TOLD, TYPES, 60.0, again=True)
    assert [latch.accept(voice(n), NAT, 62.0) for n in range(4)] == [False, False, False, True]

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


def test_a_leg_that_was_silent_too_long_is_not_there_for_the_taking() -> None:
    latch = described()
    late = Latch.WINDOW_S + 0.1
    assert not any(latch.accept(voice(n), STRANGER, late) for n in range(50))
    assert latch.target == TOLD
    latch.describe(TOLD, TYPES, 60.0)
    assert [latch.accept(voice(n), NAT, 60.1) for n in range(4)][-1]


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

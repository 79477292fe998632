"""RTCP packets and reception figures (RFC 3550 section 6, appendix A)."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parkade.rtp.packet import Packet
from parkade.rtp.rtcp import (
    Goodbye,
    Receiver,
    ReceiverReport,
    ReportBlock,
    Rtcp,
    SenderReport,
    SourceDescription,
    encode,
    interval_s,
    ntp,
    own_report,
    parse,
)

WORDS = st.integers(0, 0xFFFFFFFF)
BLOCKS = st.lists(
    st.builds(ReportBlock, WORDS, st.integers(0, 255), st.integers(-0x800000, 0x7FFFFF), WORDS, WORDS, WORDS, WORDS), max_size=3
).map(tuple)
PACKETS = st.one_of(
    st.builds(SenderReport, WORDS, st.integers(0, 2**64 - 1), WORDS, WORDS, WORDS, BLOCKS),
    st.builds(ReceiverReport, WORDS, BLOCKS),
    st.builds(SourceDescription, WORDS, st.text(st.characters(codec="ascii", min_codepoint=33), max_size=30)),
    st.builds(Goodbye, st.lists(WORDS, max_size=3).map(tuple)),
)


def report(receiver: Receiver, now: float = 0.0) -> ReportBlock:
    block = receiver.block(now)
    assert block is not None
    return block


def hear(receiver: Receiver, sequence: int, now: float = 0.0, timestamp: int = 0, ssrc: int = 9) -> None:
    receiver.receive(Packet(0, False, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc, b""), now)


# Packets


@given(st.lists(PACKETS, min_size=1, max_size=4))
def test_a_compound_is_read_back_as_it_was_written(packets: list[Rtcp]) -> None:
    data = encode(packets)
    assert len(data) % 4 == 0
    assert parse(data) == tuple(packets)


def test_the_words_on_the_wire_are_those_of_the_rfc() -> None:
    data = encode([ReceiverReport(1, (ReportBlock(2, 128, -1, 3, 4, 5, 6),)), SourceDescription(1, "a@b")])
    assert data == (
        struct.pack("!BBHI", 0x81, 201, 7, 1)
        + struct.pack("!IIIIII", 2, 128 << 24 | 0xFFFFFF, 3, 4, 5, 6)
        + struct.pack("!BBHI", 0x81, 202, 3, 1)
        + b"\x01\x03a@b\0\0\0"
    )


def test_a_loss_too_great_for_its_field_is_cut_off() -> None:
    (read,) = parse(encode([ReceiverReport(1, (ReportBlock(2, 0, 1 << 30, 0, 0),))])) or ()
    assert isinstance(read, ReceiverReport)
    assert read.blocks[0].lost == 0x7FFFFF


def test_padding_other_items_and_other_kinds_are_passed_over() -> None:
    feedback = struct.pack("!BBHII", 0x81, 205, 2, 1, 2)
    tool = struct.pack("!BBHI", 0x81, 202, 3, 7) + b"\x06\x02ab\x01\x01c\0"
    padded = struct.pack("!BBHI", 0xA1, 203, 2, 7) + b"\0\0\0\4"
    assert parse(encode([ReceiverReport(1)]) + feedback + tool + padded) == (
        ReceiverReport(1),
        SourceDescription(7, "c"),
        Goodbye((7,)),
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\xc9\x00",
        b"\x40\xc9\x00\x01\0\0\0\1",
        b"\x80\x00\x00\x01\0\0\0\1",
        b"\x80\xc9\x00\x02\0\0\0\1",
        b"\x81\xc9\x00\x01\0\0\0\1",
        b"\x80\xc8\x00\x01\0\0\0\1",
        b"\x82\xcb\x00\x01\0\0\0\1",
        b"\xa0\xc9\x00\x01\0\0\0\x09",
        b"\xa0\xc9\x00\x01\0\0\0\4" + b"\x80\xc9\x00\x01\0\0\0\1",
        b"\x81\xca\x00\x02\0\0\0\1\1\xff\0\0",
    ],
    ids=[
        "empty",
        "cut",
        "version",
        "kind",
        "long",
        "no block",
        "no sender",
        "no source",
        "padding",
        "padding inside",
        "long name",
    ],
)
def test_an_invalid_compound_gives_none(data: bytes) -> None:
    assert parse(data) is None


@given(
    st.one_of(
        st.binary(max_size=60),
        st.lists(PACKETS, min_size=1, max_size=2).map(encode).flatmap(lambda d: st.sampled_from([d[1:], d[:-1]])),
    )
)
def test_any_bytes_give_packets_or_none(data: bytes) -> None:
    packets = parse(data)
    assert packets is None or isinstance(packets, tuple)


# Time


def test_ntp_time_counts_from_1900() -> None:
    assert ntp(0.0) == 2_208_988_800 << 32
    assert ntp(1.5) - ntp(0.0) == 3 << 31


def test_reports_are_spread_around_five_seconds_and_the_first_comes_sooner() -> None:
    assert interval_s(0.0) == pytest.approx(2.05, abs=0.01)
    assert interval_s(0.999999) == pytest.approx(6.16, abs=0.01)
    assert interval_s(0.5, first=True) == pytest.approx(interval_s(0.5) / 2)


# Figures


def test_nothing_heard_is_nothing_to_report() -> None:
    assert Receiver().block(0.0) is None
    assert Receiver().lost == 0


def test_loss_is_what_should_have_come_and_did_not() -> None:
    receiver = Receiver()
    for n in (65534, 65535, 0, 3, 4, 2):
        hear(receiver, n)
    block = report(receiver)
    assert (block.lost, block.fraction_lost, block.highest_sequence) == (1, 256 // 7, 0x10004)
    assert (receiver.total_received, receiver.lost) == (6, 1)


def test_the_fraction_is_that_of_its_interval() -> None:
    receiver = Receiver()
    for n in range(0, 20, 2):
        hear(receiver, n)
    assert report(receiver).fraction_lost == (9 << 8) // 19
    for n in range(19, 29):
        hear(receiver, n)
    block = report(receiver)
    assert (block.fraction_lost, block.lost) == (0, 9)


def test_duplicates_are_not_a_negative_loss_in_the_totals() -> None:
    receiver = Receiver()
    for _ in range(5):
        hear(receiver, 7)
    assert report(receiver).lost == -4
    assert report(receiver).fraction_lost == 0
    assert receiver.lost == 0


def test_one_wild_number_is_not_believed_and_two_are_a_restart() -> None:
    receiver = Receiver()
    for n in (1, 2, 4, 30000, 5):
        hear(receiver, n)
    assert report(receiver).highest_sequence == 5
    assert receiver.lost == 1
    for n in (40000, 40001, 40002):
        hear(receiver, n)
    assert report(receiver).highest_sequence == 40002
    assert report(receiver).lost == 0
    assert receiver.lost == 1


def test_another_source_starts_its_own_figures_and_the_totals_go_on() -> None:
    receiver = Receiver()
    for n in (1, 3):
        hear(receiver, n)
    for n in (500, 502):
        hear(receiver, n, ssrc=10)
    block = report(receiver)
    assert (block.ssrc, block.lost) == (10, 1)
    assert (receiver.lost, receiver.total_received) == (2, 4)


def test_even_pacing_has_no_jitter_and_uneven_pacing_has() -> None:
    even, uneven = Receiver(), Receiver()
    for n in range(200):
        hear(even, n, now=1000 + 0.02 * n, timestamp=160 * n)
        hear(uneven, n, now=1000 + 0.02 * n + 0.01 * (n % 2), timestamp=160 * n)
    assert report(even).jitter <= 1
    assert 60 <= report(uneven).jitter <= 80


def test_a_sender_report_is_answered_with_its_time_and_how_long_ago_it_was() -> None:
    receiver = Receiver()
    hear(receiver, 1)
    receiver.sender_report(SenderReport(9, 0x1234_5678_9ABC_DEF0, 0, 1, 160), 10.0)
    receiver.sender_report(SenderReport(8, 0, 0, 1, 160), 11.0)
    block = report(receiver, 12.5)
    assert (block.last_report, block.delay) == (0x5678_9ABC, 163840)


@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.integers(1, 2)), min_size=1, max_size=50))
def test_figures_stay_in_their_fields_whatever_is_received(packets: list[tuple[int, int]]) -> None:
    receiver = Receiver()
    for sequence, ssrc in packets:
        hear(receiver, sequence, ssrc=ssrc, timestamp=sequence << 16)
        block = report(receiver)
        assert parse(encode([ReceiverReport(1, (block,))])) == (ReceiverReport(1, (block,)),)
    assert receiver.lost >= 0
    assert receiver.total_received == len(packets)


# Our own report


@given(WORDS, st.tuples(st.integers(0, 2**64 - 1), WORDS, WORDS, WORDS) | st.none(), BLOCKS, st.booleans())
def test_our_own_report_is_the_compound_that_the_rfc_asks_for(
    ssrc: int, sent: tuple[int, int, int, int] | None, blocks: tuple[ReportBlock, ...], leaving: bool
) -> None:
    report = ReceiverReport(ssrc, blocks[:1]) if sent is None else SenderReport(ssrc, *sent, blocks[:1])
    compound: list[Rtcp] = [report, SourceDescription(ssrc, "name"), *([Goodbye((ssrc,))] if leaving else [])]
    assert own_report(ssrc, "name", sent, blocks[0] if blocks else None, leaving=leaving) == encode(compound)

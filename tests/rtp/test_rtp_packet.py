"""RTP packets and unbroken streams (RFC 3550 section 5.1)."""

import struct
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parkade.rtp.packet import Packet, Stream, is_rtcp, parse, sequence_step, timestamp_step

FRAME = bytes(160)


def sent(data: bytes | None) -> Packet:
    assert data is not None
    packet = parse(data)
    assert packet is not None
    return packet


def voice(sequence: int, timestamp: int = 0, ssrc: int = 99, *, marker: bool = False) -> Packet:
    return Packet(0, marker, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc, FRAME)


# Packets


@given(
    st.builds(
        Packet,
        st.integers(0, 127),
        st.booleans(),
        st.integers(0, 0xFFFF),
        st.integers(0, 0xFFFFFFFF),
        st.integers(0, 0xFFFFFFFF),
        st.binary(max_size=40),
    )
)
def test_what_is_written_is_read_back(packet: Packet) -> None:
    assert parse(packet.encode()) == packet


def test_extensions_contributing_sources_and_padding_are_taken_off() -> None:
    header = struct.pack("!BBHII", 0x80 | 0x20 | 0x10 | 2, 0x80 | 8, 7, 8, 9)
    extension = struct.pack("!HH", 0xBEDE, 1) + b"ext."
    packet = parse(header + b"csrcCSRC" + extension + b"sound" + b"\0\0\3")
    assert packet == Packet(8, True, 7, 8, 9, b"sound")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80" + bytes(10),
        b"\x40" + bytes(11),
        b"\x81" + bytes(11),
        b"\x90" + bytes(11),
        b"\x90" + bytes(13) + b"\xff\xff",
        b"\xa0" + bytes(11) + b"\0",
        b"\xa0" + bytes(11) + b"\2",
    ],
    ids=[
        "empty",
        "short",
        "version 1",
        "no source",
        "no extension",
        "long extension",
        "padding of none",
        "more padding than payload",
    ],
)
def test_what_is_no_packet_gives_none(data: bytes) -> None:
    assert parse(data) is None


@given(st.binary(max_size=64))
def test_any_bytes_give_a_packet_or_none(data: bytes) -> None:
    packet = parse(data)
    assert packet is None or len(packet.payload) <= len(data) - 12


def test_reports_on_the_same_port_are_told_from_sound() -> None:
    assert is_rtcp(b"\x80\xc8\x00\x06")
    assert is_rtcp(b"\x80\xcb\x00\x01")
    assert not is_rtcp(voice(1).encode())
    assert not is_rtcp(voice(1, marker=True)._replace(payload_type=8).encode())
    assert not is_rtcp(b"\x80")


@given(st.integers(0, 0xFFFF), st.integers(-0x8000, 0x7FFF))
def test_steps_go_the_short_way_round_the_circle(start: int, step: int) -> None:
    assert sequence_step(start, start + step & 0xFFFF) == step
    assert timestamp_step(start << 16, (start << 16) + step & 0xFFFFFFFF) == step


# Streams


def test_own_sound_is_one_run_with_a_marker_at_its_start() -> None:
    stream = Stream(ssrc=5, sequence=0xFFFF, timestamp=0xFFFFFFF0)
    first, second = sent(stream.play(8, FRAME, 1.0)), sent(stream.play(8, FRAME, 1.021))
    assert first == Packet(8, True, 0xFFFF, 0xFFFFFFF0, 5, FRAME)
    assert second == Packet(8, False, 0, 144, 5, FRAME)
    assert (stream.packets, stream.octets) == (2, 320)


def test_a_relayed_source_takes_over_where_the_music_stopped() -> None:
    stream = Stream(5, 100, 1000)
    stream.play(0, FRAME, 1.0)
    stream.play(0, FRAME, 1.02)
    taken = sent(stream.relay(voice(40000, 777777), 0, FRAME, 1.05))
    assert (taken.marker, taken.sequence, taken.timestamp, taken.ssrc) == (True, 102, 1000 + 400, 5)
    following = sent(stream.relay(voice(40001, 777937), 8, b"x" * 160, 1.07))
    assert (following.marker, following.sequence, following.timestamp) == (False, 103, 1560)
    assert (following.payload_type, following.payload) == (8, b"x" * 160)
    music = sent(stream.play(0, FRAME, 1.071))
    assert (music.marker, music.sequence, music.timestamp) == (True, 104, 1720)


def test_losses_and_order_of_a_relayed_source_are_kept() -> None:
    stream = Stream(5, 0, 0)
    numbers = [sent(stream.relay(voice(n, 160 * n), 0, FRAME, 1.0)).sequence for n in (10, 11, 14, 13, 12, 15)]
    assert numbers == [0, 1, 4, 3, 2, 5]
    assert sent(stream.play(0, FRAME, 1.0)).sequence == 6


def test_a_packet_that_comes_twice_is_passed_on_once() -> None:
    stream = Stream(5, 0, 0)
    passed = [stream.relay(voice(n, 160 * n), 0, FRAME, 1.0) for n in (10, 10, 11, 14, 13, 14, 13, 15, 11)]
    assert [sent(data).sequence for data in passed if data is not None] == [0, 1, 4, 3, 5]


def test_a_packet_that_is_later_than_any_jitter_buffer_is_not_passed_on() -> None:
    stream = Stream(5, 0, 0)
    for n in (10, 12, 12 + Stream.MAX_LATE):
        stream.relay(voice(n, 160 * n), 0, FRAME, 1.0)
    assert stream.relay(voice(11, 160 * 11), 0, FRAME, 1.0) is None
    assert stream.relay(voice(13, 160 * 13), 0, FRAME, 1.0) is not None


@given(st.integers(1, 0x7FFF), st.integers(1, 200), st.integers(0, 0xFFFF), st.booleans())
def test_numbering_that_restarts_backwards_never_sends_a_number_again(
    back: int, before: int, start: int, clock_restarts: bool
) -> None:
    stream = Stream(5, 0, 0)
    numbers = [*range(start, start + before), *range(start + before - back, start + before - back + 50)]
    clocks = [160 * n for n in range(len(numbers))]
    if clock_restarts:
        clocks[before:] = [160 * n for n in range(50)]
    passed = [
        stream.relay(voice(n & 0xFFFF, clock), 0, FRAME, 1.0 + 0.02 * at)
        for at, (n, clock) in enumerate(zip(numbers, clocks, strict=True))
    ]
    heard = [sent(data) for data in passed if data is not None]
    assert [packet.sequence for packet in heard] == list(range(len(heard)))
    assert len(heard) >= len(numbers) - 1
    if not clock_restarts:
        assert all(timestamp_step(earlier.timestamp, later.timestamp) >= 160 for earlier, later in pairwise(heard))


@given(st.permutations(range(1, 12)), st.integers(0, 0xFFFF))
def test_packets_that_overtake_each_other_are_passed_on_in_their_places(order: list[int], start: int) -> None:
    stream = Stream(5, 0, 0)
    stream.relay(voice(start, 0), 0, FRAME, 1.0)
    passed = [stream.relay(voice(start + n & 0xFFFF, 160 * n), 0, FRAME, 1.0) for n in order]
    assert [sent(data).sequence for data in passed] == order


def test_a_packet_from_before_the_change_is_not_sent_under_a_used_number() -> None:
    stream = Stream(5, 0, 0)
    stream.play(0, FRAME, 1.0)
    stream.relay(voice(10), 0, FRAME, 1.02)
    assert stream.relay(voice(9), 0, FRAME, 1.03) is None
    assert sent(stream.relay(voice(11), 0, FRAME, 1.04)).sequence == 2


def test_key_events_keep_their_common_timestamp_and_marker() -> None:
    stream = Stream(5, 0, 0)
    stream.relay(voice(1, 160), 0, FRAME, 1.0)
    events = [Packet(101, n == 2, n, 320, 99, b"\5\x0a\0\xa0") for n in (2, 3, 4)]
    relayed = [sent(stream.relay(event, 96, event.payload, 1.02)) for event in events]
    assert [(p.payload_type, p.marker, p.timestamp) for p in relayed] == [(96, True, 160), (96, False, 160), (96, False, 160)]


@pytest.mark.parametrize(
    "restart", [voice(30000, 960), voice(12, 0x70000000), voice(12, 480, ssrc=98)], ids=["sequence", "clock", "ssrc"]
)
def test_a_source_that_starts_anew_does_not_break_the_stream(restart: Packet) -> None:
    stream = Stream(5, 0, 0)
    stream.relay(voice(10, 160), 0, FRAME, 1.0)
    stream.relay(voice(11, 320), 0, FRAME, 1.02)
    again = sent(stream.relay(restart, 0, FRAME, 1.04))
    assert (again.marker, again.sequence, again.timestamp) == (True, 2, 320)


def test_silence_between_two_sounds_passes_on_the_clock() -> None:
    stream = Stream(5, 0, 0)
    stream.play(0, FRAME, 1.0)
    stream.switch()
    after = sent(stream.play(0, FRAME, 3.0))
    assert (after.marker, after.sequence, after.timestamp) == (True, 1, 16000)
    assert stream.timestamp_at(3.5) == 16160 + 4000


def test_a_thousand_changes_add_no_drift() -> None:
    stream = Stream(5, 0, 0)
    last = sent(stream.play(0, FRAME, 0.0))
    for change in range(1, 1001):
        stream.switch()
        last = sent(stream.play(0, FRAME, change * 0.05))
    assert last.timestamp == 1000 * 400


CHANGES = st.lists(
    st.tuples(st.sampled_from(["play", "switch", "relay 1", "relay 2"]), st.integers(1, 40), st.integers(0, 100)), max_size=40
)


@given(CHANGES, st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF))
def test_whoever_speaks_the_listener_sees_one_stream(
    changes: list[tuple[str, int, int]], sequence: int, timestamp: int
) -> None:
    """No number twice, none skipped, the clock never back and never far from real time."""
    stream, now, out = Stream(5, sequence, timestamp), 0.0, list[tuple[float, Packet]]()
    position = {1: (65000, 0xFFFFF000), 2: (3, 17)}
    for kind, frames, pause_ms in changes:
        now += pause_ms / 1000
        for _ in range(frames):
            if kind == "switch":
                stream.switch()
            elif kind == "play":
                out.append((now, sent(stream.play(0, FRAME, now))))
            else:
                source = int(kind[-1])
                number, clock = position[source]
                out.append((now, sent(stream.relay(voice(number, clock, source), 0, FRAME, now))))
                position[source] = (number + 1 & 0xFFFF, clock + 160 & 0xFFFFFFFF)
            now += 0.02
    assert {packet.ssrc for _, packet in out} <= {5}
    for (_, before), (_, after) in pairwise(out):
        assert sequence_step(before.sequence, after.sequence) == 1
        assert timestamp_step(before.timestamp, after.timestamp) >= 160
    if out:
        (first_at, first), (last_at, last) = out[0], out[-1]
        assert (first.sequence, first.timestamp) == (sequence, timestamp)
        run = timestamp_step(first.timestamp, last.timestamp)
        assert run <= (last_at - first_at) * 8000 + 1
        assert run >= 160 * (len(out) - 1)

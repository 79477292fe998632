"""Keys from telephone events (RFC 4733) and from INFO bodies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parkade.rtp.dtmf import INFO_TYPES, KEYS, EventListener, key_of_info, press
from parkade.rtp.packet import Packet


def events(key: str, timestamp: int, duration_ms: int = 100, ssrc: int = 1) -> list[Packet]:
    return [Packet(101, n == 0, n, timestamp & 0xFFFFFFFF, ssrc, payload) for n, payload in enumerate(press(key, duration_ms))]


def heard(packets: list[Packet]) -> str:
    listener = EventListener()
    return "".join(listener.hear(packet) or "" for packet in packets)


# Telephone events


def test_a_press_grows_and_ends_three_times() -> None:
    payloads = press("#", 60)
    assert [p.hex() for p in payloads] == ["0b0a00a0", "0b0a0140", "0b0a01e0", "0b8a01e0", "0b8a01e0", "0b8a01e0"]


def test_every_key_is_heard_once_a_press() -> None:
    packets = [packet for n, key in enumerate(KEYS) for packet in events(key, 1600 * n)]
    assert heard(packets) == KEYS


def test_the_same_key_twice_is_two_presses() -> None:
    assert heard(events("5", 0) + events("5", 1600)) == "55"


def test_two_presses_of_which_only_middles_arrive_are_two_presses() -> None:
    assert heard(events("5", 0)[2:4] + events("5", 800 + 400)[2:3]) == "55"


def test_a_late_packet_of_an_earlier_press_is_no_press() -> None:
    first, second = events("1", 0), events("2", 1600)
    assert heard([*first[:-1], second[0], first[-1], *second[1:]]) == "12"


def test_a_long_press_in_several_segments_is_one() -> None:
    packets = events("7", 0xFFFF0000, duration_ms=65535 // 8)[:-3]
    packets += [packet._replace(marker=False) for packet in events("7", 0xFFFF0000 + 0xFFFF, duration_ms=200)]
    assert heard(packets) == "7"


def test_a_phone_that_moves_the_timestamp_with_each_packet_presses_once() -> None:
    packets = [packet._replace(timestamp=160 * n) for n, packet in enumerate(events("9", 0))]
    assert heard(packets) == "9"


def test_another_source_begins_anew_and_a_reset_clock_too() -> None:
    assert heard(events("1", 5000) + events("1", 100, ssrc=2)) == "11"
    assert heard(events("1", 5_000_000) + events("2", 100)) == "12"


def test_other_events_and_cut_payloads_are_not_keys() -> None:
    flash = Packet(101, True, 1, 0, 1, b"\x10\x0a\0\xa0")
    assert heard([flash, flash._replace(payload=b"\5\x0a\0")]) == ""


@given(
    st.lists(st.tuples(st.sampled_from(KEYS), st.integers(40, 300), st.integers(40, 2000)), max_size=8),
    st.data(),
)
def test_one_report_a_press_as_long_as_one_packet_of_it_arrives(
    presses: list[tuple[str, int, int]], data: st.DataObject
) -> None:
    packets: list[Packet] = []
    now_ms = 0
    for key, duration_ms, pause_ms in presses:
        sent = events(key, now_ms * 8, duration_ms)
        kept = data.draw(st.lists(st.sampled_from(range(len(sent))), min_size=1, max_size=len(sent)))
        # Lost packets never make a press appear sooner than the pause after the last one that was heard.
        packets += [sent[n] for n in sorted(kept)]
        now_ms += duration_ms + pause_ms
    assert heard(packets) == "".join(key for key, _, _ in presses)


@given(
    st.lists(
        st.builds(
            Packet,
            st.just(101),
            st.booleans(),
            st.integers(0, 0xFFFF),
            st.integers(0, 0xFFFFFFFF),
            st.integers(0, 2),
            st.binary(max_size=6),
        )
    )
)
def test_any_events_give_keys_or_nothing(packets: list[Packet]) -> None:
    assert set(heard(packets)) <= set(KEYS)


# INFO


@pytest.mark.parametrize(
    ("content_type", "body", "key"),
    [
        ("application/dtmf-relay", b"Signal=5\r\nDuration=160\r\n", "5"),
        ("application/dtmf-relay", b"Signal= *\nDuration= 160", "*"),
        ("Application/DTMF-Relay; charset=x", b"duration=100\r\nsignal=d\r\n", "D"),
        ("application/dtmf-relay", b"Signal=11\r\n", "#"),
        ("application/dtmf-relay", b"Duration=160\r\n", None),
        ("application/dtmf-relay", b"Signal=16\r\n", None),
        ("application/dtmf", b"7", "7"),
        ("application/dtmf", b" 10\r\n", "*"),
        ("application/dtmf", b"77", None),
        ("application/dtmf", b"", None),
        ("application/dtmf", b"d=*\r\n", "*"),
        ("application/dtmf-relay", b"d=#", "#"),
        ("application/dtmf", b"Signal=3\r\nDuration=100", "3"),
        ("application/dtmf-relay", b"9\r\n", "9"),
        ("application/vnd.nortelnetworks.digits", b"p=Digit-Collection\r\ny=Digits\r\ns=success\r\nd=4\r\n", "4"),
        ("audio/telephone-event", b"5", "5"),
        ("audio/telephone-event", b"d=11\r\n", "#"),
        ("audio/telephone-event", b"\x0b\x8a\x03\x20", "#"),
        ("audio/telephone-event; rate=8000", b"\x0a\x0a\x00\x50", "*"),
        ("audio/telephone-event", b"\x10\x8a\x03\x20", None),
        ("audio/telephone-event", b"\x05\x8a\x03", None),
        ("application/media_control+xml", b"5", None),
        ("", b"5", None),
    ],
)
def test_a_key_in_an_info_body(content_type: str, body: bytes, key: str | None) -> None:
    assert key_of_info(content_type, body) == key


@given(st.sampled_from(sorted(INFO_TYPES)), st.binary(max_size=20))
def test_any_info_body_gives_a_key_or_none(content_type: str, body: bytes) -> None:
    key = key_of_info(content_type, body)
    assert key is None or key in KEYS

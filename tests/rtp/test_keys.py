"""Each key counts, once, however a phone sends it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parkade.rtp.codecs import CODECS
from parkade.rtp.coders import CODERS
from parkade.rtp.dtmf import KEYS, EventListener, press
from parkade.rtp.keys import KeyListener
from parkade.rtp.keys_once import WITHIN_S, KeysOnce
from parkade.rtp.packet import Packet
from parkade.rtp.tones import key_tone


def events(key: str, timestamp: int, sequence: int = 0, duration_ms: int = 100, *, marked: bool = True) -> list[Packet]:
    return [
        Packet(101, marked and n == 0, sequence + n & 0xFFFF, timestamp & 0xFFFFFFFF, 1, payload)
        for n, payload in enumerate(press(key, duration_ms))
    ]


def heard(packets: list[Packet]) -> str:
    listener = EventListener()
    return "".join(listener.hear(packet) or "" for packet in packets)


# Telephone events


@pytest.mark.parametrize("marked", [True, False])
@pytest.mark.parametrize("keys", ["12", "11", "1212", "*5", "555"])
def test_keys_that_share_a_timestamp_are_told_apart(keys: str, marked: bool) -> None:
    packets: list[Packet] = []
    for key in keys:
        packets += events(key, 8000, len(packets), marked=marked)
    assert heard(packets) == keys


@given(
    st.text(KEYS, min_size=1, max_size=6),
    st.text(KEYS, min_size=1, max_size=6),
    st.integers(0, 0xFFFFFFFF),
    st.integers(0, 0xFFFF),
)
def test_keys_count_whichever_way_numbering_and_clock_begin_anew(first: str, then: str, clock: int, number: int) -> None:
    packets: list[Packet] = []
    for n, key in enumerate(first):
        packets += events(key, 100_000 + 1600 * n, 1000 + 20 * n)
    for n, key in enumerate(then):
        # A gap that no press of the first run lies in.
        packets += events(key, clock % 0x7FFF0000 + 1_000_000 + 1600 * n, number + 20 * n)
    assert heard(packets) == first + then


@pytest.mark.parametrize("back", [1600, 8000, 40_000, 79_000, 400_000])
def test_keys_count_after_a_clock_that_went_back(back: int) -> None:
    assert heard(events("1", 500_000, 500) + events("2", 500_000 - back, 520) + events("3", 501_600 - back, 540)) == "123"


def test_copies_of_old_packets_are_no_presses() -> None:
    first, second, third = events("1", 1600, 0), events("1", 3200, 20), events("2", 4800, 40)
    assert heard([*first, *second, first[0], *third, second[0], first[-1], *third]) == "112"


# Two ways at once


@given(st.text("123", max_size=12), st.floats(0, 0.6), st.booleans())
def test_a_phone_that_sends_each_key_two_ways_presses_each_once(keys: str, later_s: float, swapped: bool) -> None:
    reports = [(0.7 * n, key, "event") for n, key in enumerate(keys)]
    reports += [(0.7 * n + later_s, key, "info") for n, key in enumerate(keys)]
    once, pressed = KeysOnce(), ""
    ways = {"event": "info", "info": "event"}
    for now, key, way in sorted(reports):
        if once.counts(key, ways[way] if swapped else way, now):
            pressed += key
    assert pressed == keys


def test_the_same_key_another_way_much_later_is_another_press() -> None:
    once = KeysOnce()
    assert once.counts("5", "event", 0.0)
    assert once.counts("5", "info", WITHIN_S + 0.1)


# Tones


def sound(keys: str, codec: str, tone_ms: int = 80, pause_ms: int = 80, ptime_ms: int = 20, lead_ms: int = 0) -> list[bytes]:
    pieces = [np.zeros(8 * lead_ms, np.int16)]
    for key in keys:
        pieces += [key_tone(key, tone_ms), np.zeros(8 * pause_ms, np.int16)]
    payload = CODERS[codec].encode(np.concatenate(pieces))
    return [payload[at : at + 8 * ptime_ms] for at in range(0, len(payload), 8 * ptime_ms)]


@pytest.mark.parametrize("codec", list(CODECS))
@pytest.mark.parametrize("ptime_ms", [10, 20, 30, 60])
@pytest.mark.parametrize("lead_ms", [0, 7, 13, 20, 31])
def test_a_phone_that_promised_events_and_sends_tones_is_understood(codec: str, ptime_ms: int, lead_ms: int) -> None:
    listener = KeyListener(tones=True, sparing=True)
    packets = sound("*80159D#", codec, ptime_ms=ptime_ms, lead_ms=lead_ms)
    assert "".join(listener.sound(payload, codec, 0.02 * n) for n, payload in enumerate(packets)) == "*80159D#"


def test_tones_beside_events_are_no_presses_and_are_listened_for_no_more() -> None:
    listener, pressed = KeyListener(tones=True, sparing=True), ""
    packets = sound("5", "PCMU", tone_ms=200)
    for n, payload in enumerate(packets):
        pressed += listener.sound(payload, "PCMU", 0.02 * n)
        if n == 5:
            for event in events("5", 960):
                pressed += listener.event(event, 0.02 * n)
    assert pressed == "5"
    assert not listener.listens_for_tones
    for n, payload in enumerate(sound("77", "PCMU")):
        pressed += listener.sound(payload, "PCMU", 10.0 + 0.02 * n)
    assert pressed == "5"


def test_noise_and_speech_like_sound_press_no_key_and_cost_little() -> None:
    chance = np.random.default_rng(3)
    listener = KeyListener(tones=True, sparing=True)
    for n in range(3000):
        samples = (chance.normal(size=160) * 4000).clip(-32000, 32000).astype(np.int16)
        assert listener.sound(CODERS["PCMU"].encode(samples), "PCMU", 0.02 * n) == ""

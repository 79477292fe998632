"""The media process that only pretends keeps the same rules as the real one and insists on them."""

from __future__ import annotations

import pytest

from parkade.base.sound import Music, Peer, Playlist, Silence, Spoken
from parkade.rtp.orders import (
    CloseLeg,
    Describe,
    Hear,
    Inventory,
    KeyHeard,
    LegClosed,
    LegSilent,
    LegState,
    OpenLeg,
    Order,
    PortsExhausted,
    PortsReady,
    PromptEnded,
    Record,
    Recorded,
    StopRecording,
)
from parkade.testing.media import FakeMedia


def described(leg: str, port: int = 4000) -> Describe:
    return Describe(leg, "192.0.2.7", port, port + 1, "PCMU", 0, 101, 20, sends=True, receives=True)


def media_with(*orders: Order) -> FakeMedia:
    media = FakeMedia()
    media.drain()
    for order in orders:
        media.perform(order, 0.0)
    media.drain()
    return media


def test_ports_are_announced_once_and_again_after_their_leg_is_closed() -> None:
    media = FakeMedia(range(20_000, 20_008, 2))
    assert media.drain() == [Inventory(()), PortsReady((20_000, 20_002, 20_004, 20_006))]
    media.perform(OpenLeg("a", 20_002), 0.0)
    assert media.drain() == []
    media.perform(CloseLeg("a"), 1.0)
    assert media.drain() == [LegClosed("a", 0, 0, 0, 0), PortsReady((20_002,))]


def test_the_reserve_is_filled_up_as_legs_take_ports() -> None:
    media = FakeMedia()
    [_, ready] = media.drain()
    assert isinstance(ready, PortsReady)
    media.perform(OpenLeg("a", ready.ports[0]), 0.0)
    assert media.drain() == [PortsReady((ready.ports[-1] + 2,))]


def test_a_leg_is_found_by_where_it_sends_and_by_where_it_receives() -> None:
    media = media_with(OpenLeg("a", 20_000), OpenLeg("b", 20_002), described("b", 4002))
    assert media.toward("192.0.2.7", 4002) is media.on_port(20_002) is media.legs["b"]
    assert media.toward("192.0.2.7", 4000) is None
    assert media.on_port(20_004) is None


def test_a_prompt_ends_after_its_phrases_and_is_followed_by_silence() -> None:
    media = media_with(OpenLeg("a", 20_000), Hear("a", Spoken("p1", "en", ("parked-at", "star", "8"))))
    assert media.deadline() == pytest.approx(1.2)
    media.wake(1.3)
    assert media.drain() == [PromptEnded("a", "p1")]
    assert media.legs["a"].sound == Silence()
    assert media.deadline() is None


def test_a_prompt_that_is_cut_off_is_not_reported() -> None:
    media = media_with(OpenLeg("a", 20_000), Hear("a", Spoken("p1", "en", ("star",))), Hear("a", Music()))
    media.wake(10.0)
    assert media.drain() == []
    assert media.legs["a"].sound == Music()


def test_who_heard_a_leg_that_closes_hears_silence() -> None:
    media = media_with(OpenLeg("a", 20_000), OpenLeg("b", 20_002), Hear("a", Peer("b")), Hear("b", Peer("a")), CloseLeg("b"))
    assert media.legs["a"].sound == Silence()
    assert [sound for _, sound in media.legs["a"].heard] == [Peer("b"), Silence()]
    assert media.closed["b"].heard == [(0.0, Peer("a"))]


def test_keys_are_reported_one_by_one() -> None:
    media = media_with(OpenLeg("a", 20_000))
    media.press("a", "*5")
    assert media.drain() == [KeyHeard("a", "*"), KeyHeard("a", "5")]


def test_the_last_port_is_told_and_so_is_the_next_one_that_is_free() -> None:
    media = FakeMedia(range(20_000, 20_002, 2))
    media.drain()
    media.perform(OpenLeg("a", 20_000), 0.0)
    assert media.drain() == [PortsExhausted()]
    media.perform(CloseLeg("a"), 1.0)
    assert media.drain()[1:] == [PortsReady((20_000,))]


def test_signalling_that_comes_back_is_told_legs_and_ports_and_what_happened_meanwhile() -> None:
    media = FakeMedia(range(20_000, 20_006, 2))
    for order in (OpenLeg("a", 20_000), described("a"), Hear("a", Music())):
        media.perform(order, 0.0)
    media.drain()
    media.press("a", "5")
    media.reconnect()
    state = LegState("a", 20_000, 0, 0, 0, ("192.0.2.7", 4000), Music())
    assert media.drain() == [Inventory((state,)), PortsReady((20_002, 20_004)), KeyHeard("a", "5")]


def test_a_media_process_that_comes_back_has_no_legs_and_keeps_their_ports_for_them() -> None:
    media = FakeMedia(range(20_000, 20_006, 2))
    media.perform(OpenLeg("a", 20_000), 0.0)
    media.drain()
    media.restart()
    assert media.drain() == [Inventory(()), PortsReady((20_002, 20_004))]
    media.perform(OpenLeg("a", 20_000), 1.0)
    assert media.on_port(20_000) is media.legs["a"]


def test_words_over_music_are_told_at_their_end_and_the_music_goes_on() -> None:
    spoken = Spoken("p1", "en", ("star",))
    media = media_with(OpenLeg("a", 20_000), Hear("a", Playlist((spoken, Music()))))
    assert media.legs["a"].sound == spoken
    media.wake(1.0)
    assert media.drain() == [PromptEnded("a", "p1")]
    assert [sound for _, sound in media.legs["a"].heard] == [spoken, Music()]


def test_a_prompt_that_has_ended_is_told_again_when_it_is_ordered_again() -> None:
    media = media_with(OpenLeg("a", 20_000), Hear("a", Spoken("p1", "en", ("star",))))
    media.wake(1.0)
    media.drain()
    media.perform(Hear("a", Spoken("p1", "en", ("star",))), 2.0)
    assert media.drain() == [PromptEnded("a", "p1")]


def test_a_recording_ends_when_it_is_stopped_replaced_or_closed() -> None:
    media = media_with(OpenLeg("a", 20_000), Record("a", "one.wav", 60.0, 5.0))
    media.perform(Record("a", "two.wav", 60.0, 5.0), 1.0)
    media.perform(StopRecording("a"), 3.0)
    media.perform(StopRecording("a"), 4.0)
    media.perform(Record("a", "three.wav", 60.0, 5.0), 5.0)
    media.perform(CloseLeg("a"), 6.0)
    assert media.drain()[:3] == [
        Recorded("a", "one.wav", 1.0, "stopped"),
        Recorded("a", "two.wav", 2.0, "stopped"),
        Recorded("a", "three.wav", 1.0, "closed"),
    ]


def test_silence_is_told_when_somebody_says_so() -> None:
    media = media_with(OpenLeg("a", 20_000))
    media.fall_silent("a")
    assert media.drain() == [LegSilent("a", 60.0)]


@pytest.mark.parametrize(
    ("order", "complaint"),
    [
        (OpenLeg("a", 20_004), "open already"),
        (OpenLeg("gone", 20_004), "closed before"),
        (OpenLeg("new", 20_000), "in use"),
        (OpenLeg("new", 9), "not announced"),
        (described("gone"), "closed"),
        (Hear("new", Silence()), "unknown"),
        (Hear("a", Peer("gone")), "not open"),
        (Hear("a", Peer("a")), "itself"),
        (CloseLeg("gone"), "closed"),
    ],
)
def test_an_order_that_no_media_process_should_be_given_is_found_out(order: Order, complaint: str) -> None:
    media = media_with(OpenLeg("a", 20_000), OpenLeg("gone", 20_002), CloseLeg("gone"))
    with pytest.raises(AssertionError, match=complaint):
        media.perform(order, 1.0)

"""What the field does to a media leg: phones that move, fall silent, begin anew, and send keys their own way."""

from __future__ import annotations

from itertools import pairwise

import pytest

from parkade.base.sound import Music, Peer
from parkade.media.plane import SILENCE_S
from parkade.rtp.dtmf import press
from parkade.rtp.g711 import to_ulaw
from parkade.rtp.latch import Latch
from parkade.rtp.orders import CloseLeg, Hear, KeyHeard, LegClosed, LegSilent
from parkade.rtp.packet import Packet, sequence_step
from parkade.rtp.rtcp import ReceiverReport, SourceDescription, encode
from parkade.rtp.tones import key_tone
from tests.media.simulated_plane import ULAW_SILENCE, FarSide, SimulatedPlane


def silences(world: SimulatedPlane) -> list[LegSilent]:
    return [report for report in world.reports if isinstance(report, LegSilent)]


@pytest.mark.parametrize("address", ["192.0.2.7", "10.0.0.5"])
def test_a_phone_that_its_nat_has_moved_is_heard_and_sent_to_after_a_description_of_the_same_words(address: str) -> None:
    world = SimulatedPlane()
    far, listener = world.phone("far", address=address), world.phone("listener")
    world.order(Hear("far", Music()), Hear("listener", Peer("far")))
    world.talk(0.2, far)
    far.address = (far.address[0], far.address[1] + 7)
    heard = len(listener.packets)
    world.talk(0.5, far)
    assert len(listener.packets) == heard
    world.order(world.describe(far, address=address, port=far.address[1] - 7))
    world.talk(0.5, far)
    assert len(listener.packets) >= heard + 20
    assert far.raw[-1][2] == far.address


@pytest.mark.parametrize("late_s", [0.0, Latch.WINDOW_S + 2.0, 600.0])
def test_a_phone_behind_nat_may_speak_as_late_as_it_likes(late_s: float) -> None:
    world = SimulatedPlane()
    far, listener = world.phone("far", address="10.0.0.5"), world.phone("listener")
    world.order(Hear("listener", Peer("far")))
    world.run(late_s)
    world.talk(0.2, far)
    assert len(listener.packets) == 7


def test_a_leg_from_which_nothing_comes_is_told_once_a_period() -> None:
    world = SimulatedPlane()
    world.phone("silent")
    talker, reporter = world.phone("talker"), world.phone("reporter")
    world.order(Hear("silent", Music()))
    for _ in range(20):
        world.run(10.0)
        talker.says()
        report = encode([ReceiverReport(reporter.ssrc), SourceDescription(reporter.ssrc, "x")])
        reporter.sends_raw(report, (reporter.address[0], reporter.address[1] + 1), rtcp=True)
    told = silences(world)
    assert {report.leg for report in told} == {"silent"}
    assert len(told) == 3
    assert told[0].silent_s == pytest.approx(SILENCE_S, abs=7.0)
    assert all(later.silent_s - sooner.silent_s == pytest.approx(SILENCE_S, abs=7.0) for sooner, later in pairwise(told))


def test_strangers_do_not_break_a_silence_and_a_description_does() -> None:
    world = SimulatedPlane()
    far = world.phone("far")
    for _ in range(5):
        world.run(10.0)
        far.says(source=("203.0.113.66", 5555))
    world.order(world.describe(far))
    world.run(50.0)
    assert silences(world) == []
    world.run(20.0)
    assert len(silences(world)) == 1


@pytest.mark.parametrize("back", [1, 50, 100, 500, 3000, 20_000])
def test_a_peer_whose_numbering_goes_back_does_not_take_the_listeners_back(back: int) -> None:
    world = SimulatedPlane()
    far, listener = world.phone("far"), world.phone("listener")
    world.order(Hear("listener", Peer("far")))
    far.sequence = 30_000
    world.talk(1.0, far)
    far.sequence -= back
    world.talk(1.0, far)
    numbers = [packet.sequence for _, packet in listener.packets]
    assert len(numbers) >= 99
    assert all(sequence_step(before, after) == 1 for before, after in pairwise(numbers))


def events(far: FarSide, key: str, payload_type: int = 101, *, marked: bool = True) -> None:
    for n, payload in enumerate(press(key, 60)):
        packet = Packet(payload_type, marked and n == 0, far.sequence & 0xFFFF, far.timestamp, far.ssrc, payload)
        far.sends_raw(packet.encode())
        far.sequence += 1


@pytest.mark.parametrize("payload_type", [96, 101])
def test_events_count_under_their_number_and_under_ours(payload_type: int) -> None:
    world = SimulatedPlane()
    far = world.phone("far", dtmf_payload_type=96, dtmf_also=101)
    events(far, "7", payload_type)
    assert world.reports == [KeyHeard("far", "7")]


def test_tones_of_a_phone_that_promised_events_count_while_somebody_hears_it_until_an_event_comes() -> None:
    world = SimulatedPlane()
    far, listener = world.phone("far", listen_for_tones=True), world.phone("listener")
    world.order(Hear("listener", Peer("far")))
    sound = to_ulaw(key_tone("5", 100)) + b"\xff" * 1600

    def plays() -> None:
        for start in range(0, len(sound), 160):
            far.says(sound[start : start + 160].ljust(160, b"\xff"))
            world.run(0.02)

    plays()
    plays()
    assert world.reports == [KeyHeard("far", "5")] * 2
    assert listener.packets
    world.run(2.0)
    events(far, "8")
    far.timestamp += 3200
    plays()
    assert world.reports == [KeyHeard("far", key) for key in "558"]


def test_a_fresh_leg_counts_what_it_takes() -> None:
    world = SimulatedPlane()
    far = world.phone("far")
    far.says(ULAW_SILENCE)
    world.order(CloseLeg("far"))
    assert world.reports == [LegClosed("far", 0, 1, 0, 0)]

"""What a leg hears, to the millisecond: the plane in simulated time."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from parkade.base.sound import Music, Peer, Silence, Sound, Spoken, Tone
from parkade.media.plane import PTIMES_MS
from parkade.media.wheel import SLOT_MS
from parkade.rtp.dtmf import press
from parkade.rtp.g711 import ULAW_TO_ALAW, to_ulaw
from parkade.rtp.orders import CloseLeg, Hear, KeyHeard, LegClosed, OpenLeg, PromptEnded
from parkade.rtp.packet import Packet, sequence_step, timestamp_step
from parkade.rtp.rtcp import Goodbye, ReceiverReport, SenderReport, encode, ntp
from parkade.rtp.tones import key_tone
from tests.media.simulated_plane import ULAW_SILENCE, FarSide, SimulatedPlane, frames_of

STRANGER = ("198.51.100.66", 6666)


def times_ms(far: FarSide, since: float) -> list[float]:
    return [round((at - since) * 1000, 1) for at, _ in far.packets]


def assert_one_stream(far: FarSide) -> None:
    """One SSRC, no number missing or given twice, time that goes on as the clock does."""
    packets = far.packets
    for (at_before, before), (at, packet) in pairwise(packets):
        assert packet.ssrc == before.ssrc
        assert sequence_step(before.sequence, packet.sequence) == 1
        moved = timestamp_step(before.timestamp, packet.timestamp)
        assert moved >= len(before.payload)
        assert moved == pytest.approx((at - at_before) * 8000, abs=170)


def test_music_starts_with_the_order_and_keeps_its_beat() -> None:
    world = SimulatedPlane()
    far = world.phone("a")
    world.run(1.234)
    began = world.now
    world.order(Hear("a", Music()))
    world.run(0.2)
    assert times_ms(far, began)[0] == 0.0
    assert times_ms(far, began)[1:] == pytest.approx([20.0 * n for n in range(1, 11)], abs=SLOT_MS)
    assert all(19.9 < later - sooner < 20.1 for sooner, later in pairwise(times_ms(far, began)[1:]))
    assert [packet.payload for _, packet in far.packets] == list(frames_of(Music(), "PCMU", 20)[:11])
    assert [packet.marker for _, packet in far.packets] == [True] + [False] * 10
    assert_one_stream(far)


@pytest.mark.parametrize("ptime_ms", PTIMES_MS)
@pytest.mark.parametrize(("codec", "payload_type"), [("PCMU", 0), ("PCMA", 8), ("PCMA", 97)])
def test_music_comes_in_the_packet_time_and_codec_agreed(ptime_ms: int, codec: str, payload_type: int) -> None:
    world = SimulatedPlane()
    far = world.phone("a", ptime_ms=ptime_ms, codec=codec, payload_type=payload_type)
    world.order(Hear("a", Music()))
    world.run(0.6)
    assert len(far.packets) == pytest.approx(600 / ptime_ms, abs=1)
    assert {packet.payload_type for _, packet in far.packets} == {payload_type}
    assert tuple(packet.payload for _, packet in far.packets) == frames_of(Music(), codec, ptime_ms)[: len(far.packets)]
    assert_one_stream(far)


def test_music_goes_round_without_a_seam() -> None:
    world = SimulatedPlane()
    far = world.phone("a")
    frames = frames_of(Music(), "PCMU", 20)
    world.order(Hear("a", Music()))
    world.run(0.02 * (len(frames) + 5))
    assert [packet.payload for _, packet in far.packets[len(frames) : len(frames) + 3]] == list(frames[:3])
    assert_one_stream(far)


def test_music_ordered_again_just_goes_on() -> None:
    world = SimulatedPlane()
    far = world.phone("a")
    for _ in range(10):
        world.order(Hear("a", Music()))
        world.run(0.1)
    assert [packet.payload for _, packet in far.packets] == list(frames_of(Music(), "PCMU", 20)[: len(far.packets)])
    assert_one_stream(far)


def test_music_ordered_before_the_description_starts_from_its_beginning_with_it() -> None:
    world = SimulatedPlane()
    far = world.phone("a")
    world.order(OpenLeg("b", 30000), Hear("b", Music()))
    world.run(1.0)
    late = FarSide(world, "b", 30000, ("192.0.2.9", 4000))
    assert late.packets == []
    world.order(world.describe(late))
    assert [packet.payload for _, packet in late.packets] == [frames_of(Music(), "PCMU", 20)[0]]
    assert far.packets == []


def test_a_renegotiated_codec_and_packet_time_go_on_at_the_same_place_in_the_music() -> None:
    world = SimulatedPlane()
    far = world.phone("a")
    world.order(Hear("a", Music()))
    world.run(0.99)
    before = len(far.packets)
    world.order(world.describe(far, codec="PCMA", payload_type=8, ptime_ms=30))
    world.run(0.3)
    after = [packet for _, packet in far.packets[before:]]
    assert {packet.payload_type for packet in after} == {8}
    place = before * 20 // 30
    assert tuple(packet.payload for packet in after) == frames_of(Music(), "PCMA", 30)[place : place + len(after)]
    gaps = [later - sooner for (sooner, _), (later, _) in pairwise(far.packets)]
    assert max(gaps) < 0.04


def test_a_peer_is_heard_from_its_first_packet_and_music_until_then() -> None:
    world = SimulatedPlane()
    parked, retriever = world.phone("parked"), world.phone("retriever")
    world.order(Hear("parked", Music()))
    world.run(0.5)
    world.order(Hear("parked", Peer("retriever")), Hear("retriever", Peer("parked")))
    world.run(0.5)
    assert len(parked.packets) == 51
    world.talk(0.5, parked, retriever)
    assert parked.packets[-1][1].payload == ULAW_SILENCE
    assert retriever.packets[0][1].payload == ULAW_SILENCE
    assert len(retriever.packets) == 25
    gaps = [later - sooner for (sooner, _), (later, _) in pairwise(parked.packets)]
    assert max(gaps) <= 0.0211
    assert_one_stream(parked)
    assert_one_stream(retriever)


@pytest.mark.parametrize("pause_s", [0.0, 0.004, 0.019, 0.02, 0.021, 0.3])
def test_music_follows_the_last_relayed_packet_within_20_ms(pause_s: float) -> None:
    world = SimulatedPlane()
    parked, other = world.phone("parked"), world.phone("other")
    world.order(Hear("parked", Peer("other")))
    world.talk(0.2, other)
    other.says()
    last = world.now
    world.run(pause_s)
    world.order(Hear("parked", Music()))
    world.run(0.1)
    first_of_music = next(at for at, packet in parked.packets if packet.payload != ULAW_SILENCE)
    assert first_of_music - last <= max(0.0200001, pause_s)
    # Nor does it talk over the packet before it by more than a slot.
    assert first_of_music - last >= 0.0149
    assert_one_stream(parked)


def test_a_new_peer_takes_over_from_the_old_when_it_speaks() -> None:
    world = SimulatedPlane()
    listener, old, new = world.phone("listener"), world.phone("old"), world.phone("new")
    world.order(Hear("listener", Peer("old")))
    world.talk(0.1, old)
    world.order(Hear("listener", Peer("new")))
    world.talk(0.1, old)
    assert len(listener.packets) == 10
    new.says(b"\x10" * 160)
    world.run(0.02)
    world.talk(0.1, old)
    assert len(listener.packets) == 11
    assert listener.packets[-1][1].payload == b"\x10" * 160
    assert_one_stream(listener)


def test_a_peer_is_converted_to_the_law_of_each_listener() -> None:
    world = SimulatedPlane()
    speaker = world.phone("speaker")
    same, other = world.phone("same"), world.phone("other", codec="PCMA", payload_type=8)
    world.order(Hear("same", Peer("speaker")), Hear("other", Peer("speaker")))
    sound = bytes(range(160))
    speaker.says(sound)
    assert same.packets[0][1].payload == sound
    assert other.packets[0][1].payload == sound.translate(ULAW_TO_ALAW)
    assert other.packets[0][1].payload_type == 8


def test_a_phone_that_changes_the_law_without_asking_is_understood() -> None:
    world = SimulatedPlane()
    speaker, listener = world.phone("speaker"), world.phone("listener", codec="PCMA", payload_type=8)
    world.order(Hear("listener", Peer("speaker")))
    speaker.says(b"\xd5" * 160, payload_type=8)
    assert listener.packets[0][1].payload == b"\xd5" * 160


def test_codecs_nobody_agreed_on_are_dropped() -> None:
    world = SimulatedPlane()
    speaker, listener = world.phone("speaker"), world.phone("listener")
    world.order(Hear("listener", Peer("speaker")))
    speaker.says(payload_type=9)
    speaker.says(payload_type=13)
    assert listener.packets == []


def test_loss_and_order_within_a_peer_are_kept_and_packets_older_than_it_are_not() -> None:
    world = SimulatedPlane()
    speaker, listener = world.phone("speaker"), world.phone("listener")
    world.order(Hear("listener", Music()))
    world.run(0.1)
    world.order(Hear("listener", Peer("speaker")))
    heard = len(listener.packets)
    for sequence in (200, 202, 201, 204, 199):
        packet = Packet(0, False, sequence, 160 * sequence, 0xABC, ULAW_SILENCE)
        speaker.sends_raw(packet.encode())
    first = listener.packets[heard][1]
    assert [packet.sequence - first.sequence for _, packet in listener.packets[heard:]] == [0, 2, 1, 4]
    assert [packet.timestamp - first.timestamp for _, packet in listener.packets[heard:]] == [0, 320, 160, 640]


def test_a_prompt_is_spoken_once_told_at_its_end_and_followed_by_silence() -> None:
    world = SimulatedPlane()
    far = world.phone("a")
    world.order(Hear("a", Spoken("p1", "en", ("star", "8"))))
    frames = frames_of(Spoken("", "en", ("star", "8")), "PCMU", 20)
    world.run(0.02 * len(frames) - 0.005)
    assert world.reports == []
    world.run(0.02)
    assert world.reports == [PromptEnded("a", "p1")]
    world.run(2.0)
    assert tuple(packet.payload for _, packet in far.packets) == frames
    assert world.reports == [PromptEnded("a", "p1")]


def test_a_prompt_cut_off_by_another_sound_is_not_told() -> None:
    world = SimulatedPlane()
    world.phone("a")
    world.phone("b")
    world.order(Hear("a", Spoken("p1", "en", ("lot-full",))), Hear("b", Spoken("p2", "en", ("lot-full",))))
    world.run(0.5)
    world.order(Hear("a", Music()), Hear("b", Peer("a")))
    world.run(10.0)
    assert world.reports == []


def test_a_prompt_that_has_ended_is_told_again_and_not_spoken_again() -> None:
    world = SimulatedPlane()
    far = world.phone("a")
    for _ in range(2):
        world.order(Hear("a", Spoken("p1", "vi", ("8",))))
        world.run(1.0)
    assert world.reports == [PromptEnded("a", "p1")] * 2
    assert tuple(packet.payload for _, packet in far.packets) == frames_of(Spoken("", "vi", ("8",)))
    world.order(Hear("a", Spoken("p2", "vi", ("8",))))
    world.run(1.0)
    assert world.reports[2:] == [PromptEnded("a", "p2")]


def test_a_missing_phrase_is_skipped_with_one_line_and_the_prompt_still_ends(caplog: pytest.LogCaptureFixture) -> None:
    world = SimulatedPlane()
    far = world.phone("a")
    for _ in range(3):
        world.order(Hear("a", Spoken("p1", "en", ("no-such-phrase", "../../music/default"))))
        world.run(0.1)
    assert world.reports == [PromptEnded("a", "p1")] * 3
    assert far.packets == []
    assert len([line for line in caplog.messages if "no-such-phrase" in line]) == 1


def test_tones_are_played_and_silence_is_silence() -> None:
    world = SimulatedPlane()
    far = world.phone("a")
    world.order(Hear("a", Tone("ringback")))
    world.run(0.1)
    assert tuple(packet.payload for _, packet in far.packets) == frames_of(Tone("ringback"), "PCMU", 20)[:6]
    world.order(Hear("a", Silence()))
    world.run(1.0)
    assert len(far.packets) == 6
    world.order(Hear("a", Music()))
    assert far.packets[-1][1].marker
    assert_one_stream(far)


def test_a_far_side_that_wants_nothing_gets_nothing_and_its_prompt_ends_all_the_same() -> None:
    world = SimulatedPlane()
    held, speaker = world.phone("held", sends=False), world.phone("speaker")
    world.order(Hear("held", Spoken("p1", "en", ("8",))))
    world.run(1.0)
    assert world.reports == [PromptEnded("held", "p1")]
    world.order(Hear("held", Peer("speaker")))
    speaker.says()
    assert held.packets == []
    world.order(world.describe(held))
    speaker.says()
    assert len(held.packets) == 1


def test_nothing_is_taken_from_a_far_side_that_said_it_will_not_send() -> None:
    world = SimulatedPlane()
    holder, listener = world.phone("holder", receives=False), world.phone("listener")
    world.order(Hear("listener", Peer("holder")))
    holder.says()
    assert listener.packets == []


def test_packets_before_the_description_do_not_count_however_they_came() -> None:
    world = SimulatedPlane()
    listener = world.phone("listener")
    world.order(OpenLeg("b", 30000), Hear("listener", Peer("b")))
    early = FarSide(world, "b", 30000, ("192.0.2.9", 4000))
    early.says()
    assert listener.packets == []


def test_a_stranger_cannot_speak_nor_take_the_music_away() -> None:
    world = SimulatedPlane()
    parked, listener = world.phone("parked"), world.phone("listener")
    world.order(Hear("parked", Music()), Hear("listener", Peer("parked")))
    parked.says()
    for _ in range(50):
        parked.says(b"\x00" * 160, source=STRANGER)
        world.run(0.02)
    assert [packet.payload for _, packet in listener.packets] == [ULAW_SILENCE]
    assert {target for _, _, target in parked.raw} == {parked.address}
    world.order(CloseLeg("parked"))
    assert world.reports[-1] == LegClosed("parked", sent=len(parked.packets), received=1, lost=0, refused=50)


def test_a_phone_behind_nat_is_found_by_its_packets() -> None:
    world = SimulatedPlane()
    far, listener = world.phone("far", address="10.0.0.5"), world.phone("listener")
    world.order(Hear("far", Music()), Hear("listener", Peer("far")))
    world.talk(0.2, far)
    assert far.raw[0][2] == ("10.0.0.5", far.address[1])
    assert far.raw[-1][2] == far.address
    assert listener.packets != []


@pytest.mark.parametrize("address", ["phone.example.com", "0.0.0.0", "2001:db8::1", "", "999.1.1.1"])
def test_an_address_that_cannot_be_sent_to_is_not_sent_to_until_the_phone_shows_its_own(address: str) -> None:
    world = SimulatedPlane()
    far = world.phone("far", address=address)
    world.order(Hear("far", Music()))
    world.run(0.1)
    assert far.packets == []
    world.talk(0.2, far)
    assert {target for _, _, target in far.raw} == {far.address}


def test_a_key_is_told_once_a_press_and_passed_on_under_the_number_of_the_listener() -> None:
    world = SimulatedPlane()
    far, with_events, without = world.phone("far"), world.phone("with", dtmf_payload_type=96), world.phone("without")
    world.order(world.describe(without, dtmf_payload_type=None))
    world.order(Hear("with", Peer("far")), Hear("without", Peer("far")))
    world.talk(0.1, far)
    for key in "8#":
        for payload in press(key, 100):
            far.sends_raw(Packet(101, payload[3] == 160, far.sequence, far.timestamp, far.ssrc, payload).encode())
            far.sequence += 1
            world.run(0.02)
        far.timestamp += 3200
    assert world.reports == [KeyHeard("far", "8"), KeyHeard("far", "#")]
    assert len([packet for _, packet in with_events.packets if packet.payload_type == 96]) == 16
    assert len(without.packets) == 5


def test_what_nobody_hears_is_counted_all_the_same_and_keys_in_between_are_told() -> None:
    world = SimulatedPlane()
    far = world.phone("far")
    world.order(Hear("far", Music()))
    world.talk(0.1, far)
    far.sequence += 3
    for payload in press("7", 40):
        far.sends_raw(Packet(101, False, far.sequence, far.timestamp, far.ssrc, payload).encode())
        far.sequence += 1
    world.talk(0.1, far)
    far.says(source=STRANGER)
    assert world.reports == [KeyHeard("far", "7")]
    world.order(CloseLeg("far"))
    assert world.reports[-1] == LegClosed("far", sent=len(far.packets), received=5 + 5 + 5, lost=3, refused=1)


def test_keys_in_the_sound_are_heard_only_where_they_are_listened_for() -> None:
    world = SimulatedPlane()
    world.phone("deaf", dtmf_payload_type=None)
    far = world.phone("far", dtmf_payload_type=None, listen_for_tones=True)
    sound = to_ulaw(key_tone("5", 100)) + b"\xff" * 800
    for start in range(0, len(sound), 160):
        far.says(sound[start : start + 160])
    assert world.reports == [KeyHeard("far", "5")]


def test_the_music_presses_no_keys() -> None:
    world = SimulatedPlane()
    far = world.phone("far", listen_for_tones=True)
    for frame in frames_of(Music(), "PCMU", 20):
        far.says(frame)
    assert world.reports == []


def test_reports_are_sent_every_few_seconds_and_end_with_goodbye() -> None:
    world = SimulatedPlane()
    far = world.phone("far")
    world.order(Hear("far", Music()))
    world.talk(30.0, far)
    times = [at for at, _ in far.reports]
    gaps = [later - sooner for sooner, later in pairwise(times)]
    assert 4 <= len(times) <= 14
    assert all(2.0 <= gap <= 6.2 for gap in gaps)
    at, (report, description, *rest) = far.reports[-1]
    assert isinstance(report, SenderReport)
    assert report.packets == len([sent for sent, _ in far.packets if sent <= at])
    assert report.blocks[0].ssrc == far.ssrc
    assert report.blocks[0].lost == 0
    assert rest == []
    world.order(CloseLeg("far"))
    assert isinstance(far.reports[-1][1][-1], Goodbye)
    assert far.reports[-1][1][1] == description


def test_a_leg_that_never_sent_anything_leaves_without_a_word() -> None:
    world = SimulatedPlane()
    far = world.phone("far")
    world.talk(0.1, far)
    world.order(CloseLeg("far"))
    assert far.reports == []
    assert world.reports[-1] == LegClosed("far", sent=0, received=5, lost=0, refused=0)


def test_a_leg_that_sends_nothing_reports_as_a_receiver_and_answers_for_the_round_trip() -> None:
    world = SimulatedPlane()
    far = world.phone("far")
    world.talk(1.0, far)
    theirs = SenderReport(far.ssrc, ntp(world.now), 0, 50, 8000)
    far.sends_raw(encode([theirs]), rtcp=True, source=(far.address[0], far.address[1] + 1))
    world.run(4.0)
    report = far.reports[-1][1][0]
    assert isinstance(report, ReceiverReport)
    assert report.blocks[0].last_report == theirs.ntp >> 16 & 0xFFFFFFFF


def test_with_rtcp_mux_reports_go_and_come_on_the_rtp_port() -> None:
    world = SimulatedPlane()
    far = world.phone("far")
    world.order(world.describe(far, rtcp_port=far.address[1]))
    world.talk(1.0, far)
    theirs = SenderReport(far.ssrc, ntp(world.now), 0, 50, 8000)
    far.sends_raw(encode([theirs]))
    world.run(5.0)
    assert far.reports == []
    assert next(target for _, data, target in far.raw if data[1] in (200, 201)) == far.address


@pytest.mark.parametrize("rtcp", [False, True])
def test_garbage_does_no_harm(rtcp: bool) -> None:
    world = SimulatedPlane()
    far = world.phone("far", listen_for_tones=True)
    world.phone("listener")
    world.order(Hear("listener", Peer("far")))
    chance = random.Random(4)
    for _ in range(3000):
        size = chance.choice([0, 1, 3, 11, 12, 13, 20, 172, 1500])
        data = bytearray(chance.randbytes(size))
        if size and chance.random() < 0.8:
            data[0] = chance.choice([0x80, 0x90, 0xA0, 0xBF, 0x8F])
        if size > 1 and chance.random() < 0.8:
            data[1] = chance.choice([0, 8, 101, 0x80, 200, 201, 202, 203])
        far.sends_raw(bytes(data), rtcp=rtcp)
    world.run(1.0)
    assert world.plane.legs.keys() == {"far", "listener"}


def test_a_network_that_refuses_everything_stops_nothing() -> None:
    world = SimulatedPlane()
    far = world.phone("far")
    for socket in world.sockets[far.port]:
        socket.broken = True
    world.order(Hear("far", Spoken("p1", "en", ("8",))))
    world.run(10.0)
    assert world.reports == [PromptEnded("far", "p1")]
    for socket in world.sockets[far.port]:
        socket.broken = False
    world.order(Hear("far", Music()))
    assert len(far.packets) == 1


def test_orders_that_make_no_sense_are_one_line_each(caplog: pytest.LogCaptureFixture) -> None:
    world = SimulatedPlane()
    far = world.phone("a")
    world.order(Hear("nobody", Music()), CloseLeg("nobody"), OpenLeg("a", 30000), OpenLeg("b", 30001))
    world.order(Hear("a", Music()), Hear("a", Peer("nobody")))
    world.run(0.1)
    assert len(caplog.messages) == 5
    # Somebody who should hear nobody keeps what there was.
    assert len(far.packets) == 6


def test_a_peer_ordered_again_after_its_leg_was_opened_is_heard() -> None:
    world = SimulatedPlane()
    listener = world.phone("listener")
    world.order(Hear("listener", Peer("late")))
    late = world.phone("late")
    world.order(Hear("listener", Peer("late")))
    late.says()
    assert len(listener.packets) == 1


def test_a_closed_peer_leaves_silence_to_its_listeners_and_music_to_those_who_waited() -> None:
    world = SimulatedPlane()
    peer, listener, waiting = world.phone("peer"), world.phone("listener"), world.phone("waiting")
    world.order(Hear("listener", Peer("peer")))
    peer.says()
    world.order(Hear("waiting", Music()), Hear("waiting", Peer("peer")), CloseLeg("peer"))
    world.run(0.1)
    assert len(listener.packets) == 1
    assert len(waiting.packets) == 6
    world.order(Hear("listener", Music()))
    world.run(0.1)
    assert len(listener.packets) >= 6


def test_a_closed_leg_gives_back_its_port_and_is_watched_no_more() -> None:
    world = SimulatedPlane()
    far = world.phone("a")
    world.order(Hear("a", Music()))
    assert world.watched == {"a"}
    world.order(CloseLeg("a"))
    world.run(60.0)
    assert world.watched == set()
    assert world.reserve.given_back == [far.port]
    assert len(far.packets) == 1
    assert world.plane.deadline() is None


def test_a_thousand_random_changes_leave_one_unbroken_stream() -> None:
    world = SimulatedPlane()
    phones = [world.phone(name) for name in ("a", "b", "c")]
    for number, phone in enumerate(phones):
        phone.ssrc += number
    chance = random.Random(11)
    for _ in range(1000):
        listener = chance.choice(phones)
        others = [phone for phone in phones if phone is not listener]
        sounds: list[Sound] = [Music(), Tone("busy"), Peer(others[0].leg), Peer(others[1].leg)]
        sound = chance.choice(sounds)
        world.order(Hear(listener.leg, sound))
        world.talk(chance.choice([0.02, 0.06]), *phones)
        world.run(chance.random() / 100)
    for phone in phones:
        packets = phone.packets
        assert len(packets) > 1000
        for (_, before), (_, packet) in pairwise(packets):
            assert sequence_step(before.sequence, packet.sequence) == 1
            assert timestamp_step(before.timestamp, packet.timestamp) > 0
        assert max(later - sooner for (sooner, _), (later, _) in pairwise(packets)) <= 0.04
        gone = timestamp_step(packets[0][1].timestamp, packets[-1][1].timestamp) / 8000
        assert gone == pytest.approx(packets[-1][0] - packets[0][0], abs=0.1)

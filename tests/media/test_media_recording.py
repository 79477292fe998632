"""What a leg says, in a file that can be played whatever kills the process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from parkade.base.sound import Peer
from parkade.media.sounds import read_wav
from parkade.rtp.g711 import from_ulaw, to_alaw, to_ulaw
from parkade.rtp.orders import CloseLeg, Hear, Record, Recorded, StopRecording
from parkade.testing.listening import heard_tone
from tests.media.simulated_plane import FarSide, SimulatedPlane

TONE = np.round(8000 * np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)).astype(np.int16)


def says(world: SimulatedPlane, far: FarSide, seconds: float, payload_type: int = 0) -> None:
    encoded = (to_alaw if payload_type else to_ulaw)(TONE)
    for n in range(round(seconds * 50)):
        far.says(encoded[n % 50 * 160 : n % 50 * 160 + 160], payload_type)
        world.run(0.02)


def recorded(world: SimulatedPlane) -> list[Recorded]:
    return [report for report in world.reports if isinstance(report, Recorded)]


@pytest.mark.parametrize("payload_type", [0, 8])
def test_what_the_phone_says_is_in_the_file_to_the_sample(tmp_path: Path, payload_type: int) -> None:
    world, path = SimulatedPlane(), tmp_path / "one.wav"
    far = world.phone("a")
    world.order(Record("a", str(path), 60.0, 5.0))
    says(world, far, 2.0, payload_type)
    world.order(StopRecording("a"))
    assert recorded(world) == [Recorded("a", str(path), 2.0, "stopped")]
    samples = read_wav(path)
    assert len(samples) == 16_000
    assert heard_tone(samples, 440.0, at_least_ms=1800)
    if payload_type == 0:
        assert np.array_equal(samples[:8000], from_ulaw(to_ulaw(TONE)))
    assert path.stat().st_mode & 0o077 == 0


def test_the_file_can_be_played_at_any_moment(tmp_path: Path) -> None:
    world, path = SimulatedPlane(), tmp_path / "one.wav"
    far = world.phone("a")
    world.order(Record("a", str(path), 60.0, 5.0))
    lengths = []
    for _ in range(10):
        says(world, far, 0.4)
        lengths.append(len(read_wav(path)) if path.exists() else 0)
    assert lengths == sorted(lengths)
    assert lengths[-1] >= 8000 * 3.4


def test_it_ends_at_its_longest_with_silence_with_the_leg_and_with_the_next(tmp_path: Path) -> None:
    world = SimulatedPlane()
    far = world.phone("a")
    world.order(Record("a", str(tmp_path / "max.wav"), 1.0, 5.0))
    says(world, far, 2.0)
    world.order(Record("a", str(tmp_path / "silence.wav"), 60.0, 2.0))
    says(world, far, 1.0)
    world.talk(3.0, far)
    world.order(Record("a", str(tmp_path / "nothing.wav"), 60.0, 2.0))
    world.run(3.0)
    world.order(Record("a", str(tmp_path / "next.wav"), 60.0, 5.0), Record("a", str(tmp_path / "closed.wav"), 60.0, 5.0))
    says(world, far, 0.5)
    world.order(CloseLeg("a"))
    assert [(Path(report.path).stem, report.why) for report in recorded(world)] == [
        ("max", "max"),
        ("silence", "silence"),
        ("nothing", "silence"),
        ("next", "stopped"),
        ("closed", "closed"),
    ]
    seconds = [report.duration_s for report in recorded(world)]
    assert seconds == pytest.approx([1.0, 3.0, 0.0, 0.0, 0.5], abs=0.05)
    assert world.plane.deadline() is None


def test_lost_packets_are_silence_of_their_length_and_late_ones_are_left_out(tmp_path: Path) -> None:
    world, path = SimulatedPlane(), tmp_path / "one.wav"
    far = world.phone("a")
    world.order(Record("a", str(path), 60.0, 5.0))
    says(world, far, 0.5)
    far.sequence += 10
    far.timestamp += 1600
    world.run(0.2)
    says(world, far, 0.5)
    far.timestamp -= 320
    far.says()
    world.order(StopRecording("a"))
    samples = read_wav(path)
    assert len(samples) == 8000 * 1.2
    assert not samples[4000:5600].any()
    assert samples[5600:5700].any()


def test_a_clock_that_jumps_does_not_fill_the_disk(tmp_path: Path) -> None:
    world, path = SimulatedPlane(), tmp_path / "one.wav"
    far = world.phone("a")
    world.order(Record("a", str(path), 60.0, 5.0))
    says(world, far, 0.5)
    far.timestamp += 0x7000_0000
    says(world, far, 0.5)
    world.order(StopRecording("a"))
    assert recorded(world)[0].duration_s <= 3.0


def test_a_leg_is_recorded_while_another_hears_it(tmp_path: Path) -> None:
    world, path = SimulatedPlane(), tmp_path / "one.wav"
    far, listener = world.phone("a"), world.phone("b")
    world.order(Hear("b", Peer("a")), Record("a", str(path), 60.0, 5.0))
    says(world, far, 1.0)
    world.order(StopRecording("a"), StopRecording("a"))
    says(world, far, 0.2)
    assert len(listener.packets) == 60
    assert [report.duration_s for report in recorded(world)] == [1.0]


def test_a_file_that_cannot_be_written_is_told_and_the_leg_goes_on(tmp_path: Path) -> None:
    world = SimulatedPlane()
    far = world.phone("a")
    world.order(Record("a", str(tmp_path / "missing" / "one.wav"), 60.0, 5.0))
    says(world, far, 1.0)
    world.order(StopRecording("a"))
    assert [(report.duration_s, report.why) for report in recorded(world)] == [(0.0, "failed")]

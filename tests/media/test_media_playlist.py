"""Sounds one after the other: words over music, and the music goes on where it was."""

from __future__ import annotations

import threading
import wave
from itertools import pairwise
from pathlib import Path

import numpy as np

from parkade.base.sound import Music, Peer, Playlist, Spoken, Tone
from parkade.media.sounds import BUILT_IN, Sounds
from parkade.media.worker import Job
from parkade.rtp.orders import Hear, PromptEnded
from parkade.rtp.packet import sequence_step
from tests.media.simulated_plane import FarSide, SimulatedPlane, frames_of

WORDS = Spoken("p1", "en", ("8",))


def payloads(far: FarSide) -> list[bytes]:
    return [packet.payload for _, packet in far.packets]


def assert_no_gap(far: FarSide) -> None:
    for (at_before, before), (at, packet) in pairwise(far.packets):
        assert sequence_step(before.sequence, packet.sequence) == 1
        assert at - at_before < 0.0251


def test_music_goes_on_behind_the_words_where_it_was() -> None:
    world, music, words = SimulatedPlane(), frames_of(Music()), frames_of(WORDS)
    far = world.phone("a")
    world.order(Hear("a", Music()))
    world.run(1.0)
    before = len(far.packets)
    world.order(Hear("a", Playlist((WORDS, Music()))))
    world.run(3.0)
    heard = payloads(far)
    assert heard[:before] == list(music[:before])
    assert heard[before : before + len(words)] == list(words)
    after = heard[before + len(words) :]
    assert after == list(music[before : before + len(after)])
    assert world.reports == [PromptEnded("a", "p1")]
    assert_no_gap(far)


def test_a_second_message_leaves_the_music_at_its_new_place() -> None:
    world, music = SimulatedPlane(), frames_of(Music())
    far = world.phone("a")
    world.order(Hear("a", Playlist((Music(),))))
    for number in range(3):
        world.run(1.0)
        world.order(Hear("a", Playlist((Spoken(f"p{number}", "en", ("8",)), Music()))))
        world.run(2.0)
    of_music = [payload for payload in payloads(far) if payload in set(music)]
    assert of_music == list(music[: len(of_music)])
    assert [report.prompt for report in world.reports if isinstance(report, PromptEnded)] == ["p0", "p1", "p2"]


def test_a_playlist_ordered_again_just_goes_on_and_its_ended_words_are_told_again() -> None:
    world, music, words = SimulatedPlane(), frames_of(Music()), frames_of(WORDS)
    far = world.phone("a")
    for _ in range(4):
        world.order(Hear("a", Playlist((WORDS, Music()))))
        world.run(1.0)
    heard = payloads(far)
    assert heard == [*words, *music[: len(heard) - len(words)]]
    assert set(world.reports) == {PromptEnded("a", "p1")}


def test_words_at_the_end_are_followed_by_silence_and_several_follow_each_other() -> None:
    world = SimulatedPlane()
    far = world.phone("a")
    second = Spoken("p2", "vi", ("1",))
    world.order(Hear("a", Playlist((WORDS, second))))
    world.run(5.0)
    assert payloads(far) == [*frames_of(WORDS), *frames_of(second)]
    assert world.reports == [PromptEnded("a", "p1"), PromptEnded("a", "p2")]
    assert_no_gap(far)


def test_music_ordered_plainly_begins_at_its_beginning() -> None:
    world, music = SimulatedPlane(), frames_of(Music())
    far = world.phone("a")
    world.order(Hear("a", Music()))
    world.run(1.0)
    world.order(Hear("a", Tone("busy")))
    world.run(0.1)
    heard = len(far.packets)
    world.order(Hear("a", Music()))
    world.run(0.1)
    assert payloads(far)[heard] == music[0]


def test_words_cut_off_by_a_peer_are_not_told() -> None:
    world = SimulatedPlane()
    world.phone("a")
    world.phone("b")
    world.order(Hear("a", Playlist((WORDS, Music()))), Hear("a", Peer("b")))
    world.run(5.0)
    assert world.reports == []


# Sounds that are read and encoded on another thread


class Later:
    """Does jobs when it is told to."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    def run(self, job: Job) -> None:
        self.jobs.append(job)

    def work(self) -> None:
        jobs, self.jobs = self.jobs, []
        for job in jobs:
            job()


def test_a_sound_that_is_not_ready_is_started_when_it_is_and_nothing_waits_for_it() -> None:
    later = Later()
    world = SimulatedPlane(sounds=Sounds(run=later.run))
    far, other = world.phone("a"), world.phone("b", codec="PCMA", payload_type=8)
    world.order(Hear("a", Playlist((WORDS, Music()))), Hear("b", Music()))
    world.run(1.0)
    assert far.packets == other.packets == []
    later.work()
    world.plane.collect(world.now)
    assert payloads(far)[0] == frames_of(WORDS)[0]
    assert payloads(other)[0] == frames_of(Music(), "PCMA")[0]
    world.run(3.0)
    # The music behind the words was asked for when they ended.
    assert world.reports == [PromptEnded("a", "p1")]
    later.work()
    world.plane.collect(world.now)
    world.run(1.0)
    assert payloads(far)[-1] in set(frames_of(Music()))


def test_a_leg_that_hears_something_else_by_then_is_left_alone() -> None:
    later = Later()
    world = SimulatedPlane(sounds=Sounds(run=later.run))
    far = world.phone("a")
    world.order(Hear("a", Music()), Hear("a", Tone("busy")))
    later.work()
    world.plane.collect(world.now)
    world.run(0.1)
    assert payloads(far) == list(frames_of(Tone("busy"))[: len(far.packets)])


def test_what_is_remembered_is_bounded_and_what_was_used_last_stays(tmp_path: Path) -> None:
    (tmp_path / "music").mkdir()
    for name in ("one", "two", "three"):
        with wave.open(str(tmp_path / "music" / f"{name}.wav"), "wb") as out:
            out.setframerate(8000)
            out.setnchannels(1)
            out.setsampwidth(2)
            out.writeframes(np.zeros(80_000, np.int16).tobytes())
    sounds = Sounds(tmp_path, limit_bytes=250_000)
    first = sounds.frames(Music("one"), "PCMU", 20)
    sounds.frames(Music("two"), "PCMU", 20)
    assert sounds.frames(Music("one"), "PCMU", 20) is first
    sounds.frames(Music("three"), "PCMU", 20)
    assert sounds.bytes_known <= 250_000
    assert sounds.frames(Music("one"), "PCMU", 20) is first
    huge = Sounds(tmp_path, limit_bytes=1000)
    assert huge.frames(Music("one"), "PCMU", 20) is not None


def test_a_thread_does_the_work_of_the_process() -> None:
    from parkade.media.worker import Worker

    ready = threading.Event()
    worker = Worker()
    sounds = Sounds(BUILT_IN, run=worker.run, on_ready=ready.set)
    worker.run(lambda: 1 / 0)  # type: ignore[arg-type]
    assert sounds.frames(Music(), "PCMU", 20) is None
    assert ready.wait(10.0)
    assert sounds.collect()
    assert sounds.frames(Music(), "PCMU", 20) == frames_of(Music())
    worker.close()

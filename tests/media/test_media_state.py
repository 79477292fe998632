"""The state file gives back what was written into it, and nothing that was damaged."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parkade.base.sound import Music
from parkade.media.kept_orders import KeptOrders
from parkade.media.state import OLDEST_S, StateFile, StreamState, mark_of
from parkade.rtp.orders import Hear
from parkade.rtp.packet import sequence_step, timestamp_step
from tests.media.simulated_plane import FarSide, SimulatedPlane, frames_of

PLACE = StreamState(20_000, 0xABCDEF01, 65_535, 0xFFFFFFFF, 20, 7, 123_456, ("192.0.2.7", 4000), 1_700_000_000.5)


@pytest.mark.parametrize("source", [None, ("192.0.2.7", 4000), ("2001:db8::5", 65_534)])
@pytest.mark.parametrize("leg", ["a", "0123456789abcdef", "x" * 100, "lég"])
def test_what_was_written_is_found_by_the_next_process(tmp_path: Path, source: tuple[str, int] | None, leg: str) -> None:
    first = StateFile(tmp_path / "state", 10)
    first.write(first.open(leg), leg, PLACE._replace(source=source))
    first.close()
    second = StateFile(tmp_path / "state", 10)
    assert list(second.left(PLACE.written_at)) == [PLACE._replace(source=source)]
    assert second.adopt(leg, 20_002) is None
    assert second.adopt("other", 20_000) is None
    assert second.adopt(leg, 20_000) == PLACE._replace(source=source)
    assert second.adopt(leg, 20_000) is None
    second.close()


@pytest.mark.parametrize("make", [StateFile, KeptOrders])
def test_the_disk_has_room_for_every_record_from_the_beginning(tmp_path: Path, make: type[StateFile | KeptOrders]) -> None:
    # A page of the map without a block behind it would kill the process when the disk is full.
    path = tmp_path / "state"
    for records in (10, 5_000):
        make(path, records).close()
        found = path.stat()
        assert found.st_blocks * 512 >= found.st_size > 96 * records


def test_a_cleared_an_old_and_a_forgotten_record_are_found_no_more(tmp_path: Path) -> None:
    first = StateFile(tmp_path / "state", 3)
    records = [first.open(leg) for leg in "abc"]
    assert first.open("d") == 0
    for record, leg in zip(records, "abc", strict=True):
        first.write(record, leg, PLACE)
    first.clear(records[0])
    first.close()
    second = StateFile(tmp_path / "state", 3)
    assert len(list(second.left(PLACE.written_at))) == 2
    second.forget_left()
    assert second.open("e")
    second.close()
    third = StateFile(tmp_path / "state", 3)
    assert list(third.left(PLACE.written_at)) == []
    third.write(third.open("a"), "a", PLACE)
    third.close()
    fourth = StateFile(tmp_path / "state", 3)
    assert list(fourth.left(PLACE.written_at + OLDEST_S + 1)) == []
    fourth.close()


@given(st.binary(max_size=600))
def test_a_file_of_anything_is_no_state_and_no_error(tmp_path_factory: pytest.TempPathFactory, junk: bytes) -> None:
    path = tmp_path_factory.mktemp("state") / "state"
    path.write_bytes(junk)
    state = StateFile(path, 4)
    assert list(state.left(0.0)) == []
    state.write(state.open("a"), "a", PLACE)
    state.close()
    again = StateFile(path, 4)
    assert again.adopt("a", 20_000) == PLACE
    again.close()


@given(st.integers(96, 96 * 3 - 1), st.integers(1, 255))
def test_a_record_with_one_wrong_octet_is_passed_over(tmp_path_factory: pytest.TempPathFactory, at: int, flip: int) -> None:
    path = tmp_path_factory.mktemp("state") / "state"
    state = StateFile(path, 2)
    for leg in "ab":
        state.write(state.open(leg), leg, PLACE)
    state.close()
    data = bytearray(path.read_bytes())
    data[at] ^= flip
    path.write_bytes(data)
    again = StateFile(path, 2)
    left = list(again.left(PLACE.written_at))
    assert left in ([PLACE], [PLACE, PLACE])
    again.close()


@pytest.mark.parametrize("dead_s", [0.0, 0.3, 2.0, 60.0])
@pytest.mark.parametrize("ptime_ms", [10, 20, 60])
def test_a_stream_goes_on_beyond_all_that_was_sent_and_the_music_as_the_clock(
    tmp_path: Path, dead_s: float, ptime_ms: int
) -> None:
    first = SimulatedPlane(state=StateFile(tmp_path / "state", 10))
    far = first.phone("a", ptime_ms=ptime_ms, address="10.0.0.5")
    first.order(Hear("a", Music()))
    first.talk(0.2, far)
    first.run(3.21)
    # Killed: nothing is closed.
    second = SimulatedPlane(first.now + dead_s, state=StateFile(tmp_path / "state", 10))
    again = FarSide(second, "a", far.port, far.address)
    from parkade.rtp.orders import OpenLeg

    second.order(OpenLeg("a", far.port), second.describe(again, ptime_ms=ptime_ms, address="10.0.0.5"), Hear("a", Music()))
    second.run(0.5)
    (at_last, last), (at_next, following) = far.packets[-1], again.packets[0]
    assert following.ssrc == last.ssrc
    assert 0 < sequence_step(last.sequence, following.sequence) < 100
    moved_s = timestamp_step(last.timestamp, following.timestamp) / 8000
    assert moved_s == pytest.approx(at_next - at_last, abs=0.1)
    assert again.raw[0][2] == far.address
    frames = frames_of(Music(), "PCMU", ptime_ms)
    place_ms = frames.index(following.payload) * ptime_ms
    assert place_ms == pytest.approx(((first.now - 1_700_000_000.0) + dead_s) * 1000 % (len(frames) * ptime_ms), abs=100)


def test_the_same_sound_has_the_same_mark_in_every_process() -> None:
    assert mark_of(Music()) == mark_of(Music("default")) != mark_of(Music("other"))

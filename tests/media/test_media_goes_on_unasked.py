"""A media process that is started again goes on with music and conversations before anybody has told it anything."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from parkade.base.sound import Music, Peer, Playlist, Silence, Sound, Spoken, Tone
from parkade.media.kept_orders import KeptOrders
from parkade.media.leg import RtpLeg
from parkade.media.ports import PortPair
from parkade.rtp.orders import CloseLeg, Describe, Hear, Inventory, LegClosed, OpenLeg
from parkade.rtp.packet import Stream
from parkade.testing.listening import heard_music
from tests.media.real_media import RealMedia, lasting_media
from tests.media.test_media_process import samples
from tests.media.test_media_survival import assert_goes_on

KEPT_S = 1.2
"""Longer than it takes until everything that was ordered has been kept."""


def started_again(tmp_path: Path, before: RealMedia) -> RealMedia:
    after = lasting_media(tmp_path)
    after.phones = before.phones
    return after


def test_music_and_conversations_go_on_although_nobody_says_so(tmp_path: Path) -> None:
    media = lasting_media(tmp_path)
    parked, port_of_parked = media.leg("parked")
    (anna, port_of_anna), (bert, port_of_bert) = media.leg("anna"), media.leg("bert")
    media.order(Hear("parked", Music()), Hear("anna", Peer("bert")), Hear("bert", Peer("anna")))
    media.settle()
    bert.says(port_of_bert, b"\x55" * 160)
    said_before = anna.hears(1)
    time.sleep(KEPT_S)
    parked.forgets()
    music = parked.hears(5)
    media.kill()
    after = started_again(tmp_path, media)
    music += parked.hears(60)
    assert_goes_on(music, beyond=100)
    assert heard_music(samples(music[10:]), at_least_ms=500)
    bert.says(port_of_bert, b"\x55" * 160)
    assert_goes_on([*said_before, *anna.hears(1)], beyond=100)
    legs = {state.leg: (state.port, state.sound) for state in after.told(Inventory).legs}
    assert legs == {
        "parked": (port_of_parked, Music()),
        "anna": (port_of_anna, Peer("bert")),
        "bert": (port_of_bert, Peer("anna")),
    }
    after.process.terminate()
    after.close()


def test_a_leg_that_was_closed_is_not_taken_up(tmp_path: Path) -> None:
    media = lasting_media(tmp_path)
    media.leg("gone")
    media.leg("there")
    time.sleep(KEPT_S)
    media.order(CloseLeg("gone"))
    assert media.told(LegClosed).leg == "gone"
    media.kill()
    after = started_again(tmp_path, media)
    assert [state.leg for state in after.told(Inventory).legs] == ["there"]
    after.process.terminate()
    after.close()


def test_what_an_orderly_end_left_is_nothing(tmp_path: Path) -> None:
    media = lasting_media(tmp_path)
    media.leg("a")
    time.sleep(KEPT_S)
    media.process.terminate()
    media.process.wait()
    media.kill()
    after = started_again(tmp_path, media)
    assert after.told(Inventory) == Inventory(())
    after.process.terminate()
    after.close()


PORTS = PortPair.__new__(PortPair)
PORTS.port = 20_000


def leg_hearing(sound: Sound, address: str = "192.0.2.7") -> RtpLeg:
    leg = RtpLeg.__new__(RtpLeg)
    leg.id, leg.ports, leg.stream, leg.sound = "a", PORTS, Stream(1, 2, 3), sound
    leg.described = Describe("a", address, 4000, 4001, "PCMA", 8, 101, 20, sends=True, receives=True)
    return leg


@pytest.mark.parametrize("sound", [Music("jazz"), Tone("busy"), Peer("b")])
def test_orders_are_given_back_once(tmp_path: Path, sound: Sound) -> None:
    leg = leg_hearing(sound)
    first = KeptOrders(tmp_path / "orders", 3)
    first.write(2, leg)
    first.close()
    second = KeptOrders(tmp_path / "orders", 3)
    assert second.take() == [(OpenLeg("a", 20_000), [leg.described, Hear("a", sound)])]
    assert second.take() == []
    second.close()


@pytest.mark.parametrize("sound", [Silence(), Spoken("p", "en", ("8",)), Playlist((Spoken("p", "en", ("8",)), Music()))])
def test_what_is_said_once_is_not_said_again_unasked(tmp_path: Path, sound: Sound) -> None:
    kept = KeptOrders(tmp_path / "orders", 3)
    leg = leg_hearing(sound)
    kept.write(1, leg)
    assert kept.take() == [(OpenLeg("a", 20_000), [leg.described])]
    kept.close()


def test_what_does_not_fit_is_not_kept_and_a_record_beyond_the_file_is_nobodys(tmp_path: Path) -> None:
    kept = KeptOrders(tmp_path / "orders", 3)
    kept.write(1, leg_hearing(Music(), address="x" * 600))
    kept.write(4, leg_hearing(Music()))
    kept.write(0, leg_hearing(Music()))
    kept.clear(4)
    assert kept.take() == []
    kept.close()


@pytest.mark.parametrize("at", [0, 4, 6, 40, 100])
def test_a_damaged_text_is_passed_over(tmp_path: Path, at: int) -> None:
    path = tmp_path / "orders"
    kept = KeptOrders(path, 3)
    kept.write(1, leg_hearing(Music()))
    kept.write(2, leg_hearing(Peer("b")))
    kept.close()
    data = bytearray(path.read_bytes())
    data[512 + at] ^= 0x55
    path.write_bytes(data)
    again = KeptOrders(path, 3)
    assert [orders[-1] for _, orders in again.take()] == [Hear("a", Peer("b"))]
    again.close()


def test_a_file_of_another_size_begins_empty(tmp_path: Path) -> None:
    (tmp_path / "orders").write_bytes(b"junk" * 1000)
    kept = KeptOrders(tmp_path / "orders", 3)
    assert kept.take() == []
    kept.close()

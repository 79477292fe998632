"""Either process may be killed: what a phone hears shows nothing of signalling's death, and little of media's."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from parkade.base.sound import Music, Peer, Spoken
from parkade.media.client import MediaClient, MediaError
from parkade.media.wire import order_to_line
from parkade.rtp.dtmf import press
from parkade.rtp.orders import (
    CloseLeg,
    Describe,
    Hear,
    Inventory,
    KeyHeard,
    LegClosed,
    LegFailed,
    LegState,
    OpenLeg,
    PortsReady,
    PromptEnded,
    Report,
)
from parkade.rtp.packet import Packet, sequence_step, timestamp_step
from parkade.testing.listening import heard_music
from tests.media.real_media import HOST, PATIENCE_S, Phone, RealMedia, lasting_media
from tests.media.test_media_process import TRIES, samples

LEGS = 50
GAP_S = 1.0
BUSY_S = 0.15
"""What a machine with other things to do may add between two packets that are 20 ms apart."""


def gaps_s(heard: list[tuple[float, Packet]]) -> list[float]:
    return [after - before for (before, _), (after, _) in pairwise(heard)]


def assert_goes_on(heard: list[tuple[float, Packet]], beyond: int = 1) -> None:
    """One SSRC; numbers and clock that only rise, the numbers by at most ``beyond`` at a time, the clock as time does."""
    for (at_before, before), (at, packet) in pairwise(heard):
        assert packet.ssrc == before.ssrc
        assert 0 < sequence_step(before.sequence, packet.sequence) <= beyond
        moved_s = timestamp_step(before.timestamp, packet.timestamp) / 8000
        assert 0.02 <= moved_s <= at - at_before + 0.6


@pytest.fixture
def lasting(tmp_path: Path) -> Iterator[RealMedia]:
    """A media process with a state file that lingers."""
    real = lasting_media(tmp_path)
    yield real
    real.process.terminate()
    real.close()
    assert "Traceback" not in real.log.read_text()


SIGNALLING = """
import socket, sys
with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as media:
    media.connect(sys.argv[1])
    media.sendall(sys.stdin.buffer.read())
    print("sent", flush=True)
    while media.recv(65536):
        pass
"""


def test_no_packet_is_missed_when_signalling_is_killed_and_another_takes_over(lasting: RealMedia) -> None:
    ports = [lasting.port() for _ in range(LEGS)]
    lasting.socket.close()
    phones = [Phone() for _ in range(LEGS)]
    lasting.phones += phones
    orders = b""
    for number, (port, phone) in enumerate(zip(ports, phones, strict=True)):
        leg = f"leg-{number}"
        for order in (OpenLeg(leg, port), lasting.describe(leg, phone), Hear(leg, Music())):
            orders += order_to_line(order)
    command = [sys.executable, "-c", SIGNALLING, str(lasting.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first:
        assert first.stdin is not None
        assert first.stdout is not None
        first.stdin.write(orders)
        first.stdin.close()
        assert first.stdout.readline() == b"sent\n"
        heard = [phone.hears(1) for phone in phones]
        first.kill()
    time.sleep(0.5)
    lasting.connect()
    inventory = lasting.told(Inventory)
    assert [(leg.leg, leg.port) for leg in inventory.legs] == [(f"leg-{n}", port) for n, port in enumerate(ports)]
    assert all(
        leg.sound == Music() and leg.source == (HOST, phone.port) for leg, phone in zip(inventory.legs, phones, strict=True)
    )
    assert not set(lasting.told(PortsReady).ports) & set(ports)
    for number, phone in enumerate(phones):
        lasting.order(lasting.describe(f"leg-{number}", phone), Hear(f"leg-{number}", Music()))
    for state, phone, first_packet in zip(inventory.legs, phones, heard, strict=True):
        packets = first_packet + phone.hears(60)
        assert_goes_on(packets)
        assert heard_music(samples(packets))
        assert max(gaps_s(packets)) < BUSY_S
        assert state.ssrc == packets[0][1].ssrc


def test_legs_go_on_within_a_second_where_a_killed_media_process_left_them(tmp_path: Path) -> None:
    gaps = []
    for number in range(TRIES):
        (tmp_path / f"{number}").mkdir()
        gaps.append(longest_gap_s(tmp_path / f"{number}"))
        if gaps[-1] <= max(GAP_S, 3 * bare_start_s()):
            return
    pytest.fail(f"gaps of {gaps} s")


def heard_after(phone: Phone, moment: float) -> list[tuple[float, Packet]]:
    """Everything that came to ``phone`` until 25 packets have come after ``moment``."""
    packets = phone.has_heard()
    while sum(at > moment for at, _ in packets) < 25:
        more = phone.hears(5)
        assert len(more) == 5
        packets += more
    return packets


def bare_start_s() -> float:
    """How long a process takes to start that does nothing: 0.15 s, but not on a machine with other things to do."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", "import numpy"], check=True, timeout=PATIENCE_S)
    return time.monotonic() - began


def longest_gap_s(tmp_path: Path) -> float:
    """Kill media while ``LEGS`` hear music, start another, give the legs back: the longest gap that a phone hears."""
    longest = 0.0
    media = lasting_media(tmp_path)
    legs = {f"leg-{number}": media.leg(f"leg-{number}") for number in range(LEGS)}
    media.order(*(Hear(leg, Music()) for leg in legs))
    time.sleep(1.0)
    for phone, _ in legs.values():
        phone.forgets()
    time.sleep(0.3)
    killed_at = media.kill()
    before = {leg: phone.has_heard() for leg, (phone, _) in legs.items()}
    after = lasting_media(tmp_path)
    after.phones = media.phones
    assert {(state.leg, state.port) for state in after.told(Inventory).legs} == {(leg, port) for leg, (_, port) in legs.items()}
    assert not set(after.told(PortsReady).ports) & {port for _, port in legs.values()}
    for leg, (phone, port) in legs.items():
        after.order(OpenLeg(leg, port), media.describe(leg, phone), Hear(leg, Music()))
    # All are read before any is looked at, which takes longer than a socket can keep what comes.
    heard = {leg: before[leg] + heard_after(phone, killed_at) for leg, (phone, _) in legs.items()}
    for packets in heard.values():
        assert_goes_on(packets, beyond=100)
        longest = max(longest, *gaps_s(packets))
        restart = next(n for n, (at, _) in enumerate(packets) if at > killed_at)
        assert heard_music(samples(packets[restart:]), at_least_ms=300)
    after.process.terminate()
    after.close()
    assert "Traceback" not in after.log.read_text()
    return longest


def test_the_phone_behind_nat_is_sent_to_where_it_was_found(tmp_path: Path) -> None:
    media = lasting_media(tmp_path)
    phone, port = media.leg("a", address="10.0.0.5", port=4000, rtcp_port=4001)
    media.settle()
    for _ in range(6):
        phone.says(port, b"\xff" * 160)
    media.order(Hear("a", Music()))
    first = phone.hears(60)
    media.kill()
    after = lasting_media(tmp_path)
    after.phones = media.phones
    far = media.describe("a", phone, address="10.0.0.5", port=4000, rtcp_port=4001)
    after.order(OpenLeg("a", port), far, Hear("a", Music()))
    again = phone.hears(1000, within_s=1.0)
    assert again[-1][1].ssrc == first[0][1].ssrc
    assert_goes_on(first + again, beyond=100)
    after.process.terminate()
    after.close()


def test_two_who_talk_are_connected_again_with_their_numbers_going_on(tmp_path: Path) -> None:
    media = lasting_media(tmp_path)
    (anna, port_of_anna), (bert, port_of_bert) = media.leg("anna"), media.leg("bert")
    talk = (Hear("anna", Peer("bert")), Hear("bert", Peer("anna")))
    media.order(*talk)
    media.settle()

    def talks(packets: int) -> list[tuple[float, Packet]]:
        heard = []
        for _ in range(packets):
            bert.says(port_of_bert, b"\x55" * 160)
            heard += anna.hears(1, within_s=0.02)
            time.sleep(0.01)
        return heard

    before = talks(60)
    media.kill()
    after = lasting_media(tmp_path)
    after.phones = media.phones
    for leg, phone, port in (("anna", anna, port_of_anna), ("bert", bert, port_of_bert)):
        after.order(OpenLeg(leg, port), media.describe(leg, phone))
    after.order(*talk)
    after.settle()
    again = talks(20)
    assert len(again) >= 18
    assert_goes_on([before[-1], *again], beyond=100)
    after.process.terminate()
    after.close()


def test_a_port_that_cannot_be_had_is_a_leg_that_failed(lasting: RealMedia) -> None:
    taken = Phone()
    lasting.phones.append(taken)
    for port in (taken.port & ~1, 1023, 20001, 70000):
        lasting.order(OpenLeg("a", port))
        assert lasting.told(LegFailed) == LegFailed("a", port)
    lasting.settle()


def test_what_happens_while_nobody_is_connected_is_told_to_the_next_in_order(lasting: RealMedia) -> None:
    phone, port = lasting.leg("phone")
    lasting.order(Hear("phone", Spoken("p1", "en", ("8",))))
    lasting.settle()
    lasting.socket.close()
    time.sleep(0.1)
    for payload in press("5", 60):
        packet = Packet(101, False, phone.sequence, phone.timestamp, phone.ssrc, payload)
        phone.rtp.sendto(packet.encode(), (HOST, port))
        phone.sequence += 1
    phone.hears(200, within_s=1.5)
    lasting.connect()
    assert lasting.told(Inventory).legs[0].leg == "phone"
    assert lasting.told(KeyHeard) == KeyHeard("phone", "5")
    assert lasting.told(PromptEnded) == PromptEnded("phone", "p1")
    # Had it been lost on the way, the same order would bring it again.
    lasting.order(Hear("phone", Spoken("p1", "en", ("8",))))
    assert lasting.told(PromptEnded) == PromptEnded("phone", "p1")
    assert phone.hears(1, within_s=0.1) == []


def test_what_a_killed_signalling_process_had_sent_is_done_before_the_next_is_greeted(lasting: RealMedia) -> None:
    ports = [lasting.port() for _ in range(200)]
    lasting.process.send_signal(signal.SIGSTOP)
    lasting.order(*(OpenLeg(f"leg-{n}", port) for n, port in enumerate(ports)))
    lasting.connect()
    lasting.process.send_signal(signal.SIGCONT)
    first, *_ = [lasting.told(Inventory)]
    assert {leg.leg for leg in first.legs} == {f"leg-{n}" for n in range(200)}
    lasting.order(*(CloseLeg(f"leg-{n}") for n in range(200)))
    assert {lasting.told(LegClosed).leg for _ in range(200)} == {f"leg-{n}" for n in range(200)}


def test_a_long_inventory_comes_in_parts(lasting: RealMedia) -> None:
    lasting.order(*(OpenLeg(f"leg-{n}", lasting.port()) for n in range(450)))
    lasting.settle()
    lasting.connect()
    legs: list[LegState] = []
    while True:
        part = lasting.told(Inventory)
        legs += part.legs
        if part.complete:
            break
    assert [leg.leg for leg in legs] == [f"leg-{n}" for n in range(450)]


def test_where_the_state_file_cannot_be_made_it_plays_all_the_same(tmp_path: Path) -> None:
    place = tmp_path / "state"
    place.mkdir()
    media = lasting_media(tmp_path)
    phone, _ = media.leg("caller")
    media.order(Hear("caller", Music()))
    assert len(phone.hears(10)) == 10
    media.process.terminate()
    media.close()
    assert f"{place}: is a directory" in media.log.read_text()


def test_it_ends_by_itself_when_nobody_connects_any_more(tmp_path: Path) -> None:
    media = RealMedia(tmp_path, "--rtp-ports", "0-0", "--linger", "0.5")
    phone, _ = media.leg("phone")
    media.order(Hear("phone", Music()))
    time.sleep(0.8)
    assert media.process.poll() is None
    media.socket.close()
    assert media.process.wait(PATIENCE_S) == 0
    assert len(phone.hears(1000, within_s=0.1)) > 50
    assert not media.path.exists()
    media.close()


# Signalling's end of it


class Ears:
    def __init__(self) -> None:
        self.reports: asyncio.Queue[Report] = asyncio.Queue()
        self.died = asyncio.Event()

    async def hear(self, kind: type[Report]) -> Report:
        while not isinstance(report := await self.reports.get(), kind):
            pass
        return report


@pytest.mark.asyncio
async def test_a_client_leaves_and_another_attaches(tmp_path: Path) -> None:
    path, ears = tmp_path / "media", Ears()
    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(MediaError, match="no media process"):
            await MediaClient.attach(path, on_report=ears.reports.put_nowait, on_death=ears.died.set)
        first = await MediaClient.start(
            socket_path=path,
            host=HOST,
            rtp_ports=(0, 0),
            on_report=ears.reports.put_nowait,
            on_death=ears.died.set,
            state=tmp_path / "state",
            linger_s=20.0,
        )
        ready = await ears.hear(PortsReady)
        assert isinstance(ready, PortsReady)
        far = Describe("a", HOST, 4000, 4001, "PCMU", 0, None, 20, sends=False, receives=False)
        first.send([OpenLeg("a", ready.ports[0]), far])
        await first.leave()
        later = Ears()
        second = await MediaClient.attach(path, on_report=later.reports.put_nowait, on_death=later.died.set)
        assert second.pid == first.pid
        inventory = await later.hear(Inventory)
        assert isinstance(inventory, Inventory)
        assert [(leg.leg, leg.port) for leg in inventory.legs] == [("a", ready.ports[0])]
        await second.close()
        assert await later.hear(LegClosed) == LegClosed("a", 0, 0, 0, 0)
        assert not path.exists()
        assert not ears.died.is_set()
        assert not later.died.is_set()
        assert first._process is not None
        assert await first._process.wait() == 0  # else asyncio may hear of its end when this loop is closed


@pytest.mark.asyncio
async def test_the_death_of_a_process_that_was_attached_to_is_noticed(tmp_path: Path) -> None:
    media, ears = RealMedia(tmp_path), Ears()
    async with asyncio.timeout(PATIENCE_S):
        client = await MediaClient.attach(media.path, on_report=ears.reports.put_nowait, on_death=ears.died.set)
        assert client.pid == media.process.pid
        media.kill()
        await ears.died.wait()
        client.send([CloseLeg("a")])
        await client.leave()


@pytest.mark.asyncio
async def test_a_process_that_does_not_answer_is_killed_so_that_another_can_be_started(tmp_path: Path) -> None:
    media, ears = RealMedia(tmp_path), Ears()
    media.settle()
    media.process.send_signal(signal.SIGSTOP)
    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(MediaError, match="does not answer"):
            await MediaClient.attach(media.path, on_report=ears.reports.put_nowait, on_death=ears.died.set)
    assert media.process.wait(PATIENCE_S) == -signal.SIGKILL
    assert not ears.died.is_set()
    media.kill()


@pytest.mark.asyncio
async def test_a_socket_nobody_listens_on_is_no_media_process(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as left:
        left.bind(str(tmp_path / "media"))
    with pytest.raises(MediaError, match="no media process"):
        await MediaClient.attach(tmp_path / "media", on_report=lambda _: None, on_death=lambda: None)

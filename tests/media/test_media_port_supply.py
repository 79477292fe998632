"""Signalling never meets an empty reserve while ports are free, and hears it when none is."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from bench.server import free_rtp_ports
from parkade.media.ports import RESERVE, PortReserve
from parkade.rtp.orders import CloseLeg, LegClosed, OpenLeg, Order, PortsExhausted, PortsReady
from tests.media.real_media import Phone, RealMedia
from tests.media.test_media_ports import fill, free_range

CALLS_PER_S = 300
STOPPED_S = 1.0


def test_ports_last_while_media_stands_still_for_a_second_under_300_calls_a_second(tmp_path: Path) -> None:
    media = RealMedia(tmp_path, "--rtp-ports", free_rtp_ports(10_000))
    phone = Phone()
    media.phones.append(phone)
    while len(media.free) < RESERVE * 15 // 16:
        media.free += media.told(PortsReady).ports
    legs = [f"leg-{number}" for number in range(2 * CALLS_PER_S)]
    for _ in range(3):
        media.process.send_signal(signal.SIGSTOP)
        until = time.monotonic() + STOPPED_S
        orders: list[Order] = []
        for leg in legs:
            assert media.free, "no port, though thousands are free"
            orders += [OpenLeg(leg, media.free.pop(0)), media.describe(leg, phone)]
        media.order(*orders)
        time.sleep(max(0.0, until - time.monotonic()))
        media.process.send_signal(signal.SIGCONT)
        media.order(*map(CloseLeg, legs))
        for _ in legs:
            media.told(LegClosed)
        while len(media.free) <= RESERVE // 2:
            media.free += media.told(PortsReady).ports
    media.close()
    assert "port" not in media.log.read_text()


def test_a_burst_that_takes_the_whole_reserve_gets_it_back_while_other_ports_are_free(tmp_path: Path) -> None:
    media = RealMedia(tmp_path, "--rtp-ports", free_rtp_ports(10_000), "--reserve", "256")
    phone = Phone()
    media.phones.append(phone)
    for number in range(2000):
        media.order(OpenLeg(f"leg-{number}", media.port()))
    media.order(*(CloseLeg(f"leg-{number}") for number in range(2000)))
    assert len({media.told(LegClosed).leg for _ in range(2000)}) == 2000
    media.close()


def test_the_last_port_is_told_and_so_is_the_next_one_that_is_free(tmp_path: Path) -> None:
    media = RealMedia(tmp_path, "--rtp-ports", free_rtp_ports(6))
    ports = [media.port()]
    while True:
        try:
            ports.append(media.port(within_s=1.5))
        except TimeoutError:
            break
    assert 1 <= len(ports) <= 3
    media.order(*(OpenLeg(str(port), port) for port in ports))
    assert media.told(PortsExhausted) == PortsExhausted()
    media.order(CloseLeg(str(ports[0])))
    assert media.port() == ports[0]
    media.close()
    assert "no free RTP port pair" in media.log.read_text()


def test_signalling_that_connects_while_no_port_is_free_is_told_so(tmp_path: Path) -> None:
    low, high = free_range(1)
    media = RealMedia(tmp_path, "--rtp-ports", f"{low}-{high}")
    media.order(OpenLeg("only", media.port()))
    assert media.told(PortsExhausted) == PortsExhausted()
    media.connect()
    assert media.told(PortsExhausted) == PortsExhausted()
    media.close()


@pytest.mark.parametrize(
    ("taken", "wants_more", "is_low"), [(0, False, False), (3, False, False), (4, True, False), (33, True, True)]
)
def test_how_urgent_it_is_follows_from_how_many_are_missing(taken: int, wants_more: bool, is_low: bool) -> None:
    reserve = PortReserve("127.0.0.1", 0, 0, wanted=64)
    for port in fill(reserve)[:taken]:
        pair = reserve.take(port)
        assert pair is not None
        pair.close()
    assert (reserve.wants_more, reserve.is_low) == (wants_more, is_low)
    reserve.close()

"""What ``make reliability`` is judged by: the packet counter and the callers' log, without a server."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.reliability_counter import Counter
from bench.reliability_sipp import Callers
from parkade.rtp.packet import Packet
from parkade.testing.listening import heard_tone

FRAME = b"\xff" * 160


@pytest.fixture(scope="module")
def counter() -> Iterator[Counter]:
    counting = Counter()
    yield counting
    counting.close()


@pytest.fixture
def server_leg() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as leg:
        leg.bind(("127.0.0.1", 0))
        leg.settimeout(5)
        yield leg


def send(leg: socket.socket, counter: Counter, sequence: int, ssrc: int = 7) -> None:
    packet = Packet(0, False, sequence & 0xFFFF, sequence * 160, ssrc, FRAME)
    leg.sendto(packet.encode(), ("127.0.0.1", counter.port))


def test_a_stream_without_a_fault_has_none(counter: Counter, server_leg: socket.socket) -> None:
    counter.open_window()
    for sequence in range(65530, 65542):
        send(server_leg, counter, sequence)
    time.sleep(0.1)
    stream = counter.streams()[server_leg.getsockname()[1]]
    assert (stream.packets, stream.recent) == (12, 12)
    assert (stream.missing, stream.backwards, stream.sources) == (0, 0, 0)


def test_gaps_missing_numbers_repetitions_and_new_sources_are_counted(counter: Counter, server_leg: socket.socket) -> None:
    counter.open_window()
    for sequence in (1, 2, 5):
        send(server_leg, counter, sequence)
    time.sleep(0.3)
    resumed_at = time.time()
    for sequence in (6, 6):
        send(server_leg, counter, sequence)
    send(server_leg, counter, 900, ssrc=8)
    time.sleep(0.1)
    stream = counter.streams()[server_leg.getsockname()[1]]
    assert stream.packets == 6
    assert stream.missing == 2
    assert stream.backwards == 1
    assert stream.sources == 1
    assert 0.3 <= stream.gap_s < 0.6
    assert stream.resumed_at == pytest.approx(resumed_at, abs=0.1)


def test_a_stream_that_has_stopped_has_a_gap_up_to_now(counter: Counter, server_leg: socket.socket) -> None:
    counter.open_window()
    send(server_leg, counter, 1)
    send(server_leg, counter, 2)
    time.sleep(0.3)
    stream = counter.streams()[server_leg.getsockname()[1]]
    assert stream.gap_s >= 0.3
    assert stream.resumed_at == float("inf")


def test_what_came_before_the_window_is_not_counted(counter: Counter, server_leg: socket.socket) -> None:
    send(server_leg, counter, 1)
    time.sleep(0.1)
    counter.open_window()
    assert server_leg.getsockname()[1] not in counter.streams()


def test_the_counter_speaks_to_a_leg_and_keeps_what_it_says(counter: Counter, server_leg: socket.socket) -> None:
    port = server_leg.getsockname()[1]
    counter.listen([port])
    counter.speak([port], 1000)
    for _ in range(15):
        data, sender = server_leg.recvfrom(2048)
        assert sender[1] == counter.port
        server_leg.sendto(data, sender)
    counter.hush([port])
    counter.listen([port])
    assert len(counter.heard(port)) == 0


def test_a_tone_comes_back_as_it_was_said(counter: Counter, server_leg: socket.socket) -> None:
    port = server_leg.getsockname()[1]
    counter.listen([port])
    counter.speak([port], 1000)
    for _ in range(15):
        server_leg.sendto(*server_leg.recvfrom(2048))
    time.sleep(0.1)
    assert heard_tone(counter.heard(port), 1000, 400)
    counter.hush([port])


def test_the_log_of_the_callers_is_read_line_by_line(tmp_path: Path) -> None:
    log = tmp_path / "parked.log"
    callers = Callers(tmp_path, "parked", subprocess.Popen(["true"]))
    callers.process.wait()
    stamp = "2026-11-26\t12:07:15.874631\t1795694835.874631"
    log.write_text(f"called 7 2026-11-26\t12:07:15.5\t1795694835.5\nup 7 *10001 20004 {stamp}\nalive 7 {stamp}\nali")
    callers.read()
    call = callers.calls[7]
    assert (call.code, call.rtp_port, call.up_at) == ("*10001", 20004, 1795694835.874631)
    assert call.called_at == 1795694835.5
    assert call.alive_at == [1795694835.874631]
    assert not call.over
    with log.open("a") as more:
        more.write(f"ve 7 {stamp}\nbye 7 {stamp}\ngone 8 {stamp}\n")
    callers.read()
    assert len(call.alive_at) == 2
    assert call.byes_at == [1795694835.874631]
    assert call.over

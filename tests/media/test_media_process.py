"""The media process as it really runs: its own process, the unix socket, RTP over loopback.

Exact timing is tested in simulated time (``test_media_plane``). Here the machine may be busy: what should take 20 ms is tried
up to three times, so that a mistake fails and a hiccup does not.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from bench.server import free_rtp_ports
from parkade.base.sound import Music, Peer, Silence, Spoken
from parkade.media.ports import REST_S
from parkade.media.wire import order_to_line
from parkade.rtp.dtmf import press
from parkade.rtp.g711 import from_alaw, from_ulaw, to_alaw, to_ulaw
from parkade.rtp.orders import CloseLeg, Hear, KeyHeard, LegClosed, OpenLeg, PortsReady, PromptEnded
from parkade.rtp.packet import Packet, sequence_step, timestamp_step
from parkade.rtp.rtcp import Goodbye, SenderReport
from parkade.rtp.rtcp import parse as parse_rtcp
from parkade.testing.listening import heard_music, heard_prompt, heard_tone, longest_gap_ms
from tests.media.real_media import HOST, PATIENCE_S, Phone, RealMedia, end_what_runs

TRIES = 3


def tone(hz: float, codec: str = "PCMU", packets: int = 50) -> list[bytes]:
    samples = np.round(8000 * np.sin(2 * np.pi * hz * np.arange(160 * packets) / 8000)).astype(np.int16)
    encoded = to_alaw(samples) if codec == "PCMA" else to_ulaw(samples)
    return [encoded[at : at + 160] for at in range(0, len(encoded), 160)]


def samples(heard: list[tuple[float, Packet]], codec: str = "PCMU") -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    payload = b"".join(packet.payload for _, packet in heard)
    return from_alaw(payload) if codec == "PCMA" else from_ulaw(payload)


def assert_one_stream(heard: list[tuple[float, Packet]]) -> None:
    for (_, before), (_, packet) in pairwise(heard):
        assert packet.ssrc == before.ssrc
        assert sequence_step(before.sequence, packet.sequence) == 1
        assert timestamp_step(before.timestamp, packet.timestamp) >= 160


def test_a_silent_caller_hears_music_within_20_ms(media: RealMedia) -> None:
    delays_ms = []
    for number in range(TRIES):
        phone, _ = media.leg(f"leg-{number}")
        ordered = media.order(Hear(f"leg-{number}", Music()))
        heard = phone.hears(60)
        assert heard_music(samples(heard))
        assert_one_stream(heard)
        delays_ms.append((heard[0][0] - ordered) * 1000)
        if delays_ms[-1] <= 20.0:
            return
    pytest.fail(f"music came after {delays_ms} ms")


def test_two_phones_hear_each_other_with_conversion(media: RealMedia) -> None:
    anna, port_of_anna = media.leg("anna")
    bert, port_of_bert = media.leg("bert", codec="PCMA", payload_type=8)
    media.order(Hear("anna", Peer("bert")), Hear("bert", Peer("anna")))
    media.settle()
    assert heard_from(anna, port_of_bert, bert, tone(697.0, "PCMA"), spoken=8, codec="PCMU", hz=697.0)
    assert heard_from(bert, port_of_anna, anna, tone(1004.0), spoken=0, codec="PCMA", hz=1004.0)


def heard_from(listener: Phone, port: int, speaker: Phone, sound: list[bytes], spoken: int, codec: str, hz: float) -> bool:
    heard = []
    for payload in sound:
        speaker.says(port, payload, spoken)
        heard += listener.hears(1)
    assert_one_stream(heard)
    return len(heard) == len(sound) and heard_tone(samples(heard, codec), hz)


def test_no_gap_when_a_parked_caller_is_retrieved_and_parked_again(media: RealMedia) -> None:
    gaps_ms = []
    for number in range(TRIES):
        parked, _ = media.leg(f"parked-{number}")
        retriever, port = media.leg(f"retriever-{number}")
        media.order(Hear(f"parked-{number}", Music()))
        heard = parked.hears(20)
        media.order(Hear(f"parked-{number}", Peer(f"retriever-{number}")))
        heard += parked.hears(3)
        # The retriever speaks each time the parked phone has heard something, which keeps it in step.
        for payload in tone(1004.0):
            retriever.says(port, payload)
            heard += parked.hears(1)
            retriever.rtp.settimeout(0.019)
            with pytest.raises(TimeoutError):
                retriever.rtp.recv(2048)
        media.order(Hear(f"parked-{number}", Music()))
        heard += parked.hears(60)
        assert_one_stream(heard)
        assert heard_music(samples(heard[-60:]))
        assert heard_tone(samples(heard), 1004.0)
        gaps_ms.append(longest_gap_ms([at for at, _ in heard]))
        if gaps_ms[-1] <= 40.0:
            return
    pytest.fail(f"gaps of {gaps_ms} ms")


def test_a_stranger_is_refused_and_counted(media: RealMedia) -> None:
    phone, port = media.leg("phone")
    listener, _ = media.leg("listener")
    media.order(Hear("listener", Peer("phone")), Hear("phone", Music()))
    media.settle()
    phone.says(port, tone(1004.0)[0])
    assert len(listener.hears(1)) == 1
    stranger = Phone()
    media.phones.append(stranger)
    for payload in tone(440.0, packets=20):
        stranger.says(port, payload)
    phone.says(port, b"\x55" * 160)
    assert listener.hears(1)[0][1].payload == b"\x55" * 160
    assert stranger.hears(1, within_s=0.1) == []
    media.order(CloseLeg("phone"))
    closed = media.told(LegClosed)
    assert (closed.leg, closed.received, closed.refused, closed.lost) == ("phone", 2, 20, 0)
    assert closed.sent > 0


def test_keys_are_told_once_a_press(media: RealMedia) -> None:
    phone, port = media.leg("phone")
    media.settle()
    for key in "*80":
        marker = True
        for payload in press(key, 80):
            packet = Packet(101, marker, phone.sequence, phone.timestamp, phone.ssrc, payload)
            phone.rtp.sendto(packet.encode(), (HOST, port))
            phone.sequence += 1
            marker = False
        phone.timestamp += 2000
    assert [media.told(KeyHeard) for _ in range(3)] == [KeyHeard("phone", key) for key in "*80"]


def test_a_prompt_is_heard_and_told_at_its_end(media: RealMedia) -> None:
    phone, _ = media.leg("phone")
    phrases = ("parked-at", "star", "8", "0", "1")
    media.order(Hear("phone", Spoken("p7", "en", phrases)))
    assert media.told(PromptEnded) == PromptEnded("phone", "p7")
    heard = samples(phone.hears(1000, within_s=0.3))
    assert all(heard_prompt(heard, "en", phrase) for phrase in phrases)
    assert not heard_prompt(heard, "en", "lot-full")


def test_reports_are_sent_and_end_with_goodbye(media: RealMedia) -> None:
    phone, _ = media.leg("phone")
    media.order(Hear("phone", Music()))
    phone.hears(10)
    media.order(CloseLeg("phone"))
    phone.rtcp.settimeout(PATIENCE_S)
    compound = parse_rtcp(phone.rtcp.recv(2048))
    assert compound is not None
    report = compound[0]
    assert isinstance(report, SenderReport)
    assert report.packets >= 10
    assert compound[-1] == Goodbye((report.ssrc,))


def test_more_legs_than_ports_leave_no_file_and_no_memory_behind(tmp_path: Path) -> None:
    media = RealMedia(tmp_path, "--rtp-ports", free_rtp_ports(400), "--reserve", "64")
    phone = Phone()
    media.phones.append(phone)
    files = memory_kib = 0
    for number in range(600):
        name = f"leg-{number}"
        orders = OpenLeg(name, media.port()), media.describe(name, phone), Hear(name, Music()), Hear(name, Peer(name))
        media.order(*orders, CloseLeg(name))
        assert media.told(LegClosed).leg == name
        if number == 299:
            files, memory_kib = media.open_files, media.memory_kib
    assert media.open_files <= files
    assert media.memory_kib - memory_kib < 1024
    media.close()


def test_a_phone_that_does_not_stop_sending_is_not_heard_in_the_next_call_on_its_port(tmp_path: Path) -> None:
    media = RealMedia(tmp_path, "--rtp-ports", free_rtp_ports(2))
    old, port = media.leg("old")
    media.order(CloseLeg("old"))
    assert media.told(LegClosed).leg == "old"
    until = time.monotonic() + 3 * REST_S
    while time.monotonic() < until:
        old.says(port, tone(1004.0)[0])
        with pytest.raises(TimeoutError):
            media.told(PortsReady, within_s=0.02)
    assert media.port() == port
    new = Phone()
    media.phones.append(new)
    media.order(OpenLeg("new", port), media.describe("new", new), CloseLeg("new"))
    closed = media.told(LegClosed)
    assert (closed.received, closed.refused) == (0, 0)
    media.close()


def test_garbage_on_every_socket_does_no_harm(media: RealMedia) -> None:
    phone, port = media.leg("phone")
    media.order(Hear("phone", Music()))
    for size in (0, 1, 11, 12, 13, 100, 1400, 9000):
        for first in (b"\x80", b"\x9f", b"\xbf", b"\x00", b"\xff"):
            data = (first + os.urandom(9000))[:size]
            phone.rtp.sendto(data, (HOST, port))
            phone.rtp.sendto(data, (HOST, port + 1))
    media.socket.sendall(b"\x00\xff\n\n{}\n[1,2]\nHELLO\n" + b'["hear","phone","opera"]\n')
    media.socket.sendall(order_to_line(Hear("nobody", Music())) + order_to_line(Hear("phone", Silence()))[:10])
    media.socket.sendall(order_to_line(Hear("phone", Silence()))[10:])
    media.order(CloseLeg("phone"))
    assert media.told(LegClosed).leg == "phone"


def test_a_phone_that_is_gone_does_not_disturb_the_others(media: RealMedia) -> None:
    gone, _ = media.leg("gone")
    phone, _ = media.leg("phone")
    gone.close()
    media.order(Hear("gone", Music()), Hear("phone", Music()))
    assert_one_stream(phone.hears(50))


def test_music_goes_on_without_signalling_which_may_come_back(media: RealMedia) -> None:
    phone, _ = media.leg("phone")
    media.order(Hear("phone", Music()))
    phone.hears(5)
    media.socket.close()
    heard = phone.hears(50)
    assert heard_music(samples(heard), at_least_ms=500)
    media.connect()
    other, _ = media.leg("other")
    media.order(Hear("other", Music()), Hear("phone", Silence()), CloseLeg("phone"))
    assert media.told(LegClosed).leg == "phone"
    assert len(other.hears(5)) == 5


def test_a_line_without_end_costs_the_connection_and_nothing_else(media: RealMedia) -> None:
    media.leg("phone")
    with pytest.raises(OSError, match=r"Broken pipe|reset"):
        media.socket.sendall(b"x" * (64 << 20))
    media.connect()
    media.order(CloseLeg("phone"))
    assert media.told(LegClosed).leg == "phone"


def test_sigterm_says_goodbye_and_ends_it(media: RealMedia) -> None:
    phone, _ = media.leg("phone")
    media.order(Hear("phone", Music()))
    phone.hears(3)
    media.process.send_signal(signal.SIGTERM)
    assert media.told(LegClosed).leg == "phone"
    assert media.process.wait(PATIENCE_S) == 0
    assert not media.path.exists()


def test_it_ends_with_its_parent(media: RealMedia) -> None:
    media.port()
    assert media.process.stdin is not None
    media.process.stdin.close()
    assert media.process.wait(PATIENCE_S) == 0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--rtp-ports", "30000-20000", "--host", "127.0.0.1"], "no range of ports"),
        (["--rtp-ports", "twenty", "--host", "127.0.0.1"], "no range of ports"),
        (["--rtp-ports", "20000-29999", "--host", "localhost"], "no IP address"),
    ],
)
def test_a_wrong_argument_is_one_clear_line(tmp_path: Path, arguments: list[str], complaint: str) -> None:
    command = [sys.executable, "-m", "parkade.media", "--socket", str(tmp_path / "media"), *arguments]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE_S)
    assert ended.returncode == 2
    assert complaint in ended.stderr.splitlines()[-1]


def test_a_socket_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "parkade.media", "--rtp-ports", "0-0", "--host", HOST]
    command += ["--socket", str(tmp_path / "missing" / "media")]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE_S)
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert "cannot start" in ended.stderr


def test_what_a_failed_test_leaves_is_ended(tmp_path: Path) -> None:
    left = RealMedia(tmp_path)
    left.leg("a")
    end_what_runs()
    assert left.process.returncode == -signal.SIGKILL
    assert left.socket.fileno() == left.phones[0].rtp.fileno() == -1

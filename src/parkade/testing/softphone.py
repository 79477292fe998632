"""A ``FakePhone`` on real sockets: real SIP and real RTP, a tone for a voice and a recording for an ear.

For the demo and for benches, where many phones of which all is known are wanted in one process. It is our own stack talking to
itself, so it proves nothing about SIP: the interop tests with foreign phones do that. One call at a time, PCMU.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import numpy as np

from parkade.base.clock import Instant
from parkade.base.ids import Ids
from parkade.rtp import packet
from parkade.rtp.g711 import Samples, from_ulaw, to_ulaw
from parkade.sip.message.flow import Flow, Send
from parkade.sip.message.uri import host_port
from parkade.testing.fake_call import FakeCall
from parkade.testing.net import Address
from parkade.testing.phone import FakePhone

FRAME_S = 0.02
FRAME_SAMPLES = 160
VOICE_AMPLITUDE = 8000
_SO_TIMESTAMPNS = 35
"""Linux: the kernel stamps each datagram as it arrives, so that a busy reader does not look like a late sender."""


@dataclass(slots=True)
class Ear:
    """What was heard since ``clear``: payloads and the time each arrived, in seconds."""

    payloads: list[bytes] = field(default_factory=list)
    arrivals: list[float] = field(default_factory=list)

    def clear(self) -> None:
        """Listen anew."""
        self.payloads.clear()
        self.arrivals.clear()

    @property
    def samples(self) -> Samples:
        """Everything heard, one after the other."""
        return from_ulaw(b"".join(self.payloads))


class SoftPhone:
    """One phone on loopback. ``hz`` is its voice."""

    def __init__(self, name: str, password: str, hz: int, server: tuple[str, int], display: str = "") -> None:
        self.hz = hz
        self.ear = Ear()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._sip = _datagram_socket(server[0])
        self._rtp = _datagram_socket(server[0])
        host, port = self._sip.getsockname()[:2]
        self.phone = FakePhone(
            name,
            password,
            Address(host, port),
            Flow("UDP", *server),
            self,
            Ids(os.urandom),
            domain=host_port(server[0], None),
            display=display,
        )
        self.phone.first_rtp_port = self._rtp.getsockname()[1]
        self._rtp.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._loop.add_reader(self._sip, self._sip_readable)
        self._loop.add_reader(self._rtp, self._rtp_readable)
        self._speaking = self._loop.create_task(self._speak())

    def close(self) -> None:
        """Fall silent and give the sockets back."""
        self._speaking.cancel()
        if self._timer is not None:
            self._timer.cancel()
        for sock in (self._sip, self._rtp):
            self._loop.remove_reader(sock)
            sock.close()

    def do(self, action: Callable[[FakePhone], object]) -> None:
        """Let the phone do something, and send what comes of it."""
        action(self.phone)
        self._flush()

    # What a FakePhone needs of its world

    @property
    def now(self) -> Instant:
        """The real time."""
        return time.time()

    def after(self, seconds: float, action: Callable[[], object]) -> None:
        """Do ``action`` later."""
        self._loop.call_later(seconds, lambda: self.do(lambda _: action()))

    def hearing(self, call: FakeCall) -> str:
        """Not known by name here: listen to ``ear``."""
        raise NotImplementedError(f"{self.phone.name} really listens: see ear")

    def press_in_rtp(self, call: FakeCall, keys: str) -> None:
        """Not built: press keys by INFO."""
        raise NotImplementedError("press keys by INFO")

    # Sockets

    def _sip_readable(self) -> None:
        data, (host, port, *_) = self._sip.recvfrom(65535)
        self.phone.receive(Flow("UDP", host, port), data, self.now)
        self._flush()

    def _rtp_readable(self) -> None:
        data, ancillary, _, _ = self._rtp.recvmsg(2048, socket.CMSG_SPACE(16))
        arrived = packet.parse(data)
        if arrived is not None and arrived.payload_type == 0:
            self.ear.payloads.append(arrived.payload)
            self.ear.arrivals.extend(_arrival_s(stamp) for _, kind, stamp in ancillary if kind == _SO_TIMESTAMPNS)

    def _wake(self) -> None:
        self.phone.wake(self.now)
        self._flush()

    def _flush(self) -> None:
        for effect in self.phone.drain():
            if isinstance(effect, Send):
                self._sip.sendto(effect.data, (effect.flow.host, effect.flow.port))
        if self._timer is not None:
            self._timer.cancel()
        deadline = self.phone.deadline()
        self._timer = None if deadline is None else self._loop.call_later(max(0.0, deadline - self.now), self._wake)

    async def _speak(self) -> None:
        voice = _tone(self.hz)
        number, due = 0, self._loop.time()
        while True:
            due += FRAME_S
            await asyncio.sleep(due - self._loop.time())
            where = self._listener()
            if where is None:
                continue
            frame = voice[number * FRAME_SAMPLES % len(voice) :][:FRAME_SAMPLES]
            said = packet.Packet(0, number == 0, number & 0xFFFF, number * FRAME_SAMPLES & 0xFFFFFFFF, self.hz, frame)
            self._rtp.sendto(said.encode(), where)
            number += 1

    def _listener(self) -> tuple[str, int] | None:
        for call in self.phone.live:
            agreed = call.negotiator.agreed
            if call.is_up and agreed is not None and agreed.sends:
                return agreed.address, agreed.port
        return None


def _datagram_socket(server_host: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in server_host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
    return sock


def _arrival_s(stamp: bytes) -> float:
    seconds, nanoseconds = struct.unpack("@qq", stamp)
    return float(seconds) + float(nanoseconds) / 1e9


def _tone(hz: int) -> bytes:
    """One second, which any whole number of Hz fills without a seam."""
    at_s = np.arange(8000) / 8000
    return to_ulaw(cast(Samples, np.rint(np.sin(2 * np.pi * hz * at_s) * VOICE_AMPLITUDE).astype(np.int16)))

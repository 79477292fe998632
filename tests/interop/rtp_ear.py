"""A bare RTP port that only listens: when each packet came, and how it continues the one before.

For a phone that says nothing, whose gaps are to be measured; a soft phone's jitter buffer would hide them.
"""

from __future__ import annotations

import socket
import struct
import threading
from dataclasses import dataclass

import numpy as np

from parkade.rtp.g711 import from_ulaw
from tests.interop.hearing import Samples
from tests.interop.waiting import eventually

_SO_TIMESTAMPNS = 35
_HEADER = struct.Struct("!BBHII")


@dataclass(frozen=True, slots=True)
class Arrival:
    """One packet. ``at`` is the kernel's time in seconds, so that a late reader here is not a late sender there."""

    at: float
    ssrc: int
    sequence: int
    timestamp: int
    payload: bytes


class RtpEar:
    """Takes whatever comes to one port of loopback, PCMU without header extensions."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self.port: int = self._socket.getsockname()[1]
        self.arrivals: list[Arrival] = []
        self._thread = threading.Thread(target=self._listen, name="RTP ear", daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while True:
            data, ancillary, _, _ = self._socket.recvmsg(2048, 128)
            if not data:
                return
            if len(data) < _HEADER.size or data[0] >> 6 != 2:
                continue
            _, _, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
            seconds, nanoseconds = struct.unpack("ll", ancillary[0][2])
            self.arrivals.append(Arrival(seconds + nanoseconds / 1e9, ssrc, sequence, timestamp, data[_HEADER.size :]))

    def wait_for(self, packets: int) -> None:
        """Waits until so many more packets have come."""
        start = len(self.arrivals)
        eventually(lambda: len(self.arrivals) >= start + packets, f"{packets} more packets")

    def heard(self, since: int = 0) -> Samples:
        """What the packets from number ``since`` on sound like."""
        return np.concatenate([from_ulaw(arrival.payload) for arrival in self.arrivals[since:]])

    def close(self) -> None:
        """Stops listening."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join()
        self._socket.close()

"""Where the music goes: sockets that take what the server sends, and what can be said about it.

Times are the kernel's, taken when a packet reaches the socket, so that a late reader here does not count as a late sender
there.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
Times = NDArray[np.float64]

PTIME_MS = 20.0
_SO_RCVBUFFORCE = 33
_SO_TIMESTAMPNS = 35
_BUFFER_BYTES = 64 << 20
_AT_ONCE = 500
_NAP_S = 0.005


@dataclass(frozen=True, slots=True)
class Streams:
    """What was heard. ``packets``, ``lost`` and ``heard_s`` have one entry a stream.

    ``spacing_ms`` has one for each two packets that followed each other in a stream: how far they were from being 20 ms
    apart, or 20 ms more for each packet missing between them. ``gap_ms`` is the longest time that a stream was silent.
    """

    packets: Counts
    lost: Counts
    heard_s: Times
    spacing_ms: Times
    gap_ms: float

    @property
    def rates(self) -> Times:
        """Packets a second of each stream that had at least two."""
        enough = self.packets > 1
        rates: Times = (self.packets[enough] - 1) / self.heard_s[enough]
        return rates

    def spacing(self, percentile: float) -> float:
        """A percentile of the spacing in ms; 0 if nothing was heard."""
        return float(np.percentile(self.spacing_ms, percentile)) if len(self.spacing_ms) else 0.0


class Ear:
    """One port that is listened to; streams are told apart by SSRC."""

    def __init__(self) -> None:
        self._socket, self.port = _bound()
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
        except PermissionError:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        self._socket.setblocking(False)

    def listen(self, while_: Callable[[], bool]) -> Streams:
        """Take packets as long as ``while_()`` holds (asked now and then), and sum them up."""
        arrivals_ns: list[int] = []
        ssrcs: list[int] = []
        sequences: list[int] = []
        packet = bytearray(256)
        header, timespec = struct.Struct("!HxxxxI"), struct.Struct("qq")
        receive = self._socket.recvmsg_into
        while while_():
            for _ in range(_AT_ONCE):
                try:
                    _, ancillary, _, _ = receive([packet], 64)
                except BlockingIOError:
                    # Waiting in the system call would make each packet's sender pay for a wake-up, as no network does.
                    time.sleep(_NAP_S)
                    break
                sequence, ssrc = header.unpack_from(packet, 2)
                whole_s, ns = timespec.unpack(ancillary[0][2])
                arrivals_ns.append(whole_s * 1_000_000_000 + ns)
                ssrcs.append(ssrc)
                sequences.append(sequence)
        return _summed_up(np.array(arrivals_ns, np.int64), np.array(ssrcs, np.int64), np.array(sequences, np.int64))

    def listen_for(self, seconds: float) -> Streams:
        """Take packets for a while."""
        until = time.monotonic() + seconds
        return self.listen(lambda: time.monotonic() < until)

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()


class Deaf:
    """A port whose packets the kernel drops, for streams that are not looked at: no cheaper for the server, but for us."""

    def __init__(self) -> None:
        self._socket, self.port = _bound()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 0)

    def close(self) -> None:
        """Give the port back."""
        self._socket.close()


def _bound() -> tuple[socket.socket, int]:
    taker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    taker.bind(("127.0.0.1", 0))
    return taker, int(taker.getsockname()[1])


def _summed_up(at_ns: Counts, ssrc: Counts, sequence: Counts) -> Streams:
    order = np.lexsort((at_ns, ssrc))
    at_ns, ssrc, sequence = at_ns[order], ssrc[order], sequence[order]
    starts = np.flatnonzero(np.diff(ssrc, prepend=-1))
    ends = np.append(starts[1:], len(ssrc))[: len(starts)] - 1
    same = ssrc[1:] == ssrc[:-1]
    steps = (sequence[1:] - sequence[:-1])[same] % 65536
    apart_ms = np.diff(at_ns)[same] / 1e6
    missing = np.zeros(len(ssrc), np.int64)
    missing[1:][same] = steps - 1
    return Streams(
        packets=ends - starts + 1,
        lost=np.add.reduceat(missing, starts) if len(starts) else missing,
        heard_s=(at_ns[ends] - at_ns[starts]) / 1e9,
        spacing_ms=np.abs(apart_ms - PTIME_MS * steps),
        gap_ms=float(apart_ms.max()) if len(apart_ms) else 0.0,
    )

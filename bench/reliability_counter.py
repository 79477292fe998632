"""A packet counter: one UDP port to which every caller wants its sound, in a process of its own.

Streams are told apart by the server's port, which stays the same when its SSRC does not. Times are the kernel's, taken when a
packet reaches the socket. The same socket can speak: a tone to any of the server's ports, from where its caller says that it
is. Packets are taken many at a time (``recvmmsg``) and counted with numpy; 70,000 a second cost about a third of a core.

Limits: IPv4, Linux, 64-bit; packets of at most 400 bytes; what comes while a sum is made waits in the socket's buffer.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from parkade.rtp.g711 import Samples, from_ulaw, to_ulaw
from parkade.rtp.packet import Packet

PTIME_S = 0.04
"""How much sound a packet of a speaker has."""
_AT_ONCE = 1024
_SIZE, _CONTROL = 400, 32
_SO_RCVBUFFORCE, _SO_TIMESTAMPNS = 33, 35
_BUFFER_BYTES = 64 << 20
_NAP_S = 0.008
_PHASES = 4
_RATE_HZ = 8000
_AMPLITUDE = 8000

Numbers: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Stream:
    """What came from one port since the window was opened. Times are seconds of UTC.

    ``gap_s`` is the longest time between two packets next to each other, or from the last one to now if that is longer.
    ``missing`` counts sequence numbers that were passed over, ``backwards`` those that had been before, ``sources`` the
    changes of SSRC. ``recent`` is how many came in the last second.
    """

    packets: int
    recent: int
    gap_s: float
    resumed_at: float
    missing: int
    backwards: int
    sources: int


class Counter:
    """The counter as its owner sees it; close it."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), name="packet counter", daemon=True)
        self._process.start()
        theirs.close()
        self.port: int = self._pipe.recv()

    def open_window(self) -> None:
        """Forget what came, count from now."""
        self._ask("open")

    def streams(self) -> dict[int, Stream]:
        """What came from each of the server's ports."""
        return cast("dict[int, Stream]", self._ask("streams"))

    def speak(self, ports: Iterable[int], hz: int) -> None:
        """From now on say a tone to these ports of the server, until ``hush``."""
        self._ask("speak", tuple(ports), hz)

    def hush(self, ports: Iterable[int]) -> None:
        """Say nothing more to these, and keep no more of their sound."""
        self._ask("hush", tuple(ports))

    def listen(self, ports: Iterable[int]) -> None:
        """Keep the sound of these ports, until ``hush``."""
        self._ask("listen", tuple(ports))

    def heard(self, port: int) -> Samples:
        """What was kept up to now, u-law made into samples."""
        return from_ulaw(cast(bytes, self._ask("heard", port)))

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()
        self._pipe.close()

    def _ask(self, *question: object) -> object:
        self._pipe.send(question)
        return self._pipe.recv()


class _Many:
    """``recvmmsg`` into arrays that are used again and again."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._data = np.zeros((_AT_ONCE, _SIZE), np.uint8)
        self._names = np.zeros((_AT_ONCE, 16), np.uint8)
        self._control = np.zeros((_AT_ONCE, _CONTROL), np.uint8)
        vectors = np.zeros((_AT_ONCE, 2), np.uint64)  # struct iovec: base, length
        vectors[:, 0] = self._data.ctypes.data + np.arange(_AT_ONCE, dtype=np.uint64) * _SIZE
        vectors[:, 1] = _SIZE
        self._vectors = vectors
        # struct mmsghdr: name, its length, iov, how many, control, its length, flags; how much was received
        fresh = np.zeros((_AT_ONCE, 8), np.uint64)
        index = np.arange(_AT_ONCE, dtype=np.uint64)
        fresh[:, 0] = self._names.ctypes.data + index * 16
        fresh[:, 1] = 16
        fresh[:, 2] = vectors.ctypes.data + index * 16
        fresh[:, 3] = 1
        fresh[:, 4] = self._control.ctypes.data + index * _CONTROL
        fresh[:, 5] = _CONTROL
        self._fresh, self._headers = fresh, fresh.copy()

    def take(self) -> tuple[Numbers, Numbers, Numbers, Numbers, NDArray[np.uint8], Numbers] | None:
        """Time in ns, port, sequence, SSRC, the packets as they are and their sizes; None if nothing is there."""
        np.copyto(self._headers, self._fresh)
        count = self._libc.recvmmsg(self._fd, ctypes.c_void_p(self._headers.ctypes.data), _AT_ONCE, socket.MSG_DONTWAIT, None)
        if count <= 0:
            return None
        data, names = self._data[:count], self._names[:count].astype(np.int64)
        stamps = self._control[:count, 16:32].copy().view(np.int64)
        bytes_ = data[:, :12].astype(np.int64)
        sequence = bytes_[:, 2] << 8 | bytes_[:, 3]
        ssrc = bytes_[:, 8] << 24 | bytes_[:, 9] << 16 | bytes_[:, 10] << 8 | bytes_[:, 11]
        sizes = (self._headers[:count, 7] & np.uint64(0xFFFFFFFF)).astype(np.int64)
        return stamps[:, 0] * 1_000_000_000 + stamps[:, 1], names[:, 2] << 8 | names[:, 3], sequence, ssrc, data, sizes


class _Ears:
    """What has come since the window was opened."""

    def __init__(self) -> None:
        self._parts: list[tuple[Numbers, Numbers, Numbers, Numbers]] = []
        self._kept: dict[int, list[bytes]] = {}

    def open(self) -> None:
        self._parts.clear()

    def hear(self, many: _Many) -> bool:
        if (taken := many.take()) is None:
            return False
        at_ns, port, sequence, ssrc, data, sizes = taken
        self._parts.append((at_ns, port, sequence, ssrc))
        if self._kept:
            for row in np.flatnonzero(np.isin(port, list(self._kept))):
                self._kept[int(port[row])].append(data[row, 12 : sizes[row]].tobytes())
        return True

    def listen(self, ports: Iterable[int]) -> None:
        self._kept.update({port: [] for port in ports})

    def heard(self, port: int) -> bytes:
        return b"".join(self._kept.get(port, []))

    def forget(self, ports: Iterable[int]) -> None:
        for port in ports:
            self._kept.pop(port, None)

    def streams(self) -> dict[int, Stream]:
        if not self._parts:
            return {}
        now_ns = time.time_ns()
        at_ns, port, sequence, ssrc = (np.concatenate(columns) for columns in zip(*self._parts, strict=True))
        order = np.lexsort((at_ns, port))
        at_ns, port, sequence, ssrc = at_ns[order], port[order], sequence[order], ssrc[order]
        starts = np.flatnonzero(np.diff(port, prepend=-1))
        return {
            int(port[start]): _stream(at_ns[start:end], sequence[start:end], ssrc[start:end], now_ns)
            for start, end in zip(starts, [*starts[1:], len(port)], strict=True)
        }


def _stream(at_ns: Numbers, sequence: Numbers, ssrc: Numbers, now_ns: int) -> Stream:
    apart = np.diff(at_ns, append=now_ns)
    longest = int(np.argmax(apart))
    steps = (np.diff(sequence) + 32768) % 65536 - 32768
    same = ssrc[1:] == ssrc[:-1]
    return Stream(
        packets=len(at_ns),
        recent=int(np.count_nonzero(at_ns > now_ns - 1_000_000_000)),
        gap_s=float(apart[longest]) / 1e9,
        resumed_at=float(at_ns[longest + 1]) / 1e9 if longest + 1 < len(at_ns) else float("inf"),
        missing=int(np.sum(steps[same & (steps > 1)] - 1)),
        backwards=int(np.count_nonzero(same & (steps < 1))),
        sources=int(np.count_nonzero(~same)),
    )


class _Mouths:
    """Tones to ports of the server."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._speakers: dict[int, tuple[int, int, bytes]] = {}
        self._tones: dict[int, bytes] = {}
        self._began = self._due = time.monotonic()
        self._tick = 0

    def speak(self, ports: Iterable[int], hz: int) -> None:
        tone = self._tones.setdefault(hz, _tone(hz))
        for port in ports:
            self._speakers[port] = (port * 7919 & 0xFFFFFFFF, self._tick // _PHASES, tone)

    def hush(self, ports: Iterable[int]) -> None:
        for port in ports:
            self._speakers.pop(port, None)

    def say(self, now: float) -> None:
        """A quarter of the speakers, four times in a packet's length."""
        while self._due <= now:
            self._due += PTIME_S / _PHASES
            self._tick += 1
            self._say_one_phase(self._tick % _PHASES)

    def _say_one_phase(self, phase: int) -> None:
        number, size = self._tick // _PHASES, round(PTIME_S * _RATE_HZ)
        start = number * size % _RATE_HZ
        for port, (ssrc, since, tone) in self._speakers.items():
            if port // 2 % _PHASES == phase:
                frame = tone[start : start + size]
                packet = Packet(0, number == since, number & 0xFFFF, number * size & 0xFFFFFFFF, ssrc, frame)
                self._socket.sendto(packet.encode(), ("127.0.0.1", port))


def _tone(hz: int) -> bytes:
    """One second, which any whole number of Hz fills without a seam."""
    sine = np.sin(2 * np.pi * hz * np.arange(_RATE_HZ) / _RATE_HZ)
    return to_ulaw(cast(Samples, np.rint(sine * _AMPLITUDE).astype(np.int16)))


def _serve(pipe: Connection[Any, Any]) -> None:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
    except PermissionError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
    many, ears, mouths = _Many(sock.fileno()), _Ears(), _Mouths(sock)
    pipe.send(sock.getsockname()[1])
    children: list[int] = []
    while True:
        while ears.hear(many):
            mouths.say(time.monotonic())
        mouths.say(time.monotonic())
        children = [child for child in children if os.waitpid(child, os.WNOHANG) == (0, 0)]
        if not pipe.poll(_NAP_S):
            continue
        try:
            match pipe.recv():
                case ("open",):
                    ears.open()
                    pipe.send(None)
                case ("streams",):
                    # In a process of its own: it takes half a second, and a speaker may not fall silent meanwhile.
                    if (child := os.fork()) == 0:
                        pipe.send(ears.streams())
                        os._exit(0)
                    children.append(child)
                case ("speak", ports, hz):
                    mouths.speak(ports, hz)
                    pipe.send(None)
                case ("hush", ports):
                    mouths.hush(ports)
                    ears.forget(ports)
                    pipe.send(None)
                case ("listen", ports):
                    ears.listen(ports)
                    pipe.send(None)
                case ("heard", port):
                    pipe.send(ears.heard(port))
                case _:
                    return
        except (EOFError, OSError):
            return

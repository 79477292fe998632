"""Records what one leg says as a WAV file (8 kHz, 16 bit, mono).

The file is complete at any moment: its header never promises more than is there, so whatever kills the process leaves a
recording that can be played up to the last half second. Lost packets and pauses become silence of the same length; a packet
that comes out of order is left out. Files are written by ``run``, on another thread.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from struct import Struct

from parkade.base.clock import Instant
from parkade.media.worker import Run
from parkade.rtp.codecs import CODECS, Codec
from parkade.rtp.coders import CODERS
from parkade.rtp.keys import is_loud
from parkade.rtp.orders import Record, Recorded
from parkade.rtp.packet import CLOCK_HZ, Packet, timestamp_step

WRITE_EVERY_BYTES = CLOCK_HZ // 2
_SPOKEN_SHARE = 0.1
"""A packet is silent if fewer of its samples are loud."""
_HEADER = Struct("<4sI4s4sIHHIIHH4sI")


class Recording:
    """One recording. ``finished`` is called, by whoever runs the jobs, when the file is closed."""

    def __init__(self, order: Record, now: Instant, run: Run, finished: Callable[[Recorded], None]) -> None:
        self.order = order
        self._run = run
        self._finished = finished
        self._file = WavFile(Path(order.path))
        self._pieces: list[tuple[str, bytes]] = []
        self._held_bytes = 0
        self._began = self._spoke_at = now
        self._source = -1
        self._next = 0

    def take(self, packet: Packet, codec: str, now: Instant) -> None:
        """The next packet of the leg."""
        payload = packet.payload
        if packet.ssrc != self._source:
            self._source, self._next = packet.ssrc, packet.timestamp
        missing = timestamp_step(self._next, packet.timestamp)
        if missing < 0:
            return
        longest = max(0, round((now - self._began) * CLOCK_HZ)) + CLOCK_HZ - self._file.samples_given
        if missing > 0:
            self._hold(codec, CODECS[Codec(codec)].silence * min(missing, longest))
        self._hold(codec, payload)
        self._next = packet.timestamp + len(payload) & 0xFFFFFFFF
        if is_loud(payload, codec, _SPOKEN_SHARE):
            self._spoke_at = now
        if self._held_bytes >= WRITE_EVERY_BYTES:
            self._write()

    def deadline(self) -> Instant:
        """When it ends by itself, as far as is known now."""
        order = self.order
        return min(self._began + order.max_s, self._spoke_at + order.silence_s)

    def why_ended(self, now: Instant) -> str:
        """``max`` or ``silence``, once the deadline has passed."""
        return "max" if now >= self._began + self.order.max_s else "silence"

    def end(self, why: str) -> None:
        """Write the rest and report."""
        self._write()
        file, order, finished = self._file, self.order, self._finished

        def close() -> None:
            file.close()
            reason = "failed" if file.failed else why
            finished(Recorded(order.leg, order.path, file.samples / CLOCK_HZ, reason))

        self._run(close)

    def _hold(self, codec: str, payload: bytes) -> None:
        if payload:
            self._pieces.append((codec, payload))
            self._held_bytes += len(payload)
            self._file.samples_given += len(payload)

    def _write(self) -> None:
        pieces, self._pieces, self._held_bytes = self._pieces, [], 0
        file = self._file
        self._run(lambda: file.append(pieces))


class WavFile:
    """A file that grows. After the first error nothing more is written, and ``failed`` is true."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1
        self.samples = 0
        """Written."""
        self.samples_given = 0
        """To be written in the end; counted by whoever records."""
        self.failed = False

    def append(self, pieces: list[tuple[str, bytes]]) -> None:
        """Write payloads, first the samples, then the header that counts them."""
        if self.failed:
            return
        try:
            if self._descriptor < 0:
                self._descriptor = os.open(self._path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC, 0o600)
                os.pwrite(self._descriptor, _header(0), 0)
            data = b"".join(CODERS[codec].decode(payload).astype("<i2").tobytes() for codec, payload in pieces)
            os.pwrite(self._descriptor, data, _HEADER.size + 2 * self.samples)
            self.samples += len(data) // 2
            os.pwrite(self._descriptor, _header(self.samples), 0)
        except OSError:
            self.failed = True

    def close(self) -> None:
        """No more will come."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _header(samples: int) -> bytes:
    size = 2 * samples
    return _HEADER.pack(b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, 1, 1, CLOCK_HZ, 2 * CLOCK_HZ, 2, 16, b"data", size)

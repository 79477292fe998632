"""G.711 as tables: u-law (PCMU) and A-law (PCMA) to each other and to 16-bit linear samples.

Codes are turned into each other by ``bytes.translate``, which costs far less than the packet around them. Linear samples are
for making sounds and for listening to them, never for relaying.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]
"""8000 samples a second, full scale."""


def _ulaw_sample(code: int) -> int:
    """ITU-T G.711 table 2a: sign, 3 bits of exponent, 4 of mantissa, all inverted; scaled from 14 to 16 bits."""
    code = ~code & 0xFF
    magnitude = ((code & 0x0F) << 3) + 0x84 << (code >> 4 & 7)
    return 0x84 - magnitude if code & 0x80 else magnitude - 0x84


def _alaw_sample(code: int) -> int:
    """ITU-T G.711 table 1a: as above with every other bit inverted and a linear first segment; scaled from 13 to 16 bits."""
    code ^= 0x55
    exponent, magnitude = code >> 4 & 7, ((code & 0x0F) << 4) + 8
    if exponent:
        magnitude = magnitude + 0x100 << exponent - 1
    return magnitude if code & 0x80 else -magnitude


def _nearest(table: Samples) -> NDArray[np.uint8]:
    """The code whose sample is nearest, for every 16-bit sample from -32768 up. Of two zeros the positive one wins."""
    order = np.argsort(table, kind="stable").astype(np.uint8)
    levels = table[order].astype(np.int32)
    borders = (levels[:-1] + levels[1:] + 1) // 2
    return order[np.searchsorted(borders, np.arange(-32768, 32768), side="right")]


_FROM_ULAW: Samples = np.array([_ulaw_sample(code) for code in range(256)], np.int16)
_FROM_ALAW: Samples = np.array([_alaw_sample(code) for code in range(256)], np.int16)
_TO_ULAW = _nearest(_FROM_ULAW)
_TO_ALAW = _nearest(_FROM_ALAW)

ULAW_TO_ALAW = _TO_ALAW[_FROM_ULAW.astype(np.int32) + 32768].tobytes()
"""For ``payload.translate``."""
ALAW_TO_ULAW = _TO_ULAW[_FROM_ALAW.astype(np.int32) + 32768].tobytes()
"""For ``payload.translate``."""

ULAW_SILENCE = 0xFF
ALAW_SILENCE = 0xD5


def from_ulaw(payload: bytes) -> Samples:
    """Linear samples of a PCMU payload."""
    return _FROM_ULAW[np.frombuffer(payload, np.uint8)]


def from_alaw(payload: bytes) -> Samples:
    """Linear samples of a PCMA payload."""
    return _FROM_ALAW[np.frombuffer(payload, np.uint8)]


def to_ulaw(samples: Samples) -> bytes:
    """The PCMU payload nearest to ``samples``."""
    return _TO_ULAW[samples.astype(np.int32) + 32768].tobytes()


def to_alaw(samples: Samples) -> bytes:
    """The PCMA payload nearest to ``samples``."""
    return _TO_ALAW[samples.astype(np.int32) + 32768].tobytes()

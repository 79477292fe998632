"""The audio codecs that are spoken here, one row each: what descriptions, packets and sounds need to know of them.

To speak another one, add its row here and its coder to ``coders``. This module needs no numpy, because signalling imports it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple


class Codec(StrEnum):
    """What audio is coded in, by its name in ``a=rtpmap``."""

    PCMU = "PCMU"
    PCMA = "PCMA"


class Facts(NamedTuple):
    """``clock_hz`` is the RTP clock, ``static_number`` the payload type that needs no ``a=rtpmap`` (:rfc:`3551` section 6).

    ``bytes_per_ms`` is the size of a payload of one millisecond, ``silence`` one octet of digital silence.
    """

    clock_hz: int
    static_number: int
    bytes_per_ms: int
    silence: bytes


CODECS: Mapping[Codec, Facts] = MappingProxyType(
    {
        Codec.PCMU: Facts(clock_hz=8000, static_number=0, bytes_per_ms=8, silence=b"\xff"),
        Codec.PCMA: Facts(clock_hz=8000, static_number=8, bytes_per_ms=8, silence=b"\xd5"),
    }
)
"""In the order in which we offer them."""

BY_STATIC_NUMBER: Mapping[int, Codec] = MappingProxyType({facts.static_number: codec for codec, facts in CODECS.items()})
BY_ENCODING: Mapping[tuple[str, int], Codec] = MappingProxyType(
    {(codec.value, facts.clock_hz): codec for codec, facts in CODECS.items()}
)
"""By name and clock as ``a=rtpmap`` has them."""

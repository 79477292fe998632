"""Payloads to samples and back, and from one codec to another: the rows of ``codecs`` as functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from parkade.rtp.codecs import Codec
from parkade.rtp.g711 import ALAW_TO_ULAW, ULAW_TO_ALAW, Samples, from_alaw, from_ulaw, to_alaw, to_ulaw


class Coder(NamedTuple):
    """``encode`` gives the payload of samples (8000 a second, 16 bit), ``decode`` the samples of a payload."""

    encode: Callable[[Samples], bytes]
    decode: Callable[[bytes], Samples]


CODERS: Mapping[str, Coder] = MappingProxyType({Codec.PCMU: Coder(to_ulaw, from_ulaw), Codec.PCMA: Coder(to_alaw, from_alaw)})

INTO: Mapping[tuple[str, str], bytes] = MappingProxyType(
    {(Codec.PCMU, Codec.PCMA): ULAW_TO_ALAW, (Codec.PCMA, Codec.PCMU): ALAW_TO_ULAW}
)
"""From one codec into another, for ``payload.translate``: octet by octet, which costs far less than the packet around it."""

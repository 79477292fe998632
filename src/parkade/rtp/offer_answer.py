"""Offer and answer (:rfc:`3264`) for one leg that speaks one G.711 audio stream.

An ``AudioNegotiator`` writes our offers and answers, reads the other side's and keeps what was agreed. A description that
cannot be accepted raises and changes nothing. It is not a session: when an offer may be made, who waits for an answer
and what happens after glare belongs to SIP.

Spoken here: PCMU and PCMA at 8000 Hz under any payload type, and telephone-event/8000 (:rfc:`4733`). We answer with one codec,
so that the sound of a call does not change its coding unasked. RTP/AVPF is answered in kind but no feedback is sent.
Secure profiles, streams other than the first usable audio and hosts given by name are declined.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from ipaddress import ip_address
from typing import NamedTuple

from parkade.base.journal import Json, KeptError
from parkade.base.values import valueclass
from parkade.rtp.codecs import BY_ENCODING, CODECS, Codec
from parkade.rtp.sdp import (
    Attribute,
    Direction,
    Media,
    Origin,
    SdpError,
    SessionDescription,
    parse_sdp,
)

PTIME_MS = 20
"""The packet time we ask for, and use where the other side does not ask for another."""

_PTIMES_MS = frozenset({10, 20, 30, 40, 50, 60})
_PROTOCOLS = frozenset({"RTP/AVP", "RTP/AVPF"})
_DTMF = ("TELEPHONE-EVENT", 8000)
_DTMF_PAYLOAD_TYPE = 101
_KEY_EVENTS = "0-15"


class NotAcceptable(SdpError):  # noqa: N818 the name of its status
    """A description with which no conversation is possible: no codec, address or stream in common (SIP 488)."""


@valueclass(frozen=True, slots=True)
class Agreed:
    """What both sides have agreed on, as the media plane needs it.

    ``address``, ``port`` and ``rtcp_port`` are the far side's (``rtcp_port`` equals ``port`` under rtcp-mux).
    ``payload_type`` and ``dtmf_payload_type`` are the numbers to send; the far side may send any codec that we offered under
    the number that we offered, and key events under ``dtmf_also``, which is the number that we offered if it is another one.
    ``sends`` and ``receives`` are seen from us. ``remote_on_hold``: the far side does
    not want to hear us, whichever way it said so.
    """

    address: str
    port: int
    rtcp_port: int
    codec: Codec
    payload_type: int
    dtmf_payload_type: int | None
    ptime_ms: int
    sends: bool
    receives: bool
    remote_on_hold: bool
    dtmf_also: int | None = None


class _Address(NamedTuple):
    """An IP address in canonical form. ``unspecified`` is all zeros."""

    text: str
    version: int
    unspecified: bool


class _Terms(NamedTuple):
    """What the attributes of an audio stream say: our codecs among its formats in its order, and how it wants them."""

    codecs: dict[Codec, int]
    dtmf_payload_type: int | None
    ptime_ms: int
    mux: bool
    rtcp: str
    direction: Direction


class _Heard(NamedTuple):
    """One usable audio stream of the far side's description."""

    line: int
    media: Media
    address: _Address
    terms: _Terms


class AudioNegotiator:
    """The offer/answer state of one leg."""

    __slots__ = (
        "_agreed",
        "_considered",
        "_considered_body",
        "_dtmf_offered",
        "_host",
        "_ip_version",
        "_lines",
        "_offered",
        "_port",
        "_said",
        "_session_id",
        "_version",
    )

    def __init__(self, host: str, port: int, session_id: int, version: int) -> None:
        """``host`` (IPv4 or IPv6, no brackets) and ``port`` are where we want RTP; RTCP is expected on the next port.

        ``session_id`` and ``version`` number our descriptions (``o=``), below 2**63.
        """
        self._host = host
        self._ip_version = 6 if ":" in host else 4
        self._port = port
        self._session_id = session_id
        self._version = version
        self._said: SessionDescription | None = None
        self._offered: Direction | None = None
        self._lines: tuple[Media, ...] = ()
        """The ``m=`` lines of the session: a later offer has the same number of them in the same order."""
        self._agreed: Agreed | None = None
        self._considered: tuple[SessionDescription, _Heard | None] | None = None
        self._considered_body = b""
        self._dtmf_offered: int | None = None

    @property
    def agreed(self) -> Agreed | None:
        """The outcome of the last complete exchange; None before the first."""
        return self._agreed

    @property
    def codec(self) -> Codec | None:
        """The codec in use, or else the one that the offer under consideration asks for first."""
        if self._agreed is not None:
            return self._agreed.codec
        heard = self._considered[1] if self._considered else None
        return next(iter(heard.terms.codecs)) if heard else None

    def snapshot(self) -> dict[str, Json]:
        """What ``restore`` needs besides the description that we gave last."""
        agreed = self._agreed
        value: dict[str, Json] = {"host": self._host, "port": self._port, "id": self._session_id, "version": self._version}
        if agreed is not None:
            value["agreed"] = [
                agreed.address,
                agreed.port,
                agreed.rtcp_port,
                agreed.codec.value,
                agreed.payload_type,
                agreed.dtmf_payload_type,
                agreed.ptime_ms,
                agreed.sends,
                agreed.receives,
                agreed.remote_on_hold,
                agreed.dtmf_also,
            ]
        if self._offered is not None:
            value["offered"] = self._offered.value
        if self._dtmf_offered is not None:
            value["dtmf_offered"] = self._dtmf_offered
        return value

    @classmethod
    def restore(cls, value: Mapping[str, Json], said: bytes) -> AudioNegotiator:
        """The negotiator of ``value``; ``said`` is what it wrote last, empty if nothing. Raises ``KeptError``."""
        try:
            negotiator = cls(str(value["host"]), _int(value["port"]), _int(value["id"]), _int(value["version"]))
            if said:
                negotiator._said = parse_sdp(said)
                negotiator._lines = negotiator._said.media
            if (agreed := value.get("agreed")) is not None:
                negotiator._agreed = _agreed_of(agreed)
            if (offered := value.get("offered")) is not None:
                negotiator._offered = Direction(str(offered))
            if (dtmf := value.get("dtmf_offered")) is not None:
                negotiator._dtmf_offered = _int(dtmf)
        except (KeyError, TypeError, ValueError, SdpError) as error:
            raise KeptError(f"a kept audio negotiation that cannot be read: {error!r}") from error
        return negotiator

    def move(self, port: int) -> None:
        """From now on we want RTP at ``port``; what is said next says so."""
        self._port = port

    def offer(self, direction: Direction = Direction.SENDRECV, prefer: Codec | None = None) -> bytes:
        """Everything we can do, ``prefer`` first, else the codec in use. Unchanged words keep their version (section 8)."""
        codecs = self._numbers()
        first = prefer or (self._agreed.codec if self._agreed else Codec.PCMU)
        ordered = {first: codecs[first]} | codecs
        dtmf = self._agreed.dtmf_payload_type if self._agreed else None
        if dtmf is None:
            dtmf = _DTMF_PAYLOAD_TYPE if _DTMF_PAYLOAD_TYPE not in codecs.values() else _DTMF_PAYLOAD_TYPE + 1
        self._dtmf_offered = dtmf
        index = self._audio_line()
        protocol = self._lines[index].protocol if self._lines else "RTP/AVP"
        audio = Media("audio", self._port, protocol, *_audio(tuple(ordered.items()), dtmf, direction))
        self._offered = direction
        return self._say(tuple(audio if i == index else _declined(m) for i, m in enumerate(self._lines or (audio,))), "0 0")

    def answer(self, remote: bytes, prefer: Codec | None = None, direction: Direction = Direction.SENDRECV) -> bytes:
        """Our answer to the offer ``remote``, no wider than ``direction``.

        The codec is ``prefer`` if offered, else the one in use, else the far side's first. Raises ``SdpError``
        if the offer cannot be read and ``NotAcceptable`` if there is nothing in common; what was agreed then still holds.
        """
        offered, heard = self._considered if self._considered and self._considered_body is remote else self._read(remote)
        self._considered = None
        if heard is None and self._agreed is not None:
            return self._answer_with_none(offered, self._agreed)
        assert heard is not None
        in_use, codecs, mux = self._agreed.codec if self._agreed else None, heard.terms.codecs, heard.terms.mux
        codec = next((c for c in (prefer, in_use) if c in codecs), None) or next(iter(codecs))
        agreed = self._agreement(heard, codec, direction, mux=mux)
        flow = Direction.of(sends=agreed.sends, receives=agreed.receives)
        words = _audio(((codec, agreed.payload_type),), agreed.dtmf_payload_type, flow, mux=mux)
        ours = Media("audio", self._port, heard.media.protocol, *words)
        self._agreed, self._offered = agreed, direction
        lines = [ours if i == heard.line else _declined(m) for i, m in enumerate(offered.media)]
        return self._say(tuple(lines), offered.timing)

    def consider(self, remote: bytes) -> None:
        """Raise now whatever ``answer`` would raise for this offer; its reading is kept for the answer."""
        self._considered, self._considered_body = self._read(remote), remote

    def _read(self, remote: bytes) -> tuple[SessionDescription, _Heard | None]:
        offered = parse_sdp(remote)
        return offered, self._usable(offered)

    def receive_answer(self, remote: bytes) -> None:
        """Take the far side's answer to our last offer. The same answer, or a later one, may come again.

        Raises ``SdpError`` if it cannot be read, ``NotAcceptable`` if it declines all that we offered.
        """
        answered = parse_sdp(remote)
        if self._offered is None:
            raise SdpError("an answer without an offer")
        heard = self._usable(answered)
        if heard is None:
            raise NotAcceptable("the audio stream was declined")
        self._agreed = self._agreement(heard, next(iter(heard.terms.codecs)), self._offered, mux=False)

    def _usable(self, remote: SessionDescription) -> _Heard | None:
        """The first audio stream that can be used; None if the far side now switches all streams off (port 0).

        Raises ``NotAcceptable`` if none can be used: also if audio is switched off and something else is wanted instead, as a
        fax wants T.38, so that the far side falls back instead of keeping a session with nothing in it.
        """
        why = "no audio stream over plain RTP"
        off = False
        for index, media in enumerate(remote.media):
            if media.kind != "audio" or media.protocol.upper() not in _PROTOCOLS:
                continue
            if media.port == 0:
                off = True
                continue
            terms = _terms(remote, media)
            if not terms.codecs:
                why = "no common codec: PCMU and PCMA are spoken here"
                continue
            said = remote.address_of(media) or ""
            address = _address(said)
            if address is None or not (address.unspecified or address.version == self._ip_version):
                why = f"no address that can be sent to: {said[:60] or 'none given'}"
                continue
            return _Heard(index, media, address, terms)
        if off and not any(media.port for media in remote.media):
            if self._agreed is not None:
                return None
            why = "every audio stream is switched off"
        raise NotAcceptable(why)

    def _agreement(self, heard: _Heard, codec: Codec, ours: Direction, *, mux: bool) -> Agreed:
        address, port, terms = heard.address, heard.media.port, heard.terms
        dtmf, dtmf_offered = terms.dtmf_payload_type, self._dtmf_offered
        # An address of zeros is how hold was said before RFC 3264 (its section 8.4).
        wants = terms.direction.receives and not address.unspecified
        return Agreed(
            address=address.text,
            port=port,
            rtcp_port=port if mux else _rtcp_port(terms.rtcp, port),
            codec=codec,
            payload_type=terms.codecs[codec],
            dtmf_payload_type=dtmf,
            ptime_ms=terms.ptime_ms,
            sends=ours.sends and wants,
            receives=ours.receives and terms.direction.sends,
            remote_on_hold=not wants,
            dtmf_also=None if dtmf is None or dtmf_offered == dtmf else dtmf_offered,
        )

    def _answer_with_none(self, offered: SessionDescription, was: Agreed) -> bytes:
        """The far side keeps the call but switches its audio off; a stream offered with port 0 is answered with port 0."""
        self._agreed = replace(was, sends=False, receives=False, remote_on_hold=True)
        self._offered = None
        return self._say(tuple(map(_declined, offered.media)), offered.timing)

    def _audio_line(self) -> int:
        """Which of the session's lines is ours: the one in use, else the first that could be."""
        used = (i for i, media in enumerate(self._lines) if media.port)
        usable = (i for i, media in enumerate(self._lines) if media.kind == "audio" and media.protocol.upper() in _PROTOCOLS)
        return next(used, next(usable, 0))

    def _numbers(self) -> dict[Codec, int]:
        """Payload types for our offers: a number that has a meaning keeps it for the whole session (section 8.3.2)."""
        numbers = {codec: facts.static_number for codec, facts in CODECS.items()}
        if self._agreed:
            numbers[self._agreed.codec] = self._agreed.payload_type
        return numbers

    def _say(self, lines: tuple[Media, ...], timing: str) -> bytes:
        said = self._said
        if said is None or said.media != lines or said.timing != timing:
            if said is not None:
                self._version += 1
            origin = Origin("-", self._session_id, self._version, self._host)
            self._said = said = SessionDescription(origin, self._host, lines, timing=timing)
        self._lines = lines
        return said.encode()


def _agreed_of(value: Json) -> Agreed:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise TypeError("not a list")
    address, port, rtcp_port, codec, payload_type, dtmf, ptime_ms, sends, receives, on_hold, *more = value
    return Agreed(
        str(address),
        _int(port),
        _int(rtcp_port),
        Codec(str(codec)),
        _int(payload_type),
        None if dtmf is None else _int(dtmf),
        _int(ptime_ms),
        sends is True,
        receives is True,
        on_hold is True,
        None if not more or more[0] is None else _int(more[0]),
    )


def _int(value: Json) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("not a number")
    return value


def _terms(remote: SessionDescription, media: Media) -> _Terms:
    # A phone says the same in every call, but for address and port; what is longer than phones' own is not remembered.
    few = len(media.attributes) + len(remote.attributes) + len(media.formats) <= _REMEMBERED_TERMS
    return (_known_terms if few else _read_terms)(media.formats, media.attributes, remote.attributes)


def _read_terms(formats: tuple[str, ...], own: tuple[Attribute, ...], of_session: tuple[Attribute, ...]) -> _Terms:
    media = Media("audio", 0, "RTP/AVP", formats, None, own)
    codecs: dict[Codec, int] = {}
    dtmf: int | None = None
    for number, encoding in media.rtpmap().items():
        if encoding in BY_ENCODING:
            codecs.setdefault(BY_ENCODING[encoding], number)
        elif encoding == _DTMF and dtmf is None:
            dtmf = number
    values = {attribute.name: attribute.value for attribute in reversed(own)}
    direction = SessionDescription(Origin(), None, (media,), attributes=of_session).direction_of(media)
    return _Terms(codecs, dtmf, _ptime_ms(values), "rtcp-mux" in values, values.get("rtcp", ""), direction)


_REMEMBERED_TERMS = 50
_known_terms = lru_cache(maxsize=1024)(_read_terms)


@lru_cache
def _audio(
    codecs: tuple[tuple[Codec, int], ...], dtmf: int | None, direction: Direction, *, mux: bool = False
) -> tuple[tuple[str, ...], None, tuple[Attribute, ...]]:
    """Formats, connection and attributes of our audio line; there are few different ones."""
    attributes = [Attribute("rtpmap", f"{number} {codec.value}/{CODECS[codec].clock_hz}") for codec, number in codecs]
    formats = [str(number) for _, number in codecs]
    if dtmf is not None:
        formats.append(str(dtmf))
        attributes += (Attribute("rtpmap", f"{dtmf} telephone-event/8000"), Attribute("fmtp", f"{dtmf} {_KEY_EVENTS}"))
    attributes.append(Attribute("ptime", str(PTIME_MS)))
    if mux:
        attributes.append(Attribute("rtcp-mux"))
    attributes.append(Attribute(direction.value))
    return tuple(formats), None, tuple(attributes)


@lru_cache(maxsize=4096)
def _address(text: str) -> _Address | None:
    """The unicast address that ``text`` is, if any. Remembered, because phones keep theirs from call to call."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return None if address.is_multicast else _Address(str(address), address.version, address.is_unspecified)


def _declined(media: Media) -> Media:
    return Media(media.kind, 0, media.protocol, media.formats or ("0",))


def _rtcp_port(said: str, rtp_port: int) -> int:
    """Where the far side wants RTCP: ``a=rtcp`` (:rfc:`3605`) or the next port."""
    port = int(text) if (text := said.partition(" ")[0]).isascii() and text.isdigit() and len(text) <= 5 else 0
    return port if 0 < port < 65536 else min(rtp_port + 1, 65535)


def _ptime_ms(values: dict[str, str]) -> int:
    wanted = min(_milliseconds(values.get("ptime", "")) or PTIME_MS, _milliseconds(values.get("maxptime", "")) or 60)
    return wanted if wanted in _PTIMES_MS else PTIME_MS


def _milliseconds(text: str) -> int | None:
    """``20`` or, as some write, ``20.0``."""
    whole = text.partition(".")[0]
    return int(whole) if whole.isascii() and whole.isdigit() and len(whole) <= 4 else None

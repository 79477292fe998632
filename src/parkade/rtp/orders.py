"""The language between signalling and a media process: orders down, reports up, one JSON array a line.

A media process keeps a reserve of bound, even-numbered RTP ports (RTCP on the next odd one) and announces them with
``PortsReady``; signalling takes one from the reserve for each leg, so an SDP body is written without waiting.
Legs are known by ids that signalling chose. Orders are performed in the order sent and are never answered, except
through reports.

Either process may die. A connection begins with ``Inventory`` (of all legs the media process has), ``PortsReady`` (of all
ports that are free: those told before are void), then the reports made while nobody was connected. Signalling closes the
legs it does not know, opens those that are missing on the ports they had, and may say ``Describe`` and ``Hear`` again for
every leg: both change nothing if nothing is new.
"""

from __future__ import annotations

from dataclasses import field
from typing import TypeAlias

from parkade.base.sound import Sound
from parkade.base.values import valueclass


@valueclass(frozen=True, slots=True)
class OpenLeg:
    """Give ``leg`` the RTP port ``port``. Nothing is sent or accepted before ``Describe``.

    A port that is not in reserve is bound if it is free: so a leg gets back the port it had in a media process that died.
    If the state file remembers this leg on this port, its stream goes on (SSRC, numbers, the address it was sent to).
    If the port cannot be had, the report is ``LegFailed``.
    """

    leg: str
    port: int


@valueclass(frozen=True, slots=True)
class Describe:
    """What offer/answer agreed for ``leg``; sent again after each re-negotiation.

    ``address``/``port`` is where the far side wants RTP, ``rtcp_port`` its RTCP (equal to ``port`` under rtcp-mux).
    ``codec`` is ``PCMU`` or ``PCMA`` and ``payload_type`` the number to send it under (0 and 8 unless it was agreed
    otherwise). ``dtmf_payload_type`` is the telephone-event number to send, or None; events are taken under that number and
    under ``dtmf_also``. With ``listen_for_tones`` keys are also looked for in the sound, until the first event shows that the
    phone sends events. ``sends``/``receives`` are seen from us: may we send to it, will it send to us.
    ``again``: the far side has said nothing new, this is only told once more.
    """

    leg: str
    address: str
    port: int
    rtcp_port: int
    codec: str
    payload_type: int
    dtmf_payload_type: int | None
    ptime_ms: int
    sends: bool
    receives: bool
    listen_for_tones: bool = False
    dtmf_also: int | None = None
    again: bool = False


@valueclass(frozen=True, slots=True)
class Hear:
    """``leg`` hears ``sound`` from now on, without a gap; a ``Spoken`` still playing is cut off unreported."""

    leg: str
    sound: Sound


@valueclass(frozen=True, slots=True)
class Record:
    """Record what the phone of ``leg`` says to the WAV file ``path`` (8 kHz, 16 bit), which is replaced if it is there.

    It ends after ``max_s``, or when nothing was said for ``silence_s``, or by ``StopRecording``, or with the leg; then the
    report is ``Recorded``. A leg has one recording at a time: a further ``Record`` stops the one before.
    """

    leg: str
    path: str
    max_s: float
    silence_s: float


@valueclass(frozen=True, slots=True)
class StopRecording:
    """End the recording of ``leg``, if there is one."""

    leg: str


@valueclass(frozen=True, slots=True)
class CloseLeg:
    """Send RTCP BYE, report ``LegClosed``, forget ``leg``; legs that heard it hear silence."""

    leg: str


Order: TypeAlias = OpenLeg | Describe | Hear | Record | StopRecording | CloseLeg


@valueclass(frozen=True, slots=True)
class PortsReady:
    """Further reserved RTP ports, each announced once and valid until a leg opened on it is closed."""

    ports: tuple[int, ...]


@valueclass(frozen=True, slots=True)
class PortsExhausted:
    """No port is free and none can be bound. The next ``PortsReady`` ends it."""


@valueclass(frozen=True, slots=True)
class LegState:
    """One leg in an ``Inventory``: its RTP port, what it hears by the last order, and what its stream has come to.

    ``ssrc`` is that of the stream sent to the far side, ``sequence`` the number sent last, ``timestamp`` the one that comes
    next. ``source`` is the address that packets go to (IP literal and port), None while it is not known.
    """

    leg: str
    port: int
    ssrc: int
    sequence: int
    timestamp: int
    source: tuple[str, int] | None
    sound: Sound


@valueclass(frozen=True, slots=True)
class Inventory:
    """The legs that are open, first thing on each connection. A long one comes in parts; ``complete`` is the last of them."""

    legs: tuple[LegState, ...]
    complete: bool = True


@valueclass(frozen=True, slots=True)
class KeyHeard:
    """A keypad key (``0-9*#A-D``) of ``leg``, once a press, from RFC 4733 events or tones in the audio."""

    leg: str
    key: str


@valueclass(frozen=True, slots=True)
class PromptEnded:
    """A ``Spoken`` was played to its end."""

    leg: str
    prompt: str


@valueclass(frozen=True, slots=True)
class Recorded:
    """A recording is complete. ``why``: ``max``, ``silence``, ``stopped``, ``closed``, or ``failed`` (could not be written)."""

    leg: str
    path: str
    duration_s: float
    why: str


@valueclass(frozen=True, slots=True)
class LegSilent:
    """Neither RTP nor RTCP came from the phone of a described leg for ``silent_s``; told again after each further period.

    That is no proof that the phone is gone: one that was put on hold may send nothing.
    """

    leg: str
    silent_s: float


@valueclass(frozen=True, slots=True)
class LegFailed:
    """``leg`` could not be opened: ``port`` is another leg's or another program's. The leg does not exist."""

    leg: str
    port: int


@valueclass(frozen=True, slots=True)
class LegClosed:
    """Figures of a closed leg: packets each way, lost by our count, strangers' packets refused, and the jitter of what came, in
    timestamp units, as RTCP has it at the end.
    """

    leg: str
    sent: int
    received: int
    lost: int
    refused: int
    jitter: int = field(default=0, compare=False)


Report: TypeAlias = (
    PortsReady | PortsExhausted | Inventory | KeyHeard | PromptEnded | Recorded | LegSilent | LegFailed | LegClosed
)

"""Orders and reports (``rtp.orders``) as lines: one JSON object a line, UTF-8, the same on both ends of the unix socket.

``{"do": "open", "leg": "a1", "port": 20000}`` is an order, ``{"told": "key", "leg": "a1", "key": "#"}`` a report. Unknown
members are ignored, so that an older end understands a newer one; an unknown verb or a member of the wrong type is a
``WireError``. Limits: a line is at most ``LINE_LIMIT`` bytes.
"""

from __future__ import annotations

import json
from typing import TypeVar, assert_never

from parkade.base.errors import ParkadeError
from parkade.base.sound import Music, Peer, Silence, Sound, Spoken, Tone
from parkade.rtp.orders import (
    CloseLeg,
    Describe,
    Hear,
    KeyHeard,
    LegClosed,
    OpenLeg,
    Order,
    PortsReady,
    PromptEnded,
    Report,
)

LINE_LIMIT = 65536

T = TypeVar("T")
Object = dict[str, object]


class WireError(ParkadeError):
    """A line that is no order or report."""


def _member(source: Object, name: str, kind: type[T]) -> T:
    value = source.get(name)
    # bool is an int to Python, but not on the wire.
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise WireError(f"{name!r} should be {kind.__name__}: {value!r}")
    return value


def _strings(source: Object, name: str) -> tuple[str, ...]:
    values = _member(source, name, list)
    if not all(isinstance(value, str) for value in values):
        raise WireError(f"{name!r} should hold strings: {values!r}")
    return tuple(values)


def _ports(source: Object, name: str) -> tuple[int, ...]:
    values = _member(source, name, list)
    if not all(type(value) is int for value in values):
        raise WireError(f"{name!r} should hold numbers: {values!r}")
    return tuple(values)


def _object(line: bytes | bytearray) -> Object:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise WireError(f"not JSON: {error}") from None
    if not isinstance(value, dict):
        raise WireError("not a JSON object")
    return value


def _line(value: Object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def _sound_as_object(sound: Sound) -> Object:
    match sound:
        case Silence():
            return {"is": "silence"}
        case Music(name):
            return {"is": "music", "name": name}
        case Tone(name):
            return {"is": "tone", "name": name}
        case Peer(leg):
            return {"is": "peer", "leg": leg}
        case Spoken(prompt, language, phrases):
            return {"is": "spoken", "prompt": prompt, "language": language, "phrases": phrases}
    assert_never(sound)


def _sound_from_object(source: Object) -> Sound:
    match source.get("is"):
        case "silence":
            return Silence()
        case "music":
            return Music(_member(source, "name", str))
        case "tone":
            return Tone(_member(source, "name", str))
        case "peer":
            return Peer(_member(source, "leg", str))
        case "spoken":
            return Spoken(_member(source, "prompt", str), _member(source, "language", str), _strings(source, "phrases"))
        case other:
            raise WireError(f"unknown sound {other!r}")


def order_to_line(order: Order) -> bytes:
    """One line, newline included."""
    match order:
        case OpenLeg(leg, port):
            return _line({"do": "open", "leg": leg, "port": port})
        case Hear(leg, sound):
            return _line({"do": "hear", "leg": leg, "sound": _sound_as_object(sound)})
        case CloseLeg(leg):
            return _line({"do": "close", "leg": leg})
        case Describe():
            return _line(
                {
                    "do": "describe",
                    "leg": order.leg,
                    "address": order.address,
                    "port": order.port,
                    "rtcp_port": order.rtcp_port,
                    "codec": order.codec,
                    "payload_type": order.payload_type,
                    "dtmf_payload_type": order.dtmf_payload_type,
                    "ptime_ms": order.ptime_ms,
                    "sends": order.sends,
                    "receives": order.receives,
                    "listen_for_tones": order.listen_for_tones,
                }
            )
    assert_never(order)


def order_from_line(line: bytes | bytearray) -> Order:
    """The order in a line (with or without its newline); ``WireError`` if it holds none."""
    source = _object(line)
    leg = _member(source, "leg", str)
    match source.get("do"):
        case "open":
            return OpenLeg(leg, _member(source, "port", int))
        case "hear":
            return Hear(leg, _sound_from_object(_member(source, "sound", dict)))
        case "close":
            return CloseLeg(leg)
        case "describe":
            dtmf = source.get("dtmf_payload_type")
            return Describe(
                leg,
                address=_member(source, "address", str),
                port=_member(source, "port", int),
                rtcp_port=_member(source, "rtcp_port", int),
                codec=_member(source, "codec", str),
                payload_type=_member(source, "payload_type", int),
                dtmf_payload_type=None if dtmf is None else _member(source, "dtmf_payload_type", int),
                ptime_ms=_member(source, "ptime_ms", int),
                sends=_member(source, "sends", bool),
                receives=_member(source, "receives", bool),
                listen_for_tones=_member(source, "listen_for_tones", bool),
            )
        case other:
            raise WireError(f"unknown order {other!r}")


def report_to_line(report: Report) -> bytes:
    """One line, newline included."""
    match report:
        case PortsReady(ports):
            return _line({"told": "ports", "ports": ports})
        case KeyHeard(leg, key):
            return _line({"told": "key", "leg": leg, "key": key})
        case PromptEnded(leg, prompt):
            return _line({"told": "prompt-ended", "leg": leg, "prompt": prompt})
        case LegClosed(leg, sent, received, lost, refused):
            return _line({"told": "closed", "leg": leg, "sent": sent, "received": received, "lost": lost, "refused": refused})
    assert_never(report)


def report_from_line(line: bytes | bytearray) -> Report:
    """The report in a line (with or without its newline); ``WireError`` if it holds none."""
    source = _object(line)
    match source.get("told"):
        case "ports":
            return PortsReady(_ports(source, "ports"))
        case "key":
            return KeyHeard(_member(source, "leg", str), _member(source, "key", str))
        case "prompt-ended":
            return PromptEnded(_member(source, "leg", str), _member(source, "prompt", str))
        case "closed":
            return LegClosed(
                _member(source, "leg", str),
                sent=_member(source, "sent", int),
                received=_member(source, "received", int),
                lost=_member(source, "lost", int),
                refused=_member(source, "refused", int),
            )
        case other:
            raise WireError(f"unknown report {other!r}")

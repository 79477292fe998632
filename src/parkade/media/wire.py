"""Orders and reports (``rtp.orders``) as lines: one JSON array a line, UTF-8, the same on both ends of the unix socket.

``["open","a1",20000]`` is an order, ``["key","a1","#"]`` a report: a verb, then the members of the order or report in the
order in which ``rtp.orders`` has them; a sound is spread out behind its own verb (``["hear","a1","music","default"]``).
Further members at the end are passed over, so that an older end understands a newer one; an unknown verb, or a member that is
missing or of the wrong type, is a ``WireError``. Limits: a line is at most ``LINE_LIMIT`` bytes.

Arrays are read in half the time of objects with names, and lines are written by hand because ``json.dumps`` takes five times
as long: a busy server exchanges ten thousand lines a second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from json import JSONDecoder
from json.encoder import encode_basestring_ascii as _quoted
from typing import Any, TypeAlias, assert_never

from parkade.base.errors import ParkadeError
from parkade.base.sound import Music, Peer, Playlist, Silence, Sound, Spoken, Tone
from parkade.rtp.orders import (
    CloseLeg,
    Describe,
    Hear,
    Inventory,
    KeyHeard,
    LegClosed,
    LegFailed,
    LegSilent,
    LegState,
    OpenLeg,
    Order,
    PortsExhausted,
    PortsReady,
    PromptEnded,
    Record,
    Recorded,
    Report,
    StopRecording,
)

LINE_LIMIT = 65536

_Members: TypeAlias = list[Any]
"""What JSON gave, until its types have been compared with a shape."""
_Shape: TypeAlias = tuple[type, ...]

_Key: TypeAlias = tuple[str | type, ...]
"""A verb and the types of what follows it."""

_Shapes: TypeAlias = Mapping[str, tuple[_Shape, ...]]
"""The shapes, equally long, that what follows a verb may have."""

_NUMBER = (int, type(None))
_SECONDS = (float, int)

_ORDERS: _Shapes = {
    "open": ((str, int),),
    "describe": tuple(
        (str, str, int, int, str, int, dtmf, int, bool, bool, bool, also, bool) for dtmf in _NUMBER for also in _NUMBER
    ),
    "hear": ((str, str),),
    "record": tuple((str, str, longest, silence) for longest in _SECONDS for silence in _SECONDS),
    "stop-recording": ((str,),),
    "close": ((str,),),
}
_SOUNDS: _Shapes = {
    "silence": ((),),
    "music": ((str,),),
    "tone": ((str,),),
    "peer": ((str,),),
    "spoken": ((str, str, list),),
    "playlist": ((list,),),
}
_REPORTS: _Shapes = {
    "ports": ((list,),),
    "no-ports": ((),),
    "inventory": ((list, bool),),
    "key": ((str, str),),
    "prompt-ended": ((str, str),),
    "recorded": tuple((str, str, duration, str) for duration in _SECONDS),
    "silent": tuple((str, silent) for silent in _SECONDS),
    "failed": ((str, int),),
    "closed": ((str, int, int, int, int, int),),
}
_LEG_STATE: _Shapes = {"leg": tuple((str, int, int, int, int, source, list) for source in (list, type(None)))}

_PLAIN: Mapping[str, Callable[..., Order]] = {
    "open": OpenLeg,
    "describe": Describe,
    "record": Record,
    "stop-recording": StopRecording,
    "close": CloseLeg,
}
"""The orders that are made of their members as they are."""
_USUAL: Mapping[_Key, Callable[..., Order]] = {(verb, *shape): make for verb, make in _PLAIN.items() for shape in _ORDERS[verb]}
_USUAL_SOUNDS: Mapping[_Key, Callable[..., Sound]] = {
    ("silence",): Silence,
    ("music", str): lru_cache(maxsize=256)(Music),
    ("tone", str): Tone,
    ("peer", str): Peer,
}
"""By verb and types: what can be made at once. Nearly every line is one of these, and media is short of time."""

_decode = JSONDecoder().scan_once  # type: ignore[attr-defined]
"""Raises StopIteration where nothing begins, ValueError where something is wrong."""


class WireError(ParkadeError):
    """A line that is no order or report."""


def order_to_line(order: Order) -> bytes:
    """One line, newline included."""
    return _order(order).encode()


def order_from_line(line: bytes | bytearray) -> Order:
    """The order in a line (with or without its newline); ``WireError`` if it holds none."""
    members = _read(line)
    try:
        verb, *rest = members
        if verb == "hear":
            make_sound = _USUAL_SOUNDS.get((rest[1], *map(type, rest[2:])))
            if make_sound is not None and type(rest[0]) is str:
                return Hear(rest[0], make_sound(*rest[2:]))
        else:
            make = _USUAL.get((verb, *map(type, rest)))
            if make is not None:
                return make(*rest)
    except (IndexError, TypeError, ValueError):
        pass  # what is wrong is said below
    return _unusual_order(members)


def _unusual_order(members: _Members) -> Order:
    """With further members at the end, with a sound that takes some making, or no order at all."""
    verb, members = _checked(members, _ORDERS)
    if verb == "hear":
        return Hear(members[0], _sound_from(members[1:]))
    return _PLAIN[verb](*members)


def report_to_line(report: Report) -> bytes:
    """One line, newline included."""
    return _report(report).encode()


def report_from_line(line: bytes | bytearray) -> Report:
    """The report in a line (with or without its newline); ``WireError`` if it holds none."""
    verb, members = _checked(_read(line), _REPORTS)
    match verb:
        case "ports":
            return PortsReady(_all(int, members[0]))
        case "closed":
            return LegClosed(*members)
        case "key":
            return KeyHeard(*members)
        case "prompt-ended":
            return PromptEnded(*members)
        case "recorded":
            return Recorded(*members)
        case "silent":
            return LegSilent(*members)
        case "failed":
            return LegFailed(*members)
        case "inventory":
            return Inventory(tuple(map(_leg_state_from, members[0])), members[1])
        case _:
            return PortsExhausted()


def _order(order: Order) -> str:
    match order:
        case Hear(leg, sound):
            return f'["hear",{_quoted(leg)},{_sound(sound)}]\n'
        case OpenLeg(leg, port):
            return f'["open",{_quoted(leg)},{port}]\n'
        case CloseLeg(leg):
            return f'["close",{_quoted(leg)}]\n'
        case Record(leg, path, max_s, silence_s):
            return f'["record",{_quoted(leg)},{_quoted(path)},{max_s},{silence_s}]\n'
        case StopRecording(leg):
            return f'["stop-recording",{_quoted(leg)}]\n'
        case Describe():
            return (
                f'["describe",{_quoted(order.leg)},{_quoted(order.address)},{order.port},{order.rtcp_port},'
                f"{_quoted(order.codec)},{order.payload_type},{_number(order.dtmf_payload_type)},{order.ptime_ms},"
                f"{_bool(order.sends)},{_bool(order.receives)},{_bool(order.listen_for_tones)},{_number(order.dtmf_also)},"
                f"{_bool(order.again)}]\n"
            )
    assert_never(order)


def _sound(sound: Sound) -> str:
    match sound:
        case Music(name):
            return f'"music",{_quoted(name)}'
        case Peer(leg):
            return f'"peer",{_quoted(leg)}'
        case Silence():
            return '"silence"'
        case Tone(name):
            return f'"tone",{_quoted(name)}'
        case Spoken(prompt, language, phrases):
            return f'"spoken",{_quoted(prompt)},{_quoted(language)},[{",".join(map(_quoted, phrases))}]'
        case Playlist(parts):
            return f'"playlist",[{",".join(f"[{_sound(part)}]" for part in parts)}]'
    assert_never(sound)


def _report(report: Report) -> str:
    match report:
        case LegClosed(leg, sent, received, lost, refused, jitter):
            return f'["closed",{_quoted(leg)},{sent},{received},{lost},{refused},{jitter}]\n'
        case PortsReady(ports):
            return f'["ports",[{",".join(map(str, ports))}]]\n'
        case KeyHeard(leg, key):
            return f'["key",{_quoted(leg)},{_quoted(key)}]\n'
        case PromptEnded(leg, prompt):
            return f'["prompt-ended",{_quoted(leg)},{_quoted(prompt)}]\n'
        case Recorded(leg, path, duration_s, why):
            return f'["recorded",{_quoted(leg)},{_quoted(path)},{duration_s},{_quoted(why)}]\n'
        case LegSilent(leg, silent_s):
            return f'["silent",{_quoted(leg)},{silent_s}]\n'
        case LegFailed(leg, port):
            return f'["failed",{_quoted(leg)},{port}]\n'
        case Inventory(legs, complete):
            return f'["inventory",[{",".join(map(_leg_state, legs))}],{_bool(complete)}]\n'
        case PortsExhausted():
            return '["no-ports"]\n'
    assert_never(report)


def _leg_state(leg: LegState) -> str:
    source = "null" if leg.source is None else f"[{_quoted(leg.source[0])},{leg.source[1]}]"
    return f'["leg",{_quoted(leg.leg)},{leg.port},{leg.ssrc},{leg.sequence},{leg.timestamp},{source},[{_sound(leg.sound)}]]'


def _number(value: int | None) -> str:
    return "null" if value is None else str(value)


def _bool(value: bool) -> str:
    return "true" if value else "false"


def _sound_from(members: _Members) -> Sound:
    verb, members = _checked(members, _SOUNDS)
    match verb:
        case "music":
            return Music(*members)
        case "peer":
            return Peer(*members)
        case "silence":
            return Silence()
        case "tone":
            return Tone(*members)
        case "playlist" if members[0]:
            return Playlist(tuple(map(_part_from, members[0])))
        case "playlist":
            raise WireError("an empty playlist")
        case _:
            prompt, language, phrases = members
            return Spoken(prompt, language, _all(str, phrases))


def _part_from(members: Any) -> Music | Tone | Spoken:
    part = _sound_from(members) if type(members) is list and members[:1] != ["playlist"] else None
    if not isinstance(part, Music | Tone | Spoken):
        raise WireError(f"not part of a playlist: {members!r}")
    return part


def _leg_state_from(members: Any) -> LegState:
    if type(members) is not list:
        raise WireError(f"no leg: {members!r}")
    leg, port, ssrc, sequence, timestamp, source, sound = _checked(members, _LEG_STATE)[1]
    if source is not None:
        if tuple(map(type, source)) != (str, int):
            raise WireError(f"no address: {source!r}")
        source = (source[0], source[1])
    return LegState(leg, port, ssrc, sequence, timestamp, source, _sound_from(sound))


def _read(line: bytes | bytearray) -> _Members:
    try:
        text = str(line, "utf-8").rstrip()
        members, end = _decode(text, 0)
    except (ValueError, RecursionError) as error:
        raise WireError(f"not JSON: {error}") from None
    except StopIteration:
        raise WireError("not JSON") from None
    if type(members) is not list or end != len(text):
        raise WireError("not a JSON array and nothing else")
    return members


def _checked(members: _Members, shapes: _Shapes) -> tuple[str, _Members]:
    """The verb and its members, as many and of the types that ``shapes`` ask for; behind ``hear`` all, for its sound."""
    verb = members[0] if members else None
    wanted = shapes.get(verb) if isinstance(verb, str) else None
    if verb is None or wanted is None:
        raise WireError(f"unknown verb {verb!r}")
    end = 1 + len(wanted[0])
    if tuple(map(type, members[1:end])) not in wanted:
        raise WireError(f"{verb!r} with members missing or of the wrong type: {members!r}")
    return verb, members[1:] if verb == "hear" else members[1:end]


def _all(kind: type, values: Iterable[Any]) -> tuple[Any, ...]:
    found = tuple(values)
    if any(type(value) is not kind for value in found):
        raise WireError(f"should all be {kind.__name__}: {values!r}")
    return found

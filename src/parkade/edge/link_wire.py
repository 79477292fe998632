"""What the web process and signalling say to each other over a unix socket: frames of four bytes of length (big-endian) and a
message in MessagePack.

Up go ``Ask``, ``AskFigures``, ``AskTrace`` and ``DirectoryChanged``, each with a number; down come ``Answer``, ``Refused``,
``Figures``, ``Traced`` and ``DirectoryHeld`` with the same number, and ``EventsUpTo`` unasked. Commands, results and refusals
are those of ``calls``, under the names of their classes; a new one needs a word here (``_INNER``) only if its members have
members. A frame that is too long, that is no message, or whose command is unknown or has other members than it should is a
``LinkError``: nobody can tell what would come behind it.

Both ends are of one installation and start together, so there is no number of a version.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from struct import Struct
from typing import Any, Final, TypeAlias, get_args, get_origin

import msgspec

from parkade.base.errors import ParkadeError
from parkade.calls.audience import Audience
from parkade.calls.commands import CallDetail, CallStage, ParkedCall, ParkState, Party, PartyState, Result, Wanted
from parkade.calls.directory import VisibilityKind
from parkade.calls.identity import Identity
from parkade.calls.refusals import Refusal
from parkade.edge.trace import Message

FRAME_LIMIT: Final = 16 << 20
"""The longest message: a list of some ten thousand calls."""
COMMAND_LIMIT: Final = 64 << 10
"""The longest that is taken from the web process: what people write is shorter."""
_LENGTH = Struct(">I")


class LinkError(ParkadeError):
    """Bytes that are no frame of ours."""


class Ask(msgspec.Struct, frozen=True, array_like=True, tag="ask"):
    """``what`` holds the members of the command ``kind``, wanted in ``account``."""

    number: int
    account: str
    kind: str
    what: msgspec.Raw

    @property
    def wanted(self) -> Wanted:
        """The command. Raises ``LinkError``."""
        try:
            members = _decode(self.what)
            if not all(isinstance(member, str | bool | None) for member in members.values()):
                raise ValueError("members that are no text")
            found: Wanted = _COMMANDS[self.kind](**members)
        except (*_WRONG, AttributeError) as error:
            raise LinkError(f"no command: {self.kind[:40]!r}: {error}") from None
        return found


class AskFigures(msgspec.Struct, frozen=True, array_like=True, tag="figures?"):
    """How is it going?"""

    number: int


class AskTrace(msgspec.Struct, frozen=True, array_like=True, tag="trace?"):
    """Which messages were there in ``call`` of ``account``?"""

    number: int
    account: str
    call: str


class DirectoryChanged(msgspec.Struct, frozen=True, array_like=True, tag="directory"):
    """Accounts have changed in the database."""

    number: int


Up: TypeAlias = Ask | AskFigures | AskTrace | DirectoryChanged


class Answer(msgspec.Struct, frozen=True, array_like=True, tag="answer"):
    """What came of a command: ``kind`` is the name of a class, with a star for several of them, or empty for nothing."""

    number: int
    kind: str
    what: msgspec.Raw

    @property
    def result(self) -> Result:
        """The result. Raises ``LinkError``."""
        try:
            found: Result = _RESULTS[self.kind](_decode(self.what))
        except _WRONG as error:
            raise LinkError(f"no result: {self.kind[:40]!r}: {error}") from None
        return found


class Refused(msgspec.Struct, frozen=True, array_like=True, tag="refused"):
    """Nothing was done: ``members`` are those of a ``Refusal``."""

    number: int
    members: dict[str, str]

    @property
    def refusal(self) -> Refusal:
        """Why. Raises ``LinkError``."""
        try:
            why: Refusal = _one(Refusal)(dict(self.members))
        except TypeError as error:
            raise LinkError(f"no refusal: {error}") from None
        return why


class Figures(msgspec.Struct, frozen=True, array_like=True, tag="figures"):
    """Counters and gauges by name."""

    number: int
    figures: dict[str, float]


class Traced(msgspec.Struct, frozen=True, array_like=True, tag="trace"):
    """These; None if no such call is known."""

    number: int
    messages: list[Message] | None


class DirectoryHeld(msgspec.Struct, frozen=True, array_like=True, tag="held"):
    """Signalling holds what was in the database when it was told."""

    number: int


class EventsUpTo(msgspec.Struct, frozen=True, array_like=True, tag="events"):
    """The event log has all events up to this number."""

    number: int


Down: TypeAlias = Answer | Refused | Figures | Traced | DirectoryHeld | EventsUpTo

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode
_decode_up = msgspec.msgpack.Decoder(Up).decode
_decode_down = msgspec.msgpack.Decoder(Down).decode
_NOTHING = ""
_EMPTY = "*"
_WRONG: Final = (KeyError, TypeError, ValueError, msgspec.DecodeError)
_Make: TypeAlias = Callable[[Any], Any]


def _one(kind: type) -> _Make:
    """Makes a ``kind`` of its plain members. Classes that are compiled do not say the types of theirs, so ``_INNER`` does."""

    def made(plain: dict[str, Any]) -> Any:
        inner = _INNER.get(kind)
        if inner is not None:
            for name, make in inner.items():
                if plain[name] is not None:
                    plain[name] = make(plain[name])
        return kind(**plain)

    return made


def _several(make: _Make) -> _Make:
    return lambda plain: tuple(map(make, plain))


_INNER: Final[Mapping[type, Mapping[str, _Make]]] = {
    Audience: {"kind": VisibilityKind, "people": tuple},
    ParkedCall: {
        "caller": _one(Identity),
        "state": ParkState,
        "audience": _one(Audience),
        "retrieved_by": _one(Identity),
    },
    Party: {"state": PartyState},
    CallDetail: {"stage": CallStage, "parties": _several(_one(Party)), "parked": _one(ParkedCall)},
}
"""The members of results that have members, or a type, of their own."""


def _result_kinds() -> Iterator[tuple[str, _Make]]:
    yield _NOTHING, lambda plain: plain
    yield _EMPTY, tuple
    for kind in get_args(Result):
        if get_origin(kind) is tuple:
            inner = get_args(kind)[0]
            yield f"{inner.__name__}*", _several(_one(inner))
        elif kind is not type(None):
            yield kind.__name__, _one(kind)


_COMMANDS: Final = {kind.__name__: kind for kind in get_args(Wanted)}
_RESULTS: Final = dict(_result_kinds())


def asking(number: int, account: str, wanted: Wanted) -> bytes:
    """The frame of a command."""
    return framed(Ask(number, account, type(wanted).__name__, msgspec.Raw(_encode(wanted))))


def answering(number: int, result: Result) -> bytes:
    """The frame of what came of it."""
    match result:
        case None:
            kind = _NOTHING
        case ():
            kind = _EMPTY
        case (first, *_):
            kind = f"{type(first).__name__}*"
        case _:
            kind = type(result).__name__
    return framed(Answer(number, kind, msgspec.Raw(_encode(result))))


def refusing(number: int, refusal: Refusal) -> bytes:
    """The frame of why it was not done."""
    return framed(Refused(number, msgspec.to_builtins(refusal)))


def framed(message: Up | Down) -> bytes:
    """The frame of any message."""
    body = _encode(message)
    return _LENGTH.pack(len(body)) + body


def up_from(body: bytes) -> Up:
    """A message for signalling. Raises ``LinkError``."""
    try:
        message: Up = _decode_up(body)
    except msgspec.DecodeError as error:
        raise LinkError(f"no message: {error}") from None
    return message


def down_from(body: bytes) -> Down:
    """A message for the web process. Raises ``LinkError``."""
    try:
        message: Down = _decode_down(body)
    except msgspec.DecodeError as error:
        raise LinkError(f"no message: {error}") from None
    return message


class Framer:
    """Cuts a stream into the bodies of its frames."""

    def __init__(self, limit: int = FRAME_LIMIT) -> None:
        self._limit = limit
        self._held = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The bodies that are whole by now, in order. Raises ``LinkError`` at one that is too long."""
        held = self._held
        held += data
        bodies: list[bytes] = []
        at = 0
        while len(held) - at >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(held, at)
            if length > self._limit:
                raise LinkError(f"a frame of {length} bytes")
            end = at + _LENGTH.size + length
            if len(held) < end:
                break
            bodies.append(bytes(held[at + _LENGTH.size : end]))
            at = end
        del held[:at]
        return bodies

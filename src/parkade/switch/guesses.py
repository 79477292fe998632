"""Who guesses at passwords, and is not listened to for a while.

A wrong answer to a challenge counts for the source it came from, for the name, and for that name from that source. It counts
only if the nonce was given to that very address (``Gate``): whoever forges source addresses never sees a nonce for them, so
nobody can have somebody else's address shut, and a flood of forged requests leaves nothing behind. Names that exist and names
that do not are counted alike.

* Too many wrong answers for one name from one source: that name is not listened to from there.
* Too many from one source for any names: nobody there is listened to, but devices that were registered from there within the
last
  ``KNOWN_S``. So an office behind one address goes on when one of its phones has a wrong password or somebody in it guesses.
* Too many for one name from all over the world: each further source has ``tries_guarded`` for that name. It never has none, so
  the owner comes in from wherever with the right password at once.
* From where a device is registered, address and port, it is always listened to.

Whoever is not listened to gets the answer to a wrong password, and nothing is computed. What is remembered is bounded: the
oldest is forgotten. Of IPv6 a source is a /64, of which one subscriber has all addresses.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, TypeVar

from parkade.base.clock import Instant
from parkade.base.values import valueclass
from parkade.calls.commands import Banned

_Key = TypeVar("_Key", str, tuple[str, str])

KNOWN_S: Final = 3600.0
MAX_NAME: Final = 64
"""So much of a name is looked at; the names of devices are shorter."""


@valueclass(frozen=True, slots=True)
class GuessLimits:
    """How many wrong answers there may be within ``window_s``, and for how long nobody listens afterwards (``ban_s``).

    ``tries_of_name`` from one source for one name, ``tries_of_source`` for any, ``tries_for_name`` from everywhere; then each
    source has ``tries_guarded`` for that name. ``remembered`` bounds each of the tables. 0 for ``ban_s`` switches it all off.
    """

    tries_of_name: int = 10
    tries_of_source: int = 50
    tries_for_name: int = 200
    tries_guarded: int = 2
    window_s: float = 600.0
    ban_s: float = 900.0
    remembered: int = 10_000


class _Count:
    """Wrong answers until an instant at which they are forgotten."""

    __slots__ = ("number", "shut", "until")

    def __init__(self, until: Instant) -> None:
        self.number = 0
        self.shut = False
        self.until = until


@valueclass(frozen=True, slots=True)
class Shut:
    """Nobody listens to ``source`` any more, or not to ``name`` from there (``banned`` is False); ``guesses`` were wrong."""

    source: str
    name: str
    guesses: int
    until: Instant
    banned: bool


class Guesses:
    """``news`` are those that were shut since they were last taken."""

    def __init__(self, limits: GuessLimits) -> None:
        self._limits = limits
        self._sources: OrderedDict[str, _Count] = OrderedDict()
        self._names: OrderedDict[str, _Count] = OrderedDict()
        self._pairs: OrderedDict[tuple[str, str], _Count] = OrderedDict()
        self._known: OrderedDict[tuple[str, str], Instant] = OrderedDict()
        self.news: list[Shut] = []

    def __len__(self) -> int:
        return len(self._sources) + len(self._names) + len(self._pairs) + len(self._known)

    def listens(self, name: str, host: str, now: Instant) -> bool:
        """Whether an answer for ``name`` from ``host`` is looked at, as far as counts say."""
        if not self._pairs:
            return True  # Nobody has guessed lately: mostly so.
        name, source = name[:MAX_NAME], source_of(host)
        pair = _live(self._pairs, (name, source), now)
        of_source = _live(self._sources, source, now)
        if of_source is not None and of_source.shut and not self._is_known(name, source, now):
            return False
        if pair is None:
            return True
        if pair.shut:
            return False
        of_name = _live(self._names, name, now)
        return not (of_name is not None and of_name.shut and pair.number >= self._limits.tries_guarded) or self._is_known(
            name, source, now
        )

    def wrong(self, name: str, host: str, now: Instant) -> None:
        """A wrong answer was given for ``name`` by somebody who is at ``host`` for certain."""
        limits = self._limits
        if not limits.ban_s:
            return
        name, source = name[:MAX_NAME], source_of(host)
        self._count(self._names, name, limits.tries_for_name, now)
        pair = self._count(self._pairs, (name, source), limits.tries_of_name, now)
        if pair.number > limits.tries_of_name:
            return  # A phone that is registered there, whose password was changed: it goes on for long, and is nobody's attack.
        of_source = self._count(self._sources, source, limits.tries_of_source, now)
        if of_source.number == limits.tries_of_source:
            self.news.append(Shut(source, name, of_source.number, of_source.until, banned=True))
        elif pair.number == limits.tries_of_name:
            self.news.append(Shut(source, name, pair.number, pair.until, banned=False))

    def registered(self, name: str, host: str, now: Instant) -> None:
        """The device ``name`` has registered from ``host``."""
        key = name, source_of(host)
        self._known[key] = now + KNOWN_S
        self._known.move_to_end(key)
        if len(self._known) > self._limits.remembered:
            self._known.popitem(last=False)

    def banned(self, now: Instant) -> tuple[Banned, ...]:
        """Every source that is not listened to, the longest first."""
        found = [
            Banned(source, count.until, count.number)
            for source, count in self._sources.items()
            if count.shut and now < count.until
        ]
        found.sort(key=_until)
        return tuple(found)

    def lift(self, source: str) -> None:
        """Listen to ``source`` again, for every name."""
        self._sources.pop(source, None)
        for pair in [pair for pair in self._pairs if pair[1] == source]:
            del self._pairs[pair]

    def _is_known(self, name: str, source: str, now: Instant) -> bool:
        until = self._known.get((name, source))
        return until is not None and now < until

    def _count(self, table: OrderedDict[_Key, _Count], key: _Key, most: int, now: Instant) -> _Count:
        count = _live(table, key, now)
        if count is None:
            count = table[key] = _Count(now + self._limits.window_s)
            table.move_to_end(key)
            if len(table) > self._limits.remembered:
                table.popitem(last=False)
        count.number += 1
        if count.number >= most and not count.shut:
            count.shut, count.until = True, now + self._limits.ban_s
        return count


def _live(table: OrderedDict[_Key, _Count], key: _Key, now: Instant) -> _Count | None:
    """What is counted for ``key`` and not forgotten."""
    count = table.get(key)
    if count is None or now < count.until:
        return count
    del table[key]
    return None


def source_of(host: str) -> str:
    """What counts as one source: an address, of IPv6 the first half of it."""
    if ":" not in host:
        return host
    head, double, tail = host.partition("::")
    groups = head.split(":") if head else []
    if double:
        rest = tail.split(":") if tail else []
        groups += ["0"] * (8 - len(groups) - len(rest)) + rest
    return ":".join(groups[:4]) + "::/64"


def _until(banned: Banned) -> Instant:
    return -banned.until

"""Slows those who guess passwords at the log-in, and bans those who go on.

Three things are counted, each as a level that every attempt raises by one and five minutes lower by one; an attempt that turns
out to be right gives its own back:

* the *source*: an IPv4 address, or the /64 of an IPv6 address (one customer has that many addresses);
* the *pair* of source and name, once that name has logged in from there: such a pair is judged by its own level alone, so a
  colleague's mad script behind the same router, and an attacker anywhere else, locks nobody out;
* the *name*, for all other sources together: while it is being guessed from many, one of them may try every few seconds.

What is counted is the same for names that exist and names that do not: nothing here knows which do. An attempt is counted
before its password is looked at, so a thousand at the same instant are a thousand.

In memory, bounded (the least of what has been forgotten longest goes first), and empty after a restart.
"""

from __future__ import annotations

import ipaddress
import secrets
from collections import OrderedDict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Final, TypeVar

FREE: Final = 10.0
"""The level up to which nobody waits."""
BAN_LEVEL: Final = 20.0
FORGIVEN_PER_S: Final = 1 / 300
REFUSED_COUNTS: Final = 0.25
"""What an attempt adds that came too early and was refused unseen: who hammers is banned soon, who is impatient is not."""
LONGEST_WAIT_S: Final = 60.0
FIRST_BAN_S: Final = 900.0
LONGEST_BAN_S: Final = 86400.0
BANS_FORGOTTEN_S: Final = 7 * 86400.0
NAME_FREE: Final = 50.0
NAME_PAUSE_S: Final = 3.0
KNOWN_S: Final = 30 * 86400.0
MAX_SOURCES: Final = 20_000
MAX_NAMES: Final = 20_000
MAX_PAIRS: Final = 50_000
MAX_NAME: Final = 256

Key = TypeVar("Key", bound=Hashable)


@dataclass(slots=True)
class _Level:
    """How high, as of ``at``; ``last`` is the last attempt that was let through, ``bans`` how many bans there have been."""

    value: float = 0.0
    at: float = 0.0
    last: float = 0.0
    banned_at: float = 0.0
    banned_until: float = 0.0
    bans: int = 0
    known_until: float = 0.0
    id: str = field(default_factory=lambda: secrets.token_hex(8))

    def now(self, now: float) -> float:
        """The level at ``now``."""
        self.value, self.at = max(0.0, self.value - (now - self.at) * FORGIVEN_PER_S), now
        return self.value


@dataclass(frozen=True, slots=True)
class Ban:
    """``source`` is an address or an IPv6 network; ``name`` is set if only that name is banned from there."""

    id: str
    source: str
    name: str | None
    since: float
    until: float
    times: int


class _Levels(OrderedDict[Key, _Level]):
    """At most ``most`` levels; the one that was not asked for longest goes, and one that is banned last of all."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def of(self, key: Key, now: float) -> _Level:
        """That of ``key``, made if there is none."""
        level = self.get(key)
        if level is None:
            if len(self) >= self._most:
                self._make_room(now)
            level = self[key] = _Level(at=now)
        self.move_to_end(key)
        return level

    def _make_room(self, now: float) -> None:
        oldest = next(iter(self))
        for key, _ in zip(self, range(64), strict=False):
            if self[key].banned_until <= now:
                oldest = key
                break
        del self[oldest]


class Guard:
    """One for the whole process. Times are seconds since the epoch."""

    def __init__(self) -> None:
        self._sources = _Levels[str](MAX_SOURCES)
        self._names = _Levels[str](MAX_NAMES)
        self._pairs = _Levels[tuple[str, str]](MAX_PAIRS)

    async def wait_s(self, login: str, address: str, now: float) -> float:
        """Count an attempt to log in as ``login`` from ``address``: 0 if its password may be looked at, else the seconds until
        that of another may.
        """
        source, name = source_of(address), _short(login)
        pair = self._pairs.get((source, name))
        if pair is not None and pair.known_until > now:
            self._pairs.move_to_end((source, name))
            return _count(pair, now)
        wait = _count(self._sources.of(source, now), now)
        if wait > 0:
            return wait
        level = self._names.of(name, now)
        if level.now(now) >= NAME_FREE:
            if now < level.last + NAME_PAUSE_S:
                return level.last + NAME_PAUSE_S - now
            level.value = NAME_FREE  # it goes on no longer than the guessing does
        level.value += 1.0
        level.last = now
        return 0.0

    async def failed(self, login: str, address: str, now: float) -> None:
        """The password was wrong, or there is no such log-in. It has been counted already."""

    async def succeeded(self, login: str, address: str, now: float) -> None:
        """The password was right: the attempt does not count, and the name is known at that source from now on."""
        source, name = source_of(address), _short(login)
        pair = self._pairs.get((source, name))
        if pair is not None and pair.known_until > now:
            pair.value = 0.0
        else:
            for level in (self._sources.get(source), self._names.get(name)):
                if level is not None:
                    level.value = max(0.0, level.now(now) - 1.0)
            pair = self._pairs.of((source, name), now)
        pair.known_until = now + KNOWN_S

    def bans(self, now: float) -> list[Ban]:
        """Those in force, the newest first."""
        found = [
            Ban(level.id, source, name, level.banned_at, level.banned_until, level.bans)
            for source, name, level in self._every()
            if level.banned_until > now
        ]
        return sorted(found, key=lambda ban: ban.since, reverse=True)

    def lift(self, ban_id: str, now: float) -> Ban | None:
        """End a ban, and forget what led to it; None if there is no such ban."""
        found = next((ban for ban in self.bans(now) if ban.id == ban_id), None)
        if found is not None:
            for _, _, level in self._every():
                if level.id == ban_id:
                    level.value, level.at, level.banned_until, level.bans = 0.0, now, 0.0, 0
        return found

    def _every(self) -> Iterator[tuple[str, str | None, _Level]]:
        yield from ((source, None, level) for source, level in self._sources.items())
        yield from ((source, name, level) for (source, name), level in self._pairs.items())


def _count(level: _Level, now: float) -> float:
    """Count an attempt; how long it has to wait. Whoever goes on is banned, each time for twice as long."""
    if level.banned_until > now:
        return level.banned_until - now
    high = level.now(now)
    wait = max(0.0, level.last + _wait_s(high) - now) if high >= FREE else 0.0
    level.value += REFUSED_COUNTS if wait > 0 else 1.0
    if wait > 0:
        wait = level.last + _wait_s(level.value) - now
    if level.value >= BAN_LEVEL:
        if now - level.banned_until > BANS_FORGOTTEN_S:
            level.bans = 0
        level.banned_at = now
        level.banned_until = now + min(LONGEST_BAN_S, FIRST_BAN_S * 2.0**level.bans)
        level.bans += 1
        level.value, level.at = FREE, level.banned_until
        return level.banned_until - now
    if wait <= 0:
        level.last = now
    return wait


def _wait_s(level: float) -> float:
    """How long after an attempt the next may come."""
    return float(min(LONGEST_WAIT_S, 2.0 ** (level - FREE)))


def source_of(address: str) -> str:
    """An IPv4 address as it is, the /64 of an IPv6 address, whatever else as it is."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:MAX_NAME]
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))


def _short(name: str) -> str:
    return name.strip().casefold()[:MAX_NAME]

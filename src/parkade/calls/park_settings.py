"""Call Park settings: what each level says, what holds, where it comes from, and who may not change it. Pure.

The levels, from the widest to the nearest: account, site, user group, user or common area. Above them all are the defaults.

* The nearest level that says a key wins, key by key.
* A level that says ``locked`` is heard and silences every level below it, whole: the API of the service that scripts come from
  locks the whole object, never one key.
* A level that says ``reset`` says nothing else.
* ``expiration_seconds`` overrides ``expiration_period`` of its own level; minutes of a nearer level win over both.
* With multi-site off a site says nothing but the seconds of its lot. Those count as said below the site itself, so a site that
  is locked silences them.

A level is a mapping of the keys of the directory file. Whether its values are sound is for whoever wrote them down.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from parkade.calls.directory import Assignment, NotPickedUp, ParkPolicy, Visibility, VisibilityKind

DEFAULT: Final = ParkPolicy()

EXPIRATION_MINUTES: Final = frozenset({*range(1, 11), *range(15, 61, 5)})
"""What ``expiration_period`` may be."""

DEFAULTS: Final[Mapping[str, Any]] = {
    "enable": DEFAULT.enable,
    "expiration_period": int(DEFAULT.expiration_s / 60),
    "expiration_seconds": None,
    "call_not_picked_up_action": int(DEFAULT.not_picked_up),
    "forward_to": DEFAULT.forward_to,
    "sequence": int(DEFAULT.assignment),
    "reserve_seconds": int(DEFAULT.reserve_s),
    "ring_back_seconds": int(DEFAULT.ring_back_s),
    "announce": False,
    "chain": [],
    "music": None,
    "visibility": str(DEFAULT.visibility.kind),
    "locked": False,
    "reset": False,
}
"""Every key, with what holds where no level says it."""

EXPIRATION: Final = ("expiration_period", "expiration_seconds")
"""Two keys for one thing: how long a call may stay parked."""


class Source(StrEnum):
    """Which level a value comes from, or is locked by."""

    DEFAULT = "default"
    ACCOUNT = "account"
    SITE = "site"
    GROUP = "group"
    USER = "user"
    COMMON_AREA = "common_area"


@dataclass(frozen=True, slots=True)
class Level:
    """What one level says, by key. ``name`` and ``id`` are those of the site, group or person.

    ``off`` is True for a site while multi-site is off. ``lot`` is True for the seconds of a lot, which belong to the site
    before.
    """

    source: Source
    says: Mapping[str, Any]
    name: str = ""
    id: str = ""
    off: bool = False
    lot: bool = False

    @property
    def is_modified(self) -> bool:
        """Whether it says anything of its own."""
        return not self.says.get("reset") and any(key != "reset" for key in self.says)

    def words(self) -> tuple[str, str]:
        """What people call it, in English and Vietnamese."""
        english, vietnamese = _WORDS[self.source]
        return f"{english} {self.name}".rstrip(), f"{vietnamese} {self.name}".rstrip()


_WORDS: Final[Mapping[Source, tuple[str, str]]] = {
    Source.DEFAULT: ("the default", "giá trị mặc định"),
    Source.ACCOUNT: ("the account", "tài khoản"),
    Source.SITE: ("site", "địa điểm"),
    Source.GROUP: ("user group", "nhóm người dùng"),
    Source.USER: ("user", "người dùng"),
    Source.COMMON_AREA: ("common area", "khu vực chung"),
}


@dataclass(frozen=True, slots=True)
class ParkSettings:
    """What the levels down to one come to. ``locked_by`` is the level that silences those below, if one does."""

    values: Mapping[str, Any] = field(default_factory=dict)
    sources: Mapping[str, Source] = field(default_factory=dict)
    locked_by: Source | None = None

    def below(self, level: Level) -> ParkSettings:
        """With a nearer level added; ``self`` if that changes nothing."""
        if self.locked_by or level.off or not level.is_modified:
            return self
        values, sources = dict(self.values), dict(self.sources)
        if "expiration_period" in level.says:
            values.pop("expiration_seconds", None)
            sources.pop("expiration_seconds", None)
        values.update(level.says)
        sources.update(dict.fromkeys(level.says, level.source))
        return ParkSettings(values, sources, level.source if level.says.get("locked") else None)

    def value(self, key: str) -> Any:
        """What holds."""
        return self.values.get(key, DEFAULTS[key])

    def policy(self) -> ParkPolicy:
        """As call control wants it."""
        seconds = self.value("expiration_seconds")
        return ParkPolicy(
            enable=self.value("enable"),
            expiration_s=float(60 * self.value("expiration_period") if seconds is None else seconds),
            not_picked_up=NotPickedUp(self.value("call_not_picked_up_action")),
            forward_to=self.value("forward_to"),
            assignment=Assignment(self.value("sequence")),
            reserve_s=float(self.value("reserve_seconds")),
            ring_back_s=float(self.value("ring_back_seconds")),
            visibility=_visibility(self.value("visibility")),
        )


def _visibility(value: Any) -> Visibility:
    if isinstance(value, str):
        return Visibility(VisibilityKind(value))
    return Visibility(VisibilityKind.PEOPLE, tuple(str(person) for person in value))


def resolve(levels: Iterable[Level]) -> ParkSettings:
    """What ``levels``, the widest first, come to."""
    settings = ParkSettings()
    for level in levels:
        settings = settings.below(level)
    return settings


@dataclass(frozen=True, slots=True)
class Effective:
    """What holds for one key at one level, and where it is said. ``locked_by`` is the level because of which nobody can change
    it here.
    """

    value: Any
    source: Source
    locked_by: Source | None


def effective(levels: Sequence[Level]) -> dict[str, Effective]:
    """Every key as it holds at the last of ``levels``, the widest first."""
    settings, locked_by = resolve(levels), resolve(above(levels)).locked_by
    own = levels[-1].says
    at_level = {key: Effective(settings.value(key), settings.sources.get(key, Source.DEFAULT), locked_by) for key in DEFAULTS}
    at_level["reset"] = Effective(own.get("reset", False), levels[-1].source if "reset" in own else Source.DEFAULT, locked_by)
    return at_level


def above(levels: Sequence[Level]) -> Sequence[Level]:
    """The levels above the last one."""
    return levels[: -2 if levels[-1].lot else -1]


def locker(levels: Sequence[Level]) -> Level | None:
    """The level that locks the last of ``levels``, None if none does."""
    settings = ParkSettings()
    for level in above(levels):
        settings = settings.below(level)
        if settings.locked_by:
            return level
    return None


class Unheard(StrEnum):
    """Why what a level says does not count."""

    LOCKED = "locked"
    RESET = "reset"
    MULTI_SITE_OFF = "multi_site_off"


@dataclass(frozen=True, slots=True)
class Step:
    """One level on the way to a value: what it ``says`` of the key, and of its twin if it has one.

    ``unheard`` is why that does not count, None if it does; ``locked_by`` which level's lock it is. ``wins`` marks the one
    level that decides.
    """

    level: Level
    says: Mapping[str, Any]
    unheard: Unheard | None
    locked_by: Source | None
    wins: bool


def explain(levels: Sequence[Level], key: str) -> list[Step]:
    """Why ``key`` is what it is at the last of ``levels``: the defaults, then each level from the widest to the nearest."""
    keys = EXPIRATION if key in EXPIRATION else (key,)
    defaults = Level(Source.DEFAULT, DEFAULTS)
    settings, steps, winner = ParkSettings(), list[tuple[Level, Unheard | None, Source | None]](), 0
    for level in (defaults, *levels):
        unheard = _unheard(settings, level)
        steps.append((level, unheard, settings.locked_by if unheard is Unheard.LOCKED else None))
        if unheard is None and any(one in level.says for one in keys):
            winner = len(steps) - 1
        if level is not defaults:
            settings = settings.below(level)
    return [
        Step(level, {one: level.says[one] for one in keys if one in level.says}, unheard, locked_by, number == winner)
        for number, (level, unheard, locked_by) in enumerate(steps)
    ]


def _unheard(settings: ParkSettings, level: Level) -> Unheard | None:
    if level.off:
        return Unheard.MULTI_SITE_OFF
    if settings.locked_by:
        return Unheard.LOCKED
    return Unheard.RESET if level.says.get("reset") else None


@dataclass(frozen=True, slots=True)
class SiteSays:
    """A site of an account, and the seconds of its lot."""

    name: str
    id: str
    says: Mapping[str, Any]
    lot_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class AccountSays:
    """What the levels of one account say. Sites and groups are by any key that whoever reads them has.

    The first of ``sites`` is the main one: its lot is the account's while multi-site is off, and who is at no site belongs to
    it.
    """

    multi_site: bool
    account: Level
    sites: Mapping[Any, SiteSays] = field(default_factory=dict)
    groups: Mapping[Any, Level] = field(default_factory=dict)

    @property
    def main_site(self) -> Any:
        """The key of the first site; None if there is none."""
        return next(iter(self.sites), None)

    def at_account(self) -> list[Level]:
        """The levels that decide for the account itself."""
        return [self.account]

    def at_site(self, key: Any) -> list[Level]:
        """Those that decide for the lot of a site; with None for that of an account without sites."""
        if key is None:
            return [self.account]
        site, lot = self.sites[key], self.sites[key if self.multi_site else self.main_site]
        levels = [self.account, Level(Source.SITE, site.says, site.name, site.id, off=not self.multi_site)]
        if lot.lot_seconds is not None:
            levels.append(Level(Source.SITE, {"expiration_seconds": lot.lot_seconds}, lot.name, lot.id, lot=True))
        return levels

    def at_group(self, key: Any) -> list[Level]:
        """Those that decide for a group, wherever its people are."""
        return [self.account, self.groups[key]]

    def around(self, site: Any, group: Any) -> list[Level]:
        """Those above somebody at ``site`` and in ``group``, each None for somebody who is in none."""
        levels = self.at_site(self.main_site if site is None else site)
        return levels if group is None else [*levels, self.groups[group]]

"""What one value of a directory file means for another: nothing twice, nobody missing, codes that cannot be confused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

from parkade.calls.directory import DEFAULT_CODES
from parkade.calls.directory import FeatureCodes as DefaultFeatureCodes
from parkade.calls.park_settings import AccountSays, Level, SiteSays, Source
from parkade.store.directory_model import Account, Device, DirectoryFile, Group, LevelSettings, Person, User
from parkade.store.park_rules import ParkKey, PersonSays, faults

Where: TypeAlias = tuple[str | int, ...]


class Problem(NamedTuple):
    """``path`` leads to the value at fault: ``("accounts", 0, "users", 2, "extension")``."""

    path: Where
    reason: str


def problems(file: DirectoryFile) -> Iterator[Problem]:
    """Everything that is wrong between values, in no particular order."""
    slugs, usernames, logins, addresses = (_Seen(what) for what in ("account", "device username", "login", "device address"))
    for index, account in enumerate(file.accounts):
        at: Where = ("accounts", index)
        yield from slugs.add(account.slug, (*at, "slug"))
        for path, device in _devices(account, at):
            yield from usernames.add(device.username, (*path, "username"))
            if device.address is not None:
                yield from addresses.add(device.address, (*path, "address"))
        for path, login in _logins(account, at):
            yield from logins.add(login, path)
        yield from _account_problems(account, at)
    yield from _id_problems(file)


def _id_problems(file: DirectoryFile) -> Iterator[Problem]:
    """An id names one thing, over all accounts."""
    for what, keys in (
        ("site", ("sites",)),
        ("person", ("users", "common_areas")),
        ("group", ("ring_groups", "paging_groups")),
        ("user group", ("user_groups",)),
    ):
        seen = _Seen(f"{what} id")
        for index, account in enumerate(file.accounts):
            for key in keys:
                for i, item in enumerate(getattr(account, key) or ()):
                    if item.id is not None:
                        yield from seen.add(item.id, ("accounts", index, key, i, "id"))


class _Seen:
    """Finds what is there twice."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._seen: set[str] = set()

    def add(self, value: str, path: Where) -> Iterator[Problem]:
        if value in self._seen:
            yield Problem(path, f"{self._what} {value} is there twice")
        self._seen.add(value)


def _people(account: Account, at: Where) -> Iterator[tuple[Where, Person]]:
    for key, people in (("users", account.users), ("common_areas", account.common_areas)):
        for i, person in enumerate(people or ()):
            yield (*at, key, i), person


def _devices(account: Account, at: Where) -> Iterator[tuple[Where, Device]]:
    for path, person in _people(account, at):
        for j, device in enumerate(person.devices or ()):
            yield (*path, "devices", j), device
    for i, device in enumerate(account.devices or ()):
        yield (*at, "devices", i), device


def _logins(account: Account, at: Where) -> Iterator[tuple[Where, str]]:
    for i, admin in enumerate(account.admins or ()):
        yield (*at, "admins", i, "login"), admin.login
    for i, user in enumerate(account.users or ()):
        if user.login:
            yield (*at, "users", i, "login"), user.login


def _account_problems(account: Account, at: Where) -> Iterator[Problem]:
    sites, extensions = _Seen("site"), _Seen("extension")
    for i, site in enumerate(account.sites or ()):
        yield from sites.add(site.name, (*at, "sites", i, "name"))
    user_groups = _Seen("user group")
    for i, user_group in enumerate(account.user_groups or ()):
        yield from user_groups.add(user_group.name, (*at, "user_groups", i, "name"))
    people = list(_people(account, at))
    groups: list[tuple[Where, Group]] = [
        ((*at, key, i), group)
        for key, of_kind in (("ring_groups", account.ring_groups), ("paging_groups", account.paging_groups))
        for i, group in enumerate(of_kind or ())
    ]
    for path, person in people:
        yield from extensions.add(person.extension, (*path, "extension"))
    for path, group in groups:
        yield from extensions.add(group.extension, (*path, "extension"))
    yield from _place_problems(account, at)
    members = {person.extension for _, person in people}
    for path, group in groups:
        seen = _Seen("member")
        for i, member in enumerate(group.members):
            yield from seen.add(member, (*path, "members", i))
            if member not in members:
                yield Problem((*path, "members", i), f"there is no user or common area with extension {member}")
    reachable = members | {group.extension for _, group in groups}
    yield from _destination_problems(account, at, reachable)
    yield from _code_problems(account, at)
    yield from _setting_problems(account, at, reachable)


def _place_problems(account: Account, at: Where) -> Iterator[Problem]:
    """Somebody is said to be at a site or in a user group that there is none of."""
    names = {
        "site": {site.name for site in account.sites or ()},
        "group": {group.name for group in account.user_groups or ()},
    }
    named: list[tuple[Where, str, str, str | None]] = []
    for path, person in _people(account, at):
        named += [(path, "site", "site", person.site), (path, "group", "user group", person.group)]
    for i, admin in enumerate(account.admins or ()):
        named.append(((*at, "admins", i), "site", "site", admin.site))
    for path, key, what, name in named:
        if name is not None and name not in names[key]:
            there_are = ", ".join(sorted(names[key])) or "none"
            yield Problem((*path, key), f"there is no {what} {name} (there are: {there_are})")


def _destination_problems(account: Account, at: Where, reachable: set[str]) -> Iterator[Problem]:
    trunks = _Seen("trunk")
    numbers = _Seen("inbound number")
    destinations = [((*path, "to"), device.to) for path, device in _devices(account, at) if device.to is not None]
    for i, trunk in enumerate(account.trunks or ()):
        yield from trunks.add(trunk.name, (*at, "trunks", i, "name"))
        for j, inbound in enumerate(trunk.inbound or ()):
            yield from numbers.add(inbound.number, (*at, "trunks", i, "inbound", j, "number"))
            destinations.append(((*at, "trunks", i, "inbound", j, "to"), inbound.to))
    for path, destination in destinations:
        if destination.startswith("park:"):
            yield from _no_code(account, destination.removeprefix("park:"), path)
        elif destination != "park" and destination not in reachable:
            yield Problem(path, f"there is no extension {destination}")
    for path, device in _devices(account, at):
        for i, key in enumerate(device.keys or ()):
            if key.type == "park":
                yield from _no_code(account, key.value.removeprefix("*"), (*path, "keys", i, "value"))
            elif key.type == "extension" and key.value not in reachable:
                yield Problem((*path, "keys", i, "value"), f"there is no extension {key.value}")


def _no_code(account: Account, slot: str, path: Where) -> Iterator[Problem]:
    if not any(first <= int(slot) <= last for first, last in _code_ranges(account)):
        yield Problem(path, f"{slot} is not a parking code of this account")


def _code_ranges(account: Account) -> Iterator[tuple[int, int]]:
    for site in account.sites or ():
        first, _, last = site.codes.partition("-")
        yield int(first), int(last)
    if not account.sites:
        first, _, last = DEFAULT_CODES.partition("-")
        yield int(first), int(last)


def _code_problems(account: Account, at: Where) -> Iterator[Problem]:
    said, default = account.feature_codes, DefaultFeatureCodes()
    park = said.park if said and said.park else default.park
    park_dtmf = said.park_dtmf if said and said.park_dtmf else default.park_dtmf
    prefix = said.pickup_prefix if said and said.pickup_prefix else default.pickup_prefix
    if len({park, park_dtmf, prefix}) < 3:
        yield Problem((*at, "feature_codes"), "two feature codes are the same")
    digits = park.removeprefix("*")
    for i, (first, last) in enumerate(_code_ranges(account)):
        if digits.isdigit() and first <= int(digits) <= last:
            path = (
                (*at, "sites", i, "park", "codes")
                if account.sites and (lot := account.sites[i].park) and lot.codes
                else (*at, "feature_codes", "park")
            )
            yield Problem(path, f"the parking codes {first}-{last} contain the park feature code {park}")


def _setting_problems(account: Account, at: Where, reachable: set[str]) -> Iterator[Problem]:
    """What the levels say of each other, of people and of the keys of their phones."""
    says = AccountSays(
        bool(account.multi_site),
        Level(Source.ACCOUNT, _call_park(account.settings)),
        {
            site.name: SiteSays(site.name, "", _call_park(site.settings), site.park.expiration_seconds if site.park else None)
            for site in account.sites or ()
        },
        {group.name: Level(Source.GROUP, _call_park(group.settings), group.name) for group in account.user_groups or ()},
    )
    people = [
        PersonSays(
            path,
            Level(Source.USER if isinstance(person, User) else Source.COMMON_AREA, _call_park(person.settings), person.name),
            person.site if person.site in says.sites else None,
            person.group if person.group in says.groups else None,
            [key for j, device in enumerate(person.devices or ()) for key in _park_keys(device, (*path, "devices", j))],
        )
        for path, person in _people(account, at)
    ]
    for i, device in enumerate(account.devices or ()):
        people.append(PersonSays(None, Level(Source.USER, {}), park_keys=_park_keys(device, (*at, "devices", i))))
    names = {name for _, person in _people(account, at) for name in (person.extension, person.id) if name is not None}
    paths: dict[tuple[Source, Any], Where] = {(Source.ACCOUNT, None): at}
    paths |= {(Source.SITE, site.name): (*at, "sites", i) for i, site in enumerate(account.sites or ())}
    paths |= {(Source.GROUP, group.name): (*at, "user_groups", i) for i, group in enumerate(account.user_groups or ())}
    for fault in faults(says, people, reachable, names):
        text = fault.refusal.en
        reason = text[0].lower() + text[1:].rstrip(".")
        if fault.park_key is not None:
            yield Problem(fault.park_key.where, reason)
        else:
            yield Problem((*(paths.get(fault.level) or fault.level[1]), "settings", "call_park", fault.key), reason)


def _park_keys(device: Device, at: Where) -> list[ParkKey]:
    return [
        ParkKey((*at, "keys", i, "value"), device.username, key.value)
        for i, key in enumerate(device.keys or ())
        if key.type == "park"
    ]


def _call_park(settings: LevelSettings | None) -> dict[str, Any]:
    return settings.call_park.model_dump(exclude_none=True) if settings and settings.call_park else {}

"""What one value of a directory file means for another: nothing twice, nobody missing, codes that cannot be confused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple, TypeAlias

from parkade.calls.directory import FeatureCodes as DefaultFeatureCodes
from parkade.store.directory_model import Account, Device, DirectoryFile, Group, LevelSettings, Person
from parkade.store.park_settings import DEFAULT_CODES, ParkSettings

Where: TypeAlias = tuple[str | int, ...]


class Problem(NamedTuple):
    """``path`` leads to the value at fault: ``("accounts", 0, "users", 2, "extension")``."""

    path: Where
    reason: str


def problems(file: DirectoryFile) -> Iterator[Problem]:
    """Everything that is wrong between values, in no particular order."""
    slugs, usernames, logins = _Seen("account"), _Seen("device username"), _Seen("login")
    for index, account in enumerate(file.accounts):
        at: Where = ("accounts", index)
        yield from slugs.add(account.slug, (*at, "slug"))
        for path, device in _devices(account, at):
            yield from usernames.add(device.username, (*path, "username"))
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


def _devices(account: Account, at: Where) -> Iterator[tuple[Where, Device]]:
    for key, people in (("users", account.users), ("common_areas", account.common_areas)):
        for i, person in enumerate(people or ()):
            for j, device in enumerate(person.devices or ()):
                yield (*at, key, i, "devices", j), device
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
    people: list[tuple[Where, Person]] = [
        ((*at, key, i), person)
        for key, persons in (("users", account.users), ("common_areas", account.common_areas))
        for i, person in enumerate(persons or ())
    ]
    groups: list[tuple[Where, Group]] = [
        ((*at, key, i), group)
        for key, of_kind in (("ring_groups", account.ring_groups), ("paging_groups", account.paging_groups))
        for i, group in enumerate(of_kind or ())
    ]
    for path, person in people:
        yield from extensions.add(person.extension, (*path, "extension"))
    for path, group in groups:
        yield from extensions.add(group.extension, (*path, "extension"))
    site_names = {site.name for site in account.sites or ()}
    for path, person in people:
        if person.site is not None and person.site not in site_names:
            there_are = ", ".join(sorted(site_names)) or "none"
            yield Problem((*path, "site"), f"there is no site {person.site} (there are: {there_are})")
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


def _destination_problems(account: Account, at: Where, reachable: set[str]) -> Iterator[Problem]:
    trunks = _Seen("trunk")
    numbers = _Seen("inbound number")
    destinations = [((*path, "to"), device.to) for path, device in _devices(account, at) if device.to is not None]
    for i, trunk in enumerate(account.trunks or ()):
        yield from trunks.add(trunk.name, (*at, "trunks", i, "name"))
        for j, inbound in enumerate(trunk.inbound or ()):
            yield from numbers.add(inbound.number, (*at, "trunks", i, "inbound", j, "number"))
            destinations.append(((*at, "trunks", i, "inbound", j, "to"), inbound.to))
    ranges = list(_code_ranges(account))
    for path, destination in destinations:
        if destination.startswith("park:"):
            slot = int(destination.removeprefix("park:"))
            if not any(first <= slot <= last for first, last in ranges):
                yield Problem(path, f"{slot} is not a parking code of this account")
        elif destination != "park" and destination not in reachable:
            yield Problem(path, f"there is no extension {destination}")


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
    """What a level says is judged together with what it inherits."""
    top = _call_park(account.settings)
    if "reset" in top:
        yield Problem((*at, "settings", "call_park", "reset"), "reset is for the levels below the account")
    at_account = ParkSettings().below(top)
    yield from _forward_problems(top, at_account, (*at, "settings"), reachable)
    at_sites: dict[str, ParkSettings] = {}
    for i, site in enumerate(account.sites or ()):
        said = _call_park(site.settings)
        at_sites[site.name] = at_account.below(said)
        if at_sites[site.name] is not at_account:
            yield from _forward_problems(said, at_sites[site.name], (*at, "sites", i, "settings"), reachable)
    main = account.sites[0].name if account.sites else ""
    for key, people in (("users", account.users), ("common_areas", account.common_areas)):
        for i, person in enumerate(people or ()):
            said = _call_park(person.settings)
            above = at_sites.get(person.site or main, at_account) if account.multi_site else at_account
            below = above.below(said)
            if below is not above:
                yield from _forward_problems(said, below, (*at, key, i, "settings"), reachable)


def _call_park(settings: LevelSettings | None) -> dict[str, object]:
    return settings.call_park.model_dump(exclude_none=True) if settings and settings.call_park else {}


def _forward_problems(said: Mapping[str, object], holds: ParkSettings, at: Where, reachable: set[str]) -> Iterator[Problem]:
    """``said`` is what the level itself says, ``holds`` what it comes to with the levels above."""
    if not said.keys() & {"call_not_picked_up_action", "forward_to"}:
        return
    action, target = holds.values.get("call_not_picked_up_action"), holds.values.get("forward_to")
    if action in (50, 51) and target is None:
        yield Problem((*at, "call_park", "call_not_picked_up_action"), f"action {action} needs forward_to")
    elif action == 50 and target not in reachable:
        key = "forward_to" if "forward_to" in said else "call_not_picked_up_action"
        yield Problem((*at, "call_park", key), f"there is no extension {target}")

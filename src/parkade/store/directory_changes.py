"""What an import says it changed, in the words of whoever wrote the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from parkade.store.directory_match import Row


class Change(NamedTuple):
    """``verb`` is created, updated or removed."""

    account: str
    verb: str
    what: str

    def __str__(self) -> str:
        return f"{self.account}: {self.verb} {self.what}"


def site(row: Row) -> str:
    """``site Main``."""
    return f"site {row['name']}"


def person(row: Row) -> str:
    """``user 101 Alice``."""
    return f"{str(row['kind']).replace('_', ' ')} {row['extension']} {row['name']}"


def group(row: Row) -> str:
    """``ring group 120 Packing``."""
    return f"{row['kind']} group {row['extension']} {row['name']}"


def user_group(row: Row) -> str:
    """``user group Sales``."""
    return f"user group {row['name']}"


def identity(
    old: Row,
    new: Row,
    site_names: Mapping[object, str] | None = None,
    group_names: Mapping[object, str] | None = None,
) -> str:
    """What became of something that stayed itself: `` renamed to Head office, now extension 105``. Empty if nothing did."""
    said = []
    if old["name"] != new["name"]:
        said.append(f"renamed to {new['name']}")
    if old.get("extension") != new.get("extension"):
        said.append(f"now extension {new['extension']}")
    if site_names is not None and old["site_id"] != new["site_id"]:
        said.append(f"moved to site {site_names[new['site_id']]}" if new["site_id"] is not None else "moved to the main site")
    if group_names is not None and old["user_group_id"] != new["user_group_id"]:
        group = new["user_group_id"]
        said.append(f"now in user group {group_names[group]}" if group is not None else "now in no user group")
    if new.get("uid") not in (None, old["uid"]):
        said.append(f"now with the id {new['uid']}")
    return " " + ", ".join(said) if said else ""


def site_order(before: Sequence[str], now: Sequence[str], main: str | None) -> str | None:
    """A line about another order of the sites that stayed, and about another main site: ``main``, None if it is the same."""
    if before != now:
        return f"order of sites: {', '.join(now)}" + (f" (the main site is now {main})" if main else "")
    return f"main site: it is now {main}" if main else None


def lot(old: Row | None, new: Row, site_name: str) -> Iterator[tuple[str, str]]:
    """Verb and words for each thing that a site says of its lot and that has changed; ``old`` is None for a new lot."""
    for column, what in (("codes", "codes {}"), ("expiration_seconds", f"expiration_seconds of the lot of site {site_name}")):
        before, now = old[column] if old else None, new[column]
        if before != now:
            verb = "created" if before is None else "removed" if now is None else "updated"
            yield verb, what.format(before if now is None else now)

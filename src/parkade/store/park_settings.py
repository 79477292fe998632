"""Call Park settings as rows: what each level of an account says. What follows from that is in ``calls/park_settings.py``.

``visibility`` is kept as the ids of people, and said and shown as extensions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from parkade.calls.park_settings import AccountSays, Level, SiteSays, Source
from parkade.store.rows import Row

Says: TypeAlias = dict[str, Any]
Key: TypeAlias = tuple[int | None, int | None, int | None]
"""A level by the ``id`` of its site, its user group and its owner; all None for the account."""

ACCOUNT: Key = (None, None, None)


def says_by_level(settings: Iterable[Row]) -> dict[Key, Says]:
    """The rows of ``park_setting`` of one account, by level."""
    levels: dict[Key, Says] = {}
    for row in settings:
        levels.setdefault((row["site_id"], row["user_group_id"], row["owner_id"]), {})[row["key"]] = row["value"]
    return levels


def account_says(
    account: Row, sites: Sequence[Row], lots: Mapping[Any, Row], groups: Sequence[Row], says: Mapping[Key, Says]
) -> AccountSays:
    """The levels above people, by the ``id`` of sites and groups. ``lots`` are by the ``id`` of their site."""
    return AccountSays(
        bool(account["multi_site"]),
        Level(Source.ACCOUNT, says.get(ACCOUNT, {})),
        {
            site["id"]: SiteSays(
                site["name"], site["uid"], says.get((site["id"], None, None), {}), lots[site["id"]]["expiration_seconds"]
            )
            for site in sites
        },
        {
            group["id"]: Level(Source.GROUP, says.get((None, group["id"], None), {}), group["name"], group["uid"])
            for group in groups
        },
    )


def person_says(owner: Row, says: Mapping[Key, Says]) -> Level:
    """The level of a user or a common area."""
    return Level(Source(owner["kind"]), says.get((None, None, owner["id"]), {}), owner["name"], owner["uid"])


def as_ids(value: Any, ids: Mapping[str, str]) -> Any:
    """A value of ``visibility`` as it is kept. ``ids`` are by extension; what is none of them is an id already."""
    return value if isinstance(value, str) else list(dict.fromkeys(ids.get(name, name) for name in value))


def as_extensions(value: Any, extensions: Mapping[str, str]) -> Any:
    """A value of ``visibility`` as it is shown. ``extensions`` are by id; people who are gone are left out."""
    return value if isinstance(value, str) else [extensions[id_] for id_ in value if id_ in extensions]

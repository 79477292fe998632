"""What an administrator does to a directory while people park and talk: one table of changes, drawn by lot.

Each gives the account as it is after the change. Ids stay, names and everything else may not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import TypeAlias

from parkade.calls.directory import Account, Lot, NotPickedUp, Owner, ParkPolicy, Site

SECOND_LOT = "lot-2"
Change: TypeAlias = Callable[[Account, Random], Account]


def _lot(account: Account, id_: str, lot: Lot) -> Account:
    return replace(account, lots={**account.lots, id_: lot})


def _owner(account: Account, owner: Owner) -> Account:
    return replace(account, owners={**account.owners, owner.extension: owner})


def _somebody(account: Account, dice: Random) -> Owner:
    return account.owners[dice.choice([*account.owners])]


def rename_a_lot(account: Account, dice: Random) -> Account:
    """Another name."""
    id_ = dice.choice([*account.lots])
    return _lot(account, id_, replace(account.lots[id_], name=f"renamed {dice.randrange(10**9)}"))


def move_the_codes(account: Account, dice: Random) -> Account:
    """Other codes: fewer, more, or others."""
    id_ = dice.choice([*account.lots])
    first, last = dice.choice(((801, 802), (801, 804), (801, 899), (803, 810), (701, 799)))
    return _lot(account, id_, replace(account.lots[id_], first=first, last=last))


def change_the_settings(account: Account, dice: Random) -> Account:
    """Other times, another way to go on, parking off and on."""
    id_ = dice.choice([*account.lots])
    policy = ParkPolicy(
        enable=dice.random() < 0.8,
        expiration_s=dice.choice((3.0, 30.0, 300.0)),
        not_picked_up=dice.choice([*NotPickedUp]),
        forward_to=dice.choice((None, "101", "110", "999")),
        reserve_s=dice.choice((0.0, 10.0)),
        ring_back_s=dice.choice((5.0, 20.0)),
    )
    return _lot(account, id_, replace(account.lots[id_], policy=policy))


def open_a_site(account: Account, dice: Random) -> Account:
    """A second site with a lot of its own, and half of the people there."""
    lot = Lot("second", 801, 850, ParkPolicy(expiration_s=20.0), SECOND_LOT)
    main = Site("site-1", "One", account.main_lot)
    sites = {"site-1": main, "site-2": Site("site-2", "Two", SECOND_LOT)}
    owners = {key: replace(owner, site=dice.choice([*sites, None])) for key, owner in account.owners.items()}
    return replace(account, multi_site=True, sites=sites, lots={**account.lots, SECOND_LOT: lot}, owners=owners)


def close_the_site(account: Account, _: Random) -> Account:
    """The second site is gone, with its lot; people there are nowhere until they are moved."""
    lots = {id_: lot for id_, lot in account.lots.items() if id_ != SECOND_LOT}
    return replace(account, lots=lots, sites={id_: site for id_, site in account.sites.items() if id_ != "site-2"})


def switch_multi_site(account: Account, _: Random) -> Account:
    """Multi-site on or off."""
    return replace(account, multi_site=not account.multi_site)


def move_somebody(account: Account, dice: Random) -> Account:
    """To another site, with another name."""
    owner = _somebody(account, dice)
    return _owner(account, replace(owner, site=dice.choice([*account.sites, None]), name=f"Moved {owner.extension}"))


def licence(account: Account, dice: Random) -> Account:
    """Somebody gets a licence or loses it."""
    owner = _somebody(account, dice)
    return _owner(account, replace(owner, licensed=not owner.licensed))


def own_settings(account: Account, dice: Random) -> Account:
    """Somebody has settings of their own."""
    policy = ParkPolicy(expiration_s=dice.choice((4.0, 40.0)), not_picked_up=dice.choice([*NotPickedUp]), ring_back_s=5.0)
    return _owner(account, replace(_somebody(account, dice), policy=dice.choice((policy, None))))


def dissolve_the_groups(account: Account, _: Random) -> Account:
    """No ring group any more."""
    return replace(account, ring_groups={})


def cut_the_trunks(account: Account, _: Random) -> Account:
    """No line to the telephone network any more."""
    return replace(account, trunks={})


def remove_somebody(account: Account, dice: Random) -> Account:
    """A person is gone, and may be in the middle of a call."""
    gone = _somebody(account, dice).extension
    return replace(account, owners={extension: owner for extension, owner in account.owners.items() if extension != gone})


CHANGES: tuple[Change, ...] = (
    *(rename_a_lot, move_the_codes, change_the_settings, open_a_site, open_a_site, close_the_site, switch_multi_site),
    *(move_somebody, licence, own_settings, dissolve_the_groups, cut_the_trunks, remove_somebody),
)
"""All there are."""

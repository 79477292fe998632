"""The accounts of these tests: Acme with four people, a common-area phone and gateways; Globex next door."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from parkade.calls.directory import (
    Account,
    Device,
    Directory,
    Lot,
    Owner,
    OwnerKind,
    ParkPolicy,
    RingGroup,
    Site,
    Strategy,
    Trunk,
)
from parkade.testing.call_rig import CallRig

STANDARD = ParkPolicy()
ACME = Account(
    slug="acme",
    name="Acme",
    language="vi",
    owners={
        "101": Owner("101", "Alice", devices=("alice", "alice-app")),
        "102": Owner("102", "Bob", devices=("bob",), language="vi"),
        "103": Owner("103", "Carol", devices=("carol",)),
        "104": Owner("104", "Dan", devices=("dan",), licensed=False),
        "110": Owner("110", "Wall", OwnerKind.COMMON_AREA, devices=("wall",)),
    },
    ring_groups={
        "120": RingGroup("120", "Packing", ("102", "103")),
        "121": RingGroup("121", "Reception", ("102", "103", "101"), strategy=Strategy.IN_ORDER, each_s=15.0),
    },
)
CARRIER = Trunk(
    "acme/1", "acme", "carrier", "203.0.113.1", number="+84281234560", inbound={"+84281234567": "101", "+84281234568": "park"}
)
GLOBEX = Account(
    slug="globex",
    name="Globex",
    owners={"101": Owner("101", "Gina", devices=("gina",)), "105": Owner("105", "Gus", devices=("gus",))},
)
GATEWAYS = [
    Device("gw", "acme", "", address="192.0.2.1"),
    Device("door", "acme", "", address="192.0.2.2", destination="park"),
    Device("dock", "acme", "", address="192.0.2.3", destination="park:805"),
    Device("lobby", "acme", "", address="192.0.2.4", destination="103"),
]


def directory_of(*accounts: Account) -> Directory:
    """A directory with these accounts, every device their owners name, and Acme's gateways."""
    phones = [
        Device(device, account.slug, owner.extension)
        for account in accounts
        for owner in account.owners.values()
        for device in owner.devices
    ]
    return Directory({account.slug: account for account in accounts}, {device.id: device for device in phones + GATEWAYS})


def two_accounts(policy: ParkPolicy = STANDARD, first: int = 801, last: int = 899) -> Directory:
    """Alice has a desk phone and an app; everybody else has one phone. Both accounts have a lot alike."""
    lots = {"": Lot("Main", first, last, policy)}
    return directory_of(replace(ACME, lots=lots), replace(GLOBEX, lots=lots))


def with_trunk(everything: Directory) -> Directory:
    """The same, and Acme has a line to the telephone network."""
    acme = replace(everything.accounts["acme"], trunks={CARRIER.id: CARRIER})
    return Directory({**everything.accounts, "acme": acme}, everything.devices)


def two_sites(lots: Mapping[str, Lot]) -> Directory:
    """Acme with Alice in the north, Bob and Carol in the south; ``lots`` by the name of the site."""
    people = {"101": "North", "102": "South", "103": "South"}
    owners = {extension: replace(owner, site=people.get(extension)) for extension, owner in ACME.owners.items()}
    sites = {name: Site(name, name, f"lot {name}") for name in ("North", "South")}
    by_id = {sites[name].lot: replace(lot, id=sites[name].lot) for name, lot in lots.items()}
    main_lot = next(iter(by_id))
    return directory_of(replace(ACME, multi_site=True, owners=owners, sites=sites, lots=by_id, main_lot=main_lot))


def rig_with(policy: ParkPolicy = STANDARD, first: int = 801, last: int = 899) -> CallRig:
    """A rig with the two accounts."""
    return CallRig(two_accounts(policy, first, last))

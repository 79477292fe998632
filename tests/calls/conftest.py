"""The cast: Acme with three people, a common-area phone and two gateways; Globex next door."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from parkade.calls.directory import Account, Device, Directory, Lot, Owner, OwnerKind, ParkPolicy, RingGroup
from parkade.testing.call_play import CallPlay


def directory(policy: ParkPolicy = ParkPolicy(), first: int = 801, last: int = 899) -> Directory:
    """Alice has a desk phone and an app; Bob, Carol and the wall have one phone each."""
    acme = Account(
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
        ring_groups={"120": RingGroup("120", "Packing", ("102", "103"))},
        lots={"": Lot("Main", first, last, policy)},
    )
    globex = Account(
        slug="globex",
        name="Globex",
        owners={"101": Owner("101", "Gina", devices=("gina",)), "105": Owner("105", "Gus", devices=("gus",))},
        lots={"": Lot("Main", 801, 899, policy)},
    )
    devices = [
        Device(device, account.slug, owner.extension)
        for account in (acme, globex)
        for owner in account.owners.values()
        for device in owner.devices
    ]
    gateways = [
        Device("gw", "acme", "", address="192.0.2.1"),
        Device("door", "acme", "", address="192.0.2.2", destination="park"),
        Device("dock", "acme", "", address="192.0.2.3", destination="park:805"),
        Device("lobby", "acme", "", address="192.0.2.4", destination="103"),
    ]
    return Directory({"acme": acme, "globex": globex}, {device.id: device for device in devices + gateways})


MakePlay = Callable[..., CallPlay]


@pytest.fixture
def make_play() -> MakePlay:
    """A play whose lot has the policy and the range given."""

    def make(first: int = 801, last: int = 899, **policy: object) -> CallPlay:
        return CallPlay(directory(replace(ParkPolicy(), **policy), first, last))

    return make


@pytest.fixture
def play() -> CallPlay:
    """A play with everything at its default."""
    return CallPlay(directory())

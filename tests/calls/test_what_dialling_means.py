"""From a dialled string to what it means in an account."""

from __future__ import annotations

from dataclasses import replace

import pytest

from parkade.calls.directory import FeatureCodes
from parkade.calls.identity import Identity
from parkade.calls.route import ParkCode, ParkSelf, People, Route, SlotCode, route
from tests.calls.accounts import ACME


@pytest.mark.parametrize(
    ("dialled", "meaning"),
    [
        ("*800", ParkCode()),
        ("*801", SlotCode(801)),
        ("*10001", SlotCode(10001)),
        ("**801", SlotCode(801, only_pick_up=True)),
        ("***801", SlotCode(801, only_pick_up=True)),
        ("park", ParkSelf()),
        ("park:805", ParkSelf("805")),
        ("*12", None),
        ("*0801", None),
        ("*1234567", None),
        ("*8٠1", None),
        ("801", None),
        ("999", None),
        ("", None),
        ("*", None),
        ("**", None),
        ("\x00*801", None),
    ],
)
def test_a_dialled_string_means(dialled: str, meaning: Route | None) -> None:
    assert route(ACME, dialled) == meaning


def test_an_extension_is_its_owner() -> None:
    assert route(ACME, "110") == People(Identity("Wall", "110"), (ACME.owners["110"],))


def test_a_ring_group_is_all_its_members() -> None:
    found = route(ACME, "120")
    assert isinstance(found, People)
    assert found.shown == Identity("Packing", "120")
    assert [owner.name for owner in found.owners] == ["Bob", "Carol"]


def test_an_account_may_choose_its_codes() -> None:
    account = replace(ACME, feature_codes=FeatureCodes(park="#70", pickup_prefix="#8"))
    assert route(account, "#70") == ParkCode()
    assert route(account, "#8801") == SlotCode(801, only_pick_up=True)
    assert route(account, "*800") == SlotCode(800)


def test_a_code_that_is_switched_off_means_nothing() -> None:
    account = replace(ACME, feature_codes=FeatureCodes(park="", pickup_prefix=""))
    assert route(account, "") is None
    assert route(account, "**801") is None

"""The order of sites in the file is the administrator's: the first is the main one, and another order is a change."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import pytest

from tests.store.installation import account, exported, imported, site_id, within

CODES = {"A": "801-899", "B": "701-709", "C": "601-609"}


def file(*names: str, multi_site: bool = False) -> str:
    sites = ", ".join(f'{{name: {name}, park: {{codes: "{CODES[name]}"}}}}' for name in names)
    head = f"slug: acme, name: Acme, multi_site: {str(multi_site).lower()}"
    return f"accounts: [{{{head}, sites: [{sites}], users: [{{extension: '10', name: Ann}}]}}]"


@pytest.mark.parametrize("order", list(permutations("ABC")))
def test_the_sites_are_in_the_order_of_the_file_whatever_it_was_before(data: Path, order: tuple[str, ...]) -> None:
    imported(data, file("A", "B", "C"))
    ids = {name: site_id(account(data), name) for name in "ABC"}
    changes = imported(data, file(*order))
    acme = account(data)
    assert list(acme.sites) == [ids[name] for name in order]
    assert acme.main_lot == acme.sites[ids[order[0]]].lot
    assert f"{acme.lots[acme.main_lot].first}-" in CODES[order[0]]
    assert acme.owners["10"].site == ids[order[0]]
    main = f" (the main site is now {order[0]})" if order[0] != "A" else ""
    assert changes == ([] if order == ("A", "B", "C") else [f"acme: updated order of sites: {', '.join(order)}{main}"])
    assert imported(data, file(*order)) == []
    assert [text for text in exported(data).split('"') if text in CODES] == list(order)


def test_another_order_is_a_change_that_a_running_server_notices(data: Path) -> None:
    imported(data, file("A", "B"))
    before = within(data, lambda store: store.revision())
    imported(data, file("B", "A"))
    assert within(data, lambda store: store.changed_accounts(before)) == (before + 1, ["acme"])


def test_a_new_first_site_is_the_main_one_and_that_is_said(data: Path) -> None:
    imported(data, file("A", "B"))
    changes = imported(data, file("C", "A", "B"))
    assert changes == ["acme: created site C", "acme: updated main site: it is now C", "acme: created codes 601-609"]


def test_removing_the_first_site_says_which_is_the_main_one(data: Path) -> None:
    imported(data, file("A", "B"))
    assert "acme: updated main site: it is now B" in imported(data, file("B"))


def test_a_site_removed_from_the_middle_or_added_at_the_end_is_no_other_order(data: Path) -> None:
    imported(data, file("A", "B", "C"))
    assert imported(data, file("A", "C")) == ["acme: removed codes 701-709", "acme: removed site B"]
    assert imported(data, file("A", "C", "B")) == ["acme: created site B", "acme: created codes 701-709"]

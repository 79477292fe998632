"""Ids stay with what they name: through renaming, moving and re-ordering, by the id in a file or without one."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parkade.calls.directory import Account
from parkade.store.directory_file import write_directory_file
from parkade.store.directory_import import ImportRefusedError
from parkade.store.directory_model import DirectoryFile
from parkade.store.store import Store
from tests.databases import KINDS, of_kind, url_of
from tests.store.directory_text import ACME, changed, complaints, line_of, read
from tests.store.installation import account, exported, imported, site_id, within

TWO_SITES = """
accounts:
  - slug: acme
    name: Acme
    multi_site: true
    sites:
      - {name: Main, park: {codes: "801-899"}}
      - {name: Depot, park: {codes: "701-709"}}
    users:
      - {extension: "101", name: Alice, site: Main, devices: [{username: acme-101, password: x}]}
      - {extension: "102", name: Bob, site: Depot, devices: [{username: acme-102, password: y}]}
    ring_groups: [{extension: "120", name: Packing, members: ["101", "102"]}]
"""


def lots(of: Account) -> dict[str, str]:
    """The id of the lot of each site, by the site's name."""
    return {site.name: site.lot for site in of.sites.values()}


def renamed(text: str, old: str, new: str) -> str:
    return re.sub(rf'((?:name|site): "?){old}\b', rf"\g<1>{new}", text)


def test_ids_are_sixteen_hex_digits_and_different(data: Path) -> None:
    imported(data, TWO_SITES)
    acme = account(data)
    ids = [*acme.sites, *acme.lots, *(o.id for o in acme.owners.values()), *(g.id for g in acme.ring_groups.values())]
    assert len(set(ids)) == 7
    assert all(re.fullmatch("[0-9a-f]{16}", id_) for id_ in ids)


@pytest.mark.parametrize("with_ids", [True, False], ids=["exported file", "file without ids"])
def test_a_renamed_site_keeps_its_id_its_lot_and_its_people_and_the_import_says_so(data: Path, with_ids: bool) -> None:
    imported(data, TWO_SITES)
    before, text = account(data), exported(data) if with_ids else TWO_SITES
    assert imported(data, renamed(text, "Main", "Head office")) == ["acme: updated site Main renamed to Head office"]
    after = account(data)
    assert list(after.sites) == list(before.sites)
    assert lots(after)["Head office"] == lots(before)["Main"] == after.main_lot
    assert {o.extension: o.site for o in after.owners.values()} == {o.extension: o.site for o in before.owners.values()}


def test_two_sites_that_are_renamed_at_once_are_told_apart_by_their_codes(data: Path) -> None:
    imported(data, TWO_SITES)
    before = lots(account(data))
    changes = imported(data, renamed(renamed(TWO_SITES, "Main", "West"), "Depot", "East"))
    assert changes == ["acme: updated site Main renamed to West", "acme: updated site Depot renamed to East"]
    assert lots(account(data)) == {"West": before["Main"], "East": before["Depot"]}


def test_two_new_sites_that_could_be_either_of_two_old_ones_are_new(data: Path) -> None:
    same_codes = TWO_SITES.replace("701-709", "801-899")
    imported(data, same_codes)
    changes = imported(data, renamed(renamed(same_codes, "Main", "West"), "Depot", "East"))
    assert {"acme: created site West", "acme: created site East", "acme: removed site Main"} <= set(changes)


def test_a_new_site_that_has_an_id_is_no_renamed_one(data: Path) -> None:
    imported(data, TWO_SITES)
    changes = imported(data, renamed(TWO_SITES, "Depot", "Airport").replace("{name: Airport,", "{name: Airport, id: airport,"))
    assert {"acme: created site Airport", "acme: removed site Depot"} <= set(changes)


def test_sites_may_exchange_their_names(data: Path) -> None:
    imported(data, TWO_SITES)
    before, text = account(data), exported(data)
    exchanged = renamed(renamed(renamed(text, "Main", "Third"), "Depot", "Main"), "Third", "Depot")
    assert imported(data, exchanged) == [
        "acme: updated site Main renamed to Depot",
        "acme: updated site Depot renamed to Main",
    ]
    assert lots(account(data)) == {"Depot": lots(before)["Main"], "Main": lots(before)["Depot"]}


def test_a_site_may_take_the_name_of_one_that_is_removed(data: Path) -> None:
    imported(data, TWO_SITES)
    before, text = account(data), exported(data)
    depot = text[text.index('      - name: "Depot"') : text.index("    users:")]
    everybody_in_main = text.replace(depot, "").replace('site: "Depot"', 'site: "Main"')
    changes = imported(data, renamed(everybody_in_main, "Main", "Depot"))
    assert changes == [
        "acme: updated site Main renamed to Depot",
        "acme: updated user 102 Bob moved to site Depot",
        "acme: removed codes 701-709",
        "acme: removed site Depot",
    ]
    assert lots(account(data)) == {"Depot": lots(before)["Main"]}


def test_a_site_that_people_still_name_is_not_removed(data: Path) -> None:
    text = changed('      - {name: Depot, park: {codes: "701-709"}}\n', "", TWO_SITES)
    reason = "users[1].site: there is no site Depot (there are: Main)"
    assert complaints(text) == [(line_of('extension: "102"', text), reason)]


def test_the_first_site_takes_over_the_lot_that_the_account_had_and_gives_it_back(data: Path) -> None:
    bare = 'accounts: [{slug: acme, name: Acme, users: [{extension: "10", name: Ann}]}]'
    sites = 'accounts: [{slug: acme, name: Acme, sites: [{name: A}, {name: B}], users: [{extension: "10", name: Ann}]}]'
    imported(data, bare)
    lot = account(data).main_lot
    imported(data, sites)
    assert account(data).main_lot == lots(account(data))["A"] == lot
    imported(data, bare)
    assert (account(data).main_lot, list(account(data).lots)) == (lot, [lot])


def test_switching_multi_site_changes_no_id(data: Path) -> None:
    imported(data, TWO_SITES)
    on = account(data)
    imported(data, changed("multi_site: true", "multi_site: false", TWO_SITES))
    off = account(data)
    assert (on.lots.keys(), on.sites, on.main_lot) == (off.lots.keys(), off.sites, off.main_lot)


def test_a_person_with_another_name_site_or_extension_is_the_same_person(data: Path) -> None:
    imported(data, TWO_SITES)
    before = {owner.name: owner.id for owner in account(data).owners.values()}
    text = exported(data).replace('extension: "102"', 'extension: "105"').replace('      - "102"', '      - "105"')
    text = text.replace('"102"', '"105"').replace('site: "Depot"', 'site: "Main"').replace('"Alice"', '"Alicia"')
    changes = imported(data, text)
    assert changes[:2] == [
        "acme: updated user 101 Alice renamed to Alicia",
        "acme: updated user 102 Bob now extension 105, moved to site Main",
    ]
    after = account(data)
    assert {owner.name: owner.id for owner in after.owners.values()} == {"Alicia": before["Alice"], "Bob": before["Bob"]}
    assert after.owners["105"].devices == ("acme-102",)
    assert after.ring_groups["120"].members == ("101", "105")


def test_people_and_groups_may_exchange_extensions(data: Path) -> None:
    imported(data, TWO_SITES)
    before = account(data)
    text = exported(data)
    for old, new in (("101", "x"), ("102", "101"), ("120", "102"), ("x", "120")):
        text = text.replace(f'"{old}"', f'"{new}"')
    imported(data, text)
    after = account(data)
    assert (after.owners["120"].id, after.owners["101"].id) == (before.owners["101"].id, before.owners["102"].id)
    assert after.ring_groups["102"].id == before.ring_groups["120"].id


def test_a_device_is_the_same_device_with_another_owner(data: Path) -> None:
    imported(data, TWO_SITES)
    text = TWO_SITES.replace("acme-101", "acme-x").replace("acme-102", "acme-101").replace("acme-x", "acme-102")
    changes = imported(data, text)
    assert changes == ["acme: updated device acme-102", "acme: updated device acme-101"]
    assert account(data).owners["101"].devices == ("acme-102",)


def test_the_id_of_another_account_is_refused_in_words_and_nothing_is_changed(data: Path) -> None:
    imported(data, TWO_SITES)
    text = exported(data)
    id_ = site_id(account(data), "Main")
    copy = f"accounts: [{{slug: beta, name: Beta, sites: [{{name: Here, id: '{id_}'}}]}}]"
    reason = f"beta: the id {id_} is that of site Main of another account; leave it out for a new one"
    with pytest.raises(ImportRefusedError, match=reason):
        imported(data, copy)
    assert exported(data) == text


def test_an_id_that_is_not_known_here_is_taken_over(data: Path) -> None:
    imported(data, TWO_SITES)
    changes = imported(data, changed("{name: Main,", "{name: Main, id: hq,", TWO_SITES))
    assert changes == ["acme: updated site Main now with the id hq"]
    assert site_id(account(data), "Main") == "hq"


def test_an_id_names_one_thing() -> None:
    twice = changed("{name: Main,", "{name: Main, id: hq,", changed("{name: Depot,", "{name: Depot, id: hq,", TWO_SITES))
    assert complaints(twice) == [(line_of("Depot", twice), "sites[1].id: site id hq is there twice")]
    person = changed("name: Alice,", "name: Alice, id: 'a b',", TWO_SITES)
    assert complaints(person) == [(line_of("Alice", person), "users[0].id: 'a b' is not an id of letters, digits, _ and -")]


@st.composite
def site_lists(draw: st.DrawFn) -> list[tuple[str, str, bool]]:
    """Some sites in some order: name, codes, and whether the file says the id that a site of this name once had."""
    names = draw(st.lists(st.sampled_from(["A", "B", "C", "D"]), unique=True))
    return [(name, draw(st.sampled_from(["801-899", "701-709", "601-609"])), draw(st.booleans())) for name in names]


class Installation:
    """A store that stays open over many examples; each has an account of its own."""

    def __init__(self, runner: asyncio.Runner, store: Store) -> None:
        self.runner = runner
        self.store = store
        self.accounts = 0


@pytest.fixture(scope="module", params=KINDS)
def installation(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    data = tmp_path_factory.mktemp("data")
    with asyncio.Runner() as runner, of_kind(request.param, data):
        store = runner.run(Store.open(data, url_of(data)))
        yield Installation(runner, store)
        runner.run(store.close())


@settings(max_examples=40, deadline=None)
@given(st.lists(site_lists(), min_size=2, max_size=5), st.booleans())
def test_whatever_is_imported_ids_stay_and_importing_again_changes_nothing(
    installation: Installation, files: list[list[tuple[str, str, bool]]], multi_site: bool
) -> None:
    installation.accounts += 1
    slug, store = f"x{installation.accounts}", installation.store

    async def run() -> None:
        known: dict[str, str] = {}
        for sites in files:
            entries: list[str] = []
            said: dict[str, str] = {}
            for name, codes, with_id in sites:
                if with_id and name in known and known[name] not in said.values():
                    said[name] = known[name]
                id_ = f', id: "{said[name]}"' if name in said else ""
                entries.append(f'{{name: {name}{id_}, park: {{codes: "{codes}"}}}}')
            head = f"slug: {slug}, name: X, multi_site: {str(multi_site).lower()}"
            file = read(f"accounts: [{{{head}, sites: [{', '.join(entries)}]}}]")
            await store.import_directory(file)
            assert await store.import_directory(file) == []
            loaded = await store.account(slug)
            assert loaded is not None
            account = loaded.account
            assert [site.name for site in account.sites.values()] == [name for name, _, _ in sites]
            assert len(account.lots) == max(1, len(sites))
            assert next(iter(account.lots)) == account.main_lot
            for site in account.sites.values():
                assert said.get(site.name, site.id) == site.id
                known[site.name] = site.id
        (own,) = [of for of in (await store.export_directory()).accounts if of.slug == slug]
        assert await store.import_directory(read(write_directory_file(DirectoryFile(accounts=[own])))) == []

    installation.runner.run(run())


def test_the_example_survives_its_own_export_with_ids(data: Path) -> None:
    imported(data, ACME)
    text = exported(data)
    assert text.count(" id: ") == 6
    assert within(data, lambda store: store.import_directory(read(text))) == []

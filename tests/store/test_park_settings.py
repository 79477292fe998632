"""Call Park settings of a directory file: what the nearest level says holds, for a lot and for each person."""

from __future__ import annotations

from pathlib import Path

import pytest

from parkade.calls.directory import Account, Assignment, Lot, NotPickedUp, ParkPolicy
from tests.store.directory_text import ACME, changed, complaints, line_of
from tests.store.installation import account, exported, imported, site_id

FILE = """
accounts:
  - slug: acme
    name: Acme
    multi_site: {multi_site}
    sites:
      - {{name: Main, park: {{{main_park}}}, settings: {{call_park: {{{main}}}}}}}
      - {{name: Depot, settings: {{call_park: {{{depot}}}}}}}
    settings: {{call_park: {{{account}}}}}
    users:
      - {{extension: "11", name: Ann, site: Main, settings: {{call_park: {{{ann}}}}}}}
      - {{extension: "12", name: Ben, site: Depot}}
    common_areas: [{{extension: "13", name: Hall, settings: {{call_park: {{{hall}}}}}}}]
"""


def loaded(data: Path, **levels: str) -> Account:
    said = dict.fromkeys(("main_park", "main", "depot", "account", "ann", "hall"), "") | {"multi_site": "true"} | levels
    imported(data, FILE.format(**said))
    return account(data)


def lot_at(acme: Account, site: str) -> Lot:
    lot = acme.lot_of(site_id(acme, site))
    assert lot is not None
    return lot


def policy(acme: Account, extension: str) -> ParkPolicy:
    effective = acme.owners[extension].policy
    assert effective is not None
    return effective


@pytest.mark.parametrize("multi_site", ["true", "false"])
def test_a_lot_may_say_its_seconds_which_override_the_minutes_of_its_account(data: Path, multi_site: str) -> None:
    levels = {"main_park": 'codes: "801-899", expiration_seconds: 2.5', "account": "expiration_period: 20"}
    acme = loaded(data, multi_site=multi_site, **levels)
    assert acme.lots[acme.main_lot].policy.expiration_s == 2.5
    assert policy(acme, "11").expiration_s == 2.5
    assert policy(acme, "12").expiration_s == (1200.0 if multi_site == "true" else 2.5)


def test_a_lot_may_say_its_seconds_without_its_codes(data: Path) -> None:
    lot = lot_at(loaded(data, main_park="expiration_seconds: 3"), "Main")
    assert (lot.first, lot.last, lot.policy.expiration_s) == (801, 899, 3.0)


def test_the_seconds_of_a_lot_come_back_as_they_were_written_and_changes_are_said(data: Path) -> None:
    loaded(data, main_park="expiration_seconds: 3")
    text = exported(data)
    assert "expiration_seconds: 3\n" in text
    assert imported(data, text) == []
    changes = imported(data, text.replace("expiration_seconds: 3", "expiration_seconds: 2.5"))
    assert changes == ["acme: updated expiration_seconds of the lot of site Main"]
    assert "expiration_seconds: 2.5\n" in exported(data)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("0", "must be more than 0"),
        ("-1", "must be more than 0"),
        ("86401", "must be at most 86400"),
        ('"5"', "a number is wanted"),
    ],
)
def test_wrong_seconds_of_a_lot_are_named_with_their_line(value: str, reason: str) -> None:
    text = changed('park: {codes: "801-899"}', f'park: {{codes: "801-899", expiration_seconds: {value}}}', ACME)
    found = complaints(text)
    assert [line for line, _ in found] == [line_of("expiration_seconds", text)]
    assert reason in found[0][1]


def test_the_nearest_level_wins_whether_it_says_minutes_or_seconds(data: Path) -> None:
    acme = loaded(
        data,
        account="expiration_seconds: 1",
        main="expiration_period: 5",
        depot="expiration_seconds: 7, expiration_period: 2",
        ann="expiration_period: 1",
        hall="expiration_seconds: 9",
    )
    assert (lot_at(acme, "Main").policy.expiration_s, lot_at(acme, "Depot").policy.expiration_s) == (300.0, 7.0)
    assert [policy(acme, extension).expiration_s for extension in ("11", "12", "13")] == [60.0, 7.0, 9.0]


def test_minutes_of_a_person_win_over_the_seconds_of_the_lot(data: Path) -> None:
    acme = loaded(data, main_park="expiration_seconds: 2", ann="expiration_period: 3")
    assert (policy(acme, "11").expiration_s, policy(acme, "13").expiration_s) == (180.0, 2.0)


def test_a_person_that_says_nothing_has_the_settings_of_the_own_site_and_one_without_site_those_of_the_main_site(
    data: Path,
) -> None:
    acme = loaded(data, main="sequence: 0", depot="call_not_picked_up_action: 9")
    assert policy(acme, "12") is lot_at(acme, "Depot").policy
    assert policy(acme, "12").not_picked_up is NotPickedUp.DISCONNECT
    assert policy(acme, "13") is lot_at(acme, "Main").policy
    assert policy(acme, "13").assignment is Assignment.RANDOM


def test_with_multi_site_off_sites_have_no_say_but_people_have(data: Path) -> None:
    acme = loaded(data, multi_site="false", main="enable: false", depot="enable: false", ann="reserve_seconds: 5")
    assert policy(acme, "11") == ParkPolicy(reserve_s=5.0)
    assert policy(acme, "12") == policy(acme, "13") == ParkPolicy()


def test_below_a_locked_level_nothing_is_heard(data: Path) -> None:
    acme = loaded(
        data,
        account="reserve_seconds: 5",
        main="locked: true, expiration_period: 2",
        main_park="expiration_seconds: 1",
        ann="expiration_period: 50, reserve_seconds: 6",
        depot="expiration_period: 3",
    )
    assert policy(acme, "11") == ParkPolicy(expiration_s=120.0, reserve_s=5.0)
    assert policy(acme, "12").expiration_s == 180.0


def test_a_level_that_is_reset_says_nothing(data: Path) -> None:
    acme = loaded(data, account="reserve_seconds: 5", ann="reserve_seconds: 6, locked: true, reset: true")
    assert policy(acme, "11").reserve_s == 5.0


def wrong(**levels: str) -> list[str]:
    said = dict.fromkeys(("main_park", "main", "depot", "account", "ann", "hall"), "") | {"multi_site": "true"} | levels
    return [reason for _, reason in complaints(FILE.format(**said))]


def test_a_target_may_come_from_any_level_above() -> None:
    assert wrong(account='forward_to: "12"', main="enable: true", ann="call_not_picked_up_action: 50") == []
    assert wrong(main='forward_to: "12"', hall="call_not_picked_up_action: 50") == []
    assert wrong(account="call_not_picked_up_action: 50, forward_to: '12'", ann='forward_to: "13"') == []


def test_an_action_that_comes_to_nothing_is_refused_where_it_is_said() -> None:
    needs = "settings.call_park.call_not_picked_up_action: action 50 needs forward_to"
    assert wrong(ann="call_not_picked_up_action: 50") == [f"users[0].{needs}"]
    assert wrong(multi_site="false", main='forward_to: "12"', ann="call_not_picked_up_action: 50") == [f"users[0].{needs}"]
    assert wrong(account="call_not_picked_up_action: 50", ann="sequence: 0") == [needs]
    nobody = "settings.call_park.call_not_picked_up_action: there is no extension 077"
    assert wrong(account='forward_to: "077"', main="call_not_picked_up_action: 50") == [f"sites[0].{nobody}"]


def test_what_is_not_heard_is_not_judged() -> None:
    assert wrong(account="locked: true", ann="call_not_picked_up_action: 50") == []
    assert wrong(ann="call_not_picked_up_action: 50, reset: true") == []


def test_whose_setting_changed_is_said(data: Path) -> None:
    loaded(data, account="reserve_seconds: 5")
    said = dict.fromkeys(("main_park", "main", "depot", "account"), "") | {"multi_site": "true"}
    changes = imported(data, FILE.format(**said | {"main": "enable: true", "ann": "sequence: 0", "hall": "enable: false"}))
    assert changes == [
        "acme: created setting call_park.enable of site Main",
        "acme: created setting call_park.sequence of 11",
        "acme: created setting call_park.enable of 13",
        "acme: removed setting call_park.reserve_seconds",
    ]

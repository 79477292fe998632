"""User groups, administrators of sites and the keys of phones in a directory file."""

from __future__ import annotations

from pathlib import Path

import pytest

from parkade.calls.directory import Assignment, Visibility, VisibilityKind
from tests.store.directory_text import complaints, line_of
from tests.store.installation import account, exported, imported, site_id

FILE = """
accounts:
  - slug: acme
    name: Acme
    multi_site: true
    admins:
      - {login: boss@acme.test}
      - {login: depot@acme.test, site: Depot}
    sites:
      - {name: Main}
      - name: Depot
        settings: {call_park: {sequence: 1}}
    settings: {call_park: {enable: true}}
    user_groups:
      - {name: Sales, settings: {call_park: {expiration_period: 5}}}
      - {name: Packing}
    users:
      - {extension: "11", name: Ann, group: Sales, site: Depot, devices: [{username: ann, password: x}]}
      - extension: "12"
        name: Ben
        group: Sales
        settings: {call_park: {reserve_seconds: 60}}
      - {extension: "13", name: Cam, group: Packing}
    common_areas: [{extension: "14", name: Hall, group: Packing}]
    paging_groups: [{extension: "30", name: All, members: ["14"]}]
"""


def edited(*changes: tuple[str, str]) -> str:
    text = FILE
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


def wrong(*changes: tuple[str, str]) -> list[tuple[int, str]]:
    return complaints(edited(*changes))


def last_line_of(part: str, text: str) -> int:
    return max(number for number, line in enumerate(text.splitlines(), 1) if part in line)


def group_ids(data: Path) -> dict[str, str | None]:
    return {extension: owner.group for extension, owner in account(data).owners.items()}


def test_settings_of_a_group_hold_for_its_people_between_site_and_person(data: Path) -> None:
    imported(data, FILE)
    policies = {extension: owner.policy for extension, owner in account(data).owners.items()}
    assert [(p.expiration_s, p.reserve_s) for p in policies.values() if p] == [(300, 30), (300, 60), (600, 30), (600, 30)]


def test_people_know_their_group_by_its_id(data: Path) -> None:
    imported(data, FILE)
    groups = group_ids(data)
    assert groups["11"] == groups["12"]
    assert groups["13"] == groups["14"]
    assert len({*groups.values()}) == 2
    assert None not in groups.values()


def test_what_was_exported_changes_nothing(data: Path) -> None:
    imported(data, FILE)
    text = exported(data)
    assert imported(data, text) == []
    assert exported(data) == text


def test_a_group_that_is_renamed_is_known_by_its_people_and_keeps_its_id_and_settings(data: Path) -> None:
    imported(data, FILE)
    before = group_ids(data)
    text = edited(("Sales", "Nordic sales"), ("name: Packing}", "name: Wrapping}"), ("group: Packing", "group: Wrapping"))
    assert imported(data, text) == [
        "acme: updated user group Sales renamed to Nordic sales",
        "acme: updated user group Packing renamed to Wrapping",
    ]
    assert group_ids(data) == before


def test_a_group_that_is_renamed_by_its_id_keeps_its_settings_though_its_people_change(data: Path) -> None:
    imported(data, FILE)
    before = group_ids(data)
    text = exported(data).replace('"Sales"', '"Nordic sales"').replace('group: "Packing"', 'group: "Nordic sales"')
    assert imported(data, text) == [
        "acme: updated user group Sales renamed to Nordic sales",
        "acme: updated user 13 Cam now in user group Nordic sales",
        "acme: updated common area 14 Hall now in user group Nordic sales",
    ]
    assert set(group_ids(data).values()) == {before["11"]}


def test_who_leaves_a_group_or_whose_group_is_gone_is_said(data: Path) -> None:
    imported(data, FILE)
    changes = imported(data, edited((", group: Packing", ""), ("      - {name: Packing}\n", "")))
    assert changes == [
        "acme: updated user 13 Cam now in no user group",
        "acme: updated common area 14 Hall now in no user group",
        "acme: removed user group Packing",
    ]
    assert group_ids(data)["13"] is None


def test_the_settings_of_a_group_are_named_when_they_change(data: Path) -> None:
    imported(data, FILE)
    changes = imported(data, edited(("{expiration_period: 5}", "{expiration_period: 6, enable: true}")))
    assert changes == [
        "acme: created setting call_park.enable of user group Sales",
        "acme: updated setting call_park.expiration_period of user group Sales",
    ]


def test_people_who_see_a_private_park_are_known_by_id_and_stay_the_same_when_they_are_renumbered(data: Path) -> None:
    private = edited(("{reserve_seconds: 60}", '{visibility: ["11", "14"]}'))
    imported(data, private)
    acme = account(data)
    seen_by = Visibility(VisibilityKind.PEOPLE, (acme.owners["11"].id, acme.owners["14"].id))
    policy = acme.owners["12"].policy
    assert policy is not None
    assert policy.visibility == seen_by
    text = exported(data).replace('extension: "11"', 'extension: "21"').replace('- "11"', '- "21"')
    assert imported(data, text) == ["acme: updated user 11 Ann now extension 21"]
    now = account(data).owners["12"].policy
    assert now is not None
    assert now.visibility == seen_by


def test_people_may_be_named_by_id(data: Path) -> None:
    imported(
        data, edited(('extension: "11"', 'id: ann-1, extension: "11"'), ("{reserve_seconds: 60}", "{visibility: [ann-1]}"))
    )
    policy = account(data).owners["12"].policy
    assert policy is not None
    assert policy.visibility.people == ("ann-1",)


def test_a_site_has_its_own_administrator(data: Path) -> None:
    imported(data, FILE)
    assert 'login: "depot@acme.test"\n        site: "Depot"' in exported(data)
    assert imported(data, edited((", site: Depot}\n    sites", "}\n    sites"))) == ["acme: updated login depot@acme.test"]


WITH_KEY = (
    "devices: [{username: ann, password: x}]",
    'devices: [{username: ann, password: x, keys: [{type: park, value: "*801"}]}]',
)
RANDOM_SITE = ("{sequence: 1}", "{sequence: 0}")


def test_a_park_key_and_random_contradict_each_other_at_whatever_level_random_is_said() -> None:
    assert wrong(WITH_KEY) == []
    line = line_of("type: park", edited(WITH_KEY))
    for where, level in (
        (RANDOM_SITE, "site Depot"),
        (("{expiration_period: 5}", "{sequence: 0}"), "user group Sales"),
        (("name: Ann", "name: Ann, settings: {call_park: {sequence: 0}}"), "user Ann"),
    ):
        reason = f"device ann has a park key for *801: park keys need Sequential, and {level} says Random"
        assert wrong(WITH_KEY, where) == [(line, f"users[0].devices[0].keys[0].value: {reason}")]
    at_account = wrong(WITH_KEY, ("{enable: true}", "{sequence: 0}"), ("settings: {call_park: {sequence: 1}}", "settings: {}"))
    assert "and the account says Random" in at_account[0][1]


def test_random_is_fine_where_no_phone_with_a_park_key_is() -> None:
    assert wrong(RANDOM_SITE) == []
    assert (
        wrong(WITH_KEY, ('extension: "13", name: Cam', 'extension: "13", name: Cam, settings: {call_park: {sequence: 0}}'))
        == []
    )
    assert wrong(WITH_KEY, RANDOM_SITE, ("multi_site: true", "multi_site: false")) == []


def test_random_holds_where_it_is_inherited(data: Path) -> None:
    imported(data, edited(RANDOM_SITE))
    acme = account(data)
    policy = acme.owners["11"].policy
    assert policy is not None
    assert policy.assignment is Assignment.RANDOM
    assert acme.sites[site_id(acme, "Depot")].name == "Depot"


@pytest.mark.parametrize(
    ("change", "place", "reason"),
    [
        (
            ("Cam, group: Packing", "Cam, group: Nobody"),
            "group: Nobody",
            "there is no user group Nobody (there are: Packing, Sales)",
        ),
        (("site: Depot}\n    sites", "site: Mars}\n    sites"), "site: Mars", "there is no site Mars (there are: Depot, Main)"),
        (
            ("{name: Packing}", "{name: Packing}\n      - {name: Packing}"),
            "{name: Packing}",
            "user group Packing is there twice",
        ),
        (
            ("{name: Packing}", "{name: Packing, colour: red}"),
            "colour",
            "there is no such key here (there are: name, id, settings)",
        ),
        (("{name: Packing}", "{name: Packing, settings: {call_park: {reset: maybe}}}"), "maybe", "true or false is wanted"),
        (("{reserve_seconds: 60}", '{visibility: ["77"]}'), "visibility", "there is no extension 77"),
        (("{reserve_seconds: 60}", "{visibility: everybody}"), "visibility", "is none of account, site, group, nor a list"),
        (("{reserve_seconds: 60}", "{visibility: 5}"), "visibility", "a text is wanted"),
        (("{reserve_seconds: 60}", '{music: ""}'), "music", "is not a line of text"),
        (
            ("{expiration_period: 5}", "{call_not_picked_up_action: 50}"),
            "call_not_picked_up_action",
            "action 50 needs forward_to",
        ),
        (("password: x}", 'password: x, keys: [{type: park, value: "801"}]}'), "keys", "'801' is not a parking code like *801"),
        (
            ("password: x}", 'password: x, keys: [{type: park, value: "*701"}]}'),
            "keys",
            "701 is not a parking code of this account",
        ),
        (("password: x}", 'password: x, keys: [{type: extension, value: "77"}]}'), "keys", "there is no extension 77"),
        (("password: x}", 'password: x, keys: [{type: lamp, value: "77"}]}'), "keys", "must be one of"),
        (("password: x}", 'password: x, keys: [{type: speed_dial, value: "x"}]}'), "keys", "'x' is not a number to dial"),
    ],
)
def test_what_cannot_be_is_named_with_its_line(change: tuple[str, str], place: str, reason: str) -> None:
    text = edited(change)
    ((line, found),) = complaints(text)
    assert line == last_line_of(place, text)
    assert reason in found


def test_changed_keys_of_a_phone_are_said(data: Path) -> None:
    imported(data, edited(WITH_KEY))
    assert imported(data, edited(WITH_KEY)) == []
    changes = imported(data, edited(WITH_KEY).replace("*801", "*802"))
    assert changes == ["acme: updated key *802 of device ann"]
    assert imported(data, FILE) == ["acme: removed key *802 of device ann"]

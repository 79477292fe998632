"""Call Park settings as an administrator reads and changes them, level by level."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from parkade.calls.directory import Account, ParkPolicy, Visibility, VisibilityKind
from parkade.calls.park_settings import DEFAULTS, Effective, Source, Unheard
from parkade.store import tables as t
from parkade.store.directory_model import CallPark
from parkade.store.park_levels import (
    WANTED,
    ChangedMeanwhileError,
    Changer,
    LevelRef,
    LevelSettings,
    NoSuchLevelError,
    SettingsRefusedError,
    patch_level,
    read_level,
    read_levels,
)
from parkade.store.store import Store
from tests.store.directory_text import complaints
from tests.store.installation import account, exported, imported, within

FILE = """
accounts:
  - slug: acme
    name: Acme
    multi_site: true
    sites:
      - {name: Main, id: main}
      - {name: Depot, id: depot}
    settings: {call_park: {expiration_period: 20}}
    user_groups: [{name: Sales, id: sales}]
    users:
      - {extension: "101", id: alice, name: Alice, site: Main, group: Sales, devices: [{username: a-101, password: x}]}
      - {extension: "102", id: bob, name: Bob, site: Depot}
    common_areas: [{extension: "110", id: hall, name: Hall, site: Depot}]
    ring_groups: [{extension: "120", name: Packing, members: ["101"]}]
  - slug: other
    name: Other
    sites: [{name: Main, id: elsewhere}]
    users: [{extension: "101", id: charlie, name: Charlie}]
"""
PARK_KEY = ("password: x}", 'password: x, keys: [{type: park, value: "*801"}]}')

ACCOUNT = LevelRef(Source.ACCOUNT)
MAIN, DEPOT, SALES = LevelRef(Source.SITE, "main"), LevelRef(Source.SITE, "depot"), LevelRef(Source.GROUP, "sales")
ALICE, BOB, HALL = LevelRef(Source.USER, "alice"), LevelRef(Source.USER, "bob"), LevelRef(Source.COMMON_AREA, "hall")
ADMIN = Changer("admin@acme.test", "account_admin", "192.0.2.7")


@pytest.fixture
def data(data: Path) -> Path:
    """One that has the file, on each kind of database."""
    imported(data, FILE)
    return data


def settings(data: Path, ref: LevelRef, slug: str = "acme") -> LevelSettings:
    async def work(store: Store) -> LevelSettings:
        async with store.reading() as connection:
            return await read_level(connection, slug, ref)

    return within(data, work)


def patch(data: Path, ref: LevelRef, says: Mapping[str, Any], *, version: str | None = None) -> LevelSettings:
    async def work(store: Store) -> LevelSettings:
        async with store.writing() as connection:
            return await patch_level(connection, "acme", ref, says, by=ADMIN, now=1000.5, version=version)

    return within(data, work)


def refused(data: Path, ref: LevelRef, says: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The key and the English text of each refusal; and nothing was changed."""
    before = exported(data)
    with pytest.raises(SettingsRefusedError) as error:
        patch(data, ref, says)
    assert exported(data) == before
    assert audit(data) == []
    return [(key, refusal.en) for key, refusal in error.value.refusals]


def audit(data: Path) -> list[dict[str, Any]]:
    async def work(store: Store) -> list[dict[str, Any]]:
        async with store.reading() as connection:
            return [dict(row) for row in (await connection.execute(select(t.audit).order_by(t.audit.c.id))).mappings()]

    return within(data, work)


def policy(data: Path, extension: str) -> ParkPolicy:
    found = account(data).owners[extension].policy
    assert found is not None
    return found


@pytest.mark.parametrize("ref", [ACCOUNT, MAIN, SALES, ALICE, HALL], ids=lambda ref: str(ref.source))
def test_a_value_that_is_set_at_a_level_comes_from_there_and_until_then_from_above(data: Path, ref: LevelRef) -> None:
    before = settings(data, ref)
    assert before.values["expiration_period"] == Effective(20, Source.ACCOUNT, None)
    assert before.values["reserve_seconds"] == Effective(30, Source.DEFAULT, None)
    after = patch(data, ref, {"reserve_seconds": 45})
    assert after.values["reserve_seconds"] == Effective(45, ref.source, None)
    assert after == settings(data, ref)
    assert after.own.is_modified
    again = patch(data, ref, {"reserve_seconds": None})
    assert again.values["reserve_seconds"] == Effective(30, Source.DEFAULT, None)
    assert again.version == before.version != after.version


def test_every_key_can_be_set_and_read_and_has_words_for_what_it_must_be(data: Path) -> None:
    says = {
        "enable": False,
        "expiration_period": 15,
        "expiration_seconds": 2.5,
        "call_not_picked_up_action": 50,
        "forward_to": "120",
        "sequence": 0,
        "reserve_seconds": 600,
        "ring_back_seconds": 1,
        "announce": "130",
        "chain": [{"action": 100, "seconds": 30}, {"action": 50, "to": "120", "seconds": 20}],
        "music": "Rain",
        "visibility": ["102", "110"],
        "locked": True,
    }
    after = patch(data, ALICE, says)
    assert {key: value.value for key, value in after.values.items()} == {**says, "reset": False}
    assert after.says == says
    assert settings(data, ALICE) == after
    assert {*says, "reset"} == set(WANTED) == set(DEFAULTS) == set(CallPark.model_fields)
    text = exported(data)
    assert imported(data, text) == []


def test_a_change_is_felt_by_call_control_and_noticed_by_running_servers(data: Path) -> None:
    revision = within(data, lambda store: store.revision())
    patch(data, SALES, {"expiration_seconds": 3})
    assert (policy(data, "101").expiration_s, policy(data, "102").expiration_s) == (3.0, 1200.0)
    assert within(data, lambda store: store.changed_accounts(revision)) == (revision + 1, ["acme"])


def test_below_a_lock_nothing_can_be_changed_and_everything_names_who_locked_it(data: Path) -> None:
    patch(data, DEPOT, {"locked": True, "enable": False})
    for ref in (BOB, HALL):
        there = settings(data, ref)
        assert there.locked_by is Source.SITE
        assert {value.locked_by for value in there.values.values()} == {Source.SITE}
        assert there.values["enable"] == Effective(False, Source.SITE, Source.SITE)
        for says in ({"enable": True}, {"enable": None}, {"reset": True}, {"reserve_seconds": 7}):
            with pytest.raises(SettingsRefusedError, match=r"^These settings are locked by site Depot\.$") as error:
                patch(data, ref, says)
            assert error.value.refusal.vi == "Các thiết lập này bị khóa bởi địa điểm Depot."
    assert settings(data, ALICE).locked_by is None
    patch(data, DEPOT, {"locked": None})
    assert patch(data, BOB, {"enable": True}).values["enable"].source is Source.USER


def test_a_level_that_locks_can_be_changed_itself(data: Path) -> None:
    assert patch(data, ACCOUNT, {"locked": True}).locked_by is None
    assert patch(data, ACCOUNT, {"reserve_seconds": 1}).values["reserve_seconds"].value == 1
    assert settings(data, MAIN).values["reserve_seconds"] == Effective(1, Source.ACCOUNT, Source.ACCOUNT)


def test_what_people_said_before_the_lock_comes_back_when_it_is_taken_away(data: Path) -> None:
    patch(data, ALICE, {"reserve_seconds": 9})
    patch(data, SALES, {"locked": True})
    assert settings(data, ALICE).values["reserve_seconds"] == Effective(30, Source.DEFAULT, Source.GROUP)
    patch(data, SALES, {"locked": False})
    assert settings(data, ALICE).values["reserve_seconds"] == Effective(9, Source.USER, None)


def test_reset_makes_a_level_forget_what_it_said_and_then_say_the_rest(data: Path) -> None:
    patch(data, ALICE, {"reserve_seconds": 9, "enable": False})
    after = patch(data, ALICE, {"reset": True})
    assert (after.says, after.own.is_modified) == ({}, False)
    patch(data, ALICE, {"reserve_seconds": 9, "enable": False})
    assert patch(data, ALICE, {"reset": True, "enable": False}).says == {"enable": False}
    assert audit(data)[-1]["before"] == {"reserve_seconds": 9}
    assert audit(data)[-1]["after"] == {"reserve_seconds": None}


def test_a_level_that_a_file_has_reset_begins_anew_or_says_again_what_it_said(data: Path) -> None:
    reset = FILE.replace("name: Bob", "name: Bob, settings: {call_park: {reserve_seconds: 9, reset: true}}")
    imported(data, reset)
    assert settings(data, BOB).values["reset"] == Effective(True, Source.USER, None)
    assert patch(data, BOB, {"enable": False}).says == {"enable": False}
    imported(data, reset)
    assert patch(data, BOB, {"reset": False}).says == {"reserve_seconds": 9}
    imported(data, reset)
    assert patch(data, BOB, {"reserve_seconds": None}).says == {"reset": True}


def test_the_account_cannot_be_reset(data: Path) -> None:
    assert refused(data, ACCOUNT, {"reset": True}) == [("reset", "Reset is for the levels below the account.")]


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("enable", 1, "enable must be true or false."),
        ("expiration_period", 11, "expiration_period must be one of 1-10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60 (minutes)."),
        ("expiration_period", "5", "expiration_period must be one of 1-10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60 (minutes)."),
        ("expiration_seconds", 0, "expiration_seconds must be a number above 0, at most 86400 (seconds)."),
        ("call_not_picked_up_action", 10, WANTED["call_not_picked_up_action"][0]),
        ("forward_to", 120, WANTED["forward_to"][0]),
        ("sequence", 2, "sequence must be 0 (Random) or 1 (Sequential)."),
        ("reserve_seconds", 601, WANTED["reserve_seconds"][0]),
        ("ring_back_seconds", 0, WANTED["ring_back_seconds"][0]),
        ("announce", "hall", WANTED["announce"][0]),
        ("chain", [{"action": 100}], WANTED["chain"][0]),
        ("music", "", WANTED["music"][0]),
        ("visibility", "everybody", WANTED["visibility"][0]),
        ("visibility", {"site": 1}, WANTED["visibility"][0]),
        ("locked", None, ""),
        ("colour", "red", "There is no setting colour."),
        ("visibility", ["101", "999"], "There is no extension 999."),
        ("call_not_picked_up_action", 50, "Action 50 needs forward_to."),
    ],
)
def test_a_value_that_cannot_be_is_named_with_what_is_wanted(data: Path, key: str, value: object, reason: str) -> None:
    if value is None:
        assert patch(data, ALICE, {key: value}).says == {}
        return
    ((found, text),) = refused(data, ALICE, {key: value})
    assert found == key
    assert reason in text


def test_everything_that_is_wrong_is_said_at_once(data: Path) -> None:
    found = refused(data, ALICE, {"sequence": 7, "enable": "yes", "colour": 1, "reserve_seconds": 5})
    assert sorted(key for key, _ in found) == ["colour", "enable", "sequence"]


def test_a_target_must_be_there_whichever_of_the_two_is_changed(data: Path) -> None:
    assert refused(data, BOB, {"call_not_picked_up_action": 50, "forward_to": "077"}) == [
        ("forward_to", "There is no extension 077.")
    ]
    patch(data, BOB, {"call_not_picked_up_action": 50, "forward_to": "120"})
    with pytest.raises(SettingsRefusedError, match="Action 50 needs forward_to"):
        patch(data, BOB, {"forward_to": None})
    assert patch(data, BOB, {"call_not_picked_up_action": 51, "forward_to": "+84281234567"}).values["forward_to"].value


def test_what_is_wrong_elsewhere_already_prevents_no_change(data: Path) -> None:
    """A person whom others forward to may be gone: that is no reason to refuse somebody else's change."""
    patch(data, BOB, {"call_not_picked_up_action": 50, "forward_to": "110"})

    async def remove_hall(store: Store) -> None:
        async with store.writing() as connection:
            await connection.execute(t.owner.delete().where(t.owner.c.uid == "hall"))

    within(data, remove_hall)
    assert patch(data, ALICE, {"enable": False}).says == {"enable": False}
    assert patch(data, BOB, {"enable": False}).says["forward_to"] == "110"


@pytest.mark.parametrize("ref", [ACCOUNT, MAIN, SALES, ALICE], ids=lambda ref: str(ref.source))
def test_random_is_refused_wherever_it_would_hold_for_a_phone_with_a_park_key(data: Path, ref: LevelRef) -> None:
    imported(data, FILE.replace(*PARK_KEY))
    ((key, text),) = refused(data, ref, {"sequence": 0})
    assert key == "sequence"
    assert text.startswith("Device a-101 has a park key for *801: park keys need Sequential, and ")


def test_random_is_allowed_where_no_such_phone_is_and_comes_to_none_by_another_way(data: Path) -> None:
    imported(data, FILE.replace(*PARK_KEY))
    assert patch(data, DEPOT, {"sequence": 0}).values["sequence"].value == 0
    patch(data, ALICE, {"sequence": 1})
    assert patch(data, ACCOUNT, {"sequence": 0}).values["sequence"].value == 0
    with pytest.raises(SettingsRefusedError, match="park keys need Sequential, and the account says Random"):
        patch(data, ALICE, {"sequence": None})
    with pytest.raises(SettingsRefusedError, match="park keys need Sequential"):
        patch(data, ACCOUNT, {"locked": True})


def test_a_phone_of_nobody_with_a_park_key_counts_for_the_account(data: Path) -> None:
    loose = '    devices: [{username: wall, password: x, keys: [{type: park, value: "*802"}]}]\n    ring_groups'
    imported(data, FILE.replace("    ring_groups", loose))
    assert "Device wall" in refused(data, ACCOUNT, {"sequence": 0})[0][1]


def test_the_other_way_round_a_park_key_is_refused_where_random_holds(data: Path) -> None:
    patch(data, SALES, {"sequence": 0})
    with_key = exported(data).replace(
        '- username: "a-101"', '- username: "a-101"\n            keys: [{type: park, value: "*801"}]'
    )
    ((_, reason),) = complaints(with_key)
    assert "park keys need Sequential, and user group Sales says Random" in reason


def test_what_was_changed_is_in_the_audit_trail_by_whom_and_from_where(data: Path) -> None:
    patch(data, BOB, {"enable": False, "expiration_period": 5})
    patch(data, BOB, {"enable": None, "expiration_period": 5, "visibility": ["alice"]})
    patch(data, BOB, {"expiration_period": 5})
    first, second = audit(data)
    assert {key: first[key] for key in ("account", "at", "by", "role", "address", "action", "object")} == {
        "account": "acme",
        "at": 1000.5,
        "by": "admin@acme.test",
        "role": "account_admin",
        "address": "192.0.2.7",
        "action": "change",
        "object": "users/bob/settings/call-park",
    }
    assert (first["before"], first["after"]) == (
        {"enable": None, "expiration_period": None},
        {"enable": False, "expiration_period": 5},
    )
    assert second["before"] == {"enable": False, "visibility": None}
    assert second["after"] == {"enable": None, "visibility": ["101"]}


def test_a_patch_that_changes_nothing_is_no_change(data: Path) -> None:
    revision = within(data, lambda store: store.revision())
    patch(data, ACCOUNT, {"expiration_period": 20, "enable": None})
    patch(data, BOB, {})
    assert within(data, lambda store: store.revision()) == revision
    assert audit(data) == []


@pytest.mark.parametrize(
    ("ref", "path"),
    [
        (ACCOUNT, "settings/call-park"),
        (MAIN, "sites/main/settings/call-park"),
        (SALES, "groups/sales/settings/call-park"),
        (ALICE, "users/alice/settings/call-park"),
        (HALL, "common-areas/hall/settings/call-park"),
    ],
)
def test_the_audit_trail_names_the_level(data: Path, ref: LevelRef, path: str) -> None:
    patch(data, ref, {"enable": False})
    assert [row["object"] for row in audit(data)] == [path]


def test_who_read_before_somebody_else_wrote_is_told(data: Path) -> None:
    version = settings(data, ALICE).version
    patch(data, ACCOUNT, {"enable": False})
    with pytest.raises(ChangedMeanwhileError):
        patch(data, ALICE, {"reserve_seconds": 5}, version=version)
    assert settings(data, ALICE).says == {}
    assert patch(data, ALICE, {"reserve_seconds": 5}, version=settings(data, ALICE).version).says == {"reserve_seconds": 5}


@pytest.mark.parametrize(
    "ref",
    [
        LevelRef(Source.SITE, "elsewhere"),
        LevelRef(Source.USER, "charlie"),
        LevelRef(Source.USER, "hall"),
        LevelRef(Source.COMMON_AREA, "alice"),
        LevelRef(Source.GROUP, "main"),
        LevelRef(Source.USER, ""),
        LevelRef(Source.DEFAULT, ""),
    ],
    ids=str,
)
def test_what_is_another_accounts_or_of_another_kind_is_not_found(data: Path, ref: LevelRef) -> None:
    with pytest.raises(NoSuchLevelError):
        settings(data, ref)
    with pytest.raises(NoSuchLevelError):
        patch(data, ref, {"enable": False})


def test_an_account_that_is_not_there_is_not_found(data: Path) -> None:
    with pytest.raises(NoSuchLevelError):
        settings(data, ACCOUNT, "nobody")


def test_the_other_account_notices_nothing(data: Path) -> None:
    patch(data, ACCOUNT, {"enable": False, "locked": True})
    charlie = settings(data, LevelRef(Source.USER, "charlie"), "other")
    assert (charlie.values["enable"], charlie.locked_by) == (Effective(True, Source.DEFAULT, None), None)
    with pytest.raises(SettingsRefusedError, match="There is no extension charlie"):
        patch(data, ACCOUNT, {"visibility": ["charlie"]})


def test_all_levels_of_a_kind_at_once_are_what_each_is_alone(data: Path) -> None:
    patch(data, DEPOT, {"locked": True, "visibility": ["alice", "110"]})
    patch(data, ALICE, {"enable": False})

    async def work(store: Store) -> list[LevelSettings]:
        async with store.reading() as connection:
            return [level for source in Source for level in await read_levels(connection, "acme", source)]

    found = within(data, work)
    assert [level.ref for level in found] == [ACCOUNT, MAIN, DEPOT, SALES, ALICE, BOB, HALL]
    for level in found:
        assert level == settings(data, level.ref)
    assert found[-1].values["visibility"].value == ["101", "110"]


def test_why_is_it_five_minutes_here(data: Path) -> None:
    patch(data, DEPOT, {"expiration_period": 5, "locked": True})
    steps = settings(data, BOB).why("expiration_period")
    assert [(step.level.source, step.level.name, step.says.get("expiration_period"), step.wins) for step in steps] == [
        (Source.DEFAULT, "", 10, False),
        (Source.ACCOUNT, "", 20, False),
        (Source.SITE, "Depot", 5, True),
        (Source.USER, "Bob", None, False),
    ]
    assert (steps[-1].unheard, steps[-1].locked_by) == (Unheard.LOCKED, Source.SITE)
    with pytest.raises(KeyError):
        settings(data, BOB).why("colour")


def test_with_multi_site_off_what_a_site_says_waits_until_it_is_on(data: Path) -> None:
    off = FILE.replace("multi_site: true", "multi_site: false")
    imported(data, off)
    after = patch(data, DEPOT, {"enable": False})
    assert after.values["enable"] == Effective(True, Source.DEFAULT, None)
    assert [step.unheard for step in after.why("enable")] == [None, None, Unheard.MULTI_SITE_OFF]
    imported(data, exported(data).replace("multi_site: false", "multi_site: true"))
    assert settings(data, DEPOT).values["enable"] == Effective(False, Source.SITE, None)


def test_of_two_who_change_what_both_have_read_one_is_told_and_none_is_overwritten(data: Path) -> None:
    version = settings(data, ALICE).version

    async def work(store: Store) -> list[str]:
        async def change(says: Mapping[str, Any]) -> str:
            async with store.writing() as connection:
                try:
                    await patch_level(connection, "acme", ALICE, says, by=ADMIN, now=0.0, version=version)
                except ChangedMeanwhileError:
                    return "told"
                return "changed"

        return await asyncio.gather(*(change(says) for says in ({"enable": False}, {"reserve_seconds": 5}, {"music": "Rain"})))

    assert sorted(within(data, work)) == ["changed", "told", "told"]
    assert len(settings(data, ALICE).says) == 1


def test_two_changes_at_once_that_contradict_each_other_cannot_both_be_made(data: Path) -> None:
    """Each alone is right: a target that is there, and an action that needs it."""
    patch(data, BOB, {"call_not_picked_up_action": 100, "forward_to": "120"})

    async def work(store: Store) -> list[str]:
        async def change(says: Mapping[str, Any]) -> str:
            async with store.writing() as connection:
                try:
                    await patch_level(connection, "acme", BOB, says, by=ADMIN, now=0.0)
                except SettingsRefusedError:
                    return "refused"
                return "changed"

        return [*await asyncio.gather(change({"forward_to": None}), change({"call_not_picked_up_action": 50}))]

    assert sorted(within(data, work)) == ["changed", "refused"]


CHANGES: list[Mapping[str, Any]] = [
    {"enable": False},
    {"enable": None},
    {"expiration_period": 5},
    {"expiration_seconds": 2.5},
    {"expiration_period": 60, "expiration_seconds": None},
    {"call_not_picked_up_action": 50, "forward_to": "120"},
    {"call_not_picked_up_action": 9},
    {"sequence": 0},
    {"reserve_seconds": 0, "ring_back_seconds": 600},
    {"visibility": "group"},
    {"visibility": ["alice", "110"]},
    {"locked": True},
    {"locked": None},
    {"reset": True},
]


def test_after_any_changes_what_is_shown_is_what_call_control_has_and_an_export_changes_nothing(data: Path) -> None:
    dice, levels = random.Random(3), (ACCOUNT, MAIN, DEPOT, SALES, ALICE, BOB, HALL)

    async def work(store: Store) -> set[str]:
        seen = set[str]()
        for _ in range(80):
            ref, says = dice.choice(levels), dice.choice(CHANGES)
            try:
                async with store.writing() as connection:
                    await patch_level(connection, "acme", ref, says, by=ADMIN, now=0.0)
                seen.add("changed")
            except SettingsRefusedError as error:
                seen.add(error.refusal.id)
            loaded = await store.account("acme")
            assert loaded is not None
            acme = loaded.account
            async with store.reading() as connection:
                for extension, person in (("101", ALICE), ("102", BOB), ("110", HALL)):
                    shown = await read_level(connection, "acme", person)
                    assert as_policy(shown.values, acme) == acme.owners[extension].policy
                for site in (MAIN, DEPOT):
                    shown = await read_level(connection, "acme", site)
                    assert as_policy(shown.values, acme) == acme.lots[acme.sites[site.id].lot].policy
        assert await store.import_directory(await store.export_directory()) == []
        return seen

    assert within(data, work) >= {"changed", "settings_locked", "reset_at_account"}


def as_policy(values: Mapping[str, Effective], acme: Account) -> ParkPolicy:
    """What is shown, put together by hand."""
    held = {key: value.value for key, value in values.items()}
    seconds, seen_by = held["expiration_seconds"], held["visibility"]
    if isinstance(seen_by, str):
        visibility = Visibility(VisibilityKind(seen_by))
    else:
        visibility = Visibility(VisibilityKind.PEOPLE, tuple(acme.owners[name].id for name in seen_by))
    return ParkPolicy(
        enable=held["enable"],
        expiration_s=60.0 * held["expiration_period"] if seconds is None else seconds,
        not_picked_up=held["call_not_picked_up_action"],
        forward_to=held["forward_to"],
        assignment=held["sequence"],
        reserve_s=held["reserve_seconds"],
        ring_back_s=held["ring_back_seconds"],
        visibility=visibility,
    )

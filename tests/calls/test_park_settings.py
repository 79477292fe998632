"""Call Park settings over the levels: first a row for each rule, then any levels at all against a slow and plain model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parkade.calls.directory import Assignment, NotPickedUp, ParkPolicy, Visibility, VisibilityKind
from parkade.calls.park_settings import (
    DEFAULTS,
    EXPIRATION,
    AccountSays,
    Effective,
    Level,
    ParkSettings,
    SiteSays,
    Source,
    Unheard,
    effective,
    explain,
    locker,
    resolve,
)

DEFAULT, ACCOUNT, SITE, GROUP, USER = Source.DEFAULT, Source.ACCOUNT, Source.SITE, Source.GROUP, Source.USER


class Rule(NamedTuple):
    """What each level says, and what ``key`` is for the person then."""

    rule: str
    key: str
    value: Any
    source: Source
    locked_by: Source | None = None
    account: Mapping[str, Any] = {}
    site: Mapping[str, Any] = {}
    lot_seconds: float | None = None
    group: Mapping[str, Any] = {}
    user: Mapping[str, Any] = {}
    multi_site: bool = True


RULES = [
    Rule("where nobody says anything the defaults hold", "expiration_period", 10, DEFAULT),
    Rule("a park is switched on unless somebody switches it off", "enable", True, DEFAULT),
    Rule("assignment is sequential by default", "sequence", 1, DEFAULT),
    Rule("a parked call rings back by default", "call_not_picked_up_action", 100, DEFAULT),
    Rule("a code is kept for 30 seconds by default", "reserve_seconds", 30, DEFAULT),
    Rule("everybody in the account sees a parked call by default", "visibility", "account", DEFAULT),
    Rule("the account says it for everybody", "expiration_period", 20, ACCOUNT, account={"expiration_period": 20}),
    Rule(
        "a site wins over the account",
        "expiration_period",
        5,
        SITE,
        account={"expiration_period": 20},
        site={"expiration_period": 5},
    ),
    Rule(
        "a user group wins over site and account",
        "expiration_period",
        3,
        GROUP,
        account={"expiration_period": 20},
        site={"expiration_period": 5},
        group={"expiration_period": 3},
    ),
    Rule(
        "the person wins over all of them",
        "expiration_period",
        1,
        USER,
        account={"expiration_period": 20},
        site={"expiration_period": 5},
        group={"expiration_period": 3},
        user={"expiration_period": 1},
    ),
    Rule(
        "each key by itself: a nearer level that says another key changes nothing",
        "sequence",
        0,
        ACCOUNT,
        account={"sequence": 0},
        site={"enable": False},
        user={"reserve_seconds": 5},
    ),
    Rule("false is a value like any other", "enable", False, SITE, account={"enable": True}, site={"enable": False}),
    Rule("no chain is a chain too", "chain", [], USER, account={"chain": [{"action": 9, "seconds": 5}]}, user={"chain": []}),
    Rule("keys whose part is not built yet are kept", "music", "Rain", SITE, site={"music": "Rain"}),
    Rule("and so is announce", "announce", "130", ACCOUNT, account={"announce": "130"}),
    Rule("a target is inherited apart from its action", "forward_to", "120", ACCOUNT, account={"forward_to": "120"}),
    Rule(
        "a locked account silences sites",
        "expiration_period",
        10,
        DEFAULT,
        ACCOUNT,
        account={"locked": True},
        site={"expiration_period": 5},
    ),
    Rule(
        "a locked account silences people",
        "expiration_period",
        20,
        ACCOUNT,
        ACCOUNT,
        account={"locked": True, "expiration_period": 20},
        user={"expiration_period": 1},
    ),
    Rule(
        "a locked site silences groups and people, and says its own",
        "expiration_period",
        5,
        SITE,
        SITE,
        account={"expiration_period": 20},
        site={"locked": True, "expiration_period": 5},
        group={"expiration_period": 3},
        user={"expiration_period": 1},
    ),
    Rule(
        "a locked group silences its people",
        "enable",
        False,
        GROUP,
        GROUP,
        group={"locked": True, "enable": False},
        user={"enable": True},
    ),
    Rule(
        "a lock below a lock is silenced with everything else there: the widest is named",
        "enable",
        True,
        DEFAULT,
        ACCOUNT,
        account={"locked": True},
        site={"locked": True, "enable": False},
    ),
    Rule(
        "a lock covers keys that the level does not say itself",
        "reserve_seconds",
        60,
        ACCOUNT,
        SITE,
        account={"reserve_seconds": 60},
        site={"locked": True},
        user={"reserve_seconds": 1},
    ),
    Rule(
        "a lock of the person's own locks nothing that is there", "enable", False, USER, user={"locked": True, "enable": False}
    ),
    Rule("locked: false is no lock", "enable", False, USER, account={"locked": False}, user={"enable": False}),
    Rule(
        "a level that is reset says nothing else",
        "expiration_period",
        20,
        ACCOUNT,
        account={"expiration_period": 20},
        site={"reset": True, "expiration_period": 5},
    ),
    Rule(
        "a level that is reset locks nothing",
        "enable",
        False,
        USER,
        site={"reset": True, "locked": True},
        user={"enable": False},
    ),
    Rule(
        "a person that is reset has what the group says",
        "sequence",
        0,
        GROUP,
        group={"sequence": 0},
        user={"reset": True, "sequence": 1},
    ),
    Rule("reset: false is none", "enable", False, SITE, site={"reset": False, "enable": False}),
    Rule("with multi-site off a site has no say", "enable", True, DEFAULT, site={"enable": False}, multi_site=False),
    Rule("nor can it lock", "enable", False, USER, site={"locked": True}, user={"enable": False}, multi_site=False),
    Rule("but groups have", "enable", False, GROUP, site={"enable": True}, group={"enable": False}, multi_site=False),
    Rule("and people", "enable", False, USER, site={"enable": True}, user={"enable": False}, multi_site=False),
    Rule(
        "seconds of a lot are said below its site",
        "expiration_seconds",
        2.5,
        SITE,
        site={"expiration_period": 5},
        lot_seconds=2.5,
    ),
    Rule("with multi-site off too", "expiration_seconds", 2.5, SITE, lot_seconds=2.5, multi_site=False),
    Rule(
        "a locked account silences them",
        "expiration_seconds",
        None,
        DEFAULT,
        ACCOUNT,
        account={"locked": True},
        lot_seconds=2.5,
    ),
    Rule(
        "minutes of a nearer level win over seconds",
        "expiration_seconds",
        None,
        DEFAULT,
        lot_seconds=2.5,
        user={"expiration_period": 1},
    ),
    Rule(
        "seconds of a nearer level win over minutes",
        "expiration_seconds",
        7,
        USER,
        site={"expiration_period": 5},
        user={"expiration_seconds": 7},
    ),
    Rule(
        "seconds win over minutes of the same level",
        "expiration_seconds",
        7,
        GROUP,
        group={"expiration_seconds": 7, "expiration_period": 5},
    ),
]


def office(rule: Rule) -> AccountSays:
    return AccountSays(
        rule.multi_site,
        Level(ACCOUNT, rule.account),
        {"main": SiteSays("Main", "s1", rule.site, rule.lot_seconds)},
        {"sales": Level(GROUP, rule.group, "Sales", "g1")},
    )


def levels_of(rule: Rule) -> list[Level]:
    return [*office(rule).around("main", "sales"), Level(USER, rule.user, "Ann", "u1")]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.rule)
def test_each_rule_of_the_levels(rule: Rule) -> None:
    levels = levels_of(rule)
    assert effective(levels)[rule.key] == Effective(rule.value, rule.source, rule.locked_by)
    step = next(step for step in explain(levels, rule.key) if step.wins)
    if rule.key not in EXPIRATION:
        assert (step.level.source, step.says[rule.key]) == (rule.source, rule.value)
    lock = locker(levels)
    assert (lock.source if lock else None) == rule.locked_by


POLICIES = [
    ({}, ParkPolicy()),
    ({"enable": False}, ParkPolicy(enable=False)),
    ({"expiration_period": 5}, ParkPolicy(expiration_s=300.0)),
    ({"expiration_period": 5, "expiration_seconds": 2}, ParkPolicy(expiration_s=2.0)),
    ({"call_not_picked_up_action": 9}, ParkPolicy(not_picked_up=NotPickedUp.DISCONNECT)),
    (
        {"call_not_picked_up_action": 50, "forward_to": "120"},
        ParkPolicy(not_picked_up=NotPickedUp.EXTENSION, forward_to="120"),
    ),
    ({"sequence": 0}, ParkPolicy(assignment=Assignment.RANDOM)),
    ({"reserve_seconds": 0, "ring_back_seconds": 5}, ParkPolicy(reserve_s=0.0, ring_back_s=5.0)),
    ({"visibility": "site"}, ParkPolicy(visibility=Visibility(VisibilityKind.SITE))),
    ({"visibility": "group"}, ParkPolicy(visibility=Visibility(VisibilityKind.GROUP))),
    ({"visibility": ["u1", "u2"]}, ParkPolicy(visibility=Visibility(VisibilityKind.PEOPLE, ("u1", "u2")))),
    ({"visibility": []}, ParkPolicy(visibility=Visibility(VisibilityKind.PEOPLE))),
]


@pytest.mark.parametrize(("says", "policy"), POLICIES)
def test_what_is_said_as_call_control_has_it(says: dict[str, Any], policy: ParkPolicy) -> None:
    assert resolve([Level(ACCOUNT, says)]).policy() == policy


def test_what_the_site_and_the_group_themselves_have() -> None:
    rule = Rule("", "", 0, USER, account={"locked": True, "reserve_seconds": 5}, site={"enable": False}, lot_seconds=2.0)
    says = office(rule)
    assert effective(says.at_account())["reserve_seconds"] == Effective(5, ACCOUNT, None)
    assert effective(says.at_site("main"))["enable"] == Effective(True, DEFAULT, ACCOUNT)
    assert effective(says.at_group("sales"))["reserve_seconds"] == Effective(5, ACCOUNT, ACCOUNT)
    locked_itself = office(Rule("", "", 0, USER, site={"locked": True}, lot_seconds=2.0)).at_site("main")
    assert effective(locked_itself)["locked"] == Effective(True, SITE, None)


def test_somebody_at_no_site_belongs_to_the_main_one_and_with_multi_site_off_its_lot_is_everybodys() -> None:
    sites = {"main": SiteSays("Main", "s1", {"sequence": 0}, 2.0), "depot": SiteSays("Depot", "s2", {"sequence": 0}, 9.0)}
    on, off = (AccountSays(multi_site, Level(ACCOUNT, {}), sites) for multi_site in (True, False))
    assert [resolve(on.around(site, None)).policy().expiration_s for site in (None, "main", "depot")] == [2.0, 2.0, 9.0]
    assert [resolve(off.around(site, None)).policy().expiration_s for site in (None, "main", "depot")] == [2.0, 2.0, 2.0]
    assert resolve(off.around("depot", None)).value("sequence") == 1
    assert resolve(AccountSays(True, Level(ACCOUNT, {"sequence": 0})).around(None, None)).value("sequence") == 0


def test_why_is_it_five_minutes_here() -> None:
    rule = Rule(
        "",
        "",
        0,
        USER,
        account={"expiration_period": 20},
        site={"expiration_period": 5, "locked": True},
        group={"reset": True, "expiration_seconds": 3},
        user={"expiration_period": 1},
    )
    steps = explain(levels_of(rule), "expiration_period")
    assert [(step.level.source, step.says, step.unheard, step.locked_by, step.wins) for step in steps] == [
        (DEFAULT, {"expiration_period": 10, "expiration_seconds": None}, None, None, False),
        (ACCOUNT, {"expiration_period": 20}, None, None, False),
        (SITE, {"expiration_period": 5}, None, None, True),
        (GROUP, {"expiration_seconds": 3}, Unheard.LOCKED, SITE, False),
        (USER, {"expiration_period": 1}, Unheard.LOCKED, SITE, False),
    ]
    assert steps[2].level.words() == ("site Main", "địa điểm Main")


def test_a_site_while_multi_site_is_off_and_a_level_that_is_reset_say_why_they_do_not_count() -> None:
    rule = Rule("", "", 0, USER, site={"enable": False}, group={"reset": True, "enable": False}, multi_site=False)
    unheard = {step.level.source: step.unheard for step in explain(levels_of(rule), "enable")}
    assert unheard == {DEFAULT: None, ACCOUNT: None, SITE: Unheard.MULTI_SITE_OFF, GROUP: Unheard.RESET, USER: None}


def test_adding_a_level_that_changes_nothing_gives_the_very_same_value() -> None:
    settings = resolve([Level(ACCOUNT, {"sequence": 0, "locked": True})])
    assert settings.below(Level(USER, {"sequence": 1})) is settings
    assert (empty := ParkSettings()).below(Level(USER, {})) is empty
    assert empty.below(Level(USER, {"reset": True, "enable": False})) is empty


SAYS = st.fixed_dictionaries(
    {},
    optional={
        "enable": st.booleans(),
        "expiration_period": st.sampled_from([1, 10, 60]),
        "expiration_seconds": st.floats(0.1, 9),
        "sequence": st.sampled_from([0, 1]),
        "locked": st.booleans(),
        "reset": st.booleans(),
    },
)
RULE = st.builds(
    Rule,
    rule=st.just(""),
    key=st.just(""),
    value=st.none(),
    source=st.just(USER),
    account=SAYS,
    site=SAYS,
    lot_seconds=st.none() | st.floats(0.1, 9),
    group=SAYS,
    user=SAYS,
    multi_site=st.booleans(),
)


def heard(rule: Rule) -> list[tuple[Source, Mapping[str, Any]]]:
    """Who is heard, the nearest first, told over again without any of the code above."""
    lot = {} if rule.lot_seconds is None else {"expiration_seconds": rule.lot_seconds}
    told: list[tuple[Source, Mapping[str, Any]]] = []
    for source, says in ((ACCOUNT, rule.account), (SITE, rule.site), (SITE, lot), (GROUP, rule.group), (USER, rule.user)):
        if (says is rule.site and not rule.multi_site) or says.get("reset"):
            continue
        told.append((source, says))
        if says.get("locked"):
            break
    return told[::-1]


@given(RULE)
def test_each_value_is_that_of_the_nearest_level_that_is_heard(rule: Rule) -> None:
    levels, nearest_first = levels_of(rule), heard(rule)
    values, policy = effective(levels), resolve(levels).policy()
    for key in ("enable", "sequence"):
        source, says = next(((source, says) for source, says in nearest_first if key in says), (DEFAULT, DEFAULTS))
        assert (values[key].value, values[key].source) == (says[key], source)
        (step,) = [step for step in explain(levels, key) if step.wins]
        assert (step.level.source, step.says[key], step.unheard) == (source, says[key], None)
    source, timed = next(
        ((source, says) for source, says in nearest_first if says.keys() & set(EXPIRATION)),
        (DEFAULT, {"expiration_period": 10}),
    )
    assert policy.expiration_s == timed.get("expiration_seconds", 60 * timed.get("expiration_period", 0))
    assert [step.level.source for step in explain(levels, "expiration_seconds") if step.wins] == [source]
    assert policy.enable == values["enable"].value


@given(RULE)
def test_whatever_is_below_a_lock_could_be_anything(rule: Rule) -> None:
    locked = rule._replace(account={**rule.account, "locked": True, "reset": False})
    plain = locked._replace(site={}, group={}, user={}, lot_seconds=None)
    assert resolve(levels_of(locked)).policy() == resolve(levels_of(plain)).policy()
    assert {one.locked_by for one in effective(levels_of(locked)).values()} == {ACCOUNT}


@given(RULE)
def test_a_level_that_is_reset_could_as_well_say_nothing(rule: Rule) -> None:
    assert resolve(levels_of(rule._replace(site={**rule.site, "reset": True}))) == resolve(levels_of(rule._replace(site={})))
    assert resolve(levels_of(rule._replace(group={**rule.group, "reset": True}))) == resolve(levels_of(rule._replace(group={})))
    assert resolve(levels_of(rule._replace(user={**rule.user, "reset": True}))) == resolve(levels_of(rule._replace(user={})))

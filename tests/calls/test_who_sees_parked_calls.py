"""Who may see a parked call and pick it up; for everybody else nothing is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from parkade.calls.audience import EVERYBODY, Audience, Viewer, audience_of
from parkade.calls.commands import (
    ForceBackCall,
    GetCall,
    ListCalls,
    ListParked,
    NoteCall,
    RetrieveCall,
    Wanted,
)
from parkade.calls.directory import Lot, Owner, ParkPolicy, Site, Visibility, VisibilityKind
from parkade.calls.events import CallParked
from parkade.testing.call_rig import CallRig, Phone
from tests.calls.accounts import ACME, directory_of, with_trunk
from tests.calls.test_commands import refusal_of

PLACES = {"101": ("s1", "g1"), "102": ("s1", "g2"), "103": ("s2", "g1"), "110": ("s2", None)}
"""Site and user group of Alice, Bob, Carol and the phone on the wall."""
PRIVATE = Visibility(VisibilityKind.PEOPLE, ("103",))
WHO: Mapping[str, tuple[Visibility, set[str]]] = {
    "account": (Visibility(), {"101", "102", "103", "110"}),
    "site": (Visibility(VisibilityKind.SITE), {"101", "102"}),
    "group": (Visibility(VisibilityKind.GROUP), {"101", "103"}),
    "people": (PRIVATE, {"101", "103"}),
    "nobody else": (Visibility(VisibilityKind.PEOPLE), {"101"}),
}
"""For each visibility of what Alice parks, who sees it."""
DEVICES = {"101": "alice", "102": "bob", "103": "carol", "110": "wall"}


def office(visibility: Visibility, **policy: float) -> CallRig:
    """One lot for everybody; Alice parks with this visibility."""
    lots = {"": Lot("Main", 801, 899, ParkPolicy(**policy))}  # type: ignore[arg-type]
    owners = {
        extension: replace(owner, site=PLACES[extension][0], group=PLACES[extension][1])
        for extension, owner in ACME.owners.items()
        if extension in PLACES
    }
    own = ParkPolicy(visibility=visibility, **policy)  # type: ignore[arg-type]
    owners["101"] = replace(owners["101"], policy=own)
    sites = {id_: Site(id_, id_, "") for id_ in ("s1", "s2")}
    return CallRig(with_trunk(directory_of(replace(ACME, owners=owners, lots=lots, sites=sites))))


def parked(rig: CallRig) -> Phone:
    """A caller from outside, parked by Alice."""
    caller, alice = rig.conversation("gw", "101", "alice")
    rig.transfer(alice, "*800")
    return caller


@pytest.mark.parametrize("kind", WHO)
@pytest.mark.parametrize("extension", PLACES)
def test_whoever_may_not_dials_a_code_at_which_there_is_nothing(kind: str, extension: str) -> None:
    visibility, who = WHO[kind]
    rig = office(visibility)
    caller = parked(rig)
    phone = rig.call(DEVICES[extension], "*801")
    if extension in who:
        assert rig.talking(phone, caller)
        return
    free = rig.call(DEVICES[extension], "*802")
    assert phone.refused
    assert free.refused
    assert (phone.refused.refusal.id, phone.refused.refusal.en) == (
        "no_call_parked",
        free.refused.refusal.en.replace("802", "801"),
    )
    assert rig.talking(rig.call("alice", "*801"), caller), "who has parked it always may"


@pytest.mark.parametrize("kind", WHO)
@pytest.mark.parametrize("extension", PLACES)
def test_programs_that_ask_for_a_person_see_what_the_person_does(kind: str, extension: str) -> None:
    visibility, who = WHO[kind]
    rig = office(visibility)
    parked(rig)
    (call,) = rig.control._state.calls
    sees = extension in who
    for wanted in (ListParked(extension), ListCalls(extension)):
        listed = rig.replies[rig.command("acme", wanted)].result
        assert isinstance(listed, tuple)
        assert len(listed) == sees
    assert (refusal_of(rig, rig.command("acme", GetCall(call, extension))) is None) is sees
    for act in acts(extension):
        refusal = None if (id_ := rig.command("acme", act)) not in rig.replies else refusal_of(rig, id_)
        assert refusal == (None if sees else "no_call_parked"), act


def acts(by: str | None) -> list[Wanted]:
    return [NoteCall("*801", "x", by), RetrieveCall("*801", "wall", by), ForceBackCall("*801", by)]


def test_an_administrator_sees_everything_and_a_gateway_what_everybody_sees() -> None:
    rig = office(PRIVATE)
    parked(rig)
    listed = rig.replies[rig.command("acme", ListParked())].result
    assert isinstance(listed, tuple)
    assert len(listed) == 1
    assert all(rig.command("acme", act) for act in acts(None))
    gateway = rig.call("gw", "*801")
    assert gateway.refused
    assert gateway.refused.refusal.id == "no_call_parked"


@pytest.mark.parametrize("crash", [False, True])
def test_whoever_may_not_see_a_call_does_not_learn_either_who_has_picked_it_up(crash: bool) -> None:
    rig = office(PRIVATE)
    parked(rig)
    rig.call("carol", "*801")
    if crash:
        rig.crash()
    for device, refusal in (("bob", "no_call_parked"), ("alice-app", "already_picked_up")):
        phone = rig.call(device, "*801")
        assert phone.refused
        assert phone.refused.refusal.id == refusal


def test_a_private_call_is_private_after_a_restart_and_whatever_is_set_meanwhile() -> None:
    rig = office(PRIVATE)
    caller = parked(rig)
    rig.crash()
    phone = rig.call("bob", "*801")
    assert phone.refused
    assert rig.talking(rig.call("carol", "*801"), caller)


def test_whoever_may_not_see_it_picks_it_up_neither_while_its_parker_is_rung() -> None:
    """By Replaces of the ringing leg: the answer is that of a dialog that does not exist."""
    rig = office(PRIVATE)
    caller = parked(rig)
    rig.advance(600)
    bob = rig.call("bob", "", replaces=rig.ringing("alice"))
    assert bob.refused
    assert bob.refused.refusal.id == "no_such_call"
    carol = rig.call("carol", "", replaces=rig.ringing("alice"))
    assert rig.talking(carol, caller)


def test_a_colleague_does_not_take_the_place_of_who_is_parked_privately_but_another_phone_of_the_person_may() -> None:
    rig = office(PRIVATE)
    alice, bob = rig.conversation("alice", "102")
    rig.transfer(alice, "*800")
    wall = rig.call("wall", "", replaces=bob)
    assert wall.refused
    assert wall.refused.refusal.id == "no_such_call"
    carol = rig.call("carol", "", replaces=bob)
    assert carol.up


def test_a_taken_code_is_refused_to_whoever_parks_there_also_if_it_is_not_seen() -> None:
    rig = office(PRIVATE)
    caller = parked(rig)
    wall, bob = rig.conversation("wall", "102")
    rig.hold(bob)
    refused = rig.call("bob", "*801")
    assert refused.refused
    assert refused.refused.refusal.id == "slot_taken", "two strangers are never joined"
    assert not wall.gone
    assert rig.talking(rig.call("carol", "*801"), caller)


def test_the_event_says_who_may_know_of_it() -> None:
    rig = office(PRIVATE)
    parked(rig)
    (event,) = rig.events(CallParked)
    assert event.audience == Audience(VisibilityKind.PEOPLE, None, ("101", "103"))


# The rule


def test_where_there_is_no_place_everybody_may() -> None:
    nowhere = Owner("101", "Alice")
    for kind in (VisibilityKind.SITE, VisibilityKind.GROUP):
        assert audience_of(Visibility(kind), nowhere, "s1") == EVERYBODY
    assert audience_of(Visibility(VisibilityKind.GROUP), None, "s1") == EVERYBODY
    assert audience_of(Visibility(VisibilityKind.SITE), None, "s1") == Audience(VisibilityKind.SITE, "s1")
    assert not Viewer(None).sees(audience_of(PRIVATE, None, None))


def test_an_audience_knows_ids() -> None:
    audience = Audience(VisibilityKind.SITE, "s1", ("p1",))
    assert audience.has("p1", None, None)
    assert audience.has(None, "s1", None)
    assert not audience.has("p2", "s2", "s1")
    assert not Audience(VisibilityKind.PEOPLE, None, ("p1",)).has(None, None, None)

"""The shape of events outside: CONTRACT.md."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import get_args

import pytest

from parkade.calls.audience import Audience
from parkade.calls.commands import CallDetail, ListCalls, ListParked, ParkedCall
from parkade.calls.directory import VisibilityKind
from parkade.calls.events import CallEnded, CallEvent, CallParked, CallReparked, EndReason, Event, SourceBanned
from parkade.edge.event_json import TYPES, detail_json, event_json, parked_json
from parkade.testing.world import SimWorld

ENDED = CallEnded("e1", 0.0, "acme", "c1", "", "102", 65.0, EndReason.HUNG_UP, "102")


def test_an_event_has_its_id_its_type_its_time_and_iso_times_within() -> None:
    event = CallReparked(
        id="e1",
        at=1_790_000_000.25,
        account="acme",
        call="c1",
        caller_name="Lan",
        caller_number="102",
        code="*802",
        lot="Main",
        lot_id="l1",
        site="s1",
        parked_by=None,
        parked_by_name="",
        note="",
        parked_at=1_789_999_987.75,
        waited_s=12.5,
        round=1,
        audience=Audience(VisibilityKind.SITE, "s1", ("u1",)),
        expires_at=1_790_000_600.25,
        old_code="*801",
    )
    assert json.loads(json.dumps(event_json(event))) == {
        "id": "e1",
        "type": "call.reparked",
        "at": "2026-09-21T14:13:20.250Z",
        "account": "acme",
        "data": {
            "call": "c1",
            "caller_name": "Lan",
            "caller_number": "102",
            "code": "*802",
            "lot": "Main",
            "lot_id": "l1",
            "site": "s1",
            "parked_by": None,
            "parked_by_name": "",
            "note": "",
            "parked_at": "2026-09-21T14:13:07.750Z",
            "waited_s": 12.5,
            "round": 1,
            "audience": {"kind": "site", "place": "s1", "people": ["u1"]},
            "expires_at": "2026-09-21T14:23:20.250Z",
            "old_code": "*801",
        },
    }


def test_a_duration_stays_a_number() -> None:
    assert event_json(ENDED)["data"] == {
        "call": "c1",
        "caller_name": "",
        "caller_number": "102",
        "duration_s": 65.0,
        "reason": "hung_up",
        "ended_by": "102",
    }


def test_a_duration_has_three_decimals() -> None:
    data = event_json(replace(ENDED, duration_s=28.98541522026062))["data"]
    assert isinstance(data, dict)
    assert data["duration_s"] == 28.985


def test_every_event_has_a_type_of_its_own() -> None:
    assert set(TYPES) == set(get_args(Event))
    assert len(set(TYPES.values())) == len(TYPES)


@pytest.mark.parametrize("kind", [kind for kind in get_args(Event) if issubclass(kind, CallEvent)])
def test_every_event_of_a_call_begins_with_the_same_members(kind: type[CallEvent]) -> None:
    assert [field.name for field in fields(kind)][:6] == ["id", "at", "account", "call", "caller_name", "caller_number"]


def test_an_event_says_what_its_call_is_when_all_has_happened() -> None:
    world = SimWorld()
    world.account("acme", {"101": "Alice", "102": "Bob"})
    alice, bob = world.phone("acme-101"), world.phone("acme-102")
    alice.call("102")
    world.run(1)
    bob.answer()
    world.run(1)
    bob.refer("*800")
    world.run(1)
    (event,) = [event for event in world.events if isinstance(event, CallParked)]
    data = json.loads(json.dumps(event_json(event)))["data"]
    assert (data["state"]["stage"], data["state"]["parties"][0]["extension"]) == ("parked", "101")
    parked = data["state"]["parked"]
    assert parked["code"] == data["code"] == "*801"
    assert set(parked) >= {"code", "lot", "call_id", "caller", "parked_by", "note", "parked_at", "expires_at", "state"}
    (listed,) = world.answer_to("acme", ListParked())  # type: ignore[misc]
    assert isinstance(listed, ParkedCall)
    assert parked == json.loads(json.dumps(parked_json(listed)))
    (call,) = world.answer_to("acme", ListCalls())  # type: ignore[misc]
    assert isinstance(call, CallDetail)
    assert data["state"] == json.loads(json.dumps(detail_json(call)))


def test_every_kind_of_event_can_be_written_as_json() -> None:
    world = SimWorld()
    world.account("acme", {"101": "Alice"})
    world.phone("acme-101", transport="TCP")
    world.crash_signalling()
    world.run(1)
    for event in (*world.events, SourceBanned("e", 0.0, "", "192.0.2.1", 30, 900.0, "x")):
        assert json.loads(json.dumps(event_json(event)))["type"] == TYPES[type(event)]

"""The shape of events outside: CONTRACT.md."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import get_args

import pytest

from parkade.calls.events import CallEnded, CallEvent, CallReparked, Event
from parkade.edge.event_json import TYPES, event_json


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
        parked_by=None,
        waited_s=12.5,
        expires_at=1_790_000_600.25,
        old_code="*801",
        round=1,
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
            "parked_by": None,
            "waited_s": 12.5,
            "expires_at": "2026-09-21T14:23:20.250Z",
            "old_code": "*801",
            "round": 1,
        },
    }


def test_a_duration_stays_a_number() -> None:
    event = CallEnded("e1", 0.0, "acme", "c1", "", "102", 65.0)
    assert event_json(event)["data"] == {"call": "c1", "caller_name": "", "caller_number": "102", "duration_s": 65.0}


def test_a_duration_has_three_decimals() -> None:
    data = event_json(CallEnded("e1", 0.0, "acme", "c1", "", "102", 28.98541522026062))["data"]
    assert isinstance(data, dict)
    assert data["duration_s"] == 28.985


def test_every_event_has_a_type_of_its_own() -> None:
    assert set(TYPES) == set(get_args(Event))
    assert len(set(TYPES.values())) == len(TYPES)


@pytest.mark.parametrize("kind", get_args(Event))
def test_every_event_begins_with_the_same_members(kind: type[CallEvent]) -> None:
    assert [field.name for field in fields(kind)][:6] == ["id", "at", "account", "call", "caller_name", "caller_number"]

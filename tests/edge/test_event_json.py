"""The shape of events outside: CONTRACT.md."""

from __future__ import annotations

import json

from parkade.calls.effects import Event, EventType
from parkade.edge.event_json import event_json


def test_an_event_has_its_id_its_type_its_time_and_iso_times_within() -> None:
    event = Event(
        EventType.PARKED, 1_790_000_000.25, "acme", {"code": "*801", "expires_at": 1_790_000_600.25, "round": 1}, "e1"
    )
    assert json.loads(json.dumps(event_json(event))) == {
        "id": "e1",
        "type": "call.parked",
        "at": "2026-09-21T14:13:20.250Z",
        "account": "acme",
        "data": {"code": "*801", "expires_at": "2026-09-21T14:23:20.250Z", "round": 1},
    }

"""Events as the contract writes them: ``{"id", "type", "at", "account", "data"}``, every time in ISO 8601, UTC.

``data`` holds the members of the event's class beyond the first three, under their own names.
"""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime

from parkade.base.clock import Instant
from parkade.base.journal import Json
from parkade.calls import events
from parkade.calls.events import Event

TYPES: dict[type[Event], str] = {
    events.CallParked: "call.parked",
    events.CallRetrieved: "call.retrieved",
    events.CallReparked: "call.reparked",
    events.CallTimedOut: "call.timed_out",
    events.CallReturned: "call.returned",
    events.CallAbandoned: "call.abandoned",
    events.ParkFailed: "call.park_failed",
    events.CallStarted: "call.started",
    events.CallAnswered: "call.answered",
    events.CallEnded: "call.ended",
}
"""The names of the events. They never change."""

_ENVELOPE = {"id", "at", "account"}
_DATA = {kind: tuple(field.name for field in fields(kind) if field.name not in _ENVELOPE) for kind in TYPES}


def event_json(event: Event) -> dict[str, Json]:
    """One event. Members whose names end in ``_at`` are times; seconds have three decimals, as times have."""
    kind = type(event)
    data: dict[str, Json] = {}
    for name in _DATA[kind]:
        value = getattr(event, name)
        if name.endswith("_at"):
            data[name] = iso(value)
        else:
            data[name] = round(value, 3) if isinstance(value, float) else value
    return {"id": event.id, "type": TYPES[kind], "at": iso(event.at), "account": event.account, "data": data}


def iso(at: Instant) -> str:
    """``2026-11-26T12:52:00.125Z``."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

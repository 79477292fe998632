"""Events as the contract writes them: ``{"id", "type", "at", "account", "data"}``, every time in ISO 8601, UTC.

``data`` holds the members of the event's class beyond the first three, under their own names. Events of calls have ``state``
beside them: what the call is now (``detail_json``), unless it is over.
"""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

from parkade.base.clock import Instant
from parkade.base.journal import Json
from parkade.calls import events
from parkade.calls.audience import Audience
from parkade.calls.commands import CallDetail, ParkedCall
from parkade.calls.events import CallEvent, Event

TYPES: dict[type[Event], str] = {
    events.CallParked: "call.parked",
    events.CallRetrieved: "call.retrieved",
    events.CallReparked: "call.reparked",
    events.CallReminded: "call.reminded",
    events.CallTimedOut: "call.timed_out",
    events.CallReturned: "call.returned",
    events.CallAbandoned: "call.abandoned",
    events.CallGivenBack: "call.given_back",
    events.CallGivenUp: "call.given_up",
    events.NoteChanged: "call.note_changed",
    events.ParkFailed: "call.park_failed",
    events.CallStarted: "call.started",
    events.CallAnswered: "call.answered",
    events.CallChanged: "call.changed",
    events.CallTransferred: "call.transferred",
    events.TransferFailed: "call.transfer_failed",
    events.CallEnded: "call.ended",
    events.CallsResumed: "calls.resumed",
    events.Restarted: "system.restarted",
    events.DeviceRegistered: "device.registered",
    events.DeviceUnregistered: "device.unregistered",
    events.DevicesResumed: "devices.resumed",
    events.SourceBanned: "security.banned",
}
"""The names of the events. They never change."""

_APART = {"id", "at", "account", "moment"}
_DATA = {kind: tuple(field.name for field in fields(kind) if field.name not in _APART) for kind in TYPES}


def event_json(event: Event) -> dict[str, Json]:
    """One event. Members whose names end in ``_at`` or ``_until`` are times; seconds have three decimals, as times have."""
    kind = type(event)
    data: dict[str, Json] = {name: _member(name, getattr(event, name)) for name in _DATA[kind]}
    if isinstance(event, CallEvent) and (detail := event.moment.detail) is not None:
        data["state"] = detail_json(detail)
    return {"id": event.id, "type": TYPES[kind], "at": iso(event.at), "account": event.account, "data": data}


def detail_json(detail: CallDetail) -> dict[str, Json]:
    """A call as programs see it."""
    return {
        "id": detail.id,
        "stage": detail.stage,
        "started_at": iso(detail.started_at),
        "since": iso(detail.since),
        "parties": [
            {"name": one.name, "number": one.number, "extension": one.extension, "state": one.state} for one in detail.parties
        ],
        "parked": parked_json(detail.parked) if detail.parked is not None else None,
    }


def parked_json(parked: ParkedCall) -> dict[str, Json]:
    """A parked call as programs see it: the contract's members, and more."""
    by = parked.retrieved_by
    return {
        "code": parked.code,
        "lot": parked.lot,
        "lot_id": parked.lot_id,
        "site": parked.site,
        "slot": parked.slot,
        "call_id": parked.call,
        "caller": {"name": parked.caller.name, "number": parked.caller.number},
        "parked_by": parked.parked_by,
        "parked_by_name": parked.parked_by_name,
        "note": parked.note,
        "parked_at": iso(parked.parked_at),
        "expires_at": iso(parked.expires_at),
        "state": parked.state,
        "round": parked.round,
        "audience": _audience(parked.audience),
        "retrieved_by": None if by is None else {"name": by.name, "number": by.number},
        "kept_until": None if parked.kept_until is None else iso(parked.kept_until),
    }


def iso(at: Instant) -> str:
    """``2026-11-26T12:52:00.125Z``."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _member(name: str, value: Any) -> Json:
    if isinstance(value, float):
        return iso(value) if name.endswith(("_at", "_until")) else round(value, 3)
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, Audience):
        return _audience(value)
    plain: Json = value
    return plain


def _audience(audience: Audience) -> Json:
    """``{"kind": "site", "place": "<id of the site>", "people": ["<ids of persons>"]}``."""
    return {"kind": audience.kind, "place": audience.place, "people": list(audience.people)}

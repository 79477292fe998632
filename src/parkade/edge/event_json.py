"""Events as the contract writes them: ``{"id", "type", "at", "account", "data"}``, every time in ISO 8601, UTC.

``data`` holds the members of the event's class beyond the first three, under their own names. Events of calls have ``state``
beside them: what the call is now (``detail_json``), unless it is over.

All of it is made of plain values, as msgspec makes them of ours. That takes some microseconds, most of this some more: so the
event log has the plain values, and whoever reads it makes the contract's form.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from parkade.base.clock import Instant
from parkade.base.journal import Json
from parkade.calls import events
from parkade.calls.commands import CallDetail, ParkedCall
from parkade.calls.events import Event

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


def event_json(event: Event) -> dict[str, Json]:
    """One event."""
    return contract(TYPES[type(event)], msgspec.to_builtins(event))


def contract(kind: str, plain: Mapping[str, Any]) -> dict[str, Json]:
    """An event of type ``kind`` whose members, and theirs, are plain values.

    Members whose names end in ``_at`` or ``_until`` are times; seconds have three decimals, as times have.
    """
    data: dict[str, Json] = {name: _member(name, value) for name, value in plain.items() if name not in _APART}
    detail = (plain.get("moment") or {}).get("detail")
    if detail is not None:
        data["state"] = _detail(detail)
    return {"id": plain["id"], "type": kind, "at": iso(plain["at"]), "account": plain["account"], "data": data}


def detail_json(detail: CallDetail) -> dict[str, Json]:
    """A call as programs see it."""
    return _detail(msgspec.to_builtins(detail))


def parked_json(parked: ParkedCall) -> dict[str, Json]:
    """A parked call as programs see it: the contract's members, and more."""
    return _parked(msgspec.to_builtins(parked))


def iso(at: Instant) -> str:
    """``2026-11-26T12:52:00.125Z``."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _detail(plain: Mapping[str, Any]) -> dict[str, Json]:
    return {
        "id": plain["id"],
        "stage": plain["stage"],
        "started_at": iso(plain["started_at"]),
        "since": iso(plain["since"]),
        "parties": plain["parties"],
        "parked": _parked(plain["parked"]) if plain["parked"] is not None else None,
    }


def _parked(plain: Mapping[str, Any]) -> dict[str, Json]:
    return {
        "code": plain["code"],
        "lot": plain["lot"],
        "lot_id": plain["lot_id"],
        "site": plain["site"],
        "slot": plain["slot"],
        "call_id": plain["call"],
        **{name: _member(name, plain[name]) for name in _OF_PARKED},
    }


_OF_PARKED = (
    "caller",
    "parked_by",
    "parked_by_name",
    "note",
    "parked_at",
    "expires_at",
    "state",
    "round",
    "audience",
    "retrieved_by",
    "kept_until",
)


def _member(name: str, value: Any) -> Json:
    if isinstance(value, float):
        return iso(value) if name.endswith(("_at", "_until")) else round(value, 3)
    plain: Json = value
    return plain

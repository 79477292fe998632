"""Events as the contract writes them: ``{"id", "type", "at", "account", "data"}``, every time in ISO 8601, UTC."""

from __future__ import annotations

from datetime import UTC, datetime

from parkade.base.clock import Instant
from parkade.base.journal import Json
from parkade.calls.effects import Event


def event_json(event: Event) -> dict[str, Json]:
    """One event. Members of ``data`` whose names end in ``_at`` are times."""
    data: dict[str, Json] = {
        name: iso(value) if name.endswith("_at") and isinstance(value, int | float) else value
        for name, value in event.data.items()
    }
    return {"id": event.id, "type": event.type.value, "at": iso(event.at), "account": event.account, "data": data}


def iso(at: Instant) -> str:
    """``2026-11-26T12:52:00.125Z``."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

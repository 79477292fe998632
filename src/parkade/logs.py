"""How every process writes its log: lines of text, or one JSON object a line.

An object has ``time`` (ISO 8601, UTC), ``level``, ``logger``, ``message``; where there is one ``call`` (the id that events and
the API have too), ``request`` (that of ``X-Request-Id``), ``event`` (an event as the contract writes it) and ``error`` (a
traceback). Whoever logs gives the call as ``extra={"call": …}``.
"""

from __future__ import annotations

import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final

FORMATS: Final = ("text", "json")
EVENTS: Final = "parkade.events"
_TEXT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The request that is being answered, in the web process."""


def set_up(level: str, form: str) -> None:
    """Log to standard error from now on: at ``level`` (``info``), as ``form`` (``text`` or ``json``)."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else logging.Formatter(_TEXT))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


class JsonLines(logging.Formatter):
    """A record as one JSON object without a line break."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        message = record.getMessage()
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": message,
        }
        call, request = record.__dict__.get("call"), request_id.get()
        if record.name == EVENTS and (event := _object(message)) is not None:
            line |= {"message": str(event.get("type", "")), "event": event}
            data = event.get("data")
            call = data.get("call") if isinstance(data, dict) else None
        if call:
            line["call"] = call
        if request:
            line["request"] = request
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def _object(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None

"""A line of the log as JSON: one object, whatever is logged."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from typing import Any

import pytest

from parkade.logs import JsonLines, request_id


def line(message: str, *args: object, name: str = "parkade.edge", **more: Any) -> dict[str, Any]:
    record = logging.getLogger(name).makeRecord(name, logging.WARNING, __file__, 1, message, args, None, extra=more)
    text = JsonLines().format(record)
    assert "\n" not in text
    found: dict[str, Any] = json.loads(text)
    return found


def test_a_plain_line() -> None:
    found = line("%s sent\nwhat is no SIP", "Đỗ")
    assert found.pop("time").endswith("Z")
    assert found == {"level": "warning", "logger": "parkade.edge", "message": "Đỗ sent\nwhat is no SIP"}


def test_the_call_and_the_request_are_there_if_there_are_any() -> None:
    assert line("x", call="c1")["call"] == "c1"
    assert "call" not in line("x", call=None)
    token = request_id.set("r1")
    try:
        assert line("x")["request"] == "r1"
    finally:
        request_id.reset(token)
    assert "request" not in line("x")


def test_an_event_is_an_object_and_not_a_text() -> None:
    event = {"id": "e", "type": "call.parked", "at": "…", "account": "acme", "data": {"call": "c1", "code": "*801"}}
    found = line("%s", json.dumps(event), name="parkade.events")
    assert (found["message"], found["call"], found["event"]) == ("call.parked", "c1", event)
    assert line("no JSON", name="parkade.events")["message"] == "no JSON"
    assert line("[1]", name="parkade.events")["message"] == "[1]"


def test_a_traceback_stays_on_its_line() -> None:
    try:
        raise RuntimeError("simulated")
    except RuntimeError:
        record = logging.getLogger("x").makeRecord("x", logging.ERROR, __file__, 1, "failed", (), sys.exc_info())
    found = json.loads(JsonLines().format(record))
    assert "RuntimeError: simulated" in found["error"]


@pytest.mark.parametrize("form", ["text", "json"])
def test_set_up_twice_logs_once(form: str) -> None:
    code = (
        f"from parkade import logs; import logging; logs.set_up('info', 'text'); logs.set_up('info', {form!r});"
        "logging.getLogger('x').info('hello'); logging.getLogger('x').debug('quiet')"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    (only,) = ran.stderr.splitlines()
    assert only.startswith("{") == (form == "json")
    assert "hello" in only

"""The arithmetic of session timers (:rfc:`4028`), row by row of its table 2."""

from __future__ import annotations

import pytest

from parkade.sip.message.message import Headers, Request, Response
from parkade.sip.session import session_timer
from parkade.sip.session.session_timer import SessionTimer


def asking(*lines: tuple[str, str]) -> Request:
    return Request("INVITE", "sip:a@b", Headers(lines))


def granting(value: str | None) -> Response:
    return Response(200, "OK", Headers([("Session-Expires", value)] if value else []))


@pytest.mark.parametrize(
    ("supports", "asked", "interval_s", "we_refresh"),
    [
        (False, "600", 600, True),
        (False, "600;refresher=uac", 600, True),
        (False, "600;refresher=uas", 600, True),
        (True, "600", 600, True),
        (True, "600;refresher=uac", 600, False),
        (True, "600;refresher=uas", 600, True),
        (True, "600;refresher=nobody", 600, True),
        (True, None, 1800, True),
        (False, "30", 90, True),
        (True, "rubbish", 1800, True),
    ],
)
def test_what_we_grant_follows_the_table(supports: bool, asked: str | None, interval_s: int, we_refresh: bool) -> None:
    lines = [("Supported", "timer")] if supports else []
    if asked:
        lines.append(("Session-Expires", asked))
    assert session_timer.of_server(asking(*lines), knows=supports) == SessionTimer(interval_s, we_refresh)


def test_a_caller_without_timers_gets_none() -> None:
    assert session_timer.of_server(asking(), knows=False) is None


@pytest.mark.parametrize(
    ("granted", "expected"),
    [
        (None, None),
        ("600;refresher=uac", SessionTimer(600, True)),
        ("600;refresher=uas", SessionTimer(600, False)),
        ("600", SessionTimer(600, True)),
        ("rubbish", None),
    ],
)
def test_what_is_granted_to_us_decides(granted: str | None, expected: SessionTimer | None) -> None:
    assert session_timer.of_client(granting(granted)) == expected


@pytest.mark.parametrize(("seconds", "supports", "brief"), [("89", True, True), ("90", True, False), ("89", False, False)])
def test_only_those_who_understand_422_get_it(seconds: str, supports: bool, brief: bool) -> None:
    lines = [("Session-Expires", seconds)] + ([("Supported", "timer")] if supports else [])
    assert session_timer.too_brief(asking(*lines)) is brief


def test_the_refresh_is_due_at_half_and_the_end_a_little_before_the_whole() -> None:
    assert SessionTimer(1800, True).refresh_at(100.0) == 1000.0
    assert SessionTimer(1800, False).expire_at(100.0) == 100.0 + 1800 - 32
    assert SessionTimer(90, False).expire_at(100.0) == 100.0 + 60


def test_what_we_say_can_be_understood() -> None:
    assert session_timer.propose(None) == [("Session-Expires", "1800")]
    assert session_timer.propose(None, 3600) == [("Session-Expires", "3600"), ("Min-SE", "3600")]
    assert session_timer.propose(SessionTimer(600, True)) == [("Session-Expires", "600;refresher=uac")]
    assert session_timer.propose(SessionTimer(600, False)) == [("Session-Expires", "600;refresher=uas")]
    assert session_timer.grant(SessionTimer(600, False), peer_knows=True) == [
        ("Session-Expires", "600;refresher=uac"),
        ("Require", "timer"),
    ]
    assert session_timer.grant(SessionTimer(600, True), peer_knows=False) == [("Session-Expires", "600;refresher=uas")]


@pytest.mark.parametrize(("value", "expected"), [("120", 120), ("120;x=y", 120), ("x", None), (None, None), ("9" * 20, None)])
def test_min_se_is_read_or_ignored(value: str | None, expected: int | None) -> None:
    response = Response(422, "Too small", Headers([("Min-SE", value)] if value else []))
    assert session_timer.min_s_of(response) == expected

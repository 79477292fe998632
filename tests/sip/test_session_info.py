"""INFO: what is understood is taken, what is not is said (:rfc:`6086`, :rfc:`3261` section 21.4.13)."""

from __future__ import annotations

import pytest

from parkade.base.clock import Instant
from parkade.sip.message.message import Request
from parkade.sip.session.handler import Quiet
from parkade.sip.session.session import Session
from tests.sip.session_peer import Rig


def info(rig: Rig, tag: str, kind: str, body: str, extra: str = "") -> list[str]:
    rig.ask("INFO", 2, to_tag=tag, body=body, content_type=kind, extra=extra)
    return rig.take()


@pytest.mark.parametrize(
    "kind", ["application/dtmf-relay", "application/dtmf", "audio/telephone-event", "Application/DTMF ;x=y"]
)
def test_a_body_that_may_carry_a_key_is_taken_and_handed_on(kind: str) -> None:
    rig = Rig()
    tag = rig.answered_call()
    assert info(rig, tag, kind, "5") == ["200 INFO"]
    assert (rig.us.heard, rig.us.bodies[-1]) == (["info"], b"5")


@pytest.mark.parametrize(
    "kind", ["application/media_control+xml", "text/plain", "application/x-nobody-knows", "application/sdp"]
)
def test_a_body_that_nobody_reads_gets_415_and_what_is_read(kind: str) -> None:
    rig = Rig()
    tag = rig.answered_call()
    assert info(rig, tag, kind, "<x/>") == ["415 INFO"]
    accepted = rig.response_sent("415 INFO").headers.all("Accept")
    assert accepted == ["application/dtmf-relay", "application/dtmf", "audio/telephone-event"]
    assert rig.session.dialog is not None


PARTS = {
    "alone": "--b\r\nContent-Type: application/dtmf-relay\r\n\r\nSignal=5\r\n--b--\r\n",
    "beside another": "--b\r\n\r\nhello\r\n--b\r\nContent-Type: Application/DTMF-relay;x=y\r\n\r\nSignal=5\r\n--b--\r\n",
    "deeper": "--b\r\nContent-Type: multipart/mixed;boundary=c\r\n\r\n"
    "--c\r\nContent-Type: application/dtmf-relay\r\n\r\nSignal=5\r\n--c--\r\n--b--\r\n",
}


@pytest.mark.parametrize("parts", PARTS)
def test_a_key_among_the_parts_of_a_body_is_taken(parts: str) -> None:
    rig = Rig()
    tag = rig.answered_call()
    assert info(rig, tag, "multipart/mixed;boundary=b", PARTS[parts]) == ["200 INFO"]
    assert (rig.us.heard, rig.us.bodies[-1]) == (["info"], b"Signal=5")


@pytest.mark.parametrize(
    ("kind", "body", "extra"),
    [
        ("multipart/mixed;boundary=b", "--b\r\nContent-Type: text/plain\r\n\r\n5\r\n--b--\r\n", ""),
        ("multipart/mixed;boundary=b", "nothing", ""),
        ("multipart/mixed", PARTS["alone"], ""),
        ("multipart/mixed;boundary=b", PARTS["alone"], "Content-Encoding: gzip"),
    ],
)
def test_parts_of_which_none_carries_a_key_are_refused(kind: str, body: str, extra: str) -> None:
    rig = Rig()
    tag = rig.answered_call()
    assert info(rig, tag, kind, body, extra) == ["415 INFO"]


def test_a_body_that_may_be_ignored_is_ignored() -> None:
    rig = Rig()
    tag = rig.answered_call()
    assert info(rig, tag, "text/plain", "x", "Content-Disposition: render;handling=optional") == ["200 INFO"]


def test_an_info_without_a_body_is_answered_200() -> None:
    rig = Rig()
    tag = rig.answered_call()
    assert info(rig, tag, "", "") == ["200 INFO"]


def test_an_unknown_package_gets_469_and_the_packages_that_are_known_none() -> None:
    rig = Rig()
    tag = rig.answered_call()
    assert info(rig, tag, "application/x-nobody-knows", "?", "Info-Package: nobody-knows") == ["469 INFO"]
    assert rig.response_sent("469 INFO").headers.get("Recv-Info") == ""


@pytest.mark.parametrize("status", [200, 415, 603])
def test_the_handler_decides_if_it_wants_to(status: int) -> None:
    class Decided(Quiet):
        def on_info(self, session: Session, request: Request, now: Instant) -> int | None:
            return status

    rig = Rig()
    tag = rig.answered_call()
    rig.session.handler = Decided()
    assert info(rig, tag, "application/x-nobody-knows", "?") == [f"{status} INFO"]

"""Dialogs that ring are found by what Replaces says (:rfc:`3891`), ours and theirs, and whether they are early."""

from __future__ import annotations

import pytest

from parkade.sip.message.headers import parse_replaces
from tests.sip.session_peer import SDP, Rig


def test_a_phone_of_ours_that_rings_is_found_by_each_of_its_early_dialogs() -> None:
    rig = Rig()
    session = rig.call()
    rig.take()
    invite = rig.request_sent("INVITE")
    us = invite.from_.tag or ""
    rig.reply(invite, 100)
    assert rig.us.ua.session_by_dialog(invite.call_id, us, "a") is None
    for tag in ("a", "b"):
        rig.reply(invite, 180, tag=tag)
    for tag in ("a", "b"):
        assert rig.us.ua.session_by_dialog(invite.call_id, us, tag) is session
    assert session.is_early
    rig.reply(invite, 200, tag="b", body=SDP)
    assert rig.us.ua.session_by_dialog(invite.call_id, us, "b") is session
    assert rig.us.ua.session_by_dialog(invite.call_id, us, "a") is None
    assert not session.is_early


def test_a_call_of_theirs_is_early_until_it_is_answered() -> None:
    rig = Rig()
    rig.invite()
    rig.session.progress(180, rig.now)
    rig.take()
    tag = rig.response_sent("180 INVITE").to.tag or ""
    found = rig.us.ua.session_by_dialog("call-1", tag, "ph1")
    assert found is rig.session
    assert found.is_early
    rig.session.accept(b"v=0", rig.now)
    assert not found.is_early


@pytest.mark.parametrize(
    ("text", "early_only"),
    [("c;to-tag=a;from-tag=b;early-only", True), ("c;early-only;from-tag=b;to-tag=a", True), ("c;to-tag=a;from-tag=b", False)],
)
def test_early_only_is_read_in_an_invite_and_in_a_refer(text: str, early_only: bool) -> None:
    assert parse_replaces(text).early_only is early_only
    rig = Rig()
    tag = rig.answered_call()
    escaped = text.replace(";", "%3B").replace("=", "%3D")
    rig.ask("REFER", 2, to_tag=tag, extra=f"Refer-To: <sip:102@example.com?Replaces={escaped}>")
    replaces = rig.us.refers[-1].replaces
    assert replaces is not None
    assert replaces.early_only is early_only

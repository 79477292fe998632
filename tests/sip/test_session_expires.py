"""The Expires of an INVITE (:rfc:`3261` sections 13.3.1 and 20.19): not answered in time is as if cancelled."""

from __future__ import annotations

import pytest

from tests.sip.session_peer import Rig


@pytest.mark.parametrize("rings", [None, 180, 183])
def test_a_call_that_is_not_answered_in_time_is_refused_as_if_cancelled(rings: int | None) -> None:
    rig = Rig()
    rig.invite("Expires: 20")
    assert rig.session.expires_s == 20
    if rings is not None:
        rig.session.progress(rings, rig.now, sdp=b"v=0 early" if rings == 183 else None)
    rig.run(19.5)
    assert rig.us.heard == ["invite"]
    rig.run(1)
    assert "487 INVITE" in rig.take()
    assert rig.us.heard == ["invite", "ended cancelled"]
    rig.run(60)
    assert len(rig.us.ua) == 0


def test_an_early_dialog_over_reliable_responses_ends_in_time_too() -> None:
    rig = Rig()
    rig.invite("Expires: 20\nRequire: 100rel")
    rig.session.progress(183, rig.now, sdp=b"v=0 early")
    rig.take()
    progress = rig.response_sent("183 INVITE")
    rig.ask("PRACK", 2, to_tag=progress.to.tag or "", extra=f"RAck: {progress.headers.get('RSeq')} 1 INVITE")
    rig.run(21)
    assert "487 INVITE" in rig.take()
    assert rig.us.heard[-1] == "ended cancelled"


def test_a_call_that_is_answered_in_time_goes_on() -> None:
    rig = Rig()
    rig.answered_call("Expires: 20")
    rig.run(60)
    assert rig.us.heard == []


@pytest.mark.parametrize("value", ["", "soon", "-1", "1.5", "99999999999999"])
def test_an_expires_that_says_nothing_is_passed_over(value: str) -> None:
    rig = Rig()
    rig.invite(f"Expires: {value}")
    rig.run(50)
    assert rig.us.heard == ["invite"]


@pytest.mark.parametrize("value", ["0", "00", " 0 "])
def test_a_call_that_is_valid_for_no_time_is_over_before_anybody_hears_of_it(value: str) -> None:
    rig = Rig()
    branch = rig.invite(f"Expires: {value}")
    assert rig.take() == ["487 INVITE"]
    assert rig.us.sessions == []
    rig.ask("ACK", 1, to_tag=rig.response_sent("487 INVITE").to.tag or "", branch=branch)
    rig.run(60)
    assert rig.take() == []
    assert len(rig.us.ua) == 0

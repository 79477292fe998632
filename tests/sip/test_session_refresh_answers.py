"""The answer to a session refresh may say something new (:rfc:`4028` section 7.4, :rfc:`3264` section 8)."""

from __future__ import annotations

from tests.sip.session_peer import SDP, SDP_2, Rig

GRANTED = "Supported: timer\nSession-Expires: 600;refresher=uac"


def refreshed(rig: Rig, body: str) -> None:
    """The phone has granted refreshes, which are re-INVITEs because it takes no UPDATE, and answers the first with ``body``."""
    rig.established_call(GRANTED + "\nAllow: INVITE, ACK, BYE")
    rig.run(300.2)
    assert rig.take() == ["INVITE"]
    invite = rig.request_sent("INVITE")
    assert invite.body == b"v=0 ours"
    rig.reply(invite, 200, body=body, extra=GRANTED)
    assert rig.take() == ["ACK"]


def test_an_answer_that_differs_from_the_last_is_told() -> None:
    rig = Rig()
    refreshed(rig, SDP_2)
    assert rig.us.heard == ["answer"]
    assert rig.us.bodies[-1] == SDP_2.encode()
    assert rig.session.remote_sdp == SDP_2.encode()


def test_the_same_answer_again_is_no_news() -> None:
    rig = Rig()
    refreshed(rig, SDP)
    assert rig.us.heard == []
    assert rig.session.remote_sdp == SDP.encode()


def test_a_refresh_without_an_answer_leaves_what_was_agreed() -> None:
    rig = Rig()
    refreshed(rig, "")
    assert rig.us.heard == []
    assert (rig.session.local_sdp, rig.session.remote_sdp) == (b"v=0 ours", SDP.encode())


def test_an_identity_that_had_to_go_by_re_invite_may_be_answered_anew_too() -> None:
    rig = Rig()
    rig.established_call("Allow: INVITE, ACK, BYE")
    rig.session.tell_identity([("Subject", "x")], rig.now)
    rig.take()
    rig.reply(rig.request_sent("INVITE"), 200, body=SDP_2)
    assert rig.us.heard == ["answer"]

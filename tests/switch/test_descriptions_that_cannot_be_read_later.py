"""A description in a later answer that is of no use ends no call: what was agreed before goes on (:rfc:`3261` section 14.1)."""

from __future__ import annotations

import pytest

from parkade.sip.message.message import Request
from parkade.testing.world import SimWorld
from tests.switch.raw_phone import RawPhone, sdp

HOST = "192.0.2.77"
USELESS = {
    "no SDP": b"hello",
    "no stream": b"v=0\r\n",
    "a port out of range": sdp(HOST, 99999),
    "a host by name": sdp("nowhere"),
    "declined": sdp(HOST, 0),
    "another codec": sdp(HOST, formats="18"),
    "cut": sdp(HOST)[:60],
    "a line damaged": sdp(HOST).replace(b"m=audio", b"n=audio"),
    "empty": b"",
}


class Talk:
    """A raw phone without UPDATE, in a call with Bob."""

    def __init__(self) -> None:
        self.world = SimWorld()
        self.world.account("acme", {"101": "Alice", "102": "Bob"})
        self.bob = self.world.phone("acme-102")
        self.phone = RawPhone(self.world, "acme-101", HOST)
        self.phone.register()
        timer = [("Supported", "timer"), ("Session-Expires", "600;refresher=uas"), ("Allow", "INVITE, ACK, BYE, INFO")]
        invite = self.phone.ask("INVITE", "102", body=self.phone.sdp, headers=timer)
        self.world.run(0.2)
        self.answered = self.bob.answer()
        self.world.run(0.2)
        self.phone.acknowledge(invite)
        self.call = self.answered

    def request(self, method: str, seq: int, body: bytes = b"") -> Request:
        tag = self.phone.responses("INVITE")[-1].to.tag or ""
        request = self.phone.request(method, "102", seq=seq, to_tag=tag, body=body)
        self.phone.send(request)
        self.world.run(0.2)
        return request

    def assert_it_goes_on(self) -> None:
        self.world.run(40)
        assert self.phone.requests("BYE") == []
        assert self.answered.is_up
        assert not [note for note in self.world.notes if "internal" in note]


@pytest.mark.parametrize("answer", USELESS)
def test_an_answer_to_a_session_refresh_that_cannot_be_used_ends_nothing(answer: str) -> None:
    talk = Talk()
    talk.world.run_until(lambda: bool(talk.phone.requests("INVITE")), within_s=400)
    refresh = talk.phone.requests("INVITE")[-1]
    assert refresh.body
    talk.phone.answer(refresh, 200, [("Session-Expires", "600;refresher=uac")], USELESS[answer])
    talk.assert_it_goes_on()
    assert len(talk.phone.requests("ACK")) == 1


@pytest.mark.parametrize("answer", USELESS)
def test_an_ack_of_a_re_invite_without_an_offer_that_cannot_be_used_ends_nothing(answer: str) -> None:
    talk = Talk()
    talk.request("INVITE", 5)
    assert talk.phone.statuses("INVITE")[-1] == 200
    talk.request("ACK", 5, USELESS[answer])
    talk.assert_it_goes_on()


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
@pytest.mark.parametrize("offer", [name for name in USELESS if name not in ("declined", "empty")])
def test_an_offer_that_cannot_be_used_is_refused_and_ends_nothing(offer: str, method: str) -> None:
    talk = Talk()
    request = talk.request(method, 5, USELESS[offer])
    assert talk.phone.statuses(method)[-1] == 488
    if method == "INVITE":
        talk.phone.acknowledge(request)
    talk.assert_it_goes_on()

"""What nobody can have sent who talks to us is answered once and forgotten (:rfc:`3261` section 26.3.2.4)."""

from __future__ import annotations

import pytest

from parkade.testing.world import SimWorld
from tests.switch.raw_phone import RawPhone

OUTSIDE = {
    "INVITE": 401, "REGISTER": 401, "MESSAGE": 401, "SUBSCRIBE": 401, "REFER": 401, "CANCEL": 481, "NONSENSE": 501,
    "BYE": 481, "INFO": 481, "PRACK": 481, "UPDATE": 481,
}  # fmt: skip
INSIDE = ["INVITE", "BYE", "CANCEL", "UPDATE", "PRACK", "INFO", "REFER", "NOTIFY", "MESSAGE", "SUBSCRIBE"]


@pytest.fixture
def forger() -> RawPhone:
    world = SimWorld()
    world.account("acme", {"101": "Alice", "102": "Bob"})
    return RawPhone(world, "acme-101", "192.0.2.77")


@pytest.mark.parametrize("method", OUTSIDE)
def test_a_forged_request_gets_one_answer(forger: RawPhone, method: str) -> None:
    forger.send(forger.request(method, "102", body=forger.sdp if method == "INVITE" else b""))
    forger.world.run(40)
    assert forger.statuses(method) == [OUTSIDE[method]]


@pytest.mark.parametrize("method", ["INVITE", "BYE", "INFO", "PRACK", "UPDATE"])
def test_nothing_is_kept_of_it(forger: RawPhone, method: str) -> None:
    forger.send(forger.request(method, "102", body=forger.sdp if method == "INVITE" else b""))
    forger.world.run(0.1)
    assert forger.world.switch.counts()["sip"] == 0


@pytest.mark.parametrize("method", INSIDE)
def test_a_request_in_a_dialog_that_nobody_has_gets_one_481_and_nothing_is_kept_of_it(forger: RawPhone, method: str) -> None:
    forger.send(forger.request(method, "102", to_tag="forged", body=forger.sdp if method == "INVITE" else b""))
    forger.world.run(0.1)
    assert method == "CANCEL" or forger.world.switch.counts()["sip"] == 0
    forger.world.run(40)
    assert forger.statuses(method) == [481]


def test_an_ack_that_nobody_waits_for_gets_nothing(forger: RawPhone) -> None:
    for tag in ("", "forged"):
        forger.send(forger.request("ACK", "102", to_tag=tag))
    forger.world.run(40)
    assert forger.got == []

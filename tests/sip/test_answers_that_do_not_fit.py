"""A response repeats much of its request; one that would not fit into a datagram is a 513 instead (:rfc:`3261` 21.5.7)."""

from __future__ import annotations

import pytest

from parkade.sip.message.flow import Flow, Send
from tests.sip.test_transaction_layer import PHONE, Node, request_text

LONG = {
    "Via": "Via: SIP/2.0/UDP h;branch=z9hG4bKb;x=" + "y" * 45_000,
    "Record-Route": ("Record-Route: <sip:p;lr;x=" + "y" * 3_000 + ">\r\n") * 15,
}


@pytest.mark.parametrize("name", LONG)
@pytest.mark.parametrize("method", ["INVITE", "REGISTER", "BYE"])
def test_a_request_whose_answer_might_not_fit_gets_513_once_and_nothing_is_kept_of_it(method: str, name: str) -> None:
    node = Node()
    node.receive(request_text(method, more=LONG[name].removesuffix("\r\n") + "\r\n"))
    [effect] = node.out
    assert isinstance(effect, Send)
    assert effect.data.startswith(b"SIP/2.0 513 ")
    assert len(effect.data) < 65_507
    assert (node.told, len(node.layer)) == ([], 0)


def test_over_a_stream_there_is_no_such_limit() -> None:
    node = Node()
    node.layer.receive(Flow("TCP", PHONE.host, 5060, 7), request_text("INVITE", more=LONG["Via"] + "\r\n"), 1.0)
    assert node.told == ["INVITE"]


def test_a_long_message_that_is_long_for_other_reasons_is_taken() -> None:
    node = Node()
    node.receive(request_text("INVITE", more="X-Long: " + "y" * 60_000 + "\r\n"))
    assert node.told == ["INVITE"]

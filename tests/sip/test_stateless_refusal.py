"""Requests that are refused before anything is kept for them (:rfc:`3261` section 26.3.2.4)."""

from __future__ import annotations

import pytest

from parkade.base.clock import Instant
from parkade.base.ids import Ids
from parkade.sip.message.flow import Flow, Send, SipEffect
from parkade.sip.message.message import Request, Response, parse_message
from parkade.sip.transaction.layer import Refusal, TransactionLayer
from tests.sip.test_transaction_layer import PHONE, Node, request_text

CHALLENGE: Refusal = (401, [("WWW-Authenticate", 'Digest realm="r", nonce="n"')])


class Guarded(Node):
    """Lets nobody in who brings no Authorization."""

    def __init__(self) -> None:
        super().__init__()
        self.out: list[SipEffect] = []
        self.layer = TransactionLayer(self, self.out, Ids(self.entropy), lambda _: ("192.0.2.1", 5060), self.admit)

    def admit(self, request: Request, flow: Flow, now: Instant) -> Refusal | None:
        return None if "Authorization" in request.headers or request.to.tag is not None else CHALLENGE


@pytest.mark.parametrize("method", ["INVITE", "REGISTER", "SUBSCRIBE", "OPTIONS"])
def test_a_refused_request_leaves_nothing_behind_and_gets_one_response(method: str) -> None:
    node = Guarded()
    node.receive(request_text(method))
    assert node.statuses() == [401]
    assert (len(node.layer), node.layer.deadline(), node.told) == (0, None, [])


def test_a_retransmission_of_it_gets_the_very_same_response() -> None:
    node = Guarded()
    for _ in range(3):
        node.receive(request_text("INVITE"))
    sent = [effect.data for effect in node.out if isinstance(effect, Send)]
    assert len(sent) == 3
    assert len(set(sent)) == 1


def test_its_ack_and_cancel_find_nothing() -> None:
    node = Guarded()
    node.receive(request_text("INVITE"))
    [(_, response)] = node.drain()
    assert isinstance(response, Response)
    node.receive(request_text("ACK", to_tag=response.to.tag or ""))
    assert (node.drain(), len(node.layer)) == ([], 0)
    node.receive(request_text("CANCEL"))
    assert node.statuses() == [481]


def test_whoever_is_let_in_and_whoever_is_in_a_dialog_gets_a_transaction() -> None:
    node = Guarded()
    node.receive(request_text("INVITE", more="Authorization: Digest x\r\n"))
    node.receive(request_text("BYE", to_tag="b", via="SIP/2.0/UDP 10.0.0.7;branch=z9hG4bKtwo;rport", cseq="8 BYE"))
    assert node.told == ["INVITE", "BYE"]


def test_the_refusal_goes_to_where_the_request_came_from() -> None:
    node = Guarded()
    node.receive(request_text("INVITE", via="SIP/2.0/UDP 10.9.9.9:5060;branch=z9hG4bKone"))
    [effect] = node.out
    assert isinstance(effect, Send)
    assert effect.flow == PHONE
    assert isinstance(parse_message(effect.data), Response)

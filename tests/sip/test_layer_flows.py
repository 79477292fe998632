"""What a lost connection costs: only what hangs on it is looked at."""

from __future__ import annotations

import random

from parkade.base.ids import Ids
from parkade.sip.message.flow import Flow
from parkade.sip.transaction.layer import TransactionLayer
from tests.sip.test_transaction_layer import Node, request_text


def node_of_chance() -> Node:
    node = Node()
    node.layer = TransactionLayer(node, node.out, Ids(random.Random(1).randbytes), lambda _: ("192.0.2.1", 5060))
    return node


def test_a_lost_connection_touches_only_its_own_transactions() -> None:
    node = node_of_chance()
    flows = [Flow("TCP", "198.51.100.7", 50000, n) for n in range(1, 2001)]
    for n, flow in enumerate(flows):
        node.start(request_text(cseq=f"{n + 1} OPTIONS"), flow=flow)
    node.told.clear()
    node.layer.flow_lost(flows[7], 1.0)
    assert node.told == ["OPTIONS failed: transport"]
    assert len(node.layer) == len(flows) - 1
    node.layer.flow_lost(Flow("TCP", "198.51.100.7", 50000, 9999), 1.0)
    assert len(node.told) == 1


def test_nothing_is_remembered_of_a_flow_whose_transactions_are_over() -> None:
    node = Node()
    for n in range(50):
        node.start(request_text(cseq=f"{n + 1} OPTIONS"), flow=Flow("UDP", "198.51.100.7", 5060 + n))
    node.receive(request_text("INVITE"))
    node.respond(486)
    node.run_until_quiet()
    assert node.layer.flows() == 0

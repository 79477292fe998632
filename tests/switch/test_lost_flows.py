"""Streams that are gone are remembered for hours and by the hundred thousand, at a price that does not grow with them."""

from __future__ import annotations

import time
from itertools import count

import pytest

from parkade.sip.message.flow import Flow
from parkade.switch import flows
from parkade.switch.flows import REMEMBERED_S, LostFlows


def flow(number: int) -> Flow:
    return Flow("TCP", "192.0.2.1", 5060, number)


def test_a_stream_is_forgotten_when_nobody_can_come_back_for_it() -> None:
    lost = LostFlows()
    lost.add(flow(1), 0.0)
    lost.add(flow(2), 10.0)
    lost.add(flow(1), 20.0)
    lost.add(flow(3), REMEMBERED_S + 15.0)
    assert [lost.has(flow(number)) for number in (1, 2, 3)] == [True, False, True]
    lost.add(flow(4), REMEMBERED_S + 21.0)
    assert not lost.has(flow(1))
    assert len(lost) == 2


def test_the_oldest_go_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flows, "MAX_REMEMBERED", 3)
    lost = LostFlows()
    for number in range(10):
        lost.add(flow(number), 0.0)
    assert len(lost) == 3
    assert [number for number in range(10) if lost.has(flow(number))] == [7, 8, 9]


def test_one_more_costs_the_same_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    def price(most: int) -> float:
        monkeypatch.setattr(flows, "MAX_REMEMBERED", most)
        lost, numbers = LostFlows(), count()
        for _ in range(most):
            lost.add(flow(next(numbers)), 0.0)
        more = [flow(next(numbers)) for _ in range(30_000)]
        began = time.process_time()
        for one in more:
            lost.add(one, 0.0)
        return time.process_time() - began

    # A search for the first of a plain dict among those deleted before it would cost many times as much.
    assert min(price(30_000) for _ in range(2)) < 6 * min(price(10) for _ in range(2))

"""The pump: order of effects, one write to media and one timer a batch, and faults that cost one input."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from parkade.base.clock import Instant
from parkade.edge.clock import Clock
from parkade.edge.pump import Pump
from parkade.rtp.orders import CloseLeg, Order
from parkade.sip.message.flow import Flow, Send
from parkade.switch.inputs import FlowLost, Received, SwitchEffect, SwitchInput

pytestmark = pytest.mark.asyncio

FLOW = Flow("UDP", "192.0.2.1", 5060)
LOST = FlowLost(FLOW)


class Scripted:
    """A machine that answers ``data`` with one order and one message, and raises on ``fault``."""

    def __init__(self) -> None:
        self.due: Instant | None = None
        self.asked = 0
        self.woken = 0
        self.on_wake: Callable[[], list[SwitchEffect]] = list

    def tell(self, given: SwitchInput, now: Instant) -> list[SwitchEffect]:
        if not isinstance(given, Received):
            return []
        if given.data == b"fault":
            raise RuntimeError("simulated")
        return [Send(given.flow, given.data), CloseLeg(given.data.decode())]

    def deadline(self) -> Instant | None:
        self.asked += 1
        return self.due

    def wake(self, now: Instant) -> list[SwitchEffect]:
        self.woken += 1
        return self.on_wake()


class Performed:
    """Everything that left, in order."""

    def __init__(self, pump: Pump) -> None:
        self.all: list[object] = []
        pump.transports["UDP"] = self
        pump.send_orders = self.orders

    def send(self, flow: Flow, data: bytes) -> None:
        if data == b"cannot":
            raise OSError("simulated")
        self.all.append(data)

    def close(self, flow: Flow) -> None:
        self.all.append(flow)

    def orders(self, orders: Sequence[Order]) -> None:
        self.all.append([order.leg for order in orders])


def pump_of(machine: Scripted) -> tuple[Pump, Performed]:
    pump = Pump(machine, Clock(), print)
    return pump, Performed(pump)


def received(*texts: bytes) -> list[SwitchInput]:
    return [Received(FLOW, text) for text in texts]


async def test_a_batch_is_one_write_to_media_before_any_message_and_one_look_at_the_deadline() -> None:
    machine = Scripted()
    pump, performed = pump_of(machine)
    pump.feed_all(received(b"a", b"b", b"c"))
    assert performed.all == [["a", "b", "c"], b"a", b"b", b"c"]
    assert machine.asked == 1


async def test_a_fault_costs_the_one_input_that_caused_it() -> None:
    pump, performed = pump_of(Scripted())
    pump.feed_all(received(b"a", b"fault", b"c"))
    assert performed.all == [["a", "c"], b"a", b"c"]


async def test_a_message_that_cannot_be_sent_costs_only_itself() -> None:
    pump, performed = pump_of(Scripted())
    pump.feed_all(received(b"a", b"cannot", b"c"))
    assert performed.all == [["a", "cannot", "c"], b"a", b"c"]


async def test_a_fault_on_a_timer_is_tried_again_without_taking_all_of_the_processor() -> None:
    machine, clock = Scripted(), Clock()
    pump, performed = pump_of(machine)
    machine.due = clock.now()

    def fault() -> list[SwitchEffect]:
        raise RuntimeError("simulated")

    machine.on_wake = fault
    pump.feed(LOST)
    await asyncio.sleep(0.25)
    assert 2 <= machine.woken <= 4

    def at_last() -> list[SwitchEffect]:
        machine.due = None
        return [Send(FLOW, b"late")]

    machine.on_wake = at_last
    await asyncio.sleep(0.2)
    assert performed.all == [b"late"]


async def test_a_deadline_that_comes_nearer_is_kept() -> None:
    machine, clock = Scripted(), Clock()
    pump, performed = pump_of(machine)

    def due() -> list[SwitchEffect]:
        machine.due = None
        return [Send(FLOW, b"due")]

    machine.on_wake = due
    machine.due = clock.now() + 60
    pump.feed(LOST)
    machine.due = clock.now() + 0.05
    pump.feed(LOST)
    await asyncio.sleep(0.1)
    assert performed.all == [b"due"]

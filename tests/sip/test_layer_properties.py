"""Two transaction layers joined by a bad network: what must hold whatever is lost, doubled or late."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import partial

from hypothesis import given, settings
from hypothesis import strategies as st

from parkade.base.clock import Instant
from parkade.sip.message.flow import Flow, SipEffect
from parkade.sip.message.message import Request, Response, make_response, parse_message
from parkade.sip.transaction.layer import TransactionLayer
from parkade.sip.transaction.transaction import ClientTransaction, ServerTransaction, Why
from parkade.testing.net import Address, Weather
from parkade.testing.simulation import Simulation

CLIENT, SERVER = Address("192.0.2.1", 5060), Address("192.0.2.2", 5060)
WEATHERS = st.builds(
    Weather,
    loss=st.sampled_from([0.0, 0.1, 0.4, 0.9, 1.0]),
    duplication=st.sampled_from([0.0, 0.3, 1.0]),
    delay_s=st.sampled_from([0.0, 0.01, 0.6]),
    jitter_s=st.sampled_from([0.0, 0.3, 0.45]),
)
"""Jitter stays below T1: a copy of a request later than that may outlive the memory of the first one, in the RFC too."""
ACCEPTED_AGAIN_AT_S = (0.5, 1.5, 3.5, *(3.5 + 4 * n for n in range(1, 8)))
PATIENCE_S = 100.0


@dataclass
class Plan:
    """What the far side does with a request: provisional responses, then a final one, each after a while."""

    method: str
    final: int
    provisional: bool
    after_s: float
    cancel_after_s: float | None = None


PLANS = st.builds(
    Plan,
    method=st.sampled_from(["INVITE", "OPTIONS", "BYE"]),
    final=st.sampled_from([200, 404, 486, 603]),
    provisional=st.booleans(),
    after_s=st.sampled_from([0.0, 0.1, 0.5, 2.0, 40.0]),
    cancel_after_s=st.sampled_from([None, None, 0.0, 0.5, 3.0]),
)


@dataclass
class Party:
    """One side: a layer and its user."""

    sim: Simulation
    address: Address
    plans: list[Plan] = field(default_factory=list)
    delivered: Counter[str] = field(default_factory=Counter)
    cancelled: Counter[str] = field(default_factory=Counter)
    finals: Counter[str] = field(default_factory=Counter)
    statuses: dict[str, set[int]] = field(default_factory=dict)
    failures: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.out: list[SipEffect] = []
        self.layer = TransactionLayer(self, self.out, self.sim.ids(), lambda _: self.address)
        self.receive, self.flow_lost = self.layer.receive, self.layer.flow_lost
        self.deadline, self.wake = self.layer.deadline, self.layer.wake
        self.sim.attach(self.address, self)

    def drain(self) -> list[SipEffect]:
        effects, self.out[:] = [*self.out], []
        return effects

    def on_request(self, tx: ServerTransaction, now: Instant) -> None:
        self.delivered[tx.request.call_id] += 1
        plan = self.plans[int(tx.request.call_id)]
        if plan.provisional:
            self.respond(tx, 180)
        again = ACCEPTED_AGAIN_AT_S if plan.method == "INVITE" and plan.final == 200 else ()
        for late_s in (0.0, *again):
            self.sim.after(plan.after_s + late_s, lambda: self.respond(tx, plan.final))

    def respond(self, tx: ServerTransaction, status: int) -> None:
        tx.respond(make_response(tx.request, status, to_tag=tx.to_tag), self.sim.now)

    def cancel(self, tx: ClientTransaction) -> None:
        tx.cancel(self.sim.now)

    def on_cancel(self, tx: ServerTransaction, cancel: Request, now: Instant) -> None:
        self.cancelled[tx.request.call_id] += 1
        self.respond(tx, 487)

    def on_ack(self, request: Request, flow: Flow, now: Instant) -> None:
        pass

    def on_server_failed(self, tx: ServerTransaction, why: Why, now: Instant) -> None:
        self.failures[tx.request.call_id] += 1

    def on_stray_2xx(self, response: Response, flow: Flow, now: Instant) -> None:
        pass

    def on_response(self, tx: ClientTransaction, response: Response, now: Instant) -> None:
        call = tx.request.call_id
        if response.status >= 200:
            self.statuses.setdefault(call, set()).add(response.status)
            self.finals[call] += 1

    def on_failed(self, tx: ClientTransaction, why: Why, now: Instant) -> None:
        self.failures[tx.request.call_id] += 1


def request(method: str, number: int) -> Request:
    text = (
        f"{method} sip:b@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP x\r\nFrom: <sip:a@192.0.2.1>;tag={number}\r\n"
        f"To: <sip:b@192.0.2.2>\r\nCall-ID: {number}\r\nCSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n"
    )
    made = parse_message(text.encode())
    assert isinstance(made, Request)
    made.headers.remove("Via")
    return made


def exchange(seed: int, weather: Weather, plans: list[Plan], transport: str) -> tuple[Party, Party]:
    sim = Simulation(seed, weather)
    here, there = Party(sim, CLIENT), Party(sim, SERVER, plans)
    for number, plan in enumerate(plans):
        tx = here.layer.request(request(plan.method, number), Flow(transport, *SERVER), here, sim.now)
        if plan.cancel_after_s is not None:
            sim.after(plan.cancel_after_s, partial(here.cancel, tx))
        sim.after(PATIENCE_S, partial(here.cancel, tx))
    sim.run_until_quiet(PATIENCE_S + 3 * 32)
    return here, there


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), WEATHERS, st.lists(PLANS, min_size=1, max_size=4))
def test_over_udp_each_request_is_delivered_once_and_each_ends_in_one_way(
    seed: int, weather: Weather, plans: list[Plan]
) -> None:
    here, there = exchange(seed, weather, plans, "UDP")
    for number, plan in enumerate(plans):
        call = str(number)
        assert there.delivered[call] <= 1
        assert there.cancelled[call] <= 1
        ended = len(here.statuses.get(call, ()))
        assert ended + here.failures[call] == 1, "a final response or a timeout, never both, never neither"
        if plan.method != "INVITE" or plan.final != 200:
            assert here.finals[call] + here.failures[call] == 1
        if weather.loss == 0.0 and (plan.method == "INVITE" or plan.after_s < 30):
            assert ended, "nothing was lost, so nothing may fail"
        if ended:
            assert there.delivered[call] == 1
            assert here.statuses[call] <= {plan.final, *((487,) if there.cancelled[call] else ())}
    assert len(here.layer) == len(there.layer) == 0
    assert (here.layer.deadline(), there.layer.deadline()) == (None, None)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32), WEATHERS, st.lists(PLANS, min_size=1, max_size=4))
def test_over_a_stream_every_request_gets_its_response(seed: int, weather: Weather, plans: list[Plan]) -> None:
    here, there = exchange(seed, weather, plans, "TCP")
    for number, plan in enumerate(plans):
        call = str(number)
        assert there.delivered[call] == 1
        too_late = plan.method != "INVITE" and plan.after_s > 32
        assert (len(here.statuses.get(call, ())), here.failures[call]) == ((0, 1) if too_late else (1, 0))
    assert len(here.layer) == len(there.layer) == 0
    assert (here.layer.deadline(), there.layer.deadline()) == (None, None)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 200), st.sampled_from(["UDP", "TCP"]))
def test_no_bytes_make_the_layer_raise_or_remember_anything(noise: bytes, at: int, transport: str) -> None:
    sim = Simulation()
    party = Party(sim, SERVER)
    made = request("ACK", 0)
    made.headers.prepend("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKone")
    data = made.encode()
    party.receive(Flow(transport, *CLIENT), data[:at] + noise + data[at:], sim.now)
    party.receive(Flow(transport, *CLIENT), noise, sim.now)
    assert len(party.layer) == 0

"""Simulated time jumps from one event to the next and is the same every time."""

from __future__ import annotations

import pytest

from parkade.base.clock import Instant
from parkade.sip.message.flow import Flow, Send, SipEffect
from parkade.testing.net import Address, Weather
from parkade.testing.simulation import START, Simulation

HERE, THERE = Address("192.0.2.1", 5060), Address("192.0.2.2", 5060)


class Parrot:
    """Answers each datagram until it has had enough, and wakes once."""

    def __init__(self, patience: int = 3, alarm: Instant | None = None) -> None:
        self.heard: list[tuple[Instant, bytes]] = []
        self.alarm = alarm
        self.woken: list[Instant] = []
        self.out: list[SipEffect] = []
        self.patience = patience

    def receive(self, flow: Flow, data: bytes, now: Instant) -> None:
        self.heard.append((now, data))
        if len(self.heard) < self.patience:
            self.out.append(Send(flow, data + b"!"))

    def flow_lost(self, flow: Flow, now: Instant) -> None:
        self.heard.append((now, b"gone"))

    def deadline(self) -> Instant | None:
        return self.alarm

    def wake(self, now: Instant) -> None:
        self.woken.append(now)
        self.alarm = None

    def drain(self) -> list[SipEffect]:
        effects, self.out = self.out, []
        return effects


def pair(weather: Weather | None = None) -> tuple[Simulation, Parrot, Parrot]:
    sim = Simulation(weather=weather or Weather(delay_s=0.5))
    here, there = Parrot(), Parrot()
    sim.attach(HERE, here)
    sim.attach(THERE, there)
    return sim, here, there


def test_what_a_machine_wants_said_is_carried_when_time_passes() -> None:
    sim, here, there = pair()
    here.out.append(Send(Flow("UDP", *THERE), b"hello"))
    sim.run(1.2)
    assert there.heard == [(START + 0.5, b"hello")]
    assert here.heard == [(START + 1.0, b"hello!")]
    assert sim.now == START + 1.2


def test_time_jumps_to_the_deadline_of_a_machine_and_no_further() -> None:
    sim, here, _ = pair()
    here.alarm = START + 86_400.0
    sim.run_until_quiet(100_000.0)
    assert here.woken == [START + 86_400.0]
    assert sim.now == START + 86_400.0


def test_a_script_runs_at_its_times_in_order() -> None:
    sim, _, _ = pair()
    done: list[tuple[str, Instant]] = []
    sim.after(2.0, lambda: done.append(("second", sim.now)))
    sim.after(1.0, lambda: sim.after(0.5, lambda: done.append(("first", sim.now))))
    sim.run(10.0)
    assert done == [("first", START + 1.5), ("second", START + 2.0)]


def test_waiting_for_something_ends_when_it_is_there_or_fails() -> None:
    sim, here, there = pair()
    here.out.append(Send(Flow("UDP", *THERE), b"hello"))
    sim.run_until(lambda: bool(there.heard), within_s=5.0)
    assert sim.now == START + 0.5
    with pytest.raises(AssertionError, match=r"not within 5\.0 s"):
        sim.run_until(lambda: len(there.heard) > 9, within_s=5.0)
    here.alarm = sim.now + 60.0
    with pytest.raises(AssertionError, match="still waiting"):
        sim.run_until_quiet(59.0)


def test_a_machine_that_is_due_for_ever_is_found_out() -> None:
    sim, here, _ = pair()
    here.alarm = START

    def wake(now: Instant) -> None:
        pass

    here.wake = wake  # type: ignore[method-assign]
    with pytest.raises(AssertionError, match="time stands still"):
        sim.run(1.0)


def test_identifiers_are_the_same_in_the_same_world() -> None:
    one, other = Simulation(seed=5), Simulation(seed=5)
    assert [one.ids().token(), one.ids().token()] == [other.ids().token(), other.ids().token()]
    assert one.ids().token() != Simulation(seed=6).ids().token()


def test_a_machine_that_is_switched_off_says_nothing_more() -> None:
    sim, here, there = pair()
    here.out.append(Send(Flow("UDP", *THERE), b"hello"))
    sim.run(0.6)
    sim.detach(THERE)
    sim.run(10.0)
    assert len(there.heard) == 1
    assert len(here.heard) == 1

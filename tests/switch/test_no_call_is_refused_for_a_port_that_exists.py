"""Ports are announced in portions: who comes while none is there waits for the next, unless media says that there is none."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parkade.rtp.orders import OpenLeg, PortsExhausted, PortsReady
from parkade.switch.inputs import Drain, MediaReport
from parkade.switch.ports import AnnouncedPorts
from parkade.testing.fake_call import FakeCall
from parkade.testing.phone import FakePhone
from parkade.testing.world import SimWorld


class PausedMedia:
    """From now on media says nothing of ports until ``go_on``."""

    def __init__(self, world: SimWorld) -> None:
        self.world = world
        self.ports = world.switch._ports
        self.kept = list(self.ports._ready)
        self.ports.clear()
        self._drain = world.media.drain
        world.media.drain = list  # type: ignore[method-assign]

    def go_on(self) -> None:
        """Media speaks again: what it had announced is there."""
        self.world.media.drain = self._drain  # type: ignore[method-assign]
        self.world.tell(MediaReport(PortsReady(tuple(self.kept))))


def office() -> tuple[SimWorld, list[FakePhone]]:
    world = SimWorld()
    world.account("acme", {str(101 + n): f"Person {n}" for n in range(8)})
    return world, [world.phone(f"acme-{101 + n}") for n in range(8)]


def test_a_burst_that_meets_an_empty_reserve_is_worked_on_in_the_order_of_arrival() -> None:
    world, phones = office()
    media = PausedMedia(world)
    calls = []
    for n in range(4):
        calls.append(phones[n].call(str(105 + n)))
        world.run(0.2)
    assert all(call.refused is None for call in calls)
    assert all(call.statuses.count(100) for call in calls[:2])
    world.run(1)
    media.go_on()
    world.run(0.5)
    assert [call.state for call in calls] == ["ringing"] * 4 or all(180 in call.statuses for call in calls)
    ports = [order.port for _, order in world.media.orders if isinstance(order, OpenLeg)]
    assert ports == sorted(ports), "whoever came first got the first port"
    for phone in phones[4:]:
        phone.answer()
    world.run(1)
    assert all(calls[n].hears(phones[4 + n]) for n in range(4))
    for phone in phones:
        phone.hang_up()
    world.assert_nothing_leaks()


@pytest.mark.parametrize("pause_s", [0.5, 1.0, 3.0])
def test_a_called_phone_rings_after_a_pause_of_media(pause_s: float) -> None:
    """Also the second leg of a call waits."""
    world, (alice, bob, *_) = office()
    media = PausedMedia(world)
    world.switch._ports.add([media.kept.pop(0)])
    call = alice.call("102")
    world.run(pause_s)
    assert not bob.ringing
    assert call.refused is None
    media.go_on()
    world.run(0.2)
    bob.answer()
    world.run(0.2)
    assert call.hears(bob)
    call.hang_up()
    world.run(1)
    world.assert_nothing_leaks()


def refused(call: FakeCall) -> bool:
    return call.refused == 503


def test_when_media_says_that_none_is_left_whoever_waits_and_whoever_comes_is_refused_at_once() -> None:
    world, (alice, bob, *_) = office()
    PausedMedia(world)
    first = alice.call("104")
    world.run(0.3)
    assert first.refused is None
    world.tell(MediaReport(PortsExhausted()))
    world.run(0.1)
    assert refused(first)
    second = bob.call("104")
    world.run(0.1)
    assert refused(second)
    assert world.switch.counts()["waiting"] == 0


def test_nobody_waits_longer_than_four_seconds() -> None:
    world, (alice, *_) = office()
    PausedMedia(world)
    call = alice.call("104")
    world.run(3.5)
    assert call.refused is None
    world.run(1)
    assert refused(call)
    world.assert_nothing_leaks()


def test_a_caller_who_gives_up_while_waiting_takes_no_port() -> None:
    world, (alice, bob, *_) = office()
    media = PausedMedia(world)
    call = alice.call("102")
    world.run(0.5)
    call.hang_up()
    world.run(0.5)
    media.go_on()
    world.run(1)
    assert call.state == "ended"
    assert not bob.calls
    world.assert_nothing_leaks()


def test_a_caller_who_gives_up_while_the_called_phone_waits_for_a_port_takes_no_second_one() -> None:
    world, (alice, bob, *_) = office()
    media = PausedMedia(world)
    world.switch._ports.add([media.kept.pop(0)])
    call = alice.call("102")
    world.run(0.5)
    call.hang_up()
    world.run(0.5)
    media.go_on()
    world.run(1)
    assert not bob.calls
    world.assert_nothing_leaks()


def test_who_drains_does_not_let_new_calls_wait() -> None:
    world, (alice, *_) = office()
    PausedMedia(world)
    world.tell(Drain())
    call = alice.call("102")
    world.run(0.2)
    assert refused(call)


@settings(max_examples=200)
@given(st.lists(st.one_of(st.just("ask"), st.just("exhausted"), st.integers(1, 4), st.floats(0.1, 5.0)), max_size=40))
def test_every_asker_gets_a_port_in_order_or_an_end_of_waiting(steps: list[str | int | float]) -> None:
    ports = AnnouncedPorts()
    now, asked, served = 0.0, 0, []
    next_port = 0

    def go_on(number: int) -> None:
        served.append((number, ports.take()))

    for step in steps:
        match step:
            case str() if step == "ask":
                number, asked = asked, asked + 1
                if ports.are_coming:
                    ports.wait(lambda at, number=number: go_on(number), now)  # type: ignore[misc]
                else:
                    go_on(number)
            case str():
                ports.exhausted = True
                ports.serve(now)
            case int(count):
                ports.add(range(next_port, next_port + count))
                next_port += count
                ports.serve(now)
            case float(seconds):
                now += seconds
                ports.serve(now)
        assert not (ports.waiting and len(ports)), "nobody waits while there is a port"
        assert not (ports.waiting and ports.exhausted)
    assert [number for number, _ in served] == list(range(len(served)))
    given_out = [port for _, port in served if port is not None]
    assert given_out == sorted(set(given_out))
    assert ports.deadline() is None or ports.deadline() > now  # type: ignore[operator]

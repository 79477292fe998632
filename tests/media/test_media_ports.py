"""The reserve of port pairs, with real sockets on loopback."""

from __future__ import annotations

import socket

import pytest

from bench.server import free_rtp_ports
from parkade.media.ports import REST_S, PortReserve


def free_range(pairs: int) -> tuple[int, int]:
    """A range of ports that was free a moment ago."""
    low, _, high = free_rtp_ports(2 * pairs).partition("-")
    return int(low), int(high)


def fill(reserve: PortReserve, now: float = 0.0) -> tuple[int, ...]:
    new: tuple[int, ...] = ()
    while reserve.short_of and not reserve.exhausted:
        new += reserve.top_up(now)
    return new


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_pairs_are_even_and_odd_and_really_bound(host: str) -> None:
    reserve = PortReserve(host, 0, 0, wanted=10)
    ports = fill(reserve)
    assert sorted(ports) == sorted(reserve.ports())
    assert len(set(ports)) == 10
    for port in ports:
        pair = reserve.take(port)
        assert pair is not None
        assert (pair.rtp.getsockname()[1], pair.rtcp.getsockname()[1]) == (port, port + 1)
        assert port % 2 == 0
        pair.close()
    assert len(reserve) == 0
    reserve.close()


def test_a_port_is_given_to_one_taker_only() -> None:
    reserve = PortReserve("127.0.0.1", 0, 0, wanted=1)
    (port,) = fill(reserve)
    pair = reserve.take(port)
    assert pair is not None
    assert reserve.take(port) is None
    assert reserve.take(12) is None
    pair.close()


def test_the_range_is_respected_and_ports_come_in_no_order() -> None:
    low, high = free_range(60)
    reserve = PortReserve("127.0.0.1", low, high, wanted=60)
    ports = fill(reserve)
    assert all(low <= port and port + 1 <= high for port in ports)
    assert list(ports) != sorted(ports)
    reserve.close()


def test_an_odd_lower_end_is_not_used() -> None:
    reserve = PortReserve("127.0.0.1", 30001, 30005, wanted=10)
    fill(reserve)
    assert set(reserve.ports()) <= {30002, 30004}
    reserve.close()


def test_a_port_held_by_somebody_else_is_passed_over_and_found_again_when_free() -> None:
    first = PortReserve("127.0.0.1", 0, 0, wanted=1)
    (port,) = fill(first)
    taken = first.take(port)
    assert taken is not None
    reserve = PortReserve("127.0.0.1", port, port + 1, wanted=5)
    assert reserve.top_up(0.0) == ()
    assert reserve.exhausted
    taken.rtp.close()
    assert reserve.top_up(0.0) == ()
    taken.rtcp.close()
    assert reserve.top_up(0.0) == (port,)
    reserve.close()


def test_a_pair_given_back_is_used_again_after_a_rest_without_being_bound_anew() -> None:
    low, high = free_range(40)
    reserve = PortReserve("127.0.0.1", low, high, wanted=10)
    (port, *others) = fill(reserve)
    pair = reserve.take(port)
    assert pair is not None
    reserve.give_back(pair, now=100.0)
    assert reserve.rests_until == 100.0 + REST_S
    (another,) = reserve.top_up(100.0 + REST_S - 0.001)
    assert another not in (port, *others)
    other = reserve.take(another)
    assert other is not None
    assert reserve.top_up(100.0 + REST_S) == (port,)
    assert reserve.take(port) is pair
    for taken in (pair, other):
        taken.close()
    reserve.close()


def test_a_pair_to_which_somebody_still_sends_rests_on() -> None:
    reserve = PortReserve("127.0.0.1", 0, 0, wanted=1)
    (port,) = fill(reserve)
    pair = reserve.take(port)
    assert pair is not None
    pair.disturbed = True  # by its own leg's packets: that does not count
    reserve.give_back(pair, now=0.0)
    for turn in range(1, 4):
        pair.disturbed = True
        (another,) = reserve.top_up(turn * REST_S)
        assert another != port
        other = reserve.take(another)
        assert other is not None
        other.close()
    assert reserve.top_up(4 * REST_S) == (port,)
    reserve.close()


def test_a_thousand_legs_one_after_the_other_need_few_sockets() -> None:
    reserve = PortReserve("127.0.0.1", 0, 0, wanted=4)
    ports: set[int] = set()
    now = 0.0
    for _ in range(1000):
        ports.update(fill(reserve, now))
        pair = reserve.take(reserve.ports()[0])
        assert pair is not None
        now += REST_S / 10
        reserve.give_back(pair, now)
    assert len(ports) <= 4 + 12
    reserve.close()


def test_an_exhausted_range_gives_what_there_is() -> None:
    low, high = free_range(3)
    reserve = PortReserve("127.0.0.1", low, high, wanted=10)
    assert len(fill(reserve)) <= 3
    assert reserve.short_of >= 7
    assert reserve.top_up(0.0) == ()
    reserve.close()


def test_no_more_files_are_used_than_allowed() -> None:
    # The next numbers need not follow each other: other tests may have files open.
    files = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(6)]
    limit = files[-1].fileno() + 1
    for file in files:
        file.close()
    reserve = PortReserve("127.0.0.1", 0, 0, wanted=50, files=limit)
    fill(reserve)
    assert 0 < len(reserve) <= 3
    reserve.close()

"""The simulated network: seeded, bad with datagrams, honest with streams."""

from __future__ import annotations

import pytest

from parkade.sip.message.flow import CloseFlow, Flow, Send
from parkade.testing.net import FAIR, STORM, Address, Arrival, LossyNet, Weather

A, B, C = Address("192.0.2.1", 5060), Address("192.0.2.2", 5060), Address("2001:db8::3", 5060)
TO_B = Flow("UDP", *B)
STREAM_TO_B = Flow("TCP", *B)


def make_net(seed: int = 0, weather: Weather = FAIR) -> LossyNet:
    net = LossyNet(seed, weather)
    for address in (A, B, C):
        net.attach(address)
    return net


def arrivals(net: LossyNet) -> list[tuple[float, Arrival]]:
    arrived = []
    while (at := net.deadline()) is not None:
        arrived += [(at, arrival) for arrival in net.arrivals(at)]
    return arrived


def texts(net: LossyNet) -> list[bytes | None]:
    return [arrival.data for _, arrival in arrivals(net)]


def test_a_datagram_arrives_after_the_delay_with_the_address_it_came_from() -> None:
    net = make_net()
    net.perform(A, Send(TO_B, b"hello"), 10.0)
    assert net.arrivals(10.0) == []
    assert arrivals(net) == [(10.002, Arrival(B, Flow("UDP", *A), b"hello"))]


def test_the_same_seed_gives_the_same_storm_and_another_seed_another() -> None:
    def storm(seed: int) -> list[bytes | None]:
        net = make_net(seed, STORM)
        for number in range(50):
            net.perform(A, Send(TO_B, b"%d" % number), float(number) / 10)
        return texts(net)

    assert storm(1) == storm(1)
    assert storm(1) != storm(2)
    assert storm(1) != sorted(storm(1), key=lambda text: int(text or 0)), "some overtake others"
    assert len(set(storm(1))) < 50, "some are lost"
    assert len(set(storm(1))) < len(storm(1)), "some come twice"


@pytest.mark.parametrize(("weather", "count"), [(Weather(loss=1.0), 0), (Weather(duplication=1.0), 20), (FAIR, 10)])
def test_loss_and_duplication_are_probabilities(weather: Weather, count: int) -> None:
    net = make_net(weather=weather)
    for _ in range(10):
        net.perform(A, Send(TO_B, b"x"), 0.0)
    assert len(arrivals(net)) == count


def test_a_rule_loses_the_next_matching_datagrams_only() -> None:
    net = make_net()
    rule = net.lose("ACK ", times=2)
    for text in (b"ACK 1", b"BYE 2", b"ACK 3", b"ACK 4"):
        net.perform(A, Send(TO_B, text), 0.0)
    assert texts(net) == [b"BYE 2", b"ACK 4"]
    assert rule.seen == 2


def test_a_rule_makes_a_datagram_late() -> None:
    net = make_net()
    net.delay(lambda packet: packet.target == B and b"200" in packet.data, 1.0)
    for text in (b"SIP/2.0 200", b"SIP/2.0 180"):
        net.perform(A, Send(TO_B, text), 0.0)
    assert [(at, arrival.data) for at, arrival in arrivals(net)] == [(0.002, b"SIP/2.0 180"), (1.002, b"SIP/2.0 200")]


def test_a_stream_is_answered_on_the_connection_it_opened_and_loses_nothing() -> None:
    net = make_net(weather=Weather(loss=1.0, delay_s=0.1))
    net.perform(A, Send(STREAM_TO_B, b"one"), 0.0)
    net.perform(A, Send(STREAM_TO_B, b"two"), 0.0)
    [(_, one), (_, two)] = arrivals(net)
    assert (one.data, two.data, one.flow) == (b"one", b"two", two.flow)
    assert one.flow.connection != 0
    assert one.flow.host == A.host
    net.perform(B, Send(one.flow, b"back"), 1.0)
    [(at, back)] = arrivals(net)
    assert (at, back.target, back.data, back.flow[:3]) == (1.1, A, b"back", ("TCP", *B))
    net.perform(A, Send(back.flow, b"three"), 2.0)
    assert [arrival.flow for _, arrival in arrivals(net)] == [one.flow]


def test_nobody_listens_at_an_unknown_address() -> None:
    net = make_net()
    net.perform(A, Send(Flow("UDP", "192.0.2.9", 1), b"x"), 0.0)
    net.perform(A, Send(Flow("TCP", "192.0.2.9", 1), b"x"), 0.0)
    assert [arrival for _, arrival in arrivals(net)] == [Arrival(A, Flow("TCP", "192.0.2.9", 1), None)]


def test_a_closed_stream_is_told_to_the_other_side_after_what_was_sent_on_it() -> None:
    net = make_net()
    net.perform(A, Send(STREAM_TO_B, b"hello"), 0.0)
    [(_, hello)] = arrivals(net)
    net.perform(B, Send(hello.flow, b"last words"), 1.0)
    net.perform(B, CloseFlow(hello.flow), 1.0)
    [(_, words), (_, end)] = arrivals(net)
    assert (words.data, end.data, words.flow, end.target) == (b"last words", None, end.flow, A)
    net.perform(A, Send(end.flow, b"too late"), 2.0)
    assert [arrival for _, arrival in arrivals(net)] == [Arrival(A, end.flow, None)]


def test_a_broken_stream_is_told_to_both_sides() -> None:
    net = make_net()
    net.perform(A, Send(STREAM_TO_B, b"x"), 0.0)
    [(_, arrival)] = arrivals(net)
    net.break_stream(arrival.flow, 1.0)
    assert {(lost.target, lost.data) for _, lost in arrivals(net)} == {(A, None), (B, None)}


def test_a_partition_loses_datagrams_and_holds_streams_until_it_is_mended() -> None:
    net = make_net()
    net.cut(B)
    net.perform(A, Send(TO_B, b"lost"), 0.0)
    net.perform(A, Send(STREAM_TO_B, b"held"), 0.0)
    net.perform(A, Send(Flow("UDP", *C), b"elsewhere"), 0.0)
    assert texts(net) == [b"elsewhere"]
    net.mend(B, 5.0)
    assert [(at, arrival.data) for at, arrival in arrivals(net)] == [(5.002, b"held")]


def test_a_machine_that_is_switched_off_gets_nothing_and_its_streams_end() -> None:
    net = make_net()
    net.perform(A, Send(STREAM_TO_B, b"x"), 0.0)
    arrivals(net)
    net.perform(A, Send(TO_B, b"on the way"), 1.0)
    net.detach(B, 1.0)
    [(_, arrival)] = arrivals(net)
    assert (arrival.target, arrival.data) == (A, None)

"""The four transaction machines against the figures of RFC 3261 section 17 and RFC 6026, every state with every input.

The figures are written down here once more, from the RFCs and not from the product's tables. A pair of state and input that
has no line must do nothing. On TCP the retransmission timers do not exist and the waits of zero seconds are over at once, so
the figures have fewer states there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from parkade.base.clock import Instant
from parkade.base.ids import Ids
from parkade.sip.message.flow import Flow, Send, SipEffect
from parkade.sip.message.message import Request, Response, make_response, parse_message
from parkade.sip.transaction.layer import TransactionLayer
from parkade.sip.transaction.tables import State
from parkade.sip.transaction.timers import Timer
from parkade.sip.transaction.transaction import ClientTransaction, ServerTransaction, Why

FIGURES = """
== INVITE client, UDP
Calling    | timer A          | INVITE sent                 | Calling
Calling    | timer B          | timeout to TU               | Terminated
Calling    | transport lost   | transport lost to TU        | Terminated
Calling    | 1xx              | response to TU              | Proceeding
Calling    | 2xx              | response to TU              | Accepted
Calling    | 300-699          | ACK sent, response to TU    | Completed
Proceeding | 1xx              | response to TU              | Proceeding
Proceeding | 2xx              | response to TU              | Accepted
Proceeding | 300-699          | ACK sent, response to TU    | Completed
Proceeding | CANCEL unanswered| timeout to TU               | Terminated
Proceeding | transport lost   | transport lost to TU        | Terminated
Completed  | 300-699          | ACK sent                    | Completed
Completed  | timer D          |                             | Terminated
Completed  | transport lost   |                             | Terminated
Accepted   | 2xx              | response to TU              | Accepted
Accepted   | timer M          |                             | Terminated
Accepted   | transport lost   |                             | Terminated
Terminated | 2xx              | stray 2xx to TU             | Terminated
== INVITE client, TCP
Calling    | timer B          | timeout to TU               | Terminated
Calling    | transport lost   | transport lost to TU        | Terminated
Calling    | 1xx              | response to TU              | Proceeding
Calling    | 2xx              | response to TU              | Accepted
Calling    | 300-699          | ACK sent, response to TU    | Terminated
Proceeding | 1xx              | response to TU              | Proceeding
Proceeding | 2xx              | response to TU              | Accepted
Proceeding | 300-699          | ACK sent, response to TU    | Terminated
Proceeding | CANCEL unanswered| timeout to TU               | Terminated
Proceeding | transport lost   | transport lost to TU        | Terminated
Accepted   | 2xx              | response to TU              | Accepted
Accepted   | timer M          |                             | Terminated
Accepted   | transport lost   |                             | Terminated
Terminated | 2xx              | stray 2xx to TU             | Terminated
== client, UDP
Trying     | timer E          | OPTIONS sent                | Trying
Trying     | timer F          | timeout to TU               | Terminated
Trying     | transport lost   | transport lost to TU        | Terminated
Trying     | 1xx              | response to TU              | Proceeding
Trying     | 2xx              | response to TU              | Completed
Trying     | 300-699          | response to TU              | Completed
Proceeding | timer E          | OPTIONS sent                | Proceeding
Proceeding | timer F          | timeout to TU               | Terminated
Proceeding | transport lost   | transport lost to TU        | Terminated
Proceeding | 1xx              | response to TU              | Proceeding
Proceeding | 2xx              | response to TU              | Completed
Proceeding | 300-699          | response to TU              | Completed
Completed  | timer K          |                             | Terminated
Completed  | transport lost   |                             | Terminated
== client, TCP
Trying     | timer F          | timeout to TU               | Terminated
Trying     | transport lost   | transport lost to TU        | Terminated
Trying     | 1xx              | response to TU              | Proceeding
Trying     | 2xx              | response to TU              | Terminated
Trying     | 300-699          | response to TU              | Terminated
Proceeding | timer F          | timeout to TU               | Terminated
Proceeding | transport lost   | transport lost to TU        | Terminated
Proceeding | 1xx              | response to TU              | Proceeding
Proceeding | 2xx              | response to TU              | Terminated
Proceeding | 300-699          | response to TU              | Terminated
== INVITE server, UDP
Proceeding | 100 due          | 1xx sent                    | Proceeding
Proceeding | request          |                             | Proceeding
Proceeding | 1xx from TU      | 1xx sent                    | Proceeding'
Proceeding | 2xx from TU      | 2xx sent                    | Accepted
Proceeding | 300-699 from TU  | 300-699 sent                | Completed
Proceeding | transport lost   | transport lost to TU        | Terminated
Proceeding'| request          | 1xx sent                    | Proceeding'
Proceeding'| 1xx from TU      | 1xx sent                    | Proceeding'
Proceeding'| 2xx from TU      | 2xx sent                    | Accepted
Proceeding'| 300-699 from TU  | 300-699 sent                | Completed
Proceeding'| transport lost   | transport lost to TU        | Terminated
Completed  | request          | 300-699 sent                | Completed
Completed  | timer G          | 300-699 sent                | Completed
Completed  | timer H          | timeout to TU               | Terminated
Completed  | transport lost   | transport lost to TU        | Terminated
Completed  | ACK              |                             | Confirmed
Confirmed  | timer I          |                             | Terminated
Confirmed  | transport lost   |                             | Terminated
Accepted   | 2xx from TU      | 2xx sent                    | Accepted
Accepted   | ACK              | ACK to TU                   | Accepted
Accepted   | timer L          |                             | Terminated
Accepted   | transport lost   | transport lost to TU        | Terminated
Terminated | request          | request to TU               | Terminated
Terminated | ACK              | ACK to TU                   | Terminated
== INVITE server, TCP
Proceeding | 100 due          | 1xx sent                    | Proceeding
Proceeding | request          |                             | Proceeding
Proceeding | 1xx from TU      | 1xx sent                    | Proceeding'
Proceeding | 2xx from TU      | 2xx sent                    | Accepted
Proceeding | 300-699 from TU  | 300-699 sent                | Completed
Proceeding | transport lost   | transport lost to TU        | Terminated
Proceeding'| request          | 1xx sent                    | Proceeding'
Proceeding'| 1xx from TU      | 1xx sent                    | Proceeding'
Proceeding'| 2xx from TU      | 2xx sent                    | Accepted
Proceeding'| 300-699 from TU  | 300-699 sent                | Completed
Proceeding'| transport lost   | transport lost to TU        | Terminated
Completed  | request          | 300-699 sent                | Completed
Completed  | timer H          | timeout to TU               | Terminated
Completed  | transport lost   | transport lost to TU        | Terminated
Completed  | ACK              |                             | Terminated
Accepted   | 2xx from TU      | 2xx sent                    | Accepted
Accepted   | ACK              | ACK to TU                   | Accepted
Accepted   | timer L          |                             | Terminated
Accepted   | transport lost   | transport lost to TU        | Terminated
Terminated | request          | request to TU               | Terminated
Terminated | ACK              | ACK to TU                   | Terminated
== server, UDP
Trying     | 1xx from TU      | 1xx sent                    | Proceeding
Trying     | 2xx from TU      | 2xx sent                    | Completed
Trying     | 300-699 from TU  | 300-699 sent                | Completed
Trying     | transport lost   | transport lost to TU        | Terminated
Proceeding | request          | 1xx sent                    | Proceeding
Proceeding | 1xx from TU      | 1xx sent                    | Proceeding
Proceeding | 2xx from TU      | 2xx sent                    | Completed
Proceeding | 300-699 from TU  | 300-699 sent                | Completed
Proceeding | transport lost   | transport lost to TU        | Terminated
Completed  | request          | 300-699 sent                | Completed
Completed  | timer J          |                             | Terminated
Completed  | transport lost   |                             | Terminated
Terminated | request          | request to TU               | Terminated
== server, TCP
Trying     | 1xx from TU      | 1xx sent                    | Proceeding
Trying     | 2xx from TU      | 2xx sent                    | Terminated
Trying     | 300-699 from TU  | 300-699 sent                | Terminated
Trying     | transport lost   | transport lost to TU        | Terminated
Proceeding | request          | 1xx sent                    | Proceeding
Proceeding | 1xx from TU      | 1xx sent                    | Proceeding
Proceeding | 2xx from TU      | 2xx sent                    | Terminated
Proceeding | 300-699 from TU  | 300-699 sent                | Terminated
Proceeding | transport lost   | transport lost to TU        | Terminated
Terminated | request          | request to TU               | Terminated
"""

CLIENT_INPUTS = ("1xx", "2xx", "300-699", "transport lost", "CANCEL unanswered", *(f"timer {name}" for name in "ABDEFKM"))
SERVER_INPUTS = (
    *("request", "1xx from TU", "2xx from TU", "300-699 from TU", "transport lost", "100 due"),
    *(f"timer {name}" for name in "GHIJL"),
)
INPUTS = {
    "INVITE client": CLIENT_INPUTS,
    "client": CLIENT_INPUTS,
    "INVITE server": (*SERVER_INPUTS, "ACK"),
    "server": SERVER_INPUTS,
}

WAYS = {
    ("INVITE client", "Calling"): (),
    ("INVITE client", "Proceeding"): ("1xx",),
    ("INVITE client", "Completed"): ("300-699",),
    ("INVITE client", "Accepted"): ("2xx",),
    ("INVITE client", "Terminated"): ("2xx", "timer M"),
    ("client", "Trying"): (),
    ("client", "Proceeding"): ("1xx",),
    ("client", "Completed"): ("2xx",),
    ("client", "Terminated"): ("timer F",),
    ("INVITE server", "Proceeding"): (),
    ("INVITE server", "Proceeding'"): ("1xx from TU",),
    ("INVITE server", "Completed"): ("300-699 from TU",),
    ("INVITE server", "Confirmed"): ("300-699 from TU", "ACK"),
    ("INVITE server", "Accepted"): ("2xx from TU",),
    ("INVITE server", "Terminated"): ("2xx from TU", "timer L"),
    ("server", "Trying"): (),
    ("server", "Proceeding"): ("1xx from TU",),
    ("server", "Completed"): ("300-699 from TU",),
    ("server", "Terminated"): ("transport lost",),
}
"""How to bring a machine into each state. ``Proceeding'`` is Proceeding with a provisional response sent."""

STATUSES = {"1xx": 180, "2xx": 200, "300-699": 486}


class Case(NamedTuple):
    machine: str
    transport: str
    state: str
    moment: str
    seen: tuple[str, ...]
    after: str


def read_figures() -> Iterator[tuple[str, str, dict[tuple[str, str], tuple[tuple[str, ...], str]]]]:
    for figure in FIGURES.strip().removeprefix("== ").split("\n== "):
        title, *lines = figure.splitlines()
        machine, _, transport = title.rpartition(", ")
        rows = [[cell.strip() for cell in line.split("|")] for line in lines]
        yield (
            machine,
            transport,
            {(state, moment): (tuple(filter(None, seen.split(", "))), after) for state, moment, seen, after in rows},
        )


def all_cases() -> Iterator[Case]:
    for machine, transport, rows in read_figures():
        states = dict.fromkeys([*(state for state, _ in rows), *(after for _, after in rows.values())])
        for state in states:
            for moment in INPUTS[machine]:
                yield Case(machine, transport, state, moment, *rows.get((state, moment), ((), state)))


class Bench:
    """One machine, and a record of all that can be seen from outside of it."""

    def __init__(self, machine: str, transport: str) -> None:
        self.flow = Flow(transport, "192.0.2.9", 5060, 0 if transport == "UDP" else 7)
        self.out: list[SipEffect] = []
        self.told: list[str] = []
        self.layer = TransactionLayer(
            self, self.out, Ids(lambda n: bytes(range(256)) * (n // 256)), lambda _: ("192.0.2.1", 5060)
        )
        self.method = "INVITE" if machine.startswith("INVITE") else "OPTIONS"
        self.tx = self.make_client() if machine.endswith("client") else self.make_server()
        self.seen()

    def text(self, method: str, via: str) -> bytes:
        return (
            f"{method} sip:bob@192.0.2.9 SIP/2.0\r\n{via}From: <sip:alice@192.0.2.1>;tag=a\r\nTo: <sip:bob@192.0.2.9>\r\n"
            f"Call-ID: one@192.0.2.1\r\nCSeq: 1 {method}\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        ).encode()

    def make_client(self) -> ClientTransaction:
        request = parse_message(self.text(self.method, "Via: SIP/2.0/UDP placeholder\r\n"))
        assert isinstance(request, Request)
        request.headers.remove("Via")
        return self.layer.request(request, self.flow, self, 0.0)

    def make_server(self) -> ServerTransaction:
        self.made: list[ServerTransaction] = []
        self.receive_request(self.method)
        return self.made[0]

    def receive_request(self, method: str) -> None:
        via = f"Via: SIP/2.0/{self.flow.transport} 192.0.2.9:5060;branch=z9hG4bKone\r\n"
        self.layer.receive(self.flow, self.text(method, via), 0.0)

    def give(self, moment: str) -> None:
        if moment in STATUSES:
            self.layer.receive(self.flow, make_response(self.tx.request, STATUSES[moment], to_tag="b").encode(), 0.0)
        elif moment.endswith(" from TU"):
            assert isinstance(self.tx, ServerTransaction)
            self.tx.respond(make_response(self.tx.request, STATUSES[moment.removesuffix(" from TU")], to_tag="b"), 0.0)
        elif moment == "request":
            self.receive_request(self.method)
        elif moment == "ACK":
            self.receive_request("ACK")
        elif moment == "transport lost":
            self.layer.flow_lost(self.flow, 0.0)
        else:
            self.tx.take(Timer(moment), 0.0)

    def seen(self) -> tuple[str, ...]:
        sent = []
        for effect in self.out:
            assert isinstance(effect, Send)
            assert effect.flow == self.flow
            message = parse_message(effect.data)
            kinds = {1: "1xx", 2: "2xx", 4: "300-699"}
            sent.append(f"{message.method if isinstance(message, Request) else kinds[message.status // 100]} sent")
        seen = (*sent, *self.told)
        self.out.clear()
        self.told.clear()
        return seen

    def on_response(self, tx: ClientTransaction, response: Response, now: Instant) -> None:
        self.told.append("response to TU")

    def on_failed(self, tx: ClientTransaction, why: Why, now: Instant) -> None:
        self.told.append({"timeout": "timeout to TU", "transport": "transport lost to TU"}[why])

    def on_server_failed(self, tx: ServerTransaction, why: Why, now: Instant) -> None:
        self.told.append({"timeout": "timeout to TU", "transport": "transport lost to TU"}[why])

    def on_request(self, tx: ServerTransaction, now: Instant) -> None:
        self.made.append(tx)
        self.told.append("request to TU")

    def on_ack(self, request: Request, flow: Flow, now: Instant) -> None:
        self.told.append("ACK to TU")

    def on_cancel(self, tx: ServerTransaction, cancel: Request, now: Instant) -> None:
        self.told.append("CANCEL to TU")

    def on_stray_2xx(self, response: Response, flow: Flow, now: Instant) -> None:
        self.told.append("stray 2xx to TU")


@pytest.mark.parametrize("case", [*all_cases()], ids=lambda case: "-".join((*case[:4],)).replace(" ", "_"))
def test_each_state_does_with_each_input_what_the_figure_says(case: Case) -> None:
    bench = Bench(case.machine, case.transport)
    for moment in WAYS[case.machine, case.state]:
        bench.give(moment)
    assert bench.tx.state == case.state.removesuffix("'")
    bench.seen()

    bench.give(case.moment)

    assert bench.seen() == case.seen
    assert bench.tx.state == case.after.removesuffix("'")


def test_the_figures_reach_every_state_of_the_rfc() -> None:
    reached = {case.after.removesuffix("'") for case in all_cases()}
    assert reached == {str(state) for state in State}


def when_sent(bench: Bench, until: float) -> list[float]:
    """The times at which ``bench`` sends something, waking it at each of its deadlines."""
    times: list[float] = []
    while (at := bench.layer.deadline()) is not None and at <= until:
        bench.layer.wake(at)
        times += [at] * sum(kind.endswith("sent") for kind in bench.seen())
    return times


def test_an_unanswered_invite_is_sent_seven_times_in_32_seconds_and_then_given_up() -> None:
    bench = Bench("INVITE client", "UDP")
    assert when_sent(bench, 31.9) == [0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    bench.layer.wake(32.0)
    assert bench.seen() == ("timeout to TU",)
    assert (len(bench.layer), bench.layer.deadline()) == (0, None)


def test_another_unanswered_request_is_sent_at_least_every_four_seconds_for_32_seconds() -> None:
    bench = Bench("client", "UDP")
    assert when_sent(bench, 31.9) == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    bench.layer.wake(32.0)
    assert bench.seen() == ("timeout to TU",)
    assert (len(bench.layer), bench.layer.deadline()) == (0, None)


def test_after_a_provisional_response_another_request_is_sent_every_four_seconds() -> None:
    bench = Bench("client", "UDP")
    bench.give("1xx")
    bench.seen()
    assert when_sent(bench, 31.9) == [0.5, 4.5, 8.5, 12.5, 16.5, 20.5, 24.5, 28.5]


def test_a_refusal_of_invite_is_sent_until_acknowledged() -> None:
    bench = Bench("INVITE server", "UDP")
    bench.give("300-699 from TU")
    bench.seen()
    assert when_sent(bench, 12.0) == [0.5, 1.5, 3.5, 7.5, 11.5]
    bench.give("ACK")
    assert when_sent(bench, 100.0) == []
    assert (len(bench.layer), bench.layer.deadline()) == (0, None)


def test_a_refusal_of_invite_that_nobody_acknowledges_is_given_up_after_32_seconds() -> None:
    bench = Bench("INVITE server", "UDP")
    bench.give("300-699 from TU")
    bench.seen()
    assert when_sent(bench, 31.9) == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    bench.layer.wake(32.0)
    assert bench.seen() == ("timeout to TU",)


def test_100_is_sent_after_200_ms_unless_something_was() -> None:
    slow, quick = Bench("INVITE server", "UDP"), Bench("INVITE server", "UDP")
    quick.give("1xx from TU")
    quick.seen()
    assert when_sent(slow, 60.0) == [0.2]
    assert when_sent(quick, 60.0) == []


def test_a_phone_may_ring_for_as_long_as_it_likes() -> None:
    bench = Bench("INVITE client", "UDP")
    bench.give("1xx")
    assert bench.layer.deadline() is None
    assert bench.tx.state == "Proceeding"


@pytest.mark.parametrize(
    ("machine", "way", "seconds"),
    [
        ("INVITE client", ("300-699",), 32.0),
        ("INVITE client", ("2xx",), 32.0),
        ("client", ("2xx",), 5.0),
        ("INVITE server", ("2xx from TU",), 32.0),
        ("INVITE server", ("300-699 from TU", "ACK"), 5.0),
        ("server", ("2xx from TU",), 32.0),
    ],
)
def test_an_ended_exchange_over_udp_is_remembered_for_the_time_of_its_timer(
    machine: str, way: tuple[str, ...], seconds: float
) -> None:
    bench = Bench(machine, "UDP")
    for moment in way:
        bench.give(moment)
    assert bench.layer.deadline() == seconds
    bench.layer.wake(seconds)
    assert (len(bench.layer), bench.layer.deadline()) == (0, None)

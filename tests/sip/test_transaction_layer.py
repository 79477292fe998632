"""The transaction layer: matching, answering on the right path, CANCEL, and what never reaches the user."""

from __future__ import annotations

import pytest

from parkade.base.clock import Instant
from parkade.base.ids import Ids
from parkade.sip.message.flow import Flow, Send, SipEffect
from parkade.sip.message.message import Message, Request, Response, make_response, parse_message
from parkade.sip.transaction.layer import TransactionLayer
from parkade.sip.transaction.transaction import ClientTransaction, ServerTransaction, Why

PHONE = Flow("UDP", "198.51.100.7", 40000)
VIA = "SIP/2.0/UDP 10.0.0.7:5060;branch=z9hG4bKone;rport"


def request_text(
    method: str = "OPTIONS",
    *,
    via: str = VIA,
    uri: str = "sip:park@192.0.2.1",
    to_tag: str = "",
    cseq: str = "",
    more: str = "",
) -> bytes:
    return (
        f"{method} {uri} SIP/2.0\r\nVia: {via}\r\nFrom: <sip:alice@example.com>;tag=a\r\n"
        f"To: <sip:park@192.0.2.1>{to_tag and ';tag='}{to_tag}\r\nCall-ID: one\r\nCSeq: {cseq or f'7 {method}'}\r\n"
        f"Max-Forwards: 70\r\n{more}Content-Length: 0\r\n\r\n"
    ).encode()


class Node:
    """A layer with a user that records what it is told and answers only when a test says so."""

    def __init__(self) -> None:
        self.out: list[SipEffect] = []
        self.layer = TransactionLayer(self, self.out, Ids(self.entropy), lambda _: ("192.0.2.1", 5060))
        self.requests: list[ServerTransaction] = []
        self.told: list[str] = []
        self.drawn = 0

    def entropy(self, size: int) -> bytes:
        self.drawn += 1
        return bytes((self.drawn * 7 + i * i) % 256 for i in range(size))

    def on_request(self, tx: ServerTransaction, now: Instant) -> None:
        self.requests.append(tx)
        self.told.append(tx.request.method)

    def on_ack(self, request: Request, flow: Flow, now: Instant) -> None:
        self.told.append("ACK")

    def on_cancel(self, tx: ServerTransaction, cancel: Request, now: Instant) -> None:
        self.told.append(f"CANCEL of {tx.request.method}, reason {cancel.headers.get('Reason')}")

    def on_server_failed(self, tx: ServerTransaction, why: Why, now: Instant) -> None:
        self.told.append(f"failed: {why}")

    def on_stray_2xx(self, response: Response, flow: Flow, now: Instant) -> None:
        self.told.append(f"stray {response.status}")

    def on_response(self, tx: ClientTransaction, response: Response, now: Instant) -> None:
        self.told.append(f"{tx.request.method} {response.status}")

    def on_failed(self, tx: ClientTransaction, why: Why, now: Instant) -> None:
        self.told.append(f"{tx.request.method} failed: {why}")

    def receive(self, data: bytes, now: Instant = 0.0, flow: Flow = PHONE) -> None:
        self.layer.receive(flow, data, now)

    def respond(self, status: int, now: Instant = 0.0) -> None:
        tx = self.requests[-1]
        tx.respond(make_response(tx.request, status, to_tag=tx.to_tag), now)

    def start(self, text: bytes, now: Instant = 0.0, flow: Flow = PHONE) -> ClientTransaction:
        request = parse_message(text)
        assert isinstance(request, Request)
        request.headers.remove("Via")
        return self.layer.request(request, flow, self, now)

    def drain(self) -> list[tuple[Flow, Message]]:
        sent = [(effect.flow, parse_message(effect.data)) for effect in self.out if isinstance(effect, Send)]
        self.out.clear()
        return sent

    def statuses(self) -> list[int]:
        return [message.status for _, message in self.drain() if isinstance(message, Response)]

    def methods(self) -> list[str]:
        return [message.method for _, message in self.drain() if isinstance(message, Request)]

    def run_until_quiet(self) -> None:
        while (at := self.layer.deadline()) is not None:
            self.layer.wake(at)
        assert len(self.layer) == 0


@pytest.fixture
def node() -> Node:
    return Node()


def test_a_retransmitted_options_is_told_once_and_answered_each_time(node: Node) -> None:
    node.receive(request_text())
    node.receive(request_text())
    assert node.statuses() == []
    node.respond(200)
    node.receive(request_text(), 1.0)
    assert node.told == ["OPTIONS"]
    assert node.statuses() == [200, 200]
    node.run_until_quiet()


def test_a_retransmitted_invite_is_told_once_and_gets_the_latest_response(node: Node) -> None:
    node.receive(request_text("INVITE"))
    node.respond(180)
    node.receive(request_text("INVITE"))
    node.respond(486)
    node.receive(request_text("INVITE"))
    assert node.told == ["INVITE"]
    assert node.statuses() == [180, 180, 486, 486]


def test_a_retransmitted_invite_is_absorbed_once_it_was_accepted(node: Node) -> None:
    node.receive(request_text("INVITE"))
    node.respond(200)
    node.receive(request_text("INVITE"), 5.0)
    assert node.told == ["INVITE"]
    assert node.statuses() == [200]
    node.run_until_quiet()


def test_the_ack_of_a_refusal_ends_with_the_layer_and_may_come_twice(node: Node) -> None:
    node.receive(request_text("INVITE"))
    node.respond(404)
    ack = request_text("ACK", to_tag=node.requests[0].to_tag)
    node.receive(ack)
    node.receive(ack)
    assert node.told == ["INVITE"]
    node.run_until_quiet()
    assert node.statuses() == [404]


def test_the_ack_of_a_200_has_a_branch_of_its_own_and_goes_to_the_user(node: Node) -> None:
    node.receive(request_text("INVITE"))
    node.respond(200)
    node.receive(request_text("ACK", via=VIA.replace("one", "two"), to_tag=node.requests[0].to_tag))
    assert node.told == ["INVITE", "ACK"]


def test_a_second_final_response_is_ignored(node: Node) -> None:
    node.receive(request_text())
    node.respond(200)
    node.respond(500)
    assert node.statuses() == [200]


def test_cancel_is_answered_and_told_while_the_invite_is_open(node: Node) -> None:
    node.receive(request_text("INVITE"))
    node.respond(180)
    node.drain()
    cancel = request_text("CANCEL", more='Reason: SIP;cause=200;text="Call completed elsewhere"\r\n')
    node.receive(cancel)
    node.receive(cancel)
    sent = [message for _, message in node.drain() if isinstance(message, Response)]
    assert [(message.status, message.cseq.method, message.to.tag) for message in sent] == [
        (200, "CANCEL", node.requests[0].to_tag)
    ] * 2
    assert node.told == ["INVITE", 'CANCEL of INVITE, reason SIP;cause=200;text="Call completed elsewhere"']
    node.respond(487)
    node.receive(request_text("ACK", to_tag=node.requests[0].to_tag))
    node.run_until_quiet()


@pytest.mark.parametrize("status", [200, 486])
def test_cancel_after_a_final_response_is_answered_and_changes_nothing(node: Node, status: int) -> None:
    node.receive(request_text("INVITE"))
    node.respond(status)
    node.receive(request_text("CANCEL"))
    assert node.statuses() == [status, 200]
    assert node.told == ["INVITE"]


def test_cancel_of_nothing_is_answered_481(node: Node) -> None:
    node.receive(request_text("CANCEL"))
    assert node.statuses() == [481]
    assert node.told == []
    node.run_until_quiet()


@pytest.mark.parametrize("via", ["SIP/2.0/UDP 10.0.0.7;branch=z9hG4bKone;rport", "SIP/2.0/UDP 10.0.0.7:5060;branch=1"])
def test_cancel_from_another_host_than_the_invite_finds_nothing(node: Node, via: str) -> None:
    """Section 22.1: a CANCEL brings no proof of who sent it, so it has to come from where the INVITE came from."""
    node.receive(request_text("INVITE", via=via))
    node.receive(request_text("CANCEL", via=via), flow=PHONE._replace(host="203.0.113.66"))
    assert node.statuses() == [481]
    assert node.told == ["INVITE"]
    node.respond(200)
    assert node.statuses() == [200]


def test_cancel_from_another_port_of_the_same_host_counts(node: Node) -> None:
    """A NAT may give it another."""
    node.receive(request_text("INVITE"))
    node.receive(request_text("CANCEL"), flow=PHONE._replace(port=40000))
    assert node.statuses() == [200]
    assert node.told == ["INVITE", "CANCEL of INVITE, reason None"]


def test_a_branch_without_the_cookie_is_matched_by_the_rules_of_rfc_2543(node: Node) -> None:
    via = "SIP/2.0/UDP 10.0.0.7:5060;branch=1"
    node.receive(request_text("INVITE", via=via))
    node.receive(request_text("INVITE", via=via))
    assert node.told == ["INVITE"]
    node.receive(request_text("CANCEL", via=via))
    assert node.told[1:] == ["CANCEL of INVITE, reason None"]
    node.respond(487)
    node.receive(request_text("ACK", via=via, to_tag=node.requests[0].to_tag))
    assert node.statuses() == [200, 487]
    node.receive(request_text("OPTIONS", via=via, cseq="8 OPTIONS"))
    assert node.told[2:] == ["OPTIONS"], "the branch alone, used again, means nothing"
    node.respond(200)
    node.run_until_quiet()


@pytest.mark.parametrize(
    ("via", "source", "answered", "stamped"),
    [
        (VIA, PHONE, PHONE, ("198.51.100.7", "40000")),
        (
            "SIP/2.0/UDP 10.0.0.7:5070;branch=z9hG4bKone",
            PHONE,
            PHONE,
            ("198.51.100.7", None),
        ),
        ("SIP/2.0/UDP pbx.example.com;branch=z9hG4bKone", PHONE, PHONE, ("198.51.100.7", None)),
        ("SIP/2.0/UDP 198.51.100.7:5062;branch=z9hG4bKone", PHONE, Flow("UDP", "198.51.100.7", 5062), (None, None)),
        (
            "SIP/2.0/UDP [2001:db8::9]:5064;branch=z9hG4bKone",
            Flow("UDP", "2001:db8::9", 5064),
            Flow("UDP", "2001:db8::9", 5064),
            (None, None),
        ),
        (
            "SIP/2.0/UDP [2001:db8::1]:5064;branch=z9hG4bKone;rport",
            Flow("UDP", "2001:db8::9", 777),
            Flow("UDP", "2001:db8::9", 777),
            ("2001:db8::9", "777"),
        ),
        (
            "SIP/2.0/UDP 198.51.100.7:5062;maddr=203.0.113.66;branch=z9hG4bKone",
            PHONE,
            Flow("UDP", "198.51.100.7", 5062),
            (None, None),
        ),
        (
            "SIP/2.0/UDP 10.0.0.7;received=203.0.113.66;rport=9;branch=z9hG4bKone",
            PHONE,
            PHONE,
            ("198.51.100.7", "40000"),
        ),
        (
            "SIP/2.0/TCP 10.0.0.7:5060;branch=z9hG4bKone",
            Flow("TCP", "198.51.100.7", 50123, 4),
            Flow("TCP", "198.51.100.7", 50123, 4),
            ("198.51.100.7", None),
        ),
    ],
)
def test_a_response_goes_to_where_the_request_really_came_from(
    node: Node, via: str, source: Flow, answered: Flow, stamped: tuple[str | None, str | None]
) -> None:
    node.receive(request_text(via=via), flow=source)
    node.respond(200)
    [(flow, response)] = node.drain()
    assert isinstance(response, Response)
    assert flow == answered
    assert (response.top_via.param("received"), response.top_via.param("rport")) == stamped


def test_only_the_top_via_is_stamped_and_all_come_back(node: Node) -> None:
    second = "SIP/2.0/UDP 10.9.9.9:5060;branch=z9hG4bKfar;rport"
    node.receive(request_text(via=f"{VIA}, {second}"))
    node.respond(200)
    [(_, response)] = node.drain()
    top, below = response.headers.all("Via")
    assert "received=198.51.100.7" in top
    assert below == second


def test_the_second_copy_of_a_request_that_took_two_paths_is_answered_482(node: Node) -> None:
    node.receive(request_text("INVITE"))
    node.receive(request_text("INVITE", via=VIA.replace("one", "two")))
    assert node.told == ["INVITE"]
    assert node.statuses() == [482]
    node.receive(request_text("ACK", via=VIA.replace("one", "two")))
    node.respond(486)
    node.receive(request_text("ACK"))
    assert node.told == ["INVITE"]
    node.run_until_quiet()
    node.receive(request_text("INVITE", via=VIA.replace("one", "three")), 60.0)
    assert node.told == ["INVITE", "INVITE"], "the first is over, so this one is new"


def test_a_request_that_was_refused_may_come_again_with_the_numbers_it_had(node: Node) -> None:
    node.receive(request_text("REGISTER"))
    node.respond(401)
    node.receive(request_text("REGISTER", via=VIA.replace("one", "two")))
    node.respond(200)
    assert node.statuses() == [401, 200]
    node.receive(request_text("REGISTER", via=VIA.replace("one", "three")))
    assert node.statuses() == [482]
    node.run_until_quiet()


def test_our_request_carries_our_via_with_rport_on_udp_only(node: Node) -> None:
    node.start(request_text())
    node.start(request_text(), flow=Flow("TCP", "198.51.100.7", 5060, 3))
    [(_, over_udp), (_, over_tcp)] = node.drain()
    assert isinstance(over_udp, Request)
    assert isinstance(over_tcp, Request)
    via = over_udp.top_via
    assert (via.transport, via.host, via.port, via.param("rport")) == ("UDP", "192.0.2.1", 5060, "")
    assert (over_tcp.top_via.transport, over_tcp.top_via.param("rport")) == ("TCP", None)
    assert (via.branch or "").startswith("z9hG4bK")
    assert via.branch != over_tcp.top_via.branch


def test_our_address_in_a_via_has_brackets_when_it_is_ipv6() -> None:
    node = Node()
    node.layer = TransactionLayer(node, node.out, Ids(node.entropy), lambda _: ("2001:db8::1", 5060))
    node.start(request_text("INVITE"), flow=Flow("UDP", "2001:db8::9", 5060))
    [(_, request)] = node.drain()
    assert request.headers.all("Via")[0].startswith("SIP/2.0/UDP [2001:db8::1]:5060;")


def test_a_refusal_is_acknowledged_with_the_via_route_and_number_of_the_invite(node: Node) -> None:
    tx = node.start(request_text("INVITE", more="Route: <sip:a.example;lr>\r\nRoute: <sip:b.example;lr>\r\n"))
    node.drain()
    refusal = make_response(tx.request, 486, to_tag="b").encode()
    node.receive(refusal)
    node.receive(refusal, 1.0)
    [(flow, ack), (_, again)] = node.drain()
    assert isinstance(ack, Request)
    assert (flow, ack.method, ack.uri, str(ack.cseq)) == (PHONE, "ACK", tx.request.uri, "7 ACK")
    assert ack.headers.all("Via") == tx.request.headers.all("Via")
    assert ack.headers.all("Route") == ["<sip:a.example;lr>", "<sip:b.example;lr>"]
    assert (ack.to.tag, ack.from_.tag, ack.call_id) == ("b", "a", "one")
    assert again.encode() == ack.encode()
    assert node.told == ["INVITE 486"]
    node.run_until_quiet()


def test_every_fork_that_accepts_is_told_and_a_late_2xx_is_a_stray(node: Node) -> None:
    tx = node.start(request_text("INVITE"))
    for tag in ("b", "c", "b"):
        node.receive(make_response(tx.request, 200, to_tag=tag).encode())
    assert node.told == ["INVITE 200"] * 3
    node.receive(make_response(tx.request, 486, to_tag="d").encode())
    assert node.told == ["INVITE 200"] * 3
    node.run_until_quiet()
    node.receive(make_response(tx.request, 200, to_tag="b").encode(), 40.0)
    assert node.told[3:] == ["stray 200"]


def test_our_cancel_waits_for_a_provisional_response_and_then_goes_once(node: Node) -> None:
    tx = node.start(request_text("INVITE", more="Route: <sip:a.example;lr>\r\nRequire: 100rel\r\n"))
    node.drain()
    tx.cancel(0.1, [("Reason", "SIP;cause=200")])
    assert node.methods() == []
    node.receive(make_response(tx.request, 180, to_tag="b").encode(), 0.2)
    node.receive(make_response(tx.request, 180, to_tag="b").encode(), 0.3)
    tx.cancel(0.3)
    [(flow, cancel)] = node.drain()
    assert isinstance(cancel, Request)
    assert (flow, cancel.method, cancel.uri, str(cancel.cseq)) == (PHONE, "CANCEL", tx.request.uri, "7 CANCEL")
    assert cancel.headers.all("Via") == tx.request.headers.all("Via")
    assert cancel.headers.get("Reason") == "SIP;cause=200"
    assert cancel.headers.all("Route") == ["<sip:a.example;lr>"]
    assert "Require" not in cancel.headers
    assert cancel.to.tag is None
    node.receive(make_response(cancel, 200, to_tag="b").encode(), 0.4)
    node.receive(make_response(tx.request, 487, to_tag="b").encode(), 0.4)
    assert node.told == ["INVITE 180", "INVITE 180", "INVITE 487"]
    node.run_until_quiet()


def test_an_accepting_response_that_crosses_our_cancel_is_told(node: Node) -> None:
    tx = node.start(request_text("INVITE"))
    node.receive(make_response(tx.request, 180, to_tag="b").encode())
    tx.cancel(1.0)
    node.receive(make_response(tx.request, 200, to_tag="b").encode(), 1.0)
    assert node.told == ["INVITE 180", "INVITE 200"]
    tx.cancel(2.0)
    assert node.methods().count("CANCEL") == 1


def test_a_cancelled_invite_that_is_never_answered_is_given_up_32_seconds_after_the_cancel(node: Node) -> None:
    tx = node.start(request_text("INVITE"))
    node.receive(make_response(tx.request, 180, to_tag="b").encode(), 1.0)
    tx.cancel(100.0)
    node.layer.wake(131.9)
    assert node.told == ["INVITE 180"]
    node.layer.wake(132.0)
    assert node.told == ["INVITE 180", "INVITE failed: timeout"]
    node.run_until_quiet()


def test_a_response_that_answers_nothing_of_ours_is_dropped(node: Node) -> None:
    tx = node.start(request_text("INVITE"))
    node.drain()
    ours = make_response(tx.request, 200, to_tag="b")
    branch = tx.key[0]
    for foreign in (
        ours.encode().replace(branch.encode(), b"z9hG4bKunknown").replace(b"192.0.2.1:5060;", b"192.0.2.99:5060;"),
        ours.encode().replace(b"7 INVITE", b"7 BYE"),
        ours.encode().replace(b"Via: ", b"Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKx\r\nVia: ", 1),
        ours.encode().replace(b"From:", b"Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKx\r\nFrom:", 1),
    ):
        node.receive(foreign)
    assert node.told == []
    assert node.drain() == []
    node.receive(ours.encode())
    assert node.told == ["INVITE 200"]


@pytest.mark.parametrize(
    "data",
    [
        request_text(cseq="seven OPTIONS"),
        request_text(cseq="7 INVITE"),
        request_text().replace(b"From: <sip:alice@example.com>;tag=a", b"From: <sip:alice@example.com"),
        request_text().replace(b"Call-ID: one\r\n", b""),
        request_text().replace(b"To: <sip:park@192.0.2.1>\r\n", b""),
    ],
)
def test_a_malformed_request_is_answered_400_once_and_leaves_nothing_behind(node: Node, data: bytes) -> None:
    node.receive(data)
    [answer] = node.out
    assert isinstance(answer, Send)
    assert answer.flow == PHONE
    assert answer.data.startswith(b"SIP/2.0 400 ")
    assert b";received=198.51.100.7" in answer.data
    assert node.told == []
    assert (len(node.layer), node.layer.deadline()) == (0, None)


@pytest.mark.parametrize(
    "data",
    [
        request_text("ACK", cseq="seven ACK"),
        request_text("ACK", cseq="7 INVITE"),
        b"SIP/2.0 200 OK\r\nVia: nonsense\r\nCSeq: x\r\n\r\n",
        b"SIP/2.0 two OK\r\n\r\n",
        request_text().replace(b"Via: SIP/2.0/UDP", b"Via: ;;"),
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
        b"\r\n\r\n",
        b"",
        b"\0\0\0\0",
    ],
)
def test_what_must_not_or_cannot_be_answered_is_dropped(node: Node, data: bytes) -> None:
    node.receive(data)
    assert node.drain() == []
    assert node.told == []
    assert len(node.layer) == 0


def test_copies_of_a_malformed_request_are_answered_with_the_same_tag(node: Node) -> None:
    node.receive(request_text(cseq="7 INVITE"))
    node.receive(request_text(cseq="7 INVITE"))
    tags = {message.to.tag for _, message in node.drain() if isinstance(message, Response)}
    assert len(tags) == 1
    assert None not in tags


def test_a_lost_connection_ends_what_ran_on_it_and_nothing_else(node: Node) -> None:
    stream, other = Flow("TCP", "198.51.100.7", 50123, 4), Flow("TCP", "198.51.100.7", 50123, 5)
    node.receive(request_text("INVITE", via="SIP/2.0/TCP 10.0.0.7;branch=z9hG4bKone"), flow=stream)
    node.receive(request_text(via="SIP/2.0/TCP 10.0.0.7;branch=z9hG4bKtwo", cseq="8 OPTIONS"), flow=other)
    node.start(request_text("INVITE"), flow=stream)
    node.start(request_text(), flow=other)
    node.layer.flow_lost(stream, 1.0)
    assert sorted(node.told[2:]) == ["INVITE failed: transport", "failed: transport"]
    assert len(node.layer) == 2
    node.drain()
    node.requests[0].respond(make_response(node.requests[0].request, 200), 2.0)
    assert node.drain() == [], "an ended transaction sends nothing"
    assert node.requests[1].state == "Trying"


def test_a_request_sent_without_transaction_keeps_its_via_when_sent_again(node: Node) -> None:
    ack = parse_message(request_text("ACK", to_tag="b"))
    assert isinstance(ack, Request)
    ack.headers.remove("Via")
    node.layer.send(ack, PHONE)
    node.layer.send(ack, PHONE)
    [(_, first), (_, second)] = node.drain()
    assert first.encode() == second.encode()
    assert len(first.headers.all("Via")) == 1
    assert len(node.layer) == 0

"""Dialogs by themselves (:rfc:`3261` section 12)."""

from __future__ import annotations

import contextlib
import time

import pytest

from parkade.sip.message.errors import SipError
from parkade.sip.message.flow import Flow
from parkade.sip.message.message import Headers, Request, Response
from parkade.sip.session.dialog import Dialog

UDP = Flow("UDP", "192.0.2.5", 34567)
HEAD = (("To", "<sip:us@example.com>"), ("From", "<sip:them@example.com>;tag=t"), ("Call-ID", "c"), ("CSeq", "41 INVITE"))


def served(*extra: tuple[str, str], flow: Flow = UDP, contact: str = "<sip:phone@192.0.2.5:5062>") -> Dialog:
    request = Request("INVITE", "sip:us@example.com", Headers([*HEAD, ("Contact", contact), *extra]))
    return Dialog.of_server(request, "u", "<sip:us@192.0.2.1>", flow)


def asked(*extra: tuple[str, str], contact: str = "<sip:phone@192.0.2.5:5062>") -> Dialog:
    request = Request("INVITE", "sip:them@example.com", Headers(HEAD))
    lines = [("To", "<sip:us@example.com>;tag=r"), ("CSeq", "41 INVITE"), ("Contact", contact), *extra]
    return Dialog.of_client(request, Response(180, "Ringing", Headers(lines)), "<sip:me@192.0.2.1>", UDP)


@pytest.mark.parametrize("fill", [";:", "a:;", "@;", ":@", ":", ";"])
def test_no_contact_takes_long_to_read(fill: str) -> None:
    contact = f"<sip:{fill * (60_000 // len(fill))}>"
    began = time.process_time()
    with contextlib.suppress(SipError):
        served(contact=contact)
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    ("uri", "leads_somewhere"),
    [
        ("sip:h", True),
        ("sip:u@h", True),
        ("sip:;u=1@h", True),
        ("sip:u:p@h", True),
        ("sip:@h", True),
        ("sip:;a:b", True),
        ("sip:a@@h", True),
        ("sip:", False),
        ("sip:@", False),
        ("sip:;a", False),
        ("sip:?a", False),
        ("sip:;a@;b", False),
        ("sip", False),
    ],
)
def test_a_contact_leads_somewhere_if_anything_stands_where_the_host_should_be(uri: str, leads_somewhere: bool) -> None:
    if leads_somewhere:
        assert served(contact=f"<{uri}>").target == uri
    else:
        with pytest.raises(SipError):
            served(contact=f"<{uri}>")


def test_both_ends_know_who_is_who() -> None:
    ours, theirs = served(), asked()
    assert ours.id == ("c", "u", "t")
    assert (ours.local, ours.remote) == ("<sip:us@example.com>;tag=u", "<sip:them@example.com>;tag=t")
    assert (ours.local_seq, ours.remote_seq) == (0, 41)
    assert theirs.id == ("c", "t", "r")
    assert (theirs.local, theirs.remote) == ("<sip:them@example.com>;tag=t", "<sip:us@example.com>;tag=r")
    assert (theirs.local_seq, theirs.remote_seq) == (41, None)


def test_the_caller_turns_the_record_route_round_and_the_callee_does_not() -> None:
    routes = (("Record-Route", "<sip:a;lr>, <sip:b;lr>"), ("Record-Route", "<sip:c;lr>"))
    assert served(*routes).routes == ("<sip:a;lr>", "<sip:b;lr>", "<sip:c;lr>")
    assert asked(*routes).routes == ("<sip:c;lr>", "<sip:b;lr>", "<sip:a;lr>")


def test_requests_count_up_and_an_ack_does_not() -> None:
    dialog = served()
    assert [dialog.request("INFO").cseq.number for _ in range(3)] == [1, 2, 3]
    assert str(dialog.ack(2).cseq) == "2 ACK"
    assert dialog.local_seq == 3


@pytest.mark.parametrize(("method", "has"), [("INVITE", True), ("UPDATE", True), ("BYE", False), ("INFO", False)])
def test_only_what_refreshes_the_target_carries_our_contact(method: str, has: bool) -> None:
    assert ("Contact" in served().request(method).headers) is has


def test_the_order_of_cseq_is_strict_but_gaps_are_allowed() -> None:
    dialog = served()
    assert not dialog.in_order(40)
    assert not dialog.in_order(41)
    assert dialog.in_order(50)
    assert not dialog.in_order(49)
    assert dialog.in_order(51)
    fresh = asked()
    assert fresh.in_order(7)
    assert not fresh.in_order(7)


def test_a_loose_route_keeps_the_target_in_the_request_line() -> None:
    request = served(("Record-Route", "<sip:p.example.com;lr>")).request("BYE")
    assert request.uri == "sip:phone@192.0.2.5:5062"
    assert request.headers.all("Route") == ["<sip:p.example.com;lr>"]


def test_a_strict_route_takes_the_request_line_without_what_is_not_allowed_there() -> None:
    dialog = served(("Record-Route", "<sip:p.example.com;method=INVITE?a=b>"), ("Record-Route", "<sip:q.example.com;lr>"))
    request = dialog.request("BYE")
    assert request.uri == "sip:p.example.com"
    assert request.headers.all("Route") == ["<sip:q.example.com;lr>", "<sip:phone@192.0.2.5:5062>"]


@pytest.mark.parametrize(
    ("contact", "flow", "expected"),
    [
        ("<sip:p@192.0.2.5:5062>", UDP, UDP),
        ("<sip:p@192.0.2.5>", UDP, UDP),
        ("<sip:p@10.0.0.7:5062>", UDP, UDP),
        ("<sip:p@phone.example.com>", UDP, UDP),
        ("<sip:p@192.0.2.5:5062;transport=tcp>", UDP, UDP),
        ("<tel:123>", UDP, UDP),
        ("<sip:p@192.0.2.5:5062>", Flow("TCP", "192.0.2.5", 40000, 3), Flow("TCP", "192.0.2.5", 40000, 3)),
        ("<sip:p@[2001:db8::5]:5062>", Flow("UDP", "2001:db8::5", 9), Flow("UDP", "2001:db8::5", 9)),
        ("<sip:p@192.0.2.5:5062>", Flow("TCP", "192.0.2.5", 40000), Flow("TCP", "192.0.2.5", 5062)),
        ("<sip:p@192.0.2.5>", Flow("TLS", "192.0.2.5", 40000), Flow("TLS", "192.0.2.5", 5061)),
        ("<sip:p@192.0.2.6:5062>", Flow("TCP", "192.0.2.5", 40000), Flow("TCP", "192.0.2.5", 40000)),
    ],
)
def test_the_next_hop_is_where_the_phone_is_heard_and_a_stream_to_be_opened_goes_to_its_contact(
    contact: str, flow: Flow, expected: Flow
) -> None:
    assert served(flow=flow, contact=contact).next_hop() == expected


def test_a_route_decides_the_next_hop_before_the_contact() -> None:
    dialog = served(("Record-Route", "<sip:192.0.2.5:5099;lr>"))
    assert dialog.next_hop() == UDP._replace(port=5099)


def test_a_new_flow_and_a_new_target_change_the_next_hop() -> None:
    dialog = served(flow=Flow("TCP", "192.0.2.5", 40000))
    assert dialog.next_hop().port == 5062
    moved = Request("UPDATE", "sip:us", Headers([*HEAD, ("Contact", "<sip:phone@192.0.2.5:6000>")]))
    dialog.refresh_target(moved)
    assert dialog.next_hop().port == 6000
    stream = Flow("TCP", "192.0.2.5", 41000, 12)
    dialog.flow = stream
    assert dialog.next_hop() == stream


def test_the_2xx_decides_route_and_target_for_good() -> None:
    dialog = asked(("Record-Route", "<sip:early;lr>"))
    lines = [("Record-Route", "<sip:x;lr>, <sip:y;lr>"), ("Contact", "<sip:final@192.0.2.5>")]
    dialog.confirm(Response(200, "OK", Headers(lines)))
    assert dialog.routes == ("<sip:y;lr>", "<sip:x;lr>")
    assert dialog.target == "sip:final@192.0.2.5"

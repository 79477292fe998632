"""Where requests in a dialog go: to where the phone was heard, whatever port its Contact says (:rfc:`5626`)."""

from __future__ import annotations

import pytest

from parkade.sip.message.flow import Flow, Send
from tests.sip.session_peer import PHONE, SDP, Rig


def last_flow(rig: Rig) -> Flow:
    effect = rig.us.ua.out[-1]
    assert isinstance(effect, Send)
    return effect.flow


def ended_from(rig: Rig) -> Flow:
    """Where our BYE goes."""
    rig.take()
    rig.us.ua.out.clear()
    rig.session.end(rig.now)
    flow = last_flow(rig)
    assert rig.take() == ["BYE"]
    return flow


@pytest.mark.parametrize(
    "contact", [f"<sip:phone@{PHONE}:9>", f"<sip:phone@{PHONE}>", "<sip:phone@10.0.0.1:5060>", "<tel:+84>"]
)
def test_a_phone_with_a_wrong_port_in_its_contact_keeps_its_call(contact: str) -> None:
    rig = Rig()
    rig.flow = Flow("UDP", PHONE, 40404)
    rig.invite(contact=f"Contact: {contact}", via=f"Via: SIP/2.0/UDP {PHONE}:9;branch=z9hG4bKw;rport")
    rig.session.accept(b"v=0 ours", rig.now)
    rig.take()
    tag = rig.response_sent("200 INVITE").to.tag or ""
    rig.ask("ACK", 1, to_tag=tag, via=f"Via: SIP/2.0/UDP {PHONE}:9;branch=z9hG4bKx;rport")
    assert ended_from(rig) == rig.flow


def test_a_phone_that_listens_on_another_port_than_it_sends_from_says_so_in_its_via() -> None:
    rig = Rig()
    rig.flow = Flow("UDP", PHONE, 51000)
    via = f"Via: SIP/2.0/UDP {PHONE}:5060;branch=z9hG4bK"
    rig.invite(via=f"{via}a")
    rig.session.accept(b"v=0 ours", rig.now)
    rig.take()
    rig.ask("ACK", 1, to_tag=rig.response_sent("200 INVITE").to.tag or "", via=f"{via}b")
    assert ended_from(rig) == Flow("UDP", PHONE, 5060)


def test_a_called_phone_is_reached_where_it_was_called() -> None:
    rig = Rig()
    rig.flow = Flow("UDP", PHONE, 40404)
    rig.call()
    rig.take()
    rig.reply(rig.request_sent("INVITE"), 200, body=SDP, contact=f"Contact: <sip:phone@{PHONE}:9>")
    assert ended_from(rig) == rig.flow


def test_a_proxy_that_records_its_route_gets_the_request_on_the_port_of_the_route() -> None:
    rig = Rig()
    rig.flow = Flow("UDP", PHONE, 51000)
    rig.invite(f"Record-Route: <sip:{PHONE}:5080;lr>", contact="Contact: <sip:phone@10.0.0.1>")
    rig.session.accept(b"v=0 ours", rig.now)
    rig.take()
    rig.ask("ACK", 1, to_tag=rig.response_sent("200 INVITE").to.tag or "")
    assert ended_from(rig) == Flow("UDP", PHONE, 5080)
    assert rig.request_sent("BYE").uri == "sip:phone@10.0.0.1"

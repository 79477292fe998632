"""What a phone writes badly and what is not needed for the next step stops nothing (:rfc:`3261` section 8.2.2)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parkade.sip.message.message import Request
from parkade.sip.session.ua import MAX_DISMISSALS
from tests.sip.session_peer import SDP, SDP_2, US, Rig

BROKEN = ["<phone-102>", "*", "<broken", '"Bob <sip:', "<sip:>", "sip:a?b", "\\xff", ",", "<sip:a@b>;=x", "", ";;;"]
FIELDS = [
    "Allow", "Require", "RSeq", "Session-Expires", "Min-SE", "Record-Route", "Retry-After", "Supported", "Unsupported",
    "Warning", "Accept", "Alert-Info", "P-Asserted-Identity", "Remote-Party-ID", "Server", "Date", "Timestamp", "Error-Info",
    "WWW-Authenticate", "Proxy-Authenticate", "Content-Disposition", "Reply-To", "Recv-Info", "Geolocation", "X-Y",
]  # fmt: skip
VALUE = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=40)


@pytest.mark.parametrize("contact", BROKEN)
def test_a_phone_that_rings_with_an_unreadable_contact_rings(contact: str) -> None:
    rig = Rig()
    rig.call()
    rig.take()
    rig.reply(rig.request_sent("INVITE"), 180, contact=f"Contact: {contact}")
    assert rig.us.heard == ["progress 180"]


@pytest.mark.parametrize("contact", BROKEN)
@pytest.mark.parametrize("by_update", [True, False])
def test_an_answer_to_our_update_or_re_invite_with_an_unreadable_contact_is_an_answer(contact: str, by_update: bool) -> None:
    rig = Rig()
    invite = rig.established_call("Supported: timer\nSession-Expires: 600;refresher=uac\nAllow: INVITE, UPDATE, ACK")
    target = rig.session.dialog.target if rig.session.dialog else ""
    rig.session.offer(b"v=0 more", rig.now, prefer_update=by_update)
    word = "UPDATE" if by_update else "INVITE"
    rig.take()
    granted = "Session-Expires: 600;refresher=uac"
    rig.reply(rig.request_sent(word), 200, body=SDP_2, contact=f"Contact: {contact}", extra=granted)
    assert rig.take() == ([] if by_update else ["ACK"])
    assert rig.us.heard == ["answer"]
    assert rig.session.dialog is not None
    assert rig.session.dialog.target == target
    rig.run(300.2)
    assert rig.take() == ["UPDATE"], "the session is refreshed as before"
    assert invite is not None


@pytest.mark.parametrize("contact", ["*", "<phone-102>", "<broken", "<sip:>", ""])
def test_an_invite_whose_contact_cannot_be_used_gets_400(contact: str) -> None:
    rig = Rig()
    rig.invite(contact=f"Contact: {contact}")
    assert rig.take() == ["400 INVITE"]
    assert rig.us.heard == []


@pytest.mark.parametrize("contact", BROKEN)
@pytest.mark.parametrize("method", ["INVITE", "UPDATE", "REFER"])
def test_a_request_in_a_dialog_with_an_unreadable_contact_is_taken_and_the_phone_is_where_it_was(
    method: str, contact: str
) -> None:
    rig = Rig()
    tag = rig.answered_call()
    assert rig.session.dialog is not None
    target = rig.session.dialog.target
    body, extra = (SDP_2, "") if method != "REFER" else ("", "\nRefer-To: <sip:102@example.com>")
    rig.ask(method, 2, to_tag=tag, body=body, extra=f"Contact: {contact}{extra}", contact="")
    assert rig.take() == ([f"400 {method}"] if contact == "*" else [] if method == "REFER" else [f"200 {method}"])
    assert len(rig.us.refers) == (method == "REFER" and contact != "*")
    assert rig.session.dialog.target == target


def test_a_referred_by_that_cannot_be_read_refuses_nothing() -> None:
    for value in ["<phone-102>", "*", "<broken", '"Bob <sip:', "sip:a?b", "\\xff", ",", "<sip:a@b>;=x", "", ";;;"]:
        rig = Rig()
        tag = rig.answered_call()
        rig.ask("REFER", 2, to_tag=tag, extra=f"Refer-To: <sip:102@example.com>\nReferred-By: {value}")
        assert rig.us.heard == ["refer"]
        assert rig.us.refers[-1].referred_by is None


@given(st.sampled_from(FIELDS), VALUE)
def test_no_header_of_a_2xx_keeps_it_from_its_ack(name: str, value: str) -> None:
    rig = Rig()
    rig.call()
    rig.take()
    rig.reply(rig.request_sent("INVITE"), 200, body=SDP, extra=f"{name}: {value}")
    assert rig.take() == ["ACK"]
    assert rig.us.heard == ["answered", "established"]
    rig.session.end(rig.now)
    assert rig.take() == ["BYE"]


@given(st.sampled_from(FIELDS), VALUE)
def test_no_header_of_a_provisional_response_keeps_a_phone_from_ringing(name: str, value: str) -> None:
    rig = Rig()
    rig.call()
    rig.take()
    rig.reply(rig.request_sent("INVITE"), 180, extra=f"{name}: {value}")
    assert rig.us.heard == ["progress 180"]


@given(st.sampled_from([name for name in FIELDS if name not in ("Require", "Accept", "Content-Disposition")]), VALUE)
def test_no_header_of_a_later_request_or_its_answer_ends_a_call(name: str, value: str) -> None:
    rig = Rig()
    tag = rig.answered_call("Allow: INVITE, UPDATE, ACK")
    for seq, method in enumerate(("UPDATE", "INVITE", "OPTIONS"), 2):
        rig.ask(method, seq, to_tag=tag, body=SDP_2 if method != "OPTIONS" else "", extra=f"{name}: {value}")
        assert rig.take()[0] in (f"200 {method}", f"422 {method}")
    rig.ask("ACK", 3, to_tag=tag)
    rig.session.offer(b"v=0 more", rig.now)
    rig.take()
    sent = next((m for m in rig.got if isinstance(m, Request) and m.method == "INVITE"), None)
    if sent is not None:
        rig.reply(sent, 200, body=SDP, extra=f"{name}: {value}")
        assert "ACK" in rig.take()
    assert not [word for word in rig.us.heard if word.startswith("ended")]


@pytest.mark.parametrize("status", [180, 200, 486])
@pytest.mark.parametrize(
    "line",
    [
        "From: <sip:x@y>;tag=z", "To: <sip:x@y>;tag=z", "Call-ID: other", "CSeq: 9 BYE", "Via: VIA", "Contact: *",
        "Max-Forwards: 0", "Content-Length: 1x", "Content-Length:", "Content-Length: -1", "Content-Length: 99999999999",
    ],
)  # fmt: skip
def test_what_a_response_says_twice_or_unreadably_hides_nothing_of_it(line: str, status: int) -> None:
    """A phone cannot be told that its response is wrong; it would sit off-hook without its ACK."""
    rig = Rig()
    rig.call()
    rig.take()
    invite = rig.request_sent("INVITE")
    extra = line.replace("VIA", invite.headers.get("Via") or "")
    rig.reply(invite, status, body=SDP if status == 200 else "", extra=extra)
    assert rig.us.heard[0] == {180: "progress 180", 200: "answered", 486: "refused 486"}[status]
    assert rig.take() == ([] if status == 180 else ["ACK"])


def test_a_2xx_to_an_invite_that_nobody_knows_any_more_gets_ack_and_bye() -> None:
    rig = Rig()
    stray = (
        f"SIP/2.0 200 OK\nVia: SIP/2.0/UDP {US}:5060;branch=z9hG4bKbefore;rport\nFrom: <sip:100@example.com>;tag=us1\n"
        "To: <sip:phone@example.com>;tag=ph1\nCall-ID: before\nCSeq: 3 INVITE\nContact: <sip:phone@192.0.2.99:5060>\n"
        "Record-Route: <sip:p1;lr>, <sip:p2;lr>"
    )
    rig.put(stray)
    assert rig.take() == ["ACK", "BYE"]
    ack, bye = rig.request_sent("ACK"), rig.request_sent("BYE")
    assert (ack.cseq.number, bye.cseq.number) == (3, 4)
    assert (bye.from_.tag, bye.to.tag, bye.call_id, bye.uri) == ("us1", "ph1", "before", "sip:phone@192.0.2.99:5060")
    assert bye.headers.all("Route") == ["<sip:p2;lr>", "<sip:p1;lr>"]
    rig.put(stray)
    assert rig.take() == [], "one BYE at a time"
    rig.reply(bye, 200)
    rig.run(40)
    assert len(rig.us.ua) == 0


def test_a_flood_of_forged_answers_makes_no_flood_of_byes() -> None:
    rig = Rig()
    for n in range(3 * MAX_DISMISSALS):
        rig.put(
            f"SIP/2.0 200 OK\nVia: SIP/2.0/UDP {US}:5060;branch=z9hG4bK{n};rport\nFrom: <sip:100@example.com>;tag=us{n}\n"
            f"To: <sip:phone@example.com>;tag=ph{n}\nCall-ID: forged{n}\nCSeq: 3 INVITE"
        )
    assert rig.take().count("BYE") == MAX_DISMISSALS
    rig.run(40)
    assert len(rig.us.ua) == 0


@pytest.mark.parametrize("via", ["SIP/2.0/UDP 198.51.100.1:5060;branch=z9hG4bKx", f"SIP/2.0/UDP {US}:5060;branch=1"])
def test_a_2xx_that_is_not_for_us_is_passed_over(via: str) -> None:
    rig = Rig()
    rig.put(
        f"SIP/2.0 200 OK\nVia: {via}\nFrom: <sip:100@example.com>;tag=us1\nTo: <sip:phone@example.com>;tag=ph1\n"
        "Call-ID: before\nCSeq: 3 INVITE"
    )
    assert rig.take() == []
    assert len(rig.us.ua) == 0


@pytest.mark.parametrize("contact", BROKEN)
def test_even_then_an_unreadable_contact_counts_as_missing(contact: str) -> None:
    rig = Rig()
    rig.put(
        f"SIP/2.0 200 OK\nVia: SIP/2.0/UDP {US}:5060;branch=z9hG4bKx\nFrom: <sip:100@example.com>;tag=us1\n"
        f"To: <sip:phone@example.com>;tag=ph1\nCall-ID: before\nCSeq: 3 INVITE\nContact: {contact}"
    )
    assert rig.take() == ["ACK", "BYE"]
    assert rig.request_sent("BYE").uri == "sip:phone@example.com"

"""Messages as real phones send them, and what is made of them."""

from __future__ import annotations

import pytest

from parkade.sip.message.errors import SipError
from parkade.sip.message.headers import CSeq
from parkade.sip.message.message import REASONS, Headers, Request, Response, is_keepalive, make_response, parse_message

INVITE = b"""INVITE sip:%2A801@192.0.2.5 SIP/2.0\r
v: SIP/2.0/UDP 192.0.2.31:5060;branch=z9hG4bKtop;rport, SIP/2.0/TCP core;branch=z9hG4bKlow\r
Via: SIP/2.0/UDP last;branch=z9hG4bKlast\r
f: "An, the \\"boss\\"" <sip:4021@pbx.example>;tag=a1\r
T: <sip:*801@pbx.example>\r
i: 1@192.0.2.31\r
CSEQ: 7 INVITE\r
m: <sip:4021@192.0.2.31>;+sip.instance="<urn:uuid:1>";q=0.5, "B, c" <sip:x@y>\r
Record-Route: <sip:edge;lr>\r
Max-Forwards: 70\r
k: Replaces,100rel\r
Require: timer\r
Allow: INVITE, ACK , BYE\r
c: Application/SDP ; charset=utf-8\r
x-nsp-SERIAL: 12\r
Subject:\r
Timestamp: 54\r
l: 4\r
\r
v=0\r
"""[:-1]


def read(data: bytes = INVITE) -> Request:
    request = parse_message(data)
    assert isinstance(request, Request)
    return request


def rejection(data: bytes) -> SipError:
    with pytest.raises(SipError) as caught:
        parse_message(data)
    return caught.value


def test_compact_names_odd_cases_and_several_values_a_line_are_read() -> None:
    request = read()
    assert request.method == "INVITE"
    assert request.uri == "sip:%2A801@192.0.2.5"
    assert request.address.user_text == "*801"
    assert request.call_id == "1@192.0.2.31"
    assert request.cseq == CSeq(7, "INVITE")
    assert (request.from_.display, request.from_.tag) == ('An, the "boss"', "a1")
    assert (request.to.uri, request.to.tag) == ("sip:*801@pbx.example", None)
    assert [via.host for via in request.vias] == ["192.0.2.31", "core", "last"]
    assert request.top_via.branch == "z9hG4bKtop"
    assert [contact.uri for contact in request.contacts] == ["sip:4021@192.0.2.31", "sip:x@y"]
    assert request.contact == request.contacts[0]
    assert request.supported == {"replaces", "100rel"}
    assert request.require == {"timer"}
    assert request.allow == frozenset({"INVITE", "ACK", "BYE"})
    assert request.content_type == "application/sdp"
    assert request.max_forwards == 70
    assert request.body == b"v=0\r"
    assert request.headers.get("X-NSP-Serial") == "12"
    assert request.headers.get("Subject") == ""


def test_what_is_written_has_usual_names_and_its_own_length() -> None:
    request = read()
    request.body = b"longer"
    text = request.encode().decode()
    assert text.startswith(
        "INVITE sip:%2A801@192.0.2.5 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.31:5060;branch=z9hG4bKtop;rport, SIP"
    )
    assert "\r\nCall-ID: 1@192.0.2.31\r\nCSeq: 7 INVITE\r\nContact: " in text
    assert text.endswith("\r\nContent-Length: 6\r\n\r\nlonger")
    assert text.count("Content-Length") == 1


def test_lines_may_end_in_lf_alone() -> None:
    head, _, body = INVITE.partition(b"\r\n\r\n")
    bare = read(head.replace(b"\r\n", b"\n") + b"\n\n" + body)
    assert bare.encode() == read().encode()
    mixed = read(head.replace(b"\r\nVia", b"\nVia") + b"\r\n\n" + body)
    assert mixed.encode() == read().encode()


def test_line_ends_before_the_start_line_are_nothing() -> None:
    assert read(b"\r\n\r\n" + INVITE).encode() == read().encode()


def test_folded_lines_are_one_line() -> None:
    folded = INVITE.replace(b"\r\nCSEQ: 7 INVITE", b"\r\nCSEQ:\r\n 7\r\n\tINVITE").replace(b"l: 4", b"l:\r\n 4")
    assert read(folded).cseq == CSeq(7, "INVITE")
    assert read(folded).headers.get("CSeq") == "7 INVITE"


def test_a_blank_before_the_colon_is_allowed() -> None:
    assert read(INVITE.replace(b"i:", b"i \t :").replace(b"CSEQ:", b"CSEQ :")).encode() == read().encode()


def test_malformed_lines_that_nobody_needs_are_dropped_with_what_is_folded_onto_them() -> None:
    request = read(INVITE.replace(b"Subject:\r\n", b"no colon here\r\n and more: of it\r\n: no name\r\nbad name: x\r\n"))
    assert [name for name, _ in request.headers if name in {"No", "And", "Bad name", ""}] == []
    assert request.headers.get("X-Nsp-Serial") == "12"


def test_bytes_that_are_not_utf_8_come_out_as_they_went_in() -> None:
    request = read(INVITE.replace(b"T: <", b'T: "L\xe9o \xc3\xa9t\xe9" <').replace(b"Subject:", b"Subject: \xff\xfe\x80"))
    assert request.to.display == "Léo été"
    assert b'To: "L\xe9o \xc3\xa9t\xe9" <' in request.encode()
    assert b"Subject: \xff\xfe\x80\r\n" in request.encode()


def test_contact_star_is_read() -> None:
    contact = read(INVITE.replace(b"m: <", b"X: <").replace(b"Subject:", b"Contact: *")).contact
    assert contact is not None
    assert contact.uri == "*"


def test_empty_and_absent_lists_are_empty() -> None:
    request = read(
        INVITE.replace(b"k: Replaces,100rel", b"k:").replace(b"Allow: INVITE, ACK , BYE", b"m:").replace(b"m: <", b"X: <")
    )
    assert request.supported == frozenset()
    assert request.allow is None
    assert request.contact is None
    assert request.contacts == []


def test_octets_after_the_body_are_ignored_and_a_body_without_length_is_all_there_is() -> None:
    assert read(INVITE + b"trailing").body == b"v=0\r"
    assert read(INVITE.replace(b"l: 4\r\n", b"") + b"trailing").body == b"v=0\rtrailing"


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        (b"l: 4", b"l: 5", 400),
        (b"l: 4", b"l: -4", 400),
        (b"l: 4", b"l: four", 400),
        (b"l: 4", b"l: 4\r\nContent-Length: 3", 400),
        (b"SIP/2.0\r\nv", b"SIP/3.0\r\nv", 505),
        (b"v: SIP", b"X: SIP", None),
        (b"i: 1@192.0.2.31\r\n", b"", 400),
        (b"i: 1@192.0.2.31", b"i: 1 2", 400),
        (b"i: 1@192.0.2.31", b"i:", 400),
        (b"i: 1@192.0.2.31", b"i: 1@192.0.2.31\r\nCall-ID: 1@192.0.2.31", 400),
        (b"CSEQ: 7 INVITE", b"CSEQ: 7 BYE", 400),
        (b"CSEQ: 7 INVITE\r\n", b"", 400),
        (b"T: <", b"T: ", 400),
        (b"v: SIP/2.0/UDP", b"v:", 400),
        (b"sip:%2A801@192.0.2.5", b"sip:a@[::1", 400),
        (b"sip:%2A801@192.0.2.5", b"sip:a@b?Subject=x", 400),
        (b"sip:%2A801@192.0.2.5", b"sip:a b", 400),
    ],
)
def test_a_broken_request_is_rejected_and_can_be_answered(old: bytes, new: bytes, status: int | None) -> None:
    data = INVITE.replace(old, new, 1)
    if status is None:
        assert read(data).top_via.host == "last"
        return
    error = rejection(data)
    assert error.status == status
    assert error.request is not None
    answer = make_response(error.request, error.status, to_tag="ours").encode()
    assert answer.startswith(f"SIP/2.0 {status} {REASONS[status]}\r\nVia: ".encode())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n\r\n",
        b"garbage",
        b"GET / HTTP/1.1\r\n\r\n",
        b"SIP/2.0 2x0 OK\r\n\r\n",
        b"SIP/2.0 700 X\r\n\r\n",
        b"SIP/2.0 99 X\r\n\r\n",
        INVITE.replace(b"INVITE sip", b"IN@VITE sip"),
    ],
)
def test_what_is_not_sip_cannot_be_answered(data: bytes) -> None:
    error = rejection(data)
    assert error.status == 400
    assert error.request is None
    assert str(error) == error.reason


def test_a_response_is_read() -> None:
    response = parse_message(make_response(read(), 486, "Đang bận", to_tag="b2").encode())
    assert isinstance(response, Response)
    assert (response.status, response.reason, response.to.tag) == (486, "Đang bận", "b2")
    assert (response.cseq, response.call_id) == (CSeq(7, "INVITE"), "1@192.0.2.31")


def test_a_response_carries_what_section_8_2_6_says() -> None:
    trying, ringing, refused = (make_response(read(), status, to_tag="b2") for status in (100, 180, 404))
    assert [name for name, _ in trying.headers] == ["Via", "Via", "From", "To", "Call-ID", "CSeq", "Timestamp"]
    assert [name for name, _ in ringing.headers] == ["Via", "Via", "From", "To", "Call-ID", "CSeq", "Record-Route"]
    assert [name for name, _ in refused.headers] == ["Via", "Via", "From", "To", "Call-ID", "CSeq"]
    assert (trying.to.tag, ringing.to.tag, refused.to.tag) == (None, "b2", "b2")
    assert ringing.headers.all("Via") == read().headers.all("Via")


def test_a_tag_is_added_only_once() -> None:
    request = read(INVITE.replace(b"T: <sip:*801@pbx.example>", b"T: sip:*801@pbx.example;tag=theirs"))
    assert make_response(request, 200, to_tag="ours").to.tag == "theirs"


def test_a_response_takes_headers_a_body_and_any_status() -> None:
    response = make_response(read(), 299, headers=[("retry-after", "5")], body=b"x")
    assert response.encode().startswith(b"SIP/2.0 299 Unknown\r\n")
    assert response.encode().endswith(b"Retry-After: 5\r\nContent-Length: 1\r\n\r\nx")


def test_a_message_put_together_by_hand_says_what_it_lacks() -> None:
    request = Request("OPTIONS", "sip:pbx", Headers([("To", "<sip:a@b>")]))
    assert request.to.uri == "sip:a@b"
    with pytest.raises(SipError, match="No Call-ID"):
        _ = request.call_id


def test_a_value_never_starts_a_new_line() -> None:
    request = read()
    request.headers.add("X-Name", "evil\r\nRoute: <sip:elsewhere>\r\n\r\nbody")
    request.uri = "sip:a\nb"
    data = request.encode()
    assert data.startswith(b"INVITE sip:a b SIP/2.0\r\n")
    assert b"\r\nX-Name: evil Route: <sip:elsewhere> body\r\n" in data
    assert b"\nRoute" not in data


def test_headers_keep_their_order_through_every_change() -> None:
    headers = Headers([("v", "a, b"), ("From", "f"), ("VIA", "c")])
    assert list(headers) == [("Via", "a, b"), ("From", "f"), ("Via", "c")]
    assert headers.all("via") == ["a", "b", "c"]
    assert headers.get("Via") == "a, b"
    headers.replace_top("Via", "A")
    assert headers.all("Via") == ["A", "b", "c"]
    headers.prepend("v", "z")
    assert headers.get("Via") == "z"
    headers.set("From", "g")
    headers.set("to", "t")
    copy = headers.copy()
    headers.remove("VIA")
    assert list(headers) == [("From", "g"), ("To", "t")]
    assert len(copy) == 5
    assert "via" in copy
    assert "Via" not in headers
    assert 7 not in headers
    headers.replace_top("Via", "nothing to replace")
    assert "Via" not in headers


def test_typed_values_follow_the_text() -> None:
    request = read()
    assert request.cseq.number == 7
    request.headers.set("CSeq", "8 INVITE")
    assert request.cseq.number == 8
    copy = request.headers.copy()
    copy.set("CSeq", "9 INVITE")
    assert request.cseq.number == 8


@pytest.mark.parametrize("text", ["", "soon", "-1"])
def test_an_unreadable_max_forwards_counts_as_none(text: str) -> None:
    assert read(INVITE.replace(b"Max-Forwards: 70", f"Max-Forwards: {text}".encode())).max_forwards is None


def test_keepalives_are_told_from_messages() -> None:
    binding_request = b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12)
    assert all(is_keepalive(data) for data in (b"", b"\r\n", b"\r\n\r\n", b"\0\0\0\0", b" ", binding_request))
    assert not any(is_keepalive(data) for data in (INVITE, b"\r\n" + INVITE, b"garbage"))


def test_messages_describe_themselves() -> None:
    assert repr(read()) == "<Request INVITE sip:%2A801@192.0.2.5>"
    assert repr(make_response(read(), 200)) == "<Response 200 to 7 INVITE>"
    assert repr(Headers([("v", "x")])) == "Headers([('Via', 'x')])"

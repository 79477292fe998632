"""Typed header values, as phones write them."""

from __future__ import annotations

import pytest

from parkade.sip.message.errors import SipError
from parkade.sip.message.headers import (
    CSeq,
    NameAddr,
    RAck,
    Replaces,
    SessionExpires,
    parse_cseq,
    parse_name_addr,
    parse_name_addrs,
    parse_rack,
    parse_replaces,
    parse_session_expires,
    parse_via,
)


def test_the_usual_address() -> None:
    address = parse_name_addr('"An Nguyen" <sip:4021@pbx.example;transport=tcp>;tag=77a;x="a;b,c"')
    assert address.display == "An Nguyen"
    assert address.uri == "sip:4021@pbx.example;transport=tcp"
    assert address.tag == "77a"
    assert address.param("x") == "a;b,c"
    assert address.address.param("transport") == "tcp"
    assert str(address) == '"An Nguyen" <sip:4021@pbx.example;transport=tcp>;tag=77a;x="a;b,c"'


@pytest.mark.parametrize(
    ("text", "display", "uri", "params"),
    [
        ("sip:4021@pbx;tag=1", "", "sip:4021@pbx", (("tag", "1"),)),
        ("<sip:4021@pbx>", "", "sip:4021@pbx", ()),
        ("An<sip:4021@pbx>", "An", "sip:4021@pbx", ()),
        ("An  Van Nguyen <sip:4021@pbx>", "An  Van Nguyen", "sip:4021@pbx", ()),
        ('""<sip:4021@pbx>', "", "sip:4021@pbx", ()),
        ('"a \\"b\\" \\\\c <sip:x@y>;,"  <sip:4021@pbx>', 'a "b" \\c <sip:x@y>;,', "sip:4021@pbx", ()),
        ("Lễ tân <sip:9@pbx>", "Lễ tân", "sip:9@pbx", ()),
        ('"L\udce9o" <sip:9@pbx>', "Léo", "sip:9@pbx", ()),
        ("<tel:+842838221234>;tag=x", "", "tel:+842838221234", (("tag", "x"),)),
        ("tel:1234;phone-context=pbx", "", "tel:1234", (("phone-context", "pbx"),)),
        ("<sip:a@b>;;tag=1;", "", "sip:a@b", (("tag", "1"),)),
        ("<sip:a@b> ; lr ; tag = 1", "", "sip:a@b", (("lr", None), ("tag", "1"))),
        ("*", "", "*", ()),
    ],
)
def test_addresses_as_phones_write_them(text: str, display: str, uri: str, params: tuple[tuple[str, str | None], ...]) -> None:
    address = parse_name_addr(text)
    assert address == NameAddr(display, uri, params)
    assert parse_name_addr(str(address)) == address


def test_an_instance_id_keeps_its_brackets_and_quotes() -> None:
    text = '<sip:4021@192.0.2.31:5061;transport=tls>;+sip.instance="<urn:uuid:00000000-0000-1000-8000-000a95a0e128>";reg-id=1'
    contact = parse_name_addr(text)
    assert contact.param("+sip.instance") == "<urn:uuid:00000000-0000-1000-8000-000a95a0e128>"
    assert contact.param("reg-id") == "1"
    assert str(contact) == text


def test_a_parameter_is_set_where_it_stands_and_quoted_only_if_it_must_be() -> None:
    address = parse_name_addr("<sip:a@b>;TAG=old;lr")
    assert str(address.with_param("tag", "new")) == "<sip:a@b>;TAG=new;lr"
    assert str(address.with_param("text", 'say "hi"')) == '<sip:a@b>;TAG=old;lr;text="say \\"hi\\""'
    assert str(address.with_param("ob", None)) == "<sip:a@b>;TAG=old;lr;ob"


def test_an_empty_tag_is_no_tag() -> None:
    assert parse_name_addr("<sip:a@b>;tag=").tag is None
    assert parse_name_addr("<sip:a@b>;tag").tag is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "An",
        "<>",
        "<4021>",
        '"An <sip:a@b>',
        "An <sip:a@b",
        "sip:a@b>",
        "<sip:a b@c>",
        "<sip:a@b> tag=1",
        "<sip:a@b>;=1",
        '<sip:a@b>;"x"=1',
        "sip:a@b?Subject=x",
        '"a" "b" <sip:a@b>',
        "* ;expires=0 ?",
        "<sip:a@b>;a b=1",
    ],
)
def test_what_is_no_address_deserves_a_400(text: str) -> None:
    with pytest.raises(SipError) as caught:
        parse_name_addr(text)
    assert caught.value.status == 400


def test_lists_of_identities_may_share_a_line() -> None:
    identities = parse_name_addrs(['"Nguyen, An" <sip:4021@pbx>, <tel:+842838221234>', "sip:x@y"])
    assert [(identity.display, identity.uri) for identity in identities] == [
        ("Nguyen, An", "sip:4021@pbx"),
        ("", "tel:+842838221234"),
        ("", "sip:x@y"),
    ]


def test_a_diversion_tells_who_was_called_first_and_why() -> None:
    (diversion,) = parse_name_addrs(['"Lan" <sip:4022@pbx>;reason=no-answer;privacy="off";counter=1'])
    assert (diversion.display, diversion.param("reason"), diversion.param("privacy")) == ("Lan", "no-answer", "off")


@pytest.mark.parametrize(
    ("text", "host", "port", "received"),
    [
        ("SIP/2.0/UDP [2001:db8::9:1];received=[2001:db8::9:255];branch=z9hG4bKa", "2001:db8::9:1", None, "2001:db8::9:255"),
        ("SIP/2.0/UDP [2001:db8::9:1]:5070;received=2001:db8::9:255;branch=z9hG4bKa", "2001:db8::9:1", 5070, "2001:db8::9:255"),
        ("SIP/2.0/UDP PBX.example:5060;branch=z9hG4bKa", "pbx.example", 5060, None),
        ("sip / 2.0 / udp pbx.example : 5060 ;branch=z9hG4bKa", "pbx.example", 5060, None),
    ],
)
def test_vias_of_both_families(text: str, host: str, port: int | None, received: str | None) -> None:
    via = parse_via(text)
    assert (via.transport, via.host, via.port, via.received, via.branch) == ("UDP", host, port, received, "z9hG4bKa")
    assert parse_via(str(via)) == via


def test_rport_is_asked_for_and_filled_in() -> None:
    asked = parse_via("SIP/2.0/UDP 10.0.0.7:5060;rport;branch=z9hG4bKa")
    assert asked.wants_rport
    assert asked.rport is None
    filled = asked.with_param("rport", "61234").with_param("received", "198.51.100.9")
    assert (filled.rport, filled.received) == (61234, "198.51.100.9")
    assert str(filled) == "SIP/2.0/UDP 10.0.0.7:5060;rport=61234;branch=z9hG4bKa;received=198.51.100.9"
    assert not parse_via("SIP/2.0/UDP 10.0.0.7").wants_rport


def test_a_via_carries_its_other_parameters() -> None:
    via = parse_via("SIP/2.0/TCP pbx;maddr=224.0.1.75;ttl=16;branch=")
    assert (via.param("maddr"), via.has_param("ttl"), via.has_param("alias"), via.branch) == ("224.0.1.75", True, False, None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SIP/2.0",
        "SIP/2.0/UDP",
        "SIP/2.0/UDP ;branch=x",
        "UDP pbx",
        "SIP/2.0/UDP pbx:0",
        "SIP/2.0/UDP a:b:c",
        "SIP/2.0/UDP a b",
    ],
)
def test_what_is_no_via_deserves_a_400(text: str) -> None:
    with pytest.raises(SipError) as caught:
        parse_via(text)
    assert caught.value.status == 400


@pytest.mark.parametrize(("text", "cseq"), [("1 INVITE", CSeq(1, "INVITE")), ("0004294967295\t ACK ", CSeq(2**32 - 1, "ACK"))])
def test_cseqs(text: str, cseq: CSeq) -> None:
    assert parse_cseq(text) == cseq
    assert parse_cseq(str(cseq)) == cseq


@pytest.mark.parametrize(
    "text", ["", "1", "INVITE", "-1 INVITE", "4294967296 INVITE", "1 IN VITE", "1 INV@ITE", "² INVITE", "9" * 5000 + " X"]
)
def test_what_is_no_cseq_deserves_a_400(text: str) -> None:
    with pytest.raises(SipError) as caught:
        parse_cseq(text)
    assert caught.value.status == 400


def test_a_rack_names_a_response_and_its_request() -> None:
    assert parse_rack("776656 1 INVITE") == RAck(776656, 1, "INVITE")
    assert str(RAck(2, 3, "INVITE")) == "2 3 INVITE"
    for text in ("", "1 INVITE", "x 1 INVITE", "1 1 1 INVITE", "1 1 @"):
        with pytest.raises(SipError):
            parse_rack(text)


def test_replaces_names_a_dialog_as_its_receiver_sees_it() -> None:
    replaces = parse_replaces("12345@192.0.2.31;from-tag=b;to-tag=a;early-only")
    assert replaces == Replaces("12345@192.0.2.31", "a", "b", early_only=True)
    assert parse_replaces(str(replaces)) == replaces
    assert not parse_replaces("1;to-tag=0;from-tag=0").early_only


@pytest.mark.parametrize("text", ["", "1", "1;to-tag=a", "1;from-tag=a", ";to-tag=a;from-tag=b", "a b;to-tag=a;from-tag=b"])
def test_what_is_no_replaces_deserves_a_400(text: str) -> None:
    with pytest.raises(SipError) as caught:
        parse_replaces(text)
    assert caught.value.status == 400


def test_a_session_interval_may_name_its_refresher() -> None:
    assert parse_session_expires("1800;refresher=UAS") == SessionExpires(1800, "uas")
    assert parse_session_expires(" 90 ; x=1") == SessionExpires(90)
    assert parse_session_expires("90;refresher=nobody") == SessionExpires(90)
    assert str(SessionExpires(1800, "uac")) == "1800;refresher=uac"
    assert str(SessionExpires(90)) == "90"
    with pytest.raises(SipError):
        parse_session_expires("soon")

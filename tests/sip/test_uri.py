"""SIP URIs: what phones write, IPv6, escapes, equality."""

from __future__ import annotations

import pytest

from parkade.sip.message.errors import SipError
from parkade.sip.message.uri import SipUri, parse_host_port, parse_uri, same_uri


def test_a_full_uri_is_taken_apart() -> None:
    uri = parse_uri("SIPS:an:secret@PBX.Example:5061;transport=tcp;lr?Subject=hi&Priority=urgent")
    assert uri == SipUri(
        "sips",
        "an",
        "pbx.example",
        5061,
        (("transport", "tcp"), ("lr", None)),
        (("Subject", "hi"), ("Priority", "urgent")),
        "secret",
    )
    assert str(uri) == "sips:an:secret@pbx.example:5061;transport=tcp;lr?Subject=hi&Priority=urgent"


def test_a_uri_without_user_is_a_host() -> None:
    uri = parse_uri("sip:192.0.2.1")
    assert (uri.user, uri.user_text, uri.host, uri.port) == (None, "", "192.0.2.1", None)


@pytest.mark.parametrize(
    ("text", "dialled"),
    [
        ("sip:*801@pbx", "*801"),
        ("sip:%2A801@pbx", "*801"),
        ("sip:%2a80%31@pbx", "*801"),
        ("sip:**801@pbx", "**801"),
        ("sip:#31%23@pbx", "#31#"),
        ("sip:park+805@pbx", "park+805"),
        ("sip:+84-28.1234@pbx;user=phone", "+84-28.1234"),
        ("sip:4021;phone-context=pbx@pbx", "4021;phone-context=pbx"),
        ("sip:100%@pbx", "100%"),
        ("sip:lễ-tân@pbx", "lễ-tân"),
        ("sip:l%E1%BB%85-t%C3%A2n@pbx", "lễ-tân"),
    ],
)
def test_the_user_part_reads_as_dialled_and_is_written_as_it_came(text: str, dialled: str) -> None:
    uri = parse_uri(text)
    assert uri.user_text == dialled
    assert str(uri) == text


def test_a_refer_to_with_replaces_gives_the_header_unescaped() -> None:
    uri = parse_uri("sip:4022@192.0.2.5?Replaces=12%40192.0.2.31%3Bto-tag%3Da1%3Bfrom-tag%3Db2&Require=replaces")
    assert uri.header("replaces") == "12@192.0.2.31;to-tag=a1;from-tag=b2"
    assert uri.header("Require") == "replaces"
    assert uri.header("Route") is None
    assert parse_uri(str(uri)) == uri


def test_a_replaces_whose_at_sign_was_left_unescaped_is_still_read() -> None:
    uri = parse_uri("sip:4022@192.0.2.5?Replaces=12@192.0.2.31%3Bto-tag%3Da1%3Bfrom-tag%3Db2")
    assert uri.host == "192.0.2.5"
    assert uri.header("Replaces") == "12@192.0.2.31;to-tag=a1;from-tag=b2"


def test_an_orbit_parameter_is_unescaped() -> None:
    uri = parse_uri("sip:callpark@pbx;orbit=%2A805;flag")
    assert uri.param("orbit") == "*805"
    assert uri.param("flag") == ""
    assert uri.param("absent") is None
    assert uri.has_param("flag")
    assert not uri.has_param("absent")


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("sip:[2001:db8::10]", "2001:db8::10", None),
        ("sip:[2001:DB8::10]:5070", "2001:db8::10", 5070),
        ("sip:[2001:db8::10:5070]", "2001:db8::10:5070", None),
        ("sip:an@[::ffff:192.0.2.31]:5060;lr", "::ffff:192.0.2.31", 5060),
        ("sip:[2001:db8:::192.0.2.1]", "2001:db8::192.0.2.1", None),
        ("sip:phone_7.local", "phone_7.local", None),
        ("sip:pbx.example.", "pbx.example.", None),
    ],
)
def test_hosts_as_rfc_5118_and_real_networks_have_them(text: str, host: str, port: int | None) -> None:
    uri = parse_uri(text)
    assert (uri.host, uri.port) == (host, port)
    assert parse_uri(str(uri)) == uri
    assert parse_host_port(uri.host_port) == (host, port)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sip",
        "sip:",
        "sip:@pbx",
        "sip:an@",
        "sip::secret@pbx",
        "sip:2001:db8::10",
        "sip:[2001:db8::10",
        "sip:[pbx]",
        "sip:[]",
        "sip:[::1]5060",
        "sip:pbx:",
        "sip:pbx:0",
        "sip:pbx:65536",
        "sip:pbx:5060x",
        "sip:pbx:²",
        "sip:-pbx",
        "sip:p bx",
        "sip:an@pbx\r\nVia: x",
        'sip:"an"@pbx',
        "sip:<an>@pbx",
        "sip:an@pbx;=x",
        "sip:an@pbx?=x",
        "sip:an@chào.example",
        "4021",
        "²:x",
    ],
)
def test_what_is_no_uri_deserves_a_400(text: str) -> None:
    with pytest.raises(SipError) as caught:
        parse_uri(text)
    assert caught.value.status == 400


@pytest.mark.parametrize("text", ["tel:+842838221234", "urn:service:sos", "http://pbx", "im:an@pbx", "sipx:an@pbx"])
def test_another_scheme_deserves_a_416(text: str) -> None:
    with pytest.raises(SipError) as caught:
        parse_uri(text)
    assert caught.value.status == 416


def test_a_copy_changes_only_what_it_is_told() -> None:
    uri = parse_uri("sip:an@pbx;lr?Subject=x")
    assert str(uri.with_(headers=(), params=(), port=5070)) == "sip:an@pbx:5070"
    assert str(uri.with_(params=(("orbit", "a;b=c"),), headers=())) == "sip:an@pbx;orbit=a%3Bb%3Dc"


SAME = [
    ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
    ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
    ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
    ("sip:b@x;lr;a=1", "sip:b@x;a=1;lr"),
    ("sip:b@x?subject=p%20m&priority=u", "sip:b@x?Priority=u&Subject=p%20m"),
]
DIFFERENT = [
    ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
    ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
    ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
    ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
    ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
    ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
    ("sip:carol@x;security=on", "sip:carol@x;security=off"),
    ("sip:carol@x", "sips:carol@x"),
    ("sip:carol@x", "sip:x"),
    ("sip:carol:a@x", "sip:carol:b@x"),
    ("sip:carol@x;user=phone", "sip:carol@x"),
]


@pytest.mark.parametrize(("a", "b"), SAME)
def test_equal_by_the_rules_of_section_19_1_4(a: str, b: str) -> None:
    assert same_uri(parse_uri(a), parse_uri(b))
    assert same_uri(parse_uri(b), parse_uri(a))


@pytest.mark.parametrize(("a", "b"), DIFFERENT)
def test_different_by_the_rules_of_section_19_1_4(a: str, b: str) -> None:
    assert not same_uri(parse_uri(a), parse_uri(b))
    assert not same_uri(parse_uri(b), parse_uri(a))

"""What a person dialled, whichever way the phone writes it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parkade.sip.message.headers import parse_name_addr
from parkade.sip.message.message import Headers, Request
from parkade.switch.address import dialled_of, target_of


@pytest.mark.parametrize(
    ("uri", "to", "dialled"),
    [
        ("sip:102@pbx.example", "<sip:102@pbx.example>", "102"),
        ("sip:*801@192.0.2.1:5060;user=phone", "<sip:*801@192.0.2.1>", "*801"),
        ("sip:%2A801@192.0.2.1", "<sip:%2A801@192.0.2.1>", "*801"),
        ("sip:**801@anything", "<sip:**801@anything>", "**801"),
        ("sip:+84-28-123@pbx.example;user=phone", "<sip:+84-28-123@pbx.example>", "+8428123"),
        ("sip:102;phone-context=acme@pbx.example", "<sip:102@pbx.example>", "102"),
        ("tel:+84-(28)-123;ext=4", "<tel:+84-28-123>", "+8428123"),
        ("sip:1-02@pbx.example;user=phone", "<sip:102@pbx.example>", "102"),
        ("sip:1-02@pbx.example", "<sip:102@pbx.example>", "102"),
        ("sip:(028)123.45-67@pbx.example", "<sip:x@pbx.example>", "0281234567"),
        ("sip:%2A8-01@pbx.example", "<sip:x@pbx.example>", "*801"),
        ("sip:front-desk@pbx.example", "<sip:x@pbx.example>", "front-desk"),
        ("sip:acme-101@pbx.example", "<sip:x@pbx.example>", "acme-101"),
        ("sip:-@pbx.example", "<sip:x@pbx.example>", "-"),
        ("sip:pickup@pbx.example", "<sip:pickup@pbx.example;orbit=805>", "*805"),
        ("sip:pickup@pbx.example", "<sip:pickup@pbx.example>;orbit=805", "*805"),
        ("sip:pickup@pbx.example;orbit=*805", "<sip:pickup@pbx.example>", "*805"),
        ("sip:park+801@pbx.example", "<sip:park+801@pbx.example>", "*801"),
        ("sip:pbx.example", "<sip:pbx.example>", ""),
        ("http://pbx.example/", "<sip:x@pbx.example>", ""),
    ],
)
def test_the_dialled_string_is_found(uri: str, to: str, dialled: str) -> None:
    assert dialled_of(Request("INVITE", uri, Headers([("To", to)]))) == dialled


@pytest.mark.parametrize(
    ("refer_to", "target"),
    [
        ("<sip:*800@pbx.example>", "*800"),
        ("sip:*805@pbx.example", "*805"),
        ("<sip:callpark@pbx.example;orbit=805>", "*805"),
        ("<sip:103@pbx.example?Replaces=a%3Bto-tag%3Db%3Bfrom-tag%3Dc>", "103"),
        ('"Carol" <sip:103@pbx.example;transport=udp>', "103"),
    ],
)
def test_a_refer_to_names_what_one_would_dial(refer_to: str, target: str) -> None:
    assert target_of(parse_name_addr(refer_to)) == target


@given(
    st.data(),
    st.from_regex(r"[+*]?[0-9]{1,12}", fullmatch=True),
    st.sampled_from(["tel:{}", "sip:{}@h", "sip:{}@h;user=phone"]),
)
def test_visual_separators_say_nothing_wherever_they_stand(data: st.DataObject, number: str, form: str) -> None:
    """:rfc:`3966` section 5.1.1, and what phones make of a number in their phone book."""
    spaced = "".join(digit + "".join(data.draw(st.lists(st.sampled_from("-.()"), max_size=2))) for digit in number)
    uri = form.format(spaced)
    assert dialled_of(Request("INVITE", uri, Headers([("To", "<sip:x@h>")]))) == number
    assert target_of(parse_name_addr(f"<{uri}>")) == number


@given(st.binary(min_size=1, max_size=12))
def test_what_is_dialled_is_text_that_can_be_written_whatever_the_octets(octets: bytes) -> None:
    user = "".join(f"%{octet:02X}" for octet in octets)
    for uri in (f"sip:{user}@h", f"tel:{user}", f"sip:pickup@h;orbit={user}"):
        dialled_of(Request("INVITE", uri, Headers([("To", "<sip:x@h>")]))).encode("utf-8")

"""Every kind of message of :rfc:`4475`: read, or rejected with the status the RFC has for it.

The messages of the RFC itself run too where they are at hand: a folder of ``*.dat`` files, named by the environment variable
``PARKADE_RFC4475`` or lying in ``../shared/data/rfc4475``.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from parkade.sip.message.errors import SipError
from parkade.sip.message.headers import CSeq, parse_name_addr
from parkade.sip.message.message import Request, Response, make_response, parse_message
from tests.sip.torture.torture_messages import CASES

ROOT = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("PARKADE_RFC4475") or ROOT.parent / "shared" / "data" / "rfc4475")
ORIGINALS = {path.stem: path.read_bytes() for path in sorted(FOLDER.glob("*.dat"))}


def judge(name: str, data: bytes) -> None:
    """Hold the parser to what is expected of the message called ``name``."""
    case = CASES[name]
    if case.rejected is None:
        message = parse_message(data)
        again = parse_message(message.encode())
        assert again.encode() == message.encode()
        assert again.body == message.body
        if isinstance(message, Request):
            answer = make_response(message, 200, to_tag="ours")
            assert parse_message(answer.encode()).encode() == answer.encode()
        return
    with pytest.raises(SipError) as caught:
        parse_message(data)
    assert caught.value.status == case.rejected
    assert (caught.value.request is not None) is case.answered
    if caught.value.request is not None:
        answer = make_response(caught.value.request, case.rejected, to_tag="ours")
        assert answer.encode().startswith(b"SIP/2.0 %d " % case.rejected)


def read(name: str) -> Request:
    """The message called ``name``, which is a request."""
    message = parse_message(CASES[name].data)
    assert isinstance(message, Request)
    return message


def test_all_49_are_here() -> None:
    assert len(CASES) == 49


@pytest.mark.parametrize(
    ("name", "data"),
    [
        *(pytest.param(name, case.data, id=name) for name, case in CASES.items()),
        *(pytest.param(name, data, id=f"{name}-of-the-rfc") for name, data in ORIGINALS.items()),
    ],
)
def test_the_message_is_judged_as_the_rfc_says(name: str, data: bytes) -> None:
    judge(name, data)


def test_white_space_everywhere_changes_nothing() -> None:
    request = read("wsinv")
    assert request.to.uri == "sip:lan@pbx.example"
    assert (request.to.tag, request.from_.tag) == ("77a31f", "5518c")
    assert request.from_.display == 'An "the \\ man" Nguyen'
    assert request.max_forwards == 70
    assert request.cseq == CSeq(12, "INVITE")
    assert [(via.transport, via.host, via.branch) for via in request.vias] == [
        ("UDP", "192.0.2.31", "0dd-old-branch"),
        ("TCP", "core.pbx.example", "z9hG4bKcore77"),
        ("UDP", "192.0.2.32", "z9hG4bK88231"),
    ]
    contact = request.contact
    assert contact is not None
    assert (contact.display, contact.param("first"), contact.param("q")) == ('A "quoted" display', "value", "0.5")
    assert request.headers.get("Never-Heard-Of") == "one part and the other part"
    assert request.headers.get("Subject") == ""


def test_tokens_may_hold_any_token_character() -> None:
    request = read("intmeth")
    assert request.method == request.cseq.method == "Shake.the-tree!%*_+`'~9"
    assert request.address.user == "who(is)&there=now+then$?,/;;*"
    assert request.address.password == "secret&k=1,v!*w$o~_(r'd)"
    assert request.to.display == "bell  nothing  rubout "
    assert request.from_.param("aparam''~+*_!.-%") == "trả lại"
    assert request.from_.tag == "_t~3'+`*%!-."


def test_escapes_are_read_in_uris_and_nowhere_else() -> None:
    request = read("esc01")
    assert request.address.user_text == "sip:lan@pbx.example"
    assert request.to.address.user_text == "lan"
    contact = request.contact
    assert contact is not None
    assert contact.address.params == (("lr", None), ("floor", "two%25"))
    other = read("esc02")
    assert other.method == "IN%56ITE"
    assert other.to.display == "%4C%61n"
    assert other.from_.tag == "l%61n"
    assert [contact.address.user for contact in other.contacts] == ["one", "three"]


def test_an_escaped_nul_does_not_cut_a_name_short() -> None:
    request = read("escnull")
    assert request.to.address.user_text == "before-\0-after"
    assert [contact.address.user_text for contact in request.contacts] == ["\0", "\0\0"]


def test_only_the_first_of_two_requests_in_a_datagram_counts() -> None:
    request = read("dblreq")
    assert request.method == "REGISTER"
    assert request.body == b""


def test_a_semicolon_may_belong_to_the_user_part() -> None:
    uri = read("semiuri").address
    assert uri.user_text == "lan;room=x@pbx.example"
    assert uri.params == ()


def test_a_reason_phrase_may_be_anything_or_nothing() -> None:
    strange, silent = (parse_message(CASES[name].data) for name in ("unreason", "noreason"))
    assert isinstance(strange, Response)
    assert isinstance(silent, Response)
    assert strange.reason == "= 2**3 * 5**2 hai trăm là tốt lắm"
    assert silent.reason == ""


def test_a_binary_body_comes_through_untouched() -> None:
    assert bytes(range(256)) in read("mpart01").body


def test_what_is_tolerated_is_read_as_it_was_meant() -> None:
    assert (read("badaspec").to.display, read("badaspec").to.uri) == ("Tran, Lan", "sip:lan@pbx.example")
    assert (read("baddn").from_.display, read("baddn").from_.tag) == ("Nguyen, An", "43")


def test_a_parameter_outside_the_brackets_belongs_to_the_contact() -> None:
    outside, inside = read("cparam01").contact, read("cparam02").contact
    assert outside is not None
    assert inside is not None
    assert (outside.has_param("strange"), outside.address.has_param("strange")) == (True, False)
    assert (inside.has_param("strange"), inside.address.has_param("strange")) == (False, True)


def test_headers_in_a_uri_need_brackets_around_it() -> None:
    contact = read("regescrt").contact
    assert contact is not None
    assert contact.address.header("route") == "<sip:pbx.example>"
    with pytest.raises(SipError) as caught:
        _ = read("regbadct").contact
    assert caught.value.status == 400


def test_an_unknown_scheme_is_text_until_somebody_needs_the_address() -> None:
    request = read("unksm2")
    assert request.to == parse_name_addr("isbn:9786041")
    for status, name_addr in ((416, request.to), (416, request.contact)):
        assert name_addr is not None
        with pytest.raises(SipError) as caught:
            _ = name_addr.address
        assert caught.value.status == status


def test_a_message_of_1999_has_neither_tag_nor_branch() -> None:
    request = read("inv2543")
    assert request.from_.tag is None
    assert request.top_via.branch is None
    assert request.max_forwards is None

"""What holds for every message, sensible or not: parsers raise SipError and nothing else, and writing undoes reading."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from parkade.sip.message.digest import Challenge, Credentials, parse_challenge, parse_credentials
from parkade.sip.message.errors import SipError
from parkade.sip.message.framing import StreamFramer
from parkade.sip.message.grammar import quote, split_list, unquote
from parkade.sip.message.headers import (
    NameAddr,
    parse_cseq,
    parse_name_addr,
    parse_name_addrs,
    parse_rack,
    parse_replaces,
    parse_session_expires,
    parse_via,
)
from parkade.sip.message.message import Message, Request, is_keepalive, make_response, parse_message
from parkade.sip.message.uri import SipUri, parse_uri, same_uri
from tests.sip.torture.torture_messages import CASES

SEEDS = [case.data for case in CASES.values() if case.name != "longreq"]
SNIPPETS = [
    b'"',
    b"<",
    b">",
    b";",
    b",",
    b"\r\n",
    b"\n",
    b"\r\n ",
    b"\r",
    b"%",
    b"@",
    b":",
    b"=",
    b"?",
    b"\\",
    b"\0",
    b"\xff",
    b" ",
    b"[",
    b"*",
]

raw_text = st.binary(max_size=60).map(lambda data: data.decode("utf-8", "surrogateescape"))
sip_like = st.lists(
    st.sampled_from(
        [
            *(s.decode("latin-1") for s in SNIPPETS[:19] if s.isascii()),
            "sip:",
            "a",
            "b.c",
            "tag",
            "5060",
            "é",
            "::1",
            "SIP/2.0/UDP",
        ]
    )
).map("".join)
text = st.one_of(raw_text, sip_like)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A real message with a few pieces cut out, doubled, or replaced by what parsers stumble over."""
    data = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(1, 5))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 30)))
        middle = draw(st.one_of(st.sampled_from(SNIPPETS), st.binary(max_size=4), st.just(data[start:end] * 2), st.just(b"")))
        data = data[:start] + middle + data[end:]
    return data


def look_at_everything(message: Message) -> None:
    """Ask for every typed value; those that every message has must not fail."""
    assert message.top_via.sent_by
    assert message.call_id
    assert message.cseq.method
    _ = message.from_.tag, message.to.tag, message.require, message.supported, message.allow, message.content_type
    for optional in ("vias", "contact", "contacts", "address", "max_forwards"):
        with suppress(SipError):
            getattr(message, optional, None)


def read_or_answer(data: bytes) -> Message | None:
    """The message in ``data``, or None after making the answer that a broken one deserves."""
    try:
        return parse_message(data)
    except SipError as caught:
        error = caught
    assert 400 <= error.status < 600
    if error.request is not None:
        answer = make_response(error.request, error.status, to_tag="ours").encode()
        assert answer.count(b"\r\n\r\n") == 1
        assert error.request.encode()
    return None


def must_settle(data: bytes) -> None:
    """Reading either fails in the one documented way or gives a message that writes and reads as itself."""
    is_keepalive(data)
    message = read_or_answer(data)
    if message is None:
        return
    look_at_everything(message)
    written = message.encode()
    again = parse_message(written)
    assert again.encode() == written
    assert again.body == message.body
    assert next(StreamFramer().feed(written + b"\r\n\r\n")) == written
    if isinstance(message, Request):
        answer = parse_message(make_response(message, 200, to_tag="ours").encode())
        assert (answer.call_id, answer.cseq, answer.from_) == (message.call_id, message.cseq, message.from_)
        assert answer.headers.all("Via") == message.headers.all("Via")
        assert answer.to.tag == (message.to.tag or "ours")


@given(st.binary(max_size=400))
def test_any_bytes_settle(data: bytes) -> None:
    must_settle(data)


@given(mutated())
@example(b"OPTIONS sip:a SIP/2.0\r\nVia:SIP/2.0/UDP a\r\nFrom:<sip:a>\r\nTo:<sip:a\rb>\r\nCall-ID:1\r\nCSeq:1 OPTIONS\r\n\r\n")
def test_mutated_messages_settle(data: bytes) -> None:
    must_settle(data)


PARSERS: list[Callable[[str], object]] = [
    parse_name_addr,
    parse_via,
    parse_cseq,
    parse_rack,
    parse_replaces,
    parse_session_expires,
    parse_uri,
]


@pytest.mark.parametrize("parse", PARSERS)
@given(value=text)
def test_a_typed_value_that_can_be_read_is_read_again_as_itself(parse: Callable[[str], object], value: str) -> None:
    try:
        read = parse(value)
    except SipError:
        return
    assert parse(str(read)) == read


@given(text)
def test_digest_headers_fail_in_one_way_only(value: str) -> None:
    for parse in (parse_challenge, parse_credentials):
        with suppress(SipError):
            parse(f"Digest {value}")


readable = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=20)


@given(
    st.builds(
        Challenge, readable, readable, st.just("MD5"), st.sampled_from([(), ("auth",)]), st.booleans(), st.none() | readable
    )
)
def test_challenges_are_read_as_written(challenge: Challenge) -> None:
    assert parse_challenge(str(challenge)) == challenge


@given(st.builds(Credentials, readable, readable, readable, readable, st.from_regex(r"[0-9a-f]{32}", fullmatch=True)))
def test_credentials_are_read_as_written(credentials: Credentials) -> None:
    assert parse_credentials(str(credentials)) == credentials


param_text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)
uris = st.builds(
    SipUri,
    st.sampled_from(["sip", "sips"]),
    st.none() | st.from_regex(r"[A-Za-z0-9*+#%;?/&=$,.!~'()_-]{1,12}", fullmatch=True),
    st.sampled_from(["pbx.example", "192.0.2.1", "2001:db8::1"]),
    st.none() | st.integers(1, 65535),
    st.lists(st.tuples(param_text, st.none() | param_text), max_size=3).map(tuple),
    st.lists(st.tuples(param_text, st.text(max_size=8)), max_size=3).map(tuple),
)


@given(uris)
def test_a_uri_is_read_as_written(uri: SipUri) -> None:
    assert parse_uri(str(uri)) == uri
    assert same_uri(parse_uri(str(uri)), uri)


@given(readable, uris, st.none() | readable)
def test_an_address_is_read_as_written(display: str, uri: SipUri, value: str | None) -> None:
    address = NameAddr(display, str(uri)).with_param("x-param", value)
    read = parse_name_addr(str(address))
    assert (read.display, read.address) == (display, uri)
    assert read.param("x-param") == (value or "")


@given(st.lists(readable.map(quote).map(lambda display: f"{display} <sip:a@b,c>;x=1")))
def test_a_list_comes_apart_where_it_was_put_together(values: list[str]) -> None:
    assert split_list(",".join(values)) == values
    assert len(parse_name_addrs([", ".join(values)])) == len(values)


@given(st.text())
def test_quoting_and_unquoting_are_inverse(value: str) -> None:
    assert unquote(quote(value)) == value


@pytest.mark.parametrize("hurt", ['"', '\\"', "<", '"\\', ",", ";", "%", " ", "\t,", "\n ", ";a=", '<"', "[", "@", "/"])
@pytest.mark.parametrize("parse", [*PARSERS, split_list])
def test_text_made_to_hurt_costs_no_more_than_its_length(parse: Callable[[str], object], hurt: str) -> None:
    for start in ("", "SIP/2.0/UDP a;b=", "sip:a@b;c=", "1 ", '"', "<sip:a@b>;c="):
        with suppress(SipError):
            parse(start + hurt * (60_000 // len(hurt)))

"""Streams cut into messages, however the bytes arrive."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parkade.sip.message.errors import SipError
from parkade.sip.message.framing import Keepalive, StreamFramer
from parkade.sip.message.message import Request, parse_message

OPTIONS = (
    b"OPTIONS sip:pbx.example SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.7;branch=z9hG4bKa\r\nFrom: <sip:1@a>;tag=1\r\n"
    b"To: <sip:2@b>\r\nCall-ID: 1@a\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
)
COMPACT = OPTIONS.replace(b"Content-Length: 0", b"l   :\r\n 5") + b"hello"
BARE_LF = OPTIONS.replace(b"\r\n", b"\n").replace(b"Length: 0", b"Length: 3") + b"a\n\n"
PING = Keepalive(answer_wanted=True)
PONG = Keepalive(answer_wanted=False)


def test_messages_and_keepalives_come_out_in_order() -> None:
    stream = OPTIONS + COMPACT + b"\r\n\r\n" + BARE_LF + b"\r\n" + OPTIONS
    assert list(StreamFramer().feed(stream)) == [OPTIONS, COMPACT, PING, BARE_LF, PONG, OPTIONS]


@given(st.lists(st.sampled_from([OPTIONS, COMPACT, BARE_LF, b"\r\n\r\n", b"\r\n"]), max_size=6), st.data())
def test_where_the_stream_is_torn_makes_no_difference(parts: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(parts) + OPTIONS
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    framer = StreamFramer()
    torn = [item for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True) for item in framer.feed(stream[a:b])]
    assert torn == list(StreamFramer().feed(stream))
    assert [item for item in torn if isinstance(item, bytes)] == [part for part in [*parts, OPTIONS] if len(part) > 4]


def test_byte_by_byte_is_no_different() -> None:
    framer = StreamFramer()
    assert [item for byte in COMPACT + OPTIONS for item in framer.feed(bytes([byte]))] == [COMPACT, OPTIONS]


def test_one_line_end_waits_to_see_whether_it_is_a_ping() -> None:
    framer = StreamFramer()
    assert list(framer.feed(b"\r\n")) == []
    assert list(framer.feed(b"\r\n")) == [PING]


def test_a_message_without_content_length_loses_the_framing_after_those_before_it() -> None:
    items: list[bytes | Keepalive] = []
    with pytest.raises(SipError, match="Content-Length"):
        items.extend(StreamFramer().feed(OPTIONS.replace(b"Content-Length: 0\r\n", b"")))
    assert items == []
    framer = StreamFramer()
    feed = framer.feed(OPTIONS + OPTIONS.replace(b"Content-Length: 0\r\n", b""))
    assert next(feed) == OPTIONS
    with pytest.raises(SipError, match="Content-Length"):
        next(feed)


@pytest.mark.parametrize("length", [b"-1", b"many", b"", b"99999999999", b"1\r\nl: 2"])
def test_a_message_whose_content_length_cannot_be_read_is_answered_before_the_framing_is_lost(length: bytes) -> None:
    feed = StreamFramer().feed(OPTIONS.replace(b"Length: 0", b"Length: " + length))
    head = next(feed)
    assert isinstance(head, bytes)
    with pytest.raises(SipError) as caught:
        parse_message(head)
    assert caught.value.status == 400
    assert isinstance(caught.value.request, Request)
    with pytest.raises(SipError):
        next(feed)


def test_the_same_content_length_twice_does_no_harm() -> None:
    twice = OPTIONS.replace(b"Content-Length: 0", b"Content-Length: 0\r\nl: 0")
    assert list(StreamFramer().feed(twice)) == [twice]


def test_headers_without_end_are_cut_off() -> None:
    framer = StreamFramer(max_bytes=1000)
    for _ in range(100):
        assert list(framer.feed(b"X: flood\r\n")) == []
    with pytest.raises(SipError, match="without end"):
        list(framer.feed(b"X: flood\r\n"))


def test_a_body_beyond_the_limit_is_refused_before_it_arrives() -> None:
    with pytest.raises(SipError) as caught:
        list(StreamFramer(max_bytes=1000).feed(OPTIONS.replace(b"Length: 0", b"Length: 1000")))
    assert caught.value.status == 413


def test_a_message_of_exactly_the_limit_passes() -> None:
    limit = len(OPTIONS)
    assert list(StreamFramer(max_bytes=limit).feed(OPTIONS)) == [OPTIONS]


def test_a_flood_of_line_ends_costs_no_memory() -> None:
    framer = StreamFramer()
    assert set(framer.feed(b"\r\n" * 10_000)) == {PING}
    assert list(StreamFramer().feed(b"\n" * 10_000)) == []


@pytest.mark.parametrize(
    "rubbish", [b"\r\n\0", b"\0", b"\0\0\0\0", b"\r\n\r\n\0", b" \t\r\n", b"\xff\xfe", b"jaK\0", b"jaK\r\n", b"\0jaK\0\r\n\0"]
)
def test_whatever_keeps_a_connection_alive_harms_no_message(rubbish: bytes) -> None:
    stream = rubbish + OPTIONS + rubbish + COMPACT + rubbish + OPTIONS
    whole = [item for item in StreamFramer().feed(stream) if isinstance(item, bytes)]
    assert whole == [OPTIONS, COMPACT, OPTIONS]
    framer = StreamFramer()
    torn = [item for at in range(len(stream)) for item in framer.feed(stream[at : at + 1]) if isinstance(item, bytes)]
    assert [parse_message(item).call_id for item in torn] == ["1@a"] * 3


@given(st.binary(max_size=12).filter(lambda text: not any(chr(byte).isalnum() or byte in b"-.!%*_+`'~" for byte in text)))
def test_no_bytes_that_begin_no_message_are_taken_into_one(rubbish: bytes) -> None:
    items = [item for item in StreamFramer().feed(OPTIONS + rubbish + OPTIONS) if isinstance(item, bytes)]
    assert items == [OPTIONS, OPTIONS]

"""Reading what phones send, writing what phones can read (RFC 8866)."""

import contextlib
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from parkade.rtp.sdp import MAX_BYTES, Direction, SdpError, SessionDescription, parse_sdp

PHONE = b"""v=0\r
o=- 1234567890 3 IN IP4 192.0.2.10\r
s=A phone\r
c=IN IP4 192.0.2.10\r
t=0 0\r
a=sendrecv\r
m=audio 11780 RTP/AVP 9 0 8 96\r
a=rtpmap:9 G722/8000\r
a=rtpmap:0 PCMU/8000\r
a=rtpmap:8 PCMA/8000\r
a=rtpmap:96 telephone-event/8000\r
a=fmtp:96 0-15\r
a=ptime:20\r
"""


def test_an_ordinary_description_is_read_whole() -> None:
    description = parse_sdp(PHONE)
    assert (description.origin.session_id, description.origin.version) == (1234567890, 3)
    assert (description.name, description.connection, description.timing) == ("A phone", "192.0.2.10", "0 0")
    (audio,) = description.media
    assert (audio.kind, audio.port, audio.protocol, audio.formats) == ("audio", 11780, "RTP/AVP", ("9", "0", "8", "96"))
    assert audio.rtpmap() == {9: ("G722", 8000), 0: ("PCMU", 8000), 8: ("PCMA", 8000), 96: ("TELEPHONE-EVENT", 8000)}
    assert audio.value("fmtp") == "96 0-15"
    assert description.encode() == PHONE


def test_bare_line_feeds_blanks_and_missing_lines_do_no_harm() -> None:
    description = parse_sdp(b"\nv=0\n\nc= IN  IP4  192.0.2.1 \nm=audio  4000   RTP/AVP  0\na= ptime : 20 ")
    assert description.media[0].port == 4000
    assert description.media[0].value("ptime") == "20"
    assert description.address_of(description.media[0]) == "192.0.2.1"
    assert description.timing == "0 0"


def test_unknown_and_malformed_lines_are_passed_over() -> None:
    description = parse_sdp(
        b"v=0\r\nnonsense\r\nx=1\r\nb=AS:64\r\no=short\r\nc=IN IP4\r\na=\r\nm=audio 1 RTP/AVP 0\r\nk=clear:x\r\n"
    )
    assert description.connection is None
    assert description.media[0].attributes == ()


def test_an_address_under_a_stream_overrides_that_of_the_session() -> None:
    description = parse_sdp(
        b"v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 1000 RTP/AVP 0\r\nc=IN IP4 192.0.2.2/127\r\nm=video 1002 RTP/AVP 96\r\n"
    )
    assert [description.address_of(media) for media in description.media] == ["192.0.2.2", "192.0.2.1"]


def test_ipv6_is_read_and_written() -> None:
    description = parse_sdp(
        b"v=0\r\no=- 1 1 IN IP6 2001:db8::1\r\ns=-\r\nc=IN IP6 2001:db8::1\r\nt=0 0\r\nm=audio 1 RTP/AVP 0\r\n"
    )
    assert description.connection == "2001:db8::1"
    assert b"c=IN IP6 2001:db8::1\r\n" in description.encode()
    assert b"o=- 1 1 IN IP6 2001:db8::1\r\n" in description.encode()


@pytest.mark.parametrize(
    ("lines", "direction"),
    [
        (b"m=audio 1 RTP/AVP 0\r\n", Direction.SENDRECV),
        (b"a=sendonly\r\nm=audio 1 RTP/AVP 0\r\n", Direction.SENDONLY),
        (b"a=sendonly\r\nm=audio 1 RTP/AVP 0\r\na=inactive\r\n", Direction.INACTIVE),
        (b"m=audio 1 RTP/AVP 0\r\na=RecvOnly\r\n", Direction.RECVONLY),
    ],
)
def test_the_direction_is_the_streams_own_or_the_sessions_or_both_ways(lines: bytes, direction: Direction) -> None:
    description = parse_sdp(b"v=0\r\n" + lines)
    assert description.direction_of(description.media[0]) is direction


def test_static_types_need_no_map_and_names_have_no_case() -> None:
    audio = parse_sdp(b"v=0\r\nm=audio 1 RTP/AVP 0 8 97\r\na=rtpmap:97 Telephone-Event/8000/1\r\n").media[0]
    assert audio.rtpmap() == {0: ("PCMU", 8000), 8: ("PCMA", 8000), 97: ("TELEPHONE-EVENT", 8000)}


def test_maps_that_make_no_sense_are_not_there() -> None:
    audio = parse_sdp(
        b"v=0\r\nm=audio 1 RTP/AVP abc 300 98\r\na=rtpmap:abc PCMU/8000\r\na=rtpmap:300 PCMU/8000\r\na=rtpmap:98 PCMU/fast\r\n"
    ).media[0]
    assert audio.rtpmap() == {}


def test_a_rejected_stream_without_formats_is_read() -> None:
    assert parse_sdp(b"v=0\r\nm=video 0 RTP/AVP\r\n").media[0].formats == ()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"v=1\r\n",
        b"s=-\r\nv=0\r\n",
        b"v=0\r\nm=audio\r\n",
        b"v=0\r\nm=audio x RTP/AVP 0\r\n",
        b"v=0\r\nm=audio 65536 RTP/AVP 0",
    ],
)
def test_what_is_no_description_is_an_error(body: bytes) -> None:
    with pytest.raises(SdpError):
        parse_sdp(body)


def test_more_than_64_kib_are_not_read() -> None:
    assert parse_sdp(b"v=0\n" + b"x" * (MAX_BYTES - 4)).media == ()
    with pytest.raises(SdpError, match="at most 65536"):
        parse_sdp(b"v=0\n" + b"x" * (MAX_BYTES - 3))


@pytest.mark.parametrize("fill", [b"\n", b"\r", b"\n ", b" ", b"\nm=", b"\na="])
def test_no_body_takes_long_to_read(fill: bytes) -> None:
    body = b"v=0" + fill * (60_000 // len(fill)) + b"x"
    began = time.process_time()
    with contextlib.suppress(SdpError):
        parse_sdp(body)
    assert time.process_time() - began < 1


LINES = st.lists(
    st.one_of(
        st.sampled_from([line + b"\r\n" for line in PHONE.split(b"\r\n")]),
        st.tuples(st.sampled_from([b"a=", b"m=audio ", b"c=IN IP4 ", b"o=- ", b"s=", b"t=", b"x"]), st.binary(max_size=30)).map(
            b"".join
        ),
    ),
    max_size=12,
).map(b"\n".join)


@given(st.one_of(st.binary(max_size=200), LINES.map(b"v=0\n".__add__)))
@example(b"v=0\ra=\xc3\xa9:\xa0 \xa9\nm=\xe2 1 \x85")
def test_any_bytes_give_a_description_or_the_one_error_and_printing_is_a_fixed_point(body: bytes) -> None:
    try:
        description = parse_sdp(body)
    except SdpError:
        return
    assert isinstance(description, SessionDescription)
    assert parse_sdp(description.encode()) == description
    for media in description.media:
        assert all(0 <= number < 128 for number in media.rtpmap())

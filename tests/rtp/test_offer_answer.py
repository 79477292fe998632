"""Offers and answers (RFC 3264) of one leg."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parkade.rtp.codecs import Codec
from parkade.rtp.offer_answer import Agreed, AudioNegotiator, NotAcceptable
from parkade.rtp.sdp import Direction, Media, SdpError, parse_sdp


def ours(port: int = 4000) -> AudioNegotiator:
    return AudioNegotiator("192.0.2.1", port, 77, 1)


def description(*media: str, session: str = "c=IN IP4 198.51.100.7") -> bytes:
    return "\r\n".join(["v=0", "o=- 5 5 IN IP4 198.51.100.7", "s=-", session, "t=0 0", *media, ""]).encode()


def audio(answer: bytes) -> Media:
    return next(m for m in parse_sdp(answer).media if m.kind == "audio")


def agreed_on(negotiator: AudioNegotiator) -> Agreed:
    assert negotiator.agreed is not None
    return negotiator.agreed


def directions(answer: bytes) -> Direction:
    said = parse_sdp(answer)
    return said.direction_of(said.media[0])


# Offers


def test_an_offer_names_both_codecs_key_events_and_packet_time() -> None:
    assert ours().offer() == (
        b"v=0\r\no=- 77 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8 101\r\n"
        b"a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n"
        b"a=ptime:20\r\na=sendrecv\r\n"
    )


def test_the_preferred_codec_is_offered_first() -> None:
    assert audio(ours().offer(prefer=Codec.PCMA)).formats == ("8", "0", "101")


def test_the_version_grows_by_one_only_when_the_words_change() -> None:
    leg = ours()
    assert leg.offer() == leg.offer()
    assert parse_sdp(leg.offer(Direction.SENDONLY)).origin.version == 2
    assert parse_sdp(leg.offer(Direction.SENDONLY)).origin.version == 2
    assert parse_sdp(leg.offer()).origin.version == 3


def test_an_offer_from_an_ipv6_host_says_so() -> None:
    assert b"c=IN IP6 2001:db8::5\r\n" in AudioNegotiator("2001:db8::5", 4000, 1, 1).offer()


def test_an_answer_settles_address_codec_and_numbers() -> None:
    leg = ours()
    leg.offer()
    leg.receive_answer(description("m=audio 6000 RTP/AVP 8 101", "a=rtpmap:101 telephone-event/8000", "a=ptime:30"))
    assert leg.agreed == Agreed(
        address="198.51.100.7",
        port=6000,
        rtcp_port=6001,
        codec=Codec.PCMA,
        payload_type=8,
        dtmf_payload_type=101,
        ptime_ms=30,
        sends=True,
        receives=True,
        remote_on_hold=False,
    )


def test_an_answer_may_come_again_and_a_later_one_counts() -> None:
    leg = ours()
    leg.offer()
    leg.receive_answer(description("m=audio 6000 RTP/AVP 0"))
    leg.receive_answer(description("m=audio 6002 RTP/AVP 0"))
    assert agreed_on(leg).port == 6002


def test_an_answer_that_declines_everything_is_not_acceptable_and_changes_nothing() -> None:
    leg = ours()
    leg.offer()
    for media in ("m=audio 0 RTP/AVP 0", "m=audio 6000 RTP/AVP 18", "m=video 6000 RTP/AVP 0"):
        with pytest.raises(NotAcceptable):
            leg.receive_answer(description(media))
    assert leg.agreed is None


def test_an_answer_to_nothing_is_an_error() -> None:
    with pytest.raises(SdpError, match="without an offer"):
        ours().receive_answer(description("m=audio 6000 RTP/AVP 0"))


def test_a_later_offer_keeps_the_lines_and_numbers_of_the_session() -> None:
    leg = ours()
    leg.answer(
        description(
            "m=video 7000 RTP/AVP 100",
            "m=audio 6000 RTP/AVPF 0 97",
            "a=rtpmap:97 telephone-event/8000",
        )
    )
    again = parse_sdp(leg.offer())
    assert [(m.kind, m.port) for m in again.media] == [("video", 0), ("audio", 4000)]
    assert again.media[1].formats == ("0", "8", "97")
    assert again.media[1].protocol == "RTP/AVPF"


# Answers


def test_an_answer_has_the_codec_that_is_preferred_else_the_offers_first() -> None:
    offer = description("m=audio 6000 RTP/AVP 18 8 0")
    assert audio(ours().answer(offer)).formats == ("8",)
    assert audio(ours().answer(offer, prefer=Codec.PCMU)).formats == ("0",)
    assert audio(ours().answer(description("m=audio 6000 RTP/AVP 8"), prefer=Codec.PCMU)).formats == ("8",)


def test_the_codec_in_use_stays_when_the_offer_allows() -> None:
    leg = ours()
    leg.answer(description("m=audio 6000 RTP/AVP 8"))
    leg.answer(description("m=audio 6000 RTP/AVP 0 8"))
    assert agreed_on(leg).codec is Codec.PCMA


def test_payload_numbers_are_those_of_the_offer() -> None:
    leg = ours()
    answer = leg.answer(
        description("m=audio 6000 RTP/AVP 112 113", "a=rtpmap:112 pcma/8000", "a=rtpmap:113 telephone-event/8000")
    )
    assert audio(answer).formats == ("112", "113")
    agreed = agreed_on(leg)
    assert (agreed.codec, agreed.payload_type, agreed.dtmf_payload_type) == (Codec.PCMA, 112, 113)


def test_g711_at_another_rate_is_another_codec() -> None:
    with pytest.raises(NotAcceptable, match="codec"):
        ours().answer(description("m=audio 6000 RTP/AVP 96", "a=rtpmap:96 PCMU/16000"))


def test_key_events_are_answered_only_if_offered_at_our_clock() -> None:
    leg = ours()
    answer = leg.answer(description("m=audio 6000 RTP/AVP 0 101", "a=rtpmap:101 telephone-event/48000"))
    assert audio(answer).formats == ("0",)
    assert agreed_on(leg).dtmf_payload_type is None


def test_other_streams_are_declined_in_their_place_and_one_audio_is_used() -> None:
    answer = parse_sdp(
        ours().answer(
            description(
                "m=video 7000 RTP/AVP 96",
                "m=audio 5998 RTP/SAVP 0",
                "m=audio 6000 RTP/AVP 0",
                "m=audio 6002 RTP/AVP 0",
                "m=application 9 UDP/BFCP",
            )
        )
    )
    assert [(m.kind, m.port) for m in answer.media] == [
        ("video", 0),
        ("audio", 0),
        ("audio", 4000),
        ("audio", 0),
        ("application", 0),
    ]
    assert [m.protocol for m in answer.media] == ["RTP/AVP", "RTP/SAVP", "RTP/AVP", "RTP/AVP", "UDP/BFCP"]
    assert all(m.formats for m in answer.media)


def test_the_times_of_the_offer_are_the_times_of_the_answer() -> None:
    offer = description("m=audio 6000 RTP/AVP 0").replace(b"t=0 0", b"t=2873397496 2873404696")
    assert parse_sdp(ours().answer(offer)).timing == "2873397496 2873404696"


@pytest.mark.parametrize(
    ("offered", "answered", "sends", "receives", "on_hold"),
    [
        ("sendrecv", Direction.SENDRECV, True, True, False),
        ("sendonly", Direction.RECVONLY, False, True, True),
        ("recvonly", Direction.SENDONLY, True, False, False),
        ("inactive", Direction.INACTIVE, False, False, True),
    ],
)
def test_directions_are_mirrored(offered: str, answered: Direction, sends: bool, receives: bool, on_hold: bool) -> None:
    for offer in (
        description("m=audio 6000 RTP/AVP 0", f"a={offered}"),
        description(f"a={offered}", "m=audio 6000 RTP/AVP 0"),
    ):
        leg = ours()
        assert directions(leg.answer(offer)) is answered
        agreed = agreed_on(leg)
        assert (agreed.sends, agreed.receives, agreed.remote_on_hold) == (sends, receives, on_hold)


@pytest.mark.parametrize("zero", ["c=IN IP4 0.0.0.0", "c=IN IP6 ::"])
def test_an_address_of_zeros_is_a_hold_at_either_level(zero: str) -> None:
    for offer in (
        description("m=audio 6000 RTP/AVP 0", session=zero),
        description("m=audio 6000 RTP/AVP 0", zero),
    ):
        leg = ours()
        assert directions(leg.answer(offer)) is Direction.RECVONLY
        assert agreed_on(leg).remote_on_hold
        assert not agreed_on(leg).sends


def test_hold_and_resume_come_back_to_where_they_began() -> None:
    leg = ours()
    leg.answer(description("m=audio 6000 RTP/AVP 0"))
    before = leg.agreed
    leg.answer(description("m=audio 6000 RTP/AVP 0", "a=sendonly"))
    assert agreed_on(leg).remote_on_hold
    leg.answer(description("m=audio 6000 RTP/AVP 0"))
    assert leg.agreed == before


def test_our_own_limits_narrow_the_answer() -> None:
    leg = ours()
    answer = leg.answer(description("m=audio 6000 RTP/AVP 0"), direction=Direction.SENDONLY)
    assert directions(answer) is Direction.SENDONLY
    assert (agreed_on(leg).sends, agreed_on(leg).receives) == (True, False)


def test_switching_all_audio_off_within_a_call_is_a_hold_answered_with_port_zero() -> None:
    leg = ours()
    leg.answer(description("m=audio 6000 RTP/AVP 0"))
    answer = leg.answer(description("m=audio 0 RTP/AVP 0"))
    assert audio(answer).port == 0
    agreed = agreed_on(leg)
    assert (agreed.remote_on_hold, agreed.sends, agreed.receives) == (True, False, False)
    assert audio(leg.offer()).port == 4000


@pytest.mark.parametrize(
    "line", ["m=image 5000 udptl t38", "m=video 5000 RTP/AVP 96", "m=audio 5000 RTP/SAVP 0", "m=audio 5000 RTP/AVP 18"]
)
@pytest.mark.parametrize("order", [1, -1])
def test_audio_switched_off_for_something_else_is_not_acceptable_at_any_time(line: str, order: int) -> None:
    leg = ours()
    offer = description(*["m=audio 0 RTP/AVP 0", line][::order])
    with pytest.raises(NotAcceptable):
        leg.answer(offer)
    leg.answer(description("m=audio 5000 RTP/AVP 0"))
    before = agreed_on(leg)
    with pytest.raises(NotAcceptable):
        leg.answer(offer)
    with pytest.raises(NotAcceptable):
        leg.answer(description(line))
    assert leg.agreed == before


@pytest.mark.parametrize(("answered", "sent", "also"), [(101, 101, None), (96, 96, 101), (None, None, None)])
def test_key_events_may_come_under_the_number_that_we_offered(answered: int | None, sent: int | None, also: int | None) -> None:
    leg = ours()
    leg.offer()
    events = [] if answered is None else [f"a=rtpmap:{answered} telephone-event/8000"]
    formats = "0" if answered is None else f"0 {answered}"
    leg.receive_answer(description(f"m=audio 5000 RTP/AVP {formats}", *events))
    assert (agreed_on(leg).dtmf_payload_type, agreed_on(leg).dtmf_also) == (sent, also)
    leg.answer(description(f"m=audio 5000 RTP/AVP {formats}", *events, "a=sendonly"))
    assert (agreed_on(leg).dtmf_payload_type, agreed_on(leg).dtmf_also) == (sent, also)


def test_a_call_cannot_begin_with_its_audio_off() -> None:
    with pytest.raises(NotAcceptable):
        ours().answer(description("m=audio 0 RTP/AVP 0"))


@pytest.mark.parametrize(
    "media",
    ["m=audio 6000 RTP/AVP 18 9", "m=video 6000 RTP/AVP 0", "m=audio 6000 RTP/SAVP 0", "m=audio 6000 UDP/TLS/RTP/SAVPF 0"],
)
def test_nothing_in_common_is_not_acceptable_and_what_was_agreed_still_holds(media: str) -> None:
    leg = ours()
    leg.answer(description("m=audio 6000 RTP/AVP 0"))
    before = leg.agreed
    with pytest.raises(NotAcceptable):
        leg.answer(description(media))
    assert leg.agreed == before


@pytest.mark.parametrize(
    "address", ["IN IP4 phone.example.com", "IN IP4 224.2.1.1", "IN IP6 2001:db8::1", "IN IP4 999.1.1.1", ""]
)
def test_an_address_that_cannot_be_sent_to_is_not_acceptable(address: str) -> None:
    with pytest.raises(NotAcceptable, match="address"):
        ours().answer(description("m=audio 6000 RTP/AVP 0", session=f"c={address}"))


def test_the_reports_go_where_the_offer_wants_them() -> None:
    leg = ours()
    assert b"rtcp-mux" not in leg.answer(description("m=audio 6000 RTP/AVP 0", "a=rtcp:7777 IN IP4 198.51.100.7"))
    assert agreed_on(leg).rtcp_port == 7777
    assert b"a=rtcp-mux\r\n" in leg.answer(description("m=audio 6000 RTP/AVP 0", "a=rtcp-mux"))
    assert agreed_on(leg).rtcp_port == 6000


def test_groups_mids_and_keys_beside_plain_rtp_are_tolerated() -> None:
    answer = ours().answer(
        description(
            "a=group:BUNDLE 0",
            "m=audio 6000 RTP/AVP 0",
            "a=mid:0",
            "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x",
            "a=candidate:1",
        )
    )
    assert audio(answer).port == 4000
    assert b"mid" not in answer
    assert b"crypto" not in answer


@pytest.mark.parametrize(
    ("lines", "ptime_ms"),
    [
        ((), 20),
        (("a=ptime:30",), 30),
        (("a=ptime:20.0",), 20),
        (("a=ptime:25",), 20),
        (("a=ptime:60", "a=maxptime:40"), 40),
        (("a=ptime:x",), 20),
    ],
)
def test_the_packet_time_is_the_far_sides_if_it_is_usual(lines: tuple[str, ...], ptime_ms: int) -> None:
    leg = ours()
    leg.answer(description("m=audio 6000 RTP/AVP 0", *lines))
    assert agreed_on(leg).ptime_ms == ptime_ms


def test_the_address_agreed_is_in_canonical_form() -> None:
    leg = AudioNegotiator("2001:db8::5", 4000, 1, 1)
    leg.answer(description("m=audio 6000 RTP/AVP 0", session="c=IN IP6 2001:DB8:0::1"))
    assert agreed_on(leg).address == "2001:db8::1"


# Both sides


@given(
    offerer=st.sampled_from(Direction),
    answerer=st.sampled_from(Direction),
    offers=st.sampled_from([None, *Codec]),
    answers=st.sampled_from([None, *Codec]),
    turns=st.lists(st.booleans(), max_size=5),
)
def test_two_negotiators_agree_about_each_other(
    offerer: Direction, answerer: Direction, offers: Codec | None, answers: Codec | None, turns: list[bool]
) -> None:
    a, b = AudioNegotiator("192.0.2.1", 4000, 1, 1), AudioNegotiator("192.0.2.2", 5000, 2, 1)
    for swap in (False, *turns):
        if swap:
            a, b = b, a
        offer = a.offer(offerer, offers)
        a.receive_answer(b.answer(offer, answers, answerer))
        near, far = agreed_on(a), agreed_on(b)
        assert (near.codec, near.payload_type, near.dtmf_payload_type) == (far.codec, far.payload_type, far.dtmf_payload_type)
        assert (near.sends, near.receives) == (far.receives, far.sends)
        assert near.sends == (offerer.sends and answerer.receives)
        assert near.receives == (offerer.receives and answerer.sends)
        assert far.remote_on_hold == (not offerer.receives)
        assert a.offer(offerer, offers) == a.offer(offerer, offers)


@given(st.binary(max_size=80), st.sampled_from([b"", b"v=0\nc=IN IP4 192.0.2.9\nm=audio 6 RTP/AVP 0 101\n", b"v=0\n"]))
def test_whatever_comes_only_sdp_errors_are_raised(junk: bytes, before: bytes) -> None:
    leg = ours()
    leg.offer()
    for take in (leg.answer, leg.receive_answer):
        try:
            take(before + junk)
        except SdpError:
            continue
        assert leg.agreed is not None

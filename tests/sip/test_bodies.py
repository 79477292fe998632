"""SDP inside of multipart bodies (:rfc:`5621`): found wherever it stands, in every message that may carry it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parkade.sip.message.bodies import find_sdp
from tests.sip.session_peer import SDP, SDP_2, Rig

MIXED = "multipart/mixed;boundary=b1"
ISUP = ("application/isup;version=itu-t92+", "signal;handling=optional", "\x01\x00I\x00")
PIDF = ("application/pidf+xml", "", "<presence/>")


def multipart(*parts: tuple[str, str, str], boundary: str = "b1", preamble: str = "") -> str:
    text = preamble
    for kind, disposition, content in parts:
        fields = f"Content-Type: {kind}\r\n" + (f"Content-Disposition: {disposition}\r\n" if disposition else "")
        text += f"--{boundary}\r\n{fields}\r\n{content}\r\n"
    return f"{text}--{boundary}--\r\n"


def sdp_part(sdp: str = SDP) -> tuple[str, str, str]:
    return ("application/sdp", "session;handling=required", sdp)


BODIES = {
    "alone": (MIXED, multipart(sdp_part())),
    "first": (MIXED, multipart(sdp_part(), ISUP)),
    "last": (MIXED, multipart(PIDF, ISUP, sdp_part())),
    "quoted boundary": ('multipart/mixed; boundary="b 1"', multipart(ISUP, sdp_part(), boundary="b 1")),
    "related": ('multipart/related;type="application/sdp";boundary=b1', multipart(sdp_part(), PIDF)),
    "alternative": ("multipart/alternative;boundary=b1", multipart(("text/plain", "", "call"), sdp_part())),
    "nested": (
        MIXED,
        multipart(PIDF, ("multipart/related;boundary=b2", "", multipart(sdp_part(), ISUP, boundary="b2"))),
    ),
    "preamble": (MIXED, multipart(sdp_part(), preamble="This is MIME\r\n")),
    "bare line feeds": (MIXED, multipart(sdp_part(), ISUP).replace("\r\n", "\n").replace("\n", "\n")),
    "another description first": (MIXED, multipart(("application/sdp", "early-session;handling=optional", SDP_2), sdp_part())),
    "upper case": ("Multipart/Mixed;Boundary=b1", multipart(("Application/SDP", "", SDP))),
}


@pytest.mark.parametrize("body", BODIES)
def test_the_sdp_is_found(body: str) -> None:
    kind, text = BODIES[body]
    found = find_sdp(kind, "", text.encode("latin-1"))
    assert found.understood
    assert found.sdp is not None
    assert found.sdp.replace(b"\r\n", b"\n").strip() == SDP.encode().replace(b"\r\n", b"\n").strip()


@pytest.mark.parametrize("body", ["alone", "last", "related", "nested"])
def test_an_invite_is_understood_wherever_its_sdp_stands(body: str) -> None:
    rig = Rig()
    kind, text = BODIES[body]
    rig.invite(body=text, content_type=kind)
    assert rig.us.heard == ["invite"]
    assert rig.us.bodies == [SDP.encode()]
    assert rig.session.remote_sdp == SDP.encode()
    assert rig.session.request.body == SDP.encode()


@pytest.mark.parametrize(
    "kind", ["application / sdp", " Application /SDP;x=y", "", "application", "application/", "/sdp", "\xff"]
)
def test_a_type_that_is_none_does_not_hide_an_sdp(kind: str) -> None:
    """Blanks around the slash are within the grammar; without a type, what begins as SDP is taken for it."""
    rig = Rig()
    rig.invite(body=SDP, content_type=kind)
    assert rig.us.bodies == [SDP.encode()]
    rig = Rig()
    rig.call()
    rig.take()
    rig.reply(rig.request_sent("INVITE"), 200, body=SDP, content_type=kind)
    assert rig.session.remote_sdp == SDP.encode()


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("multipart/mixed", multipart(sdp_part())),
        ("multipart/mixed;boundary=other", multipart(sdp_part())),
        ("multipart/mixed;boundary=", multipart(sdp_part())),
        (MIXED, "--b1--\r\n"),
        (MIXED, "nothing"),
        ("application/sdpx", SDP),
        ("text/plain", SDP),
    ],
)
def test_an_offer_that_cannot_be_found_gets_415_rather_than_an_answer_to_something_else(kind: str, text: str) -> None:
    rig = Rig()
    rig.invite(body=text, content_type=kind)
    assert rig.take() == ["415 INVITE"]
    assert rig.response_sent("415 INVITE").headers.get("Accept-Encoding") is None
    rig = Rig()
    rig.invite("Content-Disposition: session;handling=optional", body=text, content_type=kind)
    assert rig.us.heard == ["invite"]
    assert rig.session.remote_sdp == b""


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_a_body_in_an_encoding_that_we_do_not_read_gets_415_and_is_told_which_we_do(method: str) -> None:
    rig = Rig()
    rig.invite("Content-Encoding: gzip", body="\x1f")
    assert rig.take() == ["415 INVITE"]
    assert rig.response_sent("415 INVITE").headers.get("Accept-Encoding") == "identity"
    rig = Rig()
    tag = rig.answered_call()
    rig.ask(method, 2, to_tag=tag, body="\x1f", extra="e: x-compress, identity")
    assert rig.take() == [f"415 {method}"]
    assert rig.response_sent(f"415 {method}").headers.get("Accept-Encoding") == "identity"
    rig = Rig()
    rig.invite("Content-Encoding: Identity", body=SDP)
    assert rig.us.bodies == [SDP.encode()]


def test_a_part_that_must_be_understood_and_is_not_gets_415() -> None:
    must = ("application/x-secret", "x;handling=required", "?")
    rig = Rig()
    rig.invite(body=multipart(sdp_part(), must), content_type=MIXED)
    assert rig.take() == ["415 INVITE"]
    assert rig.response_sent("415 INVITE").headers.get("Accept") == "application/sdp"
    assert rig.us.heard == []


def test_a_part_without_sdp_leaves_an_invite_without_an_offer() -> None:
    rig = Rig()
    rig.invite(body=multipart(ISUP), content_type=MIXED)
    rig.session.accept(b"v=0 our offer", rig.now)
    assert rig.take() == ["200 INVITE"]
    assert rig.session.remote_sdp == b""


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_later_offers_are_understood_too(method: str) -> None:
    rig = Rig()
    tag = rig.answered_call()
    rig.ask(method, 2, to_tag=tag, body=multipart(ISUP, sdp_part(SDP_2)), content_type=MIXED)
    assert rig.take() == [f"200 {method}"]
    assert rig.us.heard == ["offer"]
    assert rig.session.remote_sdp == SDP_2.encode()
    must = ("application/x-secret", "x;handling=required", "?")
    rig.ask("ACK", 2, to_tag=tag)
    rig.ask(method, 3, to_tag=tag, body=multipart(sdp_part(SDP), must), content_type=MIXED)
    assert rig.take() == [f"415 {method}"]


def test_so_is_the_answer_in_an_ack() -> None:
    rig = Rig()
    rig.invite(body="")
    rig.session.accept(b"v=0 our offer", rig.now)
    rig.take()
    tag = rig.response_sent("200 INVITE").to.tag or ""
    rig.ask("ACK", 1, to_tag=tag, body=multipart(sdp_part()), content_type=MIXED)
    assert rig.us.heard == ["invite", "answer", "established"]
    assert rig.session.remote_sdp == SDP.encode()


def test_so_is_the_answer_in_a_prack() -> None:
    rig = Rig()
    rig.invite("Require: 100rel", body="")
    rig.session.progress(183, rig.now, sdp=b"v=0 our offer")
    rig.take()
    progress = rig.response_sent("183 INVITE")
    rack = f"RAck: {progress.headers.get('RSeq')} 1 INVITE"
    tag = progress.to.tag or ""
    rig.ask("PRACK", 2, to_tag=tag, extra=rack, body=multipart(sdp_part()), content_type=MIXED)
    assert rig.take() == ["200 PRACK"]
    assert rig.us.heard == ["invite", "answer"]


def test_so_are_provisional_and_final_answers_to_our_invite() -> None:
    rig = Rig()
    rig.call()
    rig.take()
    invite = rig.request_sent("INVITE")
    kind = f"Content-Type: {MIXED}"
    rig.reply(invite, 183, extra=kind, body=multipart(ISUP, sdp_part()))
    assert rig.us.bodies == [SDP.encode()]
    rig.reply(invite, 200, extra=kind, body=multipart(sdp_part(SDP_2), PIDF))
    assert rig.take() == ["ACK"]
    assert rig.us.bodies[-1] == SDP_2.encode()
    assert rig.session.remote_sdp == SDP_2.encode()


@given(st.text(max_size=40), st.text(max_size=40), st.binary(max_size=300))
def test_no_body_whatever_raises(kind: str, disposition: str, body: bytes) -> None:
    find_sdp(kind, disposition, body)
    find_sdp(f"multipart/mixed;boundary={kind[:3]}", disposition, body)


@given(st.binary(max_size=200), st.integers(0, 400), st.integers(0, 255))
def test_a_damaged_multipart_body_raises_nothing(noise: bytes, at: int, byte: int) -> None:
    text = bytearray(multipart(PIDF, ("multipart/related;boundary=b2", "", multipart(sdp_part(), boundary="b2"))).encode())
    text[at % len(text)] = byte
    find_sdp(MIXED, "", bytes(text) + noise)


def test_depth_and_number_of_parts_are_bounded() -> None:
    deep = multipart(sdp_part(), boundary="b9")
    for level in range(8, 0, -1):
        deep = multipart((f"multipart/mixed;boundary=b{level + 1}", "", deep), boundary=f"b{level}")
    assert find_sdp(MIXED, "", deep.encode()).sdp is None
    many = multipart(*[PIDF] * 1000, sdp_part())
    assert find_sdp(MIXED, "", many.encode()).sdp is None

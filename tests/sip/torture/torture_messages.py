"""One message for each of the 49 of :rfc:`4475`: made for the same rule, in words of our own, under the RFC's short name.

``CASES`` goes by that name. The message parser is held to ``rejected``; whoever has a whole server holds it to ``outcome``.
"""

from __future__ import annotations

from tests.sip.torture.torture_case import SDP_BODY, Case, message
from tests.sip.torture.torture_invalid import INVALID, invite, options
from tests.sip.torture.torture_valid import VALID


def register(name: str, contact: str) -> bytes:
    """A REGISTER of one contact."""
    return message(
        f"""
REGISTER sip:pbx.example SIP/2.0
Via: SIP/2.0/UDP 192.0.2.31:5060;branch=z9hG4bK{name}
Max-Forwards: 70
From: sip:lan@pbx.example;tag={name}
To: sip:lan@pbx.example
Call-ID: {name}.1@192.0.2.31
CSeq: 2 REGISTER
Contact: {contact}
l: 0
"""
    )


TRANSACTION = [Case("badbranch", "3.2.1", options("badbranch", Via="SIP/2.0/UDP 192.0.2.31;branch=z9hG4bK"))]

APPLICATION = [
    Case(
        "insuf",
        "3.3.1",
        message(
            """
INVITE sip:lan@pbx.example SIP/2.0
CSeq: 19 INVITE
Via: SIP/2.0/UDP 192.0.2.31;branch=z9hG4bKinsuf
Content-Type: application/sdp
l: @LENGTH
""",
            SDP_BODY,
        ),
        rejected=400,
        outcome=400,
    ),
    Case("unkscm", "3.3.2", options("unkscm", first="OPTIONS neverHeardOfIt:whatever SIP/2.0"), outcome=416),
    Case("novelsc", "3.3.3", options("novelsc", first="OPTIONS carrier.pigeon://192.0.2.5:3002 SIP/2.0"), outcome=416),
    Case(
        "unksm2",
        "3.3.4",
        register("unksm2", "<street:Le-Loi-12>").replace(b"To: sip:lan@pbx.example", b"To: isbn:9786041"),
        outcome=400,
    ),
    Case(
        "bext01",
        "3.3.5",
        options(
            "bext01",
            Require="canFly, canSwimToo",
            Proxy_Require="passesThroughWalls",
            Via="SIP/2.0/TLS x.example;branch=z9hG4bKb",
        ),
        outcome=420,
    ),
    Case(
        "invut",
        "3.3.6",
        invite("invut", Content_Type="application/secret-format"),
        outcome=415,
    ),
    Case(
        "regaut01",
        "3.3.7",
        register("regaut01", "<sip:lan@192.0.2.31>").replace(
            b"l: 0", b"Authorization: Handshake left-hand=yes\r\nContent-Length:0"
        ),
        outcome=401,
    ),
    Case(
        "multi01",
        "3.3.8",
        message(
            """
INVITE sip:lan@pbx.example SIP/2.0
Contact: <sip:an@192.0.2.31>
Via: SIP/2.0/UDP 192.0.2.31;branch=z9hG4bKmulti
Max-Forwards: 70
CSeq: 5 INVITE
Call-ID: multi01.1@192.0.2.31
CSeq: 59 INVITE
Call-ID: multi01.2@192.0.2.31
From: sip:an@pbx.example;tag=34
To: sip:lan@pbx.example
To: sip:binh@pbx.example
From: sip:an@pbx.example;tag=29
Content-Type: application/sdp
l: @LENGTH
Contact: <sip:an@192.0.2.36>
Max-Forwards: 5
""",
            SDP_BODY,
        ),
        rejected=400,
        outcome=400,
    ),
    Case(
        "mcl01",
        "3.3.9",
        options("mcl01", l="13", Content_Length="5", Content_Type="text/plain") + b"How many octets are meant?\r\n",
        rejected=400,
        outcome=400,
    ),
    Case(
        "bcast",
        "3.3.10",
        message(
            """
SIP/2.0 200 OK
Via: SIP/2.0/UDP 192.0.2.5;branch=z9hG4bKbcast
Via: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bKall
Call-ID: bcast.1@192.0.2.5
CSeq: 35 INVITE
From: sip:an@pbx.example;tag=11
To: sip:lan@pbx.example;tag=22
Content-Length: @LENGTH
Content-Type: application/sdp
Contact: <sip:lan@192.0.2.33>
""",
            SDP_BODY,
        ),
        outcome="dropped",
    ),
    Case("zeromf", "3.3.11", options("zeromf", Max_Forwards="0")),
    Case("cparam01", "3.3.12", register("cparam01", "sip:+842838221234@192.0.2.31;strange")),
    Case("cparam02", "3.3.13", register("cparam02", "<sip:+842838221234@192.0.2.31;strange>")),
    Case("regescrt", "3.3.14", register("regescrt", "<sip:lan@192.0.2.31?Route=%3Csip:pbx.example%3E>")),
    Case("sdp01", "3.3.15", invite("sdp01", Accept="text/riddle"), outcome=406),
]

BACKWARDS = [
    Case(
        "inv2543",
        "3.4.1",
        message(
            """
INVITE sip:lan@pbx.example SIP/2.0
Via: SIP/2.0/UDP old.pbx.example
From: <sip:+842838220000@pbx.example;user=phone>
Record-Route: <sip:lan@pbx.example;maddr=192.0.2.5>
To: sip:+842838221234@pbx.example;user=phone
Call-ID: inv2543.1@old.pbx.example
CSeq: 56 INVITE
Content-Type: application/sdp
""",
            SDP_BODY,
        ),
    ),
]

CASES = {case.name: case for case in (*VALID, *INVALID, *TRANSACTION, *APPLICATION, *BACKWARDS)}

"""Invalid messages, for the same rules as :rfc:`4475` section 3.1.2."""

from __future__ import annotations

from tests.sip.torture.torture_case import SDP_BODY, Case, message


def invite(name: str, **changed: str) -> bytes:
    """An INVITE in which some lines are ``changed``: ``first`` is the start line, the others go by header name."""
    lines = {
        "first": "INVITE sip:lan@pbx.example SIP/2.0",
        "To": "sip:lan@pbx.example",
        "From": "sip:an@pbx.example;tag=134161461246",
        "Max_Forwards": "7",
        "Call_ID": f"{name}.1@192.0.2.31",
        "CSeq": "8 INVITE",
        "Via": f"SIP/2.0/UDP 192.0.2.31;branch=z9hG4bK{name}",
        "Contact": "<sip:an@192.0.2.31>",
        "Content_Type": "application/sdp",
        "Content_Length": "@LENGTH",
    } | changed
    first = lines.pop("first")
    return message("\n".join([first, *(f"{key.replace('_', '-')}: {value}" for key, value in lines.items())]), SDP_BODY)


def options(name: str, **changed: str) -> bytes:
    """An OPTIONS in which some lines are ``changed``."""
    lines = {
        "first": "OPTIONS sip:lan@pbx.example SIP/2.0",
        "Via": f"SIP/2.0/UDP 192.0.2.31;branch=z9hG4bK{name}",
        "Max_Forwards": "70",
        "From": "<sip:an@pbx.example>;tag=433423",
        "To": "<sip:lan@pbx.example>",
        "Call_ID": f"{name}.1@192.0.2.31",
        "CSeq": "3923239 OPTIONS",
        "l": "0",
    } | changed
    first = lines.pop("first")
    return message("\n".join([first, *(f"{key.replace('_', '-')}: {value}" for key, value in lines.items())]))


INVALID = [
    Case(
        "badinv01",
        "3.1.2.1",
        invite("badinv01", Via="SIP/2.0/UDP 192.0.2.31;;,;,,", Contact='"An" <sip:an@192.0.2.31>;;;;'),
        rejected=400,
        outcome=400,
    ),
    Case("clerr", "3.1.2.2", invite("clerr", Content_Length="9999"), rejected=400, outcome=400),
    Case("ncl", "3.1.2.3", invite("ncl", Content_Length="-77"), rejected=400, outcome=400),
    Case(
        "scalar02",
        "3.1.2.4",
        message(
            f"""
REGISTER sip:pbx.example SIP/2.0
Via: SIP/2.0/TCP 192.0.2.31;branch=z9hG4bKscalar02
To: <sip:lan@pbx.example>
From: <sip:lan@pbx.example>;tag=239
CSeq: {2**65 + 7} REGISTER
Call-ID: scalar02.1@192.0.2.31
Max-Forwards: 300
Expires: 1{"0" * 120}
Contact: <sip:lan@192.0.2.31>
  ;expires={2**48 + 1}
Content-Length: 0
"""
        ),
        rejected=400,
        outcome=400,
    ),
    Case(
        "scalarlg",
        "3.1.2.5",
        message(
            f"""
SIP/2.0 503 Service Unavailable
Via: SIP/2.0/TCP 192.0.2.5;branch=z9hG4bKscalarlg;received=192.0.2.5
To: <sip:lan@pbx.example>
From: <sip:an@pbx.example>;tag=2e
CSeq: {2**73} OPTIONS
Call-ID: scalarlg.1@192.0.2.5
Retry-After: {2**90}
Warning: 1812 pbx "In its own time"
Content-Length: 0
"""
        ),
        rejected=400,
        answered=False,
        outcome="dropped",
    ),
    Case(
        "quotbal", "3.1.2.6", invite("quotbal", To='"Lan of the third floor <sip:lan@pbx.example>'), rejected=400, outcome=400
    ),
    Case("ltgtruri", "3.1.2.7", invite("ltgtruri", first="INVITE <sip:lan@pbx.example> SIP/2.0"), rejected=400, outcome=400),
    Case("lwsruri", "3.1.2.8", invite("lwsruri", first="INVITE sip:lan@pbx.example; lr SIP/2.0"), rejected=400, outcome=400),
    Case("lwsstart", "3.1.2.9", invite("lwsstart", first="INVITE  sip:lan@pbx.example  SIP/2.0"), rejected=400, outcome=400),
    Case(
        "trws",
        "3.1.2.10",
        options("trws", first="OPTIONS sip:lan@pbx.example SIP/2.0  "),
        departs="a blank at the end of the request line can be read in one way only",
    ),
    Case(
        "escruri",
        "3.1.2.11",
        invite("escruri", first="INVITE sip:lan@pbx.example?Route=%3Csip:pbx.example%3E SIP/2.0"),
        rejected=400,
        outcome=400,
    ),
    Case(
        "baddate",
        "3.1.2.12",
        invite("baddate", Date="Fri, 01 Jan 2027 16:00:00 ICT"),
        departs="nothing depends on Date, and what is not needed is not looked at",
    ),
    Case(
        "regbadct",
        "3.1.2.13",
        message(
            """
REGISTER sip:pbx.example SIP/2.0
To: sip:lan@pbx.example
From: sip:lan@pbx.example;tag=998332
Max-Forwards: 70
Call-ID: regbadct.1@192.0.2.31
CSeq: 1 REGISTER
Via: SIP/2.0/UDP 192.0.2.31:5060;branch=z9hG4bKregbadct
Contact: sip:lan@192.0.2.31?Route=%3Csip:pbx.example%3E
l: 0
"""
        ),
        outcome=400,
    ),
    Case(
        "badaspec",
        "3.1.2.14",
        options("badaspec", To='"Tran, Lan" < sip:lan@pbx.example >'),
        departs="blanks inside the angle brackets can be left out without any doubt",
    ),
    Case(
        "baddn",
        "3.1.2.15",
        options("baddn", From="Nguyen, An <sip:an@pbx.example>;tag=43", To="Tran, Lan <sip:lan@pbx.example>"),
        departs="a From holds one address, so a comma before it can only be part of the name",
    ),
    Case(
        "badvers",
        "3.1.2.16",
        options("badvers", first="OPTIONS sip:lan@pbx.example SIP/7.0", Via="SIP/7.0/UDP 192.0.2.31;branch=z9hG4bKbadvers"),
        rejected=505,
        outcome=505,
    ),
    Case("mismatch01", "3.1.2.17", options("mismatch01", CSeq="8 INVITE"), rejected=400, outcome=400),
    Case(
        "mismatch02",
        "3.1.2.18",
        invite("mismatch02", first="JUGGLE sip:lan@pbx.example SIP/2.0"),
        rejected=400,
        outcome=400,
        departs="the mismatch shows before the method is looked up; the RFC has 400 as the second choice after 501",
    ),
    Case(
        "bigcode",
        "3.1.2.19",
        message(
            f"""
SIP/2.0 {2**32 + 5} a number to break on
Via: SIP/2.0/UDP 192.0.2.5;branch=z9hG4bKbigcode
Call-ID: bigcode.1@192.0.2.5
CSeq: 353494 INVITE
From: <sip:an@pbx.example>;tag=39
To: <sip:lan@pbx.example>;tag=90
Content-Length: 0
Contact: <sip:lan@192.0.2.33>
"""
        ),
        rejected=400,
        answered=False,
        outcome="dropped",
    ),
]

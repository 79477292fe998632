"""Odd but valid messages, for the same rules as :rfc:`4475` section 3.1.1."""

from __future__ import annotations

from tests.sip.torture.torture_case import SDP_BODY, Case, message

LONG_WORD = "xin-chao" * 40

VALID = [
    Case(
        "wsinv",
        "3.1.1.1",
        message(
            r"""
INVITE sip:lan@pbx.example;door=left SIP/2.0
tO :
 sip:lan@pbx.example ;  tag   = 77a31f
fRoM  : "An \"the \\ man\" Nguyen"      <sip:an@pbx.example>
   ;
   tag = 5518c
MAX-forwards: 0070
Call-ID: white.space.3317@192.0.2.31
CONTENT-length   : @LENGTH
cseq: 00012
   INVITE
Via  : SIP  /   2.0
   /UDP
     192.0.2.31;branch=0dd-old-branch
s :
Never-Heard-Of:   one part
  and the other part
Never-Heard-Of-This-Value-Either: ;,;;,,;;
Content-Type: application/sdp
Route:
 <sip:edge.pbx.example;lr;colour=green;flag>
v:  SIP / 2.0   / TCP      core.pbx.example  ;
   branch =   z9hG4bKcore77 ,
 SIP   /   2.0 /   UDP  192.0.2.32   ;  branch=
 z9hG4bK88231
m:"A \"quoted\" display" <sip:an@192.0.2.31> ; first =
      value ;
   second ; q = 0.5
""",
            SDP_BODY,
        ),
        outcome=481,
    ),
    Case(
        "intmeth",
        "3.1.1.2",
        message(
            "Shake.the-tree!%*_+`'~9 sip:who(is)&there=now+then$?,/;;*:secret&k=1,v!*w$o~_(r'd)@pbx.example SIP/2.0\n"
            "Via: SIP/2.0/TCP 192.0.2.31;branch=z9hG4bK-.!%41*_+`'~\n"
            'To: "bell \\\x07 nothing \\\x00 rubout \\\x7f" <sip:who(is)&there=now+then$?,/;;*@pbx.example>\n'
            "From: one~` two'+_ three*%!.- <sip:plain@pbx.example>;aParam''~+*_!.-%=\"trả lại\";tag=_t~3'+`*%!-.\n"
            "Call-ID: odd%ZK-!.*_+'@word`~)(><:\\/\"][?}{\n"
            "CSeq: 311820 Shake.the-tree!%*_+`'~9\n"
            "Max-Forwards: 255\n"
            "anExtension-!.%*+_`'~:\ufeff星八零一\n"
            "Content-Length: 0"
        ),
        outcome=501,
    ),
    Case(
        "esc01",
        "3.1.1.3",
        message(
            """
INVITE sip:sip%3Alan%40pbx.example@gate.example SIP/2.0
To: sip:%6Can@pbx.example
From: <sip:An%20at%20the%20desk@pbx.example>;tag=41
Max-Forwards: 70
i: escaped.8127@192.0.2.31
CSeq: 71 INVITE
Via: SIP/2.0/UDP 192.0.2.31;branch=z9hG4bKesc1
C: application/sdp
Contact:
  <sip:%61n@192.0.2.31;%6C%72;f%6Coor=t%77o%25%32%35>
Content-Length: @LENGTH
""",
            SDP_BODY,
        ),
    ),
    Case(
        "escnull",
        "3.1.1.4",
        message(
            """
REGISTER sip:pbx.example SIP/2.0
To: sip:before-%00-after@pbx.example
From: sip:before-%00-after@pbx.example;tag=99
Max-Forwards: 70
Call-ID: null.5512@192.0.2.31
CSeq: 8 REGISTER
Via: SIP/2.0/UDP 192.0.2.31;branch=z9hG4bKnull
Contact: <sip:%00@192.0.2.31>
Contact: <sip:%00%00@192.0.2.31>
L:0
"""
        ),
    ),
    Case(
        "esc02",
        "3.1.1.5",
        message(
            """
IN%56ITE sip:pbx.example SIP/2.0
To: "%4C%61n" <sip:lan@pbx.example>
From: "%4C%61n" <sip:lan@pbx.example>;tag=l%61n
Call-ID: not.escaped.1@192.0.2.31
Via: SIP/2.0/TCP 192.0.2.31;branch=z9hG4bK1%41
CSeq: 5 IN%56ITE
Max-Forwards: 70
Contact: <sip:one@192.0.2.31>
C%6Fntact: <sip:two@192.0.2.31>
Contact: <sip:three@192.0.2.31>
l: 0
"""
        ),
        outcome=501,
    ),
    Case(
        "lwsdisp",
        "3.1.1.6",
        message(
            """
OPTIONS sip:lan@pbx.example SIP/2.0
To: sip:lan@pbx.example
From: An<sip:an@pbx.example>;tag=12
Max-Forwards: 70
Call-ID: tight.1@192.0.2.31
CSeq: 60 OPTIONS
Via: SIP/2.0/UDP 192.0.2.31;branch=z9hG4bKtight
l: 0
"""
        ),
    ),
    Case(
        "longreq",
        "3.1.1.7",
        message(
            f"""
INVITE sip:lan@pbx.example SIP/2.0
To: "Somebody with the name {LONG_WORD}" <sip:lan@pbx.example:6000;p={LONG_WORD};{LONG_WORD}=short;{LONG_WORD}x>
F: sip:{LONG_WORD}@pbx.example;tag={LONG_WORD};one={LONG_WORD};{LONG_WORD}
Call-ID: {LONG_WORD}
CSeq: 3882340 INVITE
Unheard-{LONG_WORD}-Of: {LONG_WORD}; {LONG_WORD}={LONG_WORD}
"""
            + "".join(f"Via: SIP/2.0/TCP hop{n}.pbx.example;{LONG_WORD}={n};branch=z9hG4bK{LONG_WORD}{n}\n" for n in range(33))
            + f"""Max-Forwards: 70
Contact: <sip:{LONG_WORD}@192.0.2.31>
Content-Type: application/sdp
l: @LENGTH
""",
            SDP_BODY,
        ),
    ),
    Case(
        "dblreq",
        "3.1.1.8",
        message(
            """
REGISTER sip:pbx.example SIP/2.0
To: sip:lan@pbx.example
From: sip:lan@pbx.example;tag=43
Max-Forwards: 8
I: first.1@192.0.2.31
Contact: sip:lan@192.0.2.31
CSeq: 8 REGISTER
Via: SIP/2.0/UDP 192.0.2.31;branch=z9hG4bKfirst
Content-Length: 0
"""
        )
        + b"\r\n\r\n"
        + message(
            """
INVITE sip:binh@pbx.example SIP/2.0
t: sip:binh@pbx.example
From: sip:lan@pbx.example;tag=14
Max-Forwards: 8
Call-ID: second.1@192.0.2.31
CSeq: 8 INVITE
Via: SIP/2.0/UDP 192.0.2.31;branch=z9hG4bKsecond
Content-Type: application/sdp
Content-Length: @LENGTH
""",
            SDP_BODY,
        ),
    ),
    Case(
        "semiuri",
        "3.1.1.9",
        message(
            """
OPTIONS sip:lan;room=x%40pbx.example@pbx.example SIP/2.0
To: sip:lan@pbx.example
From: sip:an@pbx.example;tag=3
Max-Forwards: 3
Call-ID: semicolon.1@192.0.2.31
CSeq: 8 OPTIONS
Accept: application/sdp, application/dialog-info+xml,
    text/plain, message/sipfrag
Via: SIP/2.0/UDP 192.0.2.31;branch=z9hG4bKsemi
l: 0
"""
        ),
    ),
    Case(
        "transports",
        "3.1.1.10",
        message(
            """
OPTIONS sip:lan@pbx.example SIP/2.0
To: sip:lan@pbx.example
From: <sip:an@pbx.example>;tag=323
Max-Forwards: 70
Call-ID:  carried.1@192.0.2.31
CSeq: 60 OPTIONS
Via: SIP/2.0/UDP a.pbx.example;branch=z9hG4bKa
Via: SIP/2.0/SCTP b.pbx.example;branch=z9hG4bKb
Via: SIP/2.0/TLS c.pbx.example;branch=z9hG4bKc
Via: SIP/2.0/PIGEON d.pbx.example;branch=z9hG4bKd
Via: SIP/2.0/TCP e.pbx.example;branch=z9hG4bKe
l: 0
"""
        ),
    ),
    Case(
        "mpart01",
        "3.1.1.11",
        message(
            """
MESSAGE sip:lan@pbx.example SIP/2.0
Via: SIP/2.0/UDP 192.0.2.31:5070;branch=z9hG4bK-part;rport
Max-Forwards: 70
Route: <sip:192.0.2.5:5080;lr>
Contact: <sip:an@192.0.2.31:5070>
To: <sip:lan@pbx.example>
From: <sip:an@pbx.example>;tag=2f
Call-ID: parts.1@192.0.2.31
CSeq: 1 MESSAGE
Content-Transfer-Encoding: binary
Content-Type: multipart/mixed;boundary=cut-here
Content-Length: @LENGTH
""",
            b"--cut-here\r\nContent-Type: text/plain\r\n\r\nXin ch\xc3\xa0o\r\n--cut-here\r\n"
            b"Content-Type: application/octet-stream\r\n\r\n" + bytes(range(256)) + b"\r\n\r\n\r\n--cut-here--",
        ),
    ),
    Case(
        "unreason",
        "3.1.1.12",
        message(
            """
SIP/2.0 200 = 2**3 * 5**2 hai trăm là tốt lắm
Via: SIP/2.0/UDP 192.0.2.5;branch=z9hG4bKnobody
Call-ID: reason.1@192.0.2.5
CSeq: 35 INVITE
From: sip:an@pbx.example;tag=11
To: sip:lan@pbx.example;tag=22
Content-Type: application/sdp
Contact: <sip:lan@192.0.2.33>
Content-Length: @LENGTH
""",
            SDP_BODY,
        ),
        outcome="dropped",
    ),
    Case(
        "noreason",
        "3.1.1.13",
        message(
            """
SIP/2.0 100@BLANK
Via: SIP/2.0/UDP 192.0.2.5;branch=z9hG4bKnobody
Call-ID: silent.1@192.0.2.5
CSeq: 35 INVITE
From: <sip:an@pbx.example>;tag=39
To: <sip:lan@pbx.example>;tag=90
Content-Length: 0
Contact: <sip:lan@192.0.2.33>
"""
        ),
        outcome="dropped",
    ),
]

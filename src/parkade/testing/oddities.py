"""What must not be in a message, and comes all the same: the values that ``damage`` puts in place of right ones."""

from __future__ import annotations

STRANGE = (
    b"\x00", b"\xff\xfe", b"\xc3", b"%FF", b"%00", b"%", b"<", b">", b'"', b"\\", b";", b",", b":", b"@", b"*", b"=",
    b"\xe2\x98\x83", b"-1", b"0", b"99999999999999999999", b"[::", b"sip:", b" ", b"\t", b"()", b"\x7f",
)  # fmt: skip
BAD_CONTACTS = (
    b"*", b"<phone-102>", b"sip:", b"<sip:>", b"<sip:@>", b"<sip:a@b", b'"open <sip:a@192.0.2.9>', b"<sip:a@[::1>", b",", b"",
    b"<tel:101>", b"<sip:a@192.0.2.9:99999>", b"<sip:%FF@192.0.2.9>", b"<sip:a@192.0.2.9>;expires=x", b"<http://a/>", b"\xff",
)  # fmt: skip
SCHEMES = (b"tel:", b"sips:", b"mailto:", b"x:", b"SIP:", b"", b"urn:service:")
ODD_ADDRESSES = (
    b"IN IP4 0.0.0.0", b"IN IP4 255.255.255.255", b"IN IP4 224.0.0.1/127", b"IN IP4 999.1.1.1", b"IN IP4 phone.example.com",
    b"IN IP6 ::", b"IN IP6 fe80::1%eth0", b"IN IP4", b"ATM NSAP 47", b"IN IP4 127.0.0.1", b"IN IP4 \xff",
)  # fmt: skip
ODD_PORTS = (b"0", b"1", b"65535", b"65536", b"99999", b"-5", b"", b"4000/2", b"x")
ODD_LENGTHS = (b"0", b"1", b"-1", b"99999", b"4294967297", b"", b"x", b"12, 14", b"\xb2")
ODD_TYPES = (
    b"application/sdp;charset=\xff", b"text/plain", b"", b"/", b"application/dtmf-relay", b"application/dtmf",
    b"multipart/mixed", b'multipart/mixed;boundary=""', b"message/sipfrag", b"application/SDP ; x", b"APPLICATION/SDP",
)  # fmt: skip
STATUSES = (100, 101, 180, 183, 199, 200, 202, 299, 300, 301, 302, 305, 400, 401, 403, 404, 407, 408, 415, 420, 422, 423, 478,
            480, 481, 483, 486, 487, 488, 491, 493, 500, 503, 504, 513, 600, 603, 606, 699)  # fmt: skip
ODD_LINES = (
    b"Require: nothing-we-know", b"Require: 100rel", b"Require: ", b"Proxy-Require: x", b"Supported: ,,,",
    b"Unsupported: timer", b"Expires: 0", b"Expires: 1", b"Expires: x", b"Session-Expires: 0",
    b"Session-Expires: 1;refresher=uac", b"Min-SE: 0", b"Session-Expires: 99999999999;refresher=uas",
    b"Session-Expires: x", b"Session-Expires: 90;refresher=\xff", b"Min-SE: x", b"Min-SE: 99999999999", b"RSeq: 0",
    b"RSeq: x", b"RAck: 1 1 INVITE", b"RAck: x", b"Retry-After: x", b"Max-Forwards: 0", b"Max-Forwards: x",
    b"Authorization: x", b'Authorization: Digest username="', b"Proxy-Authorization: Digest x=\xff",
    b"WWW-Authenticate: Digest realm=x", b"Replaces: x", b"Replaces: x;to-tag=a;from-tag=b", b"Replaces: ;;;",
    b"Refer-To: x", b"Refer-To: <sip:%FF@x>", b"Referred-By: ;;", b"Referred-By: \xff", b"Content-Encoding: gzip",
    b"Event: ", b"Event: dialog", b"Subscription-State: x", b"Allow: ", b"Allow: \xff", b"Accept: x",
    b"Record-Route: x", b"Record-Route: <sip:192.0.2.77;lr>", b"Route: <sip:192.0.2.77;lr>", b"Route: ;",
    b"P-Asserted-Identity: x", b'P-Asserted-Identity: "\xff" <sip:9@x>', b"Reason: x", b"Warning: x", b"To: <sip:a@b>",
    b"From: <sip:a@b>;tag=2", b"Call-ID: second", b"CSeq: 7 BYE", b"Via: x", b"Contact: *",
    b"Contact: <sip:second@192.0.2.88>", b"Content-Length: 3", b"l: 3", b"m: *", b"no colon", b": no name",
    b"\xff: x",
)  # fmt: skip
ODD_VIAS = (
    b"x", b"SIP/2.0/UDP", b"SIP/2.0/UDP ;branch=z9hG4bK1", b"SIP/2.0/TCP 192.0.2.200:1;branch=z9hG4bKother", b"",
    b"SIP/3/UDP a",
    b"SIP/2.0/UDP 192.0.2.200:99999;branch=z9hG4bK2", b"SIP/2.0/UDP [::1;branch=z9hG4bK3;rport=x;received=\xff",
)  # fmt: skip
ODD_MEDIA = (
    b"m=audio 4000 RTP/AVP 97 98", b"m=image 4000 udptl t38", b"m=video 4000 RTP/AVP 31", b"m=audio 4000 RTP/SAVP 0 8",
    b"m=audio 4000 RTP/AVP", b"m=audio 4000 RTP/AVP 8", b"m=audio 4000 RTP/AVP 0 300", b"m=audio", b"m=",
    b"m=audio 0 RTP/AVP 0",
)  # fmt: skip
ODD_BODIES = (
    b"v=0", b"Signal=*\r\nDuration=x", b"d=*", b"\x00" * 50, b"\r\n\r\n", b"SIP/2.0 200 OK", b"x" * 60_000,
)  # fmt: skip

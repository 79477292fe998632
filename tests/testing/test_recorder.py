"""What a phone saw can be asked for; and phones can be made to be wrong."""

from __future__ import annotations

import pytest

from parkade.calls.identity import Identity
from parkade.testing.misbehaviour import GARBAGE, Misbehaviour, answers_garbage, never, never_answers, several_contacts
from parkade.testing.recorder import Recorder


def message(start: str, method: str, *, call: str = "one", number: int = 1, more: str = "", body: str = "") -> bytes:
    return (
        f"{start}\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{number}\r\nFrom: <sip:a@x>;tag=a\r\nTo: <sip:b@x>;tag=b\r\n"
        f"Call-ID: {call}\r\nCSeq: {number} {method}\r\n{more}Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


RINGING = message("SIP/2.0 180 Ringing", "INVITE")
OK = message("SIP/2.0 200 OK", "INVITE", more="Contact: <sip:b@192.0.2.2>\r\n")
BYE = message("BYE sip:a@x SIP/2.0", "BYE", number=2)
BYE_OK = message("SIP/2.0 200 OK", "BYE", number=2)


def test_messages_are_found_by_kind_direction_and_call() -> None:
    recorder = Recorder()
    for data in (RINGING, OK, OK, message("SIP/2.0 486 Busy Here", "INVITE", call="two"), b"\r\n\r\n", b"noise"):
        recorder.record(1.0, False, data)
    recorder.record(2.0, True, BYE)
    assert recorder.statuses("INVITE", "one") == [180, 200, 200]
    assert recorder.statuses("INVITE") == [180, 200, 200, 486]
    assert len(recorder.received("200 INVITE")) == 2
    assert recorder.received("BYE") == []
    assert [entry.kind for entry in recorder.seen if entry.sent] == ["BYE"]
    assert len(recorder.sent("BYE", "one")) == 1
    assert recorder.garbage == [b"noise"]


def test_the_display_follows_the_identities_that_come() -> None:
    recorder = Recorder()
    for start, more in (
        ("INVITE sip:b@x SIP/2.0", 'P-Asserted-Identity: "Alice" <sip:101@x>\r\nRemote-Party-ID: "Wrong" <sip:9@x>\r\n'),
        ("INVITE sip:b@x SIP/2.0", 'P-Asserted-Identity: "Alice" <sip:101@x>\r\n'),
        ("UPDATE sip:b@x SIP/2.0", 'Remote-Party-ID: "Bob" <sip:102@x>;party=calling\r\n'),
        ("UPDATE sip:b@x SIP/2.0", "P-Asserted-Identity: <tel:+123>\r\n"),
    ):
        recorder.record(1.0, False, message(start, start.split()[0], more=more))
    assert recorder.displays("one") == [Identity("Alice", "101"), Identity("Bob", "102")]


def test_the_from_of_a_new_call_is_shown_if_nothing_better_comes() -> None:
    recorder = Recorder()
    recorder.record(
        1.0, False, message("INVITE sip:b@x SIP/2.0", "INVITE").replace(b";tag=b", b"").replace(b"<sip:a", b"A <sip:a")
    )
    assert recorder.displays("one") == [Identity("A", "a")]


def test_reports_on_a_transfer_are_counted_once_each() -> None:
    recorder = Recorder()
    for number, text in ((1, "100 Trying"), (2, "200 OK"), (2, "200 OK")):
        notify = message("NOTIFY sip:a@x SIP/2.0", "NOTIFY", number=number, more="X-Code: *801\r\n", body=f"SIP/2.0 {text}\r\n")
        recorder.record(1.0, False, notify)
    assert recorder.sipfrags("one") == ["SIP/2.0 100 Trying", "SIP/2.0 200 OK"]
    assert recorder.header("X-Code") == "*801"
    assert recorder.header("X-Other") is None


@pytest.mark.parametrize(
    ("misbehaviour", "data", "sent"),
    [
        (never("BYE"), BYE, None),
        (never("BYE"), BYE_OK, BYE_OK),
        (never_answers("BYE"), BYE_OK, None),
        (never_answers("BYE"), BYE, BYE),
        (never_answers("BYE"), OK, OK),
        (answers_garbage("INVITE"), OK, GARBAGE),
        (answers_garbage("INVITE"), BYE_OK, BYE_OK),
        (several_contacts, BYE_OK, BYE_OK),
    ],
)
def test_a_misbehaviour_touches_what_it_names_and_nothing_else(
    misbehaviour: Misbehaviour, data: bytes, sent: bytes | None
) -> None:
    assert misbehaviour(data) == sent


def test_several_contacts_are_three() -> None:
    recorder = Recorder()
    recorder.record(1.0, False, several_contacts(OK))
    [response] = recorder.received("200 INVITE")
    assert [str(contact.address.host) for contact in response.contacts] == ["192.0.2.2", "192.0.2.253", "192.0.2.254"]

"""The messages of a call over the API: as JSON, as text, as a file for Wireshark; for administrators of the account."""

from __future__ import annotations

import pytest

from parkade.edge.trace import Message
from tests.api.conftest import Office, error_id
from tests.api.test_pcap import INVITE, NOON, TRYING, V4, V6, opened, packets

pytestmark = pytest.mark.asyncio

PATH = "/api/v1/calls/call1/trace"
ODD = INVITE.replace(b"<sip:102@x>", '"Đỗ" <sip:102@x>'.encode()) + b"\xff"


def kept(office: Office) -> None:
    office.signalling.traces["acme", "call1"] = [
        Message(NOON, True, "UDP", *V4, ODD),
        Message(NOON + 0.001, False, "TCP", *V6, TRYING),
    ]


async def test_json(office: Office) -> None:
    kept(office)
    body = (await (await office.as_("admin@acme.test")).get(PATH)).json()
    assert body["call_id"] == "call1"
    first, second = body["messages"]
    assert first == {
        "at": "2027-01-15T08:00:00.123Z",
        "direction": "in",
        "transport": "UDP",
        "from": "192.0.2.1:5062",
        "to": "198.51.100.1:5060",
        "first_line": "INVITE sip:101@198.51.100.1 SIP/2.0",
        "sip_call_id": "abc",
        "text": ODD.decode("utf-8", "backslashreplace"),
    }
    assert (second["direction"], second["from"], second["to"]) == ("out", "[2001:db8::1]:5060", "[2001:db8::2]:5062")
    assert second["first_line"] == "SIP/2.0 100 Trying"


async def test_text(office: Office) -> None:
    kept(office)
    answer = await (await office.as_("admin@acme.test")).get(PATH, params={"format": "text"})
    assert answer.headers["content-type"].startswith("text/plain")
    lines = answer.text.splitlines()
    assert lines[0].startswith("--- 2027-01-15T08:00:00.123Z in  UDP 192.0.2.1:5062 -> 198.51.100.1:5060 ---")
    assert lines[1] == "INVITE sip:101@198.51.100.1 SIP/2.0"
    assert "\r" not in answer.text
    assert sum(line.startswith("--- ") for line in lines) == 2


async def test_pcap(office: Office) -> None:
    kept(office)
    answer = await (await office.as_("admin@acme.test")).get(PATH, params={"format": "pcap"})
    assert answer.headers["content-type"] == "application/vnd.tcpdump.pcap"
    assert answer.headers["content-disposition"] == 'attachment; filename="call1.pcap"'
    assert [opened(frame)[5] for _, frame in packets(answer.content)] == [ODD, TRYING]


@pytest.mark.parametrize(
    ("who", "error"),
    [("alice@acme.test", "not_allowed"), ("charlie@other.test", "not_allowed"), ("admin@other.test", "not_found")],
)
async def test_nobody_else(office: Office, who: str, error: str) -> None:
    kept(office)
    assert error_id(await (await office.as_(who)).get(PATH)) == error


async def test_the_installations_administrator_says_which_account(office: Office) -> None:
    kept(office)
    client = await office.as_("installation")
    assert error_id(await client.get(PATH)) == "account_needed"
    assert (await client.get(PATH, params={"account": "acme"})).status_code == 200
    assert error_id(await client.get(PATH, params={"account": "other"})) == "not_found"


async def test_an_unknown_call_a_bad_format_and_no_signalling(office: Office) -> None:
    client = await office.as_("admin@acme.test")
    assert error_id(await client.get(PATH)) == "not_found"
    assert error_id(await client.get(PATH, params={"format": "xml"})) == "invalid_request"
    office.signalling.away = True
    assert error_id(await client.get(PATH)) == "signalling_away"

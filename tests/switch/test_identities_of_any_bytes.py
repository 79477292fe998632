"""Whatever stands where a name or a number should, in a message or in the directory: the called phone rings."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parkade.calls.directory import Directory
from parkade.calls.identity import Identity
from parkade.sip.message.headers import parse_name_addr
from parkade.sip.message.message import Request, parse_message
from parkade.switch.address import number_of
from parkade.switch.displays import address_of, identity_headers
from tests.stories.office import GATEWAY, Furnish, Office
from tests.switch.raw_phone import RawPhone

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=[]), max_size=12)
"""Lone surrogates and control characters included."""


def outside_call(
    office: Office, *, display: bytes = b"", user: bytes = b"555", more: bytes = b"", dialled: bytes = b"102"
) -> RawPhone:
    """A gateway calls with exactly these bytes in its From."""
    office.world.device("line", "acme", "", address=GATEWAY)
    gateway = RawPhone(office.world, "line", GATEWAY)
    invite = gateway.request("INVITE", "NUMBER", body=gateway.sdp)
    data = invite.encode().replace(b"<sip:line@acme.example.com>;tag", display + b" <sip:" + user + b"@192.0.2.200>;tag")
    data = data.replace(b"NUMBER", dialled).replace(b"\r\nContact:", more + b"\r\nContact:", 1)
    gateway.send_bytes(data)
    office.run(0.1)
    return gateway


def give_up(office: Office, gateway: RawPhone) -> None:
    """The line is dead from now on; whoever still rings is told by hanging up here."""
    for phone in office.phones:
        phone.hang_up()
    office.run(40)
    office.world.detach(gateway.address)


@pytest.mark.parametrize("octet", range(256))
def test_any_octet_in_the_number_of_an_outside_caller_escaped_or_not_lets_the_phone_ring(office: Office, octet: int) -> None:
    """:rfc:`3261` section 25.1: a user part is octets, and nobody promises that they are UTF-8."""
    bob = office.bob
    gateway = outside_call(office, user=b"55%%%02X1" % octet)
    assert bob.ringing
    ringing = bob.recorder.received("INVITE")[-1]
    assert isinstance(ringing, Request)
    assert ringing.encode()
    give_up(office, gateway)


@pytest.mark.parametrize("octet", [o for o in range(256) if o not in b'"\\\r\n'])
def test_any_octet_in_the_display_name_of_an_outside_caller_lets_the_phone_ring(office: Office, octet: int) -> None:
    bob = office.bob
    name = b'"Caf' + bytes([octet]) + b'"'
    gateway = outside_call(
        office, display=name, more=b"\r\nP-Asserted-Identity: " + name + b" <sip:5" + bytes([octet]) + b"@h>"
    )
    assert bob.ringing
    give_up(office, gateway)


@pytest.mark.parametrize("octet", range(0x80, 256))
def test_a_number_that_nobody_has_and_that_is_no_utf8_is_refused_and_leaves_nothing(office: Office, octet: int) -> None:
    gateway = outside_call(office, dialled=b"10%%%02X" % octet)
    office.run(10)
    assert gateway.statuses("INVITE")[-1] == 404
    give_up(office, gateway)


@settings(max_examples=300, deadline=None)
@given(ANY_TEXT, ANY_TEXT, st.sampled_from(["192.0.2.1", "2001:db8::1"]))
def test_any_name_and_any_number_can_be_written_and_read_back(name: str, number: str, host: str) -> None:
    address = address_of(Identity(name, number), host)
    assert str(address).encode("utf-8").isascii() or address.display
    assert parse_name_addr(str(address)).address.host == host
    for header, value in identity_headers(Identity(name, number), host, "calling"):
        parse_message(
            f"OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nFrom: {value};tag=1\r\nTo: <sip:b@b>\r\n"
            f"Call-ID: 1\r\nCSeq: 1 OPTIONS\r\n{header}: {value}\r\n\r\n".encode()
        )


@settings(max_examples=40, deadline=None)
@given(ANY_TEXT)
def test_any_name_in_the_directory_can_be_shown(name: str) -> None:
    office = Furnish()()
    account = office.world.directory.accounts["acme"]
    owners = {extension: replace(owner, name=name) for extension, owner in account.owners.items()}
    office.world.load(Directory({"acme": replace(account, owners=owners)}, office.world.directory.devices))
    caller, answered = office.talk(office.alice, office.bob)
    code = office.park(answered)
    retrieved = office.carol.call(code)
    office.run(1)
    assert retrieved.hears(office.alice)
    retrieved.hang_up()
    office.run(1)
    assert caller.ended == "bye"


@pytest.mark.parametrize(
    ("uri", "number"),
    [
        ("tel:+84-90-123", "+8490123"),
        ("TEL:555;phone-context=example.com", "555"),
        ("sip:555;cpc=ordinary@h", "555"),
        ("sip:+84(90)1@h;user=phone", "+84(90)1"),
        ("sip:555:secret@h", "555"),
        ("sip:5%3B5@h", "5;5"),
        ("sip:h", ""),
        ("mailto:a@b", ""),
        ("sip:" + "5" * 5000 + "@h", "5" * 64),
    ],
)
def test_the_number_of_an_outside_caller_is_what_can_be_called_back(uri: str, number: str) -> None:
    assert number_of(parse_name_addr(f"<{uri}>")) == number


def test_a_name_of_any_length_lets_the_phone_ring(office: Office) -> None:
    """It stands in three headers of the INVITE, which has to fit into a datagram."""
    bob = office.bob
    gateway = outside_call(office, display=b'"' + b"\xc3\xa9" * 5000 + b'"', user=b"%C3%A9" * 2000)
    assert bob.ringing
    assert len(bob.recorder.received("INVITE")[-1].encode()) < 6000
    give_up(office, gateway)

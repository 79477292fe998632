"""What arrives at the whole server on real sockets: long datagrams, keepalives of any spelling, phones behind a NAT."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.interop.office import Office
from tests.interop.server import password
from tests.interop.wire_phone import WirePhone

pytestmark = pytest.mark.interop

LONGEST_DATAGRAM = 65_507
SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"

MakePhone = Callable[[int], WirePhone]


@pytest.fixture
def phone_of(office: Office) -> Iterator[Callable[[int], WirePhone]]:
    """Phones at extension 101, by the kind of their socket."""
    with ExitStack() as sockets:

        def make(kind: int) -> WirePhone:
            sock = sockets.enter_context(socket.socket(socket.AF_INET, kind))
            server = ("127.0.0.1", office.server.sip_port)
            sock.bind(("127.0.0.1", 0))
            if kind == socket.SOCK_STREAM:
                sock.connect(server)
            username = office.username("101")
            return WirePhone(sock, server, username, password(username))

        yield make


@pytest.mark.parametrize("size", [8_191, 8_192, 8_193, 20_000, 65_000, LONGEST_DATAGRAM])
def test_a_message_of_any_size_that_fits_a_datagram_is_taken(phone_of: MakePhone, size: int) -> None:
    phone = phone_of(socket.SOCK_DGRAM)
    assert phone.ask("REGISTER", phone.username, pad_to=size) == 200
    # Nobody has registered there, which is said only to a call that was understood to its end.
    assert phone.ask("INVITE", "102", body=SDP, pad_to=size) == 480


def test_a_description_of_many_kilobytes_is_read_to_its_end(phone_of: MakePhone) -> None:
    phone = phone_of(socket.SOCK_DGRAM)
    assert phone.ask("REGISTER", phone.username) == 200
    long = SDP + "".join(f"a=x-line:{number} {'x' * 80}\r\n" for number in range(600))
    assert phone.ask("INVITE", "102", body=long) == 480


@pytest.mark.parametrize(
    "keepalive", [b"\r\n", b"\r\n\r\n", b"\0", b"\r\n\0", b"\0\0\0\0", b"\r\n\0\r\n\0", b"\r\n\r\n\0\r\n\r\n", b"\n"]
)
def test_a_keepalive_of_any_spelling_does_no_harm_to_the_next_message(phone_of: MakePhone, keepalive: bytes) -> None:
    phone = phone_of(socket.SOCK_STREAM)
    phone.between = keepalive
    assert phone.ask("REGISTER", phone.username) == 200
    assert phone.ask("REGISTER", phone.username, more="Expires: 0") == 200


def test_a_phone_behind_a_nat_that_asks_for_no_rport_is_answered_where_it_is(phone_of: MakePhone) -> None:
    phone = phone_of(socket.SOCK_DGRAM)
    phone.host, phone.port, phone.rport = "10.9.8.7", 5062, False
    assert phone.ask("REGISTER", phone.username) == 200


def test_a_phone_that_sends_from_another_port_than_it_listens_at_is_answered_at_the_port_of_its_via(
    phone_of: MakePhone,
) -> None:
    listening, phone = phone_of(socket.SOCK_DGRAM), phone_of(socket.SOCK_DGRAM)
    phone.port, phone.rport = listening.port, False
    phone.send(phone.request("REGISTER", phone.username))
    assert listening.receive_final().startswith("SIP/2.0 401 ")

"""A thousand guesses at a password over real sockets get nowhere, and the owner comes in from another address all the while."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.interop.office import Office
from tests.interop.server import password
from tests.interop.wire_phone import WirePhone

GUESSES = 1000
RIGHT_ONE = 500


@contextmanager
def phone(office: Office, host: str, secret: str) -> Iterator[WirePhone]:
    """A phone of extension 105 at an address of this machine."""
    username = f"{office.slug}-105"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((host, 0))
        yield WirePhone(sock, ("127.0.0.1", office.server.sip_port), username, secret)


def test_a_thousand_guesses_get_nowhere_and_the_owner_is_not_shut_out(office_of: Callable[[str], Office]) -> None:
    office = office_of("plain")
    username = f"{office.slug}-105"
    statuses = set()
    with phone(office, "127.0.0.66", "") as guesser, phone(office, "127.0.0.67", password(username)) as owner:
        for number in range(GUESSES):
            guesser._password = password(username) if number == RIGHT_ONE else f"guess {number}"
            statuses.add(guesser.ask("REGISTER", username))
            if number in (0, RIGHT_ONE, GUESSES - 1):
                assert owner.ask("REGISTER", username) == 200
    assert statuses == {401}
    assert f"127.0.0.66 is not listened to as '{username}' for a while" in office.server.log()

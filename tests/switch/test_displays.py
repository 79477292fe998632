"""Identities as headers: readable by the next parser, whatever the name, the number or the address."""

from __future__ import annotations

import pytest

from parkade.calls.identity import Identity
from parkade.sip.message.headers import parse_name_addr
from parkade.switch.displays import address_of, identity_headers


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1"])
@pytest.mark.parametrize(
    "identity",
    [
        Identity("Alice", "101"),
        Identity('Nguyễn "Anh" \\ Văn', "+84901234567"),
        Identity("Park *801 Alice", "*801"),
        Identity("", "#31"),
        Identity("No number", ""),
    ],
)
def test_what_is_shown_can_be_read_back(identity: Identity, host: str) -> None:
    read = parse_name_addr(str(address_of(identity, host)))
    assert read.display == (identity.name or identity.number)
    assert read.address.user_text == (identity.number or "anonymous")
    assert read.address.host == host


def test_both_headers_name_the_same_party() -> None:
    (asserted, value), (remote, older) = identity_headers(Identity("Alice", "101"), "192.0.2.1", "called")
    assert (asserted, remote) == ("P-Asserted-Identity", "Remote-Party-ID")
    assert older.startswith(value)
    assert parse_name_addr(older).param("party") == "called"

"""The registrar keeps where devices are, and refuses what would lose that."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parkade.sip.message.flow import Flow
from parkade.sip.message.message import Request, parse_message
from parkade.switch.contact import request_uri
from parkade.switch.registrar import DEFAULT_EXPIRES_S, MAX_BINDINGS, MAX_CONTACT_BYTES, MAX_CONTACTS, Registrar

FLOW = Flow("UDP", "192.0.2.7", 5060)
NOW = 1_800_000_000.0


def register(contact: str, *, call_id: str = "c1", cseq: int = 1, expires: str | None = None) -> Request:
    lines = [
        "REGISTER sip:pbx.example SIP/2.0",
        "Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bKx",
        "From: <sip:acme-101@pbx.example>;tag=f",
        "To: <sip:acme-101@pbx.example>",
        f"Call-ID: {call_id}",
        f"CSeq: {cseq} REGISTER",
        *([f"Contact: {contact}"] if contact else []),
        *([f"Expires: {expires}"] if expires is not None else []),
        "Content-Length: 0",
    ]
    message = parse_message(("\r\n".join(lines) + "\r\n\r\n").encode())
    assert isinstance(message, Request)
    return message


def test_a_registered_phone_is_found_until_its_binding_expires() -> None:
    registrar = Registrar()
    status, headers = registrar.register("d", register("<sip:d@192.0.2.7:5060>;expires=60"), FLOW, NOW)
    assert status == 200
    assert headers == [("Contact", "<sip:d@192.0.2.7:5060>;expires=60")]
    assert [b.contact for b in registrar.bindings("d", NOW + 59)] == ["sip:d@192.0.2.7:5060"]
    assert registrar.bindings("d", NOW + 61) == []
    assert len(registrar) == 0


def test_the_expires_header_counts_where_the_contact_names_none() -> None:
    registrar = Registrar()
    registrar.register("d", register("<sip:d@192.0.2.7>", expires="120"), FLOW, NOW)
    assert registrar.bindings("d", NOW)[0].expires_at == NOW + 120


def test_an_expiry_beyond_all_reason_counts_as_none() -> None:
    registrar = Registrar()
    for expires in ("9" * 5000, str(2**48), "²"):
        assert registrar.register("d", register("<sip:d@192.0.2.7>", expires=expires, call_id=expires), FLOW, NOW)[0] == 200
        assert registrar.bindings("d", NOW)[0].expires_at == NOW + DEFAULT_EXPIRES_S


def test_the_same_contact_written_differently_is_the_same_place() -> None:
    registrar = Registrar()
    registrar.register("d", register("<sip:%64@Phone.example;ob;transport=tcp>"), FLOW, NOW)
    registrar.register("d", register("<sip:d@phone.example;transport=TCP;ob>", cseq=2), FLOW, NOW)
    assert len(registrar) == 1


def test_too_brief_an_expiry_is_answered_423_and_changes_nothing() -> None:
    registrar = Registrar()
    status, headers = registrar.register("d", register("<sip:d@192.0.2.7>;expires=5"), FLOW, NOW)
    assert (status, headers) == (423, [("Min-Expires", "30")])
    assert registrar.bindings("d", NOW) == []


def test_a_star_with_expires_zero_removes_every_binding() -> None:
    registrar = Registrar()
    registrar.register("d", register("<sip:d@192.0.2.7>, <sip:d@192.0.2.8>"), FLOW, NOW)
    assert len(registrar) == 2
    assert registrar.register("d", register("*", cseq=2, expires="0"), FLOW, NOW) == (200, [])
    assert len(registrar) == 0


def test_a_star_with_any_other_expiry_is_a_bad_request() -> None:
    registrar = Registrar()
    registrar.register("d", register("<sip:d@192.0.2.7>"), FLOW, NOW)
    assert registrar.register("d", register("*", cseq=2, expires="60"), FLOW, NOW)[0] == 400
    assert len(registrar) == 1


@pytest.mark.parametrize("contact", ["*, <sip:d@192.0.2.9>", "<sip:d@192.0.2.9>, *", "*, *", "*;q=1"])
def test_a_star_beside_anything_else_is_a_bad_request(contact: str) -> None:
    """:rfc:`3261` section 10.3 step 6."""
    registrar = Registrar()
    registrar.register("d", register("<sip:d@192.0.2.7>"), FLOW, NOW)
    assert registrar.register("d", register(contact, cseq=2, expires="0"), FLOW, NOW)[0] == 400
    assert [b.contact for b in registrar.bindings("d", NOW)] == ["sip:d@192.0.2.7"]


@pytest.mark.parametrize(
    ("contact", "uri"),
    [
        ("sip:d@h?X=%22y", "sip:d@h"),
        ("sip:d@h;lr?X=y&Y=z", "sip:d@h;lr"),
        ("sip:a?b@h", "sip:a?b@h"),
        ("sip:h?X=y", "sip:h"),
        ('sip:d e@h;x="y"', "sip:d%20e@h;x=%22y%22"),
    ],
)
def test_a_phone_is_called_without_the_headers_of_its_contact(contact: str, uri: str) -> None:
    """:rfc:`3261` section 19.1.1 table 1: a Request-URI has none, and a phone refuses one that has."""
    assert request_uri(contact) == uri


def test_however_many_long_contacts_the_answer_fits_into_a_datagram() -> None:
    registrar = Registrar()
    for cseq in range(1, 20):
        contact = f"<sip:d@192.0.2.{cseq};x={'y' * (MAX_CONTACT_BYTES - 30)}>"
        status, headers = registrar.register("d", register(contact, call_id=f"c{cseq}", cseq=cseq), FLOW, NOW)
        assert status == 200
        assert sum(len(name) + len(value) + 4 for name, value in headers) < 18_000
    contact = f"<sip:d@192.0.2.200;x={'y' * MAX_CONTACT_BYTES}>"
    assert registrar.register("d", register(contact, call_id="long"), FLOW, NOW) == (513, [])
    assert len(registrar) == MAX_BINDINGS


def test_a_register_overtaken_by_a_later_one_changes_nothing() -> None:
    registrar = Registrar()
    registrar.register("d", register("<sip:d@192.0.2.7>", cseq=5), FLOW, NOW)
    assert registrar.register("d", register("<sip:d@192.0.2.7>;expires=0", cseq=4), FLOW, NOW)[0] == 500
    assert len(registrar) == 1


def test_the_same_phone_at_a_new_address_replaces_its_old_binding() -> None:
    registrar = Registrar()
    instance = '+sip.instance="<urn:uuid:00000000-0000-1000-8000-000A95A0E128>"'
    registrar.register("d", register(f"<sip:d@192.0.2.7>;{instance}"), FLOW, NOW)
    registrar.register("d", register(f"<sip:d@192.0.2.99>;{instance}", call_id="c2"), FLOW, NOW)
    assert [b.contact for b in registrar.bindings("d", NOW)] == ["sip:d@192.0.2.99"]


def test_one_account_in_two_phones_is_reachable_at_both() -> None:
    registrar = Registrar()
    registrar.register("d", register("<sip:d@192.0.2.7>"), FLOW, NOW)
    registrar.register("d", register("<sip:d@192.0.2.8>", call_id="c2"), Flow("UDP", "192.0.2.8", 5060), NOW)
    assert [b.flow.host for b in registrar.bindings("d", NOW)] == ["192.0.2.7", "192.0.2.8"]


def test_one_device_cannot_claim_to_be_everywhere() -> None:
    registrar = Registrar()
    contacts = ", ".join(f"<sip:d@192.0.2.{n}>" for n in range(MAX_BINDINGS + 1))
    assert registrar.register("d", register(contacts), FLOW, NOW)[0] == 200
    assert len(registrar) == MAX_BINDINGS


def test_a_register_with_more_contacts_than_any_phone_has_changes_nothing() -> None:
    registrar = Registrar()
    registrar.register("d", register("<sip:d@192.0.2.7>"), FLOW, NOW)
    for count, status in ((MAX_CONTACTS, 200), (MAX_CONTACTS + 1, 513)):
        contacts = ", ".join(f"<sip:{n}@192.0.2.7>" for n in range(count))
        before = registrar.bindings("d", NOW)
        answered, _ = registrar.register("d", register(contacts, call_id=f"c{count}"), FLOW, NOW)
        assert answered == status
        assert (registrar.bindings("d", NOW) == before) is (status == 513)


@given(st.lists(st.integers(0, 20), min_size=1, max_size=60))
def test_one_registration_too_many_takes_the_place_of_the_oldest(places: list[int]) -> None:
    """Whoever registers now is the live one; the dead are among those who have not done so for longest."""
    registrar = Registrar()
    for cseq, place in enumerate(places):
        request = register(f"<sip:d@192.0.2.{place}>", call_id=f"c{place}", cseq=cseq)
        status, headers = registrar.register("d", request, FLOW, NOW + cseq)
        assert status == 200
        assert f"<sip:d@192.0.2.{place}>" in headers[-1][1]
    latest = list(dict.fromkeys(reversed(places)))[:MAX_BINDINGS]
    assert [b.contact for b in registrar.bindings("d", NOW + 60)] == [f"sip:d@192.0.2.{place}" for place in reversed(latest)]


@pytest.mark.parametrize(
    ("contact", "stored"),
    [
        ('<sip:d@192.0.2.7;reg-id="1">', 'sip:d@192.0.2.7;reg-id="1"'),
        ('<sip:d@192.0.2.7;+sip.instance="<urn:uuid:0-0>";ob>;expires=60', 'sip:d@192.0.2.7;+sip.instance="<urn:uuid:0-0>";ob'),
        ('"D > e" <sip:d@192.0.2.7>', "sip:d@192.0.2.7"),
        ("<sip:d@phone_7_.local:99999;x;y=z;;=q>", "sip:d@phone_7_.local:99999;x;y=z;;=q"),
        ("<sip:d e@192.0.2.7>", "sip:d e@192.0.2.7"),
        ("<SIP:d@[::1>", "SIP:d@[::1"),
        ("<sip:d@192.0.2.7?X=y>;expires=60", "sip:d@192.0.2.7?X=y"),
        ("<sip:d@192.0.2.7>;q=;=;expires", "sip:d@192.0.2.7"),
        ("<sip:d@192.0.2.7", "sip:d@192.0.2.7"),
        ("<mailto:d@example.com>, <sip:d@192.0.2.7>", "sip:d@192.0.2.7"),
    ],
)
def test_a_contact_that_breaks_the_grammar_is_stored_and_sent_back_as_it_came(contact: str, stored: str) -> None:
    """Phones look for their own Contact in the answer; the flow leads to them whatever it says."""
    registrar = Registrar()
    for cseq in (1, 2):
        status, headers = registrar.register("d", register(contact, cseq=cseq), FLOW, NOW)
        assert status == 200
        assert [value.partition(">;expires")[0] for _, value in headers] == [f"<{stored}"]


FROM_THE_WIRE = st.binary(max_size=60).map(lambda data: data.decode("utf-8", "surrogateescape").translate({10: None, 13: None}))


@given(st.text(st.characters(exclude_characters="\r\n", codec="utf-8"), max_size=40) | FROM_THE_WIRE)
def test_whatever_stands_in_a_contact_it_is_stored_or_refused(text: str) -> None:
    registrar = Registrar()
    for contact in (text, f"<{text}>", f"<sip:{text}>", f"<sip:d@192.0.2.7;{text}>;{text}"):
        request = register("<sip:x@h>")
        request.headers.set("Contact", contact)
        status, _ = registrar.register("d", request, FLOW, NOW)
        assert status in {200, 400, 423, 500}
        for binding in registrar.bindings("d", NOW):
            assert request_uri(binding.contact).isprintable() or not binding.contact.isprintable()
            assert not set(request_uri(binding.contact)) & set(' \t<>"')


def test_a_lost_stream_takes_its_bindings_along_and_no_others() -> None:
    registrar = Registrar()
    stream = Flow("TCP", "192.0.2.7", 40000, 3)
    registrar.register("d", register("<sip:d@192.0.2.7;transport=tcp>"), stream, NOW)
    registrar.register("d", register("<sip:d@192.0.2.8>", call_id="c2"), FLOW, NOW)
    registrar.flow_lost(stream)
    assert [b.contact for b in registrar.bindings("d", NOW)] == ["sip:d@192.0.2.8"]


def test_a_register_without_a_contact_only_asks() -> None:
    registrar = Registrar()
    registrar.register("d", register("<sip:d@192.0.2.7>;expires=100"), FLOW, NOW)
    status, headers = registrar.register("d", register("", cseq=2), FLOW, NOW + 40)
    assert (status, headers) == (200, [("Contact", "<sip:d@192.0.2.7>;expires=60")])


def test_a_contact_that_is_no_sip_address_is_refused() -> None:
    registrar = Registrar()
    for contact in ("<mailto:d@example.com>", "sip:d@192.0.2.7?Route=%3Csip:h%3E", "<sip:>", "<sip:@h>", "<sip:;ob>", "<>"):
        assert registrar.register("d", register(contact), FLOW, NOW)[0] == 400
    assert len(registrar) == 0


INSTANCES = ["urn:uuid:a", "urn:uuid:b"]


def test_two_phones_with_instance_ids_of_their_own_are_two_places_also_at_one_address() -> None:
    """:rfc:`5626` section 6: two homes behind two routers, each phone at 192.168.1.10."""
    registrar = Registrar()
    flows = [Flow("TCP", f"203.0.113.{n}", 40000, n) for n in (1, 2)]
    for n, flow in enumerate(flows):
        contact = f'<sip:d@192.168.1.10:5060;transport=tcp>;+sip.instance="<{INSTANCES[n]}>"'
        registrar.register("d", register(contact, call_id=f"c{n}"), flow, NOW)
    assert [b.flow for b in registrar.bindings("d", NOW)] == flows
    registrar.flow_lost(flows[0])
    assert [b.flow for b in registrar.bindings("d", NOW)] == flows[1:]

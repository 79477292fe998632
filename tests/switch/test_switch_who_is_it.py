"""Who is it: what a wrong password, another's words and a stranger's claims are worth at the door."""

from __future__ import annotations

import pytest

from parkade.sip.message.message import Request, Response
from tests.stories.office import GATEWAY, Office
from tests.switch.raw_phone import RawPhone

METHODS = ["REGISTER", "INVITE", "SUBSCRIBE", "MESSAGE"]


def shape(response: Response) -> list[tuple[str, str]]:
    """The headers of a response without what differs each time."""
    headers = [(name, value) for name, value in response.headers if name not in ("Via", "From", "To", "Call-ID")]
    return [(name, value.partition("nonce=")[0]) for name, value in headers]


@pytest.mark.parametrize("method", METHODS)
def test_a_wrong_password_and_a_name_that_nobody_has_get_the_same_answer(office: Office, method: str) -> None:
    """Neither the status nor any header tells which names exist (:rfc:`3261` section 22.1, :rfc:`8760`)."""
    answers = []
    for device, host in (("acme-101", "192.0.2.77"), ("nobody", "192.0.2.78")):
        phone = RawPhone(office.world, device, host)
        phone.password = "guess"
        request = phone.ask(method, "102", body=phone.sdp if method == "INVITE" else b"")
        if method == "INVITE":
            phone.acknowledge(request)
        first, second = phone.responses(method)
        answers.append((first.status, second.status, shape(first), shape(second)))
    assert answers[0] == answers[1]
    assert answers[0][:2] == (401, 401)
    assert "stale" not in str(answers)


def test_a_challenge_offers_both_algorithms_and_either_is_accepted(office: Office) -> None:
    """:rfc:`8760` section 2.4."""
    phone = RawPhone(office.world, "acme-104", "192.0.2.77")
    for algorithm in ("MD5", "SHA-256"):
        register = phone.request("REGISTER", "acme-104", call_id=algorithm)
        phone.send(register)
        office.run(0.01)
        challenge = phone.responses("REGISTER", algorithm)[-1]
        offered = challenge.headers.all("WWW-Authenticate")
        assert [a for text in offered for a in ("MD5", "SHA-256") if f"algorithm={a}" in text] == ["MD5", "SHA-256"]
        (chosen,) = [text for text in offered if f"algorithm={algorithm}" in text]
        challenge.headers.remove("WWW-Authenticate")
        challenge.headers.add("WWW-Authenticate", chosen)
        again = phone.request("REGISTER", "acme-104", call_id=algorithm, seq=2, headers=[phone.authorization(register)])
        phone.send(again)
        office.run(0.01)
        assert phone.statuses("REGISTER", algorithm) == [401, 200]


@pytest.mark.parametrize("method", ["REGISTER", "INVITE"])
def test_an_authorization_that_was_overheard_is_worth_nothing_a_second_time(office: Office, method: str) -> None:
    """The nonce count lets a server see replays (:rfc:`7616` section 3.3); what is right but used is ``stale``."""
    _ = office.bob
    phone = RawPhone(office.world, "acme-104", "192.0.2.77")
    overheard = phone.ask(method, "102", body=phone.sdp if method == "INVITE" else b"")
    assert phone.statuses(method)[-1] in (180, 200)
    thief = RawPhone(office.world, "acme-104", "203.0.113.66")
    proof = overheard.headers.get("Authorization")
    assert proof is not None
    for call_id in ("theft", "again"):
        stolen = thief.request(method, "102", call_id=call_id, seq=5, headers=[("Authorization", proof)], body=overheard.body)
        thief.send(stolen)
        office.run(0.1)
        (answer,) = thief.responses(method, call_id)
        assert answer.status == 401
        assert "stale=true" in (answer.headers.get("WWW-Authenticate") or "")
        if method == "INVITE":
            thief.acknowledge(stolen)
    assert office.world.switch.counts()["calls"] == (1 if method == "INVITE" else 0)
    if method == "INVITE":
        phone.send(cancel(overheard))
        office.run(0.1)
        phone.acknowledge(overheard)


def cancel(invite: Request) -> Request:
    headers = invite.headers.copy()
    for name in ("Authorization", "Contact", "Content-Type"):
        headers.remove(name)
    headers.set("CSeq", f"{invite.cseq.number} CANCEL")
    return Request("CANCEL", invite.uri, headers)


def test_the_same_nonce_may_be_used_again_with_the_next_count(office: Office) -> None:
    phone = RawPhone(office.world, "acme-104", "192.0.2.77")
    phone.ask("REGISTER", "acme-104")
    again = phone.request("REGISTER", "acme-104", seq=3)
    again.headers.add(*phone.authorization(again, 2))
    phone.send(again)
    office.run(0.01)
    assert phone.statuses("REGISTER") == [401, 200, 200]


def test_a_nonce_grows_old(office: Office) -> None:
    phone = RawPhone(office.world, "acme-104", "192.0.2.77")
    phone.ask("REGISTER", "acme-104")
    office.run(3700)
    again = phone.request("REGISTER", "acme-104", seq=3)
    again.headers.add(*phone.authorization(again, 2))
    phone.send(again)
    office.run(0.01)
    assert phone.statuses("REGISTER") == [401, 200, 401]
    assert "stale=true" in (phone.responses("REGISTER")[-1].headers.get("WWW-Authenticate") or "")


def test_the_proof_of_one_device_registers_no_other(office: Office) -> None:
    """Bindings belong to whose credentials came, whatever the To says; so nobody takes another's calls."""
    bob = office.bob
    mallory = RawPhone(office.world, "acme-104", "192.0.2.77")
    mallory.ask("REGISTER", "acme-102")
    assert mallory.statuses("REGISTER")[-1] == 200
    call = office.alice.call("102")
    office.run(1)
    assert bob.ringing
    assert not mallory.requests("INVITE")
    call.hang_up()


def test_a_bye_from_somebody_who_does_not_know_the_dialog_ends_nothing(office: Office) -> None:
    """481 for tags that fit no dialog (:rfc:`3261` section 15.1.2)."""
    caller, answered = office.talk(office.alice, office.bob)
    thief = RawPhone(office.world, "acme-104", "203.0.113.66")
    for tag in ("", "guess"):
        thief.send(thief.request("BYE", "102", call_id=caller.call_id, seq=9, to_tag=tag))
        office.run(0.1)
    assert caller.hears(office.bob)
    assert answered.hears(office.alice)


def test_a_device_known_by_its_address_is_known_at_no_other(office: Office) -> None:
    _ = office.outside, office.bob
    thief = RawPhone(office.world, "line", "203.0.113.66")
    invite = thief.request("INVITE", "102", body=thief.sdp)
    thief.send(invite)
    office.run(0.1)
    assert thief.statuses("INVITE") == [401]
    thief.acknowledge(invite)


def behind_the_gateway(office: Office, device: str) -> RawPhone:
    """A phone behind the address from which the gateway calls."""
    _ = office.outside, office.bob
    office.world.detach(office.outside.address)
    phone = RawPhone(office.world, device, GATEWAY)
    phone.password = "guess"
    return phone


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["acme-101", "zeta-999", "%61cme-101", "acme-101;x=y"])
def test_a_phone_behind_the_address_of_a_gateway_is_asked_for_its_own_password(office: Office, method: str, name: str) -> None:
    """Credentials are looked at wherever a request comes from; a wrong password never turns into the gateway."""
    phone = behind_the_gateway(office, name)
    request = phone.request(method, "102", body=phone.sdp if method == "INVITE" else b"")
    phone.send(request)
    office.run(0.1)
    claims_a_device = method == "REGISTER" or "101" in name
    if claims_a_device:
        assert phone.statuses(method) == [401]
        phone.device = "acme-101" if "101" in name else name
        again = phone.request(
            method, "102", seq=2, headers=[phone.authorization(request)], body=phone.sdp if method == "INVITE" else b""
        )
        phone.send(again)
        office.run(0.1)
        assert phone.statuses(method)[-1] == 401
    assert not office.bob.ringing or not claims_a_device
    for invite in phone.requests("INVITE"):
        phone.acknowledge(invite)
    office.bob.hang_up()
    office.run(40)


@pytest.mark.parametrize("name", ["acme-101", "nobody"])
@pytest.mark.parametrize(
    "proof",
    [
        'Digest username="NAME", realm="parkade", nonce="n", uri="sip:102@acme.example.com", response="0"',
        'Digest username="NAME", realm="elsewhere", nonce="n", uri="sip:x", response="0"',
        "Digest",
        "Digest ,,=",
        "Basic bm9ib2R5",
        "",
        "\udcff",
    ],
)
@pytest.mark.parametrize("header", ["Authorization", "Proxy-Authorization"])
def test_a_request_with_credentials_is_challenged_also_from_the_address_of_a_gateway(
    office: Office, name: str, proof: str, header: str
) -> None:
    phone = behind_the_gateway(office, "line")
    proof = proof.replace("NAME", name)
    request = phone.request("INVITE", "102", headers=[(header, proof)], body=phone.sdp)
    phone.send(request)
    office.run(0.1)
    assert phone.statuses("INVITE") == [401]
    phone.acknowledge(request)
    assert not office.bob.ringing


@pytest.mark.parametrize(
    ("from_", "to", "accepted"), [("line", "line", True), ("line", "acme-101", False), ("555", "555", False)]
)
def test_a_gateway_registers_by_its_address_as_itself_and_as_nobody_else(
    office: Office, from_: str, to: str, accepted: bool
) -> None:
    phone = behind_the_gateway(office, from_)
    phone.send(phone.request("REGISTER", to))
    office.run(0.1)
    assert phone.statuses("REGISTER") == [200 if accepted else 401]


@pytest.mark.parametrize("name", ["line", "0901234567", "+84901234567", "anonymous", "John.Smith", ""])
def test_a_gateway_says_of_its_caller_what_it_likes_as_long_as_it_is_no_device(office: Office, name: str) -> None:
    phone = behind_the_gateway(office, name)
    invite = phone.request("INVITE", "102", body=phone.sdp)
    if not name:
        invite.headers.set("From", "<sip:192.0.2.200>;tag=1")
    phone.send(invite)
    office.run(0.1)
    assert office.bob.ringing
    office.bob.hang_up()
    office.run(40)

"""How phones are reached: over streams that break, behind routers that lie, in several places at once."""

from __future__ import annotations

import pytest

from parkade.sip.message.flow import Flow, Send
from parkade.sip.message.message import Request, Response, make_response
from parkade.testing.phone import FakePhone
from parkade.testing.world import SERVER
from tests.stories.office import Office, invite, response
from tests.switch.raw_phone import RawPhone


def stream_of(office: Office, phone: FakePhone) -> Flow:
    """The newest stream of ``phone``."""
    return office.world.net.streams(phone.address)[-1]


@pytest.mark.parametrize("who", ["caller", "called"])
def test_a_stream_that_breaks_in_a_call_is_replaced_when_its_phone_registers_again(office: Office, who: str) -> None:
    """The dialog outlives its connection (:rfc:`5923`); whoever registers anew over another is reached there."""
    alice, bob = office.phone("acme-101", transport="TCP"), office.phone("acme-102", transport="TCP")
    caller, answered = office.talk(alice, bob)
    phone, other = (alice, answered) if who == "caller" else (bob, caller)
    office.world.net.break_stream(stream_of(office, phone), office.world.now)
    office.run(5)
    assert caller.hears(bob)
    assert answered.hears(alice)
    phone.register()
    office.run(1)
    assert phone.registered
    other.hang_up()
    office.run(1)
    assert not phone.live
    assert len(phone.recorder.received("BYE")) == 1


def test_a_phone_whose_stream_broke_holds_parks_and_picks_up_as_before(office: Office) -> None:
    bob = office.phone("acme-102", transport="TCP")
    caller, answered = office.talk(office.alice, bob)
    office.world.net.break_stream(stream_of(office, bob), office.world.now)
    office.run(1)
    bob.register()
    office.run(1)
    answered.hold()
    office.run(1)
    assert caller.hears("music")
    office.park(answered)
    retrieved = bob.call("*801")
    office.run(1)
    assert retrieved.hears(office.alice)


def test_a_stream_that_breaks_while_its_phone_is_parked_loses_nobody(office: Office) -> None:
    alice = office.phone("acme-101", transport="TCP")
    caller = office.parked(alice, office.bob)
    office.world.net.break_stream(stream_of(office, alice), office.world.now)
    office.run(30)
    assert caller.hears("music")
    alice.register()
    office.run(1)
    retrieved = office.carol.call("*801")
    office.run(1)
    assert retrieved.hears(alice)
    retrieved.hang_up()
    office.run(1)
    assert caller.ended == "bye"


def test_a_phone_whose_stream_is_gone_is_not_rung_until_it_registers_again(office: Office) -> None:
    bob = office.phone("acme-102", transport="TCP")
    office.world.net.break_stream(stream_of(office, bob), office.world.now)
    office.run(1)
    call = office.alice.call("102")
    office.run(1)
    assert call.refused == 480
    bob.register()
    office.run(1)
    office.talk(office.alice, bob)


def test_a_stream_that_breaks_while_its_phone_rings_counts_as_no_phone(office: Office) -> None:
    bob = office.phone("acme-102", transport="TCP")
    call = office.alice.call("102")
    office.run(1)
    assert bob.ringing
    office.world.net.break_stream(stream_of(office, bob), office.world.now)
    office.run(1)
    assert call.state == "ended"
    office.world.net.cut(bob.address)
    bob.hang_up()
    office.run(1)
    office.world.net.mend(bob.address, office.world.now)


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
def test_a_phone_behind_nat_is_reached_where_its_register_came_from(office: Office, transport: str) -> None:
    """``received`` and ``rport`` (:rfc:`3581`); requests go back along the flow of the registration (:rfc:`5626`)."""
    bob = office.phone("acme-102", transport=transport, nat=True)
    assert bob.host.startswith("10.")
    registered = bob.recorder.received("200 REGISTER")[-1]
    assert isinstance(registered, Response)
    if transport == "UDP":
        assert registered.top_via.param("received") == bob.address.host
        assert registered.top_via.param("rport") == str(bob.address.port)
    caller, answered = office.talk(office.alice, bob)
    assert f"@{bob.host}" in invite(answered).uri
    answered.hold()
    office.run(1)
    assert caller.hears("music")
    caller.hang_up()
    office.run(1)
    assert answered.ended == "bye"
    sent = [packet for _, packet in office.world.net.log if packet.source == SERVER]
    assert not [packet for packet in sent if packet.target.host.startswith("10.")]


def test_a_phone_that_moves_to_another_port_is_followed_by_its_next_request(office: Office) -> None:
    """A router may give a phone a new port in the middle of a call: answers and requests go where it was last heard."""
    phone = RawPhone(office.world, "acme-103", "192.0.2.77")
    phone.contact_host = "10.0.0.77"
    phone.register()
    call = office.dave.call("103")
    office.run(0.1)
    (rung,) = phone.requests("INVITE")
    phone.answer(rung, 180)
    phone.answer(rung, 200, body=phone.sdp)
    office.run(0.1)
    assert call.is_up
    moved = phone.address._replace(port=40001)
    office.world.attach(moved, phone)
    info = phone.in_dialog("INFO", rung, seq=1)
    office.world.net.perform(moved, Send(Flow("UDP", *SERVER), info.encode()), office.world.now)
    office.run(0.1)
    call.hang_up()
    office.run(0.1)
    byes = [p for _, p in office.world.net.log if p.source == SERVER and p.data.startswith(b"BYE")]
    assert [bye.target for bye in byes] == [moved]
    phone.answer(phone.requests("BYE")[-1], 200)


def test_a_phone_that_registers_from_another_port_takes_its_calls_along(office: Office) -> None:
    """A router has forgotten the phone and gives it a new port: the old one leads nowhere any more."""
    phone = RawPhone(office.world, "acme-103", "192.0.2.77")
    phone.contact_host = "10.0.0.77"
    phone.register()
    call = office.dave.call("103")
    office.run(0.1)
    (rung,) = phone.requests("INVITE")
    phone.answer(rung, 200, body=phone.sdp)
    office.world.detach(phone.address)
    phone.address = phone.address._replace(port=40001)
    office.world.attach(phone.address, phone)
    phone.register(call_id="again")
    call.hang_up()
    office.run(0.1)
    phone.answer(phone.requests("BYE")[-1], 200)
    byes = [p.target for _, p in office.world.net.log if p.source == SERVER and p.data.startswith(b"BYE")]
    assert byes == [phone.address]


def test_a_device_registered_in_two_places_rings_in_both_and_one_answers(office: Office) -> None:
    """One INVITE for each binding (:rfc:`3261` section 16.6); what has not answered is cancelled."""
    here, there = office.bob, office.phone("acme-102", transport="TCP")
    call = office.alice.call("102")
    office.run(1)
    assert here.ringing
    assert there.ringing
    assert invite(here.ringing).call_id != invite(there.ringing).call_id
    there.answer()
    office.run(1)
    assert call.hears(there)
    assert not here.live
    assert here.recorder.received("CANCEL")[0].headers.get("Reason") == 'SIP;cause=200;text="Call completed elsewhere"'


def test_of_a_device_in_two_places_one_may_be_gone(office: Office) -> None:
    office.phone("acme-102")
    gone, here = office.bob, office.phones[0]
    office.world.net.cut(gone.address)
    call = office.alice.call("102")
    office.run(1)
    assert here.ringing
    here.answer()
    office.run(40)
    assert call.hears(here)
    office.world.net.mend(gone.address, office.world.now)


def test_busy_in_one_place_does_not_stop_the_other(office: Office) -> None:
    other = office.phone("acme-102")
    office.bob.rejects = 486
    call = office.alice.call("102")
    office.run(1)
    assert other.ringing
    other.answer()
    office.run(1)
    assert call.hears(other)


def test_a_phone_that_rings_with_sound_of_its_own_is_heard_before_the_answer(office: Office) -> None:
    """Early media of the callee reaches the caller in a 183 (:rfc:`3960` section 3.1)."""
    bob = office.bob
    bob.rings = False
    call = office.alice.call("102")
    office.run(0.1)
    assert bob.ringing
    bob.ringing.ring(183, early_media=True)
    office.run(0.5)
    assert response(call, 183).body
    assert call.hears(bob)
    bob.answer()
    office.run(0.5)
    assert call.hears(bob)
    assert bob.current.hears(office.alice)


def test_a_phone_cannot_send_its_calls_outside(office: Office) -> None:
    """A 302 is followed within the account alone (:rfc:`3261` section 8.1.3.4 leaves that to us)."""
    phone = RawPhone(office.world, "acme-103", "192.0.2.77")
    phone.register()
    call = office.dave.call("103")
    office.run(0.1)
    (rung,) = phone.requests("INVITE")
    phone.answer(rung, 302, [("Contact", "<sip:+1900555@evil.example>")])
    office.run(1)
    assert call.refused == 480


def two_phones(office: Office) -> tuple[FakePhone, FakePhone]:
    """Two phones over TCP that are the same device; the first is called and answers, and its stream breaks."""
    _ = office.alice
    first, second = (office.phone("acme-102", transport="TCP") for _ in range(2))
    return first, second


def test_a_phone_that_refreshes_does_not_take_over_the_call_of_another_phone_of_its_device(office: Office) -> None:
    """Which phone a call is at shows in its Contact, its instance id and the Call-ID of its registrations."""
    first, second = two_phones(office)
    call = office.alice.call("102")
    office.run(0.1)
    answered = first.answer()
    office.run(0.1)
    office.world.net.break_stream(stream_of(office, first), office.world.now)
    office.run(1)
    second.register()
    office.run(1)
    first.register()
    office.run(1)
    call.hang_up()
    office.run(1)
    assert answered.ended == "bye"
    assert not second.recorder.received("BYE")


@pytest.mark.parametrize("calls", ["out", "in"])
def test_a_refresh_in_between_leaves_the_broken_call_to_its_own_phone(office: Office, calls: str) -> None:
    first, second = two_phones(office)
    if calls == "out":
        mine = first.call("101")
        office.run(0.1)
        other = office.alice.answer()
    else:
        other = office.alice.call("102")
        office.run(0.1)
        mine = first.answer()
    office.run(0.1)
    office.world.net.break_stream(stream_of(office, first), office.world.now)
    office.run(1)
    for _ in range(3):
        second.register()
        office.run(1)
    first.register()
    office.run(1)
    other.hang_up()
    office.run(1)
    assert mine.ended == "bye"
    assert not second.recorder.received("BYE")


@pytest.mark.parametrize(
    ("contact", "call_id", "follows"),
    [
        ("<sip:acme-103@192.0.2.77>", "other", True),
        ("<sip:acme-103@192.0.2.77:40002;transport=tcp>", "register", True),
        ("<sip:acme-103@192.0.2.78>", "other", False),
        ('<sip:acme-103@192.0.2.78>;+sip.instance="<urn:uuid:a>"', "other", True),
        ('<sip:acme-103@192.0.2.77>;+sip.instance="<urn:uuid:b>"', "register", False),
    ],
)
def test_which_registration_takes_a_broken_call_along(office: Office, contact: str, call_id: str, follows: bool) -> None:
    """An instance id decides (:rfc:`5626`); without one on both sides, the Call-ID of the registrations or the Contact does."""
    phone = RawPhone(office.world, "acme-103", "192.0.2.77", "TCP")
    instance = ('+sip.instance="<urn:uuid:a>"') if "instance" in contact else "q=1"
    first = phone.request("REGISTER", "acme-103", call_id="register")
    first.headers.set("Contact", f"<sip:acme-103@192.0.2.77>;{instance}")
    proven(office, phone, first)
    call = office.dave.call("103")
    office.run(0.1)
    (rung,) = phone.requests("INVITE")
    phone.answer(rung, 200, body=phone.sdp)
    office.world.net.break_stream(office.world.net.streams(phone.address)[-1], office.world.now)
    office.run(1)
    again = RawPhone(office.world, "acme-103", "192.0.2.99", "TCP")
    second = again.request("REGISTER", "acme-103", call_id=call_id, seq=10)
    second.headers.set("Contact", contact)
    proven(office, again, second)
    call.hang_up()
    office.run(1)
    assert bool(again.requests("BYE")) == follows
    for bye in again.requests("BYE")[:1]:
        again.answer(bye, 200)
    office.run(40)


def proven(office: Office, phone: RawPhone, request: Request) -> None:
    """Send ``request``, and once more with what the challenge asks for."""
    phone.send(request)
    office.run(0.01)
    again = phone.request(request.method, "acme-103", call_id=request.call_id, seq=request.cseq.number + 1)
    again.headers.set("Contact", request.headers.get("Contact") or "")
    again.headers.add(*phone.authorization(request))
    phone.send(again)
    office.run(0.01)
    assert phone.statuses(request.method, request.call_id)[-1] == 200


@pytest.mark.parametrize(
    "broken", ['sip:acme-103@192.0.2.77;x="1"', 'sip:acme-103@192.0.2.77;y="<z>"', "sip:acme 103@192.0.2.77"]
)
def test_a_phone_whose_contact_breaks_the_grammar_is_rung_where_it_registered(office: Office, broken: str) -> None:
    """The flow leads there (:rfc:`5626` section 5.3), and the Request-URI is one that can be read."""
    phone = RawPhone(office.world, "acme-103", "192.0.2.77")
    request = phone.request("REGISTER", "acme-103", call_id="register")
    request.headers.set("Contact", f"<{broken}>")
    proven(office, phone, request)
    assert f"<{broken}>" in (phone.responses("REGISTER", "register")[-1].headers.get("Contact") or "")
    call = office.dave.call("103")
    office.run(0.1)
    assert phone.requests("INVITE")
    phone.answer(phone.requests("INVITE")[-1], 486)
    office.run(10)
    assert call.refused == 486


def test_the_ninth_registration_locks_nobody_out(office: Office) -> None:
    phone = RawPhone(office.world, "acme-103", "192.0.2.77")
    for n in range(12):
        phone.contact_host = f"192.0.2.{100 + n}"
        phone.ask("REGISTER", "acme-103", call_id=f"register-{n}")
        assert phone.statuses("REGISTER", f"register-{n}")[-1] == 200
    assert office.world.switch.counts()["bindings"] == 8


@pytest.mark.parametrize(
    "contacts",
    [
        ["<sip:102@acme.example.com>"],
        ["<sip:102@10.0.0.1:5070;transport=tcp>;expires=10"],
        ["<tel:102>"],
        ["<sip:1-02@acme.example.com;user=phone>"],
        ["<sip:103@h>;q=0.1, <sip:102@h>;q=0.9, <sip:101@h>;q=x"],
        ["<mailto:dave@example.com>", "<sip:102@h>"],
        ["broken", "<sip:102@h>"],
    ],
)
@pytest.mark.parametrize("dead", [False, True])
def test_a_phone_that_forwards_within_the_account_is_followed(office: Office, contacts: list[str], dead: bool) -> None:
    """A 3xx says whom to call instead (:rfc:`3261` section 21.3); also beside a registration that is dead."""
    phone = RawPhone(office.world, "acme-104", "192.0.2.77")
    phone.register()
    bob = office.bob
    if dead:
        office.world.net.cut(office.phone("acme-104").address)
    if "q=x" in contacts[0]:
        contacts = [contacts[0].replace("q=x", "q=0.5")]
    call = office.alice.call("104")
    office.run(0.1)
    rung = phone.requests("INVITE")[-1]
    answer = make_response(rung, 302, to_tag="raw-tag", headers=[("Contact", value) for value in contacts])
    phone.send(answer)
    office.run(3)
    assert bob.ringing
    bob.answer()
    office.run(1)
    assert call.hears(bob)


@pytest.mark.parametrize("status", [300, 301, 302, 305, 380])
@pytest.mark.parametrize("contact", [None, "<sip:+1900555@evil.example>", "<mailto:x@y>", "*", ""])
def test_a_phone_that_forwards_to_where_nobody_can_be_called_is_no_mystery(
    office: Office, status: int, contact: str | None
) -> None:
    phone = RawPhone(office.world, "acme-103", "192.0.2.77")
    phone.register()
    call = office.dave.call("103")
    office.run(0.1)
    rung = phone.requests("INVITE")[-1]
    headers = [] if contact is None else [("Contact", contact)]
    phone.send(make_response(rung, status, to_tag="raw-tag", headers=headers))
    office.run(1)
    assert call.refused == 480
    assert "registered" not in (response(call, 480).headers.get("Warning") or "")

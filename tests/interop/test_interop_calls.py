"""Registering, calling, holding and transferring, with phones that are not ours; sound is checked at both ends."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.interop.office import Office, hear_each_other, refer_status, talk

pytestmark = pytest.mark.interop


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_phone_registers_and_takes_it_back(office: Office, transport: str) -> None:
    phone = office.pjsip("101", transport=transport)
    phone.wait_ready()
    phone.register()
    phone.unregister()


def test_a_wrong_password_is_challenged_again_and_never_let_in(office: Office) -> None:
    phone = office.pjsip("101", password="not this one")
    phone.wait_ready()
    phone._do("register", on=True)
    assert phone.wait_event("registration", "an answer")["code"] in (401, 403)
    assert all(message.status == 401 for message in phone.messages("rx"))


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_two_phones_talk_and_see_each_others_names(office: Office, transport: str) -> None:
    alice, bob = office.pjsip("101", transport=transport), office.pjsip("102", transport=transport)
    office.ready()
    outgoing, incoming = talk(alice, bob, "102")
    invite = next(m for m in bob.messages("rx") if m.first_line.startswith("INVITE"))
    assert '"Alice" <sip:101@' in invite.header("From")
    assert '"Alice" <sip:101@' in invite.header("P-Asserted-Identity")
    ringing = next(m for m in outgoing.messages("rx") if m.status == 180)
    assert '"Bob" <sip:102@' in ringing.header("P-Asserted-Identity")
    incoming.hang_up()
    assert outgoing.wait_ended() == 200


def test_two_phones_without_a_common_codec_hear_each_other(office: Office) -> None:
    alice, bob = office.pjsip("101", codecs="PCMU"), office.pjsip("102", codecs="PCMA")
    office.ready()
    outgoing, incoming = talk(alice, bob, "102")
    outgoing.hang_up()
    assert incoming.wait_ended() == 200


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_baresip_calls_and_is_called(office: Office, transport: str) -> None:
    alice, bob = office.pjsip("101"), office.baresip("102", codecs="PCMA", transport=transport)
    office.ready()
    outgoing = bob.dial("101")
    incoming = alice.wait_call()
    incoming.answer()
    outgoing.wait_talking()
    hear_each_other(outgoing, incoming)
    outgoing.hang_up()
    assert incoming.wait_ended() == 200
    since = bob.position()
    again = alice.dial("102")
    called = bob.wait_call(since=since)
    again.wait_state("early")
    called.answer()
    again.wait_talking()
    hear_each_other(again, called)
    again.hang_up()
    called.wait_ended()


@pytest.mark.parametrize("spelling", ["sendonly", "c0"])
def test_who_is_held_hears_music_and_then_the_other_again(office: Office, spelling: str) -> None:
    alice, bob = office.pjsip("101", hold=spelling), office.baresip("102")
    office.ready()
    outgoing = alice.dial("102")
    incoming = bob.wait_call()
    incoming.answer()
    outgoing.wait_talking()
    hear_each_other(outgoing, incoming)
    outgoing.hold()
    incoming.ear.hears_music()
    outgoing.resume()
    hear_each_other(outgoing, incoming)
    outgoing.hang_up()
    incoming.wait_ended()


def test_baresip_holds_and_resumes(office: Office) -> None:
    alice, bob = office.pjsip("101"), office.baresip("102")
    office.ready()
    outgoing = bob.dial("101")
    incoming = alice.wait_call()
    incoming.answer()
    outgoing.wait_talking()
    hear_each_other(outgoing, incoming)
    outgoing.hold()
    incoming.ear.hears_music()
    outgoing.resume()
    incoming.ear.hears_tone(bob.tone_hz)
    outgoing.hears_packets()
    incoming.hang_up()
    outgoing.wait_ended()


def test_both_hold_each_other_and_come_back(office: Office) -> None:
    alice, bob = office.phones("101", "102")
    outgoing, incoming = talk(alice, bob, "102")
    outgoing.hold()
    incoming.ear.hears_music()
    incoming.hold()
    outgoing.resume()
    outgoing.ear.hears_music()
    incoming.resume()
    hear_each_other(outgoing, incoming)


def test_two_reinvites_at_once_leave_the_call_as_it_was(office: Office) -> None:
    alice, bob = office.phones("101", "102")
    outgoing, incoming = talk(alice, bob, "102")
    for _ in range(5):
        outgoing.reinvite()
        incoming.reinvite()
    hear_each_other(outgoing, incoming)
    outgoing.hang_up()
    assert incoming.wait_ended() == 200


@pytest.mark.parametrize(("answer", "seen"), [(486, 486), (603, 603), (480, 480)])
def test_what_the_called_phone_answers_reaches_the_caller(office: Office, answer: int, seen: int) -> None:
    alice, bob = office.phones("101", "102")
    outgoing = alice.dial("102")
    incoming = bob.wait_call()
    incoming.ring()
    outgoing.wait_state("early")
    incoming.answer(answer)
    assert outgoing.wait_ended() == seen


def test_a_caller_who_gives_up_stops_the_ringing(office: Office) -> None:
    alice, bob = office.phones("101", "102")
    outgoing = alice.dial("102")
    incoming = bob.wait_call()
    incoming.ring()
    outgoing.wait_state("early")
    outgoing.hang_up()
    assert outgoing.code == 487
    assert incoming.wait_ended() == 487


def test_every_phone_of_a_person_rings_and_one_wins(office: Office) -> None:
    alice, bob, bob_at_home = office.pjsip("101"), office.pjsip("102"), office.pjsip("102", codecs="PCMA")
    office.ready()
    outgoing = alice.dial("102")
    desk, home = bob.wait_call(), bob_at_home.wait_call()
    desk.ring()
    home.ring()
    home.answer()
    outgoing.wait_talking()
    hear_each_other(outgoing, home)
    assert desk.wait_ended() == 487
    cancel = next(m for m in bob.messages("rx") if m.first_line.startswith("CANCEL"))
    assert "200" in cancel.header("Reason"), "a phone shows a missed call unless it is told that somebody answered"


def test_numbers_that_nobody_has_or_where_nobody_is(office: Office) -> None:
    (alice,) = office.phones("101")
    assert alice.dial("999").wait_ended() == 404
    assert alice.dial("102").wait_ended() == 480


def test_reliable_provisional_responses_and_session_timers_are_spoken(office: Office) -> None:
    alice = office.pjsip("101", reliable="yes", session_timer_s="90")
    bob = office.pjsip("102", reliable="yes", session_timer_s="90")
    office.ready()
    outgoing, incoming = talk(alice, bob, "102")
    answer = next(m for m in outgoing.messages("rx") if m.status == 200 and m.method == "INVITE")
    assert answer.header("Session-Expires")
    outgoing.hang_up()
    assert incoming.wait_ended() == 200


def test_blind_transfer_takes_the_far_end_to_another_phone(office: Office) -> None:
    alice, bob, carol = office.phones("101", "102", "103")
    outgoing, incoming = talk(alice, bob, "102")
    incoming.transfer("103")
    third = carol.wait_call()
    third.ring()
    third.answer()
    assert incoming.wait_transferred() == 200
    hear_each_other(outgoing, third)
    incoming.wait_ended()
    outgoing.hang_up()
    assert third.wait_ended() == 200


def test_blind_transfer_by_baresip(office: Office) -> None:
    alice, carol, bob = office.pjsip("101"), office.pjsip("103"), office.baresip("102")
    office.ready()
    outgoing = alice.dial("102")
    incoming = bob.wait_call()
    incoming.answer()
    outgoing.wait_talking()
    incoming.transfer("103")
    third = carol.wait_call()
    third.answer()
    hear_each_other(outgoing, third)
    incoming.wait_ended()


def test_attended_transfer_joins_the_two_far_ends(office: Office) -> None:
    alice, bob, carol = office.phones("101", "102", "103")
    outgoing, incoming = talk(alice, bob, "102")
    incoming.hold()
    outgoing.ear.hears_music()
    consultation, third = talk(bob, carol, "103")
    incoming.transfer_to(consultation)
    assert incoming.wait_transferred() == 200
    hear_each_other(outgoing, third)
    incoming.wait_ended()
    consultation.wait_ended()
    third.hang_up()
    assert outgoing.wait_ended() == 200


def test_attended_transfer_while_the_third_phone_still_rings(office: Office) -> None:
    alice, bob, carol = office.phones("101", "102", "103")
    outgoing, incoming = talk(alice, bob, "102")
    incoming.hold()
    consultation = bob.dial("103")
    third = carol.wait_call()
    third.ring()
    consultation.wait_state("early")
    incoming.transfer_to(consultation)
    assert refer_status(incoming) == 202
    third.answer()
    hear_each_other(outgoing, third)
    incoming.wait_ended()
    consultation.wait_ended()


def test_a_transfer_to_a_busy_phone_comes_back(office: Office) -> None:
    alice, bob, carol = office.phones("101", "102", "103")
    outgoing, incoming = talk(alice, bob, "102")
    incoming.transfer("103")
    carol.wait_call().answer(486)
    assert incoming.wait_transferred() == 486
    hear_each_other(outgoing, incoming)


def test_a_transfer_to_nowhere_is_refused_and_the_two_still_talk(office: Office) -> None:
    alice, bob = office.phones("101", "102")
    outgoing, incoming = talk(alice, bob, "102")
    incoming.transfer("999")
    assert refer_status(incoming) == 603
    hear_each_other(outgoing, incoming)


def test_accounts_side_by_side_cannot_reach_each_other(office_of: Callable[[str], Office]) -> None:
    here, there = office_of("plain"), office_of("plain")
    (alice,), (bob,) = here.phones("101"), there.phones("102")
    assert alice.dial("102").wait_ended() == 480
    assert not bob.events("incoming")

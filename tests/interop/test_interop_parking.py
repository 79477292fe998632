"""Parking and picking up in every style that real phones use, with phones that are not ours; sound is checked at both ends.

In each test Bob parks Alice and Carol picks her up. The letters are those by which the styles are known in the documentation.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.interop.office import Office, hear_each_other, park_code, refer_status, talk
from tests.interop.pjsip_phone import PjsipCall, PjsipPhone
from tests.interop.waiting import eventually

pytestmark = pytest.mark.interop


def pick_up(phone: PjsipPhone, code: str, parked: PjsipCall) -> PjsipCall:
    """``phone`` dials ``code`` and talks with ``parked``."""
    call = phone.dial(code)
    call.wait_talking()
    hear_each_other(call, parked)
    return call


def assert_undisturbed(parked: PjsipCall, messages_before: int) -> None:
    """No request has reached the parked phone since then."""
    later = parked.messages("rx")[messages_before:]
    assert not [message.first_line for message in later if message.status is None]


def park_blind(parker: PjsipCall, code: str = "*800") -> str:
    """Style A; gives the code that was assigned."""
    since = parker.phone.position()
    parker.transfer(code)
    assert parker.wait_transferred() == 200
    parker.wait_ended()
    return park_code(parker.phone, since)


@pytest.mark.parametrize(
    ("dialled", "code"), [("*800", "*801"), ("*805", "*805"), ("sip:callpark@parkade.test;orbit=805", "*805")]
)
def test_style_a_blind_transfer_parks_and_another_phone_picks_up(office: Office, dialled: str, code: str) -> None:
    alice, bob, carol = office.phones("101", "102", "103")
    parked, parker = talk(alice, bob, "102")
    before = len(parked.messages("rx"))
    assert park_blind(parker, dialled) == code
    parked.ear.hears_music()
    assert_undisturbed(parked, before)
    call = pick_up(carol, code, parked)
    requests = [m for m in parked.messages("rx")[before:] if m.status is None]
    assert not [m.first_line for m in requests if m.method == "INVITE" or m.body], "its display may change, its media may not"
    answers = [m for m in call.messages("rx") if (m.status or 0) > 100 and m.status != 401]
    assert '"Alice" <sip:101@' in answers[0].header("P-Asserted-Identity")
    assert '"Alice" <sip:101@' in answers[0].header("Remote-Party-ID")
    call.hang_up()
    assert parked.wait_ended() == 200


@pytest.mark.parametrize("dialled", ["**801", "sip:pickup@parkade.test;orbit=801"])
def test_other_ways_of_dialling_a_pick_up_over_tcp(office: Office, dialled: str) -> None:
    alice, bob, carol = (office.pjsip(extension, transport="tcp") for extension in ("101", "102", "103"))
    office.ready()
    parked, parker = talk(alice, bob, "102")
    assert park_blind(parker) == "*801"
    pick_up(carol, dialled, parked)


def test_style_a_with_baresip_at_all_three_ends(office: Office) -> None:
    alice, bob, carol = office.baresip("101"), office.baresip("102", codecs="PCMA"), office.baresip("103")
    office.ready()
    parked = alice.dial("102")
    parker = bob.wait_call()
    parker.answer()
    parked.wait_talking()
    hear_each_other(parked, parker)
    parker.transfer("*800")
    parker.wait_ended()
    parked.ear.hears_music()
    call = carol.dial("*801")
    call.wait_talking()
    hear_each_other(call, parked)
    call.hang_up()
    parked.wait_ended()


def test_style_b_attended_transfer_parks_and_says_the_code(office: Office) -> None:
    alice, bob, carol = office.phones("101", "102", "103")
    parked, parker = talk(alice, bob, "102")
    before = len(parked.messages("rx"))
    parker.hold()
    consultation = bob.dial("*800")
    consultation.wait_talking()
    code = park_code(bob)
    consultation.ear.hears_phrase("parked-at")
    parker.transfer_to(consultation)
    assert parker.wait_transferred() == 200
    parker.wait_ended()
    consultation.wait_ended()
    parked.ear.hears_music()
    assert_undisturbed(parked, before)
    pick_up(carol, code, parked)


def test_style_c_dialling_the_park_code_parks_the_held_call(office: Office) -> None:
    alice, bob, carol = office.phones("101", "102", "103")
    parked, parker = talk(alice, bob, "102")
    before = len(parked.messages("rx"))
    parker.hold()
    announcement = bob.dial("*800")
    announcement.wait_talking()
    assert park_code(bob) == "*801"
    announcement.ear.hears_phrase("parked-at")
    parked.ear.hears_music()
    assert announcement.wait_ended(within_s=20) == 200
    parker.wait_ended()
    assert_undisturbed(parked, before)
    pick_up(carol, "*801", parked)


def test_style_c_with_baresip(office: Office) -> None:
    alice, bob, carol = office.pjsip("101"), office.baresip("102"), office.pjsip("103")
    office.ready()
    parked = alice.dial("102")
    parker = bob.wait_call()
    parker.answer()
    parked.wait_talking()
    hear_each_other(parked, parker)
    parker.hold()
    parked.ear.hears_music()
    announcement = bob.dial("*800")
    announcement.wait_talking()
    announcement.wait_ended(within_s=20)
    parker.wait_ended()
    pick_up(carol, "*801", parked)


@pytest.mark.parametrize("how", ["rfc4733", "info", "inband"])
def test_style_d_keys_in_the_call_park_the_far_end(office: Office, how: str) -> None:
    # Tones in the audio count for a phone that has no other way of sending keys.
    events = "no" if how == "inband" else "yes"
    alice, bob, carol = office.pjsip("101"), office.pjsip("102", telephone_event=events), office.pjsip("103")
    office.ready()
    parked, parker = talk(alice, bob, "102")
    before = len(parked.messages("rx"))
    parker.press("*5", how)
    parked.ear.hears_music()
    assert parker.wait_ended(within_s=25) == 200
    assert_undisturbed(parked, before)
    pick_up(carol, "*801", parked)


def test_style_d_with_baresip(office: Office) -> None:
    alice, bob, carol = office.pjsip("101"), office.baresip("102"), office.pjsip("103")
    office.ready()
    parked = alice.dial("102")
    parker = bob.wait_call()
    parker.answer()
    parked.wait_talking()
    parker.press("*5")
    parked.ear.hears_music()
    parker.wait_ended(within_s=25)
    pick_up(carol, "*801", parked)


def test_parked_again_within_the_reserve_the_call_keeps_its_code(office: Office) -> None:
    alice, bob, carol = office.phones("101", "102", "103")
    parked, parker = talk(alice, bob, "102")
    assert park_blind(parker) == "*801"
    retriever = pick_up(carol, "*801", parked)
    other, other_parker = talk(bob, office_phone(office, "104"), "104")
    assert park_blind(other_parker) == "*802", "*801 is kept for Alice"
    assert park_blind(retriever) == "*801"
    parked.ear.hears_music()
    other.ear.hears_music()


def office_phone(office: Office, extension: str) -> PjsipPhone:
    """One more phone in a running test."""
    phone = office.pjsip(extension)
    phone.wait_ready()
    phone.register()
    return phone


def test_after_the_reserve_the_code_is_free_for_others(office_of: Callable[[str], Office]) -> None:
    office = office_of("impatient")
    alice, bob, carol, dave = office.phones("101", "102", "103", "104")
    parked, parker = talk(alice, bob, "102")
    assert park_blind(parker) == "*801"
    since = time.monotonic()
    pick_up(carol, "*801", parked)
    other, other_parker = talk(bob, dave, "104")
    eventually(lambda: time.monotonic() - since > 1.5, "the end of the reserve, one second in this account")
    assert park_blind(other_parker) == "*801"
    other.ear.hears_music()


def test_nobody_picks_up_and_every_phone_of_the_parker_rings(office_of: Callable[[str], Office]) -> None:
    office = office_of("brief")
    alice, bob, bob_at_home, carol = office.pjsip("101"), office.pjsip("102"), office.pjsip("102"), office.pjsip("103")
    office.ready()
    outgoing = alice.dial("102")
    incoming = bob.wait_call()
    bob_at_home.wait_call()
    incoming.answer()
    outgoing.wait_talking()
    marks = bob.position(), bob_at_home.position()
    assert park_blind(incoming) == "*801"
    outgoing.ear.hears_music()
    desk = bob.wait_call(since=marks[0])
    home = bob_at_home.wait_call(since=marks[1])
    assert "Park *801 Alice" in desk.remote
    outgoing.ear.hears_music()
    home.answer()
    hear_each_other(outgoing, home)
    assert desk.wait_ended() == 487
    assert carol.dial("*801").wait_ended() == 404, "the code has expired"


def test_a_parker_who_does_not_answer_finds_the_call_at_the_next_code(office_of: Callable[[str], Office]) -> None:
    office = office_of("impatient")
    alice, bob, carol = office.phones("101", "102", "103")
    parked, parker = talk(alice, bob, "102")
    assert park_blind(parker) == "*801"
    mark = bob.position()
    ring_back = bob.wait_call(since=mark)
    ring_back.ring()
    ring_back.wait_ended()
    parked.ear.hears_music()
    pick_up(carol, "*802", parked)


def test_with_no_one_left_the_caller_hears_an_apology_and_then_the_end(office_of: Callable[[str], Office]) -> None:
    office = office_of("final")
    alice, bob = office.phones("101", "102")
    parked, parker = talk(alice, bob, "102")
    park_blind(parker)
    parked.ear.hears_phrase("sorry-nobody-goodbye")
    assert parked.wait_ended() == 200
    assert [m for m in parked.messages("rx") if m.first_line.startswith("BYE")]


def test_a_parked_caller_who_hangs_up_leaves_the_code_free(office: Office) -> None:
    alice, bob, carol = office.phones("101", "102", "103")
    parked, parker = talk(alice, bob, "102")
    assert park_blind(parker) == "*801"
    parked.hang_up()
    assert carol.dial("*801").wait_ended() == 404
    again, parker = talk(alice, bob, "102")
    assert park_blind(parker) == "*801"
    again.ear.hears_music()


@pytest.mark.parametrize(("kind", "language"), [("plain", "en"), ("vietnamese", "vi")])
def test_an_empty_code_is_explained_aloud_before_any_answer(
    office_of: Callable[[str], Office], kind: str, language: str
) -> None:
    (carol,) = office_of(kind).phones("103")
    call = carol.dial("*850")
    call.ear.hears_phrase("no-call-parked-at", language)
    assert call.state == "early"
    assert call.wait_ended() == 404
    final = next(m for m in call.messages("rx") if m.status == 404)
    assert "no_call_parked" in final.header("Warning")
    assert "cause=404" in final.header("Reason")
    assert not [m for m in call.messages("rx") if m.status == 200 and m.method == "INVITE"]


def test_an_empty_code_is_explained_reliably_to_a_phone_that_insists(office: Office) -> None:
    carol = office.pjsip("103", reliable="yes")
    office.ready()
    call = carol.dial("*850")
    call.ear.hears_phrase("no-call-parked-at")
    assert call.wait_ended() == 404
    assert [m for m in call.messages("tx") if m.first_line.startswith("PRACK")]


def test_a_code_of_another_account_looks_like_a_free_one(office_of: Callable[[str], Office]) -> None:
    here, there = office_of("plain"), office_of("plain")
    alice, bob = here.phones("101", "102")
    (carol,) = there.phones("103")
    parked, parker = talk(alice, bob, "102")
    assert park_blind(parker) == "*801"
    call = carol.dial("*801")
    assert call.wait_ended() == 404
    final = next(m for m in call.messages("rx") if m.status == 404)
    assert "no_call_parked" in final.header("Warning")
    parked.ear.hears_music()


def test_an_occupied_code_is_refused_and_the_two_go_on_talking(office: Office) -> None:
    alice, bob, carol, dave = office.phones("101", "102", "103", "104")
    parked, parker = talk(alice, bob, "102")
    park_blind(parker, "*805")
    outgoing, incoming = talk(carol, dave, "104")
    incoming.transfer("*805")
    assert refer_status(incoming) == 486
    refusal = next(m for m in incoming.messages("rx") if m.status == 486)
    assert "slot_taken" in refusal.header("Warning")
    hear_each_other(outgoing, incoming)
    parked.ear.hears_music()


def test_a_full_lot_refuses_and_nobody_is_dropped(office_of: Callable[[str], Office]) -> None:
    office = office_of("tiny")
    alice, bob, carol, dave, erin = office.phones("101", "102", "103", "104", "105")
    first, parker = talk(alice, bob, "102")
    assert park_blind(parker) == "*801"
    second, parker = talk(carol, bob, "102")
    assert park_blind(parker) == "*802"
    outgoing, incoming = talk(dave, erin, "105")
    incoming.transfer("*800")
    assert refer_status(incoming) == 486
    hear_each_other(outgoing, incoming)
    outgoing.press("*5", "rfc4733")
    hear_each_other(outgoing, incoming)
    incoming.hold()
    refused = erin.dial("*800")
    assert refused.wait_ended() == 486
    incoming.resume()
    hear_each_other(outgoing, incoming)
    first.ear.hears_music()
    second.ear.hears_music()


def test_of_two_who_dial_the_code_at_once_exactly_one_gets_the_call(office: Office) -> None:
    alice, bob, carol, dave = office.phones("101", "102", "103", "104")
    parked, parker = talk(alice, bob, "102")
    assert park_blind(parker) == "*801"
    calls = [carol.dial("*801"), dave.dial("*801")]
    for call in calls:
        eventually(lambda call=call: call.state in ("confirmed", "disconnected"), "an outcome")  # type: ignore[misc]
    winners = [call for call in calls if call.state == "confirmed"]
    losers = [call for call in calls if call.state == "disconnected"]
    assert len(winners) == len(losers) == 1
    assert losers[0].code == 486
    final = next(m for m in losers[0].messages("rx") if m.status == 486)
    assert "already_picked_up" in final.header("Warning")
    hear_each_other(winners[0], parked)


def test_whoever_picked_up_may_transfer_the_call_on(office: Office) -> None:
    alice, bob, carol, dave = office.phones("101", "102", "103", "104")
    parked, parker = talk(alice, bob, "102")
    assert park_blind(parker) == "*801"
    retriever = pick_up(carol, "*801", parked)
    retriever.transfer("104")
    last = dave.wait_call()
    last.answer()
    hear_each_other(last, parked)
    retriever.wait_ended()


def test_the_caller_can_park_the_called(office: Office) -> None:
    alice, bob, carol = office.phones("101", "102", "103")
    parker, parked = talk(alice, bob, "102")
    assert park_blind(parker) == "*801"
    parked.ear.hears_music()
    pick_up(carol, "*801", parked)

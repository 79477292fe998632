"""Picking up: at once, by exactly one, and everybody else is told what happened."""

from __future__ import annotations

import pytest

from parkade.calls.directory import ParkPolicy
from parkade.calls.events import CallRetrieved
from parkade.testing.fake_call import FakeCall
from tests.stories.office import (
    ALICE,
    CAROL,
    Furnish,
    Office,
    errors,
    heard,
    invite,
    requests_since,
    response,
    responses,
    shown_in,
    without_ids,
)


@pytest.mark.spec("S30")
@pytest.mark.parametrize(
    "number", ["*801", "**801", "***801", "sip:%2A801@acme.example.com", "sip:*801@203.0.113.200;user=phone"]
)
@pytest.mark.parametrize("transport", ["UDP", "TCP"])
def test_any_phone_of_the_account_dials_the_code_and_is_connected_at_once(office: Office, number: str, transport: str) -> None:
    caller = office.parked(office.alice, office.bob)
    carol = office.phone("acme-103", transport=transport)
    dialled_at = office.world.now
    retrieved = carol.call(number)
    office.world.run_until(lambda: retrieved.is_up, within_s=1)
    assert office.world.now - dialled_at < 0.02
    office.run(0.1)
    assert retrieved.statuses == [401, 200]
    assert retrieved.hears(office.alice)
    assert caller.hears(carol)
    assert heard(caller) == ["silence", "acme-102", "music", "acme-103"]


@pytest.mark.spec("S30")
def test_the_parked_phone_is_not_invited_again_when_it_is_picked_up(office: Office) -> None:
    caller = office.parked(office.alice, office.bob)
    before = office.world.now
    office.carol.call("*801")
    office.run(2)
    assert set(requests_since(caller, before)) <= {"UPDATE"}
    assert not [message for message in office.alice.recorder.received("UPDATE") if message.body]


@pytest.mark.spec("S30")
def test_a_phone_without_an_offer_picks_up_too(office: Office) -> None:
    caller = office.parked(office.alice, office.bob)
    retrieved = office.carol.call("*801", late_offer=True)
    office.run(1)
    assert retrieved.hears(office.alice)
    assert caller.hears(office.carol)


@pytest.mark.spec("S32")
def test_whoever_picked_up_may_park_again(office: Office) -> None:
    caller = office.parked(office.alice, office.bob)
    retrieved = office.carol.call("*801")
    office.run(1)
    office.park(retrieved)
    assert caller.hears("music")
    again = office.dave.call("*801")
    office.run(1)
    assert again.hears(office.alice)


@pytest.mark.spec("S32")
def test_whoever_picked_up_may_transfer_blindly(office: Office) -> None:
    caller, dave = office.parked(office.alice, office.bob), office.dave
    retrieved = office.carol.call("*801")
    office.run(1)
    retrieved.refer("104")
    office.run(1)
    assert caller.hears("ringback")
    call = dave.answer()
    office.run(1)
    assert retrieved.transfer[-1][0] == 200
    assert call.hears(office.alice)
    assert caller.hears(dave)
    assert call.display == ALICE
    assert not office.carol.live


@pytest.mark.spec("S32")
def test_whoever_picked_up_may_ask_first_and_then_transfer(office: Office) -> None:
    caller, dave = office.parked(office.alice, office.bob), office.dave
    retrieved = office.carol.call("*801")
    office.run(1)
    retrieved.hold()
    office.run(0.5)
    assert caller.hears("music")
    asking = office.carol.call("104")
    office.run(0.5)
    asked = dave.answer()
    office.run(0.5)
    assert asked.hears(office.carol)
    retrieved.transfer_to(asking)
    office.run(1)
    assert asked.hears(office.alice)
    assert caller.hears(dave)
    assert asked.display == ALICE
    assert not office.carol.live


@pytest.mark.spec("S33")
@pytest.mark.parametrize("after_s", [0.5, 15.0, 29.9])
def test_parked_again_within_thirty_seconds_keeps_the_code_although_a_lower_one_is_free(office: Office, after_s: float) -> None:
    office.parked(office.alice, office.bob, "*850")
    retrieved = office.carol.call("*850")
    office.run(after_s)
    assert office.park(retrieved) == "*850"


@pytest.mark.spec("S33")
def test_parked_again_after_thirty_seconds_the_call_gets_the_next_code_there_is(office: Office) -> None:
    office.parked(office.alice, office.bob, "*850")
    retrieved = office.carol.call("*850")
    office.run(30.1)
    assert office.park(retrieved) == "*801"


@pytest.mark.spec("S33")
@pytest.mark.parametrize(("after_s", "by_carol", "by_bob"), [(20.0, "*801", "*802"), (31.0, "*802", "*801")])
def test_while_the_code_is_kept_nobody_elses_call_takes_it_and_afterwards_anybody_may(
    office: Office, after_s: float, by_carol: str, by_bob: str
) -> None:
    office.parked(office.alice, office.bob)
    retrieved = office.carol.call("*801")
    office.run(after_s)
    _, answered = office.talk(office.dave, office.bob)
    assert office.park(answered) == by_bob
    assert office.park(retrieved) == by_carol


@pytest.mark.spec("S33")
def test_a_code_that_is_kept_cannot_be_named_by_others(office: Office) -> None:
    office.parked(office.alice, office.bob)
    office.carol.call("*801")
    office.run(15)
    caller, answered = office.talk(office.dave, office.bob)
    answered.refer("*801")
    office.run(1)
    assert answered.transfer[-1][0] == 486
    assert errors(office.bob.recorder.received("486 REFER")[0])[0] == "slot_reserved"
    assert caller.hears(office.bob)


@pytest.mark.spec("S33")
def test_the_code_is_released_at_once_when_the_call_ends(office: Office) -> None:
    office.parked(office.alice, office.bob)
    retrieved = office.carol.call("*801")
    office.run(1)
    retrieved.hang_up()
    office.run(1)
    _, answered = office.talk(office.dave, office.bob)
    assert office.park(answered) == "*801"


@pytest.mark.spec("S33")
def test_the_code_may_be_dialled_over_the_held_call_to_park_it_there_again(office: Office) -> None:
    caller = office.parked(office.alice, office.bob)
    retrieved = office.carol.call("*801")
    office.run(15)
    retrieved.hold()
    office.run(0.5)
    again = office.carol.call("*801")
    office.run(1)
    assert again.hears("parked-at star 8 0 1")
    office.run(5)
    assert caller.hears("music")
    assert not office.carol.live


@pytest.mark.spec("S33")
def test_the_reserve_time_is_a_setting(furnish: Furnish) -> None:
    office = furnish(ParkPolicy(reserve_s=0.0))
    office.parked(office.alice, office.bob)
    retrieved = office.carol.call("*801")
    office.run(1)
    _, answered = office.talk(office.dave, office.bob)
    assert office.park(answered) == "*801"
    assert office.park(retrieved) == "*802"


@pytest.mark.spec("B34")
def test_the_first_answer_names_the_caller_and_not_the_slot(office: Office) -> None:
    office.parked(office.alice, office.bob)
    retrieved = office.carol.call("*801")
    office.run(1)
    first = responses(retrieved)[0]
    assert first.status == 200
    assert first.headers.get("P-Asserted-Identity") == '"Alice" <sip:101@198.51.100.1>'
    assert first.headers.get("Remote-Party-ID") == '"Alice" <sip:101@198.51.100.1>;party=called;privacy=off;screen=yes'
    assert retrieved.displays == [ALICE]


@pytest.mark.spec("B34")
def test_a_caller_from_outside_is_shown_with_what_is_known(office: Office) -> None:
    outside, bob = office.outside, office.bob
    outside.misbehave(lambda data: data.replace(b"From: <sip:line@", b'From: "Ng\xe1\xbb\x8dc" <sip:+84901234567@'))
    caller = outside.call("102")
    office.run(0.1)
    answered = bob.answer()
    office.run(0.1)
    assert str(shown_in(invite(answered))) == "Ngọc (+84901234567)"
    office.park(answered)
    retrieved = office.carol.call("*801")
    office.run(1)
    assert str(shown_in(responses(retrieved)[0])) == "Ngọc (+84901234567)"
    assert caller.is_up


@pytest.mark.spec("B34")
def test_an_ordinary_call_shows_who_rings_in_its_first_180(office: Office) -> None:
    carol = office.carol
    call = office.alice.call("103")
    office.run(0.1)
    assert carol.ringing
    assert shown_in(response(call, 180)) == CAROL
    carol.answer()
    office.run(0.1)
    assert shown_in(response(call, 200)) == CAROL


@pytest.mark.spec("B34")
def test_the_parked_callers_own_display_follows_without_new_media(office: Office) -> None:
    caller = office.parked(office.alice, office.bob)
    office.carol.call("*801")
    office.run(1)
    assert caller.displays[-1] == CAROL


@pytest.mark.spec("B35")
@pytest.mark.parametrize("first_by_s", [0.0, 0.000_5, 0.5, 5.0])
def test_of_two_who_dial_the_same_code_exactly_one_gets_the_call_and_the_other_hears_who(
    office: Office, first_by_s: float
) -> None:
    caller, carol, dave = office.parked(office.alice, office.bob), office.carol, office.dave
    one = carol.call("*801")
    office.run(first_by_s)
    two = dave.call("*801")
    office.run(8)
    winners = [call for call in (one, two) if call.is_up]
    (winner,) = winners
    loser = two if winner is one else one
    assert caller.hears(winner.phone)
    assert winner.hears(office.alice)
    assert [m.status for m in responses(loser)] == [183, 486]
    error_id, reason = errors(response(loser, 486))
    name, extension = ("Carol", "103") if winner is one else ("Dave", "104")
    assert error_id == "already_picked_up"
    assert reason == f'SIP;cause=486;text="Already picked up by {name}."'
    assert f"already-picked-up-by-extension {' '.join(extension)}" in heard(loser)
    assert len(office.events(CallRetrieved)) == 1


@pytest.mark.spec("B35")
def test_an_empty_code_is_said_in_early_media_and_then_refused(office: Office) -> None:
    call = office.carol.call("*812")
    office.run(0.5)
    early = response(call, 183)
    assert early.content_type == "application/sdp"
    assert call.state == "calling"
    assert call.hears("no-call-parked-at star 8 1 2")
    office.run(8)
    assert call.refused == 404
    error_id, reason = errors(response(call, 404))
    assert error_id == "no_call_parked"
    assert reason == 'SIP;cause=404;text="No call is parked at *812."'


@pytest.mark.spec("B35")
def test_an_empty_code_is_said_in_the_language_of_whoever_dials(furnish: Furnish) -> None:
    office = furnish(language="vi")
    call = office.carol.call("*812")
    office.run(0.5)
    assert office.languages(call) == ["vi"]
    office.run(8)
    assert "Không có cuộc gọi nào được đỗ tại *812." in errors(response(call, 404))[1]


@pytest.mark.spec("B35")
def test_a_phone_that_cannot_hear_early_media_is_refused_without_delay(office: Office) -> None:
    call = office.carol.call("*812", late_offer=True)
    office.run(0.1)
    assert call.statuses == [401, 404]


@pytest.mark.spec("B35")
def test_a_phone_that_knows_no_reliable_provisionals_hears_the_refusal_too(office: Office) -> None:
    office.carol.misbehave(lambda data: data.replace(b"Supported: 100rel, ", b"Supported: "))
    call = office.carol.call("*812")
    office.run(0.5)
    assert "RSeq" not in response(call, 183).headers
    assert call.hears("no-call-parked-at star 8 1 2")
    office.run(8)
    assert call.refused == 404


@pytest.mark.spec("B35")
def test_a_refusal_comes_within_twelve_seconds_even_if_the_media_process_says_nothing(office: Office) -> None:
    office.world.media.reports_prompts = False
    call = office.carol.call("*812")
    office.run(12.1)
    assert call.refused == 404


@pytest.mark.spec("B35")
def test_somebody_who_hangs_up_during_the_refusal_is_gone(office: Office) -> None:
    call = office.carol.call("*812")
    office.run(0.5)
    call.hang_up()
    office.run(0.5)
    assert call.statuses == [401, 183, 487]
    assert not office.world.media.legs


@pytest.mark.spec("B35")
def test_a_foreign_code_and_a_code_beyond_the_lot_look_like_an_empty_one(office: Office) -> None:
    office.parked(office.zoe, office.zack)
    calls: dict[str, FakeCall] = {}
    for code in ("*801", "*812", "*912"):
        calls[code] = office.carol.call(code)
        office.run(8)
    texts = {tuple(without_ids(m, (code, "CODE")) for m in responses(call)) for code, call in calls.items()}
    assert len(texts) == 1
    assert office.zoe.current.hears("music")

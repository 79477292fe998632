"""Parking: five ways to say it, and what the three people hear, see and are told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from parkade.calls.directory import Assignment, Directory, FeatureCodes, ParkPolicy
from parkade.calls.events import CallParked
from parkade.rtp.orders import CloseLeg, Describe, Hear, OpenLeg
from parkade.sip.message.message import Request
from parkade.testing.fake_call import FakeCall
from parkade.testing.misbehaviour import changes_sdp
from tests.stories.office import (
    ALICE,
    PARK_CODE,
    Furnish,
    Office,
    errors,
    heard,
    requests_since,
    response,
    responses,
    told_code,
)

SAID_801 = "parked-at star 8 0 1"
WAYS = ["refer", "attended", "feature code", "keys", "orbit"]


def park_by(way: str, office: Office, call: FakeCall) -> None:
    """The person at ``call`` parks the other party in this way, and time passes until the phone is free again."""
    match way:
        case "refer":
            call.refer("*800")
        case "orbit":
            call.refer("sip:callpark@acme.example.com;orbit=801")
        case "keys":
            call.press("*5")
        case "feature code":
            call.hold()
            office.run(0.5)
            call.phone.call("*800")
        case _:
            assert way == "attended"
            call.hold()
            office.run(0.5)
            consultation = call.phone.call("*800")
            office.run(0.5)
            call.transfer_to(consultation)
    office.run(6)


@pytest.mark.spec("S10")
def test_the_system_picks_a_star_and_three_digits_the_lowest_first(office: Office) -> None:
    codes = []
    for caller, parker in ((office.alice, office.bob), (office.carol, office.bob), (office.dave, office.bob)):
        _, answered = office.talk(caller, parker)
        codes.append(office.park(answered))
    assert codes == ["*801", "*802", "*803"]


@pytest.mark.spec("S10")
def test_a_lot_may_have_another_range_and_codes_drawn_by_lot(furnish: Furnish) -> None:
    office = furnish(ParkPolicy(assignment=Assignment.RANDOM), lot=(10001, 10002))
    codes = set()
    for caller in (office.alice, office.carol):
        _, answered = office.talk(caller, office.bob)
        codes.add(office.park(answered))
    assert codes == {"*10001", "*10002"}
    call = office.dave.call("*10002")
    office.run(1)
    assert call.hears(office.alice) or call.hears(office.carol)


@pytest.mark.spec("S12")
@pytest.mark.parametrize("language", ["en", "vi"])
@pytest.mark.parametrize("way", ["feature code", "keys"])
def test_a_desk_phone_hears_the_code_digit_by_digit_in_its_language(furnish: Furnish, language: str, way: str) -> None:
    office = furnish(language=language)
    _, answered = office.talk(office.alice, office.bob)
    park_by(way, office, answered)
    listener = office.bob.calls[-1]
    assert SAID_801 in heard(listener)
    assert office.languages(listener) == [language]


@pytest.mark.spec("S13")
@pytest.mark.parametrize("how", ["info", "rtp"])
def test_keys_of_the_account_in_a_call_park_it(office: Office, how: str) -> None:
    change_keys(office, "*77")
    caller, answered = office.talk(office.alice, office.bob)
    answered.press("*5*7", how)  # type: ignore[arg-type]
    office.run(1)
    assert caller.hears(office.bob)
    answered.press("7", how)  # type: ignore[arg-type]
    office.run(1)
    assert caller.hears("music")
    assert answered.hears(SAID_801)
    office.run(3)
    assert answered.ended == "bye"


def change_keys(office: Office, keys: str) -> None:
    directory = office.world.directory
    account = replace(directory.accounts["acme"], feature_codes=FeatureCodes(park_dtmf=keys))
    office.world.load(Directory({"acme": account}, directory.devices))


@pytest.mark.spec("S13")
@pytest.mark.parametrize("how", ["info", "rtp"])
def test_the_keys_of_somebody_outside_park_nothing(office: Office, how: str) -> None:
    outside = office.outside
    caller, answered = office.talk(outside, office.bob)
    caller.press("*5*5", how)  # type: ignore[arg-type]
    office.run(2)
    assert caller.hears(office.bob)
    assert answered.hears(outside)
    office.park(answered)
    caller.press("*5*801", how)  # type: ignore[arg-type]
    office.run(2)
    assert caller.hears("music")


@pytest.mark.spec("S13")
def test_tones_in_the_audio_are_listened_for_also_where_a_phone_promises_events_that_may_never_come(office: Office) -> None:
    office.alice.misbehave(changes_sdp(lambda sdp: sdp.replace(b" 101\r\n", b"\r\n").replace(b"a=rtpmap:101", b"a=x")))
    office.talk(office.alice, office.bob)
    described = [order for _, order in office.world.media.orders if isinstance(order, Describe)]
    by_phone = {order.address: order for order in described}
    assert by_phone[office.alice.host].dtmf_payload_type is None
    assert by_phone[office.alice.host].listen_for_tones
    assert by_phone[office.bob.host].dtmf_payload_type == 101
    assert by_phone[office.bob.host].listen_for_tones
    office.alice.current.press("*5")
    office.run(5)
    assert office.bob.current.hears("music")


@pytest.mark.spec("S14")
@pytest.mark.parametrize("way", WAYS)
def test_whoever_is_parked_hears_music_at_once_and_their_phone_is_asked_nothing(office: Office, way: str) -> None:
    caller, answered = office.talk(office.alice, office.bob)
    before, orders = office.world.now, len(office.world.media.orders)
    leg = office.world.media.toward(office.alice.host, caller.rtp_port)
    assert leg is not None
    park_by(way, office, answered)
    assert caller.hears("music")
    assert requests_since(caller, before) == []
    assert heard(caller) == ["silence", "acme-102", "music"]
    told = [order for _, order in office.world.media.orders[orders:] if order.leg == leg.id]
    assert not [order for order in told if isinstance(order, OpenLeg | Describe | CloseLeg)]
    assert len([order for order in told if isinstance(order, Hear)]) == 1


@pytest.mark.spec("S14")
def test_music_begins_with_the_request_to_park_and_not_later(office: Office) -> None:
    caller, answered = office.talk(office.alice, office.bob)
    asked_at = office.world.now
    answered.refer("*800")
    office.run(1)
    music_at = next(at for at, what in caller.heard if what == "music")
    assert music_at - asked_at <= office.world.net.weather.delay_s + 1e-6


@pytest.mark.spec("S14")
def test_an_hour_in_the_lot_is_an_hour_of_music_although_sessions_must_be_refreshed(furnish: Furnish) -> None:
    """Session timers (:rfc:`4028`) go on; a refresh says nothing about sound."""
    office = furnish(ParkPolicy(expiration_s=3600.0))
    caller = office.parked(office.alice, office.bob)
    before = office.world.now
    office.run(3590)
    assert caller.is_up
    assert heard(caller) == ["silence", "acme-102", "music"]
    refreshes = requests_since(caller, before)
    assert refreshes
    assert set(refreshes) == {"UPDATE"}
    retrieved = office.carol.call("*801")
    office.run(1)
    assert retrieved.hears(office.alice)


@pytest.mark.spec("S14")
def test_whoever_is_parked_may_hold_and_resume_press_keys_and_try_to_transfer_and_stays_parked(office: Office) -> None:
    caller = office.parked(office.alice, office.bob)
    caller.hold()
    office.run(0.5)
    caller.press("*5")
    caller.refer("*800")
    office.run(1)
    assert caller.transfer[-1][0] == 603
    retrieved = office.carol.call("*801")
    office.run(0.5)
    assert retrieved.hears("music")
    caller.resume()
    office.run(0.5)
    assert retrieved.hears(office.alice)
    assert caller.hears(office.carol)


@pytest.mark.spec("S14")
def test_two_who_park_each_other_at_the_same_instant_leave_one_parked(office: Office) -> None:
    caller, answered = office.talk(office.alice, office.bob)
    caller.refer("*800")
    answered.refer("*800")
    office.run(3)
    (parked,) = [call for call in (caller, answered) if call.is_up]
    assert parked.hears("music")
    assert len(office.events(CallParked)) == 1
    retrieved = office.carol.call("*801")
    office.run(1)
    assert retrieved.hears(parked.phone)


@pytest.mark.spec("S15")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("who", ["caller", "called"])
def test_either_side_parks_the_other_without_registering_again(office: Office, who: str, way: str) -> None:
    calling, answered = office.talk(office.alice, office.bob)
    parker, other = (calling, answered) if who == "caller" else (answered, calling)
    registered = len(parker.phone.recorder.sent("REGISTER"))
    park_by(way, office, parker)
    assert other.hears("music")
    assert not parker.phone.live
    assert len(parker.phone.recorder.sent("REGISTER")) == registered
    retrieved = office.carol.call("*801")
    office.run(1)
    assert retrieved.hears(other.phone)


@pytest.mark.spec("S15")
@pytest.mark.parametrize("way", WAYS)
def test_a_caller_from_outside_is_parked_and_keeps_name_and_number(office: Office, way: str) -> None:
    outside = office.outside
    caller, answered = office.talk(outside, office.bob)
    park_by(way, office, answered)
    assert caller.hears("music")
    retrieved = office.carol.call("*801")
    office.run(1)
    assert retrieved.hears(outside)
    assert retrieved.display == answered.display


@pytest.mark.spec("B16A")
def test_a_blind_transfer_to_the_park_code_is_reported_with_the_code(office: Office) -> None:
    caller, answered = office.talk(office.alice, office.bob)
    answered.refer("*800")
    office.run(1)
    accepted = office.bob.recorder.received("202 REFER")[0]
    first, last = office.bob.recorder.received("NOTIFY")
    assert answered.sipfrags == ["SIP/2.0 100 Trying", "SIP/2.0 200 OK"]
    assert (accepted.headers.get(PARK_CODE), last.headers.get(PARK_CODE)) == ("*801", "*801")
    states = [(message.headers.get("Subscription-State") or "").partition(";")[0] for message in (first, last)]
    assert states == ["active", "terminated"]
    assert not office.bob.live
    assert caller.hears("music")


@pytest.mark.spec("B16A")
def test_a_phone_that_does_not_hang_up_after_its_transfer_is_hung_up_on(office: Office) -> None:
    office.bob.hangs_up_after_transfer = False
    caller, answered = office.talk(office.alice, office.bob)
    answered.refer("*800")
    office.run(1)
    assert answered.ended == "bye"
    assert caller.hears("music")


@pytest.mark.spec("B16A")
def test_a_blind_transfer_during_a_hold_parks_as_well(office: Office) -> None:
    caller, answered = office.talk(office.alice, office.bob)
    answered.hold()
    office.run(0.5)
    assert office.park(answered) == "*801"
    assert heard(caller) == ["silence", "acme-102", "music"]


@pytest.mark.spec("B16B")
def test_an_attended_transfer_onto_the_announcement_is_accepted_as_long_as_it_lasts(office: Office) -> None:
    caller, answered = office.talk(office.alice, office.bob)
    answered.hold()
    office.run(0.5)
    consultation = office.bob.call("*800")
    office.run(1)
    assert consultation.hears(SAID_801)
    assert caller.hears("music")
    answered.transfer_to(consultation)
    office.run(1)
    assert office.bob.recorder.statuses("REFER") == [202]
    assert answered.transfer[-1][0] == 200
    assert told_code(answered) == "*801"
    assert not office.bob.live
    assert caller.hears("music")
    assert len(office.events(CallParked)) == 1


@pytest.mark.spec("B16B")
def test_an_attended_transfer_after_the_announcement_changes_nothing_more(office: Office) -> None:
    caller, answered = office.talk(office.alice, office.bob)
    answered.hold()
    office.run(0.5)
    consultation = office.bob.call("*800")
    office.run(2.05)
    answered.transfer_to(consultation)
    office.run(5)
    assert not office.bob.live
    assert caller.hears("music")
    retrieved = office.carol.call("*801")
    office.run(1)
    assert retrieved.hears(office.alice)


@pytest.mark.spec("B16C")
def test_the_park_code_over_a_held_call_parks_it_says_the_code_and_frees_the_phone(office: Office) -> None:
    caller, answered = office.talk(office.alice, office.bob)
    answered.hold()
    office.run(0.5)
    dialled_at = office.world.now
    code = office.bob.call("*800")
    office.run(0.5)
    assert code.statuses == [401, 200]
    assert response(code, 200).headers.get(PARK_CODE) == "*801"
    assert str(code.display) == "Park *801 (*801)"
    assert code.hears(SAID_801)
    office.world.run_until(lambda: not office.bob.live, within_s=12.0)
    assert office.world.now - dialled_at <= 12.0
    assert (code.ended, answered.ended) == ("bye", "bye")
    assert caller.hears("music")


@pytest.mark.spec("B16C")
def test_the_announcement_ends_within_twelve_seconds_even_if_the_media_process_says_nothing(office: Office) -> None:
    office.world.media.reports_prompts = False
    _, answered = office.talk(office.alice, office.bob)
    answered.hold()
    office.run(0.5)
    code = office.bob.call("*800")
    office.run(10.9)
    assert code.is_up
    office.run(1.1)
    assert not office.bob.live


@pytest.mark.spec("B16C")
def test_the_park_code_without_a_held_call_is_refused_in_words(office: Office) -> None:
    _, answered = office.talk(office.alice, office.bob)
    answered.hang_up()
    office.run(1)
    call = office.bob.call("*800")
    office.run(6)
    assert [m.status for m in responses(call)] == [183, 480]
    assert "nothing-to-park" in heard(call)
    assert errors(response(call, 480))[0] == "nothing_to_park"


@pytest.mark.spec("B16C")
def test_the_held_call_of_another_phone_is_not_parked(office: Office) -> None:
    caller, answered = office.talk(office.alice, office.bob)
    answered.hold()
    office.run(0.5)
    call = office.carol.call("*800")
    office.run(6)
    assert call.refused == 480
    answered.resume()
    office.run(0.5)
    assert caller.hears(office.bob)


@pytest.mark.spec("B16D")
def test_keys_park_and_the_code_is_said_in_the_same_call(office: Office) -> None:
    caller, answered = office.talk(office.alice, office.bob)
    answered.press("*5")
    office.run(0.5)
    assert caller.hears("music")
    assert answered.hears(SAID_801)
    office.world.run_until(lambda: not answered.is_up, within_s=12.0)
    assert answered.ended == "bye"


@pytest.mark.spec("B16E")
def test_the_orbit_style_parks_and_picks_up(office: Office) -> None:
    caller, answered = office.talk(office.alice, office.bob)
    assert office.park(answered, "sip:callpark@acme.example.com;orbit=805") == "*805"
    refer = office.bob.recorder.sent("REFER")[0]
    assert refer.headers.get("Refer-To") == "<sip:callpark@acme.example.com;orbit=805>"
    carol = office.carol
    only_in_to = b"sip:pickup@acme.example.com;orbit=805"
    carol.misbehave(lambda data: data.replace(b"INVITE " + only_in_to, b"INVITE sip:pickup@acme.example.com"))
    retrieved = carol.call(only_in_to.decode())
    office.run(1)
    sent = carol.recorder.sent("INVITE")[-1]
    assert isinstance(sent, Request)
    assert (sent.uri, sent.to.uri) == ("sip:pickup@acme.example.com", only_in_to.decode())
    assert retrieved.hears(office.alice)
    assert caller.hears(carol)


@pytest.mark.spec("B17")
@pytest.mark.parametrize("way", ["refer", "orbit", "over a held call", "attended"])
def test_a_named_code_is_taken_if_it_is_free(office: Office, way: str) -> None:
    caller, answered = office.talk(office.alice, office.bob)
    match way:
        case "refer":
            assert office.park(answered, "*805") == "*805"
        case "orbit":
            assert office.park(answered, "sip:callpark@acme.example.com;orbit=805") == "*805"
        case _:
            answered.hold()
            office.run(0.5)
            code = office.bob.call("*805")
            office.run(1)
            assert response(code, 200).headers.get(PARK_CODE) == "*805"
            assert code.hears("parked-at star 8 0 5")
            if way == "attended":
                answered.transfer_to(code)
                office.run(1)
                assert answered.transfer[-1][0] == 200
                assert told_code(answered) == "*805"
    assert caller.hears("music")


@pytest.mark.spec("B17")
def test_an_occupied_code_is_refused_and_the_call_stays_with_the_parker(office: Office) -> None:
    first = office.parked(office.carol, office.dave, "*805")
    caller, answered = office.talk(office.alice, office.bob)
    answered.refer("*805")
    office.run(2)
    assert answered.transfer[-1][0] == 486
    refusal = office.bob.recorder.received("486 REFER")[0]
    error_id, reason = errors(refusal)
    assert error_id == "slot_taken"
    assert reason == 'SIP;cause=486;text="Another call is parked at *805."'
    assert caller.hears(office.bob)
    assert answered.hears(office.alice)
    assert first.hears("music")
    assert heard(caller) == ["silence", "acme-102"]


@pytest.mark.spec("B17")
def test_an_occupied_code_over_a_held_call_picks_up_there_and_joins_no_strangers(office: Office) -> None:
    first = office.parked(office.carol, office.dave, "*805")
    held, answered = office.talk(office.alice, office.bob)
    answered.hold()
    office.run(0.5)
    picked_up = office.bob.call("*805")
    office.run(1)
    assert picked_up.hears(office.carol)
    assert first.hears(office.bob)
    assert held.hears("music")
    assert answered.is_up


@pytest.mark.spec("B17")
def test_a_code_beyond_the_lot_is_refused_and_they_talk_on(office: Office) -> None:
    caller, answered = office.talk(office.alice, office.bob)
    answered.refer("*905")
    office.run(2)
    assert answered.transfer[-1][0] == 603
    error_id, reason = errors(office.bob.recorder.received("603 REFER")[0])
    assert error_id == "no_such_slot"
    assert "cause=404" in reason
    assert caller.hears(office.bob)


@pytest.mark.parametrize(("destination", "code"), [("park", "*801"), ("park:805", "*805")])
def test_a_device_known_by_its_address_with_park_as_its_destination_is_parked_whatever_it_dials(
    office: Office, destination: str, code: str
) -> None:
    office.world.device("door", "acme", "", address="203.0.113.20", destination=destination)
    door = office.phone("door", register=False)
    call = door.call("anything")
    office.run(0.1)
    assert call.statuses == [200]
    assert response(call, 200).headers.get(PARK_CODE) == code
    assert heard(call)[-1] == "music"
    retrieved = office.carol.call(code)
    office.run(1)
    assert retrieved.hears(door)


def test_a_device_whose_named_code_is_taken_is_refused_before_it_is_answered(office: Office) -> None:
    office.parked(office.alice, office.bob, "*805")
    office.world.device("door", "acme", "", address="203.0.113.20", destination="park:805")
    door = office.phone("door", register=False)
    call = door.call("anything")
    office.run(8)
    assert [m.status for m in responses(call)] == [183, 486]
    assert office.alice.current.hears("music")


@pytest.mark.spec("B34")
def test_the_parked_callers_name_is_in_the_very_first_answer(office: Office) -> None:
    office.parked(office.alice, office.bob)
    retrieved = office.carol.call("*801")
    office.run(1)
    assert retrieved.displays == [ALICE]

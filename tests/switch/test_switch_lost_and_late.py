"""Messages that are lost, late, doubled or cross each other, seen from the phones at both ends of the switch."""

from __future__ import annotations

import pytest

from parkade.calls.events import CallParked, CallRetrieved, StayEvent
from parkade.sip.message.flow import Flow, Send
from parkade.testing.misbehaviour import changes_sdp, never_answers
from parkade.testing.net import STORM, Match
from parkade.testing.phone import FakePhone
from parkade.testing.world import SERVER, SimWorld
from tests.stories.office import Office, heard, requests_since
from tests.switch.raw_phone import RawPhone


def from_server(start: str) -> Match:
    """Packets of the server whose message begins so."""
    return lambda packet: packet.source == SERVER and packet.data.startswith(start.encode())


def say_again(office: Office, phone: FakePhone, start: str) -> None:
    """The last datagram of ``phone`` that begins so arrives once more."""
    net = office.world.net
    last = next(p for _, p in reversed(net.log) if p.source == phone.address and p.data.startswith(start.encode()))
    net.perform(phone.address, Send(Flow("UDP", *SERVER), last.data), office.world.now)


@pytest.mark.parametrize("ring_s", [40.0, 110.0])
def test_a_phone_may_ring_for_as_long_as_it_likes(office: Office, ring_s: float) -> None:
    """Timer B is for INVITEs that nobody has answered at all; a 180 ends it (:rfc:`3261` section 17.1.1.2)."""
    office.bob.auto_answer_s = ring_s
    call = office.alice.call("102")
    office.run(ring_s - 1)
    assert call.state == "calling"
    office.run(2)
    assert call.hears(office.bob)
    assert office.bob.current.hears(office.alice)


def test_a_caller_is_reminded_every_minute_that_it_still_rings(office: Office) -> None:
    """A proxy may give up a transaction that has been silent for three minutes (:rfc:`3261` section 13.3.1.1)."""
    _ = office.bob
    call = office.alice.call("102")
    office.run(110)
    assert call.statuses == [401, 180, 180]


def test_nobody_rings_for_more_than_two_minutes(office: Office) -> None:
    _ = office.bob
    call = office.alice.call("102")
    office.run(121)
    assert call.refused == 480
    assert not office.bob.live


def test_an_options_that_comes_again_gets_the_same_answer_again(office: Office) -> None:
    """A server transaction answers a repetition with the response it has sent (:rfc:`3261` section 17.2.2)."""
    probe = RawPhone(office.world, "acme-101", "192.0.2.77")
    options = probe.request("OPTIONS", "acme-101")
    for _ in range(3):
        probe.send(options)
        office.run(0.5)
    first, *others = probe.responses("OPTIONS")
    assert first.status == 200
    assert first.to.tag
    assert [other.encode() for other in others] == [first.encode()] * 2


def test_an_invite_that_comes_again_is_the_same_call(office: Office) -> None:
    """Repetitions are absorbed, the last provisional response is said again (:rfc:`3261` section 17.2.1)."""
    _ = office.bob
    call = office.alice.call("102")
    office.run(1)
    rung = len(call.statuses)
    for _ in range(3):
        say_again(office, office.alice, "INVITE ")
        office.run(0.1)
    assert call.statuses[rung:] == [180, 180, 180]
    assert len(office.bob.calls) == 1
    office.bob.answer()
    office.run(1)
    say_again(office, office.alice, "INVITE ")
    office.run(1)
    assert call.hears(office.bob)
    assert len(office.bob.calls) == 1


def test_an_invite_that_parks_and_comes_again_parks_once(office: Office) -> None:
    _, answered = office.talk(office.alice, office.bob)
    answered.hold()
    office.run(0.5)
    office.bob.call("*800")
    office.run(0.5)
    say_again(office, office.bob, "INVITE ")
    office.run(0.5)
    assert office.alice.current.hears("music")
    assert [event.code for event in office.world.events if isinstance(event, StayEvent)] == ["*801"]


def test_a_refer_that_comes_again_parks_once_and_is_answered_again(office: Office) -> None:
    """A non-INVITE transaction that is completed repeats its response (:rfc:`3261` section 17.2.2)."""
    _, answered = office.talk(office.alice, office.bob)
    office.park(answered)
    say_again(office, office.bob, "REFER ")
    office.run(0.5)
    assert office.bob.recorder.statuses("REFER") == [202, 202]
    assert [event.code for event in office.world.events if isinstance(event, StayEvent)] == ["*801"]


@pytest.mark.parametrize("lost", [1, 4])
@pytest.mark.parametrize("whose", ["caller", "called"])
def test_an_ack_that_is_lost_costs_nothing_because_the_200_comes_again(office: Office, whose: str, lost: int) -> None:
    """A 2xx is repeated until its ACK comes, at T1 doubled up to T2 (:rfc:`3261` section 13.3.1.4)."""
    alice, bob = office.alice, office.bob
    by = alice.address if whose == "caller" else SERVER
    call = alice.call("102")
    office.run(0.1)
    rule = office.world.net.lose(lambda packet: packet.source == by and packet.data.startswith(b"ACK "), lost)
    bob.answer()
    office.run(20)
    assert rule.seen >= lost
    assert call.hears(bob)
    assert bob.current.hears(alice)
    if whose == "caller":
        assert call.statuses.count(200) == 1 + lost


def test_a_cancel_that_crosses_the_200_ends_the_call_by_bye(office: Office) -> None:
    """CANCEL has no effect once there is a final response (:rfc:`3261` section 9.2); the caller says BYE (section 15)."""
    alice, bob = office.alice, office.bob
    call = alice.call("102")
    office.run(0.1)
    answered = bob.answer()
    office.run(0.0021)
    call.hang_up()
    office.run(2)
    assert [status for status in call.statuses if status >= 200] == [401, 200]
    assert alice.recorder.statuses("CANCEL") == [200]
    assert alice.recorder.statuses("BYE") == [200]
    assert answered.ended == "bye"
    assert not office.world.media.legs


def test_a_cancel_of_ours_that_crosses_the_200_of_the_phone_ends_its_call_by_bye(office: Office) -> None:
    """The same on the other side: what was cancelled and answered all the same is acknowledged, then ended."""
    alice, bob = office.alice, office.bob
    call = alice.call("102")
    office.run(0.1)
    call.hang_up()
    office.run(0.003)
    answered = bob.answer()
    office.run(0.5)
    assert call.state == "ended"
    assert answered.ended == "bye"
    assert len(bob.recorder.received("ACK")) == 1
    assert not office.world.media.legs


def test_two_phones_of_a_person_answer_at_once_and_one_of_them_is_sorry(office: Office) -> None:
    """The 2xx that comes too late is acknowledged and then ended (:rfc:`3261` section 13.2.2.4)."""
    bob, other = office.bob, office.phone("acme-102")
    call = office.alice.call("102")
    office.run(0.1)
    bob.answer()
    other.answer()
    office.run(1)
    assert sorted(len(phone.live) for phone in (bob, other)) == [0, 1]
    assert [len(phone.recorder.received("ACK")) for phone in (bob, other)] == [1, 1]
    assert call.is_up


def stubborn(phone: FakePhone) -> None:
    """A phone that takes no UPDATE and wants its sessions refreshed, by us, every 90 seconds."""

    def misbehave(data: bytes) -> bytes:
        data = data.replace(b", UPDATE", b"")
        return data.replace(b"Session-Expires: 1800", b"Session-Expires: 90;refresher=uas")

    phone.misbehave(misbehave)


def test_re_invites_of_both_sides_at_once_are_both_refused_and_tried_again(office: Office) -> None:
    """491 both ways, then each tries again after a time of its own range (:rfc:`3261` section 14.1)."""
    stubborn(office.alice)
    call, answered = office.talk(office.alice, office.bob)
    confirmed_at = office.world.now
    refresh = office.world.net.delay(from_server("INVITE sip:acme-101@"), 0.0)
    office.world.run_until(lambda: bool(refresh.seen), within_s=60)
    assert 40 < office.world.now - confirmed_at < 46
    call.hold()
    office.run(0.1)
    assert 491 in office.alice.recorder.statuses("INVITE", call.call_id)
    assert office.alice.recorder.sent("491 INVITE")
    office.run(8)
    assert answered.hears("music")
    assert call.is_up
    call.resume()
    office.run(5)
    assert answered.hears(office.alice)


def test_both_ends_hold_and_resume_at_the_same_instants(office: Office) -> None:
    """Each end has a dialog of its own with us, so theirs do not clash: both are answered."""
    call, answered = office.talk(office.alice, office.bob)
    for _ in range(5):
        call.hold()
        answered.hold()
        office.run(1)
        assert call.hears("silence")
        call.resume()
        answered.resume()
        office.run(1)
        assert call.hears(office.bob)
        assert answered.hears(office.alice)


@pytest.mark.parametrize("gap_s", [0.0, 0.001, 0.003, 0.005])
def test_a_refer_while_a_hold_is_under_way_parks_all_the_same(office: Office, gap_s: float) -> None:
    """REFER is no offer: it need not wait for one (:rfc:`3515` section 2.4.2)."""
    caller, answered = office.talk(office.alice, office.bob)
    answered.hold()
    office.run(gap_s)
    answered.refer("*800")
    office.run(2)
    assert answered.transfer[-1][0] == 200
    assert caller.hears("music")
    assert not office.bob.live


def test_a_hold_that_arrives_after_the_refer_changes_nothing_for_the_parked(office: Office) -> None:
    caller, answered = office.talk(office.alice, office.bob)
    office.world.net.delay("INVITE ", 0.3)
    answered.hold()
    answered.refer("*800")
    office.run(3)
    assert caller.hears("music")
    assert heard(caller) == ["silence", "acme-102", "music"]
    assert not office.bob.live


@pytest.mark.parametrize("who", ["caller", "called"])
def test_a_phone_that_never_answers_our_bye_is_given_up_after_half_a_minute(office: Office, who: str) -> None:
    """A non-INVITE transaction ends after 64*T1 at the latest (Timer F, :rfc:`3261` section 17.1.2.2)."""
    caller, answered = office.talk(office.alice, office.bob)
    deaf, other = (caller, answered) if who == "caller" else (answered, caller)
    deaf.phone.misbehave(never_answers("BYE"))
    other.hang_up()
    office.run(1)
    assert not office.world.media.legs
    assert office.world.switch.counts()["calls"] == 0
    office.run(33)
    assert office.world.switch.counts()["sip"] == 0
    assert len(deaf.phone.recorder.received("BYE")) == 11


def test_a_phone_that_answers_with_a_description_that_is_none_is_hung_up_on_and_the_caller_is_told(office: Office) -> None:
    """A 2xx must be acknowledged even if its answer is useless; then the session is ended (:rfc:`3261` section 13.2.2.4)."""
    office.bob.misbehave(changes_sdp(lambda sdp: b"hello?"))
    call = office.alice.call("102")
    office.run(0.1)
    answered = office.bob.answer()
    office.run(1)
    assert call.refused == 488
    assert answered.ended == "bye"
    assert len(office.bob.recorder.received("ACK")) == 1


def test_garbage_that_arrives_among_the_messages_of_a_call_changes_nothing(office: Office) -> None:
    call, answered = office.talk(office.alice, office.bob)
    before = office.world.now
    for data in (
        b"",
        b"\x00",
        b"\r\n\r\n",
        b"INVITE",
        b"SIP/2.0 200 OK\r\n\r\n",
        bytes(range(256)),
        b"BYE sip:x SIP/2.0\r\n\r\n",
    ):
        office.world.net.perform(office.bob.address, Send(Flow("UDP", *SERVER), data), office.world.now)
    office.run(1)
    assert call.hears(office.bob)
    assert answered.hears(office.alice)
    assert requests_since(call, before) == requests_since(answered, before) == []


def test_a_phone_that_dies_while_parked_is_found_out_and_its_code_is_free(office: Office) -> None:
    """Nobody refreshes the session, our own refresh has no answer: the call is over (:rfc:`4028` section 10)."""
    caller = office.parked(office.alice, office.bob)
    office.world.net.cut(office.alice.address)
    office.run(500)
    assert office.world.switch.counts()["calls"] == 1
    office.run(1500)
    assert office.world.switch.counts()["calls"] == 0
    assert not office.world.media.legs
    office.world.net.mend(office.alice.address, office.world.now)
    assert caller.state == "ended"


def test_requests_without_a_dialog_are_told_so(office: Office) -> None:
    """481 for a dialog that is not there (:rfc:`3261` section 12.2.2), 489 for an event package we lack (:rfc:`6665`)."""
    phone = RawPhone(office.world, "acme-104", "192.0.2.77")
    for seq, method in enumerate(("BYE", "INFO", "UPDATE", "NOTIFY", "REFER", "PRACK", "INVITE"), 1):
        phone.send(phone.request(method, "102", seq=seq, to_tag="gone"))
        office.run(0.1)
        assert phone.statuses(method) == [481]
        if method == "INVITE":
            phone.acknowledge(phone.sent[-1])  # type: ignore[arg-type]
    phone.send(phone.request("CANCEL", "102", seq=9))
    phone.send(phone.request("ACK", "102", seq=9, to_tag="gone"))
    office.run(0.1)
    assert phone.statuses("CANCEL") == [481]
    for method, status in (("SUBSCRIBE", 489), ("MESSAGE", 405), ("REFER", 403), ("PUBLISH", 405), ("JUMP", 501)):
        if method == "JUMP":
            phone.send(phone.request(method, "102", call_id=method))
            office.run(0.1)
        else:
            phone.ask(method, "102", call_id=method)
        assert phone.statuses(method, method)[-1] == status


@pytest.mark.parametrize("seed", range(6))
def test_in_a_storm_a_call_is_parked_once_and_picked_up_by_one(seed: int) -> None:
    """A third of all datagrams is lost, a fifth comes twice, all of them out of order."""
    world = SimWorld(seed, STORM)
    world.account("acme", {"101": "Alice", "102": "Bob", "103": "Carol", "104": "Dave"})
    alice, bob, carol, dave = (world.phone(f"acme-{extension}") for extension in ("101", "102", "103", "104"))
    call = alice.call("102")
    world.run_until(lambda: bob.ringing is not None, within_s=30)
    bob.answer()
    world.run_until(lambda: call.hears(bob), within_s=30)
    world.run(30)
    bob.refer("*800")
    world.run_until(lambda: call.hears("music"), within_s=30)
    contenders = [carol.call("*801"), dave.call("*801")]
    world.run_until(lambda: all(one.state != "calling" for one in contenders), within_s=60)
    (winner,) = [one for one in contenders if one.is_up]
    world.run_until(lambda: call.hears(winner) and winner.hears(alice), within_s=30)
    assert [kind for kind in world.event_types() if kind in (CallParked, CallRetrieved)] == [CallParked, CallRetrieved]
    for phone in (alice, bob, carol, dave):
        phone.hang_up()
    world.run(100)
    world.assert_nothing_leaks(within_s=4000)

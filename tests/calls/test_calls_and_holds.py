"""Ordinary calls and hold: S1, S3, S4, S5, S20, S22."""

from __future__ import annotations

import pytest

from parkade.base.sound import Music, Peer, Tone
from parkade.calls.effects import AnswerLeg, Elsewhere, Hear, OpenEarlyMedia, RingEndpoint, ShowRinging
from parkade.calls.events import CallAnswered, CallEnded, CallStarted
from parkade.calls.identity import Identity
from parkade.calls.inputs import DirectoryChanged, Failure, LegAnswered, LegEnded, LegFailed
from parkade.testing.call_rig import Phone
from tests.calls.accounts import rig_with, two_accounts

ALICE, BOB = Identity("Alice", "101"), Identity("Bob", "102")


def refusal_of(phone: Phone) -> str | None:
    return phone.refused.refusal.id if phone.refused else None


def test_an_extension_rings_all_devices_of_its_owner_and_the_first_answer_wins() -> None:
    rig = rig_with()
    bob = rig.call("bob", "101")
    assert rig.all_ringing() == {"alice", "alice-app"}
    app = rig.ringing("alice-app")
    desk = rig.answer("alice")
    assert rig.talking(bob, desk)
    assert app.ended
    assert app.ended.elsewhere is Elsewhere.ANSWERED


def test_both_hear_each_other_before_the_caller_is_answered() -> None:
    rig = rig_with()
    alice, bob = rig.conversation("alice", "102")
    order = [type(e) for e in rig.effects]
    assert order.index(AnswerLeg) > max(n for n, kind in enumerate(order) if kind is Hear)
    assert (alice.display, bob.display) == (BOB, ALICE)


def test_a_second_answer_that_crosses_is_ended() -> None:
    rig = rig_with()
    rig.call("bob", "101")
    app = rig.ringing("alice-app")
    rig.answer("alice")
    effects = rig.tell(LegAnswered(app.leg))
    assert [type(e).__name__ for e in effects] == ["EndLeg"]


def test_the_caller_sees_who_is_alerted_once_however_many_devices_ring() -> None:
    rig = rig_with()
    bob = rig.call("bob", "101")
    rig.rings("alice")
    rig.rings("alice")
    rig.rings("alice-app")
    assert [e for e in rig.effects if isinstance(e, ShowRinging)] == [ShowRinging(bob.leg, ALICE)]


def test_phones_prefer_the_codec_of_the_caller() -> None:
    rig = rig_with()
    bob = rig.call("bob", "101")
    assert {e.beside for e in rig.effects if isinstance(e, RingEndpoint)} == {bob.leg}


def test_early_media_is_heard_before_the_answer() -> None:
    rig = rig_with()
    bob = rig.call("bob", "103")
    carol = rig.rings("carol", early_media=True)
    assert bob.hears == Peer(carol.leg)
    assert OpenEarlyMedia(bob.leg, Identity("Carol", "103")) in rig.effects
    assert not any(isinstance(e, ShowRinging) for e in rig.effects)
    assert rig.talking(bob, rig.answer("carol"))


def test_when_the_device_with_early_media_fails_the_caller_hears_the_others_ring() -> None:
    rig = rig_with()
    bob = rig.call("bob", "101")
    rig.rings("alice", early_media=True)
    rig.fail("alice", Failure.BUSY)
    assert bob.hears == Tone("ringback")
    assert rig.talking(bob, rig.answer("alice-app"))


@pytest.mark.parametrize(
    ("desk", "app", "told"),
    [
        (Failure.UNREACHABLE, Failure.UNREACHABLE, "unreachable"),
        (Failure.UNREACHABLE, Failure.BUSY, "busy"),
        (Failure.NO_ANSWER, Failure.UNREACHABLE, "no_answer"),
        (Failure.INCOMPATIBLE, Failure.UNREACHABLE, "incompatible"),
        (Failure.NO_ANSWER, Failure.INCOMPATIBLE, "no_answer"),
        (Failure.BUSY, Failure.NO_ANSWER, "busy"),
    ],
)
def test_the_failure_that_says_most_is_told_when_all_have_failed(desk: Failure, app: Failure, told: str) -> None:
    rig = rig_with()
    bob = rig.call("bob", "101")
    rig.fail("alice", desk)
    assert bob.refused is None
    rig.fail("alice-app", app)
    assert refusal_of(bob) == told


def test_declined_on_one_phone_is_declined_on_all_of_the_person() -> None:
    rig = rig_with()
    bob = rig.call("bob", "101")
    app = rig.ringing("alice-app")
    rig.fail("alice", Failure.DECLINED)
    assert rig.all_ringing() == set()
    assert app.ended
    assert app.ended.elsewhere is Elsewhere.DECLINED
    assert refusal_of(bob) == "declined"


def test_in_a_ring_group_one_who_declines_does_not_speak_for_the_others() -> None:
    rig = rig_with()
    alice = rig.call("alice", "120")
    assert rig.all_ringing() == {"bob", "carol"}
    assert rig.ringing("bob").display == ALICE
    rig.fail("bob", Failure.DECLINED)
    assert rig.talking(alice, rig.answer("carol"))
    assert alice.display == Identity("Carol", "103")


def test_nobody_answers_for_two_minutes() -> None:
    rig = rig_with()
    bob = rig.call("bob", "103")
    rig.advance(119.9)
    assert bob.refused is None
    rig.advance(0.2)
    assert refusal_of(bob) == "no_answer"
    assert not rig.is_ringing("carol")


def test_ones_own_extension_rings_ones_other_devices() -> None:
    rig = rig_with()
    rig.call("alice", "101")
    assert rig.all_ringing() == {"alice-app"}


def test_ones_own_extension_is_busy_from_the_only_phone() -> None:
    assert refusal_of(rig_with().call("bob", "102")) == "busy"


def test_a_common_area_phone_calls_and_is_called() -> None:
    rig = rig_with()
    wall, bob = rig.conversation("wall", "102")
    assert bob.display == Identity("Wall", "110")
    rig.hang_up(wall)
    assert bob.gone
    assert rig.talking(*rig.conversation("alice", "110"))


def test_a_number_nobody_has_is_refused_aloud() -> None:
    phone = rig_with().call("alice", "555")
    assert phone.refused
    assert (phone.refused.refusal.id, phone.refused.phrases, phone.refused.language) == (
        "no_such_number",
        ("no-such-number",),
        "en",
    )


def test_an_extension_of_another_account_is_no_number() -> None:
    rig = rig_with()
    assert refusal_of(rig.call("alice", "105")) == "no_such_number"
    gina = rig.call("gina", "101")
    assert refusal_of(gina) == "busy"  # the own extension, not Acme's


@pytest.mark.parametrize("dialled", ["101", "*800", "*801"])
def test_without_a_licence_nothing_can_be_called(dialled: str) -> None:
    phone = rig_with().call("dan", dialled)
    assert refusal_of(phone) == "not_licensed"
    assert phone.refused
    assert phone.refused.phrases == ("not-licensed",)


def test_an_unknown_device_is_refused() -> None:
    assert refusal_of(rig_with().call("nobody", "101")) == "no_such_number"


def test_a_caller_who_gives_up_stops_all_ringing() -> None:
    rig = rig_with()
    bob = rig.call("bob", "101")
    app = rig.ringing("alice-app")
    rig.hang_up(bob)
    assert rig.all_ringing() == set()
    assert app.ended
    assert app.ended.elsewhere is Elsewhere.NOTHING
    assert not any(rig.control.counts())


def test_whoever_hangs_up_ends_the_call() -> None:
    for who in (0, 1):
        rig = rig_with()
        ends = rig.conversation("alice", "102")
        rig.hang_up(ends[who])
        assert ends[1 - who].gone
        assert not any(rig.control.counts())


def test_what_is_known_of_a_gateways_caller_is_shown() -> None:
    rig = rig_with()
    rig.call("gw", "102", caller=Identity("Lan", "+84901234567"))
    assert rig.ringing("bob").display == Identity("Lan", "+84901234567")


def test_a_device_with_a_destination_calls_that_whatever_it_dials() -> None:
    rig = rig_with()
    rig.call("lobby", "*801")
    assert rig.all_ringing() == {"carol"}


def test_while_one_holds_the_other_hears_music() -> None:
    rig = rig_with()
    alice, bob = rig.conversation("alice", "102")
    rig.hold(alice)
    assert bob.hears == Music()
    rig.hold(alice)
    rig.resume(alice)
    assert rig.talking(alice, bob)


def test_both_may_hold() -> None:
    rig = rig_with()
    alice, bob = rig.conversation("alice", "102")
    rig.hold(alice)
    rig.hold(bob)
    assert (alice.hears, bob.hears) == (Music(), Music())
    rig.resume(alice)
    assert (alice.hears, bob.hears) == (Music(), Peer(alice.leg))
    rig.resume(bob)
    assert rig.talking(alice, bob)


def test_a_resume_without_a_hold_changes_nothing() -> None:
    rig = rig_with()
    alice, _ = rig.conversation("alice", "102")
    before = len(rig.effects)
    rig.resume(alice)
    assert len(rig.effects) == before


@pytest.mark.parametrize("who", [0, 1])
def test_either_may_hang_up_during_a_hold(who: int) -> None:
    rig = rig_with()
    ends = rig.conversation("alice", "102")
    rig.hold(ends[0])
    rig.hang_up(ends[who])
    assert ends[1 - who].gone
    assert not any(rig.control.counts())


def test_another_device_takes_the_place_of_one_in_a_conversation() -> None:
    rig = rig_with()
    alice, bob = rig.conversation("alice", "102")
    carol = rig.call("carol", "", replaces=alice)
    assert rig.talking(carol, bob)
    assert alice.ended
    assert (bob.display, carol.display) == (Identity("Carol", "103"), BOB)


def test_another_device_picks_up_what_rings_elsewhere() -> None:
    rig = rig_with()
    bob = rig.call("bob", "101")
    desk = rig.ringing("alice")
    carol = rig.call("carol", "", replaces=desk)
    assert rig.talking(bob, carol)
    assert desk.ended
    assert desk.ended.elsewhere is Elsewhere.ANSWERED
    assert rig.all_ringing() == set()


@pytest.mark.parametrize("early_only", [False, True])
def test_nobody_takes_the_place_of_a_caller_who_waits(early_only: bool) -> None:
    """RFC 3891 section 3: an early dialog that we have not begun ourselves is none that can be replaced."""
    rig = rig_with()
    bob = rig.call("bob", "101")
    rig.rings("alice")
    assert refusal_of(rig.call("carol", "", replaces=bob, early_only=early_only)) == "no_such_call"
    assert rig.talking(bob, rig.answer("alice"))


def test_nobody_takes_a_place_in_another_account() -> None:
    rig = rig_with()
    alice, bob = rig.conversation("alice", "102")
    assert refusal_of(rig.call("gus", "", replaces=alice)) == "no_such_number"
    assert rig.talking(alice, bob)


def test_calls_are_told_from_start_to_end() -> None:
    rig = rig_with()
    alice, _ = rig.conversation("alice", "102")
    rig.advance(65)
    rig.hang_up(alice)
    started, answered, ended = rig.events()
    assert isinstance(started, CallStarted)
    assert isinstance(answered, CallAnswered)
    assert isinstance(ended, CallEnded)
    assert started.caller_number == "101"
    assert started.dialled == answered.answered_by == "102"
    assert ended.duration_s == 65
    assert len({e.call for e in (started, answered, ended)}) == 1


def test_inputs_about_legs_that_are_gone_are_ignored() -> None:
    rig = rig_with()
    alice, bob = rig.conversation("alice", "102")
    rig.hang_up(alice)
    before = len(rig.effects)
    rig.tell(LegEnded(alice.leg))
    rig.tell(LegFailed(bob.leg, Failure.BUSY))
    rig.hold(bob)
    rig.press(bob, "*5")
    assert len(rig.effects) == before


def test_calls_go_on_when_the_account_is_removed() -> None:
    rig = rig_with()
    alice, bob = rig.conversation("alice", "102")
    everything = two_accounts()
    globex_only = type(everything)(
        {"globex": everything.accounts["globex"]},
        {name: device for name, device in everything.devices.items() if device.account == "globex"},
    )
    rig.tell(DirectoryChanged(globex_only))
    rig.press(alice, "*5")
    rig.hold(alice)
    assert bob.hears == Music()
    assert rig.progress(rig.transfer(alice, "103"))[0].value == "refused"
    assert refusal_of(rig.call("carol", "102")) == "no_such_number"
    rig.hang_up(bob)
    assert not any(rig.control.counts())

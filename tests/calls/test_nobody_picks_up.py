"""What follows when nobody picks up: S41 (100, 9, 50), S43, and nobody is ever dropped without a word."""

from __future__ import annotations

from dataclasses import replace

import pytest

from parkade.base.sound import Music, Spoken
from parkade.calls.directory import Directory, NotPickedUp, ParkPolicy
from parkade.calls.effects import Alert, Elsewhere, RefuseLeg, RingEndpoint
from parkade.calls.events import CallAbandoned, CallEnded, CallEvent, CallReparked, CallReturned, CallTimedOut
from parkade.calls.identity import Identity
from parkade.calls.inputs import DirectoryChanged, Failure, LegArrived
from parkade.testing.call_rig import CallRig, Phone
from tests.calls.accounts import rig_with, two_accounts

FOLLOWED = (CallTimedOut, CallReturned, CallReparked, CallAbandoned, CallEnded)


def parked(rig: CallRig, target: str = "*800") -> Phone:
    """Bob, parked by Alice from her desk phone."""
    alice, bob = rig.conversation("alice", "102")
    rig.transfer(alice, target)
    return bob


def story(rig: CallRig) -> list[type[CallEvent]]:
    return [type(event) for event in rig.events(*FOLLOWED)]


def refusal_of(phone: Phone) -> str | None:
    return phone.refused.refusal.id if phone.refused else None


def hears_farewell(phone: Phone, language: str = "vi") -> bool:
    return isinstance(phone.hears, Spoken) and (phone.hears.phrases, phone.hears.language) == (
        ("sorry-nobody-goodbye",),
        language,
    )


def test_at_its_deadline_a_call_rings_back_on_all_devices_of_the_parker() -> None:
    rig = rig_with()
    bob = parked(rig)
    rig.advance(599.9)
    assert rig.all_ringing() == set()
    rig.advance(0.1)
    assert rig.all_ringing() == {"alice", "alice-app"}
    ring = rig.ringing("alice").ring
    assert ring
    assert ring.alert is Alert.PARK_RETURN
    assert ring.caller == Identity("Park *801 Bob", "102")
    assert ring.beside == bob.leg
    assert bob.hears == Music()


def test_whoever_answers_the_ring_back_has_the_call() -> None:
    rig = rig_with()
    bob = parked(rig)
    rig.advance(600)
    desk = rig.ringing("alice")
    app = rig.answer("alice-app")
    assert rig.talking(app, bob)
    assert app.display == Identity("Bob", "102")
    assert desk.ended
    assert desk.ended.elsewhere is Elsewhere.ANSWERED
    assert story(rig) == [CallTimedOut, CallReturned]
    returned = rig.events(CallReturned)[0]
    assert (returned.code, returned.returned_to, returned.waited_s) == ("*801", "101", 600)


def test_an_expired_code_is_no_longer_valid() -> None:
    rig = rig_with()
    bob = parked(rig)
    rig.advance(600)
    assert refusal_of(rig.call("carol", "*801")) == "no_call_parked"
    assert bob.hears == Music()
    assert rig.talking(rig.answer("alice"), bob)


def test_a_code_dialled_after_its_deadline_is_too_late_even_if_the_wake_up_is() -> None:
    rig = rig_with()
    parked(rig)
    effects = rig.control.tell(LegArrived("late", "carol", "*801"), rig.now + 600)
    assert [e.refusal.id for e in effects if isinstance(e, RefuseLeg)] == ["no_call_parked"]
    assert {e.endpoint for e in effects if isinstance(e, RingEndpoint)} == {"alice", "alice-app"}


def test_a_code_dialled_just_before_its_deadline_is_in_time() -> None:
    rig = rig_with()
    bob = parked(rig)
    rig.advance(599.999)
    carol = rig.call("carol", "*801")
    assert rig.talking(carol, bob)
    rig.advance(1000)
    assert rig.talking(carol, bob)
    assert story(rig) == []


def test_when_nobody_answers_the_ring_back_the_call_is_parked_under_another_code() -> None:
    rig = rig_with()
    bob = parked(rig)
    rig.advance(600 + 30)
    assert rig.all_ringing() == set()
    assert story(rig) == [CallTimedOut, CallReparked]
    again = rig.events(CallReparked)[0]
    assert (again.old_code, again.code, again.round) == ("*801", "*802", 1)
    assert refusal_of(rig.call("carol", "*801")) == "no_call_parked"
    assert rig.talking(rig.call("carol", "*802"), bob)


@pytest.mark.parametrize("why", list(Failure))
def test_whatever_way_the_ring_back_fails_the_call_goes_to_the_lot_again(why: Failure) -> None:
    rig = rig_with()
    bob = parked(rig)
    rig.advance(600)
    rig.fail("alice", why)
    if why is not Failure.DECLINED:
        assert story(rig) == [CallTimedOut]
        rig.fail("alice-app", why)
    assert story(rig) == [CallTimedOut, CallReparked]
    assert bob.hears == Music()


def test_after_three_rounds_the_caller_is_told_that_nobody_is_there() -> None:
    rig = rig_with()
    bob = parked(rig)
    rig.advance(3 * 630)
    assert story(rig) == [CallTimedOut, CallReparked] * 2 + [CallTimedOut]
    assert hears_farewell(bob)
    rig.listen(bob)
    assert bob.ended
    assert not any(rig.control.counts())


def test_a_lot_of_one_code_uses_it_again() -> None:
    rig = rig_with(first=801, last=801)
    bob = parked(rig)
    rig.advance(630)
    assert rig.talking(rig.call("carol", "*801"), bob)


def test_when_no_code_is_free_the_caller_stays_on_music_and_is_rung_back_again() -> None:
    rig = rig_with(first=801, last=801)
    bob = parked(rig)
    rig.advance(600)
    door = rig.call("door", "")
    assert door.park_code == "*801"
    rig.advance(30)
    assert bob.hears == Music()
    assert story(rig) == [CallTimedOut]
    rig.advance(15)
    assert rig.all_ringing() == {"alice", "alice-app"}
    rig.hang_up(door)
    rig.advance(30)
    assert story(rig)[-1] is CallReparked
    assert rig.talking(rig.call("carol", "*801"), bob)


def test_without_any_code_rounds_still_come_to_an_end() -> None:
    rig = rig_with(first=801, last=801)
    bob = parked(rig)
    rig.advance(600)
    rig.call("door", "")
    rig.advance(30 + 15 + 30 + 15 + 30)
    assert hears_farewell(bob)


def test_a_caller_whom_nobody_parked_waits_three_times() -> None:
    rig = rig_with()
    door = rig.call("door", "")
    rig.advance(600)
    assert rig.all_ringing() == set()
    assert [e.code for e in rig.events(CallReparked)] == ["*802"]
    rig.advance(600)
    assert [e.code for e in rig.events(CallReparked)] == ["*802", "*801"]
    rig.advance(600)
    assert hears_farewell(door)
    rig.advance(12.1)
    assert door.ended


def test_a_caller_who_hangs_up_stops_the_ring_back() -> None:
    rig = rig_with()
    bob = parked(rig)
    rig.advance(610)
    rig.hang_up(bob)
    assert rig.all_ringing() == set()
    assert story(rig) == [CallTimedOut, CallAbandoned, CallEnded]
    assert not any(rig.control.counts())


def test_a_caller_who_hangs_up_while_no_code_is_free_has_abandoned_too() -> None:
    rig = rig_with(first=801, last=801)
    bob = parked(rig)
    rig.advance(600)
    rig.call("door", "")
    rig.advance(31)
    rig.hang_up(bob)
    assert story(rig)[-2:] == [CallAbandoned, CallEnded]


def test_a_caller_who_hangs_up_during_the_farewell_is_gone() -> None:
    rig = rig_with(ParkPolicy(not_picked_up=NotPickedUp.DISCONNECT))
    bob = parked(rig)
    rig.advance(600)
    rig.hang_up(bob)
    assert not any(rig.control.counts())


def test_disconnect_comes_after_an_apology_in_the_language_of_the_account() -> None:
    rig = rig_with(ParkPolicy(not_picked_up=NotPickedUp.DISCONNECT))
    bob = parked(rig)
    rig.advance(600)
    assert hears_farewell(bob)
    assert refusal_of(rig.call("carol", "*801")) == "no_call_parked"
    rig.listen(bob)
    assert bob.ended
    assert story(rig) == [CallTimedOut, CallEnded]


@pytest.mark.parametrize(("forward_to", "rung"), [("103", {"carol"}), ("120", {"carol"}), ("110", {"wall"})])
def test_another_extension_is_rung(forward_to: str, rung: set[str]) -> None:
    rig = rig_with(ParkPolicy(not_picked_up=NotPickedUp.EXTENSION, forward_to=forward_to, ring_back_s=20))
    bob = parked(rig)
    rig.advance(600)
    assert rig.all_ringing() == rung
    rig.advance(20)
    assert story(rig) == [CallTimedOut, CallReparked]
    rig.advance(600)
    assert rig.talking(rig.answer(rung.pop()), bob)


def test_where_there_is_nothing_to_forward_to_the_parker_is_rung_back() -> None:
    rig = rig_with(ParkPolicy(not_picked_up=NotPickedUp.EXTENSION, forward_to="999"))
    parked(rig)
    rig.advance(600)
    assert rig.all_ringing() == {"alice", "alice-app"}


@pytest.mark.parametrize("action", [NotPickedUp.VOICEMAIL, NotPickedUp.OUTSIDE_NUMBER])
def test_what_does_not_exist_yet_rings_back(action: NotPickedUp) -> None:
    rig = rig_with(ParkPolicy(not_picked_up=action))
    parked(rig)
    rig.advance(600)
    assert rig.all_ringing() == {"alice", "alice-app"}


def test_the_parker_of_a_call_parked_again_is_the_one_who_did_so() -> None:
    rig = rig_with()
    bob = parked(rig)
    carol = rig.call("carol", "*801")
    rig.transfer(carol, "*800")
    rig.advance(600)
    assert rig.all_ringing() == {"carol"}
    assert rig.talking(rig.answer("carol"), bob)


def test_a_returned_call_can_be_parked_again_and_waits_three_rounds_anew() -> None:
    rig = rig_with()
    bob = parked(rig)
    rig.advance(2 * 630 + 600)
    alice = rig.answer("alice")
    rig.transfer(alice, "*800")
    rig.advance(630)
    assert story(rig)[-1] is CallReparked
    assert bob.hears == Music()


def without_acme(everything: Directory) -> Directory:
    return Directory(
        {"globex": everything.accounts["globex"]},
        {name: device for name, device in everything.devices.items() if device.account == "globex"},
    )


def test_a_caller_of_an_account_that_is_gone_is_not_forgotten() -> None:
    rig = rig_with()
    bob = parked(rig)
    rig.tell(DirectoryChanged(without_acme(two_accounts())))
    rig.advance(600)
    assert bob.hears == Music()
    rig.advance(600 + 600)
    assert hears_farewell(bob)
    rig.listen(bob)
    assert not any(rig.control.counts())
    rig.tell(DirectoryChanged(two_accounts()))
    assert rig.talking(*rig.conversation("alice", "102"))


def test_a_lot_that_was_gone_for_a_while_still_has_its_calls() -> None:
    rig = rig_with()
    bob = parked(rig)
    rig.advance(600)
    rig.tell(DirectoryChanged(without_acme(two_accounts())))
    rig.advance(30)
    rig.tell(DirectoryChanged(two_accounts()))
    assert rig.talking(rig.call("carol", "*802"), bob)


def test_a_parker_with_another_phone_by_then_is_rung_there() -> None:
    rig = rig_with()
    parked(rig)
    before = two_accounts()
    acme = before.accounts["acme"]
    owners = {**acme.owners, "101": replace(acme.owners["101"], devices=("alice-app",))}
    rig.tell(DirectoryChanged(Directory({**before.accounts, "acme": replace(acme, owners=owners)}, before.devices)))
    rig.advance(600)
    assert rig.all_ringing() == {"alice-app"}


def test_the_policy_that_held_when_the_call_was_parked_counts() -> None:
    rig = rig_with()
    bob = parked(rig)
    rig.tell(DirectoryChanged(two_accounts(ParkPolicy(expiration_s=60, not_picked_up=NotPickedUp.DISCONNECT, ring_back_s=5))))
    carol, _ = rig.conversation("carol", "110")
    rig.transfer(carol, "*800")
    rig.advance(599)
    assert story(rig) == [CallTimedOut, CallEnded]
    rig.advance(1)
    assert rig.all_ringing() == {"alice", "alice-app"}
    rig.advance(29)
    assert rig.all_ringing() == {"alice", "alice-app"}
    assert bob.hears == Music()


def test_a_call_is_either_picked_up_or_timed_out_never_both() -> None:
    rig = rig_with(ParkPolicy(expiration_s=60))
    bob = parked(rig)
    carol = rig.call("carol", "*801")
    rig.advance(3600)
    assert rig.talking(carol, bob)
    assert rig.events(CallTimedOut) == []

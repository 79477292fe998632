"""A phone that has lost power says nothing any more: it is asked whether it is there, and then it is lost, and nobody else."""

from __future__ import annotations

import pytest

from parkade.base.sound import Music
from parkade.rtp.orders import LegSilent
from parkade.switch.inputs import MediaReport
from parkade.testing.fake_call import FakeCall
from tests.stories.office import Office

GIVEN_UP_S = 35.0
"""Longer than an OPTIONS is repeated without an answer (:rfc:`3261` section 17.1.2.2)."""


def leg_of(office: Office, call: FakeCall) -> str:
    leg = office.world.media.toward(call.phone.host, call.rtp_port)
    assert leg is not None
    return leg.id


def silent(office: Office, call: FakeCall) -> None:
    """Media tells that nothing comes from the phone of ``call``."""
    office.world.media.fall_silent(leg_of(office, call))
    office.world._server.listen_to_media()


def power_cut(office: Office, call: FakeCall) -> None:
    office.world.net.cut(call.phone.address)
    silent(office, call)


def power_back(office: Office, call: FakeCall) -> None:
    """At the end of a story everybody goes home, also who was in the dark."""
    office.world.net.mend(call.phone.address, office.world.now)
    call.hang_up()
    office.run(1)


def test_a_phone_that_is_only_quiet_talks_on(office: Office) -> None:
    """One that was put on hold, or mutes by sending nothing, answers the OPTIONS."""
    caller, answered = office.talk(office.alice, office.bob)
    for _ in range(3):
        silent(office, answered)
        office.run(60)
    assert caller.hears(office.bob)
    assert answered.hears(office.alice)
    assert office.bob.recorder.received("OPTIONS")


def test_a_phone_that_is_dead_is_lost_and_its_call_leaves_nothing(office: Office) -> None:
    caller, answered = office.talk(office.alice, office.bob)
    power_cut(office, answered)
    office.run(GIVEN_UP_S)
    assert caller.ended == "bye"
    assert not office.world.media.legs
    power_back(office, answered)


def test_a_parked_caller_stays_when_the_parkers_phone_dies(office: Office) -> None:
    caller = office.parked(office.alice, office.bob)
    office.world.net.cut(office.bob.address)
    office.run(GIVEN_UP_S)
    assert caller.hears("music")
    office.world.net.mend(office.bob.address, office.world.now)


def test_a_parked_caller_whose_phone_is_dead_is_gone_and_the_code_is_free(office: Office) -> None:
    caller = office.parked(office.alice, office.bob)
    power_cut(office, caller)
    office.run(GIVEN_UP_S)
    assert not office.world.media.legs
    assert office.world.switch.counts()["calls"] == 0
    power_back(office, caller)


def test_a_held_caller_is_kept_when_the_phone_that_holds_dies(office: Office) -> None:
    caller, answered = office.talk(office.alice, office.bob)
    answered.hold()
    office.run(1)
    assert caller.hears("music")
    power_cut(office, answered)
    office.run(GIVEN_UP_S)
    assert caller.is_up
    (leg,) = office.world.media.legs.values()
    assert isinstance(leg.sound, Music) or caller.hearing != "silence"
    power_back(office, answered)


@pytest.mark.parametrize("leg", ["nobody", ""])
def test_a_report_about_a_leg_that_is_gone_says_nothing(office: Office, leg: str) -> None:
    office.world.tell(MediaReport(LegSilent(leg, 60.0)))

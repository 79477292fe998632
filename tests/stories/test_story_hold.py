"""Hold: music while one waits, and the freedom to hang up."""

from __future__ import annotations

import pytest

from parkade.base.sound import Music
from parkade.calls.events import CallAbandoned
from tests.stories.office import Office, errors, heard, response


@pytest.mark.spec("S20")
def test_whoever_is_put_on_hold_hears_music_until_the_hold_ends(office: Office) -> None:
    caller, answered = office.talk(office.alice, office.bob)
    answered.hold()
    office.run(1)
    assert caller.hears("music")
    answered.resume()
    office.run(1)
    assert caller.hears(office.bob)
    assert answered.hears(office.alice)
    assert heard(caller) == ["silence", "acme-102", "music", "acme-102"]


@pytest.mark.spec("S20")
def test_the_music_of_a_hold_goes_on_when_the_call_is_parked(office: Office) -> None:
    caller, answered = office.talk(office.alice, office.bob)
    answered.hold()
    office.run(1)
    office.park(answered)
    leg = office.world.media.toward(office.alice.host, caller.rtp_port)
    assert leg is not None
    assert [sound for _, sound in leg.heard if isinstance(sound, Music)] == [Music()]
    assert heard(caller)[-1] == "music"


@pytest.mark.spec("S20")
def test_both_sides_may_hold_at_the_same_instant_and_both_come_back(office: Office) -> None:
    caller, answered = office.talk(office.alice, office.bob)
    caller.hold()
    answered.hold()
    office.run(1)
    caller.resume()
    answered.resume()
    office.run(1)
    assert caller.hears(office.bob)
    assert answered.hears(office.alice)


@pytest.mark.spec("S22")
def test_a_parked_caller_who_hangs_up_frees_the_code_at_once(office: Office) -> None:
    caller = office.parked(office.alice, office.bob)
    caller.hang_up()
    office.run(0.01)
    (abandoned,) = office.events(CallAbandoned)
    assert abandoned.code == "*801"
    _, answered = office.talk(office.carol, office.bob)
    assert office.park(answered) == "*801"


@pytest.mark.spec("S22")
def test_the_code_of_a_caller_who_has_hung_up_is_empty(office: Office) -> None:
    caller = office.parked(office.alice, office.bob)
    caller.hang_up()
    office.run(0.01)
    late = office.carol.call("*801")
    office.run(8)
    assert late.refused == 404
    assert errors(response(late, 404))[0] == "no_call_parked"


@pytest.mark.spec("S22")
def test_a_caller_on_hold_who_hangs_up_is_gone_for_the_holder_too(office: Office) -> None:
    caller, answered = office.talk(office.alice, office.bob)
    answered.hold()
    office.run(1)
    caller.hang_up()
    office.run(1)
    assert answered.ended == "bye"
    nothing = office.bob.call("*800")
    office.run(6)
    assert nothing.refused == 480


@pytest.mark.spec("S22")
def test_a_caller_who_hangs_up_while_the_code_is_being_said_leaves_it_free(office: Office) -> None:
    caller, answered = office.talk(office.alice, office.bob)
    answered.press("*5")
    office.run(0.5)
    caller.hang_up()
    office.run(6)
    assert not office.bob.live
    late = office.carol.call("*801")
    office.run(8)
    assert late.refused == 404

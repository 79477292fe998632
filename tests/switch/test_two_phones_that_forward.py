"""Two phones of one person that forward (3xx) to different places: both places ring (:rfc:`3261` section 16.7 step 4)."""

from __future__ import annotations

import pytest

from parkade.sip.message.message import make_response
from parkade.testing.world import SimWorld
from tests.switch.raw_phone import RawPhone

ELSEWHERE = 'SIP;cause=200;text="Call completed elsewhere"'


class Forwarding:
    """Alice has two phones, registered as one device or as two; Bob calls her. Carol and Dave are forwarded to."""

    def __init__(self, *, devices: int) -> None:
        self.world = world = SimWorld()
        world.account("acme", {"101": "Alice", "102": "Bob", "103": "Carol", "104": "Dave"})
        if devices == 2:
            world.device("acme-101b", "acme", "101")
        self.bob, self.carol, self.dave = (world.phone(f"acme-{extension}") for extension in ("102", "103", "104"))
        self.phones = [RawPhone(world, "acme-101", "192.0.2.77")]
        self.phones.append(RawPhone(world, "acme-101b" if devices == 2 else "acme-101", "192.0.2.78"))
        for number, phone in enumerate(self.phones):
            phone.register(call_id=f"register-{number}")
        self.call = self.bob.call("101")
        world.run(0.3)

    def say(self, phone: RawPhone, status: int, *contacts: str) -> None:
        lines = [("Contact", contact) for contact in contacts]
        phone.send(make_response(phone.requests("INVITE")[-1], status, to_tag="raw", headers=lines))
        self.world.run(0.5)


@pytest.mark.parametrize("devices", [1, 2])
def test_both_places_ring(devices: int) -> None:
    there = Forwarding(devices=devices)
    one, two = there.phones
    there.say(one, 302, "<sip:103@x>")
    there.say(two, 302, "<sip:104@x>")
    assert there.carol.ringing
    assert there.dave.ringing
    there.dave.answer()
    there.world.run(1)
    assert there.call.hears(there.dave)
    assert not there.carol.live
    assert there.carol.recorder.received("CANCEL")[0].headers.get("Reason") == ELSEWHERE


@pytest.mark.parametrize("devices", [1, 2])
def test_the_place_that_one_forwards_to_rings_while_the_other_phone_does(devices: int) -> None:
    there = Forwarding(devices=devices)
    one, two = there.phones
    there.say(two, 180)
    there.say(one, 302, "<sip:103@x>")
    assert there.carol.ringing
    assert not two.requests("CANCEL")
    there.carol.answer()
    there.world.run(1)
    assert there.call.hears(there.carol)
    assert two.requests("CANCEL")[0].headers.get("Reason") == ELSEWHERE


@pytest.mark.parametrize("devices", [1, 2])
@pytest.mark.parametrize(("said", "told"), [(486, 486), (603, 603)])
def test_what_the_other_says_is_told_when_the_place_does_not_answer(devices: int, said: int, told: int) -> None:
    there = Forwarding(devices=devices)
    one, two = there.phones
    there.say(one, 302, "<sip:103@x>")
    there.say(two, said)
    assert there.carol.ringing
    there.carol.reject(480)
    there.world.run(1)
    assert there.call.refused == told


@pytest.mark.parametrize("devices", [1, 2])
def test_one_that_forwards_in_vain_does_not_stop_the_other(devices: int) -> None:
    there = Forwarding(devices=devices)
    one, two = there.phones
    there.say(one, 302, "<sip:+84901234567@x>")
    there.say(two, 302, "<sip:104@x>")
    assert there.dave.ringing
    there.dave.reject(480)
    there.world.run(1)
    assert there.call.refused == 480

"""Phones that subscribe (:rfc:`6665`), to a package that tells of lamps: who may, and what becomes of it."""

from __future__ import annotations

import pytest

from parkade.calls.directory import RingGroup, Strategy
from parkade.sip.message.message import Request, Response
from parkade.switch.subscriptions import PhonePackage, Subscribed
from parkade.switch.switch import Switch
from parkade.testing.phone import FakePhone
from parkade.testing.world import SERVER, SimWorld
from tests.stories.office import Office
from tests.switch.raw_phone import RawPhone


class Lamps(PhonePackage):
    """One lamp for each number of an account, but 9. Number 8 breaks whoever asks."""

    def __init__(self) -> None:
        super().__init__("lamp", ("text/plain",), default_s=600)
        self.lit: set[str] = set()

    def resource(self, asked: Subscribed) -> str | None:
        if asked.dialled == "8":
            raise ZeroDivisionError
        return None if asked.dialled == "9" else f"{asked.device.account}/{asked.dialled}"

    def document(self, resource: str, state: str, version: int, content_type: str) -> bytes:
        return f"{resource} {'on' if resource in self.lit else 'off'}".encode()


class LampWorld(SimWorld):
    """Its switch has lamps."""

    def __init__(self) -> None:
        self.lamps = Lamps()
        super().__init__()
        self.account("acme", {"101": "Alice", "102": "Bob"})
        self.account("zeta", {"101": "Zoe"})

    def new_switch(self) -> Switch:
        return Switch(self.directory, dict(self._secrets), self.ids(), lambda _: SERVER, packages=[self.lamps])

    def light(self, lamp: str) -> None:
        """Turn it on, and let everybody know."""
        self.lamps.lit.add(lamp)
        self.switch._ua.notifier.changed("lamp", lamp, self.now)
        self.load(self.directory)
        self.run(0.1)


@pytest.fixture
def world() -> LampWorld:
    return LampWorld()


def subscribe(phone: RawPhone, number: str, *, event: str = "lamp", call_id: str = "lamp") -> int:
    phone.ask("SUBSCRIBE", number, headers=[("Event", event), ("Expires", "600")], call_id=call_id)
    phone.world.run(0.1)
    return phone.statuses("SUBSCRIBE", call_id)[-1]


def told(phone: RawPhone) -> list[str]:
    """What the NOTIFYs since the last time say, each of which is answered."""
    notices = [m for m in phone.got if isinstance(m, Request) and m.method == "NOTIFY"]
    phone.got = [m for m in phone.got if isinstance(m, Response)]
    for notice in notices:
        phone.answer(notice, 200)
    return [f"{m.body.decode()} {(m.headers.get('Subscription-State') or '').partition(';expires')[0]}" for m in notices]


def test_a_phone_is_told_of_what_its_account_has(world: LampWorld) -> None:
    alice, zoe = RawPhone(world, "acme-101", "192.0.2.71"), RawPhone(world, "zeta-101", "192.0.2.72")
    assert subscribe(alice, "102") == 200
    assert alice.statuses("SUBSCRIBE", "lamp") == [401, 200]
    assert subscribe(zoe, "102", call_id="zoe") == 200
    assert (told(alice), told(zoe)) == (["acme/102 off active"], ["zeta/102 off active"])
    world.light("acme/102")
    assert (told(alice), told(zoe)) == (["acme/102 on active"], [])


def test_what_cannot_be_subscribed_to(world: LampWorld) -> None:
    phone = RawPhone(world, "acme-101", "192.0.2.71")
    assert subscribe(phone, "102", event="presence", call_id="a") == 489
    assert phone.responses("SUBSCRIBE", "a")[-1].headers.all("Allow-Events") == ["lamp", "refer"]
    assert subscribe(phone, "9", call_id="b") == 404
    assert subscribe(phone, "102", event="refer", call_id="c") == 403
    world.run(40)
    assert world.switch.counts()["sip"] == 0


def test_a_package_that_fails_fails_alone(world: LampWorld) -> None:
    world.strict = False
    phone = RawPhone(world, "acme-101", "192.0.2.71")
    assert subscribe(phone, "8", call_id="a") == 500
    assert subscribe(phone, "102", call_id="b") == 200
    tag = phone.responses("SUBSCRIBE", "b")[-1].to.tag or ""
    told(phone)
    phone.send(phone.request("SUBSCRIBE", "8", call_id="b", seq=3, to_tag=tag, headers=[("Event", "lamp;id=2")]))
    world.run(0.1)
    assert phone.statuses("SUBSCRIBE", "b") == [401, 200, 500]
    world.light("acme/102")
    assert told(phone) == ["acme/102 on active"]
    world.run(700)
    assert len([note for note in world.notes if "ZeroDivisionError" in note]) == 2


def test_the_product_offers_nothing_yet_but_transfers() -> None:
    world = SimWorld()
    world.account("acme", {"101": "Alice"})
    phone = RawPhone(world, "acme-101", "192.0.2.71")
    assert subscribe(phone, "102", event="dialog") == 489
    assert phone.responses("SUBSCRIBE", "lamp")[-1].headers.all("Allow-Events") == ["refer"]


def test_a_subscription_in_the_dialog_of_a_call_belongs_to_its_phone(world: LampWorld) -> None:
    bob = world.phone("acme-102")
    bob.auto_answer_s = 0.0
    alice = RawPhone(world, "acme-101", "192.0.2.71")
    invite = alice.ask("INVITE", "102", body=alice.sdp)
    world.run(1)
    alice.acknowledge(invite)
    tag = alice.responses("INVITE")[-1].to.tag or ""
    alice.send(alice.request("SUBSCRIBE", "102", seq=3, to_tag=tag, headers=[("Event", "lamp"), ("Expires", "600")]))
    world.run(0.1)
    assert told(alice) == ["acme/102 off active"]
    alice.send(alice.request("BYE", "102", seq=4, to_tag=tag))
    world.run(1)
    world.light("acme/102")
    assert told(alice) == ["acme/102 on active"]
    alice.send(alice.request("SUBSCRIBE", "101", seq=5, to_tag=tag, headers=[("Event", "lamp;id=2"), ("Expires", "600")]))
    world.run(0.1)
    assert told(alice) == ["acme/101 off active"]
    for seq, event in ((6, "lamp"), (7, "lamp;id=2")):
        alice.send(alice.request("SUBSCRIBE", "102", seq=seq, to_tag=tag, headers=[("Event", event), ("Expires", "0")]))
    world.run(0.1)
    assert told(alice) == ["acme/102 on terminated;reason=timeout", "acme/101 off terminated;reason=timeout"]
    world.run(40)
    assert world.switch.counts()["sip"] == 0


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
def test_a_subscription_goes_on_after_signalling_was_killed(world: LampWorld, transport: str) -> None:
    phone = RawPhone(world, "acme-101", "192.0.2.71", transport)
    phone.register()
    assert subscribe(phone, "102") == 200
    assert told(phone) == ["acme/102 off active"]
    world.run(1)
    world.lamps.lit.add("acme/102")
    world.crash_signalling(1.0)
    world.run(3)
    if transport == "TCP":
        phone.register(call_id="again")
    world.run(1)
    assert told(phone)[-1:] == ["acme/102 on active"], "whether the first was answered was not written down"
    world.light("acme/102")
    assert told(phone) == ["acme/102 on active"]
    phone.got.clear()
    world.run(700)
    assert world.switch.counts()["sip"] == 0
    world.crash_signalling(0.0)
    world.run(1)
    assert world.switch.counts()["sip"] == 0


def test_a_subscription_follows_its_phone_to_another_stream(world: LampWorld) -> None:
    phone = RawPhone(world, "acme-101", "192.0.2.71", "TCP")
    phone.register()
    subscribe(phone, "102")
    told(phone)
    world.run(1)
    for flow in world.net.streams(phone.address):
        world.net.break_stream(flow, world.now)
    world.run(1)
    world.light("acme/102")
    world.run(1)
    phone.got.clear()
    phone.register(call_id="again")
    world.run(1)
    assert told(phone) == ["acme/102 on active"]


def test_a_device_that_is_removed_is_told_no_more(world: LampWorld) -> None:
    phone = RawPhone(world, "acme-101", "192.0.2.71")
    subscribe(phone, "102")
    told(phone)
    directory = world.directory
    devices = {id_: device for id_, device in directory.devices.items() if id_ != "acme-101"}
    world.load(type(directory)(directory.accounts, devices))
    world.run(0.1)
    assert told(phone) == ["acme/102 off terminated;reason=rejected"]
    world.run(40)
    assert world.switch.counts()["sip"] == 0


# Transfers


def reports(office: Office) -> list[str]:
    """What Bob's phone was told of its transfer."""
    return reports_to(office.bob)


def reports_to(phone: FakePhone) -> list[str]:
    """What a phone was told of its transfer, and whether that was the end, each NOTIFY once."""
    by_number = {m.cseq.number: m for m in phone.recorder.received("NOTIFY")}
    return [
        f"{m.body.decode().strip()} {(m.headers.get('Subscription-State') or '').partition(';')[0]}" for m in by_number.values()
    ]


def test_the_end_of_a_transfer_that_no_phone_has_heard_is_told_after_a_restart(office: Office) -> None:
    office.bob.hangs_up_after_transfer = False
    caller, answered = office.talk(office.alice, office.bob)
    lost = office.world.net.lose(lambda packet: b"terminated;reason" in packet.data, times=100)
    answered.refer("*800")
    office.run(3)
    assert reports(office) == ["SIP/2.0 100 Trying active"]
    lost.times = 0
    office.world.crash_signalling(1.0)
    office.run(3)
    assert reports(office)[-1] == "SIP/2.0 200 OK terminated"
    assert caller.hears("music")
    assert not any(key.startswith("subscription/") for key in office.world.journal)


def test_the_end_of_a_transfer_is_told_once(office: Office) -> None:
    office.bob.hangs_up_after_transfer = False
    _, answered = office.talk(office.alice, office.bob)
    answered.refer("*800")
    office.run(0.3)
    before = reports(office)
    office.world.crash_signalling(0.5)
    office.run(5)
    assert reports(office) == before == ["SIP/2.0 100 Trying active", "SIP/2.0 200 OK terminated"]


def test_the_end_of_a_transfer_that_rings_for_long_is_told_too() -> None:
    """Ten people, one after the other, each for 20 s."""
    world = SimWorld()
    members = [str(number) for number in range(111, 121)]
    group = RingGroup("130", "Everybody", tuple(members), strategy=Strategy.IN_ORDER, each_s=20.0)
    people = {"101": "Alice", "102": "Bob", **{member: f"Number {member}" for member in members}}
    world.account("acme", people, ring_groups=[group])
    alice, bob, *others = (world.phone(f"acme-{extension}") for extension in people)
    bob.hangs_up_after_transfer = False
    caller = alice.call("102")
    world.run(1)
    answered = bob.answer()
    world.run(1)
    answered.refer("130")
    world.run(199)
    assert others[-1].ringing
    assert reports_to(bob) == ["SIP/2.0 100 Trying active", "SIP/2.0 180 Ringing active"]
    others[-1].answer()
    world.run(1)
    assert caller.hears(others[-1])
    assert reports_to(bob)[2:] == ["SIP/2.0 200 OK terminated"]

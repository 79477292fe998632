"""Which devices can be called, as events tell it; and a phone that is asked to answer by itself."""

from __future__ import annotations

import pytest

from parkade.calls.commands import ListRegistered, Registered, RetrieveCall
from parkade.calls.directory import Directory
from parkade.calls.events import DeviceRegistered, DevicesResumed, DeviceUnregistered, Gone, Happening
from parkade.testing.world import SimWorld


def office() -> SimWorld:
    world = SimWorld()
    world.account("acme", {"101": "Alice", "102": "Bob", "103": "Carol"})
    return world


def told(world: SimWorld) -> list[Happening]:
    kinds = DeviceRegistered, DeviceUnregistered
    return [event for event in world.events if isinstance(event, kinds)]


def registered(world: SimWorld) -> list[Registered]:
    listed = world.answer_to("acme", ListRegistered())
    assert isinstance(listed, tuple)
    return [one for one in listed if isinstance(one, Registered)]


def test_a_device_is_told_of_when_its_first_phone_comes_and_when_its_last_is_gone() -> None:
    world = office()
    first, second = world.phone("acme-101"), world.phone("acme-101")
    first.register()
    world.run(1)
    (come,) = told(world)
    assert isinstance(come, DeviceRegistered)
    assert (come.account, come.device, come.extension) == ("acme", "acme-101", "101")
    assert (come.transport, come.address, come.user_agent) == ("UDP", first.address.host, "FakePhone")
    (one,) = registered(world)
    assert (one.device, one.phones, one.address) == ("acme-101", 2, first.address.host)
    second.unregister()
    world.run(1)
    (_, gone) = told(world)
    assert isinstance(gone, DeviceUnregistered)
    assert (gone.device, gone.extension, gone.reason) == ("acme-101", "101", Gone.ASKED)
    assert registered(world) == []


def test_a_registration_that_is_not_refreshed_ends_by_itself() -> None:
    world = office()
    phone = world.phone("acme-101")
    phone.register(expires_s=60)
    world.run(40)
    phone.register(expires_s=60)
    world.run(59)
    assert len(told(world)) == 1
    world.run(2)
    gone = told(world)[-1]
    assert isinstance(gone, DeviceUnregistered)
    assert gone.reason is Gone.EXPIRED
    assert gone.at == pytest.approx(world.now - 1, abs=1)
    assert "binding/acme-101" not in world.journal


def test_a_broken_connection_and_a_removed_device_are_reasons() -> None:
    world = office()
    phone, _ = world.phone("acme-101", transport="TCP"), world.phone("acme-102")
    for flow in world.net.streams(phone.address):
        world.net.break_stream(flow, world.now)
    world.run(1)
    account = world.directory.accounts["acme"]
    world.load(Directory({"acme": account}, {k: d for k, d in world.directory.devices.items() if k != "acme-102"}))
    world.run(1)
    reasons = [(event.device, event.reason) for event in told(world) if isinstance(event, DeviceUnregistered)]
    assert reasons == [("acme-101", Gone.CONNECTION), ("acme-102", Gone.REMOVED)]


def test_after_a_restart_it_is_told_which_devices_are_registered() -> None:
    world = office()
    world.account("zeta", {"101": "Zoe"})
    world.phone("acme-101").register(expires_s=60)
    world.phone("acme-102")
    world.run(1)
    before = len(told(world))
    world.crash_signalling(down_s=100)
    world.run(200)
    resumed = {event.account: event.devices for event in world.events if isinstance(event, DevicesResumed)}
    assert resumed == {"acme": ("acme-102",), "zeta": ()}
    assert len(told(world)) == before


@pytest.mark.parametrize("answer", [True, False])
def test_a_phone_that_is_to_answer_by_itself_is_told_so_in_every_way_that_phones_know(answer: bool) -> None:
    world = office()
    alice, bob, carol = (world.phone(f"acme-{extension}") for extension in ("101", "102", "103"))
    alice.call("102")
    world.run(1)
    bob.answer()
    world.run(1)
    bob.refer("*800")
    world.run(1)
    world.ask("acme", RetrieveCall("*801", "acme-103", answer=answer))
    world.run(1)
    (invite,) = carol.recorder.received("INVITE")
    assert invite.headers.get("Call-Info") == ("<sip:127.0.0.1>;answer-after=0" if answer else None)
    assert invite.headers.get("Answer-Mode") == ("Auto" if answer else None)
    wanted = "<http://127.0.0.1/auto-answer>;info=alert-autoanswer;delay=0"
    assert invite.headers.get("Alert-Info") == (wanted if answer else None)

"""Whatever the switch is told, in whatever order and however late: ``tell`` and ``wake`` raise nothing and have no fault."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from parkade.base.sound import Silence
from parkade.calls.directory import Directory
from parkade.rtp.orders import (
    Inventory,
    KeyHeard,
    LegClosed,
    LegFailed,
    LegSilent,
    LegState,
    PortsExhausted,
    PortsReady,
    PromptEnded,
    Report,
)
from parkade.sip.message.flow import Flow
from parkade.switch.inputs import AccountLoaded, DirectoryLoaded, Drain, FlowLost, HangUp, MediaReport, Received, SwitchInput
from parkade.testing.world import SERVER, SimWorld


def a_report(dice: Random, legs: list[str]) -> Report:
    leg = dice.choice([*legs, "nobody", ""])
    reports: list[Report] = [
        PortsReady(()),
        PortsReady((dice.randrange(0, 70000),) * dice.randrange(3)),
        PortsExhausted(),
        KeyHeard(leg, dice.choice("0*#Dx")),
        PromptEnded(leg, "x"),
        LegSilent(leg, dice.uniform(0, 100)),
        LegFailed(leg, 20000),
        LegClosed(leg, 0, 0, 0, 0),
        Inventory((), complete=dice.random() < 0.5),
        Inventory((LegState(leg, 20000, 1, 2, 3, None, Silence()),)),
    ]
    return dice.choice(reports)


def an_input(dice: Random, world: SimWorld) -> SwitchInput:
    streams = [flow for phone in world._phones for flow in world.net.streams(phone.address)]
    flow = dice.choice([*streams, Flow("UDP", "192.0.2.1", 5060), Flow("TCP", *SERVER, 7), Flow("TCP", "192.0.2.1", 5060)])
    directory = world.directory
    acme = directory.accounts["acme"]
    given: list[SwitchInput] = [
        MediaReport(a_report(dice, [leg.id for leg in world.switch._legs.all()])),
        MediaReport(a_report(dice, [leg.id for leg in world.switch._legs.all()])),
        FlowLost(flow),
        Received(flow, dice.randbytes(dice.randrange(60))),
        DirectoryLoaded(dice.choice([Directory(), directory]), dict(world._secrets)),
        AccountLoaded("acme", dice.choice([None, acme]), dice.choice([{}, directory.devices]), dict(world._secrets)),
        AccountLoaded("other", None, {}, {}),
        HangUp(),
    ]
    return dice.choice(given)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32))
def test_any_input_at_any_time_is_borne(seed: int) -> None:
    """Here media is told nothing of what the switch orders: the reports are made up.."""
    dice = Random(seed)
    world = SimWorld(seed)
    world.account("acme", {"101": "Alice", "102": "Bob", "103": "Carol"})
    phones = [world.phone(f"acme-{n}", transport=dice.choice(["UDP", "TCP"])) for n in (101, 102, 103)]
    deeds = (
        lambda p: p.call(dice.choice(("101", "102", "103", "*801", "*800", "nobody"))),
        lambda p: p.answer() if p.ringing else None,
        lambda p: p.live[0].refer(dice.choice(("*800", "103"))) if p.live and p.live[0].is_up else None,
        lambda p: p.hang_up() if dice.random() < 0.3 else None,
        lambda p: p.register(),
    )
    world.media.perform = lambda order, now: None  # type: ignore[method-assign]
    now = world.now
    for _ in range(40):
        if dice.random() < 0.5:
            dice.choice(deeds)(dice.choice(phones))
            world.run(dice.choice((0.01, 0.3, 2.0)))
            now = max(now, world.now)
            continue
        for effects in (world.switch.tell(an_input(dice, world), now), world.switch.wake(now)):
            for effect in effects:
                error = getattr(effect, "error", None)
                if error is not None:
                    raise error
        now += dice.choice((0.0, 0.01, 5.0, 700.0)) if dice.random() < 0.1 else 0.0
        if dice.random() < 0.1:
            world.switch.tell(Drain(), now)

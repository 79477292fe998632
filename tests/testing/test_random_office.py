"""Offices in which people do whatever comes to their minds: whatever they do, everybody ends up hearing something or nobody.

What they do is drawn by lot from a seed, so a failure can be repeated. After the storm each call that is up must be one media
leg of the switch and must not be left in silence; after everybody has hung up nothing may be left anywhere.
"""

from __future__ import annotations

import gc
from collections import Counter
from random import Random

import pytest

from parkade.calls.directory import ParkPolicy
from parkade.rtp.sdp import Direction
from parkade.testing.net import FAIR, Weather
from parkade.testing.phone import FakePhone
from parkade.testing.watch import WatchedWorld
from parkade.testing.whims import Numbers, Whims
from parkade.testing.world import SimWorld

EXTENSIONS = ("101", "102", "103", "104")
CODES = ("*801", "*802", "*803")
POLICY = ParkPolicy(expiration_s=60.0, reserve_s=5.0, ring_back_s=10.0)
PAUSES_S = (0.0, 0.001, 0.003, 0.01, 0.1, 1.0, 5.0)
BAD = Weather(loss=0.1, duplication=0.1, delay_s=0.02, jitter_s=0.1)


def make_office(seed: int, weather: Weather) -> tuple[SimWorld, list[FakePhone]]:
    world = WatchedWorld(seed, weather)
    world.account("acme", {extension: f"Person {extension}" for extension in EXTENSIONS}, lot=(801, 803), policy=POLICY)
    return world, [world.phone(f"acme-{extension}") for extension in EXTENSIONS]


def assert_everybody_is_looked_after(world: SimWorld, phones: list[FakePhone]) -> None:
    """Wait until no phone rings any more, and look at the calls that are left.

    First what is on its way arrives: whoever asks for a transfer at the last moment hears nothing while its target rings.
    """
    world.run(32.0)
    world.run_until(lambda: not any(call.state in ("calling", "ringing") for p in phones for call in p.live), within_s=400.0)
    world.run(40.0)
    up = [call for phone in phones for call in phone.live if call.is_up]
    # A ring-back may have begun in the meantime; it is a leg that is not up.
    assert len(up) <= len(world.media.legs)
    for call in up:
        assert call.direction is not Direction.SENDRECV or not call.hears("silence"), f"{call} is forgotten: {call.heard[-3:]}"


def everybody_hangs_up(world: SimWorld, phones: list[FakePhone]) -> None:
    for _ in range(3):
        for phone in phones:
            phone.hang_up()
        world.run(80.0)


@pytest.mark.parametrize("weather", [FAIR, BAD], ids=["fair", "bad"])
@pytest.mark.parametrize("seed", range(6))
def test_a_storm_of_whims_leaves_nobody_in_silence_and_nothing_behind(seed: int, weather: Weather) -> None:
    world, phones = make_office(seed, weather)
    random = Random(seed)
    whims = Whims(random, Numbers(people=EXTENSIONS, codes=CODES))
    for _ in range(120):
        whims.act(random.choice(phones))
        world.run(random.choice(PAUSES_S))
    assert_everybody_is_looked_after(world, phones)
    everybody_hangs_up(world, phones)
    world.assert_nothing_leaks(within_s=200.0)
    assert len(world.media.closed) > 10, "the storm was none"


def objects_of_calls() -> Counter[str]:
    gc.collect()
    rooms = ("parkade.switch.leg.", "parkade.calls.call", "parkade.calls.ring")
    kinds = (type(thing) for thing in gc.get_objects())
    return Counter(f"{kind.__module__}.{kind.__name__}" for kind in kinds if str(kind.__module__).startswith(rooms))


def test_a_call_handed_on_a_thousand_times_is_still_there_and_then_leaves_nothing() -> None:
    world, phones = make_office(1, FAIR)
    caller, *colleagues = phones
    before = objects_of_calls()
    random = Random(1)
    call = caller.call("102")
    world.run(0.1)
    has_it: FakePhone | None = colleagues[0]
    done: Counter[str] = Counter()
    for _ in range(1000):
        if has_it is None:
            has_it = random.choice(colleagues)
            has_it.call(parked_at(has_it, colleagues))
            world.run(0.1)
            done["retrieved"] += 1
        elif has_it.ringing is not None:
            has_it.answer()
            world.run(0.1)
            done["answered"] += 1
        elif random.random() < 0.3:
            has_it.hold()
            world.run(0.1)
            assert call.hears("music")
            has_it.resume()
            world.run(0.1)
            done["held"] += 1
        elif random.random() < 0.5:
            has_it.refer(random.choice(["*800", *CODES]))
            world.run(0.1)
            assert call.hears("music")
            has_it = None
            done["parked"] += 1
            continue
        else:
            others = [phone for phone in colleagues if phone is not has_it]
            target = random.choice(others)
            has_it.refer(target.name.removeprefix("acme-"))
            world.run(0.1)
            has_it = target
            done["transferred"] += 1
            continue
        assert call.is_up
        assert call.hears(has_it)
    assert min(done.values()) > 100, done
    assert call.is_up
    caller.hang_up()
    everybody_hangs_up(world, phones)
    world.assert_nothing_leaks(within_s=200.0)
    assert objects_of_calls() - before == Counter()


def parked_at(phone: FakePhone, colleagues: list[FakePhone]) -> str:
    """The code that the last report on a transfer to a lot named."""
    reports = [
        (seen.at, seen.message.headers.get("X-Parkade-Park-Code"))
        for colleague in colleagues
        for seen in colleague.recorder.seen[-12:]
        if "X-Parkade-Park-Code" in seen.message.headers
    ]
    code = max(reports)[1]
    assert code is not None
    return code

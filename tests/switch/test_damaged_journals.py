"""Rows of the journal that are missing, cut, of another shape: nothing raises, no strangers are connected, all goes home."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from random import Random

import pytest

from parkade.base.journal import Json
from tests.stories.office import Office

ODD: list[Json] = [None, [], {}, "x", "", -1, True, 1e300, [[]], [None], 2**40]


def damaged(random: Random, value: Json) -> Json:
    """``value`` with one thing in it missing or wrong; never a port that another leg could have."""
    if isinstance(value, dict) and value:
        key = random.choice([*value])
        if random.random() < 0.3:
            del value[key]
        else:
            value[key] = damaged(random, value[key])
        return value
    if isinstance(value, list) and value:
        place = random.randrange(len(value))
        if random.random() < 0.3:
            del value[place]
        else:
            value[place] = damaged(random, value[place])
        return value
    return random.choice(ODD)


def parked(office: Office) -> None:
    office.parked(office.alice, office.bob)


def recalled(office: Office) -> None:
    office.parked(office.alice, office.bob)
    office.run(601)


def retrieved(office: Office) -> None:
    office.parked(office.alice, office.bob)
    office.bob.call("*801")
    office.run(1)


def held(office: Office) -> None:
    office.talk(office.alice, office.bob)[1].hold()
    office.run(1)


def transferred(office: Office) -> None:
    office.talk(office.alice, office.bob)[1].refer("102")
    office.run(0.2)


@pytest.mark.parametrize("stage", [parked, recalled, retrieved, held, transferred])
@pytest.mark.parametrize("seed", range(12))
def test_whatever_the_journal_holds_nobody_is_connected_to_a_stranger_and_nothing_is_left(
    office: Office, seed: int, stage: Callable[[Office], None]
) -> None:
    random = Random(seed)
    office.talk(office.carol, office.dave)
    stage(office)
    world = office.world
    for key in random.sample(sorted(world.journal), random.choice([1, 2, 3])):
        if random.random() < 0.25:
            del world.journal[key]
        else:
            world.journal[key] = damaged(random, deepcopy(world.journal[key]))
    world.crash_signalling(1.0)
    office.run(4)
    pairs = [{"acme-101", "acme-102"}, {"acme-103", "acme-104"}]
    for phone in office.phones:
        for call in phone.live:
            assert not call.hearing.startswith("acme-") or {phone.name, call.hearing} in pairs

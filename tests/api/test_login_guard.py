"""Guessing passwords gets nowhere, and the right owner is not locked out by it."""

from __future__ import annotations

import pytest

from parkade.api import login_guard
from parkade.api.login_guard import BAN_LEVEL, FIRST_BAN_S, FREE, LONGEST_BAN_S, MAX_SOURCES, Guard, source_of

pytestmark = pytest.mark.asyncio

NOON = 1_800_000_000.0


async def guess(guard: Guard, login: str, address: str, now: float) -> bool:
    """Whether a password was looked at; it was wrong."""
    if await guard.wait_s(login, address, now) > 0:
        return False
    await guard.failed(login, address, now)
    return True


async def log_in(guard: Guard, login: str, address: str, now: float) -> float:
    wait = await guard.wait_s(login, address, now)
    if not wait:
        await guard.succeeded(login, address, now)
    return wait


async def test_of_a_thousand_guesses_at_once_ten_are_looked_at() -> None:
    guard = Guard()
    assert sum([await guess(guard, "alice", "192.0.2.1", NOON) for _ in range(1000)]) == FREE
    assert [ban.source for ban in guard.bans(NOON)] == ["192.0.2.1"]


async def test_of_a_thousand_guesses_in_an_hour_few_are_looked_at() -> None:
    guard = Guard()
    assert sum([await guess(guard, "alice", "192.0.2.1", NOON + 3.6 * i) for i in range(1000)]) < 50


async def test_who_waits_as_long_as_told_gets_less_than_two_hundred_guesses_in_a_week() -> None:
    guard, now, looked_at = Guard(), NOON, 0
    while now < NOON + 7 * 86400:
        wait = await guard.wait_s("alice", "192.0.2.1", now)
        looked_at += not wait
        now += wait or 0.1
    assert looked_at < 200


async def test_the_owner_logs_in_from_elsewhere_during_a_thousand_guesses() -> None:
    guard = Guard()
    for i in range(1000):
        await guess(guard, "alice", "192.0.2.1", NOON + i / 100)
    assert await log_in(guard, "alice", "198.51.100.7", NOON + 10) == 0
    assert await log_in(guard, "alice", "2001:db8::1", NOON + 10) == 0


async def test_a_colleagues_script_behind_the_same_router_locks_nobody_out_who_was_there_before() -> None:
    guard = Guard()
    assert await log_in(guard, "alice", "192.0.2.1", NOON) == 0
    for i in range(1000):
        await guess(guard, "bob", "192.0.2.1", NOON + i / 100)
    assert await log_in(guard, "alice", "192.0.2.1", NOON + 20) == 0


async def test_a_known_pair_can_be_guessed_no_better() -> None:
    guard = Guard()
    await log_in(guard, "alice", "192.0.2.1", NOON)
    assert sum([await guess(guard, "alice", "192.0.2.1", NOON + i / 100) for i in range(1000)]) <= FREE + 1
    assert [(ban.source, ban.name) for ban in guard.bans(NOON + 10)] == [("192.0.2.1", "alice")]
    assert await log_in(guard, "bob", "192.0.2.1", NOON + 20) == 0, "nobody else is touched"


async def test_one_name_guessed_from_many_places_is_slowed_but_not_locked() -> None:
    guard = Guard()
    looked_at = 0
    for i in range(1000):
        looked_at += await guess(guard, "alice", f"198.51.{i // 250}.{i % 250}", NOON + i / 10)
    assert looked_at < 100, "50, then one every three seconds"
    assert await log_in(guard, "alice", "203.0.113.9", NOON + 104) == 0, "an owner at a new place has its turn too"


async def test_an_owner_at_a_known_place_does_not_notice_that_its_name_is_guessed_everywhere() -> None:
    guard = Guard()
    await log_in(guard, "alice", "192.0.2.1", NOON)
    for i in range(1000):
        await guess(guard, "alice", f"198.51.{i // 250}.{i % 250}", NOON + 1)
    assert await log_in(guard, "alice", "192.0.2.1", NOON + 1) == 0


async def test_spelling_and_host_part_make_no_other_name_or_source() -> None:
    guard = Guard()
    names = ("alice", "Alice", " ALICE ")
    looked_at = sum([await guess(guard, names[i % 3], f"2001:db8:0:1::{i:x}", NOON) for i in range(1000)])
    assert looked_at == FREE
    assert guard.bans(NOON)[0].source == "2001:db8:0:1::/64"


async def test_the_right_password_costs_nothing() -> None:
    guard = Guard()
    for i in range(1000):
        assert await log_in(guard, f"user{i}", "192.0.2.1", NOON) == 0


async def test_bans_end_and_grow_and_are_lifted() -> None:
    guard = Guard()
    now, lengths = NOON, []
    for _ in range(9):
        while not guard.bans(now):
            await guess(guard, "alice", "192.0.2.1", now)
        (ban,) = guard.bans(now)
        lengths.append(ban.until - ban.since)
        now = ban.until + 1
        assert not guard.bans(now)
    assert lengths[:3] == [FIRST_BAN_S, 2 * FIRST_BAN_S, 4 * FIRST_BAN_S]
    assert lengths[-1] == LONGEST_BAN_S
    while not guard.bans(now):
        await guess(guard, "alice", "192.0.2.1", now)
    (ban,) = guard.bans(now)
    assert guard.lift("no such ban", now) is None
    assert guard.lift(ban.id, now) == ban
    assert guard.bans(now) == []
    assert await guess(guard, "alice", "192.0.2.1", now)


async def test_a_ban_is_forgotten_in_a_week() -> None:
    guard = Guard()
    later = NOON + login_guard.BANS_FORGOTTEN_S + FIRST_BAN_S + 1
    for now in (NOON, later):
        for _ in range(200):
            await guess(guard, "alice", "192.0.2.1", now)
        (ban,) = guard.bans(now)
        assert ban.until - ban.since == FIRST_BAN_S


async def test_memory_is_bounded_and_bans_stay_longest() -> None:
    guard = Guard()
    for _ in range(200):
        await guess(guard, "alice", "192.0.2.1", NOON)
    for i in range(MAX_SOURCES + 1000):
        await guess(guard, f"name{i}" * 1000, f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}", NOON + 1)
    assert len(guard._sources) <= MAX_SOURCES
    assert len(guard._names) <= login_guard.MAX_NAMES
    assert max(len(name) for name in guard._names) <= login_guard.MAX_NAME
    assert [ban.source for ban in guard.bans(NOON + 2)] == ["192.0.2.1"]


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("no address", "no address"),
    ],
)
async def test_sources(address: str, source: str) -> None:
    assert source_of(address) == source


async def test_a_guess_too_many_does_not_make_who_only_mistypes_wait_long() -> None:
    guard = Guard()
    for i in range(int(FREE)):
        assert await guess(guard, "alice", "192.0.2.1", NOON + i)
    now = NOON + FREE
    waits = []
    while wait := await guard.wait_s("alice", "192.0.2.1", now):
        waits.append(wait)
        now += wait
    assert sum(waits) < 5
    assert await log_in(guard, "alice", "192.0.2.1", now + 5) == 0
    assert BAN_LEVEL >= 2 * FREE

"""A change costs the size of the account: which accounts changed, one of them loaded, and nothing of the others."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path

from sqlalchemy import delete

from parkade.store import tables as t
from parkade.store.directory import LoadedAccount
from parkade.store.store import Store
from tests.store.directory_text import ACME, changed, read
from tests.store.installation import imported, within

BETA = 'accounts: [{slug: beta, name: Beta, users: [{extension: "201", name: Eve, devices: [{username: b-1, password: x}]}]}]'


def changed_since(data: Path, revision: int) -> tuple[int, list[str]]:
    return within(data, lambda store: store.changed_accounts(revision))


def test_only_accounts_that_changed_are_named(data: Path) -> None:
    assert changed_since(data, 0) == (0, [])
    imported(data, ACME)
    imported(data, BETA)
    assert changed_since(data, 0) == (2, ["acme", "beta"])
    assert changed_since(data, 1) == (2, ["beta"])
    assert changed_since(data, 2) == (2, [])
    imported(data, changed("name: Alice", "name: Alicia"))
    assert changed_since(data, 2) == (3, ["acme"])


def test_a_file_with_several_accounts_names_those_that_it_changed_at_one_revision(data: Path) -> None:
    both = ACME + BETA.removeprefix("accounts: [").removesuffix("]").join(["  - ", "\n"])
    imported(data, both)
    imported(data, both.replace("name: Eve", "name: Eva"))
    assert changed_since(data, 1) == (2, ["beta"])


def test_a_new_password_of_a_phone_changes_its_account_alone_and_one_of_a_person_changes_none(data: Path) -> None:
    imported(data, ACME)
    imported(data, BETA)
    within(data, lambda store: store.set_password("b-1", "new"))
    assert changed_since(data, 2) == (3, ["beta"])
    within(data, lambda store: store.set_password("alice@acme.test", "new"))
    assert changed_since(data, 3) == (3, [])


def test_an_account_alone_is_what_it_is_in_the_whole_directory(data: Path) -> None:
    imported(
        data, changed("    ring_groups:", "    devices: [{username: gw-1, address: 127.0.0.1, to: park}]\n    ring_groups:")
    )
    imported(data, BETA)
    directory, secrets = within(data, lambda store: store.directory())
    for slug in ("acme", "beta"):
        loaded = within(data, lambda store, slug=slug: store.account(slug))  # type: ignore[misc]
        devices = {id_: device for id_, device in directory.devices.items() if device.account == slug}
        own = {username: secret for username, secret in secrets.items() if username in devices}
        assert loaded == LoadedAccount(directory.accounts[slug], devices, own)


def test_an_account_that_is_gone_or_never_was_is_none(data: Path) -> None:
    imported(data, ACME)
    assert within(data, lambda store: store.account("nobody")) is None
    within(data, _without_acme)
    assert within(data, lambda store: store.account("acme")) is None
    assert changed_since(data, 0) == (1, ["acme"])


async def _without_acme(store: Store) -> None:
    async with store.writing() as connection:
        await connection.execute(delete(t.account).where(t.account.c.slug == "acme"))


def big_account(number: int, users: int) -> str:
    people = "\n".join(
        f'      - {{extension: "{1000 + i}", name: User {i}, site: S{i % 3}, '
        f'devices: [{{username: d-{number}-{i}, ha1_md5: "{0:032x}", ha1_sha256: "{0:064x}"}}]}}'
        for i in range(users)
    )
    sites = "sites: [{name: S0}, {name: S1}, {name: S2}]"
    return f"  - slug: a{number}\n    name: A{number}\n    {sites}\n    users:\n{people}\n"


def test_loading_one_account_asks_for_no_row_of_another(tmp_path: Path) -> None:
    """SQLite counts its steps: loading a small account takes as many beside a large one as alone."""

    def steps_to_load() -> int:
        async def work(store: Store) -> int:
            count = 0

            def step() -> int:
                nonlocal count
                count += 1
                return 0

            await store.account("beta")
            async with store._database.reading() as connection:
                raw = await connection.get_raw_connection()
                await raw.driver_connection.set_progress_handler(step, 10)  # type: ignore[union-attr]
            await store.account("beta")
            return count

        return within(tmp_path, work)

    imported(tmp_path, BETA)
    alone = steps_to_load()
    imported(tmp_path, "accounts:\n" + big_account(1, 300))
    assert alone - 20 <= steps_to_load() <= alone + 20


def test_the_event_loop_goes_on_while_an_account_is_loaded(data: Path) -> None:
    """A loop that is asked every millisecond; the slowest answer is far below the time that a phone notices."""
    imported(data, "accounts:\n" + big_account(1, 200))

    async def work(store: Store) -> float:
        loop, longest, done = asyncio.get_running_loop(), 0.0, False

        async def tick() -> None:
            nonlocal longest
            while not done:
                before = loop.time()
                await asyncio.sleep(0.001)
                longest = max(longest, loop.time() - before)

        await store.account("a1")
        ticking = asyncio.create_task(tick())
        await store.account("a1")
        done = True
        await ticking
        return longest

    assert min(within(data, work) for _ in range(3)) < 0.1


def test_following_the_changes_gives_the_directory_in_force(data: Path) -> None:
    async def work(store: Store) -> None:
        known, at = {}, 0
        for slug, name in (("a", "x"), ("b", "x"), ("a", "x"), ("a", "y"), ("c", "x"), ("b", "y"), ("b", "y"), ("a", "x")):
            await store.import_directory(read(f"accounts: [{{slug: {slug}, name: {name}}}]"))
            at, slugs = await store.changed_accounts(at)
            for one in slugs:
                loaded = await store.account(one)
                assert loaded is not None
                known[one] = loaded.account
            assert known == (await store.directory())[0].accounts
            assert at == await store.revision()

    within(data, work)


def test_loading_an_account_leaves_nothing_for_the_garbage_collector(data: Path) -> None:
    """Signalling tells the collector to pass over what was loaded: a cycle would stay for ever."""
    imported(data, "accounts:\n" + big_account(1, 50))

    async def work(store: Store) -> int:
        for _ in range(3):
            await store.account("a1")
        gc.collect()
        gc.disable()
        try:
            for _ in range(5):
                await store.changed_accounts(0)
                await store.account("a1")
            return gc.collect()
        finally:
            gc.enable()

    assert within(data, work) == 0

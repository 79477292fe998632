"""A database that version 0.1 has left behind comes up with everything in it, and can move to PostgreSQL.

``old/schema-*.sql`` are dumps of files that 0.1 made of ``old/directory.yaml``: an early one and its last.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import select

from parkade.calls.directory import NotPickedUp
from parkade.store import tables as t
from parkade.store.backup import BackupFile, backup, restore
from parkade.store.database import DATABASE_FILE, is_older
from parkade.store.passwords import password_fits
from parkade.store.store import Store
from tests.databases import KINDS, nothing_in, on_postgres, url_of
from tests.store.installation import account, exported, imported, site_id, within

OLD = Path(__file__).with_name("old")
DIRECTORY = (OLD / "directory.yaml").read_text("utf-8")


@pytest.fixture(params=["0001", "0002"])
def left_behind(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    data = tmp_path / "old"
    data.mkdir()
    with closing(sqlite3.connect(data / DATABASE_FILE)) as connection:
        connection.executescript((OLD / f"schema-{request.param}.sql").read_text("utf-8"))
        connection.execute("PRAGMA journal_mode = WAL")
    return data


@pytest.fixture(params=KINDS)
def brought_up(request: pytest.FixtureRequest, left_behind: Path, tmp_path: Path) -> Iterator[Path]:
    """The same data directory, or another with a database on PostgreSQL that its backup was restored into."""
    if request.param == "sqlite":
        yield left_behind
        return
    data = tmp_path / "new"
    with on_postgres(data):
        nothing_in(data)
        asyncio.run(backup(left_behind, None, tmp_path / "backup"))
        assert asyncio.run(is_older(left_behind)) is True
        with BackupFile.open(tmp_path / "backup") as file:
            asyncio.run(restore(data, url_of(data), file))
        yield data


async def logins(store: Store) -> dict[str, str]:
    async with store.reading() as connection:
        found = await connection.execute(select(t.login.c.name, t.login.c.password_hash))
        return {str(name): str(password_hash) for name, password_hash in found}


def test_everything_is_there(brought_up: Path) -> None:
    acme = account(brought_up)
    assert imported(brought_up, DIRECTORY) == []
    assert imported(brought_up, exported(brought_up)) == []
    directory, secrets = within(brought_up, lambda store: store.directory())
    assert set(directory.accounts) == {"acme", "bare"}
    assert {"acme-101", "acme-102", "acme-110", "gw-1"} == set(directory.devices)
    assert all(len(secret.ha1_md5) == 32 for secret in secrets.values())
    assert [site.name for site in acme.sites.values()] == ["Main", "Đà Nẵng"]
    assert acme.ring_groups["120"].members == ("102", "101")
    assert (acme.owners["101"].licensed, acme.owners["102"].licensed) == (True, False)
    lot = acme.lot_of(site_id(acme, "Main"))
    assert lot is not None
    assert (lot.policy.expiration_s, lot.policy.not_picked_up, lot.policy.forward_to) == (300.0, NotPickedUp.EXTENSION, "102")
    alice = acme.owners["101"].policy
    assert alice is not None
    assert (alice.reserve_s, alice.expiration_s) == (60.0, 300.0)


def test_everybody_logs_in_as_before_and_there_is_no_second_administrator(brought_up: Path) -> None:
    assert within(brought_up, lambda store: store.first_start()) is None
    known = within(brought_up, logins)
    assert set(known) == {"admin", "admin@acme.test", "alice@acme.test"}
    assert password_fits(known["alice@acme.test"], "alice-secret")
    assert password_fits(known["admin@acme.test"], "admin-secret")


def test_it_goes_on_from_there(brought_up: Path) -> None:
    more = DIRECTORY.replace("name: Alice,", "name: Alicia,").replace(
        "  - {slug: bare", '  - {slug: new, name: New, users: [{extension: "11", name: Ann}]}\n  - {slug: bare'
    )
    changes = imported(brought_up, more)
    assert "acme: updated user 101 Alice renamed to Alicia" in changes
    assert "new: created user 11 Ann" in changes
    assert imported(brought_up, more) == []

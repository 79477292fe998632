"""Migrations: each goes up and down over real rows, nothing is lost on the way up, and what they make is what the code uses.

All of it on both kinds of database. What version 0.1 left behind is in ``tests/store/old``.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect

from parkade.store import tables
from parkade.store.database import DATABASE_FILE, unchanged_database
from parkade.store.errors import StoreError
from parkade.store.migrate import migrate
from tests.databases import nothing_in, url_of

T = TypeVar("T")

FIRST_VERSION_ROWS = """
INSERT INTO account (id, slug, name) VALUES (1, 'acme', 'Acme'), (2, 'bare', 'Bare');
INSERT INTO site (id, account_id, name) VALUES (5, 1, 'Main'), (7, 1, 'Depot');
INSERT INTO lot (id, site_id, codes) VALUES (30, 7, '701-709');
INSERT INTO owner (id, account_id, kind, extension, name, site_id) VALUES (1, 1, 'user', '101', 'Alice', 7);
INSERT INTO device (id, account_id, owner_id, username, address) VALUES (1, 1, 1, 'acme-101', '127.0.0.1');
INSERT INTO login (account_id, owner_id, name) VALUES (1, 1, 'alice');
INSERT INTO extension_group (id, account_id, kind, extension, name) VALUES (1, 1, 'ring', '120', 'Packing');
INSERT INTO group_member (extension_group_id, owner_id, position) VALUES (1, 1, 0);
INSERT INTO park_setting (account_id, owner_id, key, value) VALUES (1, 1, 'enable', 'true');
UPDATE directory SET revision = 4;
"""
WITH_UID = ("account", "site", "lot", "owner", "device", "extension_group")
KEPT = ("account", "site", "owner", "device", "login", "extension_group", "group_member", "park_setting")


def done(data: Path, work: Callable[[Connection], T]) -> T:
    """What ``work`` gives, in one write transaction on the database as it is."""

    async def run() -> T:
        database = unchanged_database(data, url_of(data), foreign_keys=False)
        try:
            async with database.writing() as connection:
                return await connection.run_sync(work)
        finally:
            await database.close()

    return asyncio.run(run())


def to(data: Path, target: str) -> None:
    done(data, lambda connection: migrate(connection, "tested", target))


def say(data: Path, statements: str) -> None:
    def work(connection: Connection) -> None:
        for statement in filter(str.strip, statements.split(";")):
            connection.exec_driver_sql(statement)

    done(data, work)


def rows(data: Path, query: str) -> list[tuple[object, ...]]:
    return done(data, lambda connection: [tuple(row) for row in connection.exec_driver_sql(query)])


def schema(data: Path) -> dict[str, list[str]]:
    """The names of all tables, with those of their columns, indexes and constraints."""

    def work(connection: Connection) -> dict[str, list[str]]:
        found = inspect(connection)
        return {
            table: sorted(
                f"{kind} {thing['name']}"
                for kind, things in (
                    ("column", found.get_columns(table)),
                    ("index", found.get_indexes(table)),
                    ("foreign key", found.get_foreign_keys(table)),
                    ("unique", found.get_unique_constraints(table)),
                )
                for thing in things
            )
            for table in found.get_table_names()
        }

    return done(data, work)


def differences(data: Path) -> list[object]:
    """What the migrations have made otherwise than ``tables.py`` says."""
    return done(data, lambda connection: list(compare_metadata(MigrationContext.configure(connection), tables.metadata)))


@pytest.fixture
def empty(data: Path) -> Path:
    nothing_in(data)
    data.mkdir()
    return data


@pytest.fixture
def first_version(empty: Path) -> Path:
    to(empty, "0001")
    say(empty, FIRST_VERSION_ROWS)
    return empty


def test_the_migrations_make_exactly_the_tables_that_the_code_uses(empty: Path) -> None:
    to(empty, "head")
    assert differences(empty) == []


def test_every_row_of_the_first_version_gets_an_id_of_its_own_and_no_row_is_lost(first_version: Path) -> None:
    before = {table: rows(first_version, f"SELECT id FROM {table} ORDER BY id") for table in KEPT}
    to(first_version, "head")
    assert {table: rows(first_version, f"SELECT id FROM {table} ORDER BY id") for table in KEPT} == before
    for table in WITH_UID:
        uids = [uid for (uid,) in rows(first_version, f"SELECT uid FROM {table}")]
        assert uids
        assert len(set(uids)) == len(uids)
        assert all(isinstance(uid, str) and len(uid) == 16 and int(uid, 16) >= 0 for uid in uids)


def test_sites_keep_their_order_and_each_has_a_lot_and_so_has_an_account_without_sites(first_version: Path) -> None:
    to(first_version, "head")
    assert rows(first_version, "SELECT name, position FROM site ORDER BY position") == [("Main", 0), ("Depot", 1)]
    lots = rows(first_version, "SELECT account_id, site_id, codes FROM lot ORDER BY account_id, site_id")
    assert lots == [(1, 5, None), (1, 7, "701-709"), (2, None, None)]


def test_every_account_of_the_first_version_has_the_revision_of_the_directory(first_version: Path) -> None:
    to(first_version, "head")
    assert rows(first_version, "SELECT slug, revision FROM account_revision ORDER BY slug") == [("acme", 4), ("bare", 4)]


def test_down_and_up_again_loses_nothing_that_the_first_version_knew(first_version: Path) -> None:
    everything = {table: f"SELECT * FROM {table} ORDER BY id" for table in (*KEPT, "lot")}
    before = {table: rows(first_version, query) for table, query in everything.items()}
    before_it = schema(first_version)
    to(first_version, "head")
    to(first_version, "0001")
    assert {table: rows(first_version, query) for table, query in everything.items()} == before
    assert schema(first_version) == before_it
    to(first_version, "head")
    assert differences(first_version) == []


def test_a_row_that_refers_to_nothing_stops_the_migration_and_nothing_is_changed(tmp_path: Path) -> None:
    """SQLite may have one: foreign keys are off unless somebody switches them on."""
    to(tmp_path, "0001")
    say(tmp_path, FIRST_VERSION_ROWS)
    with closing(sqlite3.connect(tmp_path / DATABASE_FILE)) as connection:
        connection.executescript("DELETE FROM owner")
    with pytest.raises(StoreError, match=r"a row of \w+ refers to a row of owner that is not there"):
        to(tmp_path, "head")
    assert rows(tmp_path, "SELECT version_num FROM alembic_version") == [("0001",)]

"""Migrations: each goes up and down over real rows, nothing is lost on the way up, and what they make is what the code uses."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine

from parkade.store import tables
from parkade.store.errors import StoreError
from parkade.store.migrate import migrate

FIRST_VERSION_ROWS = """
INSERT INTO account (id, slug, name) VALUES (1, 'acme', 'Acme'), (2, 'bare', 'Bare');
INSERT INTO site (id, account_id, name) VALUES (5, 1, 'Main'), (7, 1, 'Depot');
INSERT INTO lot (id, site_id, codes) VALUES (3, 7, '701-709');
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


@contextmanager
def opened(path: Path) -> Iterator[Connection]:
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def to(path: Path, target: str) -> None:
    with opened(path) as connection:
        migrate(connection, path, target)


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


@pytest.fixture
def first_version(tmp_path: Path) -> Path:
    path = tmp_path / "parkade.db"
    to(path, "0001")
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(FIRST_VERSION_ROWS)
    return path


def test_the_migrations_make_exactly_the_tables_that_the_code_uses(tmp_path: Path) -> None:
    path = tmp_path / "parkade.db"
    to(path, "head")
    with opened(path) as connection:
        assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []


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
    schema = rows(first_version, "SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY name")
    to(first_version, "head")
    to(first_version, "0001")
    assert {table: rows(first_version, query) for table, query in everything.items()} == before
    assert rows(first_version, "SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY name") == schema
    to(first_version, "head")
    with opened(first_version) as connection:
        assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []


def test_a_row_that_refers_to_nothing_stops_the_migration_and_nothing_is_changed(first_version: Path) -> None:
    with closing(sqlite3.connect(first_version)) as connection:
        connection.executescript("DELETE FROM owner")
    with pytest.raises(StoreError, match=r"a row of \w+ refers to a row of owner that is not there"):
        to(first_version, "head")
    assert rows(first_version, "SELECT version_num FROM alembic_version") == [("0001",)]

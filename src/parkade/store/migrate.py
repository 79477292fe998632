"""The schema of a database, brought to the newest revision (or, by tests, to another one) in one transaction.

A migration that changes a table makes a copy of it and drops the old one (Alembic's batch mode: SQLite cannot alter a
column). With foreign keys enforced, dropping a table deletes the rows that refer to it, and enforcement cannot be
switched within a transaction. So the connection here must not enforce foreign keys; they are all checked afterwards.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from parkade.store.errors import StoreError

MIGRATIONS = Path(__file__).with_name("migrations")
NEWEST = "head"


def migrate(connection: Connection, path: Path, target: str = NEWEST) -> None:
    """Bring the database ``path``, which ``connection`` has a write transaction on, up or down to ``target``.

    Revisions are numbered ``0001`` and on, so that their names are in their order.

    :raises StoreError: its schema is unknown here, or its rows refer to rows that are not there.
    """
    if target == NEWEST and _is_newest(connection):
        return
    from alembic import command
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    before = MigrationContext.configure(connection).get_current_revision()
    try:
        if before is not None and target < before:
            command.downgrade(config, target)
        else:
            command.upgrade(config, target)
    except CommandError as error:
        raise StoreError(
            f"database {path}: made by a newer version of Parkade, which must be used with it ({error})"
        ) from error
    if MigrationContext.configure(connection).get_current_revision() == before:
        return
    if broken := connection.exec_driver_sql("PRAGMA foreign_key_check").first():
        raise StoreError(f"database {path}: a row of {broken[0]} refers to a row of {broken[2]} that is not there")


def is_older(path: Path) -> bool:
    """Whether ``path`` is a database that opening it would bring up to date. Changes nothing."""
    try:
        with closing(sqlite3.connect(path)) as connection:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error:
        return False
    return row is not None and str(row[0]) < _newest()


def _newest() -> str:
    return max(file.name[:4] for file in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def _is_newest(connection: Connection) -> bool:
    """Whether there is nothing to do, which a restart finds out without loading Alembic: a third of a second less."""
    try:
        row = connection.exec_driver_sql("SELECT version_num FROM alembic_version").first()
    except DBAPIError:
        return False
    return row is not None and row[0] == _newest()

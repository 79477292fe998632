"""The schema of a database, brought to the newest revision (or, by tests, to another one) in one transaction.

In SQLite a migration that changes a table makes a copy of it and drops the old one (Alembic's batch mode: SQLite cannot alter a
column). With foreign keys enforced, dropping a table deletes the rows that refer to it, and enforcement cannot be
switched within a transaction. So the connection here must not enforce foreign keys; they are all checked afterwards. PostgreSQL
alters the tables themselves and keeps foreign keys true at every moment.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from sqlalchemy import Connection, inspect

from parkade.store.errors import StoreError

MIGRATIONS = Path(__file__).with_name("migrations")
NEWEST = "head"


def migrate(connection: Connection, name: str, target: str = NEWEST) -> None:
    """Bring the database ``name``, which ``connection`` has a write transaction on, up or down to ``target``.

    Revisions are numbered ``0001`` and on, so that their names are in their order. Writers wait for each other, so two
    processes that open a database at once do not migrate it twice.

    :raises StoreError: its schema is unknown here, or its rows refer to rows that are not there.
    """
    before = revision_of(connection)
    if target == NEWEST and is_newest(before):
        return
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        if before is not None and target < before:
            command.downgrade(config, target)
        else:
            command.upgrade(config, target)
    except CommandError as error:
        raise StoreError(
            f"database {name}: made by a newer version of Parkade, which must be used with it ({error})"
        ) from error
    if revision_of(connection) == before or connection.dialect.name != "sqlite":
        return
    if broken := connection.exec_driver_sql("PRAGMA foreign_key_check").first():
        raise StoreError(f"database {name}: a row of {broken[0]} refers to a row of {broken[2]} that is not there")


def revision_of(connection: Connection) -> str | None:
    """The revision of the schema, None for a database with nothing in it.

    Found out without loading Alembic, which takes a third of a second: mostly there is nothing to do.
    """
    if not inspect(connection).has_table("alembic_version"):
        return None
    row = connection.exec_driver_sql("SELECT version_num FROM alembic_version").first()
    return None if row is None else str(row[0])


def is_newest(revision: str | None) -> bool:
    """Whether there is nothing to do."""
    return revision == newest()


@cache
def newest() -> str:
    """The revision that this version of Parkade works with."""
    return max(file.name[:4] for file in (MIGRATIONS / "versions").glob("[0-9]*.py"))

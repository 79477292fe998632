"""Opening the database of a data directory: makes the directory, migrates the schema, sets SQLite up for a busy server.

SQLite runs in WAL mode: readers never wait for a writer, so an import beside a running server disturbs nobody.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from sqlalchemy import Connection, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from parkade.store.errors import StoreError
from parkade.store.migrate import migrate

__all__ = ["DATABASE_FILE", "Database", "StoreError", "existing_directory", "open_database", "prepare_directory"]

DATABASE_FILE = "parkade.db"
_BUSY_TIMEOUT_S = 10.0


class Database:
    """An open, migrated database. Use ``reading`` for one consistent look, ``writing`` for one transaction."""

    def __init__(self, engine: AsyncEngine, path: Path) -> None:
        self._engine = engine
        self.path = path

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection whose reads all see the same moment.

        :raises StoreError: the database cannot be read.
        """
        with _explained(self.path):
            async with self._engine.connect() as connection:
                yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A connection in a write transaction: committed at the end, undone by an exception.

        :raises StoreError: the database cannot be written.
        """
        with _explained(self.path):
            async with self._engine.connect() as connection:
                await connection.execution_options(parkade_begin="BEGIN IMMEDIATE")
                async with connection.begin():
                    yield connection

    async def close(self) -> None:
        """Give every connection back."""
        await self._engine.dispose()


async def open_database(data: Path) -> Database:
    """Open (and on first use make) the database in the directory ``data``, at the newest schema.

    :raises StoreError: the directory cannot be made or written, or the file is no database of ours.
    """
    path = prepare_directory(data) / DATABASE_FILE
    old = Database(_engine(path, foreign_keys=False), path)
    try:
        async with old.writing() as connection:
            await connection.run_sync(migrate, path)
    finally:
        await old.close()
    return Database(_engine(path, foreign_keys=True), path)


def prepare_directory(data: Path) -> Path:
    """Make ``data`` (readable by its owner only) if it is missing, and see that it can be written.

    :raises StoreError: it cannot.
    """
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = data / f".write-test-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except FileExistsError:
        raise StoreError(f"data directory {data}: it is a file") from None
    except OSError as error:
        raise StoreError(f"data directory {data}: {(error.strerror or str(error)).lower()}") from None
    return data


def existing_directory(data: Path) -> Path:
    """``data``, for those who only look.

    :raises StoreError: there is no database in it.
    """
    if not (data / DATABASE_FILE).exists():
        raise StoreError(f"data directory {data}: there is no database; serve or import makes one")
    return data


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        reason = error.orig if isinstance(error, DBAPIError) else error
        raise StoreError(f"database {path}: {reason}") from error


def _engine(path: Path, *, foreign_keys: bool) -> AsyncEngine:
    def configure(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        # The driver must leave transactions to us, or schema changes would escape them.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in ("journal_mode = WAL", "synchronous = NORMAL", f"foreign_keys = {'ON' if foreign_keys else 'OFF'}"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    engine = create_async_engine(f"sqlite+aiosqlite:///{path}", connect_args={"timeout": _BUSY_TIMEOUT_S})
    event.listen(engine.sync_engine, "connect", configure)
    event.listen(engine.sync_engine, "begin", _begin)
    return engine


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("parkade_begin", "BEGIN"))

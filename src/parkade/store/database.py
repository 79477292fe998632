"""Opening the database of an installation: a file in its data directory, or one on a PostgreSQL server.

Either way the data directory is made as needed, and the schema brought to the newest. What the two kinds of database want to be
told is in ``engines.py``.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnectionError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from parkade.store.database_url import DatabaseUrl
from parkade.store.engines import may_pass, one_line, postgres_engine, sqlite_engine
from parkade.store.errors import StoreError
from parkade.store.migrate import is_newest, migrate, newest, revision_of
from parkade.store.private import MODE, make_private

DATABASE_FILE = "parkade.db"
ELSEWHERE_FILE = "database"
"""In a data directory whose database is on a server: its URL without the password, so that nobody takes another by mistake."""


class Database:
    """An open database. Use ``reading`` for one consistent look, ``writing`` for one transaction. ``name`` is for messages."""

    def __init__(self, engine: AsyncEngine, name: str) -> None:
        self._engine = engine
        self.name = name

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection whose reads all see the same moment.

        :raises StoreError: the database cannot be read.
        """
        with _explained(self.name):
            async with self._engine.connect() as connection:
                yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A connection in a write transaction: committed at the end, undone by an exception. There is one at a time.

        :raises StoreError: the database cannot be written, or another writer has it for many seconds.
        """
        with _explained(self.name):
            async with self._engine.connect() as connection:
                await connection.execution_options(parkade_writing=True)
                async with connection.begin():
                    yield connection

    async def close(self) -> None:
        """Give every connection back."""
        await self._engine.dispose()


async def open_database(data: Path, url: DatabaseUrl | None = None, *, make: bool = True) -> Database:
    """Open the database of the data directory ``data`` at the newest schema: that at ``url``, or the file in it.

    With ``make`` the directory and what is in the database are made on first use.

    :raises StoreError: the directory cannot be made or written, the database is none of ours, it is not the one that this
        directory belongs to, or (without ``make``) there is none.
    """
    if make:
        prepare_directory(data)
    _see_that_it_is_the_one(data, url)
    if not make and url is None and not (data / DATABASE_FILE).exists():
        raise StoreError(f"data directory {data}: there is no database; serve or import makes one")
    if url is None:
        make_private(data / DATABASE_FILE)
    database = unchanged_database(data, url)
    try:
        async with database.reading() as connection:
            revision = await connection.run_sync(revision_of)
        if not make and url is not None and revision is None:
            raise StoreError(f"database {url}: there is no installation in it; serve or import makes one")
        if not is_newest(revision):
            await _migrate(data, url)
        if url is not None and make:
            note_where_it_is(data, url)
    except BaseException:
        await database.close()
        raise
    return database


async def _migrate(data: Path, url: DatabaseUrl | None) -> None:
    database = unchanged_database(data, url, foreign_keys=False)
    try:
        async with database.writing() as connection:
            await connection.run_sync(migrate, database.name)
    finally:
        await database.close()


async def is_older(data: Path, url: DatabaseUrl | None = None) -> bool | None:
    """Whether opening the database would bring it up to date; None if there is none. Changes nothing.

    :raises StoreError: it cannot be read, or is not the one that this directory belongs to.
    """
    revision = await revision_there(data, url)
    return revision < newest() if revision is not None else None


async def revision_there(data: Path, url: DatabaseUrl | None = None) -> str | None:
    """The revision of the schema, None if there is no database. Changes nothing.

    :raises StoreError: it cannot be read, or is not the one that this directory belongs to.
    """
    _see_that_it_is_the_one(data, url)
    if url is None and not (data / DATABASE_FILE).exists():
        return None
    database = unchanged_database(data, url)
    try:
        async with database.reading() as connection:
            return await connection.run_sync(revision_of)
    finally:
        await database.close()


def unchanged_database(data: Path, url: DatabaseUrl | None, *, foreign_keys: bool = True) -> Database:
    """The database as it is, of whatever version: for whoever looks at it, or replaces what is in it."""
    if url is not None:
        return Database(postgres_engine(url), str(url))
    path = data / DATABASE_FILE
    return Database(sqlite_engine(path, foreign_keys=foreign_keys), str(path))


def _see_that_it_is_the_one(data: Path, url: DatabaseUrl | None) -> None:
    """Whoever forgets the setting must not get an empty file instead of the database."""
    try:
        where = (data / ELSEWHERE_FILE).read_text("utf-8").strip()
    except OSError:
        return
    if url is None:
        raise StoreError(
            f"data directory {data}: its database is {where}: give its URL (--database, PARKADE_DATABASE or the configuration "
            f"file); to use a file in the directory instead, remove {data / ELSEWHERE_FILE}"
        )


def note_where_it_is(data: Path, url: DatabaseUrl) -> None:
    """Remember that the database of ``data`` is at ``url``."""
    path, text = data / ELSEWHERE_FILE, f"{url}\n"
    try:
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
            path.chmod(MODE)
    except OSError as error:
        raise StoreError(f"data directory {data}: {path.name}: {one_line(error)}") from None


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


@contextmanager
def _explained(name: str) -> Iterator[None]:
    try:
        yield
    except (DBAPIError, sqlite3.Error, ConnectionError, TimeoutError, NoConnectionError) as error:
        reason = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
        raise StoreError(f"database {name}: {one_line(reason)}", may_pass=may_pass(error)) from error

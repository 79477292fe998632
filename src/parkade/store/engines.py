"""What SQLite and PostgreSQL want to be told so that the rest of this room need not know which of them it talks to.

SQLite runs in WAL mode: readers never wait for a writer, so an import beside a running server disturbs nobody. PostgreSQL is
told to do what SQLite does: a reader sees one moment, and there is one writer at a time, who sees all that was written before.
What is read and then written in one transaction (is there an administrator? whose name is that?) relies on it.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from sqlalchemy import Connection, event
from sqlalchemy.engine import AdaptedConnection
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as NoConnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from parkade.store.database_url import DatabaseUrl
from parkade.store.errors import StoreError

if TYPE_CHECKING:
    import asyncpg

APPLICATION: Final = "parkade"
"""What PostgreSQL lists our connections as."""
_WAIT_S: Final = 10
"""How long a writer waits for the one before it."""
_AGAIN_S: Final = 0.02
_CONNECT_S: Final = 10
_ANSWER_S: Final = 120
"""How long one statement may take before the server counts as gone."""
_PASSING: Final = {"08", "25", "40", "53", "55", "57", "58", "XX"}
"""Classes of errors of PostgreSQL that are about the connection, another transaction or the server itself."""
_WRITERS: Final = 0x7061726B616465
"""The number of the lock that a writer holds in PostgreSQL until its transaction ends."""


class Begin(NamedTuple):
    """The statements that a transaction begins with."""

    reading: tuple[str, ...]
    writing: tuple[str, ...]


BEGIN: Final[Mapping[str, Begin]] = {
    "sqlite": Begin(("BEGIN",), ("BEGIN IMMEDIATE",)),
    # A writer sees what was committed before each of its statements: the first of them waits for the writer before it.
    "postgresql": Begin(
        ("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",), (f"SELECT pg_advisory_xact_lock({_WRITERS})",)
    ),
}


def sqlite_engine(path: Path, *, foreign_keys: bool) -> AsyncEngine:
    """The file ``path``."""

    def configure(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        # The driver must leave transactions to us, or schema changes would escape them.
        connection.isolation_level = None
        cursor = connection.cursor()
        until = time.monotonic() + _WAIT_S
        for pragma in ("journal_mode = WAL", "synchronous = NORMAL", f"foreign_keys = {'ON' if foreign_keys else 'OFF'}"):
            while True:
                try:
                    cursor.execute(f"PRAGMA {pragma}")
                    break
                except sqlite3.OperationalError as error:
                    # Two that open a new file at once: to change its mode SQLite does not wait as it does for a row.
                    if "locked" not in str(error) or time.monotonic() > until:
                        raise
                    cast(AdaptedConnection, connection).run_async(lambda _: asyncio.sleep(_AGAIN_S))  # the loop goes on
        cursor.close()

    engine = create_async_engine(f"sqlite+aiosqlite:///{path}", connect_args={"timeout": _WAIT_S})
    event.listen(engine.sync_engine, "connect", configure)
    event.listen(engine.sync_engine, "begin", _begin)
    return engine


def postgres_engine(url: DatabaseUrl) -> AsyncEngine:
    """The database on a server."""

    async def connect() -> asyncpg.Connection:
        import asyncpg

        try:
            return await asyncpg.connect(
                url.text,
                timeout=_CONNECT_S,
                command_timeout=_ANSWER_S,
                server_settings={"application_name": APPLICATION, "lock_timeout": f"{_WAIT_S}s"},
            )
        except TimeoutError:
            raise StoreError(f"database {url}: no answer within {_CONNECT_S} s", may_pass=True) from None
        except (OSError, asyncpg.PostgresError) as error:
            raise StoreError(f"database {url}: {one_line(error)}", may_pass=True) from None
        except (asyncpg.InterfaceError, ValueError):
            # What they say may hold a part of the URL, and so of the password.
            raise StoreError(f"database {url}: its URL cannot be understood") from None

    # A connection that the server has closed meanwhile is noticed before it is used.
    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, pool_pre_ping=True)
    event.listen(engine.sync_engine, "begin", _begin)
    return engine


def one_line(error: BaseException) -> str:
    """What a driver says, without the details on further lines."""
    cause = error.__cause__
    said = str(cause if cause is not None and str(cause) else error)
    if isinstance(error, OSError) and error.errno:
        said = os.strerror(error.errno).lower()
    return next(iter(said.splitlines()), type(error).__name__)


def may_pass(error: BaseException) -> bool:
    """Whether it is the state of the database, and not what was asked of it."""
    if not isinstance(error, DBAPIError):
        return isinstance(error, OSError | sqlite3.OperationalError | NoConnectionError)
    if isinstance(error, IntegrityError | DataError):
        return False
    if isinstance(error.orig, sqlite3.Error):
        return isinstance(error.orig, sqlite3.OperationalError | sqlite3.InterfaceError)
    state = getattr(error.orig, "sqlstate", None)
    if isinstance(state, str):
        return state[:2] in _PASSING
    # What the driver itself refuses is a ``ValueError`` too.
    return not isinstance(error.orig.__cause__ if error.orig else None, ValueError)


def _begin(connection: Connection) -> None:
    begin = BEGIN[connection.dialect.name]
    for statement in begin.writing if connection.get_execution_options().get("parkade_writing") else begin.reading:
        connection.exec_driver_sql(statement)

"""What the other rooms use of this one: an open installation. Each method is one transaction.

Every method raises ``StoreError`` if the database cannot be read or written.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from sqlalchemy.ext.asyncio import AsyncConnection

from parkade.calls.directory import Directory
from parkade.store import logins
from parkade.store.database import Database, open_database
from parkade.store.database_url import DatabaseUrl
from parkade.store.directory import LoadedAccount, load_account, load_directory
from parkade.store.revisions import changed_accounts, revision
from parkade.switch.secrets import DeviceSecret

if TYPE_CHECKING:  # a server reads no directory files: it starts without what checks them
    from parkade.store.directory_import import Change
    from parkade.store.directory_model import DirectoryFile


class Store:
    """``async with await Store.open(data) as store``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    async def open(cls, data: Path, database: DatabaseUrl | None = None, *, make: bool = True) -> Self:
        """Open the installation of the data directory ``data``, whose database is a file in it unless ``database`` says where.

        The schema is migrated as needed. With ``make`` directory and database are made if they are missing.

        :raises StoreError: they cannot be made or written, or the database is not one of ours, or (without ``make``) missing.
        """
        return cls(await open_database(data, database, make=make))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Give the database back."""
        await self._database.close()

    def reading(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A connection whose reads all see the same moment, for the modules of this room that take one."""
        return self._database.reading()

    def writing(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A connection in a write transaction: committed at the end, undone by an exception."""
        return self._database.writing()

    async def first_start(self) -> str | None:
        """Make the installation's administrator if there is none; its password, to be shown once, or None."""
        async with self._database.writing() as connection:
            return await logins.ensure_administrator(connection)

    async def directory(self) -> tuple[Directory, Mapping[str, DeviceSecret]]:
        """The directory in force, and the secrets of its devices by username."""
        async with self._database.reading() as connection:
            return await load_directory(connection)

    async def revision(self) -> int:
        """A number that grows with every change of the directory; cheap to ask every second."""
        async with self._database.reading() as connection:
            return await revision(connection)

    async def changed_accounts(self, since_revision: int) -> tuple[int, list[str]]:
        """The revision now, and the slugs of the accounts that changed after ``since_revision``, gone ones included."""
        async with self._database.reading() as connection:
            return await changed_accounts(connection, since_revision)

    async def account(self, slug: str) -> LoadedAccount | None:
        """One account as it is now, with its devices and their secrets; None if it is gone.

        Costs what the account's size asks, whatever the size of the installation, and most of it off the event loop.
        """
        async with self._database.reading() as connection:
            return await load_account(connection, slug)

    async def import_directory(self, file: DirectoryFile) -> list[Change]:
        """Make the accounts of ``file`` what it says; the changes that took.

        :raises ImportRefusedError: it clashes with an account that it does not name. Nothing is changed.
        """
        from parkade.store.directory_import import import_directory, password_hashes

        async with self._database.reading() as connection:
            hashes = await password_hashes(connection, file)
        async with self._database.writing() as connection:
            return await import_directory(connection, file, hashes)

    async def export_directory(self) -> DirectoryFile:
        """What was imported, with digests and hashes in place of passwords."""
        from parkade.store.directory_export import read_directory

        async with self._database.reading() as connection:
            return await read_directory(connection)

    async def set_password(self, name: str, password: str) -> str:
        """A new password for the login or device ``name``; says which it was.

        :raises NoSuchLoginError: there is neither.
        """
        async with self._database.writing() as connection:
            return await logins.set_password(connection, name, password)

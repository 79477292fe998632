"""One change of one account, as if its directory file had been edited and imported: by the same rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from pydantic import ValidationError
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from parkade.base.errors import ParkadeError
from parkade.store import tables as t
from parkade.store.directory_changes import Change
from parkade.store.directory_export import read_account
from parkade.store.directory_file import faults_of, place
from parkade.store.directory_import import Hashes, ImportRefusedError, import_directory
from parkade.store.directory_model import DirectoryFile
from parkade.store.directory_rules import problems
from parkade.store.revisions import mark_changed

Tree: TypeAlias = dict[str, Any]


class DirectoryRefusedError(ParkadeError):
    """The directory would not be right. ``faults`` are places of the account (``users[2].extension``) and reasons."""

    def __init__(self, faults: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{where}: {reason}" for where, reason in faults))
        self.faults = faults


class TakenError(DirectoryRefusedError):
    """A log-in, a device's username or an id is another account's. The reason says whose: it is for who may know of that."""


def checked(tree: Tree) -> DirectoryFile:
    """``tree`` (a whole file as JSON has it) as a directory file that can be imported.

    :raises DirectoryRefusedError: it is none, or not right.
    """
    try:
        file = DirectoryFile.model_validate(tree)
    except ValidationError as error:
        raise DirectoryRefusedError(faults_of(error, tree)) from None
    if found := [(place(where), reason) for where, reason in problems(file)]:
        raise DirectoryRefusedError(found)
    return file


async def edit_account(connection: AsyncConnection, slug: str, change: Callable[[Tree], None]) -> list[Change]:
    """Let ``change`` work on the entry of the account ``slug`` in its directory file, and make it so; what changed.

    :raises DirectoryRefusedError: it would not be right then. Nothing is changed if the transaction is undone.
    """
    before = await read_account(connection, slug)
    tree: Tree = before.model_dump(exclude_none=True) if before else {"accounts": [{"slug": slug}]}
    change(tree["accounts"][0])
    return await put(connection, checked(tree))


async def put(connection: AsyncConnection, file: DirectoryFile, hashes: Hashes | None = None) -> list[Change]:
    """Import ``file``; what changed. ``hashes`` as for ``import_directory``.

    :raises TakenError: it clashes with an account that it does not name.
    """
    try:
        return await import_directory(connection, file, hashes)
    except ImportRefusedError as error:
        raise TakenError([("", str(error))]) from None


async def remove_account(connection: AsyncConnection, slug: str) -> bool:
    """Remove an account with all that it has; whether there was one. Its history stays."""
    if (await connection.execute(select(t.account.c.id).where(t.account.c.slug == slug))).first() is None:
        return False
    await connection.execute(delete(t.account).where(t.account.c.slug == slug))
    await mark_changed(connection, [slug])
    return True

"""Changes of the directory: made by the rules of the file, written to the audit trail, and felt by calls before the answer."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request

from parkade.api import refusals
from parkade.api.etags import Shown, must_match, version_of
from parkade.api.principal import Principal
from parkade.api.problems import Fault, Problem
from parkade.api.services import Services
from parkade.api.signalling import SignallingAwayError
from parkade.store import audit
from parkade.store.audit import AuditEntry
from parkade.store.directory_edit import DirectoryRefusedError, TakenError, Tree, edit_account
from parkade.store.passwords import hash_password

log = logging.getLogger("parkade.api")

TAKEN = "the log-in, the username or the id is in use already"

Show = Callable[[AsyncConnection], Awaitable[Shown | None]]


async def felt(use: Services) -> None:
    """Return when calls go by what is in the database now. If signalling is away it reads it when it comes back."""
    try:
        await use.signalling.directory_changed()
    except SignallingAwayError as error:
        log.warning("a change of the directory was written; signalling does not answer: %s", error)


@contextlib.contextmanager
def refusing(who: Principal) -> Iterator[None]:
    """What the rules of the directory refuse is answered with 422 and the places; whose a name is, only to the operator."""
    try:
        yield
    except TakenError as error:
        faults = [Fault("body", TAKEN)] if who.account is not None else [Fault(*fault) for fault in error.faults]
        raise Problem(refusals.DIRECTORY_REFUSED, errors=faults) from None
    except DirectoryRefusedError as error:
        raise Problem(refusals.DIRECTORY_REFUSED, errors=[Fault(*fault) for fault in error.faults]) from None


async def hashed(use: Services, password: str | None) -> str | None:
    """The hash of a password, made in a thread."""
    if password is None:
        return None
    async with use.checking_passwords:
        return await asyncio.to_thread(hash_password, password)


def new_id() -> str:
    """For something that is made."""
    return secrets.token_hex(8)


@dataclass(frozen=True, slots=True)
class Changing:
    """Who changes what in which account. ``object`` is a path for the audit trail, ``secret`` what is hidden there."""

    use: Services
    who: Principal
    request: Request
    account: str
    object: str
    secret: tuple[str, ...] = ()

    async def make(
        self, edit: Callable[[Tree], None], show: Show[Shown], allow: Callable[[Shown], None] = lambda _: None
    ) -> Shown:
        """Something new."""
        async with self.use.store.writing() as connection:
            await self._edit(connection, edit)
            after = await show(connection)
            assert after is not None
            allow(after)
            await self._audit(connection, "create", None, after)
        await felt(self.use)
        return after

    async def change(
        self,
        edit: Callable[[Tree], None],
        show: Show[Shown],
        allow: Callable[[Shown], None] = lambda _: None,
        if_match: str | None = None,
    ) -> Shown:
        """Something that is there; ``allow`` sees it before and after."""
        async with self.use.store.writing() as connection:
            before = await self._there(connection, show, allow, if_match)
            await self._edit(connection, edit)
            after = await show(connection)
            assert after is not None
            allow(after)
            await self._audit(connection, "change", before, after)
        await felt(self.use)
        return after

    async def remove(
        self,
        edit: Callable[[Tree], None],
        show: Show[Shown],
        allow: Callable[[Shown], None] = lambda _: None,
        if_match: str | None = None,
    ) -> None:
        """Something that is there."""
        async with self.use.store.writing() as connection:
            before = await self._there(connection, show, allow, if_match)
            await self._edit(connection, edit)
            await self._audit(connection, "delete", before, None)
        await felt(self.use)

    async def _there(
        self, connection: AsyncConnection, show: Show[Shown], allow: Callable[[Shown], None], if_match: str | None
    ) -> Shown:
        before = await show(connection)
        if before is None:
            raise Problem(refusals.NOT_FOUND)
        allow(before)
        must_match(if_match, version_of(before))
        return before

    async def _edit(self, connection: AsyncConnection, edit: Callable[[Tree], None]) -> None:
        with refusing(self.who):
            await edit_account(connection, self.account, edit)

    async def _audit(self, connection: AsyncConnection, action: str, before: BaseModel | None, after: BaseModel | None) -> None:
        was: Mapping[str, Any] = before.model_dump(mode="json") if before else {}
        now: Mapping[str, Any] = after.model_dump(mode="json") if after else {}
        differs = [name for name in {**was, **now} if before is None or after is None or was[name] != now[name]]
        if not differs and not self.secret:
            return
        entry = AuditEntry(
            account=self.account,
            at=self.use.now(),
            by=self.who.by,
            role=self.who.role,
            action=action,
            object=self.object,
            before={name: was[name] for name in differs} if before else None,
            after={name: now[name] for name in differs} | dict.fromkeys(self.secret, "…") if after else None,
            address=self.request.client.host if self.request.client else None,
        )
        await audit.add(connection, entry)


def entry_of(tree: Tree, key: str, id_: str) -> Tree:
    """The entry with that id in the list ``key`` of an account's tree."""
    for entry in tree.get(key, ()):
        if entry.get("id") == id_:
            found: Tree = entry
            return found
    raise Problem(refusals.NOT_FOUND)


def put_values(entry: Tree, values: Mapping[str, Any]) -> None:
    """Have ``entry`` say these; None: not say it."""
    for name, value in values.items():
        if value is None:
            entry.pop(name, None)
        else:
            entry[name] = value


def name_of(tree: Tree, key: str, id_: str | None, where: str) -> str | None:
    """The name that the file uses for something with an id (``key``: ``sites``, ``user_groups``)."""
    if id_ is None:
        return None
    for entry in tree.get(key, ()):
        if entry.get("id") == id_:
            return str(entry["name"])
    raise Problem(refusals.DIRECTORY_REFUSED, errors=[Fault(where, f"there is none with the id {id_}")])

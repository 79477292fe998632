"""The whole directory as JSON: what ``parkade export`` gives and ``import`` takes. For the installation's administrator.

There are hashes and digests in place of passwords in it: they are as good as the passwords, so it is kept with care.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Request
from pydantic import BaseModel, WithJsonSchema

from parkade.api import refusals
from parkade.api.auth import allowed, may_run_installation
from parkade.api.changing import felt, refusing
from parkade.api.describe import answers
from parkade.api.principal import Principal
from parkade.api.services import Use
from parkade.store import audit, directory_edit
from parkade.store.audit import AuditEntry
from parkade.store.directory_import import password_hashes

router = APIRouter(tags=["accounts"])

Operator = Annotated[Principal, Depends(allowed(may_run_installation))]
Whole = Annotated[dict[str, Any], Body(), WithJsonSchema({"type": "object", "required": ["accounts"]})]


class Imported(BaseModel):
    """What changed, a line each."""

    changes: list[str]


@router.get("/directory")
async def export_directory(who: Operator, use: Use) -> dict[str, Any]:
    """Every account, with digests and hashes in place of passwords."""
    return (await use.store.export_directory()).model_dump(mode="json", exclude_none=True)


@router.put("/directory", responses=answers(refusals.DIRECTORY_REFUSED))
async def import_directory(who: Operator, use: Use, request: Request, given: Whole) -> Imported:
    """Make the accounts that are named what is said, wholly; others stay as they are. Says what changed."""
    with refusing(who):
        file = directory_edit.checked(given)
        async with use.store.reading() as connection:
            hashes = await password_hashes(connection, file)
        async with use.store.writing() as connection:
            changes = await directory_edit.put(connection, file, hashes)
            address = request.client.host if request.client else None
            for slug in {change.account for change in changes}:
                lines = [f"{change.verb} {change.what}" for change in changes if change.account == slug]
                entry = AuditEntry(slug, use.now(), who.by, who.role, "import", "directory", None, {"changes": lines}, address)
                await audit.add(connection, entry)
    if changes:
        await felt(use)
    return Imported(changes=[str(change) for change in changes])

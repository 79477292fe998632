"""The audit trail: who changed what, with what it was before and after."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel

from parkade.api import refusals
from parkade.api.auth import AccountSlug, allowed, may_see_audit
from parkade.api.describe import answers
from parkade.api.models import GivenTime, Time, time
from parkade.api.paging import Page, Paged
from parkade.api.principal import Principal
from parkade.api.services import Use
from parkade.store import audit
from parkade.store.audit import AuditFilter

router = APIRouter(tags=["history"])

Viewer = Annotated[Principal, Depends(allowed(may_see_audit))]
Said = Annotated[str | None, Query(max_length=200)]


class AuditItem(BaseModel):
    """``object`` is a path like ``sites/8f…/settings/call-park``; ``before`` and ``after``: what differs, without secrets."""

    id: str
    at: Time
    by: str
    role: str
    address: str | None
    action: str
    object: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


@router.get("/audit", responses=answers(refusals.BAD_CURSOR))
async def list_audit(
    who: Viewer,
    account: AccountSlug,
    use: Use,
    paged: Paged,
    by: Said = None,
    action: Said = None,
    object_: Annotated[
        str | None, Query(alias="object", max_length=200, description="A path, or the beginning of one.")
    ] = None,
    since: GivenTime | None = None,
    until: GivenTime | None = None,
) -> Page[AuditItem]:
    """Changes of the account, the newest first."""
    after = paged.after(float, int)
    times = (since.timestamp() if since else None, until.timestamp() if until else None)
    wanted = AuditFilter(account, by, action, object_, *times)
    beyond = (float(after[0]), int(after[1])) if after else None
    async with use.store.reading() as connection:
        rows = await audit.page(connection, wanted, paged.limit + 1, beyond)
    page, following = paged.page(rows, lambda row: [row["at"], row["id"]])
    names = ("by", "role", "address", "action", "object", "before", "after")
    items = [AuditItem(id=row["uid"], at=time(row["at"]), **{name: row[name] for name in names}) for row in page]
    return Page(items=items, next=following)

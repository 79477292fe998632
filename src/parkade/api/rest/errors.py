"""The catalogue of errors: every ``error_id`` with its texts and what to do, in both languages. Everybody may read it."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from parkade.api.catalogue import catalogue
from parkade.api.paging import Page, Paged
from parkade.api.statuses import STATUS

router = APIRouter(tags=["errors"])


class Words(BaseModel):
    """``{name}`` and ``{code}`` in a message stand for what it is about."""

    message: str
    what_to_do: str


class ErrorEntry(BaseModel):
    error_id: str
    status: int
    en: Words
    vi: Words


@router.get("/errors")
async def list_errors(paged: Paged) -> Page[ErrorEntry]:
    """Every error there is, by its id."""
    after = paged.after(str)
    those = [refusal for refusal in catalogue().values() if after is None or refusal.id > str(after[0])]
    page, following = paged.page(those, lambda refusal: [refusal.id])
    items = [
        ErrorEntry(
            error_id=refusal.id,
            status=STATUS[refusal.id],
            en=Words(message=refusal.en, what_to_do=refusal.what_to_do),
            vi=Words(message=refusal.vi, what_to_do=refusal.what_to_do_vi),
        )
        for refusal in page
    ]
    return Page(items=items, next=following)

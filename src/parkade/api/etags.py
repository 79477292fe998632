"""``ETag``, ``If-Match`` and ``If-None-Match`` (:rfc:`9110` section 13) for things that have a version."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Final, TypeVar

from fastapi import Header
from pydantic import BaseModel
from starlette.responses import Response

from parkade.api import refusals
from parkade.api.problems import Problem

IfMatch = Annotated[
    str | None, Header(alias="If-Match", max_length=1000, description="Change it only if it is still what this `ETag` was of.")
]
IfNoneMatch = Annotated[
    str | None, Header(alias="If-None-Match", max_length=1000, description="Answer 304 if it is still what this `ETag` is of.")
]
NOT_MODIFIED: Final[dict[int | str, dict[str, Any]]] = {304: {"description": "It is still what `If-None-Match` says."}}

Shown = TypeVar("Shown", bound=BaseModel)


def etag(version: str) -> str:
    """``"8f01"``."""
    return f'"{version}"'


def names(header: str, version: str) -> bool:
    """Whether one of the tags in ``header`` is that of ``version``; ``*`` is that of every one."""
    tags = [tag.strip().removeprefix("W/") for tag in header.split(",")]
    return "*" in tags or etag(version) in tags


def must_match(header: str | None, version: str) -> None:
    """Answers 412 if ``If-Match`` was sent and means another version."""
    if header is not None and not names(header, version):
        raise Problem(refusals.CHANGED_MEANWHILE)


def version_of(shown: BaseModel) -> str:
    """Changes with what is shown."""
    return hashlib.sha256(shown.model_dump_json().encode()).hexdigest()[:16]


def tagged(found: Shown | None, response: Response, if_none_match: str | None) -> Shown | Response:
    """``found`` with its ``ETag``; 304 if that is known already, 404 if there is none."""
    if found is None:
        raise Problem(refusals.NOT_FOUND)
    version = version_of(found)
    if if_none_match is not None and names(if_none_match, version):
        return Response(status_code=304, headers={"ETag": etag(version)})
    response.headers["ETag"] = etag(version)
    return found

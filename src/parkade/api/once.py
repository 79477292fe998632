"""``Idempotency-Key``: a request that is sent again with the same key is not done again, and gets the same answer.

What the system could not do (5xx) is not remembered. The key is one's own: somebody else's same key is another one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Header
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from parkade.api import refusals
from parkade.api.principal import Principal
from parkade.api.problems import MEDIA_TYPE, Problem, language_of, problem_body, problem_of
from parkade.api.services import Services
from parkade.store import idempotency

REPLAYED = "Idempotent-Replayed"
IdempotencyKey = Annotated[
    str | None,
    Header(alias="Idempotency-Key", min_length=1, max_length=200, description="With the same key the request is done once."),
]
REFUSALS = (refusals.IDEMPOTENCY_KEY_REUSED, refusals.IDEMPOTENCY_UNDER_WAY)


async def once(
    request: Request, use: Services, who: Principal, key: str | None, work: Callable[[], Awaitable[BaseModel]]
) -> Response:
    """The answer to ``work``, done now or taken from the first time that it was asked for with ``key``."""
    if key is None:
        return _json(200, (await work()).model_dump(mode="json"))
    asked = hashlib.sha256(f"{request.method} {request.url.path}?{request.url.query}\n".encode() + _plain(await request.body()))
    async with use.store.writing() as connection:
        before = await idempotency.begin(connection, who.token, key, asked.hexdigest(), use.now())
    if before is not None:
        if before.request_hash != asked.hexdigest():
            raise Problem(refusals.IDEMPOTENCY_KEY_REUSED)
        if before.status is None:
            raise Problem(refusals.IDEMPOTENCY_UNDER_WAY, headers={"Retry-After": "1"})
        return _json(before.status, before.body, {REPLAYED: "true"})
    try:
        status, body = 200, (await work()).model_dump(mode="json")
    except Exception as error:
        problem = problem_of(error)
        if problem.status >= 500:
            async with use.store.writing() as connection:
                await idempotency.forget(connection, who.token, key)
            raise
        status, body = problem.status, problem_body(problem, language_of(request))
    async with use.store.writing() as connection:
        await idempotency.finish(connection, who.token, key, status, body)
    return _json(status, body)


def _plain(body: bytes) -> bytes:
    """The same for the same JSON, however it is written."""
    try:
        return json.dumps(json.loads(body), sort_keys=True).encode() if body else b""
    except (ValueError, RecursionError):
        return body


def _json(status: int, body: Any, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse(body, status, headers, "application/json" if status < 400 else MEDIA_TYPE)

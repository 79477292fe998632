"""Every error in one form (:rfc:`9457`, ``application/problem+json``), in the language of whoever asks.

``{"error_id", "message", "what_to_do", "type", "title", "status"}``, and ``errors`` where several places of a request are
wrong: ``[{"where": "body.slot", "reason": "…"}]``. Nothing of a mistake of our own gets out but its id.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import Response

from parkade.api import refusals
from parkade.api.signalling import RefusedError, SignallingAwayError
from parkade.api.statuses import status_of
from parkade.base.errors import ParkadeError
from parkade.calls.refusals import Refusal
from parkade.store.errors import StoreError

log = logging.getLogger("parkade.api")

MEDIA_TYPE = "application/problem+json"
LANGUAGES = ("en", "vi")


class Fault(NamedTuple):
    """One place of a request that is wrong: ``where`` is a path like ``body.users[2].extension``.

    ``reason`` is a text, or a refusal, whose text is taken in the language of whoever asks.
    """

    where: str
    reason: str | Refusal

    def in_(self, language: str) -> dict[str, str]:
        """As it is answered."""
        reason = self.reason
        if isinstance(reason, Refusal):
            reason = reason.vi if language == "vi" else reason.en
        return {"where": self.where, "reason": reason}


class Problem(ParkadeError):  # noqa: N818 - it is what is answered, and called so by RFC 9457
    """Raise it to answer with ``refusal``; its status is that of the table unless another is given."""

    def __init__(
        self,
        refusal: Refusal,
        status: int | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        errors: Sequence[Fault] = (),
    ) -> None:
        super().__init__(refusal.en)
        self.refusal = refusal
        self.status = status_of(refusal) if status is None else status
        self.headers = dict(headers or {})
        self.errors = errors


class FaultBody(BaseModel):
    """One place of a request that is wrong."""

    where: str
    reason: str


class ProblemBody(BaseModel):
    """Why something was not done."""

    model_config = ConfigDict(title="Problem")

    error_id: str = Field(description="Stable; `GET /api/v1/errors` lists every one")
    message: str
    what_to_do: str
    type: str
    title: str
    status: int
    errors: list[FaultBody] | None = None


def problem_body(problem: Problem, language: str) -> dict[str, Any]:
    """What is answered for ``problem``."""
    refusal = problem.refusal
    vietnamese = language == "vi"
    body: dict[str, Any] = {
        "error_id": refusal.id,
        "message": refusal.vi if vietnamese else refusal.en,
        "what_to_do": refusal.what_to_do_vi if vietnamese else refusal.what_to_do,
        "type": f"urn:parkade:error:{refusal.id}",
        "title": refusal.id.replace("_", " ").capitalize(),
        "status": problem.status,
    }
    if problem.errors:
        body["errors"] = [fault.in_(language) for fault in problem.errors]
    return body


def language_of(connection: HTTPConnection) -> str:
    """That of the person who asks, else the better of ``Accept-Language``, else English."""
    principal = getattr(connection.state, "principal", None)
    if principal is not None:
        return str(principal.language)
    best, best_quality = "en", 0.0
    for part in connection.headers.get("accept-language", "").split(","):
        tag, _, parameter = part.partition(";")
        language = tag.strip().lower().partition("-")[0]
        quality = _quality(parameter)
        if language in LANGUAGES and quality > best_quality:
            best, best_quality = language, quality
    return best


def _quality(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    try:
        return float(value) if name.strip() == "q" else 1.0
    except ValueError:
        return 0.0


Form: TypeAlias = Callable[[HTTPConnection, Problem], Response]


def answer(request: HTTPConnection, problem: Problem) -> Response:
    """``problem`` as a response to ``request``."""
    body = problem_body(problem, language_of(request))
    return JSONResponse(body, problem.status, problem.headers, MEDIA_TYPE)


_OF_STATUS = {
    404: refusals.NOT_FOUND,
    405: refusals.METHOD_NOT_ALLOWED,
    413: refusals.TOO_LARGE,
}


def problem_of(error: Exception) -> Problem:
    """What an exception means to whoever asked. An unknown one is a mistake of ours."""
    match error:
        case Problem():
            return error
        case RefusedError(refusal=refusal):
            return Problem(refusal)
        case SignallingAwayError():
            return Problem(refusals.SIGNALLING_AWAY, headers={"Retry-After": "2"})
        case StoreError():
            return Problem(refusals.DATABASE_AWAY, headers={"Retry-After": "2"})
        case RequestValidationError():
            return Problem(refusals.INVALID_REQUEST, errors=[_fault(one) for one in error.errors()])
        case HTTPException(status_code=status) if status < 500:
            return Problem(_OF_STATUS.get(status, refusals.BAD_REQUEST), headers=error.headers)
        case _:
            return Problem(refusals.INTERNAL_ERROR)


def _fault(error: Mapping[str, Any]) -> Fault:
    where = ""
    for part in error["loc"]:
        where += f"[{part}]" if isinstance(part, int) else f".{part}" if where else str(part)
    return Fault(where, str(error["msg"]).removeprefix("Value error, "))


def form_of(path: str, forms: Mapping[str, Form]) -> Form:
    """How a problem is answered there: ``forms`` are those of paths that have one of their own."""
    return next((form for start, form in forms.items() if path.startswith(start)), answer)


def add_handlers(app: FastAPI, forms: Mapping[str, Form]) -> None:
    """Have every error of ``app`` answered in the one form, but below the paths that have a form of their own."""

    async def handle(request: Request, error: Exception) -> Response:
        if isinstance(error, (StoreError, SignallingAwayError)):
            log.warning("%s %s: %s", request.method, request.url.path, error)
        return form_of(request.url.path, forms)(request, problem_of(error))

    for kind in (Problem, RefusedError, SignallingAwayError, StoreError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, handle)

"""The web application: one table of routers. It is started by ``web.py``, and by tests over any ``Services``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Depends, FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from parkade import __version__
from parkade.api import live, refusals, v2_phone
from parkade.api.auth import new_enough
from parkade.api.describe import describe
from parkade.api.escapes import Escapes
from parkade.api.problems import Form, Problem, add_handlers, form_of
from parkade.api.request_ids import RequestIds
from parkade.api.rest import (
    accounts,
    admins,
    audit,
    bans,
    calls,
    common_areas,
    devices,
    directory,
    errors,
    groups,
    health,
    history,
    licences,
    login,
    lots,
    me,
    parked_calls,
    reports,
    settings,
    sites,
    tokens,
    trace,
    users,
    webhooks,
)
from parkade.api.services import ApiSettings, Services

PREFIX = "/api/v1"
V2_PREFIX = "/v2"
ROUTERS: tuple[APIRouter, ...] = (
    login.router,
    me.router,
    tokens.router,
    calls.router,
    parked_calls.router,
    settings.router,
    lots.router,
    sites.router,
    groups.router,
    users.router,
    common_areas.router,
    devices.router,
    licences.router,
    accounts.router,
    admins.router,
    directory.router,
    history.router,
    reports.router,
    audit.router,
    live.router,
    webhooks.router,
    trace.router,
    bans.router,
    errors.router,
)
"""Everything under ``/api/v1``; each file of ``rest/`` has one noun."""

FORMS: Mapping[str, Form] = {f"{V2_PREFIX}/": v2_phone.answered}
"""Where errors have another form than everywhere else."""

DESCRIPTION = """Calls, parked calls, settings and people of a Parkade installation.

Send a token (`POST /api/v1/login`, `POST /api/v1/tokens`) as `Authorization: Bearer …`. Times are ISO 8601, UTC. Lists answer
`{"items": […], "next": cursor or null}`. Errors are `application/problem+json` with a stable `error_id`, a `message` and
`what_to_do` in the language of the person or of `Accept-Language`; `GET /api/v1/errors` lists them all. What belongs to another
account is not there (404)."""


class _Api(FastAPI):
    def openapi(self) -> dict[str, Any]:
        return dict(describe(self))


def make_app(services: Services) -> FastAPI:
    """The application over ``services``, which whoever made them closes."""
    app = _Api(
        title="Parkade",
        version=__version__,
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
    )
    app.state.services = services
    add_handlers(app, FORMS)
    for router in ROUTERS:
        app.include_router(router, prefix=PREFIX, dependencies=[Depends(new_enough)])
    app.include_router(v2_phone.router, prefix=V2_PREFIX)
    app.include_router(health.router)
    app.add_middleware(_Door, settings=services.settings)
    app.add_middleware(RequestIds)
    return app


class _Door:
    """Refuses what is too large, and what no database takes: addresses with a NUL in them, JSON with half a character."""

    def __init__(self, app: ASGIApp, settings: ApiSettings) -> None:
        self._app = app
        self._most = settings.most_bytes
        self._most_of = {f"{PREFIX}/directory": settings.most_directory_bytes}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most, refused = self._most_of.get(scope["path"], self._most), None
        if "\0" in scope["path"] or b"%00" in scope["query_string"]:
            refused = Problem(refusals.BAD_REQUEST)
        elif _length(scope) > most:
            refused = Problem(refusals.TOO_LARGE)
        if refused is not None:
            await form_of(scope["path"], FORMS)(Request(scope), refused)(scope, receive, send)
            return
        left, escapes = most, Escapes()

        async def counted() -> Message:
            nonlocal left
            message = await receive()
            body = message.get("body", b"")
            left -= len(body)
            if left < 0:
                raise HTTPException(413)
            escapes.feed(body)
            if escapes.lone:
                raise HTTPException(400)
            return message

        await self._app(scope, counted, send)


def _length(scope: Scope) -> int:
    """What a request says that it has, 0 if it does not say."""
    said = dict(scope["headers"]).get(b"content-length", b"0")
    return int(said[:20]) if said.isdigit() else 0
